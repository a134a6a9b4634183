// SPDX-License-Identifier: MIT
// Which scenarios show which patch and which review finding of the Linux series (liveupdate.md).
#pragma once

#include <string>

namespace vtd::sim {

struct Coverage {
  std::string matrix;   ///< a line each: patch or finding, its scenarios, the deviations that take the finding back
  std::string missing;  ///< those that apply and have no scenario, one a line; files that cannot be read
};
[[nodiscard]] Coverage coverage(const std::string& scenario_directory);

}  // namespace vtd::sim
