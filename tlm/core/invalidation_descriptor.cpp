// SPDX-License-Identifier: MIT
#include "tlm/core/invalidation_descriptor.h"

#include <optional>

#include "tlm/core/invalidation.h"

namespace vtd {
namespace {

using descriptor::Entry;

/// True if a bit outside `used` is set, in the low 128 bits or above.
bool reserved_bits_set(const Entry& raw, const std::array<std::uint64_t, 2>& used) {
  return raw.any({~used[0], ~used[1], ~std::uint64_t{0}, ~std::uint64_t{0}});
}

DecodedDescriptor decoded(const std::optional<Invalidation>& invalidation) {
  if (!invalidation) return QueueError::kReservedField;
  return *invalidation;
}

DecodedDescriptor decode_context(const Entry& raw, TableMode mode) {
  namespace d = descriptor::context;
  if (reserved_bits_set(raw, d::kUsed)) return QueueError::kReservedField;
  return decoded(context_invalidation({.granularity = raw.get(descriptor::kG),
                                       .domain = raw.get(descriptor::kDID),
                                       .source = raw.get(d::kSID),
                                       .function_mask = raw.get(d::kFM)},
                                      mode));
}

DecodedDescriptor decode_iotlb(const Entry& raw, const Profile& profile) {
  namespace d = descriptor::iotlb;
  if (reserved_bits_set(raw, d::kUsed)) return QueueError::kReservedField;
  return decoded(iotlb_invalidation({.granularity = raw.get(descriptor::kG),
                                     .domain = raw.get(descriptor::kDID),
                                     .address = raw.address(d::kADDR),
                                     .address_mask = raw.get(d::kAM),
                                     .leaf_only = raw.get(d::kIH) != 0,
                                     .drain_reads = raw.get(d::kDR) != 0,
                                     .drain_writes = raw.get(d::kDW) != 0},
                                    profile));
}

DecodedDescriptor decode_pasid_iotlb(const Entry& raw, const Profile& profile) {
  namespace d = descriptor::pasid_iotlb;
  if (reserved_bits_set(raw, d::kUsed)) return QueueError::kReservedField;
  return decoded(pasid_iotlb_invalidation({.granularity = raw.get(descriptor::kG),
                                           .domain = raw.get(descriptor::kDID),
                                           .pasid = raw.get(d::kPASID),
                                           .address = raw.address(d::kADDR),
                                           .address_mask = raw.get(d::kAM),
                                           .leaf_only = raw.get(d::kIH) != 0},
                                          profile));
}

DecodedDescriptor decode_pasid_cache(const Entry& raw) {
  namespace d = descriptor::pasid_cache;
  if (reserved_bits_set(raw, d::kUsed)) return QueueError::kReservedField;
  return decoded(pasid_cache_invalidation(raw.get(descriptor::kG), raw.get(descriptor::kDID), raw.get(d::kPASID)));
}

/// The range of a device-TLB invalidation: one page, or with S=1 the size that the lowest clear bit of ADDR tells.
void set_range(DeviceTlbInvalidation& invalidation, Iova address, bool sized) {
  unsigned shift = kPageShift;
  if (sized) {
    constexpr unsigned kAllAddresses = 64;
    while (shift < kAllAddresses && (address & bit(shift)) != 0) ++shift;
    ++shift;  // the clear bit is part of the mask
    if (shift >= kAllAddresses) {
      invalidation.first = 0;
      invalidation.last = ~Iova{0};
      return;
    }
  }
  invalidation.first = align_down(address, bit(shift));
  invalidation.last = invalidation.first + (bit(shift) - 1);
}

/// MIP: 0 stands for 32.
unsigned pending_limit(std::uint64_t mip) {
  constexpr unsigned kLargest = 32;
  return mip == 0 ? kLargest : static_cast<unsigned>(mip);
}

DecodedDescriptor decode_device_tlb(const Entry& raw) {
  namespace d = descriptor::device_tlb;
  if (reserved_bits_set(raw, d::kUsed)) return QueueError::kReservedField;
  DeviceTlbInvalidation result;
  result.source = SourceId{static_cast<std::uint16_t>(raw.get(d::kSID))};
  result.max_pending = pending_limit(raw.get(d::kMIP));
  set_range(result, raw.address(d::kADDR), raw.get(d::kS) != 0);
  return result;
}

DecodedDescriptor decode_pasid_device_tlb(const Entry& raw) {
  namespace d = descriptor::pasid_device_tlb;
  if (reserved_bits_set(raw, d::kUsed)) return QueueError::kReservedField;
  DeviceTlbInvalidation result;
  result.source = SourceId{static_cast<std::uint16_t>(raw.get(d::kSID))};
  result.pasid = Pasid{static_cast<std::uint32_t>(raw.get(d::kPASID))};
  result.global = raw.get(d::kGLOBAL) != 0;
  result.max_pending = pending_limit(raw.get(d::kMIP));
  set_range(result, raw.address(d::kADDR), raw.get(d::kS) != 0);
  return result;
}

DecodedDescriptor decode_page_response(const Entry& raw) {
  namespace d = descriptor::page_group_response;
  if (reserved_bits_set(raw, d::kUsed)) return QueueError::kReservedField;
  PageResponse result;
  result.source = SourceId{static_cast<std::uint16_t>(raw.get(d::kSID))};
  if (raw.get(d::kPP) != 0) result.pasid = Pasid{static_cast<std::uint32_t>(raw.get(d::kPASID))};
  result.group = static_cast<std::uint16_t>(raw.get(d::kPRGI));
  result.code = static_cast<std::uint8_t>(raw.get(d::kRC));
  return result;
}

DecodedDescriptor decode_wait(const Entry& raw, const Profile& profile) {
  using namespace descriptor::wait;
  if (reserved_bits_set(raw, kUsed)) return QueueError::kReservedField;
  if (raw.get(kPD) != 0 && !profile.page_request_drain) return QueueError::kReservedField;
  WaitCommand result;
  result.write_status = raw.get(kSW) != 0;
  result.interrupt = raw.get(kIF) != 0;
  result.page_drain = raw.get(kPD) != 0;
  result.status_address = raw.address(kSTATUS_ADDR);
  result.status_data = static_cast<std::uint32_t>(raw.get(kSTATUS_DATA));
  return result;
}

DecodedDescriptor decode_interrupt_entry(const Entry& raw, const Profile& profile) {
  namespace d = descriptor::iec;
  if (reserved_bits_set(raw, d::kUsed)) return QueueError::kReservedField;
  if (profile.interrupt_remapping && raw.get(d::kIM) > profile.max_handle_mask) return QueueError::kReservedField;
  Invalidation result;
  result.kind = Invalidation::Kind::kInterrupt;
  if (raw.get(d::kG1) != 0) {
    result.scope = Invalidation::Scope::kIndex;
    result.index = static_cast<std::uint16_t>(raw.get(d::kIIDX));
    result.index_mask = static_cast<std::uint8_t>(raw.get(d::kIM));
  }
  return result;
}

/// Types that need a capability, or scalable mode.
bool supported(DescriptorType type, TableMode mode, const Profile& profile) {
  switch (type) {
    case DescriptorType::kContextCache:
    case DescriptorType::kIotlb:
    case DescriptorType::kInterruptEntryCache:
    case DescriptorType::kWait:
      return true;
    case DescriptorType::kDeviceTlb:
      return profile.device_tlb;
    case DescriptorType::kPasidIotlb:
    case DescriptorType::kPasidCache:
      return mode == TableMode::kScalable;
    case DescriptorType::kPasidDeviceTlb:
      return profile.device_tlb && profile.pasid;
    case DescriptorType::kPageGroupResponse:
      return profile.page_requests;
  }
  return false;
}

std::optional<QueueError> mode_error(TableMode mode, DescriptorWidth width) {
  if (mode == TableMode::kReserved || mode == TableMode::kAbortDma) return QueueError::kInvalidTableMode;
  if (mode == TableMode::kScalable && width == DescriptorWidth::k128) return QueueError::kInvalidWidth;
  return std::nullopt;
}

}  // namespace

DecodedDescriptor decode(const Entry& raw, DescriptorWidth width, TableMode mode, const Profile& profile) {
  if (const auto error = mode_error(mode, width)) return *error;
  const auto type = static_cast<DescriptorType>(raw.get(descriptor::kTYPE));
  if (raw.get(descriptor::kTYPE_HIGH) != 0 || !supported(type, mode, profile)) return QueueError::kInvalidType;
  switch (type) {
    case DescriptorType::kContextCache:
      return decode_context(raw, mode);
    case DescriptorType::kIotlb:
      return decode_iotlb(raw, profile);
    case DescriptorType::kDeviceTlb:
      return decode_device_tlb(raw);
    case DescriptorType::kInterruptEntryCache:
      return decode_interrupt_entry(raw, profile);
    case DescriptorType::kWait:
      return decode_wait(raw, profile);
    case DescriptorType::kPasidIotlb:
      return decode_pasid_iotlb(raw, profile);
    case DescriptorType::kPasidCache:
      return decode_pasid_cache(raw);
    case DescriptorType::kPasidDeviceTlb:
      return decode_pasid_device_tlb(raw);
    case DescriptorType::kPageGroupResponse:
      return decode_page_response(raw);
  }
  return QueueError::kInvalidType;
}

}  // namespace vtd
