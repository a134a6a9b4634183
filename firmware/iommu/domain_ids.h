// SPDX-License-Identifier: MIT
// Domain ids of one unit. 0 tags invalid entries and 1 pass-through, so an id given out or reserved is
// 2 <= did < domains of CAP, without exception.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "firmware/hal/hal.h"

namespace vtd::fw {

class DomainIds {
 public:
  static constexpr std::uint64_t kFirst = 2;
  static constexpr DomainId kPassThrough{1};

  /// `count`: 2^(4 + 2 * CAP.ND), at most 65536.
  void configure(std::uint64_t count);
  [[nodiscard]] std::uint64_t count() const { return count_; }
  /// True for ids that a domain may have. Wider than the field on purpose: the value may come from an image.
  [[nodiscard]] bool valid(std::uint64_t did) const { return did >= kFirst && did < count_; }
  /// Lowest free id, or nothing.
  [[nodiscard]] std::optional<DomainId> allocate();
  /// Takes exactly this id. kInvalid: out of bounds; kExists: already taken (a shared domain, or a collision).
  [[nodiscard]] Status reserve(std::uint64_t did);
  /// The same without bounds: the first form of the Linux series took reserved ids, too (F1).
  [[nodiscard]] Status reserve_any(std::uint64_t did);
  /// How many are taken.
  [[nodiscard]] std::uint64_t taken() const;
  /// Only after every translation tagged with it has been invalidated.
  void release(DomainId did);
  [[nodiscard]] bool reserved(std::uint64_t did) const;

 private:
  std::array<std::uint64_t, 65536 / 64> taken_{};
  std::uint64_t count_ = 0;
};

}  // namespace vtd::fw
