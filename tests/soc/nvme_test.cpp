// SPDX-License-Identifier: MIT
// The NVMe controller as a driver meets it. Offsets, opcodes and codes are written down once more here, from NVMe 1.4.
#include <gtest/gtest.h>

#include <numeric>
#include <set>

#include "tests/soc/pci_host.h"
#include "tlm/soc/nvme_controller.h"

namespace vtd::soc {
namespace {

constexpr std::uint64_t kCc = 0x14, kCsts = 0x1C, kDoorbell = 0x1000;
constexpr std::uint32_t kEnable = 0x0046'0001;
constexpr std::uint64_t kAdminSq = 0x1000, kAdminCq = 0x2000, kIoSq = 0x3000, kIoCq = 0x4000;
constexpr std::uint64_t kList = 0x8000, kData = 0x10'0000;
constexpr unsigned kAdminEntries = 8, kIoEntries = 16;
// Status: SCT and SC as one number, type * 256 + code.
constexpr unsigned kSuccess = 0, kBadOpcode = 1, kBadField = 2, kTransferError = 4, kBadNamespace = 0x0B,
                   kPrpOffset = 0x13, kRange = 0x80, kBadCq = 0x100, kBadQueue = 0x101, kBadSize = 0x102,
                   kAsyncLimit = 0x105, kBadVector = 0x108, kBadLog = 0x109, kBadDeletion = 0x10C;

struct Command {
  unsigned opcode = 0;
  std::uint32_t nsid = 0;
  std::uint64_t prp1 = 0, prp2 = 0;
  std::uint32_t dw10 = 0, dw11 = 0, dw12 = 0;
};

class NvmeTest : public testing::Test {
 protected:
  NvmeTest() { nvme.dma.bind(host.socket); }
  void SetUp() override {
    vtd::run(sc_core::SC_ZERO_TIME);
    test::PciHost::enable(nvme);
    bring_up();
  }
  void bring_up() {
    queues[0] = {.sq = kAdminSq, .cq = kAdminCq, .entries = kAdminEntries};
    std::ranges::fill(host.at(kAdminSq, 0x4000), std::uint8_t{0});
    nvme.bar_write(0x24, (kAdminEntries - 1) * 0x10001U, 4);
    nvme.bar_write(0x28, kAdminSq, 8);
    nvme.bar_write(0x30, kAdminCq, 8);
    nvme.bar_write(kCc, kEnable, 4);
    test::PciHost::settle();
    ASSERT_EQ(nvme.bar_read(kCsts, 4), 1U);
  }
  void make_io_queues(unsigned entries = kIoEntries) {
    queues[1] = {.sq = kIoSq, .cq = kIoCq, .entries = entries};
    ASSERT_EQ(run(0, {.opcode = 5, .prp1 = kIoCq, .dw10 = (entries - 1) << 16 | 1, .dw11 = 3}), kSuccess);
    ASSERT_EQ(run(0, {.opcode = 1, .prp1 = kIoSq, .dw10 = (entries - 1) << 16 | 1, .dw11 = 1U << 16 | 1}), kSuccess);
  }

