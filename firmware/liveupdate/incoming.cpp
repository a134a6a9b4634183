// SPDX-License-Identifier: MIT
#include "firmware/liveupdate/incoming.h"

#include "firmware/hal/console.h"
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
  if (tracker == 0 || !is_aligned(tracker, kPageSize) || !Tracker::in_dram(tracker))
    refuse(name, Hex{tracker}, "no bitmap, expected the address of a page");
  require_preserved(tracker_, name, tracker);
  tracker_.for_each(platform::kHeapBase, platform::kHeapSize, [&](PhysAddr page) { iommu_.allocator().hold(page); });
  check_versions(root, tracker_);
  root_at_ = root;
  root_ = hal::load<abi::Root>(root);
  if (root_.iommu != 0) top_ = hal::load<abi::IommuTop>(root_.iommu);
  update_counter_ = root_.update_counter;
  hal::print("adopt: handover at ", Hex{root}, ", update ", update_counter_, ", preserved pages ", tracker_.count(),
             verify == Verify::kChecking ? ", checking" : ", trusting");
  if (verify == Verify::kChecking)
    ImageCheck(root, tracker_, iommu_).run();
  else if (root_.iommu != 0)
    check_domain_ids(root_.iommu, iommu_);
}

// ---- adopt ---------------------------------------------------------------------------------------------------

void Incoming::claim_chain(std::string_view image, std::string_view record, std::string_view field,
                           PhysAddr first_page) {
  for (PhysAddr page = first_page; page != 0; page = hal::load<abi::ArrayPage>(page).next)
    claim_page(tracker_, {image, record, field, FieldName::kSingle}, page);  // one-shot: a cycle ends here
}

void Incoming::claim_records() {
  claim_page(tracker_, {kLuoImage, "reset", "handover"}, root_at_);
  claim_chain(kLuoImage, "root", "sessions", root_.sessions);
  claim_chain(kLuoImage, "root", "memory_files", root_.memory_files);
  for_each_record<abi::Session>(root_.sessions, [&](std::uint64_t i, PhysAddr, const abi::Session& s) {
    for (PhysAddr page = s.files; page != 0; page = hal::load<abi::ArrayPage>(page).next)
      claim_page(tracker_, {kLuoImage, "session", "files", i}, page);
    ++unfinished_;
  });
  if (root_.iommu == 0) return;
  claim_page(tracker_, {kLuoImage, "root", "iommu"}, root_.iommu);
  claim_chain(kIommuImage, "iommu", "units", top_.units);
  claim_chain(kIommuImage, "iommu", "domains", top_.domains);
  claim_chain(kIommuImage, "iommu", "devices", top_.devices);
}

void Incoming::reserve_ids() {
  for_each_record<abi::Device>(top_.devices, [&](std::uint64_t i, PhysAddr, const abi::Device& record) {
    const Device* device = iommu_.device(record.devid);
    if (device == nullptr) {
      hal::print("adopt: device[", i, "] ", Hex{record.devid}, " is not on the bus");
      return;
    }
    const std::uint64_t did = record.link.attachment_id;
    const Status s = iommu_.unit(device->unit).ids().reserve(did);
    // Two devices of one domain share its id; any other holder would share cached translations with a stranger.
    bool shared = false;
    for_each_record<abi::Device>(top_.devices, [&](std::uint64_t other, PhysAddr, const abi::Device& r) {
      shared = shared || (other < i && r.link.attachment_id == did && r.link.domain == record.link.domain);
    });
    if (!ok(s) && !(s == Status::kExists && shared))
      refuse(FieldName{kIommuImage, "device", "attachment_id", i}, did, "cannot be reserved: ", s,
             ", expected a free id or one of the same domain");
    hal::print("adopt: ", Bdf{device->sid}, " domain id ", did, ok(s) ? " reserved" : " reserved already (shared)");
  });
}

