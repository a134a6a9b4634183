// SPDX-License-Identifier: MIT
// The platform's signals in the wave file, read back through GTKWave's converter.
#include <gmock/gmock.h>

#include <filesystem>

#include "tests/soc/machine.h"
#include "tests/support/vcd.h"
#include "tlm/unit/wave_file.h"

namespace vtd::soc {
namespace {

using namespace test;
using vtd::test::Vcd;

std::vector<std::uint64_t> values_of(const Vcd& vcd, const std::string& name) {
  std::vector<std::uint64_t> values;
  for (const auto& [time, value] : vcd.numbers("tlm.platform." + name)) values.push_back(value);
  return values;
}

TEST(PlatformWavesTest, ShowPhasesFirmwareAndTraffic) {
  if (!Vcd::available()) GTEST_SKIP() << "fst2vcd is missing: apt-get install gtkwave";
  const std::string path = testing::TempDir() + "platform_waves_test.fst";
  WaveFile waves(path);
  Machine m(machine_config());
  m.set_waves(waves);
  waves.start();
  run_story([&] {
    m.wait_ready();
    m.map_and_attach(1, kD1, kMemory1);
    m.set_phase("streaming");
    m.endpoint(0).start();
    sc_core::wait(us(20));
    m.preserve_d1();
    m.update();
    m.endpoint(0).stop();
  });
  waves.close();
  const Vcd vcd = Vcd::of_fst(path);
  std::filesystem::remove(path);

  using platform::LifecycleState;
  const auto state = [](LifecycleState s) { return static_cast<std::uint64_t>(s); };
  EXPECT_THAT(values_of(vcd, "firmware"),
              testing::IsSupersetOf({state(LifecycleState::kNormal), state(LifecycleState::kPreserved),
                                     state(LifecycleState::kFrozen), state(LifecycleState::kCleaned),
                                     state(LifecycleState::kBlackout)}));
  EXPECT_GT(values_of(vcd, "D1_transfers").size(), 20U);
  EXPECT_THAT(values_of(vcd, "D1_in_flight"), testing::Contains(4));
  EXPECT_THAT(values_of(vcd, "resets"), testing::Contains(1));
  EXPECT_THAT(values_of(vcd, "command"), testing::Contains(static_cast<std::uint64_t>(platform::Command::kReboot)));
  EXPECT_THAT(vcd.texts("tlm.platform.phase"), testing::Contains(testing::Pair(testing::_, "streaming")));
}

}  // namespace
}  // namespace vtd::soc
