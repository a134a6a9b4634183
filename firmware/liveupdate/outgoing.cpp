// SPDX-License-Identifier: MIT
// Sessions and files of the outgoing side, and the pages that hold their records.
#include "firmware/liveupdate/outgoing.h"

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

// ---- the three kinds of file ---------------------------------------------------------------------------------

Status Outgoing::preserve_memory(std::uint64_t name, std::uint64_t token, std::uint64_t id) {
  SessionSlot* s = nullptr;
  if (const Status st = begin_file(name, token, s); !ok(st)) return st;
  MemoryFile* file = iommu_.memory(id);
  Status result = file == nullptr ? Status::kNoEntry : file->record != 0 ? Status::kBusy : Status::kOk;
  if (ok(result)) {
    const PhysAddr record = write_memory(*file);
    result = record == 0 ? Status::kNoMemory : add_file(*s, {token, abi::FileKind::kMemory, id, record, 0});
    if (!ok(result) && record != 0) drop_memory(*file);
  }
  release_if_unused();
  return result;
}

Status Outgoing::preserve_domain(std::uint64_t name, std::uint64_t token, std::uint64_t id) {
  SessionSlot* s = nullptr;
  if (const Status st = begin_file(name, token, s); !ok(st)) return st;
  Domain* domain = iommu_.domain(id);
  Status result = Status::kOk;
  if (domain == nullptr) {
    result = Status::kNoEntry;
  } else if (domain->mutability == Mutability::kFreeOnly) {
    result = Status::kInvalid;
  } else if (domain->record != 0) {
    result = Status::kBusy;
  } else if (!maps_only_preserved_memory(*s, *domain)) {
    result = Status::kNoEntry;
  }
  if (ok(result)) result = need_iommu();
  if (ok(result)) {
    domain->mutability = Mutability::kImmutable;  // first, so that nothing changes under the walk
    const PhysAddr record = write_domain(*domain);
    result = record == 0 ? Status::kNoMemory : add_file(*s, {token, abi::FileKind::kDomain, id, record, 0});
    if (!ok(result) && record != 0) drop_domain(*domain);
    if (!ok(result)) domain->mutability = Mutability::kMutable;
  }
  release_iommu_if_unused();
  release_if_unused();
  return result;
}

Status Outgoing::preserve_device(std::uint64_t name, std::uint64_t token, std::uint64_t sid) {
  SessionSlot* s = nullptr;
  if (const Status st = begin_file(name, token, s); !ok(st)) return st;
  Device* device = iommu_.device(sid);
  Status result = Status::kOk;
  if (device == nullptr) {
    result = Status::kNoEntry;
  } else {
    const Domain* domain = device->domain;
    bool domain_here = false;
    for (std::size_t i = 0; domain != nullptr && i < s->count; ++i)
      domain_here = domain_here || (s->files[i].kind == abi::FileKind::kDomain && s->files[i].object == domain->record);
    if (device->record != 0 || device->owner.kind != Owner::Kind::kClaimed || !domain_here) result = Status::kInvalid;
  }
  if (ok(result)) {
    const PhysAddr record = write_device(*device);
    result = record == 0 ? Status::kNoMemory : add_file(*s, {token, abi::FileKind::kDevice, sid, record, 0});
    if (!ok(result) && record != 0) drop_device(*device);
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

Status Outgoing::add_file(SessionSlot& s, const FileSlot& file) {
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
  FileSlot& slot = s.files[s.count];
  slot = file;
  slot.record =
      append_record(s.first_page, abi::File{{1, 0}, file.token, file.kind, 0, file.object, file.label}, pages_);
  if (slot.record == 0) {
    if (s.count == 0) end_session_record(s);
    return Status::kNoMemory;
  }
  ++s.count;
  return Status::kOk;
}

void Outgoing::drop_file(const FileSlot& file) {
  mark_deleted(file.record);
  switch (file.kind) {
    case abi::FileKind::kMemory:
      drop_memory(*iommu_.memory(file.label));
      break;
    case abi::FileKind::kDevice:
      drop_device(*iommu_.device(file.label));
      break;
    case abi::FileKind::kDomain: {
      Domain& domain = *iommu_.domain(file.label);
      drop_domain(domain);
      domain.mutability = Mutability::kMutable;
      break;
    }
    case abi::FileKind::kInvalid:
      break;
  }
  release_iommu_if_unused();
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
  const PhysAddr bitmap = iommu_.allocator().allocate();
  if (bitmap == 0) return Status::kNoMemory;
  tracker_ = Tracker(bitmap);
  if (const Status s = tracker_.preserve(bitmap); !ok(s)) return s;
  root_ = pages_.allocate();
  abi::Root root{abi::Root::kMagic, abi::kRootCompatible, abi::Root::kVersion, 0, 0, 0, 0, 0};
  root.sessions = pages_.allocate();
  root.memory_files = pages_.allocate();
  if (root_ == 0 || root.sessions == 0 || root.memory_files == 0) {
    if (root.sessions != 0) pages_.release(root.sessions);
    if (root_ != 0) pages_.release(root_);
    iommu_.allocator().release(bitmap);
    tracker_ = Tracker();
    root_ = 0;
    return Status::kNoMemory;
  }
  hal::store(root_, root);
  return Status::kOk;
}

void Outgoing::release_if_unused() {
  if (root_ == 0 || sessions_.find([](const SessionSlot& s) { return s.count != 0; }) != nullptr) return;
  const auto root = hal::load<abi::Root>(root_);
  release_chain(root.sessions, pages_);
  release_chain(root.memory_files, pages_);
  pages_.release(root_);
  root_ = 0;
  const PhysAddr bitmap = tracker_.page();
  tracker_.unpreserve(bitmap);
  tracker_ = Tracker();
  iommu_.allocator().release(bitmap);
}

Status Outgoing::need_iommu() {
  if (iommu_top_ != 0) return Status::kOk;
  std::array<PhysAddr, 4> page{};
  for (std::size_t i = 0; i < page.size(); ++i) {
    page[i] = pages_.allocate();
    if (page[i] != 0) continue;
    while (i-- > 0) pages_.release(page[i]);
    return Status::kNoMemory;
  }
  hal::store(page[0], abi::IommuTop{abi::kIommuCompatible, abi::IommuTop::kVersion, 0, page[1], page[2], page[3]});
  iommu_top_ = page[0];
  hal::write64(root_ + offsetof(abi::Root, iommu), iommu_top_);
  return Status::kOk;
}

void Outgoing::release_iommu_if_unused() {
  if (iommu_top_ == 0 || iommu_files_ != 0) return;
  const auto top = hal::load<abi::IommuTop>(iommu_top_);
  release_chain(top.units, pages_);
  release_chain(top.domains, pages_);
  release_chain(top.devices, pages_);
  pages_.release(iommu_top_);
  iommu_top_ = 0;
  hal::write64(root_ + offsetof(abi::Root, iommu), 0);
}

void Outgoing::seal(std::uint64_t update_counter) {
  if (root_ != 0) hal::write64(root_ + offsetof(abi::Root, update_counter), update_counter);
}

}  // namespace vtd::fw
