// SPDX-License-Identifier: MIT
#include "tlm/core/in_flight.h"

#include <algorithm>

namespace vtd {
namespace {

/// An atomic is both.
bool drained_by(const Invalidation& invalidation, Access access) {
  const bool reads = access != Access::kWrite;
  return (reads && invalidation.drain_reads) || (writes(access) && invalidation.drain_writes);
}

}  // namespace

InFlight::Position InFlight::add(const Flight& flight) {
  flights_.push_back(flight);
  flights_.back().serial = next_serial_++;
  observer_.on_accept(flight.request);
  return std::prev(flights_.end());
}

void InFlight::remove(Position position) {
  const DmaRequest request = position->request;
  flights_.erase(position);
  observer_.on_end(request);
  host_.notify_progress();
}

bool InFlight::holds_back(const Invalidation& invalidation) const {
  return std::any_of(flights_.begin(), flights_.end(), [&](const Flight& f) {
    return f.phase == FlightPhase::kTranslating && f.remapped && f.restarts >= kMaxRestarts &&
           covers(invalidation, f.tag);
  });
}

bool InFlight::settled(const Invalidation& invalidation, Epoch epoch) const {
  return std::none_of(flights_.begin(), flights_.end(), [&](const Flight& f) {
    if (!f.remapped || f.epoch >= epoch || !covers(invalidation, f.tag)) return false;
    if (f.phase == FlightPhase::kTranslating) return true;
    return f.phase == FlightPhase::kTranslated && drained_by(invalidation, f.request.access);
  });
}

bool InFlight::drained_before(std::uint64_t serial) const {
  return std::none_of(flights_.begin(), flights_.end(),
                      [&](const Flight& f) { return f.serial < serial && f.phase != FlightPhase::kRefused; });
}

bool InFlight::page_requests_done_before(std::uint64_t serial) const {
  return std::none_of(flights_.begin(), flights_.end(), [&](const Flight& f) {
    return f.request.page_request && f.serial < serial && f.phase != FlightPhase::kRefused;
  });
}

Epoch InFlight::oldest_epoch(Epoch now) const {
  for (const Flight& f : flights_)
    if (f.phase == FlightPhase::kAccepted || f.phase == FlightPhase::kTranslating) now = std::min(now, f.epoch);
  return now;
}

}  // namespace vtd
