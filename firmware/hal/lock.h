// SPDX-License-Identifier: MIT
// Locks of a kernel, as far as their rules can be broken on one CPU: nothing that may sleep may be called while a
// spinlock is held.
#pragma once

#include "firmware/hal/console.h"

namespace vtd::fw {

/// Held for as long as it lives: a unit's context tables, an iommufd's object table.
class SpinLock {
 public:
  SpinLock() { ++held_; }
  ~SpinLock() { --held_; }
  SpinLock(const SpinLock&) = delete;
  SpinLock& operator=(const SpinLock&) = delete;
  [[nodiscard]] static bool held() { return held_ != 0; }

 private:
  static inline unsigned held_ = 0;
};

/// Said by what may wait for memory or for a mutex; stops the image where a spinlock is held.
inline void might_sleep(std::string_view what) {
  if (SpinLock::held()) hal::die(what, " may sleep, and a spinlock is held");
}

}  // namespace vtd::fw
