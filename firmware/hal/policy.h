// SPDX-License-Identifier: MIT
// What the story asks of the running image: policy bits, and calls that are to fail. Read from the mailbox.
#pragma once

#include "firmware/hal/hal.h"

namespace vtd::fw {

/// Policy bits as they are now: a story may change them at any time.
[[nodiscard]] std::uint64_t policy();
[[nodiscard]] inline bool has_policy(const Field& field) {
  return field.get(policy()) != 0;
}

/// Takes over which call is to fail; once before each command and at boot, so that turns count from there.
void plan_failure();
/// True at the turn at which the call is to fail.
[[nodiscard]] bool fails(platform::FailPlace place);

}  // namespace vtd::fw
