// SPDX-License-Identifier: MIT
// Stories drawn by a seed: a platform, devices, domains, streams, and a walk through what firmware and devices may do,
// with live updates at any moment. Legal, and so must pass: each probe says what becomes of it, the isolation monitor
// judges the rest.
#pragma once

#include <cstdint>
#include <string>

namespace vtd::sim {

/// The text of a scenario; the same for the same seed.
[[nodiscard]] std::string random_story(std::uint64_t seed);

}  // namespace vtd::sim
