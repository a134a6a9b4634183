// SPDX-License-Identifier: MIT
#include "firmware/iommu/pasid_table.h"

namespace vtd::fw {

Status PasidTable::create(unsigned bits, PageAllocator& allocator, PasidTable& out) {
  PasidTable table(0, bits <= 6 ? kPerPage : std::uint32_t{1} << bits);
  table.directory_ = allocator.allocate(table.directory_pages());
  if (table.directory_ == 0) return Status::kNoMemory;
  hal::flush(table.directory_, table.directory_pages() * kPageSize);
  out = table;
  return Status::kOk;
}

std::uint64_t PasidTable::directory_pages() const {
  return align_up(std::uint64_t{max_pasid_} / kPerPage * pasid_dir::kBytes, kPageSize) / kPageSize;
}

unsigned PasidTable::pdts() const {
  unsigned pdts = 0;
  while (pasids_of_pdts(pdts) < max_pasid_) ++pdts;
  return pdts;
}

PhysAddr PasidTable::page_of(std::uint32_t pasid) const {
  if (directory_ == 0 || pasid >= max_pasid_) return 0;
  const pasid_dir::Entry entry{{hal::read64(directory_entry_at(pasid))}};
  return entry.get(pasid_dir::kP) != 0 ? entry.address(pasid_dir::kSMPTBLPTR) : 0;
}

pasid::Entry PasidTable::load(PhysAddr at) {
  pasid::Entry entry;
  for (std::size_t i = 0; i < entry.words.size(); ++i) entry.words[i] = hal::read64(at + i * 8);
  return entry;
}

pasid::Entry PasidTable::entry(std::uint32_t pasid) const {
  const PhysAddr page = page_of(pasid);
  return page == 0 ? pasid::Entry{} : load(page + pasid::kIndex.get(pasid) * pasid::kBytes);
}

Status PasidTable::set(std::uint32_t pasid, const pasid::Entry& entry, Order order, PageAllocator& allocator) {
  PhysAddr page = page_of(pasid);
  if (page == 0) {
    page = allocator.allocate();
    if (page == 0) return Status::kNoMemory;
    hal::flush(page, kPageSize);
    pasid_dir::Entry link;
    link.set(pasid_dir::kP, 1).set_address(pasid_dir::kSMPTBLPTR, page);
    hal::write64(directory_entry_at(pasid), link.words[0]);
    hal::flush(directory_entry_at(pasid), pasid_dir::kBytes);
  }
  const PhysAddr at = page + pasid::kIndex.get(pasid) * pasid::kBytes;
  if (order == Order::kTorn) {
    for (std::size_t i = 0; i < 4; ++i) hal::write64(at + i * 8, entry.words[i]);
  } else {
    if (order == Order::kLowFirst) hal::write128(at, entry.words[0], entry.words[1]);
    hal::write128(at + 16, entry.words[2], entry.words[3]);
    if (order == Order::kLowLast) hal::write128(at, entry.words[0], entry.words[1]);
  }
  hal::flush(at, pasid::kBytes);
  return Status::kOk;
}

void PasidTable::clear(std::uint32_t pasid) {
  const PhysAddr page = page_of(pasid);
  if (page == 0) return;
  const PhysAddr at = page + pasid::kIndex.get(pasid) * pasid::kBytes;
  hal::write128(at, 0, 0);
  hal::write128(at + 16, 0, 0);
  hal::flush(at, pasid::kBytes);
}

void PasidTable::free(PageAllocator& allocator) {
  visit_tables([&](std::uint32_t, PhysAddr page) {
    allocator.release(page);
    return true;
  });
  for (std::uint64_t i = 0; i < directory_pages(); ++i) allocator.release(directory_ + i * kPageSize);
  *this = {};
}

}  // namespace vtd::fw
