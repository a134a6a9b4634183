// SPDX-License-Identifier: MIT
// DRAM behind a unit that does not snoop (ECAP.C=0): two views, and the ways from one to the other.
#include <gtest/gtest.h>

#include <cstring>

#include <tlm_utils/simple_initiator_socket.h>

#include "tlm/soc/dram.h"

namespace vtd::soc {
namespace {

constexpr std::uint64_t kSize = 1U << 20U;
constexpr PhysAddr kEntry = 0x8000;

struct Bench : sc_core::sc_module {
  explicit Bench(sc_core::sc_module_name name)
      : sc_module(name), dram("dram", kSize, sc_core::sc_time(20, sc_core::SC_NS)) {
    out.bind(dram.socket);
    dram.make_non_coherent(1);
  }
  std::uint64_t access(tlm::tlm_command command, PhysAddr address, std::uint64_t value, MemoryTag tag,
                       std::optional<std::uint64_t>* observed = nullptr) {
    tlm::tlm_generic_payload trans;
    trans.set_command(command);
    trans.set_address(address);
    trans.set_data_ptr(reinterpret_cast<unsigned char*>(&value));
    trans.set_data_length(sizeof value);
    trans.set_streaming_width(sizeof value);
    trans.set_extension(&tag);
    sc_core::sc_time delay;
    out->b_transport(trans, delay);
    EXPECT_TRUE(trans.is_response_ok());
    EXPECT_FALSE(trans.is_dmi_allowed());
    trans.clear_extension(&tag);
    if (observed != nullptr) *observed = tag.observed;
    return value;
  }
  std::uint64_t read(PhysAddr address, MemoryKind kind) {
    return access(tlm::TLM_READ_COMMAND, address, 0, MemoryTag(kind, {}, 0));
  }
  std::uint64_t walk(PhysAddr address) { return read(address, MemoryKind::kTable); }
  void device_writes(PhysAddr address, std::uint64_t value) {
    access(tlm::TLM_WRITE_COMMAND, address, value, MemoryTag(MemoryKind::kDma, {}, 0));
  }
  bool update(PhysAddr address, std::uint64_t expected, std::uint64_t desired) {
    MemoryTag tag(MemoryKind::kUpdate, {}, 0);
    tag.expected = expected;
    std::optional<std::uint64_t> observed;
    access(tlm::TLM_WRITE_COMMAND, address, desired, tag, &observed);
    EXPECT_TRUE(observed);
    return observed == expected;
  }
  /// As the CPU does.
  void store(PhysAddr address, std::uint64_t value) {
    std::memcpy(dram.data() + address, &value, sizeof value);
    dram.cpu_wrote(address, sizeof value);
  }
  Dram dram;
  tlm_utils::simple_initiator_socket<Bench> out{"out"};
};

TEST(NonCoherent, TableWalksSeeWhatWasWrittenBackOnly) {
  Bench b("bench");
  b.store(kEntry, 0x1003);
  EXPECT_EQ(b.dram.peek(kEntry), 0x1003U) << "the CPU reads its own writes";
  EXPECT_EQ(b.walk(kEntry), 0U);
  EXPECT_EQ(b.read(kEntry, MemoryKind::kDma), 0x1003U) << "DMA is snooped";
  EXPECT_EQ(b.read(kEntry, MemoryKind::kDescriptor), 0x1003U) << "the queue is snooped";
  b.dram.write_back(kEntry + 64, 64);
  EXPECT_EQ(b.walk(kEntry), 0U) << "another line";
  b.dram.write_back(kEntry + 8, 1);
  EXPECT_EQ(b.walk(kEntry), 0x1003U) << "lines are written back whole";
  EXPECT_EQ(b.dram.cache_counters().written_back, 1U);
}

TEST(NonCoherent, WhatWasNotWrittenBackIsLostWithTheCache) {
  Bench b("bench");
  b.store(kEntry, 1);
  b.dram.write_back(0, 0);
  b.store(kEntry, 2);
  b.store(kEntry + 0x1000, 3);
  b.dram.lose_cache();
  EXPECT_EQ(b.dram.peek(kEntry), 1U);
  EXPECT_EQ(b.dram.peek(kEntry + 0x1000), 0U);
  EXPECT_EQ(b.dram.cache_counters().lost, 2U);
}

TEST(NonCoherent, LinesAreEvictedNowAndThen) {
  Bench b("bench");
  for (unsigned i = 0; i < 4096; ++i) b.store(kEntry + i % 512 * 64, i + 1);
  EXPECT_GT(b.dram.cache_counters().evicted, 4U);
  unsigned seen = 0;
  for (unsigned i = 0; i < 512; ++i) seen += b.walk(kEntry + i * 64) != 0 ? 1 : 0;
  EXPECT_GT(seen, 0U);
  EXPECT_LT(seen, 512U);
}

TEST(NonCoherent, DeviceWritesReachBothViews) {
  Bench b("bench");
  b.store(kEntry, 7);
  b.device_writes(kEntry + 8, 9);
  EXPECT_EQ(b.walk(kEntry + 8), 9U);
  EXPECT_EQ(b.walk(kEntry), 0U);
  EXPECT_EQ(b.dram.peek(kEntry + 8), 9U);
  b.dram.lose_cache();
  EXPECT_EQ(b.dram.peek(kEntry + 8), 9U);
}

TEST(NonCoherent, UpdatesActOnMemoryAndAreLostUnderAChangedLine) {
  Bench b("bench");
  b.store(kEntry, 0x1003);
  b.dram.write_back(0, 0);
  EXPECT_TRUE(b.update(kEntry, 0x1003, 0x1103));
  EXPECT_EQ(b.dram.peek(kEntry), 0x1103U) << "the CPU held no changed line";
  b.store(kEntry + 8, 1);
  EXPECT_TRUE(b.update(kEntry, 0x1103, 0x1303));
  EXPECT_EQ(b.walk(kEntry), 0x1303U);
  b.dram.write_back(0, 0);
  EXPECT_EQ(b.walk(kEntry), 0x1103U) << "overwritten by the CPU's line, as on such machines";
  EXPECT_FALSE(b.update(kEntry, 0x1303, 1));
}

TEST(NonCoherent, CoherentMemoryHasOneView) {
  Dram dram("dram", kSize, sc_core::SC_ZERO_TIME);
  dram.cpu_wrote(0, 64);
  dram.lose_cache();
  dram.write_back(0, 0);
  EXPECT_TRUE(dram.coherent());
  EXPECT_EQ(dram.cache_counters().lost + dram.cache_counters().written_back, 0U);
}

}  // namespace
}  // namespace vtd::soc
