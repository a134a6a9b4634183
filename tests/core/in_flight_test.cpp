// SPDX-License-Identifier: MIT
// A directed test for each rule about requests in flight.
#include "tlm/core/in_flight.h"

#include <optional>

#include "tests/core/core_fixture.h"

namespace vtd::test {
namespace {

constexpr PhysAddr kOldPage = 0x80'0000;
constexpr PhysAddr kNewPage = 0x90'0000;
constexpr Iova kIova = 0x5000;

/// A DMA that runs in a task of its own.
struct Dma {
  std::shared_ptr<Tasks::Task> task;
  std::optional<Ticket> ticket;
  std::optional<Result<Translation>> result;
};

class InFlightTest : public CoreFixture {
 protected:
  InFlightTest() {
    table = new_table();
    leaf = map(table, kIova, kOldPage);
    set_context(kNic, context_entry(kDomainA, table));
    enable();
  }
  std::unique_ptr<Dma> begin(const DmaRequest& request) {
    auto dma = std::make_unique<Dma>();
    dma->ticket = unit->accept(request);
    dma->task = tasks.spawn([this, d = dma.get()] { d->result = unit->translate(*d->ticket); });
    return dma;
  }
  /// Register invalidation in a task of its own.
  std::shared_ptr<Tasks::Task> begin_commands() {
    host->command_woken = false;
    return tasks.spawn([this] { unit->run(Engine::kCommand); });
  }
  void remap() { host->words[leaf] = kNewPage | rights(true, true); }
  std::size_t iotlb_size() { return unit->caches().iotlb.size(); }

