// SPDX-License-Identifier: MIT
// What may happen next in a random story, live updates apart.
#include <algorithm>

#include "sim/scenario/story_teller.h"

namespace vtd::sim::story {

void Teller::act() {
  switch (dice_.below(14)) {
    case 0:
      return map_more();
    case 1:
    case 2:
      return unmap_some();
    case 3:
    case 4:
    case 5:
      return probe();
    case 6:
    case 7:
      return attach_idle();
    case 8:
      return detach_one();
    case 9:
    case 10:
      return replace_one();
    case 11:
      return pasid_more();
    case 12:
      return refuse_simple();
    default:
      return pause();
  }
}

void Teller::map_more() {
  std::vector<Space*> open;
  for (Space& s : world_.spaces)
    if (s.is_mutable()) open.push_back(&s);
  if (open.empty()) return;
  Space& space = *dice_.pick(open);
  // Again where something was, with other memory behind it; nothing of it may be cached.
  if (!space.gone.empty() && dice_.chance(50)) {
    Piece piece = space.gone.back();
    piece.leaf = "4K";
    if (!chunk(space, piece, kPageSize)) return;
    space.gone.pop_back();
    map(space, piece);
  } else {
    const std::string rights = dice_.pick({"rw", "rw", "r", space.stage == Stage::kSecond ? "w" : "r"});
    if (!map(space, dice_.pick({4U, 8U, 64U, 256U, 2048U}) << 10, rights)) return;
  }
  for (Device* d : devices([&](const Device& x) { return x.attached.count(0) != 0; }))
    if (d->attached.at(0) == space.name) dma(*d, 0, space.pieces.back().iova, dice_.pick({Op::kRead, Op::kWrite}));
}

void Teller::unmap_some() {
  std::vector<Space*> open;
  for (Space& s : world_.spaces)
    if (s.is_mutable()) open.push_back(&s);
  if (!open.empty()) unmap(*dice_.pick(open));
}

void Teller::probe() {
  Device& d = dice_.pick(world_.devices);
  if (d.attached.empty()) {
    if (!d.context || d.pasid_bits == 0) return dma(d, 0, Iova{4} << 30, dice_.pick({Op::kRead, Op::kWrite}));
    return;
  }
  auto at = d.attached.begin();
  std::advance(at, dice_.below(d.attached.size()));
  probe(d, at->first);
}

void Teller::probe(Device& d, std::uint64_t pasid) {
  const Space& space = *world_.find(d.attached.at(pasid));
  const std::uint64_t offset = dice_.below(64) * 64;
  for (std::uint64_t n = dice_.between(1, 3); n != 0; --n) {
    const Op op = dice_.pick({Op::kRead, Op::kWrite});
    const std::uint64_t what = dice_.below(10);
    if (what == 0) {
      dma(d, pasid, Iova{1} << (12 + 9 * space.levels), op);
    } else if (what == 1 || space.pieces.empty()) {
      dma(d, pasid, (Iova{90} << 30) + dice_.below(16) * kPageSize, op);
    } else if (what == 2 && !space.gone.empty()) {
      dma(d, pasid, space.gone.back().iova + offset, op);
    } else {
      const auto& p = space.pieces[dice_.below(space.pieces.size())];
      dma(d, pasid, p.iova + dice_.below(p.size / kPageSize) * kPageSize + offset, op);
    }
  }
}

std::vector<Space*> Teller::mutable_spaces(const Device& d) {
  std::vector<Space*> out;
  for (Space& s : world_.spaces) {
    if (!s.is_mutable()) continue;
    const auto there = [&](const Piece& p) {
      return p.iova == d.window->iova && p.memory == d.window->memory && p.offset == d.window->offset;
    };
    if (!d.window || std::any_of(s.pieces.begin(), s.pieces.end(), there)) out.push_back(&s);
  }
  return out;
}

void Teller::attach_idle() {
  const auto idle = devices([](const Device& d) { return d.idle() && d.stream_pasid == 0; });
  if (idle.empty()) return;
  Device& d = *dice_.pick(idle);
  auto open = mutable_spaces(d);
  if (open.empty() || (!d.window && dice_.chance(40) && domains_ < 20)) {
    if (d.window || domains_ >= 24) return;
    Space& fresh = new_space(draw_stage());
    for (unsigned i = 0; i < 2; ++i) map(fresh, dice_.pick({8U, 64U, 256U}) << 10, dice_.pick({"rw", "r"}));
    open = {&fresh};
  }
  const Space& space = *dice_.pick(open);
  attach(d, space);
  if (d.window) start(d);
  probe(d, 0);
}

void Teller::detach_one() {
  const auto free = devices([](const Device& d) { return d.attached.count(0) != 0 && !d.held; });
  if (free.empty()) return;
  Device& d = *dice_.pick(free);
  const Space space = *world_.find(d.attached.at(0));
  probe(d, 0);
  detach(d, 0);
  if (!space.pieces.empty()) dma(d, 0, space.pieces.front().iova, Op::kRead);
  if (mutable_spaces(d).empty() || dice_.chance(30)) return;
  attach(d, *dice_.pick(mutable_spaces(d)));
  if (d.window && d.stream_pasid == 0) start(d);
}

/// Another domain, in which the stream's window is as it was and the rest is not.
void Teller::replace_one() {
  const auto can = devices([&](const Device& d) {
    return d.attached.count(0) != 0 && !d.held && world_.find(d.attached.at(0))->stage != Stage::kNested;
  });
  if (can.empty() || domains_ >= 28) return;
  Device& d = *dice_.pick(can);
  Space& old = *world_.find(d.attached.at(0));
  const Stage stage = world_.scalable ? dice_.pick({Stage::kSecond, Stage::kFirst}) : Stage::kSecond;
  Space& to = new_space(stage, old.levels);
  to.places = old.places;
  std::vector<Iova> lost;
  for (const Piece& p : old.pieces) {
    const bool own = d.window && p.iova == d.window->iova;
    if (p.stream && !own) continue;
    Piece copy = p;
    if (copy.rights == "w" && stage == Stage::kFirst) copy.rights = "r";
    if (own || dice_.chance(40)) {
      map(to, copy);
    } else {
      lost.push_back(p.iova);
      copy.leaf = "4K";
      if (dice_.chance(50) && chunk(to, copy, kPageSize)) map(to, copy);
    }
  }
  for (const Iova iova : lost) dma(d, 0, iova, Op::kRead);
  step("replace: {{device: {}, domain: {}}}", d.name, to.name);
  world_.attach(d, 0, to.name);
  for (const Iova iova : lost) dma(d, 0, iova, Op::kRead);
  if (!world_.used(old) && !old.marked && dice_.chance(60)) {
    step("destroy_domain: {{domain: {}}}", old.name);
    world_.spaces.remove_if([&](const Space& s) { return &s == &old; });
  }
  if (dice_.chance(60)) attach_idle();  // who gets the id that is free now must find nothing
}

void Teller::pasid_more() {
  const auto can = devices([](const Device& d) { return d.pasid_bits != 0 && !d.held && !d.gated && !d.retired; });
  if (can.empty()) return;
  Device& d = *dice_.pick(can);
  const std::uint64_t pasid = dice_.pick({1, 5, 63, 64, 100});
  if (d.stream_pasid != 0 || d.context == false) return;
  if (d.attached.count(pasid) != 0) {
    probe(d, pasid);
    const Space space = *world_.find(d.attached.at(pasid));
    detach(d, pasid);
    if (!space.pieces.empty()) dma(d, pasid, space.pieces.front().iova, Op::kRead);
    return;
  }
  std::vector<Space*> open;
  for (Space& s : world_.spaces)
    if (s.is_mutable()) open.push_back(&s);
  if (open.empty()) return;
  attach(d, *dice_.pick(open), pasid);
  probe(d, pasid);
}

void Teller::refuse_simple() {
  for (const Space& s : world_.spaces)
    if (s.is_mutable() && !s.pieces.empty()) {
      const Piece& p = s.pieces.front();
      step("map: {{domain: {}, iova: {:#x}, memory: {}, offset: {}K, size: 4K, expect: EEXIST}}", s.name, p.iova,
           p.memory, p.offset >> 10);
      return;
    }
}

}  // namespace vtd::sim::story
