// SPDX-License-Identifier: MIT
// Invalidation descriptors: which are good in which mode, which stop the queue and with which code; 128- and 256-bit
// form. Written from the document with raw numbers only.
#include "tests/core/raw_software.h"

namespace vtd::test {
namespace {

// IQERCD.IQEI.
constexpr unsigned kBadTail = 1, kFetch = 2, kBadType = 3, kReserved = 4, kBadWidth = 5, kMisaligned = 6, kBadMode = 7;

class DescriptorRules : public RawScalable {
 protected:
  static constexpr unsigned kSid = kDevice.value;
  void scalable(const Profile& p = full_profile(), std::uint64_t iqa = kQueue | 1 << 11) {
    fresh(p);
    queue_on(iqa);
  }
  void legacy(bool wide, const Profile& p = full_profile()) {
    RawSoftware::fresh(p);
    queue_on(kQueue | (wide ? 1U << 11 : 0U));
  }
  void answer_device() {
    for (const DeviceTlbInvalidation& i : std::exchange(host->device_invalidations, {}))
      unit->device_answered(i.tag, DeviceAnswer::kDone);
    pump();
  }
  [[nodiscard]] unsigned queue_error() const { return read32(kFsts) >> 4 & 1; }
};

/// One good descriptor of each type and the bits that its fields have.
struct Good {
  unsigned type;
  std::uint64_t low, low_fields, high, high_fields;
};
constexpr Good kGood[] = {
    {1, 0x11, 0x0003'FFFF'FFFF'003F, 0, 0},
    {2, 0x12, 0x0000'0000'FFFF'00FF, 0, 0xFFFF'FFFF'FFFF'F07F},
    {3, 0x3 | 0x18ULL << 32, 0xFFF0'FFFF'001F'F00F, 0, 0xFFFF'FFFF'FFFF'F001},
    {4, 0x4, 0x0000'FFFF'F800'001F, 0, 0},
    {5, 0x45, 0xFFFF'FFFF'0000'00FF, 0, 0xFFFF'FFFF'FFFF'FFFC},
    {6, 0x26, 0x000F'FFFF'FFFF'003F, 0, 0xFFFF'FFFF'FFFF'F07F},
    {7, 0x37, 0x000F'FFFF'FFFF'003F, 0, 0},
    {8, 0x8 | 0x18ULL << 16, 0xFFFF'FFFF'FFFF'F1FF, 0, 0xFFFF'FFFF'FFFF'F801},
    {9, 0x9 | 0x18ULL << 16, 0x000F'FFFF'FFFF'F01F, 0, 0xFFC},
};

TEST_F(DescriptorRules, EveryTypeIsGoodInScalableMode) {
  for (const Good& g : kGood) {
    scalable();
    EXPECT_EQ(submit(g.low, g.high), 0U) << g.type;
  }
}

TEST_F(DescriptorRules, EveryReservedBitOfEveryTypeStopsTheQueue) {
  for (const Good& g : kGood) {
    for (unsigned bit = 0; bit < 256; ++bit) {
      const std::uint64_t fields = bit < 64 ? g.low_fields : bit < 128 ? g.high_fields : 0;
      if ((fields >> bit % 64 & 1) != 0) continue;
      std::array<std::uint64_t, 4> words{g.low, g.high, 0, 0};
      words[bit / 64] |= 1ULL << bit % 64;
      scalable();
      // [11:9] belong to the type.
      EXPECT_EQ(submit(words[0], words[1], words[2], words[3]), bit >= 9 && bit <= 11 ? kBadType : kReserved)
          << "type " << g.type << ", bit " << bit;
      EXPECT_TRUE(host->device_invalidations.empty());
      EXPECT_TRUE(host->page_responses.empty());
    }
  }
}

TEST_F(DescriptorRules, UnknownTypes) {
  for (const unsigned type : {0U, 10U, 11U, 12U, 13U, 14U, 15U}) {
    scalable();
    EXPECT_EQ(submit(type), kBadType) << type;
    legacy(false);
    EXPECT_EQ(submit(type), kBadType) << type;
  }
}

TEST_F(DescriptorRules, ReservedGranularities) {
  for (const std::uint64_t low : {0x01U, 0x02U, 0x06U, 0x16U, 0x27U}) {
    scalable();
    EXPECT_EQ(submit(low), kReserved) << std::hex << low;
  }
}

TEST_F(DescriptorRules, MasksBeyondTheCapabilities) {
  Profile p = full_profile();
  p.max_address_mask = 9;
  p.max_handle_mask = 7;
  for (const std::uint64_t low : {0x32U, 0x36U}) {
    scalable(p);
    EXPECT_EQ(submit(low, 9), 0U) << "AM = MAMV";
    EXPECT_EQ(submit(low, 10), kReserved) << "AM = MAMV + 1";
    EXPECT_EQ(submit(low, 63), kReserved);
  }
  EXPECT_EQ(submit(0x14 | 7 << 27), 0U) << "IM = MHMV";
  EXPECT_EQ(submit(0x14 | 8 << 27), kReserved);
  EXPECT_EQ(submit(0x12, 10), 0U) << "a global invalidation has no use for AM";
}

TEST_F(DescriptorRules, BadOnesDropNothing) {
  scalable();
  second(0x5000, 0x9000 | kR);
  EXPECT_EQ(dma_to(0x5000), 0x9000U);
  second(0x5000, 0xA000 | kR);
  host->words[context_at(kDevice)] = 0;
  for (const std::uint64_t low :
       {0x11ULL | 1ULL << 50, 0x12ULL | 1ULL << 40, 0x37ULL | 1ULL << 60, 0x12ULL | 1ULL << 9})
    EXPECT_NE(submit(low), 0U);
  EXPECT_EQ(dma_to(0x5000), 0x9000U);
}

// ---- Modes -----------------------------------------------------------------------------------------------------

TEST_F(DescriptorRules, ScalableModeNeeds256Bits) {
  for (const Good& g : kGood) {
    scalable(full_profile(), kQueue);
    EXPECT_NE(read64(kIqa) >> 11 & 1, 1U);
    put(kQueue, {g.low, g.high});
    write64(kIqt, 0x10);
    EXPECT_EQ(queue_error(), 1U) << g.type;
    EXPECT_EQ(read64(kIqercd) & 0xF, kBadWidth);
    EXPECT_EQ(read64(kIqh), 0U);
  }
}

TEST_F(DescriptorRules, LegacyModeTakesBothWidths) {
  for (const bool wide : {false, true}) {
    for (const Good& g : kGood) {
      if (g.type > 5) continue;
      legacy(wide);
      EXPECT_EQ(submit(g.low, g.high), 0U) << g.type << (wide ? " wide" : "");
      EXPECT_EQ(read64(kIqh), wide ? 0x20U : 0x10U);
      answer_device();
      EXPECT_NE(submit(g.low | 1ULL << 9, g.high), 0U);
      if (wide) {
        EXPECT_EQ(submit(g.low, g.high, 1), kReserved);
        EXPECT_EQ(submit(g.low, g.high, 0, 1ULL << 63), kReserved);
      }
    }
  }
}

TEST_F(DescriptorRules, PasidDescriptorsAreBadInLegacyMode) {
  for (const bool wide : {false, true}) {
    for (const Good& g : kGood) {
      if (g.type != 6 && g.type != 7) continue;
      legacy(wide);
      EXPECT_EQ(submit(g.low, g.high), kBadType) << g.type;
    }
  }
}

TEST_F(DescriptorRules, TheLatchedModeDecides) {
  legacy(true);
  write64(kRtaddr, kRoot | 1 << 10);
  EXPECT_EQ(submit(0x37), kBadType) << "RTADDR alone changes nothing";
  write32(kGcmd, 1U << 31 | 1U << 30 | 1U << 26);
  EXPECT_EQ(submit(0x37), 0U);
}

TEST_F(DescriptorRules, ReservedAndAbortTableModes) {
  for (const unsigned ttm : {2U, 3U}) {
    for (const Good& g : kGood) {
      scalable();
      write64(kRtaddr, kRoot | std::uint64_t{ttm} << 10);
      write32(kGcmd, 1U << 31 | 1U << 30 | 1U << 26);
      put(kQueue, {g.low, g.high, 0, 0});
      write64(kIqt, 0x20);
      EXPECT_EQ(queue_error(), 1U) << g.type;
      EXPECT_EQ(read64(kIqercd) & 0xF, kBadMode);
      EXPECT_EQ(read64(kIqh), 0U);
    }
  }
}

TEST_F(DescriptorRules, TypesOfAbsentCapabilities) {
  struct {
    unsigned type;
    void (*lacking)(Profile&);
  } const cases[] = {
      {3, [](Profile& p) { p.device_tlb = p.page_requests = p.page_request_drain = false; }},
      {8, [](Profile& p) { p.device_tlb = p.page_requests = p.page_request_drain = false; }},
      {9, [](Profile& p) { p.page_requests = p.page_request_drain = false; }},
  };
  for (const auto& c : cases) {
    Profile p = full_profile();
    c.lacking(p);
    scalable(p);
    EXPECT_EQ(submit(kGood[c.type - 1].low, kGood[c.type - 1].high), kBadType) << c.type;
  }
  Profile p = full_profile();
  p.page_request_drain = false;
  scalable(p);
  EXPECT_EQ(submit(0x45 | 1 << 7), kReserved) << "PD without PDS";
  p = full_profile();
  p.interrupt_remapping = p.extended_interrupts = p.posted_interrupts = p.hitless_interrupt_root = false;
  scalable(p);
  EXPECT_EQ(submit(0x4), 0U) << "accepted without IR, does nothing (decision)";
}

// ---- The ring --------------------------------------------------------------------------------------------------

TEST_F(DescriptorRules, TailsThatFetchNothing) {
  struct {
    std::uint64_t tail;
    unsigned code;
  } const cases[] = {{0x10, kMisaligned},  {0x30, kMisaligned},  {0x1000, kBadTail},
                     {0x7'FFE0, kBadTail}, {0x8'0000, kBadTail}, {0x21, kBadTail}};
  for (const auto& c : cases) {
    scalable();
    const auto reads = host->reads.size();
    write64(kIqt, c.tail);
    EXPECT_EQ(queue_error(), 1U) << std::hex << c.tail;
    EXPECT_EQ(read64(kIqercd) & 0xF, c.code) << std::hex << c.tail;
    EXPECT_EQ(read64(kIqh), 0U);
    EXPECT_EQ(host->reads.size(), reads);
  }
}

TEST_F(DescriptorRules, ReservedBitsOfIqaStopTheQueue) {
  for (const unsigned bit : {3U, 4U, 9U, 10U}) {
    scalable(full_profile(), kQueue | 1 << 11 | 1ULL << bit);
    const auto reads = host->reads.size();
    write64(kIqt, 0x20);
    EXPECT_EQ(queue_error(), 1U) << bit;
    EXPECT_EQ(read64(kIqh), 0U);
    EXPECT_EQ(host->reads.size(), reads) << bit;
  }
}

TEST_F(DescriptorRules, AnUnreadableDescriptorStopsTheQueueThere) {
  for (unsigned word = 0; word < 4; ++word) {
    scalable();
    put(kQueue, {0x12, 0, 0, 0, 0x12, 0, 0, 0});
    host->broken.insert(kQueue + 0x20 + word * 8);
    write64(kIqt, 0x40);
    EXPECT_EQ(queue_error(), 1U) << word;
    EXPECT_EQ(read64(kIqercd) & 0xF, kFetch);
    EXPECT_EQ(read64(kIqh), 0x20U);
  }
}

TEST_F(DescriptorRules, TheRingHas128WideDescriptorsPerQsUnit) {
  for (const unsigned qs : {0U, 1U}) {
    scalable(full_profile(), kQueue | 1 << 11 | qs);
    const std::uint64_t bytes = 0x1000ULL << qs;
    for (std::uint64_t at = 0; at < bytes; at += 0x20) put(kQueue + at, {0x45, 0, 0, 0});
    write64(kIqt, bytes - 0x20);
    EXPECT_EQ(read64(kIqh), bytes - 0x20);
    put(kQueue + bytes - 0x20, {0x25 | 5ULL << 32, 0x6'0000, 0, 0});
    write64(kIqt, 0);
    EXPECT_EQ(read64(kIqh), 0U) << "wrapped";
    EXPECT_EQ(host->status_writes.size(), 1U);
    write64(kIqt, bytes);
    EXPECT_EQ(queue_error(), 1U) << "one beyond";
  }
}

TEST_F(DescriptorRules, WaitsWriteTheirStatusInEitherWidth) {
  scalable();
  EXPECT_EQ(submit(0x25 | 0xCAFEULL << 32, 0x6'0004), 0U);
  legacy(false);
  EXPECT_EQ(submit(0x25 | 0xBEEFULL << 32, 0x6'0008), 0U);
  ASSERT_EQ(host->status_writes.size(), 1U);
  EXPECT_EQ(host->status_writes[0], (std::pair<PhysAddr, std::uint32_t>{0x6'0008, 0xBEEF}));
}

// ---- 128 bits in legacy mode -----------------------------------------------------------------------------------

TEST_F(DescriptorRules, LegacyTypes1And2DropWhatTheyNameAndNoMore) {
  enum Cached { kNothing = 0, kContextOf3 = 1, kContextOf4 = 2, kPageOf3 = 4, kPageOf4 = 8 };
  const std::uint64_t sid = kDevice.value, did = kDid;
  struct {
    const char* what;
    std::uint64_t low, high;
    unsigned drops;
  } const cases[] = {
      {"context, global", 0x11, 0, kContextOf3 | kContextOf4},
      {"context, domain", 0x21 | did << 16, 0, kContextOf3},
      {"context, domain unknown", 0x21 | 0x17 << 16, 0, kNothing},
      {"context, device", 0x31 | did << 16 | sid << 32, 0, kContextOf3},
      {"context, device of another domain", 0x31 | 0x16 << 16 | sid << 32, 0, kNothing},
      {"IOTLB, global", 0x12, 0, kPageOf3 | kPageOf4},
      {"IOTLB, domain", 0x22 | did << 16, 0, kPageOf3},
      {"IOTLB, domain unknown", 0x22 | 0x115ULL << 16, 0, kNothing},
      {"IOTLB, page", 0x32 | did << 16, 0x5000, kPageOf3},
      {"IOTLB, page with IH", 0x32 | did << 16, 0x5040, kPageOf3},
      {"IOTLB, page beside", 0x32 | did << 16, 0x4000, kNothing},
      {"IOTLB, two pages", 0x32 | did << 16, 0x4001, kPageOf3},
      {"IOTLB, two other pages", 0x32 | did << 16, 0x6001, kNothing},
      {"IOTLB, page far above", 0x32 | did << 16, 0x1'0000'5000, kNothing},
  };
  for (const bool wide : {false, true}) {
    for (const auto& c : cases) {
      SCOPED_TRACE(c.what);
      for (const bool contexts : {true, false}) {
        legacy(wide);
        context(kOther, kOtherTable, kOtherDid);
        page(0x5000, 0x9000, kR);
        page_in(kOtherTable, 0x5000, 0x8000, kR);
        EXPECT_EQ(dma_to(0x5000), 0x9000U);
        EXPECT_EQ(dma_to(0x5000, kOther), 0x8000U);
        if (contexts) {
          host->words[0x2'0000 + kDevice.devfn() * 16U] = host->words[0x2'0000 + kOther.devfn() * 16U] = 0;
        } else {
          page(0x5000, 0xA000, kR);
          page_in(kOtherTable, 0x5000, 0xB000, kR);
        }
        EXPECT_EQ(submit(c.low, c.high), 0U);
        const auto of3 = dma(dma_read(kDevice, 0x5000)), of4 = dma(dma_read(kOther, 0x5000));
        if (contexts) {
          EXPECT_EQ(of3.ok(), (c.drops & kContextOf3) == 0);
          EXPECT_EQ(of4.ok(), (c.drops & kContextOf4) == 0);
        } else {
          EXPECT_EQ(of3.ok() ? of3->address : 0, (c.drops & kPageOf3) != 0 ? 0xA000U : 0x9000U);
          EXPECT_EQ(of4.ok() ? of4->address : 0, (c.drops & kPageOf4) != 0 ? 0xB000U : 0x8000U);
        }
      }
    }
  }
}

}  // namespace
}  // namespace vtd::test
