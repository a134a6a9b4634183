// SPDX-License-Identifier: MIT
#include "firmware/app/server.h"

#include "firmware/hal/console.h"
#include "firmware/hal/policy.h"
#include "firmware/vtd/fault_log.h"

namespace vtd::fw {

std::uint64_t g_planted = 0;

namespace {
namespace mailbox = platform::mailbox;
using platform::Command;
using platform::Query;
constexpr PhysAddr kMailbox = platform::kMailboxBase;

std::string_view name_of(Command command) {
  switch (command) {
#define VTD_X(name, code, args) \
  case Command::name:           \
    return &#name[1];
    VTD_MAILBOX_COMMANDS(VTD_X)
#undef VTD_X
  }
  return "unknown";
}

/// Asked often and without effect: not worth a console line.
bool silent(Command c) {
  return c == Command::kPing || c == Command::kQuery || c == Command::kReadGlobal;
}
}  // namespace

void Server::run() {
  for (;;) serve_one();
}

void Server::serve_one() {
  const std::uint64_t sequence = hal::mmio_read64(kMailbox + mailbox::kWait);
  const std::uint64_t code = hal::mmio_read64(kMailbox + mailbox::kCommand);
  const auto command = static_cast<Command>(code);
  Args args{};
  for (std::size_t i = 0; i < kArgs; ++i) args[i] = hal::mmio_read64(kMailbox + mailbox::kArg + i * 8);
  plan_failure();
  const bool known = static_cast<std::uint64_t>(command) == code;  // no high bits were cut off
  const Reply reply = known ? execute(command, args) : Reply{Status::kNotSupported, {}};
  if (!silent(command)) hal::print("command: ", name_of(command), ": ", reply.status);
  for (std::size_t i = 0; i < reply.results.size(); ++i)
    hal::mmio_write64(kMailbox + mailbox::kResult + i * 8, reply.results[i]);
  hal::mmio_write64(kMailbox + mailbox::kStatus, static_cast<std::uint64_t>(reply.status));
  hal::mmio_write64(kMailbox + mailbox::kDone, sequence);
}

Server::Reply Server::execute(Command command, const Args& args) {
  switch (command) {
    case Command::kPing:
      return {};
    case Command::kQuery:
      return query(args[0], args[1]);
    case Command::kDrainFaults:
      return drain_all_faults();
    case Command::kPlantGlobal:
      g_planted = args[0];
      return {};
    case Command::kReadGlobal:
      return {Status::kOk, {g_planted}};
    case Command::kFreeze:
    case Command::kUnfreeze:
    case Command::kShutdown:
    case Command::kReboot:
    case Command::kFinish:
    case Command::kCrash:
    case Command::kSuspend:
    case Command::kReprobeUnit:
      return move_on(command, args);
    case Command::kSessionOpen:
    case Command::kSessionClose:
    case Command::kPreserveMemory:
    case Command::kPreserveIommufd:
    case Command::kPreserveDevice:
    case Command::kUnpreserve:
    case Command::kRetrieve:
    case Command::kTransferOwner:
    case Command::kReclaimDomain:
      return change_sessions(command, args);
    default:
      return change_mappings(command, args);
  }
}

Server::Reply Server::move_on(Command command, const Args& a) {
  switch (command) {
    case Command::kFreeze:
      return {live_update_.freeze(), {}};
    case Command::kUnfreeze:
      return {live_update_.unfreeze(), {}};
    case Command::kShutdown:
      return {live_update_.shutdown(), {}};
    case Command::kReboot:
      return {live_update_.reboot(), {}};
    case Command::kCrash:
      return {live_update_.crash(), {}};
    case Command::kSuspend:
      return {live_update_.suspend(), {}};
    case Command::kReprobeUnit:
      return {live_update_.reprobe(a[0]), {}};
    default:
      return {live_update_.finish(a[0]), {}};
  }
}

Server::Reply Server::change_sessions(Command command, const Args& a) {
  switch (command) {
    case Command::kSessionOpen:
      return {live_update_.open_session(a[0]), {}};
    case Command::kSessionClose:
      return {live_update_.close_session(a[0]), {}};
    case Command::kPreserveMemory:
      return {live_update_.preserve_memory(a[0], a[1], a[2]), {}};
    case Command::kPreserveIommufd:
      return {live_update_.preserve_iommufd(a[0], a[1]), {}};
    case Command::kPreserveDevice:
      return {live_update_.preserve_device(a[0], a[1], a[2]), {}};
    case Command::kRetrieve: {
      Incoming::Retrieved file;
      const Status s = live_update_.incoming().retrieve(a[0], a[1], file);
      return {s, {static_cast<std::uint64_t>(file.kind), file.label}};
    }
    case Command::kTransferOwner:
      return {live_update_.incoming().transfer_owner(a[0], a[1]), {}};
    case Command::kReclaimDomain: {
      std::uint64_t domain = 0;
      const Status s = live_update_.incoming().reclaim_domain(a[0], domain);
      return {s, {domain}};
    }
    default:
      return {live_update_.unpreserve(a[0], a[1]), {}};
  }
}

Server::Reply Server::change_mappings(Command command, const Args& a) {
  const bool hotplug = command == Command::kProbeDevice && deviates(Deviation::kHotplugWhileFrozen);
  if (!live_update_.open_for_changes() && !hotplug) return {Status::kBusy, {}};
  switch (command) {
    case Command::kAddMemory:
      return {iommu_.add_memory(a[0], a[1], a[2]), {}};
    case Command::kCreateDomain:
      return {iommu_.create_domain({a[0], a[1], a[2], a[3]}), {}};
    case Command::kDestroyDomain:
      return {iommu_.destroy_domain(a[0]), {}};
    case Command::kMarkDomain:
      return {iommu_.mark_domain(a[0], a[1]), {}};
    case Command::kMap:
      return {iommu_.map({a[0], a[1], a[2], a[3], a[4], a[5], a[6]}), {}};
    case Command::kUnmap:
      return unmap(a);
    case Command::kAttach: {
      const Status s = iommu_.attach(a[0], a[1], a[2]);
      return {s, {ok(s) ? iommu_.domain(a[1])->uses[iommu_.device(a[0])->unit].did.value : std::uint64_t{0}}};
    }
    case Command::kReplace: {
      const Status s = iommu_.replace(a[0], a[1]);
      return {s, {ok(s) ? iommu_.device(a[0])->own.did.value : std::uint64_t{0}}};
    }
    case Command::kPassThrough:
      return {iommu_.attach_pass_through(a[0]), {}};
    case Command::kDetach:
      return {iommu_.detach(a[0], a[1]), {}};
    case Command::kProbeDevice:
      return {iommu_.probe(a[0]), {}};
    case Command::kProtectMemory:
      return {protect_memory(a[0], a[1]), {}};
    case Command::kClaimOwner:
      return {iommu_.claim(a[0], a[1]), {}};
    case Command::kReleaseOwner:
      return {iommu_.release_owner(a[0], a[1]), {}};
    default:
      return {Status::kNotSupported, {}};
  }
}

Server::Reply Server::unmap(const Args& a) {
  const bool skip = deviates(Deviation::kSkipUnmapInvalidation);
  std::uint64_t bytes = 0;
  const Status s = iommu_.unmap(a[0], a[1], a[2], skip ? Iommu::Invalidate::kSkip : Iommu::Invalidate::kYes, bytes);
  return {s, {bytes}};
}

Status Server::protect_memory(PhysAddr base, std::uint64_t size) {
  Status result = Status::kOk;
  iommu_.for_each_unit([&](Unit& unit) {
    if (!ok(result)) return;
    result = size == 0 ? unit.driver().disable_protected_memory() : unit.driver().protect_memory(base, size);
  });
  return result;
}

Server::Reply Server::drain_all_faults() {
  Reply reply;
  iommu_.for_each_unit([&](Unit& unit) {
    const FaultDrain drain = drain_faults(unit.driver().registers(), unit.driver().cap());
    reply.results[0] += drain.records;
    if (drain.overflow) reply.results[1] = 1;
    reply.results[2] += unit.refuse_page_requests();
  });
  hal::print("faults: ", reply.results[0], reply.results[1] != 0 ? ", overflow" : "");
  return reply;
}

Server::Reply Server::query(std::uint64_t what, std::uint64_t id) {
  if (what > static_cast<std::uint64_t>(Query::kUpdates)) return {Status::kNotSupported, {}};
  const auto query = static_cast<Query>(what);
  switch (query) {
    case Query::kLifecycle:
      return {Status::kOk,
              {static_cast<std::uint64_t>(live_update_.state()), live_update_.update_counter(),
               static_cast<std::uint64_t>(live_update_.image())}};
    case Query::kPreservedPages:
      return {Status::kOk, {live_update_.preserved_pages(), live_update_.reclaimed_pages()}};
    case Query::kDidUseCount: {
      const Iommu::DidUse use = iommu_.did_use(id);
      return {Status::kOk, {use.devices, use.reserved ? 1U : 0U}};
    }
    case Query::kUnitRecord:
      return {Status::kOk, {live_update_.unit_references(static_cast<unsigned>(id))}};
    case Query::kDomainTables: {
      const Domain* domain = iommu_.domain(id);
      if (domain == nullptr) return {Status::kNoEntry, {}};
      return {Status::kOk, {domain->table.table_pages(), domain->table.digest()}};
    }
    case Query::kAllocator:
      return query_allocator();
    case Query::kSession: {
      const Incoming::SessionFiles files = live_update_.incoming().session_files(id);
      return {Status::kOk, {files.files, files.retrieved}};
    }
    case Query::kFlb:
      return {Status::kOk, {live_update_.outgoing().flb_references(), live_update_.incoming().flb_references()}};
    case Query::kUpdates:
      return {Status::kOk, {live_update_.update_counter(), live_update_.incoming().pages_at_open()}};
    case Query::kDeviceDid:
    case Query::kDeviceOwner:
    case Query::kDeviceEntry:
      return query_device(query, id);
  }
  return {Status::kNotSupported, {}};
}

Server::Reply Server::query_device(Query what, std::uint64_t id) {
  const Device* device = iommu_.device(id);
  if (device == nullptr) return {Status::kNoEntry, {}};
  if (what == Query::kDeviceDid) return {Status::kOk, {device->own.did.value, device->own.restored ? 1U : 0U}};
  if (what == Query::kDeviceOwner) return {Status::kOk, {device->owner.value, device->owner.count}};
  return {Status::kOk, {iommu_.entry_digest(*device)}};
}

Server::Reply Server::query_allocator() {
  Reply reply;
  reply.results[0] = iommu_.allocator().free_pages();
  iommu_.for_each_unit([&](Unit& u) { reply.results[1] += u.ids().taken(); });
  iommu_.for_each_domain([&](const Domain&) { ++reply.results[2]; });
  iommu_.for_each_memory([&](const MemoryFile&) { ++reply.results[3]; });
  return reply;
}

}  // namespace vtd::fw
