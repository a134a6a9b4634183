// SPDX-License-Identifier: MIT
// Time and cache maintenance: the same on every CPU.
#include <atomic>

#include "firmware/hal/policy.h"

namespace vtd::fw::hal {

std::uint64_t now() {
  return mmio_read64(platform::kTimerBase + platform::timer::kNow);
}

void sleep(std::uint64_t nanoseconds) {
  mmio_write64(platform::kTimerBase + platform::timer::kSleep, nanoseconds);
}

namespace {

Coherency g_coherency = Coherency::kSnooped;
std::uint64_t g_memory_size = platform::kDramSize;

void write_back(PhysAddr address, std::uint64_t bytes, Deviation skip) {
  std::atomic_signal_fence(std::memory_order_seq_cst);
  if (g_coherency == Coherency::kSnooped) return;
  if (deviates(skip)) return;
  mmio_write64(platform::kCacheBase + platform::cache::kAddress, address);
  mmio_write64(platform::kCacheBase + platform::cache::kWriteBack, bytes);
}

}  // namespace

void assume(Coherency coherency) {
  g_coherency = coherency;
}

void flush(PhysAddr address, std::uint64_t bytes) {
  if (bytes != 0) write_back(address, bytes, Deviation::kSkipFlush);
}

void flush_everything() {
  write_back(0, 0, Deviation::kSkipHandoverFlush);
}

void discover_memory() {
  g_memory_size = mmio_read64(platform::kResetBase + platform::reset::kMemorySize);
}
std::uint64_t memory_size() {
  return g_memory_size;
}

}  // namespace vtd::fw::hal
