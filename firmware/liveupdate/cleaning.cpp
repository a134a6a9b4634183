// SPDX-License-Identifier: MIT
#include "firmware/liveupdate/cleaning.h"

#include "firmware/hal/console.h"
#include "firmware/liveupdate/abi.h"

namespace vtd::fw {
namespace {

bool preserved(Iommu& iommu, const Unit& unit, SourceId sid) {
  const Device* device = iommu.device(sid.value);
  return device != nullptr && device->record != 0 && &iommu.unit(device->unit) == &unit;
}

/// Clears every present entry of a preserved context table that does not belong to a preserved device; aliases and
/// devices nobody enumerated included.
unsigned clean_context_table(Iommu& iommu, const Unit& unit, PhysAddr table, std::uint8_t bus) {
  unsigned cleared = 0;
  for (unsigned devfn = 0; devfn < 256; ++devfn) {
    const SourceId sid = make_source_id(bus, devfn / 8, devfn % 8);
    const PhysAddr at = Unit::context_entry_at(table, sid);
    if (ctx::kP.get(hal::read64(at)) == 0 || preserved(iommu, unit, sid)) continue;
    hal::write128(at, 0, 0);
    ++cleared;
  }
  hal::flush(table, kPageSize);
  return cleared;
}

Status clean_unit(Iommu& iommu, Unit& unit, CleanInvalidation invalidation) {
  const auto record = hal::load<abi::Unit>(unit.record);
  unsigned entries = 0;
  unsigned roots = 0;
  for (unsigned bus = 0; bus < 256; ++bus) {
    const PhysAddr table = unit.context_table(static_cast<std::uint8_t>(bus));
    if (table == 0) continue;
    if ((record.context_tables[bus * 2 / 64] & bit(bus * 2 % 64)) != 0) {
      entries += clean_context_table(iommu, unit, table, static_cast<std::uint8_t>(bus));
      continue;
    }
    hal::write128(unit.root() + bus * std::uint64_t{root::kBytes}, 0, 0);
    ++roots;
  }
  hal::flush(unit.root(), kPageSize);
  hal::print("shutdown: unit ", Hex{unit.driver().base()}, " keeps translating; cleared context entries ", entries,
             ", root entries ", roots);
  if (invalidation == CleanInvalidation::kSkip) return Status::kOk;
  if (const Status s = unit.driver().invalidate(ContextInvalidation{}); !ok(s)) return s;
  return unit.driver().invalidate(IotlbInvalidation{});
}

}  // namespace

Status clean_for_reset(Iommu& iommu, CleanInvalidation invalidation) {
  iommu.for_each_device([](const Device& d) {
    if (d.record == 0) Iommu::set_bus_master(d, Iommu::BusMaster::kOff);
  });
  Status result = Status::kOk;
  iommu.for_each_unit([&](Unit& unit) {
    if (!ok(result)) return;
    result = unit.driver().disable_protected_memory();
    if (!ok(result)) return;
    if (unit.record != 0) {
      result = clean_unit(iommu, unit, invalidation);
    } else {
      hal::print("shutdown: unit ", Hex{unit.driver().base()}, " has nothing preserved: translation off");
      result = unit.driver().disable_translation();
    }
  });
  return result;
}

}  // namespace vtd::fw
