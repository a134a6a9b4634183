// SPDX-License-Identifier: MIT
// One remapping unit with its root and context tables, queue memory and domain ids.
#pragma once

#include "firmware/iommu/domain_ids.h"
#include "firmware/iommu/page_allocator.h"
#include "firmware/vtd/unit_driver.h"
#include "tlm/spec/paging.h"
#include "tlm/spec/structures.h"

namespace vtd::fw {

class Unit {
 public:
  /// Finds unit `index` of the platform. Touches nothing.
  [[nodiscard]] bool discover(unsigned index);
  [[nodiscard]] bool present() const { return present_; }
  [[nodiscard]] UnitDriver& driver() { return driver_; }
  [[nodiscard]] const UnitDriver& driver() const { return driver_; }
  [[nodiscard]] DomainIds& ids() { return ids_; }
  [[nodiscard]] PhysAddr root() const { return root_; }

  /// From scratch: translation and an old queue off, empty root table, queue, SRTP, translation on. Every device behind
  /// the unit is blocked until it is attached.
  [[nodiscard]] Status cold_start(PageAllocator& allocator);
  /// Over a unit that translates by the tables at `root`: new queue, the same root again, translation stays on.
  [[nodiscard]] Status adopt(PhysAddr root, PageAllocator& allocator);

  [[nodiscard]] bool supports_levels(unsigned levels) const;
  [[nodiscard]] unsigned largest_levels() const;
  /// Largest leaf level: 1 = 4 KiB, 2 = 2 MiB, 3 = 1 GiB.
  [[nodiscard]] unsigned largest_leaf() const;

  // ---- tables ----------------------------------------------------------------------------------------------
  /// Context table of a bus; 0 when the root entry is not present.
  [[nodiscard]] PhysAddr context_table(std::uint8_t bus) const { return context_table_of(root_, bus); }
  [[nodiscard]] static PhysAddr context_table_of(PhysAddr root, std::uint8_t bus);
  /// Address of the entry of a source id in a context table.
  [[nodiscard]] static PhysAddr context_entry_at(PhysAddr context_table, SourceId sid);
  /// The entry in memory; all zero when there is no context table.
  [[nodiscard]] ctx::Entry context_entry(SourceId sid) const;
  /// Writes a present entry over a not-present one, then invalidates what CAP.CM says may be cached.
  [[nodiscard]] Status set_context_entry(SourceId sid, const ctx::Entry& entry, PageAllocator& allocator);
  /// Clears the entry, then invalidates context cache (device) and IOTLB (domain).
  [[nodiscard]] Status clear_context_entry(SourceId sid);

  /// Refcounted handover record of this unit, 0 when not preserved; belongs to the liveupdate layer.
  PhysAddr record = 0;

 private:
  [[nodiscard]] Status start_queue(PageAllocator& allocator);

  UnitDriver driver_;
  DomainIds ids_;
  PhysAddr root_ = 0;
  bool present_ = false;
};

}  // namespace vtd::fw