  struct Queue {
    std::uint64_t sq = 0, cq = 0;
    unsigned entries = 0, tail = 0, head = 0, phase = 1;
  };
  /// Puts a command into a queue; its id.
  unsigned put(unsigned q, const Command& c) {
    Queue& queue = queues[q];
    const std::uint64_t at = queue.sq + queue.tail * 64;
    const unsigned id = next_id++ & 0xFFFF;
    for (unsigned i = 0; i < 8; ++i) host.set_word(at + 8 * i, 0);
    host.set_word(at, c.opcode | id << 16 | std::uint64_t{c.nsid} << 32);
    host.set_word(at + 24, c.prp1);
    host.set_word(at + 32, c.prp2);
    host.set_word(at + 40, c.dw10 | std::uint64_t{c.dw11} << 32);
    host.set_word(at + 48, c.dw12);
    queue.tail = (queue.tail + 1) % queue.entries;
    return id;
  }
  void ring(unsigned q) { nvme.bar_write(kDoorbell + 8 * q, queues[q].tail, 4); }
  struct Done {
    unsigned id = 0, status = 0, sq = 0, sq_head = 0;
    std::uint32_t result = 0;
  };
  /// The completions that are there, consumed.
  std::vector<Done> reap(unsigned q, bool tell = true) {
    std::vector<Done> done;
    Queue& queue = queues[q];
    for (;;) {
      const std::uint64_t low = host.word(queue.cq + queue.head * 16);
      const std::uint64_t high = host.word(queue.cq + queue.head * 16 + 8);
      if ((high >> 48 & 1) != queue.phase) break;
      done.push_back({static_cast<unsigned>(high >> 32 & 0xFFFF), static_cast<unsigned>(high >> 49 & 0x7FF),
                      static_cast<unsigned>(high >> 16 & 0xFFFF), static_cast<unsigned>(high & 0xFFFF),
                      static_cast<std::uint32_t>(low)});
      queue.head = (queue.head + 1) % queue.entries;
      if (queue.head == 0) queue.phase ^= 1;
    }
    if (tell && !done.empty()) nvme.bar_write(kDoorbell + 8 * q + 4, queue.head, 4);
    return done;
  }
  /// One command from beginning to end; its status.
  unsigned run(unsigned q, const Command& c) {
    const unsigned id = put(q, c);
    ring(q);
    test::PciHost::settle();
    const auto done = reap(q);
    EXPECT_EQ(done.size(), 1U);
    if (done.empty()) return ~0U;
    EXPECT_EQ(done[0].id, id);
    EXPECT_EQ(done[0].sq, q);
    EXPECT_EQ(done[0].sq_head, queues[q].tail);
    result = done[0].result;
    return done[0].status;
  }
  void fill(std::uint64_t address, std::size_t bytes, unsigned seed) {
    for (std::size_t i = 0; i < bytes; ++i)
      host.at(address, bytes)[i] = static_cast<std::uint8_t>(i * 7 + i / 251 + seed);
  }
  std::vector<std::uint8_t> bytes(std::uint64_t address, std::size_t count) {
    const auto view = host.at(address, count);
    return {view.begin(), view.end()};
  }
  static Command io(bool write, std::uint64_t prp1, std::uint64_t prp2, std::uint32_t lba, unsigned blocks) {
    return {.opcode = write ? 1U : 2U, .nsid = 1, .prp1 = prp1, .prp2 = prp2, .dw10 = lba, .dw12 = blocks - 1};
  }

