// SPDX-License-Identifier: MIT
// The IOTLB (VT-d 6.2.3): translations of 4K, 2M and 1G pages. Second-stage ones are tagged (source-id allowed,
// domain-id, page), first-stage and nested ones (domain-id, PASID, page).
#pragma once

#include <cstdint>
#include <optional>

#include "tlm/core/cache.h"
#include "tlm/core/context_entry.h"
#include "tlm/core/entry_rules.h"
#include "tlm/core/walker.h"
#include "tlm/spec/paging.h"

namespace vtd {

/// Whether two devices of one domain share entries. Both are allowed (VT-d 6.2.3); kDomain shows a DID that is
/// used for two page tables, kSourceAndDomain hides it.
enum class IotlbTagging : std::uint8_t { kDomain, kSourceAndDomain };

struct IotlbTag {
  DomainId domain{};
  SourceId source{};  ///< second stage; 0 with IotlbTagging::kDomain and in tags with a PASID
  Pasid pasid{};      ///< first-stage and nested
  WalkKind kind = WalkKind::kLegacy;
  Iova page = 0;           ///< first byte, aligned to the page size
  std::uint8_t level = 1;  ///< 1 4K, 2 2M, 3 1G
  [[nodiscard]] std::uint64_t index() const { return page / level_size(level) + domain.value + pasid.value; }
  friend bool operator==(const IotlbTag&, const IotlbTag&) = default;
};

struct IotlbEntry {
  PhysAddr page = 0;
  std::uint8_t level = 1;
  bool readable = false;
  bool writable = false;
  bool snoop = false;
  bool user = true;
  bool executable = true;
  bool supervisor_writable = true;
  bool clean = false;  ///< a write must walk, to set D
  /// With CM=1 failed walks are cached too: `access` then gets this reason again.
  FaultReason fault = FaultReason::kNone;
  Access access = Access::kRead;

  [[nodiscard]] std::uint64_t page_size() const { return level_size(level); }
  /// Where `address`, which the entry maps, goes.
  [[nodiscard]] PhysAddr translate(Iova address) const { return page + (address - align_down(address, page_size())); }
  [[nodiscard]] PathRights rights() const { return {readable, writable, user, executable, supervisor_writable}; }
};

/// The entry that a successful walk gives.
[[nodiscard]] IotlbEntry iotlb_entry(const WalkResponse& response);

class Iotlb {
 public:
  Iotlb(CacheGeometry geometry, IotlbTagging tagging, std::uint64_t seed, Observer& observer)
      : tagging_(tagging), cache_(CacheId::kIotlb, geometry, seed, observer) {}

  /// Looks for a page of any size that holds `address`. Permissions, `clean` and `fault` are the caller's to check.
  std::optional<IotlbEntry> lookup(SourceId source, const AddressSpace& space, Iova address);
  /// As lookup, but counts and changes nothing.
  [[nodiscard]] std::optional<IotlbEntry> peek(SourceId source, const AddressSpace& space, Iova address) const;
  void fill(SourceId source, const AddressSpace& space, Iova address, const IotlbEntry& entry);
  void refuse_fill() { cache_.refuse_fill(); }
  std::uint64_t invalidate(const Invalidation& invalidation);
  void clear() { cache_.clear(); }
  [[nodiscard]] const CacheCounters& counters() const { return cache_.counters(); }
  [[nodiscard]] std::size_t size() const { return cache_.size(); }

 private:
  static constexpr std::uint8_t kLargestLevel = 3;
  [[nodiscard]] IotlbTag tag(SourceId source, const AddressSpace& space, Iova address, std::uint8_t level) const;

  IotlbTagging tagging_;
  TaggedCache<IotlbTag, IotlbEntry> cache_;
};

}  // namespace vtd
