// SPDX-License-Identifier: MIT
#include "sim/scenario/story_world.h"

#include <algorithm>

#include "tlm/spec/capability.h"

namespace vtd::sim::story {
namespace {

unsigned bus_of(SourceId id) {
  return id.value >> 8;
}

}  // namespace

const Space* World::find(const std::string& name) const {
  const auto it = std::find_if(spaces.begin(), spaces.end(), [&](const Space& s) { return s.name == name; });
  return it == spaces.end() ? nullptr : &*it;
}

Space* World::find(const std::string& name) {
  return const_cast<Space*>(std::as_const(*this).find(name));
}

bool World::used(const Space& space) const {
  return std::any_of(devices.begin(), devices.end(), [&](const Device& d) {
    return std::any_of(d.attached.begin(), d.attached.end(), [&](const auto& a) { return a.second == space.name; });
  });
}

/// VT-d 7.1.3: legacy and scalable mode have reasons of their own.
std::string World::outcome(const Device& d, std::uint64_t pasid, Iova iova, Op op) const {
  const std::string mode = scalable ? "Sm" : "";
  if (d.gated && !d.ignores_bus_master) return "refused";
  if (context_tables.count({d.unit, bus_of(d.requester())}) == 0) return mode + "RootNotPresent";
  if (!d.context) return mode + "ContextNotPresent";
  const auto it = d.attached.find(pasid);
  return it == d.attached.end() ? "SmPasidNotPresent" : translate(*find(it->second), iova, op);
}

std::string World::translate(const Space& space, Iova iova, Op op) const {
  const bool second = space.stage == Stage::kSecond;
  const std::string denied = op == Op::kWrite ? "WritePermission" : "ReadPermission";
  if (iova >> width_of_levels(space.levels) != 0)
    return !second ? "NotCanonical" : scalable ? "SsBeyondWidth" : "AddressBeyondWidth";
  const auto piece =
      std::find_if(space.pieces.begin(), space.pieces.end(), [&](const Piece& p) { return p.contains(iova); });
  if (piece == space.pieces.end()) return !second ? "FsNotPresent" : scalable ? "SsNotPresent" : denied;
  if (piece->allows(op)) return "ok";
  return (scalable ? "Sm" : "") + denied;
}

void World::attach(Device& d, std::uint64_t pasid, const std::string& space) {
  d.attached[pasid] = space;
  d.context = true;
  d.gated = false;
  context_tables.insert({d.unit, bus_of(d.source)});
  context_tables.insert({d.unit, bus_of(d.requester())});
}

void World::detach(Device& d, std::uint64_t pasid) {
  d.attached.erase(pasid);
  if (!scalable) d.context = false;
}

void World::clean() {
  std::set<std::pair<unsigned, unsigned>> kept;
  for (Device& d : devices) {
    if (d.held) {
      kept.insert({d.unit, bus_of(d.source)});
      kept.insert({d.unit, bus_of(d.requester())});
      continue;
    }
    d.attached.clear();
    d.context = d.claimed = false;
    d.gated = !d.non_pci;
    d.retired = d.window.has_value();
  }
  context_tables = std::move(kept);
  std::erase_if(spaces, [](const Space& s) { return !s.preserved; });
  for (Space& s : spaces) {
    s.preserved = s.marked = false;
    s.restored = true;
  }
}

}  // namespace vtd::sim::story
