// SPDX-License-Identifier: MIT
// Steps that change memory, domains and attachments, and that let devices work. Each change tells the monitor.
#include <fmt/format.h>

#include <algorithm>

#include "sim/build.h"
#include "sim/runner.h"
#include "sim/times.h"

namespace vtd::sim {

using platform::Command;
using platform::Status;

namespace {

soc::Rights rights_of(const std::string& text) {
  return {text.find('r') != std::string::npos, text.find('w') != std::string::npos};
}

}  // namespace

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
