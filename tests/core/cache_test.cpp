// SPDX-License-Identifier: MIT
#include "tlm/core/cache.h"

#include <gtest/gtest.h>

#include <vector>

#include "tlm/core/caches.h"

namespace vtd {
namespace {

struct Tag {
  std::uint64_t value = 0;
  [[nodiscard]] std::uint64_t index() const { return value; }
  friend bool operator==(const Tag&, const Tag&) = default;
};
using Cache = TaggedCache<Tag, int>;

struct CacheTest : ::testing::Test {
  Cache make(unsigned sets, unsigned ways, Replacement replacement, std::uint64_t seed = 1) {
    return Cache(CacheId::kContext, {sets, ways, replacement}, seed, nobody);
  }
  /// Tags that are still cached after the fills, of 0..last.
  static std::vector<std::uint64_t> present(const Cache& cache, std::uint64_t last) {
    std::vector<std::uint64_t> result;
    for (std::uint64_t t = 0; t <= last; ++t)
      if (cache.peek(Tag{t})) result.push_back(t);
    return result;
  }
  Observer nobody;
};

TEST_F(CacheTest, CountsHitMissFillAndInvalidate) {
  Cache cache = make(2, 2, Replacement::kLru);
  EXPECT_FALSE(cache.lookup(Tag{1}));
  cache.fill(Tag{1}, 11);
  EXPECT_EQ(cache.lookup(Tag{1}), 11);
  cache.fill(Tag{1}, 12);
  EXPECT_EQ(cache.lookup(Tag{1}), 12) << "a fill of the same tag replaces it";
  EXPECT_EQ(cache.size(), 1U);
  cache.refuse_fill();
  EXPECT_EQ(cache.invalidate_if([](const Tag& t, int) { return t.value == 1; }), 1U);
  const CacheCounters& counters = cache.counters();
  EXPECT_EQ(counters.misses(), 1U);
  EXPECT_EQ(counters.hits(), 2U);
  EXPECT_EQ(counters.fills(), 2U);
  EXPECT_EQ(counters.fills_refused(), 1U);
  EXPECT_EQ(counters.invalidations(), 1U);
  EXPECT_EQ(counters.evictions(), 0U);
}

TEST_F(CacheTest, PeekChangesNothing) {
  Cache cache = make(1, 2, Replacement::kLru);
  cache.fill(Tag{0}, 0);
  cache.fill(Tag{1}, 1);
  EXPECT_EQ(cache.peek(Tag{0}), 0);
  cache.fill(Tag{2}, 2);
  EXPECT_EQ(present(cache, 2), (std::vector<std::uint64_t>{1, 2})) << "peek must not refresh tag 0";
  EXPECT_EQ(cache.counters().hits() + cache.counters().misses(), 0U);
}

TEST_F(CacheTest, LruEvictsTheLeastRecentlyUsed) {
  Cache cache = make(1, 4, Replacement::kLru);
  for (std::uint64_t t = 0; t < 4; ++t) cache.fill(Tag{t}, 0);
  static_cast<void>(cache.lookup(Tag{0}));
  cache.fill(Tag{4}, 0);
  EXPECT_EQ(present(cache, 4), (std::vector<std::uint64_t>{0, 2, 3, 4}));
  EXPECT_EQ(cache.counters().evictions(), 1U);
}

TEST_F(CacheTest, TreePlruFollowsTheTree) {
  Cache cache = make(1, 4, Replacement::kTreePlru);
  for (std::uint64_t t = 0; t < 4; ++t) cache.fill(Tag{t}, 0);
  // After 0,1,2,3 the tree points at way 0; using way 0 turns it to the upper half, whose older way is 2.
  static_cast<void>(cache.lookup(Tag{0}));
  cache.fill(Tag{4}, 0);
  EXPECT_EQ(present(cache, 4), (std::vector<std::uint64_t>{0, 1, 3, 4}));
}

TEST_F(CacheTest, RandomIsReproducibleBySeed) {
  const auto survivors = [&](std::uint64_t seed) {
    Cache cache = make(1, 8, Replacement::kRandom, seed);
    for (std::uint64_t t = 0; t < 40; ++t) cache.fill(Tag{t}, 0);
    EXPECT_EQ(cache.size(), 8U);
    return present(cache, 39);
  };
  EXPECT_EQ(survivors(7), survivors(7));
  EXPECT_NE(survivors(7), survivors(8));
}

TEST_F(CacheTest, SetsDoNotDisturbEachOther) {
  Cache cache = make(2, 1, Replacement::kLru);
  cache.fill(Tag{0}, 0);
  cache.fill(Tag{1}, 1);
  cache.fill(Tag{3}, 3);
  EXPECT_EQ(present(cache, 3), (std::vector<std::uint64_t>{0, 3}));
}

TEST_F(CacheTest, EmptyGeometryIsRefused) {
  EXPECT_THROW(make(0, 4, Replacement::kLru), std::invalid_argument);
  EXPECT_THROW(make(4, 0, Replacement::kLru), std::invalid_argument);
}

TEST_F(CacheTest, ClearForgetsEveryCache) {
  Caches caches({}, 1, nobody);
  caches.context.fill(ContextTag{SourceId{1}}, {});
  caches.pasid.fill(PasidTag{SourceId{1}, Pasid{1}}, {});
  caches.iotlb.fill(SourceId{1}, {}, 0x1000, {.page = 0x5000, .level = 1});
  caches.interrupt.fill(InterruptTag{1}, {});
  caches.clear();
  EXPECT_EQ(caches.context.size() + caches.pasid.size() + caches.iotlb.size() + caches.interrupt.size(), 0U);
}

}  // namespace
}  // namespace vtd
