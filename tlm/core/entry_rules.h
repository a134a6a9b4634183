// SPDX-License-Identifier: MIT
// Verdicts on single paging entries (VT-d 9.7, 9.8) and on rights. Pure.
#pragma once

#include <cstdint>

#include "tlm/core/walker.h"

namespace vtd {

/// kNone if the rights allow the access, else the reason: without W kWritePermission for a write or an atomic, else
/// kReadPermission. A zero-length read needs R, or W when `zero_length_read` (CAP.ZLR).
[[nodiscard]] FaultReason rights_fault(Access access, bool readable, bool writable, bool zero_length_read);

/// Verdict on one second-stage entry of legacy mode. Order of the checks: present (R or W), reserved bits, rights.
///
/// X (bit 2) is ignored, so an entry with R = W = 0 is not present whatever X says. Rights are the AND over the path
/// and are checked at every level: the walk ends at the first entry that denies the access, even if an entry below
/// it has reserved bits set. In one entry reserved bits go before rights, because an entry that breaks the format
/// says nothing about rights; QEMU looks at the rights first, so a present entry with reserved bits that also denies
/// the access is C here and 5 or 6 there.
/// Non-leaf entries reserve bits 11 and 62 (as in QEMU's VTD_SPTE_PAGE_Lx masks); leaves reserve SNP without
/// ECAP.SC and TM without ECAP.DT.
struct EntryVerdict {
  FaultReason fault = FaultReason::kNone;
  bool leaf = false;
};
[[nodiscard]] EntryVerdict check_entry(const WalkerConfig& config, std::uint64_t entry, unsigned level, Access access,
                                       bool path_readable, bool path_writable);

/// The same of scalable mode, without rights: they are judged at the leaf, so that A of every entry used is set.
/// kSsNotPresent (R = W = 0) or kSsReserved.
[[nodiscard]] EntryVerdict check_second_stage(const WalkerConfig& config, std::uint64_t entry, unsigned level);

/// Verdict on one first-stage entry: kFsNotPresent or kFsReserved. With `nested` the address is a guest address,
/// which HAW does not limit. XD is never reserved: NXE (bit 133 of the PASID entry) is ignored since revision 4.
[[nodiscard]] EntryVerdict check_first_stage(const WalkerConfig& config, std::uint64_t entry, unsigned level,
                                             bool nested);

/// Rights of a whole path in scalable mode.
struct PathRights {
  bool readable = true;             ///< of the second stage
  bool writable = true;             ///< of both stages: what user requests need, and supervisor requests with WPE
  bool user = true;                 ///< U/S of the first stage
  bool executable = true;           ///< no XD in the first stage
  bool supervisor_writable = true;  ///< what supervisor requests without WPE need: W of the second stage
  friend bool operator==(const PathRights&, const PathRights&) = default;
};
/// Who asks for what.
struct Asked {
  Access access = Access::kRead;
  bool privileged = false;
  bool execute = false;
  bool write_protect = false;  ///< WPE of the PASID entry
};
/// True if a write by this request is allowed.
[[nodiscard]] bool may_write(const Asked& asked, const PathRights& rights);
/// kNone, kUserPrivilege, kExecutePermission, kSmWritePermission or kSmReadPermission, in this order.
[[nodiscard]] FaultReason scalable_rights_fault(const Asked& asked, const PathRights& rights, bool zero_length_read);

}  // namespace vtd
