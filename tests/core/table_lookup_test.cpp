// SPDX-License-Identifier: MIT
#include "tlm/core/table_lookup.h"

#include "tests/core/core_fixture.h"

namespace vtd::test {
namespace {

class ContextLookupTest : public CoreFixture {
 protected:
  ContextEntry fetch(SourceId source = kNic) {
    return fetch_context(profile, {kRootTable, TableMode::kLegacy}, source,
                         [this](PhysAddr a, std::span<std::uint64_t> out) { return host->read(a, out); });
  }
  FaultReason reason(SourceId source = kNic) { return fetch(source).fault; }
  FaultReason reason_of(const ctx::Entry& entry) {
    set_context(kNic, entry);
    return reason();
  }
};

TEST_F(ContextLookupTest, FetchesEachEntryAsOne128BitAccess) {
  const SourceId source = make_source_id(0x12, 0x1F, 7);
  set_context(source, context_entry(kDomainA, 0x5000, 3));
  const ContextEntry entry = fetch(source);
  EXPECT_EQ(entry.fault, FaultReason::kNone);
  EXPECT_EQ(entry.domain, kDomainA);
  EXPECT_EQ(entry.table, 0x5000U);
  EXPECT_EQ(entry.levels, 3);
  const std::vector<std::pair<PhysAddr, std::size_t>> expected{{kRootTable + 0x12 * 16, 2},
                                                               {kContextTables + 0x12 * 0x1000 + 0xFF * 16, 2}};
  EXPECT_EQ(host->reads, expected);
}

TEST_F(ContextLookupTest, RootFaults) {
  EXPECT_EQ(reason(), FaultReason::kRootNotPresent);
  host->words[kRootTable] = kContextTables | 1;
  host->words[kRootTable + 8] = 1;
  EXPECT_EQ(reason(), FaultReason::kRootReserved) << "high half is reserved";
  host->words[kRootTable + 8] = 0;
  host->words[kRootTable] = kContextTables | 1 | 0x800;
  EXPECT_EQ(reason(), FaultReason::kRootReserved);
  host->words[kRootTable] = bit(46) | kContextTables | 1;
  EXPECT_EQ(reason(), FaultReason::kRootReserved) << "above HAW";
  host->words[kRootTable] = bit(46) | 0x802;
  EXPECT_EQ(reason(), FaultReason::kRootNotPresent) << "reserved bits are checked in present entries only";
  host->broken.insert(kRootTable + 8);
  EXPECT_EQ(reason(), FaultReason::kRootTableAccess);
}

TEST_F(ContextLookupTest, RootTableAboveHawIsAnAccessError) {
  const auto entry = fetch_context(profile, {bit(46), TableMode::kLegacy}, kNic,
                                   [](PhysAddr, std::span<std::uint64_t>) { return true; });
  EXPECT_EQ(entry.fault, FaultReason::kRootTableAccess);
}

TEST_F(ContextLookupTest, ContextFaultsInOrder) {
  set_context(kNic, context_entry(kDomainA, 0x5000));
  host->broken.insert(context_entry_address(kNic));
  EXPECT_EQ(reason(), FaultReason::kContextTableAccess);
  host->broken.clear();
  ctx::Entry entry = context_entry(kDomainA, 0x5000);
  EXPECT_EQ(reason_of(entry), FaultReason::kNone);
  ctx::Entry everything_wrong = entry;
  everything_wrong.words[0] |= 0xFF0 | bit(3) | bit(2);
  EXPECT_EQ(reason_of(everything_wrong), FaultReason::kContextReserved);
  everything_wrong.set(ctx::kP, 0);
  EXPECT_EQ(reason_of(everything_wrong), FaultReason::kContextNotPresent);
}

TEST_F(ContextLookupTest, ReservedBits) {
  const ctx::Entry good = context_entry(kDomainA, 0x5000);
  for (const unsigned position : {4U, 11U, 71U, 88U, 127U, 46U, 63U}) {
    ctx::Entry entry = good;
    entry.words[position / 64] |= bit(position % 64);
    EXPECT_EQ(reason_of(entry), FaultReason::kContextReserved) << "bit " << position;
  }
  ctx::Entry ignored = good;
  ignored.set(ctx::kIGN, 0xF);
  EXPECT_EQ(reason_of(ignored), FaultReason::kNone);
}

TEST_F(ContextLookupTest, Programming) {
  Profile p;
  p.levels5 = false;
  p.guest_address_width = 48;
  build(p);
  EXPECT_EQ(reason_of(context_entry(kDomainA, 0x5000, 3)), FaultReason::kNone);
  EXPECT_EQ(reason_of(context_entry(kDomainA, 0x5000, 5)), FaultReason::kContextInvalid) << "AW not in SAGAW";
  EXPECT_EQ(reason_of(context_entry(kDomainA, 0x5000, 2)), FaultReason::kContextInvalid);
  EXPECT_EQ(reason_of(context_entry(kDomainA, 0x5000, 4, TranslationType::kReserved)), FaultReason::kContextInvalid);
  EXPECT_EQ(reason_of(context_entry(kDomainA, 0x5000, 4, TranslationType::kDeviceTlb)), FaultReason::kContextInvalid)
      << "needs ECAP.DT";
  EXPECT_EQ(reason_of(context_entry(kDomainA, 0, 4, TranslationType::kPassThrough)), FaultReason::kNone);
  EXPECT_EQ(reason_of(context_entry(kDomainA, 0, 3, TranslationType::kPassThrough)), FaultReason::kContextInvalid)
      << "pass-through names the largest width";
  EXPECT_EQ(reason_of(context_entry(kDomainA, bit(50), 4, TranslationType::kPassThrough)), FaultReason::kNone)
      << "pass-through ignores SSPTPTR";
  p.pass_through = false;
  build(p);
  EXPECT_EQ(reason_of(context_entry(kDomainA, 0, 4, TranslationType::kPassThrough)), FaultReason::kContextInvalid);
}

TEST_F(ContextLookupTest, FpdIsSeenAlsoInAnAbsentEntry) {
  set_context(kNic, ctx::Entry{}.set(ctx::kFPD, 1));
  EXPECT_TRUE(fetch().fault_disabled);
  set_context(kNic, context_entry(kDomainA, 0x5000));
  EXPECT_FALSE(fetch().fault_disabled);
}

TEST_F(ContextLookupTest, RequestChecks) {
  const auto reason = [](const Profile& p, const ContextEntry& context, const DmaRequest& request) {
    const auto fault = context_fault(context, request);
    return fault != FaultReason::kNone ? fault : request_fault(p, context, legacy_space(context), request);
  };
  ContextEntry three_levels;
  three_levels.levels = 3;
  using enum FaultReason;
  EXPECT_EQ(reason(profile, three_levels, dma_read(kNic, bit(39) - 1)), kNone);
  EXPECT_EQ(reason(profile, three_levels, dma_read(kNic, bit(39))), kAddressBeyondWidth);
  EXPECT_EQ(reason(profile, three_levels, dma_read(kNic, 0xFEE0'0000)), kInterruptRange);
  EXPECT_EQ(reason(profile, three_levels, dma_read(kNic, 0xFEF0'0000)), kNone);
  for (const AddressType type : {AddressType::kTranslated, AddressType::kTranslationRequest}) {
    DmaRequest request = dma_read(kNic, bit(60));
    request.type = type;
    EXPECT_EQ(reason(profile, three_levels, request), kRequestTypeBlocked);
  }
  ContextEntry five_levels;
  five_levels.levels = 5;
  Profile narrow;
  narrow.guest_address_width = 48;
  EXPECT_EQ(reason(narrow, five_levels, dma_read(kNic, bit(48))), kAddressBeyondWidth) << "MGAW limits AW";
  five_levels.type = TranslationType::kPassThrough;
  EXPECT_EQ(reason(profile, five_levels, dma_read(kNic, bit(46) - 1)), kNone);
  EXPECT_EQ(reason(profile, five_levels, dma_read(kNic, bit(46))), kAddressBeyondWidth) << "HAW";
}

}  // namespace
}  // namespace vtd::test
