// SPDX-License-Identifier: MIT
// One event with its message (VT-d 11.4.7.2 to 11.4.7.5): instances are the fault event and the invalidation
// completion event.
#pragma once

#include "tlm/core/host.h"
#include "tlm/core/register_file.h"

namespace vtd {

class EventMessage {
 public:
  /// The four registers of the event: control (IM, IP), data, address, upper address.
  struct Registers {
    RegId control;
    RegId data;
    RegId address;
    RegId upper_address;
  };
  EventMessage(Registers ids, RegisterFile& registers, Host& host) : ids_(ids), registers_(registers), host_(host) {}

  /// The condition became true while none of its causes was set: sends the message, or leaves it pending (IP).
  void raise();
  /// Software wrote the control register: unmasking sends a pending message.
  void control_written();
  /// Every cause was cleared: nothing is pending any more.
  void withdraw() { registers_.set_field(ids_.control, ectl::kIP, 0); }

 private:
  void send();

  Registers ids_;
  RegisterFile& registers_;
  Host& host_;
};

}  // namespace vtd
