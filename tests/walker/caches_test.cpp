// SPDX-License-Identifier: MIT
// What walkers keep and what they must forget: paging-structure caches, invalidation, sharing, drain, counters; and A
// and D while others write the tables. Expectations are numbers from the document (VT-d 3.6 to 3.8, 6.2.4, 6.5) and
// from the contract, counted by hand.
#include <algorithm>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "tests/support/matchers.h"
#include "tests/walker/random_world.h"
#include "tests/walker/walker_fixture.h"

namespace vtd::test {
namespace {

// Bits of entries (VT-d 9.7, 9.8).
constexpr std::uint64_t kSecondA = 0x100, kSecondD = 0x200;
constexpr std::uint64_t kPresent = 0x1, kRw = 0x2, kUser = 0x4, kFirstA = 0x20, kFirstD = 0x40, kFirstEa = 0x400;
constexpr std::uint64_t kExecuteDisable = 1ULL << 63;
constexpr std::uint64_t kAddressBits = 0x000F'FFFF'FFFF'F000;
constexpr std::uint64_t k4K = 1ULL << 12, k2M = 1ULL << 21, k1G = 1ULL << 30, k512G = 1ULL << 39, k256T = 1ULL << 48;

constexpr std::uint64_t kIova = 0x12'3456'7000;
constexpr std::uint16_t kTwoDomains[] = {1, 2};

constexpr std::uint8_t reason(const WalkResponse& response) {
  return static_cast<std::uint8_t>(response.fault);
}

/// Passes everything on and keeps what it saw.
class Watch final : public Walker {
 public:
  explicit Watch(Walker& walker) : walker_(walker), ids_(walker.capacity()) {}

  [[nodiscard]] unsigned capacity() const override { return walker_.capacity(); }
  void reset() override { walker_.reset(); }
  [[nodiscard]] bool quiescent() const override { return walker_.quiescent(); }
  [[nodiscard]] bool idle() const override { return walker_.idle(); }
  [[nodiscard]] bool invalidating() const override { return walker_.invalidating(); }
  [[nodiscard]] std::uint32_t count(WalkerEvent event) override { return walker_.count(event); }

  WalkerOutputs cycle(const WalkerInputs& in) override {
    const WalkerOutputs out = walker_.cycle(in);
    if (in.memory_response != nullptr) ids_.at(in.memory_response->id).access.reset();
    if (in.update_response != nullptr) {
      ids_.at(in.update_response->id).access.reset();
      seen[WalkerEvent::kUpdate] += in.update_response->swapped && !in.update_response->error;
      seen[WalkerEvent::kRetry] += !in.update_response->swapped && !in.update_response->error;
    }
    if (out.memory_request) note(ids_.at(out.memory_request->id).access);
    if (out.update_request) note(ids_.at(out.update_request->id).access);
    seen[WalkerEvent::kRead] += out.memory_request && in.memory_ready;
    seen[WalkerEvent::kWalk] += out.request_accepted;
    seen[WalkerEvent::kInvalidation] += out.invalidation_accepted;
    if (out.request_accepted) ids_.at(in.request->id) = {.request = *in.request};
    if (out.invalidation_accepted) accepted_ = edge_;
    if (out.response) {
      Id& id = ids_.at(out.response->id);
      note(id.response);
      if (in.response_ready) {
        seen[WalkerEvent::kFault] += out.response->fault != FaultReason::kNone;
        answers.push_back({out.response->id, *id.response, edge_});
        id = {};
      }
    }
    ++edge_;
    return out;
  }

  /// Of the cycle to come.
  [[nodiscard]] Edge edge() const { return edge_; }
  /// Edge at which the last invalidation was accepted.
  [[nodiscard]] std::optional<Edge> accepted() const { return accepted_; }
  /// True if something of a walk that `invalidation` covers is still to come that was shown up to `edge`: a read, an
  /// update, a response, or memory's answer.
  [[nodiscard]] bool owes_since(Edge edge, const WalkInvalidation& invalidation) const {
    return std::any_of(ids_.begin(), ids_.end(), [&](const Id& id) {
      return covers(invalidation, id.request) &&
             ((id.access && *id.access <= edge) || (id.response && *id.response <= edge));
    });
  }
  struct Answer {
    WalkId id = 0;
    Edge shown = 0;
    Edge taken = 0;
  };
  std::vector<Answer> answers;  ///< in their order
  std::map<WalkerEvent, std::uint32_t> seen;

 private:
  struct Id {
    WalkRequest request{};
    std::optional<Edge> access{};    ///< when the read or update that is not answered was shown first
    std::optional<Edge> response{};  ///< when the response that is not taken was shown first
  };
  void note(std::optional<Edge>& since) const {
    if (!since) since = edge_;
  }
  Walker& walker_;
  std::vector<Id> ids_;
  Edge edge_ = 0;
  std::optional<Edge> accepted_;
};

/// Where host tables, guest tables and pages come from: one machine.
struct Machine {
  FakeMemory memory;
  TableBuilder tables{memory};
  TableBuilder guest_tables{memory, 0x4000'0000};  ///< host addresses, all in 2 MiB
  std::uint64_t next_page = 0x20'0000'0000;
  std::map<std::uint16_t, std::uint64_t> second_roots{};  ///< by domain
};

/// One address space: walks of one kind, domain and PASID, mapped where they are asked for. Entries are made with
/// everything allowed and A, D set; the bits can be chosen.
///
/// Nested: first-stage tables are at guest addresses of 2 MiB, pages of another 2 MiB, each in a 512 GiB of its own.
class Space {
 public:
  static constexpr std::uint64_t kGuestTables = 0x80'0000'0000 + 0x4000'0000;  ///< of the host address 0x4000'0000
  static constexpr std::uint64_t kGuestPages = 0x100'0000'0000;

  Space(Machine& machine, WalkRequest like) : machine_(machine), like_(like) {
    if (first()) second_above |= kSecondA | kSecondD;
    const std::uint16_t domain = like_.domain.value;
    if (like_.kind != WalkKind::kFirstStage) {
      auto& root = machine_.second_roots[domain];
      if (root == 0) root = machine_.tables.new_table();
      like_.root = root;
    }
  }

  std::uint64_t above = 0, leaf = 0;  ///< bits of the entries above the leaf, and of the leaf; 0: all
  std::uint64_t second_above = kReadWrite | kSecondA | kSecondD;  ///< nested: of the second stage, above its leaves
  std::uint64_t table_leaf = kReadWrite | kSecondA | kSecondD;    ///< nested: of leaves that map tables
  std::uint64_t page_leaf = kReadWrite | kSecondA | kSecondD;     ///< nested: of leaves that map pages

  [[nodiscard]] bool first() const { return like_.kind == WalkKind::kFirstStage || like_.kind == WalkKind::kNested; }
  [[nodiscard]] bool nested() const { return like_.kind == WalkKind::kNested; }
  [[nodiscard]] unsigned levels() const { return first() ? like_.first_levels : like_.levels; }
  [[nodiscard]] WalkRequest& like() { return like_; }

  /// The walk of `iova`, which is mapped if it is not yet.
  WalkRequest at(std::uint64_t iova, Access access = Access::kRead) {
    map(iova);
    WalkRequest request = like_;
    request.iova = iova;
    request.access = access;
    return request;
  }
  [[nodiscard]] std::uint64_t page(std::uint64_t iova) const { return pages_.at(iova); }
  /// Where the own entry of `level` for `iova` lies in memory.
  [[nodiscard]] std::uint64_t entry(std::uint64_t iova, unsigned level) const {
    return host(TableBuilder::entry_in(table(iova, level), iova, level));
  }
  /// Where the table that holds it lies; nested: its guest address.
  [[nodiscard]] std::uint64_t table(std::uint64_t iova, unsigned level) const {
    std::uint64_t table = root();
    for (unsigned l = levels(); l > level; --l)
      table = machine_.memory.word(host(TableBuilder::entry_in(table, iova, l))) & kAddressBits;
    return table;
  }
  /// Nested: where the second-stage entry of `level` for a guest address lies.
  [[nodiscard]] std::uint64_t second_entry(std::uint64_t guest, unsigned level = 1) const {
    return machine_.tables.entry(like_.root, like_.levels, guest, level);
  }
  /// Nested: guest address of the page.
  [[nodiscard]] std::uint64_t guest_page(std::uint64_t iova) const {
    return machine_.memory.word(entry(iova, 1)) & kAddressBits;
  }

  // What software does to tables; each returns the page that `iova` has afterwards.
  /// The leaf gets another page.
  std::uint64_t remap(std::uint64_t iova) {
    set_leaf(entry(iova, 1), iova);
    return page(iova);
  }
  /// The entry of `level` points to tables that are new from there on.
  std::uint64_t replant(std::uint64_t iova, unsigned level) {
    machine_.memory.set_word(entry(iova, level), 0);
    pages_.erase(iova);
    map(iova);
    return page(iova);
  }
  /// Nested: the second stage maps the guest page to another one.
  std::uint64_t move_page(std::uint64_t iova) {
    return pages_[iova] = map_second(guest_page(iova), new_host_page(), page_leaf);
  }
  /// Nested: the second stage maps the table of the first-stage leaf to another page, in which the leaf is another.
  std::uint64_t move_table(std::uint64_t iova) {
    const std::uint64_t copy = machine_.guest_tables.new_table();
    map_second(table(iova, 1), copy, table_leaf);
    moved_[table(iova, 1)] = copy;
    set_leaf(TableBuilder::entry_in(copy, iova, 1), iova);
    return page(iova);
  }

