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

platform::Series series() {
  return static_cast<platform::Series>(platform::policy::kSeries.get(policy()));
}

bool deviates(Deviation d) {
  constexpr std::array kForms{platform::deviations_of(platform::Series::kLatest),
                              platform::deviations_of(platform::Series::kV1),
                              platform::deviations_of(platform::Series::kV2)};
  const auto word = static_cast<std::size_t>(d) / 64;
  const std::uint64_t planted = hal::mmio_read64(platform::kMailboxBase + mailbox::kDeviations + word * 8);
  const auto form = static_cast<std::size_t>(series());
  const std::uint64_t all = planted | (form < kForms.size() ? kForms[form][word] : 0);
  return (all & bit(static_cast<std::size_t>(d) % 64)) != 0;
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
