// SPDX-License-Identifier: MIT
#include "tlm/core/invalidation_descriptor.h"

#include <gtest/gtest.h>

namespace vtd {
namespace {

using descriptor::Entry;

DecodedDescriptor decode128(std::uint64_t low, std::uint64_t high = 0, TableMode mode = TableMode::kLegacy,
                            const Profile& profile = {}) {
  return decode(Entry{{low, high, 0, 0}}, DescriptorWidth::k128, mode, profile);
}
QueueError error_of(const DecodedDescriptor& decoded) {
  const auto* error = std::get_if<QueueError>(&decoded);
  return error != nullptr ? *error : QueueError::kNone;
}

TEST(InvalidationDescriptor, ContextCache) {
  const auto decoded = std::get<Invalidation>(decode128(0x0003'1234'0042'0031));
  EXPECT_EQ(decoded.kind, Invalidation::Kind::kContext);
  EXPECT_EQ(decoded.scope, Invalidation::Scope::kDevice);
  EXPECT_EQ(decoded.domain.value, 0x42);
  EXPECT_EQ(decoded.source.value, 0x1234);
  EXPECT_EQ(decoded.source_mask, 7);
  EXPECT_EQ(std::get<Invalidation>(decode128(0x11)).scope, Invalidation::Scope::kGlobal);
  EXPECT_EQ(std::get<Invalidation>(decode128(0x0042'0021)).scope, Invalidation::Scope::kDomain);
  EXPECT_EQ(error_of(decode128(0x01)), QueueError::kReservedField);
  EXPECT_EQ(error_of(decode128(0x11 | bit(50))), QueueError::kReservedField);
  EXPECT_EQ(error_of(decode128(0x11, 1)), QueueError::kReservedField);
}

TEST(InvalidationDescriptor, Iotlb) {
  const auto decoded = std::get<Invalidation>(decode128(0x0042'00F2, 0x1234'5000 | bit(6) | 4));
  EXPECT_EQ(decoded.kind, Invalidation::Kind::kIotlb);
  EXPECT_EQ(decoded.scope, Invalidation::Scope::kPage);
  EXPECT_EQ(decoded.domain.value, 0x42);
  EXPECT_EQ(decoded.address, 0x1234'5000U);
  EXPECT_EQ(decoded.address_mask, 4);
  EXPECT_TRUE(decoded.leaf_only);
  EXPECT_TRUE(decoded.drain_reads);
  EXPECT_TRUE(decoded.drain_writes);
  const auto global = std::get<Invalidation>(decode128(0x52));
  EXPECT_EQ(global.scope, Invalidation::Scope::kGlobal);
  EXPECT_TRUE(global.drain_writes);
  EXPECT_FALSE(global.drain_reads);
  EXPECT_EQ(error_of(decode128(0x02)), QueueError::kReservedField);
  EXPECT_EQ(error_of(decode128(0x32, 19)), QueueError::kReservedField) << "AM > MAMV";
  EXPECT_EQ(error_of(decode128(0x32, 18)), QueueError::kNone);
  EXPECT_EQ(error_of(decode128(0x12, bit(7))), QueueError::kReservedField);
  EXPECT_EQ(error_of(decode128(0x12 | bit(32))), QueueError::kReservedField);
}

TEST(InvalidationDescriptor, Wait) {
  const auto decoded = std::get<WaitCommand>(decode128(0xCAFE'F00D'0000'0075, 0x1'0000'0004));
  EXPECT_TRUE(decoded.write_status);
  EXPECT_TRUE(decoded.interrupt);
  EXPECT_EQ(decoded.status_data, 0xCAFE'F00DU);
  EXPECT_EQ(decoded.status_address, 0x1'0000'0004U);
  EXPECT_EQ(error_of(decode128(0x25, 2)), QueueError::kReservedField);
  EXPECT_EQ(error_of(decode128(0x25 | bit(16))), QueueError::kReservedField);
  EXPECT_EQ(error_of(decode128(0xA5)), QueueError::kReservedField) << "PD needs page requests";
}

TEST(InvalidationDescriptor, InterruptEntryCacheHasNothingToDo) {
  EXPECT_EQ(std::get<Invalidation>(decode128(0x04)).kind, Invalidation::Kind::kInterrupt);
  EXPECT_EQ(std::get<Invalidation>(decode128(0x0012'1800'0014)).index, 0x12U);
  EXPECT_EQ(error_of(decode128(0x04 | bit(5))), QueueError::kReservedField);
}

TEST(InvalidationDescriptor, UnknownTypes) {
  for (const std::uint64_t type : {0, 3, 6, 7, 8, 9, 10, 15})
    EXPECT_EQ(error_of(decode128(type | 0x10)), QueueError::kInvalidType) << "type " << type;
  for (const unsigned high : {9U, 10U, 11U}) EXPECT_EQ(error_of(decode128(0x11 | bit(high))), QueueError::kInvalidType);
}

TEST(InvalidationDescriptor, WidthAndTableMode) {
  EXPECT_EQ(error_of(decode128(0x11, 0, TableMode::kScalable)), QueueError::kInvalidWidth);
  EXPECT_EQ(error_of(decode128(0x11, 0, TableMode::kReserved)), QueueError::kInvalidTableMode);
  EXPECT_EQ(error_of(decode128(0x11, 0, TableMode::kAbortDma)), QueueError::kInvalidTableMode);
  const auto wide = [](std::uint64_t low, std::uint64_t word2, std::uint64_t word3) {
    return decode(Entry{{low, 0, word2, word3}}, DescriptorWidth::k256, TableMode::kLegacy, Profile{});
  };
  for (const std::uint64_t low : {0x11, 0x12, 0x04, 0x25}) {
    EXPECT_EQ(error_of(wide(low, 0, 0)), QueueError::kNone);
    EXPECT_EQ(error_of(wide(low, 1, 0)), QueueError::kReservedField);
    EXPECT_EQ(error_of(wide(low, 0, bit(63))), QueueError::kReservedField);
  }
}

}  // namespace
}  // namespace vtd
