// SPDX-License-Identifier: MIT
// Performance counters and enhanced commands (VT-d 11.4.13, 11.4.15).
#include "tests/core/core_fixture.h"
#include "tlm/spec/profiles.h"

namespace vtd::test {
namespace {

struct PerformanceTest : CoreFixture {
  PerformanceTest() {
    build(full_profile());
    table = new_table();
    for (Iova page = 0; page < 4; ++page) map(table, page * kPageSize, 0x80'0000);
    set_context(kNic, context_entry(kDomainA, table));
    enable();
  }
  static std::uint64_t configuration_offset(unsigned counter) {
    return perf::kConfigurationOffset + counter * perf::kConfigurationBytes;
  }
  static std::uint64_t counter_offset(unsigned counter) {
    return perf::kCounterOffset + counter * perf::kCounterStride;
  }
  std::uint64_t command(std::uint64_t code, std::uint64_t operand = 0) {
    unit->write(offset_of(RegId::kECEO, profile), 0, 8);
    unit->write(offset_of(RegId::kECMD, profile), ecmd::kCMD.of(code) | ecmd::kOA.of(operand), 8);
    return unit->read(offset_of(RegId::kECRSP, profile), 8);
  }
  void select(unsigned counter, const perf::Event& event, bool interrupt = false) {
    unit->write(configuration_offset(counter),
                perf::kEGI.of(event.group) | perf::kES.of(event.bit) | perf::kINT.of(interrupt ? 1 : 0), 8);
    EXPECT_EQ(command(ecmd::kEnableCounters, counter), 0U);
  }
  std::uint64_t counter(unsigned n) { return unit->read(counter_offset(n), 8); }
  PhysAddr table = 0;
};

TEST_F(PerformanceTest, CapabilitiesAreWhatLinuxLooksFor) {
  const std::uint64_t cap = read(RegId::kPERFCAP);
  EXPECT_EQ(cap & 0xFFFF, 2U) << "counters";
  EXPECT_EQ(cap >> 16 & 0x7F, 48U) << "width";
  EXPECT_EQ(cap >> 24 & 0x1F, 5U) << "event groups";
  EXPECT_EQ(cap >> 50 & 1, 1U) << "interrupt on overflow";
  EXPECT_EQ(read(RegId::kPERFCFGOFF), 0x700U);
  EXPECT_EQ(read(RegId::kPERFOVFOFF), 0x900U);
  EXPECT_EQ(read(RegId::kPERFCNTROFF), 0xA00U);
  EXPECT_EQ(read(RegId::kECCAP3) >> 48 & 0x33, 0x33U) << "enable, disable, freeze, unfreeze";
  EXPECT_EQ(unit->read(0x380, 8), 0x002U);
  EXPECT_EQ(unit->read(0x388, 8), 0x041U);
  EXPECT_EQ(unit->read(0x390, 8), 0x00FU);
  EXPECT_EQ(unit->read(0x398, 8), 0x003U);
  EXPECT_EQ(unit->read(0x3A0, 8), 0x001U);
  unit->write(0x390, ~0ULL, 8);
  EXPECT_EQ(unit->read(0x390, 8), 0x00FU) << "read-only";
  EXPECT_EQ(unit->read(0x780, 8), 0U) << "no capabilities of single counters";
  unit->write(0x708, ~0ULL, 8);
  EXPECT_EQ(unit->read(0x708, 8), 0U) << "no filters";
}

TEST_F(PerformanceTest, CountsWhatIsSelectedOnly) {
  select(0, perf::kIotlbLookup);
  select(1, perf::kIotlbHit);
  for (unsigned i = 0; i < 3; ++i) address_of(dma_read(kNic, 0));
  address_of(dma_read(kNic, kPageSize));
  EXPECT_EQ(counter(0), 4U);
  EXPECT_EQ(counter(1), 2U);
  select(0, perf::kContextLookup);
  select(1, perf::kContextHit);
  address_of(dma_read(kNic, 0));
  EXPECT_EQ(counter(0), 5U) << "counters go on from where they were";
  EXPECT_EQ(counter(1), 3U);
  select(0, perf::kRequests);
  select(1, perf::kMemoryReads);
  unit->write(counter_offset(1), 0, 8);
  address_of(dma_read(kNic, 2 * kPageSize));
  EXPECT_EQ(counter(0), 6U);
  EXPECT_EQ(counter(1), 4U) << "a walk of four levels";
}

TEST_F(PerformanceTest, PasidAndInterruptLookupsAreCounted) {
  select(0, perf::kPasidLookup);
  select(1, perf::kInterruptLookup);
  command_on(gcmd::kSIRTP);
  command_on(gcmd::kIRE);
  DmaRequest interrupt = dma_write(kNic, 0xFEE0'0010);
  interrupt.data = 0;
  static_cast<void>(dma(interrupt));
  EXPECT_EQ(counter(0), 0U) << "legacy mode";
  EXPECT_EQ(counter(1), 1U);
}

TEST_F(PerformanceTest, DisabledAndFrozenCountersStandStill) {
  select(0, perf::kRequests);
  select(1, perf::kRequests);
  EXPECT_EQ(command(ecmd::kDisableCounters, 1), 0U);
  address_of(dma_read(kNic, 0));
  EXPECT_EQ(command(ecmd::kFreezeCounters), 0U);
  address_of(dma_read(kNic, 0));
  EXPECT_EQ(command(ecmd::kUnfreezeCounters), 0U);
  address_of(dma_read(kNic, 0));
  EXPECT_EQ(counter(0), 2U);
  EXPECT_EQ(counter(1), 0U);
}

TEST_F(PerformanceTest, BadCommandsAreToldSo) {
  EXPECT_NE(command(0x55), 0U);
  EXPECT_NE(command(ecmd::kEnableCounters, perf::kCounterCount), 0U);
  EXPECT_EQ(ecmd::kIP.get(read(RegId::kECRSP)), 0U);
  unit->write(offset_of(RegId::kECMD, profile) + 4, 1, 4);
  EXPECT_NE(read(RegId::kECRSP), 0U) << "the half without the command starts none";
}

TEST_F(PerformanceTest, OverflowSetsItsBitAndInterruptsOnce) {
  write(RegId::kPERFINTRDATA, 0x77);
  write(RegId::kPERFINTRADDR, 0xFEE0'0000);
  write(RegId::kPERFINTRCTL, 0);
  select(0, perf::kRequests, true);
  select(1, perf::kRequests);
  unit->write(counter_offset(0), bit(48) - 1, 8);
  unit->write(counter_offset(1), bit(48) - 1, 8);
  host->messages.clear();
  address_of(dma_read(kNic, 0));
  EXPECT_EQ(counter(0), 0U);
  EXPECT_EQ(unit->read(perf::kOverflowOffset, 8), 3U);
  EXPECT_EQ(read(RegId::kPERFINTRSTS), 1U);
  ASSERT_EQ(host->messages.size(), 1U);
  EXPECT_EQ(host->messages[0].second, 0x77U);
  unit->write(counter_offset(0), bit(48) - 1, 8);
  address_of(dma_read(kNic, 0));
  EXPECT_EQ(host->messages.size(), 1U) << "the status is still set";
  unit->write(perf::kOverflowOffset, 1, 8);
  EXPECT_EQ(unit->read(perf::kOverflowOffset, 8), 2U);
  unit->write(perf::kOverflowOffset + 4, 1, 4);
  EXPECT_EQ(unit->read(perf::kOverflowOffset, 4), 2U);
  write(RegId::kPERFINTRSTS, 1);
  unit->write(counter_offset(0), bit(48) - 1, 8);
  address_of(dma_read(kNic, 0));
  EXPECT_EQ(host->messages.size(), 2U);
}

TEST_F(PerformanceTest, MaskedInterruptIsPendingUntilUnmaskedOrWithdrawn) {
  select(0, perf::kRequests, true);
  const auto overflow = [&] {
    unit->write(counter_offset(0), bit(48) - 1, 8);
    address_of(dma_read(kNic, 0));
  };
  host->messages.clear();
  overflow();
  EXPECT_EQ(ectl::kIP.get(read(RegId::kPERFINTRCTL)), 1U);
  write(RegId::kPERFINTRSTS, 1);
  EXPECT_EQ(ectl::kIP.get(read(RegId::kPERFINTRCTL)), 0U);
  overflow();
  write(RegId::kPERFINTRCTL, 0);
  EXPECT_EQ(host->messages.size(), 1U);
}

TEST_F(PerformanceTest, ResetForgetsCountersAndConfigurations) {
  select(0, perf::kRequests);
  address_of(dma_read(kNic, 0));
  unit->reset(ResetKind::kWarm);
  EXPECT_EQ(counter(0), 0U);
  EXPECT_EQ(unit->read(configuration_offset(0), 8), 0U);
}

TEST_F(PerformanceTest, WithoutTheCapabilityNothingIsThere) {
  build(linux_profile());
  unit->write(configuration_offset(0), ~0ULL, 8);
  EXPECT_EQ(unit->read(configuration_offset(0), 8), 0U);
  EXPECT_EQ(read(RegId::kPERFCAP), 0U);
  EXPECT_EQ(read(RegId::kECCAP3), 0U);
}

}  // namespace
}  // namespace vtd::test
