// SPDX-License-Identifier: MIT
#include "tlm/core/iotlb.h"

#include "tlm/core/invalidation.h"

namespace vtd {

IotlbEntry iotlb_entry(const WalkResponse& response) {
  return {response.page, response.level, response.readable, response.writable, response.snoop};
}

IotlbTag Iotlb::tag(SourceId source, DomainId domain, Iova address, std::uint8_t level) const {
  const SourceId tagged = tagging_ == IotlbTagging::kSourceAndDomain ? source : SourceId{};
  return {domain, tagged, align_down(address, level_size(level)), level};
}

std::optional<IotlbEntry> Iotlb::lookup(SourceId source, DomainId domain, Iova address) {
  const std::array<IotlbTag, kLargestLevel> tags{tag(source, domain, address, 1), tag(source, domain, address, 2),
                                                 tag(source, domain, address, 3)};
  return cache_.lookup(tags);
}

std::optional<IotlbEntry> Iotlb::peek(SourceId source, DomainId domain, Iova address) const {
  for (std::uint8_t level = 1; level <= kLargestLevel; ++level)
    if (auto entry = cache_.peek(tag(source, domain, address, level))) return entry;
  return std::nullopt;
}

void Iotlb::fill(SourceId source, DomainId domain, Iova address, const IotlbEntry& entry) {
  cache_.fill(tag(source, domain, address, entry.level), entry);
}

std::uint64_t Iotlb::invalidate(const Invalidation& invalidation) {
  return cache_.invalidate_if([&](const IotlbTag& t, const IotlbEntry&) {
    return covers_iotlb(invalidation, t.domain, t.page, level_size(t.level));
  });
}

}  // namespace vtd
