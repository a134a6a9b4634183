// SPDX-License-Identifier: MIT
// Configuration space of a conventional PCI function, as far as the platform's functions have one: type 0 header, one
// 32-bit memory BAR, one MSI capability (PCI Local Bus 3.0 sections 6.1, 6.2.5, 6.8.1).
#pragma once

#include <cstdint>

#include "tlm/spec/field.h"

namespace vtd::pci {

inline constexpr unsigned kConfigSize = 256;

// ---- header, byte offsets ----
inline constexpr unsigned kVendorId = 0x00;
inline constexpr unsigned kDeviceId = 0x02;
inline constexpr unsigned kCommand = 0x04;
inline constexpr unsigned kStatus = 0x06;
inline constexpr unsigned kRevisionId = 0x08;  ///< and the class code in the three bytes above it
inline constexpr unsigned kHeaderType = 0x0E;
inline constexpr unsigned kBar0 = 0x10;
inline constexpr unsigned kSubsystemVendorId = 0x2C;
inline constexpr unsigned kSubsystemId = 0x2E;
inline constexpr unsigned kCapabilities = 0x34;
inline constexpr unsigned kInterruptLine = 0x3C;

namespace command {
inline constexpr Field kMemory{"MEM", 1, 1};
inline constexpr Field kBusMaster{"BME", 2, 2};
inline constexpr Field kInterruptDisable{"INTxDisable", 10, 10};
inline constexpr std::uint16_t kWritable =
    static_cast<std::uint16_t>(kMemory.mask() | kBusMaster.mask() | kInterruptDisable.mask());
}  // namespace command

namespace status {
inline constexpr Field kCapabilityList{"CapabilitiesList", 4, 4};
}  // namespace status

// ---- MSI capability with a 64-bit address and one message ----
namespace msi {
inline constexpr unsigned kOffset = 0x50;  ///< where our functions have it
inline constexpr std::uint8_t kId = 0x05;
inline constexpr unsigned kControl = kOffset;  ///< message control is the upper half of this word
inline constexpr unsigned kAddress = kOffset + 4;
inline constexpr unsigned kAddressHigh = kOffset + 8;
inline constexpr unsigned kData = kOffset + 12;
// ---- fields of that word ----
inline constexpr Field kCapabilityId{"CapabilityID", 7, 0};
inline constexpr Field kEnable{"MSIE", 16, 16};
inline constexpr Field k64Bit{"C64", 23, 23};
inline constexpr std::uint32_t kAddressWritable = 0xFFFF'FFFC;
inline constexpr std::uint32_t kDataWritable = 0xFFFF;
}  // namespace msi

}  // namespace vtd::pci
