// SPDX-License-Identifier: MIT
// Interrupt remapping (VT-d 5): from a 32-bit write to FEEx_xxxx to the message that leaves the unit.
#pragma once

#include <cstdint>

#include "tlm/core/in_flight.h"
#include "tlm/core/request.h"
#include "tlm/core/unit_state.h"

namespace vtd {

/// A write to FEEx_xxxx without PASID is an interrupt request (VT-d 3.14).
[[nodiscard]] bool is_interrupt_request(const DmaRequest& request);
/// The index that a remappable request names; nullopt in compatibility format.
[[nodiscard]] std::optional<std::uint32_t> interrupt_index(const DmaRequest& request);
/// Checks the format of a present entry: kIrReserved or kNone.
[[nodiscard]] FaultReason check_interrupt_entry(const Profile& profile, const irte::Entry& entry);
/// SVT, SQ and SID (VT-d 9.10): whether `source` may use the entry.
[[nodiscard]] bool source_valid(const irte::Entry& entry, SourceId source);
/// The message of a remapped (not posted) entry; `extended`: 32-bit destinations.
[[nodiscard]] InterruptMessage remapped_message(const irte::Entry& entry, bool extended);

class InterruptRemapping {
 public:
  explicit InterruptRemapping(UnitState& state) : state_(state) {}

  /// What becomes of the flight's interrupt request. With IRE=0 it passes as it came. Faults: 20 (not 32 bits wide,
  /// reserved bits set), 21 to 28. May suspend.
  Result<Translation> remap(Flight& flight);

 private:
  struct Lookup {
    irte::Entry entry{};
    FaultReason fault = FaultReason::kNone;
  };
  Lookup entry_of(Flight& flight, std::uint32_t index);
  Result<Translation> post(Flight& flight, const irte::Entry& entry);
  /// Sets `bits` in a 64-bit word; the word as it was before. nullopt: bus error.
  std::optional<std::uint64_t> set_bits(PhysAddr address, std::uint64_t bits);

  UnitState& state_;
};

}  // namespace vtd
