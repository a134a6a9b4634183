// SPDX-License-Identifier: MIT
// Page requests: the queue in memory, its event, its overflow, page group responses, draining. Written from the
// document with raw numbers only.
#include "tests/core/raw_software.h"

namespace vtd::test {
namespace {

constexpr std::uint64_t kPqh = 0xC0, kPqt = 0xC8, kPqa = 0xD0, kPrs = 0xDC, kPectl = 0xE0, kPedata = 0xE4,
                        kPeaddr = 0xE8;
constexpr std::uint64_t kPpr = 1, kPro = 2;  // PRS
constexpr PhysAddr kPages = 0xC'0000;        // the page request queue

class PriRules : public RawScalable {
 protected:
  PriRules() { start_at(); }
  void start_at() {
    fresh(full_profile());
    scalable_context(kDevice, kDirectory | kPaside | kDte | kPre);
    start_queue();
  }
  void start_queue() {
    write64(kPqa, kPages);
    write32(kPedata, 0x43);
    write32(kPeaddr, 0xFEE0'3000);
    write32(kPectl, 0);
  }
  static PageRequest page_of(std::uint64_t address, unsigned group = 0, bool last = true) {
    PageRequest r;
    r.source = kDevice;
    r.address = address;
    r.read = true;
    r.last = last;
    r.group = static_cast<std::uint16_t>(group);
    return r;
  }
  static PageRequest of_pasid(PageRequest r, unsigned pasid) {
    r.pasid = Pasid{pasid};
    return r;
  }
  std::array<std::uint64_t, 4> entry(unsigned n) {
    std::array<std::uint64_t, 4> words{};
    for (unsigned i = 0; i < 4; ++i) words[i] = host->word(kPages + n * 32 + i * 8);
    return words;
  }
  void expect_fault(const PageRequest& r, unsigned code) {
    unit->page_request(r);
    EXPECT_EQ(record_reason(0), code);
    EXPECT_EQ(record_low(0), r.address);
    EXPECT_EQ(record_high(0) >> 62 & 1, 0U) << "T1";
    EXPECT_EQ(record_high(0) >> 28 & 1, 1U) << "T2: a page request";
    EXPECT_EQ(record_high(0) & 0xFFFF, r.source.value);
    EXPECT_EQ(record_high(0) >> 31 & 1, r.pasid ? 1U : 0U);
    EXPECT_EQ(record_high(0) >> 40 & 0xF'FFFF, r.pasid ? r.pasid->value : 0U);
    EXPECT_EQ(read64(kPqt), 0U) << "nothing went to the queue";
    EXPECT_EQ(read32(kPrs), 0U);
  }
};

// ---- Descriptors -----------------------------------------------------------------------------------------------

TEST_F(PriRules, DescriptorOfARequest) {
  host->words[kPages + 16] = host->words[kPages + 24] = ~0ULL;
  PageRequest r = page_of(0x12'3456'7000, 0x1A5, true);
  unit->page_request(r);
  EXPECT_EQ(entry(0),
            (std::array<std::uint64_t, 4>{0x1 | 0x18ULL << 16, 0x12'3456'7000 | 0x1A5 << 3 | 1 << 2 | 1, 0, 0}));
  EXPECT_EQ(read64(kPqt), 0x20U);
  EXPECT_EQ(read64(kPqh), 0U);
}

TEST_F(PriRules, EveryFieldOfADescriptor) {
  const PageRequest plain = [] {
    PageRequest r = page_of(0x5000, 0, false);
    r.read = false;
    return r;
  }();
  struct {
    void (*change)(PageRequest&);
    std::uint64_t word0, word1;
  } const cases[] = {
      {[](PageRequest&) {}, 0, 0},
      {[](PageRequest& r) { r.read = true; }, 0, 1},
      {[](PageRequest& r) { r.write = true; }, 0, 2},
      {[](PageRequest& r) { r.last = true; }, 0, 4},
      {[](PageRequest& r) { r.group = 0x1FF; }, 0, 0xFF8},
      {[](PageRequest& r) { r.pasid = Pasid{0xF'1234}; }, 1 << 8 | 0xF'1234ULL << 32, 0},
      {[](PageRequest& r) { r.pasid = Pasid{0}; }, 1 << 8, 0},
      {[](PageRequest& r) { r.pasid = Pasid{1}, r.execute = true; }, 1 << 8 | 1ULL << 32 | 1ULL << 52, 0},
      {[](PageRequest& r) { r.pasid = Pasid{1}, r.privileged = true; }, 1 << 8 | 1ULL << 32 | 1ULL << 53, 0},
      {[](PageRequest& r) { r.address = 0xFFFF'8765'4321'0000; }, 0, 0x5000 ^ 0xFFFF'8765'4321'0000},
  };
  for (const auto& c : cases) {
    start_at();
    scalable_context(kDevice, kDirectory | kPaside | kDte | kPre | 7 << 9);
    PageRequest r = plain;
    c.change(r);
    unit->page_request(r);
    EXPECT_EQ(entry(0), (std::array<std::uint64_t, 4>{0x18'0001 | c.word0, 0x5000 ^ c.word1, 0, 0}));
  }
}

TEST_F(PriRules, RequestsFollowEachOther) {
  for (unsigned n = 0; n < 5; ++n) unit->page_request(page_of(0x1000 * n, n));
  EXPECT_EQ(read64(kPqt), 0xA0U);
  for (unsigned n = 0; n < 5; ++n) EXPECT_EQ(entry(n)[1], 0x1000 * n | n << 3 | 5) << n;
  EXPECT_EQ(pending(), 0U);
  EXPECT_TRUE(host->page_responses.empty()) << "software answers";
}

// ---- The event -------------------------------------------------------------------------------------------------

TEST_F(PriRules, PprAndItsMessage) {
  unit->page_request(page_of(0x5000));
  EXPECT_EQ(read32(kPrs), kPpr);
  ASSERT_EQ(host->messages.size(), 1U);
  EXPECT_EQ(host->messages[0], (std::pair<PhysAddr, std::uint32_t>{0xFEE0'3000, 0x43}));
  EXPECT_EQ(read32(kPectl), 0U);
  unit->page_request(page_of(0x6000));
  EXPECT_EQ(host->messages.size(), 1U) << "PPR is still set";
  write32(kPrs, kPpr);
  EXPECT_EQ(read32(kPrs), 0U);
  unit->page_request(page_of(0x7000));
  EXPECT_EQ(host->messages.size(), 2U);
}

TEST_F(PriRules, AMaskedEventWaitsAndGoesWithItsCause) {
  write32(kPectl, 1U << 31);
  unit->page_request(page_of(0x5000));
  EXPECT_EQ(read32(kPectl), 3U << 30);
  EXPECT_TRUE(host->messages.empty());
  write32(kPrs, kPpr);
  EXPECT_EQ(read32(kPectl), 1U << 31);
  unit->page_request(page_of(0x5000));
  write32(kPectl, 0);
  EXPECT_EQ(host->messages.size(), 1U);
}

// ---- Overflow --------------------------------------------------------------------------------------------------

TEST_F(PriRules, AFullQueueSetsProAndAnswersTheLastOfAGroup) {
  for (const unsigned pqs : {0U, 1U}) {
    start_at();
    write64(kPqa, kPages | pqs);
    const unsigned slots = 128U << pqs;
    for (unsigned n = 0; n + 1 < slots; ++n) unit->page_request(page_of(0x5000, n & 0x1FF));
    EXPECT_EQ(read32(kPrs), kPpr);
    EXPECT_EQ(read64(kPqt), (slots - 1) * 32);
    write32(kPrs, kPpr);
    host->messages.clear();
    unit->page_request(page_of(0x6000, 9, false));
    EXPECT_EQ(read32(kPrs), kPro);
    EXPECT_EQ(host->messages.size(), 1U) << "an overflow is an event";
    EXPECT_TRUE(host->page_responses.empty()) << "not the last: dropped";
    unit->page_request(of_pasid(page_of(0x7000, 9, true), 0x123));
    ASSERT_EQ(host->page_responses.size(), 1U);
    EXPECT_EQ(host->page_responses[0].source, kDevice);
    EXPECT_EQ(host->page_responses[0].pasid, Pasid{0x123});
    EXPECT_EQ(host->page_responses[0].group, 9U);
    EXPECT_EQ(host->page_responses[0].code, 0U);
    EXPECT_EQ(read64(kPqt), (slots - 1) * 32);
    EXPECT_EQ(pending(), 0U) << "no fault";
  }
}

TEST_F(PriRules, DroppedUntilSoftwareClearsPro) {
  for (unsigned n = 0; n < 128; ++n) unit->page_request(page_of(0x5000));
  EXPECT_EQ(read32(kPrs), kPpr | kPro);
  write64(kPqh, 0x40);
  unit->page_request(page_of(0x6000));
  EXPECT_EQ(read64(kPqt), 0xFE0U) << "PRO is still set";
  write32(kPrs, kPpr | kPro);
  unit->page_request(page_of(0x7000));
  EXPECT_EQ(read64(kPqt), 0U) << "wrapped";
  EXPECT_EQ(entry(127)[1] & ~0xFFFULL, 0x7000U);
  EXPECT_EQ(read32(kPrs), kPpr);
}

// ---- Faults ----------------------------------------------------------------------------------------------------

TEST_F(PriRules, Reason47_PageRequestsNeedPre) {
  scalable_context(kDevice, kDirectory | kPaside | kDte);
  expect_fault(page_of(0x5000), 0x47);
  start_at();
  scalable_context(kDevice, kDirectory | kPaside | kDte);
  expect_fault(of_pasid(page_of(0x5000), 5), 0x47);
  start_at();
  scalable_context(kDevice, kDirectory | kPaside | kDte | kFpd);
  unit->page_request(page_of(0x5000));
  EXPECT_EQ(pending(), 0U) << "FPD";
}

TEST_F(PriRules, Reason32_PageRequestsUnderLegacyMode) {
  RawSoftware::fresh(full_profile());
  start_queue();
  expect_fault(page_of(0x5000), 0x32);
  RawSoftware::fresh(full_profile());
  start_queue();
  host->words[0x1'0000] = 0;
  expect_fault(page_of(0x5000), 0x32);
}

TEST_F(PriRules, PageRequestsMeetTheFaultsOfRootAndContext) {
  struct {
    unsigned code;
    PhysAddr at;
    std::uint64_t value;
  } const cases[] = {
      {0x39, kRoot, 0}, {0x3A, kRoot, kLower | 3}, {0x41, context_at(kDevice), 0}, {0x42, context_at(kDevice) + 16, 1}};
  for (const auto& c : cases) {
    start_at();
    host->words[c.at] = c.value;
    expect_fault(page_of(0x5000), c.code);
  }
  start_at();
  host->broken.insert(kRoot);
  expect_fault(page_of(0x5000), 0x38);
  start_at();
  host->broken.insert(context_at(kDevice));
  expect_fault(page_of(0x5000), 0x40);
}

TEST_F(PriRules, AFaultedGroupIsAnsweredOnce) {
  scalable_context(kDevice, kDirectory | kPaside | kDte);
  unit->page_request(page_of(0x5000, 3, false));
  EXPECT_TRUE(host->page_responses.empty());
  unit->page_request(page_of(0x6000, 3, true));
  ASSERT_EQ(host->page_responses.size(), 1U);
  EXPECT_EQ(host->page_responses[0].group, 3U);
  EXPECT_NE(host->page_responses[0].code, 0U) << "no success";
}

// ---- Responses and draining ------------------------------------------------------------------------------------

TEST_F(PriRules, PageGroupResponses) {
  queue_on();
  for (const unsigned code : {0U, 1U, 0xFU}) {
    host->page_responses.clear();
    EXPECT_EQ(submit(9 | 1 << 4 | code << 12 | 0x18 << 16 | 0xF'1234ULL << 32, 1 << 2 | 0x1A5 << 3), 0U);
    EXPECT_EQ(submit(9 | code << 12 | 0x20 << 16, 1 << 2 | 0x1FF << 3), 0U);
    ASSERT_EQ(host->page_responses.size(), 2U);
    EXPECT_EQ(host->page_responses[0].source, kDevice);
    EXPECT_EQ(host->page_responses[0].pasid, Pasid{0xF'1234});
    EXPECT_EQ(host->page_responses[0].group, 0x1A5U);
    EXPECT_EQ(host->page_responses[0].code, code);
    EXPECT_EQ(host->page_responses[1].source, kOther);
    EXPECT_FALSE(host->page_responses[1].pasid.has_value()) << "PP=0";
    EXPECT_EQ(host->page_responses[1].group, 0x1FFU);
  }
}

TEST_F(PriRules, AWaitWithPdWaitsForPageRequestsOnTheirWay) {
  for (const bool drain : {false, true}) {
    start_at();
    queue_on();
    bool blocked = true;
    host->on_write = [&](PhysAddr) {
      while (blocked) tasks.yield();
    };
    const auto device = tasks.spawn([&] { unit->page_request(page_of(0x5000)); });
    EXPECT_EQ(host->word(kPages), 0U) << "not there yet";
    put(kQueue, {0x25 | (drain ? 1U << 7 : 0U), 0x6'0000, 0, 0});
    unit->write(kIqt, 0x20, 8);
    const auto software = tasks.spawn([&] { pump(); });
    tasks.settle();
    EXPECT_EQ(host->status_writes.size(), drain ? 0U : 1U);
    blocked = false;
    tasks.settle();
    EXPECT_TRUE(device->done());
    EXPECT_TRUE(software->done());
    EXPECT_EQ(host->status_writes.size(), 1U);
    EXPECT_EQ(host->word(kPages) & 0xFF, 1U);
    host->on_write = nullptr;
  }
}

TEST_F(PriRules, RequestsAreWrittenInOrder) {
  bool blocked = true;
  host->on_write = [&](PhysAddr at) {
    while (blocked && at == kPages) tasks.yield();
  };
  tasks.spawn([&] { unit->page_request(page_of(0x5000)); });
  tasks.spawn([&] { unit->page_request(page_of(0x6000)); });
  tasks.settle();
  EXPECT_EQ(read64(kPqt), 0U) << "the first is not in memory, so the tail must not pass it";
  EXPECT_EQ(read32(kPrs), 0U);
  blocked = false;
  tasks.settle();
  EXPECT_EQ(read64(kPqt), 0x40U);
  EXPECT_EQ(entry(0)[1] & ~0xFFFULL, 0x5000U);
  EXPECT_EQ(entry(1)[1] & ~0xFFFULL, 0x6000U);
}

}  // namespace
}  // namespace vtd::test
