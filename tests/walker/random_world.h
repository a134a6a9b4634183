// SPDX-License-Identifier: MIT
// Random walks through random tables that lean towards being valid, so that walks get deep. All from one seed.
#pragma once

#include <random>
#include <vector>

#include "tests/support/fake_memory.h"
#include "tests/support/table_builder.h"
#include "tests/walker/walker_bench.h"

namespace vtd::test {

class RandomWorld {
 public:
  explicit RandomWorld(std::uint64_t seed) : random_(seed) {
    config_ = {.host_address_width = pick<unsigned>({36, 39, 46, 52}),
               .superpage_2m = !one_in(4),
               .superpage_1g = !one_in(4),
               .snoop_control = one_in(2),
               .device_tlb = one_in(2),
               .zero_length_read = one_in(2)};
    for (unsigned i = 0; i < kTables; ++i) tables_.push_back((below(1U << 24) << 12) & host_mask());
    for (const std::uint64_t table : tables_)
      for (unsigned index : kIndices) memory_.set_word(table + 8 * index, entry());
    for (unsigned i = 0; i < kTables / 8; ++i) memory_.break_word(any(tables_) + 8 * any(kIndices));
  }

  [[nodiscard]] const WalkerConfig& config() const { return config_; }
  [[nodiscard]] const FakeMemory& memory() const { return memory_; }

  WalkRequest request() {
    WalkRequest r;
    r.levels = pick<std::uint8_t>({3, 4, 4, 5});
    for (unsigned level = 1; level <= r.levels; ++level) r.iova |= std::uint64_t{any(kIndices)} << (3 + 9 * level);
    r.iova |= below(0x1000);
    if (one_in(40)) r.iova |= 1ULL << (38 + below(26));
    r.root = one_in(60) ? below(1U << 30) << 34 : any(tables_);
    r.access =
        pick({Access::kRead, Access::kRead, Access::kWrite, Access::kWrite, Access::kZeroLengthRead, Access::kAtomic});
    return r;
  }

  bool one_in(unsigned n) { return below(n) == 0; }
  std::uint64_t below(std::uint64_t limit) { return random_() % limit; }

 private:
  static constexpr unsigned kTables = 48;
  static inline const std::vector<unsigned> kIndices = {0, 1, 255, 256, 511};

  template <typename T>
  T any(const std::vector<T>& from) {
    return from[below(from.size())];
  }
  template <typename T>
  T pick(std::initializer_list<T> from) {
    return *(from.begin() + below(from.size()));
  }
  [[nodiscard]] std::uint64_t host_mask() const { return (1ULL << config_.host_address_width) - 0x1000; }

  /// Tables are used at every level, so an entry is a pointer at one and a leaf at another.
  std::uint64_t entry() {
    if (one_in(60)) return random_();
    const bool superpage = one_in(6);
    std::uint64_t e = superpage ? (random_() & host_mask() & ~0x3FFF'FFFFULL) | kPageSizeBit : any(tables_);
    e |= one_in(12) ? below(3) : std::uint64_t{kReadWrite};
    e |= random_() & 0xBFF0'0000'0000'077C;  // ignored everywhere
    if (one_in(80)) e |= kSnoopBit;
    if (one_in(80)) e |= kTransientBit;
    if (one_in(60)) e |= 1ULL << (12 + below(40));
    return e;
  }

  std::mt19937_64 random_;
  WalkerConfig config_;
  FakeMemory memory_;
  std::vector<std::uint64_t> tables_;
};

}  // namespace vtd::test
