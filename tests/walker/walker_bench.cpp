// SPDX-License-Identifier: MIT
#include "tests/walker/walker_bench.h"

#include <algorithm>

#include "tlm/core/reference_walker.h"
#include "tlm/unit/lockstep_walker.h"
#include "tlm/unit/rtl_walker.h"

namespace vtd::test {
namespace {

constexpr unsigned kReferenceWalks = 16;
/// No answer comes later after the one before, with the longest stalls and latencies that tests use.
constexpr Edge kLongestSilence = 20'000;

}  // namespace

std::string name_of(WalkerUnderTest kind) {
  switch (kind) {
    case WalkerUnderTest::kReference:
      return "reference";
    case WalkerUnderTest::kRtl:
      return "rtl";
    default:
      return "lockstep";
  }
}

std::unique_ptr<Walker> make_walker(WalkerUnderTest kind, const WalkerConfig& config, std::uint32_t seed) {
  switch (kind) {
    case WalkerUnderTest::kReference:
      return std::make_unique<ReferenceWalker>(config, kReferenceWalks);
    case WalkerUnderTest::kRtl:
      return std::make_unique<RtlWalker>(config, seed);
    default:
      return std::make_unique<LockstepWalker>(std::make_unique<RtlWalker>(config, seed), config);
  }
}

std::vector<Walked> WalkerBench::run(const std::vector<WalkRequest>& requests) {
  flights_.assign(walker_.capacity(), std::nullopt);
  Progress progress{.requests = requests, .next = 0, .offered = {}, .done = {}};
  Edge last_answer = edge_;
  for (std::size_t done = 0; done < requests.size();) {
    if (edge_ > last_answer + kLongestSilence) throw ContractBroken("a walk was lost: not answered in time");
    if (!invalidation_ && !invalidating_) invalidation_ = surroundings.invalidation(edge_);
    if (surroundings.skip_quiescent) skip(progress);
    clock(progress);
    if (progress.done.size() != done) last_answer = edge_;
    done = progress.done.size();
  }
  if (!walker_.idle()) throw ContractBroken("not idle after the last response");
  return progress.done;
}

void WalkerBench::skip(const Progress& progress) {
  const bool full = std::all_of(flights_.begin(), flights_.end(), [](auto& f) { return f.has_value(); });
  const bool wants_in = progress.offered || (progress.next < progress.requests.size() && !full) || invalidation_;
  if (wants_in || !walker_.quiescent()) return;
  std::optional<Edge> first;
  for (const auto& owed : owed_) first = std::min(first.value_or(owed.due), owed.due);
  for (const auto& owed : owed_updates_) first = std::min(first.value_or(owed.due), owed.due);
  if (!first || *first <= edge_) return;
  walker_.skipped(*first - edge_);
  edge_ = *first;
}

void WalkerBench::clock(Progress& progress) {
  surroundings.meanwhile(edge_);
  offer(progress);
  WalkerInputs in;
  if (invalidation_) in.invalidation = &*invalidation_;
  const auto from_memory = answer_of_memory();
  const auto to_update = answer_to_update();
  if (progress.offered) in.request = &*progress.offered;
  if (from_memory) in.memory_response = &*from_memory;
  if (to_update) in.update_response = &*to_update;
  in.memory_ready = surroundings.memory_ready(edge_);
  in.update_ready = surroundings.update_ready(edge_);
  in.response_ready = surroundings.response_ready(edge_);
  in.drain = surroundings.drain(edge_);
  const bool quiescent = walker_.quiescent();
  const bool busy = walker_.invalidating();

  const WalkerOutputs out = walker_.cycle(in);
  ++edges_clocked_;
  if (quiescent && (out.memory_request || out.update_request || out.response))
    throw ContractBroken("quiescent, but shows something");
  if (out.invalidation_accepted && busy) throw ContractBroken("accepted an invalidation before the last was complete");
  if (in.drain && out.request_accepted) throw ContractBroken("accepted a walk while it had to drain");
  check_shown(out, in);
  if (out.memory_request && in.memory_ready) take_read(*out.memory_request);
  if (out.update_request && in.update_ready) take_update(*out.update_request);
  if (out.response && in.response_ready) take_response(*out.response, progress);
  if (out.request_accepted) {
    if (!progress.offered) throw ContractBroken("accepted a walk that was not offered");
    flights_[progress.offered->id] = Flight{*progress.offered, edge_};
    progress.offered.reset();
  }
  if (out.invalidation_accepted) {
    invalidation_.reset();
    invalidating_ = true;
  }
  const auto in_flight = std::count_if(flights_.begin(), flights_.end(), [](auto& f) { return f.has_value(); });
  most_in_flight_ = std::max(most_in_flight_, static_cast<std::size_t>(in_flight));
  if (walker_.idle() != (in_flight == 0)) throw ContractBroken("idle() disagrees with the walks in flight");
  ++edge_;
  if (invalidating_ && !walker_.invalidating()) {
    invalidating_ = false;
    surroundings.invalidated();
  }
}

/// An offer stays until it is accepted.
void WalkerBench::offer(Progress& progress) {
  if (progress.offered || progress.next == progress.requests.size() || !surroundings.offers(edge_)) return;
  for (std::size_t id = 0; id < flights_.size(); ++id) {
    if (flights_[id]) continue;
    progress.offered = progress.requests[progress.next++];
    progress.offered->id = static_cast<WalkId>(id);
    return;
  }
}

template <typename Request>
std::optional<Request> WalkerBench::take_due(std::vector<Owed<Request>>& owed) {
  const auto first = std::min_element(owed.begin(), owed.end(), [](auto& a, auto& b) { return a.due < b.due; });
  if (first == owed.end() || first->due > edge_) return std::nullopt;
  const Request request = first->request;
  owed.erase(first);
  return request;
}

std::optional<MemoryResponse> WalkerBench::answer_of_memory() {
  const auto request = take_due(owed_);
  if (!request) return std::nullopt;
  const auto word = memory_.read(request->address);
  // With an error comes data that would pass for a fine entry.
  MemoryResponse response{request->id, word.value_or(0x3), !word.has_value()};
  surroundings.spoil(response);
  return response;
}

std::optional<UpdateResponse> WalkerBench::answer_to_update() {
  const auto request = take_due(owed_updates_);
  if (!request) return std::nullopt;
  const auto seen = memory_.compare_exchange(request->address, request->expected, request->desired);
  UpdateResponse response{request->id, seen == request->expected, !seen.has_value()};
  surroundings.spoil_update(response);
  return response;
}

void WalkerBench::check_shown(const WalkerOutputs& out, const WalkerInputs& in) {
  if (stalled_read_ && out.memory_request != stalled_read_)
    throw ContractBroken("a read that was shown and not taken changed");
  if (stalled_update_ && out.update_request != stalled_update_)
    throw ContractBroken("an update that was shown and not taken changed");
  if (stalled_response_ && out.response != stalled_response_)
    throw ContractBroken("a response that was shown and not taken changed");
  stalled_read_ = in.memory_ready ? std::nullopt : out.memory_request;
  stalled_update_ = in.update_ready ? std::nullopt : out.update_request;
  stalled_response_ = in.response_ready ? std::nullopt : out.response;
}

bool WalkerBench::owes(WalkId id) const {
  const auto is_its = [id](const auto& owed) { return owed.request.id == id; };
  return std::any_of(owed_.begin(), owed_.end(), is_its) ||
         std::any_of(owed_updates_.begin(), owed_updates_.end(), is_its);
}

void WalkerBench::take_read(const MemoryRequest& request) {
  if (!flights_.at(request.id)) throw ContractBroken("a read for a walk that is not in flight");
  if (request.address % 8 != 0) throw ContractBroken("a read that is not aligned");
  if (owes(request.id)) throw ContractBroken("a read of a walk to which memory owes an answer");
  owed_.push_back({request, edge_ + 1 + surroundings.latency(request)});
  if (reads_++ == 0) first_read_ = edge_;
  last_read_ = edge_;
}

void WalkerBench::take_update(const UpdateRequest& request) {
  if (!flights_.at(request.id)) throw ContractBroken("an update for a walk that is not in flight");
  if (request.address % 8 != 0) throw ContractBroken("an update that is not aligned");
  if (owes(request.id)) throw ContractBroken("an update of a walk to which memory owes an answer");
  if ((request.expected & ~request.desired) != 0) throw ContractBroken("an update that clears bits");
  owed_updates_.push_back({request, edge_ + 1 + surroundings.update_latency(request)});
  ++updates_;
}

void WalkerBench::take_response(const WalkResponse& response, Progress& progress) {
  auto& flight = flights_.at(response.id);
  if (!flight) throw ContractBroken("a response for a walk that is not in flight");
  if (owes(response.id)) throw ContractBroken("a response while memory owes the walk an answer");
  progress.done.push_back({flight->request, response, flight->accepted, edge_});
  flight.reset();
}

}  // namespace vtd::test
