// SPDX-License-Identifier: MIT
// The registers and descriptors of the platform's DMA engine, a PCI function that guests drive (tlm/soc/dma_engine.h).
// Facts of this project, not of VT-d. Guest programs use this header too.
#pragma once

#include <cstdint>

#include "tlm/spec/field.h"

namespace vtd::dma_engine {

inline constexpr std::uint16_t kVendorId = 0x1234;
inline constexpr std::uint16_t kDeviceId = 0x7D5E;
inline constexpr std::uint32_t kClassCode = 0x08'80'00;  ///< base system peripheral, other
inline constexpr std::uint32_t kBarSize = 0x1000;

// ---- registers: 64 bits, byte offsets in BAR 0; accesses of 8 bytes, or 4 bytes of either half ----
inline constexpr std::uint64_t kId = 0x00;  ///< RO: kMagic
inline constexpr std::uint64_t kMagic = 0x314E'4547'4E45'4456;
inline constexpr std::uint64_t kControl = 0x08;
inline constexpr Field kRun{"Run", 0, 0};                          ///< take descriptors from kHead to kTail
inline constexpr Field kReset{"Reset", 1, 1};                      ///< everything as after power-on; reads 0
inline constexpr Field kInterruptEnable{"InterruptEnable", 2, 2};  ///< MSI for descriptors that ask for one
inline constexpr std::uint64_t kRingBase = 0x10;                   ///< RW: address of descriptor 0, 64-byte aligned
inline constexpr std::uint64_t kRingSize = 0x18;                   ///< RW: descriptors, 1..4096
inline constexpr std::uint64_t kRingSizeMax = 4096;
inline constexpr std::uint64_t kTail = 0x20;  ///< RW: index after the last valid descriptor, < kRingSize
inline constexpr std::uint64_t kHead = 0x28;  ///< RO: index of the next descriptor to take
inline constexpr std::uint64_t kStatus = 0x30;
inline constexpr Field kBusy{"Busy", 0, 0};  ///< RO
/// W1C: a descriptor could not be read or written back. The engine has cleared kRun; kHead names the descriptor.
inline constexpr Field kRingFault{"RingFault", 1, 1};
inline constexpr std::uint64_t kCompleted = 0x38;    ///< RO: descriptors that ended without error
inline constexpr std::uint64_t kFailed = 0x40;       ///< RO: descriptors that ended with one
inline constexpr std::uint64_t kLiveAddress = 0x48;  ///< RW: 8-byte aligned
/// RW: microseconds, 0: off. Every period the engine writes the number of attempts so far to kLiveAddress, and reads
/// it back.
inline constexpr std::uint64_t kLivePeriod = 0x50;
inline constexpr std::uint64_t kLiveOk = 0x58;      ///< RO: attempts that read back what was written
inline constexpr std::uint64_t kLiveFailed = 0x60;  ///< RO: attempts that were refused, or read something else

// ---- descriptor: eight 64-bit words; the engine writes kResult and kDetail, and only these, when it has ended ----
using Descriptor = Record512;
enum class Operation : std::uint8_t {
  kNop = 0,
  kCopy = 1,      ///< source to destination
  kFill = 2,      ///< destination: kPattern over and over
  kGenerate = 3,  ///< destination: sequence(kPattern, i)
  kCheck = 4,     ///< source must hold sequence(kPattern, i)
};
inline constexpr Field kOperation{"Operation", 7, 0};
inline constexpr Field kInterrupt{"Interrupt", 8, 8};  ///< MSI when it has ended
inline constexpr Field kSource{"Source", 127, 64};
inline constexpr Field kDestination{"Destination", 191, 128};
inline constexpr Field kLength{"Length", 255, 192};  ///< bytes, a multiple of 8, at most kLengthMax
inline constexpr std::uint64_t kLengthMax = 0x0400'0000;
inline constexpr Field kPattern{"Pattern", 319, 256};
inline constexpr Field kDone{"Done", 384, 384};  ///< word 6
inline constexpr Field kError{"Error", 399, 392};
/// Word 7: bytes that were moved before the error; of kMismatch the offset of the first wrong word.
inline constexpr Field kDetail{"Detail", 511, 448};
enum class Error : std::uint8_t {
  kNone = 0,
  kSourceRefused = 1,
  kDestinationRefused = 2,
  kBadDescriptor = 3,
  kMismatch = 4,
};
inline constexpr unsigned kResultWord = 6;  ///< the two words from here on are written back as one access

/// Word `index` of the sequence that starts with `seed`.
constexpr std::uint64_t sequence(std::uint64_t seed, std::uint64_t index) {
  return (seed + index) * 0x9E37'79B9'7F4A'7C15 + index;
}

}  // namespace vtd::dma_engine
