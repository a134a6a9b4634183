// SPDX-License-Identifier: MIT
// Reads, clears and reports primary fault records (VT-d 7.3, 11.4.7.1, 11.4.14.1).
#pragma once

#include "firmware/vtd/registers.h"

namespace vtd::fw {

struct FaultDrain {
  unsigned records = 0;   ///< reported and cleared
  bool overflow = false;  ///< FSTS.PFO was set; cleared
};

/// Reports every recorded fault on the console, oldest first from FSTS.FRI, clears F of each and then PFO.
FaultDrain drain_faults(const Registers& registers, std::uint64_t cap);

}  // namespace vtd::fw
