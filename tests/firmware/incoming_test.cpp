// SPDX-License-Identifier: MIT
// The incoming side in both table modes: ids are reserved unit by unit, what is gone or wrong costs that device only,
// and who takes what over in which order. And its older cousin, the tables that a crash kernel copies.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "tests/firmware/fake_platform.h"
#include "tests/firmware/watch.h"

namespace vtd::fw::test {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;
using enum platform::Command;
using platform::FailPlace;
using platform::Query;
namespace endpoint = platform::endpoint;
namespace policy = platform::policy;

/// D1 of domain 1; D2, behind a bridge, and D3 share domain 2; D4, behind the second unit, of domain 1. D5 is not
/// preserved and has had the first id of the second unit.
class IncomingTest : public ::testing::TestWithParam<bool> {
 protected:
  static constexpr SourceId kD1 = Machine::kD1;
  static constexpr SourceId kD2 = Machine::kD2;
  static constexpr SourceId kD3 = Machine::kD3;
  static constexpr SourceId kD4 = make_source_id(3, 1, 0);
  static constexpr SourceId kD5 = make_source_id(3, 2, 0);
  static constexpr SourceId kBridge = make_source_id(9, 16, 0);
  static constexpr Iova kIova = 0x1'0000'0000;
  Machine m_;

