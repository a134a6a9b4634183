// SPDX-License-Identifier: MIT
// Interrupt remapping: requests, entries, source validation, posting, the interrupt entry cache. Written from the
// document with raw numbers only.
#include "tests/core/raw_software.h"

namespace vtd::test {
namespace {

constexpr std::uint64_t kIrta = 0xB8;
constexpr std::uint32_t kTe = 1U << 31, kQie = 1U << 26, kIre = 1U << 25, kSirtp = 1U << 24, kCfi = 1U << 23;
constexpr PhysAddr kEntries = 0x80'0000, kOtherEntries = 0x90'0000, kPosted = 0x3'0000'0040;

class InterruptRules : public RawScalable {
 protected:
  InterruptRules() { remapping(); }
  /// A fresh unit with a queue and 2^(size+1) entries, all absent; interrupt remapping is on.
  void remapping(const Profile& p = full_profile(), unsigned size = 7, bool extended = false) {
    fresh(p);
    queue_on();
    write64(kIrta, kEntries | (extended ? 1U << 11 : 0U) | size);
    write32(kGcmd, kTe | kQie | kSirtp);
    write32(kGcmd, kTe | kQie | kIre);
  }
  void entry(unsigned index, std::uint64_t low, std::uint64_t high = 0) { put(kEntries + index * 16ULL, {low, high}); }
  /// Vector `v` to destination 0x12 (xAPIC), present.
  static std::uint64_t to(unsigned v) { return 1 | std::uint64_t{v} << 16 | 0x12ULL << 40; }

