// SPDX-License-Identifier: MIT
// The only way firmware touches registers and guest memory. On the instruction-set simulator these are plain loads
// and stores; a native image calls the platform (tlm/spec/firmware_abi.h). Everything that another image or the
// hardware may look at (tables, records, queues) goes through here; C++ globals and the stack are private to the CPU.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "tlm/spec/firmware_abi.h"
#include "tlm/spec/platform.h"
#include "tlm/spec/types.h"

namespace vtd::fw {
using platform::Status;
constexpr bool ok(Status s) {
  return s == Status::kOk;
}
}  // namespace vtd::fw

namespace vtd::fw::hal {

/// Connects a native image, or a test, to its platform. Not used on the instruction-set simulator.
void bind(const VtdFirmwareHost* host);

// ---- registers: naturally aligned, true width ------------------------------------------------------------
[[nodiscard]] std::uint32_t mmio_read32(PhysAddr address);
[[nodiscard]] std::uint64_t mmio_read64(PhysAddr address);
void mmio_write32(PhysAddr address, std::uint32_t value);
void mmio_write64(PhysAddr address, std::uint64_t value);

// ---- memory: naturally aligned, each access single-copy atomic --------------------------------------------
[[nodiscard]] std::uint8_t read8(PhysAddr address);
[[nodiscard]] std::uint16_t read16(PhysAddr address);
[[nodiscard]] std::uint32_t read32(PhysAddr address);
[[nodiscard]] std::uint64_t read64(PhysAddr address);
void write8(PhysAddr address, std::uint8_t value);
void write16(PhysAddr address, std::uint16_t value);
void write32(PhysAddr address, std::uint32_t value);
void write64(PhysAddr address, std::uint64_t value);
/// One 128-bit access, 16-byte aligned: what a context entry needs to never be seen torn.
void write128(PhysAddr address, std::uint64_t low, std::uint64_t high);

/// Not atomic. `bytes` and the addresses are multiples of 8.
void fill(PhysAddr to, std::uint8_t value, std::uint64_t bytes);
void copy(PhysAddr to, PhysAddr from, std::uint64_t bytes);
/// Do all units snoop the CPU's cache (ECAP.C=1)? So it is assumed until somebody says otherwise.
enum class Coherency : std::uint8_t { kSnooped, kNotSnooped };
void assume(Coherency coherency);
/// Makes CPU writes visible to units that do not snoop; nothing to do where all do.
void flush(PhysAddr address, std::uint64_t bytes);
/// The same for all of memory: before the CPU loses its cache.
void flush_everything();

/// A record of the handover image, copied word by word.
template <typename T>
[[nodiscard]] T load(PhysAddr address) {
  static_assert(std::is_trivially_copyable_v<T> && sizeof(T) % 8 == 0);
  std::array<std::uint64_t, sizeof(T) / 8> words{};
  for (std::size_t i = 0; i < words.size(); ++i) words[i] = read64(address + i * 8);
  return std::bit_cast<T>(words);
}
template <typename T>
void store(PhysAddr address, const T& value) {
  static_assert(std::is_trivially_copyable_v<T> && sizeof(T) % 8 == 0);
  const auto words = std::bit_cast<std::array<std::uint64_t, sizeof(T) / 8>>(value);
  for (std::size_t i = 0; i < words.size(); ++i) write64(address + i * 8, words[i]);
}

/// Reads how much memory there is; once, before anything asks.
void discover_memory();
/// Bytes of DRAM.
[[nodiscard]] std::uint64_t memory_size();

// ---- time --------------------------------------------------------------------------------------------------
inline constexpr std::uint64_t kMicrosecond = 1000;
inline constexpr std::uint64_t kSecond = 1'000'000'000;
inline constexpr std::uint64_t kPollBudget = kSecond;      ///< longest a handshake may take, ns
inline constexpr std::uint64_t kPollSleep = kMicrosecond;  ///< first pause between polls, ns; doubles
inline constexpr std::uint64_t kPollSleepMax = 64 * kMicrosecond;

[[nodiscard]] std::uint64_t now();  ///< nanoseconds of simulated time
void sleep(std::uint64_t nanoseconds);

/// Calls `ready` until it is true, sleeping between calls so that simulated time goes on. kTimeout after `budget` ns.
template <typename Predicate>
[[nodiscard]] Status poll(Predicate&& ready, std::uint64_t budget = kPollBudget) {
  if (ready()) return Status::kOk;
  const std::uint64_t start = now();
  for (std::uint64_t pause = kPollSleep;; pause = pause < kPollSleepMax ? pause * 2 : pause) {
    sleep(pause);
    if (ready()) return Status::kOk;
    if (now() - start >= budget) return Status::kTimeout;
  }
}

}  // namespace vtd::fw::hal
