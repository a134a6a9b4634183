// SPDX-License-Identifier: MIT
// Allocator, page tables, domain ids, attachments and owners.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/firmware/fake_platform.h"

namespace vtd::fw::test {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using enum platform::Command;

TEST(PageAllocator, GivesZeroedPagesLowestFirstAndSkipsHeldOnes) {
  FakePlatform platform;
  PageAllocator allocator;
  platform.write64(platform::kHeapBase + 8, 0xDEAD);
  allocator.hold(platform::kHeapBase + kPageSize);
  EXPECT_EQ(allocator.allocate(), platform::kHeapBase);
  EXPECT_EQ(platform.read64(platform::kHeapBase + 8), 0U);
  EXPECT_EQ(allocator.allocate(), platform::kHeapBase + 2 * kPageSize);
  allocator.release(platform::kHeapBase);
  EXPECT_EQ(allocator.allocate(), platform::kHeapBase);
  EXPECT_EQ(allocator.free_pages(), PageAllocator::kCommonPages - 3);
  allocator.release(platform::kGuestBase);  // not ours: ignored
  EXPECT_EQ(allocator.free_pages(), PageAllocator::kCommonPages - 3);
}

TEST(PageAllocator, RunsOut) {
  FakePlatform platform;
  PageAllocator allocator;
  for (PhysAddr page = platform::kHeapBase; page < platform::kHeapBase + platform::kHeapSize; page += kPageSize)
    allocator.hold(page);
  EXPECT_EQ(allocator.allocate(), 0U);
  allocator.release(platform::kHeapBase + 77 * kPageSize);
  EXPECT_EQ(allocator.allocate(), platform::kHeapBase + 77 * kPageSize);
}

class PageTableTest : public ::testing::TestWithParam<unsigned> {
 protected:
  FakePlatform platform_;
  PageAllocator allocator_;
  PageTable table_{allocator_.allocate(), GetParam(), Stage::kSecond};
  static constexpr PhysAddr kTarget = platform::kGuestBase;

