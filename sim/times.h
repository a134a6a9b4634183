// SPDX-License-Identifier: MIT
// Nanoseconds, in which stories and reports tell time.
#pragma once

#include <cstdint>
#include <systemc>

namespace vtd::sim {

[[nodiscard]] inline std::uint64_t now_ns() {
  return sc_core::sc_time_stamp().value() / 1000;
}
[[nodiscard]] inline sc_core::sc_time from_ns(std::uint64_t ns) {
  return sc_core::sc_time(static_cast<double>(ns), sc_core::SC_NS);
}

}  // namespace vtd::sim
