// SPDX-License-Identifier: MIT
// The last thing before the reset: nothing that is not preserved may translate any more.
#pragma once

#include "firmware/iommu/iommu.h"

namespace vtd::fw {

/// Bus mastering off for every unpreserved device; then, unit by unit: a unit with preserved devices loses the context
/// entries and root entries of everything else, refuses page requests, is invalidated globally and goes on translating;
/// any other unit is switched off. kTimeout, kFault from the unit.
[[nodiscard]] Status clean_for_reset(Iommu& iommu);

}  // namespace vtd::fw
