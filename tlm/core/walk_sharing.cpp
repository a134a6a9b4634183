// SPDX-License-Identifier: MIT
#include "tlm/core/walk_sharing.h"

namespace vtd {

WalkSharing::Outcome WalkSharing::walk(const Flight& flight, const WalkRequest& request) {
  if (const auto other = find(flight, request)) {
    const bool answered = state_.wait_until([&] { return other->done; });
    if (!answered || other->response.fault == FaultReason::kNone) {
      ++state_.statistics.walks_shared;
      return {other->response, true};
    }
  }
  return {walk_alone(flight, request), false};
}

std::shared_ptr<WalkSharing::OpenWalk> WalkSharing::find(const Flight& flight, const WalkRequest& request) const {
  for (const auto& walk : open_) {
    const bool same = walk->source == flight.request.source && walk->domain == flight.tag.domain &&
                      walk->pasid == flight.tag.pasid && walk->request == request;
    if (same && !state_.log.covered_since(walk->epoch, flight.tag)) return walk;
  }
  return nullptr;
}

WalkResponse WalkSharing::walk_alone(const Flight& flight, const WalkRequest& request) {
  const SourceId source = flight.request.source;
  auto walk = std::make_shared<OpenWalk>();
  walk->source = source;
  walk->domain = flight.tag.domain;
  walk->pasid = flight.tag.pasid;
  walk->request = request;
  walk->epoch = flight.epoch;
  open_.push_back(walk);

  ++state_.statistics.walks;
  state_.observer.on_walk_begin(source, request);
  walk->response = state_.host.walk(request);
  walk->done = true;
  state_.observer.on_walk_end(source, request, walk->response);
  open_.remove(walk);
  state_.host.notify_progress();
  return walk->response;
}

}  // namespace vtd