  PhysAddr table = 0;
  PhysAddr leaf = 0;
};

TEST_F(InFlightTest, HitsPassMisses) {
  address_of(dma_read(kNic, kIova));
  map(table, 0x6000, 0xA000);
  host->walks_blocked = true;
  const auto miss = begin(dma_read(kNic, 0x6000));
  EXPECT_FALSE(miss->task->done());
  EXPECT_EQ(address_of(dma_read(kNic, kIova)), kOldPage);
  host->walks_blocked = false;
  tasks.settle();
  EXPECT_EQ((*miss->result)->address, 0xA000U);
}

TEST_F(InFlightTest, SeveralMissesWalkAtOnce) {
  host->walks_blocked = true;
  std::vector<std::unique_ptr<Dma>> misses;
  for (Iova iova = 0; iova < 8 * kPageSize; iova += kPageSize) {
    map(table, iova, kNewPage + iova);
    misses.push_back(begin(dma_read(kNic, iova)));
  }
  EXPECT_EQ(host->walks.size(), 8U);
  host->walks_blocked = false;
  tasks.settle();
  for (std::size_t i = 0; i < misses.size(); ++i) EXPECT_EQ((*misses[i]->result)->address, kNewPage + i * kPageSize);
}

TEST_F(InFlightTest, CoveringIotlbInvalidationRestartsTheWalkAndRefusesTheFill) {
  host->walks_blocked = true;
  const auto miss = begin(dma_read(kNic, kIova));
  remap();
  invalidate_iotlb_register(iotlb_page(kDomainA), kIova);
  const auto command = begin_commands();
  EXPECT_FALSE(command->done()) << "the old pass still runs";
  host->walks_blocked = false;
  tasks.settle();
  EXPECT_TRUE(command->done());
  EXPECT_EQ((*miss->result)->address, kNewPage);
  EXPECT_EQ(log->restarts, 1U);
  EXPECT_EQ(unit->caches().iotlb.counters().fills_refused(), 1U);
  EXPECT_EQ(unit->caches().iotlb.peek(kNic, space_of(kDomainA), kIova)->page, kNewPage);
}

TEST_F(InFlightTest, UncoveredInvalidationsDisturbNobody) {
  host->walks_blocked = true;
  const auto miss = begin(dma_read(kNic, kIova));
  const std::pair<std::uint64_t, std::uint64_t> others[] = {
      {iotlb_page(kDomainA), kIova + kPageSize}, {iotlb_page(kDomainB), kIova}, {iotlb_domain(kDomainB), 0}};
  for (const auto& [command, address] : others) {
    invalidate_iotlb_register(command, address);
    pump();
    EXPECT_EQ(iotlb_reg::kIVT.get(reg(RegId::kIOTLB)), 0U) << "completes without waiting";
  }
  invalidate_context_register(ccmd::kCIRG.of(3) | ccmd::kDID.of(kDomainA.value) | ccmd::kSID.of(kDisk.value));
  pump();
  EXPECT_EQ(ccmd::kICC.get(reg(RegId::kCCMD)), 0U);
  host->walks_blocked = false;
  tasks.settle();
  EXPECT_EQ((*miss->result)->address, kOldPage);
  EXPECT_EQ(log->restarts, 0U);
  EXPECT_EQ(iotlb_size(), 1U);
}

TEST_F(InFlightTest, ContextInvalidationDuringTheFetchRefusesTheStaleContext) {
  const PhysAddr other_table = new_table();
  map(other_table, kIova, kNewPage);
  bool hold = true;
  host->on_read = [&](PhysAddr address) {
    while (hold && address == context_entry_address(kNic)) tasks.yield();
  };
  const auto miss = begin(dma_read(kNic, kIova));
  set_context(kNic, context_entry(kDomainB, other_table));
  invalidate_context_register(ccmd::kCIRG.of(3) | ccmd::kDID.of(kDomainA.value) | ccmd::kSID.of(kNic.value));
  const auto command = begin_commands();
  EXPECT_FALSE(command->done());
  hold = false;
  tasks.settle();
  EXPECT_TRUE(command->done());
  EXPECT_EQ((*miss->result)->address, kNewPage);
  EXPECT_EQ(unit->caches().context.counters().fills_refused(), 1U);
  EXPECT_EQ(unit->caches().context.peek(ContextTag{kNic})->domain, kDomainB);
  EXPECT_EQ(host->walks.size(), 1U) << "the old table was not walked";
}

TEST_F(InFlightTest, ContextInvalidationDuringTheWalkRestartsFromTheContext) {
  const PhysAddr other_table = new_table();
  map(other_table, kIova, kNewPage);
  host->walks_blocked = true;
  const auto miss = begin(dma_read(kNic, kIova));
  set_context(kNic, context_entry(kDomainB, other_table));
  invalidate_context_register(ccmd_global());
  const auto command = begin_commands();
  host->walks_blocked = false;
  tasks.settle();
  EXPECT_TRUE(command->done());
  EXPECT_EQ((*miss->result)->address, kNewPage);
  EXPECT_FALSE(unit->caches().iotlb.peek(kNic, space_of(kDomainA), kIova)) << "nothing of the old domain was cached";
}

TEST_F(InFlightTest, FaultOfAnAbandonedPassIsNotRecorded) {
  host->words[leaf] = 0;
  host->walks_blocked = true;
  const auto miss = begin(dma_read(kNic, kIova));
  remap();
  invalidate_iotlb_register(iotlb_global());
  const auto command = begin_commands();
  host->walks_blocked = false;
  tasks.settle();
  ASSERT_TRUE(command->done());
  ASSERT_TRUE(miss->result->ok());
  EXPECT_EQ((*miss->result)->address, kNewPage);
  EXPECT_EQ(reg(RegId::kFSTS), 0U);
  EXPECT_EQ(unit->statistics().faults, 0U);
}

TEST_F(InFlightTest, SuperPageThatMeetsTheInvalidatedRangeIsNotCached) {
  const PhysAddr big = map(table, 0x20'0000, 0x4000'0000, rights(true, true), 2);
  host->walks_blocked = true;
  const auto miss = begin(dma_read(kNic, 0x20'0000));
  host->words[big] = 0x4020'0000 | rights(true, true) | ss::kPS.mask();
  invalidate_iotlb_register(iotlb_page(kDomainA), 0x3F'F000);  // same 2M page, another 4K of it
  pump();
  host->walks_blocked = false;
  tasks.settle();
  EXPECT_EQ((*miss->result)->address, 0x4020'0000U);
  EXPECT_EQ(unit->caches().iotlb.peek(kNic, space_of(kDomainA), 0x3F'F000)->page, 0x4020'0000U);
  EXPECT_EQ(unit->caches().iotlb.counters().fills_refused(), 1U);
}

TEST_F(InFlightTest, RequestAcceptedBeforeTheInvalidationReadsTablesAfterIt) {
  Ticket ticket = unit->accept(dma_read(kNic, kIova));
  remap();
  invalidate_iotlb_register(iotlb_global());
  pump();
  EXPECT_EQ(unit->translate(ticket)->address, kNewPage);
}

TEST_F(InFlightTest, AfterSomeRestartsTheRequestHoldsBackTheNextInvalidation) {
  unsigned released = 0;  // walks that may end
  host->on_walk = [&](const WalkRequest&) {
    while (released == 0) tasks.yield();
    --released;
  };
  const auto miss = begin(dma_read(kNic, kIova));
  for (unsigned i = 0; i < InFlight::kMaxRestarts; ++i) {
    invalidate_iotlb_register(iotlb_global());
    const auto command = begin_commands();
    released = 1;
    tasks.settle();
    EXPECT_TRUE(command->done());
  }
  EXPECT_EQ(log->restarts, InFlight::kMaxRestarts);
  ASSERT_EQ(host->walks.size(), InFlight::kMaxRestarts + 1) << "the next walk is under way";
  remap();
  invalidate_iotlb_register(iotlb_global());
  const auto held = begin_commands();
  tasks.settle();
  EXPECT_FALSE(held->done());
  EXPECT_EQ(unit->statistics().invalidations_held, 1U);
  EXPECT_EQ(log->completed.size(), InFlight::kMaxRestarts);
  released = 1;
  tasks.settle();
  EXPECT_TRUE(held->done());
  EXPECT_TRUE(miss->task->done());
  EXPECT_EQ((*miss->result)->address, kOldPage) << "it finished before the invalidation took effect";
  EXPECT_EQ(log->restarts, InFlight::kMaxRestarts);
  EXPECT_EQ(iotlb_size(), 0U) << "and what it cached was then invalidated";
}

TEST_F(InFlightTest, DrainWaitsForTranslatedWritesAndReads) {
  const struct {
    DmaRequest request;
    std::uint64_t drain;
    bool waits;
  } cases[] = {
      {dma_write(kNic, kIova), iotlb_reg::kDW.mask(), true},
      {dma_write(kNic, kIova), iotlb_reg::kDR.mask(), false},
      {dma_read(kNic, kIova), iotlb_reg::kDR.mask(), true},
      {dma_read(kNic, kIova), iotlb_reg::kDW.mask(), false},
      {dma_write(kNic, kIova), 0, false},
      {dma_read(kNic, kIova), 0, false},
  };
  for (const auto& c : cases) {
    Ticket ticket = unit->accept(c.request);
    ASSERT_TRUE(unit->translate(ticket).ok());
    invalidate_iotlb_register(iotlb_page(kDomainA) | c.drain, kIova);
    const auto command = begin_commands();
    tasks.settle();
    EXPECT_EQ(command->done(), !c.waits);
    ticket.end();
    tasks.settle();
    EXPECT_TRUE(command->done());
  }
}

TEST_F(InFlightTest, DrainWaitsForCoveredRequestsOnly) {
  map(table, 0x6000, 0xA000);
  Ticket ticket = unit->accept(dma_write(kNic, 0x6000));
  ASSERT_TRUE(unit->translate(ticket).ok());
  invalidate_iotlb_register(iotlb_page(kDomainA) | iotlb_reg::kDW.mask(), kIova);
  pump();
  EXPECT_EQ(iotlb_reg::kIVT.get(reg(RegId::kIOTLB)), 0U);
}

TEST_F(InFlightTest, NoDrainWithoutTheCapability) {
  Profile without;
  without.drain_write = without.drain_read = false;
  build(without);
  set_context(kNic, context_entry(kDomainA, 0, 5, TranslationType::kPassThrough));
  enable();
  for (const DmaRequest& request : {dma_read(kNic, kIova), dma_write(kNic, kIova)}) {
    Ticket ticket = unit->accept(request);
    ASSERT_TRUE(unit->translate(ticket).ok());
    invalidate_iotlb_register(iotlb_global() | iotlb_reg::kDW.mask() | iotlb_reg::kDR.mask());
    pump();
    EXPECT_EQ(iotlb_reg::kIVT.get(reg(RegId::kIOTLB)), 0U);
  }
}

TEST_F(InFlightTest, WaitDescriptorCompletesAfterTheDrainedWriteIsVisible) {
  set_record(kQueueBase, {{0x52 | descriptor::kDID.of(0), 0}});  // global IOTLB with DW
  set_record(kQueueBase + 16, {{0x25 | (std::uint64_t{7} << 32), kStatus}});
  enable_queue();
  Ticket ticket = unit->accept(dma_write(kNic, kIova));
  ASSERT_TRUE(unit->translate(ticket).ok());
  write(RegId::kIQT, 32);
  host->queue_woken = false;
  const auto queue = tasks.spawn([&] { unit->run(Engine::kQueue); });
  tasks.settle();
  EXPECT_TRUE(host->status_writes.empty());
  EXPECT_EQ(reg(RegId::kIQH), 0U);
  ticket.end();
  tasks.settle();
  EXPECT_TRUE(queue->done());
  EXPECT_EQ(host->status_writes.size(), 1U);
}

TEST_F(InFlightTest, DmiIsRevokedAtTheInstantTheInvalidationTakesEffect) {
  address_of(dma_read(kNic, kIova));
  bool grantable = true;
  host->on_revoke = [&] { grantable = unit->probe(dma_read(kNic, kIova)).has_value(); };
  invalidate_iotlb_register(iotlb_global());
  pump();
  EXPECT_FALSE(grantable) << "a pointer asked for during the revocation must not be the old one";
}

TEST_F(InFlightTest, RequestsForOnePageShareAWalk) {
  host->walks_blocked = true;
  const auto first = begin(dma_read(kNic, kIova));
  const auto second = begin(dma_read(kNic, kIova + 8));
  EXPECT_EQ(host->walks.size(), 1U);
  host->walks_blocked = false;
  tasks.settle();
  EXPECT_EQ((*first->result)->address, kOldPage);
  EXPECT_EQ((*second->result)->address, kOldPage + 8);
  EXPECT_EQ(unit->statistics().walks_shared, 1U);
  EXPECT_EQ(unit->caches().iotlb.counters().fills(), 1U);
}

TEST_F(InFlightTest, WalksAreNotSharedWhenAnythingDiffers) {
  set_context(kDisk, context_entry(kDomainA, table));
  map(table, 0x6000, 0xA000);
  host->walks_blocked = true;
  std::vector<std::unique_ptr<Dma>> all;
  all.push_back(begin(dma_read(kNic, kIova)));
  all.push_back(begin(dma_write(kNic, kIova)));  // access
  all.push_back(begin(dma_read(kDisk, kIova)));  // source-id
  all.push_back(begin(dma_read(kNic, 0x6000)));  // page
  EXPECT_EQ(host->walks.size(), 4U);
  host->walks_blocked = false;
  tasks.settle();
  EXPECT_EQ(unit->statistics().walks_shared, 0U);
}

TEST_F(InFlightTest, WalksAreNotSharedOverACoveringInvalidation) {
  host->walks_blocked = true;
  const auto before = begin(dma_read(kNic, kIova));
  remap();
  invalidate_iotlb_register(iotlb_page(kDomainA), kIova);
  const auto command = begin_commands();
  const auto after = begin(dma_read(kNic, kIova));
  EXPECT_EQ(host->walks.size(), 2U);
  host->walks_blocked = false;
  tasks.settle();
  EXPECT_TRUE(command->done());
  EXPECT_EQ((*before->result)->address, kNewPage);
  EXPECT_EQ((*after->result)->address, kNewPage);
}

TEST_F(InFlightTest, AFaultOfASharedWalkIsNotBelieved) {
  host->words[leaf] = 0;
  host->walks_blocked = true;
  const auto first = begin(dma_read(kNic, kIova));
  remap();  // not present to present needs no invalidation with CM=0
  const auto second = begin(dma_read(kNic, kIova));
  host->walks_blocked = false;
  tasks.settle();
  EXPECT_FALSE(first->result->ok());
  ASSERT_TRUE(second->result->ok());
  EXPECT_EQ((*second->result)->address, kNewPage);
}

TEST_F(InFlightTest, SrtpWhileTranslatingShowsOldOrNewRoot) {
  constexpr PhysAddr kOtherRoot = 0x18000;
  constexpr PhysAddr kOtherContexts = 0x19000;
  const PhysAddr other_table = new_table();
  map(other_table, kIova, kNewPage);
  set_record(kOtherRoot, {{kOtherContexts | 1, 0}});
  set_record(kOtherContexts + std::uint64_t{kNic.devfn()} * ctx::kBytes, context_entry(kDomainB, other_table));
  bool hold = true;
  host->on_read = [&](PhysAddr address) {
    while (hold && address == kRootTable) tasks.yield();
  };
  const auto old_root = begin(dma_read(kNic, kIova));
  set_root(kOtherRoot);
  EXPECT_EQ(status(gsts::kRTPS), 1U) << "SRTP with TE=1 does not wait for requests";
  const auto new_root = begin(dma_read(kNic, kIova));
  hold = false;
  tasks.settle();
  EXPECT_EQ((*old_root->result)->address, kOldPage);
  EXPECT_EQ((*new_root->result)->address, kNewPage);
  EXPECT_EQ(unit->statistics().faults, 0U);
}

TEST_F(InFlightTest, OnePassSeesModeAndAddressOfOneRoot) {
  bool replaced = false;
  host->on_spend = [&](Step step) {
    if (step != Step::kContextCacheLookup || std::exchange(replaced, true)) return;
    set_root(0x18000, TableMode::kAbortDma);  // between the check of the mode and the read of the root entry
  };
  EXPECT_EQ(address_of(dma_read(kNic, kIova)), kOldPage);
  EXPECT_TRUE(replaced);
  EXPECT_EQ(fault_of(dma_read(kNic, kIova)), FaultReason::kRootTableAddressInvalid);
}

TEST_F(InFlightTest, InvalidationDuringABlockedMemoryDoesNotBlockRegisters) {
  host->walks_blocked = true;
  std::vector<std::unique_ptr<Dma>> misses;
  for (Iova iova = 0; iova < 64 * kPageSize; iova += kPageSize) {
    map(table, iova, kNewPage + iova);
    misses.push_back(begin(dma_read(kNic, iova)));
  }
  invalidate_iotlb_register(iotlb_global() | iotlb_reg::kDR.mask() | iotlb_reg::kDW.mask());
  const auto command = begin_commands();
  tasks.settle();
  EXPECT_FALSE(command->done());
  EXPECT_EQ(iotlb_reg::kIVT.get(read(RegId::kIOTLB)), 1U);
  host->walks_blocked = false;
  tasks.settle();
  EXPECT_TRUE(command->done());
  for (const auto& miss : misses) {
    ASSERT_TRUE(miss->task->done());
    EXPECT_TRUE(miss->result->ok());
  }
}

TEST_F(InFlightTest, ResetRefusesWhatIsInFlightAndCachesNothingOfIt) {
  host->walks_blocked = true;
  const auto miss = begin(dma_read(kNic, kIova));
  const auto sharing = begin(dma_read(kNic, kIova));
  unit->reset(ResetKind::kCold);
  host->walks_blocked = false;
  tasks.settle();
  for (const auto* dma : {&miss, &sharing}) {
    ASSERT_TRUE((*dma)->task->done());
    ASSERT_FALSE((*dma)->result->ok());
    EXPECT_EQ((*dma)->result->fault().reason, FaultReason::kNone);
  }
  EXPECT_EQ(iotlb_size() + unit->caches().context.size(), 0U);
  EXPECT_EQ(reg(RegId::kFSTS), 0U);
}

TEST_F(InFlightTest, ResetDuringTheContextFetchCachesNothing) {
  host->on_read = [&](PhysAddr address) {
    if (address == context_entry_address(kNic)) unit->reset(ResetKind::kWarm);
  };
  EXPECT_FALSE(dma(dma_read(kNic, kIova)).ok());
  EXPECT_EQ(unit->caches().context.size() + iotlb_size(), 0U);
}

TEST_F(InFlightTest, TicketsEndOnceAlsoWhenMoved) {
  {
    Ticket first = unit->accept(dma_read(kNic, kIova));
    Ticket second = std::move(first);
    EXPECT_EQ(unit->in_flight(), 1U);
    second.end();
    EXPECT_EQ(unit->in_flight(), 0U);
  }
  EXPECT_EQ(log->ended, 1U);
}

}  // namespace
}  // namespace vtd::test
