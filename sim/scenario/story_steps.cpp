// SPDX-License-Identifier: MIT
// The steps of a random story, each with what it means for its world.
#include <algorithm>

#include "sim/scenario/scenario.h"
#include "sim/scenario/story_teller.h"
#include "tlm/spec/field.h"
#include "tlm/spec/profiles.h"

namespace vtd::sim::story {
namespace {

constexpr std::uint64_t kMemorySize = 4 << 20;
constexpr unsigned kMostMemories = 13;  // of what fits behind platform::kGuestBase
constexpr std::uint64_t k2M = 2 << 20;

std::string size_text(std::uint64_t size) {
  return size % (1 << 20) == 0 ? fmt::format("{}M", size >> 20) : fmt::format("{}K", size >> 10);
}

const char* name_of(Op op) {
  return op == Op::kWrite ? "write" : "read";
}

}  // namespace

/// Memory that no other piece has.
bool Teller::chunk(const Space& space, Piece& piece, std::uint64_t align) {
  const bool nested = space.stage == Stage::kNested;
  piece.memory = nested ? world_.find(space.parent)->pieces.front().memory : memory_;
  const std::uint64_t most = nested ? k2M : kMemorySize;
  piece.offset = align_up(used_[piece.memory], align);
  if (piece.memory.empty() || piece.offset + piece.size > most) {
    if (nested || memories_ >= kMostMemories || piece.size > most) return false;
    memory_ = piece.memory = fmt::format("M{}", ++memories_);
    step("memory: {{name: {}, size: {}}}", memory_, size_text(kMemorySize));
    piece.offset = 0;
  }
  used_[piece.memory] = piece.offset + piece.size;
  return true;
}

/// Domains have the same places, so that what is stale in one is wrong in another.
Iova Teller::place(Space& space) {
  Iova iova = (4 + std::uint64_t{space.places++}) << 30;
  if (space.levels >= 4 && dice_.chance(25)) iova |= std::uint64_t{1} << 40;
  if (space.levels == 5 && dice_.chance(25)) iova |= std::uint64_t{1} << 50;
  return iova;
}

bool Teller::map(Space& space, std::uint64_t size, const std::string& rights, bool stream) {
  Piece piece{0, size, "", 0, rights, "4K", stream};
  const bool large = size % k2M == 0 && dice_.chance(70) && space.stage != Stage::kNested;
  if (!chunk(space, piece, large ? k2M : kPageSize)) return false;
  piece.iova = place(space);
  if (large) piece.leaf = "2M";
  if (!large && !stream && dice_.chance(40)) piece.iova += dice_.between(1, 600) * kPageSize;
  map(space, piece);
  return true;
}

void Teller::map(Space& space, const Piece& piece) {
  step("map: {{domain: {}, iova: {:#x}, memory: {}, offset: {}, size: {}, rights: {}, leaf: {}}}", space.name,
       piece.iova, piece.memory, size_text(piece.offset), size_text(piece.size), piece.rights, piece.leaf);
  space.pieces.push_back(piece);
}

/// A piece, or its end, that no stream uses.
void Teller::unmap(Space& space) {
  std::vector<Piece*> free;
  for (Piece& p : space.pieces)
    if (!p.stream) free.push_back(&p);
  if (free.empty()) return;
  Piece& piece = *dice_.pick(free);
  Piece gone = piece;
  if (piece.leaf == "4K" && piece.size > kPageSize && dice_.chance(60)) {
    const std::uint64_t left = dice_.between(1, piece.size / kPageSize - 1) * kPageSize;
    gone.iova += left;
    gone.offset += left;
    gone.size -= left;
  }
  // What is cached must go.
  for (Device& d : world_.devices)
    for (const auto& [pasid, name] : d.attached)
      if (name == space.name && dice_.chance(80))
        dma(d, pasid, gone.iova + dice_.below(gone.size / kPageSize) * kPageSize,
            gone.allows(Op::kRead) ? Op::kRead : Op::kWrite);
  step("unmap: {{domain: {}, iova: {:#x}, size: {}}}", space.name, gone.iova, size_text(gone.size));
  piece.size -= gone.size;
  space.gone.push_back(gone);
  std::erase_if(space.pieces, [](const Piece& p) { return p.size == 0; });
  for (Device& d : world_.devices)
    for (const auto& [pasid, name] : d.attached)
      if (name == space.name)
        dma(d, pasid, gone.iova, gone.allows(Op::kRead) ? Op::kRead : Op::kWrite,
            std::min<std::uint64_t>(8, gone.size / kPageSize));
}

void Teller::attach(Device& d, const Space& space, std::uint64_t pasid) {
  step("attach: {{device: {}, domain: {}{}}}", d.name, space.name, pasid == 0 ? "" : fmt::format(", pasid: {}", pasid));
  world_.attach(d, pasid, space.name);
}

void Teller::detach(Device& d, std::uint64_t pasid) {
  if (d.window && d.stream_pasid == pasid) stop(d);
  step("detach: {{device: {}{}}}", d.name, pasid == 0 ? "" : fmt::format(", pasid: {}", pasid));
  world_.detach(d, pasid);
}

void Teller::start(Device& d) {
  step("start: {}", d.name);
  d.streaming = true;
}

void Teller::stop(Device& d) {
  if (!d.streaming) return;
  step("stop: {}", d.name);
  d.streaming = false;
}

void Teller::pause() {
  step("wait: {} us", dice_.between(1, 40));
}

/// At so many pages, of which all have one outcome. Of one's own memory only; refusals by a device TLB are not
/// foretold.
void Teller::dma(Device& d, std::uint64_t pasid, Iova iova, Op op, std::uint64_t pages) {
  const std::string expected = world_.outcome(d, pasid, iova, op);
  if (d.ats && expected != "ok") return;
  if (const auto a = d.attached.find(pasid); a != d.attached.end() && op == Op::kWrite)
    for (const Piece& p : world_.find(a->second)->pieces)
      if (p.stream && p.contains(iova)) return;
  // The record of a fault, too, where it can be read.
  const auto reason = parse_reason(expected);
  const bool read_record = reason && pages == 1 && !cpu_away_ && dice_.chance(20);
  if (read_record) step("drain_faults");
  step("{}dma: {{device: {}, iova: {:#x}, op: {}{}{}, expect: {}}}", pages == 1 ? "" : "repeat_", d.name, iova,
       name_of(op), pages == 1 ? "" : fmt::format(", count: {}", pages),
       pasid == 0 ? "" : fmt::format(", pasid: {}", pasid), expected);
  if (reason) faults_[{d.name, expected}] += pages;
  if (!read_record) return;
  step("drain_faults: {{count: 1, overflow: false}}");
  const std::uint64_t address_mask = bit(find_profile(profile_)->guest_address_width) - 1;  // FRCD.FI has no more
  console_.push_back(fmt::format("vtd: fault {} {} {:#x} reason {:#x}", bdf(d.requester()), name_of(op),
                                 align_down(iova, kPageSize) & address_mask, static_cast<unsigned>(*reason)));
}

std::vector<Device*> Teller::devices(const std::function<bool(const Device&)>& wanted) {
  std::vector<Device*> out;
  for (Device& d : world_.devices)
    if (wanted(d)) out.push_back(&d);
  return out;
}

}  // namespace vtd::sim::story
