// SPDX-License-Identifier: MIT
#include "firmware/iommu/unit.h"

#include "firmware/hal/policy.h"

namespace vtd::fw {

bool Unit::discover(unsigned index) {
  present_ = driver_.discover(platform::kUnitBase + index * platform::kUnitStride);
  if (present_) ids_.configure(domains_of_cap(driver_.cap()));
  return present_;
}

bool Unit::supports(TableMode mode) const {
  return mode == TableMode::kLegacy || ecap::kSMTS.get(driver_.ecap()) != 0;
}

bool Unit::supports(Stage stage, unsigned levels) const {
  const std::uint64_t cap = driver_.cap();
  const std::uint64_t ecap = driver_.ecap();
  const bool second = levels >= 3 && levels <= kMaxLevels && (cap::kSAGAW.get(cap) & bit(aw_of_levels(levels))) != 0;
  const bool first = levels == 4 || (levels == 5 && cap::kFS5LP.get(cap) != 0);
  if (!scalable()) return stage == Stage::kSecond && second;
  switch (stage) {
    case Stage::kSecond:
      return second && ecap::kSSTS.get(ecap) != 0;
    case Stage::kFirst:
      return first && ecap::kFSTS.get(ecap) != 0;
    case Stage::kNested:
      return first && ecap::kNEST.get(ecap) != 0;
  }
  return false;
}

unsigned Unit::largest_levels() const {
  for (unsigned levels = kMaxLevels; levels > 3; --levels)
    if ((cap::kSAGAW.get(driver_.cap()) & bit(aw_of_levels(levels))) != 0) return levels;
  return 3;
}

unsigned Unit::largest_leaf(Stage stage) const {
  if (stage != Stage::kSecond) return cap::kFS1GP.get(driver_.cap()) != 0 ? 3 : 2;
  const std::uint64_t sizes = cap::kSSLPS.get(driver_.cap());
  if ((sizes & bit(0)) == 0) return 1;
  return (sizes & bit(1)) == 0 ? 2 : 3;
}

/// Of the image before: its ring may lie in memory that is not ours any more.
Status Unit::stop_queue() {
  if (!driver_.queue_enabled()) return Status::kOk;
  driver_.clear_queue_errors();
  return driver_.disable_queue();
}

Status Unit::start_queue(TableMode mode, PageAllocator& allocator) {
  const PhysAddr ring = allocator.allocate();
  const PhysAddr status = allocator.allocate();
  if (ring == 0 || status == 0) return Status::kNoMemory;
  const auto width = mode == TableMode::kScalable ? DescriptorWidth::k256 : DescriptorWidth::k128;
  if (const Status s = driver_.enable_queue(ring, status, width); !ok(s)) return s;
  if (mode != TableMode::kScalable || ecap::kPRS.get(driver_.ecap()) == 0) return Status::kOk;
  const PhysAddr requests = allocator.allocate();
  if (requests == 0) return Status::kNoMemory;
  driver_.enable_page_requests(requests);
  return Status::kOk;
}

Status Unit::cold_start(TableMode mode, PageAllocator& allocator) {
  if (!supports(mode)) return Status::kNotSupported;
  if (driver_.translating())
    if (const Status s = driver_.disable_translation(); !ok(s)) return s;
  if (const Status s = stop_queue(); !ok(s)) return s;
  const PhysAddr root = allocator.allocate();
  if (root == 0) return Status::kNoMemory;
  hal::flush(root, kPageSize);
  map_ = ContextMap(root, mode);
  if (const Status s = start_queue(mode, allocator); !ok(s)) return s;
  if (const Status s = driver_.set_root(root, mode); !ok(s)) return s;
  return driver_.enable_translation();
}

Status Unit::adopt(const ContextMap& map, PageAllocator& allocator) {
  if (const Status s = stop_queue(); !ok(s)) return s;
  map_ = map;
  hal::flush(map.root(), kPageSize);
  if (const Status s = start_queue(map.mode(), allocator); !ok(s)) return s;
  const bool skip = deviates(Deviation::kSkipBootInvalidation);
  const auto follow = skip ? UnitDriver::Follow::kSkip : UnitDriver::Follow::kInvalidate;
  if (const Status s = driver_.set_root(map.root(), map.mode(), follow); !ok(s)) return s;
  if (deviates(Deviation::kTranslationGlitch)) driver_.glitch();
  return driver_.enable_translation();
}

Status Unit::suspend() {
  if (const Status s = driver_.disable_translation(); !ok(s)) return s;
  if (const Status s = driver_.set_root(map_.root(), map_.mode()); !ok(s)) return s;
  return driver_.enable_translation();
}

// ---- context entries -----------------------------------------------------------------------------------------

Status Unit::need_context_table(SourceId sid, PageAllocator& allocator) const {
  const unsigned n = map_.number_of(sid);
  if (map_.table(n) != 0) return Status::kOk;
  const PhysAddr table = allocator.allocate();
  if (table == 0) return Status::kNoMemory;
  hal::flush(table, kPageSize);
  map_.set_table(n, table);
  return Status::kOk;
}

Status Unit::set_context_entry(SourceId sid, const ctx::Entry& entry, PageAllocator& allocator) {
  if (const Status s = need_context_table(sid, allocator); !ok(s)) return s;
  const PhysAddr at = map_.entry_at(sid);
  if (deviates(Deviation::kSplitContextWrite)) {
    hal::write64(at, entry.words[0]);
    hal::write64(at + 8, entry.words[1]);
  } else {
    hal::write128(at, entry.words[0], entry.words[1]);
  }
  hal::flush(at, ctx::kBytes);
  if (cap::kCM.get(driver_.cap()) == 0) return driver_.flush_write_buffer();
  // Caching mode: not-present entries may be cached, tagged with domain id 0.
  if (const Status s = driver_.invalidate(ContextInvalidation{ContextGranularity::kDevice, DomainId{0}, sid}); !ok(s))
    return s;
  const DomainId did{static_cast<std::uint16_t>(entry.get(ctx::kDID))};
  return driver_.invalidate(IotlbInvalidation{IotlbGranularity::kDomain, did, 0, 0});
}

Status Unit::set_context_entry(SourceId sid, const sctx::Entry& entry, PageAllocator& allocator) {
  if (const Status s = need_context_table(sid, allocator); !ok(s)) return s;
  const PhysAddr at = map_.entry_at(sid);
  if (deviates(Deviation::kSplitContextWrite)) {
    for (std::size_t i = 0; i < entry.words.size(); ++i) hal::write64(at + i * 8, entry.words[i]);
  } else {
    hal::write128(at + 16, entry.words[2], entry.words[3]);
    hal::write128(at, entry.words[0], entry.words[1]);
  }
  hal::flush(at, sctx::kBytes);
  if (cap::kCM.get(driver_.cap()) == 0) return driver_.flush_write_buffer();
  if (const Status s = driver_.invalidate(ContextInvalidation{ContextGranularity::kDevice, DomainId{0}, sid}); !ok(s))
    return s;
  return driver_.invalidate(PasidInvalidation{});
}

void Unit::replace_context_entry(SourceId sid, const ctx::Entry& entry) const {
  const PhysAddr at = map_.entry_at(sid);
  if (deviates(Deviation::kReplaceInTwoStores)) {
    hal::write64(at, entry.words[0]);
    hal::write64(at + 8, entry.words[1]);
  } else {
    hal::write128(at, entry.words[0], entry.words[1]);
  }
  hal::flush(at, ctx::kBytes);
}

void Unit::clear_context_entry(SourceId sid) const {
  const PhysAddr at = map_.entry_at(sid);
  if (at == 0) return;
  for (unsigned i = 0; i < map_.entry_bytes(); i += 16) hal::write128(at + i, 0, 0);
  hal::flush(at, map_.entry_bytes());
}

Status Unit::invalidate_context(SourceId sid, DomainId did) {
  if (const Status s = driver_.invalidate(ContextInvalidation{ContextGranularity::kDevice, did, sid}); !ok(s)) return s;
  if (scalable())
    if (const Status s = driver_.invalidate(PasidInvalidation{PasidCacheGranularity::kDomain, did, 0}); !ok(s))
      return s;
  return driver_.invalidate(IotlbInvalidation{IotlbGranularity::kDomain, did, 0, 0});
}

unsigned Unit::refuse_page_requests() {
  constexpr std::uint8_t kInvalidRequest = 1;
  unsigned served = 0;
  while (const auto request = driver_.next_page_request()) {
    ++served;
    namespace page = page_request;
    if (request->get(page::kLPIG) == 0) continue;  // only the last one of a group is answered
    const PageResponse response{SourceId{static_cast<std::uint16_t>(request->get(page::kRID))},
                                request->get(page::kPASID_PRESENT) != 0,
                                static_cast<std::uint32_t>(request->get(page::kPASID)),
                                static_cast<std::uint16_t>(request->get(page::kPRGI)), kInvalidRequest};
    if (!ok(driver_.respond(response))) break;
  }
  return served;
}

}  // namespace vtd::fw
