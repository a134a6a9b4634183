// SPDX-License-Identifier: MIT
// Verification of a handover image before any unit is touched. The first thing that is wrong stops the image; what is
// wrong with one device alone stops it, or costs the device (refuse.h).
#pragma once

#include "firmware/iommu/iommu.h"
#include "firmware/liveupdate/files.h"
#include "firmware/liveupdate/record_array.h"
#include "firmware/liveupdate/refuse.h"

namespace vtd::fw {

/// Device records that are wrong, by index; withdrawn records count.
using DeviceSet = std::array<std::uint64_t, abi::kMaxArrayPages * abi::kCapacity<abi::Device> / 64 + 1>;

/// What every policy demands: the root is there and of our version.
void check_versions(PhysAddr root, const Tracker& tracker);
/// The same for the IOMMU's top record; which strings and versions there are depends on the series.
void check_iommu_version(PhysAddr top, const Tracker& tracker);
/// What every policy demands: each attachment id is one that a domain may have on its unit. v1 took them all.
[[nodiscard]] DeviceSet check_domain_ids(PhysAddr iommu_top, Iommu& iommu);

/// What every policy demands: the unit's table mode is the one that this image uses. There is no conversion.
void check_table_mode(std::uint64_t index, const Unit& unit);

/// verify: checking. Every reference is page aligned, preserved, bounded and used once; every field agrees with the
/// others, with RTADDR and GSTS, and with the live context and PASID entries.
class ImageCheck {
 public:
  /// `iommu_top`: 0 when the image has no IOMMU state.
  ImageCheck(PhysAddr root, PhysAddr iommu_top, const Tracker& tracker, Iommu& iommu);
  void run();
  [[nodiscard]] const DeviceSet& contained() const { return contained_; }

 private:
  // ---- pages and arrays ----
  /// A page of records or tables: preserved, in general memory, and nobody else's.
  void use_page(const FieldName& name, PhysAddr page);
  template <typename T>
  void check_array(const FieldName& name, PhysAddr first_page);
  // ---- sessions and files (image_check_files.cpp) ----
  void check_flbs();
  void check_memory_files();
  void check_sessions();
  void check_file(std::uint64_t index, const abi::Session& session, const abi::File& file);
  void check_iommufds();
  void check_hwpt(std::uint64_t index, const abi::Iommufd& fd, const abi::Hwpt& hwpt);
  void check_vfio_links();
  void check_vfio_devices();
  // ---- units, domains ----
  void check_units();
  void check_unit(std::uint64_t index, const abi::Unit& record);
  void check_unit_references();
  void check_root_table(std::uint64_t index, const abi::Unit& record, const Unit& unit);
  /// No context table may hold a present entry of a device without a record.
  void check_strangers(std::uint64_t index, PhysAddr at, const abi::Unit& record);
  /// True if a device that the image has behind the unit is not on the bus; so errors are contained.
  [[nodiscard]] bool gone_behind(PhysAddr unit_record);
  void check_domains();
  void check_tables(std::uint64_t index, const abi::Domain& record);
  [[nodiscard]] bool in_memory_file(const Leaf& leaf);
  // ---- devices (image_check_devices.cpp): false, and said, when it is the device alone that is wrong ----
  void check_devices();
  [[nodiscard]] bool check_device(std::uint64_t index, PhysAddr at, const abi::Device& record);
  [[nodiscard]] bool check_links(std::uint64_t index, const abi::Device& record);
  [[nodiscard]] bool check_unique(std::uint64_t index, const abi::Device& record);
  [[nodiscard]] bool check_entries(std::uint64_t index, const abi::Device& record);
  [[nodiscard]] bool check_legacy_entry(std::uint64_t index, const abi::Device& record, SourceId sid,
                                        const ctx::Entry& entry);
  [[nodiscard]] bool check_scalable_entry(std::uint64_t index, const abi::Device& record, SourceId sid,
                                          const Record128& entry);
  [[nodiscard]] bool check_pasid_entry(std::uint64_t index, const abi::Device& record, const pasid::Entry& entry);
  [[nodiscard]] bool check_tables_agree(const abi::Device& record, PhysAddr top, unsigned levels);
  void use_pasid_pages(std::uint64_t index, const abi::Device& record);

  [[nodiscard]] Unit* unit_of(const abi::Unit& record);
  [[nodiscard]] std::uint64_t index_of_domain(PhysAddr record);

  const Tracker& tracker_;
  Iommu& iommu_;
  PhysAddr root_at_;
  PhysAddr top_at_;
  abi::Root root_;
  abi::IommuTop top_{};
  DeviceSet contained_{};
  PageAllocator used_;  ///< of which the pages that are in use by the image are held
};

// ---- helpers of the three files ------------------------------------------------------------------------------

inline FieldName luo_field(std::string_view record, std::string_view field, std::uint64_t index = FieldName::kSingle) {
  return {kLuoImage, record, field, index};
}
inline FieldName iommu_field(std::string_view record, std::string_view field,
                             std::uint64_t index = FieldName::kSingle) {
  return {kIommuImage, record, field, index};
}
/// Flags of a record that nobody has adopted yet are zero, its references as many as expected.
void check_header(std::string_view image, std::string_view record, std::uint64_t index, const abi::ObjectHeader& header,
                  std::uint64_t references = 1);
/// Belongs to the incoming image: must be zero.
void expect_zero(const FieldName& name, std::uint64_t value);

/// True if some record of the array lies at `address`.
template <typename T>
bool has_record(PhysAddr first_page, PhysAddr address) {
  bool found = false;
  for_each_record<T>(first_page, [&](std::uint64_t, PhysAddr at, const T&) { found = found || at == address; });
  return found;
}

template <typename T>
void ImageCheck::check_array(const FieldName& name, PhysAddr first_page) {
  use_page(name, first_page);
  PhysAddr page = first_page;
  for (unsigned pages = 1; page != 0; ++pages) {
    const auto header = hal::load<abi::ArrayPage>(page);
    if (header.count > abi::kCapacity<T>)
      refuse(name, Hex{page}, "page holds ", header.count, " records, expected at most ", abi::kCapacity<T>);
    if (header.next != 0) use_page(name, header.next);
    page = header.next;
  }
}

}  // namespace vtd::fw
