// SPDX-License-Identifier: MIT
// PASID directory and tables of one device, scalable mode (VT-d 9.5, 9.6). The entry of PASID 0 serves requests without
// PASID (RID_PASID = 0).
#pragma once

#include "firmware/iommu/page_allocator.h"
#include "tlm/spec/structures.h"

namespace vtd::fw {

class PasidTable {
 public:
  static constexpr unsigned kMaxBits = 20;

  PasidTable() = default;
  /// Over a directory that exists; `max_pasid` PASIDs, a power of two.
  PasidTable(PhysAddr directory, std::uint32_t max_pasid) : directory_(directory), max_pasid_(max_pasid) {}
  /// An empty directory for PASIDs of `bits`, at most kMaxBits. kNoMemory.
  [[nodiscard]] static Status create(unsigned bits, PageAllocator& allocator, PasidTable& out);

  [[nodiscard]] bool exists() const { return directory_ != 0; }
  [[nodiscard]] PhysAddr directory() const { return directory_; }
  /// Number of PASIDs, 0 included; at least the 64 of one page.
  [[nodiscard]] std::uint32_t max_pasid() const { return max_pasid_; }
  [[nodiscard]] std::uint64_t directory_pages() const;
  /// PDTS of the context entry.
  [[nodiscard]] unsigned pdts() const;

  /// Page of the table that has the PASID; 0 when there is none.
  [[nodiscard]] PhysAddr page_of(std::uint32_t pasid) const;
  /// All zero when there is none.
  [[nodiscard]] pasid::Entry entry(std::uint32_t pasid) const;
  /// The same for an entry of a page.
  [[nodiscard]] static pasid::Entry load(PhysAddr at);

  /// In which order the two 128-bit halves that are used are stored. What is present when the last one is there must
  /// never have been something else: kLowLast for an entry that was not present, or is first-stage afterwards.
  enum class Order : std::uint8_t { kLowLast, kLowFirst, kTorn };
  /// Makes the page if it is missing. kNoMemory. kTorn plants a bug: P first, then the rest word by word.
  [[nodiscard]] Status set(std::uint32_t pasid, const pasid::Entry& entry, Order order, PageAllocator& allocator);
  /// Not present in one store, then all zero.
  void clear(std::uint32_t pasid);

  /// Calls f(page) for each page of the directory, then f(page) for each of the tables; false stops, and is returned.
  template <typename Function>
  bool visit_pages(Function&& f) const {
    for (std::uint64_t i = 0; i < directory_pages(); ++i)
      if (!f(directory_ + i * kPageSize)) return false;
    return visit_tables([&](std::uint32_t, PhysAddr page) { return f(page); });
  }
  /// Calls f(first PASID, page) for every page of the tables; false stops, and is returned.
  template <typename Function>
  bool visit_tables(Function&& f) const {
    for (std::uint32_t first = 0; first < max_pasid_; first += kPerPage)
      if (const PhysAddr page = page_of(first); page != 0 && !f(first, page)) return false;
    return true;
  }
  /// Calls f(PASID, entry) for every present entry.
  template <typename Function>
  void for_each_present(Function&& f) const {
    visit_tables([&](std::uint32_t first, PhysAddr page) {
      for (std::uint32_t i = 0; i < kPerPage; ++i)
        if (pasid::kP.get(hal::read64(page + i * std::uint64_t{pasid::kBytes})) != 0)
          f(first + i, load(page + i * std::uint64_t{pasid::kBytes}));
      return true;
    });
  }
  /// Releases every page. The unit must not be able to walk them any more.
  void free(PageAllocator& allocator);

  static constexpr std::uint32_t kPerPage = 64;

 private:
  [[nodiscard]] PhysAddr directory_entry_at(std::uint32_t pasid) const {
    return directory_ + pasid_dir::kIndex.get(pasid) * pasid_dir::kBytes;
  }

  PhysAddr directory_ = 0;
  std::uint32_t max_pasid_ = 0;
};

}  // namespace vtd::fw
