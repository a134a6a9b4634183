// SPDX-License-Identifier: MIT
// Nested translation: the first stage, every address of which goes through the second stage. Written from the document
// with raw numbers only.
#include "tests/core/raw_software.h"

namespace vtd::test {
namespace {

constexpr std::uint64_t kIova = 0x12'3456'7000;
constexpr std::uint64_t kSre = 1;
constexpr std::uint64_t kGuestTables = 0x5000'0000, kGuestPage = 0x9000'0000;  // guest addresses
constexpr PhysAddr kHostTables = 0x30'0000, kPage = 0x2'4000'0000;             // where they are

class NestedRules : public RawScalable {
 protected:
  /// First-stage entries by level, the second-stage paths of the tables they are in, and that of the page.
  Path guest{};
  std::array<Path, 5> tables{};
  Path final_path{};

  /// A fresh unit: one first-stage table of each level on a guest page of its own, mapped to a host page.
  void start_at(std::uint64_t word0 = 0, std::uint64_t word2 = 0, std::uint64_t word1 = kPwsnp,
                const Profile& p = full_profile()) {
    fresh(p);
    pasid_entry(0, kNested | kAw4 | kTable | word0, kDid | word1, kGuestTables | word2);
    for (unsigned level = 4; level >= 1; --level) {
      const std::uint64_t table = (4 - level) * 0x20'0000ULL;  // far apart: second-stage tables of their own
      tables[level] = second(kGuestTables + table, (kHostTables + table) | kR | kW);
      guest[level] = kHostTables + table + (kIova >> (12 + 9 * (level - 1)) & 0x1FF) * 8;
      at(guest[level]) = kP | kRw | kUs | (level > 1 ? kGuestTables + table + 0x20'0000 : kGuestPage);
    }
    final_path = second(kGuestPage, kPage | kR | kW);
  }
  std::uint64_t& at(PhysAddr address) { return host->words[address]; }
  unsigned read_fault() { return fault(kIova); }
  unsigned write_fault() { return fault(kIova, Access::kWrite); }
  void expect_recorded(unsigned code) {
    EXPECT_EQ(record_reason(0), code);
    EXPECT_EQ(record_low(0), kIova) << "the address of the request, not a guest address";
  }
  /// Sets A in every first-stage entry, and D in the leaf.
  void nothing_to_update() {
    for (unsigned level = 1; level <= 4; ++level) at(guest[level]) |= kA;
    at(guest[1]) |= kD;
  }
};

TEST_F(NestedRules, BothStagesTranslate) {
  start_at();
  EXPECT_EQ(dma_to(kIova | 0x128), kPage | 0x128);
  EXPECT_EQ(address_of(with_pasid(dma_write(kDevice, kIova), 0)), kPage);
}

TEST_F(NestedRules, TheSmallerPageOfBothStagesIsCached) {
  start_at();
  at(guest[2]) = kGuestPage | kP | kRw | kUs | 0x80;  // 2M on 4K
  const std::uint64_t iova = kIova & ~0x1F'FFFFULL;
  EXPECT_EQ(dma_to(iova | 0x10), kPage | 0x10);
  second(kGuestPage + 0x1000, 0x8000 | kR);
  EXPECT_EQ(dma_to(iova + 0x1000), 0x8000U) << "not part of the entry before";
  EXPECT_EQ(fault(iova + 0x2000), 0x79U);
  start_at();
  second(0xC000'0000, 0x3'0000'0000 | kR, 2);  // 4K on 2M
  at(guest[1]) = 0xC000'5000 | kP | kUs;
  EXPECT_EQ(dma_to(kIova), 0x3'0000'5000U);
  EXPECT_EQ(fault(kIova + 0x1000), 0x71U);
}

// ---- What only nested walks meet -------------------------------------------------------------------------------

TEST_F(NestedRules, Reason74_AddressInAFirstStageEntryBeyondTheSecondStage) {
  for (const unsigned level : {4U, 3U, 2U}) {
    start_at();
    pasid_entry(0, kNested | 1 << 2 | kOtherTable, kDid | kPwsnp, kGuestTables);  // 39 bits
    for (unsigned l = 1; l <= 4; ++l)
      map_in(kOtherTable, 3, kGuestTables + (4 - l) * 0x20'0000ULL, (kHostTables + (4 - l) * 0x20'0000ULL) | kR | kW, 1,
             kR | kW);
    map_in(kOtherTable, 3, kGuestPage, kPage | kR | kW, 1, kR | kW);
    const std::uint64_t good = at(guest[level]);
    at(guest[level]) |= 1ULL << 39;
    EXPECT_EQ(read_fault(), 0x74U) << level;
    expect_recorded(0x74);
    at(guest[level]) = good;
    EXPECT_EQ(dma_to(kIova), kPage);
  }
}

TEST_F(NestedRules, Reason75_NoSecondStageReadOfTheTopTable) {
  for (const unsigned level : {4U, 1U}) {
    start_at();
    at(tables[4][level]) &= ~kR;
    // The second-stage entry at level 4 is also that of the page: the table comes first.
    EXPECT_EQ(read_fault(), 0x75U) << level;
    expect_recorded(0x75);
  }
}

TEST_F(NestedRules, Reason76_NoSecondStageReadOfAnotherTable) {
  for (const unsigned table : {3U, 2U, 1U}) {
    start_at();
    at(tables[table][1]) &= ~kR;
    EXPECT_EQ(read_fault(), 0x76U) << table;
    expect_recorded(0x76);
  }
}

TEST_F(NestedRules, Reason77_NoSecondStageWriteForAnUpdate) {
  for (unsigned table = 1; table <= 4; ++table) {
    start_at();
    at(tables[table][1]) &= ~kW;
    const std::uint64_t entry = at(guest[table]);
    EXPECT_EQ(read_fault(), 0x77U) << "A of the entry at level " << table;
    expect_recorded(0x77);
    EXPECT_EQ(at(guest[table]), entry);
    start_at();
    nothing_to_update();
    at(tables[table][1]) &= ~kW;
    EXPECT_EQ(address_of(dma_write(kDevice, kIova)), kPage) << "nothing to update at level " << table;
  }
  start_at();
  nothing_to_update();
  at(guest[1]) &= ~kD;
  at(tables[1][1]) &= ~kW;
  EXPECT_EQ(dma_to(kIova), kPage);
  EXPECT_EQ(write_fault(), 0x77U) << "D of the leaf, also on a hit";
}

TEST_F(NestedRules, Reason79_SecondStageOfThePageAbsent) {
  start_at();
  at(final_path[1]) = 0;
  EXPECT_EQ(read_fault(), 0x79U);
  expect_recorded(0x79);
}

TEST_F(NestedRules, Reason7A_SecondStageOfATableOrThePageReserved) {
  for (unsigned table = 1; table <= 5; ++table) {
    start_at();
    at(table == 5 ? final_path[1] : tables[table][1]) |= 1ULL << 51;
    EXPECT_EQ(read_fault(), 0x7AU) << table;
    expect_recorded(0x7A);
  }
}

TEST_F(NestedRules, Reason78_7B_AccessErrorsOfTheSecondStage) {
  for (unsigned table = 1; table <= 5; ++table) {
    for (const unsigned level : {3U, 2U, 1U}) {
      start_at();
      const PhysAddr entry = table == 5 ? final_path[level] : tables[table][level];
      host->broken.insert(entry);
      EXPECT_EQ(read_fault(), 0x78U) << table << ", level " << level;
    }
  }
  start_at();
  host->broken.insert(tables[4][4]);
  EXPECT_EQ(read_fault(), 0x7BU);
  expect_recorded(0x7B);
}

TEST_F(NestedRules, Reason70_73_AccessErrorsOfTheFirstStage) {
  for (unsigned level = 1; level <= 4; ++level) {
    start_at();
    host->broken.insert(guest[level]);
    EXPECT_EQ(read_fault(), level == 4 ? 0x73U : 0x70U) << level;
    expect_recorded(level == 4 ? 0x73 : 0x70);
  }
}

// ---- What both stages have by themselves -----------------------------------------------------------------------

TEST_F(NestedRules, Reason71_72_81_82_85_OfTheFirstStage) {
  struct {
    std::uint64_t set, clear;
    unsigned code;
  } const cases[] = {{0, kP, 0x71}, {0, kUs, 0x81}, {0, kRw, 0x85}, {1 << 7, 0, 0x72}};
  for (const auto& c : cases) {
    for (const unsigned level : {4U, 1U}) {
      if (c.code == 0x72 && level == 1) continue;
      start_at();
      at(guest[level]) = (at(guest[level]) & ~c.clear) | c.set;
      EXPECT_EQ(write_fault(), c.code) << level;
      expect_recorded(c.code);
    }
  }
  start_at(0, 1 << 1);
  at(guest[3]) |= kXd;
  EXPECT_EQ(reason(with_pasid(dma_read(kDevice, kIova), 0, false, true)), 0x82U);
  EXPECT_EQ(fault(1ULL << 47), 0x80U) << "not canonical";
}

TEST_F(NestedRules, Reason85_86_SecondStageRightsOfThePage) {
  start_at(0, kSre);
  at(final_path[1]) &= ~kW;
  EXPECT_EQ(write_fault(), 0x85U);
  expect_recorded(0x85);
  EXPECT_EQ(reason(with_pasid(dma_write(kDevice, kIova), 0, true)), 0x85U) << "no supervisor writes through it";
  EXPECT_EQ(dma_to(kIova), kPage);
  EXPECT_EQ(write_fault(), 0x85U) << "on a hit";
  start_at();
  at(final_path[1]) &= ~kR;
  EXPECT_EQ(read_fault(), 0x86U);
  expect_recorded(0x86);
  EXPECT_EQ(address_of(dma_write(kDevice, kIova)), kPage);
}

TEST_F(NestedRules, SupervisorWritesWithoutWpeNeedOnlyTheSecondStagesW) {
  start_at(0, kSre);
  at(guest[1]) &= ~kRw;
  EXPECT_EQ(address_of(with_pasid(dma_write(kDevice, kIova), 0, true)), kPage);
  EXPECT_EQ(write_fault(), 0x85U);
}

TEST_F(NestedRules, Reason87_ResultInTheInterruptRange) {
  start_at();
  second(kGuestPage, 0xFEE0'1000 | kR | kW);
  EXPECT_EQ(read_fault(), 0x87U);
  expect_recorded(0x87);
}

TEST_F(NestedRules, AGuestAddressInTheInterruptRangeIsAnAddressLikeOthers) {
  start_at();
  at(guest[1]) = 0xFEE0'1000 | kP | kRw | kUs;
  second(0xFEE0'1000, kPage | kR | kW);
  EXPECT_EQ(dma_to(kIova), kPage);
}

// ---- A and D ---------------------------------------------------------------------------------------------------

TEST_F(NestedRules, AAndDOfBothStages) {
  for (const bool write : {false, true}) {
    start_at(kSsade);
    EXPECT_TRUE(dma(write ? dma_write(kDevice, kIova) : dma_read(kDevice, kIova)).ok());
    for (unsigned level = 1; level <= 4; ++level) {
      EXPECT_EQ(at(guest[level]) & (kA | kD), kA | (write && level == 1 ? kD : 0)) << level;
      EXPECT_EQ(at(tables[level][1]) & (kSsA | kSsD), kSsA | kSsD) << "the table was written, level " << level;
      for (const unsigned above : {2U, 3U, 4U}) EXPECT_EQ(at(tables[level][above]) & (kSsA | kSsD), kSsA);
    }
    EXPECT_EQ(at(final_path[1]) & (kSsA | kSsD), kSsA | (write ? kSsD : 0));
  }
}

TEST_F(NestedRules, TablesThatAreOnlyReadAreNotDirty) {
  start_at(kSsade);
  nothing_to_update();
  EXPECT_EQ(address_of(dma_write(kDevice, kIova)), kPage);
  for (unsigned level = 1; level <= 4; ++level) EXPECT_EQ(at(tables[level][1]) & (kSsA | kSsD), kSsA) << level;
  EXPECT_EQ(at(final_path[1]) & (kSsA | kSsD), kSsA | kSsD);
}

TEST_F(NestedRules, WithoutSsadeOnlyTheFirstStageIsUpdated) {
  start_at();
  EXPECT_EQ(address_of(dma_write(kDevice, kIova)), kPage);
  EXPECT_EQ(at(guest[1]) & (kA | kD), kA | kD);
  for (unsigned level = 1; level <= 4; ++level) EXPECT_EQ(at(tables[1][level]) & (kSsA | kSsD), 0U);
}

TEST_F(NestedRules, NoDAnywhereWhenTheOtherStageFaults) {
  start_at(kSsade);
  at(final_path[1]) &= ~kW;
  EXPECT_EQ(write_fault(), 0x85U);
  EXPECT_EQ(at(guest[1]) & (kA | kD), 0U) << "D, and A of the leaf, only when nothing faults";
  EXPECT_EQ(at(final_path[1]) & (kSsA | kSsD), 0U);
  start_at(kSsade);
  at(final_path[1]) = 0;
  EXPECT_EQ(write_fault(), 0x79U);
  EXPECT_EQ(at(guest[1]) & kD, 0U);
  start_at(kSsade);
  at(guest[1]) &= ~kRw;
  EXPECT_EQ(write_fault(), 0x85U);
  EXPECT_EQ(at(final_path[1]) & kSsD, 0U);
  EXPECT_EQ(at(guest[1]) & kD, 0U);
}

TEST_F(NestedRules, Reason90_7C_UpdatesNeededWithPwsnp0) {
  start_at(0, 0, 0);
  EXPECT_EQ(read_fault(), 0x90U);
  expect_recorded(0x90);
  start_at(0, 0, 0);
  nothing_to_update();
  EXPECT_EQ(address_of(dma_write(kDevice, kIova)), kPage);
  start_at(kSsade, 0, 0);
  nothing_to_update();
  EXPECT_EQ(read_fault(), 0x7CU);
  expect_recorded(0x7C);
}

TEST_F(NestedRules, AWriteThatHitsAnEntryFilledByAReadSetsDOfBothStages) {
  start_at(kSsade);
  EXPECT_EQ(dma_to(kIova), kPage);
  EXPECT_EQ(at(final_path[1]) & kSsD, 0U);
  EXPECT_EQ(address_of(dma_write(kDevice, kIova)), kPage);
  EXPECT_EQ(at(guest[1]) & (kA | kD), kA | kD);
  EXPECT_EQ(at(final_path[1]) & (kSsA | kSsD), kSsA | kSsD);
}

TEST_F(NestedRules, AnEntryOfEitherStageThatChangedIsWalkedAgain) {
  start_at(kSsade);
  const auto watched = [&] {
    std::vector<PhysAddr> all{final_path[1], final_path[3]};
    for (unsigned level = 1; level <= 4; ++level)
      all.insert(all.end(), {guest[level], tables[level][1], tables[level][2]});
    return all;
  };
  for (const PhysAddr entry : watched()) {
    start_at(kSsade);
    bool once = true;
    host->on_update = [&](const UpdateRequest& update) {
      if (update.address == entry && std::exchange(once, false)) at(entry) |= 1ULL << 52;
    };
    EXPECT_EQ(address_of(dma_write(kDevice, kIova)), kPage) << std::hex << entry;
    EXPECT_EQ(at(entry) >> 52 & 1, 1U) << "what software wrote is kept";
    EXPECT_EQ(at(guest[1]) & (kA | kD), kA | kD);
    EXPECT_EQ(at(final_path[1]) & (kSsA | kSsD), kSsA | kSsD);
  }
}

}  // namespace
}  // namespace vtd::test
