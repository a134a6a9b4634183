// SPDX-License-Identifier: MIT
// Bugs planted at the unit's way to memory, to see whether software notices them.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "sim/qemu/guest_ram.h"

namespace vtd::qemu {

enum class Bug : std::uint8_t {
  kWrongPage,            ///< what a device reads comes from the neighbouring page
  kLostWaitStatus,       ///< the status of a wait descriptor is not written
  kDroppedInvalidation,  ///< an IOTLB invalidation descriptor is taken and not performed
  kIgnoredPermission,    ///< every paging entry allows writes
  kCount
};

struct BugHelp {
  const char* name;
  const char* help;
};
inline constexpr std::array<BugHelp, static_cast<std::size_t>(Bug::kCount)> kBugHelp{
    BugHelp{"wrong_page", "what a device reads comes from the neighbouring page"},
    BugHelp{"lost_wait_status", "the status of a wait descriptor is not written"},
    BugHelp{"dropped_invalidation", "an IOTLB invalidation descriptor is taken and not performed"},
    BugHelp{"ignored_permission", "every paging entry allows writes"}};

/// NAME or NAME:N, from its N-th occasion on (1 without N). Throws std::invalid_argument that lists the names.
struct PlantedBug {
  Bug bug{};
  std::uint64_t from = 1;
};
[[nodiscard]] PlantedBug parse_bug(const std::string& text);

/// Stands before `inner`, which must outlive it.
class BuggyRam final : public GuestRam {
 public:
  BuggyRam(GuestRam& inner, const std::vector<std::string>& bugs);
  [[nodiscard]] bool read(const MemoryTag& tag, PhysAddr address, std::span<std::uint8_t> data) override;
  [[nodiscard]] bool write(const MemoryTag& tag, PhysAddr address, std::span<const std::uint8_t> data) override;
  [[nodiscard]] std::optional<std::uint64_t> exchange(const MemoryTag& tag, PhysAddr address, std::uint64_t expected,
                                                      std::uint64_t desired) override;
  void message(const MemoryTag& tag, PhysAddr address, std::uint32_t data) override;
  /// Not while bugs are planted: they act on transactions.
  [[nodiscard]] std::optional<Direct> direct(PhysAddr address) override;

  /// How often each bug has acted, "wrong_page: 17 times".
  [[nodiscard]] std::vector<std::string> done() const;

 private:
  struct State {
    std::uint64_t from = 0;  ///< 0: not planted
    std::uint64_t occasions = 0;
    std::uint64_t acted = 0;
  };
  bool acts(Bug bug);

  GuestRam& inner_;
  std::array<State, static_cast<std::size_t>(Bug::kCount)> states_{};
  bool any_ = false;
};

}  // namespace vtd::qemu
