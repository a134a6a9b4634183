// SPDX-License-Identifier: MIT
// Every interleaving of the CPU's stores with a request: after each instruction that writes to memory, what would a
// request of the device that meets cold caches see? While a command of the firmware runs, only what it saw before the
// command or what it sees after it. The `systematic` step of a scenario.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tlm/soc/platform.h"

namespace vtd::sim {

class Interleaving {
 public:
  /// Requests that are tried.
  struct Probe {
    std::string device;
    std::optional<Pasid> pasid;
    Iova iova = 0;
    bool dma = false;  ///< a read by the device itself as well, through the caches as they are; the monitor judges it
  };

  /// Before the CPU starts; throws std::invalid_argument unless it tells its stores.
  explicit Interleaving(soc::Platform& platform);

  void watch(const Probe& probe) { probes_.push_back(probe); }
  void clear() { probes_.clear(); }
  /// A command begins.
  void begin();
  /// The command is done: what some request saw that is neither from before nor from after; empty if none did.
  [[nodiscard]] std::vector<std::string> end();
  /// Instructions that wrote to memory while commands ran.
  [[nodiscard]] std::uint64_t points() const { return points_; }

 private:
  void stored(const std::vector<soc::MemoryStore>& stores);
  /// Where a request goes, or why it does not; and through whose tables.
  struct Outcome {
    std::string to;
    std::optional<DomainId> domain{};
    friend bool operator==(const Outcome&, const Outcome&) = default;
  };
  [[nodiscard]] Outcome look(const Probe& probe) const;

  struct Seen {
    Outcome outcome;
    PhysAddr store = 0;  ///< the first one after which it was seen
  };
  soc::Platform& platform_;
  std::vector<Probe> probes_;
  bool running_ = false;
  std::vector<Outcome> before_;          ///< of each probe
  std::vector<std::vector<Seen>> seen_;  ///< of each probe, others than before_
  std::uint64_t points_ = 0;
};

}  // namespace vtd::sim