void Incoming::adopt_unit(std::uint64_t index, PhysAddr at, const abi::Unit& record) {
  Unit* unit = nullptr;
  iommu_.for_each_unit([&](Unit& u) {
    if (u.driver().base() == record.token && record.type == abi::kUnitTypeIntel) unit = &u;
  });
  if (unit == nullptr)
    refuse(FieldName{kIommuImage, "unit", "token", index}, Hex{record.token}, "no such unit, expected its base");
  claim_page(tracker_, {kIommuImage, "unit", "root_table", index}, record.root_table);
  for (unsigned bus = 0; bus < 256; ++bus) {
    const PhysAddr table = Unit::context_table_of(record.root_table, static_cast<std::uint8_t>(bus));
    if (table != 0) claim_page(tracker_, {kIommuImage, "unit", "context_table", index}, table);
  }
  unit_records_[iommu_.index_of(*unit)] = at;
  abi::Unit adopted = record;
  adopted.restored = 1;
  mark_incoming(at, adopted);
}

void Incoming::adopt() {
  claim_records();
  if (root_.iommu == 0) return;
  reserve_ids();
  for_each_record<abi::Unit>(top_.units,
                             [&](std::uint64_t i, PhysAddr at, const abi::Unit& r) { adopt_unit(i, at, r); });
  iommu_.for_each_unit([&](Unit& unit) {
    if (!adopted(unit)) return;
    const PhysAddr base = unit.driver().base();
    const PhysAddr root = hal::load<abi::Unit>(unit_records_[iommu_.index_of(unit)]).root_table;
    hal::print("adopt: unit ", Hex{base}, " root ", Hex{root}, unit.driver().translating() ? ", translating" : "");
    if (const Status s = unit.adopt(root, iommu_.allocator()); !ok(s))
      hal::die("unit ", Hex{base}, ": cannot be adopted: ", s);
  });
}

// ---- reattach ------------------------------------------------------------------------------------------------

template <typename Function>
void Incoming::for_each_file(Function&& f) const {
  for_each_record<abi::Session>(root_.sessions, [&](std::uint64_t, PhysAddr, const abi::Session& s) {
    for_each_record<abi::File>(s.files, [&](std::uint64_t, PhysAddr, const abi::File& file) { f(file); });
  });
}

std::uint64_t Incoming::label_of(PhysAddr object) const {
  std::uint64_t label = object;  // no file names it: its address is as good a number as any
  for_each_file([&](const abi::File& file) {
    if (file.data == object) label = file.label;
  });
  return label;
}

void Incoming::restore_memory() {
  for_each_record<abi::MemoryFile>(root_.memory_files, [&](std::uint64_t i, PhysAddr at, const abi::MemoryFile& r) {
    if (iommu_.restore_memory(label_of(at), r.base, r.size, at) == nullptr)
      refuse(FieldName{kLuoImage, "memory", "base", i}, Hex{r.base}, "cannot be restored, expected free guest memory");
    mark_incoming(at, r);
  });
}

void Incoming::restore_domains() {
  for_each_record<abi::Domain>(top_.domains, [&](std::uint64_t i, PhysAddr at, const abi::Domain& r) {
    const PageTable table(r.top_table, r.top_level);
    std::uint64_t pages = 0;
    static_cast<void>(table.visit(
        [&](PhysAddr page, unsigned) {
          claim_page(tracker_, {kIommuImage, "domain", "table_page", i}, page);  // before its entries are read
          return ++pages != 0;
        },
        [](const Leaf&) { return true; }));
    const std::uint64_t id = label_of(at);
    if (iommu_.restore_domain(id, table, at) == nullptr)
      refuse(FieldName{kIommuImage, "domain", "top_table", i}, Hex{r.top_table},
             "cannot be restored, expected a free slot");
    mark_incoming(at, r);
    hal::print("restore: domain ", id, " top table ", Hex{r.top_table}, ", table pages ", pages);
  });
}

void Incoming::reattach_devices() {
  for_each_record<abi::Device>(top_.devices, [&](std::uint64_t i, PhysAddr at, const abi::Device& r) {
    Device* device = iommu_.device(r.devid);
    if (device == nullptr) return;
    Domain* domain = nullptr;
    for_each_record<abi::Domain>(top_.domains, [&](std::uint64_t, PhysAddr domain_at, const abi::Domain&) {
      if (domain_at == r.link.domain) domain = iommu_.domain(label_of(domain_at));
    });
    if (domain == nullptr)
      refuse(FieldName{kIommuImage, "device", "domain", i}, Hex{r.link.domain}, "no such record, expected a domain");
    if (const Status s = iommu_.reattach(*device, *domain, r.link.attachment_id, at); !ok(s))
      refuse(FieldName{kIommuImage, "device", "attachment_id", i}, r.link.attachment_id, "cannot be reattached: ", s,
             ", expected a reserved id and a device without owner");
    abi::Device adopted = r;
    adopted.restored = 1;
    mark_incoming(at, adopted);
    hal::print("reattach: ", Bdf{device->sid}, " to domain ", domain->id, ", id ", r.link.attachment_id, ", owner ",
               Hex{at});
  });
}

