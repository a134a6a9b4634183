// SPDX-License-Identifier: MIT
#include "firmware/liveupdate/tracker.h"

namespace vtd::fw {

template <typename Function>
bool Tracker::each_word(PhysAddr base, std::uint64_t bytes, Function&& f) const {
  const PhysAddr end = base + bytes;
  for (PhysAddr at = base; at < end;) {
    const unsigned first = platform::tracker::bit_of(at);
    const auto pages = static_cast<unsigned>(std::min<std::uint64_t>((end - at) / kPageSize, 64 - first));
    if (!f(word(at), bit_range(first + pages - 1, first))) return false;
    at += pages * kPageSize;
  }
  return true;
}

bool Tracker::valid_range(PhysAddr base, std::uint64_t bytes) const {
  return bytes != 0 && is_aligned(base, kPageSize) && is_aligned(bytes, kPageSize) && in_dram(base) &&
         bytes <= memory_ && in_dram(base + bytes - 1);
}

Status Tracker::create(PageAllocator& allocator) {
  memory_ = hal::memory_size();
  top_ = allocator.allocate();
  if (top_ == 0) return Status::kNoMemory;
  // All leaves at once: preserving a page can then never run out of memory.
  for (PhysAddr at = 0; at < memory_; at += platform::tracker::kLeafSpan) {
    const PhysAddr leaf = allocator.allocate();
    if (leaf == 0) {
      destroy(allocator);
      return Status::kNoMemory;
    }
    hal::write64(platform::tracker::leaf_entry(top_, at), leaf);
  }
  for_each_own([&](PhysAddr page) { static_cast<void>(preserve(page)); });
  return Status::kOk;
}

void Tracker::reclaim_own() {
  for_each_own([&](PhysAddr) { ++reclaimed_; });
}

void Tracker::destroy(PageAllocator& allocator) {
  if (top_ == 0) return;
  for_each_own([&](PhysAddr page) { allocator.release(page); });
  top_ = 0;
}

bool Tracker::well_formed() const {
  bool good = true;
  for (PhysAddr at = 0; at < memory_; at += platform::tracker::kLeafSpan) {
    const PhysAddr leaf = hal::read64(platform::tracker::leaf_entry(top_, at));
    good = good && is_aligned(leaf, kPageSize) && in_dram(leaf);
  }
  return good;
}

Status Tracker::preserve(PhysAddr base, std::uint64_t bytes) {
  if (!valid_range(base, bytes)) return Status::kInvalid;
  const bool free =
      each_word(base, bytes, [](PhysAddr at, std::uint64_t mask) { return (hal::read64(at) & mask) == 0; });
  if (!free) return Status::kExists;
  each_word(base, bytes, [](PhysAddr at, std::uint64_t mask) {
    hal::write64(at, hal::read64(at) | mask);
    return true;
  });
  return Status::kOk;
}

void Tracker::unpreserve(PhysAddr base, std::uint64_t bytes) {
  each_word(base, bytes, [](PhysAddr at, std::uint64_t mask) {
    hal::write64(at, hal::read64(at) & ~mask);
    return true;
  });
}

bool Tracker::preserved(PhysAddr base, std::uint64_t bytes) const {
  return top_ != 0 && valid_range(base, bytes) && each_word(base, bytes, [](PhysAddr at, std::uint64_t mask) {
           return at != 0 && (hal::read64(at) & mask) == mask;
         });
}

bool Tracker::reclaim(PhysAddr base, std::uint64_t bytes) {
  if (!preserved(base, bytes)) return false;
  unpreserve(base, bytes);
  reclaimed_ += bytes / kPageSize;
  return true;
}

std::uint64_t Tracker::count() const {
  if (top_ == 0) return 0;
  std::uint64_t pages = 0;
  for (PhysAddr at = 0; at < memory_; at += kBlock)
    if (const PhysAddr word_at = word(at); word_at != 0)
      for (std::uint64_t word = hal::read64(word_at); word != 0; word &= word - 1) ++pages;
  return pages;
}

}  // namespace vtd::fw
