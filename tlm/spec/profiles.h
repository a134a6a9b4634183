// SPDX-License-Identifier: MIT
// The profiles that have a name. Any of them can be changed field by field; check_profile() of tlm/core/unit.h says
// whether the result can be built.
#pragma once

#include <array>
#include <optional>
#include <string_view>

#include "tlm/spec/capability.h"

namespace vtd {

/// The least that software accepts: registers only (no queue), 3-level tables of 4K pages, one fault record.
constexpr Profile minimal_profile() {
  Profile p;
  p.name = "minimal";
  p.host_address_width = 39;
  p.guest_address_width = 39;
  p.domain_bits = 8;
  p.fault_records = 1;
  p.fault_record_offset = 0x220;
  p.iotlb_offset = 0xF0;
  p.max_address_mask = 9;
  p.levels4 = p.levels5 = false;
  p.superpage_2m = p.superpage_1g = false;
  p.zero_length_read = false;
  p.drain_write = p.drain_read = false;
  p.queued_invalidation = false;
  p.pass_through = false;
  p.snoop_control = false;
  return p;
}

/// What stock QEMU 7.2 announces by default: CAP 00d2008c22260206, ECAP f00f4a (oracle.md section 3).
constexpr Profile qemu72_profile() {
  Profile p;
  p.name = "qemu72";
  p.host_address_width = 39;
  p.guest_address_width = 39;
  p.fault_records = 1;
  p.fault_record_offset = 0x220;
  p.iotlb_offset = 0xF0;
  p.levels4 = p.levels5 = false;
  p.zero_length_read = false;
  p.coherent = false;
  p.snoop_control = false;
  p.interrupt_remapping = true;
  p.collapse_faults = true;
  return p;
}

/// What the stories and Linux use unless they say otherwise: legacy mode, queue, every page size.
constexpr Profile linux_profile() {
  return Profile{};
}

/// Everything that this unit can do.
constexpr Profile full_profile() {
  Profile p;
  p.name = "full";
  p.protected_low = p.protected_high = true;
  p.hitless_interrupt_root = true;
  p.enhanced_commands = true;
  p.device_tlb = true;
  p.interrupt_remapping = p.extended_interrupts = p.posted_interrupts = true;
  p.page_requests = p.page_request_drain = true;
  p.performance_counters = true;
  p.abort_dma = true;
  p.scalable_mode = p.second_stage = p.first_stage = p.nesting = true;
  p.first_stage_1g = p.first_stage_5 = true;
  p.second_stage_ad = p.extended_accessed = p.walk_snoop = true;
  p.pasid = p.rid_pasid = p.rid_privileged = true;
  p.supervisor_requests = p.execute_requests = true;
  return p;
}

inline constexpr std::array<Profile, 4> kProfiles{minimal_profile(), qemu72_profile(), linux_profile(), full_profile()};

/// The profile of that name; nullopt if there is none.
constexpr std::optional<Profile> find_profile(std::string_view name) {
  for (const Profile& p : kProfiles)
    if (name == p.name) return p;
  return std::nullopt;
}

}  // namespace vtd
