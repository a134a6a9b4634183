// SPDX-License-Identifier: MIT
// Page tables in guest memory: second-stage, 3, 4 or 5 levels (VT-d 9.8), and first-stage, 4 or 5 levels (VT-d 9.7);
// 4 KiB, 2 MiB and 1 GiB leaves. A table is linked only after it has been zeroed; an entry changes with one 64-bit
// write. Invalidation is the caller's.
#pragma once

#include <cstdint>
#include <optional>

#include "firmware/iommu/page_allocator.h"
#include "tlm/spec/capability.h"
#include "tlm/spec/paging.h"

namespace vtd::fw {

using platform::Stage;

/// Bits of the two kinds of entry. Links let everything pass: the leaves decide.
struct EntryFormat {
  std::uint64_t present;   ///< any of them
  std::uint64_t link;      ///< of an entry that points to a table
  std::uint64_t marks;     ///< accessed and dirty bits, which the unit may set at any time
  std::uint64_t readable;  ///< of a leaf
  std::uint64_t writable;
};
inline constexpr EntryFormat kSecondStage{ss::kR.mask() | ss::kW.mask() | ss::kX.mask(), ss::kR.mask() | ss::kW.mask(),
                                          ss::kA.mask() | ss::kD.mask(), ss::kR.mask(), ss::kW.mask()};
inline constexpr EntryFormat kFirstStage{fs::kP.mask(), fs::kP.mask() | fs::kRW.mask() | fs::kUS.mask(),
                                         fs::kA.mask() | fs::kD.mask() | fs::kEA.mask(), fs::kP.mask() | fs::kUS.mask(),
                                         fs::kRW.mask()};
static_assert(ss::kADDR.mask() == fs::kADDR.mask() && ss::kPS.mask() == fs::kPS.mask());

/// What a page may be used for. First-stage tables have no pages that can only be written.
struct Rights {
  bool read = false;
  bool write = false;
};

/// One present leaf.
struct Leaf {
  Iova iova = 0;
  PhysAddr page = 0;
  unsigned level = 1;
  [[nodiscard]] std::uint64_t size() const { return level_size(level); }
};

struct Mapping {
  Iova iova = 0;           ///< 4 KiB aligned
  PhysAddr target = 0;     ///< 4 KiB aligned
  std::uint64_t size = 0;  ///< bytes, multiple of 4 KiB, > 0
  Rights rights{};
  unsigned max_level = 1;  ///< largest leaf: 1 = 4 KiB, 2 = 2 MiB, 3 = 1 GiB
};

class PageTable {
 public:
  PageTable() = default;
  /// Adopts an existing table, or one just allocated.
  PageTable(PhysAddr top, unsigned levels, Stage stage) : top_(top), levels_(levels), stage_(stage) {}

  [[nodiscard]] PhysAddr top() const { return top_; }
  [[nodiscard]] unsigned levels() const { return levels_; }
  [[nodiscard]] Stage stage() const { return stage_; }
  /// Bits of an input address.
  [[nodiscard]] unsigned width() const { return width_of_levels(levels_); }

  /// Maps all or nothing. kInvalid: alignment, rights or range; kExists: something is mapped there; kNoMemory.
  [[nodiscard]] Status map(const Mapping& mapping, PageAllocator& allocator);
  /// Bytes that would go; nothing when a larger leaf would have to be split.
  [[nodiscard]] std::optional<std::uint64_t> mapped_bytes(Iova iova, std::uint64_t size) const;
  /// Clears the leaves inside the range. Lower tables stay, so that no walk can meet a recycled one.
  void unmap(Iova iova, std::uint64_t size);
  [[nodiscard]] std::optional<Leaf> lookup(Iova iova) const;
  /// Bytes around `iova` that one absent entry covers; for stepping over holes.
  [[nodiscard]] std::uint64_t hole_size(Iova iova) const;

  /// Visits tables before their contents, in address order: `on_table(page, level)` before its entries are read,
  /// `on_leaf(Leaf)`. Either returns false to stop; then so does visit().
  template <typename OnTable, typename OnLeaf>
  bool visit(OnTable&& on_table, OnLeaf&& on_leaf) const {
    return visit_table(top_, levels_, 0, on_table, on_leaf);
  }
  /// Releases every table page. The unit must not be able to walk them any more.
  void free_tables(PageAllocator& allocator);

  [[nodiscard]] std::uint64_t table_pages() const;
  /// FNV-1a over all tables without the A and D bits, which the unit may set at any time.
  [[nodiscard]] std::uint64_t digest() const;

 private:
  [[nodiscard]] const EntryFormat& format() const { return stage_ == Stage::kSecond ? kSecondStage : kFirstStage; }
  [[nodiscard]] bool present(std::uint64_t entry) const { return (entry & format().present) != 0; }
  static bool is_leaf(std::uint64_t entry, unsigned level) { return level == 1 || ss::kPS.get(entry) != 0; }
  struct Spot {
    PhysAddr entry_at;
    std::uint64_t entry;
    unsigned level;
  };
  [[nodiscard]] Spot walk(Iova iova) const;
  [[nodiscard]] bool in_range(Iova iova, std::uint64_t size) const;
  [[nodiscard]] unsigned leaf_level(const Mapping& rest) const;
  [[nodiscard]] Status place_leaf(const Mapping& rest, unsigned level, PageAllocator& allocator);
  void release_below(PhysAddr table, unsigned level, PageAllocator& allocator);

  template <typename OnTable, typename OnLeaf>
  bool visit_table(PhysAddr table, unsigned level, Iova base, OnTable& on_table, OnLeaf& on_leaf) const {
    if (!on_table(table, level)) return false;
    for (unsigned i = 0; i < kEntriesPerTable; ++i) {
      const std::uint64_t entry = hal::read64(table + std::uint64_t{i} * kEntryBytes);
      if (!present(entry)) continue;
      const Iova iova = base + i * level_size(level);
      const PhysAddr target = ss::kADDR.in_place(entry);
      const bool go_on = is_leaf(entry, level) ? on_leaf(Leaf{iova, target, level})
                                               : visit_table(target, level - 1, iova, on_table, on_leaf);
      if (!go_on) return false;
    }
    return true;
  }

  PhysAddr top_ = 0;
  unsigned levels_ = 0;
  Stage stage_ = Stage::kSecond;
};

}  // namespace vtd::fw
