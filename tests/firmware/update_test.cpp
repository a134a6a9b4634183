// SPDX-License-Identifier: MIT
// A whole live update, from image A to image B, on simulated memory.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/firmware/fake_platform.h"

namespace vtd::fw::test {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using enum platform::Command;
using platform::LifecycleState;
using platform::Query;

class UpdateTest : public ::testing::Test {
 protected:
  Machine m_;
  void SetUp() override {
    m_.boot(ImageLetter::kA);
    m_.set_up_device();
  }
  [[nodiscard]] LifecycleState state() { return static_cast<LifecycleState>(m_.ask(Query::kLifecycle)); }
};

TEST_F(UpdateTest, RebootPlacesTheOtherImageAndTellsTheResetController) {
  m_.preserve_all();
  m_.go_down();
  namespace r = platform::reset;
  const auto& regs = m_.platform.reset_registers;
  EXPECT_EQ(regs[r::kEntry / 8], platform::kSlotBBase + 16);
  EXPECT_EQ(regs[r::kScratchBase / 8], platform::kSlotBBase);
  EXPECT_EQ(regs[r::kScratchSize / 8], platform::kSlotBSize);
  EXPECT_EQ(m_.platform.read64(platform::kSlotBBase), 0x6262'6262'6262'6262U);
  EXPECT_NE(regs[r::kHandover / 8], 0U);
  EXPECT_NE(regs[r::kTracker / 8], 0U);
  EXPECT_EQ(m_.platform.mailbox[platform::mailbox::kState / 8], static_cast<std::uint64_t>(LifecycleState::kBlackout));
}

TEST_F(UpdateTest, MissingOrForeignImageIsRefused) {
  m_.preserve_all();
  ASSERT_EQ(m_.status(kFreeze), Status::kOk);
  ASSERT_EQ(m_.status(kShutdown), Status::kOk);
  m_.platform.image_store[1][8] = 1;  // load address outside slot B
  EXPECT_EQ(m_.status(kReboot), Status::kNoData);
  m_.platform.image_store[1].clear();
  EXPECT_EQ(m_.status(kReboot), Status::kNoData);
}

TEST_F(UpdateTest, AdoptTouchesTheUnitInThisOrderAndNeverDropsTranslation) {
  m_.preserve_all();
  m_.go_down();
  const std::uint64_t root = m_.get_field("unit", 0, "root_table");
  ASSERT_TRUE(m_.start_next()) << m_.platform.last_line();
  const auto log = m_.platform.take_unit_log();
  std::vector<std::string> writes;
  for (const std::string& line : log)
    if (line.find("<-") != std::string::npos) writes.push_back(line);
  char rtaddr_line[40];
  std::snprintf(rtaddr_line, sizeof rtaddr_line, "RTADDR <- 0x%llx", static_cast<unsigned long long>(root));
  ASSERT_EQ(writes.size(), 9U);
  EXPECT_EQ(writes[0], "GCMD <- 0x80000000");  // QIE off, TE on
  EXPECT_EQ(writes[1], "IQT <- 0x0");
  EXPECT_THAT(writes[2], ::testing::StartsWith("IQA <- "));
  EXPECT_EQ(writes[3], "GCMD <- 0x84000000");
  EXPECT_EQ(writes[4], rtaddr_line);
  EXPECT_EQ(writes[5], "GCMD <- 0xc4000000");
  EXPECT_EQ(writes[6], "IQT <- 0x20");
  EXPECT_EQ(writes[7], "IQT <- 0x40");
  EXPECT_EQ(writes[8], "GCMD <- 0x84000000");  // TE again, with TE already on
  EXPECT_EQ(m_.platform.units[0].te_drops, 0U);
}

TEST_F(UpdateTest, HardwareTablesAreUntouched) {
  m_.preserve_all();
  const std::uint64_t digest = m_.ask(Query::kDomainTables, 1, 1);
  const ctx::Entry entry = m_.iommu().unit(0).context().low(Machine::kD1);
  m_.go_down();
  m_.platform.writes128.clear();
  ASSERT_TRUE(m_.start_next()) << m_.platform.last_line();
  EXPECT_THAT(m_.platform.writes128, IsEmpty());
  EXPECT_EQ(m_.ask(Query::kDomainTables, 1, 1), digest);
  EXPECT_EQ(m_.ask(Query::kDomainTables, 1, 0), 4U);
  EXPECT_EQ(m_.iommu().unit(0).context().low(Machine::kD1), entry);
}

TEST_F(UpdateTest, IncomingStateIsComplete) {
  m_.preserve_all();
  const std::uint64_t pages = m_.ask(Query::kPreservedPages);
  m_.go_down();
  ASSERT_TRUE(m_.start_next()) << m_.platform.last_line();
  EXPECT_EQ(state(), LifecycleState::kReattached);
  EXPECT_EQ(m_.ask(Query::kLifecycle, 0, 1), 1U);
  EXPECT_EQ(m_.ask(Query::kLifecycle, 0, 2), std::uint64_t{'B'});
  EXPECT_EQ(m_.ask(Query::kDeviceDid, Machine::kD1.value), 2U);
  EXPECT_EQ(m_.ask(Query::kDeviceDid, Machine::kD1.value, 1), 1U);
  EXPECT_EQ(m_.ask(Query::kDidUseCount, 2, 0), 1U);
  EXPECT_EQ(m_.ask(Query::kDidUseCount, 2, 1), 1U);
  EXPECT_EQ(m_.ask(Query::kUnitRecord), 1U);
  EXPECT_EQ(m_.ask(Query::kDeviceOwner, Machine::kD1.value, 1), 1U);
  // Guest memory and the tracker are still to be taken back.
  EXPECT_EQ(m_.ask(Query::kPreservedPages, 0, 0), 18U);
  EXPECT_EQ(m_.ask(Query::kPreservedPages, 0, 1), pages - 18U);
}

TEST_F(UpdateTest, OwnerIsTheRecordAndNobodyElse) {
  m_.preserve_all();
  m_.go_down();
  const PhysAddr record = m_.field("device", 0, "refcount");
  ASSERT_TRUE(m_.start_next());
  EXPECT_EQ(m_.ask(Query::kDeviceOwner, Machine::kD1.value), record);
  EXPECT_EQ(m_.status(kClaimOwner, {Machine::kD1.value, 0x77}), Status::kPerm);
  EXPECT_EQ(m_.status(kClaimOwner, {Machine::kD1.value, record}), Status::kPerm);  // a number is not the object
  EXPECT_EQ(m_.status(kReleaseOwner, {Machine::kD1.value, record}), Status::kPerm);
  EXPECT_EQ(m_.status(kPassThrough, {Machine::kD1.value}), Status::kBusy);
  EXPECT_EQ(m_.status(kDetach, {Machine::kD1.value}), Status::kBusy);
  EXPECT_EQ(m_.status(kMap, {1, 0x80000, 1, 0, 0x1000, 3, 1}), Status::kNotSupported);  // free-only
  EXPECT_EQ(m_.status(kUnmap, {1, 0x10000, 0x1000}), Status::kNotSupported);
}

TEST_F(UpdateTest, SharedDomainIsRestoredOnceAndEveryDeviceHasAnOwner) {
  ASSERT_EQ(m_.status(kAttach, {Machine::kD2.value, 1}), Status::kOk);
  ASSERT_EQ(m_.status(kClaimOwner, {Machine::kD2.value, 0x77}), Status::kOk);
  m_.preserve_all();
  ASSERT_EQ(m_.status(kPreserveDevice, {1, 4, Machine::kD2.value}), Status::kOk);
  m_.go_down();
  ASSERT_TRUE(m_.start_next()) << m_.platform.last_line();
  EXPECT_EQ(m_.ask(Query::kDidUseCount, 2), 2U);
  EXPECT_EQ(m_.iommu().device(Machine::kD1.value)->own.domain, m_.iommu().device(Machine::kD2.value)->own.domain);
  const std::uint64_t owner1 = m_.ask(Query::kDeviceOwner, Machine::kD1.value);
  const std::uint64_t owner2 = m_.ask(Query::kDeviceOwner, Machine::kD2.value);
  EXPECT_NE(owner1, 0U);
  EXPECT_NE(owner2, 0U);
  EXPECT_NE(owner1, owner2);
  EXPECT_THAT(m_.platform.console(), Contains("adopt: 01:02.0 domain id 2 reserved already (shared)"));
}

TEST_F(UpdateTest, NewDomainsGetOtherIdsAndNoPreservedPage) {
  m_.preserve_all();
  m_.go_down();
  ASSERT_TRUE(m_.start_next());
  ASSERT_EQ(m_.status(kCreateDomain, {2, 4}), Status::kOk);
  const auto reply = m_.run(kAttach, {Machine::kD2.value, 2});
  EXPECT_EQ(reply.status, Status::kOk);
  EXPECT_EQ(reply.results[0], 3U);
  EXPECT_TRUE(m_.platform.bus_master(Machine::kD2));
  EXPECT_NE(m_.iommu().domain(2)->table.top(), m_.iommu().domain(1)->table.top());
}

TEST_F(UpdateTest, NothingIsTakenOverBeforeItIsRetrieved) {
  m_.preserve_all();
  m_.go_down();
  ASSERT_TRUE(m_.start_next());
  EXPECT_EQ(m_.status(kRetrieve, {1, 9}), Status::kNoEntry);
  EXPECT_EQ(m_.status(kRetrieve, {9, 1}), Status::kNoEntry);
  EXPECT_EQ(m_.status(kTransferOwner, {Machine::kD1.value, 0x77}), Status::kPerm);
  EXPECT_EQ(m_.status(kReclaimDomain, {2}), Status::kPerm);
  const auto device = m_.run(kRetrieve, {1, 3});
  EXPECT_EQ(device.status, Status::kOk);
  EXPECT_EQ(device.results[0], static_cast<std::uint64_t>(FileKind::kDevice));
  EXPECT_EQ(device.results[1], Machine::kD1.value);
  EXPECT_EQ(m_.status(kTransferOwner, {Machine::kD1.value, 0x77}), Status::kPerm) << "its iommufd is not there";
  EXPECT_EQ(m_.run(kRetrieve, {1, 1}).results[1], 1U) << "number of the memory";
  ASSERT_EQ(m_.status(kRetrieve, {1, 2}), Status::kOk);
  EXPECT_EQ(m_.ask(Query::kSession, 1, 0), 3U);
  EXPECT_EQ(m_.ask(Query::kSession, 1, 1), 3U);
  EXPECT_EQ(m_.status(kReclaimDomain, {2}), Status::kNoDevice) << "a device of it is not bound";
  EXPECT_EQ(m_.status(kFinish, {1}), Status::kBusy);
  EXPECT_EQ(m_.status(kTransferOwner, {Machine::kD1.value, 0}), Status::kInvalid);
  ASSERT_EQ(m_.status(kTransferOwner, {Machine::kD1.value, 0x77}), Status::kOk);
  EXPECT_EQ(m_.status(kTransferOwner, {Machine::kD1.value, 0x78}), Status::kInvalid) << "once";
  EXPECT_EQ(m_.ask(Query::kDeviceOwner, Machine::kD1.value), 0x77U);
  EXPECT_EQ(m_.status(kFinish, {1}), Status::kBusy) << "the domain has no handle";
  EXPECT_EQ(m_.status(kReclaimDomain, {3}), Status::kNoEntry);
  const auto domain = m_.run(kReclaimDomain, {2});
  EXPECT_EQ(domain.status, Status::kOk);
  EXPECT_EQ(domain.results[0], 1U);
  EXPECT_EQ(m_.status(kReclaimDomain, {2}), Status::kExists);
  EXPECT_EQ(m_.status(kMap, {1, 0x80000, 1, 0, 0x1000, 3, 1}), Status::kNotSupported) << "still free-only";
  EXPECT_EQ(m_.status(kFinish, {1}), Status::kOk);
}

TEST_F(UpdateTest, OlderSeriesNeverGiveTheIommufdBack) {
  m_.preserve_all();
  for (const platform::Series series : {platform::Series::kV1, platform::Series::kV2}) {
    Machine m;
    m.platform.policy |= platform::policy::kSeries.of(static_cast<std::uint64_t>(series));
    m.boot(ImageLetter::kA);
    m.set_up_device();
    m.preserve_all();
    m.go_down();
    ASSERT_TRUE(m.start_next()) << m.platform.last_line();
    EXPECT_EQ(m.status(kRetrieve, {1, 1}), Status::kOk);
    EXPECT_EQ(m.status(kRetrieve, {1, 2}), Status::kNotSupported);
    EXPECT_EQ(m.status(kRetrieve, {1, 3}), Status::kOk);
    EXPECT_EQ(m.status(kFinish, {1}), Status::kBusy);
  }
}

TEST_F(UpdateTest, FinishTakesEverythingBackAndKeepsTheTranslation) {
  m_.preserve_all();
  const std::uint64_t pages = m_.ask(Query::kPreservedPages);
  m_.go_down();
  ASSERT_TRUE(m_.start_next());
  EXPECT_EQ(m_.status(kFreeze), Status::kBusy);  // no second update before the first is finished
  EXPECT_EQ(m_.status(kFinish, {9}), Status::kNoEntry);
  m_.take_over();
  static_cast<void>(m_.platform.take_unit_log());
  ASSERT_EQ(m_.status(kFinish, {1}), Status::kOk);
  EXPECT_THAT(m_.platform.take_unit_log(), IsEmpty()) << "it changes no translation";
  EXPECT_EQ(state(), LifecycleState::kFinished);
  EXPECT_EQ(m_.status(kFinish, {1}), Status::kNoEntry);
  EXPECT_EQ(m_.ask(Query::kPreservedPages, 0, 0), 0U);
  EXPECT_EQ(m_.ask(Query::kPreservedPages, 0, 1), pages);  // preserved set = reclaimed set
  EXPECT_EQ(m_.ask(Query::kDeviceDid, Machine::kD1.value), 2U);
  EXPECT_EQ(m_.ask(Query::kDeviceOwner, Machine::kD1.value), 0x77U);
  EXPECT_EQ(m_.platform.reset_registers[platform::reset::kHandover / 8], 0U);
  EXPECT_EQ(m_.platform.reset_registers[platform::reset::kTracker / 8], 0U);
  // Kept: root and context table, queue and its status word, four table pages.
  EXPECT_EQ(m_.iommu().allocator().free_pages(), PageAllocator::kCommonPages - 8);
  EXPECT_EQ(m_.status(kDestroyDomain, {1}), Status::kBusy);
  ASSERT_EQ(m_.status(kDetach, {Machine::kD1.value}), Status::kOk);
  EXPECT_EQ(m_.ask(Query::kDidUseCount, 2, 1), 0U);
  EXPECT_EQ(m_.iommu().allocator().free_pages(), PageAllocator::kCommonPages - 8);
  ASSERT_EQ(m_.status(kDestroyDomain, {1}), Status::kOk);
  EXPECT_EQ(m_.iommu().allocator().free_pages(), PageAllocator::kCommonPages - 4);
}

TEST_F(UpdateTest, ReplaceIsOneStoreAndTheOldIdGoesLast) {
  m_.preserve_all();
  m_.go_down();
  ASSERT_TRUE(m_.start_next());
  m_.take_over();
  ASSERT_EQ(m_.status(kFinish, {1}), Status::kOk);
  ASSERT_EQ(m_.status(kCreateDomain, {2, 4}), Status::kOk);
  ASSERT_EQ(m_.status(kMap, {2, 0x10000, 1, 0, 0x10000, 3, 1}), Status::kOk);
  m_.platform.writes128.clear();
  m_.platform.units[0].descriptors.clear();
  const auto reply = m_.run(kReplace, {Machine::kD1.value, 2});
  ASSERT_EQ(reply.status, Status::kOk);
  EXPECT_EQ(reply.results[0], 3U);
  ASSERT_EQ(m_.platform.writes128.size(), 1U) << "never not present";
  EXPECT_EQ(m_.platform.writes128[0].at, m_.iommu().unit(0).context().entry_at(Machine::kD1));
  EXPECT_EQ(m_.platform.writes128[0].low, m_.iommu().domain(2)->table.top() | 1);
  EXPECT_EQ(m_.platform.writes128[0].high, 0x302U) << "domain id 3, four levels";
  const auto& d = m_.platform.units[0].descriptors;
  ASSERT_EQ(d.size(), 4U);
  EXPECT_EQ(d[0].words[0], 0x0108'0002'0031U) << "context cache by device, old id";
  EXPECT_EQ(d[2].words[0], 0x0002'00E2U) << "IOTLB by domain, old id";
  EXPECT_EQ(m_.ask(Query::kDidUseCount, 2, 1), 0U);
  EXPECT_EQ(m_.status(kReplace, {Machine::kD1.value, 2}), Status::kExists);
  EXPECT_EQ(m_.status(kDestroyDomain, {1}), Status::kOk);
}

TEST_F(UpdateTest, SecondUpdateBackToImageA) {
  const std::uint64_t free = m_.ask(Query::kAllocator);
  m_.preserve_all();
  m_.go_down();
  ASSERT_TRUE(m_.start_next());
  EXPECT_EQ(m_.status(kSessionOpen, {2}), Status::kOk);
  EXPECT_EQ(m_.preserve_domain(2, 1, 1), Status::kInvalid);                             // restored
  EXPECT_EQ(m_.status(kPreserveDevice, {2, 1, Machine::kD1.value}), Status::kInvalid);  // carries an incoming record
  m_.take_over();
  ASSERT_EQ(m_.status(kCreateDomain, {2, 4}), Status::kOk);
  ASSERT_EQ(m_.status(kMap, {2, 0x10000, 1, 0, 0x10000, 3, 1}), Status::kOk);
  ASSERT_EQ(m_.status(kReplace, {Machine::kD1.value, 2}), Status::kOk);
  ASSERT_EQ(m_.status(kDestroyDomain, {1}), Status::kOk);
  ASSERT_EQ(m_.status(kFinish, {1}), Status::kOk);
  EXPECT_EQ(m_.ask(Query::kAllocator), free);
  EXPECT_EQ(m_.ask(Query::kAllocator, 0, 1), 1U) << "domain ids";
  ASSERT_EQ(m_.status(kSessionClose, {2}), Status::kOk);
  ASSERT_EQ(m_.status(kSessionOpen, {1}), Status::kOk);
  ASSERT_EQ(m_.status(kPreserveMemory, {1, 1, 1}), Status::kOk);
  ASSERT_EQ(m_.preserve_domain(1, 2, 2), Status::kOk);
  ASSERT_EQ(m_.status(kPreserveDevice, {1, 3, Machine::kD1.value}), Status::kOk);
  m_.go_down();
  EXPECT_EQ(m_.platform.reset_registers[platform::reset::kScratchBase / 8], platform::kSlotABase);
  m_.boot(ImageLetter::kA);
  EXPECT_EQ(state(), LifecycleState::kReattached);
  EXPECT_EQ(m_.ask(Query::kUpdates), 2U);
  EXPECT_EQ(m_.platform.units[0].te_drops, 0U);
}

TEST_F(UpdateTest, ImageWithoutIommuSection) {
  ASSERT_EQ(m_.status(kSessionOpen, {1}), Status::kOk);
  ASSERT_EQ(m_.status(kPreserveMemory, {1, 1, 1}), Status::kOk);
  m_.platform.write64(platform::kGuestBase + 8, 0x1234);
  m_.go_down();
  ASSERT_TRUE(m_.start_next()) << m_.platform.last_line();
  EXPECT_EQ(state(), LifecycleState::kReattached);
  EXPECT_EQ(m_.platform.read64(platform::kGuestBase + 8), 0x1234U);
  EXPECT_EQ(m_.status(kAddMemory, {2, platform::kGuestBase, 0x1000}), Status::kAddrInUse);
  EXPECT_EQ(m_.status(kFinish, {1}), Status::kOk);
}

TEST_F(UpdateTest, NothingHandedOverIsAFreshStart) {
  m_.go_down();
  ASSERT_TRUE(m_.start_next()) << m_.platform.last_line();
  EXPECT_EQ(state(), LifecycleState::kNormal);
  EXPECT_EQ(m_.ask(Query::kDidUseCount, 2, 1), 0U);
}

TEST_F(UpdateTest, OnlyTheUnitWithPreservedDevicesIsAdopted) {
  Machine m;
  const SourceId d4 = make_source_id(9, 0, 0);
  m.platform.add_endpoint(d4, 1);
  m.boot(ImageLetter::kA);
  m.set_up_device();
  ASSERT_EQ(m.status(kAttach, {d4.value, 1}), Status::kOk);
  m.preserve_all();
  m.go_down();
  EXPECT_EQ(m.platform.units[0].te_drops, 0U);
  EXPECT_EQ(m.platform.units[1].te_drops, 1U);
  ASSERT_TRUE(m.start_next()) << m.platform.last_line();
  EXPECT_EQ(m.ask(Query::kUnitRecord, 1), 0U);
  EXPECT_EQ(m.status(kCreateDomain, {2, 4}), Status::kOk);
  EXPECT_EQ(m.run(kAttach, {d4.value, 2}).results[0], 2U);  // id 2 is only reserved on unit 0
}

TEST_F(UpdateTest, PoisonedQueueIsReplacedBeforeItIsUsed) {
  m_.preserve_all();
  const std::uint64_t old_queue = m_.platform.units[0].registers[info(RegId::kIQA).offset];
  m_.go_down();
  EXPECT_EQ(m_.platform.read64(old_queue), m_.platform.poison);
  m_.platform.units[0].descriptors.clear();
  ASSERT_TRUE(m_.start_next());
  EXPECT_EQ(m_.platform.units[0].descriptors.size(), 4U);
  for (const Record128& d : m_.platform.units[0].descriptors) EXPECT_NE(d.words[0], m_.platform.poison);
}

TEST_F(UpdateTest, UndrainedQueueStopsTheImageBeforeItTouchesTheUnit) {
  m_.preserve_all();
  m_.go_down();
  m_.platform.units[0].registers[info(RegId::kIQT).offset] = 0x20;
  m_.platform.units[0].registers[info(RegId::kIQH).offset] = 0x10;
  const unsigned writes = m_.platform.unit_writes();
  EXPECT_FALSE(m_.start_next());
  EXPECT_EQ(m_.platform.last_line(), "FATAL unit 0xfed90000: cannot be adopted: EBUSY");
  EXPECT_EQ(m_.platform.unit_writes(), writes);
}

TEST_F(UpdateTest, PlantedGlobalIsReadBack) {
  EXPECT_EQ(m_.status(kPlantGlobal, {0xABCD}), Status::kOk);
  EXPECT_EQ(m_.run(kReadGlobal).results[0], 0xABCDU);
}

}  // namespace
}  // namespace vtd::fw::test
