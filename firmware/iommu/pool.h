// SPDX-License-Identifier: MIT
// A fixed number of slots for objects that are private to the running image. No allocation, stable addresses.
#pragma once

#include <array>
#include <cstddef>

namespace vtd::fw {

template <typename T, std::size_t N>
class Pool {
 public:
  /// A fresh object, or nullptr when all slots are taken.
  [[nodiscard]] T* add() {
    for (Slot& s : slots_) {
      if (s.used) continue;
      s.used = true;
      s.value = T{};
      return &s.value;
    }
    return nullptr;
  }
  void remove(const T& object) {
    for (Slot& s : slots_)
      if (&s.value == &object) s.used = false;
  }
  /// First object for which `matches` holds, or nullptr.
  template <typename Predicate>
  [[nodiscard]] T* find(Predicate&& matches) {
    for (Slot& s : slots_)
      if (s.used && matches(s.value)) return &s.value;
    return nullptr;
  }
  template <typename Function>
  void for_each(Function&& f) {
    for (Slot& s : slots_)
      if (s.used) f(s.value);
  }

 private:
  struct Slot {
    T value{};
    bool used = false;
  };
  std::array<Slot, N> slots_{};
};

}  // namespace vtd::fw
