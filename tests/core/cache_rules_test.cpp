// SPDX-License-Identifier: MIT
// What each invalidation descriptor drops from which cache, and what it leaves there: scalable mode, 256-bit form.
// Written from the document with raw numbers only.
#include "tests/core/raw_software.h"

namespace vtd::test {
namespace {

// Descriptors, low halves.
constexpr std::uint64_t context_cache(unsigned g, unsigned did, unsigned sid = 0, unsigned fm = 0) {
  return 1 | g << 4 | std::uint64_t{did} << 16 | std::uint64_t{sid} << 32 | std::uint64_t{fm} << 48;
}
constexpr std::uint64_t iotlb(unsigned g, unsigned did) {
  return 2 | g << 4 | std::uint64_t{did} << 16;
}
constexpr std::uint64_t pasid_iotlb(unsigned g, unsigned did, unsigned pasid) {
  return 6 | g << 4 | std::uint64_t{did} << 16 | std::uint64_t{pasid} << 32;
}
constexpr std::uint64_t pasid_cache(unsigned g, unsigned did, unsigned pasid = 0) {
  return 7 | g << 4 | std::uint64_t{did} << 16 | std::uint64_t{pasid} << 32;
}

constexpr std::uint64_t kIova = 0x4567'8000;
constexpr PhysAddr kOld = 0x8000'0000, kNew = 0xC000'0000;

/// PASIDs of the world below.
enum Space : unsigned {
  kSecond = 0,       // second-stage, domain 0x15
  kFirstA = 1,       // first-stage, domain 0x15
  kNest = 2,         // nested on the second stage of domain 0x15
  kFirstOther = 3,   // first-stage, domain 0x16
  kSecondOther = 4,  // second-stage, domain 0x16
  kFirstB = 5,       // first-stage, domain 0x15, the table of kFirstA
  kSpaces = 6
};

enum class Layer : std::uint8_t { kContext, kPasid, kPage };

class CacheRules : public RawScalable {
 protected:
  PhysAddr leaves[kSpaces] = {};

