// SPDX-License-Identifier: MIT
#include "tlm/unit/wave_signals.h"

#include <array>
#include <cstdio>

#include "tlm/spec/registers.h"
#include "tlm/unit/simulation.h"

namespace vtd {
namespace {

constexpr unsigned kTextCharacters = 32;
constexpr unsigned kCounterBits = 16;

std::string requester(SourceId source) {
  std::array<char, 16> text{};
  std::snprintf(text.data(), text.size(), "%02x_%02x_%x", source.bus(), source.devfn() / 8U, source.devfn() % 8U);
  return text.data();
}

std::string hex(std::uint64_t value) {
  std::array<char, 20> text{};
  std::snprintf(text.data(), text.size(), "%llx", static_cast<unsigned long long>(value));
  return text.data();
}

struct CacheSignal {
  CacheEvent event;
  const char* name;
};
constexpr std::array kCacheSignals = {CacheSignal{CacheEvent::kHit, "hits"}, CacheSignal{CacheEvent::kMiss, "misses"},
                                      CacheSignal{CacheEvent::kFill, "fills"},
                                      CacheSignal{CacheEvent::kInvalidate, "invalidated"}};

}  // namespace

std::string in_words(const Invalidation& invalidation) {
  constexpr std::array kKinds = {"context", "pasid cache", "iotlb", "pasid iotlb", "interrupt"};
  const std::string kind = kKinds[static_cast<std::size_t>(invalidation.kind)];
  switch (invalidation.scope) {
    case Invalidation::Scope::kGlobal:
      return kind + " global";
    case Invalidation::Scope::kDomain:
      return kind + " domain " + std::to_string(invalidation.domain.value);
    case Invalidation::Scope::kDevice:
      return kind + " device " + requester(invalidation.source);
    case Invalidation::Scope::kPasid:
      return kind + " " + std::to_string(invalidation.domain.value) + " pasid " + hex(invalidation.pasid.value);
    case Invalidation::Scope::kIndex:
      return kind + " " + hex(invalidation.index) + "+" + std::to_string(invalidation.index_mask);
    case Invalidation::Scope::kPage:
      return kind + " " + std::to_string(invalidation.domain.value) + " page " + hex(invalidation.address) + "+" +
             std::to_string(invalidation.address_mask);
  }
  return kind;
}

WaveSignals::WaveSignals(WaveFile& waves, const std::string& scope, const UnitConfig& config) : waves_(waves) {
  registers_[RegId::kGSTS] = waves.add(scope, "gsts", 32);
  registers_[RegId::kFSTS] = waves.add(scope, "fsts", 32);
  registers_[RegId::kIQH] = waves.add(scope, "iqh", 32);
  registers_[RegId::kIQT] = waves.add(scope, "iqt", 32);
  tes_ = waves.add(scope, "tes", 1);
  walks_.signal = waves.add(scope, "walks_in_flight", 8);
  in_flight_.signal = waves.add(scope, "in_flight", kCounterBits);
  for (const auto& source : config.dma_ports)
    if (source && !in_flight_of_.contains(*source))
      in_flight_of_[*source].signal = waves.add(scope, "in_flight_" + requester(*source), kCounterBits);
  for (const auto& [event, name] : kCacheSignals) {
    caches_[{CacheId::kContext, event}].signal = waves.add(scope + " context", name, kCounterBits);
    if (config.profile.scalable_mode)
      caches_[{CacheId::kPasid, event}].signal = waves.add(scope + " pasid", name, kCounterBits);
    caches_[{CacheId::kIotlb, event}].signal = waves.add(scope + " iotlb", name, kCounterBits);
    if (config.profile.interrupt_remapping)
      caches_[{CacheId::kInterrupt, event}].signal = waves.add(scope + " interrupt", name, kCounterBits);
  }
  faults_.signal = waves.add(scope, "fault_count", kCounterBits);
  fault_reason_ = waves.add(scope, "fault_reason", 8);
  fault_source_ = waves.add(scope, "fault_source", 16);
  fault_address_ = waves.add(scope, "fault_address", 64);
  invalidation_ = waves.add_text(scope, "invalidation", kTextCharacters);
  invalidations_.signal = waves.add(scope, "invalidations", kCounterBits);
  wait_status_ = waves.add(scope, "wait_status", 32);
}

void WaveSignals::show(SignalId signal, std::uint64_t value) {
  waves_.set(signal, value, now_ps());
}

void WaveSignals::add_to(Counter& counter, std::uint64_t amount) {
  counter.value += amount;
  show(counter);
}

void WaveSignals::take_from(Counter& counter) {
  --counter.value;
  show(counter);
}

void WaveSignals::on_accept(const DmaRequest& request) {
  waves_.advance(now_ps());
  add_to(in_flight_, 1);
  if (const auto of = in_flight_of_.find(request.source); of != in_flight_of_.end()) add_to(of->second, 1);
}

void WaveSignals::on_end(const DmaRequest& request) {
  take_from(in_flight_);
  if (const auto of = in_flight_of_.find(request.source); of != in_flight_of_.end()) take_from(of->second);
}

void WaveSignals::on_fault(const Fault& fault) {
  add_to(faults_, 1);
  show(fault_reason_, static_cast<std::uint64_t>(fault.reason));
  show(fault_source_, fault.source.value);
  show(fault_address_, fault.address);
}

void WaveSignals::on_cache(CacheId id, CacheEvent event, std::uint64_t count) {
  if (const auto counter = caches_.find({id, event}); counter != caches_.end()) add_to(counter->second, count);
}

void WaveSignals::on_walk_begin(SourceId, const WalkRequest&) {
  add_to(walks_, 1);
}
void WaveSignals::on_walk_end(SourceId, const WalkRequest&, const WalkResponse&) {
  take_from(walks_);
}

void WaveSignals::on_invalidation_begin(const Invalidation& invalidation) {
  waves_.set_text(invalidation_, in_words(invalidation), now_ps());
}

void WaveSignals::on_invalidation_end(const Invalidation&) {
  add_to(invalidations_, 1);
}

void WaveSignals::on_wait_complete(std::uint32_t status_data) {
  show(wait_status_, status_data);
}

void WaveSignals::on_register(RegId id, std::uint64_t value) {
  if (const auto signal = registers_.find(id); signal != registers_.end()) show(signal->second, value);
  if (id == RegId::kGSTS) show(tes_, gsts::kTES.get(value));
}

}  // namespace vtd
