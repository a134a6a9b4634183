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

/// Ring of 256 descriptors of 128 bits in one page, used one invalidation at a time.
class InvalidationQueue {
 public:
  /// `ring`: one page; `status`: a 4-byte aligned word of memory for wait descriptors.
  InvalidationQueue() = default;
  InvalidationQueue(Registers registers, PhysAddr ring, PhysAddr status)
      : registers_(registers), ring_(ring), status_(status) {}

  /// Programs tail and base; the caller then sets GCMD.QIE.
  void program();
  /// Queues `descriptor` and a wait behind it, and waits. kFault when the unit stops with IQE, ICE or ITE.
  [[nodiscard]] Status execute(const Record128& descriptor);

  static constexpr unsigned kDescriptors = kPageSize / kDescriptorBytes128;

 private:
  void push(const Record128& descriptor);
  [[nodiscard]] Record128 next_wait();

  Registers registers_;
  PhysAddr ring_ = 0;
  PhysAddr status_ = 0;
  unsigned tail_ = 0;
  std::uint32_t sequence_ = 0;
};

[[nodiscard]] Record128 describe(const ContextInvalidation& what);
/// Drain bits are set as far as CAP offers them.
[[nodiscard]] Record128 describe(const IotlbInvalidation& what, std::uint64_t cap);

/// The register-based interface.
[[nodiscard]] Status invalidate_by_register(const Registers& registers, const ContextInvalidation& what);
[[nodiscard]] Status invalidate_by_register(const Registers& registers, const IotlbInvalidation& what,
                                            std::uint64_t cap, std::uint64_t ecap);

/// The smallest invalidation that covers [iova, iova + size): a page-selective block if CAP allows it, else the domain.
[[nodiscard]] IotlbInvalidation covering(DomainId domain, Iova iova, std::uint64_t size, std::uint64_t cap);

}  // namespace vtd::fw
