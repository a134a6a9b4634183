// SPDX-License-Identifier: MIT
// What an invalidation covers (VT-d 6.5): pure predicates over tags, and the log by which a request in flight
// finds out that a covering invalidation came since its epoch.
#pragma once

#include <algorithm>
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
/// What the PASID-based IOTLB descriptor carries.
struct PasidIotlbInvalidationFields {
  std::uint64_t granularity;  ///< PasidIotlbGranularity
  std::uint64_t domain;
  std::uint64_t pasid;
  Iova address;
  std::uint64_t address_mask;  ///< AM
  bool leaf_only;              ///< IH
};
/// nullopt for the reserved granularity. In scalable mode entries have no domain-id: domain-selective is performed
/// globally, and device-selective ignores the domain-id.
[[nodiscard]] std::optional<Invalidation> context_invalidation(const ContextInvalidationFields& fields, TableMode mode);
/// nullopt for reserved granularities and for AM beyond CAP.MAMV.
[[nodiscard]] std::optional<Invalidation> pasid_iotlb_invalidation(const PasidIotlbInvalidationFields& fields,
                                                                   const Profile& profile);
/// nullopt for the reserved granularity.
[[nodiscard]] std::optional<Invalidation> pasid_cache_invalidation(std::uint64_t granularity, std::uint64_t domain,
                                                                   std::uint64_t pasid);
/// nullopt for the reserved granularity and for AM beyond CAP.MAMV. Without CAP.PSI a page-selective request is
/// performed domain-selective.
[[nodiscard]] std::optional<Invalidation> iotlb_invalidation(const IotlbInvalidationFields& fields,
                                                             const Profile& profile);

/// What identifies a request in flight, or the translation it is about to cache. What is not known yet may be
/// anything: every invalidation that could mean it covers it.
struct InvalidationTag {
  SourceId source{};
  std::optional<DomainId> domain{};
  std::optional<Pasid> pasid{};  ///< of its PASID entry
  std::optional<WalkKind> kind{};
  Iova address = 0;                          ///< first byte of the range
  std::uint64_t size = kPageSize;            ///< bytes of the range
  std::optional<std::uint32_t> interrupt{};  ///< an interrupt request: its index; nothing else matters then
};

/// What identifies a cached translation.
struct TranslationTag {
  WalkKind kind = WalkKind::kLegacy;
  DomainId domain{};
  Pasid pasid{};  ///< first-stage and nested
  Iova address = 0;
  std::uint64_t size = kPageSize;
};

/// True if a page-selective invalidation's range (2^AM naturally aligned pages) meets [address, address + size).
[[nodiscard]] bool page_range_meets(const Invalidation& invalidation, Iova address, std::uint64_t size);

/// Context cache: entry of `source`, tagged with `domain`. Device-selective needs both to match (VT-d 6.5.2.1).
[[nodiscard]] bool covers_context(const Invalidation& invalidation, SourceId source, DomainId domain);

/// PASID cache: entry of `domain` and `pasid` (VT-d 6.5.2.4).
[[nodiscard]] bool covers_pasid_cache(const Invalidation& invalidation, DomainId domain, Pasid pasid);

/// IOTLB. Page-selective within a domain matches addresses of second-stage entries, and every first-stage and nested
/// entry of the domain (VT-d 6.5.2.3); the PASID-based kinds match first-stage and nested entries only (6.5.2.4).
[[nodiscard]] bool covers_iotlb(const Invalidation& invalidation, const TranslationTag& tag);

/// What the walker has to be told; nullopt for what concerns no paging entries.
[[nodiscard]] std::optional<WalkInvalidation> walk_invalidation(const Invalidation& invalidation);

/// Interrupt entry cache: the entry of `index`.
[[nodiscard]] bool covers_interrupt(const Invalidation& invalidation, std::uint32_t index);

/// A request in flight: an invalidation that covers its context entry, its PASID entry or its page makes what it
/// has read so far stale.
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
  /// The same for one cache's entry about to be filled: `covered(invalidation)` says which matter to it.
  template <typename Predicate>
  [[nodiscard]] bool any_since(Epoch since, Predicate covered) const {
    return std::any_of(entries_.begin() + static_cast<std::ptrdiff_t>(since - first_), entries_.end(), covered);
  }
  /// Drops what happened up to `epoch`: no request in flight is older.
  void forget(Epoch epoch);

 private:
  Epoch first_ = 0;  ///< epoch before entries_.front()
  std::deque<Invalidation> entries_;
};

}  // namespace vtd
