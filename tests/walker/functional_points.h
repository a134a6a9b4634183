// SPDX-License-Identifier: MIT
// Functional coverage of the walker: which kinds of answers random walks have met, of all that there can be.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <string>

#include "tlm/core/walker.h"

namespace vtd::test {

/// Points: each leaf by kind of walk, levels of its tables, page size and access; each reason by kind of walk.
class FunctionalPoints {
 public:
  FunctionalPoints() {
    for (const WalkKind kind : {WalkKind::kLegacy, WalkKind::kSecondStage, WalkKind::kFirstStage, WalkKind::kNested})
      for (unsigned first = 4; first <= 5; ++first)
        for (unsigned second = 3; second <= 5; ++second)
          for (unsigned leaf = 1; leaf <= 3; ++leaf)
            for (unsigned access = 0; access < kAccesses.size(); ++access)
              hits_[name(kind, first, second, leaf, access)] = 0;
  }
  void add(const WalkRequest& q, const WalkResponse& r) {
    const auto access = static_cast<unsigned>(q.access);
    ++hits_[r.fault == FaultReason::kNone
                ? name(q.kind, q.first_levels, q.levels, r.level, access)
                : std::string(kKinds[static_cast<unsigned>(q.kind)]) + ", " + info(r.fault).name];
  }
  /// Points by name; reasons appear when they are met.
  [[nodiscard]] const std::map<std::string, std::uint64_t>& hits() const { return hits_; }
  [[nodiscard]] auto holes() const {
    return std::count_if(hits_.begin(), hits_.end(), [](const auto& point) { return point.second == 0; });
  }

 private:
  static constexpr std::array kKinds{"legacy", "second stage", "first stage", "nested"};
  static constexpr std::array kAccesses{"read", "write", "zero-length read", "atomic"};
  static constexpr std::array kPages{"", "4K", "2M", "1G"};
  static std::string name(WalkKind kind, unsigned first, unsigned second, unsigned leaf, unsigned access) {
    const std::string levels = kind == WalkKind::kFirstStage ? std::to_string(first)
                               : kind == WalkKind::kNested   ? std::to_string(first) + " on " + std::to_string(second)
                                                             : std::to_string(second);
    return std::string(kKinds[static_cast<unsigned>(kind)]) + ", " + levels + " levels, " + kPages[leaf] + ", " +
           kAccesses[access];
  }
  std::map<std::string, std::uint64_t> hits_;
};

}  // namespace vtd::test
