// SPDX-License-Identifier: MIT
#include "firmware/liveupdate/copy_tables.h"

#include "firmware/hal/console.h"

namespace vtd::fw {
namespace {

/// What a crashed image left may point anywhere.
bool in_memory(PhysAddr address, std::uint64_t bytes) {
  return address < hal::memory_size() && bytes <= hal::memory_size() - address;
}

/// A copy of one page; 0 when memory is out.
PhysAddr copy_page(PhysAddr page, PageAllocator& allocator) {
  const PhysAddr copy = allocator.allocate();
  if (copy != 0) {
    hal::copy(copy, page, kPageSize);
    hal::flush(copy, kPageSize);
  }
  return copy;
}

/// Copies the PASID tables that a context entry points to and makes the entry point to the copies.
Status copy_pasids(Unit& unit, PhysAddr context_entry, PageAllocator& allocator) {
  Record128 entry{{hal::read64(context_entry), hal::read64(context_entry + 8)}};
  const PasidTable old(entry.address(sctx::kPASIDDIRPTR),
                       pasids_of_pdts(static_cast<unsigned>(entry.get(sctx::kPDTS))));
  if (!in_memory(old.directory(), old.directory_pages() * kPageSize)) return Status::kFault;
  const PhysAddr directory = allocator.allocate(old.directory_pages());
  if (directory == 0) return Status::kNoMemory;
  hal::copy(directory, old.directory(), old.directory_pages() * kPageSize);
  Status result = Status::kOk;
  old.visit_tables([&](std::uint32_t first, PhysAddr page) {
    const bool known = in_memory(page, kPageSize);
    const PhysAddr copy = known ? copy_page(page, allocator) : 0;
    if (copy == 0) result = known ? Status::kNoMemory : Status::kFault;
    if (copy == 0) return false;
    const PhysAddr at = directory + pasid_dir::kIndex.get(first) * pasid_dir::kBytes;
    hal::write64(at, (hal::read64(at) & ~pasid_dir::kSMPTBLPTR.mask()) | copy);
    return true;
  });
  if (!ok(result)) return result;
  hal::flush(directory, old.directory_pages() * kPageSize);
  old.for_each_present([&](std::uint32_t, const pasid::Entry& e) {
    static_cast<void>(unit.ids().reserve(e.get(pasid::kDID)));  // several entries may share one
  });
  entry.set_address(sctx::kPASIDDIRPTR, directory);
  hal::write128(context_entry, entry.words[0], entry.words[1]);
  return Status::kOk;
}

}  // namespace

Status copy_tables(Iommu& iommu, Unit& unit, TableMode mode) {
  UnitDriver& driver = unit.driver();
  if (driver.table_mode() != mode) return Status::kInvalid;
  PageAllocator& allocator = iommu.allocator();
  const PageAllocator before = allocator;
  const ContextMap old(driver.root_pointer(), mode);
  if (!in_memory(old.root(), kPageSize)) return Status::kFault;
  const ContextMap copy(allocator.allocate(), mode);
  if (copy.root() == 0) return Status::kNoMemory;
  Status result = Status::kOk;
  unsigned entries = 0;
  old.for_each_table([&](unsigned n, PhysAddr table) {
    if (!ok(result)) return;
    const bool known = in_memory(table, kPageSize);
    const PhysAddr fresh = known ? copy_page(table, allocator) : 0;
    if (fresh == 0) {
      result = known ? Status::kNoMemory : Status::kFault;
      return;
    }
    copy.for_each_present(n, fresh, [&](SourceId sid, PhysAddr at) {
      if (!ok(result)) return;
      ++entries;
      if (copy.scalable())
        result = copy_pasids(unit, at, allocator);
      else
        static_cast<void>(unit.ids().reserve(Record128{{hal::read64(at), hal::read64(at + 8)}}.get(ctx::kDID)));
      if (Device* device = iommu.device_behind(sid, unit); device != nullptr) device->copied = true;
    });
    hal::flush(fresh, kPageSize);
    copy.set_table(n, fresh);
  });
  if (ok(result)) {
    hal::print("kdump: unit ", Hex{driver.base()}, " copied context entries ", entries, ", domain ids ",
               unit.ids().taken());
    result = unit.move_to(copy, allocator);
  }
  if (!ok(result)) {  // the unit will be started from scratch, translation off first
    allocator = before;
    unit.ids().configure(unit.ids().count());
    iommu.for_each_device([&](Device& d) {
      if (&iommu.unit(d.unit) == &unit) d.copied = false;
    });
  }
  return result;
}

}  // namespace vtd::fw
