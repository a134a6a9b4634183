// SPDX-License-Identifier: MIT
// Writing and withdrawing the record of one object, with the pages it needs.
#include "firmware/hal/lock.h"
#include "firmware/hal/policy.h"
#include "firmware/liveupdate/outgoing.h"

namespace vtd::fw {

Status Outgoing::keep(PhysAddr page, std::uint64_t bytes) {
  might_sleep("preserving a page");
  if (fails(platform::FailPlace::kPreservePage)) return Status::kNoMemory;
  return tracker_.preserve(page, bytes);
}

// ---- memory --------------------------------------------------------------------------------------------------

PhysAddr Outgoing::write_memory(MemoryFile& file) {
  if (!ok(keep(file.base, file.size))) return 0;
  const PhysAddr files = hal::load<abi::Root>(root_).memory_files;
  file.record = append_record(files, abi::MemoryFile{{1, 0}, file.base, file.size, file.id}, pages_);
  if (file.record == 0) tracker_.unpreserve(file.base, file.size);
  return file.record;
}

void Outgoing::drop_memory(MemoryFile& file) {
  mark_deleted(file.record);
  tracker_.unpreserve(file.base, file.size);
  file.record = 0;
}

// ---- state that lives as long as a file depends on it ----------------------------------------------------------

Status Outgoing::get_flb() {
  if (iommufds_ == 0) {
    std::array<PhysAddr, 4> page{};
    for (std::size_t i = 0; i < page.size(); ++i) {
      page[i] = pages_.allocate();
      if (page[i] != 0) continue;
      while (i-- > 0) pages_.release(page[i]);
      return Status::kNoMemory;
    }
    const auto form = static_cast<std::size_t>(series());
    const std::uint32_t version = deviates(Deviation::kCheckNoVersion) ? 0 : abi::IommuTop::kVersion;
    hal::store(page[0], abi::IommuTop{abi::kIommuCompatible[form], version, 0, page[1], page[2], page[3]});
    iommu_top_ = page[0];
    const PhysAddr flbs = hal::load<abi::Root>(root_).flbs;
    // The name under which the live update orchestrator keeps it does not change with the layout behind it.
    flb_ = append_record(flbs, abi::Flb{{1, 0}, abi::kIommuCompatible[0], iommu_top_, 0}, pages_);
    if (flb_ == 0) {
      for (const PhysAddr p : page) pages_.release(p);
      iommu_top_ = 0;
      return Status::kNoMemory;
    }
  }
  ++iommufds_;
  iommu_.settle_marks(true);
  hal::write64(flb_ + offsetof(abi::Flb, count), iommufds_);
  return Status::kOk;
}

void Outgoing::put_flb() {
  --iommufds_;
  hal::write64(flb_ + offsetof(abi::Flb, count), iommufds_);
  if (iommufds_ != 0) return;
  iommu_.settle_marks(false);
  const auto top = hal::load<abi::IommuTop>(iommu_top_);
  for (const PhysAddr chain : {top.units, top.domains, top.devices}) release_chain(chain, pages_);
  pages_.release(iommu_top_);
  iommu_top_ = 0;
  mark_deleted(flb_);
  flb_ = 0;
}

// ---- iommufd and domains ---------------------------------------------------------------------------------------

bool Outgoing::maps_only_preserved_memory(const SessionSlot& session, const Domain& domain) {
  return domain.table.visit([](PhysAddr, unsigned) { return true; },
                            [&](const Leaf& leaf) {
                              for (std::size_t i = 0; i < session.count; ++i) {
                                const FileSlot& file = session.files[i];
                                if (file.kind != FileKind::kMemory) continue;
                                const MemoryFile* m = iommu_.memory(file.label);
                                if (leaf.page >= m->base && leaf.page + leaf.size() <= m->base + m->size) return true;
                              }
                              return false;
                            });
}

Status Outgoing::mark_tables(const PageTable& table) {
  std::uint64_t marked = 0;
  Status result = Status::kOk;
  table.visit(
      [&](PhysAddr page, unsigned) {
        result = keep(page);
        marked += ok(result) ? 1 : 0;
        return ok(result);
      },
      [](const Leaf&) { return true; });
  if (!ok(result)) unmark_tables(table, marked);
  return result;
}

void Outgoing::unmark_tables(const PageTable& table, std::uint64_t pages) {
  table.visit(
      [&](PhysAddr page, unsigned) {
        if (pages == 0) return false;
        --pages;
        tracker_.unpreserve(page);
        return true;
      },
      [](const Leaf&) { return true; });
}

Status Outgoing::write_domain(Domain& domain) {
  const PageTable& table = domain.table;
  if (const Status s = mark_tables(table); !ok(s)) return s;
  const std::uint32_t width = series() == platform::Series::kV1 ? 0 : table.width();
  const std::uint32_t sign_extend = table.stage() == Stage::kFirst ? 1 : 0;
  domain.record = append_record(hal::load<abi::IommuTop>(iommu_top_).domains,
                                abi::Domain{{1, 0}, table.top(), table.levels(), width, sign_extend, 0, 0}, pages_);
  if (domain.record != 0) return Status::kOk;
  unmark_tables(table, table.table_pages());
  return Status::kNoMemory;
}

void Outgoing::drop_domain(Domain& domain) {
  mark_deleted(domain.record);
  unmark_tables(domain.table, domain.table.table_pages());
  domain.record = 0;
  domain.mutability = Mutability::kMutable;
}

Status Outgoing::write_iommufd(PhysAddr& record) {
  const PhysAddr hwpts = pages_.allocate();
  if (hwpts == 0) return Status::kNoMemory;
  Status result = Status::kOk;
  std::uint64_t count = 0;
  iommu_.for_each_domain([&](Domain& d) {
    if (!d.marked || !ok(result)) return;
    result = write_domain(d);
    if (!ok(result)) return;
    if (append_record(hwpts, abi::Hwpt{{1, 0}, d.token, d.record, 0, d.id}, pages_) == 0) {
      drop_domain(d);
      result = Status::kNoMemory;
    } else {
      ++count;
    }
  });
  if (ok(result)) {
    record = append_record(hal::load<abi::Root>(root_).iommufds, abi::Iommufd{{1, 0}, count, hwpts}, pages_);
    if (record != 0) return Status::kOk;
    result = Status::kNoMemory;
  }
  if (!deviates(Deviation::kKeepEarlierDomains))
    iommu_.for_each_domain([&](Domain& d) {
      if (d.marked && d.record != 0) drop_domain(d);
    });
  release_chain(hwpts, pages_);
  return result;
}

void Outgoing::drop_iommufd(PhysAddr record) {
  const auto fd = hal::load<abi::Iommufd>(record);
  mark_deleted(record);
  iommu_.for_each_domain([&](Domain& d) {
    if (d.marked && d.record != 0) drop_domain(d);
  });
  release_chain(fd.hwpts, pages_);
}

// ---- units -----------------------------------------------------------------------------------------------------

Status Outgoing::get_unit(Unit& unit) {
  if (unit.record != 0) {
    auto record = hal::load<abi::Unit>(unit.record);
    ++record.header.refcount;
    hal::store(unit.record, record);
    return Status::kOk;
  }
  Status result = fails(platform::FailPlace::kPreserveUnit) ? Status::kFault : keep(unit.root());
  const bool marked = ok(result);
  if (marked && deviates(Deviation::kMarkTablesWithUnit))
    unit.context().for_each_table([&](unsigned, PhysAddr table) {
      if (ok(result)) result = keep(table);
    });
  if (!ok(result) && !deviates(Deviation::kKeepFailedUnit)) {
    if (marked) tracker_.unpreserve(unit.root());
    return result;
  }
  const PhysAddr base = unit.driver().base();
  const abi::Unit record{{1, 0}, base, abi::kUnitTypeIntel, 0, base, unit.root(), {}};
  unit.record = append_record(hal::load<abi::IommuTop>(iommu_top_).units, record, pages_);
  if (!ok(result)) return result;  // v1: and yet the unit counts as preserved
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
  if (deviates(Deviation::kMarkTablesWithUnit))
    unit.context().for_each_table([&](unsigned, PhysAddr table) {
      if (tracker_.preserved(table)) tracker_.unpreserve(table);
    });
  mark_deleted(unit.record);
  tracker_.unpreserve(unit.root());
  unit.record = 0;
}

Status Outgoing::mark_context_tables(Unit& unit, const Device& device) {
  if (deviates(Deviation::kMarkTablesWithUnit)) return Status::kOk;
  auto record = hal::load<abi::Unit>(unit.record);
  Status result = Status::kOk;
  device.for_each_id([&](SourceId id) {
    const unsigned n = unit.context().number_of(id);
    std::uint64_t& word = record.context_tables[n / 64];
    if (!ok(result) || (word & bit(n % 64)) != 0) return;
    // Context tables are never freed at run time: the pointer stays valid without the lock (F22).
    PhysAddr table = 0;
    {
      const SpinLock lock;
      table = unit.context().table(n);
      if (deviates(Deviation::kMarkUnderLock)) result = keep(table);
    }
    if (ok(result) && !deviates(Deviation::kMarkUnderLock)) result = keep(table);
    if (ok(result)) word |= bit(n % 64);
  });
  hal::store(unit.record, record);
  if (!ok(result)) unmark_context_tables(unit, device);
  return result;
}

void Outgoing::unmark_context_tables(Unit& unit, const Device& device) {
  if (deviates(Deviation::kMarkTablesWithUnit)) return;
  auto record = hal::load<abi::Unit>(unit.record);
  device.for_each_id([&](SourceId id) {
    const unsigned n = unit.context().number_of(id);
    bool still_needed = false;
    iommu_.for_each_device([&](const Device& d) {
      if (d.record == 0 || &iommu_.unit(d.unit) != &unit) return;
      d.for_each_id([&](SourceId other) { still_needed = still_needed || unit.context().number_of(other) == n; });
    });
    std::uint64_t& word = record.context_tables[n / 64];
    if (still_needed || (word & bit(n % 64)) == 0) return;
    word &= ~bit(n % 64);
    tracker_.unpreserve(unit.context().table(n));
  });
  hal::store(unit.record, record);
}

// ---- devices ---------------------------------------------------------------------------------------------------

Status Outgoing::mark_pasids(const PasidTable& table) {
  if (!table.exists()) return Status::kOk;
  const std::uint64_t limit =
      deviates(Deviation::kFirstPasidPageOnly) ? table.directory_pages() + 1 : ~std::uint64_t{0};
  std::uint64_t marked = 0;
  Status result = Status::kOk;
  table.visit_pages([&](PhysAddr page) {
    if (marked == limit) return false;
    result = keep(page);
    marked += ok(result) ? 1 : 0;
    return ok(result);
  });
  if (!ok(result)) unmark_pasids(table, marked);
  return result;
}

void Outgoing::unmark_pasids(const PasidTable& table, std::uint64_t pages) {
  if (!table.exists()) return;
  table.visit_pages([&](PhysAddr page) {
    if (pages == 0) return false;
    --pages;
    if (tracker_.preserved(page)) tracker_.unpreserve(page);
    return true;
  });
}

Status Outgoing::write_device(Device& device) {
  Unit& unit = iommu_.unit(device.unit);
  if (const Status s = get_unit(unit); !ok(s)) return s;
  Status result = mark_context_tables(unit, device);
  if (ok(result)) {
    result = mark_pasids(device.pasids);
    if (ok(result)) {
      const Domain* domain = device.own.domain;
      const abi::DeviceLink link{device.own.did.value, domain == nullptr ? 0 : domain->record, unit.record};
      const abi::Device record{{1, 0}, device.sid.value, 0, link, device.pasids.directory(), device.pasids.max_pasid(),
                               0};
      device.record = append_record(hal::load<abi::IommuTop>(iommu_top_).devices, record, pages_);
      if (device.record != 0) return Status::kOk;
      result = Status::kNoMemory;
      unmark_pasids(device.pasids, ~std::uint64_t{0});
    }
    unmark_context_tables(unit, device);
  }
  put_unit(unit);
  return result;
}

void Outgoing::drop_device(Device& device) {
  Unit& unit = iommu_.unit(device.unit);
  if (!deviates(Deviation::kKeepDeviceRecord)) mark_deleted(device.record);
  device.record = 0;
  unmark_pasids(device.pasids, ~std::uint64_t{0});
  unmark_context_tables(unit, device);
  put_unit(unit);
}

Status Outgoing::write_vfio(Device& device, const FileSlot& iommufd, PhysAddr& record) {
  if (const Status s = write_device(device); !ok(s)) return s;
  constexpr std::uint64_t kLow32 = bit_range(31, 0);
  const std::uint64_t token = series() == platform::Series::kV1 ? iommufd.token & kLow32 : iommufd.token;
  const PhysAddr devices = hal::load<abi::Root>(root_).vfio_devices;
  if (!fails(platform::FailPlace::kVfioRecord))
    record = append_record(devices, abi::VfioDevice{{1, 0}, device.sid.value, 0, 1, token, device.record}, pages_);
  if (record != 0) return Status::kOk;
  drop_device(device);
  return Status::kNoMemory;
}

void Outgoing::drop_vfio(Device& device, PhysAddr record) {
  mark_deleted(record);
  drop_device(device);
}

}  // namespace vtd::fw
