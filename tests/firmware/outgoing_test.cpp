// SPDX-License-Identifier: MIT
// Sessions, order rules, immutability, rollback, cleaning: the outgoing side.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/firmware/fake_platform.h"

namespace vtd::fw::test {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using enum platform::Command;
using platform::LifecycleState;
using platform::Query;

class OutgoingTest : public ::testing::Test {
 protected:
  Machine m_;
  void SetUp() override {
    m_.boot(ImageLetter::kA);
    m_.set_up_device();
  }
  [[nodiscard]] LifecycleState state() { return static_cast<LifecycleState>(m_.ask(Query::kLifecycle)); }
  [[nodiscard]] std::uint64_t pages() { return m_.ask(Query::kPreservedPages); }
};

TEST_F(OutgoingTest, PreservedSetIsExactlyWhatTheUpdateNeeds) {
  m_.preserve_all();
  EXPECT_EQ(state(), LifecycleState::kPreserved);
  // Two of the tracker; root, its five arrays, the session's files, the iommufd's domains; IOMMU top and three arrays;
  // guest memory; four table pages; root and context table.
  EXPECT_EQ(pages(), 2U + 8U + 4U + 16U + 4U + 2U);
  EXPECT_EQ(m_.ask(Query::kUnitRecord), 1U);
}

TEST_F(OutgoingTest, OrderRules) {
  EXPECT_EQ(m_.status(kPreserveMemory, {1, 1, 1}), Status::kNoEntry);  // no session
  ASSERT_EQ(m_.status(kSessionOpen, {1}), Status::kOk);
  EXPECT_EQ(m_.status(kSessionOpen, {1}), Status::kExists);
  EXPECT_EQ(m_.status(kPreserveDevice, {1, 3, Machine::kD1.value}), Status::kInvalid);  // device before domain
  EXPECT_EQ(m_.preserve_domain(1, 2, 1), Status::kNoEntry);                             // domain before memory
  EXPECT_EQ(pages(), 0U);
  EXPECT_EQ(state(), LifecycleState::kNormal);
  EXPECT_EQ(m_.status(kPreserveMemory, {1, 1, 9}), Status::kNoEntry);
  ASSERT_EQ(m_.status(kPreserveMemory, {1, 1, 1}), Status::kOk);
  EXPECT_EQ(m_.status(kPreserveMemory, {1, 5, 1}), Status::kBusy);
  EXPECT_EQ(m_.preserve_domain(1, 1, 1), Status::kExists);  // token taken
  ASSERT_EQ(m_.preserve_domain(1, 2, 1), Status::kOk);
  EXPECT_EQ(m_.preserve_domain(1, 4, 1), Status::kBusy);
  ASSERT_EQ(m_.status(kReleaseOwner, {Machine::kD1.value, 0x77}), Status::kOk);
  EXPECT_EQ(m_.status(kPreserveDevice, {1, 3, Machine::kD1.value}), Status::kInvalid);  // no owner
  ASSERT_EQ(m_.status(kClaimOwner, {Machine::kD1.value, 0x77}), Status::kOk);
  ASSERT_EQ(m_.status(kPreserveDevice, {1, 3, Machine::kD1.value}), Status::kOk);
  EXPECT_EQ(m_.status(kPreserveDevice, {1, 4, Machine::kD1.value}), Status::kInvalid);  // twice
  EXPECT_EQ(m_.status(kUnpreserve, {1, 1}), Status::kInvalid);                          // not the newest
  EXPECT_EQ(m_.status(kUnpreserve, {1, 8}), Status::kNoEntry);
}

TEST_F(OutgoingTest, DependenciesMustBeInTheSameSession) {
  ASSERT_EQ(m_.status(kSessionOpen, {1}), Status::kOk);
  ASSERT_EQ(m_.status(kSessionOpen, {2}), Status::kOk);
  ASSERT_EQ(m_.status(kPreserveMemory, {1, 1, 1}), Status::kOk);
  EXPECT_EQ(m_.preserve_domain(2, 1, 1), Status::kNoEntry);
  ASSERT_EQ(m_.preserve_domain(1, 2, 1), Status::kOk);
  EXPECT_EQ(m_.status(kPreserveDevice, {2, 1, Machine::kD1.value}), Status::kInvalid);
}

TEST_F(OutgoingTest, EverythingPreservedIsImmutable) {
  m_.preserve_all();
  static_cast<void>(m_.platform.take_unit_log());
  const std::uint64_t digest = m_.ask(Query::kDomainTables, 1, 1);
  const std::size_t writes = m_.platform.writes128.size();
  EXPECT_EQ(m_.status(kMap, {1, 0x80000, 1, 0, 0x1000, 3, 1}), Status::kBusy);
  EXPECT_EQ(m_.status(kUnmap, {1, 0x10000, 0x1000}), Status::kBusy);
  EXPECT_EQ(m_.status(kDetach, {Machine::kD1.value}), Status::kBusy);
  EXPECT_EQ(m_.status(kAttach, {Machine::kD1.value, 1}), Status::kBusy);
  EXPECT_EQ(m_.status(kAttach, {Machine::kD2.value, 1}), Status::kBusy);
  EXPECT_EQ(m_.status(kPassThrough, {Machine::kD1.value}), Status::kBusy);
  EXPECT_EQ(m_.status(kReleaseOwner, {Machine::kD1.value, 0x77}), Status::kBusy);
  EXPECT_EQ(m_.ask(Query::kDomainTables, 1, 1), digest);
  EXPECT_EQ(m_.platform.writes128.size(), writes);
  EXPECT_THAT(m_.platform.take_unit_log(), IsEmpty());
}

TEST_F(OutgoingTest, UnpreserveInReverseGivesEverythingBack) {
  const std::uint64_t free_before = m_.iommu().allocator().free_pages();
  m_.preserve_all();
  ASSERT_EQ(m_.status(kUnpreserve, {1, 3}), Status::kOk);
  EXPECT_EQ(m_.ask(Query::kUnitRecord), 0U);
  ASSERT_EQ(m_.status(kUnpreserve, {1, 2}), Status::kOk);
  EXPECT_EQ(m_.status(kMap, {1, 0x80000, 1, 0, 0x1000, 3, 1}), Status::kOk);
  ASSERT_EQ(m_.status(kUnpreserve, {1, 1}), Status::kOk);
  EXPECT_EQ(pages(), 0U);
  EXPECT_EQ(state(), LifecycleState::kNormal);
  EXPECT_EQ(m_.iommu().allocator().free_pages(), free_before);
  ASSERT_EQ(m_.status(kPreserveMemory, {1, 1, 1}), Status::kOk);  // same session, same token, again
}

TEST_F(OutgoingTest, SessionCloseUnpreservesEverything) {
  const std::uint64_t free_before = m_.iommu().allocator().free_pages();
  m_.preserve_all();
  ASSERT_EQ(m_.status(kSessionClose, {1}), Status::kOk);
  EXPECT_EQ(pages(), 0U);
  EXPECT_EQ(m_.iommu().allocator().free_pages(), free_before);
  EXPECT_EQ(m_.status(kDetach, {Machine::kD1.value}), Status::kOk);
  EXPECT_EQ(m_.status(kSessionClose, {1}), Status::kNoEntry);
  EXPECT_EQ(m_.status(kSessionOpen, {1}), Status::kOk);
}

TEST_F(OutgoingTest, UnitRecordIsCountedAndTheContextTableStaysWhileNeeded) {
  ASSERT_EQ(m_.status(kAttach, {Machine::kD2.value, 1}), Status::kOk);
  ASSERT_EQ(m_.status(kClaimOwner, {Machine::kD2.value, 5}), Status::kOk);
  m_.preserve_all();
  const std::uint64_t one = pages();
  ASSERT_EQ(m_.status(kPreserveDevice, {1, 4, Machine::kD2.value}), Status::kOk);
  EXPECT_EQ(pages(), one);
  EXPECT_EQ(m_.ask(Query::kUnitRecord), 2U);
  ASSERT_EQ(m_.status(kUnpreserve, {1, 4}), Status::kOk);
  EXPECT_EQ(m_.ask(Query::kUnitRecord), 1U);
  EXPECT_EQ(pages(), one);
}

TEST_F(OutgoingTest, RefusedTablePageUnmarksTheOnesBefore) {
  ASSERT_EQ(m_.status(kSessionOpen, {1}), Status::kOk);
  ASSERT_EQ(m_.status(kPreserveMemory, {1, 1, 1}), Status::kOk);
  const std::uint64_t before = pages();
  std::vector<PhysAddr> tables;
  m_.iommu().domain(1)->table.visit(
      [&](PhysAddr page, unsigned) {
        tables.push_back(page);
        return true;
      },
      [](const Leaf&) { return true; });
  // Somebody else holds the third table page: the tracker refuses it.
  const PhysAddr tracker = m_.live_update().tracker_page();
  const PhysAddr word = m_.tracker_word(tracker, tables[2]);
  const std::uint64_t old = m_.platform.read64(word);
  m_.platform.write64(word, old | bit(platform::tracker::bit_of(tables[2])));
  EXPECT_NE(m_.preserve_domain(1, 2, 1), Status::kOk);
  m_.platform.write64(word, m_.platform.read64(word) & ~bit(platform::tracker::bit_of(tables[2])));
  EXPECT_EQ(pages(), before);
  EXPECT_EQ(m_.status(kMap, {1, 0x80000, 1, 0, 0x1000, 3, 1}), Status::kOk);  // mutable again
  EXPECT_EQ(m_.preserve_domain(1, 2, 1), Status::kOk);
}

TEST_F(OutgoingTest, OutOfMemoryRollsBackEveryStage) {
  // With n pages left, each step either succeeds or leaves the preserved set as it was.
  for (std::uint64_t left = 0; left < 20; ++left) {
    Machine m;
    m.boot(ImageLetter::kA);
    m.set_up_device();
    ASSERT_EQ(m.status(kSessionOpen, {1}), Status::kOk);
    while (m.iommu().allocator().free_pages() > left) ASSERT_NE(m.iommu().allocator().allocate(), 0U);
    ASSERT_EQ(m.status(kMarkDomain, {1, 2}), Status::kOk);
    for (const auto& [command, token, object] :
         {std::tuple{kPreserveMemory, 1U, 1U}, {kPreserveIommufd, 2U, 0U}, {kPreserveDevice, 3U, 0x0108U}}) {
      const std::uint64_t before = m.ask(Query::kPreservedPages);
      const std::uint64_t free = m.iommu().allocator().free_pages();
      if (m.status(command, {1, token, object}) == Status::kOk) continue;
      EXPECT_EQ(m.ask(Query::kPreservedPages), before) << left;
      EXPECT_EQ(m.iommu().allocator().free_pages(), free) << left;
    }
    ASSERT_EQ(m.status(kSessionClose, {1}), Status::kOk);
    EXPECT_EQ(m.ask(Query::kPreservedPages), 0U);
    EXPECT_EQ(m.iommu().allocator().free_pages(), left);
  }
}

TEST_F(OutgoingTest, FrozenAllowsOnlyTheWayOutOrBack) {
  m_.preserve_all();
  ASSERT_EQ(m_.status(kFreeze), Status::kOk);
  EXPECT_EQ(state(), LifecycleState::kFrozen);
  EXPECT_EQ(m_.status(kFreeze), Status::kInvalid);
  EXPECT_EQ(m_.status(kSessionClose, {1}), Status::kBusy);
  EXPECT_EQ(m_.status(kCreateDomain, {7, 4}), Status::kBusy);
  EXPECT_EQ(m_.status(kReboot), Status::kInvalid);
  ASSERT_EQ(m_.status(kUnfreeze), Status::kOk);
  EXPECT_EQ(state(), LifecycleState::kPreserved);
  EXPECT_EQ(m_.status(kShutdown), Status::kInvalid);
  ASSERT_EQ(m_.status(kFreeze), Status::kOk);
  ASSERT_EQ(m_.status(kShutdown), Status::kOk);
  EXPECT_EQ(m_.status(kUnfreeze), Status::kInvalid);  // no abort after cleaning
  EXPECT_EQ(state(), LifecycleState::kCleaned);
}

class CleaningTest : public OutgoingTest {
 protected:
  void SetUp() override {
    OutgoingTest::SetUp();
    ASSERT_EQ(m_.status(kAttach, {Machine::kD2.value, 1}), Status::kOk);
    ASSERT_EQ(m_.status(kAttach, {Machine::kD3.value, 1}), Status::kOk);
    m_.preserve_all();
    ASSERT_EQ(m_.status(kFreeze), Status::kOk);
    static_cast<void>(m_.platform.take_unit_log());
    m_.platform.units[0].descriptors.clear();
  }
};

TEST_F(CleaningTest, CutsOffTheUnpreservedAndInvalidatesGlobally) {
  const ctx::Entry kept = m_.iommu().unit(0).context().low(Machine::kD1);
  ASSERT_EQ(m_.status(kShutdown), Status::kOk);
  EXPECT_EQ(m_.iommu().unit(0).context().low(Machine::kD1), kept);
  EXPECT_EQ(m_.iommu().unit(0).context().low(Machine::kD2), ctx::Entry{});
  EXPECT_EQ(m_.iommu().unit(0).context().table(10), 0U);  // root entry of a bus with nothing preserved
  EXPECT_TRUE(m_.platform.bus_master(Machine::kD1));
  EXPECT_FALSE(m_.platform.bus_master(Machine::kD2));
  EXPECT_FALSE(m_.platform.bus_master(Machine::kD3));
  const auto& d = m_.platform.units[0].descriptors;
  ASSERT_EQ(d.size(), 4U);
  EXPECT_EQ(d[0].words[0], 0x11U);
  EXPECT_EQ(d[2].words[0], 0xD2U);
  EXPECT_THAT(m_.platform.take_unit_log(), ElementsAre("IQT <- 0x60", "IQT <- 0x80"));  // TE is not written
  EXPECT_EQ(m_.platform.units[0].te_drops, 0U);
}

TEST_F(CleaningTest, ClearsEntriesOfDevicesNobodyEnumerated) {
  Unit& unit = m_.iommu().unit(0);
  const SourceId alias = make_source_id(1, 31, 7);
  const PhysAddr at = unit.context().entry_at(alias);
  m_.platform.write64(at, unit.context().low(Machine::kD1).words[0]);
  m_.platform.write64(at + 8, unit.context().low(Machine::kD1).words[1]);
  ASSERT_EQ(m_.status(kShutdown), Status::kOk);
  EXPECT_EQ(unit.context().low(alias), ctx::Entry{});
}

TEST_F(CleaningTest, PlantedBugSkipsTheInvalidations) {
  m_.platform.deviate(platform::Deviation::kSkipCleanInvalidation);
  m_.boot(ImageLetter::kA);
  m_.set_up_device();
  m_.preserve_all();
  ASSERT_EQ(m_.status(kFreeze), Status::kOk);
  m_.platform.units[0].descriptors.clear();
  ASSERT_EQ(m_.status(kShutdown), Status::kOk);
  EXPECT_THAT(m_.platform.units[0].descriptors, IsEmpty());
}

TEST_F(OutgoingTest, UnitWithNothingPreservedIsSwitchedOff) {
  ASSERT_EQ(m_.status(kFreeze), Status::kOk);
  ASSERT_EQ(m_.status(kShutdown), Status::kOk);
  EXPECT_EQ(m_.platform.units[0].te_drops, 1U);
  EXPECT_FALSE(m_.platform.bus_master(Machine::kD1));
}

TEST_F(OutgoingTest, RecordsChainToASecondPage) {
  // One session record per session that ever had a file: fill the first page of session records.
  ASSERT_EQ(m_.status(kSessionOpen, {2}), Status::kOk);
  ASSERT_EQ(m_.status(kPreserveMemory, {2, 1, 1}), Status::kOk);
  ASSERT_EQ(m_.status(kAddMemory, {2, platform::kGuestBase + 0x100000, 0x1000}), Status::kOk);
  const std::uint64_t before = pages();
  for (std::uint64_t i = 1; i < abi::kCapacity<abi::Session>; ++i) {
    ASSERT_EQ(m_.status(kSessionOpen, {3}), Status::kOk);
    ASSERT_EQ(m_.status(kPreserveMemory, {3, 1, 2}), Status::kOk);
    ASSERT_EQ(m_.status(kSessionClose, {3}), Status::kOk);
  }
  ASSERT_EQ(m_.status(kSessionOpen, {3}), Status::kOk);
  ASSERT_EQ(m_.status(kPreserveMemory, {3, 1, 2}), Status::kOk);
  EXPECT_GE(pages(), before + 1 + 2 + 1);  // its memory, a second page for sessions and for memory files, its files
}

}  // namespace
}  // namespace vtd::fw::test
