// SPDX-License-Identifier: MIT
// Memory files, domains, devices and their owners, as one running image knows them.
#pragma once

#include <array>
#include <cstdint>

#include "firmware/iommu/page_table.h"
#include "firmware/iommu/pasid_table.h"

namespace vtd::fw {

/// Guest memory, declared by number.
struct MemoryFile {
  std::uint64_t id = 0;
  PhysAddr base = 0;
  std::uint64_t size = 0;
  PhysAddr record = 0;  ///< handover record, 0 when not preserved
};

/// What may still be done to a domain's mappings.
enum class Mutability : std::uint8_t {
  kMutable,
  kImmutable,  ///< preserved for a live update: map and unmap are kBusy
  kFreeOnly,   ///< restored by a live update: can be detached and freed, never changed
};

/// An I/O page table of the iommufd, in its words an HWPT.
struct Domain {
  std::uint64_t id = 0;
  PageTable table;
  Domain* parent = nullptr;  ///< nested: whose second stage it is over
  Mutability mutability = Mutability::kMutable;
  bool marked = false;      ///< to be preserved with its iommufd
  std::uint64_t token = 0;  ///< by which userspace will ask for it
  PhysAddr record = 0;      ///< handover record, outgoing or incoming; 0 when none
  /// The domain's id on each unit, while `users` > 0.
  struct Use {
    DomainId did{};
    unsigned users = 0;  ///< attachments, with and without PASID
  };
  std::array<Use, platform::kMaxUnits> uses{};

  [[nodiscard]] Stage stage() const { return table.stage(); }
  [[nodiscard]] bool in_use() const {
    bool used = false;
    for (const Use& use : uses) used = used || use.users != 0;
    return used;
  }
};

/// Who holds a group's DMA. A preserved device is owned by its own record: an object nobody else can name, whatever
/// number a claimer passes.
struct Owner {
  enum class Kind : std::uint8_t { kNone, kClaimed, kRecord };
  Kind kind = Kind::kNone;
  std::uint64_t value = 0;  ///< the claimer's number, or the address of the device's own preserved record
  unsigned count = 0;
};

enum class AttachmentKind : std::uint8_t { kNone, kDomain, kPassThrough };

/// What the DMA of a device, with one PASID or without, goes through.
struct Attachment {
  AttachmentKind kind = AttachmentKind::kNone;
  Domain* domain = nullptr;
  DomainId did{};
  std::uint32_t pasid = 0;  ///< 0: requests without
  bool restored = false;    ///< by a live update, hardware tables untouched
};

/// A device on the bus; a group of its own.
struct Device {
  static constexpr std::size_t kMaxPasids = 8;  ///< attached at a time

  SourceId sid{};
  bool has_alias = false;
  SourceId alias{};  ///< of the bridge that speaks for it
  unsigned unit = 0;
  PhysAddr registers = 0;
  bool pci = true;
  bool has_ats = false;
  bool has_pri = false;
  unsigned pasid_bits = 0;

  Attachment own;                                   ///< of requests without PASID
  std::array<Attachment, kMaxPasids> with_pasid{};  ///< kNone: free
  PasidTable pasids;                                ///< scalable mode, once attached
  Owner owner;
  bool group_locked = false;
  bool copied = false;  ///< its entries come from a kernel that crashed, until the first attach
  PhysAddr record = 0;  ///< handover record, outgoing or incoming; 0 when none

  template <typename Function>
  void for_each_id(Function&& f) const {
    f(sid);
    if (has_alias) f(alias);
  }
  template <typename Function>
  void for_each_attachment(Function&& f) const {
    if (own.kind != AttachmentKind::kNone) f(own);
    for (const Attachment& a : with_pasid)
      if (a.kind != AttachmentKind::kNone) f(a);
  }
  [[nodiscard]] bool uses_pasids() const {
    bool used = false;
    for (const Attachment& a : with_pasid) used = used || a.kind != AttachmentKind::kNone;
    return used;
  }
  [[nodiscard]] bool answers_for(SourceId id) const { return id == sid || (has_alias && id == alias); }
};

/// Held while owner, count and domain of a group change.
class GroupLock {
 public:
  explicit GroupLock(Device& device) : device_(device) { device_.group_locked = true; }
  ~GroupLock() { device_.group_locked = false; }
  GroupLock(const GroupLock&) = delete;
  GroupLock& operator=(const GroupLock&) = delete;

 private:
  Device& device_;
};

}  // namespace vtd::fw
