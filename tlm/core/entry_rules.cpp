// SPDX-License-Identifier: MIT
#include "tlm/core/entry_rules.h"

#include "tlm/spec/paging.h"

namespace vtd {
namespace {

bool superpage_supported(const WalkerConfig& config, unsigned level) {
  return (level == 2 && config.superpage_2m) || (level == 3 && config.superpage_1g);
}

/// Address bits below the page of a leaf at `level`.
std::uint64_t low_address_bits(unsigned level) {
  return level > 1 ? bit_range(level_shift(level) - 1, kPageShift) : 0;
}

/// Reserved bits of a present entry that is used as a leaf or as a pointer to a table (VT-d 9.8).
std::uint64_t reserved_bits(const WalkerConfig& config, unsigned level, bool leaf) {
  std::uint64_t mask = bit_range(ss::kADDR.hi, config.host_address_width);
  if (!leaf) return mask | ss::kSNP.mask() | ss::kTM.mask();
  if (!config.snoop_control) mask |= ss::kSNP.mask();
  if (!config.device_tlb) mask |= ss::kTM.mask();
  return mask | low_address_bits(level);
}

/// kNone, or the reserved-bit fault of a present second-stage entry.
FaultReason second_stage_format(const WalkerConfig& config, std::uint64_t entry, unsigned level, bool leaf,
                                FaultReason reserved) {
  const bool page_size = level > 1 && leaf;
  if (page_size && !superpage_supported(config, level)) return reserved;
  return (entry & reserved_bits(config, level, leaf)) != 0 ? reserved : FaultReason::kNone;
}

bool is_second_stage_leaf(std::uint64_t entry, unsigned level) {
  return level == 1 || ss::kPS.get(entry) != 0;
}

}  // namespace

FaultReason rights_fault(Access access, bool readable, bool writable, bool zero_length_read) {
  if (writes(access) && !writable) return FaultReason::kWritePermission;
  if (access == Access::kWrite || readable) return FaultReason::kNone;
  if (access == Access::kZeroLengthRead && zero_length_read && writable) return FaultReason::kNone;
  return FaultReason::kReadPermission;
}

EntryVerdict check_entry(const WalkerConfig& config, std::uint64_t entry, unsigned level, Access access,
                         bool path_readable, bool path_writable) {
  const bool r = ss::kR.get(entry) != 0;
  const bool w = ss::kW.get(entry) != 0;
  const bool leaf = is_second_stage_leaf(entry, level);
  if (!r && !w) return {rights_fault(access, false, false, config.zero_length_read), leaf};
  const auto format = second_stage_format(config, entry, level, leaf, FaultReason::kPagingEntryReserved);
  if (format != FaultReason::kNone) return {format, leaf};
  return {rights_fault(access, path_readable && r, path_writable && w, config.zero_length_read), leaf};
}

EntryVerdict check_second_stage(const WalkerConfig& config, std::uint64_t entry, unsigned level) {
  const bool leaf = is_second_stage_leaf(entry, level);
  if (ss::kR.get(entry) == 0 && ss::kW.get(entry) == 0) return {FaultReason::kSsNotPresent, leaf};
  return {second_stage_format(config, entry, level, leaf, FaultReason::kSsReserved), leaf};
}

EntryVerdict check_first_stage(const WalkerConfig& config, std::uint64_t entry, unsigned level, bool nested) {
  const bool page_size = level > 1 && fs::kPS.get(entry) != 0;
  const bool leaf = level == 1 || page_size;
  if (fs::kP.get(entry) == 0) return {FaultReason::kFsNotPresent, leaf};
  const bool supported = level == 2 || (level == 3 && config.first_stage_1g);
  std::uint64_t reserved = nested ? 0 : bit_range(fs::kADDR.hi, config.host_address_width);
  if (page_size) reserved |= low_address_bits(level) & ~fs::kPAT.mask();
  const bool bad = (page_size && !supported) || (entry & reserved) != 0;
  return {bad ? FaultReason::kFsReserved : FaultReason::kNone, leaf};
}

bool may_write(const Asked& asked, const PathRights& rights) {
  return asked.privileged && !asked.write_protect ? rights.supervisor_writable : rights.writable;
}

FaultReason scalable_rights_fault(const Asked& asked, const PathRights& rights, bool zero_length_read) {
  if (!asked.privileged && !rights.user) return FaultReason::kUserPrivilege;
  if (asked.execute && !rights.executable) return FaultReason::kExecutePermission;
  switch (rights_fault(asked.access, rights.readable, may_write(asked, rights), zero_length_read)) {
    case FaultReason::kWritePermission:
      return FaultReason::kSmWritePermission;
    case FaultReason::kReadPermission:
      return FaultReason::kSmReadPermission;
    default:
      return FaultReason::kNone;
  }
}

}  // namespace vtd
