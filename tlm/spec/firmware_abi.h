// SPDX-License-Identifier: MIT
// How the platform runs a firmware image natively (--cpu native): a shared object with one C entry point.
// On the instruction-set simulator the same hal functions are plain loads and stores.
#pragma once

#include <cstdint>

extern "C" {

/// Services of the platform for a native image. Every call may advance simulated time; a call may leave by
/// a C++ exception when the CPU is reset, so images are built with unwind tables.
struct VtdFirmwareHost {
  void* context;
  /// Register access of `bytes` (4 or 8), naturally aligned.
  std::uint64_t (*mmio_read)(void* context, std::uint64_t address, unsigned bytes);
  void (*mmio_write)(void* context, std::uint64_t address, std::uint64_t value, unsigned bytes);
  /// DRAM access of `bytes` (1, 2, 4 or 8), naturally aligned and therefore single-copy atomic.
  std::uint64_t (*mem_read)(void* context, std::uint64_t address, unsigned bytes);
  void (*mem_write)(void* context, std::uint64_t address, std::uint64_t value, unsigned bytes);
  /// DRAM fill and copy in units of bytes; not atomic.
  void (*mem_set)(void* context, std::uint64_t address, std::uint8_t value, std::uint64_t bytes);
  void (*mem_copy)(void* context, std::uint64_t to, std::uint64_t from, std::uint64_t bytes);
  /// 128-bit DRAM write as one access (the architecture needs it for context entries).
  void (*mem_write128)(void* context, std::uint64_t address, std::uint64_t low, std::uint64_t high);
};

/// The image's entry point; does not return. Exported by fw_a.so and fw_b.so under this name.
using VtdFirmwareEntry = void (*)(const VtdFirmwareHost* host);
inline constexpr const char* kVtdFirmwareEntryName = "vtd_firmware_entry";
}
