// SPDX-License-Identifier: MIT
// What happened when in a run, as a page or a trace viewer draws it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "tlm/soc/platform.h"

namespace vtd::sim {

/// DMA of one device that ended in a slice of time.
struct Slice {
  std::uint64_t transfers = 0;
  std::uint64_t refused = 0;
  std::uint64_t bytes = 0;
  std::uint64_t latency_sum_ns = 0;
  std::uint64_t latency_max_ns = 0;
};

/// Something of a unit that took from begin to end; equal for an instant.
struct Span {
  std::uint64_t begin_ns = 0;
  std::uint64_t end_ns = 0;
  unsigned unit = 0;
  std::string text;
};

/// The firmware's access of a unit's register, or several equal reads in a row.
struct RegisterLine {
  std::uint64_t time_ns = 0;  ///< of the first
  unsigned unit = 0;
  std::string text;
  std::uint64_t times = 1;
};

class Chronicle {
 public:
  /// Listens to the platform from now on; before the simulation starts. The platform must outlive it.
  explicit Chronicle(soc::Platform& platform);
  ~Chronicle();
  Chronicle(const Chronicle&) = delete;
  Chronicle& operator=(const Chronicle&) = delete;

  /// Slices of each device from time 0 on; all are slice_ns() long. At most kSlices: longer runs have longer slices.
  [[nodiscard]] const std::vector<std::vector<Slice>>& traffic() const { return traffic_; }
  [[nodiscard]] std::uint64_t slice_ns() const { return slice_ns_; }
  [[nodiscard]] const std::vector<Span>& invalidations() const { return invalidations_.spans; }
  [[nodiscard]] const std::vector<Span>& faults() const { return faults_.spans; }
  [[nodiscard]] const std::vector<RegisterLine>& registers() const { return registers_; }
  /// What came after the first kKept of a kind is only counted.
  [[nodiscard]] std::uint64_t left_out() const {
    return invalidations_.left_out + faults_.left_out + registers_left_out_;
  }
  /// Walks that took less than 2^n ns, and not less than 2^(n-1).
  [[nodiscard]] const std::array<std::uint64_t, 32>& walk_latency() const { return walk_latency_; }

  static constexpr std::size_t kSlices = 1024;
  static constexpr std::size_t kKept = 20'000;

 private:
  class UnitWatch;
  struct Kept {
    std::vector<Span> spans;
    std::uint64_t left_out = 0;
    void add(Span span);
  };
  void transfer(std::size_t device, std::uint32_t bytes, const soc::DmaOutcome& outcome);
  void mmio(const soc::MmioAccess& access);

  soc::Platform& platform_;
  std::vector<std::unique_ptr<UnitWatch>> watches_;
  std::vector<std::vector<Slice>> traffic_;
  std::uint64_t slice_ns_ = 1000;
  Kept invalidations_, faults_;
  std::vector<RegisterLine> registers_;
  std::uint64_t registers_left_out_ = 0;
  std::array<std::uint64_t, 32> walk_latency_{};
};

}  // namespace vtd::sim
