// SPDX-License-Identifier: MIT
// Functional coverage: how often each named point was met, a point being a legal cross of what a run can vary.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tlm/soc/platform.h"

namespace vtd::sim {

/// Where a run is in the life of the firmware, as far as coverage tells it apart.
enum class CoveragePhase : std::uint8_t { kNormal, kPreserved, kShutdown, kBlackout, kAdopt, kRestored, kCount };

class FunctionalCoverage {
 public:
  /// Listens to the platform from now on; before the simulation starts. The platform must outlive it.
  explicit FunctionalCoverage(soc::Platform& platform);
  ~FunctionalCoverage();
  FunctionalCoverage(const FunctionalCoverage&) = delete;
  FunctionalCoverage& operator=(const FunctionalCoverage&) = delete;

  /// The points that were met.
  [[nodiscard]] std::map<std::string, std::uint64_t> met() const;
  /// The name of every point.
  [[nodiscard]] static std::vector<std::string> model();

 private:
  class Unit;
  CoveragePhase phase_ = CoveragePhase::kNormal;
  std::vector<std::uint64_t> counts_;
  std::vector<std::unique_ptr<Unit>> units_;
};

}  // namespace vtd::sim
