// SPDX-License-Identifier: MIT
// Software that knows a unit by raw numbers only. Nothing here takes an offset or a bit from tlm/spec, so that a
// wrong one there shows.
#pragma once

#include "tests/core/core_fixture.h"

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
    next_raw_table_ = 0x100'0000;
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
      if (entry == 0) entry = (next_raw_table_ += 0x1000) | 3;
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

 private:
  PhysAddr next_raw_table_ = 0;
};

}  // namespace vtd::test
