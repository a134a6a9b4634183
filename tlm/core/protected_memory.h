// SPDX-License-Identifier: MIT
// Protected memory regions (VT-d 10.5, 11.4.8): ranges that untranslated DMA (TE=0) must not touch.
#pragma once

#include <cstdint>

#include "tlm/core/unit_state.h"

namespace vtd {

class ProtectedMemory {
 public:
  explicit ProtectedMemory(UnitState& state) : state_(state) {}

  /// Software wrote PMEN: requests accepted from now on follow it; PRS when all earlier ones have left.
  void enable_written();
  /// True if an untranslated access to [address, address + length) is blocked. Base and limit have a granularity of
  /// 1 MiB: the lower bits of the registers are 0 and read so, those of the limit count as 1.
  [[nodiscard]] bool blocks(PhysAddr address, std::uint64_t length) const;
  void reset() { enabled_ = false; }

 private:
  [[nodiscard]] bool meets(RegId base, RegId limit, PhysAddr first, PhysAddr last) const;

  UnitState& state_;
  bool enabled_ = false;
};

}  // namespace vtd
