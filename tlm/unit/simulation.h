// SPDX-License-Identifier: MIT
// Running the kernel so that walkers may be clocked in bursts. A burst runs ahead of the kernel up to its next
// activity; the end of a running sc_start(d) is such a limit too, but the kernel shows it to nobody. vtd::run()
// tells it. Under a plain sc_start() walkers are clocked edge by edge: slower, never wrong.
//
// Bursts look only at what the kernel knows: async_request_update() from other threads is not seen ahead.
#pragma once

#include <cstdint>
#include <systemc>

namespace vtd {

/// As sc_start(duration).
void run(const sc_core::sc_time& duration);
/// Until nothing is left to do, but at most `duration`. Time stops where the last thing happened.
void run_to_rest(const sc_core::sc_time& duration);
/// As sc_start(): until nothing is left to do, or sc_stop().
void run();

/// Time in picoseconds before which the running simulation will not return to its caller; the current time when
/// that is not known.
[[nodiscard]] std::uint64_t run_end_ps();

/// Time in picoseconds. Needs the kernel's default resolution of 1 ps.
[[nodiscard]] inline std::uint64_t to_ps(const sc_core::sc_time& time) {
  return time.value();
}
[[nodiscard]] inline sc_core::sc_time from_ps(std::uint64_t ps) {
  return sc_core::sc_time::from_value(ps);
}
[[nodiscard]] inline std::uint64_t now_ps() {
  return to_ps(sc_core::sc_time_stamp());
}

}  // namespace vtd
