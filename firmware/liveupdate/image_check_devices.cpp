// SPDX-License-Identifier: MIT
// Device records against each other and against the entries that the unit uses at this moment.
#include "firmware/liveupdate/image_check.h"

namespace vtd::fw {

void ImageCheck::check_devices() {
  for_each_record<abi::Device>(top_.devices, [&](std::uint64_t i, PhysAddr at, const abi::Device& r) {
    check_header(kIommuImage, "device", i, r.header);
    std::uint64_t& word = contained_[i / 64 % contained_.size()];
    if ((word & bit(i % 64)) == 0 && !check_device(i, at, r)) word |= bit(i % 64);
  });
}

bool ImageCheck::check_device(std::uint64_t i, PhysAddr at, const abi::Device& r) {
  if (r.pci_segment != 0) return deny(iommu_field("device", "pci_segment", i), r.pci_segment, "unknown, expected 0");
  if (iommu_.device(r.devid) == nullptr)
    return deny(iommu_field("device", "devid", i), Hex{r.devid}, "not on the bus, expected a device that is");
  expect_zero(iommu_field("device", "restored", i), r.restored);
  bool filed = false;
  for_each_record<abi::VfioDevice>(
      root_.vfio_devices, [&](std::uint64_t, PhysAddr, const abi::VfioDevice& v) { filed = filed || v.device == at; });
  if (!filed) return deny(iommu_field("device", "devid", i), Hex{r.devid}, "no file has it, expected a device file");
  return check_links(i, r) && check_unique(i, r) && check_entries(i, r);
}

bool ImageCheck::check_links(std::uint64_t index, const abi::Device& record) {
  if (!has_record<abi::Domain>(top_.domains, record.link.domain))
    return deny(iommu_field("device", "domain", index), Hex{record.link.domain}, "no such record, expected a domain");
  // A unit that a device names is what keeps the unit's tables: nothing of it can be contained.
  if (!has_record<abi::Unit>(top_.units, record.link.unit))
    refuse(iommu_field("device", "unit", index), Hex{record.link.unit}, "no such record, expected a unit");
  const auto unit = hal::load<abi::Unit>(record.link.unit);
  if (const Unit& actual = iommu_.unit(iommu_.device(record.devid)->unit); unit.token != actual.driver().base())
    refuse(iommu_field("device", "unit", index), Hex{unit.token}, "another unit, expected ",
           Hex{actual.driver().base()});
  return true;
}

bool ImageCheck::check_unique(std::uint64_t index, const abi::Device& record) {
  bool good = true;
  for_each_record<abi::Device>(top_.devices, [&](std::uint64_t other, PhysAddr, const abi::Device& r) {
    if (other >= index || !good) return;
    if (r.devid == record.devid)
      refuse(iommu_field("device", "devid", index), Hex{record.devid}, "same as device[", other,
             "], expected one record a device");
    if (r.link.unit != record.link.unit) return;
    const bool same_did = r.link.attachment_id == record.link.attachment_id;
    if (same_did != (r.link.domain == record.link.domain))
      good = deny(iommu_field("device", "attachment_id", index), record.link.attachment_id,
                  same_did ? "also the id of another domain, device[" : "not the id that the domain has, device[",
                  other, "], expected one id for one domain");
  });
  return good;
}

std::uint64_t ImageCheck::index_of_domain(PhysAddr record) {
  std::uint64_t index = 0;
  for_each_record<abi::Domain>(top_.domains, [&](std::uint64_t i, PhysAddr at, const abi::Domain&) {
    if (at == record) index = i;
  });
  return index;
}

bool ImageCheck::check_tables_agree(const abi::Device& record, PhysAddr top, unsigned levels) {
  const auto domain = hal::load<abi::Domain>(record.link.domain);
  const std::uint64_t number = index_of_domain(record.link.domain);
  const Bdf device{SourceId{static_cast<std::uint16_t>(record.devid)}};
  if (top != domain.top_table)
    return deny(iommu_field("domain", "top_table", number), Hex{domain.top_table}, "not what the entry of ", device,
                " has, expected ", Hex{top});
  if (levels != domain.top_level)
    return deny(iommu_field("domain", "top_level", number), domain.top_level, "not what the entry of ", device,
                " has, expected ", levels);
  return true;
}

bool ImageCheck::check_entries(std::uint64_t index, const abi::Device& record) {
  if (deviates(Deviation::kSkipEntryCheck)) return true;
  const auto unit_record = hal::load<abi::Unit>(record.link.unit);
  const Device& device = *iommu_.device(record.devid);
  const ContextMap map(unit_record.root_table, iommu_.unit(device.unit).driver().table_mode());
  bool good = true;
  device.for_each_id([&](SourceId sid) {
    if (!good) return;
    const Record128 entry = map.low(sid);
    if (entry.get(ctx::kP) == 0)
      good = deny(iommu_field("device", "devid", index), Hex{record.devid}, "the context entry of ", Bdf{sid},
                  " is not present, expected P = 1");
    else
      good = map.scalable() ? check_scalable_entry(index, record, sid, entry)
                            : check_legacy_entry(index, record, sid, entry);
  });
  if (good && map.scalable()) use_pasid_pages(index, record);
  return good;
}

bool ImageCheck::check_legacy_entry(std::uint64_t index, const abi::Device& record, SourceId sid,
                                    const ctx::Entry& entry) {
  expect_zero(iommu_field("device", "pasid_dir", index), record.pasid_dir);
  expect_zero(iommu_field("device", "max_pasid", index), record.max_pasid);
  const auto kind = static_cast<TranslationType>(entry.get(ctx::kTT));
  if ((kind != TranslationType::kUntranslated && kind != TranslationType::kDeviceTlb) || entry.any(ctx::kReserved))
    return deny(iommu_field("device", "devid", index), Hex{record.devid}, "the context entry of ", Bdf{sid}, " has TT ",
                entry.get(ctx::kTT), " or reserved bits, expected an entry with second-stage tables");
  if (entry.get(ctx::kDID) != record.link.attachment_id)
    return deny(iommu_field("device", "attachment_id", index), record.link.attachment_id,
                "not what the context entry has, expected ", entry.get(ctx::kDID));
  const auto domain = hal::load<abi::Domain>(record.link.domain);
  if (domain.sign_extend != 0)
    return deny(iommu_field("domain", "sign_extend", index_of_domain(record.link.domain)), domain.sign_extend,
                "first-stage tables in legacy mode, expected 0");
  return check_tables_agree(record, entry.address(ctx::kSSPTPTR),
                            levels_of_aw(static_cast<unsigned>(entry.get(ctx::kAW))));
}

bool ImageCheck::check_scalable_entry(std::uint64_t index, const abi::Device& record, SourceId sid,
                                      const Record128& entry) {
  if (entry.address(sctx::kPASIDDIRPTR) != record.pasid_dir)
    return deny(iommu_field("device", "pasid_dir", index), Hex{record.pasid_dir}, "not what the context entry of ",
                Bdf{sid}, " has, expected ", Hex{entry.address(sctx::kPASIDDIRPTR)});
  const Device& device = *iommu_.device(record.devid);
  const std::uint32_t expected = device.pasid_bits <= 6 ? PasidTable::kPerPage : std::uint32_t{1} << device.pasid_bits;
  if (record.max_pasid != expected)
    return deny(iommu_field("device", "max_pasid", index), record.max_pasid, "not what the device has, expected ",
                expected);
  const PasidTable table(record.pasid_dir, record.max_pasid);
  if (entry.get(sctx::kPDTS) != table.pdts())
    return deny(iommu_field("device", "max_pasid", index), record.max_pasid, "does not fit PDTS ",
                entry.get(sctx::kPDTS), " of the context entry, expected ", table.pdts());
  if (entry.get(sctx::kPRE) != 0)
    return deny(iommu_field("device", "devid", index), Hex{record.devid}, "the context entry of ", Bdf{sid},
                " allows page requests, expected PRE = 0");
  if (!tracker_.preserved(record.pasid_dir, table.directory_pages() * kPageSize))
    refuse(iommu_field("device", "pasid_dir", index), Hex{record.pasid_dir}, "not preserved, expected ",
           table.directory_pages(), " pages of the preserved set");
  bool good = true;
  table.visit_tables([&](std::uint32_t, PhysAddr page) {
    require_preserved(tracker_, iommu_field("device", "pasid_dir", index), page);
    return true;
  });
  table.for_each_present([&](std::uint32_t pasid, const pasid::Entry&) {
    if (pasid != 0 && good)
      good = deny(iommu_field("device", "pasid_dir", index), Hex{record.pasid_dir}, "has an entry of PASID ", pasid,
                  ", expected none but that of requests without");
  });
  return good && check_pasid_entry(index, record, table.entry(0));
}

bool ImageCheck::check_pasid_entry(std::uint64_t index, const abi::Device& record, const pasid::Entry& entry) {
  const auto domain = hal::load<abi::Domain>(record.link.domain);
  const FieldName kind = iommu_field("domain", "sign_extend", index_of_domain(record.link.domain));
  if (entry.get(pasid::kP) == 0)
    return deny(iommu_field("device", "pasid_dir", index), Hex{record.pasid_dir},
                "its entry of requests without PASID is not present, expected P = 1");
  if (entry.get(pasid::kDID) != record.link.attachment_id)
    return deny(iommu_field("device", "attachment_id", index), record.link.attachment_id,
                "not what the PASID entry has, expected ", entry.get(pasid::kDID));
  const auto translation = static_cast<PasidTranslation>(entry.get(pasid::kPGTT));
  if (translation == PasidTranslation::kSecondStage) {
    if (domain.sign_extend != 0) return deny(kind, domain.sign_extend, "the PASID entry is second-stage, expected 0");
    return check_tables_agree(record, entry.address(pasid::kSSPTPTR),
                              levels_of_aw(static_cast<unsigned>(entry.get(pasid::kAW))));
  }
  if (translation == PasidTranslation::kFirstStage) {
    if (domain.sign_extend != 1) return deny(kind, domain.sign_extend, "the PASID entry is first-stage, expected 1");
    constexpr unsigned kLevelsOfMode0 = 4;
    return check_tables_agree(record, entry.address(pasid::kFSPTPTR),
                              kLevelsOfMode0 + static_cast<unsigned>(entry.get(pasid::kFSPM)));
  }
  return deny(iommu_field("device", "pasid_dir", index), Hex{record.pasid_dir}, "its PASID entry has PGTT ",
              entry.get(pasid::kPGTT), ", expected first- or second-stage tables");
}

void ImageCheck::use_pasid_pages(std::uint64_t index, const abi::Device& record) {
  const PasidTable table(record.pasid_dir, record.max_pasid);
  table.visit_pages([&](PhysAddr page) {
    use_page(iommu_field("device", "pasid_dir", index), page);
    return true;
  });
}

}  // namespace vtd::fw
