// SPDX-License-Identifier: MIT
// What a run did, as text. Two forms: the full trace with times, for bit-for-bit reproduction by a seed; and the
// normalised one, which is equal for every walker and CPU.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "tlm/soc/platform.h"

namespace vtd::sim {

/// Normalised: register writes in program order with values; reads with runs of the same register collapsed to the
/// last value (a poll); no time, no timer; fault records as a multiset per source-id; the results of every DMA by
/// device and worker-independent place; a digest of heap and guest memory, A/D bits not being used.
class Trace {
 public:
  /// Listens to the platform from now on; before the simulation starts.
  explicit Trace(soc::Platform& platform);

  /// After the run.
  [[nodiscard]] std::string normalised() const;
  [[nodiscard]] std::string full() const;

 private:
  void mmio(const soc::MmioAccess& access);

  soc::Platform& platform_;
  class FaultRecords;
  std::vector<std::string> full_;
  std::vector<std::string> registers_;
  std::uint64_t last_read_ = 0;
  bool last_was_read_ = false;
  std::map<std::string, std::uint64_t> faults_;
  std::map<std::string, std::uint64_t> transfers_;
  std::vector<std::shared_ptr<Observer>> observers_;
};

}  // namespace vtd::sim
