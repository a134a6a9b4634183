// SPDX-License-Identifier: MIT
// Chains of pages of records (abi::ArrayPage): append on the outgoing side, bounded reading on the incoming one.
#pragma once

#include "firmware/hal/lock.h"
#include "firmware/hal/policy.h"
#include "firmware/iommu/page_allocator.h"
#include "firmware/liveupdate/abi.h"
#include "firmware/liveupdate/tracker.h"

namespace vtd::fw {

/// Where new records and tables of the handover image come from: a heap page that is also preserved.
class PreservedPages {
 public:
  PreservedPages(PageAllocator& allocator, Tracker& tracker) : allocator_(allocator), tracker_(tracker) {}
  /// A zeroed, preserved page; 0 when memory is out.
  [[nodiscard]] PhysAddr allocate() {
    might_sleep("allocating a page");
    const PhysAddr page = allocator_.allocate();
    if (page == 0) return 0;
    if (ok(tracker_.preserve(page))) return page;
    allocator_.release(page);
    return 0;
  }
  void release(PhysAddr page) {
    tracker_.unpreserve(page);
    allocator_.release(page);
  }
  [[nodiscard]] Tracker& tracker() { return tracker_; }

 private:
  PageAllocator& allocator_;
  Tracker& tracker_;
};

/// Appends `record`; a full last page gets a successor. Address of the slot, or 0 when memory is out.
template <typename T>
[[nodiscard]] PhysAddr append_record(PhysAddr first_page, const T& record, PreservedPages& pages) {
  if (fails(platform::FailPlace::kAppendRecord)) return 0;
  PhysAddr page = first_page;
  auto header = hal::load<abi::ArrayPage>(page);
  while (header.next != 0) {
    page = header.next;
    header = hal::load<abi::ArrayPage>(page);
  }
  if (header.count == abi::kCapacity<T>) {
    const PhysAddr fresh = pages.allocate();
    if (fresh == 0) return 0;
    header.next = fresh;
    hal::store(page, header);
    page = fresh;
    header = {};
  }
  const PhysAddr at = abi::slot_address<T>(page, header.count);
  hal::store(at, record);  // the record is complete before the count admits it
  ++header.count;
  hal::store(page, header);
  return at;
}

/// Calls f(index, address, record) for every record that is not deleted. Bounded whatever the chain says.
template <typename T, typename Function>
void for_each_record(PhysAddr first_page, Function&& f) {
  std::uint64_t index = 0;
  PhysAddr page = first_page;
  const std::uint64_t memory = hal::memory_size();
  const auto readable = [memory](PhysAddr at) { return at != 0 && is_aligned(at, kPageSize) && at < memory; };
  for (unsigned hops = 0; readable(page) && hops < abi::kMaxArrayPages; ++hops) {
    const auto header = hal::load<abi::ArrayPage>(page);
    const std::uint64_t count = header.count < abi::kCapacity<T> ? header.count : abi::kCapacity<T>;
    for (std::uint64_t slot = 0; slot < count; ++slot, ++index) {
      const PhysAddr at = abi::slot_address<T>(page, slot);
      const T record = hal::load<T>(at);
      if ((record.header.flags & abi::kDeleted) == 0) f(index, at, record);
    }
    page = header.next;
  }
}

/// Flags the record at `at` deleted; readers skip it from now on.
inline void mark_deleted(PhysAddr at) {
  auto header = hal::load<abi::ObjectHeader>(at);
  header.refcount = 0;
  header.flags |= abi::kDeleted;
  hal::store(at, header);
}

/// Releases all pages of a chain.
inline void release_chain(PhysAddr first_page, PreservedPages& pages) {
  for (PhysAddr page = first_page; page != 0;) {
    const PhysAddr next = hal::load<abi::ArrayPage>(page).next;
    pages.release(page);
    page = next;
  }
}

}  // namespace vtd::fw
