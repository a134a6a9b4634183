// SPDX-License-Identifier: MIT
// Scalable mode: PASID directories and tables, what their entries say bit by bit, in which order they are stored, and
// which invalidations follow. Bits are spelled out here as the architecture numbers them (VT-d 9.4 to 9.6).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/firmware/fake_platform.h"
#include "tests/firmware/watch.h"

namespace vtd::fw::test {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;
using enum platform::Command;
namespace endpoint = platform::endpoint;

constexpr std::uint64_t kSecond = 0, kFirst = 1, kNested = 2;  ///< stage argument of create_domain

class PasidTest : public ::testing::Test {
 protected:
  Machine m_;
  static constexpr SourceId kD1 = Machine::kD1;  ///< ATS, PRI, 20 bits of PASID
  static constexpr SourceId kD2 = Machine::kD2;  ///< 8 bits of PASID, no device TLB
  static constexpr SourceId kD3 = Machine::kD3;  ///< no PASID

  void SetUp() override {
    static_assert(static_cast<std::uint64_t>(Stage::kSecond) == kSecond &&
                  static_cast<std::uint64_t>(Stage::kFirst) == kFirst &&
                  static_cast<std::uint64_t>(Stage::kNested) == kNested);
    m_.make_scalable();
  }
  void boot() {
    m_.boot(ImageLetter::kA);
    ASSERT_EQ(m_.status(kAddMemory, {1, platform::kGuestBase, 0x10000}), Status::kOk);
    ASSERT_EQ(create(1, kSecond, 4), Status::kOk);
    ASSERT_EQ(create(2, kSecond, 3), Status::kOk);
    ASSERT_EQ(create(3, kFirst, 4), Status::kOk);
    ASSERT_EQ(create(4, kFirst, 5), Status::kOk);
    ASSERT_EQ(create(5, kNested, 4, 1), Status::kOk);
    ASSERT_EQ(create(6, kNested, 4, 1), Status::kOk);
    ASSERT_EQ(create(7, kNested, 4, 2), Status::kOk);
    static_cast<void>(take_invalidations());
  }
  Status create(std::uint64_t id, std::uint64_t stage, std::uint64_t levels, std::uint64_t parent = 0) {
    return m_.status(kCreateDomain, {id, levels, stage, parent});
  }
  Status attach(SourceId sid, std::uint64_t domain, std::uint64_t pasid = 0) {
    return m_.status(kAttach, {sid.value, domain, pasid});
  }
  Status detach(SourceId sid, std::uint64_t pasid = 0) { return m_.status(kDetach, {sid.value, pasid}); }
  Unit& unit() { return m_.iommu().unit(0); }
  Device& device(SourceId sid) { return *m_.iommu().device(sid.value); }
  PhysAddr top(std::uint64_t domain) { return m_.iommu().domain(domain)->table.top(); }
  std::uint64_t did(std::uint64_t domain, unsigned unit = 0) { return m_.iommu().domain(domain)->uses[unit].did.value; }
  std::uint64_t free_pages() { return m_.iommu().allocator().free_pages(); }
  std::vector<std::string> take_invalidations(unsigned unit = 0) {
    return invalidations(std::exchange(m_.platform.units[unit].descriptors, {}));
  }

