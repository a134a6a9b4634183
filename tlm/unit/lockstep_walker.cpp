// SPDX-License-Identifier: MIT
#include "tlm/unit/lockstep_walker.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "tlm/spec/paging.h"

namespace vtd {
namespace {

const char* name_of(WalkKind kind) {
  switch (kind) {
    case WalkKind::kLegacy:
      return "legacy";
    case WalkKind::kSecondStage:
      return "second-stage";
    case WalkKind::kFirstStage:
      return "first-stage";
    default:
      return "nested";
  }
}

std::string text(const WalkRequest& r) {
  std::string out = fmt::format("{} walk {} (domain {}, iova {:#x}, access {}", name_of(r.kind), r.id, r.domain.value,
                                r.iova, static_cast<unsigned>(r.access));
  if (r.kind != WalkKind::kFirstStage) out += fmt::format(", root {:#x}, {} levels", r.root, r.levels);
  if (r.kind == WalkKind::kFirstStage || r.kind == WalkKind::kNested)
    out += fmt::format(", PASID {}, first-stage root {:#x}, {} levels", r.pasid.value, r.first_root, r.first_levels);
  return out + ")";
}

std::string text(const WalkResponse& r) {
  return fmt::format(
      "{} level {} page {:#x} r{:d} w{:d} u{:d} x{:d} sw{:d} snoop {:d} transient {:d} clean {:d} reads {}",
      info(r.fault).name, r.level, r.page, r.readable, r.writable, r.user, r.executable, r.supervisor_writable, r.snoop,
      r.transient, r.clean, r.reads);
}

std::string text(const UpdateRequest& u) {
  return fmt::format("{:#x} from {:#x} to {:#x}", u.address, u.expected, u.desired);
}

/// What must come next.
std::string required(const PagingWalk& walk) {
  if (const auto read = walk.next_read())
    return fmt::format("the rules require a read of {:#x}, and nothing cached leads elsewhere", *read);
  if (const auto update = walk.next_update()) return "the rules require the update of " + text(*update);
  return "the rules say " + text(walk.result());
}

/// True if one walk may answer both.
bool alike(const WalkRequest& a, const WalkRequest& b) {
  WalkRequest with_a = b;
  with_a.id = a.id;
  with_a.iova = align_down(b.iova, kPageSize) + a.iova % kPageSize;
  with_a.root = a.root;
  with_a.levels = a.levels;
  with_a.first_root = a.first_root;
  with_a.first_levels = a.first_levels;
  return with_a == a;
}

}  // namespace

LockstepWalker::LockstepWalker(std::unique_ptr<Walker> device, const WalkerConfig& config)
    : device_(std::move(device)), config_(config), shadows_(device_->capacity()) {}

void LockstepWalker::reset() {
  device_->reset();
  for (auto& shadow : shadows_) shadow.reset();
  cacheable_.clear();
}

WalkerOutputs LockstepWalker::cycle(const WalkerInputs& in) {
  const WalkerOutputs out = device_->cycle(in);
  if (out.memory_request && in.memory_ready) check_read(*out.memory_request);
  if (out.update_request && in.update_ready) check_update(*out.update_request);
  if (in.memory_response != nullptr)
    take_answer(shadow(in.memory_response->id, "memory response"), *in.memory_response);
  if (in.update_response != nullptr)
    take_answer(shadow(in.update_response->id, "update response"), *in.update_response);
  if (out.response && in.response_ready) check_response(*out.response);
  if (out.request_accepted)
    shadows_.at(in.request->id).emplace(Shadow{.traces = {Trace{PagingWalk(config_, *in.request)}}});
  if (out.invalidation_accepted) invalidate(*in.invalidation, out, in);
  return out;
}

LockstepWalker::Shadow& LockstepWalker::shadow(WalkId id, const char* what) {
  if (id >= shadows_.size() || !shadows_[id])
    throw LockstepMismatch(fmt::format("lockstep: {} for walk {}, which is not in flight", what, id));
  return *shadows_[id];
}

void LockstepWalker::take_answer(Shadow& shadow, const MemoryResponse& answer) {
  shadow.waits = false;
  if (std::exchange(shadow.killed, false)) {
    shadow.traces.front().walk.restart_without_answer();
    return restart(shadow);
  }
  for (Trace& trace : shadow.traces) {
    learn(trace, answer);
    trace.walk.consume(answer.data, answer.error);
  }
}

void LockstepWalker::take_answer(Shadow& shadow, const UpdateResponse& answer) {
  shadow.waits = false;
  if (std::exchange(shadow.killed, false) || (!answer.swapped && !answer.error)) return restart(shadow);
  for (Trace& trace : shadow.traces) {
    if (!answer.error) learn(trace, *trace.walk.next_update());
    trace.walk.updated(answer.swapped, answer.error);
  }
}

void LockstepWalker::restart(Shadow& shadow) {
  shadow.traces.resize(1, shadow.traces.front());
  shadow.traces.front().walk.restart();
  shadow.untouched = true;
  shadow.offered.clear();
}

// ---- what may be cached -----------------------------------------------------------------------------------------

const LockstepWalker::Way& LockstepWalker::Trace::note(std::uint64_t entry) {
  const PagingWalk::Position at = walk.position();
  auto& way = at.first_stage ? first : second;
  if (at.level == (at.first_stage ? walk.request().first_levels : walk.request().levels)) way.clear();
  way.push_back(entry);
  return way;
}

LockstepWalker::CacheKey LockstepWalker::key_of(const PagingWalk& walk, unsigned level) {
  const WalkRequest& request = walk.request();
  const PagingWalk::Position at = walk.position();
  if (at.first_stage) return first_key_of(request, level);
  return {.domain = request.domain,
          .level = static_cast<std::uint8_t>(level),
          .input = align_down(at.input & bit_range(56, 0), level_size(level))};
}

LockstepWalker::CacheKey LockstepWalker::first_key_of(const WalkRequest& request, unsigned level) {
  return {.first_stage = true,
          .nested = request.kind == WalkKind::kNested,
          .domain = request.domain,
          .pasid = request.pasid,
          .level = static_cast<std::uint8_t>(level),
          .input = align_down(request.iova & bit_range(56, 0), level_size(level))};
}

void LockstepWalker::learn(Trace& trace, const MemoryResponse& answer) {
  if (answer.error || !trace.walk.next_read()) return;
  const CacheKey key = key_of(trace.walk, trace.walk.position().level);
  const Way& way = trace.note(answer.data);
  (key.first_stage ? trace.first_key : trace.second_key) = key;
  add(key, way);
}

void LockstepWalker::learn(Trace& trace, const UpdateRequest& update) {
  for (const bool first : {true, false}) {
    Way& way = first ? trace.first : trace.second;
    if (way.empty() || way.back() != update.expected) continue;
    way.back() = update.desired;
    add(first ? trace.first_key : trace.second_key, way);
  }
}

void LockstepWalker::add(const CacheKey& key, const Way& way) {
  auto& known = cacheable_[key];
  if (std::find(known.begin(), known.end(), way) == known.end()) known.push_back(way);
}

void LockstepWalker::advance(const Trace& trace, PhysAddr address, std::vector<Trace>& reached) {
  constexpr std::size_t kMost = 4096;  // tables that lead to themselves
  const auto required = trace.walk.next_read();
  if (!required || reached.size() >= kMost) return;
  if (*required == address && std::find(reached.begin(), reached.end(), trace) == reached.end())
    reached.push_back(trace);
  const PagingWalk::Position at = trace.walk.position();
  const WalkRequest& request = trace.walk.request();
  if (at.level != (at.first_stage ? request.first_levels : request.levels)) return;  // caches are asked at the top only
  // A nested walk stands before the translation of its first-stage table; the first-stage caches go past it.
  const bool begins = request.kind == WalkKind::kNested && trace.first.empty() && !at.first_stage;
  for (unsigned level = 1; level <= kMaxLevels; ++level) {
    for (const CacheKey& key : {key_of(trace.walk, level), first_key_of(request, level)}) {
      if (key.first_stage != at.first_stage && !begins) continue;
      const auto known = cacheable_.find(key);
      if (known == cacheable_.end()) continue;
      for (const Way& way : known->second) {
        Trace attempt = trace;
        if (follow(attempt, way, key.first_stage)) advance(attempt, address, reached);
      }
    }
  }
}

bool LockstepWalker::follow(Trace& trace, const Way& way, bool first_stage) {
  for (const std::uint64_t entry : way) {
    // Before each first-stage entry of a nested walk lies the translation of its table, which is known as well.
    if (first_stage && trace.walk.next_read() && !trace.walk.position().first_stage && !translate(trace)) return false;
    if (!trace.walk.next_read() || trace.walk.position().first_stage != first_stage) return false;
    trace.note(entry);
    trace.walk.skip(entry);
    ++trace.skipped;
  }
  return !trace.walk.ended() && !trace.walk.next_update();
}

bool LockstepWalker::translate(Trace& trace) {
  for (unsigned level = 1; level <= trace.walk.position().level; ++level) {
    const auto known = cacheable_.find(key_of(trace.walk, level));
    if (known == cacheable_.end()) continue;
    for (const Way& way : known->second) {
      Trace attempt = trace;
      if (!follow(attempt, way, false) || !attempt.walk.position().first_stage) continue;
      trace = attempt;
      return true;
    }
  }
  return false;
}

void LockstepWalker::invalidate(const WalkInvalidation& invalidation, const WalkerOutputs& out,
                                const WalkerInputs& in) {
  for (auto& s : shadows_) {
    if (!s || !covers(invalidation, s->request())) continue;
    const WalkId id = s->request().id;
    const bool shown = (out.memory_request && !in.memory_ready && out.memory_request->id == id) ||
                       (out.update_request && !in.update_ready && out.update_request->id == id) ||
                       (out.response && !in.response_ready && out.response->id == id);
    if (shown || s->waits) {
      s->killed = true;
      if (out.memory_request) s->shown = out.memory_request->address;
    } else if (!s->traces.front().walk.refused()) {
      restart(*s);
    }
  }
  for (auto& [key, ways] : cacheable_)
    std::erase_if(ways, [&, k = key](const Way& way) {
      const bool leaf = k.level == 1 || ss::kPS.get(way.back()) != 0;
      return drops(invalidation, k, leaf);
    });
  std::erase_if(cacheable_, [](const auto& item) { return item.second.empty(); });
}

/// What the caches may not know any more. A page of a domain that changes may hold a first-stage table; a leaf in a
/// cache is one that maps such a table.
bool LockstepWalker::drops(const WalkInvalidation& invalidation, const CacheKey& key, bool leaf) {
  const bool in_range = !invalidation.leaf_only && range_meets(invalidation, key.input, level_size(key.level));
  if (invalidation.scope == WalkScope::kAll) return true;
  if (key.domain != invalidation.domain) return false;
  switch (invalidation.scope) {
    case WalkScope::kDomainPage:
      return key.first_stage || leaf || in_range;
    case WalkScope::kPasid:
      return key.first_stage && key.pasid == invalidation.pasid;
    case WalkScope::kPasidPage:
      return key.first_stage && key.pasid == invalidation.pasid && in_range;
    default:
      return true;
  }
}

// ---- comparison ---------------------------------------------------------------------------------------------------

void LockstepWalker::check_read(const MemoryRequest& request) {
  Shadow& s = shadow(request.id, "read");
  s.waits = true;
  if (s.killed && s.shown == request.address) return;  // shown before the invalidation; the answer will be thrown away
  s.untouched = false;
  std::vector<Trace> reached;
  for (const Trace& trace : s.traces) advance(trace, request.address, reached);
  if (reached.empty())
    throw LockstepMismatch(fmt::format("lockstep: {} reads {:#x}, {}", text(s.request()), request.address,
                                       required(s.traces.front().walk)));
  s.traces = std::move(reached);
}

void LockstepWalker::check_update(const UpdateRequest& request) {
  Shadow& s = shadow(request.id, "update");
  s.waits = true;
  const std::string rules = required(s.traces.front().walk);
  std::erase_if(s.traces, [&](const Trace& trace) {
    auto next = trace.walk.next_update();
    if (next) next->id = request.id;
    return next != request;
  });
  if (s.traces.empty())
    throw LockstepMismatch(fmt::format("lockstep: {} updates {}, {}", text(s.request()), text(request), rules));
}

void LockstepWalker::check_response(const WalkResponse& response) {
  const Shadow& s = shadow(response.id, "response");
  const auto ended_so = [&](const Trace& trace) { return trace.walk.ended() && trace.walk.result() == response; };
  const auto shared = [&](WalkResponse other) {
    other.id = response.id;
    other.reads = s.traces.front().walk.result().reads;
    return other == response;
  };
  const auto trace = std::find_if(s.traces.begin(), s.traces.end(), ended_so);
  if (trace != s.traces.end())
    skipped_reads_ += trace->skipped;
  else if (s.untouched && std::any_of(s.offered.begin(), s.offered.end(), shared))
    ++shared_results_;
  else
    throw LockstepMismatch(fmt::format("lockstep: {} ended with {}, {}", text(s.request()), text(response),
                                       required(s.traces.front().walk)));
  if (response.fault == FaultReason::kNone && !s.killed)
    for (auto& other : shadows_)
      if (other && other->untouched && other->request().id != response.id && alike(other->request(), s.request()))
        other->offered.push_back(response);
  shadows_[response.id].reset();
  ++compared_;
}

}  // namespace vtd
