// SPDX-License-Identifier: MIT
// Sessions and files of the outgoing side, and the pages that hold their records.
#include "firmware/liveupdate/outgoing.h"

#include "firmware/hal/lock.h"
#include "firmware/hal/policy.h"

namespace vtd::fw {

Outgoing::SessionSlot* Outgoing::session(std::uint64_t name) {
  return sessions_.find([&](const SessionSlot& s) { return s.name == name; });
}

Status Outgoing::open_session(std::uint64_t name) {
  if (session(name) != nullptr) return Status::kExists;
  SessionSlot* s = sessions_.add();
  if (s == nullptr) return Status::kNoMemory;
  s->name = name;
  return Status::kOk;
}

Status Outgoing::close_session(std::uint64_t name) {
  SessionSlot* s = session(name);
  if (s == nullptr) return Status::kNoEntry;
  while (s->count != 0) drop_file(s->files[--s->count]);
  end_session_record(*s);
  sessions_.remove(*s);
  release_if_unused();
  return Status::kOk;
}

Status Outgoing::unpreserve(std::uint64_t name, std::uint64_t token) {
  SessionSlot* s = session(name);
  if (s == nullptr) return Status::kNoEntry;
  bool known = false;
  for (std::size_t i = 0; i < s->count; ++i) known = known || s->files[i].token == token;
  if (!known) return Status::kNoEntry;
  if (s->files[s->count - 1].token != token) return Status::kInvalid;
  drop_file(s->files[--s->count]);
  if (s->count == 0) end_session_record(*s);
  release_if_unused();
  return Status::kOk;
}

Status Outgoing::freeze() {
  // No file has anything left to write: what is preserved cannot change any more.
  Status result = Status::kOk;
  sessions_.for_each([&](const SessionSlot& s) {
    for (std::size_t i = 0; i < s.count && ok(result); ++i)
      if (fails(platform::FailPlace::kFreezeFile)) result = Status::kFault;
  });
  return result;
}

// ---- the three kinds of file ---------------------------------------------------------------------------------

Status Outgoing::preserve_memory(std::uint64_t name, std::uint64_t token, std::uint64_t id) {
  SessionSlot* s = nullptr;
  if (const Status st = begin_file(name, token, s); !ok(st)) return st;
  MemoryFile* file = iommu_.memory(id);
  Status result = file == nullptr ? Status::kNoEntry : file->record != 0 ? Status::kBusy : Status::kOk;
  if (ok(result)) {
    const PhysAddr record = write_memory(*file);
    result = record == 0 ? Status::kNoMemory : add_file(*s, {token, FileKind::kMemory, id, record, 0});
    if (!ok(result) && record != 0) drop_memory(*file);
  }
  release_if_unused();
  return result;
}

Status Outgoing::check_domain(const SessionSlot& s, const Domain& domain) {
  if (deviates(Deviation::kSkipMemoryCheck)) return Status::kOk;
  return maps_only_preserved_memory(s, domain) ? Status::kOk : Status::kNoEntry;
}

Status Outgoing::preserve_iommufd(std::uint64_t name, std::uint64_t token) {
  SessionSlot* s = nullptr;
  if (const Status st = begin_file(name, token, s); !ok(st)) return st;
  Status result = iommufds_ != 0 ? Status::kBusy : Status::kOk;
  // First everything is made immutable, then checked, so that nothing changes under the walks that follow.
  std::array<Domain*, Iommu::kMaxDomains> marked{};
  std::size_t count = 0;
  {
    const SpinLock objects;
    iommu_.for_each_domain([&](Domain& d) {
      if (d.marked) marked[count++] = &d;
      if (d.marked && deviates(Deviation::kMutexUnderLock)) might_sleep("locking a page table");
    });
  }
  for (std::size_t i = 0; i < count && ok(result); ++i) {
    Domain& d = *marked[i];
    might_sleep("locking a page table");
    result = d.record != 0 || d.mutability != Mutability::kMutable ? Status::kBusy : Status::kOk;
    if (!ok(result)) break;
    d.mutability = Mutability::kImmutable;
    result = check_domain(*s, d);
  }
  if (ok(result)) result = get_flb();
  if (ok(result)) {
    PhysAddr record = 0;
    result = write_iommufd(record);
    if (ok(result)) result = add_file(*s, {token, FileKind::kIommufd, 0, record, 0});
    if (!ok(result)) {
      if (record != 0) drop_iommufd(record);
      put_flb();
    }
  }
  if (!ok(result))
    iommu_.for_each_domain([&](Domain& d) {
      if (d.marked && d.record == 0 && d.mutability == Mutability::kImmutable) d.mutability = Mutability::kMutable;
    });
  release_if_unused();
  return result;
}

const Outgoing::FileSlot* Outgoing::iommufd_of(const SessionSlot& s) const {
  for (std::size_t i = 0; i < s.count; ++i)
    if (s.files[i].kind == FileKind::kIommufd) return &s.files[i];
  return nullptr;
}

Status Outgoing::check_device(const SessionSlot& s, const Device* device) const {
  if (device == nullptr) return Status::kNoEntry;
  if (!device->pci) return Status::kNotSupported;
  const Domain* domain = device->own.domain;
  if (domain != nullptr && domain->stage() == Stage::kNested) return Status::kNotSupported;
  if (device->uses_pasids() && !deviates(Deviation::kSkipPasidCheck)) return Status::kNotSupported;
  const bool preserved = domain != nullptr && domain->marked && domain->record != 0 && iommufd_of(s) != nullptr;
  const bool skips = domain != nullptr
                         ? deviates(Deviation::kSkipDependencyCheck)
                         : device->own.kind != AttachmentKind::kNone && deviates(Deviation::kPreserveAutoDomain);
  if (skips && device->record == 0 && iommufd_of(s) != nullptr) return Status::kOk;
  if (device->record != 0 || device->owner.kind != Owner::Kind::kClaimed || !preserved) return Status::kInvalid;
  return Status::kOk;
}

Status Outgoing::preserve_device(std::uint64_t name, std::uint64_t token, std::uint64_t sid) {
  SessionSlot* s = nullptr;
  if (const Status st = begin_file(name, token, s); !ok(st)) return st;
  Device* device = iommu_.device(sid);
  Status result = check_device(*s, device);
  if (ok(result)) {
    PhysAddr record = 0;
    result = write_vfio(*device, *iommufd_of(*s), record);
    if (ok(result)) {
      result = add_file(*s, {token, FileKind::kDevice, sid, record, 0});
      if (!ok(result)) drop_vfio(*device, record);
    }
  }
  release_if_unused();
  return result;
}

// ---- book-keeping --------------------------------------------------------------------------------------------

Status Outgoing::begin_file(std::uint64_t name, std::uint64_t token, SessionSlot*& out) {
  out = session(name);
  if (out == nullptr) return Status::kNoEntry;
  for (std::size_t i = 0; i < out->count; ++i)
    if (out->files[i].token == token) return Status::kExists;
  if (out->count == kMaxFiles) return Status::kNoMemory;
  return need_root();
}

Status Outgoing::add_file(SessionSlot& s, FileSlot file) {
  if (s.record == 0) {
    s.first_page = pages_.allocate();
    if (s.first_page == 0) return Status::kNoMemory;
    const PhysAddr sessions = hal::load<abi::Root>(root_).sessions;
    s.record = append_record(sessions, abi::Session{{1, 0}, s.name, s.first_page}, pages_);
    if (s.record == 0) {
      pages_.release(s.first_page);
      s.first_page = 0;
      return Status::kNoMemory;
    }
  }
  file.record = append_record(s.first_page, abi::File{{1, 0}, handler_of(file.kind), file.token, file.object}, pages_);
  if (file.record == 0) {
    if (s.count == 0) end_session_record(s);
    return Status::kNoMemory;
  }
  s.files[s.count++] = file;
  return Status::kOk;
}

void Outgoing::drop_file(const FileSlot& file) {
  mark_deleted(file.record);
  switch (file.kind) {
    case FileKind::kMemory:
      drop_memory(*iommu_.memory(file.label));
      break;
    case FileKind::kDevice:
      drop_vfio(*iommu_.device(file.label), file.object);
      break;
    case FileKind::kIommufd:
      drop_iommufd(file.object);
      put_flb();
      break;
    case FileKind::kUnknown:
      break;
  }
}

void Outgoing::end_session_record(SessionSlot& s) {
  if (s.record == 0) return;
  mark_deleted(s.record);
  release_chain(s.first_page, pages_);
  s.record = 0;
  s.first_page = 0;
}

Status Outgoing::need_root() {
  if (root_ != 0) return Status::kOk;
  if (const Status s = tracker_.create(iommu_.allocator()); !ok(s)) return s;
  std::array<PhysAddr, 6> page{};
  for (std::size_t i = 0; i < page.size(); ++i) {
    page[i] = pages_.allocate();
    if (page[i] != 0) continue;
    while (i-- > 0) pages_.release(page[i]);
    tracker_.destroy(iommu_.allocator());
    return Status::kNoMemory;
  }
  root_ = page[0];
  hal::store(root_, abi::Root{abi::Root::kMagic, abi::kRootCompatible, abi::Root::kVersion, 0, 0, page[1], page[2],
                              page[3], page[4], page[5]});
  return Status::kOk;
}

void Outgoing::release_if_unused() {
  if (root_ == 0 || sessions_.find([](const SessionSlot& s) { return s.count != 0; }) != nullptr) return;
  const auto root = hal::load<abi::Root>(root_);
  for (const PhysAddr chain : {root.sessions, root.flbs, root.memory_files, root.iommufds, root.vfio_devices})
    release_chain(chain, pages_);
  pages_.release(root_);
  root_ = 0;
  tracker_.destroy(iommu_.allocator());
}

void Outgoing::seal(std::uint64_t update_counter) {
  if (root_ != 0) hal::write64(root_ + offsetof(abi::Root, update_counter), update_counter);
}

}  // namespace vtd::fw
