// SPDX-License-Identifier: MIT
// Steps of a live update, from the first session to the next image's questions.
#include <fmt/format.h>

#include <algorithm>

#include "sim/runner.h"
#include "sim/times.h"

namespace vtd::sim {

using platform::Command;
using platform::LifecycleState;
using platform::Status;

namespace {

constexpr const char* kStateNames[] = VTD_LIFECYCLE_NAMES;

}  // namespace

// ---- live update --------------------------------------------------------------------------------------------

void Story::step_session(const Step& s) {
  const Params& p = s.params;
  const std::uint64_t session = p.number("session");
  if (s.kind == "open_session") return void(command(s, Command::kSessionOpen, {session}));
  if (s.kind == "close_session" || s.kind == "finish") {
    const Command c = s.kind == "finish" ? Command::kFinish : Command::kSessionClose;
    if (command(s, c, {session}).status != Status::kOk) return;
    for (const Preserved& x : preserved_)  // the live update of its units is over
      if (s.kind == "finish" && x.session == session && x.kind == "device")
        platform_.monitor().hold_translation(platform_.find_endpoint(x.name)->config().unit, false);
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

}  // namespace vtd::sim
