// SPDX-License-Identifier: MIT
#include "firmware/iommu/domain_ids.h"

namespace vtd::fw {

void DomainIds::configure(std::uint64_t count) {
  taken_ = {};
  count_ = count;
}

std::optional<DomainId> DomainIds::allocate() {
  for (std::uint64_t did = kFirst; did < count_; ++did) {
    if (reserved(did)) continue;
    taken_[did / 64] |= bit(static_cast<unsigned>(did % 64));
    return DomainId{static_cast<std::uint16_t>(did)};
  }
  return std::nullopt;
}

Status DomainIds::reserve(std::uint64_t did) {
  if (!valid(did)) return Status::kInvalid;
  if (reserved(did)) return Status::kExists;
  taken_[did / 64] |= bit(static_cast<unsigned>(did % 64));
  return Status::kOk;
}

Status DomainIds::reserve_any(std::uint64_t did) {
  if (did >= taken_.size() * 64) return Status::kInvalid;
  if (reserved(did)) return Status::kExists;
  taken_[did / 64] |= bit(static_cast<unsigned>(did % 64));
  return Status::kOk;
}

std::uint64_t DomainIds::taken() const {
  std::uint64_t ids = 0;
  for (std::uint64_t word : taken_)
    for (; word != 0; word &= word - 1) ++ids;
  return ids;
}

void DomainIds::release(DomainId did) {
  if (valid(did.value)) taken_[did.value / 64] &= ~bit(did.value % 64U);
}

bool DomainIds::reserved(std::uint64_t did) const {
  return did < taken_.size() * 64 && (taken_[did / 64] & bit(static_cast<unsigned>(did % 64))) != 0;
}

}  // namespace vtd::fw
