// SPDX-License-Identifier: MIT
// Versions, pages, units and domains of an image.
#include "firmware/liveupdate/image_check.h"

#include "firmware/hal/policy.h"

namespace vtd::fw {

void check_header(std::string_view image, std::string_view record, std::uint64_t index, const abi::ObjectHeader& header,
                  std::uint64_t references) {
  if (header.flags != 0)
    refuse(FieldName{image, record, "flags", index}, header.flags, "unknown or stale bits, expected 0");
  if (header.refcount != references)
    refuse(FieldName{image, record, "refcount", index}, header.refcount, "wrong, expected ", references);
}

void expect_zero(const FieldName& name, std::uint64_t value) {
  if (value != 0) refuse(name, Hex{value}, "belongs to the incoming image, expected 0");
}

// ---- under every policy --------------------------------------------------------------------------------------

void check_versions(PhysAddr root_at, const Tracker& tracker) {
  require_preserved(tracker, luo_field("reset", "handover"), root_at);
  const auto root = hal::load<abi::Root>(root_at);
  if (root.magic != abi::Root::kMagic)
    refuse(luo_field("root", "magic"), Hex{root.magic}, "unknown, expected ", Hex{abi::Root::kMagic});
  if (root.version != abi::Root::kVersion)
    refuse(luo_field("root", "version"), root.version, "unknown, expected ", abi::Root::kVersion);
  if (root.compatible != abi::kRootCompatible) {
    abi::CompatibleString theirs = root.compatible;
    theirs.back() = '\0';
    refuse(luo_field("root", "compatible"), theirs.data(), "unknown, expected ", abi::kRootCompatible.data());
  }
}

void check_iommu_version(PhysAddr top_at, const Tracker& tracker) {
  require_preserved(tracker, luo_field("flb", "data", 0), top_at);
  const auto top = hal::load<abi::IommuTop>(top_at);
  const abi::CompatibleString& ours = abi::kIommuCompatible[static_cast<std::size_t>(series())];
  if (top.compatible != ours) {
    abi::CompatibleString theirs = top.compatible;
    theirs.back() = '\0';
    refuse(iommu_field("iommu", "compatible"), theirs.data(), "unknown, expected ", ours.data());
  }
  if (top.version != abi::IommuTop::kVersion && !deviates(Deviation::kCheckNoVersion))
    refuse(iommu_field("iommu", "version"), top.version, "unknown, expected ", abi::IommuTop::kVersion);
}

DeviceSet check_domain_ids(PhysAddr iommu_top, Iommu& iommu) {
  DeviceSet wrong{};
  if (deviates(Deviation::kAcceptAnyId) || deviates(Deviation::kFreshId)) return wrong;
  const auto top = hal::load<abi::IommuTop>(iommu_top);
  for_each_record<abi::Device>(top.devices, [&](std::uint64_t index, PhysAddr, const abi::Device& record) {
    const Device* device = iommu.device(record.devid);
    const DomainIds& ids = iommu.unit(device == nullptr ? 0 : device->unit).ids();
    const std::uint64_t did = record.link.attachment_id;
    if (ids.valid(did)) return;
    if (!deny(iommu_field("device", "attachment_id", index), did, did < DomainIds::kFirst ? "reserved" : "out of range",
              ", expected ", DomainIds::kFirst, " <= did < ", ids.count()))
      wrong[index / 64 % wrong.size()] |= bit(index % 64);
  });
  return wrong;
}

void check_table_mode(std::uint64_t index, const Unit& unit) {
  const TableMode planned = has_policy(platform::policy::kScalable) ? TableMode::kScalable : TableMode::kLegacy;
  if (unit.driver().table_mode() == planned) return;
  refuse(iommu_field("unit", "root_table", index), Hex{unit.driver().root_register()},
         "RTADDR names another table mode, expected ", planned == TableMode::kScalable ? "scalable" : "legacy",
         " tables");
}

// ---- checking ------------------------------------------------------------------------------------------------

ImageCheck::ImageCheck(PhysAddr root, PhysAddr iommu_top, const Tracker& tracker, Iommu& iommu)
    : tracker_(tracker), iommu_(iommu), root_at_(root), top_at_(iommu_top), root_(hal::load<abi::Root>(root)) {
  if (top_at_ != 0) top_ = hal::load<abi::IommuTop>(top_at_);
}

void ImageCheck::run() {
  tracker_.for_each_own([&](PhysAddr page) { use_page(luo_field("reset", "tracker"), page); });
  use_page(luo_field("reset", "handover"), root_at_);
  const std::uint64_t resets = hal::mmio_read64(platform::kResetBase + platform::reset::kBootCount);
  if (root_.update_counter == 0 || root_.update_counter > resets)
    refuse(luo_field("root", "update_counter"), root_.update_counter,
           "not so many live updates can have been, expected 1 to ", resets);
  check_array<abi::Session>(luo_field("root", "sessions"), root_.sessions);
  check_array<abi::Flb>(luo_field("root", "flbs"), root_.flbs);
  check_array<abi::MemoryFile>(luo_field("root", "memory_files"), root_.memory_files);
  check_array<abi::Iommufd>(luo_field("root", "iommufds"), root_.iommufds);
  check_array<abi::VfioDevice>(luo_field("root", "vfio_devices"), root_.vfio_devices);
  if (top_at_ != 0) {
    use_page(luo_field("flb", "data", 0), top_at_);
    check_array<abi::Unit>(iommu_field("iommu", "units"), top_.units);
    check_array<abi::Domain>(iommu_field("iommu", "domains"), top_.domains);
    check_array<abi::Device>(iommu_field("iommu", "devices"), top_.devices);
    contained_ = check_domain_ids(top_at_, iommu_);
  }
  check_flbs();
  check_memory_files();
  check_sessions();
  check_iommufds();
  check_vfio_links();
  if (top_at_ == 0) return;
  check_units();
  check_devices();  // before the tables: they agree with the live entries, or nothing is walked
  check_unit_references();
  check_vfio_devices();
  for_each_record<abi::Unit>(top_.units,
                             [&](std::uint64_t i, PhysAddr at, const abi::Unit& r) { check_strangers(i, at, r); });
  check_domains();
}

void ImageCheck::use_page(const FieldName& name, PhysAddr page) {
  require_preserved(tracker_, name, page);
  if (!PageAllocator::owns(page)) refuse(name, Hex{page}, "outside general memory, expected a page of it");
  if (used_.in_use(page)) refuse(name, Hex{page}, "in use twice, expected a page of its own");
  used_.hold(page);
}

// ---- units ---------------------------------------------------------------------------------------------------

Unit* ImageCheck::unit_of(const abi::Unit& record) {
  Unit* found = nullptr;
  iommu_.for_each_unit([&](Unit& u) {
    if (u.driver().base() == record.token) found = &u;
  });
  return found;
}

void ImageCheck::check_units() {
  for_each_record<abi::Unit>(top_.units, [&](std::uint64_t i, PhysAddr, const abi::Unit& r) { check_unit(i, r); });
}

void ImageCheck::check_unit_references() {
  for_each_record<abi::Unit>(top_.units, [&](std::uint64_t i, PhysAddr at, const abi::Unit& r) {
    std::uint64_t devices = 0;
    for_each_record<abi::Device>(
        top_.devices, [&](std::uint64_t, PhysAddr, const abi::Device& d) { devices += d.link.unit == at ? 1 : 0; });
    check_header(kIommuImage, "unit", i, r.header, devices);
  });
}

void ImageCheck::check_unit(std::uint64_t i, const abi::Unit& r) {
  if (r.header.flags != 0) refuse(iommu_field("unit", "flags", i), r.header.flags, "unknown or stale bits, expected 0");
  if (r.type != abi::kUnitTypeIntel)
    refuse(iommu_field("unit", "type", i), r.type, "unknown, expected ", abi::kUnitTypeIntel);
  const Unit* unit = unit_of(r);
  if (unit == nullptr)
    refuse(iommu_field("unit", "token", i), Hex{r.token}, "no such unit, expected its register base");
  for_each_record<abi::Unit>(top_.units, [&](std::uint64_t other, PhysAddr, const abi::Unit& o) {
    if (other < i && o.token == r.token)
      refuse(iommu_field("unit", "token", i), Hex{r.token}, "same as unit[", other, "], expected one record a unit");
  });
  if (r.register_base != r.token)
    refuse(iommu_field("unit", "register_base", i), Hex{r.register_base}, "expected the token ", Hex{r.token});
  expect_zero(iommu_field("unit", "restored", i), r.restored);
  check_root_table(i, r, *unit);
  const ContextMap map(r.root_table, unit->driver().table_mode());
  for (unsigned n = 0; n < ContextMap::kTables; ++n) {
    const bool possible = map.scalable() || n % 2 == 0;
    const PhysAddr table = possible ? map.table(n) : 0;
    const bool marked = (r.context_tables[n / 64] & bit(n % 64)) != 0;
    if (marked != (table != 0))
      refuse(iommu_field("unit", "context_tables", i), n, marked ? "marked" : "not marked",
             ", expected what the root entry says");
    if (table != 0) use_page(iommu_field("unit", "context_table", i), table);
  }
}

void ImageCheck::check_root_table(std::uint64_t index, const abi::Unit& record, const Unit& unit) {
  const FieldName name = iommu_field("unit", "root_table", index);
  const std::uint64_t live = unit.driver().root_register();
  if (!is_aligned(record.root_table, kPageSize) || record.root_table != rtaddr::kRTA.in_place(live))
    refuse(name, Hex{record.root_table}, "not what RTADDR has, expected ", Hex{rtaddr::kRTA.in_place(live)});
  check_table_mode(index, unit);
  if (!unit.driver().translating()) refuse(name, Hex{live}, "the unit does not translate, expected GSTS.TES = 1");
  use_page(name, record.root_table);
}

void ImageCheck::check_strangers(std::uint64_t index, PhysAddr at, const abi::Unit& record) {
  const Unit& unit = *unit_of(record);
  const ContextMap map(record.root_table, unit.driver().table_mode());
  map.for_each_table([&](unsigned n, PhysAddr table) {
    map.for_each_present(n, table, [&](SourceId sid, PhysAddr) {
      bool known = false;
      for_each_record<abi::Device>(top_.devices, [&](std::uint64_t, PhysAddr, const abi::Device& d) {
        const Device* device = iommu_.device(d.devid);
        known = known || (d.link.unit == at && device != nullptr && device->answers_for(sid));
      });
      // Of a device that is gone, its bridge's entry may be there as well; both will be swept.
      if (!known && !gone_behind(at))
        refuse(iommu_field("unit", "context_table", index), Bdf{sid},
               "present entry without a device record, expected it cleared");
    });
  });
}

bool ImageCheck::gone_behind(PhysAddr unit_record) {
  bool gone = false;
  for_each_record<abi::Device>(top_.devices, [&](std::uint64_t, PhysAddr, const abi::Device& d) {
    gone = gone || (d.link.unit == unit_record && iommu_.device(d.devid) == nullptr);
  });
  return gone;
}

// ---- domains -------------------------------------------------------------------------------------------------

void ImageCheck::check_domains() {
  for_each_record<abi::Domain>(top_.domains, [&](std::uint64_t i, PhysAddr, const abi::Domain& r) {
    check_header(kIommuImage, "domain", i, r.header);
    if (r.top_level < 3 || r.top_level > kMaxLevels)
      refuse(iommu_field("domain", "top_level", i), r.top_level, "unknown, expected 3, 4 or 5");
    if (r.address_width != width_of_levels(r.top_level))
      refuse(iommu_field("domain", "address_width", i), r.address_width, "does not fit the level, expected ",
             width_of_levels(r.top_level));
    if (r.sign_extend > 1) refuse(iommu_field("domain", "sign_extend", i), r.sign_extend, "unknown, expected 0 or 1");
    expect_zero(iommu_field("domain", "reserved", i), r.reserved);
    expect_zero(iommu_field("domain", "restored_domain", i), r.restored_domain);
    check_tables(i, r);
  });
}

bool ImageCheck::in_memory_file(const Leaf& leaf) {
  bool inside = false;
  for_each_record<abi::MemoryFile>(root_.memory_files, [&](std::uint64_t, PhysAddr, const abi::MemoryFile& m) {
    inside = inside || (leaf.page >= m.base && leaf.page + leaf.size() <= m.base + m.size);
  });
  return inside;
}

void ImageCheck::check_tables(std::uint64_t index, const abi::Domain& record) {
  const PageTable table(record.top_table, record.top_level, record.sign_extend != 0 ? Stage::kFirst : Stage::kSecond);
  table.visit(
      [&](PhysAddr page, unsigned level) {
        use_page(iommu_field("domain", level == record.top_level ? "top_table" : "table_page", index), page);
        return true;
      },
      [&](const Leaf& leaf) {
        if (!in_memory_file(leaf))
          refuse(iommu_field("domain", "leaf", index), Hex{leaf.page}, "mapped at ", Hex{leaf.iova},
                 " but not preserved, expected memory of a preserved file");
        return true;
      });
}

}  // namespace vtd::fw
