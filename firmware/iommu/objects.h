// SPDX-License-Identifier: MIT
// Memory files, domains, devices and their owners, as one running image knows them.
#pragma once

#include <array>
#include <cstdint>

#include "firmware/iommu/page_table.h"

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

struct Domain {
  std::uint64_t id = 0;
  PageTable table;
  Mutability mutability = Mutability::kMutable;
  PhysAddr record = 0;  ///< handover record, outgoing or incoming; 0 when none
  /// The domain's id on each unit, while `devices` > 0.
  struct Use {
    DomainId did{};
    unsigned devices = 0;
  };
  std::array<Use, platform::kMaxUnits> uses{};
};

/// Who holds a group's DMA. A preserved device is owned by its own record: an object nobody else can name, whatever
/// number a claimer passes.
struct Owner {
  enum class Kind : std::uint8_t { kNone, kClaimed, kRecord };
  Kind kind = Kind::kNone;
  std::uint64_t value = 0;  ///< the claimer's number, or the address of the device's own preserved record
  unsigned count = 0;
};

enum class Attachment : std::uint8_t { kNone, kDomain, kPassThrough };

/// A device on the bus; a group of its own.
struct Device {
  SourceId sid{};
  unsigned unit = 0;
  PhysAddr registers = 0;
  Attachment attachment = Attachment::kNone;
  Domain* domain = nullptr;
  DomainId did{};
  bool restored = false;  ///< attached by a live update, hardware tables untouched
  Owner owner;
  PhysAddr record = 0;  ///< handover record, outgoing or incoming; 0 when none
};

}  // namespace vtd::fw
