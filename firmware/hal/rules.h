// SPDX-License-Identifier: MIT
// What the forms of the Linux series do differently, one name each. Everything else in the firmware is the latest form
// and asks here where an older one, or a planted bug, does otherwise. Findings: liveupdate.md section 2.
#pragma once

#include "firmware/hal/policy.h"

namespace vtd::fw {

/// All false: the latest form.
struct Rules {
  // ---- preserve ----
  bool ignores_other_pasids;      ///< F31: v1 looks at the attachment without PASID only
  bool first_pasid_page_only;     ///< v1, v2: tables of PASIDs from 64 on are not preserved
  bool marks_tables_with_unit;    ///< F21: v1, v2: context tables when the unit is preserved, not with the device
  bool keeps_failed_unit;         ///< v1: a unit whose callback failed counts as preserved
  bool keeps_device_record;       ///< v1: an unpreserved device's record is not flagged deleted
  bool keeps_earlier_domains;     ///< v1: a domain that fails leaves those before it preserved
  bool changes_after_preserve;    ///< F34: v1: attach and detach of a preserved device are not refused
  bool suspends_while_preserved;  ///< F24: v1, v2
  // ---- shutdown ----
  bool cleans_pci_only;      ///< F23: v1, v2: other devices keep their entries
  bool cleans_own_id_only;   ///< a planted bug: aliases as well
  bool cleans_by_device;     ///< v1, v2: an invalidation a device, device TLB included, instead of global ones
  bool keeps_page_requests;  ///< v1, v2: PRE of preserved devices stays set
  bool wipes_pasids_live;    ///< F25, F26: v1: other PASIDs are wiped, in the first page of the directory, without
                             ///< invalidation
  // ---- restore ----
  bool accepts_any_id;           ///< F1: v1: reserved domain ids are not refused
  bool replaces_refused_id;      ///< F1: v2: a refused id is replaced by a fresh one
  bool keeps_strangers;          ///< v1, v2: entries of devices that are gone stay
  bool reserves_on_every_unit;   ///< F19: v1
  bool reclaims_twice;           ///< F20: v1: no restored flags
  bool checks_no_version;        ///< v1, v2: the compatible string is all there is
  bool owner_is_token;           ///< F4: v1: the token of the iommufd as owner
  bool owner_of_first_only;      ///< F4: v2: not for devices that share a domain which is restored already
  bool falls_back_to_default;    ///< v1: a device that cannot be restored gets its default domain
  bool empties_other_directory;  ///< v1, v2: max PASID differs: an empty directory instead of the preserved one
  bool cannot_retrieve_iommufd;  ///< phase 1: v1, v2
};

[[nodiscard]] Rules rules();
[[nodiscard]] platform::Series series();

}  // namespace vtd::fw
