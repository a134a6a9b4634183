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

namespace {

bool g_coherent = true;

void write_back(PhysAddr address, std::uint64_t bytes) {
  std::atomic_signal_fence(std::memory_order_seq_cst);
  if (g_coherent) return;
  mmio_write64(platform::kCacheBase + platform::cache::kAddress, address);
  mmio_write64(platform::kCacheBase + platform::cache::kWriteBack, bytes);
}

}  // namespace

void assume_non_coherent() {
  g_coherent = false;
}

void flush(PhysAddr address, std::uint64_t bytes) {
  if (g_coherent || bytes == 0) return std::atomic_signal_fence(std::memory_order_seq_cst);
  const std::uint64_t policy = mmio_read64(platform::kMailboxBase + platform::mailbox::kPolicy);
  if (platform::policy::kSkipFlush.get(policy) == 0) write_back(address, bytes);
}

void flush_everything() {
  write_back(0, 0);
}

}  // namespace vtd::fw::hal