  static DmaRequest write_of(std::uint64_t address, std::uint32_t data, SourceId source = kDevice) {
    DmaRequest r = dma_write(source, address);
    r.data = data;
    return r;
  }
  /// A request in remappable format.
  static DmaRequest irq(unsigned handle, SourceId source = kDevice) {
    return write_of(0xFEE0'0010 | (handle & 0x7FFFU) << 5 | handle >> 15 << 2, 0, source);
  }
  static DmaRequest irq_sub(unsigned handle, unsigned subhandle) {
    return write_of(irq(handle).address | 1 << 3, subhandle);
  }
  /// Vector that is sent, 0 if none.
  unsigned vector(const DmaRequest& r) {
    const auto result = dma(r);
    EXPECT_TRUE(result.ok()) << (result.ok() ? 0U : static_cast<unsigned>(result.fault().reason));
    return result.ok() && result->interrupt && result->message ? result->message->data & 0xFF : 0;
  }
  void expect_fault(const DmaRequest& r, unsigned code, unsigned index) {
    EXPECT_EQ(reason(r), code);
    EXPECT_EQ(record_reason(0), code);
    EXPECT_EQ(record_low(0) >> 48, index) << "FI[63:48] is the index";
    EXPECT_EQ(record_high(0) & 0xFFFF, r.source.value);
  }
};

// ---- Requests --------------------------------------------------------------------------------------------------

TEST_F(InterruptRules, TheIndexIsHandlePlusSubhandle) {
  remapping(full_profile(), 15);
  for (const unsigned index : {0U, 1U, 0x100U, 0x7FFFU, 0x8000U, 0xFFFFU}) entry(index, to(0x20 + index % 7));
  for (const unsigned index : {0U, 1U, 0x100U, 0x7FFFU, 0x8000U, 0xFFFFU})
    EXPECT_EQ(vector(irq(index)), 0x20 + index % 7) << index;
  entry(0x105, to(0x77));
  EXPECT_EQ(vector(irq_sub(0x100, 5)), 0x77U);
  EXPECT_EQ(vector(irq_sub(0x7FFF, 1)), 0x20 + 0x8000 % 7U);
}

TEST_F(InterruptRules, DataWithoutShvIsNotASubhandle) {
  entry(5, to(0x31));
  entry(5 + 0x31, to(0x66));
  EXPECT_EQ(vector(write_of(irq(5).address, 0x31)), 0x31U) << "as an IOAPIC sends it: its vector is in the data";
}

TEST_F(InterruptRules, TheMessageIsThatOfTheEntry) {
  struct {
    std::uint64_t low;
    PhysAddr address;
    std::uint32_t data;
  } const cases[] = {
      {1 | 0x41 << 16 | 0x12ULL << 40, 0xFEE1'2000, 0x41},
      {1 | 0x41 << 16 | 0xFFULL << 40, 0xFEEF'F000, 0x41},
      {1 | 1 << 2 | 0x41 << 16 | 0x12ULL << 40, 0xFEE1'2004, 0x41},    // DM
      {1 | 1 << 3 | 0x41 << 16 | 0x12ULL << 40, 0xFEE1'2008, 0x41},    // RH
      {1 | 1 << 4 | 0x41 << 16 | 0x12ULL << 40, 0xFEE1'2000, 0xC041},  // TM: level, asserted
      {1 | 7 << 5 | 0x41 << 16 | 0x12ULL << 40, 0xFEE1'2000, 0x741},   // DLM
      {1 | 0xF << 8 | 0x41 << 16 | 0x12ULL << 40, 0xFEE1'2000, 0x41},  // available to software
  };
  for (const auto& c : cases) {
    remapping();
    entry(9, c.low);
    const auto result = dma(irq(9));
    ASSERT_TRUE(result.ok());
    EXPECT_TRUE(result->interrupt);
    ASSERT_TRUE(result->message.has_value());
    EXPECT_EQ(result->message->address, c.address);
    const std::uint32_t assert_bit = (c.data & 0x8000) != 0 ? 0U : 0x4000U;  // means nothing of an edge
    EXPECT_EQ(result->message->data & ~assert_bit, c.data);
  }
}

TEST_F(InterruptRules, ExtendedModeHas32BitDestinations) {
  remapping(full_profile(), 7, true);
  entry(9, 1 | 0x41 << 16 | 0x34ULL << 32);
  entry(10, 1 | 0x41 << 16 | 0x5634ULL << 32);
  const auto near = dma(irq(9)), far = dma(irq(10));
  ASSERT_TRUE(near.ok());
  ASSERT_TRUE(far.ok());
  EXPECT_EQ(near->message->address, 0xFEE3'4000U);
  EXPECT_EQ(far->message->address & 0xFFFF'FFFF, 0xFEE3'4000U);
  EXPECT_NE(far->message->address, near->message->address) << "the upper bits are not lost";
}

TEST_F(InterruptRules, WithIreOffEverythingPasses) {
  write32(kGcmd, kTe | kQie);
  for (const DmaRequest& r : {write_of(0xFEE1'2000, 0x41), irq(5), irq_sub(5, 0x1'0000)}) {
    const auto result = dma(r);
    ASSERT_TRUE(result.ok());
    EXPECT_EQ(result->address, r.address);
    EXPECT_FALSE(result->message.has_value());
  }
  EXPECT_EQ(pending(), 0U);
}

TEST_F(InterruptRules, RemappingDoesNotNeedTe) {
  entry(5, to(0x31));
  write32(kGcmd, kQie | kIre);
  EXPECT_EQ(vector(irq(5)), 0x31U);
}

TEST_F(InterruptRules, Reason25_CompatibilityFormatNeedsCfiAndNoEime) {
  const DmaRequest r = write_of(0xFEE1'2000, 0x41);
  EXPECT_EQ(reason(r), 0x25U);
  EXPECT_EQ(record_reason(0), 0x25U);
  write32(kGcmd, kTe | kQie | kIre | kCfi);
  EXPECT_EQ(read32(kGsts) >> 23 & 1, 1U) << "CFIS";
  const auto result = dma(r);
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->address, 0xFEE1'2000U);
  remapping(full_profile(), 7, true);
  write32(kGcmd, kTe | kQie | kIre | kCfi);
  EXPECT_EQ(reason(r), 0x25U) << "EIME";
}

TEST_F(InterruptRules, Reason20_ReservedBitsOfTheRequest) {
  entry(5, to(0x31));
  expect_fault(irq_sub(5, 0x1'0000), 0x20, 5);
  remapping();
  entry(5, to(0x31));
  EXPECT_EQ(reason(irq_sub(5, 0x8000'0000)), 0x20U);
}

TEST_F(InterruptRules, Reason21_IndexBeyondTheTable) {
  for (const unsigned size : {0U, 7U, 14U}) {
    remapping(full_profile(), size);
    const unsigned entries = 2U << size;
    entry(entries - 1, to(0x31));
    entry(entries, to(0x32));
    EXPECT_EQ(vector(irq(entries - 1)), 0x31U);
    expect_fault(irq(entries), 0x21, entries);
  }
  remapping(full_profile(), 15);
  EXPECT_EQ(reason(irq_sub(0xFFFF, 1)), 0x21U) << "65536";
  remapping(full_profile(), 0);
  expect_fault(irq_sub(1, 1), 0x21, 2);
}

// ---- Entries ---------------------------------------------------------------------------------------------------

TEST_F(InterruptRules, Reason22_EntryNotPresentRaisesOnlyThat) {
  entry(5, ~3ULL, ~0ULL);
  expect_fault(irq(5), 0x22, 5);
}

TEST_F(InterruptRules, Reason23_TableAccessError) {
  for (const PhysAddr word : {kEntries + 0x50, kEntries + 0x58}) {
    remapping();
    entry(5, to(0x31));
    host->broken.insert(word);
    expect_fault(irq(5), 0x23, 5);
  }
}

TEST_F(InterruptRules, Reason24_ReservedBitsOfEntries) {
  struct {
    std::uint64_t low, high, mask_low, mask_high;
  } const cases[] = {{to(0x31), 0, 7 << 12 | 0xFFULL << 24, ~0ULL << 20},
                     {to(0x31) | 1 << 15, 0, 0x3FULL << 2 | 3 << 12 | 0x3FFFULL << 24, 0xFFFULL << 20}};
  for (const auto& c : cases) {
    for (unsigned bit = 0; bit < 128; ++bit) {
      if (((bit < 64 ? c.mask_low : c.mask_high) >> bit % 64 & 1) == 0) continue;
      if (bit == 15) continue;
      remapping();
      const std::uint64_t low =
          (c.low >> 15 & 1) != 0 ? (kPosted & 0xFFFF'FFC0) << 32 | 1 | 0x31 << 16 | 1 << 15 : c.low;
      const std::uint64_t high = (c.low >> 15 & 1) != 0 ? kPosted >> 32 << 32 : 0;
      entry(5, low | (bit < 64 ? 1ULL << bit : 0), high | (bit < 64 ? 0 : 1ULL << (bit - 64)));
      expect_fault(irq(5), 0x24, 5);
    }
  }
  remapping();
  entry(5, to(0x31), 3 << 18);
  expect_fault(irq(5), 0x24, 5);
}

TEST_F(InterruptRules, Reason24_PostedEntriesNeedThePi) {
  Profile p = full_profile();
  p.posted_interrupts = false;
  remapping(p);
  entry(5, to(0x31) | 1 << 15);
  expect_fault(irq(5), 0x24, 5);
}

TEST_F(InterruptRules, Reason26_SourceValidation) {
  const auto source = [](unsigned id) { return SourceId{static_cast<std::uint16_t>(id)}; };
  struct {
    std::uint64_t high;  // SVT[83:82] SQ[81:80] SID[79:64]
    unsigned from;
    bool good;
  } const cases[] = {
      {0x9999, 0x0018, true},  // SVT 0: not looked at
      {1 << 18 | 0x0018, 0x0018, true},
      {1 << 18 | 0x0018, 0x001C, false},
      {1 << 18 | 0x0018, 0x0118, false},
      {1 << 18 | 1 << 16 | 0x0018, 0x001C, true},  // ignores bit 2
      {1 << 18 | 1 << 16 | 0x0018, 0x001A, false},
      {1 << 18 | 1 << 16 | 0x0018, 0x0019, false},
      {1 << 18 | 2 << 16 | 0x0018, 0x001E, true},  // bits 2:1
      {1 << 18 | 2 << 16 | 0x0018, 0x0019, false},
      {1 << 18 | 3 << 16 | 0x001F, 0x0018, true},  // bits 2:0
      {1 << 18 | 3 << 16 | 0x0018, 0x0020, false},
      {1 << 18 | 3 << 16 | 0x0018, 0x0118, false},
      {2 << 18 | 0x0305, 0x0300, true},  // buses 3 to 5
      {2 << 18 | 0x0305, 0x05FF, true},
      {2 << 18 | 0x0305, 0x04AB, true},
      {2 << 18 | 0x0305, 0x02FF, false},
      {2 << 18 | 0x0305, 0x0600, false},
  };
  for (const auto& c : cases) {
    remapping();
    entry(5, to(0x31), c.high);
    if (c.good) {
      EXPECT_EQ(vector(irq(5, source(c.from))), 0x31U) << std::hex << c.high << ' ' << c.from;
    } else {
      expect_fault(irq(5, source(c.from)), 0x26, 5);
    }
  }
}

TEST_F(InterruptRules, SourceValidationOnAHitToo) {
  entry(5, to(0x31), 1 << 18 | 0x18);
  EXPECT_EQ(vector(irq(5)), 0x31U);
  expect_fault(irq(5, kOther), 0x26, 5);
}

TEST_F(InterruptRules, FpdOfTheEntrySilencesItsFaults) {
  for (const unsigned code : {0x22U, 0x24U, 0x26U}) {
    remapping();
    entry(5, (to(0x31) & (code == 0x22 ? ~1ULL : ~0ULL)) | 2 | (code == 0x24 ? 1ULL << 24 : 0),
          code == 0x26 ? 1 << 18 | 0x999 : 0);
    EXPECT_EQ(reason(irq(5)), code);
    EXPECT_EQ(pending(), 0U);
  }
}

// ---- Posting ---------------------------------------------------------------------------------------------------

class PostingRules : public InterruptRules {
 protected:
  /// Entry 5 posts vector 0x83 into the descriptor at kPosted.
  void posting(bool urgent, std::uint64_t control) {
    remapping();
    entry(5, (kPosted & 0xFFFF'FFC0) << 32 | 0x83 << 16 | 1 << 15 | (urgent ? 1U << 14 : 0U) | 1, kPosted >> 32 << 32);
    put(kPosted, {0, 0, 0, 0, control, 0, 0, 0});
  }
  static constexpr std::uint64_t kNotify = 0xF2 << 16 | 0x12ULL << 40;  // NV, NDST
};

TEST_F(PostingRules, PirOnSnUrg) {
  struct {
    bool urgent;
    unsigned before, after;  // ON, SN
    bool notifies;
  } const cases[] = {{false, 0, 1, true}, {false, 1, 1, false}, {false, 2, 2, false}, {false, 3, 3, false},
                     {true, 0, 1, true},  {true, 1, 1, false},  {true, 2, 3, true},   {true, 3, 3, false}};
  for (const auto& c : cases) {
    posting(c.urgent, kNotify | c.before);
    host->words[kPosted] = 1ULL << 63;
    const auto result = dma(irq(5));
    ASSERT_TRUE(result.ok());
    EXPECT_TRUE(result->interrupt);
    EXPECT_EQ(host->word(kPosted + 16), 1ULL << 3) << "PIR bit 0x83";
    EXPECT_EQ(host->word(kPosted), 1ULL << 63) << "the others stay";
    EXPECT_EQ(host->word(kPosted + 8) | host->word(kPosted + 24), 0U);
    EXPECT_EQ(host->word(kPosted + 32), kNotify | c.after) << "ON and SN " << c.before << (c.urgent ? " urgent" : "");
    ASSERT_EQ(result->message.has_value(), c.notifies);
    if (c.notifies) {
      EXPECT_EQ(result->message->address, 0xFEE1'2000U);
      EXPECT_EQ(result->message->data & 0xFF, 0xF2U);
    }
  }
}

TEST_F(PostingRules, SoftwareClearsOnAndIsNotifiedAgain) {
  posting(false, kNotify);
  EXPECT_EQ(vector(irq(5)), 0xF2U);
  EXPECT_EQ(vector(irq(5)), 0U) << "ON";
  host->words[kPosted + 32] &= ~1ULL;
  EXPECT_EQ(vector(irq(5)), 0xF2U) << "the descriptor is not cached";
}

TEST_F(PostingRules, Reason27_DescriptorAccessError) {
  posting(false, kNotify);
  for (unsigned word = 0; word < 8; ++word) host->broken.insert(kPosted + word * 8);
  expect_fault(irq(5), 0x27, 5);
}

TEST_F(PostingRules, Reason28_DescriptorReservedBits) {
  for (const unsigned bit : {2U, 15U, 24U, 31U}) {
    posting(false, kNotify | 1ULL << bit);
    expect_fault(irq(5), 0x28, 5);
    EXPECT_EQ(host->word(kPosted + 32) & 1, 0U) << "ON is not set";
  }
}

// ---- The interrupt entry cache -------------------------------------------------------------------------------

TEST_F(InterruptRules, EntriesAreCachedUntilInvalidated) {
  struct {
    const char* what;
    std::uint64_t low;
    bool drops;
  } const cases[] = {
      {"global", 0x4, true},
      {"global with index and mask", 0x4 | 3ULL << 27 | 9ULL << 32, true},
      {"the index", 0x14 | 0x25ULL << 32, true},
      {"the one before", 0x14 | 0x24ULL << 32, false},
      {"the one behind", 0x14 | 0x26ULL << 32, false},
      {"2 from 0x24", 0x14 | 1 << 27 | 0x24ULL << 32, true},
      {"2 from 0x26", 0x14 | 1 << 27 | 0x26ULL << 32, false},
      {"4 around 0x27", 0x14 | 2 << 27 | 0x27ULL << 32, true},
      {"8 from 0x28", 0x14 | 3 << 27 | 0x28ULL << 32, false},
      {"32 from 0x20", 0x14 | 5 << 27 | 0x20ULL << 32, true},
      {"256 from 0x100", 0x14 | 8ULL << 27 | 0x100ULL << 32, false},
      {"32768", 0x14 | 15ULL << 27 | 0ULL << 32, true},
      {"an IOTLB invalidation", 0x12, false},
      {"a context-cache invalidation", 0x11, false},
      {"a PASID-cache invalidation", 0x37, false},
  };
  for (const auto& c : cases) {
    remapping();
    entry(0x25, to(0x31));
    EXPECT_EQ(vector(irq(0x25)), 0x31U);
    entry(0x25, to(0x32));
    EXPECT_EQ(vector(irq(0x25)), 0x31U) << "cached";
    EXPECT_EQ(submit(c.low), 0U) << c.what;
    EXPECT_EQ(vector(irq(0x25)), c.drops ? 0x32U : 0x31U) << c.what;
  }
}

TEST_F(InterruptRules, InterruptInvalidationsLeaveTheOtherCaches) {
  second(0x5000, 0x9000 | kR);
  EXPECT_EQ(dma_to(0x5000), 0x9000U);
  host->words[context_at(kDevice)] = 0;
  EXPECT_EQ(submit(0x4), 0U);
  EXPECT_EQ(dma_to(0x5000), 0x9000U);
}

TEST_F(InterruptRules, EntriesThatFaultedAreNotCached) {
  for (const std::uint64_t bad : {0ULL, to(0x31) | 1ULL << 24}) {
    remapping();
    entry(5, bad);
    EXPECT_NE(reason(irq(5)), 0U);
    entry(5, to(0x32));
    EXPECT_EQ(vector(irq(5)), 0x32U);
  }
}

// ---- Commands ------------------------------------------------------------------------------------------------

TEST_F(InterruptRules, StatusBits) {
  EXPECT_EQ(read32(kGsts) >> 25 & 1, 1U) << "IRES";
  EXPECT_EQ(read32(kGsts) >> 24 & 1, 1U) << "IRTPS";
  EXPECT_EQ(read32(kGsts) >> 23 & 1, 0U) << "CFIS";
  write32(kGcmd, kTe | kQie | kIre | kCfi);
  write32(kGcmd, kTe | kQie | kCfi);
  EXPECT_EQ(read32(kGsts) >> 23 & 7, 0b011U);
  write32(kGcmd, kTe | kQie);
  EXPECT_EQ(read32(kGsts) >> 23 & 7, 0b010U);
}

TEST_F(InterruptRules, SirtpLatchesIrtaAndWithEsirtpsDropsTheCache) {
  for (const bool hitless : {false, true}) {
    Profile p = full_profile();
    p.hitless_interrupt_root = hitless;
    remapping(p);
    entry(5, to(0x31));
    EXPECT_EQ(vector(irq(5)), 0x31U);
    put(kOtherEntries + 0x50, {to(0x41), 0});
    put(kOtherEntries + 0x60, {to(0x42), 0});
    write64(kIrta, kOtherEntries | 7);
    EXPECT_EQ(vector(irq(5)), 0x31U) << "IRTA alone changes nothing";
    EXPECT_EQ(reason(irq(6)), 0x22U) << "nor for what is not cached";
    write32(kGcmd, kTe | kQie | kIre | kSirtp);
    EXPECT_EQ(vector(irq(5)), hitless ? 0x41U : 0x31U) << "ESIRTPS";
    EXPECT_EQ(vector(irq(6)), 0x42U);
    EXPECT_EQ(submit(0x4), 0U);
    EXPECT_EQ(vector(irq(5)), 0x41U);
  }
}

TEST_F(InterruptRules, AResetForgetsTheCacheAndTheTable) {
  for (const ResetKind kind : {ResetKind::kWarm, ResetKind::kCold}) {
    remapping();
    entry(5, to(0x31));
    EXPECT_EQ(vector(irq(5)), 0x31U);
    entry(5, to(0x32));
    unit->reset(kind);
    EXPECT_EQ(read32(kGsts), 0U);
    EXPECT_EQ(read64(kIrta), 0U);
    EXPECT_EQ(vector(irq(5)), 0U) << "passes";
    write64(kIrta, kEntries | 7);
    write32(kGcmd, kSirtp);
    write32(kGcmd, kIre);
    EXPECT_EQ(vector(irq(5)), 0x32U);
  }
}

}  // namespace
}  // namespace vtd::test
