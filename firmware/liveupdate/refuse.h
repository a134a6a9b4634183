// SPDX-License-Identifier: MIT
// How a handover image is refused: record, field, value, what is wrong and what was expected; then the image stops.
//   FATAL iommu image: device[0].attachment_id = 1: reserved, expected 2 <= did < 65536
// Where policy contains errors, what is wrong with one device costs that device only.
#pragma once

#include "firmware/hal/console.h"
#include "firmware/hal/policy.h"
#include "firmware/liveupdate/tracker.h"

namespace vtd::fw {

inline constexpr std::string_view kLuoImage = "luo image: ";      ///< root, sessions, files and what they name
inline constexpr std::string_view kIommuImage = "iommu image: ";  ///< units, domains, devices

/// Names a field: "record[index].field", or "record.field" for the single records.
struct FieldName {
  std::string_view image;
  std::string_view record;
  std::string_view field;
  std::uint64_t index = kSingle;
  static constexpr std::uint64_t kSingle = ~std::uint64_t{0};
};

inline void put(Text& t, const FieldName& n) {
  t.add(n.image).add(n.record);
  if (n.index != FieldName::kSingle) t.add('[').add_decimal(n.index).add(']');
  t.add('.').add(n.field);
}

/// `value`: a number, Hex or Bdf; `reason`: what is wrong, then "expected ...".
template <typename Value, typename... Reason>
[[noreturn]] void refuse(const FieldName& name, Value value, const Reason&... reason) {
  hal::die(name, " = ", value, ": ", reason...);
}

/// The same for what concerns one device alone: under on_error: contain it is said and false returned, and the device
/// will be cut off.
template <typename Value, typename... Reason>
[[nodiscard]] bool deny(const FieldName& name, Value value, const Reason&... reason) {
  if (!has_policy(platform::policy::kContain)) refuse(name, value, reason...);
  hal::print("contained ", name, " = ", value, ": ", reason...);
  return false;
}

/// Fatal unless `page` is a page-aligned address in DRAM that the tracker has.
inline void require_preserved(const Tracker& tracker, const FieldName& name, PhysAddr page) {
  if (!is_aligned(page, kPageSize)) refuse(name, Hex{page}, "not page aligned, expected the address of a page");
  if (page == 0) refuse(name, Hex{page}, "missing, expected the address of a page");
  if (!tracker.in_dram(page)) refuse(name, Hex{page}, "outside memory, expected an address in DRAM");
  if (!tracker.preserved(page)) refuse(name, Hex{page}, "not preserved, expected a page of the preserved set");
}

/// Takes a preserved page back, or stops: devices may have been writing through tables that are gone.
inline void claim_page(Tracker& tracker, const FieldName& name, PhysAddr page) {
  if (!tracker.reclaim(page)) refuse(name, Hex{page}, "cannot be reclaimed, expected a page of the preserved set");
}

}  // namespace vtd::fw
