// SPDX-License-Identifier: MIT
// DMA through the unit: splitting, byte enables, faults, bus errors, hit and miss timing, both timing modes.
#include "tests/unit/unit_bench.h"

namespace vtd::test {
namespace {

using sc_core::SC_NS;
using sc_core::sc_time;

UnitConfig configured(TimingMode mode, WalkerKind walker = WalkerKind::kModel) {
  UnitConfig config;
  config.dma_ports = {kNic, kDisk};
  config.mode = mode;
  config.walker = walker;
  return config;
}

class Dma : public testing::Test {
 protected:
  void build(const UnitConfig& config) {
    bench = std::make_unique<UnitBench>("bench", config);
    bench->tables.attach(kNic, kDomain, bench->table);
    bench->tables.attach(kDisk, kDomain, bench->table);
    for (unsigned page = 0; page < 8; ++page)  // neighbours on the bus, far apart in memory
      bench->tables.map(bench->table, 0x4000 + page * kPageSize, kData + page * 0x1'0000);
    bench->tables.map(bench->table, 0x2000, kData, Tables::kReadOnly);
    bench->memory.latency = sc_time(20, SC_NS);
  }
  std::unique_ptr<UnitBench> bench;
};

TEST_F(Dma, SplitsAtPagesAndTagsEachPiece) {
  build(configured(TimingMode::kLooselyTimed));
  UnitBench& b = *bench;
  std::vector<unsigned char> data(10000);
  for (std::size_t i = 0; i < data.size(); ++i) data[i] = static_cast<unsigned char>(i * 7 + i / 256);
  b.go([&] {
    b.enable();
    b.memory.seen.clear();
    ASSERT_EQ(b.dma(0, tlm::TLM_WRITE_COMMAND, 0x4F00, data).status, tlm::TLM_OK_RESPONSE);
    std::vector<TestMemory::Seen> pieces;
    for (const auto& s : b.memory.seen)
      if (s.kind == MemoryKind::kDma) pieces.push_back(s);
    ASSERT_EQ(pieces.size(), 4U);
    EXPECT_EQ(pieces[0].address, kData + 0xF00);
    EXPECT_EQ(pieces[0].bytes, 0x100U);
    EXPECT_EQ(pieces[1].address, kData + 0x1'0000);
    EXPECT_EQ(pieces[1].bytes, kPageSize);
    EXPECT_EQ(pieces[3].bytes, 10000U - 0x100U - 2 * kPageSize);
    EXPECT_EQ(pieces[3].iova, 0x7000U);
    EXPECT_EQ(pieces[3].source, kNic);

    std::vector<unsigned char> back(data.size());
    ASSERT_EQ(b.dma(1, tlm::TLM_READ_COMMAND, 0x4F00, back).status, tlm::TLM_OK_RESPONSE);
    EXPECT_EQ(back, data);
  });
  const SourceStatistics& nic = b.unit.statistics().sources.at(kNic);
  EXPECT_EQ(nic.transactions, 1U);
  EXPECT_EQ(nic.requests, 4U);
  EXPECT_EQ(nic.bytes_written, 10000U);
  EXPECT_EQ(nic.in_flight, 0U);
  EXPECT_EQ(b.unit.statistics().sources.at(kDisk).bytes_read, 10000U);
  EXPECT_EQ(b.unit.core().in_flight(), 0U);
}

TEST_F(Dma, ByteEnablesRepeatAcrossPieces) {
  build(configured(TimingMode::kLooselyTimed));
  UnitBench& b = *bench;
  std::vector<unsigned char> data(64, 0xEE);
  std::array<unsigned char, 3> enables = {0xFF, 0, 0};
  b.go([&] {
    b.enable();
    tlm::tlm_generic_payload trans;
    sc_time delay;
    UnitBench::prepare(trans, tlm::TLM_WRITE_COMMAND, 0x4FE0, data);
    trans.set_byte_enable_ptr(enables.data());
    trans.set_byte_enable_length(enables.size());
    b.devices[0]->b_transport(trans, delay);
    ASSERT_EQ(trans.get_response_status(), tlm::TLM_OK_RESPONSE);
  });
  for (std::size_t i = 0; i < data.size(); ++i) {
    const PhysAddr where = i < 32 ? kData + 0xFE0 + i : kData + 0x1'0000 + (i - 32);
    EXPECT_EQ(b.memory.byte(where), i % 3 == 0 ? 0xEE : 0) << i;
  }
}

TEST_F(Dma, AFaultAnswersWithAnAddressErrorAndTouchesNoMemory) {
  build(configured(TimingMode::kLooselyTimed));
  UnitBench& b = *bench;
  b.go([&] {
    b.enable();
    const auto before = b.memory.contents();
    EXPECT_EQ(b.dma_write(0, 0x2000, 1), tlm::TLM_ADDRESS_ERROR_RESPONSE);
    std::uint64_t value = 7;
    EXPECT_EQ(b.dma_read(0, 0x0, &value), tlm::TLM_ADDRESS_ERROR_RESPONSE);
    EXPECT_EQ(value, 0U);  // what the device had put there
    EXPECT_EQ(b.memory.contents(), before);
    EXPECT_EQ(fsts::kPPF.get(b.read(RegId::kFSTS)), 1U);
  });
  EXPECT_EQ(b.memory.count(MemoryKind::kDma), 0U);
  EXPECT_EQ(b.unit.statistics().faults, 2U);
  EXPECT_EQ(b.unit.statistics().sources.at(kNic).faults, 2U);
}

TEST_F(Dma, APieceThatFaultsEndsTheTransaction) {
  build(configured(TimingMode::kLooselyTimed));
  UnitBench& b = *bench;
  std::vector<unsigned char> data(3 * kPageSize, 0x77);
  b.go([&] {
    b.enable();
    EXPECT_EQ(b.dma(0, tlm::TLM_WRITE_COMMAND, 0xB000, data).status, tlm::TLM_ADDRESS_ERROR_RESPONSE);
  });
  EXPECT_EQ(b.memory.byte(kData + 0x7'0000), 0x77);
  EXPECT_EQ(b.memory.count(MemoryKind::kDma), 1U);
}

TEST_F(Dma, ABusErrorOfMemoryIsPassedOn) {
  build(configured(TimingMode::kLooselyTimed));
  UnitBench& b = *bench;
  b.memory.broken.insert(kData + 8);
  b.go([&] {
    b.enable();
    EXPECT_EQ(b.dma_read(0, 0x4008), tlm::TLM_ADDRESS_ERROR_RESPONSE);
    EXPECT_EQ(b.dma_read(0, 0x4010), tlm::TLM_OK_RESPONSE);
  });
  EXPECT_EQ(b.unit.statistics().faults, 0U);
}

TEST_F(Dma, AZeroLengthReadMovesNoData) {
  build(configured(TimingMode::kLooselyTimed));
  UnitBench& b = *bench;
  b.go([&] {
    b.enable();
    DmaExtension extension;
    extension.zero_length = true;
    EXPECT_EQ(b.dma(0, tlm::TLM_READ_COMMAND, 0x4000, {}, &extension).status, tlm::TLM_OK_RESPONSE);
    EXPECT_EQ(b.dma(0, tlm::TLM_READ_COMMAND, 0x0, {}, &extension).status, tlm::TLM_ADDRESS_ERROR_RESPONSE);
    EXPECT_EQ(b.dma(0, tlm::TLM_WRITE_COMMAND, 0x4000, {}, &extension).status, tlm::TLM_COMMAND_ERROR_RESPONSE);
  });
  EXPECT_EQ(b.memory.count(MemoryKind::kDma), 0U);
}

TEST_F(Dma, AHitOnlyAnnotatesItsDelay) {
  build(configured(TimingMode::kLooselyTimed));
  UnitBench& b = *bench;
  b.go([&] {
    b.enable();
    ASSERT_EQ(b.dma_read(0, 0x4000), tlm::TLM_OK_RESPONSE);
    const sc_time now = sc_core::sc_time_stamp();
    std::uint64_t data = 0;
    const auto hit =
        b.dma(0, tlm::TLM_READ_COMMAND, 0x4008, UnitBench::bytes_of_word(data), nullptr, sc_time(500, SC_NS));
    EXPECT_EQ(hit.status, tlm::TLM_OK_RESPONSE);
    EXPECT_EQ(hit.delay, sc_time(500 + 1 + 1 + 2 + 20, SC_NS));  // two lookups, forwarding, memory
    EXPECT_EQ(sc_core::sc_time_stamp(), now);
  });
}

TEST_F(Dma, AMissSynchronisesAndWalks) {
  build(configured(TimingMode::kLooselyTimed));
  UnitBench& b = *bench;
  b.go([&] {
    b.enable();
    ASSERT_EQ(b.dma_read(0, 0x4000), tlm::TLM_OK_RESPONSE);  // the context is cached now
    const sc_time now = sc_core::sc_time_stamp();
    std::uint64_t data = 0;
    const auto miss =
        b.dma(0, tlm::TLM_READ_COMMAND, 0x5000, UnitBench::bytes_of_word(data), nullptr, sc_time(500, SC_NS));
    // The walk is asked for after both lookups, 502 ns from now: a whole edge; 4 reads of 20 cycles.
    EXPECT_EQ(sc_core::sc_time_stamp() - now, sc_time(500 + 2 + 4 * 22 + 2, SC_NS));
    EXPECT_EQ(miss.delay, sc_time(2 + 20, SC_NS));
  });
  EXPECT_EQ(b.unit.statistics().walks, 2U);
}

TEST_F(Dma, CycleTrueTakesTheSameTimeAndAnnotatesNothing) {
  build(configured(TimingMode::kCycleTrue));
  UnitBench& b = *bench;
  b.go([&] {
    b.enable();
    ASSERT_EQ(b.dma_read(0, 0x4000), tlm::TLM_OK_RESPONSE);
    sc_core::wait(sc_time(300, sc_core::SC_PS));
    const std::uint64_t now = now_ps();
    std::uint64_t data = 0;
    const auto hit =
        b.dma(0, tlm::TLM_READ_COMMAND, 0x4008, UnitBench::bytes_of_word(data), nullptr, sc_time(7, SC_NS));
    EXPECT_EQ(hit.delay, sc_core::SC_ZERO_TIME);
    const std::uint64_t start = (now + 7000 + 999) / 1000 * 1000;  // the next edge
    EXPECT_EQ(now_ps(), start + (1 + 1 + 2 + 20) * 1000);
  });
}

TEST_F(Dma, BothModesAndAllWalkersMoveTheSameData) {
  build(configured(TimingMode::kCycleTrue, WalkerKind::kLockstep));
  UnitBench& b = *bench;
  b.go([&] {
    b.enable();
    for (unsigned i = 0; i < 8; ++i) ASSERT_EQ(b.dma_write(0, 0x4000 + i * kPageSize, i), tlm::TLM_OK_RESPONSE);
    for (unsigned i = 0; i < 8; ++i) {
      std::uint64_t value = ~0ULL;
      ASSERT_EQ(b.dma_read(1, 0x4000 + i * kPageSize, &value), tlm::TLM_OK_RESPONSE);
      EXPECT_EQ(value, i);
    }
  });
}

TEST_F(Dma, InterruptMessagesOfDevicesAndOfTheUnitReachMemoryWithTheirTag) {
  build(configured(TimingMode::kLooselyTimed));
  UnitBench& b = *bench;
  b.go([&] {
    b.enable();
    std::uint64_t data = 0x41;
    EXPECT_EQ(b.dma(0, tlm::TLM_WRITE_COMMAND, 0xFEE0'0000, UnitBench::bytes_of_word(data)).status,
              tlm::TLM_OK_RESPONSE);
    b.write(RegId::kFEDATA, 0x42);
    b.write(RegId::kFEADDR, 0xFEE0'1000);
    b.write(RegId::kFECTL, 0);
    EXPECT_EQ(b.dma_read(0, 0x0), tlm::TLM_ADDRESS_ERROR_RESPONSE);
    sc_core::wait(sc_time(1, sc_core::SC_US));
  });
  EXPECT_EQ(b.memory.messages, (std::vector<PhysAddr>{0xFEE0'0000, 0xFEE0'1000}));
  EXPECT_EQ(b.memory.count(MemoryKind::kMessage), 2U);
  EXPECT_EQ(b.unit.statistics().messages, 1U);
}

TEST_F(Dma, LatencyIsCountedFromTheCallersLocalTime) {
  build(configured(TimingMode::kLooselyTimed));
  UnitBench& b = *bench;
  b.go([&] {
    b.enable();
    b.dma_read(0, 0x4000);
    std::uint64_t data = 0;
    for (int i = 0; i < 9; ++i)
      b.dma(0, tlm::TLM_READ_COMMAND, 0x4000, UnitBench::bytes_of_word(data), nullptr, sc_time(900, SC_NS));
  });
  const LatencyHistogram& latency = b.unit.statistics().sources.at(kNic).latency;
  EXPECT_EQ(latency.count(), 10U);
  EXPECT_EQ(latency.min(), 24U);
  EXPECT_EQ(latency.buckets()[5], 9U);  // [16, 32)
  EXPECT_GT(latency.max(), 90U);
}

}  // namespace
}  // namespace vtd::test
