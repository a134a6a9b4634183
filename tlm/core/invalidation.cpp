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

std::optional<Invalidation> context_invalidation(const ContextInvalidationFields& fields) {
  Invalidation result;
  result.kind = Invalidation::Kind::kContext;
  result.domain = DomainId{static_cast<std::uint16_t>(fields.domain)};
  switch (static_cast<ContextGranularity>(fields.granularity)) {
    case ContextGranularity::kReserved:
      return std::nullopt;
    case ContextGranularity::kGlobal:
      result.scope = Invalidation::Scope::kGlobal;
      break;
    case ContextGranularity::kDomain:
      result.scope = Invalidation::Scope::kDomain;
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

bool page_range_meets(const Invalidation& invalidation, Iova address, std::uint64_t size) {
  if (invalidation.address_mask >= kAddressBits - kPageShift) return true;
  const std::uint64_t range = bit(kPageShift + invalidation.address_mask);
  const Iova first = align_down(invalidation.address, range);
  return first <= address + (size - 1) && address <= first + (range - 1);
}

bool covers_context(const Invalidation& invalidation, SourceId source, DomainId domain) {
  if (invalidation.kind != Invalidation::Kind::kContext) return false;
  if (invalidation.scope == Invalidation::Scope::kGlobal) return true;
  if (invalidation.domain != domain) return false;
  return invalidation.scope == Invalidation::Scope::kDomain || same_source(invalidation, source);
}

bool covers_iotlb(const Invalidation& invalidation, DomainId domain, Iova address, std::uint64_t size) {
  if (invalidation.kind != Invalidation::Kind::kIotlb) return false;
  if (invalidation.scope == Invalidation::Scope::kGlobal) return true;
  if (invalidation.domain != domain) return false;
  return invalidation.scope == Invalidation::Scope::kDomain || page_range_meets(invalidation, address, size);
}

bool covers(const Invalidation& invalidation, const InvalidationTag& tag) {
  const DomainId domain = tag.domain.value_or(invalidation.domain);
  return covers_context(invalidation, tag.source, domain) || covers_iotlb(invalidation, domain, tag.address, tag.size);
}

Epoch InvalidationLog::append(const Invalidation& invalidation) {
  entries_.push_back(invalidation);
  return now();
}

bool InvalidationLog::covered_since(Epoch since, const InvalidationTag& tag) const {
  const auto begin = entries_.begin() + static_cast<std::ptrdiff_t>(since - first_);
  return std::any_of(begin, entries_.end(), [&](const Invalidation& entry) { return covers(entry, tag); });
}

bool InvalidationLog::context_covered_since(Epoch since, SourceId source, DomainId domain) const {
  const auto begin = entries_.begin() + static_cast<std::ptrdiff_t>(since - first_);
  return std::any_of(begin, entries_.end(),
                     [&](const Invalidation& entry) { return covers_context(entry, source, domain); });
}

void InvalidationLog::forget(Epoch epoch) {
  for (; first_ < epoch && !entries_.empty(); ++first_) entries_.pop_front();
}

}  // namespace vtd
