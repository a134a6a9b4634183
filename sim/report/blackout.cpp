// SPDX-License-Identifier: MIT
#include "sim/report/blackout.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "sim/times.h"
#include "tlm/spec/registers.h"

namespace vtd::sim {
namespace {

using platform::Command;
using platform::LifecycleState;

/// The phase that a command belongs to; nullptr: to none.
const char* phase_of(Command command) {
  switch (command) {
    case Command::kSessionOpen:
    case Command::kPreserveMemory:
    case Command::kPreserveIommufd:
    case Command::kPreserveDevice:
    case Command::kMarkDomain:
      return "preserve";
    case Command::kFreeze:
      return "freeze";
    case Command::kShutdown:
      return "clean";
    case Command::kReboot:
      return "place";
    default:
      return nullptr;
  }
}

}  // namespace

const UpdatePhase* UpdateReport::find(std::string_view name) const {
  const auto it = std::find_if(phases.begin(), phases.end(), [&](const UpdatePhase& p) { return p.name == name; });
  return it == phases.end() ? nullptr : &*it;
}

BlackoutMeter::BlackoutMeter(soc::Platform& platform) : platform_(platform) {
  platform.mailbox().on_command([this](std::optional<Command> c) { command(c); });
  platform.mailbox().on_state([this](LifecycleState s) { state(s); });
  platform.resets().before([this](platform::reset::Kind kind) { at_reset(kind); });
  platform.cpu().on_mmio([this](const soc::MmioAccess& a) { mmio(a); });
}

BlackoutMeter::Counts BlackoutMeter::now() const {
  Counts c;
  c.ns = now_ns();
  for (std::size_t i = 0; i < platform_.units(); ++i) {
    c.walks += platform_.unit(i).statistics().walks;
    c.invalidations += platform_.unit(i).statistics().invalidations;
  }
  for (std::size_t i = 0; i < platform_.endpoints(); ++i) {
    const soc::StreamStatistics& s = platform_.endpoint(i).total();
    c.dma += s.transfers();
    c.latency_sum_ns += s.latency_sum.value() / 1000;
  }
  return c;
}

void BlackoutMeter::begin(const char* name) {
  end();
  open_ = name;
  begin_ = now();
  for (std::size_t i = 0; i < platform_.endpoints(); ++i) platform_.endpoint(i).begin_window();
}

void BlackoutMeter::end() {
  if (open_ == nullptr) return;
  const Counts c = now();
  UpdatePhase phase{open_,
                    begin_.ns,
                    c.ns,
                    c.walks - begin_.walks,
                    c.invalidations - begin_.invalidations,
                    c.dma - begin_.dma,
                    c.latency_sum_ns - begin_.latency_sum_ns,
                    0};
  for (std::size_t i = 0; i < platform_.endpoints(); ++i)
    phase.latency_max_ns =
        std::max<std::uint64_t>(phase.latency_max_ns, platform_.endpoint(i).window_latency_max().value() / 1000);
  open_ = nullptr;
  auto& phases = incoming_ ? updates_.back().phases : outgoing_;
  if (incoming_ || phases.empty() || phases.back().name != phase.name) return phases.push_back(phase);
  // Commands of one phase follow each other; what lies between them is userspace's, not the kernel's.
  UpdatePhase& whole = phases.back();
  whole.end_ns = phase.end_ns;
  whole.walks += phase.walks;
  whole.invalidations += phase.invalidations;
  whole.dma += phase.dma;
  whole.latency_sum_ns += phase.latency_sum_ns;
  whole.latency_max_ns = std::max(whole.latency_max_ns, phase.latency_max_ns);
}

void BlackoutMeter::command(std::optional<Command> command) {
  if (incoming_) return;
  if (!command) return end();
  if (*command == Command::kSessionOpen) outgoing_.clear();
  if (const char* name = phase_of(*command); name != nullptr) begin(name);
}

void BlackoutMeter::at_reset(platform::reset::Kind kind) {
  end();
  if (kind != platform::reset::Kind::kWarm) return outgoing_.clear();
  updates_.push_back({std::exchange(outgoing_, {}), 0, now().ns, 0});
  incoming_ = true;
  begin("boot");
}

void BlackoutMeter::state(LifecycleState state) {
  if (!incoming_) return;
  switch (state) {
    case LifecycleState::kAdopting:
      updates_.back().preserved_pages = platform_.resets().preserved_pages();
      return begin("adopt");
    case LifecycleState::kRestoring:
      return begin("restore");
    case LifecycleState::kReattached:
    case LifecycleState::kNormal:
    case LifecycleState::kFinished:
    case LifecycleState::kFatal:
      end();
      incoming_ = false;
      return;
    default:
      return;
  }
}

void BlackoutMeter::mmio(const soc::MmioAccess& access) {
  if (!incoming_ || !access.write || updates_.back().first_invalidation_ns != 0) return;
  if (access.address < platform::kUnitBase) return;
  const std::uint64_t offset = access.address % platform::kUnitStride;
  const auto unit = static_cast<std::size_t>((access.address - platform::kUnitBase) / platform::kUnitStride);
  if (unit >= platform_.units()) return;
  for (const RegId id : {RegId::kIQT, RegId::kCCMD, RegId::kIOTLB})
    if (offset == offset_of(id, platform_.unit(unit).config().profile) && access.value != 0)
      updates_.back().first_invalidation_ns = now().ns - updates_.back().reset_ns;
}

}  // namespace vtd::sim
