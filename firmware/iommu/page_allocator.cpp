// SPDX-License-Identifier: MIT
#include "firmware/iommu/page_allocator.h"

#include <bit>

namespace vtd::fw {
namespace {
struct Place {
  std::uint64_t word;
  std::uint64_t mask;
};
Place place(PhysAddr page) {
  const std::uint64_t index = (page - platform::kHeapBase) / kPageSize;
  return {index / 64, bit(static_cast<unsigned>(index % 64))};
}
}  // namespace

PhysAddr PageAllocator::allocate() {
  for (std::uint64_t word = first_candidate_; word < kWords; ++word) {
    first_candidate_ = word;
    if (used_[word] == ~std::uint64_t{0}) continue;
    const auto n = static_cast<unsigned>(std::countr_one(used_[word]));
    used_[word] |= bit(n);
    --free_;
    const PhysAddr page = platform::kHeapBase + (word * 64 + n) * kPageSize;
    hal::fill(page, 0, kPageSize);
    return page;
  }
  return 0;
}

void PageAllocator::release(PhysAddr page) {
  if (!owns(page) || !in_use(page)) return;
  const Place p = place(page);
  used_[p.word] &= ~p.mask;
  ++free_;
  if (p.word < first_candidate_) first_candidate_ = p.word;
}

void PageAllocator::hold(PhysAddr page) {
  if (!owns(page) || in_use(page)) return;
  const Place p = place(page);
  used_[p.word] |= p.mask;
  --free_;
}

bool PageAllocator::in_use(PhysAddr page) const {
  if (!owns(page)) return false;
  const Place p = place(page);
  return (used_[p.word] & p.mask) != 0;
}

}  // namespace vtd::fw
