// SPDX-License-Identifier: MIT
// Primary fault recording (VT-d 7.2.1): the ring of fault recording registers, FSTS and the fault event.
#pragma once

#include "tlm/core/event_message.h"
#include "tlm/core/request.h"
#include "tlm/core/unit_state.h"

namespace vtd {

class FaultLog {
 public:
  explicit FaultLog(UnitState& state);

  /// Writes a record unless FSTS.PFO is set or the next record is still in use (which sets PFO).
  /// `disabled` is the FPD of the entries read: qualified faults are then not recorded. `interrupt`: the index of an
  /// interrupt request, which takes the place of the address. True if recorded.
  bool record(const DmaRequest& request, FaultReason reason, bool disabled,
              std::optional<std::uint32_t> interrupt = std::nullopt);
  /// Sets FSTS.IQE and IQERCD.IQEI: the invalidation queue stopped.
  void raise_queue_error(QueueError error);
  /// Sets FSTS.ITE (kTimeout: the queue stops) or FSTS.ICE (kError), and the source-id in IQERCD.
  void raise_device_error(DeviceAnswer answer, SourceId source);

  /// Software wrote FSTS, FECTL, or cleared the F bit of a record.
  void status_written() { withdraw_if_clear(); }
  void control_written() { event_.control_written(); }
  void record_written();
  void reset(ResetKind kind);

 private:
  void set_cause(const Field& cause);
  void withdraw_if_clear();
  [[nodiscard]] bool any_cause() const;
  /// True if a record of `source` has not been cleared yet.
  [[nodiscard]] bool pending(SourceId source) const;

  UnitState& state_;
  EventMessage event_;
  unsigned next_ = 0;  ///< index of the record that the next fault takes; kept by a warm reset, as the records are
};

}  // namespace vtd
