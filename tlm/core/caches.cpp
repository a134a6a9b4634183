// SPDX-License-Identifier: MIT
#include "tlm/core/caches.h"

#include "tlm/core/invalidation.h"

namespace vtd {

void Caches::invalidate(const Invalidation& invalidation) {
  context.invalidate_if([&](const ContextTag& tag, const ContextEntry& entry) {
    return covers_context(invalidation, tag.source, entry.domain);
  });
  pasid.invalidate_if([&](const PasidTag& tag, const AddressSpace& space) {
    return covers_pasid_cache(invalidation, space.domain, tag.pasid);
  });
  iotlb.invalidate(invalidation);
  interrupt.invalidate_if(
      [&](const InterruptTag& tag, const irte::Entry&) { return covers_interrupt(invalidation, tag.interrupt); });
}

void Caches::clear() {
  context.clear();
  pasid.clear();
  iotlb.clear();
  interrupt.clear();
}

}  // namespace vtd
