// SPDX-License-Identifier: MIT
#include "tlm/core/reference_walker.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace vtd {

ReferenceWalker::ReferenceWalker(const WalkerConfig& config, unsigned capacity) : config_(config), slots_(capacity) {
  if (capacity < 1 || capacity > 64) throw std::invalid_argument("walker capacity must be 1..64");
}

void ReferenceWalker::reset() {
  std::fill(slots_.begin(), slots_.end(), Slot{});
  memory_turn_ = {};
  update_turn_ = {};
  response_turn_ = {};
  invalidating_ = false;
}

WalkerOutputs ReferenceWalker::cycle(const WalkerInputs& in) {
  WalkerOutputs out;
  const unsigned n = capacity();
  // What is shown before the edge depends only on the slots.
  const auto reader = memory_turn_.pick(n, [&](unsigned i) { return slots_[i].state == State::kRead; });
  const auto done = response_turn_.pick(n, [&](unsigned i) { return slots_[i].state == State::kDone; });
  const auto updater = update_turn_.pick(n, [&](unsigned i) { return slots_[i].state == State::kUpdate; });
  const bool ready = any(State::kIdle) && !in.drain;
  if (reader) out.memory_request = MemoryRequest{static_cast<WalkId>(*reader), *slots_[*reader].walk->next_read()};
  if (updater) {
    out.update_request = slots_[*updater].walk->next_update();
    out.update_request->id = static_cast<WalkId>(*updater);
  }
  if (done) out.response = slots_[*done].walk->result();
  out.request_accepted = ready && in.request != nullptr;
  out.invalidation_accepted = !invalidating_ && in.invalidation != nullptr;

  // The edge.
  if (reader && in.memory_ready) {
    slots_[*reader].state = State::kWait;
    memory_turn_.take(n);
  }
  if (updater && in.update_ready) {
    slots_[*updater].state = State::kWait;
    update_turn_.take(n);
  }
  if (in.memory_response != nullptr) {
    Slot& slot = waiting(in.memory_response->id);
    if (std::exchange(slot.killed, false))
      slot.walk->restart_without_answer();
    else
      slot.walk->consume(in.memory_response->data, in.memory_response->error);
    slot.state = after(*slot.walk);
  }
  if (in.update_response != nullptr) {
    Slot& slot = waiting(in.update_response->id);
    if (std::exchange(slot.killed, false))
      slot.walk->restart();
    else
      slot.walk->updated(in.update_response->swapped, in.update_response->error);
    slot.state = after(*slot.walk);
  }
  if (done && in.response_ready) {
    slots_[*done] = {};
    response_turn_.take(n);
  }
  if (out.request_accepted) {
    Slot& slot = slots_.at(in.request->id);
    if (slot.state != State::kIdle) throw std::logic_error("walk id in use");
    slot.walk.emplace(config_, *in.request);
    slot.state = after(*slot.walk);
  }
  if (out.invalidation_accepted) {
    for (unsigned i = 0; i < n; ++i) {
      const bool shown =
          (reader == i && !in.memory_ready) || (updater == i && !in.update_ready) || (done == i && !in.response_ready);
      if (slots_[i].walk && covers(*in.invalidation, slots_[i].walk->request())) kill(slots_[i], shown);
    }
  }
  invalidating_ = std::any_of(slots_.begin(), slots_.end(), [](const Slot& s) { return s.killed; });
  return out;
}

void ReferenceWalker::kill(Slot& slot, bool shown) {
  if (slot.state == State::kDone && slot.walk->refused()) return;
  if (shown || slot.state == State::kWait) {
    slot.killed = true;
    return;
  }
  slot.walk->restart();
  slot.state = after(*slot.walk);
}

bool ReferenceWalker::quiescent() const {
  return !any(State::kRead) && !any(State::kUpdate) && !any(State::kDone);
}

ReferenceWalker::Slot& ReferenceWalker::waiting(WalkId id) {
  Slot& slot = slots_.at(id);
  if (slot.state != State::kWait) throw std::logic_error("memory response to a walk that waits for none");
  return slot;
}

bool ReferenceWalker::idle() const {
  return std::all_of(slots_.begin(), slots_.end(), [](const Slot& s) { return s.state == State::kIdle; });
}

bool ReferenceWalker::any(State state) const {
  return std::any_of(slots_.begin(), slots_.end(), [=](const Slot& s) { return s.state == state; });
}

}  // namespace vtd
