// SPDX-License-Identifier: MIT
#include "tlm/core/invalidation_descriptor.h"

#include <optional>

namespace vtd {
namespace {

using descriptor::Entry;

/// True if a bit outside `used` is set, in the low 128 bits or above.
bool reserved_bits_set(const Entry& raw, const std::array<std::uint64_t, 2>& used) {
  return raw.any({~used[0], ~used[1], ~std::uint64_t{0}, ~std::uint64_t{0}});
}

DomainId domain_of(const Entry& raw) {
  return DomainId{static_cast<std::uint16_t>(raw.get(descriptor::kDID))};
}

DecodedDescriptor decode_context(const Entry& raw) {
  if (reserved_bits_set(raw, descriptor::context::kUsed)) return QueueError::kReservedField;
  Invalidation result;
  result.kind = Invalidation::Kind::kContext;
  result.domain = domain_of(raw);
  switch (static_cast<ContextGranularity>(raw.get(descriptor::kG))) {
    case ContextGranularity::kReserved:
      return QueueError::kReservedField;
    case ContextGranularity::kGlobal:
      result.scope = Invalidation::Scope::kGlobal;
      break;
    case ContextGranularity::kDomain:
      result.scope = Invalidation::Scope::kDomain;
      break;
    case ContextGranularity::kDevice:
      result.scope = Invalidation::Scope::kDevice;
      result.source = SourceId{static_cast<std::uint16_t>(raw.get(descriptor::context::kSID))};
      result.source_mask = function_mask(static_cast<unsigned>(raw.get(descriptor::context::kFM)));
      break;
  }
  return result;
}

DecodedDescriptor decode_iotlb(const Entry& raw, const Profile& profile) {
  if (reserved_bits_set(raw, descriptor::iotlb::kUsed)) return QueueError::kReservedField;
  Invalidation result;
  result.kind = Invalidation::Kind::kIotlb;
  result.domain = domain_of(raw);
  result.drain_reads = raw.get(descriptor::iotlb::kDR) != 0;
  result.drain_writes = raw.get(descriptor::iotlb::kDW) != 0;
  switch (static_cast<IotlbGranularity>(raw.get(descriptor::kG))) {
    case IotlbGranularity::kReserved:
      return QueueError::kReservedField;
    case IotlbGranularity::kGlobal:
      result.scope = Invalidation::Scope::kGlobal;
      break;
    case IotlbGranularity::kDomain:
      result.scope = Invalidation::Scope::kDomain;
      break;
    case IotlbGranularity::kPage:
      if (raw.get(descriptor::iotlb::kAM) > profile.max_address_mask) return QueueError::kReservedField;
      // Without PSI the whole domain is invalidated: coarser is allowed.
      result.scope = profile.page_selective ? Invalidation::Scope::kPage : Invalidation::Scope::kDomain;
      result.address = raw.address(descriptor::iotlb::kADDR);
      result.address_mask = static_cast<std::uint8_t>(raw.get(descriptor::iotlb::kAM));
      result.leaf_only = raw.get(descriptor::iotlb::kIH) != 0;
      break;
  }
  return result;
}

DecodedDescriptor decode_wait(const Entry& raw) {
  using namespace descriptor::wait;
  if (reserved_bits_set(raw, kUsed) || raw.get(kPD) != 0) return QueueError::kReservedField;
  WaitCommand result;
  result.write_status = raw.get(kSW) != 0;
  result.interrupt = raw.get(kIF) != 0;
  result.status_address = raw.address(kSTATUS_ADDR);
  result.status_data = static_cast<std::uint32_t>(raw.get(kSTATUS_DATA));
  return result;
}

DecodedDescriptor decode_interrupt_entry(const Entry& raw) {
  if (reserved_bits_set(raw, descriptor::iec::kUsed)) return QueueError::kReservedField;
  return NoOperation{};
}

std::optional<QueueError> mode_error(TableMode mode, DescriptorWidth width) {
  if (mode == TableMode::kReserved || mode == TableMode::kAbortDma) return QueueError::kInvalidTableMode;
  if (mode == TableMode::kScalable && width == DescriptorWidth::k128) return QueueError::kInvalidWidth;
  return std::nullopt;
}

}  // namespace

DecodedDescriptor decode(const Entry& raw, DescriptorWidth width, TableMode mode, const Profile& profile) {
  if (const auto error = mode_error(mode, width)) return *error;
  if (raw.get(descriptor::kTYPE_HIGH) != 0) return QueueError::kInvalidType;
  switch (static_cast<DescriptorType>(raw.get(descriptor::kTYPE))) {
    case DescriptorType::kContextCache:
      return decode_context(raw);
    case DescriptorType::kIotlb:
      return decode_iotlb(raw, profile);
    case DescriptorType::kInterruptEntryCache:
      return decode_interrupt_entry(raw);
    case DescriptorType::kWait:
      return decode_wait(raw);
    default:
      return QueueError::kInvalidType;
  }
}

}  // namespace vtd
