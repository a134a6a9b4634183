// SPDX-License-Identifier: MIT
// From source-id and PASID to what translates a request: root and context entry, legacy (VT-d 3.4.2, 9.1, 9.3) and
// scalable (3.4.3, 9.2, 9.4), PASID directory and PASID entry (9.5, 9.6). Reads memory, touches no cache.
//
// Order in each structure: fetched, P, reserved bits (a field that needs a capability which the profile lacks counts
// as reserved), programming. FPD is collected over all entries that were read, those with P=0 included.
#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "tlm/core/context_entry.h"
#include "tlm/core/request.h"
#include "tlm/spec/capability.h"

namespace vtd {

/// Reads out.size() words at a naturally aligned address as one access; false: bus error.
using ReadFunction = std::function<bool(PhysAddr address, std::span<std::uint64_t> out)>;

/// The root table as latched from RTADDR.
struct RootPointer {
  PhysAddr address = 0;
  TableMode mode = TableMode::kLegacy;
};

/// Reads and checks root and context entry: one 128-bit access each, the scalable context entry 256-bit. Of a
/// scalable root entry only the half that devfn[7] selects is looked at. The result's `fault` is kNone or one of
/// 8, 1, A, 9, 2, B, 3; 38, 39, 3A, 40, 41, 42, 43 (RID_PASID beyond the directory), 48 (RID_PASID wider than PSS).
[[nodiscard]] ContextEntry fetch_context(const Profile& profile, const RootPointer& root, SourceId source,
                                         const ReadFunction& read);

/// Checks a fetched context entry alone.
[[nodiscard]] ContextEntry check_context(const Profile& profile, const ctx::Entry& raw);
[[nodiscard]] ContextEntry check_context(const Profile& profile, const sctx::Entry& raw);

/// The address space of a legacy context entry.
[[nodiscard]] AddressSpace legacy_space(const ContextEntry& context);

/// Reads and checks PASID directory entry (64 bit) and PASID entry (four accesses of 128 bit, ascending). `pasid` must
/// be below context.pasid_count. `fault` is kNone or one of 50, 51, 52, 58, 59, 5A, 5B.
[[nodiscard]] AddressSpace fetch_space(const Profile& profile, const ContextEntry& context, Pasid pasid,
                                       const ReadFunction& read);
/// Checks a fetched PASID entry alone.
[[nodiscard]] AddressSpace check_pasid_entry(const Profile& profile, const pasid::Entry& raw);

/// What the context entry says of a request: kRequestTypeBlocked, kSmDeviceTlbDisabled, kSmPasidDisabled,
/// kSmPasidBeyondDirectory, kSmPageRequestDisabled, or kNone.
[[nodiscard]] FaultReason context_fault(const ContextEntry& context, const DmaRequest& request);

/// The PASID whose entry translates a request in scalable mode: its own, or RID_PASID.
[[nodiscard]] Pasid effective_pasid(const ContextEntry& context, const DmaRequest& request);
/// True for a supervisor request: PR of a request with PASID, RID_PRIV of one without.
[[nodiscard]] bool is_privileged(const ContextEntry& context, const DmaRequest& request);

/// Of an address that is not translated, because it is already (ATS) or passes through: kInterruptRange or
/// kSmInterruptRange, kAddressBeyondWidth or kSsBeyondWidth (at or above HAW), or kNone.
[[nodiscard]] FaultReason host_address_fault(const Profile& profile, bool scalable, const DmaRequest& request);

/// What can be said of a request once its address space is known, before any paging entry is read:
/// kSmSupervisorDisabled, kSmExecuteDisabled, kInterruptRange or kSmInterruptRange (requests to FEEx_xxxx
/// without PASID that are no interrupts, or without translation), kAddressBeyondWidth or kSsBeyondWidth, or kNone.
[[nodiscard]] FaultReason request_fault(const Profile& profile, const ContextEntry& context, const AddressSpace& space,
                                        const DmaRequest& request);

}  // namespace vtd
