// SPDX-License-Identifier: MIT
// ATS: translation requests, translated requests, invalidations of device-TLBs. Written from the document with raw
// numbers only.
#include "tests/core/raw_software.h"

namespace vtd::test {
namespace {

constexpr std::uint64_t kIova = 0x12'3456'7000;

class AtsRules : public RawScalable {
 protected:
  static constexpr PhysAddr kPage = 0x2'4000'0000;
  /// A fresh unit: kDevice may use ATS; PASID 0 second-stage, PASID 1 first-stage, both with kIova mapped.
  void start_at(std::uint64_t second_leaf = kPage | kR | kW, std::uint64_t first_leaf = kPage | kP | kRw | kUs) {
    fresh(full_profile());
    scalable_context(kDevice, kDirectory | kPaside | kDte);
    pasid_entry(1, kFirstStage, kDid | kPwsnp, kFirst | 3);
    second_path = second(kIova, second_leaf);
    first_path = first(kIova, first_leaf);
  }
  /// A translation request.
  static DmaRequest ask(Access access = Access::kRead, std::uint64_t iova = kIova) {
    DmaRequest r = request(iova, access);
    r.type = AddressType::kTranslationRequest;
    return r;
  }
  static DmaRequest translated(std::uint64_t address, Access access = Access::kRead) {
    DmaRequest r = request(address, access);
    r.type = AddressType::kTranslated;
    return r;
  }
  void expect_answer(const DmaRequest& r, bool readable, bool writable) {
    const auto result = dma(r);
    ASSERT_TRUE(result.ok());
    EXPECT_EQ(result->readable, readable);
    EXPECT_EQ(result->writable, writable);
    if (readable || writable) {
      EXPECT_EQ(result->address, kPage);
    }
    EXPECT_EQ(pending(), 0U) << "nothing is recorded";
  }
  /// `record`: where it is recorded.
  void expect_refused(const DmaRequest& r, unsigned code, unsigned record = 0) {
    EXPECT_EQ(reason(r), code);
    EXPECT_EQ(record_reason(record), code);
    EXPECT_EQ(record_high(record) >> 60 & 3, static_cast<unsigned>(r.type)) << "AT";
    EXPECT_EQ(record_high(record) >> 62 & 1, r.access == Access::kRead ? 1U : 0U);
  }
  Path second_path{}, first_path{};
};

// ---- Translation requests --------------------------------------------------------------------------------------

TEST_F(AtsRules, TheAnswerSaysWhatIsAllowed) {
  start_at();
  expect_answer(ask(Access::kWrite), true, true);
  start_at(kPage | kR);
  expect_answer(ask(Access::kRead), true, false);
  expect_answer(ask(Access::kWrite), true, false);
  start_at(kPage | kW);
  expect_answer(ask(Access::kWrite), false, true);
  start_at(0, kPage | kP | kRw | kUs);
  expect_answer(with_pasid(ask(Access::kWrite), 1), true, true);
  start_at(0, kPage | kP | kUs);
  expect_answer(with_pasid(ask(Access::kRead), 1), true, false);
  expect_answer(with_pasid(ask(Access::kWrite), 1), true, false);
}

TEST_F(AtsRules, TheAnswerIsTheSameFromTheIotlb) {
  start_at(kPage | kR);
  EXPECT_EQ(dma_to(kIova), kPage);
  expect_answer(ask(Access::kWrite), true, false);
  EXPECT_EQ(fault(kIova, Access::kWrite), 0x85U) << "and an untranslated request still faults";
}

TEST_F(AtsRules, RecoverableFaultsAnswerNothingAllowedAndRecordNothing) {
  struct {
    const char* what;
    unsigned pasid;
    std::uint64_t second_leaf, first_leaf;
    unsigned untranslated;  // what the same request faults with untranslated
  } const cases[] = {{"second-stage absent", 0, 0, 0, 0x79},
                     {"first-stage absent", 1, 0, 0, 0x71},
                     {"first-stage, user to supervisor page", 1, 0, kPage | kP | kRw, 0x81}};
  for (const auto& c : cases) {
    SCOPED_TRACE(c.what);
    for (const Access access : {Access::kRead, Access::kWrite}) {
      start_at(c.second_leaf, c.first_leaf);
      expect_answer(with_pasid(ask(access), c.pasid), false, false);
      EXPECT_EQ(reason(with_pasid(request(kIova, access), c.pasid)), c.untranslated);
      EXPECT_EQ(record_reason(0), c.untranslated);
    }
  }
}

TEST_F(AtsRules, SecondStageRightsForFirstStageTablesAreRecoverable) {
  struct {
    std::uint64_t top, next;  // second-stage rights of the tables at levels 4 and 3
    unsigned untranslated;
  } const cases[] = {{kW, kR | kW, 0x75}, {kR | kW, kW, 0x76}, {kR, kR | kW, 0x77}, {kR | kW, kR, 0x77}};
  for (const auto& c : cases) {
    start_at();
    pasid_entry(2, kNested | kAw4 | kTable, kDid | kPwsnp, 0x8'0000);
    host->words[0x8'0000] = 0x8'1000 | kP | kRw | kUs;
    host->words[0x8'1000 + (kIova >> 30) * 8] = (kIova & ~0x3FFF'FFFFULL) | kP | kRw | kUs | 0x80;
    second(0x8'0000, 0x8'0000 | c.top);
    second(0x8'1000, 0x8'1000 | c.next);
    expect_answer(with_pasid(ask(Access::kWrite), 2), false, false);
    EXPECT_EQ(reason(with_pasid(dma_read(kDevice, kIova), 2)), c.untranslated);
    EXPECT_EQ(record_reason(0), c.untranslated);
    second(0x8'0000, 0x8'0000 | kR | kW);
    second(0x8'1000, 0x8'1000 | kR | kW);
    host->words[second_path[1]] = kPage | kR;
    EXPECT_FALSE(dma(with_pasid(ask(Access::kWrite), 2))->writable) << "the page itself";
  }
}

TEST_F(AtsRules, UpdatesThatPwsnpForbidsAreNotRecoverable) {
  for (const bool first_stage : {false, true}) {
    start_at();
    pasid_entry(0, first_stage ? kFirstStage : kSecondStage | kAw4 | kTable | kSsade, kDid, first_stage ? kFirst : 0);
    expect_refused(ask(), first_stage ? 0x90 : 0x7C);
  }
}

TEST_F(AtsRules, ExecuteIsAnsweredNotFaulted) {
  for (const bool forbidden : {false, true}) {
    start_at(0, kPage | kP | kUs | (forbidden ? kXd : 0));
    const auto result = dma(with_pasid(ask(), 1, false, true));
    ASSERT_TRUE(result.ok());
    EXPECT_EQ(result->executable, !forbidden);
    EXPECT_EQ(pending(), 0U);
  }
}

TEST_F(AtsRules, OtherFaultsAreRefusedAndRecorded) {
  for (const unsigned code : {0x41U, 0x51U, 0x59U, 0x5BU, 0x7AU, 0x78U, 0x72U, 0x70U, 0x87U, 0x84U, 0x80U}) {
    for (const Access access : {Access::kRead, Access::kWrite}) {
      start_at();
      DmaRequest r = ask(access);
      if (code == 0x41) host->words[context_at(kDevice)] = 0;
      if (code == 0x51) host->words[kDirectory] = 0;
      if (code == 0x59) host->words[pasid_at(0)] = 0;
      if (code == 0x5B) host->words[pasid_at(0)] |= 7 << 6;
      if (code == 0x7A) host->words[second_path[1]] |= 1ULL << 51;
      if (code == 0x78) host->broken.insert(second_path[1]);
      if (code == 0x72) host->words[first_path[1]] |= 1ULL << 51, r = with_pasid(r, 1);
      if (code == 0x70) host->broken.insert(first_path[1]), r = with_pasid(r, 1);
      if (code == 0x87) host->words[second_path[1]] = 0xFEE0'0003;
      if (code == 0x84) r.address = 1ULL << 48;
      if (code == 0x80) r.address = 1ULL << 47, r = with_pasid(r, 1);
      expect_refused(r, code);
    }
  }
}

TEST_F(AtsRules, AnAnswerThatAllowsWritesMeansThatDIsSet) {
  for (const bool first_stage : {false, true}) {
    for (const bool cached : {false, true}) {
      for (const Access access : {Access::kRead, Access::kWrite}) {
        start_at();
        pasid_entry(0, first_stage ? kFirstStage : kSecondStage | kAw4 | kTable | kSsade, kDid | kPwsnp,
                    first_stage ? kFirst : 0);
        const PhysAddr leaf = first_stage ? first_path[1] : second_path[1];
        if (cached) {
          EXPECT_EQ(dma_to(kIova), kPage);
        }
        const auto answer = dma(ask(access));
        ASSERT_TRUE(answer.ok());
        EXPECT_TRUE(answer->readable);
        if (access == Access::kWrite) {
          EXPECT_TRUE(answer->writable);
        }
        const bool dirty = (host->words[leaf] & (first_stage ? kD : kSsD)) != 0;
        EXPECT_TRUE(dirty || !answer->writable) << "the device's writes come translated: the unit sees them no more";
      }
    }
  }
}

TEST_F(AtsRules, TheSizeOfThePageIsAnswered) {
  start_at();
  second(0x4020'0000, 0x8000'0000 | kR, 2);
  const auto result = dma(ask(Access::kRead, 0x4020'0000));
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->page_size, 0x20'0000U);
}

// ---- Translated requests ---------------------------------------------------------------------------------------

TEST_F(AtsRules, TranslatedRequestsPassAsTheyAre) {
  start_at(0, 0);
  EXPECT_EQ(address_of(translated(0x3'4567'8004)), 0x3'4567'8004U);
  EXPECT_EQ(address_of(translated(0x3'4567'8004, Access::kWrite)), 0x3'4567'8004U);
  EXPECT_TRUE(host->walks.empty());
}

TEST_F(AtsRules, ReasonD_44_DisabledForTheDevice) {
  for (const AddressType type : {AddressType::kTranslationRequest, AddressType::kTranslated}) {
    for (const bool write : {false, true}) {
      DmaRequest r = request(kIova, write ? Access::kWrite : Access::kRead);
      r.type = type;
      start_at();
      scalable_context(kDevice, kDirectory);
      expect_refused(r, 0x44);
      RawSoftware::fresh(full_profile());
      page(kIova, kPage, kR | kW);
      expect_refused(r, 0xD);
    }
  }
}

TEST_F(AtsRules, LegacyModeNeedsTranslationType1) {
  RawSoftware::fresh(full_profile());
  host->words[0x2'0000 + kDevice.devfn() * 16U] |= 1 << 2;  // TT
  page(kIova, kPage, kR);
  expect_answer(ask(Access::kWrite), true, false);
  expect_answer(ask(Access::kWrite, kIova + 0x1000), false, false);
  EXPECT_EQ(address_of(translated(0x1234'5000)), 0x1234'5000U);
  EXPECT_EQ(dma_to(kIova), kPage) << "untranslated requests are served as well";
  EXPECT_EQ(fault(kIova + 0x1000), 6U);
}

TEST_F(AtsRules, ACachedFaultOfOneAccessDoesNotAnswerForTheOther) {
  Profile p = full_profile();
  p.caching_mode = true;  // faults are cached
  RawSoftware::fresh(p);
  host->words[0x2'0000 + kDevice.devfn() * 16U] |= 1 << 2;  // TT
  const PhysAddr leaf = page(kIova, kPage, kR | kW);
  host->broken.insert(leaf);
  for (auto& [address, word] : host->words)
    if ((word & 0xF'FFFF'FFFF'F000) == (leaf & ~0xFFFULL) && (word & 3) == 3) word &= ~kR;
  EXPECT_EQ(fault(kIova), 6U) << "no R at level 2";
  expect_refused(ask(), 7, 1);
}

TEST_F(AtsRules, ReasonD_PassThroughHasNoAts) {
  RawSoftware::fresh(full_profile());
  PhysAddr at = 0x2'0000 + kDevice.devfn() * 16U;
  host->words[at] = 1 | 2 << 2;
  host->words[at + 8] = kDid << 8 | 3;  // AW: the largest
  EXPECT_EQ(dma_to(kIova), kIova);
  expect_refused(ask(), 0xD);
}

// ---- Invalidations of device-TLBs ------------------------------------------------------------------------------

class DeviceTlbRules : public AtsRules {
 protected:
  DeviceTlbRules() {
    start_at();
    queue_on();
    write32(kFedata, 0x41);
    write32(kFeaddr, 0xFEE0'1000);
    write32(kFectl, 0);
  }
  static constexpr std::uint64_t kSid = kDevice.value;
  /// Puts descriptors behind the others and lets the queue run as far as it can.
  void queue(std::initializer_list<std::array<std::uint64_t, 2>> descriptors) {
    for (const auto& d : descriptors) put(kQueue + tail, {d[0], d[1], 0, 0}), tail += 0x20;
    unit->write(kIqt, tail, 8);
    tasks.spawn([this] { pump(); });
    tasks.settle();
  }
  void answer(std::size_t n, DeviceAnswer how) {
    ASSERT_LT(n, host->device_invalidations.size());
    unit->device_answered(host->device_invalidations[n].tag, how);
    tasks.settle();
    tasks.spawn([this] { pump(); });
    tasks.settle();
  }
  void software_writes(std::uint64_t offset, std::uint32_t value) {
    unit->write(offset, value, 4);
    tasks.spawn([this] { pump(); });
    tasks.settle();
  }
  [[nodiscard]] unsigned ice() const { return read32(kFsts) >> 5 & 1; }
  [[nodiscard]] unsigned ite() const { return read32(kFsts) >> 6 & 1; }
  static std::array<std::uint64_t, 2> wait(std::uint64_t data) { return {0x25 | data << 32, 0x6'0000}; }
  static std::array<std::uint64_t, 2> type3(std::uint64_t sid, std::uint64_t high = 0, std::uint64_t mip = 0) {
    return {3 | mip << 16 | sid << 32, high};
  }
  std::uint64_t tail = 0;
};

TEST_F(DeviceTlbRules, RangesOfType3And8) {
  struct {
    std::uint64_t address;
    bool s;
    std::uint64_t first, last;
  } const cases[] = {
      {0x5000, false, 0x5000, 0x5FFF},
      {0x7F'FFFF'F000, false, 0x7F'FFFF'F000, 0x7F'FFFF'FFFF},
      {0x4000, true, 0x4000, 0x5FFF},    // lowest zero is bit 12: two pages
      {0x5000, true, 0x4000, 0x7FFF},    // bit 13: four
      {0x9000, true, 0x8000, 0xBFFF},    // bit 13
      {0x3000, true, 0x0, 0x7FFF},       // bit 14: eight
      {0xF'F000, true, 0x0, 0x1F'FFFF},  // bit 20: 2M
      {0x12'344F'F000, true, 0x12'3440'0000, 0x12'345F'FFFF},
      {0x7FFF'FFFF'FFFF'F000, true, 0x0, ~0ULL},  // everything
  };
  for (const auto& c : cases) {
    host->device_invalidations.clear();
    queue({type3(kSid, c.address | (c.s ? 1U : 0U))});
    queue({{8 | kSid << 16 | 0x1'2345ULL << 32, c.address | (c.s ? 1U << 11 : 0U)}});
    ASSERT_EQ(host->device_invalidations.size(), 2U);
    for (const DeviceTlbInvalidation& i : host->device_invalidations) {
      EXPECT_EQ(i.source, kDevice);
      EXPECT_EQ(i.first, c.first) << std::hex << c.address << c.s;
      EXPECT_EQ(i.last, c.last) << std::hex << c.address << c.s;
    }
    EXPECT_FALSE(host->device_invalidations[0].pasid.has_value());
    EXPECT_EQ(host->device_invalidations[1].pasid, Pasid{0x1'2345});
    EXPECT_FALSE(host->device_invalidations[1].global);
  }
}

TEST_F(DeviceTlbRules, Type8WithGlobal) {
  queue({{8 | kSid << 16 | 7ULL << 32, 0x7FFF'FFFF'FFFF'F801}});
  ASSERT_EQ(host->device_invalidations.size(), 1U);
  EXPECT_TRUE(host->device_invalidations[0].global);
  EXPECT_EQ(host->device_invalidations[0].first, 0U);
  EXPECT_EQ(host->device_invalidations[0].last, ~0ULL);
}

TEST_F(DeviceTlbRules, AWaitWaitsForTheAnswers) {
  queue({type3(kSid), type3(kOther.value), wait(7)});
  EXPECT_EQ(host->device_invalidations.size(), 2U);
  EXPECT_TRUE(host->status_writes.empty());
  answer(1, DeviceAnswer::kDone);
  EXPECT_TRUE(host->status_writes.empty());
  answer(0, DeviceAnswer::kDone);
  ASSERT_EQ(host->status_writes.size(), 1U);
  EXPECT_EQ(read64(kIqh), tail);
  EXPECT_EQ(ice() | ite(), 0U);
}

TEST_F(DeviceTlbRules, MipBoundsWhatIsPendingAtADevice) {
  queue({type3(kSid, 0, 2), type3(kSid, 0, 2), type3(kSid, 0, 2), wait(7)});
  EXPECT_EQ(host->device_invalidations.size(), 2U);
  answer(0, DeviceAnswer::kDone);
  EXPECT_EQ(host->device_invalidations.size(), 3U);
  answer(1, DeviceAnswer::kDone);
  answer(2, DeviceAnswer::kDone);
  EXPECT_EQ(host->status_writes.size(), 1U);
}

TEST_F(DeviceTlbRules, MipCountsEachDeviceByItself) {
  queue({type3(kSid, 0, 1), type3(kOther.value, 0, 1)});
  EXPECT_EQ(host->device_invalidations.size(), 2U);
}

TEST_F(DeviceTlbRules, AnErrorSetsIceAndNamesTheDevice) {
  queue({type3(kSid)});
  answer(0, DeviceAnswer::kError);
  EXPECT_EQ(ice(), 1U);
  EXPECT_EQ(ite(), 0U);
  EXPECT_EQ(read64(kIqercd) >> 48, kSid) << "ICESID";
  ASSERT_EQ(host->messages.size(), 1U) << "a fault event";
  EXPECT_EQ(host->messages[0], (std::pair<PhysAddr, std::uint32_t>{0xFEE0'1000, 0x41}));
  queue({{0x12, 0}});
  EXPECT_EQ(read64(kIqh), tail) << "the queue goes on";
  software_writes(kFsts, 1U << 5);
  EXPECT_EQ(ice(), 0U);
}

TEST_F(DeviceTlbRules, ATimeoutSetsIteAbortsWaitsAndStopsTheQueue) {
  queue({type3(kSid), wait(7)});
  answer(0, DeviceAnswer::kTimeout);
  EXPECT_EQ(ite(), 1U);
  EXPECT_EQ(ice(), 0U);
  EXPECT_EQ(read64(kIqercd) >> 32 & 0xFFFF, kSid) << "ITESID";
  EXPECT_EQ(host->messages.size(), 1U) << "a fault event";
  EXPECT_TRUE(host->status_writes.empty());
  const std::uint64_t head = read64(kIqh);
  queue({wait(8)});
  EXPECT_EQ(read64(kIqh), head) << "nothing is fetched";
  EXPECT_TRUE(host->status_writes.empty());
  software_writes(kFsts, 1U << 6);
  EXPECT_EQ(ite(), 0U);
  EXPECT_EQ(read64(kIqh), tail);
  ASSERT_EQ(host->status_writes.size(), 1U) << "the aborted wait is not completed";
  EXPECT_EQ(host->status_writes[0].second, 8U);
}

TEST_F(DeviceTlbRules, ATimeoutWithNoWaitBehindItStopsTheQueueToo) {
  queue({type3(kSid)});
  EXPECT_EQ(read64(kIqh), tail);
  answer(0, DeviceAnswer::kTimeout);
  EXPECT_EQ(ite(), 1U);
  queue({wait(8)});
  EXPECT_TRUE(host->status_writes.empty());
  software_writes(kFsts, 1U << 6);
  EXPECT_EQ(host->status_writes.size(), 1U);
}

TEST_F(DeviceTlbRules, NoSecondMessageWhileACauseIsSet) {
  queue({type3(kSid), type3(kOther.value)});
  answer(0, DeviceAnswer::kError);
  answer(1, DeviceAnswer::kTimeout);
  EXPECT_EQ(host->messages.size(), 1U);
  software_writes(kFsts, 1U << 5 | 1U << 6);
  queue({type3(kSid)});
  answer(2, DeviceAnswer::kError);
  EXPECT_EQ(host->messages.size(), 2U);
}

TEST_F(DeviceTlbRules, AnInvalidationOfTheIotlbIsNotHeldUpByADevice) {
  EXPECT_EQ(dma_to(kIova), kPage);
  host->words[second_path[1]] = 0xA000 | kR;
  queue({type3(kSid), {0x12, 0}});
  EXPECT_EQ(dma_to(kIova), 0xA000U);
}

}  // namespace
}  // namespace vtd::test
