// SPDX-License-Identifier: MIT
// Holds the answers of both sides against each other; known deviations of QEMU are named rules.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "tests/oracle/command.h"
#include "tests/oracle/generator.h"

namespace vtd::oracle {

/// What a DMA left in the fault registers; nothing if FRCD.F is 0.
struct FaultRecord {
  unsigned reason = 0;
  unsigned source = 0;
  bool is_read = false;
  std::uint64_t address = 0;
  friend bool operator==(const FaultRecord&, const FaultRecord&) = default;
};

/// A deviation of QEMU that was looked at: what it does, and what decides.
struct Rule {
  const char* name;
  const char* text;
  /// True if the rule explains that QEMU recorded `theirs` where we recorded `ours`.
  bool (*explains)(Mode mode, const std::optional<FaultRecord>& ours, const std::optional<FaultRecord>& theirs);
  /// False: it only translates one notation to another, and hides nothing.
  bool masks;
};
[[nodiscard]] const std::vector<Rule>& rules();
/// The same for other registers.
struct RegisterRule {
  const char* name;
  const char* text;
  bool (*explains)(std::uint64_t offset, std::uint64_t ours, std::uint64_t theirs);
};
[[nodiscard]] const std::vector<RegisterRule>& register_rules();

/// Sums over all cases.
struct Tally {
  std::uint64_t dmas = 0;
  std::map<std::string, std::uint64_t> rule_uses;
  /// table | page | reason | invalidation -> DMAs
  std::map<std::string, std::uint64_t> cells;
};

/// A difference that no rule explains.
struct Difference {
  std::string kind;  ///< the same for differences of one cause
  std::string text;
  [[nodiscard]] bool none() const { return text.empty(); }
};

/// The first difference. Counts into `tally`.
[[nodiscard]] Difference compare(Mode mode, const Case& c, const std::vector<std::uint64_t>& ours,
                                 const std::vector<std::uint64_t>& theirs, Tally& tally);

/// The first byte that differs between two arenas. In first-stage tables QEMU may lack D bits that we have set,
/// and A bits may differ; counted into `tally` as rule "accessed-dirty-differ".
[[nodiscard]] Difference compare_memory(Mode mode, std::span<const std::uint8_t> ours,
                                        std::span<const std::uint8_t> theirs, Tally& tally);

/// What a histogram must hold: cells whose text contains all words, and how many at least per 20 000 DMAs.
struct Required {
  std::vector<const char*> words;
  std::uint64_t at_least;
};
[[nodiscard]] const std::vector<Required>& required_cells(Mode mode);

}  // namespace vtd::oracle
