// SPDX-License-Identifier: MIT
// Performs one invalidation: effect on the caches, then the wait for requests in flight (VT-d 6.5.3, 6.5.4).
#pragma once

#include "tlm/core/unit_state.h"

namespace vtd {

class Invalidator {
 public:
  explicit Invalidator(UnitState& state) : state_(state) {}

  /// Returns when the invalidation is complete: nothing covered is cached, no covered request can deliver what it
  /// read before, and with drain_reads/drain_writes (where CAP.DRD/DWD) what was translated before is visible.
  /// May suspend. False if the unit was reset meanwhile.
  [[nodiscard]] bool perform(const Invalidation& invalidation);

 private:
  [[nodiscard]] bool wait_for_held_requests(const Invalidation& invalidation);

  UnitState& state_;
};

}  // namespace vtd
