// SPDX-License-Identifier: MIT
// Paging-structure entries: second-stage (VT-d 9.8) and first-stage (9.7), levels and page sizes.
#pragma once

#include <cstdint>

#include "tlm/spec/field.h"
#include "tlm/spec/types.h"

namespace vtd {

inline constexpr unsigned kIndexBits = 9;   ///< index bits a level
inline constexpr unsigned kEntryBytes = 8;  ///< bytes of a paging entry
inline constexpr unsigned kEntriesPerTable = 512;
inline constexpr unsigned kMaxLevels = 5;

/// log2 of the bytes that one entry of `level` maps: level 1 -> 12, 2 -> 21, 3 -> 30, 4 -> 39, 5 -> 48.
constexpr unsigned level_shift(unsigned level) {
  return kPageShift + kIndexBits * (level - 1);
}
constexpr std::uint64_t level_size(unsigned level) {
  return bit(level_shift(level));
}
constexpr unsigned level_index(std::uint64_t address, unsigned level) {
  return static_cast<unsigned>((address >> level_shift(level)) & (kEntriesPerTable - 1));
}
/// Byte address of the entry that `address` selects in the table at `table`.
constexpr PhysAddr entry_address(PhysAddr table, std::uint64_t address, unsigned level) {
  return table + std::uint64_t{level_index(address, level)} * kEntryBytes;
}
/// True if `address` has bits at or above `width`.
constexpr bool beyond_width(std::uint64_t address, unsigned width) {
  return width < 64 && (address >> width) != 0;
}

/// Second-stage paging entry.
namespace ss {
inline constexpr Field kR{"R", 0, 0};
inline constexpr Field kW{"W", 1, 1};
inline constexpr Field kX{"X", 2, 2};
inline constexpr Field kEMT{"EMT", 5, 3};
inline constexpr Field kIPAT{"IPAT", 6, 6};
inline constexpr Field kPS{"PS", 7, 7};
inline constexpr Field kA{"A", 8, 8};
inline constexpr Field kD{"D", 9, 9};
inline constexpr Field kSNP{"SNP", 11, 11};
inline constexpr Field kADDR{"ADDR", 51, 12};
inline constexpr Field kTM{"TM", 62, 62};
inline constexpr Field kAll[] = {kR, kW, kX, kEMT, kIPAT, kPS, kA, kD, kSNP, kADDR, kTM};
}  // namespace ss

/// First-stage paging entry.
namespace fs {
inline constexpr Field kP{"P", 0, 0};
inline constexpr Field kRW{"RW", 1, 1};
inline constexpr Field kUS{"US", 2, 2};
inline constexpr Field kPWT{"PWT", 3, 3};
inline constexpr Field kPCD{"PCD", 4, 4};
inline constexpr Field kA{"A", 5, 5};
inline constexpr Field kD{"D", 6, 6};
inline constexpr Field kPS{"PS", 7, 7};
inline constexpr Field kG{"G", 8, 8};
inline constexpr Field kEA{"EA", 10, 10};
inline constexpr Field kADDR{"ADDR", 51, 12};
inline constexpr Field kPAT{"PAT", 12, 12};  ///< only in 2M and 1G leaves
inline constexpr Field kXD{"XD", 63, 63};
inline constexpr Field kAll[] = {kP, kRW, kUS, kPWT, kPCD, kA, kD, kPS, kG, kEA, kADDR, kPAT, kXD};
}  // namespace fs

}  // namespace vtd
