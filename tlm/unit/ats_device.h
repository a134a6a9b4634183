// SPDX-License-Identifier: MIT
// What a device with a TLB of its own (ATS), or with page requests (PRI), hears from its remapping unit.
#pragma once

#include "tlm/core/request.h"

namespace vtd {

class AtsDevice {
 public:
  virtual ~AtsDevice() = default;
  /// An invalidation request. The device drops what it covers, waits until no request that used it is under way, and
  /// then calls RemappingUnit::device_answered() with the tag. Never suspends.
  virtual void invalidate(const DeviceTlbInvalidation& invalidation) = 0;
  /// The answer to a group of page requests. Never suspends.
  virtual void respond(const PageResponse& response) = 0;
};

}  // namespace vtd
