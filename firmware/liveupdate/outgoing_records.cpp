// SPDX-License-Identifier: MIT
// Writing and withdrawing the record of one object, with the pages it needs.
#include "firmware/liveupdate/outgoing.h"

namespace vtd::fw {

// ---- memory --------------------------------------------------------------------------------------------------

PhysAddr Outgoing::write_memory(MemoryFile& file) {
  if (!ok(tracker_.preserve(file.base, file.size))) return 0;
  const PhysAddr files = hal::load<abi::Root>(root_).memory_files;
  file.record = append_record(files, abi::MemoryFile{{1, 0}, file.base, file.size}, pages_);
  if (file.record == 0) tracker_.unpreserve(file.base, file.size);
  return file.record;
}

void Outgoing::drop_memory(MemoryFile& file) {
  mark_deleted(file.record);
  tracker_.unpreserve(file.base, file.size);
  file.record = 0;
}

// ---- domains -------------------------------------------------------------------------------------------------

bool Outgoing::maps_only_preserved_memory(const SessionSlot& session, const Domain& domain) {
  return domain.table.visit([](PhysAddr, unsigned) { return true; },
                            [&](const Leaf& leaf) {
                              for (std::size_t i = 0; i < session.count; ++i) {
                                const FileSlot& file = session.files[i];
                                if (file.kind != abi::FileKind::kMemory) continue;
                                const MemoryFile* m = iommu_.memory(file.label);
                                if (leaf.page >= m->base && leaf.page + leaf.size() <= m->base + m->size) return true;
                              }
                              return false;
                            });
}

bool Outgoing::mark_tables(const PageTable& table) {
  std::uint64_t marked = 0;
  const bool all = table.visit(
      [&](PhysAddr page, unsigned) {
        if (!ok(tracker_.preserve(page))) return false;
        ++marked;
        return true;
      },
      [](const Leaf&) { return true; });
  if (!all) unmark_tables(table, marked);
  return all;
}

void Outgoing::unmark_tables(const PageTable& table, std::uint64_t pages) {
  static_cast<void>(table.visit(
      [&](PhysAddr page, unsigned) {
        if (pages == 0) return false;
        --pages;
        tracker_.unpreserve(page);
        return true;
      },
      [](const Leaf&) { return true; }));
}

PhysAddr Outgoing::write_domain(Domain& domain) {
  const PageTable& table = domain.table;
  if (!mark_tables(table)) return 0;
  const PhysAddr domains = hal::load<abi::IommuTop>(iommu_top_).domains;
  domain.record =
      append_record(domains, abi::Domain{{1, 0}, table.top(), table.levels(), table.width(), 0, 0, 0}, pages_);
  if (domain.record == 0)
    unmark_tables(table, table.table_pages());
  else
    ++iommu_files_;
  return domain.record;
}

void Outgoing::drop_domain(Domain& domain) {
  mark_deleted(domain.record);
  unmark_tables(domain.table, domain.table.table_pages());
  domain.record = 0;
  --iommu_files_;
}

// ---- units and devices ---------------------------------------------------------------------------------------

Status Outgoing::get_unit(Unit& unit) {
  if (unit.record != 0) {
    auto record = hal::load<abi::Unit>(unit.record);
    ++record.header.refcount;
    hal::store(unit.record, record);
    return Status::kOk;
  }
  if (const Status s = tracker_.preserve(unit.root()); !ok(s)) return s;
  const PhysAddr base = unit.driver().base();
  const abi::Unit record{{1, 0}, base, abi::kUnitTypeIntel, 0, base, unit.root(), {}};
  unit.record = append_record(hal::load<abi::IommuTop>(iommu_top_).units, record, pages_);
  if (unit.record != 0) return Status::kOk;
  tracker_.unpreserve(unit.root());
  return Status::kNoMemory;
}

void Outgoing::put_unit(Unit& unit) {
  auto record = hal::load<abi::Unit>(unit.record);
  if (--record.header.refcount != 0) {
    hal::store(unit.record, record);
    return;
  }
  mark_deleted(unit.record);
  tracker_.unpreserve(unit.root());
  unit.record = 0;
}

Status Outgoing::mark_context_table(Unit& unit, std::uint8_t bus) {
  auto record = hal::load<abi::Unit>(unit.record);
  std::uint64_t& word = record.context_tables[bus * 2U / 64];
  const std::uint64_t mask = bit(bus * 2U % 64);
  if ((word & mask) != 0) return Status::kOk;
  if (const Status s = tracker_.preserve(unit.context_table(bus)); !ok(s)) return s;
  word |= mask;
  hal::store(unit.record, record);
  return Status::kOk;
}

void Outgoing::unmark_context_table(Unit& unit, std::uint8_t bus) {
  bool still_needed = false;
  iommu_.for_each_device([&](const Device& d) {
    still_needed = still_needed || (d.record != 0 && &iommu_.unit(d.unit) == &unit && d.sid.bus() == bus);
  });
  if (still_needed) return;
  auto record = hal::load<abi::Unit>(unit.record);
  std::uint64_t& word = record.context_tables[bus * 2U / 64];
  const std::uint64_t mask = bit(bus * 2U % 64);
  if ((word & mask) == 0) return;
  word &= ~mask;
  hal::store(unit.record, record);
  tracker_.unpreserve(unit.context_table(bus));
}

PhysAddr Outgoing::write_device(Device& device) {
  Unit& unit = iommu_.unit(device.unit);
  if (!ok(get_unit(unit))) return 0;
  if (ok(mark_context_table(unit, device.sid.bus()))) {
    const abi::DeviceLink link{device.did.value, device.domain->record, unit.record};
    const abi::Device record{{1, 0}, device.sid.value, 0, link, 0, 0, 0};
    device.record = append_record(hal::load<abi::IommuTop>(iommu_top_).devices, record, pages_);
    if (device.record != 0) {
      ++iommu_files_;
      return device.record;
    }
    unmark_context_table(unit, device.sid.bus());
  }
  put_unit(unit);
  return 0;
}

void Outgoing::drop_device(Device& device) {
  Unit& unit = iommu_.unit(device.unit);
  mark_deleted(device.record);
  device.record = 0;
  unmark_context_table(unit, device.sid.bus());
  put_unit(unit);
  --iommu_files_;
}

}  // namespace vtd::fw
