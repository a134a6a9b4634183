// SPDX-License-Identifier: MIT
// Random walks of every kind through random tables that lean towards being valid, so that walks get deep. All from one
// seed.
//
// Every table serves every stage and every level: the bits that matter mean the same in both stages, and a table's own
// address, taken as a guest address, selects entries that are there.
#pragma once

#include <algorithm>
#include <map>
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
               .guest_address_width = pick<unsigned>({39, 48, 48, 57, 57, 57}),
               .superpage_2m = !one_in(4),
               .superpage_1g = !one_in(4),
               .first_stage_1g = one_in(2),
               .snoop_control = one_in(2),
               .device_tlb = one_in(2),
               .zero_length_read = one_in(2),
               .structure_caches = !one_in(4),
               .sharing = !one_in(4)};
    trouble_ = pick<unsigned>({12, 40, 200});
    while (tables_.size() < kTables) {
      const std::uint64_t table =
          below(4) << 30 | std::uint64_t{any(kIndices)} << 21 | std::uint64_t{any(kIndices)} << 12;
      if (std::find(tables_.begin(), tables_.end(), table) == tables_.end()) tables_.push_back(table);
    }
    for (const std::uint64_t table : tables_)
      for (unsigned index = 0; index < kIndices.size(); ++index) memory_.set_word(table + 8 * kIndices[index], entry());
    if (one_in(2))
      for (unsigned i = 0; i < kTables / 8; ++i) memory_.break_word(any(tables_) + 8 * any(kIndices));
    for (Domain& domain : domains_) {
      do domain.id = DomainId{static_cast<std::uint16_t>(random_())};
      while (std::count_if(std::begin(domains_), std::end(domains_), [&](auto& d) { return d.id == domain.id; }) > 1);
      domain.root = root();
      domain.levels = pick<std::uint8_t>({3, 4, 4, 5});
      domain.legacy = one_in(4);
      domain.accessed_dirty = one_in(2);
      domain.walk_snoop = !one_in(4);
      for (Space& space : domain.spaces) {
        do space.pasid = Pasid{static_cast<std::uint32_t>(below(1U << 20))};
        while (std::count_if(std::begin(domain.spaces), std::end(domain.spaces),
                             [&](auto& s) { return s.pasid == space.pasid; }) > 1);
        space.root = root();
        space.levels = pick<std::uint8_t>({4, 5});
        space.nested = one_in(2);
        space.extended_accessed = one_in(3);
      }
    }
  }

  [[nodiscard]] const WalkerConfig& config() const { return config_; }
  [[nodiscard]] FakeMemory& memory() { return memory_; }
  [[nodiscard]] static constexpr unsigned domains() { return kDomains; }
  [[nodiscard]] DomainId domain(unsigned n) const { return domains_[n].id; }

  WalkRequest request() {
    WalkRequest r;
    const Domain& domain = domains_[below(kDomains)];
    r.domain = domain.id;
    r.root = domain.root;
    r.levels = domain.levels;
    r.access =
        pick({Access::kRead, Access::kRead, Access::kWrite, Access::kWrite, Access::kZeroLengthRead, Access::kAtomic});
    if (domain.legacy) {
      r.iova = address(r.levels);
      return r;
    }
    r.kind = WalkKind::kSecondStage;
    r.accessed_dirty = domain.accessed_dirty;
    r.walk_snoop = domain.walk_snoop;
    r.report_rights = one_in(6);
    r.iova = address(r.levels);
    if (one_in(4)) return r;
    const Space& space = domain.spaces[below(kSpaces)];
    r.kind = space.nested ? WalkKind::kNested : WalkKind::kFirstStage;
    r.pasid = space.pasid;
    r.first_root = space.root;
    r.first_levels = space.levels;
    r.extended_accessed = space.extended_accessed;
    r.privileged = one_in(3);
    r.execute = one_in(6) && r.access == Access::kRead;
    r.write_protect = one_in(2);
    r.iova = address(r.first_levels);
    // Canonical.
    const unsigned top = 8 + 9 * r.first_levels + 3;
    if ((r.iova >> top & 1) != 0 && !one_in(20)) r.iova |= ~std::uint64_t{0} << top;
    return r;
  }

  /// Changes an entry of some table; the caller invalidates.
  void mutate() {
    const std::uint64_t at = any(tables_) + 8 * any(kIndices);
    memory_.set_word(at, one_in(2) ? entry() : memory_.word(at) ^ (1ULL << below(64)));
  }
  /// An invalidation of any scope; the ones that a domain or PASID needs are those of walks.
  WalkInvalidation invalidation() {
    WalkInvalidation i;
    i.scope = static_cast<WalkScope>(below(5));
    const Domain& domain = domains_[below(kDomains)];
    i.domain = domain.id;
    i.pasid = domain.spaces[below(kSpaces)].pasid;
    i.address = address(5);
    i.address_mask = static_cast<std::uint8_t>(one_in(4) ? below(64) : below(20));
    i.leaf_only = one_in(3);
    return i;
  }

  bool one_in(unsigned n) { return below(n) == 0; }
  std::uint64_t below(std::uint64_t limit) { return random_() % limit; }

 private:
  static constexpr unsigned kTables = 48, kDomains = 4, kSpaces = 3;
  static inline const std::vector<unsigned> kIndices = {0, 1, 2, 255, 256, 511};
  struct Space {
    Pasid pasid{};
    std::uint64_t root = 0;
    std::uint8_t levels = 4;
    bool nested = false, extended_accessed = false;
  };
  struct Domain {
    DomainId id{};
    std::uint64_t root = 0;
    std::uint8_t levels = 4;
    bool legacy = false, accessed_dirty = false, walk_snoop = true;
    Space spaces[kSpaces];
  };

  template <typename T>
  T any(const std::vector<T>& from) {
    return from[below(from.size())];
  }
  template <typename T>
  T pick(std::initializer_list<T> from) {
    return *(from.begin() + below(from.size()));
  }
  [[nodiscard]] std::uint64_t host_mask() const { return (1ULL << config_.host_address_width) - 0x1000; }
  std::uint64_t root() { return one_in(40) ? below(1U << 30) << 34 & 0x000F'FFFF'FFFF'F000 : any(tables_); }
  /// Of tables of so many levels; now and then beyond them. Guest addresses are low, so the upper indices are too.
  std::uint64_t address(unsigned levels) {
    std::uint64_t a = below(0x1000);
    for (unsigned level = 1; level <= levels; ++level)
      a |= std::uint64_t{level > 3 && one_in(2) ? 0 : any(kIndices)} << (3 + 9 * level);
    if (one_in(60)) a |= 1ULL << (38 + below(26));
    return a;
  }

  std::uint64_t entry() {
    if (one_in(60)) return random_();
    const bool superpage = one_in(8);
    std::uint64_t e = any(tables_);
    if (superpage) e = ((one_in(2) ? below(4) << 30 : random_()) & host_mask() & ~0x3FFF'FFFFULL) | kPageSizeBit;
    if (one_in(60)) e = 0xFEE0'0000 | below(0x100) << 12;
    e |= one_in(trouble_) ? below(8) : std::uint64_t{7};  // P, R/W, U/S; R, W, X
    if (one_in(6)) e &= ~2ULL;
    if (one_in(8)) e &= ~4ULL;
    // A, D, EA of either stage and what is ignored in both.
    e |= random_() & 0x3FF0'0000'0000'0778 & ~kPageSizeBit;
    if (one_in(2)) e |= 0x760;
    if (one_in(8)) e |= 1ULL << 63;
    if (one_in(2 * trouble_)) e |= kSnoopBit;
    if (one_in(2 * trouble_)) e |= kTransientBit;
    if (one_in(2 * trouble_)) e |= 1ULL << (12 + below(40));
    return e;
  }

  std::mt19937_64 random_;
  WalkerConfig config_;
  unsigned trouble_ = 12;
  FakeMemory memory_;
  std::vector<std::uint64_t> tables_;
  Domain domains_[kDomains];
};

}  // namespace vtd::test
