// SPDX-License-Identifier: MIT
// Restoring memory, domains and attachments: software links to what the hardware has been using all the time.
#include "firmware/hal/console.h"
#include "firmware/hal/policy.h"
#include "firmware/liveupdate/incoming.h"

namespace vtd::fw {
namespace {

template <typename T>
void mark_incoming(PhysAddr at, T record) {
  record.header.flags |= abi::kIncoming;
  hal::store(at, record);
}

}  // namespace

void Incoming::reattach() {
  restore_memory();
  if (iommu_top_ == 0) return;
  restore_domains();
  reattach_devices();
}

// ---- memory and domains --------------------------------------------------------------------------------------

void Incoming::restore_memory() {
  for_each_record<abi::MemoryFile>(root_.memory_files, [&](std::uint64_t i, PhysAddr at, const abi::MemoryFile& r) {
    if (iommu_.restore_memory(r.label, r.base, r.size, at) == nullptr)
      refuse(FieldName{kLuoImage, "memory", "base", i}, Hex{r.base}, "cannot be restored, expected free guest memory");
    mark_incoming(at, r);
  });
}

abi::Hwpt Incoming::hwpt_of(PhysAddr domain_record) const {
  abi::Hwpt found{{0, 0}, 0, 0, 0, domain_record};  // nobody names it: its address is as good a number as any
  for_each_record<abi::Iommufd>(root_.iommufds, [&](std::uint64_t, PhysAddr, const abi::Iommufd& fd) {
    for_each_record<abi::Hwpt>(fd.hwpts, [&](std::uint64_t, PhysAddr, const abi::Hwpt& hwpt) {
      if (hwpt.domain == domain_record) found = hwpt;
    });
  });
  return found;
}

void Incoming::restore_domain(std::uint64_t index, PhysAddr at, const abi::Domain& r) {
  PageTable table(r.top_table, r.top_level, r.sign_extend != 0 ? Stage::kFirst : Stage::kSecond);
  std::uint64_t pages = 0;
  table.visit(
      [&](PhysAddr page, unsigned) {
        claim_page(tracker_, {kIommuImage, "domain", "table_page", index}, page);  // before its entries are read
        return ++pages != 0;
      },
      [](const Leaf&) { return true; });
  const FieldName name{kIommuImage, "domain", "top_table", index};
  if (fails(platform::FailPlace::kRestoreDomain)) {
    if (deviates(Deviation::kFallBackToDefault)) {  // v1: a warning, and what was allocated for it is lost
      hal::print("restore: domain of ", Hex{r.top_table}, " cannot be restored");
      return;
    }
    if (deny(name, Hex{r.top_table}, "its restore failed, expected it to work")) return;
    // Its devices walk the tables until they are cut off.
    PageTable* failed = deviates(Deviation::kLeakFailedRestore) ? nullptr : failed_.add();
    if (failed != nullptr) *failed = table;
    mark_deleted(at);
    return;
  }
  const std::uint64_t id = hwpt_of(at).label;
  if (iommu_.restore_domain(id, table, at) == nullptr)
    refuse(name, Hex{r.top_table}, "cannot be restored, expected a free slot");
  mark_incoming(at, r);
  hal::print("restore: domain ", id, " top table ", Hex{r.top_table}, ", table pages ", pages);
}

void Incoming::restore_domains() {
  for_each_record<abi::Domain>(top_.domains,
                               [&](std::uint64_t i, PhysAddr at, const abi::Domain& r) { restore_domain(i, at, r); });
}

// ---- devices -------------------------------------------------------------------------------------------------

bool Incoming::restore_pasids(std::uint64_t index, Device& device, const abi::Device& r) {
  Unit& unit = iommu_.unit(device.unit);
  if (!unit.scalable()) return true;
  const FieldName name{kIommuImage, "device", "max_pasid", index};
  const std::uint32_t expected = device.pasid_bits <= 6 ? PasidTable::kPerPage : std::uint32_t{1} << device.pasid_bits;
  const PasidTable preserved(r.pasid_dir, r.max_pasid);
  const std::uint64_t limit =
      deviates(Deviation::kFirstPasidPageOnly) ? preserved.directory_pages() + 1 : ~std::uint64_t{0};
  std::uint64_t claimed = 0;
  preserved.visit_pages([&](PhysAddr page) {
    if (claimed == limit) return false;
    claim_page(tracker_, {kIommuImage, "device", "pasid_dir", index}, page);
    ++claimed;
    return true;
  });
  device.pasids = preserved;
  if (r.max_pasid == expected) return true;
  if (!deviates(Deviation::kEmptyOtherDirectory))
    return deny(name, r.max_pasid, "not what the device has, expected ", expected);
  hal::print("restore: ", Bdf{device.sid}, " has ", expected, " PASIDs, not ", r.max_pasid, ": an empty directory");
  PasidTable empty;
  if (!ok(PasidTable::create(device.pasid_bits, iommu_.allocator(), empty)))
    refuse(name, r.max_pasid, "no memory for another directory, expected some");
  device.for_each_id([&](SourceId id) {
    const PhysAddr at = unit.context().entry_at(id);
    Record128 low = unit.context().low(id);
    low.set_address(sctx::kPASIDDIRPTR, empty.directory()).set(sctx::kPDTS, empty.pdts());
    hal::write128(at, low.words[0], low.words[1]);
    hal::flush(at, sctx::kBytes);
  });
  device.pasids.free(iommu_.allocator());
  device.pasids = empty;
  return ok(unit.driver().invalidate_everything());
}

std::uint64_t Incoming::iommufd_token(const Device& device) const {
  std::uint64_t token = 0;
  for_each_record<abi::VfioDevice>(root_.vfio_devices, [&](std::uint64_t, PhysAddr, const abi::VfioDevice& v) {
    if (v.bdf == device.sid.value) token = v.iommufd;
  });
  return token;
}

void Incoming::own(Device& device, PhysAddr record, bool first_of_domain) {
  if (deviates(Deviation::kOwnerOfFirstOnly) && !first_of_domain) return;
  const Owner owner = deviates(Deviation::kOwnerIsToken) ? Owner{Owner::Kind::kClaimed, iommufd_token(device), 1}
                                                         : Owner{Owner::Kind::kRecord, record, 1};
  if (deviates(Deviation::kNoGroupLock)) return Iommu::set_owner(device, owner);
  if (deviates(Deviation::kClaimBlocks)) static_cast<void>(iommu_.cut_off(device));
  const GroupLock lock(device);
  Iommu::set_owner(device, owner);
}

void Incoming::give_up(std::uint64_t index, Device& device) {
  if (deviates(Deviation::kFallBackToDefault)) {
    hal::print("reattach: ", Bdf{device.sid}, " falls back to a default domain");
    if (const Status s = iommu_.attach_default(device); !ok(s)) hal::print("reattach: no default domain: ", s);
    return;
  }
  hal::print("reattach: device[", index, "] ", Bdf{device.sid}, " is cut off");
  if (const Status s = iommu_.block(device); !ok(s)) hal::die(Bdf{device.sid}, " cannot be cut off: ", s);
}

void Incoming::block_contained() {
  for_each_record<abi::Device>(top_.devices, [&](std::uint64_t i, PhysAddr, const abi::Device& r) {
    Device* device = contained(i) ? iommu_.device(r.devid) : nullptr;
    if (device != nullptr) give_up(i, *device);
  });
}

void Incoming::reattach_device(std::uint64_t index, PhysAddr at, const abi::Device& r) {
  Device* device = contained(index) ? nullptr : iommu_.device(r.devid);
  if (device == nullptr) return;
  Domain* domain = nullptr;
  iommu_.for_each_domain([&](Domain& d) {
    if (d.record == r.link.domain) domain = &d;
  });
  const FieldName name{kIommuImage, "device", "domain", index};
  if (domain == nullptr && deviates(Deviation::kFallBackToDefault)) return give_up(index, *device);
  if (domain == nullptr && !deny(name, Hex{r.link.domain}, "no such domain was restored, expected one"))
    return give_up(index, *device);
  const std::uint64_t did = hal::load<abi::Device>(at).link.attachment_id;
  const bool first_of_domain = !domain->in_use();
  if (deviates(Deviation::kOwnedEarly)) {
    const GroupLock lock(*device);
    Iommu::set_owner(*device, {Owner::Kind::kClaimed, 1, 1});
  }
  if (deviates(Deviation::kDefaultDomainFirst)) {
    static_cast<void>(iommu_.attach_default(*device));
    device->own = {};
  }
  const bool planted = fails(platform::FailPlace::kRestoreDevice);
  const Status s = planted ? Status::kFault : iommu_.reattach(*device, *domain, did, at);
  if (!ok(s)) {
    if (s == Status::kBusy)
      hal::print("WARNING: ", Bdf{device->sid}, " has an owner before it is restored, count ", device->owner.count);
    if (deviates(Deviation::kFallBackToDefault) ||
        !deny(FieldName{kIommuImage, "device", "attachment_id", index}, did, "cannot be reattached: ", s,
              ", expected a reserved id and a device without owner"))
      return give_up(index, *device);
  }
  if (!restore_pasids(index, *device, r)) return give_up(index, *device);
  own(*device, at, first_of_domain);
  abi::Device adopted = hal::load<abi::Device>(at);
  adopted.restored = 1;
  mark_incoming(at, adopted);
  hal::print("reattach: ", Bdf{device->sid}, " to domain ", domain->id, ", id ", did, ", owner ", Hex{at});
}

void Incoming::reattach_devices() {
  for_each_record<abi::Device>(top_.devices,
                               [&](std::uint64_t i, PhysAddr at, const abi::Device& r) { reattach_device(i, at, r); });
  failed_.for_each([&](PageTable& table) {
    table.free_tables(iommu_.allocator());
    failed_.remove(table);
  });
}

}  // namespace vtd::fw
