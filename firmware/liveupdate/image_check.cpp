// SPDX-License-Identifier: MIT
#include "firmware/liveupdate/image_check.h"

namespace vtd::fw {
namespace {

FieldName luo(std::string_view record, std::string_view field, std::uint64_t index = FieldName::kSingle) {
  return {kLuoImage, record, field, index};
}
FieldName iommu_field(std::string_view record, std::string_view field, std::uint64_t index = FieldName::kSingle) {
  return {kIommuImage, record, field, index};
}

void check_header(std::string_view image, std::string_view record, std::uint64_t index,
                  const abi::ObjectHeader& header) {
  if (header.flags != 0)
    refuse(FieldName{image, record, "flags", index}, header.flags, "unknown or stale bits, expected 0");
  if (header.refcount == 0) refuse(FieldName{image, record, "refcount", index}, 0U, "unused, expected at least 1");
}

void expect_zero(const FieldName& name, std::uint64_t value) {
  if (value != 0) refuse(name, Hex{value}, "belongs to the incoming image, expected 0");
}

/// True if some record of the array lies at `address`.
template <typename T>
bool has_record(PhysAddr first_page, PhysAddr address) {
  bool found = false;
  for_each_record<T>(first_page, [&](std::uint64_t, PhysAddr at, const T&) { found = found || at == address; });
  return found;
}

}  // namespace

// ---- under every policy --------------------------------------------------------------------------------------

void check_versions(PhysAddr root_at, const Tracker& tracker) {
  require_preserved(tracker, luo("reset", "handover"), root_at);
  const auto root = hal::load<abi::Root>(root_at);
  if (root.magic != abi::Root::kMagic)
    refuse(luo("root", "magic"), Hex{root.magic}, "unknown, expected ", Hex{abi::Root::kMagic});
  if (root.version != abi::Root::kVersion)
    refuse(luo("root", "version"), root.version, "unknown, expected ", abi::Root::kVersion);
  if (root.compatible != abi::kRootCompatible)
    refuse(luo("root", "compatible"), root.compatible[0], "unknown, expected ", abi::kRootCompatible.data());
  if (root.iommu == 0) return;
  require_preserved(tracker, luo("root", "iommu"), root.iommu);
  const auto top = hal::load<abi::IommuTop>(root.iommu);
  if (top.version != abi::IommuTop::kVersion)
    refuse(iommu_field("iommu", "version"), top.version, "unknown, expected ", abi::IommuTop::kVersion);
  if (top.compatible != abi::kIommuCompatible)
    refuse(iommu_field("iommu", "compatible"), top.compatible[0], "unknown, expected ", abi::kIommuCompatible.data());
}

void check_domain_ids(PhysAddr iommu_top, Iommu& iommu) {
  const auto top = hal::load<abi::IommuTop>(iommu_top);
  for_each_record<abi::Device>(top.devices, [&](std::uint64_t index, PhysAddr, const abi::Device& record) {
    const Device* device = iommu.device(record.devid);
    const DomainIds& ids = iommu.unit(device == nullptr ? 0 : device->unit).ids();
    const std::uint64_t did = record.link.attachment_id;
    if (!ids.valid(did))
      refuse(iommu_field("device", "attachment_id", index), did, did < DomainIds::kFirst ? "reserved" : "out of range",
             ", expected ", DomainIds::kFirst, " <= did < ", ids.count());
  });
}

// ---- checking ------------------------------------------------------------------------------------------------

ImageCheck::ImageCheck(PhysAddr root, const Tracker& tracker, Iommu& iommu)
    : tracker_(tracker), iommu_(iommu), root_(hal::load<abi::Root>(root)) {
  if (root_.iommu != 0) top_ = hal::load<abi::IommuTop>(root_.iommu);
}

void ImageCheck::run() {
  check_array<abi::Session>(luo("root", "sessions"), root_.sessions);
  check_array<abi::MemoryFile>(luo("root", "memory_files"), root_.memory_files);
  if (root_.iommu != 0) {
    check_array<abi::Unit>(iommu_field("iommu", "units"), top_.units);
    check_array<abi::Domain>(iommu_field("iommu", "domains"), top_.domains);
    check_array<abi::Device>(iommu_field("iommu", "devices"), top_.devices);
    check_domain_ids(root_.iommu, iommu_);
  }
  check_memory_files();
  check_sessions();
  if (root_.iommu == 0) return;
  check_units();
  check_devices();  // before the tables: they agree with the live entries, or nothing is walked
  check_strangers();
  check_domains();
}

template <typename T>
void ImageCheck::check_array(const FieldName& name, PhysAddr first_page) {
  require_preserved(tracker_, name, first_page);
  PhysAddr page = first_page;
  for (unsigned pages = 1; page != 0; ++pages) {
    const auto header = hal::load<abi::ArrayPage>(page);
    if (header.count > abi::kCapacity<T>)
      refuse(name, Hex{page}, "page holds ", header.count, " records, expected at most ", abi::kCapacity<T>);
    if (header.next != 0) require_preserved(tracker_, name, header.next);
    if (header.next != 0 && pages == abi::kMaxArrayPages)
      refuse(name, Hex{header.next}, "chain does not end, expected at most ", abi::kMaxArrayPages, " pages");
    page = header.next;
  }
}

void ImageCheck::check_memory_files() {
  constexpr PhysAddr kEnd = platform::kGuestBase + platform::kGuestSize;
  for_each_record<abi::MemoryFile>(root_.memory_files, [&](std::uint64_t i, PhysAddr, const abi::MemoryFile& m) {
    check_header(kLuoImage, "memory", i, m.header);
    if (!is_aligned(m.base, kPageSize) || m.base < platform::kGuestBase || m.base >= kEnd)
      refuse(luo("memory", "base", i), Hex{m.base}, "expected a page of guest memory");
    if (m.size == 0 || !is_aligned(m.size, kPageSize) || m.size > kEnd - m.base)
      refuse(luo("memory", "size", i), Hex{m.size}, "expected whole pages inside guest memory");
    if (!tracker_.preserved(m.base, m.size))
      refuse(luo("memory", "base", i), Hex{m.base}, "not all of its pages are preserved, expected ",
             m.size / kPageSize);
  });
}

void ImageCheck::check_sessions() {
  for_each_record<abi::Session>(root_.sessions, [&](std::uint64_t i, PhysAddr, const abi::Session& s) {
    check_header(kLuoImage, "session", i, s.header);
    check_array<abi::File>(luo("session", "files", i), s.files);
    for_each_record<abi::File>(s.files, [&](std::uint64_t n, PhysAddr, const abi::File& file) {
      check_header(kLuoImage, "file", n, file.header);
      check_file(n, file);
    });
  });
}

void ImageCheck::check_file(std::uint64_t index, const abi::File& file) {
  bool found = false;
  switch (file.kind) {
    case abi::FileKind::kMemory:
      found = has_record<abi::MemoryFile>(root_.memory_files, file.data);
      break;
    case abi::FileKind::kDomain:
      found = root_.iommu != 0 && has_record<abi::Domain>(top_.domains, file.data);
      break;
    case abi::FileKind::kDevice:
      found = root_.iommu != 0 && has_record<abi::Device>(top_.devices, file.data);
      break;
    default:
      refuse(luo("file", "kind", index), static_cast<std::uint32_t>(file.kind), "unknown, expected 1, 2 or 3");
  }
  if (!found) refuse(luo("file", "data", index), Hex{file.data}, "no such record, expected one of the file's kind");
}

Unit* ImageCheck::unit_of(const abi::Unit& record) {
  Unit* found = nullptr;
  iommu_.for_each_unit([&](Unit& u) {
    if (u.driver().base() == record.token) found = &u;
  });
  return found;
}

void ImageCheck::check_units() {
  for_each_record<abi::Unit>(top_.units, [&](std::uint64_t i, PhysAddr, const abi::Unit& r) {
    check_header(kIommuImage, "unit", i, r.header);
    if (r.type != abi::kUnitTypeIntel)
      refuse(iommu_field("unit", "type", i), r.type, "unknown, expected ", abi::kUnitTypeIntel);
    const Unit* unit = unit_of(r);
    if (unit == nullptr)
      refuse(iommu_field("unit", "token", i), Hex{r.token}, "no such unit, expected its register base");
    if (r.register_base != r.token)
      refuse(iommu_field("unit", "register_base", i), Hex{r.register_base}, "expected the token ", Hex{r.token});
    expect_zero(iommu_field("unit", "restored", i), r.restored);
    check_root_table(i, r, *unit);
    for (unsigned bus = 0; bus < 256; ++bus) {
      const PhysAddr table = Unit::context_table_of(r.root_table, static_cast<std::uint8_t>(bus));
      const bool marked = (r.context_tables[bus * 2 / 64] & bit(bus * 2 % 64)) != 0;
      if (marked != (table != 0))
        refuse(iommu_field("unit", "context_tables", i), bus,
               marked ? "marked for this bus" : "not marked for this bus", ", expected what the root entry says");
      if (table != 0) require_preserved(tracker_, iommu_field("unit", "context_table", i), table);
    }
  });
}

void ImageCheck::check_root_table(std::uint64_t index, const abi::Unit& record, const Unit& unit) {
  const FieldName name = iommu_field("unit", "root_table", index);
  const std::uint64_t live = unit.driver().root_register();
  if (!is_aligned(record.root_table, kPageSize) || record.root_table != rtaddr::kRTA.in_place(live))
    refuse(name, Hex{record.root_table}, "not what RTADDR has, expected ", Hex{rtaddr::kRTA.in_place(live)});
  if (rtaddr::kTTM.get(live) != static_cast<std::uint64_t>(TableMode::kLegacy))
    refuse(name, Hex{live}, "RTADDR names another table mode, expected legacy tables");
  if (!unit.driver().translating()) refuse(name, Hex{live}, "the unit does not translate, expected GSTS.TES = 1");
  require_preserved(tracker_, name, record.root_table);
}

void ImageCheck::check_strangers() {
  for_each_record<abi::Unit>(top_.units, [&](std::uint64_t i, PhysAddr at, const abi::Unit& r) {
    for (unsigned bus = 0; bus < 256; ++bus) {
      const PhysAddr table = Unit::context_table_of(r.root_table, static_cast<std::uint8_t>(bus));
      if (table != 0) check_context_table(i, at, static_cast<std::uint8_t>(bus), table);
    }
  });
}

void ImageCheck::check_context_table(std::uint64_t index, PhysAddr unit_record, std::uint8_t bus, PhysAddr table) {
  for (unsigned devfn = 0; devfn < 256; ++devfn) {
    const SourceId sid = make_source_id(bus, devfn / 8, devfn % 8);
    if (ctx::kP.get(hal::read64(Unit::context_entry_at(table, sid))) == 0) continue;
    bool known = false;
    for_each_record<abi::Device>(top_.devices, [&](std::uint64_t, PhysAddr, const abi::Device& d) {
      known = known || (d.devid == sid.value && d.link.unit == unit_record);
    });
    if (!known)
      refuse(iommu_field("unit", "context_table", index), Bdf{sid},
             "present entry without a device record, expected it cleared");
  }
}

void ImageCheck::check_domains() {
  for_each_record<abi::Domain>(top_.domains, [&](std::uint64_t i, PhysAddr, const abi::Domain& r) {
    check_header(kIommuImage, "domain", i, r.header);
    if (r.top_level < 3 || r.top_level > kMaxLevels)
      refuse(iommu_field("domain", "top_level", i), r.top_level, "unknown, expected 3, 4 or 5");
    if (r.address_width != width_of_levels(r.top_level))
      refuse(iommu_field("domain", "address_width", i), r.address_width, "does not fit the level, expected ",
             width_of_levels(r.top_level));
    expect_zero(iommu_field("domain", "sign_extend", i), r.sign_extend);
    expect_zero(iommu_field("domain", "restored_domain", i), r.restored_domain);
    require_preserved(tracker_, iommu_field("domain", "top_table", i), r.top_table);
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
  const PageTable table(record.top_table, record.top_level);
  static_cast<void>(table.visit(
      [&](PhysAddr page, unsigned) {
        require_preserved(tracker_, iommu_field("domain", "table_page", index), page);
        return true;
      },
      [&](const Leaf& leaf) {
        if (!in_memory_file(leaf))
          refuse(iommu_field("domain", "leaf", index), Hex{leaf.page}, "mapped at ", Hex{leaf.iova},
                 " but not preserved, expected memory of a preserved file");
        return true;
      }));
}

void ImageCheck::check_devices() {
  for_each_record<abi::Device>(top_.devices, [&](std::uint64_t i, PhysAddr, const abi::Device& r) {
    check_header(kIommuImage, "device", i, r.header);
    if (r.pci_segment != 0) refuse(iommu_field("device", "pci_segment", i), r.pci_segment, "unknown, expected 0");
    if (iommu_.device(r.devid) == nullptr)
      refuse(iommu_field("device", "devid", i), Hex{r.devid}, "not on the bus, expected a device that is");
    expect_zero(iommu_field("device", "pasid_dir", i), r.pasid_dir);
    expect_zero(iommu_field("device", "max_pasid", i), r.max_pasid);
    expect_zero(iommu_field("device", "restored", i), r.restored);
    check_links(i, r);
    check_unique(i, r);
    check_context_entry(i, r);
  });
}

void ImageCheck::check_links(std::uint64_t index, const abi::Device& record) {
  if (!has_record<abi::Domain>(top_.domains, record.link.domain))
    refuse(iommu_field("device", "domain", index), Hex{record.link.domain}, "no such record, expected a domain");
  if (!has_record<abi::Unit>(top_.units, record.link.unit))
    refuse(iommu_field("device", "unit", index), Hex{record.link.unit}, "no such record, expected a unit");
  const auto unit = hal::load<abi::Unit>(record.link.unit);
  if (const Unit& actual = iommu_.unit(iommu_.device(record.devid)->unit); unit.token != actual.driver().base())
    refuse(iommu_field("device", "unit", index), Hex{unit.token}, "another unit, expected ",
           Hex{actual.driver().base()});
}

void ImageCheck::check_unique(std::uint64_t index, const abi::Device& record) {
  for_each_record<abi::Device>(top_.devices, [&](std::uint64_t other, PhysAddr, const abi::Device& r) {
    if (other >= index) return;
    if (r.devid == record.devid)
      refuse(iommu_field("device", "devid", index), Hex{record.devid}, "same as device[", other,
             "], expected one record a device");
    if (r.link.unit != record.link.unit) return;
    const bool same_did = r.link.attachment_id == record.link.attachment_id;
    if (same_did != (r.link.domain == record.link.domain))
      refuse(iommu_field("device", "attachment_id", index), record.link.attachment_id,
             same_did ? "also the id of another domain, device[" : "not the id that the domain has, device[", other,
             "], expected one id for one domain");
  });
}

void ImageCheck::check_context_entry(std::uint64_t index, const abi::Device& record) {
  const auto domain = hal::load<abi::Domain>(record.link.domain);
  const auto unit = hal::load<abi::Unit>(record.link.unit);
  const SourceId sid{static_cast<std::uint16_t>(record.devid)};
  const PhysAddr table = Unit::context_table_of(unit.root_table, sid.bus());
  ctx::Entry entry;
  if (table != 0) {
    const PhysAddr at = Unit::context_entry_at(table, sid);
    entry.words = {hal::read64(at), hal::read64(at + 8)};
  }
  if (entry.get(ctx::kP) == 0)
    refuse(iommu_field("device", "devid", index), Hex{record.devid},
           "its context entry is not present, expected P = 1");
  if (entry.get(ctx::kTT) != static_cast<std::uint64_t>(TranslationType::kUntranslated) || entry.any(ctx::kReserved))
    refuse(iommu_field("device", "devid", index), Hex{record.devid}, "its context entry has TT ", entry.get(ctx::kTT),
           " or reserved bits, expected an untranslated-request entry");
  if (entry.get(ctx::kDID) != record.link.attachment_id)
    refuse(iommu_field("device", "attachment_id", index), record.link.attachment_id,
           "not what the context entry has, expected ", entry.get(ctx::kDID));
  std::uint64_t domain_index = 0;
  for_each_record<abi::Domain>(top_.domains, [&](std::uint64_t i, PhysAddr at, const abi::Domain&) {
    if (at == record.link.domain) domain_index = i;
  });
  if (entry.address(ctx::kSSPTPTR) != domain.top_table)
    refuse(iommu_field("domain", "top_table", domain_index), Hex{domain.top_table}, "not what the context entry of ",
           Bdf{sid}, " has, expected ", Hex{entry.address(ctx::kSSPTPTR)});
  if (const unsigned levels = levels_of_aw(static_cast<unsigned>(entry.get(ctx::kAW))); levels != domain.top_level)
    refuse(iommu_field("domain", "top_level", domain_index), domain.top_level, "not what the context entry of ",
           Bdf{sid}, " has, expected ", levels);
}

}  // namespace vtd::fw
