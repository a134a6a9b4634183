// SPDX-License-Identifier: MIT
// What a remapping unit needs from its surroundings. Every call marked "may suspend" may let simulated time
// pass and other requests run: nothing about a request in flight may live in the unit's members, and no cache
// reference survives such a call.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "tlm/core/request.h"
#include "tlm/core/walker.h"
#include "tlm/spec/types.h"

namespace vtd {

/// The processes of a unit that work on their own. The host calls RemappingUnit::run(engine) after wake().
enum class Engine : std::uint8_t {
  kCommand,  ///< GCMD commands and register-based invalidations (CCMD, IOTLB)
  kQueue,    ///< the invalidation queue
};

/// Steps of the unit that take time; the shell's timing table says how long each lasts.
enum class Step : std::uint8_t {
  kContextCacheLookup,
  kPasidCacheLookup,
  kIotlbLookup,
  kInterruptLookup,  ///< interrupt entry cache
  kCommand,          ///< a GCMD command, after draining
  kInvalidate,       ///< performing one invalidation
  kDescriptor,       ///< decoding one descriptor
  kCount
};

class Host {
 public:
  virtual ~Host() = default;

  /// Reads `out.size()` bytes (8, 16, 32 or 64, naturally aligned) as one access. False: bus error, `out`
  /// is then undefined. May suspend.
  [[nodiscard]] virtual bool read(PhysAddr address, std::span<std::uint64_t> out) = 0;
  /// As read, for descriptors of the invalidation queue: always snooped, whatever ECAP.C says of tables.
  [[nodiscard]] virtual bool read_descriptor(PhysAddr address, std::span<std::uint64_t> out) {
    return read(address, out);
  }
  /// Writes 32 bits: the status of a wait descriptor. False: bus error. May suspend.
  [[nodiscard]] virtual bool write32(PhysAddr address, std::uint32_t data) = 0;
  /// Writes `words` (8 to 32 bytes, naturally aligned) as one access: a page request. False: bus error. May suspend.
  [[nodiscard]] virtual bool write(PhysAddr address, std::span<const std::uint64_t> words) = 0;
  /// Atomically replaces `expected` by `desired` at an 8-byte aligned address; returns what was there (the exchange
  /// happened if that is `expected`), nullopt: bus error. May suspend.
  [[nodiscard]] virtual std::optional<std::uint64_t> compare_exchange(PhysAddr address, std::uint64_t expected,
                                                                      std::uint64_t desired) = 0;
  /// Sends an invalidation request to a device. Never suspends. The host calls UnitCore::device_answered() with its
  /// tag once: when the device has answered, or in time with kTimeout.
  virtual void invalidate_device(const DeviceTlbInvalidation& invalidation) = 0;
  /// Sends a page group response to a device. Never suspends.
  virtual void respond(const PageResponse& response) = 0;
  /// Sends a message-signalled interrupt. Never suspends.
  virtual void message(PhysAddr address, std::uint32_t data) = 0;
  /// Runs one walk to its end; the host assigns request.id. May suspend.
  [[nodiscard]] virtual WalkResponse walk(WalkRequest request) = 0;
  /// Makes covered walks in flight begin again and drops what the walker has cached of them; returns when that is
  /// complete. May suspend.
  virtual void invalidate_walks(const WalkInvalidation& invalidation) { static_cast<void>(invalidation); }
  /// Accounts for the time of a step. May suspend.
  virtual void spend(Step step) = 0;
  /// Suspends the caller until notify_progress() is called; may return early.
  virtual void wait_progress() = 0;
  /// Some request in flight ended, restarted or changed phase. Never suspends.
  virtual void notify_progress() = 0;
  /// The engine has work; the host arranges a call of RemappingUnit::run(engine). Never suspends.
  virtual void wake(Engine engine) = 0;
  /// Translations that DMI pointers may have been built on are about to change: revoke them. Never suspends.
  virtual void revoke_dmi() = 0;
};

}  // namespace vtd
