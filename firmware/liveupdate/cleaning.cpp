// SPDX-License-Identifier: MIT
#include "firmware/liveupdate/cleaning.h"

#include "firmware/hal/console.h"
#include "firmware/hal/policy.h"
#include "firmware/liveupdate/abi.h"

namespace vtd::fw {
namespace {

/// What one unit's cleaning did, for the console.
struct Cleaned {
  unsigned entries = 0;
  unsigned roots = 0;
};

/// True if the entry of this requester id goes.
bool goes(Iommu& iommu, const Unit& unit, SourceId sid) {
  if (deviates(Deviation::kSkipCleaning)) return false;
  const Device* device = iommu.device_behind(sid, unit);
  if (device == nullptr)
    return !deviates(Deviation::kCleanPciOnly);  // nobody knows it: the tables are all there is to go by
  if (device->record != 0) return false;
  if (deviates(Deviation::kCleanPciOnly) && !device->pci) return false;
  return !deviates(Deviation::kCleanOwnIdOnly) || device->sid == sid;
}

/// As v1: an invalidation for each entry, which waits for the device's own TLB as well.
Status invalidate_one(Iommu& iommu, Unit& unit, SourceId sid, DomainId did) {
  if (const Status s = unit.invalidate_context(sid, did); !ok(s)) return s;
  const Device* device = iommu.device_behind(sid, unit);
  const bool ats = device != nullptr && device->has_ats && ecap::kDT.get(unit.driver().ecap()) != 0;
  return ats ? unit.driver().invalidate(DeviceTlbInvalidation{sid, 0}) : Status::kOk;
}

/// Page requests of preserved devices are refused from here on: nobody could answer them.
void stop_page_requests(const Unit& unit, SourceId sid) {
  if (!unit.scalable()) return;
  const PhysAddr at = unit.context().entry_at(sid);
  const std::uint64_t word = hal::read64(at);
  if (sctx::kPRE.get(word) == 0) return;
  hal::write64(at, sctx::kPRE.with(word, 0));
  hal::flush(at, 8);
}

/// As v1: entries of other PASIDs vanish from the first page of the directory, and from the first table.
void wipe_pasids(const PasidTable& pasids) {
  if (!pasids.exists()) return;
  for (std::uint64_t at = pasid_dir::kBytes; at < kPageSize; at += pasid_dir::kBytes)
    hal::write64(pasids.directory() + at, 0);
  hal::flush(pasids.directory(), kPageSize);
  const PhysAddr page = pasids.page_of(0);
  if (page == 0) return;
  hal::fill(page + pasid::kBytes, 0, kPageSize - pasid::kBytes);
  hal::flush(page, kPageSize);
}

Status clean_entries(Iommu& iommu, Unit& unit, Cleaned& cleaned) {
  const auto record = hal::load<abi::Unit>(unit.record);
  Status result = Status::kOk;
  unit.context().for_each_table([&](unsigned n, PhysAddr table) {
    const bool kept = deviates(Deviation::kMarkTablesWithUnit) || (record.context_tables[n / 64] & bit(n % 64)) != 0;
    if (!kept) {
      unit.context().set_table(n, 0);
      ++cleaned.roots;
      return;
    }
    unit.context().for_each_present(n, table, [&](SourceId sid, PhysAddr at) {
      if (!goes(iommu, unit, sid)) return;
      const Record128 entry{{hal::read64(at), hal::read64(at + 8)}};
      unit.clear_context_entry(sid);
      ++cleaned.entries;
      if (!deviates(Deviation::kCleanDeviceTlb) || deviates(Deviation::kSkipCleanInvalidation) || !ok(result)) return;
      result = invalidate_one(iommu, unit, sid, DomainId{static_cast<std::uint16_t>(entry.get(ctx::kDID))});
    });
  });
  hal::flush(unit.root(), kPageSize);
  return result;
}

Status clean_unit(Iommu& iommu, Unit& unit) {
  Cleaned cleaned;
  const Status s = clean_entries(iommu, unit, cleaned);
  iommu.for_each_device([&](const Device& d) {
    if (d.record == 0 || &iommu.unit(d.unit) != &unit) return;
    if (!deviates(Deviation::kLeavePageRequests)) d.for_each_id([&](SourceId id) { stop_page_requests(unit, id); });
    if (deviates(Deviation::kWipePasidsLive)) wipe_pasids(d.pasids);
  });
  hal::print("shutdown: unit ", Hex{unit.driver().base()}, " keeps translating; cleared context entries ",
             cleaned.entries, ", root entries ", cleaned.roots);
  if (!ok(s) || deviates(Deviation::kSkipCleanInvalidation) || deviates(Deviation::kCleanDeviceTlb)) return s;
  if (const Status all = unit.driver().invalidate_everything(); !ok(all)) return all;
  if (deviates(Deviation::kSkipQueueDrain)) unit.driver().leave(IotlbInvalidation{});
  return Status::kOk;
}

}  // namespace

Status clean_for_reset(Iommu& iommu) {
  iommu.for_each_device([](const Device& d) {
    if (d.record == 0) Iommu::set_bus_master(d, Iommu::BusMaster::kOff);
  });
  Status result = Status::kOk;
  iommu.for_each_unit([&](Unit& unit) {
    if (!ok(result)) return;
    if (!deviates(Deviation::kLeaveProtectedMemory)) result = unit.driver().disable_protected_memory();
    if (!ok(result)) return;
    if (unit.record != 0) {
      result = clean_unit(iommu, unit);
    } else {
      hal::print("shutdown: unit ", Hex{unit.driver().base()}, " has nothing preserved: translation off");
      result = unit.driver().disable_translation();
    }
  });
  return result;
}

}  // namespace vtd::fw
