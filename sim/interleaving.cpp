// SPDX-License-Identifier: MIT
#include "sim/interleaving.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "tlm/spec/fault_reason.h"
#include "tlm/spec/platform.h"

namespace vtd::sim {
namespace {

/// Tables are built from the top: at which level nothing is there yet makes no difference to the device.
bool nothing_there(FaultReason reason) {
  return std::string_view(info(reason).name).ends_with("NotPresent") || reason == FaultReason::kReadPermission ||
         reason == FaultReason::kSmReadPermission;
}

}  // namespace

Interleaving::Interleaving(soc::Platform& platform) : platform_(platform) {
  platform_.cpu().on_stores([this](const std::vector<soc::MemoryStore>& stores) { stored(stores); });
}

Interleaving::Outcome Interleaving::look(const Probe& probe) const {
  const soc::Endpoint& device = *platform_.find_endpoint(probe.device);
  const UnitCore& unit = platform_.unit(device.config().unit).core();
  const ReadFunction read = [this](PhysAddr address, std::span<std::uint64_t> out) {
    for (std::uint64_t& word : out) {
      if (address + sizeof word > platform_.dram().size()) return false;
      word = platform_.dram().peek(address);
      address += sizeof word;
    }
    return true;
  };
  DmaRequest request{.source = device.requester(), .address = probe.iova, .length = sizeof(std::uint64_t)};
  request.pasid = probe.pasid;
  const auto translation = unit.debug_translate(request, read);
  if (translation) return {fmt::format("{:#x}", translation->address), translation->domain};
  const FaultReason reason = translation.fault().reason;
  return {nothing_there(reason) ? "nothing" : info(reason).name, {}};
}

void Interleaving::begin() {
  running_ = true;
  before_.clear();
  seen_.assign(probes_.size(), {});
  for (const Probe& probe : probes_) before_.push_back(look(probe));
}

void Interleaving::stored(const std::vector<soc::MemoryStore>& stores) {
  if (!running_ || before_.empty()) return;
  // Tables are in general memory; the stack and what else is the firmware's own is in its slot.
  const auto table = std::find_if(stores.begin(), stores.end(),
                                  [](const soc::MemoryStore& s) { return s.address >= platform::kHeapBase; });
  if (table == stores.end()) return;
  ++points_;
  for (std::size_t i = 0; i < before_.size(); ++i) {
    const Probe& probe = probes_[i];
    const Outcome now = look(probe);
    auto& seen = seen_[i];
    const bool known =
        now == before_[i] || std::any_of(seen.begin(), seen.end(), [&](const Seen& s) { return s.outcome == now; });
    if (!known) seen.push_back({now, table->address});
    if (!probe.dma) continue;
    std::uint64_t data = 0;
    static_cast<void>(
        platform_.find_endpoint(probe.device)
            ->access(probe.iova, reinterpret_cast<std::uint8_t*>(&data), sizeof data, Access::kRead, probe.pasid));
  }
}

std::vector<std::string> Interleaving::end() {
  const auto text = [](const Outcome& o) {
    return o.domain ? fmt::format("{} in domain {}", o.to, o.domain->value) : o.to;
  };
  running_ = false;
  std::vector<std::string> wrong;
  for (std::size_t i = 0; i < before_.size(); ++i) {
    const Outcome before = before_[i];
    const Outcome after = look(probes_[i]);
    // Tables and domain id are of one entry, yet not always of one store: each is old or new. What is cached of a mix
    // has an id that is invalidated before the command is done.
    const auto legal = [&](const Outcome& seen) {
      const bool known = seen.to == before.to || seen.to == after.to;
      return known && (!seen.domain || seen.domain == before.domain || seen.domain == after.domain);
    };
    for (const Seen& s : seen_[i])
      if (!legal(s.outcome))
        wrong.push_back(fmt::format(
            "after the store to {:#x} a request of {} for {:#x} goes to {}; before the command to {}, after it to {}",
            s.store, probes_[i].device, probes_[i].iova, text(s.outcome), text(before), text(after)));
  }
  return wrong;
}

}  // namespace vtd::sim
