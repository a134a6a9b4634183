// SPDX-License-Identifier: MIT
#include "tlm/core/context_lookup.h"

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

}  // namespace

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
  entry.domain = DomainId{static_cast<std::uint16_t>(raw.get(ctx::kDID))};
  entry.table = raw.address(ctx::kSSPTPTR);
  entry.levels = static_cast<std::uint8_t>(levels);
  entry.fault_disabled = fpd;
  return entry;
}

ContextEntry fetch_context(const Profile& profile, const RootPointer& root, SourceId source, const ReadFunction& read) {
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

FaultReason request_fault(const Profile& profile, const ContextEntry& context, const DmaRequest& request) {
  const bool device_tlb = context.type == TranslationType::kDeviceTlb;
  if (request.type != AddressType::kUntranslated && !device_tlb) return FaultReason::kRequestTypeBlocked;
  if (in_interrupt_range(request.address)) return FaultReason::kInterruptRange;
  const unsigned width = std::min(profile.guest_address_width, width_of_levels(context.levels));
  if (beyond_width(request.address, width)) return FaultReason::kAddressBeyondWidth;
  // Without tables the request's address is the host address.
  const bool identity = context.type == TranslationType::kPassThrough;
  if (identity && beyond_width(request.address, profile.host_address_width)) return FaultReason::kAddressBeyondWidth;
  return FaultReason::kNone;
}

}  // namespace vtd