  [[nodiscard]] static bool scalable() { return GetParam(); }
  void SetUp() override {
    if (scalable()) m_.make_scalable();
    m_.platform.endpoint(kD2).alias = endpoint::kSid.of(kBridge.value) | endpoint::kPresent.of(1);
    m_.platform.add_endpoint(kD4, 1);
    m_.platform.add_endpoint(kD5, 1);
    m_.boot(ImageLetter::kA);
    const std::uint64_t stage = scalable() ? 1 : 0;
    ASSERT_EQ(m_.status(kAddMemory, {1, platform::kGuestBase, 0x10000}), Status::kOk);
    for (const std::uint64_t id : {1U, 2U, 3U}) {
      ASSERT_EQ(m_.status(kCreateDomain, {id, 4, id == 2 ? stage : 0}), Status::kOk);
      ASSERT_EQ(m_.status(kMap, {id, kIova, 1, 0, 0x10000, 3, 1}), Status::kOk);
    }
    for (const auto& [sid, domain] : {std::pair{kD5, 3U}, {kD1, 1U}, {kD2, 2U}, {kD3, 2U}, {kD4, 1U}}) {
      ASSERT_EQ(m_.status(kAttach, {sid.value, domain}), Status::kOk);
      ASSERT_EQ(m_.status(kClaimOwner, {sid.value, 7}), Status::kOk);
    }
    ASSERT_EQ(m_.status(kMarkDomain, {1, 100}), Status::kOk);
    ASSERT_EQ(m_.status(kMarkDomain, {2, 200}), Status::kOk);
    ASSERT_EQ(m_.status(kSessionOpen, {1}), Status::kOk);
    ASSERT_EQ(m_.status(kPreserveMemory, {1, 1, 1}), Status::kOk);
    ASSERT_EQ(m_.status(kPreserveIommufd, {1, 2}), Status::kOk);
  }
  /// Tokens 11 to 14; then the reset.
  void hand_over() {
    for (const auto& [sid, token] : {std::pair{kD1, 11U}, {kD2, 12U}, {kD3, 13U}, {kD4, 14U}})
      ASSERT_EQ(m_.status(kPreserveDevice, {1, token, sid.value}), Status::kOk);
    m_.go_down();
    for (FakeUnit& unit : m_.platform.units) unit.descriptors.clear();
  }
  void unplug(SourceId sid) { m_.platform.endpoint(sid).id &= ~endpoint::kPresent.mask(); }
  Unit& unit(unsigned n = 0) { return m_.iommu().unit(n); }
  bool present(SourceId sid, unsigned n = 0) { return unit(n).context().present(sid); }
  bool reattached(SourceId sid) { return m_.iommu().device(sid.value)->own.restored; }
  std::set<std::uint64_t> ids(unsigned n) {
    std::set<std::uint64_t> out;
    for (std::uint64_t did = 0; did < 64; ++did)
      if (unit(n).ids().reserved(did)) out.insert(did);
    return out;
  }
  Status take_over(SourceId sid, std::uint64_t token) {
    if (const Status s = m_.status(kRetrieve, {1, token}); s != Status::kOk) return s;
    return m_.status(kTransferOwner, {sid.value, 7});
  }
  /// Cut off for good: no entry of any id, no bus mastering, no owner, nothing that could be cached.
  void expect_cut_off(SourceId sid) {
    const Device& d = *m_.iommu().device(sid.value);
    d.for_each_id([&](SourceId id) { EXPECT_FALSE(present(id)) << id.value; });
    EXPECT_FALSE(m_.platform.bus_master(sid)) << sid.value;
    EXPECT_EQ(d.own.kind, AttachmentKind::kNone) << sid.value;
    EXPECT_EQ(d.owner.kind, Owner::Kind::kNone) << sid.value;
    EXPECT_THAT(invalidations(m_.platform.units[0].descriptors), Contains("iotlb global did 0"));
  }
};

TEST_P(IncomingTest, EachUnitReservesTheIdsOfItsOwnDevicesAndNoOthers) {
  hand_over();
  ASSERT_TRUE(m_.start_next()) << m_.platform.last_line();
  EXPECT_EQ(ids(0), (std::set<std::uint64_t>{2, 3}));
  EXPECT_EQ(ids(1), (std::set<std::uint64_t>{3}));  // 2 was D5's, which is cut off
  EXPECT_FALSE(present(kD5, 1));
  EXPECT_EQ(m_.iommu().domain(1)->uses[0].did.value, 2U);
  EXPECT_EQ(m_.iommu().domain(1)->uses[1].did.value, 3U);
  EXPECT_EQ(m_.iommu().domain(2)->uses[0].users, 2U);
  for (const FakeUnit& u : m_.platform.units) EXPECT_EQ(u.te_drops, 0U);
}

TEST_P(IncomingTest, EntriesStayWhatTheyWereExceptForPageRequests) {
  for (const auto& [sid, token] : {std::pair{kD1, 11U}, {kD2, 12U}})
    ASSERT_EQ(m_.status(kPreserveDevice, {1, token, sid.value}), Status::kOk);
  const std::uint64_t before = m_.ask(Query::kDeviceEntry, kD1.value);  // leaves PRE out
  EXPECT_EQ(sctx::kPRE.get(unit().context().low(kD1).words[0]), scalable() ? 1U : 0U);
  const std::uint64_t behind_bridge = m_.ask(Query::kDeviceEntry, kD2.value);
  m_.go_down();
  ASSERT_TRUE(m_.start_next()) << m_.platform.last_line();
  EXPECT_EQ(m_.ask(Query::kDeviceEntry, kD1.value), before);
  EXPECT_EQ(m_.ask(Query::kDeviceEntry, kD2.value), behind_bridge);
  EXPECT_EQ(unit().context().low(kBridge), unit().context().low(kD2));
  if (scalable()) {
    EXPECT_EQ(sctx::kPRE.get(unit().context().low(kD1).words[0]), 0U);
  }
}

TEST_P(IncomingTest, ADeviceThatIsGoneIsSweptAndItsIdIsGivenToNobody) {
  hand_over();
  m_.platform.policy |= policy::kContain.mask();
  unplug(kD1);
  unplug(kD2);
  ASSERT_TRUE(m_.start_next()) << m_.platform.last_line();
  for (const SourceId id : {kD1, kD2, kBridge}) EXPECT_FALSE(present(id)) << id.value;
  EXPECT_THAT(invalidations(m_.platform.units[0].descriptors), Contains("iotlb global did 0"));
  EXPECT_TRUE(reattached(kD3));  // shares the id with D2, which is gone
  EXPECT_TRUE(reattached(kD4));
  EXPECT_EQ(ids(0), (std::set<std::uint64_t>{2, 3}));
  EXPECT_EQ(m_.iommu().domain(2)->uses[0].users, 1U);
  EXPECT_FALSE(m_.iommu().domain(1)->uses[0].users != 0);
  for (const std::uint64_t token : {1U, 2U}) ASSERT_EQ(m_.status(kRetrieve, {1, token}), Status::kOk);
  EXPECT_EQ(m_.status(kTransferOwner, {kD1.value, 7}), Status::kNoEntry);
  EXPECT_EQ(m_.status(kFinish, {1}), Status::kBusy);  // somebody has to decide what becomes of it
}

TEST_P(IncomingTest, WithoutContainmentNoUnitIsTouchedBeforeTheImageStops) {
  struct Row {
    const char* record;
    const char* field;
    std::uint64_t value;
  };
  hand_over();
  const std::uint64_t writes = m_.platform.unit_writes();
  for (const Row& row :
       {Row{"device", "attachment_id", 1}, Row{"device", "attachment_id", 0}, Row{"device", "attachment_id", 70000},
        Row{"device", "domain", 0x1000}, Row{"device", "pci_segment", 1}, Row{"unit", "root_table", 0x2001000}}) {
    const std::uint64_t good = m_.get_field(row.record, 0, row.field);
    m_.set_field(row.record, 0, row.field, row.value);
    EXPECT_FALSE(m_.start_next()) << row.field;
    EXPECT_THAT(m_.platform.console(), Contains(HasSubstr(std::string(row.record) + "[0]." + row.field)));
    EXPECT_EQ(m_.platform.unit_writes(), writes) << row.field << " = " << row.value;
    m_.set_field(row.record, 0, row.field, good);
  }
  EXPECT_TRUE(m_.start_next()) << m_.platform.last_line();
}

TEST_P(IncomingTest, ContainedDeviceIsCutOffAndTheOthersGoOn) {
  hand_over();
  m_.platform.policy |= policy::kContain.mask();
  m_.set_field("device", 0, "attachment_id", 1);
  const Record128 other = unit().context().low(kD2);
  ASSERT_TRUE(m_.start_next()) << m_.platform.last_line();
  expect_cut_off(kD1);
  EXPECT_EQ(unit().context().low(kD2), other);
  for (const SourceId sid : {kD2, kD3, kD4}) {
    EXPECT_TRUE(reattached(sid)) << sid.value;
    EXPECT_TRUE(m_.platform.bus_master(sid)) << sid.value;
  }
  EXPECT_FALSE(m_.iommu().domain(1)->uses[0].users != 0);
  // It starts anew with a domain of its own, under an id that no entry of the old image had.
  ASSERT_EQ(m_.status(kCreateDomain, {9, 4}), Status::kOk);
  ASSERT_EQ(m_.status(kAttach, {kD1.value, 9}), Status::kOk);
  EXPECT_NE(m_.ask(Query::kDeviceDid, kD1.value), m_.ask(Query::kDeviceDid, kD2.value));
  // Everything else is taken over, and nothing of what the device had is left behind.
  for (const std::uint64_t token : {1U, 2U}) ASSERT_EQ(m_.status(kRetrieve, {1, token}), Status::kOk);
  for (const auto& [sid, token] : {std::pair{kD2, 12U}, {kD3, 13U}, {kD4, 14U}})
    ASSERT_EQ(take_over(sid, token), Status::kOk);
  for (const std::uint64_t token : {100U, 200U}) ASSERT_EQ(m_.status(kReclaimDomain, {token}), Status::kOk);
  const PhysAddr directory = scalable() ? m_.get_field("device", 0, "pasid_dir") : 0;
  ASSERT_EQ(m_.status(kFinish, {1}), Status::kOk);
  if (scalable()) {
    EXPECT_FALSE(m_.iommu().allocator().in_use(directory)) << "lost";
  }
}

struct Failure {
  FailPlace place;
  std::uint64_t turn;
  std::vector<SourceId> lost, kept;
};

class RestoreFailureTest : public IncomingTest {
 protected:
  void check(const Failure& row) {
    hand_over();
    m_.platform.policy |= policy::kContain.mask();
    m_.platform.mailbox.at(platform::mailbox::kFail / 8) =
        platform::mailbox::kFailPlace.of(static_cast<std::uint64_t>(row.place)) |
        platform::mailbox::kFailTurn.of(row.turn);
    ASSERT_TRUE(m_.start_next()) << m_.platform.last_line();
    for (const SourceId sid : row.lost) expect_cut_off(sid);
    for (const SourceId sid : row.kept) {
      EXPECT_TRUE(reattached(sid)) << sid.value;
      EXPECT_EQ(m_.iommu().device(sid.value)->owner.kind, Owner::Kind::kRecord) << sid.value;
    }
    EXPECT_EQ(m_.iommu().domain(row.turn) == nullptr, row.place == FailPlace::kRestoreDomain);
  }
};

TEST_P(RestoreFailureTest, FirstDomain) {
  check({FailPlace::kRestoreDomain, 1, {kD1}, {kD2, kD3}});
  EXPECT_FALSE(present(kD4, 1));
}
TEST_P(RestoreFailureTest, SecondDomain) {
  check({FailPlace::kRestoreDomain, 2, {kD2, kD3}, {kD1, kD4}});
}
TEST_P(RestoreFailureTest, FirstDevice) {
  check({FailPlace::kRestoreDevice, 1, {kD1}, {kD2, kD3, kD4}});
}
TEST_P(RestoreFailureTest, SecondDevice) {
  check({FailPlace::kRestoreDevice, 2, {kD2}, {kD1, kD3, kD4}});
}

INSTANTIATE_TEST_SUITE_P(Modes, RestoreFailureTest, ::testing::Bool(),
                         [](const auto& info) { return info.param ? "scalable" : "legacy"; });

TEST_P(IncomingTest, WhatIsTakenOverWhenAndByWhom) {
  hand_over();
  ASSERT_TRUE(m_.start_next()) << m_.platform.last_line();
  struct Row {
    platform::Command command;
    std::initializer_list<std::uint64_t> args;
    Status status;
  };
  for (const Row& row : {Row{kTransferOwner, {kD1.value, 7}, Status::kPerm},  // its file was not retrieved
                         {kReclaimDomain, {100}, Status::kPerm},
                         {kClaimOwner, {kD1.value, 7}, Status::kPerm},
                         {kDetach, {kD1.value}, Status::kBusy},
                         {kReplace, {kD1.value, 2}, Status::kBusy},
                         {kAttach, {kD5.value, 2}, Status::kNotSupported},  // free-only
                         {kMap, {1, 0x2000, 1, 0, 0x1000, 3, 1}, Status::kNotSupported},
                         {kUnmap, {1, kIova, 0x1000}, Status::kNotSupported},
                         {kDestroyDomain, {1}, Status::kBusy},
                         {kFreeze, {}, Status::kBusy},
                         {kFinish, {1}, Status::kBusy},
                         {kFinish, {2}, Status::kNoEntry},
                         {kRetrieve, {2, 1}, Status::kNoEntry},
                         {kRetrieve, {1, 99}, Status::kNoEntry},
                         {kRetrieve, {1, 11}, Status::kOk},
                         {kTransferOwner, {kD1.value, 7}, Status::kPerm},  // nor the iommufd
                         {kRetrieve, {1, 2}, Status::kOk},
                         {kTransferOwner, {kD1.value, 0}, Status::kInvalid},
                         {kTransferOwner, {0x0999, 7}, Status::kNoEntry},
                         {kTransferOwner, {kD5.value, 7}, Status::kInvalid},  // not restored
                         {kReclaimDomain, {100}, Status::kNoDevice},
                         {kTransferOwner, {kD1.value, 7}, Status::kOk},
                         {kTransferOwner, {kD1.value, 8}, Status::kInvalid},
                         {kReclaimDomain, {100}, Status::kNoDevice},  // D4, behind the other unit
                         {kReclaimDomain, {300}, Status::kNoEntry},
                         {kRetrieve, {1, 14}, Status::kOk},
                         {kTransferOwner, {kD4.value, 7}, Status::kOk},
                         {kReclaimDomain, {100}, Status::kOk},
                         {kReclaimDomain, {100}, Status::kExists},
                         {kMap, {1, 0x2000, 1, 0, 0x1000, 3, 1}, Status::kNotSupported},
                         {kFinish, {1}, Status::kBusy},
                         {kRetrieve, {1, 12}, Status::kOk},
                         {kRetrieve, {1, 13}, Status::kOk},
                         {kTransferOwner, {kD2.value, 7}, Status::kOk},
                         {kReclaimDomain, {200}, Status::kNoDevice},
                         {kTransferOwner, {kD3.value, 7}, Status::kOk},
                         {kFinish, {1}, Status::kBusy},  // domain 2 has no handle
                         {kReclaimDomain, {200}, Status::kOk},
                         {kFinish, {1}, Status::kOk},
                         {kFinish, {1}, Status::kNoEntry},
                         {kRetrieve, {1, 1}, Status::kNoData},
                         {kMarkDomain, {1, 5}, Status::kInvalid},
                         {kDetach, {kD2.value, 0}, Status::kOk},
                         {kDestroyDomain, {2}, Status::kBusy},  // D3
                         {kDetach, {kD3.value, 0}, Status::kOk},
                         {kDestroyDomain, {2}, Status::kOk}})
    EXPECT_EQ(m_.status(row.command, row.args), row.status)
        << "command " << static_cast<int>(row.command) << " of " << (row.args.size() != 0 ? *row.args.begin() : 0);
  EXPECT_THAT(m_.platform.console(), Not(Contains(HasSubstr("nobody claimed"))));
  EXPECT_EQ(ids(0), (std::set<std::uint64_t>{2}));
  EXPECT_TRUE(present(kD1));
  if (!scalable()) {
    EXPECT_FALSE(present(kBridge));  // scalable mode: its PASID entries are gone
  }
}

TEST_P(IncomingTest, ContainmentFindsTheDeviceAfterManyRecordsWereWithdrawn) {
  constexpr unsigned kMany = 140;  // more than there can be devices: the numbers of records are not reused
  for (unsigned i = 0; i < kMany; ++i) {
    ASSERT_EQ(m_.status(kPreserveDevice, {1, 99, kD1.value}), Status::kOk);
    ASSERT_EQ(m_.status(kUnpreserve, {1, 99}), Status::kOk);
  }
  hand_over();
  m_.platform.policy |= policy::kContain.mask();
  m_.set_field("device", kMany, "attachment_id", 1);  // D1's
  ASSERT_TRUE(m_.start_next()) << m_.platform.last_line();
  expect_cut_off(kD1);
  for (const SourceId sid : {kD2, kD3, kD4}) EXPECT_TRUE(reattached(sid)) << sid.value;
}

INSTANTIATE_TEST_SUITE_P(Modes, IncomingTest, ::testing::Bool(),
                         [](const auto& info) { return info.param ? "scalable" : "legacy"; });

// ---- kdump -----------------------------------------------------------------------------------------------------

/// Everything the unit would walk above the paging tables, by requester id and PASID.
using Walk = std::map<std::pair<unsigned, std::uint32_t>, std::vector<std::uint64_t>>;

class CrashTest : public ::testing::TestWithParam<bool> {
 protected:
  static constexpr SourceId kD1 = Machine::kD1;
  static constexpr SourceId kD2 = Machine::kD2;
  static constexpr SourceId kD3 = Machine::kD3;
  static constexpr SourceId kHigh = make_source_id(1, 17, 0);
  Machine m_;

