// SPDX-License-Identifier: MIT
// The invalidation queue (VT-d 6.5.2): IQH, IQT, IQA, ICS, IQE, ICE, ITE. One descriptor at a time, so that a wait
// completes after everything before it and a fence (FN) is always honoured. Only invalidation requests to devices
// stay outstanding behind their descriptor; a wait waits for their answers, and is aborted by a timeout.
#pragma once

#include <map>

#include "tlm/core/event_message.h"
#include "tlm/core/fault_log.h"
#include "tlm/core/invalidation_descriptor.h"
#include "tlm/core/invalidator.h"
#include "tlm/core/unit_state.h"

namespace vtd {

class InvalidationQueue {
 public:
  InvalidationQueue(UnitState& state, FaultLog& faults, Invalidator& invalidator);

  /// GCMD.QIE 0->1: latches IQA and sets IQH to 0. Call start() when GSTS.QIES shows it.
  void enable();
  /// Lets the engine look at the queue.
  void start();
  /// GCMD.QIE 1->0: returns when the current descriptor is finished. May suspend; false if the unit was reset.
  [[nodiscard]] bool disable();
  [[nodiscard]] bool enabled() const { return enabled_; }

  /// Software wrote IQT, IQA, ICS, IECTL or FSTS.
  void tail_written(const RegisterWrite& write);
  void base_written(const RegisterWrite& write);
  void status_written();
  void completion_status_written();
  void control_written() { event_.control_written(); }
  /// A device answered an invalidation request, or did not answer in time. Unknown tags are ignored.
  void device_answered(DeviceTag tag, DeviceAnswer answer);

  /// Processes descriptors until the queue is empty, stopped by an error or disabled. May suspend.
  void run();
  /// True while run() works on a descriptor.
  [[nodiscard]] bool busy() const { return busy_; }
  void reset();

 private:
  [[nodiscard]] bool ready() const;
  [[nodiscard]] bool stopped() const;
  /// Bad IQT or IQA bits; kNone if none.
  [[nodiscard]] QueueError pointer_error() const;
  [[nodiscard]] DescriptorWidth width() const;
  void process_next();
  [[nodiscard]] bool fetch(descriptor::Entry& out);
  /// False if the unit was reset meanwhile.
  [[nodiscard]] bool perform(const DecodedDescriptor& decoded);
  [[nodiscard]] bool send_to_device(DeviceTlbInvalidation invalidation);
  [[nodiscard]] bool complete_wait(const WaitCommand& wait);
  [[nodiscard]] std::size_t pending_at(SourceId source) const;
  void advance_head();

  UnitState& state_;
  FaultLog& faults_;
  Invalidator& invalidator_;
  EventMessage event_;
  std::map<DeviceTag, SourceId> pending_;  ///< invalidation requests without an answer
  DeviceTag next_tag_ = 0;
  std::uint64_t base_ = 0;      ///< IQA as latched by QIE
  bool base_reserved_ = false;  ///< reserved bits were written to IQA
  bool tail_reserved_ = false;  ///< the last write to IQT had reserved bits set
  bool enabled_ = false;
  bool running_ = false;
  bool busy_ = false;
};

}  // namespace vtd
