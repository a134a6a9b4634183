// SPDX-License-Identifier: MIT
#include "tlm/core/paging_walk.h"

#include <algorithm>

#include "tlm/spec/paging.h"

namespace vtd {
namespace {

/// True if bits [63:width-1] are all the same.
bool canonical(Iova address, unsigned width) {
  const std::uint64_t upper = bit_range(63, width - 1);
  return (address & upper) == 0 || (address & upper) == upper;
}

}  // namespace

PagingWalk::PagingWalk(const WalkerConfig& config, const WalkRequest& request) : config_(config), request_(request) {
  start();
}

void PagingWalk::start() {
  response_ = {.id = request_.id, .reads = response_.reads};
  rights_ = {};
  update_count_ = update_next_ = 0;
  if (!first_stage()) {
    const auto reason = legacy() ? FaultReason::kAddressBeyondWidth : FaultReason::kSsBeyondWidth;
    const unsigned width = legacy() ? width_of_levels(request_.levels) : second_width();
    if (beyond_width(request_.iova, width)) return end_with(reason);
    return begin_second(request_.iova, Purpose::kFinal);
  }
  const unsigned width = width_of_levels(request_.first_levels);
  if (!canonical(request_.iova, width)) return end_with(FaultReason::kNotCanonical);
  if (beyond_width(request_.iova & bit_range(width - 1, 0), config_.guest_address_width))
    return end_with(FaultReason::kFsBeyondWidth);
  first_level_ = request_.first_levels;
  first_table_ = request_.first_root;
  begin_first_entry();
}

unsigned PagingWalk::second_width() const {
  return std::min(config_.guest_address_width, width_of_levels(request_.levels));
}

// ---- reads ------------------------------------------------------------------------------------------------

std::optional<PhysAddr> PagingWalk::next_read() const {
  if (ended() || update_next_ < update_count_) return std::nullopt;
  return step_ == Step::kReadFirst ? first_entry_ : entry_address(table_, input_, level_);
}

PagingWalk::Position PagingWalk::position() const {
  if (step_ == Step::kReadFirst) return {true, first_level_, request_.iova};
  return {false, level_, input_};
}

void PagingWalk::consume(std::uint64_t entry, bool error) {
  ++response_.reads;
  use(entry, error);
}

void PagingWalk::skip(std::uint64_t entry) {
  use(entry, false);
}

void PagingWalk::restart_without_answer() {
  ++response_.reads;
  start();
}

void PagingWalk::use(std::uint64_t entry, bool error) {
  if (step_ == Step::kReadFirst) return consume_first(entry, error);
  if (legacy()) return consume_legacy(entry, error);
  consume_second(entry, error);
}

void PagingWalk::begin_first_entry() {
  const std::uint64_t address = entry_address(first_table_, request_.iova, first_level_);
  if (nested()) {
    if (beyond_width(address, second_width())) return end_with(FaultReason::kNestedFsBeyondWidth);
    return begin_second(address, Purpose::kTable);
  }
  first_entry_ = address;
  level_ = first_level_;
  step_ = Step::kReadFirst;
  if (beyond_width(address, config_.host_address_width))
    end_with(first_level_ == request_.first_levels ? FaultReason::kFsRootAccess : FaultReason::kFsEntryAccess);
}

void PagingWalk::begin_second(std::uint64_t input, Purpose purpose) {
  purpose_ = purpose;
  input_ = input;
  table_ = request_.root;
  level_ = request_.levels;
  path_readable_ = path_writable_ = true;
  step_ = Step::kReadSecond;
  if (!beyond_width(request_.root, config_.host_address_width)) return;
  level_ = 0;
  end_with(legacy() ? FaultReason::kPagingEntryAccess : FaultReason::kSsRootAccess);
}

void PagingWalk::consume_legacy(std::uint64_t entry, bool error) {
  if (error) return end_with(FaultReason::kPagingEntryAccess);
  const EntryVerdict verdict = check_entry(config_, entry, level_, request_.access, path_readable_, path_writable_);
  if (verdict.fault != FaultReason::kNone) return end_with(verdict.fault);
  path_readable_ = path_readable_ && ss::kR.get(entry) != 0;
  path_writable_ = path_writable_ && ss::kW.get(entry) != 0;
  table_ = ss::kADDR.in_place(entry);
  if (!verdict.leaf) {
    --level_;
    return;
  }
  final_ = {.page = table_, .level = level_};
  rights_.readable = path_readable_;
  rights_.writable = path_writable_;
  response_.snoop = ss::kSNP.get(entry) != 0;
  response_.transient = ss::kTM.get(entry) != 0;
  finish();
}

void PagingWalk::consume_second(std::uint64_t entry, bool error) {
  const bool top = level_ == request_.levels;
  if (error) return end_with(top ? FaultReason::kSsRootAccess : FaultReason::kSsEntryAccess);
  const EntryVerdict verdict = check_second_stage(config_, entry, level_);
  path_readable_ = path_readable_ && ss::kR.get(entry) != 0;
  path_writable_ = path_writable_ && ss::kW.get(entry) != 0;
  const bool absent = verdict.fault == FaultReason::kSsNotPresent ||
                      (verdict.fault == FaultReason::kNone && !path_readable_ && !path_writable_);
  if (absent) {
    if (purpose_ == Purpose::kFinal) return end_with(FaultReason::kSsNotPresent);
    return end_with(first_level_ == request_.first_levels ? FaultReason::kNestedFsRootRead
                                                          : FaultReason::kNestedFsTableRead);
  }
  if (verdict.fault != FaultReason::kNone) return end_with(verdict.fault);
  if (verdict.leaf) return second_leaf(entry);
  const PhysAddr address = entry_address(table_, input_, level_);
  after_ = After::kNextSecond;
  if (request_.accessed_dirty && !queue_second_update(address, entry, level_, ss::kA.mask())) return;
  table_ = ss::kADDR.in_place(entry);
  --level_;
  if (update_count_ == 0) advance();
}

void PagingWalk::second_leaf(std::uint64_t entry) {
  SecondLeaf leaf;
  leaf.address = entry_address(table_, input_, level_);
  leaf.entry = entry;
  leaf.page = ss::kADDR.in_place(entry);
  leaf.level = level_;
  leaf.readable = path_readable_;
  leaf.writable = path_writable_;
  if (purpose_ == Purpose::kFinal) {
    final_ = leaf;
    return final_leaf(entry);
  }
  if (!leaf.readable)
    return end_with(first_level_ == request_.first_levels ? FaultReason::kNestedFsRootRead
                                                          : FaultReason::kNestedFsTableRead);
  table_leaf_ = leaf;
  first_entry_ = leaf.page + (input_ - align_down(input_, level_size(leaf.level)));
  after_ = After::kReadFirst;
  if (request_.accessed_dirty && !queue_second_update(leaf.address, entry, leaf.level, ss::kA.mask())) return;
  if (update_count_ == 0) advance();
}

void PagingWalk::consume_first(std::uint64_t entry, bool error) {
  const bool top = first_level_ == request_.first_levels;
  if (error) return end_with(top ? FaultReason::kFsRootAccess : FaultReason::kFsEntryAccess);
  const EntryVerdict verdict = check_first_stage(config_, entry, first_level_, nested());
  if (verdict.fault != FaultReason::kNone) return end_with(verdict.fault);
  rights_.writable = rights_.writable && fs::kRW.get(entry) != 0;
  rights_.user = rights_.user && fs::kUS.get(entry) != 0;
  rights_.executable = rights_.executable && fs::kXD.get(entry) == 0;
  if (verdict.leaf) return first_leaf(entry);
  after_ = After::kNextFirst;
  if (!queue_first_update(entry, fs::kA.mask())) return;
  first_table_ = fs::kADDR.in_place(entry);
  --first_level_;
  if (update_count_ == 0) advance();
}

// ---- leaves -----------------------------------------------------------------------------------------------

void PagingWalk::first_leaf(std::uint64_t entry) {
  first_leaf_ = entry;
  const std::uint64_t size = level_size(first_level_);
  first_page_ = align_down(fs::kADDR.in_place(entry), size);
  const std::uint64_t address = first_page_ + (request_.iova - align_down(request_.iova, size));
  if (!nested()) return final_leaf(entry);
  if (beyond_width(address, second_width())) return end_with(FaultReason::kSsBeyondWidth);
  begin_second(address, Purpose::kFinal);
}

void PagingWalk::final_leaf(std::uint64_t entry) {
  const bool second = request_.kind != WalkKind::kFirstStage;
  if (second) {
    rights_.readable = path_readable_;
    rights_.writable = rights_.writable && path_writable_;
    rights_.supervisor_writable = path_writable_;
    response_.snoop = ss::kSNP.get(entry) != 0;
    response_.transient = ss::kTM.get(entry) != 0;
  }
  const Asked asked{request_.access, request_.privileged, request_.execute, request_.write_protect};
  const FaultReason lacking = scalable_rights_fault(asked, rights_, config_.zero_length_read);
  if (lacking != FaultReason::kNone && !request_.report_rights) return end_with(lacking);
  if (in_interrupt_range(final_address())) return end_with(FaultReason::kSmInterruptRange);

  // Nothing can fault any more but the updates themselves.
  after_ = After::kFinish;
  const bool user = request_.privileged || rights_.user;
  const bool write = user && may_write(asked, rights_);
  if (lacking == FaultReason::kNone || (user && (rights_.readable || write))) {
    const bool dirty = writes(request_.access) && write;
    const std::uint64_t first = fs::kA.mask() | (dirty ? fs::kD.mask() : 0);
    if (first_stage() && !queue_first_update(first_leaf_, first)) return;
    const std::uint64_t wanted = ss::kA.mask() | (dirty ? ss::kD.mask() : 0);
    if (second && request_.accessed_dirty && !queue_second_update(final_.address, entry, final_.level, wanted)) return;
    const bool first_clean = first_stage() && !dirty && fs::kD.get(first_leaf_) == 0;
    const bool second_clean = second && request_.accessed_dirty && !dirty && ss::kD.get(entry) == 0;
    response_.clean = first_clean || second_clean;
  }
  if (update_count_ == 0) advance();
}

PhysAddr PagingWalk::final_address() const {
  if (request_.kind == WalkKind::kFirstStage)
    return first_page_ + (request_.iova - align_down(request_.iova, level_size(first_level_)));
  return final_.page + (input_ - align_down(input_, level_size(final_.level)));
}

void PagingWalk::finish() {
  response_.level = final_.level;
  if (request_.kind == WalkKind::kFirstStage) response_.level = first_level_;
  if (nested()) response_.level = std::min(final_.level, first_level_);
  response_.page = legacy() ? final_.page : align_down(final_address(), level_size(response_.level));
  response_.readable = rights_.readable;
  response_.writable = rights_.writable;
  response_.user = rights_.user;
  response_.executable = rights_.executable;
  response_.supervisor_writable = rights_.supervisor_writable;
  step_ = Step::kEnded;
}

void PagingWalk::end_with(FaultReason fault) {
  const std::uint16_t reads = response_.reads;
  const std::uint8_t level = step_ == Step::kReadFirst ? first_level_ : level_;
  response_ = {.id = request_.id, .fault = fault, .level = reads == 0 ? std::uint8_t{0} : level, .reads = reads};
  step_ = Step::kEnded;
}

// ---- A and D ------------------------------------------------------------------------------------------------

bool PagingWalk::queue_first_update(std::uint64_t entry, std::uint64_t wanted) {
  if (request_.extended_accessed) wanted |= fs::kEA.mask();
  if ((wanted & ~entry) == 0) return true;
  if (!request_.walk_snoop) {
    end_with(FaultReason::kFsAdNoSnoop);
    return false;
  }
  if (nested()) {  // the page that holds the table is written
    if (!table_leaf_.writable) {
      end_with(FaultReason::kNestedAdWrite);
      return false;
    }
    const std::uint64_t mask = ss::kA.mask() | ss::kD.mask();
    if (request_.accessed_dirty &&
        !queue_second_update(table_leaf_.address, table_leaf_.entry, table_leaf_.level, mask))
      return false;
  }
  updates_[update_count_++] = {first_entry_, entry, entry | wanted, true, first_level_};
  return true;
}

bool PagingWalk::queue_second_update(PhysAddr address, std::uint64_t entry, std::uint8_t level, std::uint64_t wanted) {
  if ((wanted & ~entry) == 0) return true;
  if (!request_.walk_snoop) {
    end_with(FaultReason::kSsAdNoSnoop);
    return false;
  }
  updates_[update_count_++] = {address, entry, entry | wanted, false, level};
  return true;
}

std::optional<UpdateRequest> PagingWalk::next_update() const {
  if (ended() || update_next_ >= update_count_) return std::nullopt;
  const Update& update = updates_[update_next_];
  return UpdateRequest{request_.id, update.address, update.expected, update.desired};
}

void PagingWalk::updated(bool swapped, bool error) {
  const Update done = updates_[update_next_];
  if (error) {
    end_with(done.first_stage ? FaultReason::kFsAdAccess : FaultReason::kSsEntryAccess);
    response_.level = done.level;
    return;
  }
  if (!swapped) return start();
  // Where one second-stage entry maps both a table and the final page, the later of its two updates fails, and the
  // walk that starts again finds the bits set.
  if (!done.first_stage && done.address == table_leaf_.address) table_leaf_.entry = done.desired;
  if (++update_next_ < update_count_) return;
  update_count_ = update_next_ = 0;
  advance();
}

void PagingWalk::advance() {
  switch (after_) {
    case After::kNextFirst:
      return begin_first_entry();
    case After::kNextSecond:
      step_ = Step::kReadSecond;
      return;
    case After::kReadFirst:
      step_ = Step::kReadFirst;
      return;
    case After::kFinish:
      return finish();
  }
}

WalkResponse reference_walk(const WalkerConfig& config, const WalkRequest& request, const EntryReader& read) {
  PagingWalk walk(config, request);
  while (!walk.ended()) {
    if (walk.next_update()) {
      walk.updated(true, false);
      continue;
    }
    const auto entry = read(*walk.next_read());
    walk.consume(entry.value_or(0), !entry.has_value());
  }
  return walk.result();
}

}  // namespace vtd
