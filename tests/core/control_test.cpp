// SPDX-License-Identifier: MIT
#include "tlm/core/control.h"

#include "tests/core/core_fixture.h"

namespace vtd::test {
namespace {

class ControlTest : public CoreFixture {
 protected:
  void command_only(std::uint64_t value) { write(RegId::kGCMD, value); }
};

TEST_F(ControlTest, StatusFollowsCompletionNotTheWrite) {
  write(RegId::kRTADDR, kRootTable);
  command_only(gcmd::kSRTP.mask());
  EXPECT_EQ(status(gsts::kRTPS), 0U);
  pump();
  EXPECT_EQ(status(gsts::kRTPS), 1U);
  command_only(gcmd::kTE.mask());
  EXPECT_EQ(status(gsts::kTES), 0U);
  pump();
  EXPECT_EQ(status(gsts::kTES), 1U);
  EXPECT_EQ(read(RegId::kGSTS), 0xC000'0000U);
}

TEST_F(ControlTest, RootPointerIsLatchedBySrtpOnly) {
  set_context(kNic, context_entry(kDomainA, 0, 5, TranslationType::kPassThrough));
  enable();
  write(RegId::kRTADDR, 0x7000);
  EXPECT_EQ(address_of(dma_read(kNic, 0x1234)), 0x1234U) << "RTADDR alone changes nothing";
  command_on(gcmd::kSRTP);
  EXPECT_EQ(address_of(dma_read(kNic, 0x1234)), 0x1234U) << "the context cache is software's to invalidate";
  invalidate_context_register(ccmd_global());
  pump();
  EXPECT_EQ(fault_of(dma_read(kNic, 0x1234)), FaultReason::kRootNotPresent);
}

TEST_F(ControlTest, RtpsFallsWhenTheNextSrtpStarts) {
  set_root();
  EXPECT_EQ(status(gsts::kRTPS), 1U);
  command_only(gcmd::kSRTP.mask());
  EXPECT_EQ(status(gsts::kRTPS), 0U);
  pump();
  EXPECT_EQ(status(gsts::kRTPS), 1U);
}

TEST_F(ControlTest, EsrtpsInvalidatesByItself) {
  Profile hitless;
  hitless.hitless_root = true;
  build(hitless);
  set_context(kNic, context_entry(kDomainA, 0, 5, TranslationType::kPassThrough));
  enable();
  EXPECT_EQ(address_of(dma_read(kNic, 0x1234)), 0x1234U);
  set_root(0x7000);
  EXPECT_EQ(unit->caches().context.size(), 0U);
  EXPECT_EQ(fault_of(dma_read(kNic, 0x1234)), FaultReason::kRootNotPresent);
}

TEST_F(ControlTest, TranslationOffPassesUntranslated) {
  const auto before = dma(dma_read(kNic, 0x1'2345));
  ASSERT_TRUE(before.ok());
  EXPECT_EQ(before->address, 0x1'2345U);
  EXPECT_FALSE(before->remapped);
  enable();
  EXPECT_EQ(fault_of(dma_read(kNic, 0x1'2345)), FaultReason::kRootNotPresent);
  command_off(gcmd::kTE);
  EXPECT_EQ(status(gsts::kTES), 0U);
  EXPECT_EQ(address_of(dma_read(kNic, 0x1'2345)), 0x1'2345U);
}

TEST_F(ControlTest, TranslationDoesNotFlushCaches) {
  const PhysAddr table = new_table();
  map(table, 0x5000, 0x9000);
  set_context(kNic, context_entry(kDomainA, table));
  enable();
  EXPECT_EQ(address_of(dma_read(kNic, 0x5000)), 0x9000U);
  command_off(gcmd::kTE);
  command_on(gcmd::kTE);
  EXPECT_TRUE(dma(dma_read(kNic, 0x5000))->iotlb_hit);
}

TEST_F(ControlTest, TesWaitsForRequestsAcceptedBefore) {
  set_context(kNic, context_entry(kDomainA, 0, 5, TranslationType::kPassThrough));
  enable();
  Ticket ticket = unit->accept(dma_write(kNic, 0x1000));
  ASSERT_TRUE(unit->translate(ticket).ok());
  command_only(0);
  const auto off = tasks.spawn([&] { unit->run(Engine::kCommand); });
  tasks.settle();
  EXPECT_FALSE(off->done());
  EXPECT_EQ(status(gsts::kTES), 1U) << "a translated write is not yet visible";
  Ticket later = unit->accept(dma_write(kDisk, 0x2000));
  EXPECT_FALSE(unit->translate(later)->remapped) << "requests accepted later see the new setting";
  ticket.end();
  tasks.settle();
  EXPECT_TRUE(off->done()) << "later requests are not waited for";
  EXPECT_EQ(status(gsts::kTES), 0U);
}

TEST_F(ControlTest, RequestAcceptedBeforeTeIsCompletedUntranslated) {
  set_root();
  Ticket ticket = unit->accept(dma_write(kNic, 0x1000));
  command_only(gcmd::kTE.mask());
  const auto on = tasks.spawn([&] { unit->run(Engine::kCommand); });
  tasks.settle();
  EXPECT_FALSE(on->done());
  EXPECT_FALSE(unit->translate(ticket)->remapped);
  ticket.end();
  tasks.settle();
  EXPECT_TRUE(on->done());
  EXPECT_EQ(status(gsts::kTES), 1U);
}

TEST_F(ControlTest, DmiIsRevokedBeforeStatusChanges) {
  std::vector<std::uint64_t> seen;
  host->on_revoke = [&] { seen.push_back(reg(RegId::kGSTS)); };
  set_root();
  EXPECT_EQ(seen, std::vector<std::uint64_t>{0});
  seen.clear();
  command_on(gcmd::kTE);
  EXPECT_EQ(seen, std::vector<std::uint64_t>{gsts::kRTPS.mask()});
}

TEST_F(ControlTest, QueueEnableResetsTheHeadAndStarts) {
  host->words[kQueueBase] = 0x1 | descriptor::kG.of(1);
  write(RegId::kIQT, 16);
  enable_queue();
  EXPECT_EQ(status(gsts::kQIES), 1U);
  EXPECT_EQ(reg(RegId::kIQH), 16U);
  EXPECT_EQ(log->completed.size(), 1U);
  command_off(gcmd::kQIE);
  EXPECT_EQ(status(gsts::kQIES), 0U);
  EXPECT_EQ(unit->misuse(Misuse::kQueueDisabledWhileBusy), 0U);
  write(RegId::kIQT, 0);
  command_on(gcmd::kQIE);
  EXPECT_EQ(reg(RegId::kIQH), 0U);
}

TEST_F(ControlTest, OneShotBitsAreNotReplayed) {
  set_root();
  const unsigned revoked = host->revocations;
  command_on(gcmd::kTE);
  EXPECT_EQ(host->revocations, revoked + 1) << "TE only: RTPS in GSTS does not ask for SRTP again";
  write(RegId::kGCMD, gcmd::kTE.mask());
  EXPECT_FALSE(host->command_woken) << "nothing changed, nothing to do";
}

TEST_F(ControlTest, AbsentFeaturesHaveNoEffect) {
  for (const Field& bit : {gcmd::kSFL, gcmd::kEAFL, gcmd::kIRE, gcmd::kSIRTP, gcmd::kCFI, gcmd::kWBF}) {
    command_on(bit);
    EXPECT_EQ(reg(RegId::kGSTS), 0U) << bit.name;
  }
}

TEST_F(ControlTest, WriteBufferFlushWithRwbf) {
  Profile buffered;
  buffered.write_buffer_flush = true;
  build(buffered);
  command_only(gcmd::kWBF.mask());
  EXPECT_EQ(status(gsts::kWBFS), 1U);
  pump();
  EXPECT_EQ(status(gsts::kWBFS), 0U);
}

TEST_F(ControlTest, MisuseIsCountedAndDoneInOrder) {
  write(RegId::kRTADDR, kRootTable);
  command_only(gcmd::kSRTP.mask() | gcmd::kTE.mask());
  EXPECT_EQ(unit->misuse(Misuse::kSeveralCommands), 1U);
  command_only(gcmd::kTE.mask() | gcmd::kQIE.mask());
  EXPECT_EQ(unit->misuse(Misuse::kCommandWhilePending), 1U);
  pump();
  EXPECT_EQ(reg(RegId::kGSTS), gsts::kTES.mask() | gsts::kRTPS.mask() | gsts::kQIES.mask());
}

TEST_F(ControlTest, ResetAbandonsAPendingCommand) {
  set_root();
  Ticket ticket = unit->accept(dma_write(kNic, 0x1000));
  command_only(gcmd::kTE.mask());
  const auto on = tasks.spawn([&] { unit->run(Engine::kCommand); });
  unit->reset(ResetKind::kWarm);
  tasks.settle();
  EXPECT_TRUE(on->done());
  ticket.end();
  EXPECT_EQ(reg(RegId::kGSTS), 0U);
  EXPECT_FALSE(unit->translation_enabled());
  enable();
  EXPECT_EQ(status(gsts::kTES), 1U) << "the engine is usable again";
}

}  // namespace
}  // namespace vtd::test
