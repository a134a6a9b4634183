// SPDX-License-Identifier: MIT
#include "tlm/core/performance.h"

namespace vtd {
namespace {

constexpr Field kLow{"LOW", 31, 0};
constexpr Field kHigh{"HIGH", 63, 32};

const Field& half(std::uint64_t offset) {
  return is_aligned(offset, sizeof(std::uint64_t)) ? kLow : kHigh;
}

}  // namespace

void Performance::join(UnitState& state) {
  state_ = &state;
  event_.emplace(
      EventMessage::Registers{RegId::kPERFINTRCTL, RegId::kPERFINTRDATA, RegId::kPERFINTRADDR, RegId::kPERFINTRUADDR},
      state.registers, state.host);
  const auto read = [this](std::uint64_t offset) {
    const std::uint64_t* word = word_of(offset);
    return word == nullptr ? 0 : half(offset).get(*word);
  };
  const auto write = [this](std::uint64_t offset, std::uint64_t value) {
    std::uint64_t* word = word_of(offset);
    if (word == nullptr) return;
    if (word == &overflowed_)
      overflowed_ &= ~half(offset).of(value);  // RW1C
    else
      *word = half(offset).with(*word, value);
  };
  RegisterFile& registers = state.registers;
  registers.add_window(perf::kConfigurationOffset, perf::kCounterCount * perf::kConfigurationBytes, {read, write});
  registers.add_window(perf::kOverflowOffset, sizeof(std::uint64_t), {read, write});
  for (unsigned i = 0; i < perf::kCounterCount; ++i)
    registers.add_window(perf::kCounterOffset + i * perf::kCounterStride, sizeof(std::uint64_t), {read, write});
  const std::uint64_t first = offset_of(RegId::kPERFEVNTCAP, state.profile);
  const auto events = [first](std::uint64_t offset) {
    return half(offset).get(
        perf::events_of_group(static_cast<unsigned>((offset - first) / perf::kEventCapabilityBytes)));
  };
  registers.add_window(first + perf::kEventCapabilityBytes, (perf::kGroupCount - 1) * perf::kEventCapabilityBytes,
                       {events, [](std::uint64_t, std::uint64_t) {}});
}

std::uint64_t* Performance::word_of(std::uint64_t offset) {
  offset = align_down(offset, sizeof(std::uint64_t));
  if (offset == perf::kOverflowOffset) return &overflowed_;
  for (unsigned i = 0; i < perf::kCounterCount; ++i) {
    if (offset == perf::kConfigurationOffset + i * perf::kConfigurationBytes) return &counters_[i].configuration;
    if (offset == perf::kCounterOffset + i * perf::kCounterStride) return &counters_[i].value;
  }
  return nullptr;  // filters and per-counter capabilities: there are none
}

void Performance::command_written(const RegisterWrite& write) {
  if (write.written != ~std::uint64_t{0} && ecmd::kCMD.in_place(write.written) == 0) return;  // the high half alone
  const std::uint64_t status =
      command(ecmd::kCMD.get(write.value), ecmd::kOA.get(state_->registers.value(RegId::kECMD)));
  state_->registers.set(RegId::kECRSP, ecmd::kSTATUS.of(status));
}

std::uint64_t Performance::command(std::uint64_t code, std::uint64_t operand) {
  switch (code) {
    case ecmd::kEnableCounters:
    case ecmd::kDisableCounters:
      if (operand >= counters_.size()) return ecmd::kInvalidOperand;
      counters_[operand].enabled = code == ecmd::kEnableCounters;
      return 0;
    case ecmd::kFreezeCounters:
    case ecmd::kUnfreezeCounters:
      frozen_ = code == ecmd::kFreezeCounters;
      return 0;
    default:
      return ecmd::kInvalidCommand;
  }
}

void Performance::count(const perf::Event& event, std::uint64_t times) {
  if (frozen_) return;
  for (unsigned i = 0; i < counters_.size(); ++i) {
    Counter& counter = counters_[i];
    const bool selected = counter.enabled && perf::kEGI.get(counter.configuration) == event.group &&
                          (perf::kES.get(counter.configuration) & event.bit) != 0;
    if (!selected) continue;
    const std::uint64_t before = counter.value;
    counter.value = (before + times) & bit_range(perf::kCounterWidth - 1, 0);
    if (counter.value >= before) continue;
    overflowed_ |= bit(i);
    if (perf::kINT.get(counter.configuration) == 0) continue;
    const bool first = state_->registers.value(RegId::kPERFINTRSTS) == 0;
    state_->registers.set_field(RegId::kPERFINTRSTS, perf::kPIS, 1);
    if (first) event_->raise();
  }
}

void Performance::status_written() {
  if (state_->registers.value(RegId::kPERFINTRSTS) == 0) event_->withdraw();
}

void Performance::control_written() {
  event_->control_written();
}

void Performance::reset() {
  counters_ = {};
  overflowed_ = 0;
  frozen_ = false;
}

void Performance::on_accept(const DmaRequest&) {
  count(perf::kRequests, 1);
}

void Performance::on_cache(CacheId id, CacheEvent event, std::uint64_t number) {
  const bool hit = event == CacheEvent::kHit;
  if (!hit && event != CacheEvent::kMiss) return;
  switch (id) {
    case CacheId::kContext:
      count(perf::kContextLookup, number);
      if (hit) count(perf::kContextHit, number);
      break;
    case CacheId::kPasid:
      count(perf::kPasidLookup, number);
      if (hit) count(perf::kPasidHit, number);
      break;
    case CacheId::kIotlb:
      count(perf::kIotlbLookup, number);
      if (hit) count(perf::kIotlbHit, number);
      break;
    case CacheId::kInterrupt:
      count(perf::kInterruptLookup, number);
      break;
    case CacheId::kCount:
      break;
  }
}

void Performance::on_walk_end(SourceId, const WalkRequest&, const WalkResponse& response) {
  count(perf::kMemoryReads, response.reads);
}

void Performance::on_page_request(const PageRequest&) {
  count(perf::kPageRequestPosted, 1);
}

}  // namespace vtd
