// SPDX-License-Identifier: MIT
#include "tlm/soc/reset_controller.h"

#include "tlm/spec/paging.h"

namespace vtd::soc {

namespace reset = platform::reset;

namespace {

/// splitmix64: one step a word.
std::uint64_t next_random(std::uint64_t& state) {
  std::uint64_t z = (state += 0x9E3779B97F4A7C15);
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
  return z ^ (z >> 31);
}

}  // namespace

ResetController::ResetController(sc_core::sc_module_name name, Dram& dram, PoisonMode poison, std::uint64_t seed)
    : RegisterDevice(name), dram_(dram), poison_(poison), random_(seed) {}

std::uint64_t* ResetController::retained(std::uint64_t offset) {
  switch (offset) {
    case reset::kHandover:
      return &handover_;
    case reset::kEntry:
      return &entry_;
    case reset::kTracker:
      return &tracker_;
    case reset::kScratchBase:
      return &scratch_base_;
    case reset::kScratchSize:
      return &scratch_size_;
    default:
      return nullptr;
  }
}

std::uint64_t ResetController::read(std::uint64_t offset, unsigned) {
  if (offset == reset::kBootCount) return resets_;
  if (offset == reset::kMemorySize) return dram_.size();
  const std::uint64_t* value = retained(offset);
  return value == nullptr ? 0 : *value;
}

void ResetController::write(std::uint64_t offset, std::uint64_t value, unsigned) {
  if (std::uint64_t* target = retained(offset)) *target = value;
  if (offset != reset::kCommand) return;
  const auto kind = static_cast<reset::Kind>(value);
  if (kind == reset::Kind::kWarm || kind == reset::Kind::kCold || kind == reset::Kind::kCrash) trigger(kind);
}

void ResetController::trigger(reset::Kind kind) {
  for (const Listener& listener : before_) listener(kind);
  ++resets_;
  dram_.lose_cache();
  lost_.clear();
  if (kind == reset::Kind::kWarm) poison_unpreserved();
  if (kind == reset::Kind::kCrash) handover_ = tracker_ = 0;
  if (kind == reset::Kind::kCold) {
    handover_ = entry_ = tracker_ = scratch_base_ = scratch_size_ = 0;
    dram_.clear();
  }
  for (const Listener& listener : after_) listener(kind);
}

bool ResetController::preserved(std::uint64_t address) const {
  namespace tracker = platform::tracker;
  const auto page_in_dram = [this](std::uint64_t at) { return at < dram_.size() && dram_.size() - at >= kPageSize; };
  if (tracker_ == 0 || !page_in_dram(tracker_)) return false;
  const std::uint64_t leaf = dram_.peek(tracker::leaf_entry(tracker_, address));
  if (leaf == 0 || !page_in_dram(leaf)) return false;
  return (dram_.peek(tracker::word(leaf, address)) & bit(tracker::bit_of(address))) != 0;
}

void ResetController::poison_unpreserved() {
  // The tracker is read before anything is overwritten: its own pages need not be preserved.
  for (std::uint64_t page = 0; page < dram_.size(); page += kPageSize) {
    const bool scratch = page >= scratch_base_ && page - scratch_base_ < scratch_size_;
    if (!scratch && !preserved(page)) lost_.push_back(page);
  }
  const SharedBlock poison([this] { return poison_word(); });
  for_each_lost_range([&](std::uint64_t address, std::uint64_t bytes) { dram_.lose(address, bytes, poison); });
}

std::uint64_t ResetController::poison_word() {
  switch (poison_) {
    case PoisonMode::kZero:
      return 0;
    case PoisonMode::kOnes:
      return ~std::uint64_t{0};
    case PoisonMode::kRandom:
      return next_random(random_);
    case PoisonMode::kPlausible:
      // Every word reads as a leaf or link with R and W, as a present root or context entry, and as the high half of a
      // context entry (a table of five levels, a legal domain-id).
      return ss::kR.mask() | ss::kW.mask() | kCanaryPage;
  }
  return 0;
}

}  // namespace vtd::soc
