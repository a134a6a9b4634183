// SPDX-License-Identifier: MIT
// The outcome of a run: summary on the console, JSON for programs.
#pragma once

#include <map>
#include <string>

#include "sim/report/blackout.h"
#include "sim/runner.h"

namespace vtd::sim {

struct ReportContext {
  const Scenario& scenario;
  soc::Platform& platform;
  const Outcome& outcome;
  const std::map<std::string, std::uint64_t>&
      coverage;  ///< points of functional coverage that were met, if they were counted
  const std::vector<UpdateReport>& updates;
  ExitStatus status;
  std::string walker;
  std::string cpu;
  std::uint64_t seed;
  std::string wave_file;  ///< empty when none was written
  std::string json_file;
  std::string page_file;
  std::string rerun;  ///< command that repeats the run with waves
};

[[nodiscard]] std::string summary(const ReportContext& context);
[[nodiscard]] std::string json(const ReportContext& context);

}  // namespace vtd::sim
