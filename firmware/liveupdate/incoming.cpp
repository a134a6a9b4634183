// SPDX-License-Identifier: MIT
// Opening an image and adopting the units: until the domain ids are reserved no unit has been written to.
#include "firmware/liveupdate/incoming.h"

#include "firmware/hal/console.h"
#include "firmware/hal/policy.h"
#include "firmware/liveupdate/image_check.h"

namespace vtd::fw {
namespace {

template <typename T>
void mark_incoming(PhysAddr at, T record) {
  record.header.flags |= abi::kIncoming;
  hal::store(at, record);
}

}  // namespace

void Incoming::open(PhysAddr root, PhysAddr tracker, Verify verify) {
  const FieldName name{kLuoImage, "reset", "tracker", FieldName::kSingle};
  tracker_ = Tracker(tracker);
  if (tracker == 0 || !is_aligned(tracker, kPageSize) || !tracker_.in_dram(tracker))
    refuse(name, Hex{tracker}, "no tracker, expected the address of a page");
  if (!tracker_.well_formed()) refuse(name, Hex{tracker}, "has leaves outside memory, expected addresses of pages");
  tracker_.for_each_own([&](PhysAddr page) { require_preserved(tracker_, name, page); });
  tracker_.for_each(platform::kHeapBase, platform::kHeapSize, [&](PhysAddr page) { iommu_.allocator().hold(page); });
  check_versions(root, tracker_);
  root_at_ = root;
  root_ = hal::load<abi::Root>(root);
  find_iommu_state();
  update_counter_ = root_.update_counter;
  pages_at_open_ = tracker_.count();
  hal::print("adopt: handover at ", Hex{root}, ", update ", update_counter_, ", preserved pages ", pages_at_open_,
             verify == Verify::kChecking ? ", checking" : ", trusting");
  if (verify == Verify::kChecking) {
    ImageCheck check(root, iommu_top_, tracker_, iommu_);
    check.run();
    contained_ = check.contained();
  }
  trusting_ = verify == Verify::kTrusting;
}

/// The state that files bind (FLB) under the name of the IOMMU; an image of memory alone has none.
void Incoming::find_iommu_state() {
  for_each_record<abi::Flb>(root_.flbs, [&](std::uint64_t, PhysAddr at, const abi::Flb& flb) {
    if (flb.compatible != abi::kIommuCompatible[0] || flb_at_ != 0) return;
    flb_at_ = at;
    iommu_top_ = flb.data;
    check_iommu_version(iommu_top_, tracker_);
    top_ = hal::load<abi::IommuTop>(iommu_top_);
  });
}

bool Incoming::contained(std::uint64_t device_index) const {
  return device_index / 64 < contained_.size() && (contained_[device_index / 64] & bit(device_index % 64)) != 0;
}

// ---- adopt ---------------------------------------------------------------------------------------------------

void Incoming::claim_chain(std::string_view image, std::string_view record, std::string_view field, PhysAddr first_page,
                           std::uint64_t index) {
  for (PhysAddr page = first_page; page != 0; page = hal::load<abi::ArrayPage>(page).next)
    claim_page(tracker_, {image, record, field, index}, page);  // one-shot: a cycle ends here
}

void Incoming::claim_records() {
  claim_page(tracker_, {kLuoImage, "reset", "handover"}, root_at_);
  claim_chain(kLuoImage, "root", "sessions", root_.sessions);
  claim_chain(kLuoImage, "root", "flbs", root_.flbs);
  claim_chain(kLuoImage, "root", "memory_files", root_.memory_files);
  claim_chain(kLuoImage, "root", "iommufds", root_.iommufds);
  claim_chain(kLuoImage, "root", "vfio_devices", root_.vfio_devices);
  for_each_record<abi::Session>(root_.sessions, [&](std::uint64_t i, PhysAddr, const abi::Session& s) {
    claim_chain(kLuoImage, "session", "files", s.files, i);
    ++unfinished_;
  });
  for_each_record<abi::Iommufd>(root_.iommufds, [&](std::uint64_t i, PhysAddr, const abi::Iommufd& fd) {
    claim_chain(kLuoImage, "iommufd", "hwpts", fd.hwpts, i);
  });
  if (iommu_top_ == 0) return;
  claim_page(tracker_, {kLuoImage, "flb", "data", 0}, iommu_top_);
  claim_chain(kIommuImage, "iommu", "units", top_.units);
  claim_chain(kIommuImage, "iommu", "domains", top_.domains);
  claim_chain(kIommuImage, "iommu", "devices", top_.devices);
}

void Incoming::reserve_id(std::uint64_t index, PhysAddr at, const abi::Device& record) {
  const Device* device = iommu_.device(record.devid);
  if (device == nullptr) return quarantine_id(index, record);
  DomainIds& ids = iommu_.unit(device->unit).ids();
  std::uint64_t did = record.link.attachment_id;
  if (!ids.valid(did) && deviates(Deviation::kFreshId)) {  // v2: as if the image had said nothing
    const auto fresh = ids.allocate();
    if (!fresh) refuse(FieldName{kIommuImage, "device", "attachment_id", index}, did, "no free id, expected one");
    hal::print("adopt: ", Bdf{device->sid}, " domain id ", did, " refused, ", std::uint64_t{fresh->value}, " instead");
    hal::write64(at + offsetof(abi::Device, link) + offsetof(abi::DeviceLink, attachment_id), fresh->value);
    return;
  }
  const Status s = deviates(Deviation::kAcceptAnyId) ? ids.reserve_any(did) : ids.reserve(did);
  // Two devices of one domain share its id; any other holder would share cached translations with a stranger.
  bool shared = false;
  for_each_record<abi::Device>(top_.devices, [&](std::uint64_t other, PhysAddr, const abi::Device& r) {
    shared = shared || (other < index && r.link.attachment_id == did && r.link.domain == record.link.domain);
  });
  const bool tolerated = s == Status::kExists && (shared || series() != platform::Series::kLatest);
  if (!ok(s) && !tolerated)
    refuse(FieldName{kIommuImage, "device", "attachment_id", index}, did, "cannot be reserved: ", s,
           ", expected a free id or one of the same domain");
  hal::print("adopt: ", Bdf{device->sid}, " domain id ", did, ok(s) ? " reserved" : " reserved already (shared)");
  if (deviates(Deviation::kReserveOnEveryUnit))
    iommu_.for_each_unit([&](Unit& other) { static_cast<void>(other.ids().reserve(did)); });
}

/// Of a device that is not there: until everything tagged with its id is known to be gone, nobody else may have it.
void Incoming::quarantine_id(std::uint64_t index, const abi::Device& record) {
  hal::print("adopt: device[", index, "] ", Hex{record.devid}, " is not on the bus");
  for_each_record<abi::Unit>(top_.units, [&](std::uint64_t, PhysAddr at, const abi::Unit& unit_record) {
    Unit* unit = at == record.link.unit ? unit_of(unit_record) : nullptr;
    if (unit != nullptr) static_cast<void>(unit->ids().reserve(record.link.attachment_id));
  });
}

/// Entries that no device behind the unit answers for would translate for whoever comes next under that requester id.
void Incoming::sweep_strangers(Unit& unit) {
  unsigned cleared = 0;
  unit.context().for_each_table([&](unsigned n, PhysAddr table) {
    unit.context().for_each_present(n, table, [&](SourceId sid, PhysAddr) {
      if (iommu_.device_behind(sid, unit) != nullptr) return;
      hal::print("adopt: ", Bdf{sid}, " has an entry and no device: cut off");
      unit.clear_context_entry(sid);
      ++cleared;
    });
  });
  if (cleared == 0) return;
  if (const Status s = unit.driver().invalidate_everything(); !ok(s))
    hal::die("unit ", Hex{unit.driver().base()}, ": entries cannot be cut off: ", s);
}

void Incoming::reserve_ids() {
  for_each_record<abi::Device>(top_.devices, [&](std::uint64_t i, PhysAddr at, const abi::Device& record) {
    if (contained(i) && iommu_.device(record.devid) != nullptr) return;
    reserve_id(i, at, record);
  });
}

/// A planted bug: devices that nobody preserved have got domains before.
void Incoming::reserve_ids_late() {
  iommu_.for_each_device([&](Device& device) {
    bool preserved = false;
    for_each_record<abi::Device>(top_.devices, [&](std::uint64_t, PhysAddr, const abi::Device& r) {
      preserved = preserved || r.devid == device.sid.value;
    });
    if (preserved || !adopted(iommu_.unit(device.unit))) return;
    if (const Status s = iommu_.attach_default(device); !ok(s)) hal::print("adopt: no default domain: ", s);
  });
  reserve_ids();
}

Unit* Incoming::unit_of(const abi::Unit& record) {
  Unit* unit = nullptr;
  iommu_.for_each_unit([&](Unit& u) {
    if (u.driver().base() == record.token && record.type == abi::kUnitTypeIntel) unit = &u;
  });
  return unit;
}

void Incoming::claim_tables_of(std::uint64_t index, const abi::Unit& record, const Unit& unit) {
  claim_page(tracker_, {kIommuImage, "unit", "root_table", index}, record.root_table);
  const ContextMap map(record.root_table, unit.driver().table_mode());
  map.for_each_table([&](unsigned, PhysAddr table) {
    claim_page(tracker_, {kIommuImage, "unit", "context_table", index}, table);
  });
}

void Incoming::claim_unit(std::uint64_t index, PhysAddr at, const abi::Unit& record) {
  Unit* unit = unit_of(record);
  if (unit == nullptr)
    refuse(FieldName{kIommuImage, "unit", "token", index}, Hex{record.token}, "no such unit, expected its base");
  check_table_mode(index, *unit);
  claim_tables_of(index, record, *unit);
  unit_records_[iommu_.index_of(*unit)] = at;
  abi::Unit adopted = record;
  adopted.restored = 1;
  mark_incoming(at, adopted);
}

void Incoming::adopt_unit(Unit& unit) {
  const PhysAddr base = unit.driver().base();
  const PhysAddr root = hal::load<abi::Unit>(unit_records_[iommu_.index_of(unit)]).root_table;
  const TableMode mode = unit.driver().table_mode();
  hal::print("adopt: unit ", Hex{base}, " root ", Hex{root}, mode == TableMode::kScalable ? ", scalable" : ", legacy",
             unit.driver().translating() ? ", translating" : "");
  if (const Status s = unit.adopt(ContextMap(root, mode), iommu_.allocator()); !ok(s))
    hal::die("unit ", Hex{base}, ": cannot be adopted: ", s);
}

void Incoming::adopt() {
  claim_records();
  if (iommu_top_ == 0) return;
  if (trusting_) contained_ = check_domain_ids(iommu_top_, iommu_);
  const bool late = deviates(Deviation::kReserveLate);
  if (!late) reserve_ids();
  for_each_record<abi::Unit>(top_.units,
                             [&](std::uint64_t i, PhysAddr at, const abi::Unit& r) { claim_unit(i, at, r); });
  iommu_.for_each_unit([&](Unit& unit) {
    if (adopted(unit)) adopt_unit(unit);
    if (adopted(unit) && !deviates(Deviation::kKeepStrangers)) sweep_strangers(unit);
  });
  if (late) reserve_ids_late();
  block_contained();
}

Status Incoming::adopt_again(Unit& unit) {
  const PhysAddr at = unit_records_[iommu_.index_of(unit)];
  if (at == 0) return Status::kNoEntry;
  const auto record = hal::load<abi::Unit>(at);
  if (record.restored != 0 && !deviates(Deviation::kReclaimTwice)) {
    hal::print("adopt: unit ", Hex{unit.driver().base()}, " was adopted before");
    return Status::kExists;
  }
  claim_tables_of(0, record, unit);
  return Status::kOk;
}

}  // namespace vtd::fw
