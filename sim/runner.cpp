// SPDX-License-Identifier: MIT
#include "sim/runner.h"

#include <fmt/format.h>

#include <algorithm>

#include "sim/times.h"

namespace vtd::sim {

using platform::Command;
using platform::LifecycleState;
using platform::Status;

namespace {

constexpr const char* kStatusNames[] = VTD_STATUS_NAMES;

std::string name_of(Status status) {
  const auto index = static_cast<std::size_t>(status);
  return index < std::size(kStatusNames) ? kStatusNames[index] : fmt::format("status {}", index);
}

bool in_unit(std::uint64_t address) {
  return address >= platform::kUnitBase && address - platform::kUnitBase < platform::kMaxUnits * platform::kUnitStride;
}

}  // namespace

Snapshot operator-(const Snapshot& a, const Snapshot& b) {
  return {a.walks - b.walks,
          a.faults - b.faults,
          a.invalidations - b.invalidations,
          a.restarts - b.restarts,
          a.iotlb_hits - b.iotlb_hits,
          a.iotlb_misses - b.iotlb_misses,
          a.context_hits - b.context_hits,
          a.context_misses - b.context_misses};
}

Story::Story(sc_core::sc_module_name name, const Scenario& scenario, soc::Platform& platform, Injector& injector)
    : sc_module(name), scenario_(scenario), platform_(platform), injector_(injector) {
  if (std::any_of(scenario.steps.begin(), scenario.steps.end(), [](const Step& s) { return s.kind == "systematic"; }))
    interleaving_.emplace(platform);
  sc_core::sc_spawn([this] { play(); }, "play");
  platform.mailbox().on_state([this](LifecycleState) { state_changed_.notify(sc_core::SC_ZERO_TIME); });
  platform.resets().before([this](platform::reset::Kind) { at_reset(); });
  platform.cpu().on_mmio([this](const soc::MmioAccess& a) {
    if (!in_unit(a.address)) return;
    last_unit_access_ns_ = a.time.value() / 1000;
    if (a.write && outcome_.resets > 0) ++outcome_.unit_writes;
    if (!in_blackout_) return;
    in_blackout_ = false;
    outcome_.blackout_end_ns = last_unit_access_ns_;
    at_takeover_ = snapshot();
    begin_phase("adopt and reattach");
  });
}

// ---- phases and counters ------------------------------------------------------------------------------------

Snapshot Story::snapshot() const {
  Snapshot s;
  for (std::size_t i = 0; i < platform_.units(); ++i) {
    const UnitStatistics& u = platform_.unit(i).statistics();
    s.walks += u.walks;
    s.faults += u.faults;
    s.invalidations += u.invalidations;
    s.restarts += u.restarts;
    s.iotlb_hits += u.cache(CacheId::kIotlb, CacheEvent::kHit);
    s.iotlb_misses += u.cache(CacheId::kIotlb, CacheEvent::kMiss);
    s.context_hits += u.cache(CacheId::kContext, CacheEvent::kHit);
    s.context_misses += u.cache(CacheId::kContext, CacheEvent::kMiss);
  }
  return s;
}

void Story::begin_phase(const std::string& name) {
  end_phase();
  platform_.set_phase(name);
  phase_begin_ = snapshot();
  outcome_.phases.push_back({name, now_ns(), now_ns(), {}});
  phase_open_ = true;
}

void Story::end_phase() {
  if (!phase_open_) return;
  outcome_.phases.back().end_ns = now_ns();
  outcome_.phases.back().counts = snapshot() - phase_begin_;
  phase_open_ = false;
}

/// The instant of a reset, before memory is poisoned.
void Story::at_reset() {
  // No exception may leave here: this runs within the CPU's register access.
  try {
    injector_.at_reset(platform_);
  } catch (const std::runtime_error& e) {
    impossible(e.what());
  }
  for (std::size_t i = 0; i < platform_.units(); ++i) {
    const UnitCore& unit = platform_.unit(i).core();
    if (unit_stays(static_cast<unsigned>(i)) &&
        iq::kQH.get(unit.register_value(RegId::kIQH)) != iq::kQT.get(unit.register_value(RegId::kIQT)))
      ++outcome_.busy_queues;
  }
  ++outcome_.resets;
  outcome_.unit_writes = 0;
  outcome_.blackout_begin_ns = last_unit_access_ns_;
  at_reset_ = snapshot();
  in_blackout_ = true;
  state_changed_.notify(sc_core::SC_ZERO_TIME);
  begin_phase("blackout");
}

void Story::impossible(const std::string& why) {
  outcome_.impossible = why;
  sc_core::sc_stop();
}

// ---- the play -----------------------------------------------------------------------------------------------

void Story::play() {
  begin_phase("boot");
  if (!platform_.mailbox().wait_ready(command_timeout()))
    outcome_.failures.push_back({now_ns(), "boot", "firmware ready", "no answer"});
  for (const Step& step : scenario_.steps) {
    if (!outcome_.failures.empty() || !outcome_.impossible.empty())
      break;  // what follows would only tell the same again
    play(step);
  }
  for (std::size_t i = 0; i < platform_.endpoints(); ++i) platform_.endpoint(i).stop();
  check_memory();
  end_phase();
  outcome_.finished = true;
  sc_core::sc_stop();
}

void Story::play(const Step& s) {
  const std::string& k = s.kind;
  const Params& p = s.params;
  if (k == "phase") return begin_phase(p.text("name"));
  if (k == "wait") return wait(from_ns(p.number("time")));
  if (k == "memory") return step_memory(s);
  if (k == "domain") return step_domain(s);
  if (k == "mark_domain") return step_mark_domain(s);
  if (k == "destroy_domain") return step_destroy_domain(s);
  if (k == "map") return step_map(s);
  if (k == "unmap") return step_unmap(s);
  if (k == "attach") return step_attach(s);
  if (k == "pass_through") return step_pass_through(s);
  if (k == "detach") return step_detach(s);
  if (k == "claim") return void(command(s, Command::kClaimOwner, {sid(p.text("device")), p.number("owner")}));
  if (k == "release") return void(command(s, Command::kReleaseOwner, {sid(p.text("device")), p.number("owner")}));
  if (k == "freeze") return void(command(s, Command::kFreeze, {}));
  if (k == "unfreeze") return void(command(s, Command::kUnfreeze, {}));
  if (k == "plant_global") return void(command(s, Command::kPlantGlobal, {p.number("value")}));
  if (k == "read_global") {
    const auto reply = command(s, Command::kReadGlobal, {});
    if (reply.results[0] != p.number("value"))
      fail(s, fmt::format("global {:#x}", p.number("value")), fmt::format("{:#x}", reply.results[0]));
    return;
  }
  if (k == "open_session" || k == "close_session" || k == "finish" || k == "unpreserve" || k.rfind("preserve_", 0) == 0)
    return step_session(s);
  if (k == "retrieve") return void(command(s, Command::kRetrieve, {p.number("session"), p.number("token")}));
  if (k == "transfer_owner")
    return void(command(s, Command::kTransferOwner, {sid(p.text("device")), p.number("owner")}));
  if (k == "reclaim_domain") return void(command(s, Command::kReclaimDomain, {p.number("token")}));
  if (k == "take_over") return step_take_over(s);
  if (k == "replace") return step_replace(s);
  if (k == "suspend") return void(command(s, Command::kSuspend, {}));
  if (k == "reprobe_unit") return void(command(s, Command::kReprobeUnit, {p.number("unit")}));
  if (k == "set") return step_set(s);
  if (k == "unplug" || k == "plug" || k == "renumber" || k == "sleep" || k == "wake") return step_device(s);
  if (k == "probe_device") return void(command(s, Command::kProbeDevice, {sid(p.text("device"))}));
  if (k == "interrupt") return step_interrupt(s);
  if (k == "crash") return step_crash(s);
  if (k == "protect_memory") return void(command(s, Command::kProtectMemory, {p.number("at"), p.number("size")}));
  if (k == "shutdown") return step_shutdown(s);
  if (k == "reboot") return step_reboot(s);
  if (k == "live_update") return step_live_update(s);
  if (k == "wait_for") return step_wait_for(s);
  if (k == "drain_faults") return step_drain_faults(s);
  if (k == "query") return step_query(s);
  if (k == "dma" || k == "repeat_dma") return step_dma(s);
  if (k == "start" || k == "stop" || k == "finish_stream") return step_stream(s);
  if (k == "inject") return step_inject(s);
  if (k == "systematic") return step_systematic(s);
  if (k == "end_systematic") return interleaving_ ? interleaving_->clear() : void();
  if (k == "slow_memory") return platform_.dram().slow(from_ns(p.number("by")));
  if (k == "reset_unit")
    return platform_.unit(p.number("unit")).reset(p.text("kind") == "cold" ? ResetKind::kCold : ResetKind::kWarm);
  throw std::logic_error("step '" + k + "' is declared but not played");
}

void Story::fail(const Step& step, const std::string& expected, const std::string& happened) {
  outcome_.failures.push_back({now_ns(),
                               fmt::format("{}:{}:{}: {}", step.at.file, step.at.line, step.at.column, step.kind),
                               expected, happened});
}

soc::MailboxReply Story::command(const Step& step, Command command, std::vector<std::uint64_t> args) {
  const Snapshot before = snapshot();
  if (interleaving_) interleaving_->begin();
  const soc::MailboxReply reply = platform_.mailbox().call(command, args, command_timeout());
  if (interleaving_)
    for (const std::string& wrong : interleaving_->end()) fail(step, "each request sees what was, or what is", wrong);
  expect_status(step, reply);
  // What is refused because of what is preserved changes nothing.
  if (reply.status == Status::kBusy && snapshot().invalidations != before.invalidations)
    fail(step, "no invalidation by a command that is refused",
         fmt::format("{}", snapshot().invalidations - before.invalidations));
  return reply;
}

bool Story::expect_status(const Step& step, const soc::MailboxReply& reply) {
  const std::string expected = step.params.text("expect", "OK");
  const std::string happened = reply.timed_out ? "no answer" : name_of(reply.status);
  if (happened == expected) return true;
  std::string detail = happened;
  if (const std::string crash = platform_.cpu().crash(); !crash.empty()) detail += "; the firmware crashed: " + crash;
  if (reply.status == Status::kFatal && !platform_.uart().lines().empty())
    detail += ": " + platform_.uart().lines().back().text;
  fail(step, expected, detail);
  return false;
}

}  // namespace vtd::sim