  test::PciHost host{"host"};
  NvmeController nvme{"nvme", {.size_mib = 4, .workers = 4}};
  Queue queues[3];
  unsigned next_id = 1;
  std::uint32_t result = 0;
};

TEST_F(NvmeTest, SaysWhatItIs) {
  EXPECT_EQ(nvme.config_read(0x08, 4) >> 8, 0x010802U);
  EXPECT_EQ(nvme.bar_read(0x00, 8) & 0xFFFF, 255U);
  EXPECT_EQ(nvme.bar_read(0x00, 8) >> 37 & 1, 1U) << "NVM command set";
  EXPECT_EQ(nvme.bar_read(0x08, 4), 0x1'0400U);
  EXPECT_EQ(run(0, {.opcode = 6, .prp1 = kData, .dw10 = 1}), kSuccess);
  EXPECT_EQ(host.at(kData, 4096)[77], 5) << "MDTS: 32 pages";
  EXPECT_EQ(host.at(kData, 4096)[512], 0x66);
  EXPECT_EQ(host.at(kData, 4096)[513], 0x44);
  EXPECT_EQ(run(0, {.opcode = 6, .nsid = 1, .prp1 = kData, .dw10 = 0}), kSuccess);
  EXPECT_EQ(host.word(kData), 8192U) << "blocks of 512 bytes";
  EXPECT_EQ(host.word(kData + 128) >> 16 & 0xFF, 9U);
  EXPECT_EQ(run(0, {.opcode = 6, .nsid = 0, .prp1 = kData, .dw10 = 2}), kSuccess);
  EXPECT_EQ(host.word(kData), 1U) << "the list has namespace 1 and ends";
  EXPECT_EQ(run(0, {.opcode = 6, .nsid = 1, .prp1 = kData, .dw10 = 3}), kSuccess);
  EXPECT_EQ(host.word(kData) & 0xFFFF, 0x0801U) << "an EUI64";
  EXPECT_EQ(run(0, {.opcode = 6, .nsid = 2, .prp1 = kData, .dw10 = 0}), kBadNamespace);
  EXPECT_EQ(run(0, {.opcode = 6, .prp1 = kData, .dw10 = 6}), kBadField);
  EXPECT_FALSE(host.messages.empty());
}

TEST_F(NvmeTest, AdminCommandsThatAreWrongAreToldApart) {
  const auto cq = [&](std::uint32_t dw10, std::uint32_t dw11, std::uint64_t at = kIoCq) {
    return run(0, {.opcode = 5, .prp1 = at, .dw10 = dw10, .dw11 = dw11});
  };
  const auto sq = [&](std::uint32_t dw10, std::uint32_t dw11, std::uint64_t at = kIoSq) {
    return run(0, {.opcode = 1, .prp1 = at, .dw10 = dw10, .dw11 = dw11});
  };
  EXPECT_EQ(cq(15U << 16 | 0, 3), kBadQueue);
  EXPECT_EQ(cq(15U << 16 | 9, 3), kBadQueue);
  EXPECT_EQ(cq(0U << 16 | 1, 3), kBadSize);
  EXPECT_EQ(cq(256U << 16 | 1, 3), kBadSize);
  EXPECT_EQ(cq(15U << 16 | 1, 2), kBadField) << "not contiguous";
  EXPECT_EQ(cq(15U << 16 | 1, 1U << 16 | 3), kBadVector);
  EXPECT_EQ(cq(15U << 16 | 1, 3, kIoCq + 4), kPrpOffset);
  EXPECT_EQ(sq(15U << 16 | 1, 1U << 16 | 1), kBadCq) << "its completion queue is missing";
  EXPECT_EQ(cq(15U << 16 | 1, 3), kSuccess);
  EXPECT_EQ(cq(15U << 16 | 1, 3), kBadQueue) << "twice";
  EXPECT_EQ(sq(15U << 16 | 1, 1U << 16 | 1), kSuccess);
  EXPECT_EQ(run(0, {.opcode = 4, .dw10 = 1}), kBadDeletion) << "still used";
  EXPECT_EQ(run(0, {.opcode = 0, .dw10 = 1}), kSuccess);
  EXPECT_EQ(run(0, {.opcode = 4, .dw10 = 1}), kSuccess);
  EXPECT_EQ(run(0, {.opcode = 0, .dw10 = 1}), kBadQueue);
  EXPECT_EQ(run(0, {.opcode = 0x7F}), kBadOpcode);
  EXPECT_EQ(run(0, {.opcode = 2, .prp1 = kData, .dw10 = 127U << 16 | 0x99}), kBadLog);
  EXPECT_EQ(run(0, {.opcode = 2, .prp1 = kData, .dw10 = 127U << 16 | 2}), kSuccess);
  EXPECT_EQ(run(0, {.opcode = 9, .dw10 = 7, .dw11 = 0x003F'003F}), kSuccess);
  EXPECT_EQ(result, 0x0007'0007U) << "eight queues of each kind";
  EXPECT_EQ(run(0, {.opcode = 10, .dw10 = 7}), kSuccess);
  EXPECT_EQ(result, 0x0007'0007U);
  EXPECT_EQ(run(0, {.opcode = 9, .dw10 = 0x55}), kBadField);
  EXPECT_EQ(run(0, {.opcode = 8}), kSuccess);
  EXPECT_EQ(result, 1U) << "not aborted";
}

TEST_F(NvmeTest, AsynchronousEventRequestsWaitUpToTheirLimit) {
  for (int i = 0; i < 4; ++i) put(0, {.opcode = 0x0C});
  ring(0);
  test::PciHost::settle();
  EXPECT_TRUE(reap(0).empty());
  EXPECT_EQ(run(0, {.opcode = 0x0C}), kAsyncLimit);
}

TEST_F(NvmeTest, DataComeBackWhateverThePagesAre) {
  make_io_queues();
  struct Shape {
    const char* name;
    unsigned blocks;
    std::uint64_t offset, list;  // of the first page; of the list in its page
  };
  std::uint32_t lba = 3;
  for (const Shape& s : {Shape{"one block", 1, 0, 0},
                         {"one page", 8, 0, 0},
                         {"one page, offset", 4, 0x600, 0},
                         {"two pages", 16, 0, 0},
                         {"two pages, offset", 12, 0x800, 0},
                         {"a list", 64, 0, 0},
                         {"a list, offset", 60, 0x200, 0},
                         {"the most", 256, 0, 0},
                         {"a list in two pages", 256, 0, 0xF80}}) {
    SCOPED_TRACE(s.name);
    const std::size_t size = s.blocks * 512;
    // Pages in reverse, so that nothing is right by being next to each other.
    std::vector<std::uint64_t> pages;
    for (std::size_t i = 0; i * 4096 < s.offset + size; ++i) pages.push_back(kData + (63 - i) * 0x2000);
    std::uint64_t second = pages.size() > 1 ? pages[1] : 0;
    if (pages.size() > 2) {
      second = kList + s.list;
      std::uint64_t at = second;
      for (std::size_t i = 1; i < pages.size(); ++i) {
        if (at % 4096 == 4088 && i + 1 < pages.size()) {
          host.set_word(at, kList + 0x3000);
          at = kList + 0x3000;
        }
        host.set_word(at, pages[i]);
        at += 8;
      }
    }
    std::vector<std::uint8_t> sent;
    for (std::size_t i = 0; i < pages.size(); ++i) {
      fill(pages[i], 4096, static_cast<unsigned>(i * 3 + lba));
      const auto page = bytes(pages[i], 4096);
      sent.insert(sent.end(), page.begin(), page.end());
    }
    sent = {sent.begin() + static_cast<std::ptrdiff_t>(s.offset),
            sent.begin() + static_cast<std::ptrdiff_t>(s.offset + size)};
    ASSERT_EQ(run(1, io(true, pages[0] + s.offset, second, lba, s.blocks)), kSuccess);
    for (const std::uint64_t page : pages) std::ranges::fill(host.at(page, 4096), std::uint8_t{0xEE});
    ASSERT_EQ(run(1, io(false, pages[0] + s.offset, second, lba, s.blocks)), kSuccess);
    std::vector<std::uint8_t> got;
    for (const std::uint64_t page : pages) {
      const auto part = bytes(page, 4096);
      got.insert(got.end(), part.begin(), part.end());
    }
    EXPECT_TRUE(std::equal(sent.begin(), sent.end(), got.begin() + static_cast<std::ptrdiff_t>(s.offset)));
    for (std::size_t i = 0; i < s.offset; ++i) ASSERT_EQ(got[i], 0xEE) << "before the data";
    for (std::size_t i = s.offset + size; i < got.size(); ++i) ASSERT_EQ(got[i], 0xEE) << "behind the data";
    lba += s.blocks;
  }
  EXPECT_LE(host.largest, 512U);
}

TEST_F(NvmeTest, CommandsThatAreWrongMoveNothing) {
  make_io_queues();
  fill(kData, 4096, 1);
  EXPECT_EQ(run(1, io(true, kData, 0, 0, 8)), kSuccess);
  const auto before = bytes(kData, 4096);
  EXPECT_EQ(run(1, io(false, kData, 0, 8192, 1)), kRange);
  EXPECT_EQ(run(1, io(false, kData, kList, 8191, 2)), kRange);
  EXPECT_EQ(run(1, io(false, kData, kList, 0, 257)), kBadField) << "more than MDTS";
  EXPECT_EQ(run(1, io(false, kData + 2, 0, 0, 1)), kPrpOffset);
  EXPECT_EQ(run(1, io(false, kData, kData + 8, 0, 16)), kPrpOffset);
  Command other = io(false, kData, 0, 0, 1);
  other.nsid = 2;
  EXPECT_EQ(run(1, other), kBadNamespace);
  EXPECT_EQ(run(1, {.opcode = 0x66, .nsid = 1}), kBadOpcode);
  EXPECT_EQ(bytes(kData, 4096), before);
  EXPECT_EQ(nvme.commands().failed, 7U);
}

TEST_F(NvmeTest, ZeroesAndDeallocatedBlocksReadAsZero) {
  make_io_queues();
  fill(kData, 4096, 1);
  ASSERT_EQ(run(1, io(true, kData, 0, 0, 8)), kSuccess);
  ASSERT_EQ(run(1, {.opcode = 8, .nsid = 1, .dw10 = 2, .dw12 = 0}), kSuccess);
  host.set_word(kList, std::uint64_t{2} << 32);  // two blocks
  host.set_word(kList + 8, 5);
  ASSERT_EQ(run(1, {.opcode = 9, .nsid = 1, .prp1 = kList, .dw10 = 0, .dw11 = 4}), kSuccess);
  ASSERT_EQ(run(1, {.opcode = 0, .nsid = 1}), kSuccess);
  const auto sent = bytes(kData, 4096);
  ASSERT_EQ(run(1, io(false, kData, 0, 0, 8)), kSuccess);
  for (unsigned block = 0; block < 8; ++block)
    for (unsigned i = 0; i < 512; ++i)
      ASSERT_EQ(host.at(kData, 4096)[block * 512 + i],
                block == 2 || block == 5 || block == 6 ? 0 : sent[block * 512 + i])
          << "block " << block;
}

TEST_F(NvmeTest, ARefusedPageEndsItsCommandAndNoOther) {
  make_io_queues();
  fill(kData, 0x2000, 1);
  ASSERT_EQ(run(1, io(true, kData, kData + 0x1000, 0, 16)), kSuccess);
  host.refused_first = kData + 0x1000;
  host.refused_last = kData + 0x1FFF;
  EXPECT_EQ(run(1, io(true, kData, kData + 0x1000, 100, 16)), kTransferError);
  EXPECT_EQ(run(1, io(false, kData, 0, 100, 8)), kSuccess) << "the controller works on";
  EXPECT_EQ(bytes(kData, 4096), std::vector<std::uint8_t>(4096, 0)) << "a write that did not come whole wrote nothing";
  EXPECT_EQ(nvme.commands().data_errors, 1U);
  EXPECT_EQ(nvme.bar_read(kCsts, 4), 1U);
}

TEST_F(NvmeTest, QueuesWrapAndEveryCommandEndsOnce) {
  make_io_queues();
  std::set<unsigned> open;
  unsigned ended = 0;
  for (unsigned round = 0; round < 40; ++round) {
    for (unsigned i = 0; i < kIoEntries - 1; ++i) open.insert(put(1, io(i % 2 == 0, kData + i * 0x1000, 0, i * 8, 8)));
    ring(1);
    test::PciHost::settle();
    for (const auto& done : reap(1)) {
      EXPECT_EQ(done.status, kSuccess);
      EXPECT_EQ(open.erase(done.id), 1U) << "an id that is open";
      ++ended;
    }
    ASSERT_TRUE(open.empty());
  }
  EXPECT_EQ(ended, 40 * (kIoEntries - 1));
}

TEST_F(NvmeTest, ASlotIsNotFreeBeforeItHasBeenFetched) {
  make_io_queues();
  host.slow_first = kIoSq + 64;  // the second command
  host.slow_last = kIoSq + 127;
  for (unsigned i = 0; i < 3; ++i) put(1, {.opcode = 0, .nsid = 1});
  ring(1);
  vtd::run(sc_core::sc_time(1, sc_core::SC_US));
  const auto early = reap(1);
  ASSERT_EQ(early.size(), 2U) << "the first and the third command";
  EXPECT_EQ(early[0].sq_head, 1U);
  EXPECT_EQ(early[1].sq_head, 1U) << "the second slot is still being read";
  test::PciHost::settle();
  const auto late = reap(1);
  ASSERT_EQ(late.size(), 1U);
  EXPECT_EQ(late[0].sq_head, 3U);
}

TEST_F(NvmeTest, AFullCompletionQueueHoldsCommandsBack) {
  queues[1] = {.sq = kIoSq, .cq = kIoCq, .entries = kIoEntries};
  ASSERT_EQ(run(0, {.opcode = 5, .prp1 = kIoCq, .dw10 = 3U << 16 | 1, .dw11 = 3}), kSuccess);
  ASSERT_EQ(run(0, {.opcode = 1, .prp1 = kIoSq, .dw10 = (kIoEntries - 1) << 16 | 1, .dw11 = 1U << 16 | 1}), kSuccess);
  for (unsigned i = 0; i < 10; ++i) put(1, io(false, kData, 0, i, 1));
  ring(1);
  test::PciHost::settle();
  queues[1].entries = 4;
  unsigned ended = 0;
  for (unsigned round = 0; round < 10 && ended < 10; ++round) {
    const auto done = reap(1);
    EXPECT_LE(done.size(), 3U) << "one place stays free";
    ended += static_cast<unsigned>(done.size());
    test::PciHost::settle();
  }
  EXPECT_EQ(ended, 10U);
}

TEST_F(NvmeTest, DisablingInTheMiddleLeavesNothingBehind) {
  make_io_queues();
  fill(kData, 0x2'0000, 3);
  for (unsigned i = 0; i < 32; ++i) host.set_word(kList + 8 * i, kData + 0x1000 * (i + 1));
  for (unsigned i = 0; i < 6; ++i) put(1, io(true, kData, kList, i * 200, 200));
  ring(1);
  vtd::run(sc_core::sc_time(2, sc_core::SC_US));
  nvme.bar_write(kCc, 0, 4);
  EXPECT_EQ(nvme.bar_read(kCsts, 4), 0U);
  const auto seen = host.messages.size();
  test::PciHost::settle();
  EXPECT_TRUE(reap(1, false).empty());
  EXPECT_EQ(host.messages.size(), seen);
  bring_up();
  make_io_queues();
  EXPECT_EQ(run(1, io(true, kData, 0, 0, 8)), kSuccess);
}

TEST_F(NvmeTest, MaskedInterruptsComeWhenUnmasked) {
  make_io_queues();
  nvme.bar_write(0x0C, 1, 4);
  const auto before = host.messages.size();
  ASSERT_EQ(run(1, io(false, kData, 0, 0, 1)), kSuccess);
  EXPECT_EQ(host.messages.size(), before);
  nvme.bar_write(0x10, 1, 4);
  test::PciHost::settle();
  EXPECT_EQ(host.messages.size(), before + 1);
}

TEST_F(NvmeTest, ShutdownIsConfirmed) {
  nvme.bar_write(kCc, kEnable | 1U << 14, 4);
  test::PciHost::settle();
  EXPECT_EQ(nvme.bar_read(kCsts, 4) >> 2 & 3, 2U);
}

TEST_F(NvmeTest, AQueueThatCannotBeReadIsFatal) {
  make_io_queues();
  host.refused_first = kIoSq;
  host.refused_last = kIoSq + 0xFFF;
  nvme.bar_write(kDoorbell + 8, 1, 4);
  test::PciHost::settle();
  EXPECT_EQ(nvme.bar_read(kCsts, 4) & 2, 2U);
  host.refused_first = 1;
  host.refused_last = 0;
  nvme.bar_write(kCc, 0, 4);
  bring_up();
}

TEST_F(NvmeTest, DoorbellsOutsideTheirQueueAreCountedAndIgnored) {
  make_io_queues();
  nvme.bar_write(kDoorbell + 8, kIoEntries, 4);
  nvme.bar_write(kDoorbell + 16, 1, 4);
  test::PciHost::settle();
  EXPECT_EQ(nvme.commands().doorbells_refused, 2U);
  EXPECT_EQ(run(1, io(false, kData, 0, 0, 1)), kSuccess);
}

TEST_F(NvmeTest, WithoutBusMasterNothingIsFetched) {
  make_io_queues();
  nvme.config_write(0x04, 2, 2);
  put(1, io(false, kData, 0, 0, 1));
  ring(1);
  test::PciHost::settle();
  EXPECT_TRUE(reap(1, false).empty());
  nvme.config_write(0x04, 6, 2);
  test::PciHost::settle();
  EXPECT_EQ(reap(1).size(), 1U);
}

TEST_F(NvmeTest, WrongConfigurationsDoNotComeUp) {
  nvme.bar_write(kCc, 0, 4);
  nvme.bar_write(kCc, kEnable | 1U << 7, 4);  // pages of 8 KiB
  EXPECT_EQ(nvme.bar_read(kCsts, 4), 2U);
}

TEST(NvmeConfigTest, NoSizeAndNoWorkersAreRefused) {
  EXPECT_THROW(NvmeController("a", {.size_mib = 0}), std::invalid_argument);
  EXPECT_THROW(NvmeController("b", {.workers = 0}), std::invalid_argument);
}

}  // namespace
}  // namespace vtd::soc
