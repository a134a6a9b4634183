// SPDX-License-Identifier: MIT
// Page tables in flat memory for measurements: 65 536 pages of 4 KiB, one stage or two.
#pragma once

#include <cstdint>
#include <vector>

#include "tlm/core/walker.h"
#include "tlm/spec/paging.h"

namespace vtd::bench {

inline constexpr unsigned kPages = 65'536;
inline constexpr Iova kFirstPage = 0x12'3400'0000;  ///< of the input addresses; three levels reach it

/// Memory, the tables in it, and the walks that they are for.
class Tables {
 public:
  /// kSecondStage of `levels`, or kNested (4 on 4); A and D set everywhere.
  explicit Tables(WalkKind kind, std::uint8_t levels = 4) : kind_(kind), levels_(levels), words_(kWords) {
    root_ = new_table();
    if (kind == WalkKind::kSecondStage) {
      for (unsigned page = 0; page < kPages; ++page) map(root_, input(page), page_of(page));
      return;
    }
    // Guest pages lie in one row from kGuest on; so do the guest's tables, whose place in memory is another.
    first_root_ = new_guest_table();
    for (unsigned page = 0; page < kPages; ++page) map_first(input(page), kGuest + page * kPageSize);
    for (unsigned page = 0; page < kPages; ++page) map(root_, kGuest + page * kPageSize, page_of(page));
    for (unsigned n = 0; n < guest_tables_.size(); ++n) map(root_, kGuestTables + n * kPageSize, guest_tables_[n]);
  }

  [[nodiscard]] static Iova input(unsigned page) { return kFirstPage + page * kPageSize; }
  [[nodiscard]] static PhysAddr page_of(unsigned page) {
    return 0x10'0000'0000 + (page * 0x9E37U % kPages) * kPageSize;
  }
  [[nodiscard]] WalkRequest request(unsigned page) const {
    WalkRequest r;
    r.kind = kind_;
    r.root = root_;
    r.levels = levels_;
    r.iova = input(page);
    r.domain = DomainId{1};
    r.first_root = kGuestTables;
    r.first_levels = 4;
    return r;
  }
  [[nodiscard]] std::uint64_t word(PhysAddr address) const { return words_[address / 8]; }

 private:
  static constexpr std::size_t kWords = std::size_t{4} << 20;  ///< 32 MiB
  static constexpr PhysAddr kGuest = 0x4000'0000, kGuestTables = 0x8000'0000;
  static constexpr std::uint64_t kSecond = 3 | 1 << 8 | 1 << 9;  ///< R, W, A, D
  static constexpr std::uint64_t kFirst = 7 | 1 << 5 | 1 << 6;   ///< P, R/W, U/S, A, D

  PhysAddr new_table() { return next_ += kPageSize; }
  /// Its guest address is kGuestTables + n pages; returns where it is in memory.
  PhysAddr new_guest_table() { return guest_tables_.emplace_back(new_table()); }

  void map(PhysAddr table, std::uint64_t input, PhysAddr to) {
    for (unsigned level = levels_; level > 1; --level) {
      std::uint64_t& entry = words_[entry_address(table, input, level) / 8];
      if (entry == 0) entry = new_table() | kSecond;
      table = ss::kADDR.in_place(entry);
    }
    words_[entry_address(table, input, 1) / 8] = to | kSecond;
  }
  void map_first(Iova input, PhysAddr to) {
    PhysAddr table = first_root_;
    for (unsigned level = 4; level > 1; --level) {
      std::uint64_t& entry = words_[entry_address(table, input, level) / 8];
      if (entry == 0) {
        new_guest_table();
        entry = (kGuestTables + (guest_tables_.size() - 1) * kPageSize) | kFirst;
      }
      table = guest_tables_[(fs::kADDR.in_place(entry) - kGuestTables) / kPageSize];
    }
    words_[entry_address(table, input, 1) / 8] = to | kFirst;
  }

  WalkKind kind_;
  std::uint8_t levels_;
  std::vector<std::uint64_t> words_;
  PhysAddr next_ = 0;
  PhysAddr root_ = 0, first_root_ = 0;
  std::vector<PhysAddr> guest_tables_;
};

}  // namespace vtd::bench
