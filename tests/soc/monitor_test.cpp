// SPDX-License-Identifier: MIT
// Every hazard of the monitor, each raised by one bug planted in a real machine; a clean run raises none.
#include <gmock/gmock.h>

#include <algorithm>
#include <array>
#include <optional>
#include <set>

#include "tests/soc/machine.h"
#include "tlm/spec/deviation.h"
#include "tlm/spec/paging.h"
#include "tlm/spec/registers.h"
#include "tlm/spec/structures.h"

namespace vtd::soc {
namespace {

using namespace test;
using platform::Deviation;
using testing::IsEmpty;

class MonitorMachine : public Machine {
 public:
  explicit MonitorMachine(const PlatformConfig& config) : Machine(config) {}

  /// Address of the leaf that maps `iova` for D1, found in memory as the unit finds it.
  PhysAddr leaf(Iova iova) {
    const PhysAddr root = rtaddr::kRTA.in_place(unit(0).core().register_value(RegId::kRTADDR));
    const PhysAddr contexts = root::kCTP.in_place(dram().peek(root + kD1.bus() * root::kBytes));
    PhysAddr table = ctx::kSSPTPTR.in_place(dram().peek(contexts + kD1.devfn() * ctx::kBytes));
    for (unsigned level = 4; level > 1; --level)
      table = ss::kADDR.in_place(dram().peek(entry_address(table, iova, level)));
    return entry_address(table, iova, 1);
  }
  /// Lets the leaf of kIova point at another page.
  void redirect(PhysAddr page) {
    const PhysAddr at = leaf(kIova);
    dram().poke(at, ss::kADDR.with(dram().peek(at), ss::kADDR.get(page)));
  }
  DmaOutcome dma(Access kind, Iova iova = kIova) {
    std::array<std::uint8_t, 64> data{};
    return endpoint(0).access(iova, data.data(), data.size(), kind);
  }
  void set_leaf(const Field& field, std::uint64_t value) {
    const PhysAddr at = leaf(kIova);
    dram().poke(at, field.with(dram().peek(at), value));
  }
};

constexpr std::uint64_t register_at(RegId id) {
  return platform::kUnitBase + vtd::info(id).offset;
}

std::string name_of(Hazard hazard) {
  std::string name = info(hazard).name;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

struct Plant {
  Hazard hazard;
  std::function<void(MonitorMachine&)> story;  ///< after boot
  std::optional<Deviation> deviation{};
  unsigned perm = 3;  ///< of D1's mapping
};

/// One planted bug a hazard.
const std::vector<Plant>& plants() {
  static const std::vector<Plant> all = {
      {Hazard::kMisdirected,
       [](MonitorMachine& m) {
         m.redirect(kMemory1 + 0x5000);
         EXPECT_TRUE(m.dma(Access::kWrite).ok);
       }},
      {Hazard::kAccessAfterRevoke,
       [](MonitorMachine& m) {
         EXPECT_TRUE(m.dma(Access::kRead).ok);
         m.monitor().begin_revoke(kD1, kIova, kBytes);
         EXPECT_TRUE(m.dma(Access::kRead).ok);
         EXPECT_THAT(m.monitor().violations(), IsEmpty()) << "stale, still legal";
         m.must(Command::kUnmap, {1, kIova, kBytes});
         m.monitor().end_revoke(kD1, kIova, kBytes);
         EXPECT_TRUE(m.dma(Access::kRead).ok) << "the cached translation is still there";
       },
       Deviation::kSkipUnmapInvalidation},
      {Hazard::kRevokeWithoutInvalidation,
       [](MonitorMachine& m) {
         const std::uint64_t before = m.unit(0).statistics().invalidations;
         m.monitor().begin_revoke(kD1, kIova, kBytes);
         m.must(Command::kUnmap, {1, kIova, kBytes});
         m.monitor().end_revoke(kD1, kIova, kBytes);
         if (m.unit(0).statistics().invalidations == before) m.monitor().not_invalidated(kD1);
       },
       Deviation::kSkipUnmapInvalidation},
      {Hazard::kWriteToReadOnly,
       [](MonitorMachine& m) {
         m.set_leaf(ss::kW, 1);
         EXPECT_TRUE(m.dma(Access::kWrite).ok);
       },
       std::nullopt, 1},
      {Hazard::kReadOfWriteOnly,
       [](MonitorMachine& m) {
         m.set_leaf(ss::kR, 1);
         EXPECT_TRUE(m.dma(Access::kRead).ok);
       },
       std::nullopt, 2},
      {Hazard::kRecycledPage,
       [](MonitorMachine& m) {
         m.preserve_d1();
         m.resets().before([&m](platform::reset::Kind) { m.lose_page(kMemory1); });
         m.update();
         m.dma(Access::kWrite);
       }},
      {Hazard::kFirmwareMemory,
       [](MonitorMachine& m) {
         m.redirect(platform::kHeapBase + 0x10'0000);
         EXPECT_TRUE(m.dma(Access::kWrite).ok);
       }},
      {Hazard::kCanary,
       [](MonitorMachine& m) {
         m.preserve_d1();
         const PhysAddr table = align_down(m.leaf(kIova), kPageSize);
         m.resets().before([&m, table](platform::reset::Kind) { m.lose_page(table); });
         m.update();
         for (Iova iova = kIova; iova < kIova + kBytes; iova += kPageSize) m.dma(Access::kRead, iova);
       }},
      {Hazard::kUnowned,
       [](MonitorMachine& m) {
         m.must(Command::kMap, {1, kIova + kBytes, 1, 0, kPageSize, 3, 1});
         EXPECT_TRUE(m.dma(Access::kRead, kIova + kBytes).ok);
       }},
      {Hazard::kLostAccess,
       [](MonitorMachine& m) {
         m.dram().poke(m.leaf(kIova), 0);
         EXPECT_FALSE(m.dma(Access::kRead).ok);
       }},
      {Hazard::kTranslationDropped,
       [](MonitorMachine& m) {
         m.monitor().hold_translation(0, true);
         const std::uint64_t gsts = m.master.read(register_at(RegId::kGSTS), 4);
         m.master.write(register_at(RegId::kGCMD), gcmd::kTE.with(gsts, 0), 4);
         sc_core::wait(us(10));
       }},
      {Hazard::kRootChanged,
       [](MonitorMachine& m) {
         m.monitor().hold_translation(0, true);
         m.master.write(register_at(RegId::kRTADDR), platform::kHeapBase + 0x20'0000, 8);
       }},
      {Hazard::kProtectedMemoryOn,
       [](MonitorMachine& m) {
         m.must(Command::kProtectMemory, {kMemory1, kBytes});
         m.preserve_d1();
         m.update();
       },
       Deviation::kLeaveProtectedMemory},
  };
  return all;
}

PlatformConfig config_of(const Plant& plant) {
  PlatformConfig c = machine_config();
  c.policy = 0;
  if (plant.deviation) c.deviations = platform::with({}, *plant.deviation);
  c.units[0].profile.protected_low = true;
  c.poison = PoisonMode::kPlausible;
  return c;
}

class HazardTest : public testing::TestWithParam<std::size_t> {};

TEST_P(HazardTest, PlantedBugRaisesIt) {
  const Plant& plant = plants().at(GetParam());
  MonitorMachine m(config_of(plant));
  run_story([&] {
    m.wait_ready();
    m.map_and_attach(1, kD1, kMemory1, plant.perm);
    plant.story(m);
  });
  ASSERT_FALSE(m.monitor().violations().empty());
  std::set<std::string> names;
  for (const Violation& v : m.monitor().violations()) names.insert(info(v.hazard).name);
  EXPECT_THAT(names, testing::ElementsAre(info(plant.hazard).name));
}

INSTANTIATE_TEST_SUITE_P(Hazards, HazardTest, testing::Range(std::size_t{0}, plants().size()),
                         [](const auto& p) { return name_of(plants()[p.param].hazard); });

TEST(MonitorTable, NamesEveryHazardOnceAndEachIsPlanted) {
  std::set<std::string> names;
  std::set<Hazard> planted;
  for (const Plant& plant : plants()) planted.insert(plant.hazard);
  for (std::size_t i = 0; i < static_cast<std::size_t>(Hazard::kCount); ++i) {
    const auto hazard = static_cast<Hazard>(i);
    EXPECT_EQ(info(hazard).hazard, hazard);
    EXPECT_STRNE(info(hazard).text, "");
    EXPECT_STRNE(info(hazard).planted, "");
    EXPECT_TRUE(names.insert(info(hazard).name).second);
    EXPECT_TRUE(planted.contains(hazard)) << info(hazard).name;
  }
}

TEST(MonitorTest, CleanRunRaisesNone) {
  MonitorMachine m(machine_config());
  run_story([&] {
    m.wait_ready();
    m.map_and_attach(1, kD1, kMemory1);
    EXPECT_TRUE(m.dma(Access::kWrite).ok);
    EXPECT_TRUE(m.dma(Access::kRead).ok);
    m.monitor().begin_revoke(kD1, kIova, kBytes);
    m.must(Command::kUnmap, {1, kIova, kBytes});
    m.monitor().end_revoke(kD1, kIova, kBytes);
    EXPECT_FALSE(m.dma(Access::kRead).ok);
  });
  EXPECT_EQ(m.monitor().checked(), 2U);
  EXPECT_THAT(m.monitor().violations(), IsEmpty());
}

// ---- the rules, without a machine -----------------------------------------------------------------------------------

TEST(MonitorRules, RevokingPartOfAGrantLeavesTheRest) {
  IsolationMonitor monitor;
  monitor.grant(kD1, 0x1000, 0x400'0000, 0x3000, {true, true});
  monitor.begin_revoke(kD1, 0x2000, 0x1000);
  monitor.end_revoke(kD1, 0x2000, 0x1000);
  monitor.delivered(kD1, 0x1000, 0x400'0000, 64, Access::kRead);
  monitor.delivered(kD1, 0x3000, 0x400'2000, 64, Access::kRead);
  EXPECT_THAT(monitor.violations(), IsEmpty());
  monitor.delivered(kD1, 0x2000, 0x400'1000, 64, Access::kRead);
  ASSERT_EQ(monitor.violations().size(), 1U);
  EXPECT_EQ(monitor.violations()[0].hazard, Hazard::kAccessAfterRevoke);
}

TEST(MonitorRules, RefusalIsLostOnlyWhileTheRightStands) {
  IsolationMonitor monitor;
  monitor.refused(kD1, 0x1000, 64, Access::kRead);
  monitor.grant(kD1, 0x1000, 0x400'0000, 0x1000, {true, false});
  monitor.refused(kD1, 0x1000, 64, Access::kWrite);
  monitor.refused(kD2, 0x1000, 64, Access::kRead);
  EXPECT_THAT(monitor.violations(), IsEmpty());
  monitor.refused(kD1, 0x1000, 64, Access::kRead);
  EXPECT_EQ(monitor.violations().size(), 1U);
  monitor.begin_revoke_all(kD1);
  monitor.refused(kD1, 0x1000, 64, Access::kRead);
  EXPECT_EQ(monitor.violations().size(), 1U);
}

TEST(MonitorRules, UnitsAreToldApart) {
  IsolationMonitor monitor;
  monitor.hold_translation(0, true);
  monitor.translation(0, true);
  monitor.translation(1, false);
  monitor.root_pointer(0, 0x1000);
  monitor.root_pointer(1, 0x2000);
  EXPECT_EQ(monitor.translation_drops(), 0U);
  EXPECT_EQ(monitor.root_changes(), 0U);
  monitor.translation(0, false);
  EXPECT_EQ(monitor.translation_drops(), 1U);
}

TEST(MonitorRules, RecycledMemoryIsFineAgainOnceGranted) {
  IsolationMonitor monitor;
  monitor.grant(kD1, 0x1000, 0x400'0000, 0x1000, {true, true});
  monitor.recycle(0x400'0000, 0x1000);
  monitor.delivered(kD1, 0x1000, 0x400'0000, 64, Access::kRead);
  EXPECT_EQ(monitor.violations().size(), 1U);
  EXPECT_EQ(monitor.violations()[0].hazard, Hazard::kRecycledPage);
  monitor.grant(kD2, 0x9000, 0x400'0000, 0x1000, {true, true});
  monitor.delivered(kD2, 0x9000, 0x400'0000, 64, Access::kRead);
  EXPECT_EQ(monitor.violations().size(), 1U);
}

}  // namespace
}  // namespace vtd::soc
