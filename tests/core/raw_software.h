// SPDX-License-Identifier: MIT
// Software that knows a unit by raw numbers only. Nothing here takes an offset or a bit from tlm/spec, so that a
// wrong one there shows.
#pragma once

#include <array>
#include <initializer_list>

#include "tests/core/core_fixture.h"
#include "tlm/spec/profiles.h"

namespace vtd::test {

class RawSoftware : public CoreFixture {
 protected:
  // Registers.
  static constexpr std::uint64_t kGcmd = 0x18, kGsts = 0x1C, kRtaddr = 0x20, kCcmd = 0x28, kFsts = 0x34, kFectl = 0x38,
                                 kFedata = 0x3C, kFeaddr = 0x40, kFeuaddr = 0x44, kIqh = 0x80, kIqt = 0x88, kIqa = 0x90,
                                 kIcs = 0x9C, kIectl = 0xA0, kIedata = 0xA4, kIeaddr = 0xA8, kIqercd = 0xB0;
  // Rights in a second-stage entry.
  static constexpr std::uint64_t kR = 1, kW = 2;
  // One device in one domain, and another of each.
  static constexpr SourceId kDevice = make_source_id(0, 3, 0);
  static constexpr SourceId kOther = make_source_id(0, 4, 0);
  static constexpr unsigned kDid = 0x15, kOtherDid = 0x16;
  static constexpr PhysAddr kTable = 0x10'0000, kOtherTable = 0x20'0000;
  static constexpr PhysAddr kQueue = 0x5'0000;

  RawSoftware() { fresh(Profile{}); }