 private:
  [[nodiscard]] std::uint64_t root() const { return first() ? like_.first_root : like_.root; }
  [[nodiscard]] std::uint64_t host(std::uint64_t address) const {
    if (!nested()) return address;
    const auto moved = moved_.find(address & kAddressBits);
    return moved != moved_.end() ? moved->second + address % 0x1000 : address - kGuestTables + 0x4000'0000;
  }
  std::uint64_t new_host_page() { return machine_.next_page += 0x1000; }
  std::uint64_t bits_above() const {
    if (above != 0) return above;
    return first() ? kPresent | kRw | kUser | kFirstA | kFirstEa : kReadWrite | kSecondA;
  }
  std::uint64_t bits_of_leaf() const {
    if (leaf != 0) return leaf;
    return first() ? kPresent | kRw | kUser | kFirstA | kFirstD | kFirstEa : kReadWrite | kSecondA | kSecondD;
  }
  /// Second stage of a nested walk. Returns `page`.
  std::uint64_t map_second(std::uint64_t guest, std::uint64_t page, std::uint64_t bits) {
    machine_.tables.map(like_.root, like_.levels, guest, 1, page | bits);
    for (unsigned level = 2; level <= like_.levels; ++level) {
      const std::uint64_t entry = second_entry(guest, level);
      machine_.memory.set_word(entry, (machine_.memory.word(entry) & kAddressBits) | second_above);
    }
    return page;
  }
  std::uint64_t new_table() {
    if (!nested()) return machine_.tables.new_table();
    const std::uint64_t table = machine_.guest_tables.new_table();
    map_second(table - 0x4000'0000 + kGuestTables, table, table_leaf);
    return table - 0x4000'0000 + kGuestTables;
  }
  void map(std::uint64_t iova) {
    if (pages_.count(iova) != 0) return;
    if (first() && like_.first_root == 0) like_.first_root = new_table();
    for (unsigned level = levels(); level > 1; --level) {
      const std::uint64_t at = entry(iova, level);
      if (machine_.memory.word(at) == 0) machine_.memory.set_word(at, new_table() | bits_above());
    }
    set_leaf(entry(iova, 1), iova);
  }
  void set_leaf(std::uint64_t at, std::uint64_t iova) {
    const std::uint64_t page = pages_[iova] = new_host_page();
    std::uint64_t address = page;
    if (nested()) {
      address = kGuestPages + (page & 0xFFF'F000);  // one after the other
      map_second(address, page, page_leaf);
    }
    machine_.memory.set_word(at, address | bits_of_leaf());
  }

  Machine& machine_;
  WalkRequest like_;
  std::map<std::uint64_t, std::uint64_t> pages_;
  std::map<std::uint64_t, std::uint64_t> moved_;  ///< nested: guest tables that move_table() moved
};

WalkRequest like(WalkKind kind, std::uint16_t domain = 1, std::uint32_t pasid = 0, std::uint8_t levels = 4) {
  WalkRequest r;
  r.kind = kind;
  r.domain = DomainId{domain};
  r.pasid = Pasid{pasid};
  if (kind == WalkKind::kFirstStage || kind == WalkKind::kNested)
    r.first_levels = levels;
  else
    r.levels = levels;
  return r;
}

WalkInvalidation of(WalkScope scope, std::uint16_t domain = 1, std::uint32_t pasid = 0, std::uint64_t address = 0,
                    unsigned mask = 0, bool leaf_only = false) {
  return {.scope = scope,
          .domain = DomainId{domain},
          .pasid = Pasid{pasid},
          .address = address,
          .address_mask = static_cast<std::uint8_t>(mask),
          .leaf_only = leaf_only};
}

std::string name_of(WalkKind kind) {
  static const char* const kNames[] = {"legacy", "second-stage", "first-stage", "nested"};
  return kNames[static_cast<unsigned>(kind)];
}

/// One machine, one walker that caches and shares, and a bench.
class WalkerKeeps : public testing::TestWithParam<WalkerUnderTest> {
 protected:
  void start(const WalkerConfig& config) {
    bench_.reset();
    walker_ = make_walker(GetParam(), config);
    watch_ = std::make_unique<Watch>(*walker_);
    bench_ = std::make_unique<WalkerBench>(*watch_, memory());
  }
  /// Other tables and another walker.
  void anew() {
    machine_ = std::make_unique<Machine>();
    start({});
  }
  void SetUp() override { start({}); }

  FakeMemory& memory() { return machine_->memory; }
  TableBuilder& tables() { return machine_->tables; }
  Space space(WalkKind kind, std::uint16_t domain = 1, std::uint32_t pasid = 0, std::uint8_t levels = 4) {
    return {*machine_, like(kind, domain, pasid, levels)};
  }
  WalkResponse walk(const WalkRequest& request) { return bench_->run(request); }
  /// Walks `iova`, which must lead to its page; the reads that it took.
  unsigned reads(Space& s, std::uint64_t iova, Access access = Access::kRead) {
    const std::uint64_t before = bench_->reads();
    const WalkResponse response = walk(s.at(iova, access));
    EXPECT_THAT(response, MapsTo(s.page(iova), 1)) << name_of(s.like().kind) << " iova 0x" << std::hex << iova;
    EXPECT_EQ(bench_->reads() - before, response.reads);
    return response.reads;
  }
  void invalidate(const WalkInvalidation& invalidation) {
    ASSERT_TRUE(watch_->cycle({.invalidation = &invalidation}).invalidation_accepted);
    for (unsigned edges = 0; watch_->invalidating(); ++edges) {
      ASSERT_LT(edges, 1000U) << "an invalidation does not end";
      ASSERT_FALSE(watch_->quiescent()) << "nothing is in flight: it goes on by itself";
      watch_->cycle({});
    }
  }

  std::unique_ptr<Machine> machine_ = std::make_unique<Machine>();
  std::unique_ptr<Walker> walker_;
  std::unique_ptr<Watch> watch_;
  std::unique_ptr<WalkerBench> bench_;
};

/// The tests that look at reads saved: walkers that have caches.
class WalkerCaches : public WalkerKeeps {};

// ---- what a walk after another one reads ---------------------------------------------------------------------------

TEST_P(WalkerCaches, AWalkReadsOnlyWhatNoWalkBeforeItHasRead) {
  for (const WalkKind kind : {WalkKind::kLegacy, WalkKind::kSecondStage, WalkKind::kFirstStage}) {
    for (std::uint8_t levels = kind == WalkKind::kFirstStage ? 4 : 3; levels <= 5; ++levels) {
      SCOPED_TRACE(testing::Message() << name_of(kind) << ", " << unsigned{levels} << " levels");
      start({});
      Space s = space(kind, 1, 0, levels);
      EXPECT_EQ(reads(s, kIova), levels) << "cold";
      EXPECT_EQ(reads(s, kIova), 1U) << "the same page";
      EXPECT_EQ(reads(s, kIova + k4K), 1U) << "same 2 MiB";
      EXPECT_EQ(reads(s, kIova + k2M), 2U) << "same 1 GiB";
      EXPECT_EQ(reads(s, kIova + k2M + k4K), 1U);
      EXPECT_EQ(reads(s, kIova + k1G), 3U) << "same 512 GiB";
      EXPECT_EQ(reads(s, kIova + k1G + k2M), 2U);
      EXPECT_EQ(reads(s, kIova + k1G + k4K), 1U);
      if (levels == 3) continue;
      EXPECT_EQ(reads(s, kIova + k512G), levels) << "only the top table is shared";
      EXPECT_EQ(reads(s, kIova + k512G + k1G), 3U);
      if (levels == 4) continue;
      EXPECT_EQ(reads(s, kIova + k256T), 5U);
      EXPECT_EQ(reads(s, kIova + k256T + k1G), 3U);
    }
  }
}

TEST_P(WalkerCaches, ANestedWalkReadsTwoEntriesWhereBothStagesAreKnown) {
  for (const bool accessed_dirty : {false, true}) {
    start({});
    Space s = space(WalkKind::kNested, static_cast<std::uint16_t>(1 + accessed_dirty));
    s.like().accessed_dirty = accessed_dirty;
    // The top table costs 4 + 1. The next three are in the 2 MiB of the first: 1 + 1. The page is elsewhere: 4.
    EXPECT_EQ(reads(s, kIova), 4U + 1 + 3 * 2 + 4);
    EXPECT_EQ(reads(s, kIova), 2U) << "the leaf of each stage";
    EXPECT_EQ(reads(s, kIova + k4K), 2U);
    EXPECT_EQ(reads(s, kIova + k2M), 4U) << "an entry in a table that is known, one in a new table, the page";
    EXPECT_EQ(reads(s, kIova + k1G), 6U);
    EXPECT_EQ(reads(s, kIova + k512G), 8U) << "the top table is known";
    EXPECT_EQ(reads(s, kIova + k512G), 2U);
  }
}

TEST_P(WalkerCaches, ANestedWalkOfFiveLevels) {
  Space s = space(WalkKind::kNested, 1, 3, 5);
  s.like().levels = 5;
  EXPECT_EQ(reads(s, kIova), 5U + 1 + 4 * 2 + 5);
  EXPECT_EQ(reads(s, kIova + k4K), 2U);
  EXPECT_EQ(reads(s, kIova + k512G), 1U + 1 + 2 + 2 + 2 + 1) << "the tables of levels 5 and 4 are known";
  EXPECT_EQ(reads(s, kIova + k256T), 1U + 2 + 2 + 2 + 2 + 1);
}

TEST_P(WalkerCaches, SecondStageEntriesServeWalksOfPagesAndOfTables) {
  // A domain has one second stage, whether its walks are nested or not.
  Space s = space(WalkKind::kSecondStage);
  Space n = space(WalkKind::kNested);
  EXPECT_EQ(reads(n, kIova), 15U);
  EXPECT_EQ(reads(s, Space::kGuestTables + 0x10'0000), 1U);
  EXPECT_EQ(reads(s, Space::kGuestPages + k2M), 2U);
}

TEST_P(WalkerCaches, EveryAddressBitTellsEntriesApart) {
  struct Case {
    WalkKind kind;
    std::uint8_t levels;
  };
  for (const Case c : {Case{WalkKind::kLegacy, 5}, Case{WalkKind::kSecondStage, 4}, Case{WalkKind::kFirstStage, 5},
                       Case{WalkKind::kFirstStage, 4}, Case{WalkKind::kSecondStage, 3}}) {
    Space s = space(c.kind, 1, 0, c.levels);
    if (c.kind != WalkKind::kFirstStage) s.like().root = tables().new_table();
    const unsigned width = 12U + 9 * c.levels - (c.kind == WalkKind::kFirstStage ? 1 : 0);
    for (unsigned bit = 12; bit < width; ++bit) {
      SCOPED_TRACE(testing::Message() << name_of(c.kind) << ", " << unsigned{c.levels} << " levels, bit " << bit);
      start({});
      reads(s, kIova);
      const unsigned expected = bit < 21 ? 1 : bit < 30 ? 2 : bit < 39 ? 3 : c.levels;
      EXPECT_EQ(reads(s, kIova ^ (1ULL << bit)), expected);
    }
  }
}

TEST_P(WalkerCaches, EveryBitOfDomainAndPasidTellsEntriesApart) {
  for (const WalkKind kind : {WalkKind::kSecondStage, WalkKind::kFirstStage, WalkKind::kNested}) {
    const unsigned pasid_bits = kind == WalkKind::kSecondStage ? 0 : 20;
    for (unsigned bit = 0; bit < 16 + pasid_bits; ++bit) {
      SCOPED_TRACE(testing::Message() << name_of(kind) << ", bit " << bit);
      anew();
      Space one = space(kind, 0x1234, 0x5'6789);
      const std::uint16_t domain = static_cast<std::uint16_t>(bit < 16 ? 0x1234U ^ (1U << bit) : 0x1234U);
      Space other = space(kind, domain, bit < 16 ? 0x5'6789 : 0x5'6789 ^ (1U << (bit - 16)));
      const unsigned cold = reads(one, kIova);
      // Nested, same domain: the second stage is known, and not the tables, which are others.
      EXPECT_EQ(reads(other, kIova), kind == WalkKind::kNested && bit >= 16 ? 4U * 2 + 1 : cold);
    }
  }
}

TEST_P(WalkerCaches, NestedAndPlainWalksOfOnePasidHaveTheirOwnFirstStage) {
  // The tables of one are at guest addresses, of the other at host addresses.
  Space n = space(WalkKind::kNested, 1, 7);
  Space f = space(WalkKind::kFirstStage, 1, 7);
  EXPECT_EQ(reads(n, kIova), 15U);
  EXPECT_EQ(reads(f, kIova), 4U);
  EXPECT_EQ(reads(n, kIova + k4K), 2U);
  EXPECT_EQ(reads(f, kIova + k4K), 1U);
}

TEST_P(WalkerCaches, SwitchedOffTheyKeepNothing) {
  start({.structure_caches = false});
  for (const WalkKind kind : {WalkKind::kLegacy, WalkKind::kSecondStage, WalkKind::kFirstStage}) {
    Space s = space(kind);
    for (int i = 0; i < 3; ++i) EXPECT_EQ(reads(s, kIova), 4U);
  }
  Space n = space(WalkKind::kNested);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(reads(n, kIova), 24U);
  EXPECT_EQ(watch_->count(WalkerEvent::kFill), 0U);
}

// ---- what does not qualify -----------------------------------------------------------------------------------------

TEST_P(WalkerCaches, FirstStageEntriesWithAClearAreNotKept) {
  Space s = space(WalkKind::kFirstStage);
  s.above = kPresent | kRw | kUser;
  EXPECT_EQ(reads(s, kIova), 4U);
  EXPECT_EQ(bench_->updates(), 3U) << "A of the three tables; the leaf has it";
  EXPECT_EQ(reads(s, kIova + k4K), 4U) << "now A is set";
  EXPECT_EQ(reads(s, kIova + 2 * k4K), 1U);
}

TEST_P(WalkerCaches, FirstStageEntriesWithExtendedAccessedClearAreNotKeptWhereItIsUsed) {
  for (const bool extended : {false, true}) {
    Space s = space(WalkKind::kFirstStage, static_cast<std::uint16_t>(1 + extended));
    s.like().extended_accessed = extended;
    s.above = kPresent | kRw | kUser | kFirstA;
    EXPECT_EQ(reads(s, kIova), 4U);
    EXPECT_EQ(reads(s, kIova + k4K), extended ? 4U : 1U);
    EXPECT_EQ(reads(s, kIova + 2 * k4K), 1U);
  }
}

TEST_P(WalkerCaches, SecondStageEntriesWithAClearAreNotKeptWhereItIsUsed) {
  for (const bool used : {false, true}) {
    Space s = space(WalkKind::kSecondStage, static_cast<std::uint16_t>(1 + used));
    s.like().accessed_dirty = used;
    s.above = kReadWrite;
    EXPECT_EQ(reads(s, kIova), 4U);
    EXPECT_EQ(reads(s, kIova + k4K), used ? 4U : 1U);
    EXPECT_EQ(reads(s, kIova + 2 * k4K), 1U);
  }
  Space legacy = space(WalkKind::kLegacy, 5);
  legacy.above = kReadWrite;
  EXPECT_EQ(reads(legacy, kIova), 4U);
  EXPECT_EQ(reads(legacy, kIova + k4K), 1U);
}

TEST_P(WalkerCaches, ASecondStagePathWithoutReadOrWriteIsNotKept) {
  for (const WalkKind kind : {WalkKind::kLegacy, WalkKind::kSecondStage}) {
    for (const std::uint64_t lacks : {kReadable, kWritable}) {
      for (unsigned level = 2; level <= 4; ++level) {
        SCOPED_TRACE(testing::Message() << name_of(kind) << " lacks " << lacks << " at level " << level);
        anew();
        Space s = space(kind);
        const Access access = lacks == kReadable ? Access::kWrite : Access::kRead;
        s.at(kIova);
        s.at(kIova + k4K);
        tables().change(s.entry(kIova, level), lacks, 0);
        EXPECT_EQ(reads(s, kIova, access), 4U);
        // What is above the entry is kept; the entry, and what is below it on the path, is not.
        for (int i = 0; i < 2; ++i) EXPECT_EQ(reads(s, kIova + k4K, access), level);
        const WalkResponse denied = walk(s.at(kIova + k4K, lacks == kReadable ? Access::kRead : Access::kWrite));
        const bool legacy = kind == WalkKind::kLegacy;
        EXPECT_EQ(reason(denied), lacks == kReadable ? (legacy ? 0x6 : 0x86) : (legacy ? 0x5 : 0x85));
      }
    }
  }
}

TEST_P(WalkerCaches, FirstStagePathsBringTheirRights) {
  struct Case {
    const char* name;
    std::uint64_t clear, set;
    std::uint8_t fault;
  };
  for (unsigned level = 2; level <= 4; ++level) {
    for (const Case& c : {Case{"R/W", kRw, 0, 0x85}, Case{"U/S", kUser, 0, 0x81}, Case{"XD", 0, kExecuteDisable, 0x82},
                          Case{"none", 0, 0, 0}}) {
      SCOPED_TRACE(testing::Message() << c.name << " at level " << level);
      anew();
      Space s = space(WalkKind::kFirstStage);
      s.like().privileged = c.clear == kUser;
      for (const std::uint64_t iova : {kIova, kIova + k4K, kIova + k2M}) s.at(iova);
      tables().change(s.entry(kIova, level), c.clear, c.set);
      EXPECT_EQ(reads(s, kIova), 4U);
      for (const std::uint64_t iova : {kIova + k4K, kIova + k2M, kIova + k2M + k4K}) {
        // The first goes by level 2, the next by level 3, the last by what was kept on the way.
        if (level == 2 && iova >= kIova + k2M) continue;
        const WalkResponse result = walk(s.at(iova));
        EXPECT_EQ(result.reads, iova == kIova + k2M ? 2 : 1);
        EXPECT_EQ(result.writable, c.clear != kRw);
        EXPECT_EQ(result.user, c.clear != kUser);
        EXPECT_EQ(result.executable, c.set == 0);
        WalkRequest needs = s.at(iova);
        needs.access = c.clear == kRw ? Access::kWrite : Access::kRead;
        needs.execute = c.set != 0;
        needs.privileged = false;
        const WalkResponse asked = walk(needs);
        EXPECT_EQ(reason(asked), c.fault);
        EXPECT_EQ(asked.reads, 1);
      }
    }
  }
}

TEST_P(WalkerCaches, GuestPagesOfTablesAreKeptIfTheyCanBeWrittenWithoutMore) {
  struct Case {
    const char* name;
    bool accessed_dirty;
    std::uint64_t bits;
    unsigned again;  ///< reads of the next page in the same 2 MiB
  };
  for (const Case& c :
       {Case{"A and D are set", true, kReadWrite | kSecondA | kSecondD, 2},
        Case{"D is clear", true, kReadWrite | kSecondA, 3},
        Case{"A and D are clear, and not used", false, kReadWrite, 2}, Case{"read-only", false, kReadable, 3},
        Case{"read-only, A and D are set", true, kReadable | kSecondA | kSecondD, 3}}) {
    SCOPED_TRACE(c.name);
    anew();
    Space s = space(WalkKind::kNested);
    s.like().accessed_dirty = c.accessed_dirty;
    s.table_leaf = c.bits;
    EXPECT_EQ(reads(s, kIova), 15U);
    EXPECT_EQ(reads(s, kIova + k4K), c.again);
    EXPECT_EQ(reads(s, kIova + k4K), c.again);
  }
}

TEST_P(WalkerCaches, AGuestPageWithAClearIsKeptOnlyOnceItIsSet) {
  Space s = space(WalkKind::kNested);
  s.like().accessed_dirty = true;
  s.table_leaf = kReadWrite | kSecondD;
  EXPECT_EQ(reads(s, kIova), 15U);
  EXPECT_EQ(bench_->updates(), 4U) << "A of the leaf of each table";
  EXPECT_EQ(reads(s, kIova + k4K), 3U);
  EXPECT_EQ(reads(s, kIova + k4K), 2U);
}

TEST_P(WalkerCaches, TheSecondStagePathToATableMustBeWritableAllTheWay) {
  Space s = space(WalkKind::kNested);
  s.at(kIova);
  s.at(kIova + k4K);
  tables().change(s.second_entry(Space::kGuestTables, 3), kWritable, 0);
  EXPECT_EQ(reads(s, kIova), 5U + 3 * (3 + 1) + 4) << "level 4 is kept";
  EXPECT_EQ(reads(s, kIova + k4K), 3U + 1 + 1);
}

TEST_P(WalkerCaches, WhatAFaultCameByIsKeptButNotTheEntryThatFaulted) {
  Space s = space(WalkKind::kSecondStage);
  s.at(kIova);
  const std::uint64_t at = s.entry(kIova, 2);
  const std::uint64_t entry = memory().word(at);
  for (const std::uint64_t bad : std::initializer_list<std::uint64_t>{0, entry | (1ULL << 51)}) {
    start({});
    memory().set_word(at, bad);
    EXPECT_EQ(walk(s.at(kIova)).reads, 3);
    EXPECT_EQ(walk(s.at(kIova)).reads, 1);
    memory().set_word(at, entry);
    EXPECT_EQ(reads(s, kIova), 2U);
  }
}

TEST_P(WalkerCaches, AReadThatFailedIsNotKept) {
  Space s = space(WalkKind::kSecondStage);
  bool broken = true;
  bench_->surroundings.spoil = [&](MemoryResponse& r) { r.error = broken; };
  EXPECT_EQ(reason(walk(s.at(kIova))), 0x7B);
  broken = false;
  EXPECT_EQ(reads(s, kIova), 4U);
}

TEST_P(WalkerCaches, LeavesAreNotKept) {
  // 2 MiB pages: an entry of level 2 that is no pointer.
  Space s = space(WalkKind::kSecondStage);
  s.at(kIova);
  memory().set_word(s.entry(kIova, 2), 0x8000'0000 | kReadWrite | kPageSizeBit);
  for (const unsigned expected : {3U, 1U, 1U}) {
    const WalkResponse response = walk(s.at(kIova));
    EXPECT_THAT(response, MapsTo(0x8000'0000, 2));
    EXPECT_EQ(response.reads, expected);
  }
  Space f = space(WalkKind::kFirstStage);
  f.at(kIova);
  memory().set_word(f.entry(kIova, 2), 0x8000'0000 | kPresent | kRw | kUser | kFirstA | kFirstD | kPageSizeBit);
  for (const unsigned expected : {3U, 1U, 1U}) {
    const WalkResponse response = walk(f.at(kIova));
    EXPECT_THAT(response, MapsTo(0x8000'0000, 2));
    EXPECT_EQ(response.reads, expected);
  }
}

TEST_P(WalkerCaches, ResetForgetsAll) {
  std::vector<Space> spaces;
  for (const WalkKind kind : {WalkKind::kSecondStage, WalkKind::kFirstStage, WalkKind::kNested})
    spaces.push_back(space(kind, 1 + static_cast<std::uint16_t>(kind)));
  std::vector<unsigned> cold;
  for (Space& s : spaces) cold.push_back(reads(s, kIova));
  watch_->reset();
  for (std::size_t i = 0; i < spaces.size(); ++i) EXPECT_EQ(reads(spaces[i], kIova), cold[i]);
}

// ---- capacity ------------------------------------------------------------------------------------------------------

TEST_P(WalkerCaches, FourPrefixesThatMeetInOneSetAllStay) {
  // Four ways, replaced in turn, whatever selects the set.
  for (const WalkKind kind : {WalkKind::kSecondStage, WalkKind::kFirstStage}) {
    for (const std::uint64_t stride : {k2M, 16 * k2M, 64 * k2M, k1G, 4 * k1G, 64 * k1G}) {
      SCOPED_TRACE(testing::Message() << name_of(kind) << " stride 0x" << std::hex << stride);
      anew();
      Space s = space(kind);
      for (std::uint64_t i = 0; i < 4; ++i) reads(s, kIova + i * stride);
      for (std::uint64_t i = 0; i < 4; ++i) EXPECT_EQ(reads(s, kIova + i * stride), 1U) << "prefix " << i;
    }
  }
}

TEST_P(WalkerCaches, SixtyFourNeighbouring2MRegionsAllStay) {
  for (const WalkKind kind : {WalkKind::kSecondStage, WalkKind::kFirstStage}) {
    Space s = space(kind);
    for (std::uint64_t i = 0; i < 64; ++i) EXPECT_EQ(reads(s, i * k2M), i == 0 ? 4U : 2U);
    for (std::uint64_t i = 0; i < 64; ++i) EXPECT_EQ(reads(s, i * k2M), 1U) << "region " << i;
  }
}

TEST_P(WalkerCaches, MorePrefixesThanEntriesAreStillTranslated) {
  std::mt19937_64 random(7);
  std::vector<Space> spaces;
  for (const std::uint16_t domain : kTwoDomains)
    for (const WalkKind kind : {WalkKind::kSecondStage, WalkKind::kFirstStage, WalkKind::kNested})
      for (std::uint32_t pasid = 0; pasid < (kind == WalkKind::kNested ? 3U : 1U); ++pasid)
        spaces.push_back(space(kind, domain, pasid));
  unsigned most = 0, least = 100;
  for (int i = 0; i < 3000; ++i) {
    Space& s = spaces[random() % spaces.size()];
    if (s.nested() && random() % 4 != 0) continue;  // their tables fit into 2 MiB
    const std::uint64_t limit = s.nested() ? 24 : 200;
    const unsigned taken = reads(s, (random() % limit) << (random() % 2 == 0 ? 21 : 30));
    most = std::max(most, taken);
    least = std::min(least, taken);
  }
  EXPECT_EQ(least, 1U);
  EXPECT_GE(most, 4U);
}

TEST_P(WalkerCaches, AnEntryIsKeptOnceThoughTwoWalksReadIt) {
  // Two walks read the same entry, which changes between: later walks go one way or the other, not between.
  for (const WalkKind kind : {WalkKind::kSecondStage, WalkKind::kFirstStage}) {
    Space s = space(kind);
    const std::uint64_t other_half = kIova ^ (1ULL << 13);
    s.at(kIova);
    s.at(other_half);
    s.at(kIova + k4K);
    const std::uint64_t old_page = s.page(kIova + k4K);
    start({});
    unsigned answers = 0;
    bench_->surroundings.latency = [](auto&) { return Edge{3}; };
    bench_->surroundings.spoil = [&](MemoryResponse&) {
      if (++answers == 5) s.replant(kIova + k4K, 2);  // both have passed level 3, one has read level 2
    };
    bench_->run(std::vector{s.at(kIova), s.at(other_half)});
    bench_->surroundings = {};
    const WalkResponse third = walk(s.at(kIova + k4K));
    EXPECT_EQ(third.fault, FaultReason::kNone);
    EXPECT_TRUE(third.page == old_page || third.page == s.page(kIova + k4K)) << std::hex << third.page;
    EXPECT_EQ(third.reads, 1);
  }
}

TEST_P(WalkerCaches, APrefixThatTwoWalksReadTakesOneWay) {
  for (const WalkKind kind : {WalkKind::kSecondStage, WalkKind::kFirstStage}) {
    for (const std::uint64_t stride : {64 * k2M, 64 * k1G}) {
      anew();
      Space s = space(kind);
      bench_->surroundings.latency = [](auto&) { return Edge{3}; };
      reads(s, kIova + stride);
      bench_->run(std::vector{s.at(kIova), s.at(kIova + k4K)});
      for (std::uint64_t i = 2; i < 4; ++i) reads(s, kIova + i * stride);
      for (std::uint64_t i = 0; i < 4; ++i) EXPECT_EQ(reads(s, kIova + i * stride), 1U) << "prefix " << i;
    }
  }
}

TEST_P(WalkerCaches, AFirstStageEntryInAKeptGuestTableCanBeMarked) {
  for (const bool accessed_dirty : {false, true}) {
    anew();
    Space s = space(WalkKind::kNested);
    s.like().accessed_dirty = accessed_dirty;
    if (!accessed_dirty) s.second_above = s.table_leaf = s.page_leaf = kReadWrite;
    EXPECT_EQ(reads(s, kIova), 15U);
    s.leaf = kPresent | kRw | kUser;
    EXPECT_EQ(reads(s, kIova + k4K, Access::kWrite), 2U);
    EXPECT_EQ(bench_->updates(), 1U);
    EXPECT_EQ(memory().word(s.entry(kIova + k4K, 1)) & (kFirstA | kFirstD), kFirstA | kFirstD);
  }
}

// ---- invalidation --------------------------------------------------------------------------------------------------

/// Six users of the caches: in domains 1 and 2, second-stage, first-stage of PASID 5, nested of PASID 6.
class WalkerScopes : public WalkerCaches {
 protected:
  static constexpr unsigned kUsers = 6;
  std::vector<Space> users() {
    std::vector<Space> all;
    for (const std::uint16_t domain : kTwoDomains) {
      all.push_back(space(WalkKind::kSecondStage, domain));
      all.push_back(space(WalkKind::kFirstStage, domain, 5));
      all.push_back(space(WalkKind::kNested, domain, 6));
    }
    return all;
  }
  /// After `invalidation` each user's walk of a page in a 2 MiB that was known takes so many reads.
  void expect_reads(const WalkInvalidation& invalidation, const std::vector<unsigned>& expected) {
    for (unsigned u = 0; u < kUsers; ++u) {
      SCOPED_TRACE(testing::Message() << "user " << u);
      anew();
      std::vector<Space> all = users();
      for (Space& s : all) reads(s, kIova);
      invalidate(invalidation);
      EXPECT_EQ(reads(all[u], kIova + k4K), expected[u]);
    }
  }
};

TEST_P(WalkerScopes, EachForgetsWhatItCoversAndNothingElse) {
  // Known: 1, 1, 2 reads. Gone: 4, 4, 15. Nested without its first stage, which is read through tables that are known:
  // 4 + 1; and without guest pages: 4 * 2 + 1.
  struct Case {
    const char* name;
    WalkInvalidation invalidation;
    std::vector<unsigned> reads;
  };
  const std::uint64_t far = kIova + 5 * k512G;
  for (const Case& c : {
           Case{"all", of(WalkScope::kAll), {4, 4, 15, 4, 4, 15}},
           Case{"domain", of(WalkScope::kDomain, 1), {4, 4, 15, 1, 1, 2}},
           Case{"other domain", of(WalkScope::kDomain, 2), {1, 1, 2, 4, 4, 15}},
           Case{"third domain", of(WalkScope::kDomain, 3), {1, 1, 2, 1, 1, 2}},
           Case{"page", of(WalkScope::kDomainPage, 1, 0, kIova), {4, 4, 9, 1, 1, 2}},
           Case{"page, leaf", of(WalkScope::kDomainPage, 1, 0, kIova, 0, true), {1, 4, 9, 1, 1, 2}},
           Case{"page elsewhere", of(WalkScope::kDomainPage, 1, 0, far), {1, 4, 9, 1, 1, 2}},
           Case{"page elsewhere, leaf", of(WalkScope::kDomainPage, 1, 0, far, 0, true), {1, 4, 9, 1, 1, 2}},
           Case{"page of tables", of(WalkScope::kDomainPage, 1, 0, Space::kGuestTables), {1, 4, 12, 1, 1, 2}},
           Case{"page of pages", of(WalkScope::kDomainPage, 1, 0, Space::kGuestPages), {1, 4, 12, 1, 1, 2}},
           Case{"page of another domain", of(WalkScope::kDomainPage, 3, 0, kIova), {1, 1, 2, 1, 1, 2}},
           Case{"PASID", of(WalkScope::kPasid, 1, 5), {1, 4, 2, 1, 1, 2}},
           Case{"PASID, nested", of(WalkScope::kPasid, 1, 6), {1, 1, 5, 1, 1, 2}},
           Case{"third PASID", of(WalkScope::kPasid, 1, 7), {1, 1, 2, 1, 1, 2}},
           Case{"PASID of another domain", of(WalkScope::kPasid, 3, 5), {1, 1, 2, 1, 1, 2}},
           Case{"PASID page", of(WalkScope::kPasidPage, 1, 5, kIova), {1, 4, 2, 1, 1, 2}},
           Case{"PASID page, nested", of(WalkScope::kPasidPage, 1, 6, kIova), {1, 1, 5, 1, 1, 2}},
           Case{"PASID page, leaf", of(WalkScope::kPasidPage, 1, 5, kIova, 0, true), {1, 1, 2, 1, 1, 2}},
           Case{"PASID page, leaf, nested", of(WalkScope::kPasidPage, 1, 6, kIova, 0, true), {1, 1, 2, 1, 1, 2}},
           Case{"PASID page elsewhere", of(WalkScope::kPasidPage, 1, 5, far), {1, 1, 2, 1, 1, 2}},
           Case{"page of another PASID", of(WalkScope::kPasidPage, 1, 7, kIova), {1, 1, 2, 1, 1, 2}},
       }) {
    SCOPED_TRACE(c.name);
    expect_reads(c.invalidation, c.reads);
  }
}

TEST_P(WalkerScopes, EachLevelGoesIfTheRangeMeetsWhatItMaps) {
  // Rows: where the page is. Columns: reads of a page in the same 2 MiB, 1 GiB, 512 GiB as the one that is known.
  struct Case {
    std::uint64_t away;
    unsigned reads[3];
  };
  const std::uint64_t kNear[3] = {k4K, 2 * k2M, 2 * k1G};
  for (const WalkKind kind : {WalkKind::kSecondStage, WalkKind::kFirstStage}) {
    const WalkScope scope = kind == WalkKind::kSecondStage ? WalkScope::kDomainPage : WalkScope::kPasidPage;
    for (const Case& c :
         {Case{2 * k4K, {4, 4, 4}}, Case{k2M, {1, 4, 4}}, Case{k1G, {1, 2, 4}}, Case{k512G, {1, 2, 3}}}) {
      for (unsigned i = 0; i < 3; ++i) {
        SCOPED_TRACE(testing::Message() << name_of(kind) << " 0x" << std::hex << c.away << " near " << i);
        anew();
        Space s = space(kind);
        reads(s, kIova);
        invalidate(of(scope, 1, 0, kIova + c.away));
        EXPECT_EQ(reads(s, kIova + kNear[i]), c.reads[i]);
      }
    }
  }
}

TEST_P(WalkerScopes, RangesAreAlignedAndEndWhereTheyEnd) {
  // 2^mask pages: the highest bit of the page number within the range, and the lowest that selects it.
  for (const WalkKind kind : {WalkKind::kLegacy, WalkKind::kFirstStage}) {
    const WalkScope scope = kind == WalkKind::kLegacy ? WalkScope::kDomainPage : WalkScope::kPasidPage;
    Space s = space(kind, 1, 0, 5);
    for (unsigned mask = 0; mask < 64; ++mask) {
      SCOPED_TRACE(testing::Message() << name_of(kind) << " mask " << mask);
      const unsigned end = 12 + mask;
      if (mask > 0) {
        start({});
        reads(s, kIova);
        // Beyond 57 bits there is nothing to compare.
        invalidate(of(scope, 1, 0, kIova ^ (1ULL << std::min(end - 1, 56U)), mask));
        EXPECT_EQ(reads(s, kIova + k4K), 5U) << "within";
      }
      if (end > 56) continue;
      start({});
      reads(s, kIova);
      invalidate(of(scope, 1, 0, kIova ^ (1ULL << end), mask));
      EXPECT_EQ(reads(s, kIova + k4K), end < 21 ? 5U : 1U) << "the next range";
    }
  }
}

TEST_P(WalkerScopes, ChangedTablesAreSeen) {
  struct Case {
    const char* name;
    WalkKind kind;
    WalkInvalidation invalidation;
  };
  for (const Case& c : {
           Case{"all", WalkKind::kLegacy, of(WalkScope::kAll)},
           Case{"domain", WalkKind::kLegacy, of(WalkScope::kDomain)},
           Case{"page", WalkKind::kLegacy, of(WalkScope::kDomainPage, 1, 0, kIova)},
           Case{"all", WalkKind::kFirstStage, of(WalkScope::kAll)},
           Case{"domain", WalkKind::kFirstStage, of(WalkScope::kDomain)},
           Case{"page", WalkKind::kFirstStage, of(WalkScope::kDomainPage, 1, 0, kIova)},
           Case{"PASID", WalkKind::kFirstStage, of(WalkScope::kPasid)},
           Case{"PASID page", WalkKind::kFirstStage, of(WalkScope::kPasidPage, 1, 0, kIova)},
           Case{"all", WalkKind::kNested, of(WalkScope::kAll)},
           Case{"domain", WalkKind::kNested, of(WalkScope::kDomain)},
           Case{"page", WalkKind::kNested, of(WalkScope::kDomainPage, 1, 0, kIova)},
           Case{"PASID", WalkKind::kNested, of(WalkScope::kPasid)},
           Case{"PASID page", WalkKind::kNested, of(WalkScope::kPasidPage, 1, 0, kIova)},
       }) {
    for (unsigned level = 1; level <= 4; ++level) {
      SCOPED_TRACE(testing::Message() << name_of(c.kind) << ", " << c.name << ", level " << level);
      anew();
      Space s = space(c.kind);
      reads(s, kIova);
      if (level == 1)
        s.remap(kIova);
      else
        s.replant(kIova, level);
      invalidate(c.invalidation);
      reads(s, kIova);  // checks the page
    }
  }
}

TEST_P(WalkerScopes, AGuestTableThatMovedIsSeenAfterAnyInvalidationOfItsPage) {
  for (const bool leaf_only : {false, true}) {
    for (const unsigned mask : {0U, 9U, 45U}) {
      anew();
      Space s = space(WalkKind::kNested);
      reads(s, kIova);
      const std::uint64_t table = s.table(kIova, 1);
      s.move_table(kIova);
      invalidate(of(WalkScope::kDomainPage, 1, 0, table, mask, leaf_only));
      reads(s, kIova);
    }
  }
}

TEST_P(WalkerScopes, AnInvalidationThatHasToWaitSpoilsNotTheOneBefore) {
  for (const unsigned later : {0U, 1U, 5U, 20U}) {
    anew();
    std::vector<Space> spaces;
    for (const std::uint16_t domain : kTwoDomains) {
      spaces.push_back(space(WalkKind::kSecondStage, domain));
      for (std::uint64_t i = 0; i < 16; ++i) reads(spaces.back(), kIova + i * k2M);
      for (std::uint64_t i = 0; i < 16; ++i) spaces.back().replant(kIova + i * k2M, 2);
    }
    const WalkInvalidation one = of(WalkScope::kDomain, 1), two = of(WalkScope::kDomain, 2);
    ASSERT_TRUE(watch_->cycle({.invalidation = &one}).invalidation_accepted);
    for (unsigned edges = 0; edges < later && watch_->invalidating(); ++edges) watch_->cycle({});
    bool accepted = false;
    for (unsigned edges = 0; !accepted; ++edges) {
      ASSERT_LT(edges, 1000U) << "it is never accepted";
      const bool busy = watch_->invalidating();
      accepted = watch_->cycle({.invalidation = &two}).invalidation_accepted;
      ASSERT_EQ(accepted, !busy) << "it is accepted when the one before is complete";
    }
    for (unsigned edges = 0; watch_->invalidating() && edges < 1000; ++edges) watch_->cycle({});
    EXPECT_EQ(watch_->count(WalkerEvent::kInvalidation), 2U);
    for (Space& s : spaces)
      for (std::uint64_t i = 0; i < 16; ++i) reads(s, kIova + i * k2M);  // checks the page
  }
}

TEST_P(WalkerScopes, WhatOthersReadMeanwhileSavesNothing) {
  // A walk of another domain is in flight, whatever set its entries go to and whenever they do.
  for (std::uint64_t other = 0; other < 16; ++other) {
    for (Edge at = 0; at < 12; ++at) {
      anew();
      Space s = space(WalkKind::kSecondStage, 1), o = space(WalkKind::kSecondStage, 2);
      reads(s, kIova);
      s.replant(kIova, 2);
      const Edge begin = bench_->now();
      bench_->surroundings.latency = [=](auto&) { return at; };
      bench_->surroundings.invalidation = [=](Edge edge) -> std::optional<WalkInvalidation> {
        if (edge == begin) return of(WalkScope::kDomain, 1);
        return std::nullopt;
      };
      EXPECT_EQ(reads(o, kIova ^ other << 21), 4U);
      bench_->surroundings = {};
      for (unsigned edges = 0; watch_->invalidating() && edges < 1000; ++edges) watch_->cycle({});
      EXPECT_EQ(reads(s, kIova), 4U) << "other " << other << " latency " << at;
    }
  }
}

TEST_P(WalkerScopes, WhatOthersReadMeanwhileSavesNoGuestTable) {
  // As above; `before` decides in which set the table is that is to be forgotten, so when, `between` where the others
  // go.
  const auto check = [this](unsigned before, unsigned between, Edge latency) {
    anew();
    for (unsigned i = 0; i < before; ++i) machine_->guest_tables.new_table();
    Space s = space(WalkKind::kNested, 1), o = space(WalkKind::kNested, 2);
    reads(s, kIova);
    for (unsigned i = 0; i < between; ++i) machine_->guest_tables.new_table();
    const std::uint64_t table = s.table(kIova, 1);
    s.move_table(kIova);
    const Edge begin = bench_->now();
    bench_->surroundings.latency = [=](auto&) { return latency; };
    bench_->surroundings.invalidation = [=](Edge edge) -> std::optional<WalkInvalidation> {
      if (edge == begin) return of(WalkScope::kDomainPage, 1, 0, table, 0, true);
      return std::nullopt;
    };
    reads(o, kIova);
    bench_->surroundings = {};
    for (unsigned edges = 0; watch_->invalidating() && edges < 1000; ++edges) watch_->cycle({});
    reads(s, kIova);  // checks the page
  };
  for (unsigned between = 0; between < 32; ++between) {
    for (const Edge latency : {1, 2, 3}) check(0, between, latency);
    for (unsigned before = 0; before < 32; ++before) check(before, between, 0);
  }
}

// ---- walks in flight -----------------------------------------------------------------------------------------------

/// All walkers: an invalidation at every edge of walks in flight, under several ways to stall them.
class WalkerInFlight : public WalkerKeeps {
 protected:
  struct Change {
    const char* name;
    WalkKind kind;
    std::function<std::uint64_t(Space&)> apply;  ///< returns the new page
    std::function<WalkInvalidation(Space&)> invalidation;
  };
  static std::vector<Change> changes();
  static Space make(Machine& machine, WalkKind kind) {
    Space s(machine, like(kind));
    s.like().accessed_dirty = kind != WalkKind::kLegacy;
    // A and D are clear: every walk updates.
    s.above = s.first() ? kPresent | kRw | kUser : kReadWrite;
    s.leaf = s.above;
    s.second_above = s.table_leaf = s.page_leaf = kReadWrite;
    return s;
  }
  static constexpr unsigned kWays = 4;
  enum class Caches { kCold, kWarm, kOff };
  void stall(unsigned way) {
    Surroundings& s = bench_->surroundings;
    if (way == 1 || way == 3) {
      s.latency = [](auto&) { return Edge{3}; };
      s.update_latency = [](auto&) { return Edge{2}; };
    }
    if (way >= 2) {
      s.memory_ready = [](Edge edge) { return edge % 3 == 2; };
      s.update_ready = [](Edge edge) { return edge % 4 == 3; };
      s.response_ready = [](Edge edge) { return edge % 7 == 6; };
    }
  }
  /// Walks with `change` and its invalidation at edge `at`; false when they were over before.
  bool run(const Change& change, unsigned way, Caches caches, Edge at);
};

std::vector<WalkerInFlight::Change> WalkerInFlight::changes() {
  const auto page = [](WalkScope scope, bool leaf_only) {
    return [=](Space&) { return of(scope, 1, 0, kIova, 0, leaf_only); };
  };
  const auto leaf = [](Space& s) { return s.remap(kIova); };
  const auto table = [](Space& s) { return s.replant(kIova, 2); };
  const auto top = [](Space& s) { return s.replant(kIova, 4); };
  std::vector<Change> all;
  for (const WalkKind kind : {WalkKind::kLegacy, WalkKind::kSecondStage, WalkKind::kFirstStage, WalkKind::kNested}) {
    const bool first = kind == WalkKind::kFirstStage || kind == WalkKind::kNested;
    const WalkScope of_pages = first ? WalkScope::kPasidPage : WalkScope::kDomainPage;
    all.push_back({"leaf, page, leaf only", kind, leaf, page(of_pages, true)});
    all.push_back({"table, page", kind, table, page(of_pages, false)});
    all.push_back({"top, domain", kind, top, page(WalkScope::kDomain, false)});
    all.push_back({"table, all", kind, table, page(WalkScope::kAll, false)});
    if (first) all.push_back({"top, PASID", kind, top, page(WalkScope::kPasid, false)});
  }
  all.push_back({"page moves", WalkKind::kNested, [](Space& s) { return s.move_page(kIova); },
                 [](Space& s) { return of(WalkScope::kDomainPage, 1, 0, s.guest_page(kIova), 0, true); }});
  all.push_back({"table moves", WalkKind::kNested, [](Space& s) { return s.move_table(kIova); },
                 [](Space& s) { return of(WalkScope::kDomainPage, 1, 0, s.table(kIova, 1), 0, true); }});
  return all;
}

bool WalkerInFlight::run(const Change& change, unsigned way, Caches caches, Edge at) {
  machine_ = std::make_unique<Machine>();
  walker_->reset();
  watch_ = std::make_unique<Watch>(*walker_);
  bench_ = std::make_unique<WalkerBench>(*watch_, memory());
  Space s = make(*machine_, change.kind);
  Space bystander(*machine_, like(WalkKind::kLegacy, 9));
  if (caches == Caches::kWarm)
    for (int i = 0; i < 3; ++i) reads(s, kIova + k4K);
  const std::vector<WalkRequest> requests = {s.at(kIova, Access::kWrite), s.at(kIova, Access::kWrite),
                                             bystander.at(kIova)};
  const std::uint64_t old_page = s.page(kIova);
  std::uint64_t new_page = 0;
  const std::uint64_t old_leaf = s.entry(kIova, 1);
  std::uint64_t old_word = 0;
  std::optional<Edge> completed;
  std::optional<WalkInvalidation> invalidation;
  const Edge first_edge = watch_->edge();
  watch_->answers.clear();

  stall(way);
  bench_->surroundings.meanwhile = [&](Edge) {
    if (new_page == 0 && watch_->edge() == first_edge + at) new_page = change.apply(s);
  };
  bench_->surroundings.invalidation = [&](Edge) -> std::optional<WalkInvalidation> {
    if (watch_->edge() == first_edge + at) invalidation = change.invalidation(s);
    return watch_->edge() == first_edge + at ? invalidation : std::nullopt;
  };
  const auto complete = [&] {
    completed = watch_->edge() - 1;
    EXPECT_FALSE(watch_->owes_since(*watch_->accepted(), *invalidation))
        << "complete, but something old is still to come";
    old_word = memory().word(old_leaf);
  };
  bench_->surroundings.invalidated = complete;
  const auto done = bench_->run(requests);
  if (!watch_->accepted()) return false;
  if (!completed) {
    for (unsigned edges = 0; watch_->invalidating() && edges < 1000; ++edges) watch_->cycle({});
    EXPECT_FALSE(watch_->invalidating());
    complete();
  }
  EXPECT_LE(*completed, *watch_->accepted() + 100) << "a sweep, and what was under way";
  for (std::size_t i = 0; i < done.size(); ++i) {
    const WalkResponse& response = done[i].response;
    if (done[i].request.domain.value == 9) {
      EXPECT_THAT(response, MapsTo(bystander.page(kIova), 1));
      if (invalidation->scope != WalkScope::kAll) {
        EXPECT_EQ(response.reads, 4) << "not covered: it does not begin again";
      }
      continue;
    }
    const bool shown_before = watch_->answers[i].shown <= *watch_->accepted();
    EXPECT_THAT(response, MapsTo(shown_before ? old_page : new_page, 1)) << "answer " << i;
  }
  if (s.entry(kIova, 1) != old_leaf) {
    EXPECT_EQ(memory().word(old_leaf), old_word) << "updated after completion";
  }
  return true;
}

TEST_P(WalkerInFlight, AnInvalidationAtAnyEdgeLeavesOnlyResultsThatWereShownBefore) {
  Edge cases = 0;
  for (const Change& change : changes()) {
    for (unsigned way = 0; way < kWays; ++way) {
      for (const Caches caches : {Caches::kCold, Caches::kWarm, Caches::kOff}) {
        // Long walks in lockstep are hit at every third edge, which differ between the cases.
        const bool slow = change.kind == WalkKind::kNested && GetParam() == WalkerUnderTest::kLockstep;
        const Edge stride = slow ? 3 : 1;
        Edge at = cases++ % stride;
        start({.structure_caches = caches != Caches::kOff});  // off: no sweep hides what is under way
        for (; at < 1000; at += stride) {
          SCOPED_TRACE(testing::Message() << name_of(change.kind) << ", " << change.name << ", stalls " << way
                                          << ", caches " << static_cast<int>(caches) << ", edge " << at);
          if (!run(change, way, caches, at) || HasFailure()) break;
        }
        ASSERT_FALSE(HasFailure());
        EXPECT_GT(at, caches == Caches::kWarm ? 4U : 10U);
      }
    }
  }
}

TEST_P(WalkerInFlight, WhatIsNotCoveredGoesOn) {
  start({.structure_caches = false});
  struct Case {
    const char* name;
    WalkKind kind;
    WalkInvalidation invalidation;
  };
  for (const Case& c : {
           Case{"domain", WalkKind::kSecondStage, of(WalkScope::kDomain, 2)},
           Case{"page of another domain", WalkKind::kSecondStage, of(WalkScope::kDomainPage, 2, 0, kIova)},
           Case{"another page, leaf", WalkKind::kSecondStage, of(WalkScope::kDomainPage, 1, 0, kIova + k4K, 0, true)},
           Case{"next range, leaf", WalkKind::kSecondStage, of(WalkScope::kDomainPage, 1, 0, kIova ^ k2M, 9, true)},
           Case{"another page, leaf", WalkKind::kFirstStage, of(WalkScope::kPasidPage, 1, 0, kIova + k4K, 0, true)},
           Case{"another PASID", WalkKind::kFirstStage, of(WalkScope::kPasid, 1, 1)},
           Case{"another PASID", WalkKind::kNested, of(WalkScope::kPasid, 1, 1)},
           Case{"page of another PASID", WalkKind::kNested, of(WalkScope::kPasidPage, 1, 1, kIova)},
           Case{"PASID of another domain", WalkKind::kNested, of(WalkScope::kPasid, 2)},
           Case{"another PASID", WalkKind::kSecondStage, of(WalkScope::kPasid, 1, 1)},
       }) {
    SCOPED_TRACE(testing::Message() << name_of(c.kind) << ", " << c.name);
    Space s = space(c.kind);
    unsigned edge = 0;
    bench_->surroundings.latency = [](auto&) { return Edge{2}; };
    bench_->surroundings.meanwhile = [&](Edge) { ++edge; };
    bench_->surroundings.invalidation = [&](Edge) -> std::optional<WalkInvalidation> {
      if (edge % 3 == 0) return c.invalidation;
      return std::nullopt;
    };
    EXPECT_EQ(reads(s, kIova), c.kind == WalkKind::kNested ? 24U : 4U);
    bench_->surroundings = {};
  }
}

TEST_P(WalkerInFlight, WhatIsCoveredBeginsAgain) {
  // Memory answers the second read late enough; a walk that begins again has read two entries more.
  struct Case {
    const char* name;
    WalkKind kind;
    WalkInvalidation invalidation;
  };
  start({.structure_caches = false});
  for (const Case& c : {
           Case{"all", WalkKind::kLegacy, of(WalkScope::kAll, 7)},
           Case{"domain", WalkKind::kLegacy, of(WalkScope::kDomain)},
           Case{"page", WalkKind::kSecondStage, of(WalkScope::kDomainPage, 1, 0, kIova)},
           Case{"another page: what is above is shared", WalkKind::kSecondStage,
                of(WalkScope::kDomainPage, 1, 0, kIova + 5 * k512G)},
           Case{"page, leaf", WalkKind::kSecondStage, of(WalkScope::kDomainPage, 1, 0, kIova, 0, true)},
           Case{"range, leaf", WalkKind::kSecondStage, of(WalkScope::kDomainPage, 1, 0, kIova ^ k1G, 19, true)},
           Case{"another page of the domain, leaf", WalkKind::kFirstStage,
                of(WalkScope::kDomainPage, 1, 0, kIova + 5 * k512G, 0, true)},
           Case{"another page of the domain, leaf", WalkKind::kNested,
                of(WalkScope::kDomainPage, 1, 0, kIova + 5 * k512G, 0, true)},
           Case{"PASID", WalkKind::kFirstStage, of(WalkScope::kPasid)},
           Case{"PASID page", WalkKind::kFirstStage, of(WalkScope::kPasidPage, 1, 0, kIova + 5 * k512G)},
           Case{"PASID page, leaf", WalkKind::kNested, of(WalkScope::kPasidPage, 1, 0, kIova, 0, true)},
           Case{"PASID", WalkKind::kNested, of(WalkScope::kPasid)},
       }) {
    SCOPED_TRACE(testing::Message() << name_of(c.kind) << ", " << c.name);
    Space s = space(c.kind);
    bool offered = false;
    bench_->surroundings.latency = [](auto&) { return Edge{10}; };
    const std::uint64_t before = bench_->reads();
    bench_->surroundings.invalidation = [&](Edge) -> std::optional<WalkInvalidation> {
      if (offered || bench_->reads() != before + 2) return std::nullopt;
      offered = true;
      return c.invalidation;
    };
    EXPECT_EQ(reads(s, kIova), (c.kind == WalkKind::kNested ? 24U : 4U) + 2);
    bench_->surroundings = {};
  }
}

TEST_P(WalkerInFlight, ARefusedWalkStaysRefused) {
  // It has read nothing: no table can have been stale.
  Space s = space(WalkKind::kSecondStage);
  WalkRequest r = s.at(kIova);
  r.iova |= 1ULL << 60;
  bench_->surroundings.response_ready = [](Edge edge) { return edge >= 20; };
  bench_->surroundings.invalidation = [&](Edge edge) -> std::optional<WalkInvalidation> {
    if (edge % 2 == 1) return of(WalkScope::kAll);
    return std::nullopt;
  };
  const WalkResponse response = walk(r);
  EXPECT_EQ(reason(response), 0x84);
  EXPECT_EQ(response.reads, 0);
}

TEST_P(WalkerInFlight, OneInvalidationAfterTheOther) {
  // WalkerBench checks that none is accepted before the last is complete.
  std::mt19937 random(3);
  Space s = space(WalkKind::kFirstStage);
  std::vector<WalkRequest> requests;
  for (std::uint64_t i = 0; i < 200; ++i) requests.push_back(s.at(kIova + (i % 40) * k4K));
  unsigned complete = 0;
  bench_->surroundings.latency = [&](auto&) { return random() % 10; };
  bench_->surroundings.response_ready = [&](Edge) { return random() % 3 != 0; };
  bench_->surroundings.invalidation = [&](Edge) -> std::optional<WalkInvalidation> {
    if (random() % 40 == 0)
      return of(WalkScope::kPasidPage, 1, 0, kIova, static_cast<unsigned>(random() % 6), random() % 2 != 0);
    return std::nullopt;
  };
  bench_->surroundings.invalidated = [&] { ++complete; };
  for (const Walked& walked : bench_->run(requests))
    EXPECT_THAT(walked.response, MapsTo(s.page(walked.request.iova), 1));
  EXPECT_GE(complete, 5U);
}

// ---- drain ---------------------------------------------------------------------------------------------------------

TEST_P(WalkerInFlight, DrainingAcceptsNothingAndAnswersWhatIsInFlight) {
  const unsigned n = watch_->capacity();
  Space s = space(WalkKind::kLegacy);
  std::vector<WalkRequest> requests;
  for (std::uint64_t i = 0; i < 2 * n; ++i) requests.push_back(s.at(kIova + i * k4K));
  std::optional<Edge> drained;
  const Edge begin = n / 2 + 1, end = 500;
  bench_->surroundings.latency = [](auto&) { return Edge{20}; };
  bench_->surroundings.drain = [&](Edge edge) { return edge >= begin && edge < end; };
  bench_->surroundings.meanwhile = [&](Edge edge) {
    if (edge > begin && edge < end && watch_->idle() && !drained) drained = edge;
    if (drained && edge < end) {
      EXPECT_TRUE(watch_->idle()) << "stays drained";
    }
  };
  const auto done = bench_->run(requests);
  ASSERT_TRUE(drained);
  ASSERT_EQ(done.size(), requests.size());
  for (const Walked& walked : done) {
    EXPECT_THAT(walked.response, MapsTo(s.page(walked.request.iova), 1));
    EXPECT_TRUE(walked.accepted < begin ? walked.answered < *drained : walked.accepted >= end);
  }
  EXPECT_LT(done.front().accepted, begin);
}

TEST_P(WalkerInFlight, DrainedAtOnceWhenIdleAndAnInvalidationStillCompletes) {
  Space s = space(WalkKind::kLegacy);
  const WalkRequest r = s.at(kIova);
  const WalkInvalidation all = of(WalkScope::kAll);
  EXPECT_FALSE(watch_->cycle({.request = &r, .drain = true}).request_accepted);
  EXPECT_TRUE(watch_->idle());
  EXPECT_TRUE(watch_->cycle({.request = &r, .invalidation = &all, .drain = true}).invalidation_accepted);
  for (int i = 0; i < 200; ++i) EXPECT_FALSE(watch_->cycle({.request = &r, .drain = true}).request_accepted);
  EXPECT_FALSE(watch_->invalidating());
  EXPECT_TRUE(watch_->idle());
  EXPECT_TRUE(watch_->quiescent());
  EXPECT_EQ(watch_->count(WalkerEvent::kWalk), 0U) << "offered, not accepted";
  EXPECT_EQ(reads(s, kIova), 4U);
}

// ---- sharing -------------------------------------------------------------------------------------------------------

class WalkerSharing : public WalkerKeeps {
 protected:
  void SetUp() override {
    start({.structure_caches = false});
    if (watch_->capacity() < 2) GTEST_SKIP() << "one walk at a time";
  }
  /// Both at once; the reads they took together.
  std::uint64_t reads_of(const WalkRequest& a, const WalkRequest& b) {
    const std::uint64_t before = bench_->reads();
    bench_->run(std::vector{a, b});
    return bench_->reads() - before;
  }
};

TEST_P(WalkerSharing, OneWalkAnswersAllThatAskForTheSame) {
  for (const WalkKind kind : {WalkKind::kLegacy, WalkKind::kSecondStage, WalkKind::kFirstStage, WalkKind::kNested}) {
    for (const Edge latency : {0, 7}) {
      SCOPED_TRACE(name_of(kind));
      Space s = space(kind, static_cast<std::uint16_t>(kind));
      s.leaf = kind == WalkKind::kFirstStage || kind == WalkKind::kNested ? kPresent | kUser | kFirstA
                                                                          : kReadable | kSecondA | kSnoopBit;
      const std::uint64_t before = bench_->reads();
      bench_->surroundings.latency = [=](auto&) { return latency; };
      const unsigned count = std::min(watch_->capacity(), 8U);
      std::vector<WalkRequest> requests(count, s.at(kIova));
      for (unsigned i = 0; i < count; ++i) requests[i].iova += i;  // other bytes of the page
      const auto done = bench_->run(requests);
      ASSERT_EQ(done.size(), count);
      EXPECT_EQ(bench_->reads() - before, kind == WalkKind::kNested ? 24U : 4U);
      for (const Walked& walked : done) {
        WalkResponse expected = done.front().response;
        EXPECT_THAT(expected, MapsTo(s.page(kIova), 1));
        expected.id = walked.response.id;
        expected.reads = walked.response.reads;
        EXPECT_EQ(walked.response, expected);
        EXPECT_EQ(walked.response.reads, &walked == &done.front() ? done.front().response.reads : 0)
            << "reads are of the walk that made them";
      }
    }
  }
}

TEST_P(WalkerSharing, SwitchedOffEveryWalkReads) {
  start({.structure_caches = false, .sharing = false});
  Space s = space(WalkKind::kLegacy);
  EXPECT_EQ(reads_of(s.at(kIova), s.at(kIova)), 8U);
}

TEST_P(WalkerSharing, AFaultIsNotShared) {
  Space s = space(WalkKind::kSecondStage);
  s.at(kIova);
  const std::uint64_t at = s.entry(kIova, 1);
  const std::uint64_t entry = memory().word(at);
  memory().set_word(at, 0);
  EXPECT_EQ(reads_of(s.at(kIova), s.at(kIova)), 8U);
  // Software maps the page when the first has faulted; it owes no invalidation for that.
  bench_->surroundings.meanwhile = [&](Edge) {
    if (!watch_->answers.empty() && watch_->answers.size() % 2 == 1) memory().set_word(at, entry);
  };
  const auto done = bench_->run(std::vector{s.at(kIova), s.at(kIova)});
  EXPECT_EQ(reason(done[0].response), 0x79);
  EXPECT_THAT(done[1].response, MapsTo(s.page(kIova), 1));
}

TEST_P(WalkerSharing, ARefusedWalkIsAnsweredByItself) {
  Space s = space(WalkKind::kSecondStage);
  WalkRequest refused = s.at(kIova);
  refused.iova |= 1ULL << 60;  // the same page below bit 57
  bench_->surroundings.latency = [](auto&) { return Edge{5}; };
  for (const bool first : {false, true}) {
    const auto done = bench_->run(first ? std::vector{refused, s.at(kIova)} : std::vector{s.at(kIova), refused});
    EXPECT_EQ(reason(done[0].response), 0x84);
    EXPECT_THAT(done[1].response, MapsTo(s.page(kIova), 1));
  }
}

TEST_P(WalkerSharing, WhoAsksForSomethingElseWalksAlone) {
  Space s = space(WalkKind::kFirstStage, 1, 5);
  Space other_page = space(WalkKind::kFirstStage, 1, 5);
  const WalkRequest one = s.at(kIova);
  struct Case {
    const char* name;
    std::function<void(WalkRequest&)> change;
  };
  for (const Case& c : {
           Case{"write", [](WalkRequest& r) { r.access = Access::kWrite; }},
           Case{"zero-length read", [](WalkRequest& r) { r.access = Access::kZeroLengthRead; }},
           Case{"atomic", [](WalkRequest& r) { r.access = Access::kAtomic; }},
           Case{"privileged", [](WalkRequest& r) { r.privileged = true; }},
           Case{"execute", [](WalkRequest& r) { r.execute = true; }},
           Case{"translation request", [](WalkRequest& r) { r.report_rights = true; }},
           Case{"PASID", [](WalkRequest& r) { r.pasid = Pasid{6}; }},
           Case{"highest bit of the PASID", [](WalkRequest& r) { r.pasid = Pasid{0x8'0005}; }},
           Case{"domain", [](WalkRequest& r) { r.domain = DomainId{2}; }},
           Case{"highest bit of the domain", [](WalkRequest& r) { r.domain = DomainId{0x8001}; }},
           Case{"WPE", [](WalkRequest& r) { r.write_protect = true; }},
           Case{"EAFE", [](WalkRequest& r) { r.extended_accessed = true; }},
       }) {
    SCOPED_TRACE(c.name);
    WalkRequest other = one;
    c.change(other);
    EXPECT_EQ(reads_of(one, other), 8U);
    EXPECT_EQ(reads_of(other, one), 8U);
  }
  for (unsigned bit = 12; bit < 47; ++bit) {
    s.at(kIova ^ (1ULL << bit));
    EXPECT_EQ(reads_of(one, s.at(kIova ^ (1ULL << bit))), 8U) << "bit " << bit;
  }
  Space second = space(WalkKind::kSecondStage, 7);
  WalkRequest legacy = second.at(kIova);
  legacy.kind = WalkKind::kLegacy;
  EXPECT_EQ(reads_of(second.at(kIova), legacy), 8U) << "legacy";
  WalkRequest dirty = second.at(kIova);
  dirty.accessed_dirty = true;
  EXPECT_EQ(reads_of(second.at(kIova), dirty), 8U) << "SSADE";
}

TEST_P(WalkerSharing, AWalkThatIsDoneIsNotFollowed) {
  // Its result waits to be taken, and tables may have changed since it read them.
  Space s = space(WalkKind::kLegacy);
  const WalkRequest r = s.at(kIova);
  bench_->surroundings.response_ready = [](Edge edge) { return edge >= 60; };
  bench_->surroundings.offers = [](Edge edge) { return edge == 0 || edge >= 30; };
  EXPECT_EQ(reads_of(r, r), 8U);
}

// ---- counters ------------------------------------------------------------------------------------------------------

class WalkerCounts : public WalkerCaches {
 protected:
  /// What has been counted since the last call.
  std::map<WalkerEvent, std::uint32_t> counted() {
    std::map<WalkerEvent, std::uint32_t> since;
    for (unsigned e = 0; e < static_cast<unsigned>(WalkerEvent::kCount); ++e) {
      const auto event = static_cast<WalkerEvent>(e);
      const std::uint32_t now = watch_->count(event);
      if (now != before_[event]) since[event] = now - before_[event];
      before_[event] = now;
    }
    return since;
  }
  using Counts = std::map<WalkerEvent, std::uint32_t>;
  Counts before_;
};

TEST_P(WalkerCounts, OfOneWalkAfterTheOther) {
  using E = WalkerEvent;
  EXPECT_EQ(counted(), Counts{});
  Space s = space(WalkKind::kSecondStage);
  reads(s, kIova);
  EXPECT_EQ(counted(), (Counts{{E::kWalk, 1}, {E::kRead, 4}, {E::kFill, 3}}));
  reads(s, kIova + k4K);
  EXPECT_EQ(counted(), (Counts{{E::kWalk, 1}, {E::kRead, 1}, {E::kSecondHit2, 1}}));
  reads(s, kIova + k2M);
  EXPECT_EQ(counted(), (Counts{{E::kWalk, 1}, {E::kRead, 2}, {E::kSecondHit3, 1}, {E::kFill, 1}}));
  reads(s, kIova + k1G);
  EXPECT_EQ(counted(), (Counts{{E::kWalk, 1}, {E::kRead, 3}, {E::kSecondHit4, 1}, {E::kFill, 2}}));
  Space f = space(WalkKind::kFirstStage);
  reads(f, kIova);
  EXPECT_EQ(counted(), (Counts{{E::kWalk, 1}, {E::kRead, 4}, {E::kFill, 3}}));
  reads(f, kIova + k4K);
  EXPECT_EQ(counted(), (Counts{{E::kWalk, 1}, {E::kRead, 1}, {E::kFirstHit2, 1}}));
  reads(f, kIova + k2M);
  EXPECT_EQ(counted(), (Counts{{E::kWalk, 1}, {E::kRead, 2}, {E::kFirstHit3, 1}, {E::kFill, 1}}));
  reads(f, kIova + k1G);
  EXPECT_EQ(counted(), (Counts{{E::kWalk, 1}, {E::kRead, 3}, {E::kFirstHit4, 1}, {E::kFill, 2}}));
  Space n = space(WalkKind::kNested, 2);
  reads(n, kIova);
  // Fills: three entries of the second stage twice, four guest tables, three entries of the first stage.
  EXPECT_EQ(counted(), (Counts{{E::kWalk, 1}, {E::kRead, 15}, {E::kSecondHit2, 3}, {E::kFill, 13}}));
  reads(n, kIova + k4K);
  EXPECT_EQ(counted(),
            (Counts{{E::kWalk, 1}, {E::kRead, 2}, {E::kFirstHit2, 1}, {E::kGuestHit, 1}, {E::kSecondHit2, 1}}));
  WalkRequest refused = s.at(kIova);
  refused.iova |= 1ULL << 60;
  walk(refused);
  EXPECT_EQ(counted(), (Counts{{E::kWalk, 1}, {E::kFault, 1}}));
  invalidate(of(WalkScope::kAll));
  EXPECT_EQ(counted(), (Counts{{E::kInvalidation, 1}}));
}

TEST_P(WalkerCounts, UpdatesAndRetries) {
  using E = WalkerEvent;
  Space s = space(WalkKind::kFirstStage);
  s.above = s.leaf = kPresent | kRw | kUser;
  unsigned updates = 0;
  bench_->surroundings.update_latency = [&](const UpdateRequest& u) {
    // Somebody else sets an ignored bit of the entry of level 2 meanwhile.
    if (++updates == 3) tables().change(u.address, 0, 0x200);
    return Edge{0};
  };
  reads(s, kIova, Access::kWrite);
  // Levels 4 and 3 are updated, 2 fails; from the top: 4 and 3 are kept now, 2 and the leaf are updated.
  EXPECT_EQ(counted(), (Counts{{E::kWalk, 1}, {E::kRead, 3 + 4}, {E::kUpdate, 4}, {E::kRetry, 1}, {E::kFill, 2}}));
}

TEST_P(WalkerCounts, WalksThatAnotherWalkAnswered) {
  using E = WalkerEvent;
  Space s = space(WalkKind::kLegacy);
  bench_->surroundings.latency = [](auto&) { return Edge{5}; };
  const unsigned count = std::min(watch_->capacity(), 4U);
  bench_->run(std::vector<WalkRequest>(count, s.at(kIova)));
  Counts expected{{E::kWalk, count}, {E::kRead, 4}, {E::kFill, 3}};
  if (count > 1) expected[E::kShared] = count - 1;
  EXPECT_EQ(counted(), expected);
  memory().set_word(s.entry(kIova, 1), 0);
  bench_->run(std::vector<WalkRequest>(count, s.at(kIova)));
  const Counts faults = counted();
  EXPECT_EQ(faults.at(E::kFault), count);
  EXPECT_EQ(faults.count(E::kShared), 0U) << "each has faulted by itself";
}

TEST_P(WalkerCounts, WalksThatBeginAgainSinceTheyAreCovered) {
  Space one = space(WalkKind::kLegacy, 1), two = space(WalkKind::kLegacy, 2);
  bool offered = false;
  bench_->surroundings.latency = [](auto&) { return Edge{30}; };
  bench_->surroundings.invalidation = [&](Edge edge) -> std::optional<WalkInvalidation> {
    if (offered || edge < 20) return std::nullopt;
    offered = true;
    return of(WalkScope::kDomain, 1);
  };
  bench_->run(std::vector{one.at(kIova), two.at(kIova), one.at(kIova + k1G)});
  const Counts counts = counted();
  EXPECT_EQ(counts.at(WalkerEvent::kKill), watch_->capacity() < 3 ? 1U : 2U);
}

TEST_P(WalkerCounts, AllWalksThatBeginAgainAtOnce) {
  const unsigned count = watch_->capacity();
  Space s = space(WalkKind::kLegacy);
  std::vector<WalkRequest> requests;
  for (std::uint64_t i = 0; i < count; ++i) requests.push_back(s.at(kIova + i * k4K));
  bool offered = false;
  bench_->surroundings.memory_ready = [](Edge edge) { return edge >= 100; };
  bench_->surroundings.invalidation = [&](Edge edge) -> std::optional<WalkInvalidation> {
    if (offered || edge < 80) return std::nullopt;
    offered = true;
    return of(WalkScope::kDomain);
  };
  bench_->run(requests);
  EXPECT_EQ(counted().at(WalkerEvent::kKill), count);
}

TEST_P(WalkerCounts, AWalkWhoseResultStandsHasNotBegunAgain) {
  // Shown before the invalidation, or refused: "not at all" (tlm/core/walker.h).
  Space s = space(WalkKind::kLegacy);
  for (const bool refused : {false, true}) {
    bool offered = false;
    WalkRequest r = s.at(kIova);
    if (refused) r.iova |= 1ULL << 60;
    const Edge begin = bench_->now();
    bench_->surroundings.response_ready = [=](Edge edge) { return edge >= begin + 40; };
    bench_->surroundings.invalidation = [&](Edge edge) -> std::optional<WalkInvalidation> {
      if (offered || edge < begin + 30) return std::nullopt;
      offered = true;
      return of(WalkScope::kAll);
    };
    walk(r);
    EXPECT_TRUE(offered);
    EXPECT_EQ(counted().count(WalkerEvent::kKill), 0U) << (refused ? "refused" : "shown");
  }
}

TEST_P(WalkerCounts, WhateverHappens) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    RandomWorld world(seed);
    const auto walker = make_walker(GetParam(), world.config(), static_cast<std::uint32_t>(seed));
    Watch watch(*walker);
    std::vector<WalkRequest> requests(300);
    for (std::size_t i = 0; i < requests.size(); ++i)
      requests[i] = i > 0 && world.one_in(4) ? requests[i - 1] : world.request();
    WalkerBench bench(watch, world.memory());
    bench.surroundings.latency = [&](auto&) { return world.below(8); };
    bench.surroundings.update_latency = [&](auto&) { return world.below(8); };
    bench.surroundings.memory_ready = [&](Edge) { return world.one_in(2); };
    bench.surroundings.update_ready = [&](Edge) { return world.one_in(2); };
    bench.surroundings.response_ready = [&](Edge) { return world.one_in(2); };
    bench.surroundings.spoil_update = [&](UpdateResponse& u) { u.error = u.error || world.one_in(20); };
    const bool invalidates = seed % 2 == 0;
    bench.surroundings.invalidation = [&](Edge) -> std::optional<WalkInvalidation> {
      if (invalidates && world.one_in(50)) return world.invalidation();
      return std::nullopt;
    };
    bench.run(requests);
    for (const WalkerEvent event : {WalkerEvent::kWalk, WalkerEvent::kRead, WalkerEvent::kUpdate, WalkerEvent::kFault,
                                    WalkerEvent::kInvalidation})
      EXPECT_EQ(watch.count(event), watch.seen[event]) << "event " << static_cast<unsigned>(event);
    // An update that fails in a walk that is covered is no reason more to begin again.
    if (!invalidates) {
      EXPECT_EQ(watch.count(WalkerEvent::kRetry), watch.seen[WalkerEvent::kRetry]);
      EXPECT_EQ(watch.count(WalkerEvent::kKill), 0U);
    }
  }
}

// ---- A and D -------------------------------------------------------------------------------------------------------

class WalkerAccessedDirty : public WalkerKeeps {
 protected:
  /// A space whose entries have A and D clear.
  Space clear(WalkKind kind) {
    Space s = space(kind);
    s.like().accessed_dirty = kind != WalkKind::kLegacy;
    s.above = s.leaf = s.first() ? kPresent | kRw | kUser : kReadWrite;
    s.second_above = s.table_leaf = s.page_leaf = kReadWrite;
    return s;
  }
  std::uint64_t own(const Space& s, unsigned level) { return memory().word(s.entry(kIova, level)); }
  /// While the update of the word at `address` is under way, `change` happens; once.
  void during_update_of(std::uint64_t address, std::function<void()> change) {
    bench_->surroundings.update_latency = [address, change = std::move(change),
                                           done = false](const UpdateRequest& u) mutable {
      if (u.address == address && !std::exchange(done, true)) change();
      return Edge{1};
    };
  }
};

TEST_P(WalkerAccessedDirty, AIsSetInEveryEntryUsedAndDInTheLeafByWrites) {
  for (const Access access : {Access::kRead, Access::kWrite, Access::kAtomic, Access::kZeroLengthRead}) {
    const bool writes = access == Access::kWrite || access == Access::kAtomic;
    for (const WalkKind kind : {WalkKind::kLegacy, WalkKind::kSecondStage, WalkKind::kFirstStage}) {
      SCOPED_TRACE(testing::Message() << name_of(kind) << " access " << static_cast<int>(access));
      anew();
      Space s = clear(kind);
      const bool none = kind == WalkKind::kLegacy;
      const std::uint64_t a = none ? 0 : s.first() ? kFirstA : kSecondA;
      const std::uint64_t d = none ? 0 : s.first() ? kFirstD : kSecondD;
      const WalkResponse result = walk(s.at(kIova, access));
      EXPECT_THAT(result, MapsTo(s.page(kIova), 1));
      EXPECT_EQ(result.clean, !writes && !none) << "a write has still to set D";
      for (unsigned level = 2; level <= 4; ++level) EXPECT_EQ(own(s, level) & ~kAddressBits, s.above | a);
      EXPECT_EQ(own(s, 1) & ~kAddressBits, s.leaf | a | (writes ? d : 0));
      EXPECT_EQ(bench_->updates(), none ? 0U : 4U);
      EXPECT_FALSE(walk(s.at(kIova, Access::kWrite)).clean);
      EXPECT_EQ(own(s, 1) & ~kAddressBits, s.leaf | a | d);
    }
  }
}

TEST_P(WalkerAccessedDirty, WithoutTheSwitchTheSecondStageIsLeftAlone) {
  Space s = clear(WalkKind::kSecondStage);
  s.like().accessed_dirty = false;
  s.like().walk_snoop = false;
  EXPECT_EQ(reads(s, kIova, Access::kWrite), 4U);
  EXPECT_EQ(bench_->updates(), 0U);
}

TEST_P(WalkerAccessedDirty, ExtendedAccessedGoesWithA) {
  Space s = clear(WalkKind::kFirstStage);
  s.like().extended_accessed = true;
  reads(s, kIova);
  for (unsigned level = 1; level <= 4; ++level)
    EXPECT_EQ(own(s, level) & ~kAddressBits, kPresent | kRw | kUser | kFirstA | kFirstEa);
  // A alone is set: EA is owed.
  s.above = s.leaf = kPresent | kRw | kUser | kFirstA;
  reads(s, kIova + k512G);
  for (unsigned level = 1; level <= 3; ++level)
    EXPECT_EQ(memory().word(s.entry(kIova + k512G, level)) & kFirstEa, kFirstEa);
}

TEST_P(WalkerAccessedDirty, NestedWalksMarkTheTablesThatTheyWrite) {
  for (const bool write : {false, true}) {
    anew();
    Space s = clear(WalkKind::kNested);
    const WalkResponse result = walk(s.at(kIova, write ? Access::kWrite : Access::kRead));
    EXPECT_THAT(result, MapsTo(s.page(kIova), 1));
    for (unsigned level = 1; level <= 4; ++level) {
      SCOPED_TRACE(testing::Message() << "level " << level);
      EXPECT_EQ(own(s, level) & ~kAddressBits, kPresent | kRw | kUser | kFirstA | (write && level == 1 ? kFirstD : 0));
      const std::uint64_t table = s.table(kIova, level);
      EXPECT_EQ(memory().word(s.second_entry(table)) & ~kAddressBits, kReadWrite | kSecondA | kSecondD)
          << "its first-stage entry was written";
    }
    const std::uint64_t page = s.guest_page(kIova);
    EXPECT_EQ(memory().word(s.second_entry(page)) & ~kAddressBits, kReadWrite | kSecondA | (write ? kSecondD : 0));
    for (unsigned level = 2; level <= 4; ++level) {
      EXPECT_EQ(memory().word(s.second_entry(page, level)) & ~kAddressBits, kReadWrite | kSecondA);
      EXPECT_EQ(memory().word(s.second_entry(Space::kGuestTables, level)) & ~kAddressBits, kReadWrite | kSecondA);
    }
  }
}

TEST_P(WalkerAccessedDirty, ATableThatIsOnlyReadGetsNoD) {
  Space s = clear(WalkKind::kNested);
  s.above = kPresent | kRw | kUser | kFirstA;
  s.leaf = s.above | kFirstD;
  const WalkResponse result = walk(s.at(kIova, Access::kWrite));
  EXPECT_THAT(result, MapsTo(s.page(kIova), 1));
  for (unsigned level = 1; level <= 4; ++level)
    EXPECT_EQ(memory().word(s.second_entry(s.table(kIova, level))) & ~kAddressBits, kReadWrite | kSecondA);
}

TEST_P(WalkerAccessedDirty, AnEntryThatChangedIsReadAgain) {
  for (const WalkKind kind : {WalkKind::kSecondStage, WalkKind::kFirstStage, WalkKind::kNested}) {
    for (unsigned level = 1; level <= 4; ++level) {
      SCOPED_TRACE(testing::Message() << name_of(kind) << ", level " << level);
      anew();
      Space s = clear(kind);
      const WalkRequest r = s.at(kIova, Access::kWrite);
      const std::uint64_t old_page = s.page(kIova), at = s.entry(kIova, level);
      // Another tree, or another page.
      during_update_of(at, [&] {
        if (level > 1)
          s.replant(kIova, level);
        else
          s.remap(kIova);
      });
      const WalkResponse result = walk(r);
      EXPECT_NE(s.page(kIova), old_page);
      EXPECT_THAT(result, MapsTo(s.page(kIova), 1));
      const std::uint64_t a = s.first() ? kFirstA : kSecondA, d = s.first() ? kFirstD : kSecondD;
      EXPECT_EQ(memory().word(at) & (a | d), level == 1 ? a | d : a);
      EXPECT_EQ(own(s, 1) & (a | d), a | d);
    }
  }
}

TEST_P(WalkerAccessedDirty, AnEntryThatIsGoneIsNotMarked) {
  for (const WalkKind kind : {WalkKind::kSecondStage, WalkKind::kFirstStage, WalkKind::kNested}) {
    for (unsigned level = 1; level <= 4; ++level) {
      SCOPED_TRACE(testing::Message() << name_of(kind) << ", level " << level);
      anew();
      Space s = clear(kind);
      const WalkRequest r = s.at(kIova, Access::kWrite);
      const std::uint64_t at = s.entry(kIova, level);
      during_update_of(at, [&] { memory().set_word(at, 0); });
      EXPECT_EQ(reason(walk(r)), s.first() ? 0x71 : 0x79);
      EXPECT_EQ(memory().word(at), 0U);
    }
  }
}

TEST_P(WalkerAccessedDirty, AWriteThatIsForbiddenMeanwhileSetsNoD) {
  for (const WalkKind kind : {WalkKind::kSecondStage, WalkKind::kFirstStage, WalkKind::kNested}) {
    anew();
    Space s = clear(kind);
    const WalkRequest r = s.at(kIova, Access::kWrite);
    const std::uint64_t at = s.entry(kIova, 1);
    during_update_of(at, [&] { tables().change(at, 0x2, 0); });  // R/W, W
    EXPECT_EQ(reason(walk(r)), 0x85) << name_of(kind);
    EXPECT_EQ(memory().word(at) & (s.first() ? kFirstD : kSecondD), 0U);
  }
}

TEST_P(WalkerAccessedDirty, WhoeverSetsTheBitsTheyAreSetOnce) {
  // Another walk is first; ours begins again and finds nothing to do there.
  Space s = clear(WalkKind::kFirstStage);
  const WalkRequest r = s.at(kIova, Access::kWrite);
  const std::uint64_t at = s.entry(kIova, 1);
  during_update_of(at, [&] { tables().change(at, 0, kFirstA | kFirstD); });
  EXPECT_THAT(walk(r), MapsTo(s.page(kIova), 1));
  EXPECT_EQ(bench_->updates(), 4U) << "three tables, and one that failed";
}

TEST_P(WalkerAccessedDirty, WhatChangesBetweenTheUpdatesOfANestedLeafIsSeen) {
  // In turn: D of the leaf that maps the table, the first-stage leaf, the second-stage leaf.
  for (unsigned which = 0; which < 3; ++which) {
    SCOPED_TRACE(which);
    anew();
    Space s = clear(WalkKind::kNested);
    const WalkRequest r = s.at(kIova, Access::kWrite);
    const std::uint64_t old_page = s.page(kIova);
    const std::uint64_t words[] = {s.second_entry(s.table(kIova, 1)), s.entry(kIova, 1),
                                   s.second_entry(s.guest_page(kIova))};
    unsigned updates = 0;
    bench_->surroundings.update_latency = [&](const UpdateRequest& u) {
      if (u.address == words[which] && (u.desired & ~u.expected & (kSecondD | kFirstD)) != 0 && updates++ == 0) {
        if (which == 0) s.move_table(kIova);
        if (which == 1) s.remap(kIova);
        if (which == 2) s.move_page(kIova);
      }
      return Edge{0};
    };
    const WalkResponse result = walk(r);
    EXPECT_GE(updates, 1U);
    EXPECT_NE(s.page(kIova), old_page);
    EXPECT_THAT(result, MapsTo(s.page(kIova), 1));
    EXPECT_EQ(memory().word(s.second_entry(s.guest_page(kIova))) & (kSecondA | kSecondD), kSecondA | kSecondD);
  }
}

TEST_P(WalkerAccessedDirty, OneSecondStageEntryMayMapTheTableAndThePage) {
  for (const std::uint64_t bits : {std::uint64_t{0}, kSecondA, kSecondA | kSecondD}) {
    for (const bool write : {false, true}) {
      SCOPED_TRACE(testing::Message() << "bits " << bits << (write ? " write" : " read"));
      anew();
      Space s = clear(WalkKind::kNested);
      s.at(kIova);
      // 2 MiB of guest memory hold all tables and the page.
      const std::uint64_t at = s.second_entry(Space::kGuestTables, 2);
      memory().set_word(at, 0x4000'0000 | kReadWrite | kPageSizeBit | bits);
      const std::uint64_t page = Space::kGuestTables + 0x10'0000;
      memory().set_word(s.entry(kIova, 1), page | kPresent | kRw | kUser);
      WalkRequest r = s.like();
      r.iova = kIova;
      r.access = write ? Access::kWrite : Access::kRead;
      EXPECT_THAT(walk(r), MapsTo(0x4010'0000, 1));
      EXPECT_EQ(memory().word(at) & (kSecondA | kSecondD), kSecondA | kSecondD) << "tables in it were written";
      EXPECT_EQ(own(s, 1) & (kFirstA | kFirstD), kFirstA | (write ? kFirstD : 0));
    }
  }
}

TEST_P(WalkerAccessedDirty, ATableThatIsReadOnlyIsAFaultOnlyIfItMustBeWritten) {
  struct Case {
    const char* name;
    std::uint64_t above, leaf;
    Access access;
    std::uint8_t fault;
  };
  constexpr std::uint64_t kAll = kPresent | kRw | kUser;
  for (const bool accessed_dirty : {false, true}) {
    for (const Case& c : {
             Case{"nothing to set", kAll | kFirstA, kAll | kFirstA | kFirstD, Access::kWrite, 0},
             Case{"a read needs no D", kAll | kFirstA, kAll | kFirstA, Access::kRead, 0},
             Case{"A of a table", kAll, kAll | kFirstA | kFirstD, Access::kRead, 0x77},
             Case{"A of the leaf", kAll | kFirstA, kAll, Access::kRead, 0x77},
             Case{"D of the leaf", kAll | kFirstA, kAll | kFirstA, Access::kWrite, 0x77},
         }) {
      SCOPED_TRACE(testing::Message() << c.name << (accessed_dirty ? ", SSADE" : ""));
      anew();
      Space s = clear(WalkKind::kNested);
      s.like().accessed_dirty = accessed_dirty;
      s.above = c.above;
      s.leaf = c.leaf;
      s.table_leaf = kReadable;
      const WalkRequest r = s.at(kIova, c.access);
      const std::uint64_t leaf = own(s, 1), top = own(s, 4);
      for (int i = 0; i < 2; ++i) {
        EXPECT_EQ(reason(walk(r)), c.fault);
        EXPECT_EQ(own(s, 1), leaf);
        EXPECT_EQ(own(s, 4), top);
      }
    }
  }
}

TEST_P(WalkerAccessedDirty, ATableThatWasReadableBeforeIsCheckedForWritesLater) {
  // A walk that needs no update passes; the next one, by the caches or not, needs D.
  Space s = clear(WalkKind::kNested);
  s.like().accessed_dirty = false;
  s.above = kPresent | kRw | kUser | kFirstA;
  s.leaf = s.above;
  s.table_leaf = kReadable;
  s.at(kIova);
  EXPECT_THAT(walk(s.at(kIova)), MapsTo(s.page(kIova), 1));
  EXPECT_EQ(reason(walk(s.at(kIova, Access::kWrite))), 0x77);
}

TEST_P(WalkerAccessedDirty, WithoutSnoopAnUpdateIsAFaultAndOnlyThat) {
  for (const WalkKind kind : {WalkKind::kSecondStage, WalkKind::kFirstStage}) {
    const std::uint8_t fault = kind == WalkKind::kFirstStage ? 0x90 : 0x7C;
    for (unsigned level = 1; level <= 4; ++level) {
      SCOPED_TRACE(testing::Message() << name_of(kind) << ", level " << level);
      anew();
      Space s = space(kind);
      s.like().accessed_dirty = true;
      s.like().walk_snoop = false;
      s.at(kIova);
      EXPECT_THAT(walk(s.at(kIova, Access::kWrite)), MapsTo(s.page(kIova), 1)) << "all bits are set";
      EXPECT_EQ(bench_->updates(), 0U);
      invalidate(of(WalkScope::kAll));
      tables().change(s.entry(kIova, level), s.first() ? kFirstA : kSecondA, 0);
      EXPECT_EQ(reason(walk(s.at(kIova))), fault);
      tables().change(s.entry(kIova, level), s.first() ? kFirstD : kSecondD, s.first() ? kFirstA : kSecondA);
      invalidate(of(WalkScope::kAll));
      EXPECT_EQ(reason(walk(s.at(kIova, Access::kRead))), 0);
      EXPECT_EQ(reason(walk(s.at(kIova, Access::kWrite))), level == 1 ? fault : 0);
      EXPECT_EQ(bench_->updates(), 0U);
    }
  }
}

TEST_P(WalkerAccessedDirty, AnUpdateThatFailsIsAFaultOfItsStage) {
  for (const WalkKind kind : {WalkKind::kSecondStage, WalkKind::kFirstStage, WalkKind::kNested}) {
    for (unsigned nth = 0; nth < 12; ++nth) {
      anew();
      Space s = clear(kind);
      const WalkRequest r = s.at(kIova, Access::kWrite);
      std::map<std::uint64_t, unsigned> first;  // words of the first stage, and their levels
      for (unsigned level = 1; level <= 4 && s.first(); ++level) first[s.entry(kIova, level)] = level;
      unsigned taken = 0;
      std::optional<std::uint64_t> failed;
      bench_->surroundings.update_latency = [&](const UpdateRequest& u) {
        if (taken++ == nth) failed = u.address;
        return Edge{0};
      };
      bench_->surroundings.spoil_update = [&](UpdateResponse& u) { u.error = taken == nth + 1; };
      const WalkResponse result = walk(r);
      if (!failed) break;
      SCOPED_TRACE(testing::Message() << name_of(kind) << ", update " << nth);
      EXPECT_EQ(reason(result), first.count(*failed) != 0 ? 0x91 : 0x78);
      EXPECT_EQ(taken, nth + 1) << "the walk ends";
      if (first.count(*failed) != 0) {
        EXPECT_EQ(result.level, first[*failed]);
      }
    }
  }
}

TEST_P(WalkerAccessedDirty, AFaultSetsNoDAndTouchesNotTheEntryThatFaulted) {
  struct Case {
    const char* name;
    WalkKind kind;
    std::uint64_t leaf;
    std::uint8_t fault;
  };
  for (const Case& c : {
           Case{"read-only", WalkKind::kFirstStage, kPresent | kUser, 0x85},
           Case{"supervisor", WalkKind::kFirstStage, kPresent | kRw, 0x81},
           Case{"reserved", WalkKind::kFirstStage, kPresent | kRw | kUser | (1ULL << 51), 0x72},
           Case{"absent", WalkKind::kFirstStage, kRw | kUser, 0x71},
           Case{"interrupt range", WalkKind::kFirstStage, kPresent | kRw | kUser | 0xFEE0'0000, 0x87},
           Case{"read-only", WalkKind::kSecondStage, kReadable, 0x85},
           Case{"reserved", WalkKind::kSecondStage, kReadWrite | (1ULL << 51), 0x7A},
           Case{"absent", WalkKind::kSecondStage, 0, 0x79},
           Case{"interrupt range", WalkKind::kSecondStage, kReadWrite | 0xFEEF'F000, 0x87},
       }) {
    SCOPED_TRACE(testing::Message() << name_of(c.kind) << ", " << c.name);
    anew();
    Space s = clear(c.kind);
    const WalkRequest r = s.at(kIova, Access::kWrite);
    memory().set_word(s.entry(kIova, 1), c.leaf | ((c.leaf & kAddressBits) == 0 ? 0x8000'0000 : 0));
    const std::uint64_t before = own(s, 1);
    const WalkResponse result = walk(r);
    EXPECT_EQ(reason(result), c.fault);
    EXPECT_EQ(result.level, 1);
    EXPECT_EQ(own(s, 1), before);
    for (unsigned level = 2; level <= 4; ++level)
      EXPECT_NE(own(s, level) & (s.first() ? kFirstA : kSecondA), 0U) << "used before the fault";
  }
}

TEST_P(WalkerAccessedDirty, ATranslationRequestSetsDOnlyIfItMayWrite) {
  for (const WalkKind kind : {WalkKind::kFirstStage, WalkKind::kSecondStage}) {
    for (const bool writable : {false, true}) {
      anew();
      Space s = clear(kind);
      s.like().report_rights = true;
      s.leaf = (s.first() ? kPresent | kUser : kReadable) | (writable ? 0x2 : 0);
      const WalkResponse result = walk(s.at(kIova, Access::kWrite));
      EXPECT_THAT(result, MapsTo(s.page(kIova), 1));
      EXPECT_EQ(result.writable, writable);
      const std::uint64_t a = s.first() ? kFirstA : kSecondA, d = s.first() ? kFirstD : kSecondD;
      EXPECT_EQ(own(s, 1) & (a | d), writable ? a | d : a);
    }
  }
}

// ---- formats of scalable mode --------------------------------------------------------------------------------------

/// Of every walker; those of legacy mode are in rules_test.cpp.
class WalkerFormats : public WalkerKeeps {};

TEST_P(WalkerFormats, EveryBitOfAFirstStageEntry) {
  for (const bool nested : {false, true}) {
    for (const unsigned features : {0U, 1U, 2U}) {
      for (unsigned level = 1; level <= 4; ++level) {
        for (const bool page : {false, true}) {
          if (level == 1 && !page) continue;
          WalkerConfig config{.host_address_width = 39, .superpage_2m = features == 2, .superpage_1g = features == 2};
          config.first_stage_1g = features == 1;
          config.snoop_control = false;
          anew();
          start(config);
          Space s = space(nested ? WalkKind::kNested : WalkKind::kFirstStage);
          WalkRequest r = s.at(kIova);
          const std::uint64_t at = s.entry(kIova, level);
          const std::uint64_t size_bit = page && level > 1 ? kPageSizeBit : 0;
          const std::uint64_t whole = memory().word(at) | size_bit;
          // Whole pages of any size begin at 0; the second stage maps them.
          const std::uint64_t original = size_bit != 0 ? (whole & ~kAddressBits) | 0x8000'0000 : whole;
          for (unsigned bit = 5; bit < 64; ++bit) {
            const bool address = bit >= 12 && bit < 39;
            const bool low = size_bit != 0 && bit >= 13 && bit < 3 + 9 * level;
            if (bit == 7 || (address && !low && !(size_bit != 0 && bit == 12))) continue;
            SCOPED_TRACE(testing::Message() << (nested ? "nested" : "plain") << " features " << features << " level "
                                            << level << (page ? " page" : " table") << " bit " << bit);
            // PS where there are no such pages, address bits below the page but PAT, address bits beyond HAW, which
            // does not limit guest addresses; XD is no reserved bit.
            const bool size = size_bit != 0 && (level == 4 || (level == 3 && features != 1));
            const bool reserved = size || low || (!nested && bit >= 39 && bit <= 51);
            memory().set_word(at, original | (1ULL << bit));
            invalidate(of(WalkScope::kAll));
            const WalkResponse result = walk(r);
            EXPECT_EQ(reason(result) == 0x72, reserved) << InWords{result};
            if (reserved) {
              EXPECT_EQ(result.level, level);
            }
          }
        }
      }
    }
  }
}

TEST_P(WalkerFormats, TheInterruptRangeIsOneMegabyteWhateverThePageSize) {
  for (const WalkKind kind : {WalkKind::kSecondStage, WalkKind::kFirstStage, WalkKind::kNested}) {
    for (const unsigned level : {1U, 2U}) {
      anew();
      Space s = space(kind);
      s.at(kIova);
      // The page that holds the final leaf's entry.
      const std::uint64_t guest = kind == WalkKind::kNested ? s.guest_page(kIova) : 0;
      const std::uint64_t at = s.nested() ? s.second_entry(guest, level) : s.entry(kIova, level);
      const std::uint64_t bits = (memory().word(at) & ~kAddressBits) | (level == 2 ? kPageSizeBit : 0);
      for (const std::uint64_t page : {0xFEDF'F000, 0xFEE0'0000, 0xFEEF'F000, 0xFEF0'0000}) {
        memory().set_word(at, (level == 2 ? page & ~(k2M - 1) : page) | bits | kFirstA | kFirstD);
        WalkRequest r = s.like();
        r.iova = level == 2 && !s.nested() ? (kIova & ~(k2M - 1)) | page % k2M : kIova;
        if (level == 2 && s.nested()) {  // the first stage selects the byte
          memory().set_word(s.entry(kIova, 1),
                            (memory().word(s.entry(kIova, 1)) & ~(kAddressBits & (k2M - 1))) | page % k2M);
        }
        invalidate(of(WalkScope::kAll));
        EXPECT_EQ(reason(walk(r)), page >> 20 == 0xFEE ? 0x87 : 0)
            << name_of(kind) << " level " << level << " page 0x" << std::hex << page;
      }
    }
  }
}

#define VTD_FOR_WALKERS_WITH_CACHES(suite)                                                              \
  INSTANTIATE_TEST_SUITE_P(, suite, testing::Values(WalkerUnderTest::kRtl, WalkerUnderTest::kLockstep), \
                           [](const auto& info) { return test::name_of(info.param); })

VTD_FOR_WALKERS_WITH_CACHES(WalkerCaches);
VTD_FOR_WALKERS_WITH_CACHES(WalkerScopes);
VTD_FOR_WALKERS_WITH_CACHES(WalkerSharing);
VTD_FOR_WALKERS_WITH_CACHES(WalkerCounts);
VTD_FOR_EVERY_WALKER(WalkerFormats);
VTD_FOR_EVERY_WALKER(WalkerInFlight);
VTD_FOR_EVERY_WALKER(WalkerAccessedDirty);

}  // namespace
}  // namespace vtd::test
