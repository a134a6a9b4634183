// SPDX-License-Identifier: MIT
// One remapping unit without time and without a simulator: registers, caches, the path of a request, the
// invalidation engines. Several threads of the host may be inside translate() and run() at once, each suspended
// in a Host call; everything about a request lives in its Ticket.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>

#include "tlm/core/caches.h"
#include "tlm/core/control.h"
#include "tlm/core/fault_log.h"
#include "tlm/core/host.h"
#include "tlm/core/in_flight.h"
#include "tlm/core/interrupt_remapping.h"
#include "tlm/core/invalidation_queue.h"
#include "tlm/core/invalidator.h"
#include "tlm/core/observer.h"
#include "tlm/core/observer_list.h"
#include "tlm/core/page_request_queue.h"
#include "tlm/core/performance.h"
#include "tlm/core/protected_memory.h"
#include "tlm/core/register_file.h"
#include "tlm/core/register_invalidation.h"
#include "tlm/core/request.h"
#include "tlm/core/table_lookup.h"
#include "tlm/core/unit_state.h"
#include "tlm/core/walk_sharing.h"

namespace vtd {

class UnitCore {
 public:
  /// Comes up as after a cold reset. `host` and `observer` must outlive the unit. `seed` feeds random replacement.
  /// Throws std::invalid_argument for a profile that cannot be built (see check_profile).
  UnitCore(const Profile& profile, const CacheConfig& caches, Host& host, Observer& observer, std::uint64_t seed);
  UnitCore(const UnitCore&) = delete;
  UnitCore& operator=(const UnitCore&) = delete;

  // ---- DMA ----------------------------------------------------------------------------------------------
  /// Takes a request in; it must lie within one 4 KiB page. Never suspends.
  [[nodiscard]] Ticket accept(const DmaRequest& request);
  /// Translates the ticket's request, once per ticket. May suspend. Restarts when a covering invalidation came
  /// in between; records the fault it returns where the architecture says so. Until the ticket is destroyed the
  /// request counts as "translated, delivery pending". After a unit reset the request is refused with reason
  /// kNone, nothing recorded.
  /// Translation requests (ATS) are answered: with R=W=0 instead of a recoverable fault. Interrupt requests (32-bit
  /// writes to FEEx_xxxx) are remapped: see Translation::interrupt.
  Result<Translation> translate(Ticket& ticket);
  /// The translation that an IOTLB hit would give now, for DMI. Never suspends, counts and changes nothing.
  /// nullopt: no hit, no permission, TE=0, pass-through, request with PASID, or a page (before or after
  /// translation) that overlaps the interrupt range.
  [[nodiscard]] std::optional<Translation> probe(const DmaRequest& request) const;
  /// A page request of a device (PRI): goes to the page request queue, or is answered through Host::respond() when it
  /// faults (recorded) or finds no room. May suspend.
  void page_request(const PageRequest& request);
  /// The answer to a Host::invalidate_device(). Never suspends.
  void device_answered(DeviceTag tag, DeviceAnswer answer) { queue_.device_answered(tag, answer); }
  /// Translates by reading tables through `read` with the reference walker: no caches, no fills, no faults
  /// recorded, nothing counted. For transport_dbg.
  Result<Translation> debug_translate(const DmaRequest& request, const ReadFunction& read) const;

  // ---- Registers ------------------------------------------------------------------------------------------
  /// True for 4 or 8 bytes, naturally aligned, inside kUnitMmioSize. read and write expect only such accesses.
  [[nodiscard]] static bool legal_access(std::uint64_t offset, unsigned bytes);
  /// Register read as software sees it (WO fields and unlisted offsets read 0). Never suspends.
  [[nodiscard]] std::uint64_t read(std::uint64_t offset, unsigned bytes) const;
  /// Register write; what takes time is left to run(), asked for by Host::wake(). Never suspends.
  void write(std::uint64_t offset, std::uint64_t value, unsigned bytes);
  /// Does all pending work of an engine. May suspend. Call it after wake(engine); spurious calls do nothing.
  void run(Engine engine);
  /// Unit reset. kWarm keeps sticky fields; both drop caches and pending work. Never suspends.
  void reset(ResetKind kind);

  // ---- What tests, waves and reports look at --------------------------------------------------------------
  /// The stored value, WO fields included.
  [[nodiscard]] std::uint64_t register_value(RegId id) const { return state_.registers.value(id); }
  [[nodiscard]] frcd::Entry fault_record(unsigned index) const { return state_.registers.record(index); }
  [[nodiscard]] const Profile& profile() const { return state_.profile; }
  [[nodiscard]] const Caches& caches() const { return state_.caches; }
  [[nodiscard]] const CoreStatistics& statistics() const { return state_.statistics; }
  [[nodiscard]] std::uint64_t misuse(Misuse what) const { return state_.misuse.of(what); }
  [[nodiscard]] std::size_t in_flight() const { return state_.in_flight.size(); }
  [[nodiscard]] bool translation_enabled() const { return state_.remapping; }

 private:
  struct Leaf {
    IotlbEntry entry{};
    bool hit = false;
    FaultReason fault = FaultReason::kNone;
  };
  /// What the path looks up: through the caches for requests, in memory alone for debug.
  class CachedLookup;
  class DebugLookup;
  /// One pass over the path of a request. If the flight was abandoned meanwhile the outcome means nothing.
  template <typename Lookup>
  Result<Translation> path(const DmaRequest& request, Lookup lookup) const;
  ContextEntry context_of(Flight& flight, const RootPointer& root);
  ContextEntry fetch_and_cache_context(const Flight& flight, const RootPointer& root);
  AddressSpace space_of(Flight& flight, const ContextEntry& context);
  AddressSpace fetch_and_cache_space(const Flight& flight, const ContextEntry& context, Pasid pasid);
  Leaf leaf_of(Flight& flight, const ContextEntry& context, const AddressSpace& space);
  Leaf walk_for(Flight& flight, const AddressSpace& space, const WalkRequest& walk);
  [[nodiscard]] ReadFunction table_reader();

  void begin_pass(Flight& flight);
  /// True if what the running pass has read may be stale: a covering invalidation, or a reset, came.
  [[nodiscard]] bool abandoned(const Flight& flight) const;
  void restart(Flight& flight);
  Result<Translation> finish(Flight& flight, const Result<Translation>& outcome);
  Result<Translation> abort(Flight& flight);

  void on_write(const RegisterWrite& write);

  ObserverList observers_;
  Performance performance_;
  UnitState state_;
  FaultLog faults_;
  Invalidator invalidator_;
  InvalidationQueue queue_;
  RegisterInvalidation register_invalidation_;
  Control control_;
  InterruptRemapping interrupts_;
  PageRequestQueue page_requests_;
  ProtectedMemory protected_memory_;
  WalkSharing walks_;
};

}  // namespace vtd