  void fresh(const Profile& p) {
    build(p);
    forget_raw_tables();
    host->words[0x1'0000] = 0x2'0001;  // root entry of bus 0
    context(kDevice, kTable, kDid);
    start();
  }
  /// Sets the root table and enables translation.
  void start() {
    write64(kRtaddr, 0x1'0000);
    write32(kGcmd, 1U << 30);
    write32(kGcmd, 1U << 31);
  }

  // ---- registers ----
  [[nodiscard]] std::uint32_t read32(std::uint64_t offset) const {
    return static_cast<std::uint32_t>(unit->read(offset, 4));
  }
  [[nodiscard]] std::uint64_t read64(std::uint64_t offset) const { return unit->read(offset, 8); }
  void write32(std::uint64_t offset, std::uint32_t value) {
    unit->write(offset, value, 4);
    pump();
  }
  void write64(std::uint64_t offset, std::uint64_t value) {
    unit->write(offset, value, 8);
    pump();
  }
  [[nodiscard]] std::uint64_t iotlb_offset() const { return (read64(0x10) >> 8 & 0x3FF) * 16; }
  [[nodiscard]] std::uint64_t record_offset(unsigned n) const { return (read64(0x08) >> 24 & 0x3FF) * 16 + n * 16U; }
  [[nodiscard]] unsigned record_reason(unsigned n) const { return read32(record_offset(n) + 12) & 0xFF; }
  [[nodiscard]] unsigned pending() const { return read32(kFsts) >> 1 & 1; }
  void clear_record(unsigned n) { write32(record_offset(n) + 12, 1U << 31); }
  void iotlb_register(unsigned granularity, unsigned did, std::uint64_t address = 0) {
    write64(iotlb_offset(), address);
    write64(iotlb_offset() + 8, 1ULL << 63 | std::uint64_t{granularity} << 60 | std::uint64_t{did} << 32);
  }
  void context_register(unsigned granularity, unsigned did, unsigned source, unsigned function_mask = 0) {
    write64(kCcmd, 1ULL << 63 | std::uint64_t{granularity} << 61 | std::uint64_t{function_mask} << 32 |
                       std::uint64_t{source} << 16 | did);
  }

  // ---- tables ----
  void context(SourceId source, PhysAddr table, unsigned did, unsigned aw = 2) {
    const PhysAddr at = 0x2'0000 + std::uint64_t{source.devfn()} * 16;
    host->words[at] = table | 1;
    host->words[at + 8] = std::uint64_t{did} << 8 | aw;
  }
  /// Maps in a 4-level table; returns the address of the leaf entry.
  PhysAddr page_in(PhysAddr table, std::uint64_t iova, PhysAddr to, std::uint64_t rights, unsigned level = 1) {
    static constexpr unsigned kShift[] = {0, 12, 21, 30, 39};
    for (unsigned l = 4; l > level; --l) {
      std::uint64_t& entry = host->words[table + (iova >> kShift[l] & 0x1FF) * 8];
      if (entry == 0) entry = new_raw_table() | 3;
      table = entry & ~0xFFFULL;
    }
    const PhysAddr leaf = table + (iova >> kShift[level] & 0x1FF) * 8;
    host->words[leaf] = to | rights | (level > 1 ? 0x80U : 0U);
    return leaf;
  }
  PhysAddr page(std::uint64_t iova, PhysAddr to, std::uint64_t rights, unsigned level = 1) {
    return page_in(kTable, iova, to, rights, level);
  }

  // ---- DMA ----
  PhysAddr dma_to(std::uint64_t iova, SourceId source = kDevice) { return address_of(dma_read(source, iova)); }
  unsigned fault(std::uint64_t iova, Access access = Access::kRead, SourceId source = kDevice) {
    return static_cast<unsigned>(fault_of(access == Access::kRead ? dma_read(source, iova) : dma_write(source, iova)));
  }

  /// Pages for tables, above every fixed address.
  PhysAddr new_raw_table() { return next_raw_table_ += 0x1000; }
  void forget_raw_tables() { next_raw_table_ = 0x100'0000; }

 private:
  PhysAddr next_raw_table_ = 0;
};

/// Scalable mode: both halves of the context table of bus 0, one PASID directory, one PASID table. PASID 0, which is
/// also RID_PASID, is second-stage at kTable with 4 levels in domain kDid.
class RawScalable : public RawSoftware {
 protected:
  static constexpr PhysAddr kRoot = 0x1'0000, kLower = 0x2'0000, kUpper = 0x2'1000, kDirectory = 0x3'0000,
                            kPasidTable = 0x7'0000, kFirst = 0x30'0000, kOtherFirst = 0x40'0000;
  // Word 0 of a PASID entry: PGTT and AW = 4 levels, in place.
  static constexpr std::uint64_t kFirstStage = 1 << 6, kSecondStage = 2 << 6, kNested = 3 << 6, kPassThrough = 4 << 6,
                                 kAw4 = 2 << 2, kSsade = 1 << 9;
  // Bits of word 0 of a context entry.
  static constexpr std::uint64_t kFpd = 2, kDte = 4, kPaside = 8, kPre = 16;
  // First-stage entries.
  static constexpr std::uint64_t kP = 1, kRw = 2, kUs = 4, kA = 0x20, kD = 0x40, kEa = 1 << 10, kXd = 1ULL << 63;
  // Second-stage entries.
  static constexpr std::uint64_t kSsA = 0x100, kSsD = 0x200;
  /// PWSNP: A and D may be updated.
  static constexpr std::uint64_t kPwsnp = 1 << 23;
  static constexpr SourceId kUpperDevice = make_source_id(0, 19, 0);

  RawScalable() { fresh(full_profile()); }

  void fresh(const Profile& p) {
    build(p);
    forget_raw_tables();
    host->words[kRoot] = kLower | 1;
    host->words[kRoot + 8] = kUpper | 1;
    for (const SourceId source : {kDevice, kOther, kUpperDevice})
      scalable_context(source, kDirectory | (p.pasid ? kPaside : 0));
    host->words[kDirectory] = kPasidTable | 1;
    pasid_entry(0, kSecondStage | kAw4 | kTable, kDid);
    start();
  }
  /// A fresh unit with one good page at 0x5000, nothing cached yet.
  void mapped(const Profile& p = full_profile()) {
    fresh(p);
    second(0x5000, 0x9000 | kR | kW);
  }
  void start() {
    write64(kRtaddr, kRoot | 1 << 10);
    write32(kGcmd, 1U << 30);
    write32(kGcmd, 1U << 31);
  }

  // ---- tables ----
  static PhysAddr context_at(SourceId source) {
    return (source.devfn() < 128 ? kLower : kUpper) + (source.devfn() & 0x7FU) * 32U;
  }
  /// P is added.
  void scalable_context(SourceId source, std::uint64_t word0, std::uint64_t word1 = 0) {
    put(context_at(source), {word0 | 1, word1, 0, 0});
  }
  static PhysAddr pasid_at(unsigned pasid) { return kPasidTable + (pasid & 0x3FU) * 64U; }
  /// P is added. The entry is in the only PASID table, whatever the directory.
  void pasid_entry(unsigned pasid, std::uint64_t word0, std::uint64_t word1, std::uint64_t word2 = 0) {
    put(pasid_at(pasid), {word0 | 1, word1, word2, 0, 0, 0, 0, 0});
  }
  void put(PhysAddr at, std::initializer_list<std::uint64_t> words) {
    for (const std::uint64_t word : words) host->words[at] = word, at += 8;
  }
  // ---- invalidation queue, 256-bit descriptors ----
  void queue_on(std::uint64_t iqa = kQueue | 1 << 11) {
    write64(kIqa, iqa);
    write32(kGcmd, 1U << 31 | 1U << 26);
  }
  /// Queues one descriptor; 0, or the IQERCD code with which the queue stopped. Then the descriptor is replaced by a
  /// fence, so that the queue goes on.
  unsigned submit(std::uint64_t low, std::uint64_t high = 0, std::uint64_t word2 = 0, std::uint64_t word3 = 0) {
    const bool wide = (read64(kIqa) >> 11 & 1) != 0;
    const std::uint64_t size = wide ? 32 : 16, head = read64(kIqh), tail = (head + size) % 0x1000;
    put(kQueue + head, {low, high});
    if (wide) put(kQueue + head + 16, {word2, word3});
    write64(kIqt, tail);
    if ((read32(kFsts) >> 4 & 1) == 0) {
      EXPECT_EQ(read64(kIqh), tail);
      return 0;
    }
    EXPECT_EQ(read64(kIqh), head) << "the head stays at a bad descriptor";
    const unsigned code = read64(kIqercd) & 0xF;
    put(kQueue + head, {0x45, 0});
    if (wide) put(kQueue + head + 16, {0, 0});
    write32(kFsts, 1U << 4);
    EXPECT_EQ(read64(kIqh), tail) << "fetched again";
    return code;
  }

  /// Addresses of the entries of one path, by level.
  using Path = std::array<PhysAddr, 6>;
  /// Maps in a table of `levels`; entries above the leaf that are absent become `above`.
  Path map_in(PhysAddr table, unsigned levels, std::uint64_t iova, std::uint64_t leaf, unsigned level,
              std::uint64_t above) {
    Path path{};
    for (unsigned l = levels;; --l) {
      path[l] = table + (iova >> (12 + 9 * (l - 1)) & 0x1FF) * 8;
      std::uint64_t& entry = host->words[path[l]];
      if (l == level) {
        entry = leaf | (level > 1 ? 0x80U : 0U);
        return path;
      }
      if (entry == 0) entry = new_raw_table() | above;
      table = entry & 0x000F'FFFF'FFFF'F000ULL;
    }
  }
  /// Second-stage page at kTable, 4 levels.
  Path second(std::uint64_t iova, std::uint64_t leaf, unsigned level = 1) {
    return map_in(kTable, 4, iova, leaf, level, kR | kW);
  }
  /// First-stage page at kFirst, 4 levels; everything above the leaf allows everything.
  Path first(std::uint64_t iova, std::uint64_t leaf, unsigned level = 1) {
    return map_in(kFirst, 4, iova, leaf, level, kP | kRw | kUs);
  }

  // ---- DMA ----
  static DmaRequest with_pasid(DmaRequest request, unsigned pasid, bool privileged = false, bool execute = false) {
    request.pasid = Pasid{pasid};
    request.privileged = privileged;
    request.execute = execute;
    return request;
  }
  static DmaRequest request(std::uint64_t iova, Access access, SourceId source = kDevice) {
    return {.source = source, .address = iova, .length = access == Access::kZeroLengthRead ? 0U : 4U, .access = access};
  }
  unsigned reason(const DmaRequest& request) { return static_cast<unsigned>(fault_of(request)); }
  [[nodiscard]] std::uint64_t record_low(unsigned n) const { return read64(record_offset(n)); }
  [[nodiscard]] std::uint64_t record_high(unsigned n) const { return read64(record_offset(n) + 8); }
};

}  // namespace vtd::test
