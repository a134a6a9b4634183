// SPDX-License-Identifier: MIT
// The preserved-page bitmap: one page, one bit for each DRAM page. The platform consults it at a warm reset; the
// incoming image takes each page back exactly once.
#pragma once

#include <cstdint>

#include "firmware/hal/hal.h"
#include "firmware/liveupdate/abi.h"

namespace vtd::fw {

class Tracker {
 public:
  Tracker() = default;
  /// `page`: the bitmap itself, zeroed when new. It preserves itself only if asked to.
  explicit Tracker(PhysAddr page) : page_(page) {}

  [[nodiscard]] PhysAddr page() const { return page_; }
  [[nodiscard]] static constexpr bool in_dram(PhysAddr address) {
    return address >= platform::kDramBase && address < platform::kDramBase + platform::kDramSize;
  }
  /// Marks one page, or a range all or nothing. kInvalid: unaligned or not DRAM; kExists: marked already.
  [[nodiscard]] Status preserve(PhysAddr page) { return preserve(page, kPageSize); }
  [[nodiscard]] Status preserve(PhysAddr base, std::uint64_t bytes);
  void unpreserve(PhysAddr base, std::uint64_t bytes = kPageSize);
  [[nodiscard]] bool preserved(PhysAddr base, std::uint64_t bytes = kPageSize) const;
  /// Takes pages back: true once, and only if all of them were preserved.
  [[nodiscard]] bool reclaim(PhysAddr base, std::uint64_t bytes = kPageSize);
  /// Forgets the bitmap; the count of reclaimed pages stays.
  void close() { page_ = 0; }
  /// Pages marked now.
  [[nodiscard]] std::uint64_t count() const;
  [[nodiscard]] std::uint64_t reclaimed() const { return reclaimed_; }

  /// Calls f(page) for every marked page in [base, base + bytes).
  template <typename Function>
  void for_each(PhysAddr base, std::uint64_t bytes, Function&& f) const {
    for (PhysAddr block = base; block < base + bytes; block += kBlock) {
      const std::uint64_t word = hal::read64(abi::tracker_word(page_, block));
      for (unsigned n = 0; word != 0 && n < 64; ++n)
        if ((word & bit(n)) != 0) f(block + n * kPageSize);
    }
  }

 private:
  static constexpr std::uint64_t kBlock = 64 * kPageSize;  ///< bytes that one word stands for
  static constexpr std::uint64_t kBytes = platform::kDramSize / kPageSize / 8;
  static_assert(kBytes <= kPageSize);

  PhysAddr page_ = 0;
  std::uint64_t reclaimed_ = 0;
};

}  // namespace vtd::fw