void Incoming::reattach() {
  restore_memory();
  if (root_.iommu == 0) return;
  restore_domains();
  reattach_devices();
}

// ---- finish --------------------------------------------------------------------------------------------------

Status Incoming::finish(std::uint64_t name) {
  if (!unfinished()) return Status::kNoEntry;
  PhysAddr session_at = 0;
  abi::Session session{};
  for_each_record<abi::Session>(root_.sessions, [&](std::uint64_t, PhysAddr at, const abi::Session& s) {
    if (s.name != name) return;
    session_at = at;
    session = s;
  });
  if (session_at == 0) return Status::kNoEntry;
  bool can_finish = true;
  for_each_record<abi::File>(session.files, [&](std::uint64_t, PhysAddr, const abi::File& file) {
    if (file.kind != abi::FileKind::kDevice) return;
    const Device* device = iommu_.device(file.label);
    can_finish = can_finish && device != nullptr && device->restored;
  });
  if (!can_finish) return Status::kBusy;
  for_each_record<abi::File>(session.files, [&](std::uint64_t, PhysAddr, const abi::File& f) { finish_file(f); });
  release_claimed_chain(session.files);
  mark_deleted(session_at);
  if (--unfinished_ == 0) release_everything();
  return Status::kOk;
}

void Incoming::finish_file(const abi::File& file) {
  switch (file.kind) {
    case abi::FileKind::kMemory:
      if (MemoryFile* m = iommu_.memory(file.label); m != nullptr) {
        if (!tracker_.reclaim(m->base, m->size)) hal::print("finish: memory ", m->id, " was not all preserved");
        m->record = 0;
      }
      break;
    case abi::FileKind::kDomain:
      if (Domain* d = iommu_.domain(file.label); d != nullptr) d->record = 0;
      break;
    case abi::FileKind::kDevice:
      if (Device* d = iommu_.device(file.label); d != nullptr) d->record = 0;  // its owner stays the record's address
      break;
    default:
      break;
  }
}

void Incoming::release_claimed_chain(PhysAddr first_page) {
  for (PhysAddr page = first_page; page != 0;) {
    const PhysAddr next = hal::load<abi::ArrayPage>(page).next;
    iommu_.allocator().release(page);
    page = next;
  }
}

void Incoming::release_everything() {
  release_claimed_chain(root_.sessions);
  release_claimed_chain(root_.memory_files);
  if (root_.iommu != 0) {
    release_claimed_chain(top_.units);
    release_claimed_chain(top_.domains);
    iommu_.allocator().release(root_.iommu);
    owner_pages_ = top_.devices;
    release_owner_pages();
  }
  iommu_.allocator().release(root_at_);
  unit_records_ = {};
  root_ = {};
  top_ = {};
  const PhysAddr bitmap = tracker_.page();
  claim_page(tracker_, {kLuoImage, "reset", "tracker"}, bitmap);
  if (tracker_.count() != 0) hal::print("finish: preserved pages that nobody claimed: ", tracker_.count());
  tracker_.close();
  iommu_.allocator().release(bitmap);
  hal::mmio_write64(platform::kResetBase + platform::reset::kHandover, 0);
  hal::mmio_write64(platform::kResetBase + platform::reset::kTracker, 0);
}

void Incoming::release_owner_pages() {
  if (owner_pages_ == 0) return;
  bool owned = false;
  iommu_.for_each_device([&](const Device& d) { owned = owned || d.owner.kind == Owner::Kind::kRecord; });
  if (owned) return;
  release_claimed_chain(owner_pages_);
  owner_pages_ = 0;
}

std::uint32_t Incoming::unit_references(const Unit& unit) const {
  const PhysAddr at = unit_records_[iommu_.index_of(unit)];
  return at == 0 ? 0 : hal::load<abi::Unit>(at).header.refcount;
}

}  // namespace vtd::fw
