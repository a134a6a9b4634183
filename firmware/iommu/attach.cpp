// SPDX-License-Identifier: MIT
// Attachments and owners of devices.
#include "firmware/iommu/iommu.h"

namespace vtd::fw {
namespace {
/// Preserved for an update that has not happened yet: nothing about the attachment may change.
bool held(const Device& d) {
  return d.record != 0;
}
}  // namespace

Status Iommu::acquire_did(Domain& domain, unsigned unit) {
  Domain::Use& use = domain.uses[unit];
  if (use.devices == 0) {
    const auto did = units_[unit].ids().allocate();
    if (!did) return Status::kNoMemory;
    use.did = *did;
  }
  ++use.devices;
  return Status::kOk;
}

void Iommu::drop_did(Domain& domain, unsigned unit) {
  Domain::Use& use = domain.uses[unit];
  if (--use.devices == 0) units_[unit].ids().release(use.did);
}

void Iommu::set_bus_master(const Device& device, BusMaster to) {
  namespace endpoint = platform::endpoint;
  const std::uint32_t control = hal::mmio_read32(device.registers + endpoint::kControl);
  const std::uint64_t wanted = endpoint::kBusMaster.with(control, to == BusMaster::kOn ? 1 : 0);
  if (wanted != control) hal::mmio_write32(device.registers + endpoint::kControl, static_cast<std::uint32_t>(wanted));
}

Status Iommu::write_entry(Device& device, const ctx::Entry& entry) {
  const Status s = units_[device.unit].set_context_entry(device.sid, entry, allocator_);
  if (ok(s)) set_bus_master(device, BusMaster::kOn);
  return s;
}

Status Iommu::attach(std::uint64_t sid, std::uint64_t domain_id) {
  Device* device = this->device(sid);
  Domain* d = domain(domain_id);
  if (device == nullptr || d == nullptr) return Status::kNoEntry;
  if (held(*device) || device->attachment != Attachment::kNone) return Status::kBusy;
  if (const Mutability m = d->mutability; m != Mutability::kMutable)
    return m == Mutability::kImmutable ? Status::kBusy : Status::kNotSupported;
  if (!units_[device->unit].supports_levels(d->table.levels())) return Status::kNotSupported;
  if (const Status s = acquire_did(*d, device->unit); !ok(s)) return s;
  const DomainId did = d->uses[device->unit].did;
  ctx::Entry entry;
  entry.set(ctx::kP, 1).set_address(ctx::kSSPTPTR, d->table.top());
  entry.set(ctx::kTT, static_cast<std::uint64_t>(TranslationType::kUntranslated));
  entry.set(ctx::kAW, aw_of_levels(d->table.levels())).set(ctx::kDID, did.value);
  if (const Status s = write_entry(*device, entry); !ok(s)) {
    if (s == Status::kNoMemory) drop_did(*d, device->unit);  // else the entry is live: its id stays in quarantine
    return s;
  }
  device->attachment = Attachment::kDomain;
  device->domain = d;
  device->did = did;
  return Status::kOk;
}

Status Iommu::attach_pass_through(std::uint64_t sid) {
  Device* device = this->device(sid);
  if (device == nullptr) return Status::kNoEntry;
  if (held(*device) || device->attachment != Attachment::kNone) return Status::kBusy;
  if (device->owner.kind != Owner::Kind::kNone) return Status::kBusy;
  const Unit& unit = units_[device->unit];
  if (ecap::kPT.get(unit.driver().ecap()) == 0) return Status::kNotSupported;
  ctx::Entry entry;
  entry.set(ctx::kP, 1).set(ctx::kTT, static_cast<std::uint64_t>(TranslationType::kPassThrough));
  entry.set(ctx::kAW, aw_of_levels(unit.largest_levels())).set(ctx::kDID, DomainIds::kPassThrough.value);
  if (const Status s = write_entry(*device, entry); !ok(s)) return s;
  device->attachment = Attachment::kPassThrough;
  device->did = DomainIds::kPassThrough;
  return Status::kOk;
}

Status Iommu::detach(std::uint64_t sid) {
  Device* device = this->device(sid);
  if (device == nullptr) return Status::kNoEntry;
  if (held(*device)) return Status::kBusy;
  if (device->attachment == Attachment::kNone) return Status::kInvalid;
  if (const Status s = units_[device->unit].clear_context_entry(device->sid); !ok(s)) return s;
  // Only now that nothing tagged with the id is cached may the id and the tables go.
  if (Domain* d = device->domain; d != nullptr) {
    drop_did(*d, device->unit);
    bool used = false;
    for (const Domain::Use& use : d->uses) used = used || use.devices != 0;
    if (!used && d->mutability == Mutability::kFreeOnly) {
      d->table.free_tables(allocator_);
      domains_.remove(*d);
    }
  }
  if (device->owner.kind == Owner::Kind::kRecord) device->owner = {};
  device->attachment = Attachment::kNone;
  device->domain = nullptr;
  device->did = {};
  device->restored = false;
  return Status::kOk;
}

Status Iommu::reattach(Device& device, Domain& domain, std::uint64_t did, PhysAddr record) {
  Unit& unit = units_[device.unit];
  if (!unit.ids().valid(did) || !unit.ids().reserved(did)) return Status::kInvalid;
  if (device.owner.count != 0 || device.attachment != Attachment::kNone) return Status::kBusy;
  Domain::Use& use = domain.uses[device.unit];
  const DomainId id{static_cast<std::uint16_t>(did)};
  if (use.devices != 0 && use.did != id) return Status::kInvalid;
  use.did = id;
  ++use.devices;
  device.attachment = Attachment::kDomain;
  device.domain = &domain;
  device.did = id;
  device.restored = true;
  device.record = record;
  device.owner = {Owner::Kind::kRecord, record, 1};
  return Status::kOk;
}

Status Iommu::claim(std::uint64_t sid, std::uint64_t owner) {
  Device* device = this->device(sid);
  if (device == nullptr) return Status::kNoEntry;
  if (owner == 0) return Status::kInvalid;
  if (device->attachment == Attachment::kPassThrough) return Status::kBusy;
  if (device->owner.kind == Owner::Kind::kNone) {
    device->owner = {Owner::Kind::kClaimed, owner, 1};
    return Status::kOk;
  }
  if (device->owner.kind != Owner::Kind::kClaimed || device->owner.value != owner) return Status::kPerm;
  ++device->owner.count;
  return Status::kOk;
}

Status Iommu::release_owner(std::uint64_t sid, std::uint64_t owner) {
  Device* device = this->device(sid);
  if (device == nullptr) return Status::kNoEntry;
  if (device->owner.kind == Owner::Kind::kNone) return Status::kInvalid;
  if (device->owner.kind != Owner::Kind::kClaimed || device->owner.value != owner) return Status::kPerm;
  if (held(*device)) return Status::kBusy;
  if (--device->owner.count == 0) device->owner = {};
  return Status::kOk;
}

Iommu::DidUse Iommu::did_use(std::uint64_t did) {
  DidUse out;
  devices_.for_each([&](const Device& d) {
    if (d.attachment != Attachment::kNone && d.did.value == did) ++out.devices;
  });
  for_each_unit([&](Unit& u) { out.reserved = out.reserved || u.ids().reserved(did); });
  return out;
}

}  // namespace vtd::fw
