// SPDX-License-Identifier: MIT
// Register-based invalidation (VT-d 6.5.1): CCMD, IVA and IOTLB.
#pragma once

#include "tlm/core/invalidation_queue.h"
#include "tlm/core/invalidator.h"
#include "tlm/core/unit_state.h"

namespace vtd {

/// A command acts when the half that holds its ICC or IVT bit is written with 1. With the invalidation queue
/// enabled it is ignored, the bit stays set, and the misuse is counted.
class RegisterInvalidation {
 public:
  RegisterInvalidation(UnitState& state, Invalidator& invalidator, const InvalidationQueue& queue)
      : state_(state), invalidator_(invalidator), queue_(queue) {}

  /// Software wrote CCMD.
  void context_written(const RegisterWrite& write);
  /// Software wrote IOTLB.
  void iotlb_written(const RegisterWrite& write);
  void reset();

 private:
  /// False, counted as misuse, if a new command may not start now.
  [[nodiscard]] bool accept(bool& pending);
  void invalidate_context(std::uint64_t command);
  void invalidate_iotlb(std::uint64_t command, std::uint64_t address);

  UnitState& state_;
  Invalidator& invalidator_;
  const InvalidationQueue& queue_;
  bool context_pending_ = false;
  bool iotlb_pending_ = false;
};

}  // namespace vtd
