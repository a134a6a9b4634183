// SPDX-License-Identifier: MIT
#include "sim/catalogue.h"

#include <algorithm>
#include <filesystem>

namespace vtd::sim {

namespace files = std::filesystem;

std::vector<std::string> scenario_files(const std::string& directory) {
  std::vector<std::string> found;
  std::error_code ignored;  // a directory that is not there holds no scenarios
  for (const auto& entry : files::directory_iterator(directory, ignored))
    if (entry.path().extension() == ".yaml") found.push_back(entry.path().string());
  std::sort(found.begin(), found.end());
  return found;
}

std::optional<std::string> find_scenario(const std::string& word, const std::string& directory) {
  if (files::is_regular_file(word)) return word;
  std::string wanted = word;
  for (const auto& [alias, meaning] : kAliases)
    if (word == alias) wanted = meaning;
  for (const std::string& path : scenario_files(directory)) {
    const std::string stem = files::path(path).stem().string();
    if (stem == wanted || stem.substr(0, stem.find('_')) == wanted) return path;
  }
  return std::nullopt;
}

}  // namespace vtd::sim