  void SetUp() override {
    if (GetParam()) m_.make_scalable();
    m_.platform.add_endpoint(kHigh);
    m_.boot(ImageLetter::kA);
    m_.set_up_device();
    ASSERT_EQ(m_.status(kCreateDomain, {2, 4}), Status::kOk);
    ASSERT_EQ(m_.status(kAttach, {kD2.value, 2}), Status::kOk);
    ASSERT_EQ(m_.status(kAttach, {kHigh.value, 1}), Status::kOk);
    ASSERT_EQ(m_.status(kPassThrough, {kD3.value}), Status::kOk);
    if (!GetParam()) return;
    ASSERT_EQ(m_.status(kCreateDomain, {3, 4, 1}), Status::kOk);
    ASSERT_EQ(m_.status(kAttach, {kD1.value, 3, 0x7FFFF}), Status::kOk);
    ASSERT_EQ(m_.status(kAttach, {kD2.value, 3, 200}), Status::kOk);
  }
  PhysAddr root() { return m_.platform.units[0].registers[info(RegId::kRTADDR).offset] & ~std::uint64_t{0xFFF}; }
  Walk walk(const ContextMap& map, std::set<PhysAddr>& pages) {
    Walk out;
    pages.insert(map.root());
    map.for_each_table([&](unsigned n, PhysAddr table) {
      pages.insert(table);
      map.for_each_present(n, table, [&](SourceId sid, PhysAddr) {
        const Record128 low = map.low(sid);
        if (!map.scalable()) {
          out[{sid.value, 0}] = {low.words[0], low.words[1]};
          return;
        }
        const PasidTable pasids(low.address(sctx::kPASIDDIRPTR),
                                pasids_of_pdts(static_cast<unsigned>(low.get(sctx::kPDTS))));
        pasids.visit_pages([&](PhysAddr page) { return pages.insert(page).second || true; });
        pasids.for_each_present([&](std::uint32_t pasid, const pasid::Entry& e) {
          out[{sid.value, pasid}] = {e.words.begin(), e.words.end()};
          out[{sid.value, pasid}].push_back(low.words[0] & 0xFFF);
        });
      });
    });
    return out;
  }
  void crash() {
    ASSERT_THROW(static_cast<void>(m_.status(kCrash)), ResetRequested);
    m_.platform.policy |= policy::kCrashKernel.mask();
    m_.platform.units[0].descriptors.clear();
  }
};

TEST_P(CrashTest, TheCopySaysTheSameAndLiesInTheCrashRegionOnly) {
  const TableMode mode = GetParam() ? TableMode::kScalable : TableMode::kLegacy;
  std::set<PhysAddr> old_pages;
  const PhysAddr old_root = root();
  const Walk before = walk(ContextMap(old_root, mode), old_pages);
  ASSERT_EQ(before.size(), GetParam() ? 6U : 4U);
  crash();
  ASSERT_TRUE(m_.start_next()) << m_.platform.last_line();
  std::set<PhysAddr> pages;
  EXPECT_NE(root(), old_root);
  EXPECT_EQ(walk(ContextMap(root(), mode), pages), before);
  EXPECT_EQ(pages.size(), old_pages.size());
  for (const PhysAddr page : pages) EXPECT_GE(page, platform::kCrashBase);
  std::set<PhysAddr> untouched;
  EXPECT_EQ(walk(ContextMap(old_root, mode), untouched), before);  // nothing of the old image's memory has changed
  EXPECT_EQ(m_.platform.units[0].te_drops, 0U);
  EXPECT_THAT(invalidations(m_.platform.units[0].descriptors), Contains("iotlb global did 0"));
}

TEST_P(CrashTest, TableOutsideMemoryEndsTheCopyAndTheUnitStartsFromScratch) {
  const TableMode mode = GetParam() ? TableMode::kScalable : TableMode::kLegacy;
  const PhysAddr behind = platform::kDramSize;
  const PhysAddr old_root = root();
  const ContextMap map(old_root, mode);
  if (GetParam()) {
    const PhysAddr at = map.entry_at(kD1);
    m_.platform.write64(at, (m_.platform.read64(at) & 0xFFF) | behind);
  } else {
    m_.platform.write64(old_root + kD1.bus() * vtd::root::kBytes, behind | 1);
  }
  crash();
  ASSERT_TRUE(m_.start_next()) << m_.platform.last_line();
  EXPECT_THAT(m_.platform.console(), Contains(HasSubstr("kdump: unit 0xfed90000: EFAULT")));
  EXPECT_NE(root(), old_root);
  EXPECT_EQ(m_.platform.units[0].te_drops, 1U) << "the old DMA can only be stopped";
  EXPECT_EQ(m_.iommu().unit(0).ids().taken(), 0U);
}

TEST_P(CrashTest, IdsFoundAreReservedAndOnlyPassThroughIsShared) {
  crash();
  ASSERT_TRUE(m_.start_next()) << m_.platform.last_line();
  const std::uint64_t found = GetParam() ? 3 : 2;
  EXPECT_EQ(m_.iommu().unit(0).ids().taken(), found);
  for (std::uint64_t did = 2; did < 2 + found; ++did) EXPECT_TRUE(m_.iommu().unit(0).ids().reserved(did)) << did;
  ASSERT_EQ(m_.status(kCreateDomain, {9, 4}), Status::kOk);
  ASSERT_EQ(m_.status(kAttach, {kD2.value, 9}), Status::kOk);
  EXPECT_EQ(m_.ask(Query::kDeviceDid, kD2.value), 2 + found);
}

TEST_P(CrashTest, FirstAttachTearsTheCopiedEntryDownAndTouchesNoOther) {
  const TableMode mode = GetParam() ? TableMode::kScalable : TableMode::kLegacy;
  crash();
  ASSERT_TRUE(m_.start_next()) << m_.platform.last_line();
  std::set<PhysAddr> pages;
  Walk before = walk(ContextMap(root(), mode), pages);
  m_.platform.units[0].descriptors.clear();
  ASSERT_EQ(m_.status(kCreateDomain, {9, 4}), Status::kOk);
  // The old entry goes and is invalidated before anything new is there.
  const ContextMap map(root(), mode);
  EntryWatch watch(m_.platform, map.entry_at(kD2), map.entry_bytes());
  ASSERT_EQ(m_.status(kAttach, {kD2.value, 9}), Status::kOk);
  EXPECT_EQ(watch.states.front().at(0), 0U);
  const auto done = invalidations(m_.platform.units[0].descriptors);
  EXPECT_THAT(done, Contains(GetParam() ? "iotlb global did 0" : "iotlb domain did 3"));
  Walk after = walk(map, pages);
  EXPECT_EQ(after.count({kD2.value, 200}), 0U);
  EXPECT_NE((after[{kD2.value, 0}]), (before[{kD2.value, 0}]));
  for (Walk* w : {&before, &after}) std::erase_if(*w, [](const auto& e) { return e.first.first == kD2.value; });
  EXPECT_EQ(after, before);
  // Once: the second attach has nothing to tear down.
  ASSERT_EQ(m_.status(kDetach, {kD2.value}), Status::kOk);
  m_.platform.units[0].descriptors.clear();
  ASSERT_EQ(m_.status(kAttach, {kD2.value, 9}), Status::kOk);
  EXPECT_THAT(invalidations(m_.platform.units[0].descriptors), ::testing::IsEmpty());
}

TEST_P(CrashTest, OtherTableModeOrNoMemoryMeansThatTheOldDmaIsStopped) {
  m_.platform.mailbox.at(platform::mailbox::kFail / 8) = 0;
  crash();
  m_.platform.policy ^= policy::kScalable.mask();
  for (FakeUnit& unit : m_.platform.units) unit.profile.scalable_mode = unit.profile.second_stage = true;
  const PhysAddr old_root = root();
  ASSERT_TRUE(m_.start_next()) << m_.platform.last_line();
  EXPECT_EQ(m_.platform.units[0].te_drops, 1U);
  EXPECT_NE(root(), old_root);
  EXPECT_EQ(m_.iommu().unit(0).ids().taken(), 0U);
  for (const SourceId sid : {kD1, kD2, kD3, kHigh}) EXPECT_FALSE(m_.iommu().unit(0).context().present(sid));
}

TEST_P(CrashTest, CopyThatRunsOutOfMemoryLeavesNeitherIdsNorPagesTaken) {
  std::uint64_t stopped_free = 0;
  bool copied = false;
  crash();
  const auto units = m_.platform.units;
  for (std::uint64_t turn = 1; turn < 20 && !copied; ++turn) {
    m_.platform.units = units;
    m_.platform.mailbox.at(platform::mailbox::kFail / 8) =
        platform::mailbox::kFailPlace.of(static_cast<std::uint64_t>(FailPlace::kAllocatePage)) |
        platform::mailbox::kFailTurn.of(turn);
    ASSERT_TRUE(m_.start_next()) << m_.platform.last_line();
    copied = m_.platform.units[0].te_drops == 0;
    if (copied) break;
    EXPECT_EQ(m_.iommu().unit(0).ids().taken(), 0U) << turn;
    EXPECT_FALSE(m_.iommu().unit(0).context().present(kD1)) << turn;
    if (turn == 1) stopped_free = m_.iommu().allocator().free_pages();
    EXPECT_EQ(m_.iommu().allocator().free_pages(), stopped_free) << turn;
    m_.iommu().for_each_device([&](const Device& d) { EXPECT_FALSE(d.copied) << turn; });
  }
  EXPECT_NE(stopped_free, 0U);
  EXPECT_TRUE(copied);
}

INSTANTIATE_TEST_SUITE_P(Modes, CrashTest, ::testing::Bool(),
                         [](const auto& info) { return info.param ? "scalable" : "legacy"; });

}  // namespace
}  // namespace vtd::fw::test
