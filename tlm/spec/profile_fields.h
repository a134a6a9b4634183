// SPDX-License-Identifier: MIT
// The fields of a profile by name, for scenario files and tools.
#pragma once

#include <array>

#include "tlm/spec/capability.h"

namespace vtd {

struct ProfileNumber {
  const char* name;
  const char* help;  ///< the register field, and units
  unsigned Profile::*member;
  unsigned min;
  unsigned max;
  unsigned multiple_of = 1;
};
struct ProfileFlag {
  const char* name;
  const char* help;  ///< the register field
  bool Profile::*member;
};

inline constexpr std::array kProfileNumbers{
    ProfileNumber{"host_address_width", "HAW, bits", &Profile::host_address_width, 32, 52},
    ProfileNumber{"guest_address_width", "MGAW + 1, bits", &Profile::guest_address_width, 39, 57},
    ProfileNumber{"domain_bits", "width of a domain id, 4 + 2 * ND", &Profile::domain_bits, 4, 16, 2},
    ProfileNumber{"fault_records", "NFR + 1", &Profile::fault_records, 1, 128},
    ProfileNumber{"fault_record_offset", "FRO, bytes", &Profile::fault_record_offset, 0x80, 0xFF0, 16},
    ProfileNumber{"iotlb_offset", "IRO, bytes", &Profile::iotlb_offset, 0x80, 0xFF0, 16},
    ProfileNumber{"max_address_mask", "MAMV", &Profile::max_address_mask, 0, 63},
    ProfileNumber{"max_handle_mask", "MHMV", &Profile::max_handle_mask, 0, 15},
    ProfileNumber{"pasid_bits", "PSS + 1", &Profile::pasid_bits, 1, 20},
    ProfileNumber{"version_major", "VER.MAX", &Profile::version_major, 1, 15},
    ProfileNumber{"version_minor", "VER.MIN", &Profile::version_minor, 0, 15}};

inline constexpr std::array kProfileFlags{
    ProfileFlag{"levels3", "SAGAW, 39 bit", &Profile::levels3},
    ProfileFlag{"levels4", "SAGAW, 48 bit", &Profile::levels4},
    ProfileFlag{"levels5", "SAGAW, 57 bit", &Profile::levels5},
    ProfileFlag{"superpage_2m", "SSLPS", &Profile::superpage_2m},
    ProfileFlag{"superpage_1g", "SSLPS", &Profile::superpage_1g},
    ProfileFlag{"caching_mode", "CM", &Profile::caching_mode},
    ProfileFlag{"zero_length_read", "ZLR", &Profile::zero_length_read},
    ProfileFlag{"write_buffer_flush", "RWBF", &Profile::write_buffer_flush},
    ProfileFlag{"protected_low", "PLMR", &Profile::protected_low},
    ProfileFlag{"protected_high", "PHMR", &Profile::protected_high},
    ProfileFlag{"page_selective", "PSI", &Profile::page_selective},
    ProfileFlag{"drain_write", "DWD", &Profile::drain_write},
    ProfileFlag{"drain_read", "DRD", &Profile::drain_read},
    ProfileFlag{"hitless_root", "ESRTPS", &Profile::hitless_root},
    ProfileFlag{"hitless_interrupt_root", "ESIRTPS", &Profile::hitless_interrupt_root},
    ProfileFlag{"enhanced_commands", "ECMDS", &Profile::enhanced_commands},
    ProfileFlag{"queued_invalidation", "QI", &Profile::queued_invalidation},
    ProfileFlag{"coherent", "C", &Profile::coherent},
    ProfileFlag{"pass_through", "PT", &Profile::pass_through},
    ProfileFlag{"snoop_control", "SC", &Profile::snoop_control},
    ProfileFlag{"device_tlb", "DT", &Profile::device_tlb},
    ProfileFlag{"interrupt_remapping", "IR", &Profile::interrupt_remapping},
    ProfileFlag{"extended_interrupts", "EIM", &Profile::extended_interrupts},
    ProfileFlag{"posted_interrupts", "PI", &Profile::posted_interrupts},
    ProfileFlag{"page_requests", "PRS", &Profile::page_requests},
    ProfileFlag{"performance_counters", "PMS", &Profile::performance_counters},
    ProfileFlag{"abort_dma", "ADMS", &Profile::abort_dma},
    ProfileFlag{"collapse_faults", "a source-id has one fault pending at most", &Profile::collapse_faults},
    ProfileFlag{"scalable_mode", "SMTS", &Profile::scalable_mode},
    ProfileFlag{"second_stage", "SSTS", &Profile::second_stage},
    ProfileFlag{"first_stage", "FSTS", &Profile::first_stage},
    ProfileFlag{"nesting", "NEST", &Profile::nesting},
    ProfileFlag{"first_stage_1g", "FS1GP", &Profile::first_stage_1g},
    ProfileFlag{"first_stage_5", "FS5LP", &Profile::first_stage_5},
    ProfileFlag{"second_stage_ad", "SSADS", &Profile::second_stage_ad},
    ProfileFlag{"extended_accessed", "EAFS", &Profile::extended_accessed},
    ProfileFlag{"walk_snoop", "SMPWCS", &Profile::walk_snoop},
    ProfileFlag{"pasid", "PASID", &Profile::pasid},
    ProfileFlag{"rid_pasid", "RPS", &Profile::rid_pasid},
    ProfileFlag{"rid_privileged", "RPRIVS", &Profile::rid_privileged},
    ProfileFlag{"supervisor_requests", "SRS", &Profile::supervisor_requests},
    ProfileFlag{"execute_requests", "ERS", &Profile::execute_requests},
    ProfileFlag{"page_request_drain", "PDS", &Profile::page_request_drain}};

}  // namespace vtd
