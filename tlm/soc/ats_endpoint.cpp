// SPDX-License-Identifier: MIT
#include "tlm/soc/ats_endpoint.h"

#include <algorithm>
#include <array>
#include <stdexcept>

namespace vtd::soc {
namespace {

constexpr std::uint16_t kGroups = 512;  ///< 9 bits

bool overlap(Iova a_first, Iova a_last, Iova b_first, Iova b_last) {
  return a_first <= b_last && b_first <= a_last;
}

}  // namespace

AtsEndpoint::AtsEndpoint(sc_core::sc_module_name name, const AtsEndpointConfig& config, RemappingUnit& unit)
    : sc_module(name), config_(config), unit_(unit) {
  if (config.tlb_entries == 0) throw std::invalid_argument(config.name + ": the device TLB needs an entry");
  unit.attach(config.source, *this);
}

void AtsEndpoint::set_power(const Power& power) {
  if (!power.ats) tlb_.clear();
  config_.page_requests = power.page_requests;
  asleep_ = power.asleep;
}

void AtsEndpoint::renumber(SourceId source) {
  config_.source = source;
  unit_.attach(source, *this);
}

// ---- DMA --------------------------------------------------------------------------------------------------------

DmaOutcome AtsEndpoint::access(Iova iova, std::uint8_t* data, std::uint32_t bytes, Access kind) {
  const sc_core::sc_time begin = sc_core::sc_time_stamp();
  DmaOutcome outcome;
  for (std::uint32_t done = 0; done < bytes;) {
    const auto left = static_cast<std::uint32_t>(kPageSize - (iova + done) % kPageSize);
    const std::uint32_t length = std::min(left, bytes - done);
    outcome = piece(iova + done, data + done, length, kind);
    if (!outcome.ok) break;
    done += length;
  }
  outcome.latency = sc_core::sc_time_stamp() - begin;
  return outcome;
}

DmaOutcome AtsEndpoint::piece(Iova iova, std::uint8_t* data, std::uint32_t bytes, Access kind) {
  DmaOutcome outcome;
  for (unsigned asked = 0;;) {
    if (const Cached* entry = find(iova, kind)) {
      ++statistics_.tlb_hits;
      const PhysAddr address = entry->address + (iova - entry->first);
      const auto use = uses_.insert(uses_.end(), {iova, iova + (bytes - 1)});
      ++statistics_.translated_requests;
      outcome = send(address, data, bytes, kind, AddressType::kTranslated, nullptr);
      end(use);
      return outcome;
    }
    outcome = {};
    if (translate(iova, kind, outcome)) continue;
    if (outcome.fault != FaultReason::kNone || !config_.page_requests) return outcome;
    if (asked++ == config_.page_request_tries || !request_page(iova, kind)) return outcome;
  }
}

const AtsEndpoint::Cached* AtsEndpoint::find(Iova iova, Access kind) const {
  const auto found = std::find_if(tlb_.begin(), tlb_.end(), [&](const Cached& c) {
    return c.first <= iova && iova <= c.last && (writes(kind) ? c.writable : c.readable);
  });
  return found == tlb_.end() ? nullptr : &*found;
}

bool AtsEndpoint::translate(Iova iova, Access kind, DmaOutcome& outcome) {
  for (;;) {
    ++statistics_.translation_requests;
    const Iova page = align_down(iova, kPageSize);
    const auto use = uses_.insert(uses_.end(), {page, page + (kPageSize - 1)});
    std::array<std::uint8_t, sizeof(std::uint64_t)> nothing{};
    std::optional<Translation> answer;
    outcome = send(page, nothing.data(), nothing.size(), kind, AddressType::kTranslationRequest, &answer);
    const bool spoilt = use->spoilt;
    end(use);
    if (spoilt) continue;  // an invalidation overtook the answer: ask again
    if (!outcome.ok || !answer) return false;
    outcome.ok = false;
    if (!answer->readable && !answer->writable) return false;
    const Iova first = align_down(page, answer->page_size);
    std::erase_if(tlb_, [&](const Cached& c) { return c.first == first; });
    if (tlb_.size() == config_.tlb_entries) tlb_.pop_front();
    tlb_.push_back({first, first + (answer->page_size - 1), align_down(answer->address, answer->page_size),
                    answer->readable, answer->writable});
    return find(iova, kind) != nullptr;
  }
}

DmaOutcome AtsEndpoint::send(Iova address, std::uint8_t* data, std::uint32_t bytes, Access kind, AddressType type,
                             std::optional<Translation>* answer) {
  tlm::tlm_generic_payload trans;
  DmaExtension extension;
  extension.source = config_.source;
  extension.type = type;
  if (type == AddressType::kTranslationRequest) extension.pasid = config_.pasid;
  trans.set_command(writes(kind) ? tlm::TLM_WRITE_COMMAND : tlm::TLM_READ_COMMAND);
  trans.set_address(address);
  trans.set_data_ptr(data);
  trans.set_data_length(bytes);
  trans.set_streaming_width(bytes);
  trans.set_extension(&extension);
  sc_core::sc_time delay;
  dma->b_transport(trans, delay);
  trans.clear_extension(&extension);
  if (delay != sc_core::SC_ZERO_TIME) wait(delay);
  if (answer != nullptr) *answer = extension.translation;
  DmaOutcome outcome;
  outcome.ok = trans.is_response_ok();
  outcome.fault = extension.fault;
  return outcome;
}

bool AtsEndpoint::request_page(Iova iova, Access kind) {
  const std::uint16_t group = next_group_;
  next_group_ = static_cast<std::uint16_t>((next_group_ + 1) % kGroups);
  groups_[group] = std::nullopt;
  PageRequest request;
  request.source = config_.source;
  request.pasid = config_.pasid;
  request.address = align_down(iova, kPageSize);
  request.read = !writes(kind) || kind == Access::kAtomic;
  request.write = writes(kind);
  request.last = true;
  request.group = group;
  ++statistics_.page_requests;
  unit_.page_request(request);
  while (!groups_[group]) wait(responded_);
  const auto code = static_cast<PageResponseCode>(*groups_[group]);
  groups_.erase(group);
  return code == PageResponseCode::kSuccess;
}

// ---- what the unit says -------------------------------------------------------------------------------------------

void AtsEndpoint::respond(const PageResponse& response) {
  const auto group = groups_.find(response.group);
  if (group == groups_.end()) return;
  ++statistics_.page_responses;
  group->second = response.code;
  responded_.notify(sc_core::SC_ZERO_TIME);
}

void AtsEndpoint::invalidate(const DeviceTlbInvalidation& invalidation) {
  ++statistics_.invalidations;
  const bool mine = !invalidation.pasid || invalidation.global || invalidation.pasid == config_.pasid;
  Waiting waiting{invalidation.tag, {}};
  if (mine) {
    statistics_.dropped += std::erase_if(
        tlb_, [&](const Cached& c) { return overlap(c.first, c.last, invalidation.first, invalidation.last); });
    for (auto use = uses_.begin(); use != uses_.end(); ++use)
      if (overlap(use->first, use->last, invalidation.first, invalidation.last)) {
        use->spoilt = true;
        waiting.uses.push_back(use);
      }
  }
  if (waiting.uses.empty()) return answer(invalidation.tag);
  waiting_.push_back(waiting);
}

void AtsEndpoint::end(Uses::iterator use) {
  for (auto waiting = waiting_.begin(); waiting != waiting_.end();) {
    std::erase(waiting->uses, use);
    if (!waiting->uses.empty()) {
      ++waiting;
      continue;
    }
    answer(waiting->tag);
    waiting = waiting_.erase(waiting);
  }
  uses_.erase(use);
}

void AtsEndpoint::answer(DeviceTag tag) {
  if (asleep_ || config_.manners == AtsEndpointConfig::Manners::kSilent) return;
  const bool good = config_.manners == AtsEndpointConfig::Manners::kGood;
  unit_.device_answered(tag, good ? DeviceAnswer::kDone : DeviceAnswer::kError);
}

}  // namespace vtd::soc
