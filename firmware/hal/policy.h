// SPDX-License-Identifier: MIT
// What the story asks of the running image: policy bits, deviations from the latest form of the series, and calls that
// are to fail. Read from the mailbox where they are needed: a story may change them at any time.
#pragma once

#include "firmware/hal/hal.h"
#include "tlm/spec/deviation.h"

namespace vtd::fw {

using platform::Deviation;

[[nodiscard]] std::uint64_t policy();
[[nodiscard]] inline bool has_policy(const Field& field) {
  return field.get(policy()) != 0;
}
/// The form of the Linux series that the image plays.
[[nodiscard]] platform::Series series();
/// True if the form, or the story, does this otherwise than the latest form.
[[nodiscard]] bool deviates(Deviation d);

/// Takes over which call is to fail; once before each command and at boot, so that turns count from there.
void plan_failure();
/// True at the turn at which the call is to fail.
[[nodiscard]] bool fails(platform::FailPlace place);

}  // namespace vtd::fw
