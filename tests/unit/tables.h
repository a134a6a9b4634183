// SPDX-License-Identifier: MIT
// Root, context and second-stage tables in a TestMemory.
#pragma once

#include "tests/unit/test_memory.h"
#include "tlm/spec/capability.h"
#include "tlm/spec/paging.h"
#include "tlm/spec/structures.h"

namespace vtd::test {

inline constexpr PhysAddr kRootTable = 0x1'0000;
inline constexpr PhysAddr kContextTable = 0x1'1000;  ///< of bus 0
inline constexpr PhysAddr kQueue = 0x1'2000;
inline constexpr PhysAddr kStatus = 0x1'3000;
inline constexpr PhysAddr kFirstTable = 0x10'0000;
inline constexpr PhysAddr kData = 0x80'0000;  ///< pages that tests map

class Tables {
 public:
  explicit Tables(TestMemory& memory) : memory_(memory) {}

  PhysAddr new_table() {
    const PhysAddr table = next_;
    next_ += kPageSize;
    return table;
  }
  void attach(SourceId source, DomainId domain, PhysAddr table, unsigned levels = 4) {
    root::Entry root_entry;
    root_entry.set(root::kP, 1).set_address(root::kCTP, kContextTable);
    put(kRootTable + source.bus() * root::kBytes, root_entry);
    ctx::Entry entry;
    entry.set(ctx::kP, 1).set_address(ctx::kSSPTPTR, table).set(ctx::kAW, aw_of_levels(levels));
    entry.set(ctx::kDID, domain.value);
    put(context_entry(source), entry);
  }
  void detach(SourceId source) { put(context_entry(source), ctx::Entry{}); }
  static PhysAddr context_entry(SourceId source) { return kContextTable + source.devfn() * ctx::kBytes; }
  /// Maps one 4 KiB page; returns the address of the leaf entry.
  PhysAddr map(PhysAddr table, Iova iova, PhysAddr page, std::uint64_t rights = kReadWrite, unsigned levels = 4) {
    for (unsigned level = levels; level > 1; --level) {
      const PhysAddr entry = entry_address(table, iova, level);
      if (memory_.word(entry) == 0) memory_.set_word(entry, new_table() | kReadWrite);
      table = ss::kADDR.in_place(memory_.word(entry));
    }
    const PhysAddr leaf = entry_address(table, iova, 1);
    memory_.set_word(leaf, page | rights);
    return leaf;
  }
  static constexpr std::uint64_t kReadWrite = ss::kR.mask() | ss::kW.mask();
  static constexpr std::uint64_t kReadOnly = ss::kR.mask();

 private:
  void put(PhysAddr address, const Record128& record) {
    memory_.set_word(address, record.words[0]);
    memory_.set_word(address + 8, record.words[1]);
  }
  TestMemory& memory_;
  PhysAddr next_ = kFirstTable;
};

}  // namespace vtd::test
