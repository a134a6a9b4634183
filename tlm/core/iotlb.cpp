// SPDX-License-Identifier: MIT
#include "tlm/core/iotlb.h"

#include "tlm/core/invalidation.h"

namespace vtd {

IotlbEntry iotlb_entry(const WalkResponse& response) {
  IotlbEntry entry;
  entry.page = response.page;
  entry.level = response.level;
  entry.readable = response.readable;
  entry.writable = response.writable;
  entry.snoop = response.snoop;
  entry.user = response.user;
  entry.executable = response.executable;
  entry.supervisor_writable = response.supervisor_writable;
  entry.clean = response.clean;
  return entry;
}

IotlbTag Iotlb::tag(SourceId source, const AddressSpace& space, Iova address, std::uint8_t level) const {
  IotlbTag tag;
  tag.domain = space.domain;
  tag.kind = space.kind;
  tag.page = align_down(address, level_size(level));
  tag.level = level;
  if (space.first_stage())
    tag.pasid = space.pasid;
  else if (tagging_ == IotlbTagging::kSourceAndDomain)
    tag.source = source;
  return tag;
}

std::optional<IotlbEntry> Iotlb::lookup(SourceId source, const AddressSpace& space, Iova address) {
  const std::array<IotlbTag, kLargestLevel> tags{tag(source, space, address, 1), tag(source, space, address, 2),
                                                 tag(source, space, address, 3)};
  return cache_.lookup(tags);
}

std::optional<IotlbEntry> Iotlb::peek(SourceId source, const AddressSpace& space, Iova address) const {
  for (std::uint8_t level = 1; level <= kLargestLevel; ++level)
    if (auto entry = cache_.peek(tag(source, space, address, level))) return entry;
  return std::nullopt;
}

void Iotlb::fill(SourceId source, const AddressSpace& space, Iova address, const IotlbEntry& entry) {
  cache_.fill(tag(source, space, address, entry.level), entry);
}

std::uint64_t Iotlb::invalidate(const Invalidation& invalidation) {
  return cache_.invalidate_if([&](const IotlbTag& t, const IotlbEntry&) {
    return covers_iotlb(invalidation, {t.kind, t.domain, t.pasid, t.page, level_size(t.level)});
  });
}

}  // namespace vtd
