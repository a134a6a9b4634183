// SPDX-License-Identifier: MIT
// The state that the parts of a unit share, and the two ways in which they wait.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <utility>

#include "tlm/core/caches.h"
#include "tlm/core/host.h"
#include "tlm/core/in_flight.h"
#include "tlm/core/invalidation.h"
#include "tlm/core/observer.h"
#include "tlm/core/register_file.h"
#include "tlm/core/table_lookup.h"

namespace vtd {

/// What software did although the architecture forbids it. The unit goes on as documented at each.
enum class Misuse : std::uint8_t {
  kCommandWhilePending,               ///< GCMD written before the last command's status; done in order
  kSeveralCommands,                   ///< one GCMD write asked for several changes; done in order
  kRegisterInvalidationWithQueue,     ///< CCMD/IOTLB command with QIES=1; ignored, ICC/IVT stay set
  kRegisterInvalidationWhilePending,  ///< second CCMD/IOTLB command before the first was done; ignored
  kQueueDisabledWhileBusy,            ///< QIE 1->0 with IQH != IQT; stops after the current descriptor
  kStatusWriteFailed,                 ///< a wait descriptor's status address gave a bus error; goes on
  kCount
};

class MisuseCounters {
 public:
  void add(Misuse what) { ++counts_[static_cast<std::size_t>(what)]; }
  [[nodiscard]] std::uint64_t of(Misuse what) const { return counts_[static_cast<std::size_t>(what)]; }

 private:
  std::array<std::uint64_t, static_cast<std::size_t>(Misuse::kCount)> counts_{};
};

/// Event counts since construction; a reset does not clear them.
struct CoreStatistics {
  std::uint64_t accepted = 0;
  std::uint64_t translated = 0;  ///< by tables or pass-through
  std::uint64_t passed = 0;      ///< untranslated: TE=0 or an interrupt message
  std::uint64_t faults = 0;
  std::uint64_t faults_recorded = 0;
  std::uint64_t restarts = 0;      ///< passes abandoned because of a covering invalidation
  std::uint64_t walks = 0;         ///< walks asked of the host
  std::uint64_t walks_shared = 0;  ///< requests served by another request's walk
  std::uint64_t invalidations = 0;
  std::uint64_t interrupts = 0;             ///< remapped or posted
  std::uint64_t page_requests = 0;          ///< written to the page request queue
  std::uint64_t page_requests_dropped = 0;  ///< the queue was full, or memory gave a bus error
  std::uint64_t invalidations_held = 0;     ///< held back by a request that was restarted too often
};

/// Commands that Engine::kCommand performs, in order.
using CommandFifo = std::deque<std::function<void()>>;

struct UnitState {
  UnitState(const Profile& p, const CacheConfig& config, Host& h, Observer& o, std::uint64_t seed)
      : profile(p), host(h), observer(o), registers(p, o), caches(config, seed, o), in_flight(h, o) {}

  Profile profile;
  Host& host;
  Observer& observer;
  RegisterFile registers;
  Caches caches;
  InFlight in_flight;
  InvalidationLog log;
  RootPointer root{};                 ///< as latched by SRTP
  std::uint64_t interrupt_root = 0;   ///< IRTA as latched by SIRTP
  bool interrupt_remapping = false;   ///< for requests accepted from now on; GSTS.IRES follows
  bool compatibility_format = false;  ///< GSTS.CFIS
  bool remapping = false;             ///< translation for requests accepted from now on; GSTS.TES follows
  std::uint64_t generation = 0;       ///< number of resets
  CommandFifo commands;
  MisuseCounters misuse;
  CoreStatistics statistics;

  /// Suspends until `done()`; false if the unit was reset meanwhile and the caller must give up.
  template <typename Condition>
  [[nodiscard]] bool wait_until(Condition done) {
    const std::uint64_t born = generation;
    while (!done()) {
      host.wait_progress();
      if (generation != born) return false;
    }
    return true;
  }
  /// Accounts for a step; false if the unit was reset meanwhile.
  [[nodiscard]] bool spend(Step step) {
    const std::uint64_t born = generation;
    host.spend(step);
    return generation == born;
  }
  /// Tells the walker; false if the unit was reset meanwhile.
  [[nodiscard]] bool invalidate_walks(const WalkInvalidation& invalidation) {
    const std::uint64_t born = generation;
    host.invalidate_walks(invalidation);
    return generation == born;
  }
  /// Hands a command to Engine::kCommand.
  void command(std::function<void()> work) {
    commands.push_back(std::move(work));
    host.wake(Engine::kCommand);
  }
};

}  // namespace vtd
