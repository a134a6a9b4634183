// SPDX-License-Identifier: MIT
// The rules of one second-stage walk (VT-d 3.7, 9.8), without any way to reach memory: the caller reads what
// next_read() names and hands it to consume(). The reference walker, the lockstep shadow and debug translation
// are all this class with different readers.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "tlm/core/walker.h"

namespace vtd {

/// kNone if the rights allow the access, else the reason: without W kWritePermission for a write or an atomic, else
/// kReadPermission. A zero-length read needs R, or W when `zero_length_read` (CAP.ZLR).
[[nodiscard]] FaultReason rights_fault(Access access, bool readable, bool writable, bool zero_length_read);

/// Verdict on one paging entry. Order of the checks: present (R or W), reserved bits, rights.
///
/// X (bit 2) is ignored in legacy mode, so an entry with R = W = 0 is not present whatever X says. Rights are the
/// AND over the path and are checked at every level: the walk ends at the first entry that denies the access, even
/// if an entry below it has reserved bits set. In one entry reserved bits go before rights, because an entry that
/// breaks the format says nothing about rights; QEMU looks at the rights first, so a present entry with reserved
/// bits that also denies the access is C here and 5 or 6 there.
/// Non-leaf entries reserve bits 11 and 62 (as in QEMU's VTD_SPTE_PAGE_Lx masks); leaves reserve SNP without
/// ECAP.SC and TM without ECAP.DT.
struct EntryVerdict {
  FaultReason fault = FaultReason::kNone;
  bool leaf = false;
};
[[nodiscard]] EntryVerdict check_entry(const WalkerConfig& config, std::uint64_t entry, unsigned level, Access access,
                                       bool path_readable, bool path_writable);

class SecondStageWalk {
 public:
  /// `request.levels` is 3, 4 or 5. An address beyond the width of the levels, and a root table beyond the host
  /// address width (an access error), end the walk before any read.
  SecondStageWalk(const WalkerConfig& config, const WalkRequest& request);

  /// Address of the entry that the rules require next; nullopt when the walk has ended.
  [[nodiscard]] std::optional<PhysAddr> next_read() const;
  /// The entry at next_read(), or the news that it could not be read. Only while next_read() has a value.
  void consume(std::uint64_t entry, bool error);
  /// The outcome; meaningful once next_read() is empty.
  [[nodiscard]] const WalkResponse& result() const { return response_; }
  [[nodiscard]] const WalkRequest& request() const { return request_; }

 private:
  /// Ends the walk before any read.
  void refuse(FaultReason fault);
  /// Ends the walk at the entry of the current level.
  void end_with(FaultReason fault);

  WalkerConfig config_;
  WalkRequest request_;
  WalkResponse response_;
  PhysAddr table_;
  std::uint8_t level_;  ///< of the entry to read next; 0 when the walk has ended
};

/// Reads one entry; nullopt is a bus error.
using EntryReader = std::function<std::optional<std::uint64_t>(PhysAddr)>;
/// One walk from beginning to end.
[[nodiscard]] WalkResponse reference_walk(const WalkerConfig& config, const WalkRequest& request,
                                          const EntryReader& read);

}  // namespace vtd
