// SPDX-License-Identifier: MIT
#include "tlm/core/unit.h"

#include "tests/core/core_fixture.h"
#include "tlm/core/profile_check.h"

namespace vtd::test {
namespace {

/// kNic in domain A with one 4-level table.
class UnitTest : public CoreFixture {
 protected:
  UnitTest() { start({}); }
  void start(const Profile& p, const CacheConfig& caches = {}) {
    build(p, caches);
    table = new_table();
    set_context(kNic, context_entry(kDomainA, table));
    enable();
  }
  FaultReason recorded(unsigned index) { return static_cast<FaultReason>(unit->fault_record(index).get(frcd::kFR)); }
  PhysAddr table = 0;
};

TEST_F(UnitTest, TranslatesPagesOfAllSizesAndDepths) {
  for (const unsigned levels : {3U, 4U, 5U}) {
    start({});
    set_context(kNic, context_entry(kDomainA, table, levels));
    map(table, 0x12'3456'7000, 0x9000, rights(true, true), 1, levels);
    map(table, 0x20'0000, 0x4000'0000, rights(true, true), 2, levels);
    map(table, 0x8000'0000, 0x1'4000'0000, rights(true, true), 3, levels);
    for (const bool hit : {false, true}) {
      const auto small = dma(dma_read(kNic, 0x12'3456'7123));
      ASSERT_TRUE(small.ok());
      EXPECT_EQ(small->address, 0x9123U);
      EXPECT_EQ(small->page_size, level_size(1));
      EXPECT_EQ(small->iotlb_hit, hit);
      EXPECT_EQ(address_of(dma_write(kNic, 0x3F'F004)), 0x401F'F004U);
      EXPECT_EQ(address_of(dma_read(kNic, 0xBFFF'FFFC)), 0x1'7FFF'FFFCU);
    }
    EXPECT_EQ(host->walks.size(), 3U);
  }
}

TEST_F(UnitTest, ContextAndTranslationAreCached) {
  map(table, 0x5000, 0x9000);
  address_of(dma_read(kNic, 0x5000));
  const std::size_t reads = host->reads.size();
  EXPECT_TRUE(dma(dma_write(kNic, 0x5FFC))->iotlb_hit);
  EXPECT_EQ(host->reads.size(), reads);
  EXPECT_EQ(host->walks.size(), 1U);
  EXPECT_EQ(unit->caches().context.counters().hits(), 1U);
  EXPECT_EQ(unit->caches().iotlb.counters().hits(), 1U);
  EXPECT_EQ(unit->caches().iotlb.counters().fills(), 1U);
}

TEST_F(UnitTest, HitWithoutPermissionFaultsAndIsRecorded) {
  map(table, 0x5000, 0x9000, rights(true, false));
  address_of(dma_read(kNic, 0x5000));
  EXPECT_EQ(fault_of(dma_write(kNic, 0x5000)), FaultReason::kWritePermission);
  EXPECT_EQ(host->walks.size(), 1U) << "decided from the IOTLB";
  EXPECT_EQ(recorded(0), FaultReason::kWritePermission);
  map(table, 0x6000, 0x9000, rights(false, true));
  address_of(dma_write(kNic, 0x6000));
  EXPECT_EQ(fault_of(dma_read(kNic, 0x6000)), FaultReason::kReadPermission);
  EXPECT_EQ(recorded(1), FaultReason::kReadPermission);
}

TEST_F(UnitTest, EveryLegacyReasonIsRaisedAndRecorded) {
  using enum FaultReason;
  const auto expect_recorded = [&](FaultReason reason, const DmaRequest& request) {
    const auto result = dma(request);
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.fault().reason, reason);
    EXPECT_TRUE(result.fault().recorded);
    EXPECT_EQ(unit->fault_record(0).get(frcd::kFR), static_cast<std::uint64_t>(reason));
    start({});
  };
  expect_recorded(kRootNotPresent, dma_read(make_source_id(1, 0, 0), 0));
  expect_recorded(kContextNotPresent, dma_read(kDisk, 0));
  set_context(kNic, context_entry(kDomainA, table, 4, TranslationType::kReserved));
  expect_recorded(kContextInvalid, dma_read(kNic, 0));
  expect_recorded(kAddressBeyondWidth, dma_read(kNic, bit(48)));
  expect_recorded(kWritePermission, dma_write(kNic, 0x5000));
  expect_recorded(kReadPermission, dma_read(kNic, 0x5000));
  host->broken.insert(table);
  expect_recorded(kPagingEntryAccess, dma_read(kNic, 0x5000));
  host->broken.insert(kRootTable);
  expect_recorded(kRootTableAccess, dma_read(kNic, 0x5000));
  host->broken.insert(context_entry_address(kNic));
  expect_recorded(kContextTableAccess, dma_read(kNic, 0x5000));
  host->words[kRootTable] |= 2;
  expect_recorded(kRootReserved, dma_read(kNic, 0x5000));
  host->words[context_entry_address(kNic)] |= bit(5);
  expect_recorded(kContextReserved, dma_read(kNic, 0x5000));
  host->words[map(table, 0x5000, 0x9000)] |= bit(50);
  expect_recorded(kPagingEntryReserved, dma_read(kNic, 0x5000));
  DmaRequest translated = dma_read(kNic, 0x5000);
  translated.type = AddressType::kTranslated;
  expect_recorded(kRequestTypeBlocked, translated);
  map(table, 0x5000, 0xFEE0'1000);
  expect_recorded(kInterruptRange, dma_write(kNic, 0x5000));
}

TEST_F(UnitTest, PasidAndTableModeFaults) {
  DmaRequest with_pasid = dma_read(kNic, 0x5000);
  with_pasid.pasid = Pasid{1};
  EXPECT_EQ(fault_of(with_pasid), FaultReason::kPasidUnderLegacy);
  set_root(kRootTable, TableMode::kScalable);
  EXPECT_EQ(fault_of(dma_read(kNic, 0x5000)), FaultReason::kRootTableAddressInvalid);
  EXPECT_EQ(recorded(1), FaultReason::kRootTableAddressInvalid);
}

TEST_F(UnitTest, PassThrough) {
  set_context(kNic, context_entry(kDomainA, 0, 5, TranslationType::kPassThrough));
  const auto result = dma(dma_write(kNic, 0x1234'5678));
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->address, 0x1234'5678U);
  EXPECT_TRUE(result->remapped);
  EXPECT_EQ(fault_of(dma_write(kNic, bit(46))), FaultReason::kAddressBeyondWidth);
  EXPECT_TRUE(host->walks.empty());
}

TEST_F(UnitTest, InterruptRange) {
  const auto message = dma(dma_write(kNic, 0xFEE0'0000));
  ASSERT_TRUE(message.ok()) << "a write is an interrupt message";
  EXPECT_EQ(message->address, 0xFEE0'0000U);
  EXPECT_FALSE(message->remapped);
  EXPECT_EQ(fault_of(dma_read(kNic, 0xFEE0'0000)), FaultReason::kInterruptRange);
  // A 1G page that overlaps the range is usable outside of it.
  map(table, 0x4000'0000, 0xC000'0000, rights(true, true), 3);
  EXPECT_EQ(address_of(dma_write(kNic, 0x4000'0000 + 0x3EDF'FFFC)), 0xFEDF'FFFCU);
  EXPECT_EQ(fault_of(dma_write(kNic, 0x4000'0000 + 0x3EE0'0000)), FaultReason::kInterruptRange);
  EXPECT_EQ(fault_of(dma_write(kNic, 0x4000'0000 + 0x3EEF'FFFC)), FaultReason::kInterruptRange);
  EXPECT_EQ(address_of(dma_write(kNic, 0x4000'0000 + 0x3EF0'0000)), 0xFEF0'0000U);
}

TEST_F(UnitTest, ZeroLengthReadFollowsZlr) {
  map(table, 0x5000, 0x9000, rights(false, true));
  DmaRequest request = dma_read(kNic, 0x5000);
  request.length = 0;
  request.access = Access::kZeroLengthRead;
  EXPECT_EQ(address_of(request), 0x9000U);
  Profile without;
  without.zero_length_read = false;
  start(without);
  map(table, 0x5000, 0x9000, rights(false, true));
  EXPECT_EQ(fault_of(request), FaultReason::kReadPermission);
}

TEST_F(UnitTest, NotPresentIsNeverCachedWithoutCachingMode) {
  EXPECT_EQ(fault_of(dma_read(kDisk, 0x5000)), FaultReason::kContextNotPresent);
  EXPECT_EQ(fault_of(dma_read(kNic, 0x5000)), FaultReason::kReadPermission);
  map(table, 0x5000, 0x9000);
  set_context(kDisk, context_entry(kDomainB, table));
  EXPECT_EQ(address_of(dma_read(kDisk, 0x5000)), 0x9000U);
  EXPECT_EQ(address_of(dma_read(kNic, 0x5000)), 0x9000U);
}

TEST_F(UnitTest, CachingModeKeepsAbsentContextsUntilDomainZeroIsInvalidated) {
  Profile caching;
  caching.caching_mode = true;
  start(caching);
  fault_of(dma_read(kDisk, 0x5000));
  set_context(kDisk, context_entry(kDomainB, 0, 5, TranslationType::kPassThrough));
  EXPECT_EQ(fault_of(dma_read(kDisk, 0x5000)), FaultReason::kContextNotPresent);
  invalidate_context_register(ccmd::kCIRG.of(2) | ccmd::kDID.of(kDomainB.value));
  pump();
  EXPECT_EQ(fault_of(dma_read(kDisk, 0x5000)), FaultReason::kContextNotPresent);
  invalidate_context_register(ccmd::kCIRG.of(2) | ccmd::kDID.of(0));
  pump();
  EXPECT_EQ(address_of(dma_read(kDisk, 0x5000)), 0x5000U);
}

TEST_F(UnitTest, EvictedTranslationsAreWalkedAgain) {
  CacheConfig tiny;
  tiny.iotlb = {1, 1, Replacement::kLru};
  start({}, tiny);
  map(table, 0x5000, 0x9000);
  map(table, 0x6000, 0xA000);
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(address_of(dma_read(kNic, 0x5000)), 0x9000U);
    EXPECT_EQ(address_of(dma_read(kNic, 0x6000)), 0xA000U);
  }
  EXPECT_EQ(host->walks.size(), 4U);
  EXPECT_EQ(unit->caches().iotlb.counters().evictions(), 3U);
}

TEST_F(UnitTest, ProbeSeesHitsOnlyAndChangesNothing) {
  map(table, 0x5000, 0x9000, rights(true, false));
  EXPECT_FALSE(unit->probe(dma_read(kNic, 0x5000)));
  address_of(dma_read(kNic, 0x5000));
  const auto counters = unit->caches().iotlb.counters();
  const auto found = unit->probe(dma_read(kNic, 0x5010));
  ASSERT_TRUE(found);
  EXPECT_EQ(found->address, 0x9010U);
  EXPECT_FALSE(unit->probe(dma_write(kNic, 0x5010))) << "no permission";
  EXPECT_FALSE(unit->probe(dma_read(kDisk, 0x5010)));
  EXPECT_EQ(unit->caches().iotlb.counters().hits(), counters.hits());
  EXPECT_EQ(unit->caches().iotlb.counters().misses(), counters.misses());
  EXPECT_EQ(unit->statistics().faults, 0U);
  command_off(gcmd::kTE);
  EXPECT_FALSE(unit->probe(dma_read(kNic, 0x5010)));
}

TEST_F(UnitTest, ProbeNeverGrantsAPageThatOverlapsTheInterruptRange) {
  map(table, 0xC000'0000, 0x1'0000'0000, rights(true, true), 3);
  map(table, 0x4000'0000, 0xC000'0000, rights(true, true), 3);
  address_of(dma_read(kNic, 0xC000'0000));
  address_of(dma_read(kNic, 0x4000'0000));
  EXPECT_FALSE(unit->probe(dma_read(kNic, 0xC000'0000)));
  EXPECT_FALSE(unit->probe(dma_read(kNic, 0x4000'0000)));
}

TEST_F(UnitTest, DebugTranslationChangesNothing) {
  map(table, 0x5000, 0x9000);
  const ReadFunction peek = [this](PhysAddr address, std::span<std::uint64_t> out) {
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = host->word(address + 8 * i);
    return true;
  };
  const auto found = unit->debug_translate(dma_read(kNic, 0x5018), peek);
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(found->address, 0x9018U);
  EXPECT_EQ(unit->debug_translate(dma_read(kNic, 0x7000), peek).fault().reason, FaultReason::kReadPermission);
  EXPECT_EQ(unit->debug_translate(dma_read(kDisk, 0), peek).fault().reason, FaultReason::kContextNotPresent);
  EXPECT_EQ(unit->caches().context.size() + unit->caches().iotlb.size(), 0U);
  EXPECT_EQ(unit->caches().context.counters().misses(), 0U);
  EXPECT_EQ(unit->statistics().faults, 0U);
  EXPECT_EQ(reg(RegId::kFSTS), 0U);
  EXPECT_TRUE(host->reads.empty() && host->walks.empty());
}

TEST_F(UnitTest, ResetForgetsEverything) {
  map(table, 0x5000, 0x9000);
  address_of(dma_read(kNic, 0x5000));
  Ticket caught = unit->accept(dma_read(kNic, 0x5000));
  const unsigned revoked = host->revocations;
  unit->reset(ResetKind::kWarm);
  EXPECT_EQ(unit->caches().context.size() + unit->caches().iotlb.size(), 0U);
  EXPECT_EQ(reg(RegId::kGSTS), 0U);
  EXPECT_GT(host->revocations, revoked);
  const auto result = unit->translate(caught);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.fault().reason, FaultReason::kNone);
  EXPECT_EQ(reg(RegId::kFSTS), 0U);
  EXPECT_FALSE(dma(dma_read(kNic, 0x5000))->remapped);
}

TEST_F(UnitTest, LegalAccess) {
  EXPECT_TRUE(UnitCore::legal_access(0x20, 8));
  EXPECT_TRUE(UnitCore::legal_access(0x24, 4));
  EXPECT_TRUE(UnitCore::legal_access(0xFFC, 4));
  EXPECT_FALSE(UnitCore::legal_access(0x24, 8));
  EXPECT_FALSE(UnitCore::legal_access(0x22, 4));
  EXPECT_FALSE(UnitCore::legal_access(0x20, 2));
  EXPECT_FALSE(UnitCore::legal_access(0x20, 16));
  EXPECT_FALSE(UnitCore::legal_access(0x1000, 4));
}

TEST_F(UnitTest, ImpossibleProfilesAreRefused) {
  const auto refused = [](auto change) {
    Profile p;
    change(p);
    EXPECT_THROW(check_profile(p), std::invalid_argument);
  };
  refused([](Profile& p) { p.host_address_width = 53; });
  refused([](Profile& p) { p.levels3 = p.levels4 = p.levels5 = false; });
  refused([](Profile& p) { p.domain_bits = 7; });
  refused([](Profile& p) { p.fault_records = 0; });
  refused([](Profile& p) { p.iotlb_offset = 0x508; });
  refused([](Profile& p) { p.device_tlb = true, p.queued_invalidation = false; });
  refused([](Profile& p) { p.nesting = true; });
  refused([](Profile& p) { p.extended_interrupts = true; });
  EXPECT_NO_THROW(check_profile(Profile{}));
}

}  // namespace
}  // namespace vtd::test
