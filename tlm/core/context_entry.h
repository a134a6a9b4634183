// SPDX-License-Identifier: MIT
// What the unit keeps of context entries (VT-d 9.3, 9.4) and of PASID entries (9.6), and the caches of both.
#pragma once

#include <cstdint>
#include <optional>

#include "tlm/core/cache.h"
#include "tlm/core/walker.h"
#include "tlm/spec/fault_reason.h"
#include "tlm/spec/structures.h"
#include "tlm/spec/types.h"

namespace vtd {

/// A checked context entry. With `fault` set only `fault_disabled` means something besides (CM=1 caches such).
struct ContextEntry {
  // ---- legacy ----
  TranslationType type = TranslationType::kUntranslated;
  DomainId domain{};
  PhysAddr table = 0;       ///< SSPTPTR
  std::uint8_t levels = 0;  ///< 3, 4 or 5
  // ---- scalable ----
  bool scalable = false;
  bool device_tlb = false;        ///< DTE; legacy: TT = 01
  bool pasid_enabled = false;     ///< PASIDE
  bool page_requests = false;     ///< PRE
  bool rid_privileged = false;    ///< RID_PRIV
  Pasid rid_pasid{};              ///< of requests without PASID
  PhysAddr directory = 0;         ///< PASIDDIRPTR
  std::uint32_t pasid_count = 0;  ///< PASIDs that the directory covers, and PSS allows
  // ---- both ----
  bool fault_disabled = false;  ///< FPD
  FaultReason fault = FaultReason::kNone;
};

/// What translates a request: a legacy context entry or a PASID entry, checked.
struct AddressSpace {
  bool pass_through = false;
  WalkKind kind = WalkKind::kLegacy;
  DomainId domain{};
  Pasid pasid{};             ///< tag of first-stage and nested translations
  PhysAddr second_root = 0;  ///< SSPTPTR
  std::uint8_t second_levels = 0;
  PhysAddr first_root = 0;  ///< FSPTPTR
  std::uint8_t first_levels = 0;
  bool accessed_dirty = false;     ///< SSADE
  bool walk_snoop = false;         ///< PWSNP
  bool page_snoop = false;         ///< PGSNP
  bool supervisor = false;         ///< SRE
  bool execute = false;            ///< ERE
  bool write_protect = false;      ///< WPE
  bool extended_accessed = false;  ///< EAFE
  bool fault_disabled = false;     ///< FPD of the PASID directory entry or the PASID entry
  FaultReason fault = FaultReason::kNone;

  /// True if translations are tagged with a PASID.
  [[nodiscard]] bool first_stage() const { return kind == WalkKind::kFirstStage || kind == WalkKind::kNested; }
  [[nodiscard]] bool scalable() const { return kind != WalkKind::kLegacy; }
};

struct ContextTag {
  SourceId source{};
  [[nodiscard]] std::uint64_t index() const { return source.value; }
  friend bool operator==(const ContextTag&, const ContextTag&) = default;
};

using ContextCache = TaggedCache<ContextTag, ContextEntry>;

struct PasidTag {
  SourceId source{};
  Pasid pasid{};
  [[nodiscard]] std::uint64_t index() const { return source.value + std::uint64_t{pasid.value} * 7; }
  friend bool operator==(const PasidTag&, const PasidTag&) = default;
};

using PasidCache = TaggedCache<PasidTag, AddressSpace>;

}  // namespace vtd
