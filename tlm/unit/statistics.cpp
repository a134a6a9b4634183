// SPDX-License-Identifier: MIT
#include "tlm/unit/statistics.h"

#include <algorithm>

namespace vtd {

void StatisticsObserver::on_accept(const DmaRequest& request) {
  SourceStatistics& source = statistics_.sources[request.source];
  ++source.requests;
  source.in_flight_max = std::max(source.in_flight_max, ++source.in_flight);
}

void StatisticsObserver::on_end(const DmaRequest& request) {
  --statistics_.sources[request.source].in_flight;
}

void StatisticsObserver::on_fault(const Fault& fault) {
  ++statistics_.faults;
  ++statistics_.sources[fault.source].faults;
}

void StatisticsObserver::on_restart(const DmaRequest&) {
  ++statistics_.restarts;
}

void StatisticsObserver::on_cache(CacheId id, CacheEvent event, std::uint64_t count) {
  statistics_.caches[static_cast<std::size_t>(id)][static_cast<std::size_t>(event)] += count;
}

void StatisticsObserver::on_walk_begin(SourceId, const WalkRequest&) {
  ++statistics_.walks;
  statistics_.walks_in_flight_max = std::max(statistics_.walks_in_flight_max, ++statistics_.walks_in_flight);
}

void StatisticsObserver::on_walk_end(SourceId, const WalkRequest&, const WalkResponse& response) {
  --statistics_.walks_in_flight;
  statistics_.walk_reads += response.reads;
}

void StatisticsObserver::on_invalidation_end(const Invalidation&) {
  ++statistics_.invalidations;
}

void StatisticsObserver::on_wait_complete(std::uint32_t) {
  ++statistics_.waits;
}

}  // namespace vtd
