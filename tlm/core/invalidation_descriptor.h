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
  PhysAddr status_address = 0;
  std::uint32_t status_data = 0;
};
/// Nothing to do: interrupt-entry invalidation in a unit without interrupt remapping. Nothing is cached, so the
/// descriptor is valid and complete at once (QEMU does the same).
struct NoOperation {};

using DecodedDescriptor = std::variant<Invalidation, WaitCommand, NoOperation, QueueError>;

/// Types 1, 2, 4 and 5 in 128- and 256-bit form. Errors, in the order checked: kInvalidTableMode (`mode` reserved
/// or abort), kInvalidWidth (scalable with 128 bit), kInvalidType (unknown, type[6:4] set, 3 without ECAP.DT, 6 and
/// up: scalable only), kReservedField (unused bits, G = 0, AM > MAMV, PD without page requests, words 2 and 3).
[[nodiscard]] DecodedDescriptor decode(const descriptor::Entry& raw, DescriptorWidth width, TableMode mode,
                                       const Profile& profile);

}  // namespace vtd
