// SPDX-License-Identifier: MIT
// A DMA request, its translation, its fault.
#pragma once

#include <cstdint>
#include <optional>
#include <variant>

#include "tlm/spec/fault_reason.h"
#include "tlm/spec/types.h"

namespace vtd {

/// One request as it arrives at the unit (VT-d 3.2). It must not cross a 4 KiB boundary; the shell splits. In a
/// translation request (ATS) kRead says "no write needed" (NW=1) and kWrite asks for a writable translation.
struct DmaRequest {
  SourceId source{};
  Iova address = 0;
  std::uint32_t length = 0;  ///< bytes; 0 only for a zero-length read
  Access access = Access::kRead;
  AddressType type = AddressType::kUntranslated;
  std::optional<Pasid> pasid{};
  bool privileged = false;  ///< PR: supervisor request; only with a PASID
  bool execute = false;     ///< ER: needs execute permission; only reads with a PASID
  /// Data of a 32-bit write, which the unit looks at where it is an interrupt request; nullopt for other sizes.
  std::optional<std::uint32_t> data{};
  bool page_request = false;  ///< decides FRCD.T1 and T2
};

/// A page request of a device (PRI, VT-d 7.4).
struct PageRequest {
  SourceId source{};
  std::optional<Pasid> pasid{};
  Iova address = 0;  ///< of the page
  bool read = false;
  bool write = false;
  bool execute = false;
  bool privileged = false;
  bool last = false;        ///< last request in its group
  std::uint16_t group = 0;  ///< page request group index, 9 bits
};

/// Response code of a page group response (VT-d 7.7.1).
enum class PageResponseCode : std::uint8_t { kSuccess = 0, kInvalidRequest = 1, kFailure = 15 };

/// Answer to a group of page requests, from software (descriptor) or from the unit itself.
struct PageResponse {
  SourceId source{};
  std::optional<Pasid> pasid{};
  std::uint16_t group = 0;
  std::uint8_t code = 0;  ///< PageResponseCode; other values are passed on as software wrote them
};

/// Names an invalidation request that was sent to a device and not yet answered.
using DeviceTag = std::uint32_t;

/// Invalidation request to a device's own TLB (ATS, VT-d 6.5.2.5, 6.5.2.6).
struct DeviceTlbInvalidation {
  DeviceTag tag = 0;
  SourceId source{};
  std::optional<Pasid> pasid{};
  bool global = false;        ///< all PASIDs
  Iova first = 0;             ///< first byte
  Iova last = kPageSize - 1;  ///< last byte
  unsigned max_pending = 32;  ///< MIP: invalidations that may be outstanding at this device
};
/// How a device answered, or did not.
enum class DeviceAnswer : std::uint8_t { kDone, kError, kTimeout };

/// An interrupt that leaves the unit: a 32-bit write.
struct InterruptMessage {
  PhysAddr address = 0;
  std::uint32_t data = 0;
  friend bool operator==(const InterruptMessage&, const InterruptMessage&) = default;
};

/// Where an untranslated request goes; or the answer to a translation request, in which readable = writable = false
/// says "not mapped for you".
struct Translation {
  PhysAddr address = 0;                 ///< of the first byte
  std::uint64_t page_size = kPageSize;  ///< of the cached entry that served it; the range that DMI may cover
  bool readable = false;
  bool writable = false;
  bool snoop = false;
  bool remapped = true;  ///< false when TE=0 let it pass untranslated
  bool iotlb_hit = false;
  bool executable = false;  ///< answers to translation requests: Exe
  bool privileged = false;  ///< answers to translation requests: Priv
  DomainId domain{};        ///< whose tables gave the address; 0 where none did
  /// The request was a remappable interrupt: `message` is sent in its place, or nothing (posted, no notification).
  bool interrupt = false;
  std::optional<InterruptMessage> message{};
};

/// Why a request was blocked. Already recorded where the architecture says so.
struct Fault {
  FaultReason reason = FaultReason::kNone;  ///< kNone, nothing is recorded: reset, protected memory,
                                            ///< abort-DMA mode, translation request with TE=0
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
