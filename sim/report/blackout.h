// SPDX-License-Identifier: MIT
// Phases of a live update, from what the firmware does: commands, states, the reset, its first invalidation after it.
// What each costs, and what DMA meets meanwhile.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "tlm/soc/platform.h"

namespace vtd::sim {

/// One phase; times in nanoseconds of simulated time.
struct UpdatePhase {
  std::string_view name{};
  std::uint64_t begin_ns = 0;
  std::uint64_t end_ns = 0;
  std::uint64_t walks = 0;
  std::uint64_t invalidations = 0;
  std::uint64_t dma = 0;  ///< transfers of streams that ended in the phase
  std::uint64_t latency_sum_ns = 0;
  std::uint64_t latency_max_ns = 0;
};

/// One live update, its phases in order and without gaps from the reset on; `preserve` to `place` each from the first
/// such command to the end of the last.
struct UpdateReport {
  std::vector<UpdatePhase> phases;
  std::uint64_t preserved_pages = 0;        ///< in the tracker at the reset
  std::uint64_t reset_ns = 0;               ///< when it was
  std::uint64_t first_invalidation_ns = 0;  ///< from the reset to it; 0: none
  [[nodiscard]] const UpdatePhase* find(std::string_view name) const;
};

/// Watches a platform from its construction on.
class BlackoutMeter {
 public:
  explicit BlackoutMeter(soc::Platform& platform);
  /// Of the updates that came to their reset.
  [[nodiscard]] const std::vector<UpdateReport>& updates() const { return updates_; }

 private:
  struct Counts {
    std::uint64_t ns = 0, walks = 0, invalidations = 0, dma = 0, latency_sum_ns = 0;
  };
  void command(std::optional<platform::Command> command);
  void state(platform::LifecycleState state);
  void at_reset(platform::reset::Kind kind);
  void mmio(const soc::MmioAccess& access);
  [[nodiscard]] Counts now() const;
  void begin(const char* name);
  void end();

  soc::Platform& platform_;
  std::vector<UpdatePhase> outgoing_;  ///< of the update that has not come to its reset
  std::vector<UpdateReport> updates_;
  const char* open_ = nullptr;  ///< name of the phase that goes on
  Counts begin_;
  bool incoming_ = false;  ///< between a reset and the end of the boot
};

}  // namespace vtd::sim
