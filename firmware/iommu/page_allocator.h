// SPDX-License-Identifier: MIT
// Pages for tables, records and queues: the general memory at platform::kHeapBase. The book-keeping is private to the
// running image; an incoming image first holds every preserved page, then allocates.
#pragma once

#include <array>
#include <cstdint>

#include "firmware/hal/hal.h"
#include "tlm/spec/platform.h"

namespace vtd::fw {

class PageAllocator {
 public:
  static constexpr std::uint64_t kPages = platform::kHeapSize / kPageSize;
  /// Without the crash region.
  static constexpr std::uint64_t kCommonPages = kPages - platform::kCrashSize / kPageSize;

  /// A zeroed page, lowest free address first; 0 when none is left. The crash region is not given out.
  [[nodiscard]] PhysAddr allocate();
  /// Zeroed pages that follow each other; 0 when there are not so many.
  [[nodiscard]] PhysAddr allocate(std::uint64_t pages);
  /// From now on pages of the crash region only: everything else is the old image's, and may not be touched.
  void only_crash_region();
  /// Gives a heap page back. Pages outside the heap (memory files) are ignored.
  void release(PhysAddr page);
  /// Takes a heap page out of circulation: it holds preserved data. Pages outside the heap are ignored.
  void hold(PhysAddr page);
  [[nodiscard]] bool in_use(PhysAddr page) const;
  [[nodiscard]] std::uint64_t free_pages() const { return free_; }

  [[nodiscard]] static constexpr bool owns(PhysAddr page) {
    return page >= platform::kHeapBase && page < platform::kHeapBase + platform::kHeapSize;
  }

 private:
  static constexpr std::uint64_t kWords = kPages / 64;
  std::array<std::uint64_t, kWords> used_{};
  static constexpr std::uint64_t kCrashWord = (platform::kCrashBase - platform::kHeapBase) / kPageSize / 64;
  static_assert(platform::kCrashBase + platform::kCrashSize == platform::kHeapBase + platform::kHeapSize);

  std::uint64_t first_candidate_ = 0;  ///< no free page in words below
  std::uint64_t end_ = kCrashWord;     ///< words from here on are not given out
  std::uint64_t free_ = kCrashWord * 64;
};

}  // namespace vtd::fw
