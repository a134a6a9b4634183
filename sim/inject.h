// SPDX-License-Identifier: MIT
// Trouble planted at named places, from a scenario's `inject` steps or from --inject PLACE=VALUE.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tlm/spec/deviation.h"

namespace vtd::soc {
class Platform;
}

namespace vtd::sim {

struct PlaceHelp {
  std::string pattern;
  std::string help;
};
[[nodiscard]] const std::vector<PlaceHelp>& places();

/// What is wrong with a place; empty if nothing is.
[[nodiscard]] std::string check_place(const std::string& place, bool has_value);

struct Injection {
  std::string place;
  std::uint64_t value = 1;
  std::string reference;  ///< instead of the value: the address of a record, such as unit[1], or one of value_words()
};
[[nodiscard]] bool is_reference(const std::string& text);
/// Values for a field of the image that depend on what is there at the reset.
[[nodiscard]] const std::vector<PlaceHelp>& value_words();
/// "PLACE=VALUE", "PLACE=unit[1]" or "PLACE"; throws std::invalid_argument that says what was expected.
[[nodiscard]] Injection parse_injection(const std::string& text);

class Injector {
 public:
  /// Firmware places act at once, through deviations(); the others at the next warm reset.
  void plan(const Injection& injection);
  /// What the planned injections ask of the firmware, the last one of a name last.
  [[nodiscard]] platform::DeviationSet deviations() const;
  /// Applies what waits for the instant of a warm reset. Throws std::runtime_error if a place does not exist then.
  void at_reset(soc::Platform& platform);
  /// Applies a place that can be changed at any time.
  static void now(soc::Platform& platform, const Injection& injection);
  /// True for places that are changed at the next warm reset.
  [[nodiscard]] static bool waits_for_reset(const std::string& place);
  /// What was done, in words.
  [[nodiscard]] const std::vector<std::string>& done() const { return done_; }

 private:
  std::vector<Injection> planned_;
  std::vector<std::string> done_;
};

}  // namespace vtd::sim
