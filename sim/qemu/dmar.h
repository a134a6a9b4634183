// SPDX-License-Identifier: MIT
// The ACPI table by which an operating system finds remapping units (VT-d 8).
#pragma once

#include <cstdint>
#include <vector>

#include "tlm/spec/types.h"

namespace vtd::qemu {

struct DmarTable {
  std::uint64_t unit_base = 0;
  unsigned host_address_width = 46;  ///< bits
  bool interrupt_remapping = false;  ///< announced; then the unit's scope has the I/O APIC too
  std::vector<SourceId> devices{};   ///< PCI functions on bus 0 in the unit's scope
};
inline constexpr std::uint8_t kIoApicId = 0;  ///< of QEMU's q35
/// What the I/O APIC calls itself; nothing is there.
inline constexpr SourceId kIoApicSource = make_source_id(0, 0x1E, 0);

/// The whole table, its checksum right.
[[nodiscard]] std::vector<std::uint8_t> make_dmar(const DmarTable& table);

}  // namespace vtd::qemu
