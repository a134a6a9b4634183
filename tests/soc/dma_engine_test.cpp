// SPDX-License-Identifier: MIT
// The DMA engine as a driver meets it. Offsets and bits are written down once more here, from its description.
#include <gtest/gtest.h>

#include "tests/soc/pci_host.h"
#include "tlm/soc/dma_engine.h"

namespace vtd::soc {
namespace {

constexpr std::uint64_t kRing = 0x1000;
constexpr std::uint64_t kEntries = 8;
constexpr std::uint64_t kFrom = 0x1'0000;
constexpr std::uint64_t kTo = 0x2'0000;

class DmaEngineTest : public testing::Test {
 protected:
  DmaEngineTest() { engine.dma.bind(host.socket); }
  void SetUp() override {
    vtd::run(sc_core::SC_ZERO_TIME);
    test::PciHost::enable(engine);
    engine.bar_write(0x10, kRing, 8);
    engine.bar_write(0x18, kEntries, 8);
    engine.bar_write(0x08, 5, 8);  // run, interrupts
  }
  void put(unsigned operation, std::uint64_t source, std::uint64_t destination, std::uint64_t length,
           std::uint64_t pattern = 0) {
    const std::uint64_t at = kRing + tail * 64;
    const std::uint64_t words[] = {operation | 0x100U, source, destination, length, pattern, 0, 0, 0};
    for (std::size_t i = 0; i < 8; ++i) host.set_word(at + 8 * i, words[i]);
    last = at;
    tail = (tail + 1) % kEntries;
  }
  /// Runs one descriptor; its error code.
  std::uint64_t run(unsigned operation, std::uint64_t source, std::uint64_t destination, std::uint64_t length,
                    std::uint64_t pattern = 0) {
    put(operation, source, destination, length, pattern);
    engine.bar_write(0x20, tail, 8);
    test::PciHost::settle();
    EXPECT_EQ(host.word(last + 48) & 1, 1U) << "Done";
    return host.word(last + 48) >> 8;
  }
  std::uint64_t detail() { return host.word(last + 56); }

