// SPDX-License-Identifier: MIT
#include "tlm/core/invalidation.h"

#include <gtest/gtest.h>

namespace vtd {
namespace {

using Kind = Invalidation::Kind;
using Scope = Invalidation::Scope;
constexpr SourceId kSource = make_source_id(0, 3, 5);
constexpr DomainId kDomain{5};

Invalidation context(Scope scope, DomainId domain = kDomain, SourceId source = kSource, std::uint16_t mask = 0) {
  return {.kind = Kind::kContext, .scope = scope, .domain = domain, .source = source, .source_mask = mask};
}
Invalidation pages(Iova address, std::uint8_t am, DomainId domain = kDomain) {
  return {.kind = Kind::kIotlb, .scope = Scope::kPage, .domain = domain, .address = address, .address_mask = am};
}

TEST(Invalidation, ContextScopes) {
  EXPECT_TRUE(covers_context(context(Scope::kGlobal, DomainId{9}), kSource, kDomain));
  EXPECT_TRUE(covers_context(context(Scope::kDomain), SourceId{1}, kDomain));
  EXPECT_FALSE(covers_context(context(Scope::kDomain), kSource, DomainId{6}));
  EXPECT_TRUE(covers_context(context(Scope::kDevice), kSource, kDomain));
  EXPECT_FALSE(covers_context(context(Scope::kDevice), make_source_id(0, 3, 4), kDomain));
  EXPECT_FALSE(covers_context(context(Scope::kDevice, DomainId{6}), kSource, kDomain)) << "the DID must match too";
  EXPECT_FALSE(covers_context(pages(0, 52), kSource, kDomain));
}

TEST(Invalidation, FunctionMaskWidensToFunctionsOnly) {
  const auto covered = [](unsigned fm, unsigned function) {
    const auto inv = context(Scope::kDevice, kDomain, make_source_id(0, 3, 0), function_mask(fm));
    return covers_context(inv, make_source_id(0, 3, function), kDomain);
  };
  EXPECT_FALSE(covered(0, 4));
  EXPECT_TRUE(covered(1, 4));
  EXPECT_FALSE(covered(1, 2));
  EXPECT_TRUE(covered(2, 6));
  EXPECT_FALSE(covered(2, 1));
  EXPECT_TRUE(covered(3, 7));
  const auto all = context(Scope::kDevice, kDomain, make_source_id(0, 3, 0), function_mask(3));
  EXPECT_FALSE(covers_context(all, make_source_id(0, 4, 0), kDomain));
}

TEST(Invalidation, PageRangesAreNaturallyAlignedAndCompareAllBits) {
  EXPECT_TRUE(covers_iotlb(pages(0x5000, 0), {WalkKind::kLegacy, kDomain, {}, 0x5000, kPageSize}));
  EXPECT_FALSE(covers_iotlb(pages(0x5000, 0), {WalkKind::kLegacy, kDomain, {}, 0x4000, kPageSize}));
  EXPECT_FALSE(covers_iotlb(pages(0x5000, 0), {WalkKind::kLegacy, kDomain, {}, 0x6000, kPageSize}));
  EXPECT_TRUE(covers_iotlb(pages(0x5000, 2), {WalkKind::kLegacy, kDomain, {}, 0x4000, kPageSize}))
      << "low bits of the address are ignored";
  EXPECT_TRUE(covers_iotlb(pages(0x5000, 2), {WalkKind::kLegacy, kDomain, {}, 0x7000, kPageSize}));
  EXPECT_FALSE(covers_iotlb(pages(0x5000, 2), {WalkKind::kLegacy, kDomain, {}, 0x8000, kPageSize}));
  EXPECT_FALSE(covers_iotlb(pages(0x5000, 2), {WalkKind::kLegacy, kDomain, {}, 0x1'0000'5000, kPageSize}))
      << "high bits count";
  EXPECT_FALSE(covers_iotlb(pages(0x5000, 0, DomainId{6}), {WalkKind::kLegacy, kDomain, {}, 0x5000, kPageSize}));
  EXPECT_TRUE(covers_iotlb(pages(0x5000, 0), {WalkKind::kLegacy, kDomain, {}, 0, 0x20'0000}))
      << "a page inside a super page";
  EXPECT_TRUE(covers_iotlb(pages(0, 63), {WalkKind::kLegacy, kDomain, {}, ~0ULL - 0xFFF, kPageSize}));
}

TEST(Invalidation, RequestOfUnknownDomainMayBeMeantByAny) {
  InvalidationTag tag{.source = kSource, .kind = WalkKind::kLegacy, .address = 0x5000};
  EXPECT_TRUE(covers(context(Scope::kDomain, DomainId{77}), tag));
  EXPECT_TRUE(covers(pages(0x5000, 0, DomainId{77}), tag));
  EXPECT_FALSE(covers(pages(0x6000, 0, DomainId{77}), tag));
  tag.domain = kDomain;
  EXPECT_FALSE(covers(context(Scope::kDomain, DomainId{77}), tag));
}

TEST(InvalidationLog, AnswersSinceAnEpochOnly) {
  InvalidationLog log;
  const InvalidationTag tag{.source = kSource, .domain = kDomain, .kind = WalkKind::kLegacy, .address = 0x5000};
  EXPECT_EQ(log.append(pages(0x5000, 0)), 1U);
  const Epoch after = log.now();
  EXPECT_TRUE(log.covered_since(0, tag));
  EXPECT_FALSE(log.covered_since(after, tag));
  log.append(pages(0x9000, 0));
  EXPECT_FALSE(log.covered_since(after, tag));
  log.append(context(Scope::kGlobal));
  EXPECT_TRUE(log.covered_since(after, tag));
  EXPECT_TRUE(log.any_since(after, [](const Invalidation& i) { return covers_context(i, kSource, kDomain); }));
  log.forget(after);
  EXPECT_EQ(log.now(), 3U);
  EXPECT_TRUE(log.covered_since(after, tag));
  EXPECT_FALSE(log.covered_since(log.now(), tag));
}

}  // namespace
}  // namespace vtd
