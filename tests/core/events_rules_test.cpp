// SPDX-License-Identifier: MIT
// Fault events and the invalidation queue, written from the document with raw numbers only.
#include "tests/core/raw_software.h"

namespace vtd::test {
namespace {

class EventRules : public RawSoftware {
 protected:
  EventRules() {
    write32(kFedata, 0x41);
    write32(kFeaddr, 0xFEE0'1000);
    write32(kFectl, 0);
    write32(kIedata, 0x42);
    write32(kIeaddr, 0xFEE0'2000);
    write32(kIectl, 0);
  }
  void raise() { fault(0x7000); }
};

TEST_F(EventRules, PendingIsNotClearedThroughFsts) {
  raise();
  write32(kFsts, 0xFFFF'FFFF);
  EXPECT_EQ(pending(), 1U);
  clear_record(0);
  EXPECT_EQ(pending(), 0U);
}

TEST_F(EventRules, FriIsRightAfterTheRingWrapped) {
  const unsigned records = (read64(0x08) >> 40 & 0xFF) + 1;
  for (unsigned n = 0; n + 1 < records; ++n) {
    raise();
    clear_record(n);
  }
  raise();
  EXPECT_EQ(read32(kFsts) >> 8 & 0xFF, records - 1);
  clear_record(records - 1);
  raise();
  EXPECT_EQ(read32(kFsts) >> 8 & 0xFF, 0U);
}

TEST_F(EventRules, OverflowDropsUntilSoftwareClearsIt) {
  const unsigned records = (read64(0x08) >> 40 & 0xFF) + 1;
  for (unsigned n = 0; n < records; ++n) raise();
  EXPECT_EQ(read32(kFsts) & 1, 0U);
  raise();
  EXPECT_EQ(read32(kFsts) & 1, 1U);
  clear_record(0);
  raise();
  EXPECT_EQ(read32(record_offset(0) + 12) >> 31, 0U) << "dropped while PFO is set";
  write32(kFsts, 1);
  raise();
  EXPECT_EQ(read32(record_offset(0) + 12) >> 31, 1U);
}

TEST_F(EventRules, NoSecondMessageWhileACauseIsSet) {
  raise();
  raise();
  ASSERT_EQ(host->messages.size(), 1U);
  EXPECT_EQ(host->messages[0], (std::pair<PhysAddr, std::uint32_t>{0xFEE0'1000, 0x41}));
  clear_record(0);
  raise();
  EXPECT_EQ(host->messages.size(), 1U) << "record 1 is still pending";
  clear_record(1);
  clear_record(2);
  raise();
  EXPECT_EQ(host->messages.size(), 2U);
}

TEST_F(EventRules, PendingInterruptGoesWithItsCause) {
  write32(kFectl, 1U << 31);
  raise();
  EXPECT_EQ(read32(kFectl) >> 30 & 1, 1U);
  clear_record(0);
  EXPECT_EQ(read32(kFectl) >> 30 & 1, 0U);
  write32(kFectl, 0);
  EXPECT_TRUE(host->messages.empty());
  write32(kFectl, 1U << 31);
  raise();
  write32(kFectl, 0);
  EXPECT_EQ(host->messages.size(), 1U) << "unmasked while pending";
  EXPECT_EQ(read32(kFectl), 0U);
}

TEST_F(EventRules, ARecordSaysWhoWhereAndHow) {
  fault(0x12'3456'7898, Access::kWrite);
  EXPECT_EQ(read64(record_offset(0)), 0x12'3456'7000U);
  EXPECT_EQ(read64(record_offset(0) + 8), 0x8000'0005'0000'0018ULL);
  fault(0x7004);
  EXPECT_EQ(read64(record_offset(1) + 8), 0xC000'0006'0000'0018ULL) << "T1: a read";
}

class QueueRules : public EventRules {
 protected:
  QueueRules() {
    write64(kIqa, kQueue);
    write32(kGcmd, 1U << 31 | 1U << 26);
  }
  void put(unsigned slot, std::uint64_t low, std::uint64_t high = 0) {
    host->words[kQueue + slot * 16U] = low;
    host->words[kQueue + slot * 16U + 8] = high;
  }
  [[nodiscard]] unsigned queue_error() const { return read32(kFsts) >> 4 & 1; }
  /// The queue met `why` at `head` and moves on only after software cleared the error.
  void expect_stopped(std::uint64_t head, unsigned why) {
    EXPECT_EQ(queue_error(), 1U);
    EXPECT_EQ(read64(kIqh), head);
    EXPECT_EQ(read64(kIqercd) & 0xF, why);
  }
};

TEST_F(QueueRules, HeadStaysAtABadDescriptor) {
  put(0, 0x12);
  put(1, 0x0F);
  put(2, 0x12);
  write64(kIqt, 0x30);
  expect_stopped(0x10, 3);
  put(1, 0x12);
  write64(kIqt, 0x30);
  EXPECT_EQ(read64(kIqh), 0x10U) << "nothing is fetched while the error is set";
  write32(kFsts, 1U << 4);
  EXPECT_EQ(queue_error(), 0U);
  EXPECT_EQ(read64(kIqh), 0x30U);
}

TEST_F(QueueRules, ReservedBitsOfDescriptors) {
  struct Bad {
    std::uint64_t low, high;
  };
  const Bad bad[] = {
      {0x11 | 1ULL << 6, 0},   // context: above G
      {0x11 | 1ULL << 50, 0},  // context: above FM
      {0x11, 1},               // context: upper half
      {0x12 | 1ULL << 8, 0},   // IOTLB: above DR
      {0x12 | 1ULL << 32, 0},  // IOTLB: above DID
      {0x32, 0x80},            // IOTLB: above IH
      {0x25 | 1ULL << 8, 0},   // wait: above PD
      {0x25 | 1ULL << 7, 0},   // wait: PD without page requests
      {0x25, 2},               // wait: low bits of the address
  };
  std::uint64_t head = 0;
  for (const Bad& b : bad) {
    put(static_cast<unsigned>(head / 16), b.low, b.high);
    write64(kIqt, head + 16);
    expect_stopped(head, 4);
    put(static_cast<unsigned>(head / 16), 0x12);
    write32(kFsts, 1U << 4);
    head += 16;
    EXPECT_EQ(read64(kIqh), head);
  }
}

TEST_F(QueueRules, TypeBitsAboveTheNibbleMakeAnUnknownType) {
  put(0, 0x12 | 1ULL << 9);
  write64(kIqt, 0x10);
  expect_stopped(0, 3);
}

TEST_F(QueueRules, ATailBeyondTheRingFetchesNothing) {
  const auto reads = host->reads.size();
  write64(kIqt, 0x1000);
  expect_stopped(0, 1);
  EXPECT_EQ(host->reads.size(), reads);
}

TEST_F(QueueRules, AnUnreadableDescriptor) {
  host->broken.insert(kQueue);
  write64(kIqt, 0x10);
  expect_stopped(0, 2);
  ASSERT_EQ(host->messages.size(), 1U) << "a queue error is a fault event";
  EXPECT_EQ(host->messages[0].second, 0x41U);
}

TEST_F(QueueRules, WaitWithStatusAndInterruptTogether) {
  put(0, 0x35 | 0xCAFEULL << 32, 0x6'0004);
  write64(kIqt, 0x10);
  ASSERT_EQ(host->status_writes.size(), 1U);
  EXPECT_EQ(host->status_writes[0], (std::pair<PhysAddr, std::uint32_t>{0x6'0004, 0xCAFE}));
  EXPECT_EQ(read32(kIcs), 1U);
  ASSERT_EQ(host->messages.size(), 1U);
  EXPECT_EQ(host->messages[0], (std::pair<PhysAddr, std::uint32_t>{0xFEE0'2000, 0x42}));
}

TEST_F(QueueRules, AWaitIsNotDoneBeforeADrainedWriteIsVisible) {
  page(0x5000, 0x9000, kR | kW);
  put(0, 0x12 | 0xC0);  // global, draining reads and writes
  put(1, 0x25 | 1ULL << 32, 0x6'0000);
  auto ticket = std::make_unique<Ticket>(unit->accept(dma_write(kDevice, 0x5000)));
  ASSERT_TRUE(unit->translate(*ticket).ok());
  unit->write(kIqt, 0x20, 8);
  const auto queue = tasks.spawn([&] { pump(); });
  tasks.settle();
  EXPECT_FALSE(queue->done());
  EXPECT_TRUE(host->status_writes.empty()) << "the write has a translation and is still on its way";
  ticket.reset();
  tasks.settle();
  EXPECT_TRUE(queue->done());
  EXPECT_EQ(host->status_writes.size(), 1U);
}

TEST_F(QueueRules, AMaskBeyondTheSupportedOneIsAnError) {
  put(0, 0x32 | std::uint64_t{kDid} << 16, 0x5000 | 0x3F);
  write64(kIqt, 0x10);
  EXPECT_EQ(queue_error(), 1U);
  EXPECT_EQ(read64(kIqh), 0U);
}

TEST_F(QueueRules, RegisterCommandsAreIgnoredWhileTheQueueIsOn) {
  page(0x5000, 0x9000, kR);
  dma_to(0x5000);
  page(0x5000, 0xA000, kR);
  iotlb_register(1, 0);
  EXPECT_EQ(read64(iotlb_offset() + 8) >> 63, 1U) << "IVT stays set";
  EXPECT_EQ(dma_to(0x5000), 0x9000U);
}

TEST_F(QueueRules, EnablingStartsAtTheFirstDescriptor) {
  put(0, 0x25 | 7ULL << 32, 0x6'0000);
  write32(kGcmd, 1U << 31);
  EXPECT_EQ(read32(kGsts) >> 26 & 1, 0U);
  write64(kIqt, 0x10);
  EXPECT_TRUE(host->status_writes.empty());
  write32(kGcmd, 1U << 31 | 1U << 26);
  EXPECT_EQ(read64(kIqh), 0x10U);
  EXPECT_EQ(host->status_writes.size(), 1U);
}

}  // namespace
}  // namespace vtd::test
