// SPDX-License-Identifier: MIT
// Matchers of walk results. A failure prints the names of reasons, and the whole result.
#pragma once

#include <gmock/gmock.h>

#include <cstdint>
#include <ios>
#include <ostream>

#include "tlm/core/walker.h"
#include "tlm/spec/fault_reason.h"

namespace vtd::test {

/// A fault reason by name and number.
struct Named {
  FaultReason reason;
  friend std::ostream& operator<<(std::ostream& out, const Named& named) {
    return out << info(named.reason).name << " (0x" << std::hex << static_cast<unsigned>(named.reason) << std::dec
               << ")";
  }
};

/// A result in words, for a message.
struct InWords {
  const WalkResponse& response;
  friend std::ostream& operator<<(std::ostream& out, const InWords& words) {
    const WalkResponse& r = words.response;
    if (r.fault != FaultReason::kNone) {
      out << "fault " << Named{r.fault};
    } else {
      out << "page 0x" << std::hex << r.page << std::dec << (r.readable ? " R" : "") << (r.writable ? " W" : "")
          << (r.snoop ? " SNP" : "") << (r.transient ? " TM" : "");
    }
    return out << " at level " << unsigned{r.level} << " after " << unsigned{r.reads} << " reads";
  }
};

/// The walk ended with `reason`.
class IsFaultMatcher {
 public:
  using is_gtest_matcher = void;
  explicit IsFaultMatcher(FaultReason reason) : reason_(reason) {}
  bool MatchAndExplain(const WalkResponse& response, std::ostream* why) const {
    if (why != nullptr) *why << "which is " << InWords{response};
    return response.fault == reason_;
  }
  void DescribeTo(std::ostream* out) const { *out << "is fault " << Named{reason_}; }
  void DescribeNegationTo(std::ostream* out) const { *out << "is not fault " << Named{reason_}; }

 private:
  FaultReason reason_;
};

/// The walk found the page that begins at `page`, in a leaf of `level`.
class MapsToMatcher {
 public:
  using is_gtest_matcher = void;
  MapsToMatcher(std::uint64_t page, unsigned level) : page_(page), level_(level) {}
  bool MatchAndExplain(const WalkResponse& response, std::ostream* why) const {
    if (why != nullptr) *why << "which is " << InWords{response};
    return response.fault == FaultReason::kNone && response.page == page_ && response.level == level_;
  }
  void DescribeTo(std::ostream* out) const { describe(*out << "maps to "); }
  void DescribeNegationTo(std::ostream* out) const { describe(*out << "does not map to "); }

 private:
  void describe(std::ostream& out) const {
    out << "page 0x" << std::hex << page_ << std::dec << " at level " << level_;
  }
  std::uint64_t page_;
  unsigned level_;
};

inline testing::Matcher<const WalkResponse&> IsFault(FaultReason reason) {
  return IsFaultMatcher(reason);
}
inline testing::Matcher<const WalkResponse&> MapsTo(std::uint64_t page, unsigned level) {
  return MapsToMatcher(page, level);
}

}  // namespace vtd::test