  // ---- the tables, walked by hand as the unit does ---------------------------------------------------------------
  static constexpr std::uint64_t kPointer = 0xFFFF'FFFF'FFFF'F000;
  PhysAddr context_at(SourceId sid) {
    const PhysAddr root = m_.platform.units[0].registers[info(RegId::kRTADDR).offset] & kPointer;
    const std::uint64_t half = m_.platform.read64(root + sid.bus() * 16U + (sid.devfn() >= 128 ? 8 : 0));
    return (half & 1) == 0 ? 0 : (half & kPointer) + sid.devfn() % 128 * 32U;
  }
  std::uint64_t context(SourceId sid) { return context_at(sid) == 0 ? 0 : m_.platform.read64(context_at(sid)); }
  PhysAddr entry_at(SourceId sid, std::uint64_t pasid) {
    const std::uint64_t link = m_.platform.read64((context(sid) & kPointer) + (pasid >> 6) * 8);
    return (link & 1) == 0 ? 0 : (link & kPointer) + (pasid & 63) * 64;
  }
  std::array<std::uint64_t, 8> entry(SourceId sid, std::uint64_t pasid) {
    std::array<std::uint64_t, 8> words{};
    if ((context(sid) & 1) == 0 || entry_at(sid, pasid) == 0) return words;
    for (unsigned i = 0; i < 8; ++i) words[i] = m_.platform.read64(entry_at(sid, pasid) + i * 8U);
    return words;
  }
};

// ---- directory and tables ------------------------------------------------------------------------------------

TEST_F(PasidTest, DirectoryHasAsManyPagesAsThePasidsNeedAndPdtsSaysHowManyEntries) {
  boot();
  struct Row {
    unsigned bits;
    std::uint32_t max_pasid;
    unsigned pages, pdts;
  };
  for (const Row& row : {Row{0, 64, 1, 0},
                         {6, 64, 1, 0},
                         {7, 128, 1, 0},
                         {13, 8192, 1, 0},
                         {14, 16384, 1, 1},
                         {15, 32768, 1, 2},
                         {16, 65536, 2, 3},
                         {20, 1 << 20, 32, 7}}) {
    const std::uint64_t before = free_pages();
    PasidTable table;
    ASSERT_EQ(PasidTable::create(row.bits, m_.iommu().allocator(), table), Status::kOk);
    EXPECT_EQ(table.max_pasid(), row.max_pasid) << row.bits;
    EXPECT_EQ(table.directory_pages(), row.pages) << row.bits;
    EXPECT_EQ(table.pdts(), row.pdts) << row.bits;
    EXPECT_GE(1U << (row.pdts + 7 + 6), row.max_pasid) << row.bits;
    EXPECT_EQ(free_pages(), before - row.pages) << row.bits;
    // The last PASID has a page of its own; beyond it there is nothing.
    pasid::Entry entry;
    entry.words[0] = 1;
    ASSERT_EQ(table.set(row.max_pasid - 1, entry, PasidTable::Order::kLowLast, m_.iommu().allocator()), Status::kOk);
    EXPECT_EQ(table.entry(row.max_pasid - 1), entry) << row.bits;
    EXPECT_EQ(table.page_of(row.max_pasid), 0U) << row.bits;
    table.free(m_.iommu().allocator());
    EXPECT_FALSE(table.exists());
    EXPECT_EQ(free_pages(), before) << row.bits;
  }
}

TEST_F(PasidTest, DirectoryEntryIsOnlyPresentAndThePointerOfAPageSharedBy64Pasids) {
  boot();
  ASSERT_EQ(attach(kD1, 1, 65), Status::kOk);
  const std::uint64_t before = free_pages();
  ASSERT_EQ(attach(kD1, 1, 127), Status::kOk);
  EXPECT_EQ(free_pages(), before);
  ASSERT_EQ(attach(kD1, 1, 128), Status::kOk);
  EXPECT_EQ(free_pages(), before - 1);
  const PhysAddr directory = context(kD1) & kPointer;
  EXPECT_EQ(m_.platform.read64(directory + 8) & ~kPointer, 1U);
  EXPECT_EQ(m_.platform.read64(directory), 0U);  // no entry for requests without PASID
  EXPECT_NE(m_.platform.read64(directory + 8) & kPointer, m_.platform.read64(directory + 16) & kPointer);
}

// ---- entries, bit by bit -------------------------------------------------------------------------------------

TEST_F(PasidTest, EveryKindOfEntryBitByBit) {
  for (const bool snoop : {false, true}) {
    m_.platform.units[0].profile.walk_snoop = snoop;
    boot();
    struct Row {
      std::uint64_t domain, pgtt, aw, second, fspm, first;
    };
    for (const Row& row : {Row{1, 2, 2, top(1), 0, 0},  // second-stage, 4 levels: AW 010
                           {2, 2, 1, top(2), 0, 0},     // 3 levels: AW 001
                           {3, 1, 0, 0, 0, top(3)},     // first-stage, 4 levels
                           {4, 1, 0, 0, 1, top(4)},     // 5 levels: FSPM 01
                           {5, 3, 2, top(1), 0, top(5)},
                           {7, 3, 1, top(2), 0, top(7)}}) {
      for (const std::uint64_t pasid : {0U, 9U}) {
        ASSERT_EQ(attach(kD2, row.domain, pasid), Status::kOk) << row.domain;
        EXPECT_THAT(entry(kD2, pasid),
                    ElementsAre(1 | row.aw << 2 | row.pgtt << 6 | row.second, did(row.domain) | (snoop ? 1U << 23 : 0),
                                row.fspm << 2 | row.first, 0, 0, 0, 0, 0))
            << "domain " << row.domain << " pasid " << pasid;
      }
      EXPECT_GE(did(row.domain), 2U);
      ASSERT_EQ(detach(kD2, 0), Status::kOk);
      ASSERT_EQ(detach(kD2, 9), Status::kOk);
    }
    ASSERT_EQ(m_.status(kPassThrough, {kD2.value}), Status::kOk);
    constexpr std::uint64_t kLargest = 3;  // AW of 5 levels
    EXPECT_THAT(entry(kD2, 0), ElementsAre(1 | kLargest << 2 | 4 << 6, 1, 0, 0, 0, 0, 0, 0));
  }
}

TEST_F(PasidTest, ContextEntryFollowsWhatDeviceAndUnitCan) {
  constexpr std::uint64_t kP = 1, kDte = 4, kPaside = 8, kPre = 16, kPdts = 7 << 9;
  struct Row {
    bool device_tlb, page_requests, pasid;
    std::uint64_t d1, d2;
  };
  for (const Row& row : {Row{true, true, true, kP | kDte | kPaside | kPre | kPdts, kP | kPaside},
                         {false, true, true, kP | kPaside | kPdts, kP | kPaside},  // no PRE without a device TLB
                         {true, false, true, kP | kDte | kPaside | kPdts, kP | kPaside},
                         {true, true, false, kP | kDte | kPre | kPdts, kP}}) {
    Profile& p = m_.platform.units[0].profile;
    p.device_tlb = row.device_tlb;
    p.page_requests = row.page_requests;
    p.pasid = row.pasid;
    boot();
    for (const auto& [sid, low] : {std::pair{kD1, row.d1}, {kD2, row.d2}, {kD3, kP}}) {
      ASSERT_EQ(attach(sid, 1), Status::kOk);
      const PhysAddr at = context_at(sid);
      EXPECT_EQ(m_.platform.read64(at) & ~kPointer, low) << sid.value;
      EXPECT_EQ(m_.platform.read64(at) & kPointer, device(sid).pasids.directory());
      for (unsigned i = 1; i < 4; ++i) EXPECT_EQ(m_.platform.read64(at + i * 8U), 0U);  // RID_PASID 0
    }
  }
}

TEST_F(PasidTest, ContextTablesAreChosenByDevfn7) {
  const SourceId high = make_source_id(1, 17, 0);  // devfn 0x88
  m_.platform.add_endpoint(high);
  boot();
  ASSERT_EQ(attach(high, 1), Status::kOk);
  ASSERT_EQ(attach(kD1, 1), Status::kOk);  // devfn 8: the same place in the lower table
  EXPECT_NE(context_at(high), context_at(kD1));
  EXPECT_EQ(context_at(high) % kPageSize, context_at(kD1) % kPageSize);
  EXPECT_EQ(entry(high, 0), entry(kD1, 0));
}

// ---- order of stores -----------------------------------------------------------------------------------------

TEST_F(PasidTest, PresentIsTheLastOfAnEntrysStoresAndTheFirstToGo) {
  boot();
  ASSERT_EQ(attach(kD1, 1), Status::kOk);
  const PhysAddr page = entry_at(kD1, 0);
  for (const std::uint64_t domain : {1U, 3U, 5U}) {
    EntryWatch watch(m_.platform, page + 9 * 64, 64);
    ASSERT_EQ(attach(kD1, domain, 9), Status::kOk);
    const auto complete = watch.states.back();
    EXPECT_EQ(complete.at(0) & 1, 1U);
    for (const auto& state : watch.states) {
      if ((state.at(0) & 1) != 0) {
        EXPECT_EQ(state, complete);
      }
    }
    watch.states.clear();
    ASSERT_EQ(detach(kD1, 9), Status::kOk);
    ASSERT_FALSE(watch.states.empty());
    for (const auto& state : watch.states) EXPECT_EQ(state.at(0) & 1, 0U);
    EXPECT_EQ(watch.states.back(), std::vector<std::uint64_t>(8));
  }
}

TEST_F(PasidTest, ContextEntryIsPresentOnlyWhenComplete) {
  boot();
  ASSERT_EQ(attach(kD1, 1), Status::kOk);  // makes the table of the bus
  EntryWatch watch(m_.platform, unit().context().entry_at(kD2), 32);
  bool reachable = true;
  watch.on_state = [&](const std::vector<std::uint64_t>& state) {
    if ((state.at(0) & 1) != 0) reachable = reachable && (entry(kD2, 5).at(0) & 1) != 0;
  };
  ASSERT_EQ(attach(kD2, 1, 5), Status::kOk);
  EXPECT_TRUE(reachable);  // below it everything was there
  for (const auto& state : watch.states) {
    if ((state.at(0) & 1) != 0) {
      EXPECT_EQ(state, watch.states.back());
    }
  }
}

TEST_F(PasidTest, PlantedTornEntryIsPresentBeforeItIsComplete) {
  boot();
  ASSERT_EQ(attach(kD1, 1), Status::kOk);
  m_.platform.deviate(platform::Deviation::kSplitPasidWrite);
  EntryWatch watch(m_.platform, entry_at(kD1, 0) + 9 * 64, 64);
  ASSERT_EQ(attach(kD1, 3, 9), Status::kOk);
  EXPECT_EQ(watch.states.front().at(0) & 1, 1U);
  EXPECT_NE(watch.states.front(), watch.states.back());
}

// ---- invalidations -------------------------------------------------------------------------------------------

TEST_F(PasidTest, DetachInvalidatesPasidCacheThenIotlbThenDeviceTlb) {
  boot();
  struct Row {
    std::uint64_t domain, pasid;
    std::string iotlb;
  };
  for (const Row& row : {Row{1, 0, "iotlb domain did 2"},
                         {1, 9, "iotlb domain did 2"},
                         {3, 9, "pasid-iotlb pasid did 2 pasid 9"},
                         {5, 0, "iotlb domain did 2"}}) {
    ASSERT_EQ(attach(kD1, row.domain, row.pasid), Status::kOk);
    EXPECT_THAT(take_invalidations(), IsEmpty());  // not present, not cached
    ASSERT_EQ(detach(kD1, row.pasid), Status::kOk);
    const std::string pasid = std::to_string(row.pasid);
    EXPECT_THAT(take_invalidations(),
                ElementsAre("pasid-cache pasid did 2 pasid " + pasid, row.iotlb,
                            row.pasid == 0 ? "device-tlb 0108 all" : "pasid-device-tlb 0108 pasid " + pasid + " all"));
  }
  ASSERT_EQ(attach(kD2, 1), Status::kOk);
  ASSERT_EQ(detach(kD2), Status::kOk);
  EXPECT_THAT(take_invalidations(), ElementsAre("pasid-cache pasid did 2 pasid 0", "iotlb domain did 2"));
}

TEST_F(PasidTest, CachingModeInvalidatesWhatWasNotPresent) {
  m_.platform.units[0].profile.caching_mode = true;
  boot();
  ASSERT_EQ(attach(kD2, 1, 7), Status::kOk);
  EXPECT_THAT(take_invalidations(), ElementsAre("pasid-cache pasid did 2 pasid 7", "context device did 0 sid 0110",
                                                "pasid-cache global did 0 pasid 0"));
}

TEST_F(PasidTest, UnmapInvalidatesEveryPlaceTheDomainIsUsed) {
  boot();
  ASSERT_EQ(m_.status(kMap, {3, 0x1000, 1, 0, 0x4000, 3, 1}), Status::kOk);
  ASSERT_EQ(attach(kD1, 3), Status::kOk);
  ASSERT_EQ(attach(kD1, 3, 9), Status::kOk);
  ASSERT_EQ(attach(kD2, 3, 5), Status::kOk);
  static_cast<void>(take_invalidations());
  ASSERT_EQ(m_.status(kUnmap, {3, 0x1000, 0x1000}), Status::kOk);
  EXPECT_THAT(take_invalidations(),
              ElementsAre("pasid-iotlb page did 2 pasid 0 0x1000/0", "device-tlb 0108 all",
                          "pasid-iotlb page did 2 pasid 9 0x1000/0", "pasid-device-tlb 0108 pasid 9 all",
                          "pasid-iotlb page did 2 pasid 5 0x1000/0"));
}

TEST_F(PasidTest, UnmapOfAParentInvalidatesWhatIsCachedUnderTheIdsOfNestedDomains) {
  boot();
  ASSERT_EQ(m_.status(kMap, {1, 0x1000, 1, 0, 0x4000, 3, 1}), Status::kOk);
  ASSERT_EQ(attach(kD1, 5), Status::kOk);
  ASSERT_EQ(attach(kD2, 6), Status::kOk);
  ASSERT_EQ(attach(kD3, 1), Status::kOk);
  static_cast<void>(take_invalidations());
  ASSERT_EQ(m_.status(kUnmap, {1, 0x1000, 0x1000}), Status::kOk);
  EXPECT_THAT(take_invalidations(),
              UnorderedElementsAre("iotlb page did " + std::to_string(did(1)) + " 0x1000/0",
                                   "iotlb domain did " + std::to_string(did(5)),
                                   "iotlb domain did " + std::to_string(did(6)), "device-tlb 0108 all"));
}

// ---- nested domains ------------------------------------------------------------------------------------------

TEST_F(PasidTest, NestedTablesAreReachableThroughTheParentWhileTheyExistAndNoLonger) {
  boot();
  ASSERT_EQ(attach(kD1, 1), Status::kOk);
  ASSERT_EQ(attach(kD2, 5), Status::kOk);
  ASSERT_EQ(m_.status(kMap, {5, 0x5000, 0, 0x2000, 0x1000, 3, 1}), Status::kOk);  // more tables while it is in use
  std::vector<PhysAddr> pages;
  m_.iommu().domain(5)->table.visit(
      [&](PhysAddr page, unsigned) {
        pages.push_back(page);
        return true;
      },
      [](const Leaf&) { return true; });
  ASSERT_EQ(pages.size(), 4U);
  for (const PhysAddr page : pages) {
    const auto leaf = m_.iommu().domain(1)->table.lookup(page);
    ASSERT_TRUE(leaf);
    EXPECT_EQ(leaf->page, page);
  }
  EXPECT_EQ(m_.status(kDestroyDomain, {5}), Status::kBusy);
  EXPECT_EQ(m_.status(kDestroyDomain, {1}), Status::kBusy);  // a parent
  ASSERT_EQ(detach(kD2), Status::kOk);
  static_cast<void>(take_invalidations());
  ASSERT_EQ(m_.status(kDestroyDomain, {5}), Status::kOk);
  for (const PhysAddr page : pages) {
    EXPECT_FALSE(m_.iommu().domain(1)->table.lookup(page)) << "D1 reaches a page that is free";
    EXPECT_FALSE(m_.iommu().allocator().in_use(page));
  }
  EXPECT_FALSE(take_invalidations().empty());
}

TEST_F(PasidTest, NestedDomainIsRefusedWhereItsParentMapsSomethingElseAtItsTables) {
  boot();
  ASSERT_EQ(m_.status(kMap, {1, top(5), 1, 0, 0x1000, 3, 1}), Status::kOk);
  EXPECT_EQ(attach(kD2, 5), Status::kExists);
  EXPECT_EQ(did(5), 0U);
  EXPECT_FALSE(m_.iommu().domain(5)->in_use());
  EXPECT_EQ(attach(kD2, 6), Status::kOk);
}

// ---- what is refused -----------------------------------------------------------------------------------------

TEST_F(PasidTest, AttachIsRefusedWithTheReasonAndWithoutATrace) {
  m_.platform.units[0].profile.pasid_bits = 10;
  boot();
  ASSERT_EQ(attach(kD1, 1), Status::kOk);
  ASSERT_EQ(attach(kD1, 1, 9), Status::kOk);
  struct Row {
    const char* why;
    SourceId sid;
    std::uint64_t domain, pasid;
    Status status;
  };
  const std::uint64_t ids = m_.ask(platform::Query::kAllocator, 0, 1);
  for (const Row& row : {Row{"no such device", SourceId{0x0999}, 1, 0, Status::kNoEntry},
                         {"no such domain", kD2, 99, 0, Status::kNoEntry},
                         {"attached already", kD1, 1, 0, Status::kBusy},
                         {"PASID attached already", kD1, 3, 9, Status::kBusy},
                         {"beyond the device's PASIDs", kD2, 1, 256, Status::kNotSupported},
                         {"beyond the unit's PASIDs", kD1, 1, 1024, Status::kNotSupported},
                         {"a device without PASIDs", kD3, 1, 1, Status::kNotSupported}}) {
    EXPECT_EQ(attach(row.sid, row.domain, row.pasid), row.status) << row.why;
    EXPECT_EQ(m_.ask(platform::Query::kAllocator, 0, 1), ids) << row.why;
  }
  EXPECT_EQ(attach(kD2, 1, 255), Status::kOk);
  EXPECT_EQ(attach(kD1, 1, 1023), Status::kOk);
  EXPECT_EQ(detach(kD1, 77), Status::kInvalid);
  EXPECT_EQ(detach(kD3), Status::kInvalid);
}

TEST_F(PasidTest, AttachNeedsTheStageTheLevelsAndThePasidsOfTheUnit) {
  struct Row {
    bool Profile::*missing;
    std::uint64_t domain, pasid;
    Status pass_through;
  };
  for (const Row& row : {Row{&Profile::second_stage, 1, 0, Status::kOk},
                         {&Profile::first_stage, 3, 0, Status::kOk},
                         {&Profile::nesting, 5, 0, Status::kOk},
                         {&Profile::levels3, 2, 0, Status::kOk},
                         {&Profile::first_stage_5, 4, 0, Status::kOk},
                         {&Profile::pasid, 1, 3, Status::kOk},
                         {&Profile::pass_through, 99, 0, Status::kNotSupported}}) {
    Profile& p = m_.platform.units[0].profile;
    p.*row.missing = false;
    boot();
    if (row.domain != 99) {
      EXPECT_EQ(attach(kD2, row.domain, row.pasid), Status::kNotSupported) << row.domain;
    }
    EXPECT_EQ(context(kD2), 0U);
    EXPECT_EQ(m_.status(kPassThrough, {kD2.value}), row.pass_through);
    p.*row.missing = true;
  }
}

TEST_F(PasidTest, EightPasidsAtATime) {
  boot();
  for (std::uint64_t pasid = 1; pasid <= Device::kMaxPasids; ++pasid) ASSERT_EQ(attach(kD2, 1, pasid), Status::kOk);
  EXPECT_EQ(attach(kD2, 1, 100), Status::kNoMemory);
  EXPECT_EQ(entry(kD2, 100).at(0), 0U);
  ASSERT_EQ(detach(kD2, 4), Status::kOk);
  EXPECT_EQ(attach(kD2, 1, 100), Status::kOk);
  EXPECT_EQ(m_.iommu().domain(1)->uses[0].users, Device::kMaxPasids);
}

TEST_F(PasidTest, DomainIdIsFreeOnlyAfterTheLastAttachmentWithAnyPasid) {
  boot();
  ASSERT_EQ(attach(kD1, 1), Status::kOk);
  ASSERT_EQ(attach(kD1, 1, 3), Status::kOk);
  ASSERT_EQ(attach(kD2, 1, 3), Status::kOk);
  const std::uint64_t id = did(1);
  ASSERT_EQ(detach(kD1), Status::kOk);
  ASSERT_EQ(detach(kD2, 3), Status::kOk);
  EXPECT_TRUE(unit().ids().reserved(id));
  EXPECT_EQ(m_.status(kDestroyDomain, {1}), Status::kBusy);
  // The unit is stuck: as long as the invalidation is not done, neither id nor domain is free.
  m_.platform.units[0].stuck = true;
  EXPECT_EQ(detach(kD1, 3), Status::kTimeout);
  EXPECT_TRUE(unit().ids().reserved(id));
  m_.platform.units[0].stuck = false;
  ASSERT_EQ(detach(kD1, 3), Status::kOk);
  EXPECT_FALSE(unit().ids().reserved(id));
}

// ---- replace -------------------------------------------------------------------------------------------------

/// What decides where a request goes: PGTT, and the tables that this PGTT walks.
std::array<std::uint64_t, 5> walked(const std::vector<std::uint64_t>& words) {
  const std::uint64_t pgtt = words.at(0) >> 6 & 7;
  const bool second = pgtt == 2 || pgtt == 3;
  const bool first = pgtt == 1 || pgtt == 3;
  return {words.at(0) & 1, pgtt, second ? words.at(0) & ~std::uint64_t{0x1C1} : 0, second ? words.at(0) >> 2 & 7 : 0,
          first ? words.at(2) : 0};
}

TEST_F(PasidTest, ReplaceIsSeenAsTheOldEntryOrTheNewOneAndRefusedWhereItCannotBe) {
  boot();
  const auto hitless = [&](std::uint64_t from, std::uint64_t to) {
    const auto parent = [](std::uint64_t d) { return d == 5 || d == 6 ? 1 : d == 7 ? 2 : 0; };
    return from <= 2 || to <= 2 || parent(from) == parent(to);
  };
  unsigned done = 0;
  for (std::uint64_t from = 1; from <= 7; ++from) {
    for (std::uint64_t to = 1; to <= 7; ++to) {
      if (to == from) continue;
      const std::string pair = std::to_string(from) + " to " + std::to_string(to);
      ASSERT_EQ(attach(kD1, from), Status::kOk) << pair;
      const std::uint64_t old_id = did(from);
      const std::uint64_t ids = unit().ids().taken();
      const PhysAddr at = entry_at(kD1, 0);
      std::vector<std::uint64_t> before;
      for (unsigned i = 0; i < 8; ++i) before.push_back(m_.platform.read64(at + i * 8U));
      static_cast<void>(take_invalidations());
      const std::size_t wide = m_.platform.writes128.size();
      EntryWatch watch(m_.platform, at, 64);
      const Status s = m_.status(kReplace, {kD1.value, to});
      if (!hitless(from, to)) {
        EXPECT_EQ(s, Status::kNotSupported) << pair;
        EXPECT_THAT(watch.states, IsEmpty()) << pair;
        EXPECT_EQ(unit().ids().taken(), ids) << pair;
        EXPECT_EQ(device(kD1).own.domain->id, from) << pair;
      } else {
        ++done;
        ASSERT_EQ(s, Status::kOk) << pair;
        EXPECT_EQ(m_.platform.writes128.size() - wide, watch.states.size()) << pair << ": a store of 64 bits";
        for (const auto& state : watch.states)
          EXPECT_TRUE(walked(state) == walked(before) || walked(state) == walked(watch.states.back())) << pair;
        const auto after = entry(kD1, 0);
        EXPECT_EQ(after.at(1), did(to)) << pair;
        EXPECT_EQ(after.at(2) & kPointer, to <= 2 ? 0 : top(to)) << pair;
        EXPECT_EQ(device(kD1).own.domain->id, to) << pair;
        EXPECT_FALSE(unit().ids().reserved(old_id)) << pair;
        const std::string id = std::to_string(old_id);
        EXPECT_THAT(
            take_invalidations(),
            ElementsAre("pasid-cache pasid did " + id + " pasid 0",
                        from == 3 || from == 4 ? "pasid-iotlb pasid did " + id + " pasid 0" : "iotlb domain did " + id,
                        "device-tlb 0108 all"))
            << pair;
      }
      ASSERT_EQ(detach(kD1), Status::kOk) << pair;
    }
  }
  EXPECT_EQ(done, 26U);  // of 42 pairs; those between the three groups {3, 4}, {5, 6} and {7} are not
}

TEST_F(PasidTest, ReplaceIsRefusedWithTheReason) {
  boot();
  EXPECT_EQ(m_.status(kReplace, {kD1.value, 1}), Status::kInvalid);  // not attached
  ASSERT_EQ(m_.status(kPassThrough, {kD2.value}), Status::kOk);
  EXPECT_EQ(m_.status(kReplace, {kD2.value, 1}), Status::kInvalid);
  ASSERT_EQ(attach(kD1, 1), Status::kOk);
  EXPECT_EQ(m_.status(kReplace, {kD1.value, 1}), Status::kExists);
  EXPECT_EQ(m_.status(kReplace, {kD1.value, 99}), Status::kNoEntry);
  EXPECT_EQ(m_.status(kReplace, {0x0999, 1}), Status::kNoEntry);
  m_.platform.units[0].stuck = true;  // the old id stays taken until nothing is cached under it
  const std::uint64_t id = did(1);
  EXPECT_EQ(m_.status(kReplace, {kD1.value, 2}), Status::kTimeout);
  EXPECT_TRUE(unit().ids().reserved(id));
}

TEST_F(PasidTest, PlantedReplaceByClearingIsNotPresentInBetween) {
  boot();
  ASSERT_EQ(attach(kD1, 1), Status::kOk);
  m_.platform.deviate(platform::Deviation::kReplaceByClearing);
  EntryWatch watch(m_.platform, entry_at(kD1, 0), 64);
  ASSERT_EQ(m_.status(kReplace, {kD1.value, 2}), Status::kOk);
  EXPECT_EQ(watch.states.front().at(0) & 1, 0U);
  EXPECT_EQ(watch.states.back().at(0) & 1, 1U);
}

// ---- failures ------------------------------------------------------------------------------------------------

/// A device whose requests carry two ids, its own and that of a bridge on another bus.
class AliasTest : public PasidTest, public ::testing::WithParamInterface<bool> {
 protected:
  static constexpr SourceId kBridge = make_source_id(9, 0, 0);
  void SetUp() override {
    PasidTest::SetUp();
    m_.platform.endpoint(kD2).alias = endpoint::kSid.of(kBridge.value) | endpoint::kPresent.of(1);
    if (GetParam()) return;
    m_.platform.policy &= ~platform::policy::kScalable.mask();
  }
  /// Does anything translate for this id, with or without PASID?
  bool translates(SourceId id) {
    const ContextMap& map = unit().context();
    if (!map.present(id) || !map.scalable()) return map.present(id);
    bool any = false;
    const Record128 low = map.low(id);
    const std::uint32_t pasids = pasids_of_pdts(static_cast<unsigned>(low.get(sctx::kPDTS)));
    PasidTable(low.address(sctx::kPASIDDIRPTR), pasids).for_each_present([&](std::uint32_t, const auto&) {
      any = true;
    });
    return any;
  }
};

TEST_P(AliasTest, BothIdsTranslateAndBothAreCutOff) {
  m_.platform.endpoint(kD2).id |= endpoint::kAts.of(1);
  boot();
  ASSERT_EQ(attach(kD2, 1), Status::kOk);
  EXPECT_EQ(unit().context().low(kD2), unit().context().low(kBridge));
  EXPECT_TRUE(unit().context().present(kBridge));
  ASSERT_EQ(detach(kD2), Status::kOk);
  EXPECT_FALSE(translates(kD2));
  EXPECT_FALSE(translates(kBridge));
  const auto expected =
      GetParam() ? std::vector<std::string>{"pasid-cache pasid did 2 pasid 0", "iotlb domain did 2",
                                            "device-tlb 0110 all", "device-tlb 0900 all"}
                 : std::vector<std::string>{"context device did 2 sid 0110", "context device did 2 sid 0900",
                                            "iotlb domain did 2", "device-tlb 0110 all", "device-tlb 0900 all"};
  EXPECT_EQ(take_invalidations(), expected);
}

TEST_P(AliasTest, AttachThatFailsLeavesNothingThatTranslatesAndFreesTheId) {
  boot();
  ASSERT_EQ(attach(kD1, 1), Status::kOk);
  bool failed = false;
  for (std::uint64_t turn = 1; turn < 20; ++turn) {
    m_.plan(platform::FailPlace::kAllocatePage, turn);
    const std::uint64_t ids = unit().ids().taken();
    const Status s = attach(kD2, 2);
    m_.plan(platform::FailPlace::kNone, 0);
    if (s == Status::kOk) break;
    failed = true;
    EXPECT_EQ(s, Status::kNoMemory) << turn;
    EXPECT_FALSE(translates(kD2)) << turn;
    EXPECT_FALSE(translates(kBridge)) << turn;
    EXPECT_EQ(unit().ids().taken(), ids) << turn;
    EXPECT_FALSE(m_.iommu().domain(2)->in_use()) << turn;
    m_.boot(ImageLetter::kA);  // what was made before the failure is kept for the next attempt; here everything again
    boot();
    ASSERT_EQ(attach(kD1, 1), Status::kOk);
  }
  EXPECT_TRUE(failed);
  EXPECT_TRUE(translates(kD2));
  EXPECT_TRUE(translates(kBridge));
}

TEST_P(AliasTest, PassThroughThatFailsLeavesNothingThatTranslates) {
  boot();
  ASSERT_EQ(attach(kD1, 1), Status::kOk);
  bool failed = false;
  for (std::uint64_t turn = 1; turn < 20; ++turn) {
    m_.plan(platform::FailPlace::kAllocatePage, turn);
    const Status s = m_.status(kPassThrough, {kD2.value});
    m_.plan(platform::FailPlace::kNone, 0);
    if (s == Status::kOk) break;
    failed = true;
    EXPECT_FALSE(translates(kD2)) << turn;
    EXPECT_FALSE(translates(kBridge)) << turn;
    boot();
    ASSERT_EQ(attach(kD1, 1), Status::kOk);
  }
  EXPECT_TRUE(failed);
  EXPECT_TRUE(translates(kBridge));
}

TEST_P(AliasTest, ReplaceChangesBothIdsInOneStoreEach) {
  boot();
  ASSERT_EQ(attach(kD2, 1), Status::kOk);
  m_.platform.writes128.clear();
  unsigned narrow = 0;
  m_.platform.on_entry = [&](PhysAddr at) {
    const bool entry = at == unit().context().entry_at(kD2) || at == unit().context().entry_at(kBridge);
    narrow += entry && (m_.platform.writes128.empty() || m_.platform.writes128.back().at != at) ? 1 : 0;
    EXPECT_TRUE(translates(kD2) && translates(kBridge));
  };
  ASSERT_EQ(m_.status(kReplace, {kD2.value, 2}), Status::kOk);
  m_.platform.on_entry = nullptr;
  EXPECT_EQ(narrow, 0U);
  EXPECT_EQ(m_.platform.writes128.size(), 2U);  // two context entries, or two halves of one PASID entry
  EXPECT_EQ(unit().context().low(kD2), unit().context().low(kBridge));
  if (!GetParam()) {
    EXPECT_EQ(unit().context().low(kBridge).words[0] & kPointer, top(2));
  }
}

INSTANTIATE_TEST_SUITE_P(Modes, AliasTest, ::testing::Bool(),
                         [](const auto& info) { return info.param ? "scalable" : "legacy"; });

TEST_F(PasidTest, EntryOfAFailedAttachDoesNotComeAliveWithTheNextOne) {
  boot();
  ASSERT_EQ(attach(kD1, 1), Status::kOk);
  // D3 is on a bus of its own: directory, table, then the context table, which there is no memory for.
  m_.plan(platform::FailPlace::kAllocatePage, 3);
  ASSERT_EQ(attach(kD3, 2), Status::kNoMemory);
  m_.plan(platform::FailPlace::kNone, 0);
  ASSERT_EQ(device(kD3).own.kind, AttachmentKind::kNone);
  EXPECT_EQ(device(kD3).pasids.entry(0), pasid::Entry{});
}

// ---- other devices and blocking ------------------------------------------------------------------------------

TEST_F(PasidTest, DeviceThatIsNotPciIsAttachedAndHasNoBusMasteringToSwitch) {
  m_.platform.endpoint(kD3).id |= endpoint::kNonPci.of(1);
  m_.platform.endpoint(kD3).control = 0;
  boot();
  ASSERT_EQ(attach(kD3, 1), Status::kOk);
  EXPECT_EQ(entry(kD3, 0).at(0) & 1, 1U);
  EXPECT_EQ(m_.platform.endpoint(kD3).control, 0U);
  ASSERT_EQ(m_.iommu().block(device(kD3)), Status::kOk);
  EXPECT_EQ(context(kD3), 0U);
}

TEST_F(PasidTest, AtsAndPageRequestsAreOnWhileTheDeviceIsAttachedWithoutPasid) {
  boot();
  constexpr std::uint32_t kOn = 7, kOff = 1;  // bus master, ATS, PRI
  ASSERT_EQ(attach(kD1, 1), Status::kOk);
  EXPECT_EQ(m_.platform.endpoint(kD1).control, kOn);
  ASSERT_EQ(attach(kD1, 1, 3), Status::kOk);
  ASSERT_EQ(detach(kD1, 3), Status::kOk);
  EXPECT_EQ(m_.platform.endpoint(kD1).control, kOn);
  ASSERT_EQ(detach(kD1), Status::kOk);
  EXPECT_EQ(m_.platform.endpoint(kD1).control, kOff);
}

TEST_F(PasidTest, BlockedDeviceHasNoEntryNoBusMasteringAndKeepsItsIdsTaken) {
  boot();
  ASSERT_EQ(attach(kD1, 1), Status::kOk);
  ASSERT_EQ(attach(kD1, 3, 9), Status::kOk);
  const std::uint64_t second = did(1);
  const std::uint64_t first = did(3);
  static_cast<void>(take_invalidations());
  ASSERT_EQ(m_.iommu().block(device(kD1)), Status::kOk);
  EXPECT_EQ(context(kD1), 0U);
  EXPECT_FALSE(m_.platform.bus_master(kD1));
  EXPECT_THAT(take_invalidations(),
              ElementsAre("context global did 0 sid 0000", "pasid-cache global did 0 pasid 0", "iotlb global did 0"));
  EXPECT_TRUE(unit().ids().reserved(second));
  EXPECT_TRUE(unit().ids().reserved(first));
  EXPECT_FALSE(m_.iommu().domain(1)->in_use());
  EXPECT_FALSE(m_.iommu().domain(3)->in_use());
  // Attached again it sees the new domain and nothing of what it had.
  ASSERT_EQ(attach(kD1, 2, 5), Status::kOk);
  EXPECT_EQ(entry(kD1, 0), (std::array<std::uint64_t, 8>{}));
  EXPECT_EQ(entry(kD1, 9), (std::array<std::uint64_t, 8>{}));
  EXPECT_EQ(entry(kD1, 5).at(0) & kPointer, top(2));
}

TEST_F(PasidTest, DefaultDomainIsEmptyAndGoesAgainWhenItCannotBeAttached) {
  boot();
  ASSERT_EQ(m_.iommu().attach_default(device(kD2)), Status::kOk);
  const Domain& d = *device(kD2).own.domain;
  EXPECT_EQ(d.table.table_pages(), 1U);
  EXPECT_EQ(entry(kD2, 0).at(0) & kPointer, d.table.top());
  EXPECT_EQ(entry(kD2, 0).at(0) >> 2 & 7, 3U);  // the largest width
  bool failed = false;
  for (std::uint64_t turn = 1; turn < 20; ++turn) {
    const std::uint64_t domains = m_.ask(platform::Query::kAllocator, 0, 2);
    const std::uint64_t ids = unit().ids().taken();
    m_.plan(platform::FailPlace::kAllocatePage, turn);
    const Status s = m_.iommu().attach_default(device(kD3));
    m_.plan(platform::FailPlace::kNone, 0);
    if (s == Status::kOk) break;
    failed = true;
    EXPECT_EQ(device(kD3).own.kind, AttachmentKind::kNone) << turn;
    EXPECT_EQ(m_.ask(platform::Query::kAllocator, 0, 2), domains) << turn;
    EXPECT_EQ(unit().ids().taken(), ids) << turn;
  }
  EXPECT_TRUE(failed);
}

}  // namespace
}  // namespace vtd::fw::test
