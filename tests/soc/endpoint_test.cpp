// SPDX-License-Identifier: MIT
// The endpoint finds corrupted, misdirected and lost data that is planted in memory; its stream does what it says.
#include <gmock/gmock.h>

#include <numeric>
#include <stdexcept>

#include "tests/soc/story.h"
#include "tlm/soc/dram.h"
#include "tlm/soc/endpoint.h"
#include "tlm/spec/platform.h"

namespace vtd::soc {
namespace {

using namespace test;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr std::uint32_t kBlock = 256;
constexpr std::uint64_t kWindow = 0x4000;

EndpointConfig config_of(Pattern pattern) {
  EndpointConfig c;
  c.name = "D1";
  c.source = make_source_id(1, 0, 0);
  c.windows = {{0x1'0000, kWindow}, {0x8'0000, kWindow}};
  c.pattern = pattern;
  c.block = kBlock;
  c.interval = ns(100);
  return c;
}

/// An endpoint straight at memory.
class EndpointTest : public testing::Test {
 protected:
  explicit EndpointTest(Pattern pattern = Pattern::kSequential) : endpoint("d1", config_of(pattern)) {
    endpoint.dma.bind(dram.socket);
    master.socket.bind(endpoint.socket);
  }
  std::uint64_t read8(Iova iova) { return dram.peek(iova); }
  /// Streams until every block was written and half of them are read back.
  void fill() {
    endpoint.start();
    while (endpoint.total().reads < kWindow / kBlock) sc_core::wait(us(1));
    endpoint.stop();
  }
  void stream_on() {
    endpoint.start();
    sc_core::wait(us(100));
    endpoint.stop();
  }
  Dram dram{"dram", 0x10'0000, ns(20)};
  Endpoint endpoint;
  Master master{"master"};
};

class RandomEndpointTest : public EndpointTest {
 protected:
  RandomEndpointTest() : EndpointTest(Pattern::kRandom) {}
};

TEST_F(EndpointTest, CleanStreamHasNothingToComplain) {
  run_story([&] {
    fill();
    stream_on();
  });
  endpoint.check_memory([&](Iova iova) { return read8(iova); });
  EXPECT_EQ(endpoint.total().mismatches, 0U);
  EXPECT_GT(endpoint.total().blocks_checked, 2 * kWindow / kBlock);
  EXPECT_EQ(endpoint.total().bytes_written, endpoint.total().writes * kBlock);
  EXPECT_GE(endpoint.total().latency_max, ns(20));
  EXPECT_THAT(endpoint.complaints(), IsEmpty());
}

TEST_F(RandomEndpointTest, CleanRandomStreamHasNothingToComplain) {
  run_story([&] {
    fill();
    stream_on();
  });
  endpoint.check_memory([&](Iova iova) { return read8(iova); });
  EXPECT_EQ(endpoint.total().mismatches, 0U);
  EXPECT_GT(endpoint.total().reads, 100U);
}

TEST_F(EndpointTest, FindsAFlippedBit) {
  run_story([&] {
    fill();
    dram.poke(0x8'1008, dram.peek(0x8'1008) ^ 1);
    stream_on();
  });
  EXPECT_EQ(endpoint.total().mismatches, 1U);
  EXPECT_THAT(endpoint.complaints().front(), HasSubstr("block at 0x81000"));
}

TEST_F(EndpointTest, FindsAMisdirectedBlock) {
  run_story([&] {
    fill();
    std::copy_n(dram.data() + 0x1'0000, kBlock, dram.data() + 0x8'2000);
    stream_on();
  });
  EXPECT_EQ(endpoint.total().mismatches, 1U);
}

TEST_F(EndpointTest, FindsALostWriteByItsOldSequenceNumber) {
  run_story([&] {
    fill();
    std::vector<std::uint8_t> old(dram.data() + 0x1'0000, dram.data() + 0x1'0000 + kBlock);
    const std::uint64_t writes = endpoint.total().writes;
    endpoint.start();
    while (endpoint.total().writes < 2 * writes) sc_core::wait(ns(50));
    endpoint.stop();
    std::copy(old.begin(), old.end(), dram.data() + 0x1'0000);
  });
  endpoint.check_memory([&](Iova iova) { return read8(iova); });
  EXPECT_EQ(endpoint.total().mismatches, 1U);
  EXPECT_THAT(endpoint.complaints().front(), HasSubstr("memory of block at 0x10000"));
}

TEST_F(EndpointTest, FinalCheckSeesEveryBlock) {
  run_story([&] { fill(); });
  for (std::uint64_t at = 0; at < kWindow; at += kBlock) dram.poke(0x8'0000 + at + kBlock - 8, 1);
  endpoint.check_memory([&](Iova iova) { return read8(iova); });
  EXPECT_EQ(endpoint.total().mismatches, kWindow / kBlock);
}

TEST_F(EndpointTest, SeveralRequestsAreInFlight) {
  unsigned most = 0;
  endpoint.on_activity([&](const Endpoint& e) { most = std::max(most, e.in_flight()); });
  dram.slow(us(1));
  run_story([&] {
    stream_on();
    EXPECT_EQ(endpoint.in_flight(), 0U);
  });
  EXPECT_EQ(most, endpoint.config().outstanding);
}

TEST_F(EndpointTest, BusMasterBitGatesTheStream) {
  namespace reg = platform::endpoint;
  run_story([&] {
    const std::uint64_t id = master.read(reg::kId, 8);
    EXPECT_EQ(reg::kSid.get(id), 0x100U);
    EXPECT_EQ(reg::kPresent.get(id), 1U);
    EXPECT_EQ(master.read(reg::kControl, 4), 1U);
    stream_on();
    master.write(reg::kControl, 0, 4);
    endpoint.start();
    sc_core::wait(us(1));
    const std::uint64_t before = endpoint.total().transfers();
    sc_core::wait(us(50));
    EXPECT_EQ(endpoint.total().transfers(), before);
    std::uint64_t word = 0;
    EXPECT_FALSE(endpoint.access(0x1'0000, reinterpret_cast<std::uint8_t*>(&word), 8, Access::kRead).ok);
    master.write(reg::kControl, 1, 4);
    sc_core::wait(us(50));
    EXPECT_GT(endpoint.total().transfers(), before);
    endpoint.stop();
  });
  EXPECT_EQ(endpoint.total().mismatches, 0U);
}

TEST_F(EndpointTest, BusErrorsAreCountedAndDoNotSpoilTheCheck) {
  run_story([&] {
    fill();
    dram.fail_range(0x1'0000, 0x1'0FFF);
    stream_on();
    dram.fail_range(1, 0);
    EXPECT_GT(endpoint.total().bus_errors, 0U);
    stream_on();
  });
  endpoint.check_memory([&](Iova iova) { return read8(iova); });
  EXPECT_EQ(endpoint.total().mismatches, 0U);
}

TEST_F(EndpointTest, CountsGoToThePhaseInWhichATransferEnds) {
  run_story([&] {
    stream_on();
    endpoint.set_phase(2);
    stream_on();
  });
  ASSERT_EQ(endpoint.phases().size(), 3U);
  EXPECT_GT(endpoint.phases()[0].transfers(), 0U);
  EXPECT_EQ(endpoint.phases()[1].transfers(), 0U);
  EXPECT_EQ(endpoint.phases()[0].transfers() + endpoint.phases()[2].transfers(), endpoint.total().transfers());
}

TEST_F(EndpointTest, ThroughputIsSlicedByTime) {
  run_story([&] {
    sc_core::wait(us(20));
    stream_on();
  });
  const std::vector<std::uint64_t>& slices = endpoint.throughput();
  ASSERT_GE(slices.size(), 12U);
  EXPECT_EQ(slices[0] + slices[1], 0U);
  EXPECT_GT(slices[5], 0U);
  EXPECT_EQ(std::accumulate(slices.begin(), slices.end(), std::uint64_t{0}),
            endpoint.total().bytes_read + endpoint.total().bytes_written);
}

TEST_F(EndpointTest, FiniteStreamEndsAfterItsTransfers) {
  endpoint.finish_at(40);
  run_story([&] {
    endpoint.start();
    EXPECT_TRUE(endpoint.wait_finished(ms(1)));
  });
  EXPECT_EQ(endpoint.attempts(), 40U);
}

TEST(EndpointConfigTest, WrongConfigurationsAreRefused) {
  EndpointConfig block = config_of(Pattern::kSequential);
  block.block = 60;
  EXPECT_THROW(Endpoint("a", block), std::invalid_argument);
  EndpointConfig window = config_of(Pattern::kSequential);
  window.windows[0].size = kBlock + 1;
  EXPECT_THROW(Endpoint("b", window), std::invalid_argument);
  EndpointConfig outstanding = config_of(Pattern::kSequential);
  outstanding.outstanding = 0;
  EXPECT_THROW(Endpoint("c", outstanding), std::invalid_argument);
}

}  // namespace
}  // namespace vtd::soc
