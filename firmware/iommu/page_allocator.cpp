// SPDX-License-Identifier: MIT
#include "firmware/iommu/page_allocator.h"

#include <bit>

#include "firmware/hal/policy.h"

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
  if (fails(platform::FailPlace::kAllocatePage)) return 0;
  for (std::uint64_t word = first_candidate_; word < end_; ++word) {
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

PhysAddr PageAllocator::allocate(std::uint64_t pages) {
  if (pages == 1) return allocate();
  const PhysAddr end = platform::kHeapBase + end_ * 64 * kPageSize;
  std::uint64_t run = 0;
  for (PhysAddr page = platform::kHeapBase + first_candidate_ * 64 * kPageSize; page < end; page += kPageSize) {
    run = in_use(page) ? 0 : run + 1;
    if (run < pages) continue;
    const PhysAddr first = page - (pages - 1) * kPageSize;
    for (std::uint64_t i = 0; i < pages; ++i) hold(first + i * kPageSize);
    hal::fill(first, 0, pages * kPageSize);
    return first;
  }
  return 0;
}

void PageAllocator::only_crash_region() {
  first_candidate_ = kCrashWord;
  end_ = kWords;
  free_ = (kWords - kCrashWord) * 64;
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
