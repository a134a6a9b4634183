// SPDX-License-Identifier: MIT
// Devices, domains and memory of one running image, and what may be done with them.
#pragma once

#include "firmware/iommu/objects.h"
#include "firmware/iommu/pool.h"
#include "firmware/iommu/unit.h"

namespace vtd::fw {

class Iommu {
 public:
  static constexpr std::size_t kMaxDomains = 32;
  static constexpr std::size_t kMaxMemoryFiles = 32;

  [[nodiscard]] PageAllocator& allocator() { return allocator_; }

  /// Finds the endpoints and the units in front of them. Touches no unit.
  void enumerate();
  [[nodiscard]] Unit& unit(unsigned index) { return units_[index]; }
  template <typename Function>
  void for_each_unit(Function&& f) {
    for (Unit& u : units_)
      if (u.present()) f(u);
  }
  template <typename Function>
  void for_each_device(Function&& f) {
    devices_.for_each(f);
  }
  template <typename Function>
  void for_each_memory(Function&& f) {
    memories_.for_each(f);
  }
  [[nodiscard]] Device* device(std::uint64_t sid);
  [[nodiscard]] Domain* domain(std::uint64_t id);
  [[nodiscard]] MemoryFile* memory(std::uint64_t id);
  [[nodiscard]] unsigned index_of(const Unit& unit) const { return static_cast<unsigned>(&unit - units_.data()); }

  // ---- memory and mappings ---------------------------------------------------------------------------------
  /// kExists: the number is taken; kAddrInUse: overlaps another file; kInvalid: alignment or outside guest memory.
  [[nodiscard]] Status add_memory(std::uint64_t id, PhysAddr base, std::uint64_t size);
  /// kExists; kInvalid: levels not 3..5; kNoMemory.
  [[nodiscard]] Status create_domain(std::uint64_t id, unsigned levels);
  /// Maps part of a memory file. kNoEntry: no such domain or file; kInvalid; kExists; kBusy: immutable;
  /// kNotSupported: restored domain.
  struct MapRequest {
    std::uint64_t domain, iova, memory, offset, size, rights, max_level;
  };
  [[nodiscard]] Status map(const MapRequest& request);
  /// Whether the caches are told. Skipping plants a bug for the isolation monitor to find.
  enum class Invalidate : std::uint8_t { kYes, kSkip };
  /// `bytes`: what was unmapped. Errors as map(); kInvalid also when a larger leaf would have to be split.
  [[nodiscard]] Status unmap(std::uint64_t domain, Iova iova, std::uint64_t size, Invalidate how, std::uint64_t& bytes);

  // ---- attachments -----------------------------------------------------------------------------------------
  /// kNoEntry; kBusy: already attached or preserved; kNotSupported: the unit cannot walk such tables; kNoMemory: no id.
  [[nodiscard]] Status attach(std::uint64_t sid, std::uint64_t domain);
  /// Identity domain, id 1. kBusy: attached or owned; kNotSupported: ECAP.PT = 0.
  [[nodiscard]] Status attach_pass_through(std::uint64_t sid);
  /// kNoEntry; kInvalid: not attached; kBusy: preserved.
  [[nodiscard]] Status detach(std::uint64_t sid);
  /// Software links only: the hardware tables already say the same. kInvalid: id out of bounds or not reserved;
  /// kBusy: the device has an owner or an attachment.
  [[nodiscard]] Status reattach(Device& device, Domain& domain, std::uint64_t did, PhysAddr record);
  /// A domain over tables that exist; free-only.
  [[nodiscard]] Domain* restore_domain(std::uint64_t id, const PageTable& table, PhysAddr record);
  [[nodiscard]] MemoryFile* restore_memory(std::uint64_t id, PhysAddr base, std::uint64_t size, PhysAddr record);

  // ---- owners ----------------------------------------------------------------------------------------------
  /// kNoEntry; kInvalid: owner 0; kPerm: somebody else owns it; kBusy: in use by the identity domain.
  [[nodiscard]] Status claim(std::uint64_t sid, std::uint64_t owner);
  /// kInvalid: not owned; kPerm: not the owner; kBusy: preserved.
  [[nodiscard]] Status release_owner(std::uint64_t sid, std::uint64_t owner);

  /// Bus mastering of a device: false cuts it off at the bus.
  enum class BusMaster : std::uint8_t { kOff, kOn };
  static void set_bus_master(const Device& device, BusMaster to);

  /// Devices attached under an id, and whether the allocator of any unit has it.
  struct DidUse {
    unsigned devices = 0;
    bool reserved = false;
  };
  [[nodiscard]] DidUse did_use(std::uint64_t did);

 private:
  [[nodiscard]] Status acquire_did(Domain& domain, unsigned unit);
  void drop_did(Domain& domain, unsigned unit);
  [[nodiscard]] Status write_entry(Device& device, const ctx::Entry& entry);
  [[nodiscard]] Status invalidate_range(const Domain& domain, Iova iova, std::uint64_t size);
  [[nodiscard]] unsigned largest_leaf() const;

  PageAllocator allocator_;
  std::array<Unit, platform::kMaxUnits> units_{};
  Pool<Device, platform::kMaxEndpoints> devices_;
  Pool<Domain, kMaxDomains> domains_;
  Pool<MemoryFile, kMaxMemoryFiles> memories_;
};

}  // namespace vtd::fw
