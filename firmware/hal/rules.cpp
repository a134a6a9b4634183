// SPDX-License-Identifier: MIT
#include "firmware/hal/rules.h"

namespace vtd::fw {

platform::Series series() {
  return static_cast<platform::Series>(platform::policy::kSeries.get(policy()));
}

Rules rules() {
  namespace planted = platform::policy;
  const std::uint64_t bits = policy();
  const auto form = static_cast<platform::Series>(planted::kSeries.get(bits));
  const bool v1 = form == platform::Series::kV1;
  const bool old = v1 || form == platform::Series::kV2;
  const auto has = [bits](const Field& f) { return f.get(bits) != 0; };
  return {
      .ignores_other_pasids = v1 || has(planted::kSkipPasidCheck),
      .first_pasid_page_only = old || has(planted::kFirstPasidPageOnly),
      .marks_tables_with_unit = old,
      .keeps_failed_unit = v1,
      .keeps_device_record = v1,
      .keeps_earlier_domains = v1,
      .changes_after_preserve = v1 || has(planted::kChangeAfterPreserve),
      .suspends_while_preserved = old,
      .cleans_pci_only = old || has(planted::kCleanOwnIdOnly),
      .cleans_own_id_only = has(planted::kCleanOwnIdOnly),
      .cleans_by_device = old || has(planted::kCleanDeviceTlb),
      .keeps_page_requests = old || has(planted::kLeavePageRequests),
      .wipes_pasids_live = v1 || has(planted::kWipePasidsLive),
      .accepts_any_id = v1,
      .replaces_refused_id = form == platform::Series::kV2 || has(planted::kFreshId),
      .keeps_strangers = old,
      .reserves_on_every_unit = v1,
      .reclaims_twice = v1 || has(planted::kReclaimTwice),
      .checks_no_version = old,
      .owner_is_token = v1,
      .owner_of_first_only = form == platform::Series::kV2,
      .falls_back_to_default = v1 || has(planted::kFallBackToDefault),
      .empties_other_directory = old,
      .cannot_retrieve_iommufd = old,
  };
}

}  // namespace vtd::fw
