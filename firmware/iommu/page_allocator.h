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

  /// A zeroed page, lowest free address first; 0 when none is left.
  [[nodiscard]] PhysAddr allocate();
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
  std::uint64_t first_candidate_ = 0;  ///< no free page in words below
  std::uint64_t free_ = kPages;
};

}  // namespace vtd::fw
