// SPDX-License-Identifier: MIT
#include "tlm/unit/simulation.h"

#include <limits>
#include <optional>

#if defined(__SANITIZE_ADDRESS__)
#include <pthread.h>

#include <sanitizer/common_interface_defs.h>
#endif

namespace vtd {
namespace {

#if defined(__SANITIZE_ADDRESS__)
/// The kernel tells the address sanitizer of every switch between stacks, yet not where the main one is. Without its
/// bounds, the first exception on it after a simulation leaves traces that later frames are blamed for.
void tell_sanitizer_of_main_stack() {
  struct Stack {
    void* bottom = nullptr;
    std::size_t size = 0;
  };
  static const Stack kMain = [] {
    Stack stack;
    pthread_attr_t attributes;
    pthread_getattr_np(pthread_self(), &attributes);
    pthread_attr_getstack(&attributes, &stack.bottom, &stack.size);
    pthread_attr_destroy(&attributes);
    return stack;
  }();
  void* fake_stack = nullptr;
  __sanitizer_start_switch_fiber(&fake_stack, kMain.bottom, kMain.size);
  __sanitizer_finish_switch_fiber(fake_stack, nullptr, nullptr);
}
#else
void tell_sanitizer_of_main_stack() {}
#endif

// One per process, as the kernel itself.
std::optional<std::uint64_t> known_end_ps;  // NOLINT

/// Declares the end of a run for as long as the run lasts.
class Declare {
 public:
  explicit Declare(std::uint64_t end_ps) { known_end_ps = end_ps; }
  ~Declare() {
    known_end_ps.reset();
    tell_sanitizer_of_main_stack();
  }
  Declare(const Declare&) = delete;
  Declare& operator=(const Declare&) = delete;
};

constexpr std::uint64_t kForever = std::numeric_limits<std::uint64_t>::max();

std::uint64_t end_of(const sc_core::sc_time& duration) {
  const std::uint64_t room = kForever - now_ps();
  return now_ps() + (to_ps(duration) < room ? to_ps(duration) : room);
}

}  // namespace

void run(const sc_core::sc_time& duration) {
  const Declare end(end_of(duration));
  sc_core::sc_start(duration);
}

void run_to_rest(const sc_core::sc_time& duration) {
  if (!sc_core::sc_pending_activity()) return;
  const Declare end(end_of(duration));
  sc_core::sc_start(duration, sc_core::SC_EXIT_ON_STARVATION);
}

void run() {
  const Declare end(kForever);
  sc_core::sc_start();
}

std::uint64_t run_end_ps() {
  return known_end_ps.value_or(now_ps());
}

}  // namespace vtd
