// SPDX-License-Identifier: MIT
#include "tlm/core/fault_log.h"

#include "tests/core/core_fixture.h"

namespace vtd::test {
namespace {

/// Every DMA of kNic faults with kRootNotPresent (not qualified by FPD).
class FaultLogTest : public CoreFixture {
 protected:
  FaultLogTest() { start(Profile{}); }
  void start(const Profile& p) {
    build(p);
    enable();
    write(RegId::kFEDATA, 0x41);
    write(RegId::kFEADDR, 0xFEE0'1000);
    write(RegId::kFEUADDR, 0x2);
  }
  void fault(Iova address = 0x5000) { EXPECT_EQ(fault_of(dma_read(kNic, address)), FaultReason::kRootNotPresent); }
  void unmask() { write(RegId::kFECTL, 0); }
  std::uint64_t record_offset(unsigned index) { return profile.fault_record_offset + index * frcd::kBytes; }
  void clear_record(unsigned index) { unit->write(record_offset(index) + 12, 0x8000'0000, 4); }
};

TEST_F(FaultLogTest, RecordHoldsEverythingAboutTheRequest) {
  DmaRequest request = dma_write(kNic, 0x1'2345'6789);
  fault_of(request);
  const frcd::Entry write_record = unit->fault_record(0);
  EXPECT_EQ(write_record.get(frcd::kF), 1U);
  EXPECT_EQ(write_record.address(frcd::kFI), 0x1'2345'6000U);
  EXPECT_EQ(write_record.get(frcd::kSID), kNic.value);
  EXPECT_EQ(write_record.get(frcd::kFR), 1U);
  EXPECT_EQ(write_record.get(frcd::kT1), 0U);
  EXPECT_EQ(write_record.get(frcd::kT2), 0U);
  EXPECT_EQ(write_record.get(frcd::kPP), 0U);
  request.access = Access::kRead;
  fault_of(request);
  EXPECT_EQ(unit->fault_record(1).get(frcd::kT1), 1U);
  EXPECT_EQ(unit->fault_record(1).get(frcd::kT2), 0U);
  request.access = Access::kAtomic;
  request.pasid = Pasid{0x54321};
  EXPECT_EQ(fault_of(request), FaultReason::kPasidUnderLegacy);
  const frcd::Entry atomic = unit->fault_record(2);
  EXPECT_EQ(atomic.get(frcd::kT1), 1U);
  EXPECT_EQ(atomic.get(frcd::kT2), 1U);
  EXPECT_EQ(atomic.get(frcd::kPP), 1U);
  EXPECT_EQ(atomic.get(frcd::kPV), 0x54321U);
  request.pasid.reset();
  request.type = AddressType::kTranslated;
  fault_of(request);
  EXPECT_EQ(unit->fault_record(3).get(frcd::kAT), 2U);
}

TEST_F(FaultLogTest, AddressBitsAboveTheLargestWidthAreZero) {
  fault_of(dma_read(kNic, 0xFE00'0000'0000'5000));
  EXPECT_EQ(unit->fault_record(0).address(frcd::kFI), 0x5000U);
}

TEST_F(FaultLogTest, FriNamesTheFirstPendingRecordAlsoAfterWrap) {
  Profile small;
  small.fault_records = 3;
  start(small);
  fault();
  fault();
  EXPECT_EQ(fault_status(fsts::kPPF), 1U);
  EXPECT_EQ(fault_status(fsts::kFRI), 0U);
  clear_record(0);
  EXPECT_EQ(fault_status(fsts::kPPF), 1U) << "record 1 is still pending";
  clear_record(1);
  EXPECT_EQ(fault_status(fsts::kPPF), 0U);
  fault();
  EXPECT_EQ(fault_status(fsts::kFRI), 2U);
  clear_record(2);
  fault();
  EXPECT_EQ(fault_status(fsts::kFRI), 0U);
  EXPECT_EQ(unit->fault_record(0).get(frcd::kF), 1U);
}

TEST_F(FaultLogTest, OverflowDropsUntilSoftwareClearsIt) {
  Profile small;
  small.fault_records = 2;
  start(small);
  unmask();
  fault(0x1000);
  fault(0x2000);
  EXPECT_EQ(fault_status(fsts::kPFO), 0U);
  const auto dropped = dma(dma_read(kNic, 0x3000));
  EXPECT_FALSE(dropped.fault().recorded);
  EXPECT_EQ(fault_status(fsts::kPFO), 1U);
  EXPECT_EQ(host->messages.size(), 1U) << "PPF was still set: no second message";
  clear_record(0);
  fault(0x4000);
  EXPECT_EQ(unit->fault_record(0).get(frcd::kF), 0U) << "with PFO set everything is dropped";
  clear_record(1);
  write(RegId::kFSTS, fsts::kPFO.mask());
  fault(0x5000);
  EXPECT_EQ(unit->fault_record(0).address(frcd::kFI), 0x5000U);
  EXPECT_EQ(host->messages.size(), 2U);
}

TEST_F(FaultLogTest, MessageGoesOutOnceWhileACauseIsSet) {
  unmask();
  fault();
  ASSERT_EQ(host->messages.size(), 1U);
  EXPECT_EQ(host->messages[0], (std::pair<PhysAddr, std::uint32_t>{0x2'FEE0'1000, 0x41}));
  EXPECT_EQ(reg(RegId::kFECTL), 0U) << "sent, so not pending";
  fault();
  EXPECT_EQ(host->messages.size(), 1U);
  clear_record(0);
  fault();
  EXPECT_EQ(host->messages.size(), 1U) << "record 1 still keeps PPF set";
  clear_record(1);
  clear_record(2);
  fault();
  EXPECT_EQ(host->messages.size(), 2U);
}

TEST_F(FaultLogTest, MaskedEventStaysPendingAndGoesOutOnUnmask) {
  fault();
  EXPECT_TRUE(host->messages.empty());
  EXPECT_EQ(read(RegId::kFECTL), 0xC000'0000U);
  unmask();
  EXPECT_EQ(host->messages.size(), 1U);
  EXPECT_EQ(read(RegId::kFECTL), 0U);
  unmask();
  EXPECT_EQ(host->messages.size(), 1U);
}

TEST_F(FaultLogTest, PendingIsWithdrawnWithItsLastCause) {
  fault();
  write(RegId::kFSTS, fsts::kPPF.mask());
  EXPECT_EQ(fault_status(fsts::kPPF), 1U) << "PPF cannot be cleared through FSTS";
  EXPECT_EQ(ectl::kIP.get(reg(RegId::kFECTL)), 1U);
  clear_record(0);
  EXPECT_EQ(ectl::kIP.get(reg(RegId::kFECTL)), 0U);
  unmask();
  EXPECT_TRUE(host->messages.empty());
}

TEST_F(FaultLogTest, FpdSilencesQualifiedFaultsOnly) {
  ctx::Entry entry;
  set_context(kNic, entry.set(ctx::kFPD, 1));
  EXPECT_EQ(fault_of(dma_read(kNic, 0)), FaultReason::kContextNotPresent);
  EXPECT_EQ(unit->fault_record(0).get(frcd::kF), 0U);
  set_context(kNic, context_entry(kDomainA, 0x900'0000).set(ctx::kFPD, 1));
  EXPECT_EQ(fault_of(dma_read(kNic, 0)), FaultReason::kReadPermission);
  EXPECT_EQ(fault_of(dma_read(kNic, Iova{1} << 50)), FaultReason::kAddressBeyondWidth);
  EXPECT_EQ(unit->fault_record(0).get(frcd::kF), 0U);
  EXPECT_EQ(unit->statistics().faults, 3U);
  EXPECT_EQ(unit->statistics().faults_recorded, 0U);
  fault_of(dma_read(make_source_id(7, 0, 0), 0));  // a root fault is found before any FPD
  EXPECT_EQ(unit->fault_record(0).get(frcd::kF), 1U);
}

TEST_F(FaultLogTest, QualificationIsAPropertyOfTheReason) {
  for (const FaultInfo& fault : kFaults) {
    if (fault.reason == FaultReason::kNone) continue;
    UnitState state(profile, {}, *host, *log, 1);
    FaultLog faults(state);
    EXPECT_EQ(faults.record(dma_read(kNic, 0), fault.reason, true), !fault.qualified) << fault.name;
    EXPECT_TRUE(faults.record(dma_read(kNic, 0), fault.reason, false)) << fault.name;
  }
}

TEST_F(FaultLogTest, WarmResetKeepsRecordsAndRing) {
  fault(0x1000);
  unit->reset(ResetKind::kWarm);
  EXPECT_EQ(fault_status(fsts::kPPF), 1U);
  EXPECT_EQ(unit->fault_record(0).address(frcd::kFI), 0x1000U);
  enable();
  fault(0x2000);
  EXPECT_EQ(unit->fault_record(1).address(frcd::kFI), 0x2000U) << "the ring goes on where it was";
  unit->reset(ResetKind::kCold);
  EXPECT_EQ(reg(RegId::kFSTS), 0U);
  enable();
  fault(0x3000);
  EXPECT_EQ(unit->fault_record(0).address(frcd::kFI), 0x3000U);
}

}  // namespace
}  // namespace vtd::test
