// SPDX-License-Identifier: MIT
#include "firmware/iommu/iommu.h"

#include <algorithm>

namespace vtd::fw {
namespace {
Status immutable_status(Mutability m) {
  switch (m) {
    case Mutability::kMutable:
      return Status::kOk;
    case Mutability::kImmutable:
      return Status::kBusy;
    case Mutability::kFreeOnly:
      return Status::kNotSupported;
  }
  return Status::kInvalid;
}
}  // namespace

void Iommu::enumerate() {
  std::array<bool, platform::kMaxUnits> wanted{true};
  for (unsigned n = 0; n < platform::kMaxEndpoints; ++n) {
    namespace endpoint = platform::endpoint;
    const PhysAddr registers = platform::kEndpointBase + n * platform::kEndpointStride;
    const std::uint64_t id = hal::mmio_read64(registers + endpoint::kId);
    const auto unit = static_cast<unsigned>(endpoint::kUnit.get(id));
    if (endpoint::kPresent.get(id) == 0 || unit >= platform::kMaxUnits) continue;
    Device* device = devices_.add();
    device->sid = SourceId{static_cast<std::uint16_t>(endpoint::kSid.get(id))};
    device->unit = unit;
    device->registers = registers;
    wanted[unit] = true;
  }
  hal::Coherency coherency = hal::Coherency::kSnooped;
  for (unsigned i = 0; i < platform::kMaxUnits; ++i)
    if (wanted[i] && units_[i].discover(i) && ecap::kC.get(units_[i].driver().ecap()) == 0)
      coherency = hal::Coherency::kNotSnooped;
  hal::assume(coherency);
}

Device* Iommu::device(std::uint64_t sid) {
  return devices_.find([&](const Device& d) { return d.sid.value == sid && units_[d.unit].present(); });
}
Domain* Iommu::domain(std::uint64_t id) {
  return domains_.find([&](const Domain& d) { return d.id == id; });
}
MemoryFile* Iommu::memory(std::uint64_t id) {
  return memories_.find([&](const MemoryFile& m) { return m.id == id; });
}

Status Iommu::add_memory(std::uint64_t id, PhysAddr base, std::uint64_t size) {
  constexpr PhysAddr kEnd = platform::kGuestBase + platform::kGuestSize;
  if (memory(id) != nullptr) return Status::kExists;
  if (!is_aligned(base, kPageSize) || !is_aligned(size, kPageSize) || size == 0) return Status::kInvalid;
  if (base < platform::kGuestBase || base >= kEnd || size > kEnd - base) return Status::kInvalid;
  if (memories_.find([&](const MemoryFile& m) { return base < m.base + m.size && m.base < base + size; }) != nullptr)
    return Status::kAddrInUse;
  MemoryFile* file = memories_.add();
  if (file == nullptr) return Status::kNoMemory;
  *file = {id, base, size, 0};
  return Status::kOk;
}

MemoryFile* Iommu::restore_memory(std::uint64_t id, PhysAddr base, std::uint64_t size, PhysAddr record) {
  if (!ok(add_memory(id, base, size))) return nullptr;
  MemoryFile* file = memory(id);
  file->record = record;
  return file;
}

Status Iommu::create_domain(std::uint64_t id, unsigned levels) {
  if (domain(id) != nullptr) return Status::kExists;
  if (levels < 3 || levels > kMaxLevels) return Status::kInvalid;
  const PhysAddr top = allocator_.allocate();
  if (top == 0) return Status::kNoMemory;
  hal::flush(top, kPageSize);
  Domain* d = domains_.add();
  if (d == nullptr) {
    allocator_.release(top);
    return Status::kNoMemory;
  }
  d->id = id;
  d->table = PageTable(top, levels);
  return Status::kOk;
}

Domain* Iommu::restore_domain(std::uint64_t id, const PageTable& table, PhysAddr record) {
  if (domain(id) != nullptr) return nullptr;
  Domain* d = domains_.add();
  if (d == nullptr) return nullptr;
  d->id = id;
  d->table = table;
  d->mutability = Mutability::kFreeOnly;
  d->record = record;
  return d;
}

unsigned Iommu::largest_leaf() const {
  unsigned level = 3;
  for (const Unit& u : units_)
    if (u.present()) level = std::min(level, u.largest_leaf());
  return level;
}

Status Iommu::invalidate_range(const Domain& domain, Iova iova, std::uint64_t size) {
  for (unsigned i = 0; i < platform::kMaxUnits; ++i) {
    if (domain.uses[i].devices == 0) continue;
    UnitDriver& driver = units_[i].driver();
    if (const Status s = driver.invalidate(covering(domain.uses[i].did, iova, size, driver.cap())); !ok(s)) return s;
  }
  return Status::kOk;
}

Status Iommu::map(const MapRequest& r) {
  Domain* d = domain(r.domain);
  const MemoryFile* file = memory(r.memory);
  if (d == nullptr || file == nullptr) return Status::kNoEntry;
  if (const Status s = immutable_status(d->mutability); !ok(s)) return s;
  if (r.offset > file->size || r.size > file->size - r.offset || r.rights > 3) return Status::kInvalid;
  if (r.max_level < 1 || r.max_level > 3) return Status::kInvalid;
  const Rights rights{(r.rights & bit(0)) != 0, (r.rights & bit(1)) != 0};
  const unsigned max_level = std::min(static_cast<unsigned>(r.max_level), largest_leaf());
  const Mapping mapping{r.iova, file->base + r.offset, r.size, rights, max_level};
  if (const Status s = d->table.map(mapping, allocator_); !ok(s)) return s;
  for (unsigned i = 0; i < platform::kMaxUnits; ++i) {
    if (d->uses[i].devices == 0) continue;
    UnitDriver& driver = units_[i].driver();
    const bool caching_mode = cap::kCM.get(driver.cap()) != 0;
    const Status s = caching_mode ? driver.invalidate(covering(d->uses[i].did, r.iova, r.size, driver.cap()))
                                  : driver.flush_write_buffer();
    if (!ok(s)) return s;
  }
  return Status::kOk;
}

Status Iommu::unmap(std::uint64_t domain_id, Iova iova, std::uint64_t size, Invalidate how, std::uint64_t& bytes) {
  bytes = 0;
  Domain* d = domain(domain_id);
  if (d == nullptr) return Status::kNoEntry;
  if (const Status s = immutable_status(d->mutability); !ok(s)) return s;
  const auto mapped = d->table.mapped_bytes(iova, size);
  if (!mapped) return Status::kInvalid;
  bytes = *mapped;
  if (bytes == 0) return Status::kOk;
  d->table.unmap(iova, size);
  return how == Invalidate::kYes ? invalidate_range(*d, iova, size) : Status::kOk;
}

}  // namespace vtd::fw
