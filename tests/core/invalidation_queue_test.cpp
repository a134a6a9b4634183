// SPDX-License-Identifier: MIT
#include "tlm/core/invalidation_queue.h"

#include "tests/core/core_fixture.h"

namespace vtd::test {
namespace {

constexpr std::uint64_t kGlobalIotlb = 0x12;
constexpr std::uint64_t kGlobalContext = 0x11;

class InvalidationQueueTest : public CoreFixture {
 protected:
  InvalidationQueueTest() { set_root(); }

  void put(unsigned slot, std::uint64_t low, std::uint64_t high = 0) {
    set_record(kQueueBase + slot * kDescriptorBytes128, {{low, high}});
  }
  static std::uint64_t wait(const Field& what, std::uint32_t data = 1) {
    return 5 | what.mask() | (std::uint64_t{data} << 32);
  }
  void submit(unsigned slots) {
    write(RegId::kIQT, slots * kDescriptorBytes128);
    pump();
  }
  void expect_error(QueueError error, std::uint64_t head) {
    EXPECT_EQ(fault_status(fsts::kIQE), 1U);
    EXPECT_EQ(iq::kIQEI.get(read(RegId::kIQERCD)), static_cast<std::uint64_t>(error));
    EXPECT_EQ(read(RegId::kIQH), head);
  }
  void clear_error() { write(RegId::kFSTS, fsts::kIQE.mask()); }
};

TEST_F(InvalidationQueueTest, DescriptorsAreDoneInOrderAndHeadFollows) {
  put(0, kGlobalContext);
  put(1, kGlobalIotlb);
  put(2, wait(descriptor::wait::kSW, 0x55), kStatus);
  enable_queue();
  submit(3);
  ASSERT_EQ(log->completed.size(), 2U);
  EXPECT_EQ(log->completed[0].kind, Invalidation::Kind::kContext);
  EXPECT_EQ(log->completed[1].kind, Invalidation::Kind::kIotlb);
  ASSERT_EQ(host->status_writes.size(), 1U);
  EXPECT_EQ(host->status_writes[0], (std::pair<PhysAddr, std::uint32_t>{kStatus, 0x55}));
  EXPECT_EQ(read(RegId::kIQH), 48U);
  EXPECT_EQ(fault_status(fsts::kIQE), 0U);
}

TEST_F(InvalidationQueueTest, RingWraps) {
  for (unsigned slot = 0; slot < 256; ++slot) put(slot, kGlobalIotlb);
  enable_queue();
  submit(255);
  EXPECT_EQ(read(RegId::kIQH), 0xFF0U);
  submit(2);
  EXPECT_EQ(read(RegId::kIQH), 0x20U);
  EXPECT_EQ(log->completed.size(), 258U);
}

TEST_F(InvalidationQueueTest, NothingHappensWhileDisabled) {
  put(0, kGlobalIotlb);
  submit(1);
  EXPECT_TRUE(log->begun.empty());
  enable_queue();
  EXPECT_EQ(log->completed.size(), 1U);
}

TEST_F(InvalidationQueueTest, IqaIsLatchedByQie) {
  put(0, kGlobalIotlb);
  enable_queue();
  write(RegId::kIQA, 0x7000);
  submit(1);
  EXPECT_EQ(log->completed.size(), 1U);
}

TEST_F(InvalidationQueueTest, WaitWithStatusAndInterruptDoesBoth) {
  write(RegId::kIECTL, 0);
  write(RegId::kIEDATA, 0x77);
  write(RegId::kIEADDR, 0xFEE0'2000);
  put(0, wait(descriptor::wait::kSW, 9) | descriptor::wait::kIF.mask(), kStatus + 4);
  std::vector<std::uint64_t> iwc_at_write;
  host->on_write32 = [&] { iwc_at_write.push_back(reg(RegId::kICS)); };
  enable_queue();
  submit(1);
  EXPECT_EQ(host->status_writes.size(), 1U);
  EXPECT_EQ(iwc_at_write, std::vector<std::uint64_t>{0}) << "status first, then the interrupt";
  EXPECT_EQ(read(RegId::kICS), 1U);
  ASSERT_EQ(host->messages.size(), 1U);
  EXPECT_EQ(host->messages[0], (std::pair<PhysAddr, std::uint32_t>{0xFEE0'2000, 0x77}));
  EXPECT_EQ(log->waits, std::vector<std::uint32_t>{9});
}

TEST_F(InvalidationQueueTest, SecondInterruptOnlyAfterIwcIsCleared) {
  write(RegId::kIECTL, 0);
  for (unsigned slot = 0; slot < 3; ++slot) put(slot, wait(descriptor::wait::kIF));
  enable_queue();
  submit(2);
  EXPECT_EQ(host->messages.size(), 1U);
  write(RegId::kICS, 1);
  submit(3);
  EXPECT_EQ(host->messages.size(), 2U);
  EXPECT_TRUE(host->status_writes.empty());
}

TEST_F(InvalidationQueueTest, MaskedInterruptPendsAndIsWithdrawnWithIwc) {
  put(0, wait(descriptor::wait::kIF));
  put(1, wait(descriptor::wait::kIF));
  enable_queue();
  submit(1);
  EXPECT_EQ(read(RegId::kIECTL), 0xC000'0000U);
  write(RegId::kICS, 1);
  EXPECT_EQ(read(RegId::kIECTL), 0x8000'0000U);
  submit(2);
  write(RegId::kIECTL, 0);
  EXPECT_EQ(host->messages.size(), 1U);
}

TEST_F(InvalidationQueueTest, BadDescriptorStopsTheQueueAtItsPosition) {
  put(0, kGlobalIotlb);
  put(1, 3);
  put(2, kGlobalIotlb);
  enable_queue();
  submit(3);
  expect_error(QueueError::kInvalidType, 16);
  EXPECT_EQ(log->completed.size(), 1U);
  const std::size_t reads = host->reads.size();
  submit(3);
  EXPECT_EQ(host->reads.size(), reads) << "nothing is fetched while IQE is set";
  put(1, kGlobalContext);
  clear_error();
  pump();
  EXPECT_EQ(log->completed.size(), 3U) << "the repaired descriptor was fetched again";
  EXPECT_EQ(read(RegId::kIQH), 48U);
}

TEST_F(InvalidationQueueTest, UnrepairedDescriptorFailsAgain) {
  write(RegId::kFECTL, 0);
  put(0, 0x02);
  enable_queue();
  submit(1);
  expect_error(QueueError::kReservedField, 0);
  EXPECT_EQ(host->messages.size(), 1U);
  clear_error();
  EXPECT_EQ(fault_status(fsts::kIQE), 0U);
  pump();
  expect_error(QueueError::kReservedField, 0);
  EXPECT_EQ(host->messages.size(), 2U);
}

TEST_F(InvalidationQueueTest, UnreadableDescriptor) {
  put(0, kGlobalIotlb);
  host->broken.insert(kQueueBase + 16);
  enable_queue();
  submit(2);
  expect_error(QueueError::kFetch, 16);
  EXPECT_EQ(log->completed.size(), 1U);
}

TEST_F(InvalidationQueueTest, TailBeyondTheRingFetchesNothing) {
  enable_queue();
  const std::size_t reads = host->reads.size();
  write(RegId::kIQT, 0x1000);
  pump();
  expect_error(QueueError::kInvalidTail, 0);
  EXPECT_EQ(host->reads.size(), reads);
  write(RegId::kIQT, 0);
  clear_error();
  pump();
  EXPECT_EQ(fault_status(fsts::kIQE), 0U);
}

TEST_F(InvalidationQueueTest, ReservedTailBitsFetchNothing) {
  put(0, kGlobalIotlb);
  enable_queue();
  write(RegId::kIQT, 0x18);
  pump();
  expect_error(QueueError::kInvalidTail, 0);
  EXPECT_TRUE(log->begun.empty());
  write(RegId::kIQT, 0x10);
  clear_error();
  pump();
  EXPECT_EQ(log->completed.size(), 1U);
}

TEST_F(InvalidationQueueTest, ReservedBaseBitsFetchNothing) {
  put(0, kGlobalIotlb);
  enable_queue(kQueueBase | bit(5));
  submit(1);
  expect_error(QueueError::kInvalidTail, 0);
  EXPECT_TRUE(log->begun.empty());
}

TEST_F(InvalidationQueueTest, WideDescriptorsInLegacyMode) {
  const auto put_wide = [&](unsigned slot, std::uint64_t low, std::uint64_t word2) {
    set_record(kQueueBase + slot * kDescriptorBytes256, {{low, 0}});
    set_record(kQueueBase + slot * kDescriptorBytes256 + 16, {{word2, 0}});
  };
  put_wide(0, kGlobalIotlb, 0);
  put_wide(1, kGlobalIotlb, 1);
  enable_queue(kQueueBase | iq::kDW.mask());
  write(RegId::kIQT, 32);
  pump();
  EXPECT_EQ(log->completed.size(), 1U);
  EXPECT_EQ(read(RegId::kIQH), 32U);
  write(RegId::kIQT, 64);
  pump();
  expect_error(QueueError::kReservedField, 32);
}

TEST_F(InvalidationQueueTest, WideTailMustBeAlignedTo32Bytes) {
  enable_queue(kQueueBase | iq::kDW.mask());
  write(RegId::kIQT, 16);
  pump();
  expect_error(QueueError::kMisalignedTail, 0);
}

TEST_F(InvalidationQueueTest, LatchedTableModeDecides) {
  put(0, kGlobalIotlb);
  set_root(kRootTable, TableMode::kAbortDma);
  enable_queue();
  submit(1);
  expect_error(QueueError::kInvalidTableMode, 0);
}

TEST_F(InvalidationQueueTest, DisablingFinishesTheCurrentDescriptorOnly) {
  put(0, kGlobalIotlb);
  put(1, kGlobalIotlb);
  enable_queue();
  bool hold = true;
  host->on_spend = [&](Step step) {
    while (hold && step == Step::kInvalidate) tasks.yield();
  };
  write(RegId::kIQT, 32);
  const auto queue = tasks.spawn([&] { unit->run(Engine::kQueue); });
  write(RegId::kGCMD, 0);
  const auto command = tasks.spawn([&] { unit->run(Engine::kCommand); });
  tasks.settle();
  EXPECT_EQ(status(gsts::kQIES), 1U);
  hold = false;
  tasks.settle();
  EXPECT_TRUE(queue->done() && command->done());
  EXPECT_EQ(status(gsts::kQIES), 0U);
  EXPECT_EQ(read(RegId::kIQH), 16U);
  EXPECT_EQ(log->completed.size(), 1U);
  EXPECT_EQ(unit->misuse(Misuse::kQueueDisabledWhileBusy), 1U);
}

TEST_F(InvalidationQueueTest, FailedStatusWriteIsCountedAndTheQueueGoesOn) {
  host->broken.insert(kStatus);
  put(0, wait(descriptor::wait::kSW), kStatus);
  put(1, kGlobalIotlb);
  enable_queue();
  submit(2);
  EXPECT_EQ(unit->misuse(Misuse::kStatusWriteFailed), 1U);
  EXPECT_EQ(log->completed.size(), 1U);
}

TEST_F(InvalidationQueueTest, ResetDuringADescriptorLeavesTheQueueUsable) {
  put(0, kGlobalIotlb);
  enable_queue();
  bool hold = true;
  host->on_spend = [&](Step step) {
    while (hold && step == Step::kInvalidate) tasks.yield();
  };
  write(RegId::kIQT, 16);
  const auto queue = tasks.spawn([&] { unit->run(Engine::kQueue); });
  unit->reset(ResetKind::kCold);
  hold = false;
  tasks.settle();
  EXPECT_TRUE(queue->done());
  EXPECT_EQ(read(RegId::kIQH), 0U);
  EXPECT_TRUE(log->completed.empty());
  set_root();
  enable_queue();
  submit(1);
  EXPECT_EQ(log->completed.size(), 1U);
}

}  // namespace
}  // namespace vtd::test
