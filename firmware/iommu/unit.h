// SPDX-License-Identifier: MIT
// One remapping unit with its root and context tables, queue memory and domain ids.
#pragma once

#include "firmware/iommu/context_map.h"
#include "firmware/iommu/domain_ids.h"
#include "firmware/iommu/page_allocator.h"
#include "firmware/iommu/page_table.h"
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
  [[nodiscard]] PhysAddr root() const { return map_.root(); }
  [[nodiscard]] const ContextMap& context() const { return map_; }
  [[nodiscard]] bool scalable() const { return map_.scalable(); }

  /// From scratch: translation and an old queue off, empty root table, queue, SRTP, translation on. Every device behind
  /// the unit is blocked until it is attached. kNotSupported: the unit has no such table mode.
  [[nodiscard]] Status cold_start(TableMode mode, PageAllocator& allocator);
  /// Over a unit that translates by the tables of `map`: new queue, the same root again, translation stays on.
  [[nodiscard]] Status adopt(const ContextMap& map, PageAllocator& allocator);
  /// As adopt, with other tables: the unit never stops to translate.
  [[nodiscard]] Status move_to(const ContextMap& map, PageAllocator& allocator) { return adopt(map, allocator); }
  /// Translation off and on again, with everything as it was.
  [[nodiscard]] Status suspend();

  /// True if it can walk such tables in the table mode it has.
  [[nodiscard]] bool supports(Stage stage, unsigned levels) const;
  /// True if it can be started in this mode.
  [[nodiscard]] bool supports(TableMode mode) const;
  [[nodiscard]] unsigned largest_levels() const;
  /// Largest leaf level: 1 = 4 KiB, 2 = 2 MiB, 3 = 1 GiB.
  [[nodiscard]] unsigned largest_leaf(Stage stage) const;

  // ---- context entries -------------------------------------------------------------------------------------
  /// Writes a present entry over a not-present one, then invalidates what CAP.CM says may be cached. A table is made if
  /// it is missing: kNoMemory.
  [[nodiscard]] Status set_context_entry(SourceId sid, const ctx::Entry& entry, PageAllocator& allocator);
  [[nodiscard]] Status set_context_entry(SourceId sid, const sctx::Entry& entry, PageAllocator& allocator);
  /// Legacy mode: replaces a present entry in one store. The invalidations are the caller's.
  void replace_context_entry(SourceId sid, const ctx::Entry& entry) const;
  /// Clears the entry in memory; the invalidations are the caller's.
  void clear_context_entry(SourceId sid) const;
  /// What a context entry that changed has to be followed by: the context cache by device, the IOTLB by the domain id
  /// that it had; in scalable mode all PASIDs of that domain id.
  [[nodiscard]] Status invalidate_context(SourceId sid, DomainId did);

  /// Serves page requests that wait: those of pages that nothing will ever map get "invalid request".
  [[nodiscard]] unsigned refuse_page_requests();

  /// Refcounted handover record of this unit, 0 when not preserved; belongs to the liveupdate layer.
  PhysAddr record = 0;

 private:
  [[nodiscard]] Status stop_queue();
  [[nodiscard]] Status start_queue(TableMode mode, PageAllocator& allocator);
  [[nodiscard]] Status need_context_table(SourceId sid, PageAllocator& allocator) const;

  UnitDriver driver_;
  DomainIds ids_;
  ContextMap map_;
  bool present_ = false;
};

}  // namespace vtd::fw
