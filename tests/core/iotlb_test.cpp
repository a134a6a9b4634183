// SPDX-License-Identifier: MIT
#include "tlm/core/iotlb.h"

#include <gtest/gtest.h>

namespace vtd {
namespace {

constexpr SourceId kA{0x18};
constexpr SourceId kB{0x20};
AddressSpace of_domain(std::uint16_t domain) {
  AddressSpace space;
  space.domain = DomainId{domain};
  return space;
}
const AddressSpace kDomain = of_domain(5);
const AddressSpace kOther = of_domain(6);

IotlbEntry page(PhysAddr where, std::uint8_t level) {
  return {.page = where, .level = level, .readable = true, .writable = true};
}

struct IotlbTest : ::testing::Test {
  Iotlb make(IotlbTagging tagging = IotlbTagging::kDomain) { return Iotlb({8, 4}, tagging, 1, nobody); }
  Observer nobody;
};

TEST_F(IotlbTest, SuperPagesServeTheirWholeRangeAndNoMore) {
  Iotlb tlb = make();
  tlb.fill(kA, kDomain, 0x4020'3000, page(0x8000'0000, 2));
  tlb.fill(kA, kDomain, 0x8000'0000, page(0x1'0000'0000, 3));
  tlb.fill(kA, kDomain, 0x7000, page(0x9000, 1));
  EXPECT_EQ(tlb.lookup(kA, kDomain, 0x4020'0000)->translate(0x4020'0000), 0x8000'0000U);
  EXPECT_EQ(tlb.lookup(kA, kDomain, 0x403F'FFFF)->translate(0x403F'FFFF), 0x801F'FFFFU);
  EXPECT_FALSE(tlb.lookup(kA, kDomain, 0x4040'0000));
  EXPECT_FALSE(tlb.lookup(kA, kDomain, 0x401F'FFFF));
  EXPECT_EQ(tlb.lookup(kA, kDomain, 0xBFFF'FFFF)->translate(0xBFFF'FFFF), 0x1'3FFF'FFFFU);
  EXPECT_FALSE(tlb.lookup(kA, kDomain, 0xC000'0000));
  EXPECT_TRUE(tlb.lookup(kA, kDomain, 0x7FFF));
  EXPECT_FALSE(tlb.lookup(kA, kDomain, 0x8000));
  EXPECT_EQ(tlb.counters().hits(), 4U);
  EXPECT_EQ(tlb.counters().misses(), 4U);
}

TEST_F(IotlbTest, TagsAreDomainsAndOptionallySources) {
  Iotlb by_domain = make();
  by_domain.fill(kA, kDomain, 0x1000, page(0x5000, 1));
  EXPECT_TRUE(by_domain.lookup(kB, kDomain, 0x1000));
  EXPECT_FALSE(by_domain.lookup(kA, kOther, 0x1000));
  Iotlb by_source = make(IotlbTagging::kSourceAndDomain);
  by_source.fill(kA, kDomain, 0x1000, page(0x5000, 1));
  EXPECT_TRUE(by_source.lookup(kA, kDomain, 0x1000));
  EXPECT_FALSE(by_source.lookup(kB, kDomain, 0x1000));
}

TEST_F(IotlbTest, PageInvalidationTakesSuperPagesThatItTouches) {
  Iotlb tlb = make();
  tlb.fill(kA, kDomain, 0x20'0000, page(0x8000'0000, 2));
  tlb.fill(kA, kOther, 0x20'0000, page(0x8000'0000, 2));
  tlb.fill(kA, kDomain, 0x40'0000, page(0x9000, 1));
  Invalidation one_page{.scope = Invalidation::Scope::kPage, .domain = kDomain.domain, .address = 0x3F'F000};
  EXPECT_EQ(tlb.invalidate(one_page), 1U);
  EXPECT_FALSE(tlb.peek(kA, kDomain, 0x20'0000));
  EXPECT_TRUE(tlb.peek(kA, kOther, 0x20'0000));
  EXPECT_TRUE(tlb.peek(kA, kDomain, 0x40'0000));
}

TEST_F(IotlbTest, PermissionsByAccess) {
  using enum FaultReason;
  EXPECT_EQ(rights_fault(Access::kRead, true, false, true), kNone);
  EXPECT_EQ(rights_fault(Access::kRead, false, true, true), kReadPermission);
  EXPECT_EQ(rights_fault(Access::kWrite, false, true, true), kNone);
  EXPECT_EQ(rights_fault(Access::kWrite, true, false, true), kWritePermission);
  EXPECT_EQ(rights_fault(Access::kZeroLengthRead, false, true, true), kNone);
  EXPECT_EQ(rights_fault(Access::kZeroLengthRead, false, true, false), kReadPermission);
  EXPECT_EQ(rights_fault(Access::kZeroLengthRead, true, false, false), kNone);
  EXPECT_EQ(rights_fault(Access::kAtomic, true, true, true), kNone);
  EXPECT_EQ(rights_fault(Access::kAtomic, true, false, true), kWritePermission);
  EXPECT_EQ(rights_fault(Access::kAtomic, false, true, true), kReadPermission);
}

}  // namespace
}  // namespace vtd
