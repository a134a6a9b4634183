// SPDX-License-Identifier: MIT
#include "tlm/core/walker.h"

#include "tlm/spec/field.h"

namespace vtd {

bool range_meets(const WalkInvalidation& invalidation, Iova address, std::uint64_t size) {
  constexpr unsigned kAddressBits = 57;  // beyond them there is only the sign
  const std::uint64_t range = invalidation.address_mask + kPageShift < kAddressBits
                                  ? bit(invalidation.address_mask + kPageShift)
                                  : bit(kAddressBits);
  const std::uint64_t compared = bit_range(kAddressBits - 1, 0) & ~(range - 1) & ~(size - 1);
  return ((invalidation.address ^ address) & compared) == 0;
}

bool covers(const WalkInvalidation& invalidation, const WalkRequest& request) {
  const bool first_stage = request.kind == WalkKind::kFirstStage || request.kind == WalkKind::kNested;
  if (invalidation.scope == WalkScope::kAll) return true;
  if (invalidation.domain != request.domain) return false;
  // What is above a leaf serves other pages too, and must not get into the caches any more.
  const bool in_range = !invalidation.leaf_only || range_meets(invalidation, request.iova, kPageSize);
  switch (invalidation.scope) {
    case WalkScope::kDomainPage:
      return first_stage || in_range;
    case WalkScope::kPasid:
      return invalidation.pasid == request.pasid;
    case WalkScope::kPasidPage:
      return invalidation.pasid == request.pasid && in_range;
    default:
      return true;
  }
}

}  // namespace vtd
