// SPDX-License-Identifier: MIT
#include "tlm/unit/walk_service.h"

#include <algorithm>
#include <stdexcept>
#include <tuple>
#include <utility>

#include "tlm/unit/simulation.h"

namespace vtd {

WalkService::WalkService(sc_core::sc_module_name name, std::unique_ptr<Walker> walker, std::uint64_t period_ps,
                         Stepping stepping, WalkMemory& memory)
    : sc_module(name),
      walker_(std::move(walker)),
      period_ps_(period_ps),
      stepping_(stepping),
      memory_(memory),
      kick_("kick"),
      in_flight_(walker_->capacity(), nullptr),
      reader_events_(walker_->capacity()) {
  if (period_ps_ == 0) throw std::invalid_argument("the clock period must be at least 1 ps");
  if (sc_core::sc_get_time_resolution() != sc_core::sc_time(1, sc_core::SC_PS))
    throw std::invalid_argument("walkers need the time resolution of 1 ps");
  for (unsigned id = walker_->capacity(); id > 0; --id) free_ids_.push_back(static_cast<WalkId>(id - 1));

  sc_core::sc_spawn_options method;
  method.spawn_method();
  method.dont_initialize();
  method.set_sensitivity(&kick_);
  sc_core::sc_spawn([this] { step(); }, "step", &method);
  for (unsigned reader = 0; reader < walker_->capacity(); ++reader)
    sc_core::sc_spawn([this, reader] { serve_reads(reader); }, sc_core::sc_gen_unique_name("reader"));
}

WalkService::~WalkService() = default;

// ---- callers ---------------------------------------------------------------------------------------------------

bool WalkService::before(const Job& a, const Job& b) {
  const auto key = [](const Job& j) {
    return std::tuple(j.arrival_ps, j.request.iova, j.request.root, j.request.levels, j.request.access);
  };
  return key(a) < key(b);
}

WalkResponse WalkService::walk(const WalkRequest& request, SourceId source) {
  Job& job = new_job();
  job.request = request;
  job.source = source;
  job.arrival_ps = now_ps();
  job.done = false;
  job.abandoned = false;
  queue_.insert(
      std::upper_bound(queue_.begin(), queue_.end(), &job, [](const Job* a, const Job* b) { return before(*a, *b); }),
      &job);
  queued_max_ = std::max(queued_max_, queue_.size());
  kick_.notify();

  struct Guard {  // the caller may be killed while it waits
    WalkService& service;
    Job& job;
    ~Guard() {
      if (job.done)
        service.release(job);
      else
        job.abandoned = true;
    }
  } const guard{*this, job};
  while (!job.done) sc_core::wait(job.finished);
  return job.response;
}

void WalkService::invalidate(const WalkInvalidation& invalidation) {
  Invalidating mine{.invalidation = invalidation, .arrival_ps = now_ps(), .finished = {}};
  invalidations_.push_back(&mine);
  kick_.notify();
  struct Guard {  // the caller may be killed while it waits
    WalkService& service;
    Invalidating& mine;
    ~Guard() {
      if (!mine.done) std::erase(service.invalidations_, &mine);
    }
  } const guard{*this, mine};
  while (!mine.done) sc_core::wait(mine.finished);
}

void WalkService::end_invalidation() {
  Invalidating& first = *invalidations_.front();
  invalidations_.pop_front();
  first.done = true;
  first.finished.notify();
}

WalkService::Job& WalkService::new_job() {
  if (free_jobs_.empty()) {
    jobs_.push_back(std::make_unique<Job>());
    return *jobs_.back();
  }
  Job* job = free_jobs_.back();
  free_jobs_.pop_back();
  return *job;
}

void WalkService::release(Job& job) {
  free_jobs_.push_back(&job);
}

void WalkService::end(Job& job, const WalkResponse& response) {
  job.response = response;
  job.done = true;
  if (job.abandoned)
    release(job);
  else
    job.finished.notify();
}

void WalkService::reset() {
  std::vector<Job*> dropped(queue_.begin(), queue_.end());
  if (offered_ != nullptr) dropped.push_back(offered_);
  for (Job* job : in_flight_)
    if (job != nullptr) dropped.push_back(job);
  dropped.insert(dropped.end(), ended_.begin(), ended_.end());

  walker_->reset();
  ++generation_;
  queue_.clear();
  offered_ = nullptr;
  std::fill(in_flight_.begin(), in_flight_.end(), nullptr);
  free_ids_.clear();
  for (unsigned id = walker_->capacity(); id > 0; --id) free_ids_.push_back(static_cast<WalkId>(id - 1));
  in_flight_count_ = 0;
  arrivals_.clear();
  update_arrivals_.clear();
  ended_.clear();
  issued_.clear();
  reads_.clear();
  invalidated_ = false;
  while (!invalidations_.empty()) end_invalidation();

  WalkResponse nothing;
  nothing.fault = FaultReason::kPagingEntryAccess;
  for (Job* job : dropped) end(*job, nothing);
}

// ---- the clock -------------------------------------------------------------------------------------------------

void WalkService::step() {
  ++activations_;
  const std::uint64_t now = now_ps();
  if (unpublished() && effects_ps_ > now) return next_trigger(from_ps(effects_ps_ - now), kick_);
  publish();
  std::uint64_t limit = burst_end(now);
  for (;;) {
    // Edges that were not clocked until now changed nothing.
    next_edge_ = std::max(next_edge_, (now + period_ps_ - 1) / period_ps_);
    const auto edge = next_active_edge();
    if (!edge) return next_trigger(kick_);
    const std::uint64_t at = *edge * period_ps_;
    if (at > now && at >= limit) return next_trigger(from_ps(at - now), kick_);
    clock(*edge);
    if (!unpublished()) continue;
    if (at > now) return next_trigger(from_ps(at - now), kick_);
    publish();
    limit = now;  // whoever was woken may do anything from now on
  }
}

std::uint64_t WalkService::burst_end(std::uint64_t now) const {
  if (stepping_ == Stepping::kEveryCycle) return now;
  const std::uint64_t run_end = run_end_ps();
  if (run_end <= now) return now;
  const std::uint64_t quiet = to_ps(sc_core::sc_time_to_pending_activity());
  return quiet < run_end - now ? now + quiet : run_end;
}

std::optional<WalkService::Edge> WalkService::next_active_edge() const {
  const bool requests = offered_ != nullptr || !queue_.empty();
  const bool invalidations = !invalidations_.empty();
  if (walker_->idle() && !requests && !invalidations) return std::nullopt;
  if (stepping_ == Stepping::kEveryCycle || !walker_->quiescent() || offered_ != nullptr) return next_edge_;
  std::optional<Edge> next;
  const auto consider = [&next](Edge edge) { next = next ? std::min(*next, edge) : edge; };
  if (!arrivals_.empty()) consider(arrivals_.back().due);
  if (!update_arrivals_.empty()) consider(update_arrivals_.back().due);
  if (!queue_.empty() && !free_ids_.empty()) consider(edge_after(queue_.front()->arrival_ps));
  if (invalidations && !invalidations_.front()->accepted && !walker_->invalidating())
    consider(edge_after(invalidations_.front()->arrival_ps));
  return next ? std::optional(std::max(*next, next_edge_)) : std::nullopt;
}

void WalkService::clock(Edge edge) {
  const std::uint64_t skipped = edge - last_edge_ - (edge > last_edge_ ? 1 : 0);
  last_edge_ = edge;
  next_edge_ = edge + 1;
  effects_ps_ = edge * period_ps_;
  ++edges_clocked_;
  if (skipped > 0) walker_->skipped(skipped);

  offer(effects_ps_);
  WalkerInputs in;
  if (offered_ != nullptr) in.request = &offered_->request;
  std::optional<MemoryResponse> data;
  if (!arrivals_.empty() && arrivals_.back().due <= edge) {
    data = arrivals_.back().response;
    arrivals_.pop_back();
    in.memory_response = &*data;
  }
  std::optional<UpdateResponse> update;
  if (!update_arrivals_.empty() && update_arrivals_.back().due <= edge) {
    update = update_arrivals_.back().response;
    update_arrivals_.pop_back();
    in.update_response = &*update;
  }
  Invalidating* const first = invalidations_.empty() ? nullptr : invalidations_.front();
  if (first != nullptr && !first->accepted && first->arrival_ps < effects_ps_) in.invalidation = &first->invalidation;
  const WalkerOutputs out = walker_->cycle(in);
  if (out.invalidation_accepted) first->accepted = true;
  invalidated_ = first != nullptr && first->accepted && !walker_->invalidating();
  if (out.request_accepted) {
    in_flight_[offered_->request.id] = offered_;
    offered_ = nullptr;
    in_flight_max_ = std::max(in_flight_max_, ++in_flight_count_);
  }
  if (out.memory_request) take_read(edge, *out.memory_request);
  if (out.update_request) take_update(edge, *out.update_request);
  if (out.response) take_response(*out.response);
}

void WalkService::offer(std::uint64_t edge_ps) {
  if (offered_ != nullptr || queue_.empty() || free_ids_.empty() || queue_.front()->arrival_ps >= edge_ps) return;
  offered_ = queue_.front();
  queue_.pop_front();
  offered_->request.id = free_ids_.back();
  free_ids_.pop_back();
}

void WalkService::take_read(Edge edge, const MemoryRequest& request) {
  if (const auto direct = memory_.read_direct(request.address)) {
    add_arrival(arrivals_, edge + 1 + direct->latency, {request.id, direct->data, false});
    return;
  }
  const Job& job = *in_flight_[request.id];
  issued_.push_back({request, job.source, job.request.iova, generation_});
}

void WalkService::take_update(Edge edge, const UpdateRequest& request) {
  if (const auto direct = memory_.update_direct(request.address, request.expected, request.desired)) {
    add_arrival(update_arrivals_, edge + 1 + direct->latency, {request.id, direct->data == request.expected, false});
    return;
  }
  const Job& job = *in_flight_[request.id];
  issued_.push_back({request, job.source, job.request.iova, generation_});
}

void WalkService::take_response(const WalkResponse& response) {
  Job* job = in_flight_[response.id];
  in_flight_[response.id] = nullptr;
  --in_flight_count_;
  ++completed_;
  job->response = response;
  ended_.push_back(job);
  free_ids_.insert(std::upper_bound(free_ids_.begin(), free_ids_.end(), response.id, std::greater<>()), response.id);
}

bool WalkService::publish() {
  if (!unpublished()) return false;
  for (Job* job : ended_) end(*job, job->response);
  ended_.clear();
  if (std::exchange(invalidated_, false) && !invalidations_.empty() && invalidations_.front()->accepted)
    end_invalidation();
  reads_.insert(reads_.end(), issued_.begin(), issued_.end());
  issued_.clear();
  assign_reads();
  return true;
}

// ---- memory that needs transactions ------------------------------------------------------------------------------

void WalkService::assign_reads() {
  for (std::size_t i = 0; i < reads_.size() && !idle_readers_.empty(); ++i) {
    reader_events_[idle_readers_.back()].notify();
    idle_readers_.pop_back();
  }
}

void WalkService::serve_reads(unsigned reader) {
  for (;;) {
    while (reads_.empty()) {
      idle_readers_.push_back(reader);
      sc_core::wait(reader_events_[reader]);
    }
    const Read read = reads_.front();
    reads_.pop_front();
    std::visit([&](const auto& request) { serve(read, request); }, read.request);
  }
}

void WalkService::serve(const Read& read, const MemoryRequest& request) {
  const auto data = memory_.read_entry(request.address, read.source, read.iova);
  if (read.generation != generation_) return;
  add_arrival(arrivals_, edge_after(now_ps()), {request.id, data.value_or(0), !data.has_value()});
  kick_.notify();
}

void WalkService::serve(const Read& read, const UpdateRequest& request) {
  const auto seen = memory_.update_entry(request.address, request.expected, request.desired, read.source, read.iova);
  if (read.generation != generation_) return;
  const bool swapped = seen && *seen == request.expected;
  add_arrival(update_arrivals_, edge_after(now_ps()), {request.id, swapped, !seen.has_value()});
  kick_.notify();
}

template <typename Response>
void WalkService::add_arrival(Arrivals<Response>& arrivals, Edge due, const Response& response) {
  const Arrival<Response> arrival{due, response};
  const auto later = [](const auto& a, const auto& b) {
    return std::tuple(a.due, a.response.id) > std::tuple(b.due, b.response.id);
  };
  arrivals.insert(std::upper_bound(arrivals.begin(), arrivals.end(), arrival, later), arrival);
}

}  // namespace vtd
