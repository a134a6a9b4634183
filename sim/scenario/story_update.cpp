// SPDX-License-Identifier: MIT
// Live updates of a random story: preserve, perhaps think better of it, reset with DMA in flight, take over, finish.
#include <algorithm>

#include "sim/scenario/story_teller.h"

namespace vtd::sim::story {

bool Teller::preservable(const Device& d) {
  const auto own = d.attached.find(0);
  if (d.non_pci || d.held || d.gated || own == d.attached.end()) return false;
  const Space& s = *world_.find(own->second);
  return s.stage != Stage::kNested && !s.restored;
}

void Teller::live_update() {
  finish();
  std::vector<Device*> kept = devices([&](const Device& d) { return preservable(d); });
  if (kept.empty()) return replace_one();
  const Device* first = dice_.pick(kept);
  std::erase_if(kept, [&](const Device* d) { return d != first && dice_.chance(30); });
  if (!preserve(kept)) return;
  reset();
}

/// False: the session was closed again.
bool Teller::preserve(std::vector<Device*>& kept) {
  phase(fmt::format("preserve {}", ++sessions_));
  for (Device* d : kept)
    if (!std::exchange(d->claimed, true)) step("claim: {{device: {}, owner: 1}}", d->name);
  std::vector<Space*> spaces;
  for (Space& s : world_.spaces) {
    const auto uses = [&](const Device* d) { return d->attached.at(0) == s.name; };
    if (s.marked || std::any_of(kept.begin(), kept.end(), uses)) spaces.push_back(&s);
  }
  step("open_session: {}", sessions_);
  unsigned token = 0;
  preserved_memories_.clear();
  for (const Space* s : spaces)
    for (const Piece& p : s->pieces) preserved_memories_.insert(p.memory);
  std::vector<std::string> memories(preserved_memories_.begin(), preserved_memories_.end());
  const bool too_early = !memories.empty() && dice_.chance(25);
  const auto preserve_memory = [&](const std::string& memory) {
    step("preserve_memory: {{session: {}, token: {}, memory: {}}}", sessions_, ++token, memory);
  };
  for (std::size_t i = 0; i + (too_early ? 1 : 0) < memories.size(); ++i) preserve_memory(memories[i]);
  if (const Device& d = *kept.front(); d.attached.size() == 1 && dice_.chance(25))  // before its domain
    step("preserve_device: {{session: {}, token: 99, device: {}, expect: EINVAL}}", sessions_, d.name);
  for (Space* s : spaces)
    if (!std::exchange(s->marked, true)) step("mark_domain: {{domain: {}, token: {}}}", s->name, s->name.substr(1));
  if (too_early) {  // a domain maps what is not preserved
    step("preserve_iommufd: {{session: {}, token: 97, expect: ENOENT}}", sessions_);
    preserve_memory(memories.back());
  }
  step("preserve_iommufd: {{session: {}, token: {}}}", sessions_, ++token);
  for (Space* s : spaces) s->preserved = true;
  for (Device* d : kept) {
    if (d->attached.size() > 1 && dice_.chance(60))
      step("preserve_device: {{session: {}, token: 98, device: {}, expect: EOPNOTSUPP}}", sessions_, d->name);
    while (d->attached.size() > 1) detach(*d, d->attached.rbegin()->first);
    step("preserve_device: {{session: {}, token: {}, device: {}}}", sessions_, ++token, d->name);
    d->held = true;
    if (dice_.chance(20)) probe_preserved();
  }
  for (std::uint64_t n = dice_.below(4); n != 0; --n) refuse_preserved();
  for (std::uint64_t n = dice_.below(3); n != 0; --n) act();
  if (dice_.chance(15)) {
    Device& last = *kept.back();
    step("unpreserve: {{session: {}, token: {}}}", sessions_, token);
    step("preserve_device: {{session: {}, token: {}, device: {}}}", sessions_, token, last.name);
  }
  if (!dice_.chance(15)) return true;
  step("close_session: {}", sessions_);
  for (Device* d : kept) d->held = false;
  for (Space* s : spaces) s->preserved = false;
  return false;
}

void Teller::probe_preserved() {
  const auto held = devices([](const Device& d) { return d.held; });
  if (!held.empty()) probe(*dice_.pick(held), 0);
}

/// What is preserved does not change.
void Teller::refuse_preserved() {
  const auto held = devices([](const Device& d) { return d.held; });
  const Device& d = *dice_.pick(held);
  const Space& s = *world_.find(d.attached.at(0));
  switch (dice_.below(7)) {
    case 0:
      if (preserved_memories_.empty()) return;
      return step("map: {{domain: {}, iova: {:#x}, memory: {}, size: 4K, expect: EBUSY}}", s.name, Iova{100} << 30,
                  *preserved_memories_.begin());
    case 1:
      if (s.pieces.empty()) return;
      return step("unmap: {{domain: {}, iova: {:#x}, size: 4K, expect: EBUSY}}", s.name, s.pieces.front().iova);
    case 2:
      return step("detach: {{device: {}, expect: EBUSY}}", d.name);
    case 3:
      return step("attach: {{device: {}, domain: {}, expect: EBUSY}}", d.name, s.name);
    case 4:
      return step("replace: {{device: {}, domain: {}, expect: EBUSY}}", d.name, s.name);
    case 5:
      return step("suspend: {{expect: EBUSY}}");
    default:
      return step("release: {{device: {}, owner: 1, expect: EBUSY}}", d.name);
  }
}

void Teller::reset() {
  phase(fmt::format("live update {}", ++updates_));
  for (Device& d : world_.devices)
    if (!d.held) stop(d);
  const bool watched = dice_.chance(60);
  if (watched) {
    step("freeze");
    if (dice_.chance(20)) {
      step("unfreeze");
      step("freeze");
    }
    step("shutdown");
  } else {
    step("live_update");
  }
  std::set<unsigned> all{0};
  std::set<unsigned> units;  // that go on translating
  for (const Device& d : world_.devices) {
    all.insert(d.unit);
    if (d.held) units.insert(d.unit);
  }
  drops_ += static_cast<unsigned>(all.size() - units.size());
  world_.clean();
  const auto strangers = [&] {
    for (Device& d : world_.devices)
      if (!d.held && (!d.gated || d.ignores_bus_master) && units.count(d.unit) != 0)
        dma(d, 0, Iova{4} << 30, Op::kRead);
  };
  if (watched) {
    strangers();
    probe_preserved();
    step("reboot: {{background: true}}");
    step("wait_for: blackout");
    cpu_away_ = true;
    for (std::uint64_t n = dice_.between(1, 4); n != 0; --n) probe_preserved();
    strangers();
    step("wait_for: ready");
    cpu_away_ = false;
  }
  unfinished_ = sessions_;
  if (preserved_memories_.count(memory_) == 0) memory_.clear();
  phase("restored");
  for (std::uint64_t n = dice_.below(4); n != 0; --n) refuse_restored(unfinished_);
  probe_preserved();
  step("take_over: {{session: {}, owner: 1}}", unfinished_);
  for (Device& d : world_.devices) d.held = false;
  for (std::uint64_t n = dice_.below(4); n != 0; --n) act();
  if (dice_.chance(60)) finish();
}

void Teller::refuse_restored(std::uint64_t session) {
  const auto held = devices([](const Device& d) { return d.held; });
  const Device& d = *dice_.pick(held);
  const Space& s = *world_.find(d.attached.at(0));
  switch (dice_.below(5)) {
    case 0:
      return step("freeze: {{expect: EBUSY}}");
    case 1:
      return step("finish: {{session: {}, expect: EBUSY}}", session);
    case 2:
      return step("claim: {{device: {}, owner: 1, expect: EPERM}}", d.name);
    case 3:
      if (preserved_memories_.empty()) return;
      return step("map: {{domain: {}, iova: {:#x}, memory: {}, size: 4K, expect: EOPNOTSUPP}}", s.name, Iova{100} << 30,
                  *preserved_memories_.begin());
    default:
      return step("detach: {{device: {}, expect: EBUSY}}", d.name);
  }
}

void Teller::finish() {
  if (unfinished_ != 0) step("finish: {}", unfinished_);
  unfinished_ = 0;
}

}  // namespace vtd::sim::story
