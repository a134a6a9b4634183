// SPDX-License-Identifier: MIT
// Second-stage tables for tests. Written from the document, with its own numbers: it shares no bit position with
// tlm/spec, with the walkers or with the firmware, so that a wrong bit there shows.
#pragma once

#include <cstdint>

#include "tests/support/fake_memory.h"

namespace vtd::test {

// Bits of a second-stage entry (VT-d 9.8).
inline constexpr std::uint64_t kReadable = 0x1;
inline constexpr std::uint64_t kWritable = 0x2;
inline constexpr std::uint64_t kReadWrite = 0x3;
inline constexpr std::uint64_t kExecutable = 0x4;
inline constexpr std::uint64_t kPageSizeBit = 0x80;
inline constexpr std::uint64_t kSnoopBit = 0x800;
inline constexpr std::uint64_t kTransientBit = 0x4000'0000'0000'0000;

class TableBuilder {
 public:
  /// Tables are taken from `first_table` upwards, 4 KiB each.
  explicit TableBuilder(FakeMemory& memory, std::uint64_t first_table = 0x10'0000)
      : memory_(memory), next_table_(first_table) {}

  std::uint64_t new_table() {
    const std::uint64_t table = next_table_;
    next_table_ += 0x1000;
    return table;
  }

  /// Address of the entry that `iova` selects in the table at `table`, which is of `level`.
  static std::uint64_t entry_in(std::uint64_t table, std::uint64_t iova, unsigned level) {
    static constexpr unsigned kLowestIndexBit[] = {0, 12, 21, 30, 39, 48};
    return table + 8 * ((iova >> kLowestIndexBit[level]) % 512);
  }

  /// Address of the entry of `level` on the path of `iova` below `root`; every entry above it must be there.
  [[nodiscard]] std::uint64_t entry(std::uint64_t root, unsigned levels, std::uint64_t iova, unsigned level) const {
    std::uint64_t table = root;
    for (unsigned l = levels; l > level; --l) table = memory_.word(entry_in(table, iova, l)) & 0x000F'FFFF'FFFF'F000;
    return entry_in(table, iova, level);
  }

  /// Puts `leaf` where `iova` is mapped by an entry of `level`; what is missing above it is made, readable and
  /// writable. Returns the address of the leaf entry.
  std::uint64_t map(std::uint64_t root, unsigned levels, std::uint64_t iova, unsigned level, std::uint64_t leaf) {
    for (unsigned l = levels; l > level; --l) {
      const std::uint64_t at = entry(root, levels, iova, l);
      if (memory_.word(at) == 0) memory_.set_word(at, new_table() | kReadWrite);
    }
    const std::uint64_t at = entry(root, levels, iova, level);
    memory_.set_word(at, leaf);
    return at;
  }

  /// Changes bits of an entry: clears those of `clear`, then sets those of `set`.
  void change(std::uint64_t at, std::uint64_t clear, std::uint64_t set) {
    memory_.set_word(at, (memory_.word(at) & ~clear) | set);
  }

 private:
  FakeMemory& memory_;
  std::uint64_t next_table_;
};

}  // namespace vtd::test
