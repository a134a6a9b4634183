// SPDX-License-Identifier: MIT
#include "sim/runner.h"

#include <fmt/format.h>

#include <algorithm>

#include "sim/build.h"

namespace vtd::sim {

using platform::Command;
using platform::LifecycleState;
using platform::Status;

namespace {

constexpr const char* kStatusNames[] = VTD_STATUS_NAMES;
constexpr const char* kStateNames[] = VTD_LIFECYCLE_NAMES;
constexpr std::uint64_t kDefaultTimeoutNs = 100'000'000;
// Longer than any poll budget of the firmware.
const sc_core::sc_time& command_timeout() {
  static const sc_core::sc_time kTimeout(5, sc_core::SC_SEC);
  return kTimeout;
}

std::uint64_t now_ns() {
  return sc_core::sc_time_stamp().value() / 1000;
}

sc_core::sc_time from_ns(std::uint64_t ns) {
  return sc_core::sc_time(static_cast<double>(ns), sc_core::SC_NS);
}

std::string name_of(Status status) {
  const auto index = static_cast<std::size_t>(status);
  return index < std::size(kStatusNames) ? kStatusNames[index] : fmt::format("status {}", index);
}

soc::Rights rights_of(const std::string& text) {
  return {text.find('r') != std::string::npos, text.find('w') != std::string::npos};
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

// ---- memory, domains, devices -------------------------------------------------------------------------------

void Story::step_memory(const Step& s) {
  const MemoryTruth m{memories_.size() + 1, s.params.number("at"), s.params.number("size")};
  command(s, Command::kAddMemory, {m.id, m.base, m.size});
  memories_[s.params.text("name")] = m;  // a refused one has an id, too, that the firmware does not know
}

void Story::step_domain(const Step& s) {
  DomainTruth d;
  d.id = domains_.size() + 1;
  const std::string stage = s.params.text("stage", "second");
  const auto code = stage == "second"  ? platform::Stage::kSecond
                    : stage == "first" ? platform::Stage::kFirst
                                       : platform::Stage::kNested;
  const std::string parent = s.params.text("parent");
  command(s, Command::kCreateDomain,
          {d.id, s.params.number("levels", 4), static_cast<std::uint64_t>(code),
           parent.empty() ? 0 : domains_.at(parent).id});
  domains_[s.params.text("name")] = d;
}

void Story::step_map(const Step& s) {
  DomainTruth& d = domains_.at(s.params.text("domain"));
  const MemoryTruth& m = memories_.at(s.params.text("memory"));
  const Mapping mapping{s.params.number("iova"), s.params.number("size"), m.base + s.params.number("offset"),
                        rights_of(s.params.text("rights", "rw"))};
  const std::string leaf = s.params.text("leaf", "4K");
  const std::uint64_t level = leaf == "1G" ? 3 : leaf == "2M" ? 2 : 1;
  auto& monitor = platform_.monitor();
  for (const User& user : d.users)
    monitor.begin_grant(requester(user), mapping.iova, mapping.address, mapping.size, mapping.rights);
  const std::uint64_t perm = (mapping.rights.read ? 1U : 0U) | (mapping.rights.write ? 2U : 0U);
  const auto reply =
      command(s, Command::kMap, {d.id, mapping.iova, m.id, s.params.number("offset"), mapping.size, perm, level});
  for (const User& user : d.users)
    reply.status == Status::kOk ? monitor.end_grant(requester(user)) : monitor.cancel_grant(requester(user));
  if (reply.status == Status::kOk) d.mappings.push_back(mapping);
}

void Story::step_unmap(const Step& s) {
  DomainTruth& d = domains_.at(s.params.text("domain"));
  const Iova iova = s.params.number("iova");
  const std::uint64_t size = s.params.number("size");
  auto& monitor = platform_.monitor();
  for (const User& user : d.users) monitor.begin_revoke(requester(user), iova, size);
  const Snapshot before = snapshot();
  const auto reply = command(s, Command::kUnmap, {d.id, iova, size});
  std::vector<soc::Requester> losing;
  for (const User& user : d.users) {
    const soc::Requester who = requester(user);
    reply.status == Status::kOk ? monitor.end_revoke(who, iova, size) : monitor.cancel_revoke(who, iova, size);
    losing.push_back(who);
  }
  if (reply.status != Status::kOk) return;
  expect_invalidation(losing, before);
  cut(d.mappings, iova, size);
}

/// Takes a range out of mappings; what lies on either side of it stays.
void Story::cut(std::vector<Mapping>& mappings, Iova iova, std::uint64_t size) {
  const Iova end = iova + (size - 1);
  std::vector<Mapping> left;
  for (const Mapping& m : mappings) {
    const Iova last = m.iova + (m.size - 1);
    if (last < iova || m.iova > end) {
      left.push_back(m);
      continue;
    }
    if (m.iova < iova) left.push_back({m.iova, iova - m.iova, m.address, m.rights});
    if (last > end) left.push_back({end + 1, last - end, m.address + (end + 1 - m.iova), m.rights});
  }
  mappings = std::move(left);
}

void Story::expect_invalidation(const std::vector<soc::Requester>& losing, const Snapshot& before) {
  if (snapshot().invalidations != before.invalidations) return;
  for (const soc::Requester& who : losing) platform_.monitor().not_invalidated(who);
}

void Story::step_attach(const Step& s) {
  const User user{s.params.text("device"), s.params.number("pasid")};
  DomainTruth& d = domains_.at(s.params.text("domain"));
  const soc::Requester who = requester(user);
  auto& monitor = platform_.monitor();
  for (const Mapping& m : d.mappings) monitor.begin_grant(who, m.iova, m.address, m.size, m.rights);
  const auto reply = command(s, Command::kAttach, {sid(user.device), d.id, user.pasid});
  if (reply.status != Status::kOk) return monitor.cancel_grant(who);
  monitor.end_grant(who);
  if (const auto old = attached_.find(user); old != attached_.end() && !old->second.empty())
    domains_.at(old->second).users.erase(user);  // a planted bug let it be attached twice
  d.users.insert(user);
  attached_[user] = s.params.text("domain");
}

void Story::step_pass_through(const Step& s) {
  const User user{s.params.text("device"), 0};
  const soc::Requester who = requester(user);
  platform_.monitor().begin_grant(who, 0, 0, platform_.dram().size(), {true, true});
  const auto reply = command(s, Command::kPassThrough, {sid(user.device)});
  if (reply.status != Status::kOk) return platform_.monitor().cancel_grant(who);
  platform_.monitor().end_grant(who);
  attached_[user] = "";
}

void Story::step_detach(const Step& s) {
  const User user{s.params.text("device"), s.params.number("pasid")};
  const soc::Requester who = requester(user);
  platform_.monitor().begin_revoke_all(who);
  const Snapshot before = snapshot();
  const auto reply = command(s, Command::kDetach, {sid(user.device), user.pasid});
  if (reply.status != Status::kOk) return platform_.monitor().cancel_revoke(who, 0, ~std::uint64_t{0});
  platform_.monitor().end_revoke_all(who);
  expect_invalidation({who}, before);
  if (const auto it = attached_.find(user); it != attached_.end()) {
    if (!it->second.empty()) domains_.at(it->second).users.erase(user);
    attached_.erase(it);
  }
}

// ---- the bus --------------------------------------------------------------------------------------------------

void Story::step_device(const Step& s) {
  soc::Endpoint& e = device(s);
  if (s.kind == "unplug") return e.plug(false);
  if (s.kind == "plug") return e.plug(true);
  if (s.kind == "sleep") return e.sleep(true);
  if (s.kind == "wake") return e.sleep(false);
  e.renumber(SourceId{static_cast<std::uint16_t>(s.params.number("source"))});
}

void Story::step_interrupt(const Step& s) {
  std::uint32_t data = static_cast<std::uint32_t>(s.params.number("data", 0x40));
  const auto outcome = device(s).access(s.params.number("address", kInterruptBase),
                                        reinterpret_cast<std::uint8_t*>(&data), sizeof data, Access::kWrite, {});
  expect_outcome(s, outcome);
}

// ---- live update --------------------------------------------------------------------------------------------

void Story::step_session(const Step& s) {
  const Params& p = s.params;
  const std::uint64_t session = p.number("session");
  if (s.kind == "open_session") return void(command(s, Command::kSessionOpen, {session}));
  if (s.kind == "close_session" || s.kind == "finish") {
    const Command c = s.kind == "finish" ? Command::kFinish : Command::kSessionClose;
    if (command(s, c, {session}).status != Status::kOk) return;
    std::erase_if(preserved_, [&](const Preserved& x) { return x.session == session; });
  } else if (s.kind == "unpreserve") {
    if (command(s, Command::kUnpreserve, {session, p.number("token")}).status != Status::kOk) return;
    std::erase_if(preserved_, [&](const Preserved& x) { return x.session == session && x.token == p.number("token"); });
  } else {
    const std::string kind = s.kind.substr(std::string("preserve_").size());
    const std::string name = p.text(kind);
    const Command c = kind == "memory"    ? Command::kPreserveMemory
                      : kind == "iommufd" ? Command::kPreserveIommufd
                                          : Command::kPreserveDevice;
    const std::uint64_t id = kind == "memory" ? memories_.at(name).id : kind == "iommufd" ? 0 : sid(name);
    if (command(s, c, {session, p.number("token"), id}).status != Status::kOk) return;
    preserved_.push_back({session, p.number("token"), kind, name});
  }
}

bool Story::is_preserved(const std::string& kind, const std::string& name) const {
  return std::any_of(preserved_.begin(), preserved_.end(),
                     [&](const Preserved& x) { return x.kind == kind && x.name == name; });
}

/// All files first, in the order of their tokens: devices and domains depend on them.
void Story::step_take_over(const Step& s) {
  const std::uint64_t session = s.params.number("session");
  std::vector<Preserved> files;
  for (const Preserved& x : preserved_)
    if (x.session == session) files.push_back(x);
  if (files.empty()) return fail(s, fmt::format("files of session {}", session), "none preserved");
  for (const Preserved& x : files)
    if (command(s, Command::kRetrieve, {session, x.token}).status != Status::kOk) return;
  for (const Preserved& x : files)
    if (x.kind == "device" &&
        command(s, Command::kTransferOwner, {sid(x.name), s.params.number("owner")}).status != Status::kOk)
      return;
  for (const auto& [name, token] : marked_)
    if (command(s, Command::kReclaimDomain, {token}).status != Status::kOk) return;
  marked_.clear();
}

/// The old rights go on until the command is done; the new ones are legal from its beginning.
void Story::step_replace(const Step& s) {
  const User user{s.params.text("device"), 0};
  const std::string to = s.params.text("domain");
  DomainTruth& d = domains_.at(to);
  const soc::Requester who = requester(user);
  auto& monitor = platform_.monitor();
  // What both domains map must work at every instant.
  std::vector<Mapping> ending;
  if (const auto old = attached_.find(user); old != attached_.end() && !old->second.empty())
    ending = domains_.at(old->second).mappings;
  for (const Mapping& m : d.mappings) cut(ending, m.iova, m.size);
  for (const Mapping& m : ending) monitor.begin_revoke(who, m.iova, m.size);
  for (const Mapping& m : d.mappings) monitor.begin_grant(who, m.iova, m.address, m.size, m.rights);
  const Snapshot before = snapshot();
  const auto reply = command(s, Command::kReplace, {sid(user.device), d.id});
  if (reply.status != Status::kOk) {
    monitor.cancel_grant(who);
    return monitor.cancel_revoke(who, 0, ~std::uint64_t{0});
  }
  monitor.begin_revoke_all(who);  // the old rights; the new ones are still being granted
  monitor.end_revoke_all(who);
  monitor.end_grant(who);
  expect_invalidation({who}, before);
  if (const auto it = attached_.find(user); it != attached_.end() && !it->second.empty())
    domains_.at(it->second).users.erase(user);
  d.users.insert(user);
  attached_[user] = to;
}

void Story::step_mark_domain(const Step& s) {
  const std::string name = s.params.text("domain");
  const std::uint64_t token = s.params.number("token");
  if (command(s, Command::kMarkDomain, {domains_.at(name).id, token}).status == Status::kOk) marked_[name] = token;
}

void Story::step_destroy_domain(const Step& s) {
  const auto it = domains_.find(s.params.text("domain"));
  command(s, Command::kDestroyDomain, {it->second.id});
}

void Story::step_shutdown(const Step& s) {
  // Devices that are not preserved lose everything; their last accesses may still land until shutdown is done. Of those
  // that are preserved, other PASIDs are lost: the image has no place for them.
  std::vector<soc::Requester> losing;
  std::vector<soc::Requester> cached;  // of them, those whose unit goes on translating
  for (const auto& [user, domain] : attached_) {
    if (stays(user)) continue;
    losing.push_back(requester(user));
    if (unit_stays(platform_.find_endpoint(user.device)->config().unit)) cached.push_back(requester(user));
  }
  auto& monitor = platform_.monitor();
  hold_translation(true);
  for (const soc::Requester& who : losing) monitor.begin_revoke_all(who);
  const Snapshot before = snapshot();
  const auto reply = command(s, Command::kShutdown, {});
  if (reply.status != Status::kOk) {
    hold_translation(false);
    for (const soc::Requester& who : losing) monitor.cancel_revoke(who, 0, ~std::uint64_t{0});
    return;
  }
  expect_invalidation(cached, before);
  for (auto& [name, domain] : domains_) std::erase_if(domain.users, [&](const User& user) { return !stays(user); });
  std::erase_if(attached_, [&](const auto& a) { return !stays(a.first); });
  for (const soc::Requester& who : losing) monitor.end_revoke_all(who);
}

bool Story::stays(const User& user) const {
  return user.pasid == 0 && is_preserved("device", user.device);
}

/// True if a device behind the unit is preserved: else it is switched off.
bool Story::unit_stays(unsigned unit) {
  return std::any_of(preserved_.begin(), preserved_.end(), [&](const Preserved& x) {
    return x.kind == "device" && platform_.find_endpoint(x.name)->config().unit == unit;
  });
}

/// Of each unit with a preserved device.
void Story::hold_translation(bool hold) {
  for (const Preserved& x : preserved_)
    if (x.kind == "device") platform_.monitor().hold_translation(platform_.find_endpoint(x.name)->config().unit, hold);
}

/// Nothing is shut down and nobody loses anything: the old tables stay, and what they say.
void Story::step_crash(const Step& s) {
  boot_next(s, Command::kCrash);
}

void Story::step_reboot(const Step& s) {
  boot_next(s, Command::kReboot);
}

void Story::boot_next(const Step& s, Command how) {
  if (s.params.number("background") == 0) return void(command(s, how, {}));
  background_.reset();
  sc_core::sc_spawn([this, how] {
    background_ = platform_.mailbox().call(how, {}, command_timeout());
    background_done_.notify();
  });
}

void Story::step_live_update(const Step& s) {
  Step part = s;
  part.params = {};
  command(part, Command::kFreeze, {});
  if (outcome_.failures.empty()) step_shutdown(part);
  if (!outcome_.failures.empty()) return;
  if (s.params.has("expect")) part.params.set("expect", s.params.text("expect"));
  step_reboot(part);
}

void Story::step_wait_for(const Step& s) {
  const std::string wanted = s.params.text("state");
  const sc_core::sc_time end = sc_core::sc_time_stamp() + from_ns(s.params.number("timeout", kDefaultTimeoutNs));
  if (wanted == "ready") {
    while (!background_ && sc_core::sc_time_stamp() < end) wait(end - sc_core::sc_time_stamp(), background_done_);
    if (!background_) return fail(s, "the incoming firmware ready", "no answer in time");
    expect_status(s, *background_);
    return;
  }
  // The outgoing image announces the blackout; it begins with the reset.
  const auto reached = [&] {
    if (wanted == "blackout") return in_blackout_;
    return wanted == kStateNames[static_cast<std::size_t>(platform_.mailbox().state())];
  };
  while (!reached() && sc_core::sc_time_stamp() < end) wait(end - sc_core::sc_time_stamp(), state_changed_);
  if (!reached()) fail(s, wanted, kStateNames[static_cast<std::size_t>(platform_.mailbox().state())]);
}

void Story::step_drain_faults(const Step& s) {
  const auto reply = command(s, Command::kDrainFaults, {});
  if (s.params.has("count") && reply.results[0] != s.params.number("count"))
    fail(s, fmt::format("{} fault records", s.params.number("count")), fmt::format("{}", reply.results[0]));
  if (s.params.has("overflow") && reply.results[1] != s.params.number("overflow"))
    fail(s, fmt::format("overflow {}", s.params.number("overflow")), fmt::format("{}", reply.results[1]));
}

void Story::step_query(const Step& s) {
  const Params& p = s.params;
  constexpr const char* kQueries[] = {"lifecycle",     "device_did",  "device_owner",  "preserved_pages",
                                      "did_use_count", "unit_record", "domain_tables", "device_entry",
                                      "allocator",     "session",     "flb",           "updates"};
  const auto what = static_cast<std::uint64_t>(std::find(std::begin(kQueries), std::end(kQueries), p.text("what")) -
                                               std::begin(kQueries));
  std::uint64_t id = p.number("id");
  if (p.has("device")) id = sid(p.text("device"));
  if (p.has("domain")) id = domains_.at(p.text("domain")).id;
  const auto reply = command(s, Command::kQuery, {what, id});
  for (unsigned i = 0; i < 3; ++i) {
    const std::string name = "result" + std::to_string(i);
    if (p.has(name) && reply.results[i] != p.number(name))
      fail(s, fmt::format("{} {} = {:#x}", p.text("what"), name, p.number(name)),
           fmt::format("{:#x}", reply.results[i]));
  }
  if (p.has("remember")) remembered_[p.text("remember")] = reply.results;
  if (!p.has("same_as")) return;
  const auto kept = remembered_.find(p.text("same_as"));
  if (kept == remembered_.end()) return fail(s, "results remembered as " + p.text("same_as"), "nothing remembered");
  for (unsigned i = 0; i < reply.results.size(); ++i)
    if (reply.results[i] != kept->second[i])
      fail(s, fmt::format("result{} as remembered, {:#x}", i, kept->second[i]), fmt::format("{:#x}", reply.results[i]));
}

// ---- traffic ------------------------------------------------------------------------------------------------

void Story::step_dma(const Step& s) {
  const Params& p = s.params;
  const Access kind = p.text("op") == "write" ? Access::kWrite : Access::kRead;
  std::vector<std::uint8_t> data(p.number("size", 64), 0xA5);
  std::optional<Pasid> pasid;
  if (p.has("pasid")) pasid = Pasid{static_cast<std::uint32_t>(p.number("pasid"))};
  for (std::uint64_t i = 0; i < p.number("count", 1); ++i) {
    const auto outcome = device(s).access(p.number("iova") + i * kPageSize, data.data(),
                                          static_cast<std::uint32_t>(data.size()), kind, pasid);
    if (!expect_outcome(s, outcome)) return;
  }
}

bool Story::expect_outcome(const Step& s, const soc::DmaOutcome& outcome) {
  const std::string happened = outcome.ok                            ? "ok"
                               : outcome.fault != FaultReason::kNone ? info(outcome.fault).name
                                                                     : "refused";
  const std::string expected = s.params.text("expect", "ok");
  if (happened != expected) fail(s, expected, happened);
  return happened == expected;
}

void Story::step_stream(const Step& s) {
  soc::Endpoint& e = device(s);
  if (s.kind == "start") return e.start();
  if (s.kind == "stop") return e.stop();
  const std::uint64_t transfers = s.params.number("transfers");
  if (e.attempts() > transfers)
    return fail(s, fmt::format("at most {} transfers so far", transfers), fmt::format("{}", e.attempts()));
  e.finish_at(transfers);
  if (!e.wait_finished(from_ns(s.params.number("timeout", kDefaultTimeoutNs))))
    fail(s, fmt::format("{} transfers", transfers), fmt::format("{} in time", e.attempts()));
}

void Story::step_inject(const Step& s) {
  const Injection injection{s.params.text("place"), s.params.number("value", 1), s.params.text("as")};
  if (Injector::waits_for_reset(injection.place)) return injector_.plan(injection);
  if (injection.place.rfind("firmware.", 0) == 0) {
    injector_.plan(injection);
    return platform_.mailbox().set_deviations(injector_.deviations());
  }
  try {
    Injector::now(platform_, injection);
  } catch (const std::runtime_error& e) {
    impossible(fmt::format("{}:{}:{}: {}", s.at.file, s.at.line, s.at.column, e.what()));
  }
}

void Story::step_systematic(const Step& s) {
  std::optional<Pasid> pasid;
  if (s.params.has("pasid")) pasid = Pasid{static_cast<std::uint32_t>(s.params.number("pasid"))};
  interleaving_->watch({s.params.text("device"), pasid, s.params.number("iova"), s.params.number("dma") != 0});
}

void Story::step_set(const Step& s) {
  platform_.mailbox().set_policy(set_policy(platform_.mailbox().policy(), s.params));
}

soc::Requester Story::requester(const User& user) {
  const SourceId source = platform_.find_endpoint(user.device)->requester();
  if (user.pasid == 0) return source;
  return {source, Pasid{static_cast<std::uint32_t>(user.pasid)}};
}

soc::Endpoint& Story::device(const Step& step) {
  return *platform_.find_endpoint(step.params.text("device"));
}
std::uint64_t Story::sid(const std::string& device) {
  return platform_.find_endpoint(device)->config().source.value;
}

}  // namespace vtd::sim
