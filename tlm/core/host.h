// SPDX-License-Identifier: MIT
// What a remapping unit needs from its surroundings. Every call marked "may suspend" may let simulated time
// pass and other requests run: nothing about a request in flight may live in the unit's members, and no cache
// reference survives such a call.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

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
  kIotlbLookup,
  kCommand,     ///< a GCMD command, after draining
  kInvalidate,  ///< performing one invalidation
  kDescriptor,  ///< decoding one descriptor
};

class Host {
 public:
  virtual ~Host() = default;

  /// Reads `out.size()` bytes (8, 16, 32 or 64, naturally aligned) as one access. False: bus error, `out`
  /// is then undefined. May suspend.
  [[nodiscard]] virtual bool read(PhysAddr address, std::span<std::uint64_t> out) = 0;
  /// Writes 32 bits: the status of a wait descriptor. False: bus error. May suspend.
  [[nodiscard]] virtual bool write32(PhysAddr address, std::uint32_t data) = 0;
  /// Sends a message-signalled interrupt. Never suspends.
  virtual void message(PhysAddr address, std::uint32_t data) = 0;
  /// Runs one walk to its end; the host assigns request.id. May suspend.
  [[nodiscard]] virtual WalkResponse walk(WalkRequest request) = 0;
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
