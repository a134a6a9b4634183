// SPDX-License-Identifier: MIT
// Where context entries are under a root table. Legacy mode: a table a bus, 128-bit entries (VT-d 9.1, 9.3). Scalable
// mode: two tables a bus, by devfn[7], 256-bit entries (VT-d 9.2, 9.4).
#pragma once

#include "firmware/iommu/page_allocator.h"
#include "tlm/spec/structures.h"

namespace vtd::fw {

class ContextMap {
 public:
  /// Tables are numbered 2 * bus + devfn[7]; legacy mode has the even ones only.
  static constexpr unsigned kTables = 512;

  ContextMap() = default;
  ContextMap(PhysAddr root, TableMode mode) : root_(root), mode_(mode) {}

  [[nodiscard]] PhysAddr root() const { return root_; }
  [[nodiscard]] TableMode mode() const { return mode_; }
  [[nodiscard]] bool scalable() const { return mode_ == TableMode::kScalable; }
  [[nodiscard]] unsigned number_of(SourceId sid) const {
    return sid.bus() * 2U + (scalable() && sid.devfn() >= kHalf ? 1 : 0);
  }
  /// Table n; 0 when the root entry has none.
  [[nodiscard]] PhysAddr table(unsigned n) const;
  /// Makes the root entry point to table n; 0: to none.
  void set_table(unsigned n, PhysAddr table) const;
  /// Address of the entry; 0 when it has no table.
  [[nodiscard]] PhysAddr entry_at(SourceId sid) const;
  [[nodiscard]] bool present(SourceId sid) const;
  /// The 128 bits that both kinds of entry begin with; a legacy entry is nothing more. Zero without a table.
  [[nodiscard]] Record128 low(SourceId sid) const;

  [[nodiscard]] unsigned entry_bytes() const { return scalable() ? sctx::kBytes : ctx::kBytes; }

  /// Calls f(n, table) for every table.
  template <typename Function>
  void for_each_table(Function&& f) const {
    for (unsigned n = 0; n < kTables; n += scalable() ? 1 : 2)
      if (const PhysAddr t = table(n); t != 0) f(n, t);
  }
  /// Calls f(sid, address) for every present entry of table n.
  template <typename Function>
  void for_each_present(unsigned n, PhysAddr table, Function&& f) const {
    const unsigned first = n % 2 * kHalf;
    const unsigned count = scalable() ? kHalf : 2 * kHalf;
    for (unsigned i = 0; i < count; ++i) {
      const PhysAddr at = table + std::uint64_t{i} * entry_bytes();
      if (ctx::kP.get(hal::read64(at)) == 0) continue;
      const unsigned devfn = first + i;
      f(make_source_id(n / 2, devfn / 8, devfn % 8), at);
    }
  }

 private:
  static constexpr unsigned kHalf = 128;  ///< device and function numbers of one scalable-mode table

  PhysAddr root_ = 0;
  TableMode mode_ = TableMode::kLegacy;
};

static_assert(ctx::kP.mask() == sctx::kP.mask());

}  // namespace vtd::fw