  test::PciHost host{"host"};
  DmaEngine engine{"engine"};
  std::uint64_t tail = 0;
  std::uint64_t last = 0;
};

TEST_F(DmaEngineTest, FillsGeneratesCopiesAndChecks) {
  EXPECT_EQ(run(2, 0, kFrom, 0x2008, 0x1122'3344'5566'7788), 0U);
  EXPECT_EQ(host.word(kFrom + 0x2000), 0x1122'3344'5566'7788U);
  EXPECT_EQ(host.word(kFrom + 0x2008), 0U) << "not one word more";
  EXPECT_EQ(run(3, 0, kFrom, 0x3000, 9), 0U);
  for (std::uint64_t i = 0; i < 0x600; ++i) ASSERT_EQ(host.word(kFrom + 8 * i), (9 + i) * 0x9E3779B97F4A7C15 + i);
  EXPECT_EQ(run(1, kFrom, kTo + 8, 0x3000), 0U);
  EXPECT_TRUE(std::ranges::equal(host.at(kFrom, 0x3000), host.at(kTo + 8, 0x3000)));
  EXPECT_EQ(run(4, kTo + 8, 0, 0x3000, 9), 0U);
  EXPECT_EQ(run(0, 0, 0, 0), 0U) << "NOP needs no length";
  EXPECT_EQ(engine.bar_read(0x38, 8), 5U);
  EXPECT_EQ(host.messages, std::vector<std::uint32_t>(5, 0x41));
  EXPECT_LE(host.largest, 512U) << "a request is one payload at most";
}

TEST_F(DmaEngineTest, EveryErrorHasItsCodeAndPlace) {
  EXPECT_EQ(run(3, 0, kFrom, 0x2000, 1), 0U);
  host.set_word(kFrom + 0x1238, 0);
  EXPECT_EQ(run(4, kFrom, 0, 0x2000, 1), 4U);
  EXPECT_EQ(detail(), 0x1238U);
  host.refused_first = kFrom + 0x1000;
  host.refused_last = kFrom + 0x1FFF;
  EXPECT_EQ(run(1, kFrom, kTo, 0x2000), 1U);
  EXPECT_EQ(detail(), 0x1000U);
  EXPECT_EQ(run(2, 0, kFrom, 0x2000), 2U);
  for (const std::uint64_t length : {std::uint64_t{0}, std::uint64_t{12}, std::uint64_t{0x400'0008}})
    EXPECT_EQ(run(2, 0, kTo, length), 3U) << length;
  EXPECT_EQ(run(5, 0, kTo, 8), 3U) << "no such operation";
  EXPECT_EQ(engine.bar_read(0x40, 8), 7U);
}

TEST_F(DmaEngineTest, ARefusedWriteLeavesMemoryAlone) {
  host.read_only_first = kTo;
  host.read_only_last = kTo + 0xFFF;
  host.set_word(kTo, 77);
  EXPECT_EQ(run(2, 0, kTo, 0x1000, 1), 2U);
  EXPECT_EQ(host.word(kTo), 77U);
}

TEST_F(DmaEngineTest, TheRingWraps) {
  for (std::uint64_t i = 0; i < 5 * kEntries; ++i) {
    ASSERT_EQ(run(2, 0, kFrom, 8, i), 0U);
    ASSERT_EQ(host.word(kFrom), i);
  }
  EXPECT_EQ(engine.bar_read(0x28, 8), tail);
}

TEST_F(DmaEngineTest, ManyDescriptorsOfOneDoorbellAllEnd) {
  for (std::uint64_t i = 0; i < kEntries - 1; ++i) put(2, 0, kFrom + i * 0x1000, 0x1000, i + 1);
  engine.bar_write(0x20, tail, 8);
  test::PciHost::settle();
  for (std::uint64_t i = 0; i < kEntries - 1; ++i) {
    EXPECT_EQ(host.word(kRing + i * 64 + 48), 1U);
    EXPECT_EQ(host.word(kFrom + i * 0x1000 + 0xFF8), i + 1);
  }
  EXPECT_EQ(engine.bar_read(0x30, 8), 0U) << "not busy, no fault";
}

TEST_F(DmaEngineTest, ADescriptorThatCannotBeReadOrWrittenBackStopsTheRing) {
  host.refused_first = kRing;
  host.refused_last = kRing + 0xFFF;
  engine.bar_write(0x20, 1, 8);
  test::PciHost::settle();
  EXPECT_EQ(engine.bar_read(0x30, 8), 2U) << "RingFault, not Busy";
  EXPECT_EQ(engine.bar_read(0x08, 8) & 1, 0U) << "stopped";
  EXPECT_EQ(engine.bar_read(0x28, 8), 0U) << "Head names the descriptor";
  host.refused_first = 1;
  host.refused_last = 0;
  engine.bar_write(0x30, 2, 8);
  EXPECT_EQ(engine.bar_read(0x30, 8), 0U);
  host.read_only_first = kRing;
  host.read_only_last = kRing + 0xFFF;
  put(2, 0, kTo, 8, 3);
  engine.bar_write(0x08, 5, 8);
  test::PciHost::settle();
  EXPECT_EQ(engine.bar_read(0x30, 8), 2U) << "the result cannot be written";
  EXPECT_TRUE(host.messages.empty());
}

TEST_F(DmaEngineTest, AResetInTheMiddleLeavesNothingBehind) {
  put(2, 0, kTo, 0x10'0000, 1);
  engine.bar_write(0x20, tail, 8);
  vtd::run(sc_core::sc_time(500, sc_core::SC_NS));
  EXPECT_EQ(engine.bar_read(0x30, 8) & 1, 1U) << "busy";
  engine.bar_write(0x08, 2, 8);
  test::PciHost::settle();
  EXPECT_EQ(host.word(last + 48), 0U) << "no result of before";
  EXPECT_EQ(host.word(kTo + 0xF'0000), 0U) << "it did not go on";
  for (const std::uint64_t offset : {0x08, 0x10, 0x18, 0x20, 0x28, 0x30, 0x38, 0x40})
    EXPECT_EQ(engine.bar_read(offset, 8), 0U);
  EXPECT_TRUE(host.messages.empty());
  tail = 0;
  engine.bar_write(0x10, kRing, 8);
  engine.bar_write(0x18, kEntries, 8);
  engine.bar_write(0x08, 5, 8);
  EXPECT_EQ(run(2, 0, kFrom, 8, 5), 0U) << "and it works again";
}

TEST_F(DmaEngineTest, WithoutBusMasterNothingLeaves) {
  engine.config_write(0x04, 2, 2);
  put(2, 0, kTo, 8, 1);
  engine.bar_write(0x20, tail, 8);
  test::PciHost::settle();
  EXPECT_EQ(host.word(kTo), 0U);
  engine.config_write(0x04, 6, 2);
  test::PciHost::settle();
  EXPECT_EQ(host.word(kTo), 1U) << "as soon as it may";
}

TEST_F(DmaEngineTest, InterruptsOnlyWhereAskedForAndEnabled) {
  engine.bar_write(0x08, 1, 8);
  EXPECT_EQ(run(0, 0, 0, 0), 0U);
  EXPECT_TRUE(host.messages.empty());
  engine.bar_write(0x08, 5, 8);
  engine.config_write(0x52, 0, 2);  // MSI off
  EXPECT_EQ(run(0, 0, 0, 0), 0U);
  EXPECT_TRUE(host.messages.empty());
}

TEST_F(DmaEngineTest, HalvesOfRegisters) {
  engine.bar_write(0x48, 0x5566'7788, 4);
  engine.bar_write(0x4C, 0x1122'3344, 4);
  EXPECT_EQ(engine.bar_read(0x48, 8), 0x1122'3344'5566'7788U);
  EXPECT_EQ(engine.bar_read(0x4C, 4), 0x1122'3344U);
  engine.bar_write(0x0C, 0, 4);
  EXPECT_EQ(engine.bar_read(0x08, 8), 5U) << "the upper half of Control changes nothing";
}

TEST_F(DmaEngineTest, LiveTransfersFollowTicks) {
  EXPECT_EQ(engine.next_tick(), 0U);
  engine.bar_write(0x48, kTo, 8);
  engine.bar_write(0x50, 1000, 8);
  EXPECT_EQ(engine.next_tick(), 1000U);
  engine.tick(400);
  test::PciHost::settle();
  EXPECT_EQ(engine.bar_read(0x58, 8), 0U);
  EXPECT_EQ(engine.next_tick(), 600U);
  for (int i = 0; i < 3; ++i) {
    engine.tick(1000);
    test::PciHost::settle();
  }
  EXPECT_EQ(engine.bar_read(0x58, 8), 3U);
  EXPECT_EQ(host.word(kTo), 2U) << "attempts before the last one";
  host.refused_first = kTo;
  host.refused_last = kTo + 7;
  engine.tick(1000);
  test::PciHost::settle();
  EXPECT_EQ(engine.bar_read(0x60, 8), 1U);
  engine.config_write(0x04, 2, 2);
  engine.tick(5000);
  test::PciHost::settle();
  EXPECT_EQ(engine.bar_read(0x58, 8) + engine.bar_read(0x60, 8), 4U) << "none without bus master";
  engine.bar_write(0x50, 0, 8);
  EXPECT_EQ(engine.next_tick(), 0U);
}

TEST_F(DmaEngineTest, ConfigurationSpaceSizesItsBarAndKeepsWhatIsReadOnly) {
  engine.config_write(0x10, 0xFFFF'FFFF, 4);
  EXPECT_EQ(engine.config_read(0x10, 4), 0xFFFF'F000U);
  engine.config_write(0x00, 0, 4);
  EXPECT_EQ(engine.config_read(0x00, 4), 0x7D5E'1234U);
  EXPECT_EQ(engine.config_read(0x34, 1), 0x50U);
  EXPECT_EQ(engine.config_read(0x50, 1), 0x05U);
  EXPECT_EQ(engine.config_read(0x52, 2), 0x81U) << "64 bits, enabled";
  engine.reset();
  EXPECT_EQ(engine.config_read(0x04, 2), 0U);
  EXPECT_EQ(engine.config_read(0x52, 2), 0x80U);
}

}  // namespace
}  // namespace vtd::soc
