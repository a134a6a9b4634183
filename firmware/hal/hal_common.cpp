// SPDX-License-Identifier: MIT
// Time and cache maintenance: the same on every CPU.
#include <atomic>

#include "firmware/hal/hal.h"

namespace vtd::fw::hal {

std::uint64_t now() {
  return mmio_read64(platform::kTimerBase + platform::timer::kNow);
}

void sleep(std::uint64_t nanoseconds) {
  mmio_write64(platform::kTimerBase + platform::timer::kSleep, nanoseconds);
}

void flush(PhysAddr, std::uint64_t) {
  std::atomic_signal_fence(std::memory_order_seq_cst);
}

}  // namespace vtd::fw::hal
