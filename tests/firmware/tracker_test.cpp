// SPDX-License-Identifier: MIT
// The preserved-page tracker over memory of every size: a leaf for each 128 MiB, all of them preserved themselves.
#include <gtest/gtest.h>

#include <vector>

#include "firmware/liveupdate/tracker.h"
#include "tests/firmware/fake_platform.h"

namespace vtd::fw::test {
namespace {

namespace tree = platform::tracker;
using platform::kDramMax;

class TrackerTest : public ::testing::TestWithParam<std::uint64_t> {
 protected:
  TrackerTest() {
    platform_.reset_registers[platform::reset::kMemorySize / 8] = memory();
    hal::discover_memory();
  }
  // Other tests of the program have memory of the usual size.
  ~TrackerTest() override {
    platform_.reset_registers[platform::reset::kMemorySize / 8] = platform::kDramSize;
    hal::discover_memory();
  }
  static std::uint64_t memory() { return GetParam(); }
  static std::uint64_t own_pages() { return 1 + memory() / tree::kLeafSpan; }

  FakePlatform platform_;
  PageAllocator allocator_;
  Tracker tracker_;
};
INSTANTIATE_TEST_SUITE_P(Memory, TrackerTest, ::testing::Values(platform::kDramSize, 0x4000'0000, kDramMax));

TEST_P(TrackerTest, HasALeafForEveryPartAndPreservesItsOwnPages) {
  const std::uint64_t before = allocator_.free_pages();
  ASSERT_EQ(tracker_.create(allocator_), Status::kOk);
  EXPECT_EQ(before - allocator_.free_pages(), own_pages());
  EXPECT_EQ(tracker_.count(), own_pages());
  EXPECT_TRUE(tracker_.preserved(tracker_.page()));
  for (PhysAddr at = 0; at < memory(); at += tree::kLeafSpan)
    EXPECT_TRUE(tracker_.preserved(platform_.read64(tree::leaf_entry(tracker_.page(), at)))) << std::hex << at;
  tracker_.destroy(allocator_);
  EXPECT_EQ(allocator_.free_pages(), before);
  EXPECT_FALSE(tracker_.preserved(platform::kGuestBase)) << "there is no tree any more";
}

TEST_P(TrackerTest, MemoryEndsWhereTheRegisterSays) {
  ASSERT_EQ(tracker_.create(allocator_), Status::kOk);
  EXPECT_EQ(tracker_.preserve(memory() - kPageSize), Status::kOk);
  EXPECT_EQ(tracker_.preserve(memory()), Status::kInvalid);
  EXPECT_EQ(tracker_.preserve(memory() - 2 * kPageSize, 3 * kPageSize), Status::kInvalid);
  EXPECT_FALSE(tracker_.preserved(memory()));
  EXPECT_EQ(tracker_.count(), own_pages() + 1);
}

TEST_P(TrackerTest, RangeOverEveryLeafIsMarkedOnceAndTakenBackOnce) {
  ASSERT_EQ(tracker_.create(allocator_), Status::kOk);
  const PhysAddr base = platform::kGuestBase;
  const std::uint64_t bytes = memory() - base;
  ASSERT_EQ(tracker_.preserve(base, bytes), Status::kOk);
  EXPECT_EQ(tracker_.count(), own_pages() + bytes / kPageSize);
  EXPECT_EQ(tracker_.preserve(memory() - kPageSize), Status::kExists);
  Tracker incoming(tracker_.page());
  EXPECT_TRUE(incoming.well_formed());
  EXPECT_TRUE(incoming.reclaim(base, bytes));
  EXPECT_FALSE(incoming.reclaim(base, bytes)) << "once only";
  EXPECT_EQ(incoming.reclaimed(), bytes / kPageSize);
  EXPECT_EQ(incoming.count(), own_pages());
}

TEST_P(TrackerTest, RangeOfWhichOnePageIsTakenIsRefusedWhole) {
  ASSERT_EQ(tracker_.create(allocator_), Status::kOk);
  const PhysAddr taken = memory() - kPageSize;
  ASSERT_EQ(tracker_.preserve(taken), Status::kOk);
  EXPECT_EQ(tracker_.preserve(platform::kGuestBase, memory() - platform::kGuestBase), Status::kExists);
  EXPECT_EQ(tracker_.count(), own_pages() + 1);
}

TEST_P(TrackerTest, NoMemoryForALeafGivesTheOthersBack) {
  std::vector<PhysAddr> taken;
  while (allocator_.free_pages() > own_pages() - 1) taken.push_back(allocator_.allocate());
  EXPECT_EQ(tracker_.create(allocator_), Status::kNoMemory);
  EXPECT_EQ(allocator_.free_pages(), own_pages() - 1);
  allocator_.release(taken.back());
  EXPECT_EQ(tracker_.create(allocator_), Status::kOk);
}

TEST_P(TrackerTest, TreeOfAnotherImageMayLackLeavesButNotPointAnywhere) {
  ASSERT_EQ(tracker_.create(allocator_), Status::kOk);
  const PhysAddr last = memory() - kPageSize;
  const PhysAddr entry = tree::leaf_entry(tracker_.page(), last);
  ASSERT_EQ(tracker_.preserve(last), Status::kOk);
  platform_.write64(entry, 0);
  Tracker incoming(tracker_.page());
  EXPECT_TRUE(incoming.well_formed());
  EXPECT_FALSE(incoming.preserved(last)) << "no leaf, nothing preserved";
  platform_.write64(entry, memory());
  EXPECT_FALSE(incoming.well_formed());
  platform_.write64(entry, platform::kGuestBase + 8);
  EXPECT_FALSE(incoming.well_formed());
}

}  // namespace
}  // namespace vtd::fw::test
