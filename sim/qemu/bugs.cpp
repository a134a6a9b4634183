// SPDX-License-Identifier: MIT
#include "sim/qemu/bugs.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <stdexcept>

#include "tlm/spec/descriptor.h"
#include "tlm/spec/paging.h"

namespace vtd::qemu {
namespace {

bool is_iotlb_invalidation(std::uint64_t low) {
  const auto type = static_cast<DescriptorType>(descriptor::kTYPE.get(low));
  return descriptor::kTYPE_HIGH.get(low) == 0 &&
         (type == DescriptorType::kIotlb || type == DescriptorType::kPasidIotlb);
}

}  // namespace

PlantedBug parse_bug(const std::string& text) {
  const std::size_t colon = text.find(':');
  const auto found =
      std::find_if(kBugHelp.begin(), kBugHelp.end(), [&](const BugHelp& h) { return text.substr(0, colon) == h.name; });
  PlantedBug planned;
  bool wrong = found == kBugHelp.end();
  if (!wrong && colon != std::string::npos) {
    const auto [end, error] = std::from_chars(text.data() + colon + 1, text.data() + text.size(), planned.from);
    wrong = error != std::errc{} || end != text.data() + text.size() || planned.from == 0;
  }
  if (wrong) {
    std::string message = fmt::format("--inject {}: NAME or NAME:N expected, N >= 1, one of", text);
    for (const BugHelp& h : kBugHelp) message += fmt::format("\n  {:<22}{}", h.name, h.help);
    throw std::invalid_argument(message);
  }
  planned.bug = static_cast<Bug>(found - kBugHelp.begin());
  return planned;
}

BuggyRam::BuggyRam(GuestRam& inner, const std::vector<std::string>& bugs) : inner_(inner), any_(!bugs.empty()) {
  for (const std::string& text : bugs) {
    const PlantedBug planned = parse_bug(text);
    states_[static_cast<std::size_t>(planned.bug)].from = planned.from;
  }
}

bool BuggyRam::acts(Bug bug) {
  State& state = states_[static_cast<std::size_t>(bug)];
  if (state.from == 0 || ++state.occasions < state.from) return false;
  ++state.acted;
  return true;
}

bool BuggyRam::read(const MemoryTag& tag, PhysAddr address, std::span<std::uint8_t> data) {
  if (tag.kind == MemoryKind::kDma && acts(Bug::kWrongPage)) address ^= kPageSize;
  if (!inner_.read(tag, address, data)) return false;
  std::uint64_t low = 0;
  if (data.size() < sizeof low) return true;
  std::memcpy(&low, data.data(), sizeof low);
  if (tag.kind == MemoryKind::kDescriptor && is_iotlb_invalidation(low) && acts(Bug::kDroppedInvalidation)) {
    // A wait descriptor that neither writes a status nor interrupts does nothing.
    std::fill(data.begin(), data.end(), std::uint8_t{0});
    low = descriptor::kTYPE.of(static_cast<std::uint64_t>(DescriptorType::kWait));
    std::memcpy(data.data(), &low, sizeof low);
  }
  const bool entry = tag.kind == MemoryKind::kTable && data.size() == sizeof low && ss::kR.get(low) != 0;
  if (entry && ss::kW.get(low) == 0 && acts(Bug::kIgnoredPermission)) {
    low = ss::kW.with(low, 1);
    std::memcpy(data.data(), &low, sizeof low);
  }
  return true;
}

bool BuggyRam::write(const MemoryTag& tag, PhysAddr address, std::span<const std::uint8_t> data) {
  if (tag.kind == MemoryKind::kStatus && acts(Bug::kLostWaitStatus)) return true;
  return inner_.write(tag, address, data);
}

std::optional<std::uint64_t> BuggyRam::exchange(const MemoryTag& tag, PhysAddr address, std::uint64_t expected,
                                                std::uint64_t desired) {
  return inner_.exchange(tag, address, expected, desired);
}

void BuggyRam::message(const MemoryTag& tag, PhysAddr address, std::uint32_t data) {
  inner_.message(tag, address, data);
}

std::optional<GuestRam::Direct> BuggyRam::direct(PhysAddr address) {
  return any_ ? std::nullopt : inner_.direct(address);
}

std::vector<std::string> BuggyRam::done() const {
  std::vector<std::string> words;
  for (std::size_t i = 0; i < states_.size(); ++i)
    if (states_[i].from != 0) words.push_back(fmt::format("{}: {} times", kBugHelp[i].name, states_[i].acted));
  return words;
}

}  // namespace vtd::qemu
