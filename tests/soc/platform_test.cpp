// SPDX-License-Identifier: MIT
// The machine with its real firmware, on both CPUs: boot, update under DMA, poison, slow unit, crash.
#include <gmock/gmock.h>

#include <stdexcept>
#include <tuple>

#include "tests/soc/machine.h"
#include "tlm/spec/paging.h"
#include "tlm/spec/registers.h"
#include "tlm/spec/structures.h"

namespace vtd::soc {
namespace {

using namespace test;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

#ifdef VTDSIM_ISS
constexpr CpuKind kCpus[] = {CpuKind::kIss, CpuKind::kNative};
#else
constexpr CpuKind kCpus[] = {CpuKind::kNative};
#endif
std::string name_of(CpuKind cpu) {
  return cpu == CpuKind::kIss ? "iss" : "native";
}

std::string name_of(PoisonMode mode) {
  static constexpr const char* kNames[] = {"_zero", "_ones", "_random", "_plausible"};
  return kNames[static_cast<std::size_t>(mode)];
}

class PlatformTest : public testing::TestWithParam<CpuKind> {
 protected:
  Machine m{machine_config(GetParam())};
};
INSTANTIATE_TEST_SUITE_P(Cpus, PlatformTest, testing::ValuesIn(kCpus), [](const auto& p) { return name_of(p.param); });

TEST_P(PlatformTest, BootsAndAnswers) {
  std::vector<LifecycleState> states;
  m.mailbox().on_state([&](LifecycleState s) { states.push_back(s); });
  run_story([&] {
    m.wait_ready();
    EXPECT_EQ(m.call(Command::kPing).status, Status::kOk);
    EXPECT_EQ(m.call(Command::kAttach, {0xFFFF, 1}).status, Status::kNoEntry);
  });
  EXPECT_EQ(m.mailbox().state(), LifecycleState::kNormal);
  EXPECT_EQ(states.back(), LifecycleState::kNormal);
  EXPECT_THAT(m.console(), HasSubstr("image A"));
  EXPECT_EQ(m.bus().unmapped(), 0U);
}

TEST_P(PlatformTest, GlobalOfAIsInvisibleInB) {
  run_story([&] {
    m.wait_ready();
    m.must(Command::kPlantGlobal, {0xC0FFEE});
    EXPECT_EQ(m.call(Command::kReadGlobal).results[0], 0xC0FFEEU);
    m.map_and_attach(1, kD1, kMemory1);
    m.preserve_d1();
    EXPECT_EQ(m.update().status, Status::kOk);
    EXPECT_EQ(m.call(Command::kReadGlobal).results[0], 0U);
    EXPECT_EQ(m.call(Command::kQuery, {0}).results[2], std::uint64_t{'B'});
  });
}

TEST_P(PlatformTest, PollOfAUnitSlowByTenMillisecondsFinishes) {
  sc_core::sc_time begin;
  sc_core::sc_time end;
  run_story([&] {
    m.wait_ready();
    m.map_and_attach(1, kD1, kMemory1);
    m.unit(0).slow(Step::kInvalidate, ms(10));
    begin = sc_core::sc_time_stamp();
    m.monitor().begin_revoke_all(kD1);
    m.must(Command::kUnmap, {1, kIova, kBytes});
    end = sc_core::sc_time_stamp();
  });
  EXPECT_GE(end - begin, ms(10));
  EXPECT_LT(end - begin, ms(100));
  EXPECT_GE(m.unit(0).statistics().waits, 1U);
}

TEST_P(PlatformTest, CrashCompletesTheCommandAndIsReported) {
  run_story([&] {
    m.wait_ready();
    m.cpu().restart(0x0300'0000);  // the heap, zeroes: no program
    const MailboxReply reply = m.call(Command::kPing);
    EXPECT_EQ(reply.status, Status::kFatal);
  });
  EXPECT_EQ(m.mailbox().state(), LifecycleState::kFatal);
  EXPECT_THAT(m.cpu().crash(), HasSubstr("firmware crashed at"));
}

TEST_P(PlatformTest, ColdResetLosesEverything) {
  run_story([&] {
    m.wait_ready();
    m.map_and_attach(1, kD1, kMemory1);
    m.dram().poke(kMemory1, 0x1234);
    m.resets().trigger(platform::reset::Kind::kCold);
    m.wait_ready();
    EXPECT_EQ(m.dram().peek(kMemory1), 0U);
    EXPECT_EQ(m.call(Command::kQuery, {1, kD1.value}).results[0], 0U);
    m.map_and_attach(1, kD1, kMemory1);
  });
  EXPECT_EQ(m.resets().resets(), 1U);
  EXPECT_THAT(m.monitor().violations(), IsEmpty());
}

// ---- two units
// -------------------------------------------------------------------------------------------------------

class TwoUnitsTest : public testing::TestWithParam<CpuKind> {
 protected:
  static PlatformConfig config() {
    PlatformConfig c = machine_config(GetParam());
    c.units.resize(2);
    c.endpoints[1].unit = 1;
    return c;
  }
  Machine m{config()};
};
INSTANTIATE_TEST_SUITE_P(Cpus, TwoUnitsTest, testing::ValuesIn(kCpus), [](const auto& p) { return name_of(p.param); });

TEST_P(TwoUnitsTest, EachTranslatesItsOwnDevice) {
  run_story([&] {
    m.wait_ready();
    m.map_and_attach(1, kD1, kMemory1);
    m.map_and_attach(2, kD2, kMemory2);
    m.monitor().hold_translation(0, true);
    m.endpoint(0).start();
    m.endpoint(1).start();
    sc_core::wait(us(100));
    m.endpoint(0).stop();
    m.endpoint(1).stop();
  });
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_GT(m.endpoint(i).total().transfers(), 100U);
    EXPECT_EQ(m.endpoint(i).total().mismatches, 0U);
    EXPECT_EQ(m.unit(i).statistics().sources.size(), 1U);
    EXPECT_GT(m.unit(i).statistics().walks, 0U);
  }
  EXPECT_THAT(m.monitor().violations(), IsEmpty());
}

TEST(PlatformConfigTest, MachinesThatCannotBeBuiltAreRefused) {
  PlatformConfig no_unit = machine_config();
  no_unit.units.clear();
  EXPECT_THROW(Platform("a", no_unit), std::invalid_argument);
  PlatformConfig wrong_unit = machine_config();
  wrong_unit.endpoints[1].unit = 1;
  EXPECT_THROW(Platform("b", wrong_unit), std::invalid_argument);
  PlatformConfig same_name = machine_config();
  same_name.endpoints[1].name = "D1";
  EXPECT_THROW(Platform("c", same_name), std::invalid_argument);
  PlatformConfig no_firmware = machine_config();
  no_firmware.firmware_dir = "nowhere";
  EXPECT_THROW(Platform("d", no_firmware), std::invalid_argument);
  no_firmware.cpu = CpuKind::kIss;
  EXPECT_ANY_THROW(Platform("e", no_firmware));
}

// ---- 64 misses, stalled memory, an invalidation
// ----------------------------------------------------------------------

class StallTest : public testing::TestWithParam<std::tuple<CpuKind, WalkerKind>> {
 protected:
  static PlatformConfig config() {
    PlatformConfig c = machine_config(std::get<0>(GetParam()));
    c.units[0].walker = std::get<1>(GetParam());
    c.endpoints[0].outstanding = 64;
    c.endpoints[0].block = 2048;
    return c;
  }
  Machine m{config()};
};
INSTANTIATE_TEST_SUITE_P(CpusAndWalkers, StallTest,
                         testing::Combine(testing::ValuesIn(kCpus),
                                          testing::Values(WalkerKind::kModel, WalkerKind::kRtl,
                                                          WalkerKind::kLockstep)));

TEST_P(StallTest, InvalidationMeetsBlockedMissesWithoutDeadlock) {
  run_story([&] {
    m.wait_ready();
    m.map_and_attach(1, kD1, kMemory1);
    m.must(Command::kMap, {1, kIova + kBytes, 1, 0, kPageSize, 3, 1});
    m.dram().stall();
    m.endpoint(0).start();
    sc_core::wait(us(100));
    EXPECT_EQ(m.endpoint(0).in_flight(), 64U);
    EXPECT_EQ(m.endpoint(0).total().transfers(), 0U);
    sc_core::sc_spawn([&] {
      sc_core::wait(ms(1));
      m.dram().release();
    });
    const sc_core::sc_time begin = sc_core::sc_time_stamp();
    m.must(Command::kUnmap, {1, kIova + kBytes, kPageSize});
    EXPECT_GE(sc_core::sc_time_stamp() - begin, ms(1));
    sc_core::wait(us(100));
    m.endpoint(0).stop();
  });
  m.endpoint(0).check_memory([&](Iova iova) { return m.read8_of_d1(iova); });
  EXPECT_GT(m.endpoint(0).total().transfers(), 64U);
  EXPECT_EQ(m.endpoint(0).total().mismatches, 0U);
  EXPECT_THAT(m.monitor().violations(), IsEmpty());
}

#ifdef VTDSIM_ISS
// ---- stores of the firmware --------------------------------------------------------------------------------------

TEST(StoresTest, ContextEntriesAreWrittenAtOnceAndPagingEntriesAsWords) {
  Machine m(machine_config(CpuKind::kIss));
  struct Instruction {
    bool linked;  ///< before, the context table is nobody's and is being zeroed
    std::vector<MemoryStore> stores;
  };
  std::vector<Instruction> instructions;
  const auto table_of_d1 = [&] {
    const PhysAddr root = rtaddr::kRTA.in_place(m.unit(0).core().register_value(RegId::kRTADDR));
    return root == 0 ? root : root::kCTP.in_place(m.dram().peek(root + kD1.bus() * root::kBytes));
  };
  m.cpu().on_stores([&](const std::vector<MemoryStore>& stores) {
    instructions.push_back({table_of_d1() != 0, stores});
  });
  run_story([&] {
    m.wait_ready();
    m.map_and_attach(1, kD1, kMemory1);
    m.must(Command::kDetach, {kD1.value});
  });
  const PhysAddr table = table_of_d1();
  const PhysAddr entry = table + kD1.devfn() * ctx::kBytes;
  ASSERT_NE(table, 0U);
  unsigned written = 0;
  unsigned words = 0;
  for (const auto& [linked, stores] : instructions) {
    std::uint64_t inside = 0;
    for (const MemoryStore& s : stores) {
      if (linked && s.address >= entry && s.address < entry + ctx::kBytes) inside += s.bytes;
      const bool heap = s.address >= platform::kHeapBase && s.address < platform::kGuestBase;
      if (heap && s.bytes > 1 && (m.dram().peek(align_down(s.address, 8)) & ss::kADDR.mask()) == kMemory1) {
        EXPECT_EQ(s.bytes, 8U);
        ++words;
      }
    }
    if (inside == 0) continue;
    EXPECT_EQ(inside, ctx::kBytes) << "the entry is written by one instruction";
    ++written;
  }
  EXPECT_EQ(written, 2U) << "attached, detached";
  EXPECT_GE(words, 1U) << "the leaf of the first page";
}
#endif

// ---- an update under DMA, on each CPU and with each poison ----------------------------------------------------------

class UpdateTest : public testing::TestWithParam<std::tuple<CpuKind, PoisonMode>> {
 protected:
  static PlatformConfig config() {
    PlatformConfig c = machine_config(std::get<0>(GetParam()));
    c.poison = std::get<1>(GetParam());
    c.units[0].caches.iotlb = {1, 2, Replacement::kLru};  // so that walks go on during the blackout
    c.boot_delay = us(50);
    return c;
  }
  Machine m{config()};
};
INSTANTIATE_TEST_SUITE_P(CpusAndPoisons, UpdateTest,
                         testing::Combine(testing::ValuesIn(kCpus),
                                          testing::Values(PoisonMode::kZero, PoisonMode::kOnes, PoisonMode::kRandom,
                                                          PoisonMode::kPlausible)),
                         [](const auto& p) { return name_of(std::get<0>(p.param)) + name_of(std::get<1>(p.param)); });

TEST_P(UpdateTest, PreservedDeviceNeverNotices) {
  std::uint64_t walks_at_reset = 0;
  std::uint64_t walks_at_boot = 0;
  m.resets().after([&](platform::reset::Kind) { walks_at_reset = m.unit(0).statistics().walks; });
  m.mailbox().on_state([&](LifecycleState s) {
    if (s == LifecycleState::kBoot || s == LifecycleState::kAdopting) walks_at_boot = m.unit(0).statistics().walks;
  });
  run_story([&] {
    m.wait_ready();
    m.map_and_attach(1, kD1, kMemory1);
    m.map_and_attach(2, kD2, kMemory2);
    m.set_phase("before");
    m.endpoint(0).start();
    m.endpoint(1).start();
    sc_core::wait(us(50));
    m.preserve_d1();
    m.set_phase("update");
    EXPECT_EQ(m.update().status, Status::kOk) << m.console() << m.cpu().crash();
    m.set_phase("after");
    m.endpoint(1).stop();
    sc_core::wait(us(50));
    m.take_over_d1();
    m.must(Command::kFinish, {1});
    m.endpoint(0).stop();
  });
  m.endpoint(0).check_memory([&](Iova iova) { return m.read8_of_d1(iova); });
  EXPECT_EQ(m.mailbox().boot_status(), Status::kOk);
  EXPECT_EQ(m.resets().resets(), 1U);
  EXPECT_GT(m.resets().lost_pages().size(), 10'000U);
  EXPECT_THAT(m.monitor().violations(), IsEmpty());
  EXPECT_EQ(m.monitor().translation_drops(), 0U);
  EXPECT_EQ(m.monitor().root_changes(), 0U);
  EXPECT_GT(m.monitor().checked(), 100U);
  EXPECT_EQ(m.endpoint(0).total().faulted(), 0U);
  EXPECT_EQ(m.endpoint(0).total().bus_errors, 0U);
  EXPECT_EQ(m.endpoint(0).total().mismatches, 0U) << m.endpoint(0).complaints().front();
  ASSERT_EQ(m.endpoint(0).phases().size(), 4U);
  for (std::size_t phase = 1; phase < 4; ++phase) EXPECT_GT(m.endpoint(0).phases()[phase].transfers(), 20U) << phase;
  EXPECT_GT(walks_at_boot, walks_at_reset) << "walks during the blackout";
}

TEST_P(UpdateTest, UnpreservedMemoryIsPoisonedAndPreservedMemoryIsNot) {
  m.dram().poke(kMemory2, 0x5555);
  run_story([&] {
    m.wait_ready();
    m.map_and_attach(1, kD1, kMemory1);
    for (std::uint64_t at = 0; at < kBytes; at += 8) m.dram().poke(kMemory1 + at, 0xABCD'0000 + at);
    m.preserve_d1();
    EXPECT_EQ(m.update().status, Status::kOk) << m.console() << m.cpu().crash();
  });
  for (std::uint64_t at = 0; at < kBytes; at += 8) ASSERT_EQ(m.dram().peek(kMemory1 + at), 0xABCD'0000 + at);
  const std::uint64_t first = m.dram().peek(kMemory2);
  const std::uint64_t second = m.dram().peek(kMemory2 + 8);
  switch (std::get<1>(GetParam())) {
    case PoisonMode::kZero:
      EXPECT_EQ(first, 0U);
      break;
    case PoisonMode::kOnes:
      EXPECT_EQ(first, ~std::uint64_t{0});
      break;
    case PoisonMode::kRandom:
      EXPECT_NE(first, second);
      EXPECT_NE(first, 0x5555U);
      break;
    case PoisonMode::kPlausible:
      EXPECT_EQ(align_down(first, kPageSize), kCanaryPage);
      EXPECT_EQ(first % 4, 3U) << "readable and writable";
      break;
  }
}

}  // namespace
}  // namespace vtd::soc