  Status map(Iova iova, std::uint64_t size, unsigned max_level, PhysAddr target = kTarget, Rights r = {true, true}) {
    return table_.map({iova, target, size, r, max_level}, allocator_);
  }
};

TEST_P(PageTableTest, OneLeafHasOneTableALevel) {
  ASSERT_EQ(map(0x4000'5000, 0x1000, 1), Status::kOk);
  EXPECT_EQ(table_.table_pages(), GetParam());
  const auto leaf = table_.lookup(0x4000'5FFF);
  ASSERT_TRUE(leaf);
  EXPECT_EQ(leaf->page, kTarget);
  EXPECT_EQ(leaf->level, 1U);
  EXPECT_FALSE(table_.lookup(0x4000'6000));
  const PhysAddr top_entry = entry_address(table_.top(), 0x4000'5000, GetParam());
  EXPECT_EQ(platform_.read64(top_entry) & 0xFFF, 3U);  // R, W, no PS
}

TEST_P(PageTableTest, LargestLeavesThatFit) {
  ASSERT_EQ(map(0x1FF000, 0x402000, 3, kTarget + 0x1FF000), Status::kOk);  // 4K, 2M, 2M, 4K
  EXPECT_EQ(table_.lookup(0x1FF000)->level, 1U);
  EXPECT_EQ(table_.lookup(0x200000)->level, 2U);
  EXPECT_EQ(table_.lookup(0x5FFFFF)->level, 2U);
  EXPECT_EQ(table_.lookup(0x600000)->level, 1U);
  ASSERT_EQ(table_.map({level_size(3), 0, level_size(3), {true, false}, 3}, allocator_), Status::kOk);
  EXPECT_EQ(table_.lookup(level_size(3) + 5)->level, 3U);
  const PhysAddr entry = table_.lookup(level_size(3))->page;
  EXPECT_EQ(entry, 0U);
}

TEST_P(PageTableTest, RightsArePerLeaf) {
  ASSERT_EQ(map(0x1000, 0x1000, 1, kTarget, {true, false}), Status::kOk);
  ASSERT_EQ(map(0x2000, 0x1000, 1, kTarget, {false, true}), Status::kOk);
  std::vector<std::uint64_t> low_bits;
  table_.visit([](PhysAddr, unsigned) { return true; },
               [&](const Leaf& leaf) {
                 PhysAddr at = table_.top();
                 for (unsigned level = GetParam(); level > 1; --level)
                   at = platform_.read64(entry_address(at, leaf.iova, level)) & ~std::uint64_t{0xFFF};
                 low_bits.push_back(platform_.read64(entry_address(at, leaf.iova, 1)) & 7);
                 return true;
               });
  EXPECT_THAT(low_bits, ElementsAre(1U, 2U));
  EXPECT_EQ(map(0x3000, 0x1000, 1, kTarget, {false, false}), Status::kInvalid);
}

TEST_P(PageTableTest, RefusesWrongRangesAndOverlap) {
  EXPECT_EQ(map(0x1001, 0x1000, 1), Status::kInvalid);
  EXPECT_EQ(map(0x1000, 0, 1), Status::kInvalid);
  EXPECT_EQ(map(0x1000, 0x1000, 1, kTarget + 1), Status::kInvalid);
  EXPECT_EQ(map(std::uint64_t{1} << table_.width(), 0x1000, 1), Status::kInvalid);
  EXPECT_EQ(map((std::uint64_t{1} << table_.width()) - 0x1000, 0x2000, 1), Status::kInvalid);
  EXPECT_EQ(map((std::uint64_t{1} << table_.width()) - 0x1000, 0x1000, 1), Status::kOk);
  ASSERT_EQ(map(0x200000, 0x200000, 2), Status::kOk);
  const std::uint64_t before = table_.digest();
  EXPECT_EQ(map(0x1FF000, 0x2000, 1), Status::kExists);
  EXPECT_EQ(map(0x300000, 0x1000, 1), Status::kExists);
  EXPECT_EQ(table_.digest(), before);
}

TEST_P(PageTableTest, UnmapCountsBytesAndNeverSplits) {
  ASSERT_EQ(map(0x200000, 0x200000, 2), Status::kOk);
  ASSERT_EQ(map(0x1000, 0x1000, 1), Status::kOk);
  EXPECT_FALSE(table_.mapped_bytes(0x200000, 0x1000));
  EXPECT_FALSE(table_.mapped_bytes(0x3FF000, 0x2000));
  EXPECT_EQ(table_.mapped_bytes(0, 0x400000), 0x201000U);
  table_.unmap(0, 0x400000);
  EXPECT_EQ(table_.mapped_bytes(0, 0x400000), 0U);
  EXPECT_FALSE(table_.lookup(0x200000));
  EXPECT_FALSE(table_.lookup(0x1000));
}

TEST_P(PageTableTest, SmallLeavesGoWhereALowerTableStands) {
  ASSERT_EQ(map(0x200000, 0x1000, 1), Status::kOk);
  table_.unmap(0x200000, 0x1000);
  ASSERT_EQ(map(0x200000, 0x200000, 2), Status::kOk);
  EXPECT_EQ(table_.lookup(0x200000)->level, 1U);
  EXPECT_EQ(table_.mapped_bytes(0x200000, 0x200000), 0x200000U);
}

TEST_P(PageTableTest, OutOfMemoryLeavesNothingMapped) {
  ASSERT_EQ(map(0x1000, 0x1000, 1), Status::kOk);
  while (allocator_.free_pages() > 0) ASSERT_NE(allocator_.allocate(), 0U);
  EXPECT_EQ(map(0x1FF000, 0x2000, 1), Status::kNoMemory);  // second page needs a table
  EXPECT_EQ(table_.mapped_bytes(0, 0x400000), 0x1000U);
}

TEST_P(PageTableTest, DigestIgnoresAccessedAndDirty) {
  ASSERT_EQ(map(0x1000, 0x1000, 1), Status::kOk);
  const std::uint64_t before = table_.digest();
  const PhysAddr at = entry_address(table_.top(), 0x1000, GetParam());
  platform_.write64(at, platform_.read64(at) | ss::kA.mask() | ss::kD.mask());
  EXPECT_EQ(table_.digest(), before);
  platform_.write64(at, platform_.read64(at) & ~ss::kW.mask());
  EXPECT_NE(table_.digest(), before);
}

TEST_P(PageTableTest, FreeGivesEveryPageBackOnce) {
  const std::uint64_t free_before = allocator_.free_pages();
  ASSERT_EQ(map(0x1000, 0x1000, 1), Status::kOk);
  ASSERT_EQ(map(0x4000'0000, 0x201000, 1), Status::kOk);
  EXPECT_LT(allocator_.free_pages(), free_before);
  table_.free_tables(allocator_);
  EXPECT_EQ(allocator_.free_pages(), free_before + 1);  // the top page too
}

INSTANTIATE_TEST_SUITE_P(Levels, PageTableTest, ::testing::Values(3U, 4U, 5U));

TEST(DomainIds, BoundsHoldForAllocationAndReservation) {
  DomainIds ids;
  ids.configure(16);
  EXPECT_EQ(ids.reserve(0), Status::kInvalid);
  EXPECT_EQ(ids.reserve(1), Status::kInvalid);
  EXPECT_EQ(ids.reserve(16), Status::kInvalid);
  EXPECT_EQ(ids.reserve(0xFFFF'FFFF), Status::kInvalid);
  EXPECT_EQ(ids.reserve(0x1'0000'0002), Status::kInvalid);  // not cut to 16 bits
  EXPECT_EQ(ids.reserve(2), Status::kOk);
  EXPECT_EQ(ids.reserve(2), Status::kExists);
  for (unsigned want = 3; want < 16; ++want) {
    const auto did = ids.allocate();
    ASSERT_TRUE(did);
    EXPECT_EQ(did->value, want);
  }
  EXPECT_FALSE(ids.allocate());
  ids.release(DomainId{9});
  EXPECT_EQ(ids.allocate()->value, 9U);
}

class MachineTest : public ::testing::Test {
 protected:
  Machine m_;
  void SetUp() override {
    m_.boot(ImageLetter::kA);
    m_.set_up_device();
  }
};

TEST_F(MachineTest, ColdBootOrder) {
  Machine m;
  m.boot(ImageLetter::kA);
  EXPECT_THAT(m.platform.take_unit_log(),
              ElementsAre("VER", "CAP", "ECAP", "GSTS", "IQT <- 0x0", "IQA <- 0x2001000", "GCMD <- 0x4000000", "GSTS",
                          "RTADDR <- 0x2000000", "GCMD <- 0x44000000", "GSTS", "IQT <- 0x20", "IQT <- 0x40",
                          "GCMD <- 0x84000000", "GSTS"));
  EXPECT_EQ(m.ask(platform::Query::kLifecycle), static_cast<std::uint64_t>(platform::LifecycleState::kNormal));
  EXPECT_EQ(m.ask(platform::Query::kLifecycle, 0, 2), std::uint64_t{'A'});
}

TEST_F(MachineTest, TranslationLeftOnWithoutImageIsSwitchedOffFirst) {
  Machine m;
  m.platform.units[0].registers[info(RegId::kGSTS).offset] = gsts::kTES.mask() | gsts::kQIES.mask();
  m.boot(ImageLetter::kA);
  const auto log = m.platform.take_unit_log();
  EXPECT_EQ(log[4], "GCMD <- 0x4000000");
  EXPECT_EQ(m.platform.units[0].te_drops, 1U);
}

TEST_F(MachineTest, AttachWritesTheEntryInOneAccessAndInvalidatesNothingWithoutCachingMode) {
  static_cast<void>(m_.platform.take_unit_log());
  m_.platform.writes128.clear();
  const auto reply = m_.run(kAttach, {Machine::kD2.value, 1});
  EXPECT_EQ(reply.status, Status::kOk);
  EXPECT_EQ(reply.results[0], 2U);  // the domain's id, shared
  ASSERT_EQ(m_.platform.writes128.size(), 1U);
  const auto& w = m_.platform.writes128[0];
  const PhysAddr top = m_.iommu().domain(1)->table.top();
  EXPECT_EQ(w.low, top | 1);
  EXPECT_EQ(w.high, 0x202U);  // DID 2, AW 4 levels
  EXPECT_THAT(m_.platform.take_unit_log(), IsEmpty());
  EXPECT_EQ(m_.ask(platform::Query::kDidUseCount, 2), 2U);
  EXPECT_EQ(m_.ask(platform::Query::kDidUseCount, 2, 1), 1U);
}

TEST_F(MachineTest, CachingModeInvalidatesWhatMayBeCachedNotPresent) {
  m_.platform.units[0].profile.caching_mode = true;
  m_.boot(ImageLetter::kA);
  m_.set_up_device();
  auto& executed = m_.platform.units[0].descriptors;
  executed.clear();
  ASSERT_EQ(m_.status(kAttach, {Machine::kD2.value, 1}), Status::kOk);
  ASSERT_EQ(executed.size(), 4U);
  EXPECT_EQ(executed[0].words[0], 0x0110'0000'0031U);        // context cache, device, domain id 0
  EXPECT_EQ(executed[2].words[0] & 0xFFFF'003F, 0x2'0022U);  // IOTLB, domain 2
  executed.clear();
  ASSERT_EQ(m_.status(kMap, {1, 0x100000, 1, 0, 0x1000, 1, 1}), Status::kOk);
  EXPECT_EQ(executed.size(), 2U);
}

TEST_F(MachineTest, DetachClearsThenInvalidatesThenFreesTheId) {
  static_cast<void>(m_.platform.take_unit_log());
  auto& executed = m_.platform.units[0].descriptors;
  executed.clear();
  ASSERT_EQ(m_.status(kDetach, {Machine::kD1.value}), Status::kOk);
  EXPECT_EQ(m_.platform.writes128.back().low, 0U);
  ASSERT_EQ(executed.size(), 4U);
  EXPECT_EQ(executed[0].words[0], 0x0108'0002'0031U);  // context cache, device 0108, domain 2
  EXPECT_EQ(executed[2].words[0], 0x2'00E2U);          // IOTLB, domain 2, both drains
  EXPECT_EQ(m_.ask(platform::Query::kDidUseCount, 2, 1), 0U);
  EXPECT_EQ(m_.status(kDetach, {Machine::kD1.value}), Status::kInvalid);
}

TEST_F(MachineTest, UnmapInvalidatesThePagesAfterTheEntriesAreGone) {
  auto& executed = m_.platform.units[0].descriptors;
  executed.clear();
  const auto reply = m_.run(kUnmap, {1, 0x12000, 0x2000});
  EXPECT_EQ(reply.status, Status::kOk);
  EXPECT_EQ(reply.results[0], 0x2000U);
  ASSERT_EQ(executed.size(), 2U);
  EXPECT_EQ(executed[0].words[0], 0x2'00F2U);
  EXPECT_EQ(executed[0].words[1], 0x12001U);
  m_.platform.deviate(platform::Deviation::kSkipUnmapInvalidation);
  executed.clear();
  EXPECT_EQ(m_.status(kUnmap, {1, 0x14000, 0x1000}), Status::kOk);
  EXPECT_THAT(executed, IsEmpty());
}

TEST_F(MachineTest, PassThroughUsesIdOneAndTheLargestWidth) {
  ASSERT_EQ(m_.status(kPassThrough, {Machine::kD2.value}), Status::kOk);
  const auto& w = m_.platform.writes128.back();
  EXPECT_EQ(w.low, 0x9U);
  EXPECT_EQ(w.high, 0x103U);
  EXPECT_EQ(m_.status(kClaimOwner, {Machine::kD2.value, 5}), Status::kBusy);
  EXPECT_EQ(m_.status(kPassThrough, {Machine::kD1.value}), Status::kBusy);
}

TEST_F(MachineTest, OwnersAreCountedAndExclusive) {
  EXPECT_EQ(m_.status(kClaimOwner, {Machine::kD2.value, 0}), Status::kInvalid);
  EXPECT_EQ(m_.status(kClaimOwner, {Machine::kD1.value, 0x78}), Status::kPerm);
  EXPECT_EQ(m_.status(kClaimOwner, {Machine::kD1.value, 0x77}), Status::kOk);
  EXPECT_EQ(m_.ask(platform::Query::kDeviceOwner, Machine::kD1.value, 1), 2U);
  EXPECT_EQ(m_.status(kReleaseOwner, {Machine::kD1.value, 0x78}), Status::kPerm);
  EXPECT_EQ(m_.status(kReleaseOwner, {Machine::kD1.value, 0x77}), Status::kOk);
  EXPECT_EQ(m_.status(kReleaseOwner, {Machine::kD1.value, 0x77}), Status::kOk);
  EXPECT_EQ(m_.ask(platform::Query::kDeviceOwner, Machine::kD1.value), 0U);
  EXPECT_EQ(m_.status(kReleaseOwner, {Machine::kD1.value, 0x77}), Status::kInvalid);
}

TEST_F(MachineTest, ArgumentsAreChecked) {
  EXPECT_EQ(m_.status(kAddMemory, {1, platform::kGuestBase, 0x1000}), Status::kExists);
  EXPECT_EQ(m_.status(kAddMemory, {2, platform::kGuestBase + 0x8000, 0x1000}), Status::kAddrInUse);
  EXPECT_EQ(m_.status(kAddMemory, {2, platform::kHeapBase, 0x1000}), Status::kInvalid);
  EXPECT_EQ(m_.status(kAddMemory, {2, platform::kGuestBase + 0x10000, platform::kDramSize}), Status::kInvalid);
  EXPECT_EQ(m_.status(kCreateDomain, {1, 4}), Status::kExists);
  EXPECT_EQ(m_.status(kCreateDomain, {2, 6}), Status::kInvalid);
  EXPECT_EQ(m_.status(kMap, {9, 0x1000, 1, 0, 0x1000, 3, 1}), Status::kNoEntry);
  EXPECT_EQ(m_.status(kMap, {1, 0x80000, 1, 0xF000, 0x2000, 3, 1}), Status::kInvalid);
  EXPECT_EQ(m_.status(kMap, {1, 0x80000, 1, ~0xFFFULL, 0x2000, 3, 1}), Status::kInvalid);
  EXPECT_EQ(m_.status(kMap, {1, 0x80000, 1, 0, 0x1000, 4, 1}), Status::kInvalid);
  EXPECT_EQ(m_.status(kAttach, {Machine::kD1.value, 1}), Status::kBusy);
  EXPECT_EQ(m_.status(kAttach, {0xFFFF, 1}), Status::kNoEntry);
  EXPECT_EQ(m_.status(static_cast<platform::Command>(99)), Status::kNotSupported);
  EXPECT_EQ(m_.run(kQuery, {99}).status, Status::kNotSupported);
}

TEST_F(MachineTest, TablesTheUnitCannotWalkAreRefused) {
  m_.platform.units[0].profile.levels5 = false;
  m_.boot(ImageLetter::kA);
  ASSERT_EQ(m_.status(kCreateDomain, {1, 5}), Status::kOk);
  EXPECT_EQ(m_.status(kAttach, {Machine::kD1.value, 1}), Status::kNotSupported);
}

}  // namespace
}  // namespace vtd::fw::test
