// SPDX-License-Identifier: MIT
// Many requests at once: misses side by side in the walker, invalidations while memory stands still, resets, slow
// units, temporal decoupling, and that the same seed gives the same run.
#include <array>
#include <random>
#include <sstream>

#include "tests/unit/child.h"
#include "tests/unit/unit_bench.h"
#include "tests/unit/walker_name.h"
#include "tlm/unit/wave_file.h"

namespace vtd::test {
namespace {

using sc_core::SC_NS;
using sc_core::sc_time;
using sc_core::SC_US;

constexpr unsigned kDevices = 8;

UnitConfig many_devices(WalkerKind walker, TimingMode mode = TimingMode::kLooselyTimed) {
  UnitConfig config;
  config.walker = walker;
  config.mode = mode;
  for (unsigned i = 0; i < kDevices; ++i) config.dma_ports.push_back(make_source_id(0, 3 + i, 0));
  return config;
}

/// Every device may reach 64 pages; page p of the device's IOVA lies at kData + p pages.
void prepare(UnitBench& b) {
  for (const auto& source : b.unit.config().dma_ports) b.tables.attach(*source, kDomain, b.table);
  for (unsigned page = 0; page < 256; ++page) b.tables.map(b.table, page * kPageSize, kData + page * kPageSize);
  b.memory.latency = sc_time(20, SC_NS);
}

class Walkers : public testing::TestWithParam<WalkerKind> {};
INSTANTIATE_TEST_SUITE_P(All, Walkers, testing::Values(WalkerKind::kModel, WalkerKind::kRtl, WalkerKind::kLockstep),
                         name_of);

TEST_P(Walkers, MissesOfSeveralDevicesAreInTheWalkerAtTheSameTime) {
  UnitBench b("bench", many_devices(GetParam()));
  prepare(b);
  b.go([&] {
    b.enable();
    for (unsigned i = 0; i < kDevices; ++i)
      b.spawn([&b, i] { EXPECT_EQ(b.dma_write(i, i * kPageSize, 50 + i), tlm::TLM_OK_RESPONSE); });
    b.wait_until([&] { return b.ended == kDevices; });
  });
  for (unsigned i = 0; i < kDevices; ++i) EXPECT_EQ(b.memory.word(kData + i * kPageSize), 50 + i);
  EXPECT_EQ(b.unit.walks().in_flight_max(), kDevices);
  EXPECT_EQ(b.unit.statistics().walks_in_flight_max, kDevices);
  EXPECT_EQ(b.unit.statistics().walks, kDevices);
}

/// 64 misses blocked while memory stands still, and invalidations on top; `invalidate` issues one, `done` says that
/// all were completed.
void stall_story(UnitBench& b, const std::function<void()>& enable, const std::function<void()>& invalidate,
                 const std::function<bool()>& done) {
  prepare(b);
  b.memory.grants_direct = false;
  b.go([&] {
    enable();
    for (unsigned i = 0; i < kDevices; ++i) b.dma_read(i, (128 + i) * kPageSize);  // contexts are cached
    b.memory.stalled = true;
    for (unsigned i = 0; i < 64; ++i)
      b.spawn([&b, i] { EXPECT_EQ(b.dma_write(i % kDevices, i * kPageSize, i), tlm::TLM_OK_RESPONSE); });
    sc_core::wait(sc_time(1, SC_US));
    EXPECT_EQ(b.ended, 0U);
    EXPECT_EQ(b.unit.statistics().walks_in_flight, 64U);
    invalidate();
    sc_core::wait(sc_time(10, SC_US));
    EXPECT_EQ(b.ended, 0U);
    EXPECT_FALSE(done());
    b.memory.open_valve();
    b.wait_until([&] { return b.ended == 64 && done(); });
    EXPECT_LT(sc_core::sc_time_stamp(), sc_time(1, sc_core::SC_MS));
  });
  for (unsigned i = 0; i < 64; ++i) EXPECT_EQ(b.memory.word(kData + i * kPageSize), i);
  EXPECT_GE(b.unit.core().statistics().restarts, 64U);  // all were covered
  EXPECT_EQ(b.unit.core().in_flight(), 0U);
}

TEST_P(Walkers, QueuedInvalidationsDuringAStallDoNotDeadlock) {
  UnitBench b("bench", many_devices(GetParam()));
  stall_story(
      b, [&] { b.enable(); },
      [&] {
        for (unsigned i = 0; i < 5; ++i) b.submit_iotlb_domain(kDomain);
        b.submit_wait(77);
      },
      [&] { return b.memory.word(kStatus) == 77; });
}

TEST_P(Walkers, RegisterInvalidationsDuringAStallDoNotDeadlock) {
  UnitBench b("bench", many_devices(GetParam()));
  const auto busy = [&] {
    return ccmd::kICC.get(b.read(RegId::kCCMD)) != 0 || iotlb_reg::kIVT.get(b.read(RegId::kIOTLB)) != 0;
  };
  stall_story(
      b, [&] { b.enable_without_queue(); },
      [&] {
        b.write(RegId::kCCMD, ccmd::kICC.of(1) | ccmd::kCIRG.of(1));
        b.write(RegId::kIOTLB,
                iotlb_reg::kIVT.of(1) | iotlb_reg::kIIRG.of(1) | iotlb_reg::kDR.of(1) | iotlb_reg::kDW.of(1));
      },
      [&] { return !busy(); });
}

TEST(Unit, AnInvalidationWaitsForCoveredWritesThatMemoryHasNotTaken) {
  UnitBench b("bench", many_devices(WalkerKind::kModel));
  prepare(b);
  b.memory.stalls_all = false;
  b.memory.stalled_kind = MemoryKind::kDma;
  b.go([&] {
    b.enable();
    b.dma_read(0, 0);
    b.memory.stalled = true;
    b.spawn([&] { EXPECT_EQ(b.dma_write(0, 0, 9), tlm::TLM_OK_RESPONSE); });
    sc_core::wait(sc_time(100, SC_NS));
    b.submit_iotlb_domain(kDomain);
    sc_core::wait(sc_time(10, SC_US));
    EXPECT_FALSE(b.queue_empty());
    b.memory.open_valve();
    b.wait_until([&] { return b.queue_empty(); });
    EXPECT_EQ(b.memory.word(kData), 9U);
    EXPECT_EQ(b.ended, 1U);
  });
}

TEST(Unit, AResetRefusesWhatIsInFlightAndRecordsNothing) {
  UnitBench b("bench", many_devices(WalkerKind::kModel));
  prepare(b);
  b.memory.grants_direct = false;
  b.go([&] {
    b.enable();
    b.dma_read(0, 0);
    b.memory.stalled = true;
    for (unsigned i = 1; i < 20; ++i)
      b.spawn([&b, i] { EXPECT_EQ(b.dma_write(0, i * kPageSize, 1), tlm::TLM_ADDRESS_ERROR_RESPONSE); });
    sc_core::wait(sc_time(200, SC_NS));
    b.unit.reset(ResetKind::kWarm);
    sc_core::wait(sc_time(200, SC_NS));
    EXPECT_EQ(b.ended, 19U);  // although memory still stands still
    EXPECT_EQ(b.read(RegId::kFSTS), 0U);
    b.memory.open_valve();
    b.enable();
    EXPECT_EQ(b.dma_write(0, 5 * kPageSize, 6), tlm::TLM_OK_RESPONSE);
  });
  EXPECT_EQ(b.memory.word(kData + 5 * kPageSize), 6U);
}

TEST(Unit, CachesAreCounted) {
  UnitBench b("bench", many_devices(WalkerKind::kModel));
  prepare(b);
  b.go([&] {
    b.enable();
    for (unsigned i = 0; i < 5; ++i) b.dma_read(0, 8 * i);
    b.submit_iotlb_domain(kDomain);
    b.submit_wait(1);
    b.wait_until([&] { return b.queue_empty(); });
  });
  const UnitStatistics& s = b.unit.statistics();
  EXPECT_EQ(s.cache(CacheId::kContext, CacheEvent::kMiss), 1U);
  EXPECT_EQ(s.cache(CacheId::kContext, CacheEvent::kHit), 4U);
  EXPECT_EQ(s.cache(CacheId::kIotlb, CacheEvent::kMiss), 1U);
  EXPECT_EQ(s.cache(CacheId::kIotlb, CacheEvent::kHit), 4U);
  EXPECT_EQ(s.cache(CacheId::kIotlb, CacheEvent::kInvalidate), 1U);
  EXPECT_EQ(s.invalidations, 1U);
  EXPECT_EQ(s.waits, 1U);
  EXPECT_EQ(s.walk_reads, 4U);
}

/// Devices with own local time, seeded; the text tells every answer and when it came, device by device: which of two
/// processes the kernel wakes first at the same time is its own affair.
std::string traffic(std::uint64_t seed, WalkerKind walker, Stepping stepping, TimingMode mode, bool caches = true) {
  return in_child([=] {
    UnitConfig config = many_devices(walker, mode);
    config.structure_caches = config.walk_sharing = caches;
    config.seed = seed;
    config.stepping = stepping;
    config.caches.iotlb = {2, 4, Replacement::kRandom};
    UnitBench b("bench", config);
    prepare(b);
    std::array<std::ostringstream, kDevices> said;
    b.go([&] {
      b.enable();
      for (unsigned device = 0; device < kDevices; ++device)
        b.spawn([&, device] {
          std::mt19937_64 random(seed * 100 + device);
          sc_time ahead = sc_core::SC_ZERO_TIME;
          for (unsigned i = 0; i < 50; ++i) {
            std::uint64_t data = i;
            const Iova address = (random() % 200) * kPageSize + 8 * device;
            const auto command = random() % 2 == 0 ? tlm::TLM_READ_COMMAND : tlm::TLM_WRITE_COMMAND;
            const auto r = b.dma(device, command, address, UnitBench::bytes_of_word(data), nullptr, ahead);
            ahead = r.delay + from_ps(random() % 7000);
            said[device] << device << ":" << i << "=" << r.status << "," << data << "@" << now_ps() + to_ps(ahead)
                         << "\n";
            if (ahead > sc_time(1, SC_US)) {
              sc_core::wait(ahead);
              ahead = sc_core::SC_ZERO_TIME;
            }
          }
        });
      for (unsigned i = 0; i < 10; ++i) {
        sc_core::wait(sc_time(300, SC_NS));
        b.submit_iotlb_domain(kDomain);
      }
      b.wait_until([&] { return b.ended == kDevices; });
    });
    std::ostringstream all;
    for (const auto& device : said) all << device.str();
    all << b.unit.statistics().walks << " walks " << b.unit.core().statistics().restarts << " restarts";
    return all.str();
  });
}

TEST(Unit, TheSameSeedGivesTheSameRun) {
  const auto run = [](std::uint64_t seed) {
    return traffic(seed, WalkerKind::kRtl, Stepping::kBurst, TimingMode::kLooselyTimed);
  };
  const std::string first = run(1);
  EXPECT_EQ(first, run(1));
  EXPECT_NE(first, run(2));
  EXPECT_NE(first.find("restarts"), std::string::npos);
}

TEST(Unit, WholeUnitsKeepTheirStampsUnderBothKindsOfStepping) {
  for (const auto mode : {TimingMode::kLooselyTimed, TimingMode::kCycleTrue})
    for (const auto walker : {WalkerKind::kModel, WalkerKind::kRtl, WalkerKind::kLockstep}) {
      const std::string burst = traffic(3, walker, Stepping::kBurst, mode);
      EXPECT_NE(burst.find("restarts"), std::string::npos);
      EXPECT_EQ(burst, traffic(3, walker, Stepping::kEveryCycle, mode));
    }
}

TEST(Unit, TheModelAndTheRtlWithoutCachesGiveTheSameStamps) {
  EXPECT_EQ(traffic(4, WalkerKind::kModel, Stepping::kBurst, TimingMode::kCycleTrue, false),
            traffic(4, WalkerKind::kLockstep, Stepping::kBurst, TimingMode::kCycleTrue, false));
}

TEST(Unit, TwoUnitsSideBySideKeepTheirStamps) {
  const auto story = [](Stepping stepping) {
    return in_child([=] {
      UnitConfig config = many_devices(WalkerKind::kRtl);
      config.stepping = stepping;
      UnitBench first("first", config);
      UnitBench second("second", config);
      std::array<std::ostringstream, 2 * kDevices> said;
      for (UnitBench* b : {&first, &second}) {
        prepare(*b);
        b->spawn([&, b] {
          b->enable();
          for (unsigned device = 0; device < kDevices; ++device)
            b->spawn([&, b, device] {
              const std::size_t log = device + (b == &first ? 0 : kDevices);
              std::mt19937 random(static_cast<unsigned>(log));
              for (unsigned i = 0; i < 20; ++i) {
                EXPECT_EQ(b->dma_write(device, (random() % 200) * kPageSize, i), tlm::TLM_OK_RESPONSE);
                said[log] << now_ps() << " ";
                sc_core::wait(from_ps(random() % 90000));
              }
            });
        });
      }
      vtd::run();
      std::string all;
      for (const auto& device : said) all += device.str() + "\n";
      return all + std::to_string(first.ended + second.ended);
    });
  };
  const std::string burst = story(Stepping::kBurst);
  EXPECT_EQ(burst, story(Stepping::kEveryCycle));
  EXPECT_EQ(burst.substr(burst.size() - 3), "\n" + std::to_string(2 * (kDevices + 1)));
}

TEST(Unit, DevicesAheadOfTimeAreOrderedAtTheirCall) {
  UnitBench b("bench", many_devices(WalkerKind::kModel));
  prepare(b);
  b.go([&] {
    b.enable();
    b.dma_read(0, 0);
    std::uint64_t late = 1;
    const auto first = b.dma(0, tlm::TLM_WRITE_COMMAND, 0, UnitBench::bytes_of_word(late), nullptr, sc_time(1, SC_US));
    std::uint64_t early = 2;
    b.dma(0, tlm::TLM_WRITE_COMMAND, 0, UnitBench::bytes_of_word(early));
    EXPECT_EQ(b.memory.word(kData), 2U);
    EXPECT_GT(first.delay, sc_time(1, SC_US));
  });
}

TEST(Unit, ShowsItselfInAWaveFile) {
  const std::string path = testing::TempDir() + "unit_waves.fst";
  {
    WaveFile waves(path);
    UnitBench b("bench", many_devices(WalkerKind::kRtl));
    b.unit.set_waves(waves);
    waves.start();
    prepare(b);
    b.go([&] {
      b.enable();
      for (unsigned i = 0; i < kDevices; ++i) b.spawn([&b, i] { b.dma_read(i, i * kPageSize); });
      b.wait_until([&] { return b.ended == kDevices; });
      b.submit_iotlb_domain(kDomain);
      b.wait_until([&] { return b.queue_empty(); });
      b.dma_read(0, 0xFFFF'0000);
    });
    waves.close();
  }
  FILE* file = std::fopen(path.c_str(), "rb");
  ASSERT_NE(file, nullptr);
  std::fseek(file, 0, SEEK_END);
  EXPECT_GT(std::ftell(file), 1000);
  std::fclose(file);
}

}  // namespace
}  // namespace vtd::test
