// SPDX-License-Identifier: MIT
#include "firmware/liveupdate/tracker.h"

#include <algorithm>

namespace vtd::fw {
namespace {

/// Calls f(word address, mask) for each bitmap word that [base, base + bytes) touches; stops when f returns false.
template <typename Function>
bool each_word(PhysAddr tracker, PhysAddr base, std::uint64_t bytes, Function&& f) {
  const PhysAddr end = base + bytes;
  for (PhysAddr at = base; at < end;) {
    const unsigned first = abi::tracker_bit(at);
    const auto pages = static_cast<unsigned>(std::min<std::uint64_t>((end - at) / kPageSize, 64 - first));
    if (!f(abi::tracker_word(tracker, at), bit_range(first + pages - 1, first))) return false;
    at += pages * kPageSize;
  }
  return true;
}

bool valid_range(PhysAddr base, std::uint64_t bytes) {
  return bytes != 0 && is_aligned(base, kPageSize) && is_aligned(bytes, kPageSize) && Tracker::in_dram(base) &&
         bytes <= platform::kDramSize && Tracker::in_dram(base + bytes - 1);
}

}  // namespace

Status Tracker::preserve(PhysAddr base, std::uint64_t bytes) {
  if (!valid_range(base, bytes)) return Status::kInvalid;
  const bool free =
      each_word(page_, base, bytes, [](PhysAddr at, std::uint64_t mask) { return (hal::read64(at) & mask) == 0; });
  if (!free) return Status::kExists;
  each_word(page_, base, bytes, [](PhysAddr at, std::uint64_t mask) {
    hal::write64(at, hal::read64(at) | mask);
    return true;
  });
  return Status::kOk;
}

void Tracker::unpreserve(PhysAddr base, std::uint64_t bytes) {
  each_word(page_, base, bytes, [](PhysAddr at, std::uint64_t mask) {
    hal::write64(at, hal::read64(at) & ~mask);
    return true;
  });
}

bool Tracker::preserved(PhysAddr base, std::uint64_t bytes) const {
  return page_ != 0 && valid_range(base, bytes) && each_word(page_, base, bytes, [](PhysAddr at, std::uint64_t mask) {
           return (hal::read64(at) & mask) == mask;
         });
}

bool Tracker::reclaim(PhysAddr base, std::uint64_t bytes) {
  if (!preserved(base, bytes)) return false;
  unpreserve(base, bytes);
  reclaimed_ += bytes / kPageSize;
  return true;
}

std::uint64_t Tracker::count() const {
  if (page_ == 0) return 0;
  std::uint64_t pages = 0;
  for (std::uint64_t at = 0; at < kBytes; at += 8)
    for (std::uint64_t word = hal::read64(page_ + at); word != 0; word &= word - 1) ++pages;
  return pages;
}

}  // namespace vtd::fw
