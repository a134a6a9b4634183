// SPDX-License-Identifier: MIT
#include "firmware/iommu/context_map.h"

namespace vtd::fw {

PhysAddr ContextMap::table(unsigned n) const {
  const PhysAddr at = root_ + std::uint64_t{n / 2} * root::kBytes;
  const root::Entry entry{{hal::read64(at), hal::read64(at + 8)}};
  if (!scalable()) return entry.get(root::kP) != 0 ? entry.address(root::kCTP) : 0;
  if (n % 2 == 0) return entry.get(root::kLP) != 0 ? entry.address(root::kLCTP) : 0;
  return entry.get(root::kUP) != 0 ? entry.address(root::kUCTP) : 0;
}

void ContextMap::set_table(unsigned n, PhysAddr table) const {
  const PhysAddr at = root_ + std::uint64_t{n / 2} * root::kBytes;
  root::Entry entry{{hal::read64(at), hal::read64(at + 8)}};
  const std::uint64_t present = table != 0 ? 1 : 0;
  if (!scalable()) {
    entry.set(root::kP, present).set_address(root::kCTP, table);
  } else if (n % 2 == 0) {
    entry.set(root::kLP, present).set_address(root::kLCTP, table);
  } else {
    entry.set(root::kUP, present).set_address(root::kUCTP, table);
  }
  hal::write128(at, entry.words[0], entry.words[1]);
  hal::flush(at, root::kBytes);
}

PhysAddr ContextMap::entry_at(SourceId sid) const {
  const PhysAddr t = table(number_of(sid));
  if (t == 0) return 0;
  return t + std::uint64_t{scalable() ? sid.devfn() % kHalf : sid.devfn()} * entry_bytes();
}

Record128 ContextMap::low(SourceId sid) const {
  const PhysAddr at = entry_at(sid);
  if (at == 0) return {};
  return {{hal::read64(at), hal::read64(at + 8)}};
}

bool ContextMap::present(SourceId sid) const {
  return low(sid).get(ctx::kP) != 0;
}

}  // namespace vtd::fw
