// SPDX-License-Identifier: MIT
// A scenario as loaded and checked: what the runner plays.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <variant>
#include <vector>

#include "tlm/spec/capability.h"
#include "tlm/spec/fault_reason.h"
#include "tlm/spec/types.h"

namespace vtd::sim {

/// Where something stands in a scenario file; lines and columns count from 1.
struct Position {
  std::string file;
  int line = 1;
  int column = 1;
};

/// One mistake: `file:line:col: what, what was expected`.
struct Mistake {
  Position at;
  std::string text;
};
[[nodiscard]] std::string format(const Mistake& mistake);

/// Parameters of a step or section, already of their declared types. Times are nanoseconds.
class Params {
 public:
  using Value = std::variant<std::uint64_t, std::string>;
  void set(const std::string& name, Value value) { values_[name] = std::move(value); }
  [[nodiscard]] bool has(const std::string& name) const { return values_.count(name) != 0; }
  [[nodiscard]] std::uint64_t number(const std::string& name, std::uint64_t otherwise = 0) const {
    const auto it = values_.find(name);
    return it == values_.end() ? otherwise : std::get<std::uint64_t>(it->second);
  }
  [[nodiscard]] std::string text(const std::string& name, const std::string& otherwise = {}) const {
    const auto it = values_.find(name);
    return it == values_.end() ? otherwise : std::get<std::string>(it->second);
  }

 private:
  std::map<std::string, Value> values_;
};

struct Step {
  Position at;
  std::string kind;
  Params params;
};

struct StreamWindow {
  std::uint64_t iova = 0;
  std::uint64_t size = 0;
};

struct EndpointDeclaration {
  Position at;
  Params params;
  std::vector<StreamWindow> windows;
};

struct FaultExpectation {
  std::string device;
  FaultReason reason = FaultReason::kNone;
  std::optional<std::uint64_t> count;
  std::uint64_t at_least = 1;
};

struct Expectations {
  Params params;
  std::vector<FaultExpectation> faults;
  std::vector<std::string> violations;  ///< names of hazards that must be reported; others must not
  std::vector<std::string> console;     ///< texts that the console must contain
};

struct Scenario {
  std::string path;
  std::string name;
  std::string about;
  std::vector<std::string> covers;
  std::uint64_t seed = 1;
  Params platform;
  Params capabilities;  ///< fields of the profile that the story sets itself
  std::vector<EndpointDeclaration> endpoints;
  std::vector<Step> steps;
  Expectations expect;
};

/// The capabilities of the unit: the story's profile with its own changes. Not checked for consistency.
[[nodiscard]] Profile profile_of(const Scenario& scenario);

/// Loads and checks a file; every mistake found is returned, and then the scenario must not be run.
struct Loaded {
  Scenario scenario;
  std::vector<Mistake> mistakes;
};
[[nodiscard]] Loaded load_scenario(const std::string& path);

/// Reads numbers (0x..., K, M, G), times (ns, us, ms -> nanoseconds) and requester ids (bb:dd.f).
[[nodiscard]] std::optional<std::uint64_t> parse_number(const std::string& text);
[[nodiscard]] std::optional<std::uint64_t> parse_time_ns(const std::string& text);
[[nodiscard]] std::optional<SourceId> parse_source(const std::string& text);
/// A fault reason by its name in tlm/spec/fault_reason.h.
[[nodiscard]] std::optional<FaultReason> parse_reason(const std::string& name);

}  // namespace vtd::sim
