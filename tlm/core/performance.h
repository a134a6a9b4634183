// SPDX-License-Identifier: MIT
// Performance counters and the enhanced commands that control them (VT-d 11.4.13, 11.4.15).
#pragma once

#include <array>
#include <cstdint>

#include "tlm/core/event_message.h"
#include "tlm/core/observer.h"
#include "tlm/core/unit_state.h"

namespace vtd {

/// Counts what it observes. Two counters of 48 bits, without filters; their registers and events are in
/// tlm/spec/registers.h. An overflow sets the counter's overflow bit and, with INT, PERFINTRSTS.PIS and the event.
class Performance final : public Observer {
 public:
  /// Joins a unit whose profile has performance counters; before the first event.
  void join(UnitState& state);

  /// Software wrote ECMD: done at once; the status is in ECRSP.
  void command_written(const RegisterWrite& write);
  /// Software wrote PERFINTRSTS or PERFINTRCTL.
  void status_written();
  void control_written();
  void reset();

  void on_accept(const DmaRequest& request) override;
  void on_cache(CacheId id, CacheEvent event, std::uint64_t count) override;
  void on_table_read() override { count(perf::kMemoryReads, 1); }
  void on_walk_end(SourceId source, const WalkRequest& request, const WalkResponse& response) override;
  void on_page_request(const PageRequest& request) override;

 private:
  struct Counter {
    std::uint64_t configuration = 0;
    std::uint64_t value = 0;
    bool enabled = false;
  };
  void count(const perf::Event& event, std::uint64_t times);
  [[nodiscard]] std::uint64_t command(std::uint64_t code, std::uint64_t operand);
  [[nodiscard]] std::uint64_t* word_of(std::uint64_t offset);

  UnitState* state_ = nullptr;
  std::optional<EventMessage> event_;
  std::array<Counter, perf::kCounterCount> counters_{};
  std::uint64_t overflowed_ = 0;  ///< one bit a counter
  bool frozen_ = false;
};

}  // namespace vtd
