// SPDX-License-Identifier: MIT
// Driver of one remapping unit: global commands, root pointer, queue, translation. No tables here.
// Every GCMD write carries the persistent bits of the shadow, one command at a time, and waits for GSTS (VT-d 11.4.4).
#pragma once

#include <optional>

#include "firmware/vtd/invalidation.h"
#include "firmware/vtd/registers.h"
#include "tlm/spec/structures.h"

namespace vtd::fw {

class UnitDriver {
 public:
  /// Reads VER, CAP, ECAP and GSTS of the unit at `base`. The command shadow starts from GSTS, so that the next
  /// GCMD write drops nothing that an earlier image enabled. False when nothing answers there.
  [[nodiscard]] bool discover(PhysAddr base);

  [[nodiscard]] PhysAddr base() const { return registers_.base(); }
  [[nodiscard]] std::uint64_t cap() const { return cap_; }
  [[nodiscard]] std::uint64_t ecap() const { return ecap_; }
  [[nodiscard]] const Registers& registers() const { return registers_; }
  /// As GSTS said at discovery, or as commanded since.
  [[nodiscard]] bool translating() const { return gcmd::kTE.get(shadow_) != 0; }
  [[nodiscard]] bool queue_enabled() const { return gcmd::kQIE.get(shadow_) != 0; }
  [[nodiscard]] std::uint64_t root_register() const { return registers_.read(RegId::kRTADDR); }
  /// What RTADDR says of the tables.
  [[nodiscard]] TableMode table_mode() const {
    return static_cast<TableMode>(rtaddr::kTTM.get(registers_.read(RegId::kRTADDR)));
  }
  [[nodiscard]] PhysAddr root_pointer() const { return rtaddr::kRTA.in_place(registers_.read(RegId::kRTADDR)); }

  /// Switches queued invalidation on with a fresh ring (one page) and status word; without ECAP.QI nothing is done
  /// and invalidations go through the registers. A queue that is on must be disabled before.
  [[nodiscard]] Status enable_queue(PhysAddr ring, PhysAddr status, DescriptorWidth width);
  /// Waits until head = tail, then clears QIE. kBusy when descriptors stay undone.
  [[nodiscard]] Status disable_queue();
  /// Waits until the unit has done all that is queued. kTimeout.
  [[nodiscard]] Status drain_queue();
  /// Clears what stopped the queue (IQE, ICE, ITE), so that it can be switched off.
  void clear_queue_errors();

  /// Page requests, with ECAP.PRS: a ring of one page. Requests that came before are forgotten.
  void enable_page_requests(PhysAddr ring);
  /// The oldest page request that was not served yet; nothing when there is none. Frees its slot.
  [[nodiscard]] std::optional<page_request::Entry> next_page_request();

  /// Whether a new root pointer is followed by the invalidations it needs. Skipping plants a bug.
  enum class Follow : std::uint8_t { kInvalidate, kSkip };
  /// RTADDR and SRTP, then every cache globally, unless the unit does that itself (ESRTPS).
  [[nodiscard]] Status set_root(PhysAddr root, TableMode mode, Follow follow = Follow::kInvalidate);
  /// Context cache, in scalable mode PASID cache, and IOTLB, all of them.
  [[nodiscard]] Status invalidate_everything();
  [[nodiscard]] Status enable_translation() { return set_persistent(gcmd::kTE, gsts::kTES); }
  [[nodiscard]] Status disable_translation() { return clear_persistent(gcmd::kTE, gsts::kTES); }
  /// Protected memory regions off, where the unit has them.
  [[nodiscard]] Status disable_protected_memory();
  /// The low region from `base`, 4 KiB aligned, `size` > 0 bytes. kNotSupported: CAP.PLMR = 0.
  [[nodiscard]] Status protect_memory(PhysAddr base, std::uint64_t size);
  /// Needed after table writes when CAP.RWBF is set and CM is not.
  [[nodiscard]] Status flush_write_buffer();

  [[nodiscard]] Status invalidate(const ContextInvalidation& what);
  [[nodiscard]] Status invalidate(const IotlbInvalidation& what);
  // By the queue only; kNotSupported without one.
  [[nodiscard]] Status invalidate(const PasidInvalidation& what);
  [[nodiscard]] Status invalidate(const PasidIotlbInvalidation& what);
  [[nodiscard]] Status invalidate(const DeviceTlbInvalidation& what);
  [[nodiscard]] Status respond(const PageResponse& response);
  /// Plants a bug: an invalidation that nobody waits for.
  void leave(const IotlbInvalidation& what) { queue_.leave(describe(what, cap_)); }
  /// Plants a bug: one write of GCMD that forgets translation.
  void glitch();

 private:
  [[nodiscard]] Status execute(const Record128& descriptor);
  [[nodiscard]] Status set_persistent(const Field& command, const Field& status);
  [[nodiscard]] Status clear_persistent(const Field& command, const Field& status);
  [[nodiscard]] Status once(const Field& command, const Field& status, std::uint64_t done);

  Registers registers_;
  InvalidationQueue queue_;
  TableMode mode_ = TableMode::kLegacy;  ///< of the root pointer that was set last
  PhysAddr page_requests_ = 0;           ///< the ring of page requests, 0 when there is none
  std::uint64_t cap_ = 0;
  std::uint64_t ecap_ = 0;
  std::uint64_t shadow_ = 0;  ///< persistent GCMD bits that are on
};

}  // namespace vtd::fw
