// SPDX-License-Identifier: MIT
// What there is: devices, memory files, domains and their mappings.
#include "firmware/iommu/iommu.h"

#include <algorithm>

#include "firmware/hal/policy.h"

namespace vtd::fw {
namespace {
namespace endpoint = platform::endpoint;

Status immutable_status(Mutability m) {
  switch (m) {
    case Mutability::kMutable:
      return Status::kOk;
    case Mutability::kImmutable:
      return deviates(Deviation::kSkipImmutability) ? Status::kOk : Status::kBusy;
    case Mutability::kFreeOnly:
      return Status::kNotSupported;
  }
  return Status::kInvalid;
}

SourceId sid_of(std::uint64_t value) {
  return SourceId{static_cast<std::uint16_t>(endpoint::kSid.get(value))};
}
}  // namespace

// ---- devices and units ---------------------------------------------------------------------------------------

Device* Iommu::add_device(PhysAddr registers) {
  const std::uint64_t id = hal::mmio_read64(registers + endpoint::kId);
  const auto unit = static_cast<unsigned>(endpoint::kUnit.get(id));
  if (endpoint::kPresent.get(id) == 0 || unit >= platform::kMaxUnits) return nullptr;
  Device* device = devices_.add();
  if (device == nullptr) return nullptr;
  const std::uint64_t alias = hal::mmio_read64(registers + endpoint::kAlias);
  device->sid = sid_of(id);
  device->has_alias = endpoint::kPresent.get(alias) != 0;
  device->alias = sid_of(alias);
  device->unit = unit;
  device->registers = registers;
  device->pci = endpoint::kNonPci.get(id) == 0;
  device->has_ats = endpoint::kAts.get(id) != 0;
  device->has_pri = endpoint::kPri.get(id) != 0;
  device->pasid_bits = std::min<unsigned>(static_cast<unsigned>(endpoint::kPasidBits.get(id)), PasidTable::kMaxBits);
  return device;
}

void Iommu::enumerate() {
  hal::discover_memory();
  std::array<bool, platform::kMaxUnits> wanted{true};
  for (unsigned n = 0; n < platform::kMaxEndpoints; ++n)
    if (const Device* d = add_device(platform::kEndpointBase + n * platform::kEndpointStride)) wanted[d->unit] = true;
  hal::Coherency coherency = hal::Coherency::kSnooped;
  for (unsigned i = 0; i < platform::kMaxUnits; ++i)
    if (wanted[i] && units_[i].discover(i) && ecap::kC.get(units_[i].driver().ecap()) == 0)
      coherency = hal::Coherency::kNotSnooped;
  hal::assume(coherency);
}

Status Iommu::probe(std::uint64_t sid) {
  if (device(sid) != nullptr) return Status::kExists;
  for (unsigned n = 0; n < platform::kMaxEndpoints; ++n) {
    const PhysAddr registers = platform::kEndpointBase + n * platform::kEndpointStride;
    const std::uint64_t id = hal::mmio_read64(registers + endpoint::kId);
    if (endpoint::kPresent.get(id) == 0 || sid_of(id).value != sid) continue;
    // What stood behind the same registers under another id is gone.
    if (Device* old = devices_.find([&](const Device& d) { return d.registers == registers; }); old != nullptr) {
      if (old->own.kind != AttachmentKind::kNone || old->uses_pasids()) return Status::kBusy;
      devices_.remove(*old);
    }
    return add_device(registers) != nullptr ? Status::kOk : Status::kNoMemory;
  }
  return Status::kNoEntry;
}

Device* Iommu::device(std::uint64_t sid) {
  return devices_.find([&](const Device& d) { return d.sid.value == sid && units_[d.unit].present(); });
}

Device* Iommu::device_behind(SourceId id, const Unit& unit) {
  return devices_.find([&](const Device& d) { return &units_[d.unit] == &unit && d.answers_for(id); });
}

Domain* Iommu::domain(std::uint64_t id) {
  return domains_.find([&](const Domain& d) { return d.id == id; });
}
Domain* Iommu::domain_of_token(std::uint64_t token) {
  return domains_.find([&](const Domain& d) { return d.marked && d.token == token; });
}
MemoryFile* Iommu::memory(std::uint64_t id) {
  return memories_.find([&](const MemoryFile& m) { return m.id == id; });
}

// ---- memory and domains --------------------------------------------------------------------------------------

Status Iommu::add_memory(std::uint64_t id, PhysAddr base, std::uint64_t size) {
  const PhysAddr end = hal::memory_size();
  if (memory(id) != nullptr) return Status::kExists;
  if (!is_aligned(base, kPageSize) || !is_aligned(size, kPageSize) || size == 0) return Status::kInvalid;
  if (base < platform::kGuestBase || base >= end || size > end - base) return Status::kInvalid;
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
  file->record = deviates(Deviation::kThawMemory) ? 0 : record;
  return file;
}

Status Iommu::create_domain(const DomainRequest& r) {
  if (domain(r.domain) != nullptr) return Status::kExists;
  if (r.stage > static_cast<std::uint64_t>(Stage::kNested)) return Status::kInvalid;
  const auto stage = static_cast<Stage>(r.stage);
  const std::uint64_t least = stage == Stage::kSecond ? 3 : 4;
  if (r.levels < least || r.levels > kMaxLevels) return Status::kInvalid;
  Domain* parent = stage == Stage::kNested ? domain(r.parent) : nullptr;
  if (stage == Stage::kNested && parent == nullptr) return Status::kNoEntry;
  if (parent != nullptr && (parent->stage() != Stage::kSecond || parent->mutability != Mutability::kMutable))
    return Status::kInvalid;
  const PhysAddr top = allocator_.allocate();
  if (top == 0) return Status::kNoMemory;
  hal::flush(top, kPageSize);
  Domain* d = domains_.add();
  if (d == nullptr) {
    allocator_.release(top);
    return Status::kNoMemory;
  }
  d->id = r.domain;
  d->parent = parent;
  d->table = PageTable(top, static_cast<unsigned>(r.levels), stage);
  return Status::kOk;
}

Status Iommu::destroy_domain(std::uint64_t id) {
  Domain* d = domain(id);
  if (d == nullptr) return Status::kNoEntry;
  if (d->in_use() || d->record != 0 || d->mutability == Mutability::kImmutable) return Status::kBusy;
  if (domains_.find([&](const Domain& other) { return other.parent == d; }) != nullptr) return Status::kBusy;
  if (d->parent != nullptr)
    if (const Status s = hide_tables(*d); !ok(s)) return s;
  const bool forgotten = d->mutability == Mutability::kFreeOnly && deviates(Deviation::kForgetTablePages);
  if (!forgotten) d->table.free_tables(allocator_);
  domains_.remove(*d);
  return Status::kOk;
}

Status Iommu::mark_domain(std::uint64_t id, std::uint64_t token) {
  Domain* d = domain(id);
  if (d == nullptr) return Status::kNoEntry;
  if (d->mutability == Mutability::kFreeOnly || d->stage() == Stage::kNested) return Status::kInvalid;
  // What an iommufd brings over is settled when it is preserved (F28).
  if (marks_settled_ && !deviates(Deviation::kMarkAfterPreserve)) return Status::kBusy;
  if (deviates(Deviation::kShortTokens)) token = static_cast<std::uint32_t>(token);
  if (const Domain* other = domain_of_token(token); other != nullptr && other != d) return Status::kAddrInUse;
  d->marked = true;
  d->token = token;
  return Status::kOk;
}

Domain* Iommu::restore_domain(std::uint64_t id, const PageTable& table, PhysAddr record) {
  if (domain(id) != nullptr) return nullptr;
  Domain* d = domains_.add();
  if (d == nullptr) return nullptr;
  d->id = id;
  d->table = table;
  d->mutability = deviates(Deviation::kKeepOperations) ? Mutability::kMutable : Mutability::kFreeOnly;
  d->record = record;
  return d;
}

// ---- mappings ------------------------------------------------------------------------------------------------

unsigned Iommu::largest_leaf(Stage stage) const {
  unsigned level = 3;
  for (const Unit& u : units_)
    if (u.present()) level = std::min(level, u.largest_leaf(stage));
  return level;
}

/// The domain itself, or nested over it: then it is cached under its own id, by addresses that `domain` does not know.
bool Iommu::under(const Domain* any, const Domain& domain) {
  return any != nullptr && (any == &domain || any->parent == &domain);
}

bool Iommu::walked_by(const Domain& domain, unsigned unit) {
  return domains_.find([&](const Domain& d) { return under(&d, domain) && d.uses[unit].users != 0; }) != nullptr;
}

Status Iommu::invalidate_range(const Domain& domain, Iova iova, std::uint64_t size) {
  Status result = Status::kOk;
  if (domain.stage() == Stage::kSecond) {
    for (unsigned i = 0; i < platform::kMaxUnits && ok(result); ++i) {
      if (domain.uses[i].users == 0) continue;
      UnitDriver& driver = units_[i].driver();
      result = driver.invalidate(covering(domain.uses[i].did, iova, size, driver.cap()));
    }
    domains_.for_each([&](const Domain& nested) {
      if (nested.parent != &domain) return;
      for (unsigned i = 0; i < platform::kMaxUnits && ok(result); ++i)
        if (nested.uses[i].users != 0)
          result =
              units_[i].driver().invalidate(IotlbInvalidation{IotlbGranularity::kDomain, nested.uses[i].did, 0, 0});
    });
  }
  devices_.for_each([&](const Device& device) {
    device.for_each_attachment([&](const Attachment& a) {
      if (!ok(result) || !under(a.domain, domain)) return;
      UnitDriver& driver = units_[device.unit].driver();
      if (domain.stage() != Stage::kSecond) {
        const IotlbInvalidation block = covering(a.did, iova, size, driver.cap());
        const bool pages = block.granularity == IotlbGranularity::kPage;
        result = driver.invalidate(
            PasidIotlbInvalidation{pages ? PasidIotlbGranularity::kPage : PasidIotlbGranularity::kPasid, a.did, a.pasid,
                                   block.address, block.address_mask});
      }
      if (ok(result)) result = invalidate_device_tlb(device, a.pasid);
    });
  });
  return result;
}

Status Iommu::map(const MapRequest& r) {
  Domain* d = domain(r.domain);
  if (d == nullptr) return Status::kNoEntry;
  if (const Status s = immutable_status(d->mutability); !ok(s)) return s;
  PhysAddr target = r.offset;
  if (d->stage() != Stage::kNested) {
    const MemoryFile* file = memory(r.memory);
    if (file == nullptr) return Status::kNoEntry;
    if (r.offset > file->size || r.size > file->size - r.offset) return Status::kInvalid;
    target = file->base + r.offset;
  }
  if (r.rights > 3 || r.max_level < 1 || r.max_level > 3) return Status::kInvalid;
  const Rights rights{(r.rights & bit(0)) != 0, (r.rights & bit(1)) != 0};
  const unsigned max_level = std::min(static_cast<unsigned>(r.max_level), largest_leaf(d->stage()));
  if (const Status s = d->table.map({r.iova, target, r.size, rights, max_level}, allocator_); !ok(s)) return s;
  if (d->stage() == Stage::kNested && d->in_use())
    if (const Status s = expose_tables(*d); !ok(s)) {
      d->table.unmap(r.iova, r.size);
      return s;
    }
  bool caching_mode = false;
  for (unsigned i = 0; i < platform::kMaxUnits; ++i) {
    if (!walked_by(*d, i)) continue;
    UnitDriver& driver = units_[i].driver();
    caching_mode = caching_mode || cap::kCM.get(driver.cap()) != 0;
    if (const Status s = driver.flush_write_buffer(); !ok(s)) return s;
  }
  return caching_mode ? invalidate_range(*d, r.iova, r.size) : Status::kOk;
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
