// SPDX-License-Identifier: MIT
// The second-stage walk of scalable mode: reasons, rights, A and D. Written from the document with raw numbers only.
#include "tests/core/raw_software.h"

namespace vtd::test {
namespace {

constexpr std::uint64_t kIova = 0x12'3456'7000;

class SecondStageRules : public RawScalable {
 protected:
  /// A fresh unit with one page at kIova; A and D are used when `word0` has SSADE.
  Path start_at(unsigned level = 1, std::uint64_t word0 = 0, std::uint64_t word1 = kPwsnp,
                const Profile& p = full_profile()) {
    fresh(p);
    pasid_entry(0, kSecondStage | kAw4 | kTable | word0, kDid | word1);
    return second(kIova, kPage | kR | kW, level);
  }
  static constexpr PhysAddr kPage = 0x2'4000'0000;  // good for every page size
  std::uint64_t& at(PhysAddr address) { return host->words[address]; }
  unsigned read_fault() { return fault(kIova); }
  unsigned write_fault() { return fault(kIova, Access::kWrite); }
  void expect_recorded(unsigned code) {
    EXPECT_EQ(record_reason(0), code);
    EXPECT_EQ(record_low(0), kIova);
  }
  /// A and D of an entry as 0, A, AD.
  std::uint64_t flags(PhysAddr entry) { return at(entry) & (kSsA | kSsD); }
};

// ---- Addresses -------------------------------------------------------------------------------------------------

TEST_F(SecondStageRules, EveryPageSizeAndDepth) {
  for (const unsigned levels : {3U, 4U, 5U}) {
    for (const unsigned level : {1U, 2U, 3U}) {
      fresh(full_profile());
      pasid_entry(0, kSecondStage | (levels - 2) << 2 | kOtherTable, kDid);
      const std::uint64_t iova =
          (levels == 5 ? 0x1AB'CDEF'0123'4567ULL : 0xABCD'EF01'2345ULL) & ((1ULL << (12 + 9 * levels)) - 1) & ~3ULL;
      map_in(kOtherTable, levels, iova, kPage | kR, level, kR);
      EXPECT_EQ(dma_to(iova), kPage + (iova & ((1ULL << (3 + 9 * level)) - 1)))
          << levels << " levels, leaf at " << level;
    }
  }
}

TEST_F(SecondStageRules, Reason84_InputBeyondItsWidth) {
  for (const unsigned levels : {3U, 4U, 5U}) {
    fresh(full_profile());
    pasid_entry(0, kSecondStage | (levels - 2) << 2 | kTable, kDid);
    const std::uint64_t first_bad = 1ULL << (12 + 9 * levels);
    EXPECT_EQ(fault(first_bad), 0x84U) << levels;
    EXPECT_EQ(record_reason(0), 0x84U);
    EXPECT_EQ(fault(0x8000'0000'0000'0000), 0x84U);
    EXPECT_EQ(fault(first_bad - 0x1000), 0x79U) << "the last page is only absent";
  }
  Profile narrow = full_profile();
  narrow.guest_address_width = 48;
  fresh(narrow);
  pasid_entry(0, kSecondStage | 3 << 2 | kTable, kDid);
  EXPECT_EQ(fault(1ULL << 48), 0x84U) << "MGAW bounds it as well";
}

// ---- Entries ---------------------------------------------------------------------------------------------------

TEST_F(SecondStageRules, Reason79_AbsentEntriesAreNotLookedAtFurther) {
  for (const unsigned level : {4U, 3U, 2U, 1U}) {
    const Path path = start_at();
    at(path[level]) = ~3ULL;  // X, PS, reserved bits: none matters
    EXPECT_EQ(read_fault(), 0x79U) << level;
    expect_recorded(0x79);
    EXPECT_EQ(write_fault(), 0x79U) << level;
  }
}

TEST_F(SecondStageRules, Reason79_AccumulatedRightsAreNone) {
  const Path path = start_at();
  at(path[3]) &= ~kW;
  at(path[1]) &= ~kR;
  EXPECT_EQ(read_fault(), 0x79U);
  EXPECT_EQ(write_fault(), 0x79U);
}

TEST_F(SecondStageRules, Reason7A_ReservedBits) {
  const std::uint64_t above_haw = 0x3FULL << 46;
  struct {
    unsigned leaf, level;
    std::uint64_t mask;
  } const cases[] = {
      {1, 4, above_haw | 1 << 7 | 1 << 11 | 1ULL << 62},  // PS, SNP and TM above a leaf
      {1, 3, above_haw | 1 << 11 | 1ULL << 62},
      {1, 2, above_haw | 1 << 11 | 1ULL << 62},
      {1, 1, above_haw},
      {2, 2, above_haw | 0x1F'F000},
      {3, 3, above_haw | 0x3FFF'F000},
  };
  for (const auto& c : cases) {
    for (unsigned bit = 0; bit < 64; ++bit) {
      if ((c.mask >> bit & 1) == 0) continue;
      const Path path = start_at(c.leaf);
      at(path[c.level]) |= 1ULL << bit;
      EXPECT_EQ(read_fault(), 0x7AU) << "leaf at " << c.leaf << ", level " << c.level << ", bit " << bit;
      expect_recorded(0x7A);
    }
  }
}

TEST_F(SecondStageRules, Reason7A_WhatTheUnitCannotDoIsReserved) {
  Profile p = full_profile();
  p.superpage_1g = false;
  start_at(3, 0, kPwsnp, p);
  EXPECT_EQ(read_fault(), 0x7AU) << "1G pages";
  p.superpage_2m = false;
  start_at(2, 0, kPwsnp, p);
  EXPECT_EQ(read_fault(), 0x7AU) << "2M pages";
  p = full_profile();
  p.snoop_control = false;
  at(start_at(1, 0, kPwsnp, p)[1]) |= 1 << 11;
  EXPECT_EQ(read_fault(), 0x7AU) << "SNP";
  p = full_profile();
  p.device_tlb = p.page_requests = p.page_request_drain = false;
  at(start_at(1, 0, kPwsnp, p)[1]) |= 1ULL << 62;
  EXPECT_EQ(read_fault(), 0x7AU) << "TM";
}

TEST_F(SecondStageRules, Reason7A_Ps5LevelTables) {
  fresh(full_profile());
  pasid_entry(0, kSecondStage | 3 << 2 | kOtherTable, kDid);
  at(map_in(kOtherTable, 5, kIova, kPage | kR, 1, kR)[5]) |= 0x80;
  EXPECT_EQ(read_fault(), 0x7AU);
}

TEST_F(SecondStageRules, IgnoredBitsAreIgnored) {
  const Path path = start_at();
  at(path[1]) |= 0xFFF0'0000'0000'0B7C;  // a leaf: all but PS and the address; A and D not used
  for (const unsigned level : {2U, 3U, 4U}) at(path[level]) |= 0xBFF0'0000'0000'037C;
  EXPECT_EQ(dma_to(kIova), kPage);
}

TEST_F(SecondStageRules, Reason7B_TopTableAccessError) {
  const Path path = start_at();
  host->broken.insert(path[4]);
  EXPECT_EQ(read_fault(), 0x7BU);
  expect_recorded(0x7B);
}

TEST_F(SecondStageRules, Reason78_EntryAccessError) {
  for (const unsigned level : {3U, 2U, 1U}) {
    const Path path = start_at();
    host->broken.insert(path[level]);
    EXPECT_EQ(read_fault(), 0x78U) << level;
    expect_recorded(0x78);
  }
}

// ---- Rights ----------------------------------------------------------------------------------------------------

TEST_F(SecondStageRules, Reason85_86_RightsAreTheAndOfThePath) {
  for (const unsigned level : {4U, 3U, 2U, 1U}) {
    Path path = start_at();
    at(path[level]) &= ~kW;
    EXPECT_EQ(write_fault(), 0x85U) << level;
    expect_recorded(0x85);
    EXPECT_EQ(reason(request(kIova, Access::kAtomic)), 0x85U);
    EXPECT_EQ(dma_to(kIova), kPage);
    path = start_at();
    at(path[level]) &= ~kR;
    EXPECT_EQ(read_fault(), 0x86U) << level;
    expect_recorded(0x86);
    EXPECT_EQ(reason(request(kIova, Access::kAtomic)), 0x86U);
    EXPECT_EQ(address_of(dma_write(kDevice, kIova)), kPage);
  }
}

TEST_F(SecondStageRules, WhatIsWrongBelowAnEntryWithoutRightsWins) {
  for (const bool write : {false, true}) {
    Path path = start_at();
    at(path[4]) &= write ? ~kW : ~kR;
    at(path[1]) = 0;
    EXPECT_EQ(write ? write_fault() : read_fault(), 0x79U);
    path = start_at();
    at(path[4]) &= write ? ~kW : ~kR;
    at(path[1]) |= 1ULL << 51;
    EXPECT_EQ(write ? write_fault() : read_fault(), 0x7AU);
    path = start_at();
    at(path[1]) = (at(path[1]) & ~(kR | kW)) | (write ? kR : kW) | 1ULL << 51;
    EXPECT_EQ(write ? write_fault() : read_fault(), 0x7AU) << "in one entry";
  }
}

TEST_F(SecondStageRules, ZeroLengthReadsNeedROrWithZlrW) {
  const DmaRequest r = request(kIova, Access::kZeroLengthRead);
  at(start_at()[1]) = kPage | kW;
  EXPECT_EQ(address_of(r), kPage);
  at(start_at()[1]) = kPage | kR;
  EXPECT_EQ(address_of(r), kPage);
  Profile p = full_profile();
  p.zero_length_read = false;
  at(start_at(1, 0, kPwsnp, p)[1]) = kPage | kW;
  EXPECT_EQ(reason(r), 0x86U);
  expect_recorded(0x86);
}

TEST_F(SecondStageRules, PermissionIsCheckedOnAHitAndRecorded) {
  at(start_at()[1]) &= ~kW;
  EXPECT_EQ(dma_to(kIova), kPage);
  EXPECT_EQ(write_fault(), 0x85U);
  expect_recorded(0x85);
}

TEST_F(SecondStageRules, Reason87_ResultInTheInterruptRange) {
  for (const unsigned level : {1U, 2U}) {
    for (const bool write : {false, true}) {
      start_at();
      const std::uint64_t iova = 0x4000'0000;
      second(iova, 0xFEE0'0000 | kR | kW, level);
      const DmaRequest r = write ? dma_write(kDevice, iova) : dma_read(kDevice, iova);
      EXPECT_EQ(reason(r), 0x87U);
      EXPECT_EQ(record_reason(0), 0x87U);
      EXPECT_EQ(reason(r), 0x87U) << "again, should it have been cached";
      EXPECT_EQ(reason(with_pasid(r, 0)), 0x87U);
      if (level == 2) {
        EXPECT_EQ(dma_to(iova + 0x10'0000), 0xFEF0'0000U) << "the half of the page that is outside";
      }
    }
  }
}

TEST_F(SecondStageRules, Reason87_PassThroughToTheInterruptRange) {
  start_at();
  pasid_entry(1, kPassThrough | kAw4, kDid);
  EXPECT_EQ(reason(with_pasid(dma_write(kDevice, 0xFEE0'1000), 1)), 0x87U) << "no interrupt request: it has a PASID";
  EXPECT_EQ(reason(with_pasid(dma_read(kDevice, 0xFEEF'FFFC), 1)), 0x87U);
  EXPECT_EQ(record_reason(0), 0x87U);
  EXPECT_EQ(address_of(with_pasid(dma_write(kDevice, 0xFEDF'FFFC), 1)), 0xFEDF'FFFCU);
  EXPECT_EQ(address_of(with_pasid(dma_write(kDevice, 0xFEF0'0000), 1)), 0xFEF0'0000U);
}

// ---- A and D ---------------------------------------------------------------------------------------------------

TEST_F(SecondStageRules, AOnEveryEntryUsedDOnlyOnTheLeafOfAWrite) {
  for (const Access access : {Access::kRead, Access::kZeroLengthRead, Access::kWrite, Access::kAtomic}) {
    for (const unsigned leaf : {1U, 2U, 3U}) {
      const Path path = start_at(leaf, kSsade);
      const bool write = access == Access::kWrite || access == Access::kAtomic;
      const auto before = host->words;
      EXPECT_TRUE(dma(request(kIova, access)).ok());
      for (unsigned level = leaf; level <= 4; ++level)
        EXPECT_EQ(at(path[level]), before.at(path[level]) | kSsA | (write && level == leaf ? kSsD : 0)) << level;
    }
  }
}

TEST_F(SecondStageRules, WithoutSsadeNothingIsWritten) {
  start_at();
  const auto before = host->words;
  EXPECT_EQ(address_of(dma_write(kDevice, kIova)), kPage);
  EXPECT_EQ(host->words, before);
  EXPECT_TRUE(host->updates.empty());
}

TEST_F(SecondStageRules, LegacyModeKnowsNoAAndD) {
  RawSoftware::fresh(full_profile());
  page(0x5000, 0x9000, kR | kW);
  const auto before = host->words;
  EXPECT_EQ(address_of(dma_write(kDevice, 0x5000)), 0x9000U);
  EXPECT_EQ(host->words, before);
}

TEST_F(SecondStageRules, AFaultingEntryIsNeverTouchedAndDNeverSet) {
  struct {
    const char* what;
    unsigned level, code;
    std::uint64_t set, clear;
    bool write;
  } const cases[] = {
      {"absent", 1, 0x79, 0, 3, true},
      {"absent", 3, 0x79, 0, 3, false},
      {"reserved", 1, 0x7A, 1ULL << 51, 0, true},
      {"reserved", 2, 0x7A, 1ULL << 51, 0, false},
      {"no W", 1, 0x85, 0, kW, true},
      {"no R", 1, 0x86, 0, kR, false},
      {"no W above", 3, 0x85, 0, kW, true},
      {"interrupt", 1, 0x87, 0xFEE0'0000, kPage, true},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.what);
    const Path path = start_at(1, kSsade);
    at(path[c.level]) = (at(path[c.level]) & ~c.clear) | c.set;
    const std::uint64_t faulting = at(path[c.level]);
    EXPECT_EQ(fault(kIova, c.write ? Access::kWrite : Access::kRead), c.code);
    // Rights are judged at the leaf, which is then the entry that must stay.
    EXPECT_EQ(at(path[1]) & (kSsA | kSsD), 0U);
    if (c.level == 1 || c.code == 0x79 || c.code == 0x7A) {
      EXPECT_EQ(at(path[c.level]), faulting);
    }
    for (const unsigned level : {2U, 3U, 4U}) EXPECT_EQ(at(path[level]) & kSsD, 0U);
  }
}

TEST_F(SecondStageRules, Reason7C_UpdateNeededWithPwsnp0) {
  for (unsigned without_a = 1; without_a <= 4; ++without_a) {
    const Path path = start_at(1, kSsade, 0);
    for (unsigned level = 1; level <= 4; ++level)
      if (level != without_a) at(path[level]) |= kSsA;
    const auto before = host->words;
    EXPECT_EQ(read_fault(), 0x7CU) << "A missing at level " << without_a;
    expect_recorded(0x7C);
    EXPECT_EQ(host->words, before);
  }
  const Path path = start_at(1, kSsade, 0);
  for (unsigned level = 1; level <= 4; ++level) at(path[level]) |= kSsA;
  EXPECT_EQ(dma_to(kIova), kPage) << "nothing to update";
  EXPECT_EQ(write_fault(), 0x7CU) << "D is missing, also on a hit";
  expect_recorded(0x7C);
  const Path dirty = start_at(1, kSsade, 0);
  for (unsigned level = 1; level <= 4; ++level) at(dirty[level]) |= kSsA | kSsD;
  EXPECT_EQ(address_of(dma_write(kDevice, kIova)), kPage);
  start_at(1, 0, 0);
  EXPECT_EQ(address_of(dma_write(kDevice, kIova)), kPage) << "SSADE=0 needs no update";
}

TEST_F(SecondStageRules, AWriteThatHitsAnEntryFilledByAReadSetsD) {
  for (const unsigned leaf : {1U, 2U, 3U}) {
    const Path path = start_at(leaf, kSsade);
    EXPECT_TRUE(dma(dma_read(kDevice, kIova)).ok());
    EXPECT_EQ(flags(path[leaf]), kSsA);
    EXPECT_TRUE(dma(dma_write(kDevice, kIova)).ok());
    EXPECT_EQ(flags(path[leaf]), kSsA | kSsD);
    at(path[leaf]) &= ~(kSsA | kSsD);
    EXPECT_TRUE(dma(dma_write(kDevice, kIova)).ok());
    EXPECT_EQ(flags(path[leaf]), 0U) << "the cached entry is dirty: without invalidation nothing is written";
  }
}

TEST_F(SecondStageRules, AWriteAfterAReadSeesWhatTheEntryIsNow) {
  const Path path = start_at(1, kSsade);
  EXPECT_EQ(dma_to(kIova), kPage);
  at(path[1]) = 0;
  EXPECT_EQ(write_fault(), 0x79U) << "D is set in the entry in memory, which is gone";
  EXPECT_EQ(at(path[1]), 0U);
}

TEST_F(SecondStageRules, AnEntryThatChangedIsWalkedAgain) {
  for (const unsigned level : {4U, 3U, 2U, 1U}) {
    const Path path = start_at(1, kSsade);
    bool once = true;
    host->on_update = [&](const UpdateRequest& update) {
      if (update.address == path[level] && std::exchange(once, false))
        at(path[1]) = 0x7'7000 | kR | kW, at(path[level]) |= 0x10'0000'0000'0000;
    };
    EXPECT_EQ(address_of(dma_write(kDevice, kIova)), 0x7'7000U) << level;
    EXPECT_EQ(flags(path[1]), kSsA | kSsD);
  }
}

TEST_F(SecondStageRules, AnEntryThatVanishedBeforeItsUpdateFaults) {
  const Path path = start_at(1, kSsade);
  host->on_update = [&](const UpdateRequest& update) {
    if (update.address == path[1]) at(path[1]) = 0;
  };
  EXPECT_EQ(write_fault(), 0x79U);
  EXPECT_EQ(at(path[1]), 0U);
  host->on_update = nullptr;
  second(kIova, 0xA000 | kR | kW);
  EXPECT_EQ(dma_to(kIova), 0xA000U) << "nothing was cached";
}

}  // namespace
}  // namespace vtd::test
