// SPDX-License-Identifier: MIT
// Invalidations as software asks for them, and the two ways to a unit: the queue (VT-d 6.5.2) and the registers
// (VT-d 6.5.1), for units without a queue. Every call returns after the unit has completed the invalidation.
#pragma once

#include "firmware/vtd/registers.h"
#include "tlm/spec/descriptor.h"

namespace vtd::fw {

struct ContextInvalidation {
  ContextGranularity granularity = ContextGranularity::kGlobal;
  DomainId domain{};
  SourceId source{};
};

struct IotlbInvalidation {
  IotlbGranularity granularity = IotlbGranularity::kGlobal;
  DomainId domain{};
  Iova address = 0;           ///< aligned to the block that address_mask names
  unsigned address_mask = 0;  ///< log2 of the 4 KiB pages
};

/// Of the PASID cache, scalable mode.
struct PasidInvalidation {
  PasidCacheGranularity granularity = PasidCacheGranularity::kGlobal;
  DomainId domain{};
  std::uint32_t pasid = 0;
};

/// Of first-stage and nested translations of one PASID: all of them, or a block of pages.
struct PasidIotlbInvalidation {
  PasidIotlbGranularity granularity = PasidIotlbGranularity::kPasid;
  DomainId domain{};
  std::uint32_t pasid = 0;
  Iova address = 0;
  unsigned address_mask = 0;  ///< log2 of the 4 KiB pages
};

/// Of the TLB of a device: everything. With a PASID, of requests that carry it.
struct DeviceTlbInvalidation {
  SourceId source{};
  std::uint32_t pasid = 0;  ///< 0: requests without
};

/// Descriptors of the queue: 256 (IQA.DW = 0) or 128, of twice the size (DW = 1), in one page.
enum class DescriptorWidth : std::uint8_t { k128, k256 };

/// The ring, used one invalidation at a time.
class InvalidationQueue {
 public:
  /// `ring`: one page; `status`: a 4-byte aligned word of memory for wait descriptors.
  InvalidationQueue() = default;
  InvalidationQueue(Registers registers, PhysAddr ring, PhysAddr status, DescriptorWidth width)
      : registers_(registers), ring_(ring), status_(status), width_(width) {}

  /// Programs tail and base; the caller then sets GCMD.QIE.
  void program();
  /// Queues `descriptor` and a wait behind it, and waits. kFault when the unit stops with IQE, ICE or ITE.
  [[nodiscard]] Status execute(const Record128& descriptor);
  /// Queues it and tells nobody: an unfinished job that a reset may meet.
  void leave(const Record128& descriptor);

 private:
  void push(const Record128& descriptor);
  void submit() const;
  [[nodiscard]] Record128 next_wait();
  [[nodiscard]] unsigned bytes() const {
    return width_ == DescriptorWidth::k256 ? kDescriptorBytes256 : kDescriptorBytes128;
  }

  Registers registers_;
  PhysAddr ring_ = 0;
  PhysAddr status_ = 0;
  DescriptorWidth width_ = DescriptorWidth::k128;
  unsigned tail_ = 0;
  std::uint32_t sequence_ = 0;
};

[[nodiscard]] Record128 describe(const ContextInvalidation& what);
/// Drain bits are set as far as CAP offers them.
[[nodiscard]] Record128 describe(const IotlbInvalidation& what, std::uint64_t cap);
[[nodiscard]] Record128 describe(const PasidInvalidation& what);
[[nodiscard]] Record128 describe(const PasidIotlbInvalidation& what);
/// With a PASID, of 256 bits, of which the upper half is zero.
[[nodiscard]] Record128 describe(const DeviceTlbInvalidation& what);
/// The answer to a page request: 0 success, 1 invalid (VT-d 7.7).
struct PageResponse {
  SourceId source{};
  bool has_pasid = false;
  std::uint32_t pasid = 0;
  std::uint16_t group = 0;
  std::uint8_t code = 0;
};
[[nodiscard]] Record128 describe(const PageResponse& what);

/// The register-based interface.
[[nodiscard]] Status invalidate_by_register(const Registers& registers, const ContextInvalidation& what);
[[nodiscard]] Status invalidate_by_register(const Registers& registers, const IotlbInvalidation& what,
                                            std::uint64_t cap, std::uint64_t ecap);

/// The smallest invalidation that covers [iova, iova + size): a page-selective block if CAP allows it, else the domain.
[[nodiscard]] IotlbInvalidation covering(DomainId domain, Iova iova, std::uint64_t size, std::uint64_t cap);

}  // namespace vtd::fw
