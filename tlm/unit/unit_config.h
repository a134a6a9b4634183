// SPDX-License-Identifier: MIT
// How one remapping unit is built. No SystemC: scenario readers use it too.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "tlm/core/caches.h"
#include "tlm/spec/capability.h"
#include "tlm/spec/types.h"
#include "tlm/unit/timing.h"

namespace vtd {

enum class WalkerKind : std::uint8_t {
  kModel,     ///< ReferenceWalker, C++
  kRtl,       ///< Verilated RTL
  kLockstep,  ///< RTL, every read and result checked against the rules
};

enum class TimingMode : std::uint8_t {
  kLooselyTimed,  ///< a request that hits only annotates its delay
  kCycleTrue,     ///< every request starts at a clock edge and every lookup takes its time
};

/// How the walker is clocked. Cycle stamps are the same.
enum class Stepping : std::uint8_t { kBurst, kEveryCycle };

struct UnitConfig {
  Profile profile{};
  CacheConfig caches{};
  Timing timing{};
  TimingMode mode = TimingMode::kLooselyTimed;
  WalkerKind walker = WalkerKind::kModel;
  Stepping stepping = Stepping::kBurst;
  unsigned model_walks = 16;     ///< walks side by side in the C++ walker, 1..64 (the RTL's is a build parameter)
  bool structure_caches = true;  ///< use the RTL walker's paging-structure caches
  bool walk_sharing = true;      ///< let walks of one page share one answer in the RTL walker
  bool dmi = false;              ///< grant DMI on dma sockets with a fixed source-id (loosely timed, no waves)
  unsigned nb_processes = 16;    ///< processes that serve nb_transport, >= 1
  std::uint64_t seed = 1;
  /// One dma socket each; a source-id fixes the requester, nullopt takes it from DmaExtension.
  std::vector<std::optional<SourceId>> dma_ports{};
};

}  // namespace vtd
