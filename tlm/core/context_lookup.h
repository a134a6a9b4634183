// SPDX-License-Identifier: MIT
// From source-id to context entry through the root table, legacy mode (VT-d 3.4.2, 9.1, 9.3). Reads memory,
// touches no cache.
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

/// Reads and checks root and context entry, each as one 128-bit access, in the order fetched, P, reserved bits,
/// programming. The result's `fault` is kNone or one of 8, 1, A, 9, 2, B, 3; `fault_disabled` is the FPD of a
/// context entry that was read, also of one with P=0.
[[nodiscard]] ContextEntry fetch_context(const Profile& profile, const RootPointer& root, SourceId source,
                                         const ReadFunction& read);

/// Checks a fetched context entry alone: P, reserved bits, programming.
[[nodiscard]] ContextEntry check_context(const Profile& profile, const ctx::Entry& raw);

/// What can be said of a request once its context entry is known, before any paging entry is read:
/// kRequestTypeBlocked, kInterruptRange (read or atomic to FEEx_xxxx), kAddressBeyondWidth, or kNone.
[[nodiscard]] FaultReason request_fault(const Profile& profile, const ContextEntry& context, const DmaRequest& request);

}  // namespace vtd
