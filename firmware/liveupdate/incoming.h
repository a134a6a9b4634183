// SPDX-License-Identifier: MIT
// The incoming side: take over what the previous image left, without the unit ever losing a translation.
// Any doubt stops the image before the unit is touched; see refuse.h.
#pragma once

#include "firmware/iommu/iommu.h"
#include "firmware/liveupdate/files.h"
#include "firmware/liveupdate/record_array.h"
#include "firmware/liveupdate/refuse.h"

namespace vtd::fw {

/// checking: every field against hardware and memory. trusting: version, domain ids and page reclaim only.
enum class Verify : std::uint8_t { kTrusting, kChecking };

class Incoming {
 public:
  explicit Incoming(Iommu& iommu) : iommu_(iommu) {}

  // ---- boot, in this order (incoming.cpp, incoming_restore.cpp) ----
  /// Keeps the allocator away from preserved pages; then checks the image. Nothing has been touched yet.
  void open(PhysAddr root, PhysAddr tracker, Verify verify);
  /// Takes the records and tables back, reserves the domain ids, then adopts each unit that has a record. Units without
  /// one are the caller's.
  void adopt();
  /// Restores domains and memory files, links devices to them and makes each device's record its owner.
  void reattach();

  // ---- afterwards: what userspace does with its sessions (incoming_files.cpp) ----
  /// A file of a session by its token. kNoEntry; kNotSupported: an iommufd, in phase 1; kNoData: nothing incoming.
  struct Retrieved {
    FileKind kind = FileKind::kUnknown;
    std::uint64_t label = 0;  ///< of memory its number, of a device its requester id
  };
  [[nodiscard]] Status retrieve(std::uint64_t session, std::uint64_t token, Retrieved& out);
  /// The retrieved device binds to the retrieved iommufd: `owner` takes over from the preserved record. kNoEntry: no
  /// such device; kInvalid: not restored, or already taken over; kPerm: one of the two files was not retrieved.
  [[nodiscard]] Status transfer_owner(std::uint64_t sid, std::uint64_t owner);
  /// A restored domain gets a handle again. kNoEntry: no such token; kPerm: the iommufd was not retrieved; kNoDevice: a
  /// device that is attached to it has not been taken over; kExists: it has one.
  [[nodiscard]] Status reclaim_domain(std::uint64_t token, std::uint64_t& domain);
  /// True while some session of the image is not finished.
  [[nodiscard]] bool unfinished() const { return unfinished_ != 0; }
  /// Verifies that nothing is left behind, changes no translation, and gives the session's records back; the last
  /// session gives back all. kNoEntry; kBusy: a domain or a device has not been taken over.
  [[nodiscard]] Status finish(std::uint64_t session);

  // ---- questions ----
  [[nodiscard]] const Tracker& tracker() const { return tracker_; }
  [[nodiscard]] std::uint64_t update_counter() const { return update_counter_; }
  [[nodiscard]] std::uint64_t pages_at_open() const { return pages_at_open_; }
  /// References of the unit's incoming record; 0 when it has none.
  [[nodiscard]] std::uint32_t unit_references(const Unit& unit) const;
  [[nodiscard]] std::uint64_t flb_references() const;
  struct SessionFiles {
    std::uint64_t files = 0;
    std::uint64_t retrieved = 0;
  };
  [[nodiscard]] SessionFiles session_files(std::uint64_t session) const;
  [[nodiscard]] bool adopted(const Unit& unit) const { return unit_records_[iommu_.index_of(unit)] != 0; }
  /// As boot does for each unit; once more after a hot remove and add. kExists where the record says that it was
  /// adopted.
  [[nodiscard]] Status adopt_again(Unit& unit);

 private:
  void claim_chain(std::string_view image, std::string_view record, std::string_view field, PhysAddr first_page,
                   std::uint64_t index = FieldName::kSingle);
  void claim_records();
  void find_iommu_state();
  void quarantine_id(std::uint64_t index, const abi::Device& record);
  void sweep_strangers(Unit& unit);
  void reserve_ids();
  void reserve_ids_late();
  void reserve_id(std::uint64_t index, PhysAddr at, const abi::Device& record);
  [[nodiscard]] Unit* unit_of(const abi::Unit& record);
  void claim_unit(std::uint64_t index, PhysAddr at, const abi::Unit& record);
  void claim_tables_of(std::uint64_t index, const abi::Unit& record, const Unit& unit);
  void adopt_unit(Unit& unit);
  void restore_memory();
  void restore_domains();
  void restore_domain(std::uint64_t index, PhysAddr at, const abi::Domain& record);
  void reattach_devices();
  void reattach_device(std::uint64_t index, PhysAddr at, const abi::Device& record);
  [[nodiscard]] bool restore_pasids(std::uint64_t index, Device& device, const abi::Device& record);
  void own(Device& device, PhysAddr record, bool first_of_domain);
  /// A device whose record is no good is cut off (on_error: contain), or gets a domain of its own (v1).
  void give_up(std::uint64_t index, Device& device);
  void block_contained();
  [[nodiscard]] bool contained(std::uint64_t device_index) const;
  [[nodiscard]] abi::Hwpt hwpt_of(PhysAddr domain_record) const;
  [[nodiscard]] std::uint64_t iommufd_token(const Device& device) const;

  template <typename Function>
  void for_each_file(std::uint64_t session, Function&& f) const;
  [[nodiscard]] PhysAddr session_at(std::uint64_t name, abi::Session& out) const;
  [[nodiscard]] bool retrieved_iommufd() const;
  [[nodiscard]] bool can_finish(const abi::File& file);
  void finish_file(const abi::File& file);
  void finish_flb();
  void release_everything();
  void release_claimed_chain(PhysAddr first_page);

  Iommu& iommu_;
  Tracker tracker_;
  PhysAddr root_at_ = 0;
  abi::Root root_{};
  PhysAddr flb_at_ = 0;     ///< record of the IOMMU state; 0 when the image has none
  PhysAddr iommu_top_ = 0;  ///< its data
  abi::IommuTop top_{};
  std::array<PhysAddr, platform::kMaxUnits> unit_records_{};
  std::array<std::uint64_t, abi::kMaxArrayPages * abi::kCapacity<abi::Device> / 64 + 1> contained_{};  ///< DeviceSet
  std::uint64_t update_counter_ = 0;
  std::uint64_t pages_at_open_ = 0;
  Pool<PageTable, Iommu::kMaxDomains> failed_;  ///< tables of domains that could not be restored
  unsigned unfinished_ = 0;
  bool trusting_ = false;
};

}  // namespace vtd::fw
