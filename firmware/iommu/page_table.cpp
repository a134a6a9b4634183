// SPDX-License-Identifier: MIT
#include "firmware/iommu/page_table.h"

namespace vtd::fw {

bool PageTable::in_range(Iova iova, std::uint64_t size) const {
  return size != 0 && is_aligned(iova, kPageSize) && is_aligned(size, kPageSize) && iova + size > iova &&
         // First-stage addresses are canonical: the upper half of them is not used here.
         !beyond_width(iova + size - 1, stage_ == Stage::kSecond ? width() : width() - 1);
}

PageTable::Spot PageTable::walk(Iova iova) const {
  PhysAddr table = top_;
  for (unsigned level = levels_;; --level) {
    const PhysAddr at = entry_address(table, iova, level);
    const std::uint64_t entry = hal::read64(at);
    if (!present(entry) || is_leaf(entry, level)) return {at, entry, level};
    table = ss::kADDR.in_place(entry);
  }
}

std::optional<Leaf> PageTable::lookup(Iova iova) const {
  const Spot spot = walk(iova);
  if (!present(spot.entry)) return std::nullopt;
  return Leaf{align_down(iova, level_size(spot.level)), ss::kADDR.in_place(spot.entry), spot.level};
}

std::uint64_t PageTable::hole_size(Iova iova) const {
  return level_size(walk(iova).level);
}

std::optional<std::uint64_t> PageTable::mapped_bytes(Iova iova, std::uint64_t size) const {
  if (!in_range(iova, size)) return std::nullopt;
  std::uint64_t bytes = 0;
  const Iova end = iova + size;
  for (Iova at = iova; at < end;) {
    const auto leaf = lookup(at);
    if (!leaf) {
      at = align_down(at, hole_size(at)) + hole_size(at);
      continue;
    }
    if (leaf->iova < iova || leaf->iova + leaf->size() > end) return std::nullopt;
    bytes += leaf->size();
    at = leaf->iova + leaf->size();
  }
  return bytes;
}

void PageTable::unmap(Iova iova, std::uint64_t size) {
  const Iova end = iova + size;
  for (Iova at = iova; at < end;) {
    const Spot spot = walk(at);
    if (present(spot.entry)) {
      hal::write64(spot.entry_at, 0);
      hal::flush(spot.entry_at, kEntryBytes);
    }
    at = align_down(at, level_size(spot.level)) + level_size(spot.level);
  }
}

unsigned PageTable::leaf_level(const Mapping& rest) const {
  for (unsigned level = rest.max_level; level > 1; --level) {
    const std::uint64_t size = level_size(level);
    if (!is_aligned(rest.iova, size) || !is_aligned(rest.target, size) || rest.size < size) continue;
    if (walk(rest.iova).level >= level) return level;  // no lower table stands where the leaf would go
  }
  return 1;
}

Status PageTable::place_leaf(const Mapping& rest, unsigned level, PageAllocator& allocator) {
  Spot spot = walk(rest.iova);
  while (spot.level > level) {
    const PhysAddr table = allocator.allocate();
    if (table == 0) return Status::kNoMemory;
    hal::flush(table, kPageSize);
    hal::write64(spot.entry_at, ss::kADDR.in_place(table) | format().link);
    hal::flush(spot.entry_at, kEntryBytes);
    spot = walk(rest.iova);
  }
  const std::uint64_t entry = ss::kADDR.in_place(rest.target) | (rest.rights.read ? format().readable : 0) |
                              (rest.rights.write ? format().writable : 0) | ss::kPS.of(level > 1 ? 1 : 0);
  hal::write64(spot.entry_at, entry);
  hal::flush(spot.entry_at, kEntryBytes);
  return Status::kOk;
}

Status PageTable::map(const Mapping& mapping, PageAllocator& allocator) {
  if (!in_range(mapping.iova, mapping.size) || !is_aligned(mapping.target, kPageSize)) return Status::kInvalid;
  if (!mapping.rights.read && (!mapping.rights.write || stage_ != Stage::kSecond)) return Status::kInvalid;
  if (mapping.max_level < 1 || mapping.max_level > 3) return Status::kInvalid;
  const auto there = mapped_bytes(mapping.iova, mapping.size);
  if (!there || *there != 0) return Status::kExists;
  Mapping rest = mapping;
  while (rest.size != 0) {
    const unsigned level = leaf_level(rest);
    if (const Status s = place_leaf(rest, level, allocator); !ok(s)) {
      if (rest.iova != mapping.iova) unmap(mapping.iova, rest.iova - mapping.iova);
      return s;
    }
    const std::uint64_t done = level_size(level);
    rest.iova += done;
    rest.target += done;
    rest.size -= done;
  }
  return Status::kOk;
}

void PageTable::release_below(PhysAddr table, unsigned level, PageAllocator& allocator) {
  for (unsigned i = 0; level > 1 && i < kEntriesPerTable; ++i) {
    const std::uint64_t entry = hal::read64(table + std::uint64_t{i} * kEntryBytes);
    if (present(entry) && !is_leaf(entry, level)) release_below(ss::kADDR.in_place(entry), level - 1, allocator);
  }
  allocator.release(table);
}

void PageTable::free_tables(PageAllocator& allocator) {
  release_below(top_, levels_, allocator);
  top_ = 0;
}

std::uint64_t PageTable::table_pages() const {
  std::uint64_t pages = 0;
  visit([&](PhysAddr, unsigned) { return ++pages != 0; }, [](const Leaf&) { return true; });
  return pages;
}

std::uint64_t PageTable::digest() const {
  constexpr std::uint64_t kOffset = 0xcbf29ce484222325;
  constexpr std::uint64_t kPrime = 0x100000001b3;
  std::uint64_t hash = kOffset;
  const auto mix = [&](std::uint64_t word) { hash = (hash ^ word) * kPrime; };
  visit(
      [&](PhysAddr table, unsigned level) {
        mix(table);
        mix(level);
        for (unsigned i = 0; i < kEntriesPerTable; ++i) {
          const std::uint64_t entry = hal::read64(table + std::uint64_t{i} * kEntryBytes);
          if (entry == 0) continue;
          mix(i);
          mix(entry & ~format().marks);
        }
        return true;
      },
      [](const Leaf&) { return true; });
  return hash;
}

}  // namespace vtd::fw
