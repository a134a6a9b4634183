// SPDX-License-Identifier: MIT
#include "tlm/soc/endpoint.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <stdexcept>

#include "tlm/soc/ats_endpoint.h"
#include "tlm/spec/platform.h"
#include "tlm/unit/simulation.h"

namespace vtd::soc {
namespace {

constexpr std::size_t kMaxComplaints = 16;
constexpr std::uint32_t kWord = sizeof(std::uint64_t);

/// Word `index` of the block with this sequence number: every word names block, device and place.
std::uint64_t block_word(SourceId source, Iova iova, std::uint64_t sequence, std::uint32_t index) {
  const std::uint64_t stamp = (std::uint64_t{source.value} << 48) ^ (sequence << 20) ^ iova;
  return index == 0 ? sequence : stamp * 0x9E3779B97F4A7C15 + index;
}

std::vector<std::uint8_t> make_block(SourceId source, Iova iova, std::uint64_t sequence, std::uint32_t bytes) {
  std::vector<std::uint8_t> block(bytes);
  for (std::uint32_t i = 0; i < bytes / kWord; ++i) {
    const std::uint64_t word = block_word(source, iova, sequence, i);
    std::memcpy(block.data() + i * kWord, &word, kWord);
  }
  return block;
}

}  // namespace

std::uint64_t StreamStatistics::faulted() const {
  std::uint64_t sum = 0;
  for (const auto& [reason, n] : faults) sum += n;
  return sum;
}

Endpoint::Endpoint(sc_core::sc_module_name name, const EndpointConfig& config)
    : RegisterDevice(name), config_(config), plugged_(!config.unplugged) {
  if (config.block < 64 || config.block > 65536 || config.block % kWord != 0)
    throw std::invalid_argument(config.name + ": block must be 64..65536 bytes, a multiple of 8");
  if (config.outstanding < 1 || config.outstanding > 64)
    throw std::invalid_argument(config.name + ": outstanding must be 1..64");
  set_windows(config.windows);
  for (unsigned worker = 0; worker < config.outstanding; ++worker) {
    random_.emplace_back(config.seed * 1000003 + worker);
    turns_.push_back(0);
    sc_core::sc_spawn([this, worker] { work(worker); }, sc_core::sc_gen_unique_name("worker"));
  }
}

void Endpoint::set_windows(std::vector<Window> windows) {
  if (in_flight_ > 0) throw std::logic_error(config_.name + ": windows changed while requests are in flight");
  slots_.clear();
  for (const Window& w : windows) {
    if (w.size % config_.block != 0)
      throw std::invalid_argument(config_.name + ": window sizes must be multiples of the block");
    for (std::uint64_t at = 0; at < w.size; at += config_.block) slots_.push_back({w.iova + at, 0, false});
  }
  config_.windows = std::move(windows);
}

void Endpoint::start() {
  running_ = true;
  changed_.notify(sc_core::SC_ZERO_TIME);
}

void Endpoint::stop() {
  running_ = false;
  while (in_flight_ > 0) wait(changed_);
}

void Endpoint::power_off() {
  running_ = false;
  bus_master_ = true;
  ats_enabled_ = pri_enabled_ = asleep_ = false;
  switched();
}

/// Tells the device TLB what the registers allow.
void Endpoint::switched() {
  if (tlb_ != nullptr) tlb_->set_power({ats_enabled_, pri_enabled_ && config_.page_requests, asleep_ || !plugged_});
  changed_.notify(sc_core::SC_ZERO_TIME);
}

void Endpoint::renumber(SourceId source) {
  config_.source = source;
  if (tlb_ != nullptr) tlb_->renumber(source);
}

void Endpoint::plug(bool in) {
  plugged_ = in;
  if (in) {
    bus_master_ = true;
    ats_enabled_ = pri_enabled_ = asleep_ = false;
  }
  switched();
}

void Endpoint::sleep(bool asleep) {
  asleep_ = asleep;
  switched();
}

void Endpoint::set_phase(std::size_t phase) {
  phase_ = phase;
  if (phases_.size() <= phase) phases_.resize(phase + 1);
}

std::uint64_t Endpoint::read(std::uint64_t offset, unsigned) {
  using namespace platform::endpoint;
  if (!plugged_) return 0;
  if (offset == kId)
    return kSid.of(config_.source.value) | kPresent.of(1) | kNonPci.of(config_.non_pci ? 1 : 0) |
           kAts.of(config_.ats ? 1 : 0) | kPri.of(config_.page_requests ? 1 : 0) | kUnit.of(config_.unit) |
           kPasidBits.of(config_.pasid_bits);
  if (offset == kAlias) return config_.alias ? kSid.of(config_.alias->value) | kPresent.of(1) : 0;
  if (offset == kControl)
    return kBusMaster.of(bus_master_ ? 1 : 0) | kAtsEnable.of(ats_enabled_ ? 1 : 0) |
           kPriEnable.of(pri_enabled_ ? 1 : 0) | kD3.of(asleep_ ? 1 : 0);
  return 0;
}

void Endpoint::write(std::uint64_t offset, std::uint64_t value, unsigned) {
  using namespace platform::endpoint;
  if (offset != kControl || !plugged_) return;
  bus_master_ = kBusMaster.get(value) != 0 || config_.non_pci;
  ats_enabled_ = config_.ats && kAtsEnable.get(value) != 0;
  pri_enabled_ = config_.page_requests && kPriEnable.get(value) != 0;
  asleep_ = kD3.get(value) != 0;
  switched();
}

void Endpoint::finish_at(std::uint64_t transfers) {
  finish_at_ = (transfers + config_.outstanding - 1) / config_.outstanding;
  changed_.notify(sc_core::SC_ZERO_TIME);
}

bool Endpoint::worker_finished(unsigned worker) const {
  return worker >= slots_.size() || (finish_at_ != 0 && turns_[worker] >= finish_at_);
}

bool Endpoint::wait_finished(const sc_core::sc_time& timeout) {
  const sc_core::sc_time end = sc_core::sc_time_stamp() + timeout;
  const auto finished = [this] {
    for (unsigned worker = 0; worker < config_.outstanding; ++worker)
      if (!worker_finished(worker)) return false;
    return in_flight_ == 0;
  };
  while (!finished() && sc_core::sc_time_stamp() < end) wait(end - sc_core::sc_time_stamp(), changed_);
  return finished();
}

std::uint64_t Endpoint::attempts() const {
  std::uint64_t sum = 0;
  for (const std::uint64_t turns : turns_) sum += turns;
  return sum;
}

void Endpoint::work(unsigned worker) {
  for (;;) {
    // A worker owns every n-th block, so that two requests never meet in one.
    while (!running_ || gated() || worker_finished(worker)) wait(changed_);
    one_transfer(worker, turns_[worker]++);
    wait(config_.interval);
  }
}

void Endpoint::one_transfer(unsigned worker, std::uint64_t turn) {
  const std::size_t owned = (slots_.size() - worker - 1) / config_.outstanding + 1;
  // Sequential: write all blocks, then read all, and again.
  std::size_t pick = turn % owned;
  bool write = turn / owned % 2 == 0;
  if (config_.pattern == Pattern::kRandom) {
    pick = random_[worker]() % owned;
    write = random_[worker]() % 2 == 0;
  }
  Slot& slot = slots_[worker + pick * config_.outstanding];
  if (slot.sequence == 0 || slot.uncertain) write = true;

  if (write) {
    // Workers number their own blocks, so that numbers do not depend on timing.
    const std::uint64_t sequence = turns_[worker] * config_.outstanding + worker;
    auto block = make_block(config_.source, slot.iova, sequence, config_.block);
    const DmaOutcome outcome = access(slot.iova, block.data(), config_.block, Access::kWrite);
    if (outcome.ok) slot.sequence = sequence;
    // A block inside one page is refused whole; a longer one may have been delivered up to the refused page.
    slot.uncertain = !outcome.ok && (slot.iova % kPageSize) + config_.block > kPageSize;
    return;
  }
  std::vector<std::uint8_t> block(config_.block);
  const DmaOutcome outcome = access(slot.iova, block.data(), config_.block, Access::kRead);
  if (!outcome.ok) return;
  ++total_.blocks_checked;
  ++phases_[phase_].blocks_checked;
  if (block == make_block(config_.source, slot.iova, slot.sequence, config_.block)) return;
  ++total_.mismatches;
  ++phases_[phase_].mismatches;
  std::uint64_t found = 0;
  std::memcpy(&found, block.data(), kWord);
  complain(fmt::format("{}: block at {:#x} read back at {}: expected sequence {}, found {:#x}", config_.name, slot.iova,
                       sc_core::sc_time_stamp().to_string(), slot.sequence, found));
}

DmaOutcome Endpoint::access(Iova iova, std::uint8_t* data, std::uint32_t bytes, Access kind,
                            std::optional<Pasid> pasid) {
  DmaOutcome outcome;
  if (gated()) return outcome;
  ++in_flight_;
  for (const auto& listener : on_activity_) listener(*this);
  const sc_core::sc_time begin = sc_core::sc_time_stamp();
  // The device TLB serves requests without PASID; those with one are translated by the unit.
  const bool by_tlb = tlb_ != nullptr && ats_enabled_ && !pasid;
  outcome = by_tlb ? tlb_->access(iova, data, bytes, kind) : send(iova, data, bytes, kind, pasid);
  outcome.pasid = pasid;
  outcome.latency = sc_core::sc_time_stamp() - begin;
  --in_flight_;
  count(kind, bytes, outcome);
  for (const Listener& listener : listeners_) listener(*this, iova, kind, bytes, outcome);
  for (const auto& listener : on_activity_) listener(*this);
  changed_.notify(sc_core::SC_ZERO_TIME);
  return outcome;
}

DmaOutcome Endpoint::send(Iova iova, std::uint8_t* data, std::uint32_t bytes, Access kind, std::optional<Pasid> pasid) {
  tlm::tlm_generic_payload trans;
  DmaExtension extension;
  extension.source = requester();
  extension.pasid = pasid;
  extension.zero_length = kind == Access::kZeroLengthRead;
  trans.set_command(writes(kind) ? tlm::TLM_WRITE_COMMAND : tlm::TLM_READ_COMMAND);
  trans.set_address(iova);
  trans.set_data_ptr(data);
  trans.set_data_length(bytes);
  trans.set_streaming_width(bytes);
  trans.set_extension(&extension);
  sc_core::sc_time delay;
  dma->b_transport(trans, delay);
  trans.clear_extension(&extension);
  // Workers stay with global time: stories check hazards at their instants.
  if (delay != sc_core::SC_ZERO_TIME) wait(delay);
  DmaOutcome outcome;
  outcome.ok = trans.is_response_ok();
  outcome.fault = extension.fault;
  return outcome;
}

void Endpoint::count(Access kind, std::uint32_t bytes, const DmaOutcome& outcome) {
  if (outcome.ok) {
    const std::size_t slice = now_ps() / kThroughputSlicePs;
    if (throughput_.size() <= slice) throughput_.resize(slice + 1);
    throughput_[slice] += bytes;
  }
  if (outcome.ok) window_latency_max_ = std::max(window_latency_max_, outcome.latency);
  for (StreamStatistics* s : {&total_, &phases_[phase_]}) {
    if (!outcome.ok) {
      if (outcome.fault != FaultReason::kNone)
        ++s->faults[outcome.fault];
      else
        ++s->bus_errors;
      continue;
    }
    ++(writes(kind) ? s->writes : s->reads);
    (writes(kind) ? s->bytes_written : s->bytes_read) += bytes;
    s->latency_sum += outcome.latency;
    s->latency_max = std::max(s->latency_max, outcome.latency);
  }
}

void Endpoint::check_memory(const std::function<std::uint64_t(Iova)>& read8) {
  for (const Slot& slot : slots_) {
    if (slot.sequence == 0 || slot.uncertain) continue;
    ++total_.blocks_checked;
    for (std::uint32_t i = 0; i < config_.block / kWord; ++i) {
      const std::uint64_t expected = block_word(config_.source, slot.iova, slot.sequence, i);
      const std::uint64_t found = read8(slot.iova + i * kWord);
      if (found == expected) continue;
      ++total_.mismatches;
      complain(fmt::format("{}: memory of block at {:#x}, byte {}: expected {:#x}, found {:#x}", config_.name,
                           slot.iova, i * kWord, expected, found));
      break;
    }
  }
}

void Endpoint::complain(const std::string& text) {
  if (complaints_.size() < kMaxComplaints) complaints_.push_back(text);
}

}  // namespace vtd::soc
