// SPDX-License-Identifier: MIT
// The incoming side: take over what the previous image left, without the unit ever losing a translation.
// Any doubt stops the image before the unit is touched; see refuse.h.
#pragma once

#include "firmware/iommu/iommu.h"
#include "firmware/liveupdate/record_array.h"

namespace vtd::fw {

/// checking: every field against hardware and memory. trusting: version, domain ids and page reclaim only.
enum class Verify : std::uint8_t { kTrusting, kChecking };

class Incoming {
 public:
  explicit Incoming(Iommu& iommu) : iommu_(iommu) {}

  /// Keeps the allocator away from preserved pages; then checks the image. Nothing has been touched yet.
  void open(PhysAddr root, PhysAddr tracker, Verify verify);
  /// Takes the records and tables back, reserves the domain ids, then adopts each unit that has a record. Units without
  /// one are the caller's.
  void adopt();
  /// Restores domains and memory files, links devices to them and makes each device's record its owner.
  void reattach();

  /// True while some session of the image is not finished.
  [[nodiscard]] bool unfinished() const { return unfinished_ != 0; }
  /// Phase-1 rule: a session can be finished when every device in it is reattached. Restored domains stay attached,
  /// free-only, owned by their records. The last session gives all records back. kNoEntry; kBusy: cannot finish yet.
  [[nodiscard]] Status finish(std::uint64_t session);
  /// Gives record pages back that were kept as owner objects, once no device is owned by one.
  void release_owner_pages();

  [[nodiscard]] const Tracker& tracker() const { return tracker_; }
  [[nodiscard]] std::uint64_t update_counter() const { return update_counter_; }
  /// References of the unit's incoming record; 0 when it has none.
  [[nodiscard]] std::uint32_t unit_references(const Unit& unit) const;
  [[nodiscard]] bool adopted(const Unit& unit) const { return unit_records_[iommu_.index_of(unit)] != 0; }

 private:
  void claim_chain(std::string_view image, std::string_view record, std::string_view field, PhysAddr first_page);
  void claim_records();
  void reserve_ids();
  void adopt_unit(std::uint64_t index, PhysAddr at, const abi::Unit& record);
  void restore_memory();
  void restore_domains();
  void reattach_devices();
  [[nodiscard]] std::uint64_t label_of(PhysAddr object) const;
  template <typename Function>
  void for_each_file(Function&& f) const;
  void finish_file(const abi::File& file);
  void release_everything();
  void release_claimed_chain(PhysAddr first_page);

  Iommu& iommu_;
  Tracker tracker_;
  PhysAddr root_at_ = 0;
  abi::Root root_{};
  abi::IommuTop top_{};
  std::array<PhysAddr, platform::kMaxUnits> unit_records_{};
  std::uint64_t update_counter_ = 0;
  unsigned unfinished_ = 0;
  PhysAddr owner_pages_ = 0;  ///< chain of device records that outlived the image
};

}  // namespace vtd::fw
