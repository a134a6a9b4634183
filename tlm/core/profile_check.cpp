// SPDX-License-Identifier: MIT
#include "tlm/core/profile_check.h"

#include <stdexcept>
#include <string>

#include "tlm/core/register_file.h"

namespace vtd {
namespace {

void require(bool condition, const char* what) {
  if (!condition) throw std::invalid_argument(what);
}

/// `feature` is announced without `needed`.
void needs(bool feature, const char* name, bool needed, const char* needed_name) {
  if (feature && !needed) throw std::invalid_argument(std::string(name) + " needs " + needed_name);
}

void check_ranges(const Profile& p) {
  require(p.host_address_width >= 32 && p.host_address_width <= 52, "HAW must be 32..52 bits");
  require(p.levels3 || p.levels4 || p.levels5, "SAGAW: at least one table depth is needed");
  require(p.guest_address_width >= 39 && p.guest_address_width <= 57, "MGAW must be 39..57 bits");
  require(p.domain_bits >= 4 && p.domain_bits <= 16 && p.domain_bits % 2 == 0, "domain ids must have 4, 6, .. 16 bits");
  require(p.fault_records >= 1 && p.fault_records <= 256, "there must be 1..256 fault records");
  require(is_aligned(p.fault_record_offset, 16) && is_aligned(p.iotlb_offset, 16),
          "fault record and IOTLB offsets must be multiples of 16");
  require(cap::kMAMV.fits(p.max_address_mask), "MAMV must be 0..63");
  require(p.max_handle_mask <= 15, "MHMV must be 0..15");
  require(p.pasid_bits >= 1 && p.pasid_bits <= 20, "PASIDs must have 1..20 bits");
}

/// Registers that the profile places must not lie on others.
void check_places(const Profile& p) {
  struct Range {
    const char* name;
    std::uint64_t first;
    std::uint64_t bytes;
  };
  const Range placed[] = {
      {"FRO: the fault records", p.fault_record_offset, std::uint64_t{p.fault_records} * frcd::kBytes},
      {"IRO: IVA and IOTLB", p.iotlb_offset, 16}};
  const auto meet = [](const Range& a, const Range& b) {
    return a.first < b.first + b.bytes && b.first < a.first + a.bytes;
  };
  const auto clash = [](const Range& a, const char* other) {
    throw std::invalid_argument(std::string(a.name) + " lie on " + other);
  };
  for (const Range& range : placed) {
    if (range.first + range.bytes > kUnitMmioSize) clash(range, "addresses beyond the unit");
    for (const Register& reg : kRegisters)
      if (reg.offset != Register::kPlaced && implemented(reg.id, p) &&
          meet(range, {reg.name, reg.offset, reg.bits / 8U}))
        clash(range, reg.name);
    constexpr std::uint64_t kCounterEnd = perf::kCounterOffset + (perf::kCounterCount - 1) * perf::kCounterStride + 8;
    const Range counters{"", perf::kConfigurationOffset, kCounterEnd - perf::kConfigurationOffset};
    if (p.performance_counters && meet(range, counters)) clash(range, "the performance counters");
  }
  if (meet(placed[0], placed[1])) clash(placed[1], "the fault records");
}

}  // namespace

void check_profile(const Profile& p) {
  check_ranges(p);
  check_places(p);
  needs(p.scalable_mode, "SMTS", p.queued_invalidation, "QI");
  needs(p.scalable_mode, "SMTS", p.second_stage || p.first_stage, "SSTS or FSTS");
  needs(p.first_stage, "FSTS", p.scalable_mode, "SMTS");
  needs(p.second_stage, "SSTS", p.scalable_mode, "SMTS");
  needs(p.nesting, "NEST", p.first_stage && p.second_stage, "FSTS and SSTS");
  needs(p.first_stage_1g, "FS1GP", p.first_stage, "FSTS");
  needs(p.first_stage_5, "FS5LP", p.first_stage, "FSTS");
  needs(p.second_stage_ad, "SSADS", p.second_stage, "SSTS");
  needs(p.extended_accessed, "EAFS", p.first_stage, "FSTS");
  needs(p.walk_snoop, "SMPWCS", p.scalable_mode, "SMTS");
  needs(p.pasid, "PASID", p.scalable_mode, "SMTS");
  needs(p.rid_pasid, "RPS", p.scalable_mode, "SMTS");
  needs(p.rid_privileged, "RPRIVS", p.scalable_mode && p.supervisor_requests, "SMTS and SRS");
  needs(p.supervisor_requests, "SRS", p.first_stage, "FSTS");
  needs(p.execute_requests, "ERS", p.first_stage && p.pasid, "FSTS and PASID");
  needs(p.device_tlb, "DT", p.queued_invalidation, "QI");
  needs(p.page_requests, "PRS", p.device_tlb && p.scalable_mode, "DT and SMTS");
  needs(p.page_request_drain, "PDS", p.page_requests, "PRS");
  needs(p.interrupt_remapping, "IR", p.queued_invalidation, "QI");
  needs(p.extended_interrupts, "EIM", p.interrupt_remapping, "IR");
  needs(p.posted_interrupts, "PI", p.interrupt_remapping, "IR");
  needs(p.hitless_interrupt_root, "ESIRTPS", p.interrupt_remapping, "IR");
  needs(p.performance_counters, "PMS", p.enhanced_commands, "ECMDS");
}

}  // namespace vtd
