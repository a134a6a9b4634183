// SPDX-License-Identifier: MIT
#include "tlm/core/invalidation.h"

#include <algorithm>

#include "tlm/spec/descriptor.h"
#include "tlm/spec/field.h"

namespace vtd {
namespace {

constexpr unsigned kAddressBits = 64;

bool same_source(const Invalidation& invalidation, SourceId source) {
  const auto compared = static_cast<std::uint16_t>(~invalidation.source_mask);
  return (invalidation.source.value & compared) == (source.value & compared);
}

}  // namespace

std::optional<Invalidation> context_invalidation(const ContextInvalidationFields& fields, TableMode mode) {
  const bool scalable = mode == TableMode::kScalable;
  Invalidation result;
  result.any_domain = scalable;
  result.kind = Invalidation::Kind::kContext;
  result.domain = DomainId{static_cast<std::uint16_t>(fields.domain)};
  switch (static_cast<ContextGranularity>(fields.granularity)) {
    case ContextGranularity::kReserved:
      return std::nullopt;
    case ContextGranularity::kGlobal:
      result.scope = Invalidation::Scope::kGlobal;
      break;
    case ContextGranularity::kDomain:
      result.scope = scalable ? Invalidation::Scope::kGlobal : Invalidation::Scope::kDomain;
      break;
    case ContextGranularity::kDevice:
      result.scope = Invalidation::Scope::kDevice;
      result.source = SourceId{static_cast<std::uint16_t>(fields.source)};
      result.source_mask = function_mask(static_cast<unsigned>(fields.function_mask));
      break;
  }
  return result;
}

std::optional<Invalidation> iotlb_invalidation(const IotlbInvalidationFields& fields, const Profile& profile) {
  Invalidation result;
  result.kind = Invalidation::Kind::kIotlb;
  result.domain = DomainId{static_cast<std::uint16_t>(fields.domain)};
  result.drain_reads = fields.drain_reads;
  result.drain_writes = fields.drain_writes;
  switch (static_cast<IotlbGranularity>(fields.granularity)) {
    case IotlbGranularity::kReserved:
      return std::nullopt;
    case IotlbGranularity::kGlobal:
      result.scope = Invalidation::Scope::kGlobal;
      break;
    case IotlbGranularity::kDomain:
      result.scope = Invalidation::Scope::kDomain;
      break;
    case IotlbGranularity::kPage:
      if (fields.address_mask > profile.max_address_mask) return std::nullopt;
      result.scope = profile.page_selective ? Invalidation::Scope::kPage : Invalidation::Scope::kDomain;
      result.address = fields.address;
      result.address_mask = static_cast<std::uint8_t>(fields.address_mask);
      result.leaf_only = fields.leaf_only;
      break;
  }
  return result;
}

std::optional<Invalidation> pasid_iotlb_invalidation(const PasidIotlbInvalidationFields& fields,
                                                     const Profile& profile) {
  Invalidation result;
  result.kind = Invalidation::Kind::kPasidIotlb;
  result.domain = DomainId{static_cast<std::uint16_t>(fields.domain)};
  result.pasid = Pasid{static_cast<std::uint32_t>(fields.pasid)};
  switch (static_cast<PasidIotlbGranularity>(fields.granularity)) {
    case PasidIotlbGranularity::kPasid:
      result.scope = Invalidation::Scope::kPasid;
      return result;
    case PasidIotlbGranularity::kPage:
      if (fields.address_mask > profile.max_address_mask) return std::nullopt;
      result.scope = Invalidation::Scope::kPage;
      result.address = fields.address;
      result.address_mask = static_cast<std::uint8_t>(fields.address_mask);
      result.leaf_only = fields.leaf_only;
      return result;
  }
  return std::nullopt;
}

std::optional<Invalidation> pasid_cache_invalidation(std::uint64_t granularity, std::uint64_t domain,
                                                     std::uint64_t pasid) {
  Invalidation result;
  result.kind = Invalidation::Kind::kPasidCache;
  result.domain = DomainId{static_cast<std::uint16_t>(domain)};
  result.pasid = Pasid{static_cast<std::uint32_t>(pasid)};
  switch (static_cast<PasidCacheGranularity>(granularity)) {
    case PasidCacheGranularity::kDomain:
      result.scope = Invalidation::Scope::kDomain;
      return result;
    case PasidCacheGranularity::kPasid:
      result.scope = Invalidation::Scope::kPasid;
      return result;
    case PasidCacheGranularity::kGlobal:
      result.scope = Invalidation::Scope::kGlobal;
      return result;
  }
  return std::nullopt;
}

bool page_range_meets(const Invalidation& invalidation, Iova address, std::uint64_t size) {
  if (invalidation.address_mask >= kAddressBits - kPageShift) return true;
  const std::uint64_t range = bit(kPageShift + invalidation.address_mask);
  const Iova first = align_down(invalidation.address, range);
  return first <= address + (size - 1) && address <= first + (range - 1);
}

bool covers_context(const Invalidation& invalidation, SourceId source, DomainId domain) {
  if (invalidation.kind != Invalidation::Kind::kContext) return false;
  if (invalidation.scope == Invalidation::Scope::kGlobal) return true;
  if (!invalidation.any_domain && invalidation.domain != domain) return false;
  return invalidation.scope == Invalidation::Scope::kDomain || same_source(invalidation, source);
}

bool covers_pasid_cache(const Invalidation& invalidation, DomainId domain, Pasid pasid) {
  if (invalidation.kind != Invalidation::Kind::kPasidCache) return false;
  if (invalidation.scope == Invalidation::Scope::kGlobal) return true;
  if (invalidation.domain != domain) return false;
  return invalidation.scope == Invalidation::Scope::kDomain || invalidation.pasid == pasid;
}

bool covers_iotlb(const Invalidation& invalidation, const TranslationTag& tag) {
  const bool first_stage = tag.kind == WalkKind::kFirstStage || tag.kind == WalkKind::kNested;
  if (invalidation.kind == Invalidation::Kind::kPasidIotlb) {
    if (!first_stage || invalidation.domain != tag.domain || invalidation.pasid != tag.pasid) return false;
    return invalidation.scope == Invalidation::Scope::kPasid || page_range_meets(invalidation, tag.address, tag.size);
  }
  if (invalidation.kind != Invalidation::Kind::kIotlb) return false;
  if (invalidation.scope == Invalidation::Scope::kGlobal) return true;
  if (invalidation.domain != tag.domain) return false;
  return invalidation.scope == Invalidation::Scope::kDomain || first_stage ||
         page_range_meets(invalidation, tag.address, tag.size);
}

std::optional<WalkInvalidation> walk_invalidation(const Invalidation& invalidation) {
  const bool of_pasid = invalidation.kind == Invalidation::Kind::kPasidIotlb;
  if (!of_pasid && invalidation.kind != Invalidation::Kind::kIotlb) return std::nullopt;
  WalkInvalidation walks{.domain = invalidation.domain,
                         .pasid = invalidation.pasid,
                         .address = invalidation.address,
                         .address_mask = invalidation.address_mask,
                         .leaf_only = invalidation.leaf_only};
  const bool pages = invalidation.scope == Invalidation::Scope::kPage;
  if (of_pasid)
    walks.scope = pages ? WalkScope::kPasidPage : WalkScope::kPasid;
  else if (invalidation.scope != Invalidation::Scope::kGlobal)
    walks.scope = pages ? WalkScope::kDomainPage : WalkScope::kDomain;
  return walks;
}

bool covers_interrupt(const Invalidation& invalidation, std::uint32_t index) {
  if (invalidation.kind != Invalidation::Kind::kInterrupt) return false;
  if (invalidation.scope == Invalidation::Scope::kGlobal) return true;
  const auto ignored = static_cast<std::uint32_t>(bit(invalidation.index_mask) - 1);
  return ((index ^ invalidation.index) & ~ignored) == 0;
}

bool covers(const Invalidation& invalidation, const InvalidationTag& tag) {
  if (tag.interrupt) return covers_interrupt(invalidation, *tag.interrupt);
  const DomainId domain = tag.domain.value_or(invalidation.domain);
  const Pasid pasid = tag.pasid.value_or(invalidation.pasid);
  if (covers_context(invalidation, tag.source, domain) || covers_pasid_cache(invalidation, domain, pasid)) return true;
  if (tag.kind) return covers_iotlb(invalidation, {*tag.kind, domain, pasid, tag.address, tag.size});
  return covers_iotlb(invalidation, {WalkKind::kSecondStage, domain, pasid, tag.address, tag.size}) ||
         covers_iotlb(invalidation, {WalkKind::kFirstStage, domain, pasid, tag.address, tag.size});
}

Epoch InvalidationLog::append(const Invalidation& invalidation) {
  entries_.push_back(invalidation);
  return now();
}

bool InvalidationLog::covered_since(Epoch since, const InvalidationTag& tag) const {
  return any_since(since, [&](const Invalidation& entry) { return covers(entry, tag); });
}

void InvalidationLog::forget(Epoch epoch) {
  for (; first_ < epoch && !entries_.empty(); ++first_) entries_.pop_front();
}

}  // namespace vtd
