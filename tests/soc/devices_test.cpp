// SPDX-License-Identifier: MIT
// The platform's parts one by one: memory and its troubles, bus, UART, timer, interrupts, images, mailbox, resets.
#include <gmock/gmock.h>

#include <cstdio>
#include <cstring>
#include <fstream>
#include <random>
#include <set>
#include <stdexcept>

#include "tests/soc/story.h"
#include "tlm/soc/address_set.h"
#include "tlm/soc/bus.h"
#include "tlm/soc/devices.h"
#include "tlm/soc/dram.h"
#include "tlm/soc/mailbox.h"
#include "tlm/soc/reset_controller.h"
#include "tlm/spec/capability.h"
#include "tlm/spec/paging.h"
#include "tlm/spec/platform.h"
#include "tlm/spec/structures.h"

namespace vtd::soc {
namespace {

using namespace test;
using platform::Command;
using platform::LifecycleState;
using platform::Status;
using testing::ElementsAre;

// ---- memory ------------------------------------------------------------------------------------------------------

class DramTest : public testing::Test {
 protected:
  DramTest() { master.socket.bind(dram.socket); }
  Dram dram{"dram", 0x10'0000, ns(20)};
  Master master{"master"};
};

TEST_F(DramTest, ReadsWhatWasWrittenAndTakesItsTime) {
  run_story([&] {
    master.write(0x100, 0x1122334455667788, 8);
    EXPECT_EQ(sc_core::sc_time_stamp(), ns(20));
    EXPECT_EQ(master.read(0x104, 4), 0x11223344U);
    EXPECT_EQ(dram.peek(0x100), 0x1122334455667788U);
  });
}

TEST_F(DramTest, StallHoldsAccessesUntilReleased) {
  run_story([&] {
    dram.stall();
    sc_core::sc_spawn([&] {
      sc_core::wait(us(5));
      dram.release();
    });
    master.write(0x100, 1, 8);
    EXPECT_EQ(sc_core::sc_time_stamp(), us(5) + ns(20));
  });
}

TEST_F(DramTest, SlowAddsToEveryAccess) {
  run_story([&] {
    dram.slow(ns(500));
    master.write(0x100, 1, 8);
    EXPECT_EQ(sc_core::sc_time_stamp(), ns(520));
    dram.slow(sc_core::SC_ZERO_TIME);
    master.write(0x100, 1, 8);
    EXPECT_EQ(sc_core::sc_time_stamp(), ns(540));
  });
}

TEST_F(DramTest, FailingRangeAnswersAnErrorAndKeepsItsContents) {
  dram.poke(0x1000, 7);
  dram.fail_range(0x1000, 0x1FFF);
  run_story([&] {
    std::uint64_t value = 9;
    EXPECT_EQ(master.access(tlm::TLM_WRITE_COMMAND, 0x1000, &value, 8), tlm::TLM_ADDRESS_ERROR_RESPONSE);
    EXPECT_EQ(master.access(tlm::TLM_READ_COMMAND, 0x0FFC, &value, 8), tlm::TLM_ADDRESS_ERROR_RESPONSE);
    EXPECT_EQ(master.access(tlm::TLM_READ_COMMAND, 0x2000, &value, 8), tlm::TLM_OK_RESPONSE);
    dram.fail_range(1, 0);
    EXPECT_EQ(master.read(0x1000, 8), 7U);
  });
}

TEST_F(DramTest, OutsideIsAnError) {
  EXPECT_THROW(static_cast<void>(dram.peek(0x10'0000 - 4)), std::out_of_range);
  run_story([&] {
    std::uint64_t value = 0;
    EXPECT_EQ(master.access(tlm::TLM_READ_COMMAND, 0x10'0000 - 4, &value, 8), tlm::TLM_ADDRESS_ERROR_RESPONSE);
  });
}

TEST_F(DramTest, DirectPointersEndWithTrouble) {
  tlm::tlm_dmi dmi;
  tlm::tlm_generic_payload trans;
  run_story([&] {
    EXPECT_TRUE(master.socket->get_direct_mem_ptr(trans, dmi));
    EXPECT_EQ(dmi.get_read_latency(), ns(20));
    dram.stall();
    EXPECT_FALSE(master.socket->get_direct_mem_ptr(trans, dmi));
    dram.release();
    EXPECT_TRUE(master.socket->get_direct_mem_ptr(trans, dmi));
  });
}

TEST(HostMemoryTest, SharedBlocksAreReadAndWrittenLikeAnyMemory) {
  constexpr std::uint64_t kBlock = SharedBlock::kBytes;
  const auto word = [](const HostMemory& m, std::uint64_t at) {
    std::uint64_t value = 0;
    std::memcpy(&value, m.data() + at, sizeof value);
    return value;
  };
  HostMemory memory(8 * kBlock);
  HostMemory copy(8 * kBlock);
  std::uint64_t n = 0;
  {
    const SharedBlock block([&] { return ++n; });
    memory.fill(kPageSize, 4 * kBlock, block);
  }
  EXPECT_EQ(word(memory, 0), 0U);
  EXPECT_EQ(word(memory, kPageSize), kPageSize / 8 + 1) << "a part of a block";
  EXPECT_EQ(word(memory, 2 * kBlock), 1U);
  EXPECT_EQ(word(memory, 3 * kBlock + 8), 2U);
  EXPECT_EQ(word(memory, 4 * kBlock + kPageSize - 8), kPageSize / 8) << "the other part";
  EXPECT_EQ(word(memory, 4 * kBlock + kPageSize), 0U);
  memory.data()[2 * kBlock] = 77;
  EXPECT_EQ(word(memory, 2 * kBlock), 77U);
  EXPECT_EQ(word(memory, 3 * kBlock), 1U) << "a copy of its own";
  copy.copy_from(memory);
  EXPECT_EQ(std::memcmp(copy.data(), memory.data(), memory.size()), 0);
  memory.clear();
  EXPECT_EQ(word(memory, 2 * kBlock) | word(memory, 3 * kBlock) | word(memory, kPageSize), 0U);
}

TEST(AddressSetTest, IsTheSetOfPagesThatWereAddedAndNotRemoved) {
  AddressSet set;
  std::set<std::uint64_t> model;
  std::mt19937_64 random(1);
  for (unsigned i = 0; i < 20'000; ++i) {
    const std::uint64_t first = random() % 64;
    const std::uint64_t count = random() % 8;
    const bool add = random() % 2 == 0;
    add ? set.add(first * kPageSize, count * kPageSize) : set.remove(first * kPageSize, count * kPageSize);
    for (std::uint64_t page = first; page < first + count; ++page)
      add ? (void)model.insert(page) : (void)model.erase(page);
    for (std::uint64_t page = 0; page < 72; ++page) {
      ASSERT_EQ(set.contains(page * kPageSize), model.contains(page)) << i;
      ASSERT_EQ(set.contains(page * kPageSize + kPageSize - 1), model.contains(page)) << i;
    }
    std::size_t pieces = 0;
    for (const std::uint64_t page : model) pieces += model.contains(page - 1) ? 0 : 1;
    ASSERT_EQ(set.pieces(), pieces) << "neither overlap nor touch";
  }
}

// ---- bus ---------------------------------------------------------------------------------------------------------

TEST(BusTest, DecodesByAddressAndCountsTheRest) {
  Bus bus("bus");
  Dram low("low", 0x1000, ns(1));
  Dram high("high", 0x1000, ns(1));
  Master master("master");
  master.socket.bind(bus.new_input());
  bus.map(0, 0x1000, low.socket);
  bus.map(0x8000, 0x1000, high.socket);
  EXPECT_THROW(bus.map(0x8800, 0x1000, high.socket), std::invalid_argument);
  run_story([&] {
    master.write(0x8010, 5, 8);
    EXPECT_EQ(high.peek(0x10), 5U);
    EXPECT_EQ(low.peek(0x10), 0U);
    std::uint64_t value = 0;
    EXPECT_EQ(master.access(tlm::TLM_READ_COMMAND, 0x4000, &value, 8), tlm::TLM_ADDRESS_ERROR_RESPONSE);
    EXPECT_EQ(master.access(tlm::TLM_READ_COMMAND, 0x0FFC, &value, 8), tlm::TLM_ADDRESS_ERROR_RESPONSE);
    tlm::tlm_dmi dmi;
    tlm::tlm_generic_payload trans;
    trans.set_address(0x8010);
    EXPECT_TRUE(master.socket->get_direct_mem_ptr(trans, dmi));
    EXPECT_EQ(dmi.get_start_address(), 0x8000U);
    EXPECT_EQ(dmi.get_end_address(), 0x8FFFU);
  });
  EXPECT_EQ(bus.unmapped(), 2U);
}

// ---- small devices -----------------------------------------------------------------------------------------------

TEST(UartTest, CollectsLines) {
  Uart uart("uart");
  Master master("master");
  master.socket.bind(uart.socket);
  std::vector<std::string> told;
  uart.on_line([&](const std::string& line) { told.push_back(line); });
  run_story([&] {
    for (const char c : std::string("ab\n\nc\nrest"))
      master.write(platform::uart::kData, static_cast<unsigned char>(c), 4);
  });
  EXPECT_THAT(told, ElementsAre("ab", "", "c"));
  EXPECT_EQ(uart.lines().size(), 3U);
}

TEST(TimerTest, TellsTheTimeAndSleeps) {
  Timer timer("timer");
  Master master("master");
  master.socket.bind(timer.socket);
  run_story([&] {
    master.write(platform::timer::kSleep, 1500, 8);
    EXPECT_EQ(master.read(platform::timer::kNow, 8), 1500U);
    sc_core::sc_spawn([&] {
      sc_core::wait(us(1));
      timer.wake();
    });
    master.write(platform::timer::kSleep, 1'000'000, 8);
    EXPECT_EQ(sc_core::sc_time_stamp(), us(2.5)) << "woken by a reset";
  });
}

TEST(RegisterDeviceTest, WrongSizesAndAlignmentsAreErrors) {
  Timer timer("timer");
  Master master("master");
  master.socket.bind(timer.socket);
  run_story([&] {
    std::uint64_t value = 0;
    EXPECT_EQ(master.access(tlm::TLM_READ_COMMAND, 0, &value, 2), tlm::TLM_ADDRESS_ERROR_RESPONSE);
    EXPECT_EQ(master.access(tlm::TLM_READ_COMMAND, 4, &value, 8), tlm::TLM_ADDRESS_ERROR_RESPONSE);
    EXPECT_EQ(master.access(tlm::TLM_READ_COMMAND, 4, &value, 4), tlm::TLM_OK_RESPONSE);
  });
}

TEST(InterruptSinkTest, RecordsMessages) {
  InterruptSink sink("sink");
  Master master("master");
  master.socket.bind(sink.socket);
  unsigned told = 0;
  sink.on_message([&] { ++told; });
  run_story([&] { master.write(0x1000, 0x41, 4); });
  ASSERT_EQ(sink.messages().size(), 1U);
  EXPECT_EQ(sink.messages()[0].address, 0x1000U);
  EXPECT_EQ(sink.messages()[0].data, 0x41U);
  EXPECT_EQ(told, 1U);
}

TEST(ImageStoreTest, HoldsBothImagesAndRefusesOthers) {
  ImageStore store("store");
  Master master("master");
  master.socket.bind(store.socket);
  const std::string directory = VTD_FIRMWARE_DIR;
  store.load(0, directory + "/fw_a.img");
  store.load(1, directory + "/fw_b.img");
  EXPECT_THROW(store.load(0, directory + "/none.img"), std::runtime_error);
  EXPECT_THROW(store.load(0, directory + "/fw_a.elf"), std::runtime_error);
  store.load(0, directory + "/fw_a.img");
  run_story([&] {
    EXPECT_EQ(master.read(0, 8), platform::ImageHeader::kMagic);
    EXPECT_EQ(master.read(8, 8), platform::kSlotABase);
    EXPECT_EQ(master.read(platform::kImageStoreStride + 8, 8), platform::kSlotBBase);
    EXPECT_EQ(master.read(platform::kImageStoreStride - 8, 8), 0U) << "behind the image";
    master.write(0, 0, 8);
    EXPECT_EQ(master.read(0, 8), platform::ImageHeader::kMagic) << "read-only";
  });
}

// ---- mailbox -----------------------------------------------------------------------------------------------------

class MailboxTest : public testing::Test {
 protected:
  MailboxTest() { cpu.socket.bind(mailbox.socket); }
  /// The firmware's side of one command: adds the first two arguments.
  void serve() {
    namespace reg = platform::mailbox;
    const std::uint64_t sequence = cpu.read(reg::kWait, 8);
    seen = static_cast<Command>(cpu.read(reg::kCommand, 8));
    cpu.write(reg::kResult, cpu.read(reg::kArg, 8) + cpu.read(reg::kArg + 8, 8), 8);
    cpu.write(reg::kStatus, static_cast<std::uint64_t>(Status::kBusy), 8);
    cpu.write(reg::kDone, sequence, 8);
  }
  void set_state(LifecycleState state) { cpu.write(platform::mailbox::kState, static_cast<std::uint64_t>(state), 8); }
  Mailbox mailbox{"mailbox"};
  Master cpu{"cpu"};
  Command seen{};
};

TEST_F(MailboxTest, CommandGoesThereAndBack) {
  std::vector<bool> busy;
  mailbox.on_command([&](std::optional<Command> c) { busy.push_back(c.has_value()); });
  sc_core::sc_spawn([&] { serve(); });
  run_story([&] {
    sc_core::wait(us(3));
    const std::uint64_t args[] = {40, 2};
    const MailboxReply reply = mailbox.call(Command::kMap, args, ms(1));
    EXPECT_FALSE(reply.timed_out);
    EXPECT_EQ(reply.status, Status::kBusy);
    EXPECT_EQ(reply.results[0], 42U);
  });
  EXPECT_EQ(seen, Command::kMap);
  EXPECT_THAT(busy, ElementsAre(true, false));
}

TEST_F(MailboxTest, SilenceTimesOut) {
  run_story([&] {
    EXPECT_TRUE(mailbox.call(Command::kPing, {}, us(10)).timed_out);
    EXPECT_EQ(sc_core::sc_time_stamp(), us(10));
  });
}

TEST_F(MailboxTest, CommandCutByAResetCompletesWhenTheNextImageIsReady) {
  sc_core::sc_spawn([&] {
    cpu.read(platform::mailbox::kWait, 8);
    mailbox.cpu_reset();
    EXPECT_EQ(mailbox.state(), LifecycleState::kBlackout);
    sc_core::wait(us(10));
    set_state(LifecycleState::kAdopting);
    sc_core::wait(us(10));
    cpu.write(platform::mailbox::kBootStatus, static_cast<std::uint64_t>(Status::kNoData), 8);
    set_state(LifecycleState::kReattached);
  });
  run_story([&] {
    const MailboxReply reply = mailbox.call(Command::kReboot, {}, ms(1));
    EXPECT_EQ(reply.status, Status::kNoData);
    EXPECT_EQ(sc_core::sc_time_stamp(), us(20));
  });
}

TEST_F(MailboxTest, ResetEndsAWait) {
  bool ended = false;
  sc_core::sc_spawn([&] {
    cpu.read(platform::mailbox::kWait, 8);
    ended = true;
  });
  run_story([&] {
    sc_core::wait(us(1));
    EXPECT_FALSE(ended);
    mailbox.cpu_reset();
    sc_core::wait(us(1));
    EXPECT_TRUE(ended);
  });
}

TEST_F(MailboxTest, FatalCompletesWhateverRuns) {
  sc_core::sc_spawn([&] {
    cpu.read(platform::mailbox::kWait, 8);
    set_state(LifecycleState::kFatal);
  });
  run_story([&] {
    EXPECT_EQ(mailbox.call(Command::kFinish, {}, ms(1)).status, Status::kFatal);
    EXPECT_TRUE(mailbox.wait_ready(us(1)));
  });
}

// ---- resets ------------------------------------------------------------------------------------------------------

class ResetTest : public testing::TestWithParam<PoisonMode> {
 protected:
  static constexpr std::uint64_t kScratch = 0x10'0000;
  static constexpr std::uint64_t kTracker = 0x20'0000;
  static constexpr std::uint64_t kLeaf = 0x20'1000;
  static constexpr std::uint64_t kKept = 0x20'5000;
  static constexpr std::uint64_t kLost = 0x20'7000;
  static constexpr std::uint64_t kMark = 0x5A5A'1234'5678'9ABC;

  ResetTest() {
    master.socket.bind(resets.socket);
    memory.socket.bind(dram.socket);
    for (const std::uint64_t page : {kScratch, kKept, kLost, kCanaryPage}) dram.poke(page, kMark);
    namespace tracker = platform::tracker;
    dram.poke(tracker::leaf_entry(kTracker, kKept), kLeaf);
    for (const std::uint64_t page : {kTracker, kLeaf, kKept}) {
      const std::uint64_t word = tracker::word(kLeaf, page);
      dram.poke(word, dram.peek(word) | bit(tracker::bit_of(page)));
    }
  }
  void ask(platform::reset::Kind kind) {
    namespace reg = platform::reset;
    master.write(reg::kHandover, 0x20'5000, 8);
    master.write(reg::kEntry, kScratch, 8);
    master.write(reg::kTracker, kTracker, 8);
    master.write(reg::kScratchBase, kScratch, 8);
    master.write(reg::kScratchSize, 0x2000, 8);
    master.write(reg::kCommand, static_cast<std::uint64_t>(kind), 8);
  }
  Dram dram{"dram", 0x40'0000, ns(20)};
  ResetController resets{"resets", dram, GetParam(), 7};
  Master master{"master"};
  Master memory{"memory"};
};
INSTANTIATE_TEST_SUITE_P(Poisons, ResetTest,
                         testing::Values(PoisonMode::kZero, PoisonMode::kOnes, PoisonMode::kRandom,
                                         PoisonMode::kPlausible));

TEST_P(ResetTest, WarmResetPoisonsExactlyWhatIsNeitherPreservedNorScratch) {
  std::vector<std::string> order;
  resets.before([&](platform::reset::Kind) {
    order.push_back("before");
    EXPECT_EQ(dram.peek(kLost), kMark) << "not poisoned yet";
    dram.poke(kKept + 8, 99);
  });
  resets.after([&](platform::reset::Kind) {
    order.push_back("after");
    EXPECT_NE(dram.peek(kLost), kMark);
  });
  run_story([&] {
    const sc_core::sc_time begin = sc_core::sc_time_stamp();
    ask(platform::reset::Kind::kWarm);
    EXPECT_EQ(sc_core::sc_time_stamp(), begin) << "at one instant";
    EXPECT_EQ(master.read(platform::reset::kHandover, 8), 0x20'5000U) << "retained";
    EXPECT_EQ(master.read(platform::reset::kBootCount, 8), 1U);
    EXPECT_EQ(master.read(platform::reset::kMemorySize, 8), 0x40'0000U);
  });
  EXPECT_THAT(order, ElementsAre("before", "after"));
  EXPECT_EQ(dram.peek(kKept), kMark);
  EXPECT_EQ(dram.peek(kKept + 8), 99U) << "injected at the reset";
  EXPECT_EQ(dram.peek(kScratch), kMark);
  EXPECT_NE(dram.peek(kLost), kMark);
  EXPECT_TRUE(resets.preserved(kKept));
  EXPECT_FALSE(resets.preserved(kLost));
  const std::size_t pages = 0x40'0000 / kPageSize;
  EXPECT_EQ(resets.lost_pages().size(), pages - 5) << "two scratch pages, two of the tracker, kept";
  EXPECT_THAT(resets.lost_pages(), testing::Contains(kLost));
}

TEST_P(ResetTest, PoisonIsWhatTheModeSays) {
  run_story([&] { ask(platform::reset::Kind::kWarm); });
  std::set<std::uint64_t> words;
  for (std::uint64_t at = kLost; at < kLost + kPageSize; at += 8) words.insert(dram.peek(at));
  switch (GetParam()) {
    case PoisonMode::kZero:
      EXPECT_THAT(words, ElementsAre(0U));
      break;
    case PoisonMode::kOnes:
      EXPECT_THAT(words, ElementsAre(~std::uint64_t{0}));
      break;
    case PoisonMode::kRandom:
      EXPECT_EQ(words.size(), kPageSize / 8);
      break;
    case PoisonMode::kPlausible: {
      const ctx::Entry entry{{dram.peek(kLost), dram.peek(kLost + 8)}};
      EXPECT_EQ(entry.get(ctx::kP), 1U);
      EXPECT_EQ(entry.address(ctx::kSSPTPTR), kCanaryPage);
      EXPECT_EQ(levels_of_aw(static_cast<unsigned>(entry.get(ctx::kAW))), 5U);
      EXPECT_GE(entry.get(ctx::kDID), 2U);
      EXPECT_FALSE(entry.any({0, ctx::kReserved[1]}));
      EXPECT_THAT(words, ElementsAre(ss::kR.of(1) | ss::kW.of(1) | kCanaryPage));
      break;
    }
  }
}

TEST_P(ResetTest, ColdResetLosesMemoryAndRetainedRegisters) {
  run_story([&] {
    ask(platform::reset::Kind::kCold);
    EXPECT_EQ(master.read(platform::reset::kHandover, 8), 0U);
    EXPECT_EQ(master.read(platform::reset::kTracker, 8), 0U);
  });
  for (const std::uint64_t page : {kScratch, kKept, kLost}) EXPECT_EQ(dram.peek(page), 0U);
}

TEST_P(ResetTest, CrashLosesNoPage) {
  run_story([&] {
    ask(platform::reset::Kind::kCrash);
    EXPECT_EQ(master.read(platform::reset::kHandover, 8), 0U) << "nothing is handed over";
    EXPECT_EQ(master.read(platform::reset::kTracker, 8), 0U);
    EXPECT_EQ(master.read(platform::reset::kEntry, 8), kScratch);
  });
  for (const std::uint64_t page : {kScratch, kKept, kLost}) EXPECT_EQ(dram.peek(page), kMark);
  EXPECT_THAT(resets.lost_pages(), testing::IsEmpty());
}

/// Memory of this process that nobody shares.
std::uint64_t own_memory() {
  std::uint64_t total = 0;
  std::uint64_t resident = 0;
  std::uint64_t shared = 0;
  std::ifstream("/proc/self/statm") >> total >> resident >> shared;
  return (resident - shared) * kPageSize;
}

TEST_P(ResetTest, LargeMemoryReadsAsPoisonAndCostsTheHostNothing) {
  namespace tracker = platform::tracker;
  constexpr std::uint64_t kSize = platform::kDramMax;
  constexpr std::uint64_t kTop = platform::kHeapBase;
  constexpr std::uint64_t kGuest = platform::kGuestBase + 5 * kPageSize;  // not where blocks begin
  constexpr std::uint64_t kGuestBytes = 0x4000'0000;
  Dram large("large", kSize, ns(20));
  ResetController reset("reset", large, GetParam(), 7);
  Master cpu("cpu");
  Master memory_of_large("memory_of_large");
  cpu.socket.bind(reset.socket);
  memory_of_large.socket.bind(large.socket);
  for (std::uint64_t at = 0, leaf = kTop; at < kSize; at += tracker::kLeafSpan)
    large.poke(tracker::leaf_entry(kTop, at), leaf += kPageSize);
  for (std::uint64_t page = kGuest; page < kGuest + kGuestBytes; page += kPageSize) {
    const std::uint64_t word = tracker::word(large.peek(tracker::leaf_entry(kTop, page)), page);
    large.poke(word, large.peek(word) | bit(tracker::bit_of(page)));
  }
  for (const std::uint64_t at : {kGuest, kGuest + kGuestBytes - 8, kGuest - 8, kGuest + kGuestBytes, kSize - 8})
    large.poke(at, kMark);
  const std::uint64_t before = own_memory();
  run_story([&] {
    cpu.write(platform::reset::kTracker, kTop, 8);
    cpu.write(platform::reset::kCommand, static_cast<std::uint64_t>(platform::reset::Kind::kWarm), 8);
  });
  EXPECT_LT(own_memory() - before, 64U << 20U) << "two thirds of 3 GiB are lost";
  EXPECT_EQ(reset.lost_pages().size(), (kSize - kGuestBytes) / kPageSize);
  EXPECT_EQ(large.peek(kGuest), kMark);
  EXPECT_EQ(large.peek(kGuest + kGuestBytes - 8), kMark);
  for (const std::uint64_t at : {kGuest - 8, kGuest + kGuestBytes, kSize - 8}) EXPECT_NE(large.peek(at), kMark);
  // Every page holds what one that was written page by page holds.
  for (const std::uint64_t page : reset.lost_pages())
    ASSERT_EQ(large.peek(page + 8), large.peek(page % SharedBlock::kBytes + 8)) << std::hex << page;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> ranges;
  reset.for_each_lost_range([&](std::uint64_t at, std::uint64_t bytes) { ranges.emplace_back(at, bytes); });
  EXPECT_THAT(ranges, ElementsAre(std::pair(std::uint64_t{0}, kGuest),
                                  std::pair(kGuest + kGuestBytes, kSize - kGuest - kGuestBytes)));
}

TEST_P(ResetTest, TrackerOutsideMemoryPreservesNothing) {
  run_story([&] {
    master.write(platform::reset::kTracker, 0xFFFF'FFFF'FFFF'F000, 8);
    master.write(platform::reset::kCommand, static_cast<std::uint64_t>(platform::reset::Kind::kWarm), 8);
  });
  EXPECT_EQ(resets.lost_pages().size(), 0x40'0000 / kPageSize);
}

}  // namespace
}  // namespace vtd::soc
