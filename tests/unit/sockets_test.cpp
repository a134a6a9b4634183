// SPDX-License-Identifier: MIT
// The sockets: what they take, what they refuse and with which answer, what debug access does.
#include "tests/unit/unit_bench.h"

namespace vtd::test {
namespace {

UnitConfig two_ports() {
  UnitConfig config;
  config.dma_ports = {kNic, std::nullopt};
  return config;
}

class Sockets : public testing::Test {
 protected:
  Sockets() : b("bench", two_ports()) {
    b.tables.attach(kNic, kDomain, b.table);
    b.tables.map(b.table, 0x4000, kData);
    b.tables.map(b.table, 0x5000, kData + 0x3000);
    b.tables.map(b.table, 0x6000, kData + 0x1000, Tables::kReadOnly);
  }
  const UnitStatistics& counted() { return b.unit.statistics(); }
  UnitBench b;
};

TEST_F(Sockets, RegistersReadAndWrite) {
  b.go([&] {
    EXPECT_EQ(b.read(RegId::kCAP), cap_value(Profile{}));
    b.write(RegId::kRTADDR, 0x1234'5000);
    EXPECT_EQ(b.read(RegId::kRTADDR), 0x1234'5000U);
    const auto half = b.mmio(tlm::TLM_READ_COMMAND, b.offset(RegId::kRTADDR) + 4, 0, 4);
    EXPECT_EQ(half.status, tlm::TLM_OK_RESPONSE);
    EXPECT_EQ(half.value, 0U);
    EXPECT_EQ(half.delay, sc_core::sc_time(20, sc_core::SC_NS));
  });
}

TEST_F(Sockets, RegistersRefuseWhatIsNotAnAccess) {
  b.go([&] {
    EXPECT_EQ(b.mmio(tlm::TLM_READ_COMMAND, 0, 0, 1).status, tlm::TLM_BURST_ERROR_RESPONSE);
    EXPECT_EQ(b.mmio(tlm::TLM_READ_COMMAND, 0, 0, 2).status, tlm::TLM_BURST_ERROR_RESPONSE);
    EXPECT_EQ(b.mmio(tlm::TLM_READ_COMMAND, 2, 0, 4).status, tlm::TLM_ADDRESS_ERROR_RESPONSE);
    EXPECT_EQ(b.mmio(tlm::TLM_WRITE_COMMAND, 4, 0, 8).status, tlm::TLM_ADDRESS_ERROR_RESPONSE);
    EXPECT_EQ(b.mmio(tlm::TLM_READ_COMMAND, 0x1000, 0, 8).status, tlm::TLM_ADDRESS_ERROR_RESPONSE);
    EXPECT_EQ(b.mmio(tlm::TLM_IGNORE_COMMAND, 0, 0, 8).status, tlm::TLM_COMMAND_ERROR_RESPONSE);

    std::uint64_t value = 0;
    unsigned char enable = 0xFF;
    sc_core::sc_time delay;
    tlm::tlm_generic_payload trans;
    UnitBench::prepare(trans, tlm::TLM_READ_COMMAND, 8, UnitBench::bytes_of_word(value));
    trans.set_byte_enable_ptr(&enable);
    trans.set_byte_enable_length(1);
    b.cpu->b_transport(trans, delay);
    EXPECT_EQ(trans.get_response_status(), tlm::TLM_BYTE_ENABLE_ERROR_RESPONSE);

    UnitBench::prepare(trans, tlm::TLM_READ_COMMAND, 8, UnitBench::bytes_of_word(value));
    trans.set_streaming_width(4);
    b.cpu->b_transport(trans, delay);
    EXPECT_EQ(trans.get_response_status(), tlm::TLM_BURST_ERROR_RESPONSE);
  });
  EXPECT_EQ(counted().refused.mmio_size, 3U);
  EXPECT_EQ(counted().refused.mmio_address, 3U);
  EXPECT_EQ(counted().refused.mmio_command, 1U);
  EXPECT_EQ(counted().refused.mmio_byte_enable, 1U);
}

TEST_F(Sockets, DebugReadsRegistersAndWritesNone) {
  b.go([&] {
    std::uint64_t value = 0;
    tlm::tlm_generic_payload trans;
    UnitBench::prepare(trans, tlm::TLM_READ_COMMAND, b.offset(RegId::kECAP), UnitBench::bytes_of_word(value));
    EXPECT_EQ(b.cpu->transport_dbg(trans), 8U);
    EXPECT_EQ(value, ecap_value(Profile{}));
    UnitBench::prepare(trans, tlm::TLM_WRITE_COMMAND, b.offset(RegId::kRTADDR), UnitBench::bytes_of_word(value));
    EXPECT_EQ(b.cpu->transport_dbg(trans), 0U);
    EXPECT_EQ(b.read(RegId::kRTADDR), 0U);
  });
}

TEST_F(Sockets, MmioNeverWaits) {
  b.go([&] {
    b.enable();
    b.unit.slow(Step::kInvalidate, sc_core::sc_time(10, sc_core::SC_MS));
    const sc_core::sc_time before = sc_core::sc_time_stamp();
    b.submit_iotlb_domain(kDomain);
    EXPECT_FALSE(b.queue_empty());
    EXPECT_EQ(sc_core::sc_time_stamp(), before);
    b.wait_until([&] { return b.queue_empty(); });
    EXPECT_GE(sc_core::sc_time_stamp() - before, sc_core::sc_time(10, sc_core::SC_MS));
  });
}

TEST_F(Sockets, DmaRefusesWhatIsNotARequest) {
  std::uint64_t value = 0;
  const auto send = [&](const std::function<void(tlm::tlm_generic_payload&)>& change, std::size_t device = 0) {
    tlm::tlm_generic_payload trans;
    sc_core::sc_time delay;
    UnitBench::prepare(trans, tlm::TLM_WRITE_COMMAND, 0x4000, UnitBench::bytes_of_word(value));
    change(trans);
    b.devices[device]->b_transport(trans, delay);
    return trans.get_response_status();
  };
  b.go([&] {
    EXPECT_EQ(send([](auto& t) { t.set_streaming_width(4); }), tlm::TLM_BURST_ERROR_RESPONSE);
    EXPECT_EQ(send([](auto& t) { t.set_data_length(0); }), tlm::TLM_BURST_ERROR_RESPONSE);
    EXPECT_EQ(send([](auto& t) { t.set_command(tlm::TLM_IGNORE_COMMAND); }), tlm::TLM_COMMAND_ERROR_RESPONSE);
    EXPECT_EQ(send([](auto&) {}, 1), tlm::TLM_GENERIC_ERROR_RESPONSE);  // nobody says who asks
  });
  EXPECT_EQ(counted().refused.dma_size, 2U);
  EXPECT_EQ(counted().refused.dma_command, 1U);
  EXPECT_EQ(counted().refused.dma_no_source, 1U);
  EXPECT_TRUE(b.memory.seen.empty());
}

TEST_F(Sockets, SourceComesFromTheSocketOrTheExtension) {
  b.go([&] {
    b.enable();
    std::uint64_t data = 0;
    DmaExtension as_nic;
    as_nic.source = kNic;
    EXPECT_EQ(b.dma(1, tlm::TLM_READ_COMMAND, 0x4000, UnitBench::bytes_of_word(data), &as_nic).status,
              tlm::TLM_OK_RESPONSE);
    ASSERT_TRUE(as_nic.translation.has_value());
    EXPECT_EQ(as_nic.translation->address, kData);
    DmaExtension as_disk;
    as_disk.source = kDisk;  // has no context entry
    EXPECT_EQ(b.dma(1, tlm::TLM_READ_COMMAND, 0x4000, UnitBench::bytes_of_word(data), &as_disk).status,
              tlm::TLM_ADDRESS_ERROR_RESPONSE);
    EXPECT_EQ(as_disk.fault, FaultReason::kContextNotPresent);
    DmaExtension liar;
    liar.source = kDisk;  // the socket knows better
    EXPECT_EQ(b.dma(0, tlm::TLM_READ_COMMAND, 0x4000, UnitBench::bytes_of_word(data), &liar).status,
              tlm::TLM_OK_RESPONSE);
  });
}

TEST_F(Sockets, DebugSeesWhatADeviceSeesAndChangesNothing) {
  b.memory.set_word(kData, 0x1122'3344'5566'7788);
  std::array<unsigned char, 0x1800> buffer{};
  b.go([&] {
    b.enable();
    const auto registers = [&] {
      std::vector<std::uint64_t> all;
      for (std::uint64_t offset = 0; offset < kUnitMmioSize; offset += 8) all.push_back(b.unit.core().read(offset, 8));
      return all;
    };
    const auto before = registers();
    const auto memory = b.memory.contents();
    const auto seen = b.memory.seen.size();
    const sc_core::sc_time now = sc_core::sc_time_stamp();
    tlm::tlm_generic_payload trans;
    UnitBench::prepare(trans, tlm::TLM_READ_COMMAND, 0x4000, buffer);
    EXPECT_EQ(b.devices[0]->transport_dbg(trans), buffer.size());  // over a page border
    EXPECT_EQ(buffer[0], 0x88);
    UnitBench::prepare(trans, tlm::TLM_READ_COMMAND, 0x7000, buffer);
    EXPECT_EQ(b.devices[0]->transport_dbg(trans), 0U);  // not mapped: no fault either
    UnitBench::prepare(trans, tlm::TLM_READ_COMMAND, 0x6800, buffer);
    EXPECT_EQ(b.devices[0]->transport_dbg(trans), 0x800U);  // served up to where the mapping ends
    UnitBench::prepare(trans, tlm::TLM_WRITE_COMMAND, 0x6000, buffer);
    EXPECT_EQ(b.devices[0]->transport_dbg(trans), 0U);  // read-only
    EXPECT_EQ(registers(), before);
    EXPECT_EQ(b.memory.contents(), memory);
    EXPECT_EQ(b.memory.seen.size(), seen);
    EXPECT_EQ(sc_core::sc_time_stamp(), now);
    EXPECT_EQ(b.unit.core().caches().iotlb.size(), 0U);
    EXPECT_EQ(b.unit.core().statistics().accepted, 0U);
    EXPECT_EQ(counted().cache(CacheId::kIotlb, CacheEvent::kMiss), 0U);
    EXPECT_EQ(b.unit.walks().completed(), 0U);

    unsigned char byte = 0x5A;
    UnitBench::prepare(trans, tlm::TLM_WRITE_COMMAND, 0x5010, std::span(&byte, 1));
    EXPECT_EQ(b.devices[0]->transport_dbg(trans), 1U);
    EXPECT_EQ(b.memory.byte(kData + 0x3010), 0x5A);
  });
}

}  // namespace
}  // namespace vtd::test
