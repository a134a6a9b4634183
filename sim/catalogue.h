// SPDX-License-Identifier: MIT
// Finds scenarios by name, alias or file.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace vtd::sim {

/// Aliases and what they stand for.
inline constexpr std::pair<const char*, const char*> kAliases[] = {{"live_update", "S01"}};

/// The scenario file that a word on the command line means: a path, a name, "S01", or an alias; nullopt if none does.
[[nodiscard]] std::optional<std::string> find_scenario(const std::string& word, const std::string& directory);
/// All scenario files, sorted by name.
[[nodiscard]] std::vector<std::string> scenario_files(const std::string& directory);

}  // namespace vtd::sim
