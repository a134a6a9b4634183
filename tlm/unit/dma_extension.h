// SPDX-License-Identifier: MIT
// What a DMA transaction says beside address and data, and what the unit says back.
#pragma once

#include <optional>
#include <tlm>

#include "tlm/core/request.h"

namespace vtd {

class DmaExtension final : public tlm::tlm_extension<DmaExtension> {
 public:
  // ---- in ----
  SourceId source{};  ///< requester; ignored on sockets with a fixed source-id
  std::optional<Pasid> pasid{};
  AddressType type = AddressType::kUntranslated;
  bool privileged = false;   ///< PR, with a PASID
  bool execute = false;      ///< ER, reads with a PASID
  bool zero_length = false;  ///< a read of zero bytes: permission is checked, no data moves

  // ---- out, of the last 4 KiB piece that was translated ----
  FaultReason fault = FaultReason::kNone;
  std::optional<Translation> translation{};  ///< the answer, for a translation request

  [[nodiscard]] tlm::tlm_extension_base* clone() const override { return new DmaExtension(*this); }
  void copy_from(const tlm::tlm_extension_base& other) override { *this = static_cast<const DmaExtension&>(other); }
};

}  // namespace vtd
