// SPDX-License-Identifier: MIT
#include "tlm/core/event_message.h"

namespace vtd {

void EventMessage::raise() {
  registers_.set_field(ids_.control, ectl::kIP, 1);
  if (registers_.field(ids_.control, ectl::kIM) == 0) send();
}

void EventMessage::control_written() {
  const bool pending = registers_.field(ids_.control, ectl::kIP) != 0;
  if (pending && registers_.field(ids_.control, ectl::kIM) == 0) send();
}

void EventMessage::send() {
  constexpr Field kUpper{"UPPER", 63, 32};
  const PhysAddr address = eaddr::kADDR.in_place(registers_.value(ids_.address)) |
                           kUpper.of(eaddr::kUADDR.get(registers_.value(ids_.upper_address)));
  registers_.set_field(ids_.control, ectl::kIP, 0);
  host_.message(address, static_cast<std::uint32_t>(eaddr::kDATA.get(registers_.value(ids_.data))));
}

}  // namespace vtd
