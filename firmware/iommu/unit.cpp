// SPDX-License-Identifier: MIT
#include "firmware/iommu/unit.h"

namespace vtd::fw {

bool Unit::discover(unsigned index) {
  present_ = driver_.discover(platform::kUnitBase + index * platform::kUnitStride);
  if (present_) ids_.configure(domains_of_cap(driver_.cap()));
  return present_;
}

bool Unit::supports_levels(unsigned levels) const {
  return levels >= 3 && levels <= kMaxLevels && (cap::kSAGAW.get(driver_.cap()) & bit(aw_of_levels(levels))) != 0;
}

unsigned Unit::largest_levels() const {
  for (unsigned levels = kMaxLevels; levels > 3; --levels)
    if (supports_levels(levels)) return levels;
  return 3;
}

unsigned Unit::largest_leaf() const {
  const std::uint64_t sizes = cap::kSSLPS.get(driver_.cap());
  if ((sizes & bit(0)) == 0) return 1;
  return (sizes & bit(1)) == 0 ? 2 : 3;
}

Status Unit::start_queue(PageAllocator& allocator) {
  const PhysAddr ring = allocator.allocate();
  const PhysAddr status = allocator.allocate();
  if (ring == 0 || status == 0) return Status::kNoMemory;
  return driver_.enable_queue(ring, status);
}

Status Unit::cold_start(PageAllocator& allocator) {
  if (driver_.translating())
    if (const Status s = driver_.disable_translation(); !ok(s)) return s;
  if (driver_.queue_enabled())
    if (const Status s = driver_.disable_queue(); !ok(s)) return s;
  root_ = allocator.allocate();
  if (root_ == 0) return Status::kNoMemory;
  hal::flush(root_, kPageSize);
  if (const Status s = start_queue(allocator); !ok(s)) return s;
  if (const Status s = driver_.set_root(root_); !ok(s)) return s;
  return driver_.enable_translation();
}

Status Unit::adopt(PhysAddr root, PageAllocator& allocator) {
  if (driver_.queue_enabled())  // its ring may lie in memory that is not ours any more
    if (const Status s = driver_.disable_queue(); !ok(s)) return s;
  root_ = root;
  hal::flush(root_, kPageSize);
  if (const Status s = start_queue(allocator); !ok(s)) return s;
  if (const Status s = driver_.set_root(root_); !ok(s)) return s;
  return driver_.enable_translation();
}

PhysAddr Unit::context_table_of(PhysAddr root, std::uint8_t bus) {
  root::Entry entry;
  entry.words[0] = hal::read64(root + bus * std::uint64_t{root::kBytes});
  return entry.get(root::kP) != 0 ? entry.address(root::kCTP) : 0;
}

PhysAddr Unit::context_entry_at(PhysAddr context_table, SourceId sid) {
  return context_table + sid.devfn() * std::uint64_t{ctx::kBytes};
}

ctx::Entry Unit::context_entry(SourceId sid) const {
  const PhysAddr table = context_table(sid.bus());
  if (table == 0) return {};
  const PhysAddr at = context_entry_at(table, sid);
  return {{hal::read64(at), hal::read64(at + 8)}};
}

Status Unit::set_context_entry(SourceId sid, const ctx::Entry& entry, PageAllocator& allocator) {
  PhysAddr table = context_table(sid.bus());
  if (table == 0) {
    table = allocator.allocate();
    if (table == 0) return Status::kNoMemory;
    hal::flush(table, kPageSize);
    root::Entry root_entry;
    root_entry.set(root::kP, 1).set_address(root::kCTP, table);
    const PhysAddr at = root_ + sid.bus() * std::uint64_t{root::kBytes};
    hal::write128(at, root_entry.words[0], root_entry.words[1]);
    hal::flush(at, root::kBytes);
  }
  const PhysAddr at = context_entry_at(table, sid);
  hal::write128(at, entry.words[0], entry.words[1]);
  hal::flush(at, ctx::kBytes);
  if (cap::kCM.get(driver_.cap()) == 0) return driver_.flush_write_buffer();
  // Caching mode: not-present entries may be cached, tagged with domain id 0.
  if (const Status s = driver_.invalidate(ContextInvalidation{ContextGranularity::kDevice, DomainId{0}, sid}); !ok(s))
    return s;
  const DomainId did{static_cast<std::uint16_t>(entry.get(ctx::kDID))};
  return driver_.invalidate(IotlbInvalidation{IotlbGranularity::kDomain, did, 0, 0});
}

Status Unit::clear_context_entry(SourceId sid) {
  const PhysAddr table = context_table(sid.bus());
  if (table == 0) return Status::kNoEntry;
  const DomainId did{static_cast<std::uint16_t>(context_entry(sid).get(ctx::kDID))};
  const PhysAddr at = context_entry_at(table, sid);
  hal::write128(at, 0, 0);
  hal::flush(at, ctx::kBytes);
  if (const Status s = driver_.invalidate(ContextInvalidation{ContextGranularity::kDevice, did, sid}); !ok(s)) return s;
  return driver_.invalidate(IotlbInvalidation{IotlbGranularity::kDomain, did, 0, 0});
}

}  // namespace vtd::fw