  /// A fresh unit in which `iova` is mapped for every space by a leaf of `level`.
  void world(std::uint64_t iova = kIova, unsigned level = 1) {
    fresh(full_profile());
    for (const SourceId source : {kDevice, kOther}) scalable_context(source, kDirectory | kPaside);
    pasid_entry(kFirstA, kFirstStage, kDid | kPwsnp, kFirst);
    pasid_entry(kFirstB, kFirstStage, kDid | kPwsnp, kFirst);
    pasid_entry(kFirstOther, kFirstStage, kOtherDid | kPwsnp, kOtherFirst);
    pasid_entry(kSecondOther, kSecondStage | kAw4 | kOtherTable, kOtherDid);
    // Nested: a 1G page of the first stage that maps every address to itself; its tables map to themselves.
    pasid_entry(kNest, kNested | kAw4 | kTable, kDid | kPwsnp, 0x8'0000);
    second(0x8'0000, 0x8'0000 | kR | kW);
    second(0x8'1000, 0x8'1000 | kR | kW);
    host->words[0x8'0000 + (iova >> 39) * 8] = 0x8'1000 | kP | kRw | kUs | kA;
    host->words[0x8'1000 + (iova >> 30 & 0x1FF) * 8] = (iova & ~0x3FFF'FFFFULL) | kP | kRw | kUs | kA | kD | 0x80;
    leaves[kSecond] = leaves[kNest] = second(iova, kOld | kR | kW, level)[level];
    leaves[kSecondOther] = map_in(kOtherTable, 4, iova, kOld | kR | kW, level, kR | kW)[level];
    leaves[kFirstA] = leaves[kFirstB] = first(iova, kOld | kP | kRw | kUs | kA, level)[level];
    leaves[kFirstOther] = map_in(kOtherFirst, 4, iova, kOld | kP | kRw | kUs | kA, level, kP | kRw | kUs)[level];
    queue_on();
  }
  /// True if the descriptor drops what a request of `space` to `iova` has cached at that layer; false if the stale
  /// entry goes on to serve it. `world` has mapped `iova`.
  bool drops(Layer layer, unsigned space, SourceId source, std::uint64_t iova, std::uint64_t low,
             std::uint64_t high = 0) {
    const DmaRequest r = with_pasid(dma_read(source, iova), space);
    const PhysAddr offset = address_of(r) - kOld;
    if (layer == Layer::kContext) host->words[context_at(source)] &= ~1ULL;
    if (layer == Layer::kPasid) host->words[pasid_at(space)] &= ~1ULL;
    if (layer == Layer::kPage) host->words[leaves[space]] ^= kOld ^ kNew;
    EXPECT_EQ(address_of(r), kOld + offset) << "nothing was invalidated yet";
    EXPECT_EQ(submit(low, high), 0U);
    const auto result = dma(r);
    if (layer == Layer::kPage) {
      EXPECT_TRUE(result.ok());
      if (!result.ok()) return true;
      if (result->address == kNew + offset) return true;
    } else if (!result.ok()) {
      EXPECT_EQ(static_cast<unsigned>(result.fault().reason), layer == Layer::kContext ? 0x41U : 0x59U);
      return true;
    }
    EXPECT_EQ(result->address, kOld + offset);
    return false;
  }
};

struct Expected {
  const char* what;
  std::uint64_t low, high;
  bool drops[kSpaces];  // by space
};

// ---- Type 1 ----------------------------------------------------------------------------------------------------

TEST_F(CacheRules, Type1DropsContextEntriesOfTheSources) {
  const unsigned sid = kDevice.value;  // device 3, function 0
  const struct {
    std::uint64_t low;
    bool drops;
  } cases[] = {
      {context_cache(1, 0), true},               // global
      {context_cache(3, kDid, sid), true},       // device
      {context_cache(3, kDid, sid + 1), false},  // another function
      {context_cache(3, kDid, sid + 8), false},  // another device
      {context_cache(3, kDid, sid | 0x100), false},
      {context_cache(3, kDid, sid + 4, 0), false},
      {context_cache(3, kDid, sid + 4, 1), true},  // FM 1 masks bit 2
      {context_cache(3, kDid, sid + 2, 1), false},
      {context_cache(3, kDid, sid + 6, 2), true},  // FM 2 masks bits 2:1
      {context_cache(3, kDid, sid + 1, 2), false},
      {context_cache(3, kDid, sid + 7, 3), true},  // FM 3 masks bits 2:0
      {context_cache(3, kDid, sid + 8, 3), false},
  };
  for (const auto& c : cases) {
    world();
    EXPECT_EQ(drops(Layer::kContext, kSecond, kDevice, kIova, c.low), c.drops) << std::hex << c.low;
  }
}

TEST_F(CacheRules, Type1LeavesThePasidCacheAndTheIotlb) {
  for (const Layer layer : {Layer::kPasid, Layer::kPage}) {
    for (unsigned space = 0; space < kSpaces; ++space) {
      world();
      EXPECT_FALSE(drops(layer, space, kDevice, kIova, context_cache(1, 0))) << space;
    }
  }
}

// ---- Type 7 ----------------------------------------------------------------------------------------------------

TEST_F(CacheRules, Type7DropsPasidEntries) {
  const Expected cases[] = {
      {"global", pasid_cache(3, 0), 0, {true, true, true, true, true, true}},
      {"domain 0x15", pasid_cache(0, kDid), 0, {true, true, true, false, false, true}},
      {"domain 0x16", pasid_cache(0, kOtherDid), 0, {false, false, false, true, true, false}},
      {"domain 0x17", pasid_cache(0, 0x17), 0, {}},
      {"PASID 1 of domain 0x15", pasid_cache(1, kDid, 1), 0, {false, true, false, false, false, false}},
      {"PASID 1 of domain 0x16", pasid_cache(1, kOtherDid, 1), 0, {}},
      {"PASID 0 of domain 0x15", pasid_cache(1, kDid, 0), 0, {true, false, false, false, false, false}},
      {"PASID 0x10001", pasid_cache(1, kDid, 0x1'0001), 0, {}},
  };
  for (const auto& c : cases) {
    for (unsigned space = 0; space < kSpaces; ++space) {
      for (const SourceId source : {kDevice, kOther}) {
        world();
        EXPECT_EQ(drops(Layer::kPasid, space, source, kIova, c.low, c.high), c.drops[space])
            << c.what << ", entry " << space;
      }
    }
  }
}

TEST_F(CacheRules, Type7DropsTheEntryOfRidPasid) {
  world();
  pasid_entry(9, kSecondStage | kAw4 | kTable, kDid);
  scalable_context(kDevice, kDirectory, 9);
  EXPECT_EQ(dma_to(kIova), kOld);
  host->words[pasid_at(9)] = 0;
  EXPECT_EQ(submit(pasid_cache(1, kDid, 0)), 0U);
  EXPECT_EQ(dma_to(kIova), kOld) << "PASID 0 is another one";
  EXPECT_EQ(submit(pasid_cache(1, kDid, 9)), 0U);
  EXPECT_EQ(fault(kIova), 0x59U);
}

TEST_F(CacheRules, Type7LeavesTheContextCacheAndTheIotlb) {
  for (unsigned space = 0; space < kSpaces; ++space) {
    world();
    EXPECT_FALSE(drops(Layer::kPage, space, kDevice, kIova, pasid_cache(3, 0))) << space;
    world();
    EXPECT_FALSE(drops(Layer::kContext, space, kDevice, kIova, pasid_cache(3, 0))) << space;
  }
}

TEST_F(CacheRules, ADirectoryEntryIsCachedWithItsPasidEntry) {
  world();
  EXPECT_EQ(dma_to(kIova), kOld);
  host->words[kDirectory] = 0;
  EXPECT_EQ(dma_to(kIova), kOld);
  EXPECT_EQ(submit(pasid_cache(0, kDid)), 0U);
  EXPECT_EQ(fault(kIova), 0x51U);
}

// ---- Types 2 and 6 ---------------------------------------------------------------------------------------------

TEST_F(CacheRules, Type2DropsTranslationsOfEveryKind) {
  const Expected cases[] = {
      {"global", iotlb(1, 0), 0, {true, true, true, true, true, true}},
      {"global, draining", iotlb(1, 0) | 0xC0, 0, {true, true, true, true, true, true}},
      {"domain 0x15", iotlb(2, kDid), 0, {true, true, true, false, false, true}},
      {"domain 0x16", iotlb(2, kOtherDid), 0, {false, false, false, true, true, false}},
      {"domain 0x115", iotlb(2, 0x115), 0, {}},
      {"the page", iotlb(3, kDid), kIova, {true, true, true, false, false, true}},
      {"the page, IH", iotlb(3, kDid), kIova | 0x40, {true, true, true, false, false, true}},
      {"the page of domain 0x16", iotlb(3, kOtherDid), kIova, {false, false, false, true, true, false}},
      {"another page", iotlb(3, kDid), kIova + 0x1000, {false, true, true, false, false, true}},
  };
  for (const auto& c : cases) {
    for (unsigned space = 0; space < kSpaces; ++space) {
      world();
      EXPECT_EQ(drops(Layer::kPage, space, kDevice, kIova, c.low, c.high), c.drops[space])
          << c.what << ", space " << space;
    }
  }
}

TEST_F(CacheRules, Type6DropsFirstStageAndNestedTranslationsOnly) {
  const Expected cases[] = {
      {"PASID 1", pasid_iotlb(2, kDid, 1), 0, {false, true, false, false, false, false}},
      {"PASID 2", pasid_iotlb(2, kDid, 2), 0, {false, false, true, false, false, false}},
      {"PASID 0, second-stage", pasid_iotlb(2, kDid, 0), 0, {}},
      {"PASID 4, second-stage", pasid_iotlb(2, kOtherDid, 4), 0, {}},
      {"PASID 1 of the other domain", pasid_iotlb(2, kOtherDid, 1), 0, {}},
      {"PASID 3", pasid_iotlb(2, kOtherDid, 3), 0, {false, false, false, true, false, false}},
      {"page of PASID 1", pasid_iotlb(3, kDid, 1), kIova, {false, true, false, false, false, false}},
      {"page of PASID 1, IH", pasid_iotlb(3, kDid, 1), kIova | 0x40, {false, true, false, false, false, false}},
      {"page of PASID 2", pasid_iotlb(3, kDid, 2), kIova, {false, false, true, false, false, false}},
      {"page of PASID 0", pasid_iotlb(3, kDid, 0), kIova, {}},
      {"other page of PASID 1", pasid_iotlb(3, kDid, 1), kIova + 0x1000, {}},
      {"other page of PASID 2", pasid_iotlb(3, kDid, 2), kIova - 0x1000, {}},
      {"page of PASID 0x10001", pasid_iotlb(3, kDid, 0x1'0001), kIova, {}},
  };
  for (const auto& c : cases) {
    for (unsigned space = 0; space < kSpaces; ++space) {
      world();
      EXPECT_EQ(drops(Layer::kPage, space, kDevice, kIova, c.low, c.high), c.drops[space])
          << c.what << ", space " << space;
    }
  }
}

TEST_F(CacheRules, Types2And6LeaveContextAndPasidCache) {
  for (const std::uint64_t low : {iotlb(1, 0), iotlb(2, kDid), pasid_iotlb(2, kDid, kFirstA)}) {
    for (const Layer layer : {Layer::kContext, Layer::kPasid}) {
      world();
      EXPECT_FALSE(drops(layer, kFirstA, kDevice, kIova, low)) << low;
    }
  }
}

TEST_F(CacheRules, PageRangesAreNaturallyAlignedAndCompareAllAddressBits) {
  struct {
    std::uint64_t high;
    bool drops;
  } const cases[] = {
      {0x4567'8000 | 0, true},       {0x4567'9000 | 1, true},   {0x4567'A000 | 1, false},   {0x4567'B000 | 2, true},
      {0x4567'C000 | 2, false},      {0x4567'7000 | 3, false},  {0x4560'0000 | 9, true},    {0x4580'0000 | 9, false},
      {0x4000'0000 | 18, true},      {0x8000'0000 | 18, false}, {0x1'4567'8000 | 0, false}, {0x1'4560'0000 | 9, false},
      {0x4000'4567'8000 | 0, false}, {0x7FFF'F000 | 18, true},
  };
  for (const auto& c : cases) {
    for (const unsigned space : {kSecond, kFirstA, kNest}) {
      world();
      const std::uint64_t low = space == kSecond ? iotlb(3, kDid) : pasid_iotlb(3, kDid, space);
      EXPECT_EQ(drops(Layer::kPage, space, kDevice, kIova, low, c.high), c.drops) << std::hex << c.high << ' ' << space;
    }
  }
}

TEST_F(CacheRules, APageInsideASuperPageDropsAllOfIt) {
  for (const unsigned level : {2U, 3U}) {
    const std::uint64_t size = level == 2 ? 0x20'0000 : 0x4000'0000, base = kIova & ~(size - 1);
    for (const unsigned space : {kSecond, kFirstA}) {
      const std::uint64_t low = space == kSecond ? iotlb(3, kDid) : pasid_iotlb(3, kDid, space);
      for (const std::uint64_t page : {base, base + size - 0x1000}) {
        world(kIova, level);
        EXPECT_TRUE(drops(Layer::kPage, space, kDevice, kIova, low, page)) << space << std::hex << ' ' << page;
      }
      for (const std::uint64_t page : {base - 0x1000, base + size}) {
        world(kIova, level);
        EXPECT_FALSE(drops(Layer::kPage, space, kDevice, kIova, low, page)) << space << std::hex << ' ' << page;
      }
    }
  }
}

TEST_F(CacheRules, TranslationsOfTwoPasidsOrDomainsAreNotMixedUp) {
  world();
  for (unsigned space = 0; space < kSpaces; ++space) {
    if (space == kNest || space == kFirstB) continue;  // share their leaves with others
    host->words[leaves[space]] ^= std::uint64_t{space} << 32;
  }
  for (int round = 0; round < 2; ++round) {
    for (unsigned space = 0; space < kSpaces; ++space) {
      const unsigned owner = space == kNest ? kSecond : space == kFirstB ? kFirstA : space;
      EXPECT_EQ(address_of(with_pasid(dma_read(kDevice, kIova), space)), kOld ^ std::uint64_t{owner} << 32) << space;
    }
  }
}

TEST_F(CacheRules, FirstStageTranslationsAreTaggedWithTheirPasid) {
  world();
  const auto ask = [this](unsigned pasid) { return address_of(with_pasid(dma_read(kDevice, kIova), pasid)); };
  EXPECT_EQ(ask(kFirstA), kOld);
  host->words[leaves[kFirstA]] ^= kOld ^ kNew;
  EXPECT_EQ(ask(kFirstA), kOld);
  EXPECT_EQ(ask(kFirstB), kNew) << "not served by the other PASID's entry";
}

TEST_F(CacheRules, SecondStageTranslationsAreSharedByThePasidsOfADomain) {
  world();
  pasid_entry(9, kSecondStage | kAw4 | kTable, kDid);
  EXPECT_EQ(dma_to(kIova), kOld);
  EXPECT_EQ(address_of(with_pasid(dma_read(kDevice, kIova), 9)), kOld);
  host->words[leaves[kSecond]] ^= kOld ^ kNew;
  EXPECT_EQ(submit(iotlb(3, kDid), kIova), 0U);
  EXPECT_EQ(dma_to(kIova), kNew);
  EXPECT_EQ(address_of(with_pasid(dma_read(kDevice, kIova), 9)), kNew) << "whoever filled it";
}

// ---- Faults are not cached -------------------------------------------------------------------------------------

TEST_F(CacheRules, NothingThatFaultedIsCached) {
  const PhysAddr at[] = {kRoot, context_at(kDevice), kDirectory, pasid_at(0), 0, 0};
  for (unsigned n = 0; n < 6; ++n) {
    for (const bool reserved : {false, true}) {
      world();
      const PhysAddr entry = n == 4 ? leaves[kSecond] : n == 5 ? leaves[kFirstA] : at[n];
      const DmaRequest r = n == 5 ? with_pasid(dma_read(kDevice, kIova), kFirstA) : dma_read(kDevice, kIova);
      const std::uint64_t good = host->words[entry];
      host->words[entry] = reserved ? good | (n >= 4 ? 1ULL << 51 : 1ULL << 63) : 0;
      EXPECT_NE(reason(r), 0U) << n;
      host->words[entry] = good;
      EXPECT_EQ(address_of(r), kOld) << "CM=0: no invalidation is needed, entry " << n;
    }
  }
}

}  // namespace
}  // namespace vtd::test
