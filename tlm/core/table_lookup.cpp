// SPDX-License-Identifier: MIT
#include "tlm/core/table_lookup.h"

#include <algorithm>

#include "tlm/spec/paging.h"

namespace vtd {
namespace {

ContextEntry faulted(FaultReason reason, bool fault_disabled = false) {
  ContextEntry entry;
  entry.fault = reason;
  entry.fault_disabled = fault_disabled;
  return entry;
}

AddressSpace no_space(FaultReason reason, bool fault_disabled) {
  AddressSpace space;
  space.fault = reason;
  space.fault_disabled = fault_disabled;
  space.kind = WalkKind::kSecondStage;
  return space;
}

/// Hardware does not implement the bits of a DID beyond its width (VT-d 9.3).
DomainId domain_of(const Profile& profile, std::uint64_t did) {
  return DomainId{static_cast<std::uint16_t>(did % domain_count(profile))};
}

bool reserved_bits_set(const root::Entry& raw, unsigned host_address_width) {
  constexpr std::array<std::uint64_t, 2> kReserved{bit_range(11, 1), bit_range(63, 0)};
  return raw.any(kReserved) || beyond_width(raw.address(root::kCTP), host_address_width);
}

/// TT, AW: what the unit can do (VT-d 9.3). Pass-through needs the largest supported width.
bool programming_valid(const Profile& profile, TranslationType type, unsigned levels) {
  if (type == TranslationType::kReserved) return false;
  if (type == TranslationType::kDeviceTlb && !profile.device_tlb) return false;
  if (type == TranslationType::kPassThrough) return profile.pass_through && levels == max_levels(profile);
  return supports_levels(profile, levels);
}

/// Bits of present fields whose capability the profile lacks.
template <std::size_t N>
bool unsupported(const Record<N>& raw, const Field& field, bool supported) {
  return !supported && raw.get(field) != 0;
}

bool reserved_bits_set(const Profile& profile, const sctx::Entry& raw) {
  return raw.any(sctx::kReserved) || beyond_width(raw.address(sctx::kPASIDDIRPTR), profile.host_address_width) ||
         unsupported(raw, sctx::kDTE, profile.device_tlb) || unsupported(raw, sctx::kPASIDE, profile.pasid) ||
         unsupported(raw, sctx::kPRE, profile.page_requests) || unsupported(raw, sctx::kRID_PASID, profile.rid_pasid) ||
         unsupported(raw, sctx::kRID_PRIV, profile.rid_privileged);
}

bool reserved_bits_set(const Profile& profile, const pasid::Entry& raw) {
  const bool nested = static_cast<PasidTranslation>(raw.get(pasid::kPGTT)) == PasidTranslation::kNested;
  const bool first_beyond = !nested && beyond_width(raw.address(pasid::kFSPTPTR), profile.host_address_width);
  return raw.any(pasid::kReserved) || first_beyond ||
         beyond_width(raw.address(pasid::kSSPTPTR), profile.host_address_width) ||
         unsupported(raw, pasid::kSSADE, profile.second_stage_ad) ||
         unsupported(raw, pasid::kPWSNP, profile.walk_snoop) ||
         unsupported(raw, pasid::kPGSNP, profile.snoop_control) || unsupported(raw, pasid::kCD, false) ||
         unsupported(raw, pasid::kEMTE, false) || unsupported(raw, pasid::kPAT, false) ||
         unsupported(raw, pasid::kSRE, profile.supervisor_requests) ||
         unsupported(raw, pasid::kERE, profile.execute_requests) ||
         unsupported(raw, pasid::kFSPM, profile.first_stage) || unsupported(raw, pasid::kWPE, profile.first_stage) ||
         unsupported(raw, pasid::kEAFE, profile.extended_accessed) ||
         unsupported(raw, pasid::kFSPTPTR, profile.first_stage);
}

struct Modes {
  bool first = false;
  bool second = false;
  bool pass_through = false;
};

/// PGTT, AW, FSPM against the profile; nullopt: invalid programming.
std::optional<Modes> programming(const Profile& profile, const pasid::Entry& raw) {
  Modes modes;
  switch (static_cast<PasidTranslation>(raw.get(pasid::kPGTT))) {
    case PasidTranslation::kFirstStage:
      if (!profile.first_stage) return std::nullopt;
      modes.first = true;
      break;
    case PasidTranslation::kSecondStage:
      if (!profile.second_stage) return std::nullopt;
      modes.second = true;
      break;
    case PasidTranslation::kNested:
      if (!profile.nesting) return std::nullopt;
      modes.first = modes.second = true;
      break;
    case PasidTranslation::kPassThrough:
      if (!profile.pass_through) return std::nullopt;
      modes.pass_through = true;
      break;
    default:
      return std::nullopt;
  }
  if (modes.second && !supports_levels(profile, levels_of_aw(static_cast<unsigned>(raw.get(pasid::kAW)))))
    return std::nullopt;
  const std::uint64_t mode = raw.get(pasid::kFSPM);
  if (modes.first && (mode > 1 || (mode == 1 && !profile.first_stage_5))) return std::nullopt;
  return modes;
}

ContextEntry fetch_scalable_context(const Profile& profile, const RootPointer& root, SourceId source,
                                    const ReadFunction& read) {
  root::Entry root_entry;
  const PhysAddr root_address = root.address + std::uint64_t{source.bus()} * root::kBytes;
  if (beyond_width(root_address, profile.host_address_width) || !read(root_address, root_entry.words))
    return faulted(FaultReason::kSmRootAccess);
  const bool upper = source.devfn() >= 128;
  const std::uint64_t half = root_entry.words[upper ? root::kUP.word() : root::kLP.word()];
  if (root::kLP.get(half) == 0) return faulted(FaultReason::kSmRootNotPresent);
  const PhysAddr table = root::kLCTP.in_place(half);
  if ((half & bit_range(11, 1)) != 0 || beyond_width(table, profile.host_address_width))
    return faulted(FaultReason::kSmRootReserved);

  sctx::Entry context;
  const unsigned index = source.devfn() % 128U;
  if (!read(table + std::uint64_t{index} * sctx::kBytes, context.words)) return faulted(FaultReason::kSmContextAccess);
  return check_context(profile, context);
}

}  // namespace

// ---- context entries --------------------------------------------------------------------------------------------

ContextEntry check_context(const Profile& profile, const ctx::Entry& raw) {
  const bool fpd = raw.get(ctx::kFPD) != 0;
  if (raw.get(ctx::kP) == 0) return faulted(FaultReason::kContextNotPresent, fpd);
  const auto type = static_cast<TranslationType>(raw.get(ctx::kTT));
  const bool table_used = type != TranslationType::kPassThrough;  // pass-through ignores SSPTPTR
  const bool table_beyond = table_used && beyond_width(raw.address(ctx::kSSPTPTR), profile.host_address_width);
  if (raw.any(ctx::kReserved) || table_beyond) return faulted(FaultReason::kContextReserved, fpd);
  const unsigned levels = levels_of_aw(static_cast<unsigned>(raw.get(ctx::kAW)));
  if (!programming_valid(profile, type, levels)) return faulted(FaultReason::kContextInvalid, fpd);

  ContextEntry entry;
  entry.type = type;
  entry.device_tlb = type == TranslationType::kDeviceTlb;
  entry.domain = domain_of(profile, raw.get(ctx::kDID));
  entry.table = raw.address(ctx::kSSPTPTR);
  entry.levels = static_cast<std::uint8_t>(levels);
  entry.fault_disabled = fpd;
  return entry;
}

ContextEntry check_context(const Profile& profile, const sctx::Entry& raw) {
  const bool fpd = raw.get(sctx::kFPD) != 0;
  if (raw.get(sctx::kP) == 0) return faulted(FaultReason::kSmContextNotPresent, fpd);
  if (reserved_bits_set(profile, raw)) return faulted(FaultReason::kSmContextReserved, fpd);

  ContextEntry entry;
  entry.scalable = true;
  entry.device_tlb = raw.get(sctx::kDTE) != 0;
  entry.pasid_enabled = raw.get(sctx::kPASIDE) != 0;
  entry.page_requests = raw.get(sctx::kPRE) != 0;
  entry.rid_privileged = raw.get(sctx::kRID_PRIV) != 0;
  entry.rid_pasid = Pasid{static_cast<std::uint32_t>(raw.get(sctx::kRID_PASID))};
  entry.directory = raw.address(sctx::kPASIDDIRPTR);
  entry.pasid_count = pasids_of_pdts(static_cast<unsigned>(raw.get(sctx::kPDTS)));
  if (profile.pasid) entry.pasid_count = std::min(entry.pasid_count, std::uint32_t{1} << profile.pasid_bits);
  entry.fault_disabled = fpd;
  if (entry.rid_pasid.value >= std::uint32_t{1} << profile.pasid_bits) return faulted(FaultReason::kSmRidPasid, fpd);
  if (entry.rid_pasid.value >= entry.pasid_count) return faulted(FaultReason::kSmContextInvalid, fpd);
  return entry;
}

ContextEntry fetch_context(const Profile& profile, const RootPointer& root, SourceId source, const ReadFunction& read) {
  if (root.mode == TableMode::kScalable) return fetch_scalable_context(profile, root, source, read);
  root::Entry root_entry;
  const PhysAddr root_address = root.address + std::uint64_t{source.bus()} * root::kBytes;
  if (beyond_width(root_address, profile.host_address_width) || !read(root_address, root_entry.words))
    return faulted(FaultReason::kRootTableAccess);
  if (root_entry.get(root::kP) == 0) return faulted(FaultReason::kRootNotPresent);
  if (reserved_bits_set(root_entry, profile.host_address_width)) return faulted(FaultReason::kRootReserved);

  ctx::Entry context;
  const PhysAddr context_address = root_entry.address(root::kCTP) + std::uint64_t{source.devfn()} * ctx::kBytes;
  if (!read(context_address, context.words)) return faulted(FaultReason::kContextTableAccess);
  return check_context(profile, context);
}

// ---- address spaces ---------------------------------------------------------------------------------------------

AddressSpace legacy_space(const ContextEntry& context) {
  AddressSpace space;
  space.pass_through = context.type == TranslationType::kPassThrough;
  space.domain = context.domain;
  space.second_root = context.table;
  space.second_levels = context.levels;
  return space;
}

AddressSpace check_pasid_entry(const Profile& profile, const pasid::Entry& raw) {
  const bool fpd = raw.get(pasid::kFPD) != 0;
  if (raw.get(pasid::kP) == 0) return no_space(FaultReason::kSmPasidNotPresent, fpd);
  if (reserved_bits_set(profile, raw)) return no_space(FaultReason::kSmPasidReserved, fpd);
  const auto modes = programming(profile, raw);
  if (!modes) return no_space(FaultReason::kSmPasidInvalid, fpd);

  AddressSpace space;
  space.pass_through = modes->pass_through;
  space.kind = !modes->first ? WalkKind::kSecondStage : modes->second ? WalkKind::kNested : WalkKind::kFirstStage;
  space.domain = domain_of(profile, raw.get(pasid::kDID));
  space.second_root = raw.address(pasid::kSSPTPTR);
  space.second_levels = static_cast<std::uint8_t>(levels_of_aw(static_cast<unsigned>(raw.get(pasid::kAW))));
  space.first_root = raw.address(pasid::kFSPTPTR);
  space.first_levels = raw.get(pasid::kFSPM) == 1 ? 5 : 4;
  space.accessed_dirty = modes->second && raw.get(pasid::kSSADE) != 0;
  space.walk_snoop = raw.get(pasid::kPWSNP) != 0;
  space.page_snoop = raw.get(pasid::kPGSNP) != 0;
  space.supervisor = raw.get(pasid::kSRE) != 0;
  space.execute = raw.get(pasid::kERE) != 0;
  space.write_protect = raw.get(pasid::kWPE) != 0;
  space.extended_accessed = raw.get(pasid::kEAFE) != 0;
  space.fault_disabled = fpd;
  return space;
}

AddressSpace fetch_space(const Profile& profile, const ContextEntry& context, Pasid pasid, const ReadFunction& read) {
  pasid_dir::Entry directory;
  const PhysAddr directory_address = context.directory + pasid_dir::kIndex.get(pasid.value) * pasid_dir::kBytes;
  if (beyond_width(directory_address, profile.host_address_width) || !read(directory_address, directory.words))
    return no_space(FaultReason::kSmPasidDirAccess, false);
  const bool fpd = directory.get(pasid_dir::kFPD) != 0;
  if (directory.get(pasid_dir::kP) == 0) return no_space(FaultReason::kSmPasidDirNotPresent, fpd);
  const PhysAddr table = directory.address(pasid_dir::kSMPTBLPTR);
  if (directory.any(pasid_dir::kReserved) || beyond_width(table, profile.host_address_width))
    return no_space(FaultReason::kSmPasidDirReserved, fpd);

  pasid::Entry entry;
  const PhysAddr address = table + pasid::kIndex.get(pasid.value) * pasid::kBytes;
  constexpr std::size_t kWordsAtOnce = 2;
  for (std::size_t word = 0; word < entry.words.size(); word += kWordsAtOnce)
    if (!read(address + word * sizeof(std::uint64_t), std::span(entry.words).subspan(word, kWordsAtOnce)))
      return no_space(FaultReason::kSmPasidAccess, fpd);
  AddressSpace space = check_pasid_entry(profile, entry);
  space.pasid = pasid;
  space.fault_disabled = space.fault_disabled || fpd;
  return space;
}

// ---- requests ---------------------------------------------------------------------------------------------------

Pasid effective_pasid(const ContextEntry& context, const DmaRequest& request) {
  return request.pasid.value_or(context.rid_pasid);
}

bool is_privileged(const ContextEntry& context, const DmaRequest& request) {
  return request.pasid ? request.privileged : context.rid_privileged;
}

FaultReason context_fault(const ContextEntry& context, const DmaRequest& request) {
  if (request.type != AddressType::kUntranslated && !context.device_tlb)
    return context.scalable ? FaultReason::kSmDeviceTlbDisabled : FaultReason::kRequestTypeBlocked;
  if (!context.scalable) return FaultReason::kNone;
  if (request.page_request && !context.page_requests) return FaultReason::kSmPageRequestDisabled;
  if (!request.pasid) return FaultReason::kNone;
  if (!context.pasid_enabled) return FaultReason::kSmPasidDisabled;
  return request.pasid->value < context.pasid_count ? FaultReason::kNone : FaultReason::kSmPasidBeyondDirectory;
}

FaultReason host_address_fault(const Profile& profile, bool scalable, const DmaRequest& request) {
  if (in_interrupt_range(request.address))
    return scalable ? FaultReason::kSmInterruptRange : FaultReason::kInterruptRange;
  if (!beyond_width(request.address, profile.host_address_width)) return FaultReason::kNone;
  return scalable ? FaultReason::kSsBeyondWidth : FaultReason::kAddressBeyondWidth;
}

FaultReason request_fault(const Profile& profile, const ContextEntry& context, const AddressSpace& space,
                          const DmaRequest& request) {
  const bool scalable = space.scalable();
  if (space.first_stage() && is_privileged(context, request) && !space.supervisor)
    return FaultReason::kSmSupervisorDisabled;
  if (space.first_stage() && request.execute && !space.execute) return FaultReason::kSmExecuteDisabled;
  if (!request.pasid && in_interrupt_range(request.address))
    return scalable ? FaultReason::kSmInterruptRange : FaultReason::kInterruptRange;
  if (space.pass_through) {
    const FaultReason reason = host_address_fault(profile, scalable, request);
    if (reason != FaultReason::kNone) return reason;
  }
  if (space.first_stage()) return FaultReason::kNone;
  // A scalable pass-through entry ignores AW.
  const bool any_width = space.pass_through && scalable;
  const unsigned width = any_width ? profile.guest_address_width
                                   : std::min(profile.guest_address_width, width_of_levels(space.second_levels));
  if (!beyond_width(request.address, width)) return FaultReason::kNone;
  return scalable ? FaultReason::kSsBeyondWidth : FaultReason::kAddressBeyondWidth;
}

}  // namespace vtd
