// SPDX-License-Identifier: MIT
// The outgoing side over both table modes and over aliases: each failure leaves everything as it was, what is preserved
// cannot be changed, and what a preserved device needs is preserved until the last one that needs it is not.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "firmware/hal/lock.h"
#include "tests/firmware/fake_platform.h"
#include "tests/firmware/watch.h"

namespace vtd::fw::test {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using enum platform::Command;
using platform::FailPlace;
using platform::Query;
namespace endpoint = platform::endpoint;

struct Variant {
  const char* name;
  bool scalable;
  bool alias;
};

class PreserveTest : public ::testing::TestWithParam<Variant> {
 protected:
  static constexpr SourceId kD1 = Machine::kD1;
  static constexpr SourceId kD2 = Machine::kD2;
  static constexpr SourceId kD3 = Machine::kD3;
  static constexpr SourceId kBridge = make_source_id(9, 16, 0);  ///< devfn 0x80: an upper table
  Machine m_;

  void SetUp() override {
    if (GetParam().scalable) m_.make_scalable();
    if (GetParam().alias) m_.platform.endpoint(kD2).alias = endpoint::kSid.of(kBridge.value) | endpoint::kPresent.of(1);
    m_.boot(ImageLetter::kA);
    ASSERT_EQ(m_.status(kAddMemory, {1, platform::kGuestBase, 0x10000}), Status::kOk);
    ASSERT_EQ(m_.status(kAddMemory, {2, platform::kGuestBase + 0x10000, 0x10000}), Status::kOk);
    const std::uint64_t stage = GetParam().scalable ? 1 : 0;
    for (const std::uint64_t id : {1U, 2U, 3U}) {
      ASSERT_EQ(m_.status(kCreateDomain, {id, 4, id == 2 ? stage : 0}), Status::kOk);
      ASSERT_EQ(m_.status(kMap, {id, 0x1'0000'0000, 1, 0, 0x10000, 3, 1}), Status::kOk);
    }
    for (const auto& [sid, domain] : {std::pair{kD1, 1U}, {kD2, 2U}, {kD3, 3U}}) {
      ASSERT_EQ(m_.status(kAttach, {sid.value, domain}), Status::kOk);
      ASSERT_EQ(m_.status(kClaimOwner, {sid.value, 7}), Status::kOk);
    }
    ASSERT_EQ(m_.status(kMarkDomain, {1, 100}), Status::kOk);
    ASSERT_EQ(m_.status(kMarkDomain, {2, 200}), Status::kOk);
    ASSERT_EQ(m_.status(kSessionOpen, {1}), Status::kOk);
    static_cast<void>(m_.platform.take_unit_log());
  }
  Status preserve(platform::Command command, std::uint64_t token, std::uint64_t object) {
    return m_.status(command, {1, token, object});
  }
  void preserve_everything() {
    ASSERT_EQ(preserve(kPreserveMemory, 1, 1), Status::kOk);
    ASSERT_EQ(preserve(kPreserveIommufd, 2, 0), Status::kOk);
    ASSERT_EQ(preserve(kPreserveDevice, 3, kD1.value), Status::kOk);
    ASSERT_EQ(preserve(kPreserveDevice, 4, kD2.value), Status::kOk);
  }
  Unit& unit() { return m_.iommu().unit(0); }
  bool preserved(PhysAddr page) { return m_.live_update().outgoing().tracker().preserved(page); }
  /// Every count, record and page that a preserve may change.
  std::vector<std::uint64_t> everything() {
    std::vector<std::uint64_t> out{m_.iommu().allocator().free_pages(), m_.ask(Query::kUnitRecord),
                                   m_.ask(Query::kAllocator, 0, 1), m_.ask(Query::kFlb), m_.ask(Query::kLifecycle)};
    const Tracker& tracker = m_.live_update().outgoing().tracker();
    if (tracker.page() != 0) tracker.for_each(0, platform::kDramSize, [&](PhysAddr page) { out.push_back(page); });
    m_.iommu().for_each_device([&](const Device& d) {
      out.insert(out.end(), {d.record != 0 ? 1U : 0U, m_.iommu().entry_digest(d), d.owner.count});
    });
    m_.iommu().for_each_domain([&](const Domain& d) {
      out.insert(out.end(), {d.record, static_cast<std::uint64_t>(d.mutability), d.table.digest(), d.marked ? 1U : 0U});
    });
    m_.iommu().for_each_memory([&](const MemoryFile& f) { out.push_back(f.record); });
    if (unit().record != 0)
      for (const std::uint64_t word : hal::load<abi::Unit>(unit().record).context_tables) out.push_back(word);
    return out;
  }
};

TEST_P(PreserveTest, AFailureAtAnyTurnLeavesEverythingAsItWas) {
  struct Step {
    const char* what;
    platform::Command command;
    std::uint64_t token, object;
    std::vector<FailPlace> places;  ///< where it can fail
  };
  using enum FailPlace;
  const std::vector<std::uint64_t> start = everything();
  for (const Step& step :
       {Step{"first memory", kPreserveMemory, 1, 1, {kPreservePage, kAppendRecord, kAllocatePage}},
        {"second memory", kPreserveMemory, 2, 2, {kPreservePage, kAppendRecord}},
        {"iommufd", kPreserveIommufd, 3, 0, {kPreservePage, kAppendRecord, kAllocatePage}},
        {"D2", kPreserveDevice, 4, kD2.value, {kPreservePage, kAppendRecord, kVfioRecord, kPreserveUnit}},
        {"D1", kPreserveDevice, 5, kD1.value, {kAppendRecord, kVfioRecord}}}) {
    for (const FailPlace place : step.places) {
      const std::vector<std::uint64_t> before = everything();
      std::uint64_t turn = 1;
      for (;; ++turn) {
        ASSERT_LT(turn, 100U);
        m_.plan(place, turn);
        const Status s = preserve(step.command, step.token, step.object);
        m_.plan(kNone, 0);
        if (s == Status::kOk) break;
        EXPECT_TRUE(s == Status::kNoMemory || s == Status::kFault);
        ASSERT_EQ(everything(), before) << step.what << " place " << static_cast<int>(place) << " turn " << turn;
      }
      EXPECT_GT(turn, 1U) << step.what << " cannot fail at place " << static_cast<int>(place);
      ASSERT_EQ(m_.status(kUnpreserve, {1, step.token}), Status::kOk);
      ASSERT_EQ(everything(), before) << step.what << " unpreserved, place " << static_cast<int>(place);
    }
    ASSERT_EQ(preserve(step.command, step.token, step.object), Status::kOk) << step.what;
  }
  EXPECT_EQ(m_.ask(Query::kUnitRecord), 2U);
  ASSERT_EQ(m_.status(kSessionClose, {1}), Status::kOk);
  EXPECT_EQ(everything(), start);
  EXPECT_THAT(m_.platform.take_unit_log(), IsEmpty());  // no unit has noticed
}

TEST_P(PreserveTest, EveryPageThatAPreservedDeviceIsTranslatedByIsPreservedUntilTheLastOneGoes) {
  preserve_everything();
  const ContextMap& map = unit().context();
  const auto check = [&](SourceId sid, const Device& device, bool own, bool shared) {
    EXPECT_EQ(preserved(unit().root()), shared);
    EXPECT_EQ(preserved(align_down(map.entry_at(sid), kPageSize)), shared) << sid.value;
    unsigned pages = 0;
    if (device.pasids.exists())
      device.pasids.visit_pages([&](PhysAddr page) {
        EXPECT_EQ(preserved(page), own) << page;
        return ++pages != 0;
      });
    if (GetParam().scalable) {
      EXPECT_EQ(pages, sid == kD1 ? 33U : 2U);
    }
  };
  Device& d1 = *m_.iommu().device(kD1.value);
  Device& d2 = *m_.iommu().device(kD2.value);
  check(kD1, d1, true, true);
  check(kD2, d2, true, true);
  if (GetParam().alias) {
    EXPECT_TRUE(preserved(align_down(map.entry_at(kBridge), kPageSize)));
  }
  EXPECT_FALSE(preserved(align_down(map.entry_at(kD3), kPageSize)));
  ASSERT_EQ(m_.status(kUnpreserve, {1, 4}), Status::kOk);
  check(kD1, d1, true, true);
  check(kD2, d2, false, true);  // of its bus D1 needs the context table
  if (GetParam().alias) {
    EXPECT_FALSE(preserved(align_down(map.entry_at(kBridge), kPageSize)));
  }
  ASSERT_EQ(m_.status(kUnpreserve, {1, 3}), Status::kOk);
  check(kD1, d1, false, false);
}

TEST_P(PreserveTest, NothingPreservedCanBeChangedAndNothingIsTouchedByTheAttempt) {
  preserve_everything();
  const std::vector<std::uint64_t> before = everything();
  const std::size_t stores = m_.platform.writes128.size();
  struct Row {
    platform::Command command;
    std::initializer_list<std::uint64_t> args;
    Status status;
  };
  for (const Row& row : {Row{kDetach, {kD1.value}, Status::kBusy},
                         {kAttach, {kD1.value, 3}, Status::kBusy},
                         {kAttach, {kD1.value, 3, 5}, Status::kBusy},
                         {kAttach, {kD3.value, 1, 0}, Status::kBusy},
                         {kReplace, {kD1.value, 3}, Status::kBusy},
                         {kReplace, {kD3.value, 2}, Status::kBusy},
                         {kPassThrough, {kD2.value}, Status::kBusy},
                         {kReleaseOwner, {kD2.value, 7}, Status::kBusy},
                         {kMap, {2, 0x2000, 2, 0, 0x1000, 3, 1}, Status::kBusy},
                         {kUnmap, {2, 0x1'0000'0000, 0x1000}, Status::kBusy},
                         {kDestroyDomain, {2}, Status::kBusy},
                         {kMarkDomain, {3, 300}, Status::kBusy},
                         {kPreserveIommufd, {1, 9, 0}, Status::kBusy},
                         {kPreserveMemory, {1, 9, 1}, Status::kBusy},
                         {kPreserveDevice, {1, 9, kD1.value}, Status::kInvalid},
                         {kPreserveDevice, {1, 9, kD3.value}, Status::kInvalid},  // its domain is not preserved
                         {kPreserveDevice, {1, 3, kD3.value}, Status::kExists},
                         {kUnpreserve, {1, 2}, Status::kInvalid},  // not the newest
                         {kUnpreserve, {1, 77}, Status::kNoEntry},
                         {kSuspend, {}, Status::kBusy}}) {
    EXPECT_EQ(m_.status(row.command, row.args), row.status) << "command " << static_cast<int>(row.command);
    EXPECT_EQ(everything(), before) << "command " << static_cast<int>(row.command);
  }
  EXPECT_EQ(m_.platform.writes128.size(), stores);
  EXPECT_THAT(m_.platform.take_unit_log(), IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(Modes, PreserveTest,
                         ::testing::Values(Variant{"legacy", false, false}, Variant{"legacy_alias", false, true},
                                           Variant{"scalable", true, false}, Variant{"scalable_alias", true, true}),
                         [](const auto& info) { return info.param.name; });

// ---- what cannot be preserved ----------------------------------------------------------------------------------

TEST(PreserveRefusedTest, DevicesThatALiveUpdateCannotBringOverAreRefusedWithTheReason) {
  Machine m;
  m.make_scalable();
  m.platform.endpoint(Machine::kD3).id |= endpoint::kNonPci.of(1);
  const SourceId d4 = make_source_id(2, 1, 0);
  m.platform.add_endpoint(d4);
  m.boot(ImageLetter::kA);
  m.set_up_device();
  ASSERT_EQ(m.status(kCreateDomain, {2, 4}), Status::kOk);  // a parent that nobody marks
  ASSERT_EQ(m.status(kCreateDomain, {3, 4, 2, 2}), Status::kOk);
  ASSERT_EQ(m.status(kAttach, {Machine::kD1.value, 1, 70}), Status::kOk);
  ASSERT_EQ(m.status(kAttach, {Machine::kD2.value, 3}), Status::kOk);
  ASSERT_EQ(m.status(kAttach, {Machine::kD3.value, 1}), Status::kOk);
  ASSERT_EQ(m.status(kPassThrough, {d4.value}), Status::kOk);
  for (const SourceId sid : {Machine::kD2, Machine::kD3}) ASSERT_EQ(m.status(kClaimOwner, {sid.value, 7}), Status::kOk);
  EXPECT_EQ(m.status(kMarkDomain, {3, 9}), Status::kInvalid);  // nested
  ASSERT_EQ(m.status(kSessionOpen, {1}), Status::kOk);
  ASSERT_EQ(m.status(kPreserveMemory, {1, 1, 1}), Status::kOk);
  ASSERT_EQ(m.preserve_domain(1, 2, 1), Status::kOk);
  const std::uint64_t pages = m.ask(Query::kPreservedPages);
  for (const auto& [sid, status] : {std::pair{Machine::kD1, Status::kNotSupported},
                                    {Machine::kD2, Status::kNotSupported},
                                    {Machine::kD3, Status::kNotSupported},
                                    {d4, Status::kInvalid},
                                    {SourceId{0x0999}, Status::kNoEntry}}) {
    EXPECT_EQ(m.status(kPreserveDevice, {1, 3, sid.value}), status) << sid.value;
    EXPECT_EQ(m.ask(Query::kPreservedPages), pages) << sid.value;
  }
  ASSERT_EQ(m.status(kDetach, {Machine::kD1.value, 70}), Status::kOk);
  EXPECT_EQ(m.status(kPreserveDevice, {1, 3, Machine::kD1.value}), Status::kOk);
}

TEST(PreserveRefusedTest, AnIommufdIsPreservedOnceEvenWithoutMarkedDomains) {
  Machine m;
  m.boot(ImageLetter::kA);
  m.set_up_device();
  for (const std::uint64_t session : {1U, 2U}) ASSERT_EQ(m.status(kSessionOpen, {session}), Status::kOk);
  ASSERT_EQ(m.status(kPreserveIommufd, {1, 1}), Status::kOk);
  EXPECT_EQ(m.status(kMarkDomain, {1, 5}), Status::kBusy);  // what it brings over is settled
  EXPECT_EQ(m.status(kPreserveIommufd, {2, 1}), Status::kBusy);
  ASSERT_EQ(m.status(kSessionClose, {1}), Status::kOk);
  EXPECT_EQ(m.status(kMarkDomain, {1, 5}), Status::kOk);
}

TEST(PreserveRefusedTest, PreservedParentIsNotChangedByTheNestedDomainsOverIt) {
  Machine m;
  m.make_scalable();
  m.boot(ImageLetter::kA);
  m.set_up_device();
  ASSERT_EQ(m.status(kCreateDomain, {2, 4, 2, 1}), Status::kOk);
  ASSERT_EQ(m.status(kSessionOpen, {1}), Status::kOk);
  ASSERT_EQ(m.status(kPreserveMemory, {1, 1, 1}), Status::kOk);
  ASSERT_EQ(m.preserve_domain(1, 2, 1), Status::kOk);
  const std::uint64_t digest = m.ask(Query::kDomainTables, 1, 1);
  EXPECT_EQ(m.status(kAttach, {Machine::kD2.value, 2}), Status::kBusy);
  EXPECT_EQ(m.ask(Query::kDomainTables, 1, 1), digest);
  EXPECT_FALSE(m.iommu().domain(2)->in_use());
  EXPECT_EQ(m.status(kCreateDomain, {3, 4, 2, 1}), Status::kInvalid);
}

// ---- locks -----------------------------------------------------------------------------------------------------

TEST(LockTest, WhatMaySleepStopsTheImageWhileASpinlockIsHeldAndOnlyThen) {
  FakePlatform platform;
  EXPECT_NO_THROW(might_sleep("nothing"));
  {
    const SpinLock outer;
    {
      const SpinLock inner;
      EXPECT_TRUE(SpinLock::held());
    }
    EXPECT_TRUE(SpinLock::held());
    EXPECT_THROW(might_sleep("locking a mutex"), Stopped);
    EXPECT_THAT(platform.console(),
                ::testing::Contains(HasSubstr("locking a mutex may sleep, and a spinlock is held")));
  }
  EXPECT_FALSE(SpinLock::held());
  EXPECT_NO_THROW(might_sleep("nothing"));
}

TEST(LockTest, PlantedBugsOfTheFirstFormSleepUnderALock) {
  struct Row {
    platform::Deviation bug;
    platform::Command command;
    std::uint64_t token, object;
    const char* said;
  };
  for (const Row& row : {Row{platform::Deviation::kMutexUnderLock, kPreserveIommufd, 2, 0, "locking a page table"},
                         Row{platform::Deviation::kMarkUnderLock, kPreserveDevice, 3, 0x0108, "preserving a page"}}) {
    Machine m;
    m.boot(ImageLetter::kA);
    m.set_up_device();
    ASSERT_EQ(m.status(kMarkDomain, {1, 5}), Status::kOk);
    ASSERT_EQ(m.status(kSessionOpen, {1}), Status::kOk);
    ASSERT_EQ(m.status(kPreserveMemory, {1, 1, 1}), Status::kOk);
    if (row.command == kPreserveDevice) {
      ASSERT_EQ(m.status(kPreserveIommufd, {1, 2}), Status::kOk);
    }
    m.platform.deviate(row.bug);
    EXPECT_THROW(static_cast<void>(m.status(row.command, {1, row.token, row.object})), Stopped) << row.said;
    EXPECT_THAT(m.platform.console(), ::testing::Contains(HasSubstr(row.said)));
    EXPECT_FALSE(SpinLock::held());
  }
}

}  // namespace
}  // namespace vtd::fw::test
