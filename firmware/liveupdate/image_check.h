// SPDX-License-Identifier: MIT
// Verification of a handover image before the unit is touched. The first thing that is wrong stops the image.
#pragma once

#include "firmware/iommu/iommu.h"
#include "firmware/liveupdate/record_array.h"
#include "firmware/liveupdate/refuse.h"

namespace vtd::fw {

/// What every policy demands: the root and the IOMMU top record are there and of our version.
void check_versions(PhysAddr root, const Tracker& tracker);

/// What every policy demands: each attachment id is one that a domain may have on its unit.
void check_domain_ids(PhysAddr iommu_top, Iommu& iommu);

/// verify: checking. Every reference is page aligned, preserved and bounded; every field agrees with the others, with
/// RTADDR and GSTS, and with the live context entries.
class ImageCheck {
 public:
  ImageCheck(PhysAddr root, const Tracker& tracker, Iommu& iommu);
  void run();

 private:
  template <typename T>
  void check_array(const FieldName& name, PhysAddr first_page);
  void check_memory_files();
  void check_sessions();
  void check_file(std::uint64_t index, const abi::File& file);
  void check_units();
  void check_root_table(std::uint64_t index, const abi::Unit& record, const Unit& unit);
  /// No context table may hold a present entry of a device without a record.
  void check_strangers();
  void check_context_table(std::uint64_t index, PhysAddr unit_record, std::uint8_t bus, PhysAddr table);
  void check_domains();
  void check_tables(std::uint64_t index, const abi::Domain& record);
  [[nodiscard]] bool in_memory_file(const Leaf& leaf);
  void check_devices();
  void check_links(std::uint64_t index, const abi::Device& record);
  void check_unique(std::uint64_t index, const abi::Device& record);
  void check_context_entry(std::uint64_t index, const abi::Device& record);

  [[nodiscard]] Unit* unit_of(const abi::Unit& record);

  const Tracker& tracker_;
  Iommu& iommu_;
  abi::Root root_;
  abi::IommuTop top_{};
};

}  // namespace vtd::fw
