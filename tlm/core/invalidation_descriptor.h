// SPDX-License-Identifier: MIT
// Decodes invalidation descriptors (VT-d 6.5.2): what one asks for, or why it is bad. Pure.
#pragma once

#include <cstdint>
#include <variant>

#include "tlm/core/observer.h"
#include "tlm/spec/capability.h"
#include "tlm/spec/descriptor.h"
#include "tlm/spec/types.h"

namespace vtd {

enum class DescriptorWidth : std::uint8_t { k128, k256 };

[[nodiscard]] constexpr unsigned bytes_of(DescriptorWidth width) {
  return width == DescriptorWidth::k128 ? kDescriptorBytes128 : kDescriptorBytes256;
}

/// A wait descriptor's request.
struct WaitCommand {
  bool write_status = false;  ///< SW
  bool interrupt = false;     ///< IF
  bool page_drain = false;    ///< PD
  PhysAddr status_address = 0;
  std::uint32_t status_data = 0;
};

using DecodedDescriptor = std::variant<Invalidation, DeviceTlbInvalidation, PageResponse, WaitCommand, QueueError>;

/// All types in 128- and 256-bit form. Errors, in the order checked: kInvalidTableMode (`mode` reserved or abort),
/// kInvalidWidth (scalable with 128 bit), kInvalidType (unknown, type[6:4] set, 3 and 8 without ECAP.DT, 6 and 7
/// outside scalable mode, 8 without ECAP.PASID, 9 without ECAP.PRS), kReservedField (unused bits, reserved
/// granularity, AM > MAMV, IM > MHMV, PD without ECAP.PDS, words 2 and 3). Type 4 is valid without ECAP.IR too:
/// nothing is cached then (QEMU does the same).
[[nodiscard]] DecodedDescriptor decode(const descriptor::Entry& raw, DescriptorWidth width, TableMode mode,
                                       const Profile& profile);

}  // namespace vtd
