// SPDX-License-Identifier: MIT
// From a scenario's declarations to a platform's configuration.
#pragma once

#include <cstdint>
#include <string>

#include "sim/scenario/scenario.h"
#include "tlm/soc/platform.h"

namespace vtd::sim {

/// What the command line may say instead of the scenario; empty: as the scenario says.
struct Overrides {
  std::string walker;
  std::string cpu;
  std::string timing;
  std::string poison;
  std::string verify;
  std::uint64_t seed = 0;    ///< 0: the scenario's
  bool every_cycle = false;  ///< clock the walker edge by edge
};

struct Choice {
  std::string walker;
  std::string cpu;
  std::uint64_t seed = 1;
};
/// `bits` as the parameters that `platform` and the step `set` share change them.
[[nodiscard]] std::uint64_t set_policy(std::uint64_t bits, const Params& params);
[[nodiscard]] Choice choose(const Scenario& scenario, const Overrides& overrides);
[[nodiscard]] soc::PlatformConfig platform_config(const Scenario& scenario, const Overrides& overrides,
                                                  const std::string& firmware_dir,
                                                  const platform::DeviationSet& deviations);

}  // namespace vtd::sim
