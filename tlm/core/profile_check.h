// SPDX-License-Identifier: MIT
// Whether a unit can be built to a profile.
#pragma once

#include "tlm/spec/capability.h"

namespace vtd {

/// Throws std::invalid_argument, naming the field and what it needs, for a profile that this unit cannot be built to.
void check_profile(const Profile& profile);

}  // namespace vtd
