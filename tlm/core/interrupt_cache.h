// SPDX-License-Identifier: MIT
// The interrupt entry cache (VT-d 6.2.6): present interrupt remapping table entries by index.
#pragma once

#include <cstdint>

#include "tlm/core/cache.h"
#include "tlm/spec/structures.h"

namespace vtd {

struct InterruptTag {
  std::uint32_t interrupt = 0;  ///< index into the table
  [[nodiscard]] std::uint64_t index() const { return interrupt; }
  friend bool operator==(const InterruptTag&, const InterruptTag&) = default;
};

using InterruptCache = TaggedCache<InterruptTag, irte::Entry>;

}  // namespace vtd
