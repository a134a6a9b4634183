// SPDX-License-Identifier: MIT
// The preserved-page tracker: a tree of bitmaps, one bit for each DRAM page (tlm/spec/platform.h). The platform
// consults it at a warm reset; the incoming image takes each page back exactly once.
#pragma once

#include <algorithm>
#include <cstdint>

#include "firmware/iommu/page_allocator.h"
#include "firmware/liveupdate/abi.h"

namespace vtd::fw {

class Tracker {
 public:
  Tracker() = default;
  /// Over a tree that exists.
  explicit Tracker(PhysAddr top) : top_(top), memory_(hal::memory_size()) {}
  /// A new one, whose own pages are preserved. kNoMemory.
  [[nodiscard]] Status create(PageAllocator& allocator);
  /// Counts the pages of the tree itself as taken back: the last thing before destroy() on the incoming side.
  void reclaim_own();
  /// Gives its pages back. Forgets the tree; the count of reclaimed pages stays.
  void destroy(PageAllocator& allocator);

  [[nodiscard]] PhysAddr page() const { return top_; }
  [[nodiscard]] bool in_dram(PhysAddr address) const { return address < memory_; }
  /// Marks one page, or a range all or nothing. kInvalid: unaligned or not DRAM; kExists: marked already.
  [[nodiscard]] Status preserve(PhysAddr base, std::uint64_t bytes = kPageSize);
  void unpreserve(PhysAddr base, std::uint64_t bytes = kPageSize);
  [[nodiscard]] bool preserved(PhysAddr base, std::uint64_t bytes = kPageSize) const;
  /// Takes pages back: true once, and only if all of them were preserved.
  [[nodiscard]] bool reclaim(PhysAddr base, std::uint64_t bytes = kPageSize);
  /// Pages marked now.
  [[nodiscard]] std::uint64_t count() const;
  [[nodiscard]] std::uint64_t reclaimed() const { return reclaimed_; }

  /// Every entry of the top page is 0 or the address of a page of DRAM: an image may say anything.
  [[nodiscard]] bool well_formed() const;
  /// Calls f(page) for every marked page in [base, base + bytes).
  template <typename Function>
  void for_each(PhysAddr base, std::uint64_t bytes, Function&& f) const {
    const PhysAddr end = std::min(base + bytes, memory_);
    for (PhysAddr block = base; block < end; block += kBlock) {
      const PhysAddr at = word(block);
      if (at == 0) continue;
      const std::uint64_t bits = hal::read64(at);
      for (unsigned n = 0; bits != 0 && n < 64; ++n)
        if ((bits & bit(n)) != 0) f(block + n * kPageSize);
    }
  }
  /// Calls f(page) for the pages of the tree itself.
  template <typename Function>
  void for_each_own(Function&& f) const {
    for (PhysAddr at = 0; at < memory_; at += platform::tracker::kLeafSpan)
      if (const PhysAddr leaf = hal::read64(platform::tracker::leaf_entry(top_, at)); leaf != 0) f(leaf);
    f(top_);
  }

 private:
  static constexpr std::uint64_t kBlock = 64 * kPageSize;  ///< bytes that one word stands for
  [[nodiscard]] PhysAddr word(PhysAddr address) const {
    return abi::tracker_word([](PhysAddr at) { return hal::read64(at); }, top_, address);
  }
  [[nodiscard]] bool valid_range(PhysAddr base, std::uint64_t bytes) const;
  /// Calls f(word address, mask) for each bitmap word that [base, base + bytes) touches; stops when f returns false.
  template <typename Function>
  bool each_word(PhysAddr base, std::uint64_t bytes, Function&& f) const;

  PhysAddr top_ = 0;
  std::uint64_t memory_ = 0;  ///< bytes of DRAM
  std::uint64_t reclaimed_ = 0;
};

}  // namespace vtd::fw
