// SPDX-License-Identifier: MIT
#include "sim/qemu/replay.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <stdexcept>

#include "tlm/unit/simulation.h"

namespace vtd::qemu {
namespace {

constexpr std::size_t kMaxDifferences = 10;

Likeness likeness_of(const MachineOptions& recorded, const MachineOptions& now) {
  const bool same =
      recorded.walker == now.walker && recorded.iotlb_sets == now.iotlb_sets && recorded.iotlb_ways == now.iotlb_ways;
  if (same) return Likeness::kExact;
  if (recorded.pace == Pace::kWall)
    throw std::invalid_argument(fmt::format(
        "the run was recorded at pace wall with walker {}: what the guest saw depends on how long the walker takes. "
        "Replay it with --walker {}, or record with --pace settled",
        recorded.walker, recorded.walker));
  return Likeness::kOutcome;
}

/// What must be the same for the guest, whatever the walker; empty for what only the unit sees.
std::string outcome(const Event& e) {
  if (e.kind != Event::Kind::kWrite) return {};
  return fmt::format("write of {} bytes to {:#x}, kind {}, requester {:#06x}, digest {:#x}", e.bytes, e.address,
                     static_cast<int>(e.memory), e.source, digest(e.data));
}

std::string outcome_once(const Event& e) {
  if (e.kind == Event::Kind::kMessage) return fmt::format("message {:#x} to {:#x}", e.value, e.address);
  if (e.kind == Event::Kind::kExchange) return fmt::format("entry at {:#x} becomes {:#x}", e.address, e.value);
  return {};
}

Event of(Event::Kind kind, const MemoryTag& tag, PhysAddr address, std::size_t bytes) {
  return {.kind = kind,
          .time_ps = now_ps(),
          .memory = tag.kind,
          .source = tag.source.value,
          .bytes = static_cast<std::uint32_t>(bytes),
          .address = address};
}

/// Tables and descriptors are few; data of devices are read once.
bool worth_keeping(MemoryKind kind) {
  return kind == MemoryKind::kTable || kind == MemoryKind::kDescriptor || kind == MemoryKind::kUpdate;
}

}  // namespace

void ReplayedRam::differ(const std::string& text) {
  if (differences_.size() < kMaxDifferences) differences_.push_back(text);
}

void ReplayedRam::begin(std::vector<Event> events) {
  if (likeness_ == Likeness::kExact) {
    expected_.assign(std::make_move_iterator(events.begin()), std::make_move_iterator(events.end()));
    return;
  }
  reads_.clear();
  outcomes_.clear();
  recorded_once_.clear();
  happened_once_.clear();
  for (Event& e : events) {
    if (const std::string text = outcome(e); !text.empty()) ++outcomes_[text];
    if (const std::string text = outcome_once(e); !text.empty()) recorded_once_.insert(text);
    if (e.kind == Event::Kind::kRead || e.kind == Event::Kind::kExchange)
      reads_[{e.memory, e.address, e.bytes}].push_back({e.ok, std::move(e.data)});
    else if (e.kind == Event::Kind::kWrite)
      reads_[{MemoryKind::kStatus, e.address, e.bytes}].push_back({e.ok, {}});
  }
}

void ReplayedRam::end() {
  if (likeness_ == Likeness::kExact) {
    if (!expected_.empty())
      differ(fmt::format("{} recorded accesses did not come, first {}", expected_.size(), in_words(expected_.front())));
    expected_.clear();
    return;
  }
  for (const auto& [text, balance] : outcomes_)
    if (balance != 0)
      differ(fmt::format("{:.3f} us: {}: {} {}", static_cast<double>(now_ps()) / 1e6, text, std::abs(balance),
                         balance > 0 ? "did not come" : "too many"));
  for (const std::string& text : recorded_once_)
    if (!happened_once_.contains(text)) differ(text + ": did not come");
  for (const std::string& text : happened_once_)
    if (!recorded_once_.contains(text)) differ(text + ": is new");
  for (auto& [place, answers] : reads_)
    if (worth_keeping(std::get<MemoryKind>(place)) && !answers.empty()) known_[place] = std::move(answers.back());
}

const Event* ReplayedRam::expect(const Event& now) {
  if (expected_.empty()) {
    differ("nothing was recorded where now is " + in_words(now));
    return nullptr;
  }
  current_ = std::move(expected_.front());
  expected_.pop_front();
  const bool same = current_.kind == now.kind && current_.time_ps == now.time_ps && current_.memory == now.memory &&
                    current_.source == now.source && current_.bytes == now.bytes && current_.address == now.address &&
                    current_.value == now.value && (now.kind != Event::Kind::kWrite || current_.data == now.data);
  if (same) return &current_;
  differ(fmt::format("recorded: {}\n  now:      {}", in_words(current_), in_words(now)));
  return nullptr;
}

const ReplayedRam::Answer* ReplayedRam::answer(const Place& place) {
  if (const auto found = reads_.find(place); found != reads_.end() && !found->second.empty()) {
    std::deque<Answer>& answers = found->second;
    if (answers.size() == 1) return &answers.front();  // the last one counts for whoever reads once more
    known_[place] = std::move(answers.front());
    answers.pop_front();
    return &known_[place];
  }
  const auto known = known_.find(place);
  return known == known_.end() ? nullptr : &known->second;
}

void ReplayedRam::happened(const Event& event) {
  if (const std::string text = outcome(event); !text.empty()) --outcomes_[text];
  if (const std::string text = outcome_once(event); !text.empty()) happened_once_.insert(text);
}

bool ReplayedRam::read(const MemoryTag& tag, PhysAddr address, std::span<std::uint8_t> data) {
  ++accesses_;
  const Event now = of(Event::Kind::kRead, tag, address, data.size());
  if (likeness_ == Likeness::kExact) {
    const Event* recorded = expect(now);
    if (recorded == nullptr || !recorded->ok) return false;
    std::copy(recorded->data.begin(), recorded->data.end(), data.begin());
    return true;
  }
  const Answer* known = answer({tag.kind, address, data.size()});
  if (known == nullptr) {
    differ("never recorded: " + in_words(now));
    return false;
  }
  if (known->ok) std::copy(known->data.begin(), known->data.end(), data.begin());
  return known->ok;
}

bool ReplayedRam::write(const MemoryTag& tag, PhysAddr address, std::span<const std::uint8_t> data) {
  ++accesses_;
  Event now = of(Event::Kind::kWrite, tag, address, data.size());
  now.data.assign(data.begin(), data.end());
  if (likeness_ == Likeness::kExact) {
    const Event* recorded = expect(now);
    return recorded != nullptr && recorded->ok;
  }
  happened(now);
  const Answer* known = answer({MemoryKind::kStatus, address, data.size()});
  return known != nullptr && known->ok;
}

std::optional<std::uint64_t> ReplayedRam::exchange(const MemoryTag& tag, PhysAddr address, std::uint64_t expected,
                                                   std::uint64_t desired) {
  ++accesses_;
  Event now = of(Event::Kind::kExchange, tag, address, sizeof desired);
  now.value = desired;
  std::uint64_t observed = 0;
  if (likeness_ == Likeness::kExact) {
    const Event* recorded = expect(now);
    if (recorded == nullptr || !recorded->ok) return std::nullopt;
    std::memcpy(&observed, recorded->data.data(), sizeof observed);
    return observed;
  }
  happened(now);
  const Answer* known = answer({tag.kind, address, sizeof desired});
  if (known == nullptr) return expected;  // the recorded walker found the bit set already, as it will be now
  if (!known->ok) return std::nullopt;
  std::memcpy(&observed, known->data.data(), sizeof observed);
  return observed;
}

void ReplayedRam::message(const MemoryTag& tag, PhysAddr address, std::uint32_t data) {
  ++accesses_;
  Event now = of(Event::Kind::kMessage, tag, address, sizeof data);
  now.value = data;
  if (likeness_ == Likeness::kExact)
    expect(now);
  else
    happened(now);
}

// ---- the run -----------------------------------------------------------------------------------------------------

Replay::Replay(Recording& recording, const MachineOptions& options)
    : recording_(recording),
      likeness_(likeness_of(recording.options(), options)),
      ram_(likeness_),
      buggy_(ram_, options.bugs),
      machine_("machine", options, buggy_) {}

void Replay::perform(const Event& e) {
  ++inputs_;
  soc::PciFunction& function = machine_.function(e.function);
  Event now = e;
  switch (e.kind) {
    case Event::Kind::kConfigRead:
      now.value = function.config_read(static_cast<unsigned>(e.address), e.bytes);
      break;
    case Event::Kind::kConfigWrite:
      function.config_write(static_cast<unsigned>(e.address), static_cast<std::uint32_t>(e.value), e.bytes);
      break;
    case Event::Kind::kBarRead:
      now.value = function.bar_read(e.address, e.bytes);
      break;
    case Event::Kind::kBarWrite:
      function.bar_write(e.address, e.value, e.bytes);
      break;
    case Event::Kind::kReset:
      function.reset();
      break;
    case Event::Kind::kTick:
      machine_.endpoint(e.function - 1U).tick(e.value);
      break;
    default:
      break;
  }
  if (listener_) listener_(now);
  if (now.value != e.value) ram_.differ(fmt::format("{}; now it is {:#x}", in_words(e), now.value));
}

void Replay::run(const std::function<void()>& between) {
  vtd::run(sc_core::SC_ZERO_TIME);
  Event input = recording_.next();
  if (!input.input() && input.kind != Event::Kind::kEnd)
    throw RecordingError("the recording does not begin with the guest");
  while (input.kind != Event::Kind::kEnd && differences().size() < kMaxDifferences) {
    if (now_ps() < input.time_ps) machine_.advance(from_ps(input.time_ps - now_ps()));
    std::vector<Event> events;
    Event next = recording_.next();
    for (; !next.input() && next.kind != Event::Kind::kEnd; next = recording_.next()) events.push_back(std::move(next));
    ram_.begin(std::move(events));
    perform(input);
    if (likeness_ == Likeness::kOutcome || machine_.options().pace == Pace::kSettled)
      machine_.settle();
    else if (now_ps() < next.time_ps)
      machine_.advance(from_ps(next.time_ps - now_ps()));
    ram_.end();
    input = std::move(next);
    between();
  }
}

}  // namespace vtd::qemu
