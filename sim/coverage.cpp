// SPDX-License-Identifier: MIT
#include "sim/coverage.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <sstream>
#include <vector>

#include "sim/catalogue.h"
#include "sim/scenario/scenario.h"
#include "tlm/spec/deviation.h"

namespace vtd::sim {
namespace {

constexpr unsigned kPatches = 14;
constexpr unsigned kFindings = 51;
/// About names, words or the build only: there is nothing that could be shown.
constexpr unsigned kNotApplicable[] = {8, 9, 10, 11, 13, 14, 17, 18, 30, 32, 33, 48};

std::vector<std::string> words(std::string_view text) {
  std::istringstream in{std::string(text)};
  std::vector<std::string> out;
  for (std::string word; in >> word;) out.push_back(word);
  return out;
}

/// finding -> deviations
std::map<std::string, std::vector<std::string>> reverts() {
  std::map<std::string, std::vector<std::string>> out;
  for (std::size_t i = 0; i < platform::kDeviations; ++i) {
    const platform::DeviationInfo& d = platform::info(static_cast<platform::Deviation>(i));
    for (const std::string& finding : words(d.findings)) out[finding].emplace_back(d.name);
  }
  return out;
}

}  // namespace

Coverage coverage(const std::string& scenario_directory) {
  Coverage out;
  std::map<std::string, std::vector<std::string>> covered;
  for (const std::string& path : scenario_files(scenario_directory)) {
    const Loaded loaded = load_scenario(path);
    for (const Mistake& m : loaded.mistakes) out.missing += format(m) + '\n';
    const std::string& name = loaded.scenario.name;
    for (const std::string& what : loaded.scenario.covers) covered[what].push_back(name.substr(0, name.find('_')));
  }
  std::set<std::string> all;
  const auto line = [&](const std::string& what, const std::string& note, bool applies) {
    all.insert(what);
    const auto& scenarios = covered[what];
    if (applies && scenarios.empty()) out.missing += fmt::format("no scenario covers {}\n", what);
    out.matrix +=
        fmt::format("{:<5}{}{}\n", what, scenarios.empty() ? "-" : fmt::format("{}", fmt::join(scenarios, " ")), note);
  };
  const auto taken_back = reverts();
  for (unsigned p = 1; p <= kPatches; ++p) line(fmt::format("P{:02}", p), "", true);
  for (unsigned f = 1; f <= kFindings; ++f) {
    const std::string name = fmt::format("F{}", f);
    const bool applies = std::find(std::begin(kNotApplicable), std::end(kNotApplicable), f) == std::end(kNotApplicable);
    const auto by = taken_back.find(name);
    if (applies && by == taken_back.end()) out.missing += fmt::format("no deviation takes {} back\n", name);
    line(name,
         !applies                 ? "  (names, words or build: not applicable)"
         : by == taken_back.end() ? ""
                                  : fmt::format("  taken back by {}", fmt::join(by->second, ", ")),
         applies);
  }
  for (const auto& [what, scenarios] : covered)
    if (all.count(what) == 0 && !scenarios.empty())
      out.missing += fmt::format("{} covers {}, which is no patch or finding\n", scenarios.front(), what);
  return out;
}

}  // namespace vtd::sim
