// SPDX-License-Identifier: MIT
// What a transaction on a unit's memory socket is for. Buses may route by it, monitors judge by it.
#pragma once

#include <cstdint>
#include <tlm>

#include "tlm/spec/types.h"

namespace vtd {

enum class MemoryKind : std::uint8_t {
  kTable,    ///< root, context and paging entries, descriptors
  kDma,      ///< a device's data
  kStatus,   ///< status of a wait descriptor
  kMessage,  ///< interrupt message: the unit's own, or a device's write to FEEx_xxxx
};

class MemoryTag final : public tlm::tlm_extension<MemoryTag> {
 public:
  MemoryKind kind = MemoryKind::kTable;
  SourceId source{};  ///< on whose behalf; 0 for descriptors, status and the unit's own messages
  Iova iova = 0;      ///< address before translation; 0 where there is none

  MemoryTag() = default;
  MemoryTag(MemoryKind k, SourceId s, Iova i) : kind(k), source(s), iova(i) {}
  [[nodiscard]] tlm::tlm_extension_base* clone() const override { return new MemoryTag(kind, source, iova); }
  void copy_from(const tlm::tlm_extension_base& other) override {
    const auto& tag = static_cast<const MemoryTag&>(other);
    kind = tag.kind;
    source = tag.source;
    iova = tag.iova;
  }
};

}  // namespace vtd
