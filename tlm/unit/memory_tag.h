// SPDX-License-Identifier: MIT
// What a transaction on a unit's memory socket is for. Buses may route by it, monitors judge by it.
#pragma once

#include <cstdint>
#include <optional>
#include <tlm>

#include "tlm/spec/types.h"

namespace vtd {

enum class MemoryKind : std::uint8_t {
  kTable,        ///< root, context, PASID, paging, interrupt entries; with ECAP.C=0 the CPU's cache is not snooped here
  kDescriptor,   ///< of the invalidation queue
  kUpdate,       ///< compare-exchange of 8 bytes: A and D, posted interrupts. See `expected`
  kPageRequest,  ///< a descriptor written to the page request queue
  kDma,          ///< a device's data
  kStatus,       ///< status of a wait descriptor
  kMessage,      ///< interrupt message: the unit's own, or a device's write to FEEx_xxxx
};

class MemoryTag final : public tlm::tlm_extension<MemoryTag> {
 public:
  MemoryKind kind = MemoryKind::kTable;
  SourceId source{};             ///< on whose behalf; 0 for descriptors, status and the unit's own messages
  Iova iova = 0;                 ///< address before translation; 0 where there is none
  std::optional<Pasid> pasid{};  ///< of a device's request that has one
  bool translated = false;       ///< the request came with a translated address: `iova` is what the device says
  /// kUpdate, a write: memory writes only if it holds this value, and says in `observed` what it held, at once. A
  /// memory that leaves `observed` empty cannot do it; the unit takes that for a bus error.
  std::uint64_t expected = 0;
  std::optional<std::uint64_t> observed{};

  MemoryTag() = default;
  MemoryTag(MemoryKind k, SourceId s, Iova i) : kind(k), source(s), iova(i) {}
  [[nodiscard]] tlm::tlm_extension_base* clone() const override { return new MemoryTag(*this); }
  void copy_from(const tlm::tlm_extension_base& other) override { *this = static_cast<const MemoryTag&>(other); }
};

}  // namespace vtd
