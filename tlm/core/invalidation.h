// SPDX-License-Identifier: MIT
// What an invalidation covers (VT-d 6.5): pure predicates over tags, and the log by which a request in flight
// finds out that a covering invalidation came since its epoch.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>

#include "tlm/core/observer.h"
#include "tlm/spec/capability.h"

namespace vtd {

/// What CCMD and the context-cache descriptor both carry, as they carry it.
struct ContextInvalidationFields {
  std::uint64_t granularity;  ///< ContextGranularity
  std::uint64_t domain;
  std::uint64_t source;
  std::uint64_t function_mask;  ///< FM
};
/// What IOTLB with IVA and the IOTLB descriptor both carry.
struct IotlbInvalidationFields {
  std::uint64_t granularity;  ///< IotlbGranularity
  std::uint64_t domain;
  Iova address;
  std::uint64_t address_mask;  ///< AM
  bool leaf_only;              ///< IH
  bool drain_reads;
  bool drain_writes;
};
/// nullopt for the reserved granularity.
[[nodiscard]] std::optional<Invalidation> context_invalidation(const ContextInvalidationFields& fields);
/// nullopt for the reserved granularity and for AM beyond CAP.MAMV. Without CAP.PSI a page-selective request is
/// performed domain-selective.
[[nodiscard]] std::optional<Invalidation> iotlb_invalidation(const IotlbInvalidationFields& fields,
                                                             const Profile& profile);

/// What identifies a request in flight, or the translation it is about to cache.
struct InvalidationTag {
  SourceId source{};
  std::optional<DomainId> domain{};  ///< unknown until the context entry was read: then any domain may be meant
  Iova address = 0;                  ///< first byte of the range
  std::uint64_t size = kPageSize;    ///< bytes of the range
};

/// True if a page-selective invalidation's range (2^AM naturally aligned pages) meets [address, address + size).
[[nodiscard]] bool page_range_meets(const Invalidation& invalidation, Iova address, std::uint64_t size);

/// Context cache: entry of `source`, tagged with `domain`. Device-selective needs both to match (VT-d 6.5.2.1).
[[nodiscard]] bool covers_context(const Invalidation& invalidation, SourceId source, DomainId domain);

/// IOTLB: entry of `domain` that maps [address, address + size).
[[nodiscard]] bool covers_iotlb(const Invalidation& invalidation, DomainId domain, Iova address, std::uint64_t size);

/// A request in flight: a context invalidation that covers its context entry, or an IOTLB invalidation that
/// covers its page, makes what it has read so far stale.
[[nodiscard]] bool covers(const Invalidation& invalidation, const InvalidationTag& tag);

/// Number of invalidations that took effect so far.
using Epoch = std::uint64_t;

/// The invalidations that took effect, in order, as long as some request in flight may still ask for them.
class InvalidationLog {
 public:
  [[nodiscard]] Epoch now() const { return first_ + entries_.size(); }
  /// Enters an invalidation at the instant it takes effect; returns the epoch that begins with it.
  Epoch append(const Invalidation& invalidation);
  /// True if an invalidation after `since` covers the tag. `since` must not be older than the last forget().
  [[nodiscard]] bool covered_since(Epoch since, const InvalidationTag& tag) const;
  /// The same for a context entry about to be cached: IOTLB invalidations do not matter to it.
  [[nodiscard]] bool context_covered_since(Epoch since, SourceId source, DomainId domain) const;
  /// Drops what happened up to `epoch`: no request in flight is older.
  void forget(Epoch epoch);

 private:
  Epoch first_ = 0;  ///< epoch before entries_.front()
  std::deque<Invalidation> entries_;
};

}  // namespace vtd
