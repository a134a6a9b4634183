// SPDX-License-Identifier: MIT
// Words of the architecture: identifiers, addresses, kinds of access.
#pragma once

#include <compare>
#include <cstdint>

namespace vtd {

/// Input address of a DMA request, before translation.
using Iova = std::uint64_t;
/// Host physical address.
using PhysAddr = std::uint64_t;

inline constexpr std::uint64_t kPageSize = 4096;  ///< bytes of a 4 KiB page, and of every table
inline constexpr unsigned kPageShift = 12;

/// PCI requester id: bus[15:8] device[7:3] function[2:0] (VT-d 3.4.1).
struct SourceId {
  std::uint16_t value = 0;
  [[nodiscard]] constexpr std::uint8_t bus() const { return static_cast<std::uint8_t>(value >> 8); }
  [[nodiscard]] constexpr std::uint8_t devfn() const { return static_cast<std::uint8_t>(value); }
  friend constexpr auto operator<=>(const SourceId&, const SourceId&) = default;
};

constexpr SourceId make_source_id(unsigned bus, unsigned device, unsigned function) {
  return SourceId{static_cast<std::uint16_t>((bus << 8) | (device << 3) | function)};
}

/// Domain identifier; tags cached translations (VT-d 6.2). Width is 4 + 2 * CAP.ND bits.
struct DomainId {
  std::uint16_t value = 0;
  friend constexpr auto operator<=>(const DomainId&, const DomainId&) = default;
};

/// Process address space identifier, 20 bits.
struct Pasid {
  std::uint32_t value = 0;
  friend constexpr auto operator<=>(const Pasid&, const Pasid&) = default;
};

/// What a request wants to do. A zero-length read needs R, or W when CAP.ZLR=1 (VT-d 3.7.1).
enum class Access : std::uint8_t { kRead = 0, kWrite = 1, kZeroLengthRead = 2, kAtomic = 3 };

constexpr bool writes(Access a) {
  return a == Access::kWrite || a == Access::kAtomic;
}

/// AT field of a request (VT-d 4.1, 4.2).
enum class AddressType : std::uint8_t { kUntranslated = 0, kTranslationRequest = 1, kTranslated = 2 };

/// RTADDR.TTM (VT-d 11.4.5).
enum class TableMode : std::uint8_t { kLegacy = 0, kScalable = 1, kReserved = 2, kAbortDma = 3 };

/// Reset of the unit. A firmware warm reset (kexec) is not one of them: it leaves the unit alone.
enum class ResetKind : std::uint8_t { kCold, kWarm };

/// First byte of the interrupt address range FEE0_0000..FEEF_FFFF (VT-d 3.14, 5.1.2).
inline constexpr std::uint64_t kInterruptBase = 0xFEE0'0000;
inline constexpr std::uint64_t kInterruptSize = 0x0010'0000;
constexpr bool in_interrupt_range(std::uint64_t address) {
  return address >= kInterruptBase && address < kInterruptBase + kInterruptSize;
}

}  // namespace vtd
