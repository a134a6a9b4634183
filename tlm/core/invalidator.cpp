// SPDX-License-Identifier: MIT
#include "tlm/core/invalidator.h"

namespace vtd {

bool Invalidator::perform(const Invalidation& asked) {
  Invalidation invalidation = asked;
  invalidation.domain.value = static_cast<std::uint16_t>(asked.domain.value % domain_count(state_.profile));
  invalidation.drain_reads = asked.drain_reads && state_.profile.drain_read;
  invalidation.drain_writes = asked.drain_writes && state_.profile.drain_write;

  state_.observer.on_invalidation_begin(invalidation);
  if (!state_.spend(Step::kInvalidate) || !wait_for_held_requests(invalidation)) return false;
  // No suspension between these: from here on the old translations do not exist.
  const Epoch epoch = state_.log.append(invalidation);
  state_.caches.invalidate(invalidation);
  state_.host.revoke_dmi();
  const auto of_walks = walk_invalidation(invalidation);
  if (of_walks && !state_.invalidate_walks(*of_walks)) return false;
  if (!state_.wait_until([&] { return state_.in_flight.settled(invalidation, epoch); })) return false;
  state_.log.forget(state_.in_flight.oldest_epoch(state_.log.now()));
  ++state_.statistics.invalidations;
  state_.observer.on_invalidation_end(invalidation);
  return true;
}

bool Invalidator::wait_for_held_requests(const Invalidation& invalidation) {
  if (!state_.in_flight.holds_back(invalidation)) return true;
  ++state_.statistics.invalidations_held;
  return state_.wait_until([&] { return !state_.in_flight.holds_back(invalidation); });
}

}  // namespace vtd
