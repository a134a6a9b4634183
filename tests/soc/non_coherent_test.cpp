// SPDX-License-Identifier: MIT
// DRAM behind a unit that does not snoop (ECAP.C=0): two views, and the ways from one to the other.
#include <gmock/gmock.h>

#include <cstring>

#include <tlm_utils/simple_initiator_socket.h>

#include "tests/soc/machine.h"
#include "tlm/soc/dram.h"
#include "tlm/spec/structures.h"

namespace vtd::soc {
namespace {

using namespace test;

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

TEST(NonCoherent, AWriteAnnouncedBeforeItHappensIsNeverForgotten) {
  Bench b("bench");
  constexpr PhysAddr kAcross = kEntry + 60;  // two lines
  for (std::uint64_t value = 1; value <= 0x1'0000; ++value) {
    b.dram.cpu_wrote(kAcross, sizeof value);  // the instruction-set simulator tells before the store
    std::memcpy(b.dram.data() + kAcross, &value, sizeof value);
    b.dram.write_back(kAcross, sizeof value);
    ASSERT_EQ(b.walk(kAcross), value) << "an eviction took the line before the write, and no flush brings it back";
  }
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

TEST(NonCoherent, LoadersAndPowerLossReachBothViews) {
  Bench b("bench");
  b.store(kEntry, 1);
  b.dram.poke(kEntry + 8, 2);
  EXPECT_EQ(b.walk(kEntry + 8), 2U);
  EXPECT_EQ(b.walk(kEntry), 0U) << "the rest of the line is as it was";
  b.dram.clear();
  for (const PhysAddr at : {kEntry, kEntry + 8}) {
    EXPECT_EQ(b.walk(at), 0U);
    EXPECT_EQ(b.dram.peek(at), 0U);
  }
  b.dram.write_back(0, 0);
  EXPECT_EQ(b.dram.cache_counters().written_back, 0U) << "nothing is left to be written back";
}

TEST(NonCoherent, RequestsBeyondMemoryEndWithIt) {
  Bench b("bench");
  b.store(0, 1);
  b.store(kSize - 8, 2);
  b.dram.write_back(~std::uint64_t{0} - 1, 16);
  EXPECT_EQ(b.dram.cache_counters().written_back, 0U);
  b.dram.write_back(kSize - 8, ~std::uint64_t{0});
  EXPECT_EQ(b.walk(kSize - 8), 2U);
  EXPECT_EQ(b.walk(0), 0U);
}

TEST(NonCoherent, EvictionsCanBeSwitchedOff) {
  Bench b("bench");
  b.dram.make_non_coherent(1, Dram::Evictions::kNone);
  for (unsigned i = 0; i < 4096; ++i) b.store(i * 64, i + 1);
  EXPECT_EQ(b.dram.cache_counters().evicted, 0U);
}

TEST(NonCoherent, CoherentMemoryHasOneView) {
  Dram dram("dram", kSize, sc_core::SC_ZERO_TIME);
  dram.cpu_wrote(0, 64);
  dram.lose_cache();
  dram.write_back(0, 0);
  EXPECT_TRUE(dram.coherent());
  EXPECT_EQ(dram.cache_counters().lost + dram.cache_counters().written_back, 0U);
}

// ---- with the firmware, on both CPUs -----------------------------------------------------------------------------

#ifdef VTDSIM_ISS
constexpr CpuKind kCpus[] = {CpuKind::kIss, CpuKind::kNative};
#else
constexpr CpuKind kCpus[] = {CpuKind::kNative};
#endif

class NonCoherentMachineTest : public testing::TestWithParam<std::tuple<CpuKind, std::uint64_t>> {
 protected:
  static PlatformConfig config() {
    PlatformConfig c = machine_config(std::get<0>(GetParam()));
    c.seed = std::get<1>(GetParam());
    c.units[0].profile.coherent = false;
    c.units[0].caches.iotlb = {1, 2, Replacement::kLru};  // so that tables are walked all the time
    c.boot_delay = us(50);
    return c;
  }
  /// As the unit reads it.
  std::uint64_t walk(PhysAddr address) {
    std::uint64_t value = 0;
    MemoryTag tag(MemoryKind::kTable, {}, 0);
    tlm::tlm_generic_payload trans;
    trans.set_command(tlm::TLM_READ_COMMAND);
    trans.set_address(address);
    trans.set_data_ptr(reinterpret_cast<unsigned char*>(&value));
    trans.set_data_length(sizeof value);
    trans.set_extension(&tag);
    EXPECT_EQ(m.master.socket->transport_dbg(trans), sizeof value);
    trans.clear_extension(&tag);
    return value;
  }
  PhysAddr root() { return rtaddr::kRTA.in_place(m.unit(0).core().register_value(RegId::kRTADDR)); }
  Machine m{config()};
};
INSTANTIATE_TEST_SUITE_P(CpusAndSeeds, NonCoherentMachineTest,
                         testing::Combine(testing::ValuesIn(kCpus), testing::Range<std::uint64_t>(1, 5)),
                         [](const auto& p) {
                           return std::string(std::get<0>(p.param) == CpuKind::kIss ? "iss" : "native") + "_seed" +
                                  std::to_string(std::get<1>(p.param));
                         });

TEST_P(NonCoherentMachineTest, UpdateUnderDmaIsClean) {
  run_story([&] {
    m.wait_ready();
    m.map_and_attach(1, kD1, kMemory1);
    m.endpoint(0).start();
    sc_core::wait(us(50));
    m.preserve_d1();
    EXPECT_EQ(m.update().status, Status::kOk) << m.console() << m.cpu().crash();
    sc_core::wait(us(50));
    m.take_over_d1();
    m.must(Command::kFinish, {1});
    m.endpoint(0).stop();
  });
  m.endpoint(0).check_memory([&](Iova iova) { return m.read8_of_d1(iova); });
  EXPECT_THAT(m.monitor().violations(), testing::IsEmpty());
  EXPECT_GT(m.endpoint(0).total().transfers(), 100U);
  EXPECT_EQ(m.endpoint(0).total().faulted(), 0U);
  EXPECT_EQ(m.endpoint(0).total().mismatches, 0U);
  for (PhysAddr at = root(); at < root() + kPageSize; at += 8) EXPECT_EQ(walk(at), m.dram().peek(at));
  EXPECT_GT(m.dram().cache_counters().written_back, 64U);
  EXPECT_EQ(m.dram().cache_counters().lost, 0U) << "everything was written back before the reset";
}

TEST_P(NonCoherentMachineTest, RegistersWriteBackWhatTheyName) {
  namespace cache = platform::cache;
  constexpr PhysAddr kPage = platform::kHeapBase + 0x100'0000;
  run_story([&] {
    m.wait_ready();
    for (const PhysAddr at : {kPage, kPage + 64, kPage + 128}) {
      m.dram().data()[at] = 7;
      m.dram().cpu_wrote(at, 1);
    }
    m.master.write(platform::kCacheBase + cache::kAddress, kPage + 63, 8);
    m.master.write(platform::kCacheBase + cache::kWriteBack, 2, 8);
    EXPECT_EQ(m.master.read(platform::kCacheBase + cache::kAddress, 8), kPage + 63);
    EXPECT_EQ(walk(kPage), 7U);
    EXPECT_EQ(walk(kPage + 64), 7U);
    EXPECT_EQ(walk(kPage + 128), 0U);
    m.master.write(platform::kCacheBase + cache::kWriteBack, 0, 8);
    EXPECT_EQ(walk(kPage + 128), 7U);
  });
}

TEST_P(NonCoherentMachineTest, ColdResetLosesEverythingInBothViews) {
  run_story([&] {
    m.wait_ready();
    m.map_and_attach(1, kD1, kMemory1);
    const PhysAddr old_root = root();
    m.dram().data()[kMemory1] = 7;
    m.dram().cpu_wrote(kMemory1, 1);
    m.resets().after([&](platform::reset::Kind) {
      EXPECT_EQ(m.dram().peek(kMemory1), 0U);
      EXPECT_EQ(walk(kMemory1), 0U);
      EXPECT_EQ(walk(old_root + kD1.bus() * root::kBytes), 0U);
    });
    m.resets().trigger(platform::reset::Kind::kCold);
    m.wait_ready();
    m.map_and_attach(1, kD1, kMemory1);
    m.endpoint(0).start();
    sc_core::wait(us(50));
    m.endpoint(0).stop();
  });
  EXPECT_EQ(m.endpoint(0).total().faulted(), 0U);
  EXPECT_GT(m.endpoint(0).total().transfers(), 20U);
  EXPECT_THAT(m.monitor().violations(), testing::IsEmpty());
}

}  // namespace
}  // namespace vtd::soc
