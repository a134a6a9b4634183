// SPDX-License-Identifier: MIT
#include "firmware/hal/policy.h"

namespace vtd::fw {
namespace {
namespace mailbox = platform::mailbox;

std::uint64_t g_planned = 0;  ///< the register as it was taken over
std::uint64_t g_turns = 0;    ///< until the call fails
}  // namespace

std::uint64_t policy() {
  return hal::mmio_read64(platform::kMailboxBase + mailbox::kPolicy);
}

void plan_failure() {
  const std::uint64_t now = hal::mmio_read64(platform::kMailboxBase + mailbox::kFail);
  if (now != g_planned) g_turns = mailbox::kFailTurn.get(now);
  g_planned = now;
}

bool fails(platform::FailPlace place) {
  if (mailbox::kFailPlace.get(g_planned) != static_cast<std::uint64_t>(place) || g_turns == 0) return false;
  return --g_turns == 0;
}

}  // namespace vtd::fw
