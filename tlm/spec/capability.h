// SPDX-License-Identifier: MIT
// CAP (VT-d 11.4.2), ECAP (11.4.3) and the profile from which they are computed.
#pragma once

#include <cstdint>

#include "tlm/spec/field.h"

namespace vtd {

namespace cap {
inline constexpr Field kND{"ND", 2, 0};
inline constexpr Field kAFL{"AFL", 3, 3};
inline constexpr Field kRWBF{"RWBF", 4, 4};
inline constexpr Field kPLMR{"PLMR", 5, 5};
inline constexpr Field kPHMR{"PHMR", 6, 6};
inline constexpr Field kCM{"CM", 7, 7};
inline constexpr Field kSAGAW{"SAGAW", 12, 8};
inline constexpr Field kMGAW{"MGAW", 21, 16};
inline constexpr Field kZLR{"ZLR", 22, 22};
inline constexpr Field kFRO{"FRO", 33, 24};
inline constexpr Field kSSLPS{"SSLPS", 37, 34};
inline constexpr Field kPSI{"PSI", 39, 39};
inline constexpr Field kNFR{"NFR", 47, 40};
inline constexpr Field kMAMV{"MAMV", 53, 48};
inline constexpr Field kDWD{"DWD", 54, 54};
inline constexpr Field kDRD{"DRD", 55, 55};
inline constexpr Field kFS1GP{"FS1GP", 56, 56};
inline constexpr Field kPI{"PI", 59, 59};
inline constexpr Field kFS5LP{"FS5LP", 60, 60};
inline constexpr Field kECMDS{"ECMDS", 61, 61};
inline constexpr Field kESIRTPS{"ESIRTPS", 62, 62};
inline constexpr Field kESRTPS{"ESRTPS", 63, 63};
inline constexpr Field kAll[] = {kND,  kAFL, kRWBF, kPLMR, kPHMR, kCM,    kSAGAW, kMGAW,  kZLR,   kFRO,     kSSLPS,
                                 kPSI, kNFR, kMAMV, kDWD,  kDRD,  kFS1GP, kPI,    kFS5LP, kECMDS, kESIRTPS, kESRTPS};
}  // namespace cap

namespace ecap {
inline constexpr Field kC{"C", 0, 0};
inline constexpr Field kQI{"QI", 1, 1};
inline constexpr Field kDT{"DT", 2, 2};
inline constexpr Field kIR{"IR", 3, 3};
inline constexpr Field kEIM{"EIM", 4, 4};
inline constexpr Field kPT{"PT", 6, 6};
inline constexpr Field kSC{"SC", 7, 7};
inline constexpr Field kIRO{"IRO", 17, 8};
inline constexpr Field kMHMV{"MHMV", 23, 20};
inline constexpr Field kMTS{"MTS", 25, 25};
inline constexpr Field kNEST{"NEST", 26, 26};
inline constexpr Field kPRS{"PRS", 29, 29};
inline constexpr Field kERS{"ERS", 30, 30};
inline constexpr Field kSRS{"SRS", 31, 31};
inline constexpr Field kNWFS{"NWFS", 33, 33};
inline constexpr Field kEAFS{"EAFS", 34, 34};
inline constexpr Field kPSS{"PSS", 39, 35};
inline constexpr Field kPASID{"PASID", 40, 40};
inline constexpr Field kDIT{"DIT", 41, 41};
inline constexpr Field kPDS{"PDS", 42, 42};
inline constexpr Field kSMTS{"SMTS", 43, 43};
inline constexpr Field kVCS{"VCS", 44, 44};
inline constexpr Field kSSADS{"SSADS", 45, 45};
inline constexpr Field kSSTS{"SSTS", 46, 46};
inline constexpr Field kFSTS{"FSTS", 47, 47};
inline constexpr Field kSMPWCS{"SMPWCS", 48, 48};
inline constexpr Field kRPS{"RPS", 49, 49};
inline constexpr Field kPMS{"PMS", 51, 51};
inline constexpr Field kADMS{"ADMS", 52, 52};
inline constexpr Field kRPRIVS{"RPRIVS", 53, 53};
inline constexpr Field kAll[] = {kC,    kQI,  kDT,    kIR,   kEIM,  kPT,     kSC,  kIRO,   kMHMV, kMTS,
                                 kNEST, kPRS, kERS,   kSRS,  kNWFS, kEAFS,   kPSS, kPASID, kDIT,  kPDS,
                                 kSMTS, kVCS, kSSADS, kSSTS, kFSTS, kSMPWCS, kRPS, kPMS,   kADMS, kRPRIVS};
}  // namespace ecap

/// SAGAW / AW encodings: bit or value n names a table of n + 2 levels (VT-d 11.4.2, 9.3).
constexpr unsigned levels_of_aw(unsigned aw) {
  return aw + 2;
}
constexpr unsigned aw_of_levels(unsigned levels) {
  return levels - 2;
}
/// Width in bits of the input address of a table with `levels` levels: 3 -> 39, 4 -> 48, 5 -> 57.
constexpr unsigned width_of_levels(unsigned levels) {
  return 12 + 9 * levels;
}

/// What one built unit can do. CAP and ECAP are computed from it; nothing else reads raw bits.
/// Fields are named as in CAP/ECAP; units and ranges beside each.
struct Profile {
  const char* name = "linux";
  unsigned host_address_width = 46;      ///< HAW, bits, 32..52
  unsigned guest_address_width = 57;     ///< MGAW + 1, bits, 39..57
  unsigned domain_bits = 16;             ///< DID width, 4..16, even: 4 + 2 * ND
  unsigned fault_records = 8;            ///< NFR + 1, 1..256
  unsigned fault_record_offset = 0x600;  ///< bytes, multiple of 16
  unsigned iotlb_offset = 0x500;         ///< bytes, multiple of 16; IVA there, IOTLB 8 bytes above
  unsigned max_address_mask = 18;        ///< MAMV, 0..63: largest AM of a page-selective invalidation
  unsigned max_handle_mask = 15;         ///< MHMV, 0..15: largest IM of an index-selective interrupt-entry invalidation
  unsigned pasid_bits = 20;              ///< PSS + 1, 1..20
  bool levels3 = true;                   ///< SAGAW bit 1 (39-bit)
  bool levels4 = true;                   ///< SAGAW bit 2 (48-bit)
  bool levels5 = true;                   ///< SAGAW bit 3 (57-bit)
  bool superpage_2m = true;              ///< SSLPS bit 0
  bool superpage_1g = true;              ///< SSLPS bit 1
  bool caching_mode = false;             ///< CM
  bool zero_length_read = true;          ///< ZLR
  bool write_buffer_flush = false;       ///< RWBF
  bool protected_low = false;            ///< PLMR
  bool protected_high = false;           ///< PHMR
  bool page_selective = true;            ///< PSI
  bool drain_write = true;               ///< DWD
  bool drain_read = true;                ///< DRD
  bool hitless_root = false;             ///< ESRTPS: SRTP invalidates context cache, PASID cache, IOTLB itself
  bool hitless_interrupt_root = false;   ///< ESIRTPS: SIRTP invalidates the interrupt entry cache itself
  bool enhanced_commands = false;        ///< ECMDS
  bool queued_invalidation = true;       ///< QI
  bool coherent = true;                  ///< C
  bool pass_through = true;              ///< PT
  bool snoop_control = true;             ///< SC
  bool device_tlb = false;               ///< DT
  bool interrupt_remapping = false;      ///< IR
  bool extended_interrupts = false;      ///< EIM: 32-bit destinations (x2APIC)
  bool posted_interrupts = false;        ///< PI
  bool page_requests = false;            ///< PRS
  bool performance_counters = false;     ///< PMS
  bool abort_dma = false;                ///< ADMS: TTM 11
  /// Not announced anywhere: a fault of a source-id that has a record pending is dropped silently (VT-d 7.2.1).
  bool collapse_faults = false;
  // ---- scalable mode ----
  bool scalable_mode = false;        ///< SMTS
  bool second_stage = false;         ///< SSTS (legacy mode needs no such bit)
  bool first_stage = false;          ///< FSTS
  bool nesting = false;              ///< NEST
  bool first_stage_1g = false;       ///< FS1GP
  bool first_stage_5 = false;        ///< FS5LP
  bool second_stage_ad = false;      ///< SSADS
  bool extended_accessed = false;    ///< EAFS
  bool walk_snoop = false;           ///< SMPWCS: PWSNP may be set
  bool pasid = false;                ///< PASID: requests with PASID
  bool rid_pasid = false;            ///< RPS: RID_PASID may differ from 0
  bool rid_privileged = false;       ///< RPRIVS
  bool supervisor_requests = false;  ///< SRS
  bool execute_requests = false;     ///< ERS
  bool page_request_drain = false;   ///< PDS
  unsigned version_major = 1;        ///< VER.MAX, 1..15
  unsigned version_minor = 0;        ///< VER.MIN, 0..15
};

constexpr std::uint64_t sagaw(const Profile& p) {
  return (p.levels3 ? bit(1) : 0) | (p.levels4 ? bit(2) : 0) | (p.levels5 ? bit(3) : 0);
}
constexpr unsigned max_levels(const Profile& p) {
  return p.levels5 ? 5 : p.levels4 ? 4 : 3;
}
constexpr bool supports_levels(const Profile& p, unsigned levels) {
  return levels >= 3 && levels <= 5 && (sagaw(p) & bit(aw_of_levels(levels))) != 0;
}
/// Number of domain ids the unit distinguishes.
constexpr std::uint32_t domain_count(const Profile& p) {
  return std::uint32_t{1} << p.domain_bits;
}

constexpr std::uint64_t cap_value(const Profile& p) {
  using namespace cap;
  return kND.of((p.domain_bits - 4) / 2) | kRWBF.of(p.write_buffer_flush) | kPLMR.of(p.protected_low) |
         kPHMR.of(p.protected_high) | kCM.of(p.caching_mode) | kSAGAW.of(sagaw(p)) |
         kMGAW.of(p.guest_address_width - 1) | kZLR.of(p.zero_length_read) | kFRO.of(p.fault_record_offset / 16) |
         kSSLPS.of((p.superpage_2m ? 1U : 0U) | (p.superpage_1g ? 2U : 0U)) | kPSI.of(p.page_selective) |
         kNFR.of(p.fault_records - 1) | kMAMV.of(p.max_address_mask) | kDWD.of(p.drain_write) | kDRD.of(p.drain_read) |
         kFS1GP.of(p.first_stage_1g) | kPI.of(p.posted_interrupts) | kFS5LP.of(p.first_stage_5) |
         kECMDS.of(p.enhanced_commands) | kESIRTPS.of(p.hitless_interrupt_root) | kESRTPS.of(p.hitless_root);
}
constexpr std::uint64_t ecap_value(const Profile& p) {
  using namespace ecap;
  return kC.of(p.coherent) | kQI.of(p.queued_invalidation) | kDT.of(p.device_tlb) | kIR.of(p.interrupt_remapping) |
         kEIM.of(p.extended_interrupts) | kPT.of(p.pass_through) | kSC.of(p.snoop_control) |
         kIRO.of(p.iotlb_offset / 16) | kMHMV.of(p.interrupt_remapping ? p.max_handle_mask : 0) | kNEST.of(p.nesting) |
         kPRS.of(p.page_requests) | kERS.of(p.execute_requests) | kSRS.of(p.supervisor_requests) |
         kEAFS.of(p.extended_accessed) | kPSS.of(p.pasid ? p.pasid_bits - 1 : 0) | kPASID.of(p.pasid) |
         kPDS.of(p.page_request_drain) | kSMTS.of(p.scalable_mode) | kSSADS.of(p.second_stage_ad) |
         kSSTS.of(p.scalable_mode && p.second_stage) | kFSTS.of(p.first_stage) | kSMPWCS.of(p.walk_snoop) |
         kRPS.of(p.rid_pasid) | kPMS.of(p.performance_counters) | kADMS.of(p.abort_dma) | kRPRIVS.of(p.rid_privileged);
}

/// Reads the number of domains back from a CAP value, as software does: 2^(4 + 2 * ND).
constexpr std::uint32_t domains_of_cap(std::uint64_t cap_register) {
  return std::uint32_t{1} << (4 + 2 * cap::kND.get(cap_register));
}

}  // namespace vtd
