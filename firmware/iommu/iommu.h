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
  /// One device more, or another one behind known registers: hot add. kNoEntry: nobody has that id; kExists.
  [[nodiscard]] Status probe(std::uint64_t sid);
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
  template <typename Function>
  void for_each_domain(Function&& f) {
    domains_.for_each(f);
  }
  [[nodiscard]] Device* device(std::uint64_t sid);
  /// Whoever sends requests with that id, itself or through a bridge.
  [[nodiscard]] Device* device_behind(SourceId id, const Unit& unit);
  [[nodiscard]] Domain* domain(std::uint64_t id);
  [[nodiscard]] Domain* domain_of_token(std::uint64_t token);
  [[nodiscard]] MemoryFile* memory(std::uint64_t id);
  [[nodiscard]] unsigned index_of(const Unit& unit) const { return static_cast<unsigned>(&unit - units_.data()); }

  // ---- memory and mappings ---------------------------------------------------------------------------------
  /// kExists: the number is taken; kAddrInUse: overlaps another file; kInvalid: alignment or outside guest memory.
  [[nodiscard]] Status add_memory(std::uint64_t id, PhysAddr base, std::uint64_t size);
  /// kExists; kInvalid: levels that the stage cannot have; kNoEntry: no such parent, for Stage::kNested; kNoMemory.
  struct DomainRequest {
    std::uint64_t domain, levels, stage, parent;
  };
  [[nodiscard]] Status create_domain(const DomainRequest& request);
  /// kNoEntry; kBusy: attached, preserved, somebody's parent, or nested in a parent that is preserved.
  [[nodiscard]] Status destroy_domain(std::uint64_t id);
  /// To be preserved with the iommufd. kNoEntry; kInvalid: restored or nested; kAddrInUse: the token is
  /// taken; kBusy: the iommufd is preserved already.
  [[nodiscard]] Status mark_domain(std::uint64_t id, std::uint64_t token);
  /// Said by whoever preserves the iommufd: no more marks until it is not preserved any more.
  void settle_marks(bool settled) { marks_settled_ = settled; }
  /// Maps part of a memory file; into a nested domain, addresses of its parent (memory 0). kNoEntry: no such domain or
  /// file; kInvalid; kExists; kBusy: immutable; kNotSupported: restored domain.
  struct MapRequest {
    std::uint64_t domain, iova, memory, offset, size, rights, max_level;
  };
  [[nodiscard]] Status map(const MapRequest& request);
  /// Whether the caches are told. Skipping plants a bug for the isolation monitor to find.
  enum class Invalidate : std::uint8_t { kYes, kSkip };
  /// `bytes`: what was unmapped. Errors as map(); kInvalid also when a larger leaf would have to be split.
  [[nodiscard]] Status unmap(std::uint64_t domain, Iova iova, std::uint64_t size, Invalidate how, std::uint64_t& bytes);

  // ---- attachments -----------------------------------------------------------------------------------------
  /// `pasid` 0: requests without. kNoEntry; kBusy: already attached or preserved; kNotSupported: the unit cannot walk
  /// such tables, or the device has no such PASID; kNoMemory: no id or page. Of a nested domain also kBusy: its parent
  /// is preserved and does not map its tables; kExists: the parent maps something else there. No trace after a failure.
  [[nodiscard]] Status attach(std::uint64_t sid, std::uint64_t domain, std::uint64_t pasid);
  /// Identity domain, id 1. kBusy: attached or owned; kNotSupported: ECAP.PT = 0.
  [[nodiscard]] Status attach_pass_through(std::uint64_t sid);
  /// kNoEntry; kInvalid: not attached; kBusy: preserved.
  [[nodiscard]] Status detach(std::uint64_t sid, std::uint64_t pasid);
  /// Another domain for requests without PASID, hitless: each request sees the old translation or the new one. The old
  /// id is free only when nothing tagged with it is cached any more. Errors as attach(); kInvalid: not attached;
  /// kNotSupported also where no order of stores is hitless: between first-stage and nested, or nested under two
  /// parents.
  [[nodiscard]] Status replace(std::uint64_t sid, std::uint64_t domain);
  /// Software links only: the hardware tables already say the same. kInvalid: id out of bounds or not reserved;
  /// kBusy: the device has an owner or an attachment.
  [[nodiscard]] Status reattach(Device& device, Domain& domain, std::uint64_t did, PhysAddr record);
  /// An empty domain of its own, as a kernel gives to a device that nobody asked for. kNoMemory and what attach() says.
  [[nodiscard]] Status attach_default(Device& device);
  /// Cuts a device off for good: entries cleared, caches invalidated, bus mastering off. Its domain ids stay taken.
  [[nodiscard]] Status block(Device& device);
  /// No request of the device is translated any more; its context entries are gone, and what was cached of them.
  [[nodiscard]] Status cut_off(const Device& device);
  /// A domain over tables that exist; free-only.
  [[nodiscard]] Domain* restore_domain(std::uint64_t id, const PageTable& table, PhysAddr record);
  [[nodiscard]] MemoryFile* restore_memory(std::uint64_t id, PhysAddr base, std::uint64_t size, PhysAddr record);
  void forget_domain(Domain& domain) { domains_.remove(domain); }

  // ---- owners ----------------------------------------------------------------------------------------------
  /// kNoEntry; kInvalid: owner 0; kPerm: somebody else owns it; kBusy: in use by the identity domain.
  [[nodiscard]] Status claim(std::uint64_t sid, std::uint64_t owner);
  /// kInvalid: not owned; kPerm: not the owner; kBusy: preserved.
  [[nodiscard]] Status release_owner(std::uint64_t sid, std::uint64_t owner);
  /// For a group without owner, or the heir of a preserved one. Dies when the group lock is not held.
  static void set_owner(Device& device, const Owner& owner);

  /// Bus mastering of a device: false cuts it off at the bus. Nothing to switch where it is not a PCI device.
  enum class BusMaster : std::uint8_t { kOff, kOn };
  static void set_bus_master(const Device& device, BusMaster to);

  /// Devices attached under an id, and whether the allocator of any unit has it.
  struct DidUse {
    unsigned devices = 0;
    bool reserved = false;
  };
  [[nodiscard]] DidUse did_use(std::uint64_t did);
  /// FNV-1a over the context entries of a device and, in scalable mode, its PASID directory and entries; without PRE.
  [[nodiscard]] std::uint64_t entry_digest(const Device& device);

 private:
  [[nodiscard]] Status acquire_did(Domain& domain, unsigned unit);
  void drop_did(Domain& domain, unsigned unit);
  [[nodiscard]] Attachment* slot(Device& device, std::uint64_t pasid);
  [[nodiscard]] Status check_attach(const Device& device, const Domain& domain, std::uint64_t pasid) const;
  [[nodiscard]] Status bind(Device& device, Domain& domain, std::uint32_t pasid, Attachment& out);
  [[nodiscard]] Status expose_tables(const Domain& nested);
  [[nodiscard]] Status hide_tables(const Domain& nested);
  [[nodiscard]] bool walked_by(const Domain& domain, unsigned unit);
  static bool under(const Domain* any, const Domain& domain);
  [[nodiscard]] ctx::Entry legacy_entry(const Device& device, const Domain& domain, DomainId did) const;
  [[nodiscard]] pasid::Entry pasid_entry(const Unit& unit, const Domain& domain, DomainId did) const;
  [[nodiscard]] Status write_entries(Device& device, const Attachment& attachment);
  [[nodiscard]] Status write_pasid_entry(Device& device, const Attachment& attachment, const pasid::Entry& entry);
  [[nodiscard]] Status write_context_entries(Device& device);
  [[nodiscard]] Status replace_entries(Device& device, const Attachment& now, Stage before);
  [[nodiscard]] Status clear_copied(Device& device);
  void clear_entries(Device& device, const Attachment& attachment);
  /// Entries cleared and everything cached of them invalidated.
  [[nodiscard]] Status cut(Device& device, const Attachment& attachment);
  /// What is cached of an attachment, device TLB included.
  [[nodiscard]] Status invalidate(const Device& device, const Attachment& attachment, Stage stage);
  [[nodiscard]] Status invalidate_device_tlb(const Device& device, std::uint32_t pasid);
  [[nodiscard]] Status invalidate_range(const Domain& domain, Iova iova, std::uint64_t size);
  [[nodiscard]] unsigned largest_leaf(Stage stage) const;
  static void set_device_features(const Device& device, bool on);
  Device* add_device(PhysAddr registers);

  PageAllocator allocator_;
  std::array<Unit, platform::kMaxUnits> units_{};
  Pool<Device, platform::kMaxEndpoints> devices_;
  Pool<Domain, kMaxDomains> domains_;
  Pool<MemoryFile, kMaxMemoryFiles> memories_;
  bool marks_settled_ = false;
};

}  // namespace vtd::fw
