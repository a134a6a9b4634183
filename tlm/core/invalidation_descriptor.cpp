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

DecodedDescriptor decode_context(const Entry& raw) {
  namespace d = descriptor::context;
  if (reserved_bits_set(raw, d::kUsed)) return QueueError::kReservedField;
  return decoded(context_invalidation({.granularity = raw.get(descriptor::kG),
                                       .domain = raw.get(descriptor::kDID),
                                       .source = raw.get(d::kSID),
                                       .function_mask = raw.get(d::kFM)}));
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
