// SPDX-License-Identifier: MIT
// A DMA request, its translation, its fault.
#pragma once

#include <cstdint>
#include <optional>
#include <variant>

#include "tlm/spec/fault_reason.h"
#include "tlm/spec/types.h"

namespace vtd {

/// One request as it arrives at the unit (VT-d 3.2). It must not cross a 4 KiB boundary; the shell splits.
struct DmaRequest {
  SourceId source{};
  Iova address = 0;
  std::uint32_t length = 0;  ///< bytes; 0 only for a zero-length read
  Access access = Access::kRead;
  AddressType type = AddressType::kUntranslated;
  std::optional<Pasid> pasid{};
};

/// Where an untranslated request goes.
struct Translation {
  PhysAddr address = 0;                 ///< of the first byte
  std::uint64_t page_size = kPageSize;  ///< of the cached entry that served it; the range that DMI may cover
  bool readable = false;
  bool writable = false;
  bool snoop = false;
  bool remapped = true;  ///< false when TE=0 let it pass untranslated
  bool iotlb_hit = false;
};

/// Why a request was blocked. Already recorded where the architecture says so.
struct Fault {
  FaultReason reason = FaultReason::kNone;
  SourceId source{};
  Iova address = 0;
  Access access = Access::kRead;
  bool recorded = false;  ///< a fault record was written (not FPD, not overflow)
};

/// T or a Fault. `if (!r) return r.fault();` keeps the happy path straight.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::move(value)) {}  // NOLINT: implicit by design
  Result(Fault fault) : state_(fault) {}         // NOLINT: implicit by design
  [[nodiscard]] bool ok() const { return std::holds_alternative<T>(state_); }
  explicit operator bool() const { return ok(); }
  [[nodiscard]] const T& value() const { return std::get<T>(state_); }
  [[nodiscard]] const T& operator*() const { return value(); }
  [[nodiscard]] const T* operator->() const { return &value(); }
  [[nodiscard]] const Fault& fault() const { return std::get<Fault>(state_); }

 private:
  std::variant<T, Fault> state_;
};

}  // namespace vtd
