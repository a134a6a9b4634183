// SPDX-License-Identifier: MIT
// The first-stage walk of scalable mode: reasons, rights, A, D and EA. Written from the document with raw numbers only.
#include "tests/core/raw_software.h"

namespace vtd::test {
namespace {

constexpr std::uint64_t kIova = 0x12'3456'7000;
constexpr std::uint64_t kSre = 1, kWpe = 1 << 4, kEafe = 1 << 7;

class FirstStageRules : public RawScalable {
 protected:
  static constexpr PhysAddr kPage = 0x2'4000'0000;  // good for every page size
  /// A fresh unit with one page at kIova, 4 levels.
  Path start_at(unsigned level = 1, std::uint64_t word2 = 0, std::uint64_t word1 = kPwsnp,
                const Profile& p = full_profile()) {
    fresh(p);
    pasid_entry(0, kFirstStage, kDid | word1, kFirst | word2);
    return first(kIova, kPage | kP | kRw | kUs, level);
  }
  std::uint64_t& at(PhysAddr address) { return host->words[address]; }
  unsigned read_fault() { return fault(kIova); }
  unsigned write_fault() { return fault(kIova, Access::kWrite); }
  DmaRequest supervisor(Access access = Access::kRead, bool execute = false) {
    return with_pasid(request(kIova, access), 0, true, execute);
  }
  void expect_recorded(unsigned code) {
    EXPECT_EQ(record_reason(0), code);
    EXPECT_EQ(record_low(0), kIova);
  }
};

// ---- Addresses -------------------------------------------------------------------------------------------------

TEST_F(FirstStageRules, EveryPageSizeAndDepth) {
  for (const unsigned levels : {4U, 5U}) {
    for (const unsigned level : {1U, 2U, 3U}) {
      for (const bool high : {false, true}) {
        start_at();
        pasid_entry(0, kFirstStage, kDid | kPwsnp, kOtherFirst | (levels - 4) << 2);
        const std::uint64_t iova = high ? 0xFFFF'9ABC'DEF0'1234 : levels == 5 ? 0xAB'CDEF'0123'4564 : 0x2BCD'EF01'2344;
        map_in(kOtherFirst, levels, iova, kPage | kP | kUs, level, kP | kUs);
        EXPECT_EQ(dma_to(iova), kPage + (iova & ((1ULL << (3 + 9 * level)) - 1)))
            << levels << " levels, leaf at " << level << (high ? ", upper half" : "");
      }
    }
  }
}

TEST_F(FirstStageRules, TwoMegabytePagesNeedNoCapability) {
  Profile p = full_profile();
  p.superpage_2m = p.superpage_1g = false;  // those are of the second stage
  start_at(2, 0, kPwsnp, p);
  EXPECT_EQ(dma_to(kIova), kPage + (kIova & 0x1F'FFFF));
  start_at(3, 0, kPwsnp, p);
  EXPECT_EQ(dma_to(kIova), kPage + (kIova & 0x3FFF'FFFF)) << "nor SSLPS for 1G: FS1GP";
}

TEST_F(FirstStageRules, Reason80_NotCanonical) {
  struct {
    unsigned fspm;
    std::uint64_t bad, good;
  } const cases[] = {
      {0, 0x0000'8000'0000'0000, 0x0000'7FFF'FFFF'F000}, {0, 0xFFFF'7FFF'FFFF'F000, 0xFFFF'8000'0000'0000},
      {0, 0x8000'0000'0000'0000, 0xFFFF'FFFF'FFFF'F000}, {1, 0x0100'0000'0000'0000, 0x00FF'FFFF'FFFF'F000},
      {1, 0xFEFF'FFFF'FFFF'F000, 0xFF00'0000'0000'0000}, {1, 0x7F00'0000'0000'0000, 0xFFFF'8000'0000'0000}};
  for (const auto& c : cases) {
    start_at(1, c.fspm << 2);
    EXPECT_EQ(fault(c.bad), 0x80U) << std::hex << c.bad;
    EXPECT_EQ(record_reason(0), 0x80U);
    EXPECT_EQ(fault(c.good), 0x71U) << "only absent";
  }
  start_at();
  host->words[pasid_at(0)] |= 1 << 2;  // AW: 3 levels
  EXPECT_EQ(fault(1ULL << 39), 0x71U) << "the width is FSPM's, not AW's";
}

TEST_F(FirstStageRules, Reason83_BeyondTheHardwareMaximum) {
  Profile p = full_profile();
  p.guest_address_width = 39;
  p.levels4 = p.levels5 = p.first_stage_5 = false;
  start_at(1, 0, kPwsnp, p);
  EXPECT_EQ(fault(1ULL << 39), 0x83U);
  EXPECT_EQ(record_reason(0), 0x83U);
  EXPECT_EQ(fault((1ULL << 39) - 0x1000), 0x71U);
  p.guest_address_width = 48;
  p.levels4 = true;
  start_at(1, 0, kPwsnp, p);
  EXPECT_EQ(fault(0xFFFF'8000'0000'0000), 0x71U) << "canonical addresses of the upper half are within 48 bits";
}

// ---- Entries ---------------------------------------------------------------------------------------------------

TEST_F(FirstStageRules, Reason71_AbsentEntriesAreNotLookedAtFurther) {
  for (const unsigned level : {4U, 3U, 2U, 1U}) {
    const Path path = start_at();
    at(path[level]) = ~1ULL;
    EXPECT_EQ(read_fault(), 0x71U) << level;
    expect_recorded(0x71);
    EXPECT_EQ(write_fault(), 0x71U);
    EXPECT_EQ(at(path[level]), ~1ULL) << "untouched";
  }
}

TEST_F(FirstStageRules, Reason72_ReservedBits) {
  const std::uint64_t above_haw = 0x3FULL << 46;
  struct {
    unsigned leaf, level;
    std::uint64_t mask;
  } const cases[] = {{1, 4, above_haw | 1 << 7},
                     {1, 3, above_haw},
                     {1, 2, above_haw},
                     {1, 1, above_haw},
                     {2, 2, above_haw | 0x1F'E000},
                     {3, 3, above_haw | 0x3FFF'E000}};
  for (const auto& c : cases) {
    for (unsigned bit = 0; bit < 64; ++bit) {
      if ((c.mask >> bit & 1) == 0) continue;
      const Path path = start_at(c.leaf);
      at(path[c.level]) |= 1ULL << bit;
      EXPECT_EQ(read_fault(), 0x72U) << "leaf at " << c.leaf << ", level " << c.level << ", bit " << bit;
      expect_recorded(0x72);
    }
  }
  Profile p = full_profile();
  p.first_stage_1g = false;
  start_at(3, 0, kPwsnp, p);
  EXPECT_EQ(read_fault(), 0x72U) << "1G pages need FS1GP";
}

TEST_F(FirstStageRules, Reason72_PsInTheTopOfFiveLevels) {
  start_at();
  pasid_entry(0, kFirstStage, kDid | kPwsnp, kOtherFirst | 1 << 2);
  at(map_in(kOtherFirst, 5, kIova, kPage | kP | kUs, 1, kP | kUs)[5]) |= 0x80;
  EXPECT_EQ(read_fault(), 0x72U);
}

TEST_F(FirstStageRules, IgnoredBitsAreIgnored) {
  for (const unsigned leaf : {1U, 2U, 3U}) {
    const Path path = start_at(leaf);
    for (unsigned level = leaf; level <= 4; ++level)
      at(path[level]) |= 0x7FF0'0000'0000'0A18 | (level == leaf ? 0x140U : 0x40U) |
                         (level == leaf && leaf > 1 ? 0x1000U : 0U);  // G, D and PAT of leaves
    EXPECT_EQ(dma_to(kIova), kPage + (kIova & ((1ULL << (3 + 9 * leaf)) - 1))) << leaf;
  }
}

TEST_F(FirstStageRules, Reason73_TopTableAccessError) {
  const Path path = start_at();
  host->broken.insert(path[4]);
  EXPECT_EQ(read_fault(), 0x73U);
  expect_recorded(0x73);
}

TEST_F(FirstStageRules, Reason70_EntryAccessError) {
  for (const unsigned level : {3U, 2U, 1U}) {
    const Path path = start_at();
    host->broken.insert(path[level]);
    EXPECT_EQ(read_fault(), 0x70U) << level;
    expect_recorded(0x70);
  }
}

// ---- Rights ----------------------------------------------------------------------------------------------------

TEST_F(FirstStageRules, Reason81_UserRequestsNeedUserPages) {
  for (const unsigned level : {4U, 3U, 2U, 1U}) {
    const Path path = start_at(1, kSre);
    at(path[level]) &= ~kUs;
    EXPECT_EQ(read_fault(), 0x81U) << level;
    expect_recorded(0x81);
    EXPECT_EQ(reason(with_pasid(dma_read(kDevice, kIova), 0)), 0x81U);
    EXPECT_EQ(address_of(supervisor()), kPage);
    EXPECT_EQ(read_fault(), 0x81U) << "on a hit as well";
  }
}

TEST_F(FirstStageRules, RidPrivMakesRequestsWithoutPasidSupervisorRequests) {
  const Path path = start_at(1, kSre);
  at(path[1]) &= ~kUs;
  scalable_context(kDevice, kDirectory | kPaside, 1 << 20);
  EXPECT_EQ(dma_to(kIova), kPage);
  EXPECT_EQ(reason(with_pasid(dma_read(kDevice, kIova), 0)), 0x81U) << "those with PASID say it themselves";
}

TEST_F(FirstStageRules, Reason85_UserWritesNeedRw) {
  for (const unsigned level : {4U, 3U, 2U, 1U}) {
    const Path path = start_at();
    at(path[level]) &= ~kRw;
    EXPECT_EQ(write_fault(), 0x85U) << level;
    expect_recorded(0x85);
    EXPECT_EQ(reason(request(kIova, Access::kAtomic)), 0x85U);
    EXPECT_EQ(dma_to(kIova), kPage);
    EXPECT_EQ(write_fault(), 0x85U) << "on a hit";
  }
}

TEST_F(FirstStageRules, Reason85_SupervisorWritesHonourRwOnlyWithWpe) {
  for (const unsigned level : {4U, 1U}) {
    Path path = start_at(1, kSre);
    at(path[level]) &= ~kRw;
    EXPECT_EQ(address_of(supervisor(Access::kWrite)), kPage);
    EXPECT_EQ(at(path[1]) & kD, kD);
    EXPECT_EQ(write_fault(), 0x85U) << "a user request, on the entry of the supervisor's";
    path = start_at(1, kSre | kWpe);
    at(path[level]) &= ~kRw;
    EXPECT_EQ(reason(supervisor(Access::kWrite)), 0x85U);
    EXPECT_EQ(address_of(supervisor()), kPage);
  }
}

TEST_F(FirstStageRules, Reason82_ExecuteNeedsNoXdAlongThePath) {
  for (const unsigned level : {4U, 3U, 2U, 1U}) {
    const Path path = start_at(1, kSre | 1 << 1);  // ERE
    at(path[level]) |= kXd;
    EXPECT_EQ(reason(with_pasid(dma_read(kDevice, kIova), 0, false, true)), 0x82U) << level;
    expect_recorded(0x82);
    EXPECT_EQ(reason(supervisor(Access::kRead, true)), 0x82U);
    EXPECT_EQ(dma_to(kIova), kPage) << "XD is not reserved and stops no read";
    EXPECT_EQ(address_of(dma_write(kDevice, kIova)), kPage);
    EXPECT_EQ(reason(with_pasid(dma_read(kDevice, kIova), 0, false, true)), 0x82U) << "on a hit";
  }
  start_at(1, kSre | 1 << 1);
  EXPECT_EQ(address_of(supervisor(Access::kRead, true)), kPage) << "of a user page: there is no SMEP";
}

TEST_F(FirstStageRules, WhatIsWrongBelowAnEntryWithoutRightsWins) {
  for (const std::uint64_t right : {kRw, kUs}) {
    Path path = start_at();
    at(path[4]) &= ~right;
    at(path[1]) = 0;
    EXPECT_EQ(write_fault(), 0x71U);
    path = start_at();
    at(path[4]) &= ~right;
    at(path[1]) |= 1ULL << 51;
    EXPECT_EQ(write_fault(), 0x72U);
    path = start_at();
    at(path[1]) = (at(path[1]) & ~right) | 1ULL << 51;
    EXPECT_EQ(write_fault(), 0x72U) << "in one entry";
  }
}

TEST_F(FirstStageRules, Reason87_ResultInTheInterruptRange) {
  start_at();
  const std::uint64_t iova = 0x4000'0000;
  first(iova, 0xFEE0'0000 | kP | kRw | kUs, 2);
  EXPECT_EQ(fault(iova, Access::kWrite), 0x87U);
  EXPECT_EQ(record_reason(0), 0x87U);
  EXPECT_EQ(reason(with_pasid(dma_read(kDevice, iova + 0xF'FFFC), 0)), 0x87U);
  EXPECT_EQ(dma_to(iova + 0x10'0000), 0xFEF0'0000U);
}

// ---- A, D and EA -----------------------------------------------------------------------------------------------

TEST_F(FirstStageRules, AOnEveryEntryUsedDOnlyOnTheLeafOfAWriteEaWithEafe) {
  for (const Access access : {Access::kRead, Access::kZeroLengthRead, Access::kWrite, Access::kAtomic}) {
    for (const unsigned leaf : {1U, 2U, 3U}) {
      for (const bool extended : {false, true}) {
        const Path path = start_at(leaf, extended ? kEafe : 0);
        const bool write = access == Access::kWrite || access == Access::kAtomic;
        const auto before = host->words;
        EXPECT_TRUE(dma(request(kIova, access)).ok());
        for (unsigned level = leaf; level <= 4; ++level)
          EXPECT_EQ(at(path[level]),
                    before.at(path[level]) | kA | (extended ? kEa : 0) | (write && level == leaf ? kD : 0))
              << level;
      }
    }
  }
}

TEST_F(FirstStageRules, EaAloneIsSetWhereAIsAlready) {
  const Path path = start_at(1, kEafe);
  for (unsigned level = 1; level <= 4; ++level) at(path[level]) |= kA | kD;
  EXPECT_EQ(dma_to(kIova), kPage);
  for (unsigned level = 1; level <= 4; ++level) EXPECT_EQ(at(path[level]) & kEa, kEa) << level;
}

TEST_F(FirstStageRules, NoUpdateWhereNothingIsMissing) {
  const Path path = start_at();
  for (unsigned level = 1; level <= 4; ++level) at(path[level]) |= kA;
  at(path[1]) |= kD;
  EXPECT_EQ(address_of(dma_write(kDevice, kIova)), kPage);
  EXPECT_TRUE(host->updates.empty());
}

TEST_F(FirstStageRules, AFaultingEntryIsNeverTouchedAndDNeverSet) {
  struct {
    const char* what;
    unsigned level, code;
    std::uint64_t set, clear;
    Access access;
  } const cases[] = {
      {"absent", 1, 0x71, 0, kP, Access::kWrite},
      {"absent", 3, 0x71, 0, kP, Access::kWrite},
      {"reserved", 1, 0x72, 1ULL << 51, 0, Access::kWrite},
      {"reserved", 2, 0x72, 1ULL << 51, 0, Access::kRead},
      {"U/S", 1, 0x81, 0, kUs, Access::kRead},
      {"R/W", 1, 0x85, 0, kRw, Access::kWrite},
      {"R/W above", 3, 0x85, 0, kRw, Access::kWrite},
      {"interrupt", 1, 0x87, 0xFEE0'0000, kPage, Access::kWrite},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.what);
    const Path path = start_at();
    at(path[c.level]) = (at(path[c.level]) & ~c.clear) | c.set;
    const std::uint64_t faulting = at(path[c.level]);
    EXPECT_EQ(fault(kIova, c.access), c.code);
    EXPECT_EQ(at(path[1]) & (kA | kD), 0U) << "rights are judged at the leaf";
    if (c.code == 0x71 || c.code == 0x72) {
      EXPECT_EQ(at(path[c.level]), faulting);
    }
    for (const unsigned level : {2U, 3U, 4U}) EXPECT_EQ(at(path[level]) & kD, 0U);
  }
}

TEST_F(FirstStageRules, Reason90_UpdateNeededWithPwsnp0) {
  for (unsigned without_a = 1; without_a <= 4; ++without_a) {
    const Path path = start_at(1, 0, 0);
    for (unsigned level = 1; level <= 4; ++level)
      if (level != without_a) at(path[level]) |= kA;
    const auto before = host->words;
    EXPECT_EQ(read_fault(), 0x90U) << "A missing at level " << without_a;
    expect_recorded(0x90);
    EXPECT_EQ(host->words, before);
  }
  const Path path = start_at(1, 0, 0);
  for (unsigned level = 1; level <= 4; ++level) at(path[level]) |= kA;
  EXPECT_EQ(dma_to(kIova), kPage) << "nothing to update";
  EXPECT_EQ(write_fault(), 0x90U) << "D is missing, also on a hit";
  const Path extended = start_at(1, kEafe, 0);
  for (unsigned level = 1; level <= 4; ++level) at(extended[level]) |= kA | kD;
  EXPECT_EQ(read_fault(), 0x90U) << "EA is missing";
}

TEST_F(FirstStageRules, Reason91_UpdateThatMeetsABusError) {
  WalkRequest asked;
  asked.kind = WalkKind::kFirstStage;
  asked.first_root = kFirst;
  asked.iova = kIova;
  PagingWalk walk(walker_config(full_profile()), asked);
  walk.consume(0x50'0000 | kP | kRw | kUs, false);
  ASSERT_TRUE(walk.next_update().has_value());
  EXPECT_EQ(walk.next_update()->desired, 0x50'0000 | kP | kRw | kUs | kA);
  walk.updated(false, true);
  ASSERT_TRUE(walk.ended());
  EXPECT_EQ(static_cast<unsigned>(walk.result().fault), 0x91U);
}

TEST_F(FirstStageRules, AWriteThatHitsAnEntryFilledByAReadSetsD) {
  for (const unsigned leaf : {1U, 2U, 3U}) {
    const Path path = start_at(leaf);
    EXPECT_TRUE(dma(dma_read(kDevice, kIova)).ok());
    EXPECT_EQ(at(path[leaf]) & (kA | kD), kA);
    EXPECT_TRUE(dma(dma_write(kDevice, kIova)).ok());
    EXPECT_EQ(at(path[leaf]) & (kA | kD), kA | kD);
    at(path[leaf]) &= ~(kA | kD);
    EXPECT_TRUE(dma(dma_write(kDevice, kIova)).ok());
    EXPECT_EQ(at(path[leaf]) & (kA | kD), 0U) << "the cached entry is dirty";
  }
}

TEST_F(FirstStageRules, ASupervisorWriteWithoutWpeSetsDOnAHitToo) {
  const Path path = start_at(1, kSre);
  at(path[1]) &= ~kRw;
  EXPECT_EQ(address_of(supervisor()), kPage);
  EXPECT_EQ(at(path[1]) & kD, 0U);
  EXPECT_EQ(write_fault(), 0x85U);
  EXPECT_EQ(at(path[1]) & kD, 0U) << "not by a write that faults";
  EXPECT_EQ(address_of(supervisor(Access::kAtomic)), kPage);
  EXPECT_EQ(at(path[1]) & kD, kD);
}

TEST_F(FirstStageRules, AnEntryThatChangedIsWalkedAgain) {
  for (const unsigned level : {4U, 3U, 2U, 1U}) {
    const Path path = start_at();
    bool once = true;
    host->on_update = [&](const UpdateRequest& update) {
      if (update.address != path[level] || !std::exchange(once, false)) return;
      at(path[1]) = 0x7'7000 | kP | kRw | kUs;
      at(path[level]) |= 1ULL << 52;
    };
    EXPECT_EQ(address_of(dma_write(kDevice, kIova)), 0x7'7000U) << level;
    EXPECT_EQ(at(path[1]) & (kA | kD), kA | kD);
  }
}

TEST_F(FirstStageRules, AnEntryThatVanishedBeforeItsUpdateFaults) {
  const Path path = start_at();
  host->on_update = [&](const UpdateRequest& update) {
    if (update.address == path[1]) at(path[1]) = 0;
  };
  EXPECT_EQ(write_fault(), 0x71U);
  EXPECT_EQ(at(path[1]), 0U);
}

}  // namespace
}  // namespace vtd::test
