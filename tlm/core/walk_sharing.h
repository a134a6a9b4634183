// SPDX-License-Identifier: MIT
// Requests that miss on the same page at the same time share one walk.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <optional>

#include "tlm/core/unit_state.h"
#include "tlm/core/walker.h"

namespace vtd {

class WalkSharing {
 public:
  explicit WalkSharing(UnitState& state) : state_(state) {}

  struct Outcome {
    WalkResponse response;
    bool shared = false;  ///< another request's walk answered
  };
  /// Walks for `flight`, or waits for a walk in flight with which source-id, DID, PASID, stages, tables, page,
  /// access and privilege agree
  /// and since whose epoch no covering invalidation came. A shared walk that faults is not believed: tables may
  /// legally have become more permissive since it read them; the request then walks itself. May suspend.
  Outcome walk(const Flight& flight, const WalkRequest& request);
  /// No walk is shared over a reset.
  void reset() { open_.clear(); }

 private:
  struct OpenWalk {
    SourceId source{};
    std::optional<DomainId> domain{};
    std::optional<Pasid> pasid{};
    WalkRequest request{};
    Epoch epoch = 0;
    bool done = false;
    WalkResponse response{};
  };
  [[nodiscard]] std::shared_ptr<OpenWalk> find(const Flight& flight, const WalkRequest& request) const;
  WalkResponse walk_alone(const Flight& flight, const WalkRequest& request);

  UnitState& state_;
  std::list<std::shared_ptr<OpenWalk>> open_;
};

}  // namespace vtd
