// SPDX-License-Identifier: MIT
// A unit's transaction-level signals in the wave file.
#pragma once

#include <map>
#include <string>

#include "tlm/core/observer.h"
#include "tlm/unit/unit_config.h"
#include "tlm/unit/wave_file.h"

namespace vtd {

/// Signals, below the scope of the unit's name:
///   gsts, tes, iqh, iqt, fsts      registers, as stored
///   walks_in_flight                asked for and not yet answered
///   in_flight, in_flight_BB_DD_F   requests in the unit: all, and of each socket's fixed requester
///   context / iotlb                hits, misses, fills, invalidated: counters that wrap at 16 bits
///   fault_count, fault_reason, fault_source, fault_address   the last fault, recorded or not
///   invalidation, invalidations    the last that began, as text; how many have completed
///   wait_status                    data of the last wait descriptor
class WaveSignals final : public Observer {
 public:
  WaveSignals(WaveFile& waves, const std::string& scope, const UnitConfig& config);

  void on_accept(const DmaRequest& request) override;
  void on_fault(const Fault& fault) override;
  void on_end(const DmaRequest& request) override;
  void on_cache(CacheId id, CacheEvent event, std::uint64_t count) override;
  void on_walk_begin(SourceId source, const WalkRequest& request) override;
  void on_walk_end(SourceId source, const WalkRequest& request, const WalkResponse& response) override;
  void on_invalidation_begin(const Invalidation& invalidation) override;
  void on_invalidation_end(const Invalidation& invalidation) override;
  void on_wait_complete(std::uint32_t status_data) override;
  void on_register(RegId id, std::uint64_t value) override;

 private:
  struct Counter {
    SignalId signal{};
    std::uint64_t value = 0;
  };
  void show(SignalId signal, std::uint64_t value);
  void show(const Counter& counter) { show(counter.signal, counter.value); }
  void add_to(Counter& counter, std::uint64_t amount);
  void take_from(Counter& counter);

  WaveFile& waves_;
  std::map<RegId, SignalId> registers_;
  SignalId tes_{};
  Counter walks_;
  Counter in_flight_;
  std::map<SourceId, Counter> in_flight_of_;
  std::map<std::pair<CacheId, CacheEvent>, Counter> caches_;
  Counter faults_;
  SignalId fault_reason_{};
  SignalId fault_source_{};
  SignalId fault_address_{};
  SignalId invalidation_{};
  Counter invalidations_;
  SignalId wait_status_{};
};

/// What an invalidation covers, in at most 32 characters: "iotlb domain 5".
[[nodiscard]] std::string in_words(const Invalidation& invalidation);

}  // namespace vtd
