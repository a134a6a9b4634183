// SPDX-License-Identifier: MIT
// Order of register accesses of the unit driver, access by access.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "firmware/vtd/fault_log.h"
#include "firmware/vtd/unit_driver.h"
#include "tests/firmware/fake_platform.h"

namespace vtd::fw::test {
namespace {

using ::testing::ElementsAre;
constexpr PhysAddr kRing = platform::kHeapBase;
constexpr PhysAddr kStatus = platform::kHeapBase + kPageSize;

class UnitDriverTest : public ::testing::Test {
 protected:
  FakePlatform platform_;
  UnitDriver driver_;

  void discover(std::uint64_t gsts = 0) {
    platform_.units[0].registers[info(RegId::kGSTS).offset] = gsts;
    ASSERT_TRUE(driver_.discover(platform::kUnitBase));
    static_cast<void>(platform_.take_unit_log());
  }
};

TEST_F(UnitDriverTest, DiscoveryOnlyReads) {
  ASSERT_TRUE(driver_.discover(platform::kUnitBase));
  EXPECT_THAT(platform_.take_unit_log(), ElementsAre("VER", "CAP", "ECAP", "GSTS"));
  EXPECT_EQ(driver_.cap(), cap_value(Profile{}));
}

TEST_F(UnitDriverTest, QueueIsProgrammedBeforeItIsEnabled) {
  discover();
  ASSERT_EQ(driver_.enable_queue(kRing, kStatus, DescriptorWidth::k128), Status::kOk);
  EXPECT_THAT(platform_.take_unit_log(), ElementsAre("IQT <- 0x0", "IQA <- 0x2000000", "GCMD <- 0x4000000", "GSTS"));
}

TEST_F(UnitDriverTest, RootPointerIsFollowedByBothGlobalInvalidations) {
  discover();
  ASSERT_EQ(driver_.enable_queue(kRing, kStatus, DescriptorWidth::k128), Status::kOk);
  static_cast<void>(platform_.take_unit_log());
  ASSERT_EQ(driver_.set_root(0x2005000, TableMode::kLegacy), Status::kOk);
  EXPECT_THAT(platform_.take_unit_log(),
              ElementsAre("RTADDR <- 0x2005000", "GCMD <- 0x44000000", "GSTS", "IQT <- 0x20", "IQT <- 0x40"));
  const auto& d = platform_.units[0].descriptors;
  ASSERT_EQ(d.size(), 4U);
  EXPECT_EQ(d[0].words[0], 0x11U);         // context cache, global
  EXPECT_EQ(d[1].words[0] & 0x3F, 0x25U);  // wait with status write
  EXPECT_EQ(d[2].words[0], 0xD2U);         // IOTLB, global, drain reads and writes
  EXPECT_EQ(d[3].words[1], kStatus);
}

TEST_F(UnitDriverTest, HitlessRootNeedsNoInvalidation) {
  platform_.units[0].profile.hitless_root = true;
  discover();
  ASSERT_EQ(driver_.set_root(0x2005000, TableMode::kLegacy), Status::kOk);
  EXPECT_THAT(platform_.take_unit_log(), ElementsAre("RTADDR <- 0x2005000", "GCMD <- 0x40000000", "GSTS"));
}

TEST_F(UnitDriverTest, ShadowFromStatusKeepsTranslationOn) {
  discover(gsts::kTES.mask() | gsts::kQIES.mask() | gsts::kRTPS.mask());
  EXPECT_TRUE(driver_.translating());
  ASSERT_EQ(driver_.disable_queue(), Status::kOk);
  ASSERT_EQ(driver_.enable_queue(kRing, kStatus, DescriptorWidth::k128), Status::kOk);
  ASSERT_EQ(driver_.set_root(0x2005000, TableMode::kLegacy), Status::kOk);
  ASSERT_EQ(driver_.enable_translation(), Status::kOk);
  EXPECT_THAT(platform_.take_unit_log(),
              ElementsAre("IQH", "IQT", "GCMD <- 0x80000000", "GSTS", "IQT <- 0x0", "IQA <- 0x2000000",
                          "GCMD <- 0x84000000", "GSTS", "RTADDR <- 0x2005000", "GCMD <- 0xc4000000", "GSTS",
                          "IQT <- 0x20", "IQT <- 0x40", "GCMD <- 0x84000000", "GSTS"));
  EXPECT_EQ(platform_.units[0].te_drops, 0U);
}

TEST_F(UnitDriverTest, QueueWithUndoneDescriptorsIsNotDisabled) {
  discover(gsts::kQIES.mask());
  platform_.units[0].registers[info(RegId::kIQT).offset] = 0x20;
  EXPECT_EQ(driver_.disable_queue(), Status::kBusy);
  EXPECT_EQ(platform_.unit_writes(), 0U);
}

TEST_F(UnitDriverTest, StuckQueueTimesOutWithinItsBudget) {
  discover();
  ASSERT_EQ(driver_.enable_queue(kRing, kStatus, DescriptorWidth::k128), Status::kOk);
  platform_.units[0].stuck = true;
  const std::uint64_t start = platform_.clock;
  EXPECT_EQ(driver_.invalidate(ContextInvalidation{}), Status::kTimeout);
  EXPECT_GE(platform_.clock - start, hal::kPollBudget);
  EXPECT_LT(platform_.clock - start, hal::kPollBudget + hal::kPollBudget / 10);
}

TEST_F(UnitDriverTest, UnitSlowByTenMillisecondsFinishes) {
  discover();
  ASSERT_EQ(driver_.enable_queue(kRing, kStatus, DescriptorWidth::k128), Status::kOk);
  platform_.units[0].stuck = true;
  platform_.units[0].stuck_until = platform_.clock + 10'000'000;
  EXPECT_EQ(driver_.invalidate(ContextInvalidation{}), Status::kOk);
  EXPECT_GE(platform_.clock, 10'000'000U);
  EXPECT_LT(platform_.clock, 11'000'000U);
}

TEST_F(UnitDriverTest, QueueErrorIsReportedAtOnce) {
  discover();
  ASSERT_EQ(driver_.enable_queue(kRing, kStatus, DescriptorWidth::k128), Status::kOk);
  platform_.units[0].stuck = true;
  platform_.units[0].registers[info(RegId::kFSTS).offset] = fsts::kIQE.mask();
  const std::uint64_t start = platform_.clock;
  EXPECT_EQ(driver_.invalidate(ContextInvalidation{}), Status::kFault);
  EXPECT_LT(platform_.clock - start, 100 * hal::kMicrosecond);
}

TEST_F(UnitDriverTest, WithoutQueueTheRegistersAreUsed) {
  platform_.units[0].profile.queued_invalidation = false;
  discover();
  ASSERT_EQ(driver_.enable_queue(kRing, kStatus, DescriptorWidth::k128), Status::kOk);
  ASSERT_EQ(driver_.invalidate(ContextInvalidation{ContextGranularity::kDevice, DomainId{5}, SourceId{0x108}}),
            Status::kOk);
  ASSERT_EQ(driver_.invalidate(IotlbInvalidation{IotlbGranularity::kPage, DomainId{5}, 0x20000, 3}), Status::kOk);
  EXPECT_THAT(platform_.take_unit_log(), ElementsAre("CCMD <- 0xe000000001080005", "CCMD", "IVA <- 0x20003",
                                                     "IOTLB <- 0xb003000500000000", "IOTLB"));
}

TEST_F(UnitDriverTest, RingWrapsAround) {
  discover();
  ASSERT_EQ(driver_.enable_queue(kRing, kStatus, DescriptorWidth::k128), Status::kOk);
  for (unsigned i = 0; i < 256; ++i) ASSERT_EQ(driver_.invalidate(ContextInvalidation{}), Status::kOk);
  EXPECT_EQ(platform_.units[0].descriptors.size(), 2U * 256);
}

TEST(Covering, SmallestBlockOrDomain) {
  const std::uint64_t cap = cap_value(Profile{});
  const DomainId did{7};
  EXPECT_EQ(covering(did, 0x5000, 0x1000, cap).address_mask, 0U);
  EXPECT_EQ(covering(did, 0x5000, 0x1000, cap).address, 0x5000U);
  const auto unaligned = covering(did, 0x5000, 0x2000, cap);  // pages 5 and 6 lie in the block 4..7
  EXPECT_EQ(unaligned.address, 0x4000U);
  EXPECT_EQ(unaligned.address_mask, 2U);
  EXPECT_EQ(covering(did, 0x1ff000, 0x2000, cap).address_mask, 10U);
  Profile small;
  small.max_address_mask = 1;
  EXPECT_EQ(covering(did, 0x5000, 0x2000, cap_value(small)).granularity, IotlbGranularity::kDomain);
  small.page_selective = false;
  EXPECT_EQ(covering(did, 0x5000, 0x1000, cap_value(small)).granularity, IotlbGranularity::kDomain);
}

TEST_F(UnitDriverTest, FaultDrainClearsOldestFirstThenOverflow) {
  discover();
  auto& regs = platform_.units[0].registers;
  const std::uint64_t base = Profile{}.fault_record_offset;
  regs[info(RegId::kFSTS).offset] = fsts::kPFO.mask() | fsts::kPPF.mask() | fsts::kFRI.of(7);
  for (const unsigned n : {7U, 0U}) {
    regs[base + n * 16] = 0xABC000 + n * 0x1000;
    regs[base + n * 16 + 8] = frcd::kF.mask() | frcd::kT1.mask() | frcd::kFR.of(6) | frcd::kSID.of(0x0108);
  }
  const FaultDrain drain = drain_faults(driver_.registers(), driver_.cap());
  EXPECT_EQ(drain.records, 2U);
  EXPECT_TRUE(drain.overflow);
  EXPECT_EQ(platform_.console()[0], "vtd: fault 01:01.0 read 0xac3000 reason 0x6");
  EXPECT_EQ(platform_.console()[1], "vtd: fault 01:01.0 read 0xabc000 reason 0x6");
  EXPECT_EQ(regs[base + 7 * 16 + 8] & frcd::kF.mask(), 0U);
  EXPECT_EQ(platform_.take_unit_log().back(), "FSTS <- 0x1");
  EXPECT_EQ(drain_faults(driver_.registers(), driver_.cap()).records, 0U);
}

}  // namespace
}  // namespace vtd::fw::test
