// SPDX-License-Identifier: MIT
// Driver of one remapping unit: global commands, root pointer, queue, translation. No tables here.
// Every GCMD write carries the persistent bits of the shadow, one command at a time, and waits for GSTS (VT-d 11.4.4).
#pragma once

#include "firmware/vtd/invalidation.h"
#include "firmware/vtd/registers.h"

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

  /// Switches queued invalidation on with a fresh ring (one page) and status word; without ECAP.QI nothing is done
  /// and invalidations go through the registers. A queue that is on must be disabled before.
  [[nodiscard]] Status enable_queue(PhysAddr ring, PhysAddr status);
  /// Waits until head = tail, then clears QIE. kBusy when descriptors stay undone.
  [[nodiscard]] Status disable_queue();

  /// RTADDR (legacy mode) and SRTP, then context cache and IOTLB globally, unless the unit does that itself (ESRTPS).
  [[nodiscard]] Status set_root(PhysAddr root);
  [[nodiscard]] Status enable_translation() { return set_persistent(gcmd::kTE, gsts::kTES); }
  [[nodiscard]] Status disable_translation() { return clear_persistent(gcmd::kTE, gsts::kTES); }
  /// Protected memory regions off, where the unit has them.
  [[nodiscard]] Status disable_protected_memory();
  /// Needed after table writes when CAP.RWBF is set and CM is not.
  [[nodiscard]] Status flush_write_buffer();

  [[nodiscard]] Status invalidate(const ContextInvalidation& what);
  [[nodiscard]] Status invalidate(const IotlbInvalidation& what);

 private:
  [[nodiscard]] Status set_persistent(const Field& command, const Field& status);
  [[nodiscard]] Status clear_persistent(const Field& command, const Field& status);
  [[nodiscard]] Status once(const Field& command, const Field& status, std::uint64_t done);

  Registers registers_;
  InvalidationQueue queue_;
  std::uint64_t cap_ = 0;
  std::uint64_t ecap_ = 0;
  std::uint64_t shadow_ = 0;  ///< persistent GCMD bits that are on
};

}  // namespace vtd::fw
