// SPDX-License-Identifier: MIT
// Attachments: which domain a device's requests go through, in the tables and in the caches.
#include "firmware/hal/console.h"
#include "firmware/hal/policy.h"
#include "firmware/iommu/iommu.h"

namespace vtd::fw {
namespace {
/// Preserved, or restored and not taken over: nothing about the attachment may change.
bool held(const Device& d) {
  return d.record != 0 && !(d.owner.kind != Owner::Kind::kRecord && deviates(Deviation::kChangeAfterPreserve));
}
constexpr std::uint64_t code(auto value) {
  return static_cast<std::uint64_t>(value);
}
/// First and second stage are in two halves of a PASID entry, and a store changes one of them. Where both are walked
/// before or after, in between nobody may walk the old one of the one under the new one of the other.
bool hitless(const Domain& from, const Domain& to) {
  return from.stage() == Stage::kSecond || to.stage() == Stage::kSecond || from.parent == to.parent;
}
}  // namespace

// ---- domain ids ----------------------------------------------------------------------------------------------

Status Iommu::acquire_did(Domain& domain, unsigned unit) {
  Domain::Use& use = domain.uses[unit];
  if (use.users == 0) {
    const auto did = units_[unit].ids().allocate();
    if (!did) return Status::kNoMemory;
    use.did = *did;
  }
  ++use.users;
  return Status::kOk;
}

void Iommu::drop_did(Domain& domain, unsigned unit) {
  Domain::Use& use = domain.uses[unit];
  if (--use.users == 0) units_[unit].ids().release(use.did);
}

// ---- what the tables say -------------------------------------------------------------------------------------

ctx::Entry Iommu::legacy_entry(const Device& device, const Domain& domain, DomainId did) const {
  const bool ats = device.has_ats && ecap::kDT.get(units_[device.unit].driver().ecap()) != 0;
  ctx::Entry entry;
  entry.set(ctx::kP, 1).set_address(ctx::kSSPTPTR, domain.table.top());
  entry.set(ctx::kTT, code(ats ? TranslationType::kDeviceTlb : TranslationType::kUntranslated));
  entry.set(ctx::kAW, aw_of_levels(domain.table.levels())).set(ctx::kDID, did.value);
  return entry;
}

pasid::Entry Iommu::pasid_entry(const Unit& unit, const Domain& domain, DomainId did) const {
  pasid::Entry entry;
  entry.set(pasid::kP, 1).set(pasid::kDID, did.value);
  entry.set(pasid::kPWSNP, ecap::kSMPWCS.get(unit.driver().ecap()));
  const Domain* second = domain.stage() == Stage::kSecond ? &domain : domain.parent;
  if (second != nullptr) {
    entry.set(pasid::kAW, aw_of_levels(second->table.levels()));
    entry.set_address(pasid::kSSPTPTR, second->table.top());
  }
  if (domain.stage() == Stage::kSecond) return entry.set(pasid::kPGTT, code(PasidTranslation::kSecondStage));
  constexpr unsigned kLevelsOfMode0 = 4;
  entry.set(pasid::kFSPM, domain.table.levels() - kLevelsOfMode0);
  entry.set_address(pasid::kFSPTPTR, domain.table.top());
  const auto kind = domain.stage() == Stage::kFirst ? PasidTranslation::kFirstStage : PasidTranslation::kNested;
  return entry.set(pasid::kPGTT, code(kind));
}

/// A nested domain's own tables are reached through its parent, which therefore maps each of them at its own address.
Status Iommu::expose_tables(const Domain& nested) {
  PageTable parent = nested.parent->table;
  Status result = Status::kOk;
  nested.table.visit(
      [&](PhysAddr page, unsigned) {
        if (const auto there = parent.lookup(page); there && there->page + (page - there->iova) != page)
          result = Status::kExists;
        else if (!there && nested.parent->mutability != Mutability::kMutable)
          result = Status::kBusy;
        else if (!there)
          result = parent.map({page, page, kPageSize, {true, true}, 1}, allocator_);
        return ok(result);
      },
      [](const Leaf&) { return true; });
  return result;
}

/// Before its tables are freed: whoever is attached to the parent must not reach them any more.
Status Iommu::hide_tables(const Domain& nested) {
  PageTable parent = nested.parent->table;
  Status result = Status::kOk;
  nested.table.visit(
      [&](PhysAddr page, unsigned) {
        if (const auto there = parent.lookup(page); !there || there->page != page) return true;
        if (nested.parent->mutability != Mutability::kMutable) {
          result = Status::kBusy;
        } else {
          parent.unmap(page, kPageSize);
          result = invalidate_range(*nested.parent, page, kPageSize);
        }
        return ok(result);
      },
      [](const Leaf&) { return true; });
  return result;
}

Status Iommu::write_context_entries(Device& device) {
  Unit& unit = units_[device.unit];
  const std::uint64_t ecap = unit.driver().ecap();
  const bool ats = device.has_ats && ecap::kDT.get(ecap) != 0;
  sctx::Entry entry;
  entry.set(sctx::kP, 1).set_address(sctx::kPASIDDIRPTR, device.pasids.directory());
  entry.set(sctx::kPDTS, device.pasids.pdts()).set(sctx::kDTE, ats ? 1 : 0);
  entry.set(sctx::kPRE, ats && device.has_pri && ecap::kPRS.get(ecap) != 0 ? 1 : 0);
  entry.set(sctx::kPASIDE, device.pasid_bits != 0 && ecap::kPASID.get(ecap) != 0 ? 1 : 0);
  Status result = Status::kOk;
  device.for_each_id([&](SourceId id) {
    if (ok(result) && !unit.context().present(id)) result = unit.set_context_entry(id, entry, allocator_);
  });
  return result;
}

Status Iommu::write_pasid_entry(Device& device, const Attachment& attachment, const pasid::Entry& entry) {
  Unit& unit = units_[device.unit];
  if (!device.pasids.exists())
    if (const Status s = PasidTable::create(device.pasid_bits, allocator_, device.pasids); !ok(s)) return s;
  const bool torn = deviates(Deviation::kSplitPasidWrite);
  const auto order = torn ? PasidTable::Order::kTorn : PasidTable::Order::kLowLast;
  if (const Status s = device.pasids.set(attachment.pasid, entry, order, allocator_); !ok(s)) return s;
  if (cap::kCM.get(unit.driver().cap()) != 0) {
    const PasidInvalidation what{PasidCacheGranularity::kPasid, attachment.did, attachment.pasid};
    if (const Status s = unit.driver().invalidate(what); !ok(s)) return s;
  }
  return write_context_entries(device);
}

void Iommu::set_device_features(const Device& device, bool on) {
  namespace endpoint = platform::endpoint;
  if (!device.has_ats) return;
  std::uint64_t control = hal::mmio_read32(device.registers + endpoint::kControl);
  control = endpoint::kAtsEnable.with(control, on ? 1 : 0);
  control = endpoint::kPriEnable.with(control, on && device.has_pri ? 1 : 0);
  hal::mmio_write32(device.registers + endpoint::kControl, static_cast<std::uint32_t>(control));
}

void Iommu::set_bus_master(const Device& device, BusMaster to) {
  namespace endpoint = platform::endpoint;
  if (!device.pci) return;
  const std::uint32_t control = hal::mmio_read32(device.registers + endpoint::kControl);
  const std::uint64_t wanted = endpoint::kBusMaster.with(control, to == BusMaster::kOn ? 1 : 0);
  if (wanted != control) hal::mmio_write32(device.registers + endpoint::kControl, static_cast<std::uint32_t>(wanted));
}

Status Iommu::write_entries(Device& device, const Attachment& a) {
  Unit& unit = units_[device.unit];
  Status result = Status::kOk;
  if (unit.scalable()) {
    result = write_pasid_entry(device, a, pasid_entry(unit, *a.domain, a.did));
  } else {
    const ctx::Entry entry = legacy_entry(device, *a.domain, a.did);
    device.for_each_id([&](SourceId id) {
      if (ok(result)) result = unit.set_context_entry(id, entry, allocator_);
    });
  }
  if (!ok(result)) return result;
  set_bus_master(device, BusMaster::kOn);
  if (a.pasid == 0) set_device_features(device, true);
  return Status::kOk;
}

// ---- what the caches keep ------------------------------------------------------------------------------------

Status Iommu::invalidate_device_tlb(const Device& device, std::uint32_t pasid) {
  if (!device.has_ats || ecap::kDT.get(units_[device.unit].driver().ecap()) == 0) return Status::kOk;
  Status result = Status::kOk;
  device.for_each_id([&](SourceId id) {
    if (ok(result)) result = units_[device.unit].driver().invalidate(DeviceTlbInvalidation{id, pasid});
  });
  return result;
}

Status Iommu::invalidate(const Device& device, const Attachment& a, Stage stage) {
  Unit& unit = units_[device.unit];
  Status result = Status::kOk;
  if (!unit.scalable()) {
    device.for_each_id([&](SourceId id) {
      if (ok(result)) result = unit.driver().invalidate(ContextInvalidation{ContextGranularity::kDevice, a.did, id});
    });
  } else {
    result = unit.driver().invalidate(PasidInvalidation{PasidCacheGranularity::kPasid, a.did, a.pasid});
  }
  // Of a nested domain second-stage entries are cached as well, by its id alone (VT-d 6.2.5).
  if (ok(result) && stage != Stage::kFirst)
    result = unit.driver().invalidate(IotlbInvalidation{IotlbGranularity::kDomain, a.did, 0, 0});
  if (ok(result) && stage == Stage::kFirst)
    result = unit.driver().invalidate(PasidIotlbInvalidation{PasidIotlbGranularity::kPasid, a.did, a.pasid, 0, 0});
  return ok(result) ? invalidate_device_tlb(device, a.pasid) : result;
}

void Iommu::clear_entries(Device& device, const Attachment& a) {
  Unit& unit = units_[device.unit];
  if (unit.scalable())
    device.pasids.clear(a.pasid);
  else
    device.for_each_id([&](SourceId id) { unit.clear_context_entry(id); });
}

Status Iommu::cut(Device& device, const Attachment& a) {
  clear_entries(device, a);
  return invalidate(device, a, a.domain == nullptr ? Stage::kSecond : a.domain->stage());
}

// ---- attach and detach ---------------------------------------------------------------------------------------

Attachment* Iommu::slot(Device& device, std::uint64_t pasid) {
  if (pasid == 0) return &device.own;
  Attachment* free = nullptr;
  for (Attachment& a : device.with_pasid) {
    if (a.kind != AttachmentKind::kNone && a.pasid == pasid) return &a;
    if (a.kind == AttachmentKind::kNone && free == nullptr) free = &a;
  }
  return free;
}

Status Iommu::check_attach(const Device& device, const Domain& domain, std::uint64_t pasid) const {
  if (held(device)) return Status::kBusy;
  if (const Mutability m = domain.mutability; m == Mutability::kFreeOnly) return Status::kNotSupported;
  if (domain.mutability == Mutability::kImmutable && !deviates(Deviation::kChangeAfterPreserve)) return Status::kBusy;
  const Unit& unit = units_[device.unit];
  if (!unit.supports(domain.stage(), domain.table.levels())) return Status::kNotSupported;
  if (pasid == 0) return Status::kOk;
  const std::uint64_t ecap = unit.driver().ecap();
  const bool can = unit.scalable() && ecap::kPASID.get(ecap) != 0;
  const bool fits = pasid < bit(device.pasid_bits) && pasid < bit(static_cast<unsigned>(ecap::kPSS.get(ecap)) + 1);
  return can && fits ? Status::kOk : Status::kNotSupported;
}

/// The entries of a device whose kernel crashed go, with everything cached of them: it is quiet now, or has been reset.
Status Iommu::clear_copied(Device& device) {
  if (!device.copied) return Status::kOk;
  Unit& unit = units_[device.unit];
  Status result = Status::kOk;
  device.for_each_id([&](SourceId id) {
    if (!ok(result) || !unit.context().present(id)) return;
    const DomainId did{static_cast<std::uint16_t>(unit.context().low(id).get(ctx::kDID))};
    unit.clear_context_entry(id);
    result = unit.scalable() ? unit.driver().invalidate_everything() : unit.invalidate_context(id, did);
  });
  device.copied = !ok(result);
  return result;
}

Status Iommu::attach(std::uint64_t sid, std::uint64_t domain_id, std::uint64_t pasid) {
  Device* device = this->device(sid);
  Domain* d = domain(domain_id);
  if (device == nullptr || d == nullptr) return Status::kNoEntry;
  if (const Status s = check_attach(*device, *d, pasid); !ok(s)) return s;
  Attachment* a = slot(*device, pasid);
  if (a == nullptr) return Status::kNoMemory;
  if (a->kind != AttachmentKind::kNone) return Status::kBusy;
  if (const Status s = clear_copied(*device); !ok(s)) return s;
  if (d->stage() == Stage::kNested)
    if (const Status s = expose_tables(*d); !ok(s)) return s;
  return bind(*device, *d, static_cast<std::uint32_t>(pasid), *a);
}

Status Iommu::bind(Device& device, Domain& d, std::uint32_t pasid, Attachment& out) {
  if (const Status s = acquire_did(d, device.unit); !ok(s)) return s;
  const Attachment wanted{AttachmentKind::kDomain, &d, d.uses[device.unit].did, pasid};
  const Status s = write_entries(device, wanted);
  if (ok(s))
    out = wanted;
  else if (ok(cut(device, wanted)))  // some entries may be live: if they cannot be cut, the id stays in quarantine
    drop_did(d, device.unit);
  return s;
}

Status Iommu::attach_pass_through(std::uint64_t sid) {
  Device* device = this->device(sid);
  if (device == nullptr) return Status::kNoEntry;
  if (held(*device) || device->own.kind != AttachmentKind::kNone) return Status::kBusy;
  if (device->owner.kind != Owner::Kind::kNone) return Status::kBusy;
  Unit& unit = units_[device->unit];
  if (ecap::kPT.get(unit.driver().ecap()) == 0) return Status::kNotSupported;
  if (const Status s = clear_copied(*device); !ok(s)) return s;
  const Attachment wanted{AttachmentKind::kPassThrough, nullptr, DomainIds::kPassThrough};
  Status result = Status::kOk;
  if (unit.scalable()) {
    pasid::Entry entry;
    entry.set(pasid::kP, 1).set(pasid::kPGTT, code(PasidTranslation::kPassThrough));
    entry.set(pasid::kAW, aw_of_levels(unit.largest_levels())).set(pasid::kDID, DomainIds::kPassThrough.value);
    result = write_pasid_entry(*device, wanted, entry);
  } else {
    ctx::Entry entry;
    entry.set(ctx::kP, 1).set(ctx::kTT, code(TranslationType::kPassThrough));
    entry.set(ctx::kAW, aw_of_levels(unit.largest_levels())).set(ctx::kDID, DomainIds::kPassThrough.value);
    device->for_each_id([&](SourceId id) {
      if (ok(result)) result = unit.set_context_entry(id, entry, allocator_);
    });
  }
  if (!ok(result)) {
    static_cast<void>(cut(*device, wanted));  // the first failure is the one to report
    return result;
  }
  set_bus_master(*device, BusMaster::kOn);
  device->own = wanted;
  return Status::kOk;
}

Status Iommu::detach(std::uint64_t sid, std::uint64_t pasid) {
  Device* device = this->device(sid);
  if (device == nullptr) return Status::kNoEntry;
  if (held(*device)) return Status::kBusy;
  Attachment* a = slot(*device, pasid);
  if (a == nullptr || a->kind == AttachmentKind::kNone) return Status::kInvalid;
  if (const Status s = cut(*device, *a); !ok(s)) return s;
  if (pasid == 0) set_device_features(*device, false);
  // Only now that nothing tagged with the id is cached may the id go.
  if (a->domain != nullptr) drop_did(*a->domain, device->unit);
  *a = {};
  return Status::kOk;
}

// ---- replace -------------------------------------------------------------------------------------------------

Status Iommu::replace_entries(Device& device, const Attachment& now, Stage before) {
  Unit& unit = units_[device.unit];
  if (!unit.scalable()) {
    const ctx::Entry entry = legacy_entry(device, *now.domain, now.did);
    device.for_each_id([&](SourceId id) { unit.replace_context_entry(id, entry); });
    return Status::kOk;
  }
  // The half that the entry did not need before is stored first, or last if it is the one that it does not need now.
  // From first-stage to first-stage the tables change before the id does: what is cached in between has the old id,
  // which is invalidated afterwards.
  const bool low_first = before != Stage::kSecond && now.domain->stage() == Stage::kSecond;
  const auto order = low_first ? PasidTable::Order::kLowFirst : PasidTable::Order::kLowLast;
  return device.pasids.set(now.pasid, pasid_entry(unit, *now.domain, now.did), order, allocator_);
}

Status Iommu::replace(std::uint64_t sid, std::uint64_t domain_id) {
  Device* device = this->device(sid);
  Domain* d = domain(domain_id);
  if (device == nullptr || d == nullptr) return Status::kNoEntry;
  if (const Status s = check_attach(*device, *d, 0); !ok(s)) return s;
  if (device->own.kind != AttachmentKind::kDomain) return Status::kInvalid;
  if (device->own.domain == d) return Status::kExists;
  if (!hitless(*device->own.domain, *d)) return Status::kNotSupported;
  if (d->stage() == Stage::kNested)
    if (const Status s = expose_tables(*d); !ok(s)) return s;
  if (const Status s = acquire_did(*d, device->unit); !ok(s)) return s;
  const Attachment old = device->own;
  const Stage stage = old.domain->stage();
  if (deviates(Deviation::kReplaceByClearing))
    if (const Status s = cut(*device, old); !ok(s)) return s;
  device->own = {AttachmentKind::kDomain, d, d->uses[device->unit].did};
  if (const Status s = replace_entries(*device, device->own, stage); !ok(s)) return s;
  const bool forget = deviates(Deviation::kSkipReplaceInvalidation) || deviates(Deviation::kEarlyIdReuse);
  if (!forget)
    if (const Status s = invalidate(*device, old, stage); !ok(s)) return s;
  drop_did(*old.domain, device->unit);
  return Status::kOk;
}

// ---- restore -------------------------------------------------------------------------------------------------

Status Iommu::reattach(Device& device, Domain& domain, std::uint64_t did, PhysAddr record) {
  Unit& unit = units_[device.unit];
  const bool known = unit.ids().reserved(did) && (unit.ids().valid(did) || deviates(Deviation::kAcceptAnyId));
  if (!known) return Status::kInvalid;
  const bool owned = device.owner.count != 0 && !deviates(Deviation::kForceOwnerCount);
  if (owned || device.own.kind != AttachmentKind::kNone) return Status::kBusy;
  // Of the features of the domain the image says nothing: none can be asked for (F35).
  if (deviates(Deviation::kCheckFeatures)) return Status::kInvalid;
  Domain::Use& use = domain.uses[device.unit];
  const DomainId id{static_cast<std::uint16_t>(did)};
  if (use.users != 0 && use.did != id) return Status::kInvalid;
  use.did = id;
  ++use.users;
  device.own = {AttachmentKind::kDomain, &domain, id, 0, true};
  device.record = record;
  return Status::kOk;
}

Status Iommu::attach_default(Device& device) {
  constexpr std::uint64_t kFirstNumber = std::uint64_t{1} << 32;  // none that a story would give to a domain
  const std::uint64_t id = kFirstNumber + device.sid.value;
  const unsigned levels = units_[device.unit].largest_levels();
  if (const Status s = create_domain({id, levels, code(Stage::kSecond), 0}); !ok(s)) return s;
  const Status s = bind(device, *domain(id), 0, device.own);
  if (!ok(s)) static_cast<void>(destroy_domain(id));  // unless it is still walked
  return s;
}

Status Iommu::cut_off(const Device& device) {
  Unit& unit = units_[device.unit];
  device.for_each_id([&](SourceId id) { unit.clear_context_entry(id); });
  return unit.driver().invalidate_everything();
}

Status Iommu::block(Device& device) {
  set_bus_master(device, BusMaster::kOff);
  const Status s = cut_off(device);
  device.for_each_attachment([&](const Attachment& a) {
    if (a.domain != nullptr) --a.domain->uses[device.unit].users;
  });
  device.own = {};
  device.with_pasid = {};
  device.record = 0;
  // What the PASID entries led to must not come back with the next attachment.
  if (ok(s) && device.pasids.exists()) device.pasids.free(allocator_);
  return s;
}

// ---- owners --------------------------------------------------------------------------------------------------

void Iommu::set_owner(Device& device, const Owner& owner) {
  if (!device.group_locked) hal::die("group lock of ", Bdf{device.sid}, " is not held while its owner changes");
  device.owner = owner;
}

Status Iommu::claim(std::uint64_t sid, std::uint64_t owner) {
  Device* device = this->device(sid);
  if (device == nullptr) return Status::kNoEntry;
  if (owner == 0) return Status::kInvalid;
  if (device->own.kind == AttachmentKind::kPassThrough) return Status::kBusy;
  const GroupLock lock(*device);
  const bool bound = device->owner.kind == Owner::Kind::kRecord && !deviates(Deviation::kBindDefaultDriver);
  if (device->owner.kind == Owner::Kind::kNone || (!bound && device->owner.kind == Owner::Kind::kRecord)) {
    set_owner(*device, {Owner::Kind::kClaimed, owner, 1});
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
  const GroupLock lock(*device);
  if (--device->owner.count == 0) set_owner(*device, {});
  return Status::kOk;
}

// ---- questions -----------------------------------------------------------------------------------------------

Iommu::DidUse Iommu::did_use(std::uint64_t did) {
  DidUse out;
  devices_.for_each([&](const Device& d) {
    d.for_each_attachment([&](const Attachment& a) { out.devices += a.did.value == did ? 1 : 0; });
  });
  for_each_unit([&](Unit& u) { out.reserved = out.reserved || u.ids().reserved(did); });
  return out;
}

std::uint64_t Iommu::entry_digest(const Device& device) {
  constexpr std::uint64_t kOffset = 0xcbf29ce484222325;
  constexpr std::uint64_t kPrime = 0x100000001b3;
  std::uint64_t hash = kOffset;
  const auto mix = [&](std::uint64_t word) { hash = (hash ^ word) * kPrime; };
  const ContextMap& map = units_[device.unit].context();
  device.for_each_id([&](SourceId id) {
    Record128 entry = map.low(id);
    if (map.scalable()) entry.set(sctx::kPRE, 0);
    for (const std::uint64_t word : entry.words) mix(word);
    if (!map.scalable() || entry.get(sctx::kP) == 0) return;
    const PasidTable table(entry.address(sctx::kPASIDDIRPTR),
                           pasids_of_pdts(static_cast<unsigned>(entry.get(sctx::kPDTS))));
    table.for_each_present([&](std::uint32_t pasid, const pasid::Entry& e) {
      mix(pasid);
      for (const std::uint64_t word : e.words) mix(word);
    });
  });
  return hash;
}

}  // namespace vtd::fw
