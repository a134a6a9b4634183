// SPDX-License-Identifier: MIT
#include "firmware/vtd/fault_log.h"

#include "firmware/hal/console.h"

namespace vtd::fw {
namespace {

void report(const frcd::Entry& record) {
  const SourceId sid{static_cast<std::uint16_t>(record.get(frcd::kSID))};
  hal::print("vtd: fault ", Bdf{sid}, record.get(frcd::kT1) != 0 ? " read " : " write ", Hex{record.address(frcd::kFI)},
             " reason ", Hex{record.get(frcd::kFR)});
}

}  // namespace

FaultDrain drain_faults(const Registers& registers, std::uint64_t cap) {
  FaultDrain out;
  const std::uint64_t status = registers.read(RegId::kFSTS);
  const unsigned count = frcd_count(cap);
  const auto first = static_cast<unsigned>(fsts::kFRI.get(status));
  for (unsigned i = 0; i < count; ++i) {
    const std::uint64_t low_at = frcd_offset(cap) + std::uint64_t{(first + i) % count} * frcd::kBytes;
    frcd::Entry record;
    record.words[1] = registers.read64(low_at + 8);
    if (record.get(frcd::kF) == 0) continue;
    record.words[0] = registers.read64(low_at);
    report(record);
    registers.write64(low_at + 8, frcd::kF.mask());
    ++out.records;
  }
  out.overflow = fsts::kPFO.get(status) != 0;
  if (out.overflow) registers.write(RegId::kFSTS, fsts::kPFO.mask());
  return out;
}

}  // namespace vtd::fw
