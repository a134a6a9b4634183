// SPDX-License-Identifier: MIT
#include "tlm/core/caches.h"

#include "tlm/core/invalidation.h"

namespace vtd {

void Caches::invalidate(const Invalidation& invalidation) {
  context.invalidate_if([&](const ContextTag& tag, const ContextEntry& entry) {
    return covers_context(invalidation, tag.source, entry.domain);
  });
  iotlb.invalidate(invalidation);
}

void Caches::clear() {
  context.clear();
  iotlb.clear();
}

}  // namespace vtd
