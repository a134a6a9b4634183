// SPDX-License-Identifier: MIT
// What userspace does with an incoming session: retrieve its files, take devices and domains over, finish.
#include "firmware/hal/console.h"
#include "firmware/hal/policy.h"
#include "firmware/liveupdate/incoming.h"

namespace vtd::fw {

PhysAddr Incoming::session_at(std::uint64_t name, abi::Session& out) const {
  PhysAddr found = 0;
  if (root_at_ == 0) return 0;
  for_each_record<abi::Session>(root_.sessions, [&](std::uint64_t, PhysAddr at, const abi::Session& s) {
    if (s.name != name) return;
    found = at;
    out = s;
  });
  return found;
}

template <typename Function>
void Incoming::for_each_file(std::uint64_t session, Function&& f) const {
  abi::Session s{};
  if (session_at(session, s) == 0) return;
  for_each_record<abi::File>(s.files, [&](std::uint64_t, PhysAddr at, const abi::File& file) { f(at, file); });
}

// ---- retrieve, transfer, reclaim -----------------------------------------------------------------------------

Status Incoming::retrieve(std::uint64_t session, std::uint64_t token, Retrieved& out) {
  if (!unfinished()) return Status::kNoData;
  PhysAddr file_at = 0;
  abi::File file{};
  for_each_file(session, [&](PhysAddr at, const abi::File& f) {
    if (f.token != token) return;
    file_at = at;
    file = f;
  });
  if (file_at == 0) return Status::kNoEntry;
  out.kind = kind_of(file.compatible);
  if (out.kind == FileKind::kIommufd && deviates(Deviation::kCannotRetrieveIommufd)) return Status::kNotSupported;
  if (out.kind == FileKind::kMemory) out.label = hal::load<abi::MemoryFile>(file.data).label;
  if (out.kind == FileKind::kDevice) out.label = hal::load<abi::VfioDevice>(file.data).bdf;
  file.header.flags |= abi::kIncoming;
  hal::store(file_at, file);
  return Status::kOk;
}

bool Incoming::retrieved_iommufd() const {
  bool retrieved = false;
  for_each_record<abi::Session>(root_.sessions, [&](std::uint64_t, PhysAddr, const abi::Session& s) {
    for_each_file(s.name, [&](PhysAddr, const abi::File& f) {
      retrieved = retrieved || (kind_of(f.compatible) == FileKind::kIommufd && (f.header.flags & abi::kIncoming) != 0);
    });
  });
  return retrieved;
}

Status Incoming::transfer_owner(std::uint64_t sid, std::uint64_t owner) {
  Device* device = iommu_.device(sid);
  if (device == nullptr) return Status::kNoEntry;
  if (!device->own.restored || device->record == 0 || owner == 0) return Status::kInvalid;
  bool retrieved = false;
  for_each_record<abi::Session>(root_.sessions, [&](std::uint64_t, PhysAddr, const abi::Session& s) {
    for_each_file(s.name, [&](PhysAddr, const abi::File& f) {
      if (kind_of(f.compatible) != FileKind::kDevice || (f.header.flags & abi::kIncoming) == 0) return;
      retrieved = retrieved || hal::load<abi::VfioDevice>(f.data).device == device->record;
    });
  });
  if (!retrieved || !retrieved_iommufd()) return Status::kPerm;
  const GroupLock lock(*device);
  Iommu::set_owner(*device, {Owner::Kind::kClaimed, owner, 1});
  device->record = 0;
  return Status::kOk;
}

Status Incoming::reclaim_domain(std::uint64_t token, std::uint64_t& domain) {
  PhysAddr hwpt_at = 0;
  abi::Hwpt hwpt{};
  if (root_at_ == 0) return Status::kNoData;
  for_each_record<abi::Iommufd>(root_.iommufds, [&](std::uint64_t, PhysAddr, const abi::Iommufd& fd) {
    for_each_record<abi::Hwpt>(fd.hwpts, [&](std::uint64_t, PhysAddr at, const abi::Hwpt& h) {
      if (h.token != token) return;
      hwpt_at = at;
      hwpt = h;
    });
  });
  if (hwpt_at == 0) return Status::kNoEntry;
  if (!retrieved_iommufd()) return Status::kPerm;
  if (hwpt.reclaimed != 0) return Status::kExists;
  Domain* d = iommu_.domain(hwpt.label);
  if (d == nullptr) return Status::kNoEntry;
  bool waiting = false;
  iommu_.for_each_device(
      [&](const Device& device) { waiting = waiting || (device.own.domain == d && device.record != 0); });
  if (waiting) return Status::kNoDevice;
  hwpt.reclaimed = 1;
  hal::store(hwpt_at, hwpt);
  d->record = 0;
  domain = d->id;
  return Status::kOk;
}

// ---- finish --------------------------------------------------------------------------------------------------

bool Incoming::can_finish(const abi::File& file) {
  switch (kind_of(file.compatible)) {
    case FileKind::kMemory:
      return true;
    case FileKind::kIommufd: {
      bool all = true;
      for_each_record<abi::Hwpt>(hal::load<abi::Iommufd>(file.data).hwpts,
                                 [&](std::uint64_t, PhysAddr, const abi::Hwpt& h) {
                                   // One that could not be restored is nobody's to take back.
                                   const auto domain = hal::load<abi::ObjectHeader>(h.domain);
                                   all = all && (h.reclaimed != 0 || (domain.flags & abi::kDeleted) != 0);
                                 });
      return all;
    }
    case FileKind::kDevice: {
      const Device* device = iommu_.device(hal::load<abi::VfioDevice>(file.data).bdf);
      return device != nullptr && device->record == 0;
    }
    case FileKind::kUnknown:
      return false;
  }
  return false;
}

Status Incoming::finish(std::uint64_t name) {
  abi::Session session{};
  if (!unfinished()) return Status::kNoEntry;
  const PhysAddr at = session_at(name, session);
  if (at == 0) return Status::kNoEntry;
  bool good = true;
  for_each_file(name, [&](PhysAddr, const abi::File& f) { good = good && can_finish(f); });
  good = good || deviates(Deviation::kFinishDiscards);
  if (!good) return Status::kBusy;
  for_each_file(name, [&](PhysAddr, const abi::File& f) { finish_file(f); });
  release_claimed_chain(session.files);
  mark_deleted(at);
  if (--unfinished_ == 0) release_everything();
  return Status::kOk;
}

void Incoming::finish_file(const abi::File& file) {
  switch (kind_of(file.compatible)) {
    case FileKind::kMemory: {
      const auto record = hal::load<abi::MemoryFile>(file.data);
      MemoryFile* m = iommu_.memory(record.label);
      if (m == nullptr) break;
      if (!tracker_.reclaim(m->base, m->size)) hal::print("finish: memory ", m->id, " was not all preserved");
      m->record = 0;
      break;
    }
    case FileKind::kIommufd:
      release_claimed_chain(hal::load<abi::Iommufd>(file.data).hwpts);
      finish_flb();
      break;
    case FileKind::kDevice:
      if (deviates(Deviation::kFinishSwitches))
        if (const Device* device = iommu_.device(hal::load<abi::VfioDevice>(file.data).bdf); device != nullptr)
          static_cast<void>(iommu_.cut_off(*device));
      break;
    case FileKind::kUnknown:
      break;
  }
  mark_deleted(file.data);
}

/// One dependent file less; the last one takes the state with it.
void Incoming::finish_flb() {
  auto flb = hal::load<abi::Flb>(flb_at_);
  --flb.count;
  hal::store(flb_at_, flb);
  if (flb.count != 0) return;
  for (const PhysAddr chain : {top_.units, top_.domains, top_.devices}) release_claimed_chain(chain);
  iommu_.allocator().release(iommu_top_);
  mark_deleted(flb_at_);
  flb_at_ = iommu_top_ = 0;
  top_ = {};
  unit_records_ = {};
}

void Incoming::release_claimed_chain(PhysAddr first_page) {
  for (PhysAddr page = first_page; page != 0;) {
    const PhysAddr next = hal::load<abi::ArrayPage>(page).next;
    iommu_.allocator().release(page);
    page = next;
  }
}

void Incoming::release_everything() {
  for (const PhysAddr chain : {root_.sessions, root_.flbs, root_.memory_files, root_.iommufds, root_.vfio_devices})
    release_claimed_chain(chain);
  iommu_.allocator().release(root_at_);
  root_at_ = 0;
  root_ = {};
  const FieldName name{kLuoImage, "reset", "tracker"};
  tracker_.for_each_own([&](PhysAddr page) {
    if (!tracker_.preserved(page)) refuse(name, Hex{page}, "its own page is not preserved, expected it");
  });
  std::uint64_t own = 0;
  tracker_.for_each_own([&](PhysAddr) { ++own; });
  if (tracker_.count() != own) hal::print("finish: preserved pages that nobody claimed: ", tracker_.count() - own);
  // Tables of devices that were cut off. The older forms of the series leave such devices walking them.
  if (!deviates(Deviation::kKeepStrangers))
    tracker_.for_each(platform::kHeapBase, platform::kHeapSize, [&](PhysAddr page) {
      bool of_tracker = false;
      tracker_.for_each_own([&](PhysAddr p) { of_tracker = of_tracker || p == page; });
      if (!of_tracker) iommu_.allocator().release(page);
    });
  tracker_.reclaim_own();
  tracker_.destroy(iommu_.allocator());
  hal::mmio_write64(platform::kResetBase + platform::reset::kHandover, 0);
  hal::mmio_write64(platform::kResetBase + platform::reset::kTracker, 0);
}

// ---- questions -----------------------------------------------------------------------------------------------

std::uint32_t Incoming::unit_references(const Unit& unit) const {
  const PhysAddr at = unit_records_[iommu_.index_of(unit)];
  return at == 0 ? 0 : hal::load<abi::Unit>(at).header.refcount;
}

std::uint64_t Incoming::flb_references() const {
  return flb_at_ == 0 ? 0 : hal::load<abi::Flb>(flb_at_).count;
}

Incoming::SessionFiles Incoming::session_files(std::uint64_t session) const {
  SessionFiles out;
  for_each_file(session, [&](PhysAddr, const abi::File& f) {
    ++out.files;
    out.retrieved += (f.header.flags & abi::kIncoming) != 0 ? 1 : 0;
  });
  return out;
}

}  // namespace vtd::fw
