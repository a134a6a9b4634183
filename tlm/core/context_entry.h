// SPDX-License-Identifier: MIT
// What the unit keeps of a legacy context entry (VT-d 9.3), and the cache of such entries.
#pragma once

#include <cstdint>

#include "tlm/core/cache.h"
#include "tlm/spec/fault_reason.h"
#include "tlm/spec/structures.h"
#include "tlm/spec/types.h"

namespace vtd {

/// A checked context entry. With `fault` set only `fault_disabled` means something besides (CM=1 caches such).
struct ContextEntry {
  TranslationType type = TranslationType::kUntranslated;
  DomainId domain{};
  PhysAddr table = 0;           ///< SSPTPTR
  std::uint8_t levels = 0;      ///< 3, 4 or 5
  bool fault_disabled = false;  ///< FPD
  FaultReason fault = FaultReason::kNone;
};

struct ContextTag {
  SourceId source{};
  [[nodiscard]] std::uint64_t index() const { return source.value; }
  friend bool operator==(const ContextTag&, const ContextTag&) = default;
};

using ContextCache = TaggedCache<ContextTag, ContextEntry>;

}  // namespace vtd
