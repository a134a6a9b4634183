// SPDX-License-Identifier: MIT
#include "tlm/core/second_stage_walk.h"

#include "tlm/spec/paging.h"

namespace vtd {
namespace {

bool superpage_supported(const WalkerConfig& config, unsigned level) {
  return (level == 2 && config.superpage_2m) || (level == 3 && config.superpage_1g);
}

/// Reserved bits of a present entry that is used as a leaf or as a pointer to a table (VT-d 9.8).
std::uint64_t reserved_bits(const WalkerConfig& config, unsigned level, bool leaf) {
  std::uint64_t mask = bit_range(ss::kADDR.hi, config.host_address_width);
  if (!leaf) return mask | ss::kSNP.mask() | ss::kTM.mask();
  if (!config.snoop_control) mask |= ss::kSNP.mask();
  if (!config.device_tlb) mask |= ss::kTM.mask();
  if (level > 1) mask |= bit_range(level_shift(level) - 1, kPageShift);
  return mask;
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
  const bool page_size = level > 1 && ss::kPS.get(entry) != 0;
  const bool leaf = level == 1 || page_size;
  if (!r && !w) return {rights_fault(access, false, false, config.zero_length_read), leaf};
  if (page_size && !superpage_supported(config, level)) return {FaultReason::kPagingEntryReserved, leaf};
  if ((entry & reserved_bits(config, level, leaf)) != 0) return {FaultReason::kPagingEntryReserved, leaf};
  return {rights_fault(access, path_readable && r, path_writable && w, config.zero_length_read), leaf};
}

SecondStageWalk::SecondStageWalk(const WalkerConfig& config, const WalkRequest& request)
    : config_(config), request_(request), table_(request.root), level_(request.levels) {
  response_.id = request.id;
  response_.readable = true;
  response_.writable = true;
  if (beyond_width(request.iova, width_of_levels(request.levels)))
    refuse(FaultReason::kAddressBeyondWidth);
  else if (beyond_width(request.root, config.host_address_width))
    refuse(FaultReason::kPagingEntryAccess);
}

std::optional<PhysAddr> SecondStageWalk::next_read() const {
  if (level_ == 0) return std::nullopt;
  return entry_address(table_, request_.iova, level_);
}

void SecondStageWalk::consume(std::uint64_t entry, bool error) {
  ++response_.reads;
  if (error) return end_with(FaultReason::kPagingEntryAccess);
  const EntryVerdict verdict =
      check_entry(config_, entry, level_, request_.access, response_.readable, response_.writable);
  if (verdict.fault != FaultReason::kNone) return end_with(verdict.fault);
  response_.readable = response_.readable && ss::kR.get(entry) != 0;
  response_.writable = response_.writable && ss::kW.get(entry) != 0;
  table_ = ss::kADDR.in_place(entry);
  if (!verdict.leaf) {
    --level_;
    return;
  }
  response_.level = level_;
  response_.page = table_;
  response_.snoop = ss::kSNP.get(entry) != 0;
  response_.transient = ss::kTM.get(entry) != 0;
  level_ = 0;
}

void SecondStageWalk::refuse(FaultReason fault) {
  level_ = 0;
  end_with(fault);
}

void SecondStageWalk::end_with(FaultReason fault) {
  response_.fault = fault;
  response_.level = level_;
  response_.readable = false;
  response_.writable = false;
  level_ = 0;
}

WalkResponse reference_walk(const WalkerConfig& config, const WalkRequest& request, const EntryReader& read) {
  SecondStageWalk walk(config, request);
  while (const auto address = walk.next_read()) {
    const auto entry = read(*address);
    walk.consume(entry.value_or(0), !entry.has_value());
  }
  return walk.result();
}

}  // namespace vtd
