// SPDX-License-Identifier: MIT
// What a walker does with many walks: ports, ids, order, back-pressure, quiescence, cycles. The rules of one walk
// are in rules_test.cpp.
#include <algorithm>
#include <random>
#include <set>

#include "tests/walker/walker_fixture.h"
#include "tlm/core/reference_walker.h"

namespace vtd::test {
namespace {

class WalkerPorts : public WalkerConformance {
 protected:
  void expect_all_mapped(const std::vector<Walked>& done, std::size_t count) {
    ASSERT_EQ(done.size(), count);
    std::set<std::uint64_t> iovas;
    for (const Walked& walked : done) {
      EXPECT_TRUE(translates_to(walked.response, page_of(walked), 1));
      iovas.insert(walked.request.iova);
    }
    EXPECT_EQ(iovas.size(), count) << "a walk was answered twice or not at all";
  }
  std::unique_ptr<Walker> walker_ = make_walker(GetParam(), config_);
  WalkerBench bench_{*walker_, memory_};
};

// ---- many walks at once --------------------------------------------------------------------------------------------

TEST_P(WalkerPorts, AsManyWalksAsItHasSlotsAreInFlightAtOnce) {
  bench_.surroundings.latency = [](auto&) { return Edge{100}; };
  const unsigned n = walker_->capacity();
  expect_all_mapped(bench_.run(mapped_walks(3 * n)), 3 * n);
  EXPECT_EQ(bench_.most_in_flight(), n);
}

TEST_P(WalkerPorts, AnswersOfMemoryMayComeInReverseOrder) {
  // The later the read, the sooner its answer: the order of the walks turns round at each of the three levels.
  Edge longest = 15 * walker_->capacity() + 10;
  bench_.surroundings.latency = [&longest](auto&) { return longest -= longest > 10 ? 5 : 0; };
  const auto requests = mapped_walks(walker_->capacity(), 3);
  const auto done = bench_.run(requests);
  expect_all_mapped(done, requests.size());
  EXPECT_TRUE(
      std::is_sorted(done.begin(), done.end(), [](auto& a, auto& b) { return a.request.iova > b.request.iova; }));
}

TEST_P(WalkerPorts, ResultsOfShortWalksOvertakeLongOnes) {
  if (walker_->capacity() < 2) GTEST_SKIP() << "one walk at a time";
  bench_.surroundings.latency = [](auto&) { return Edge{50}; };
  auto requests = mapped_walks(2);
  requests[1].iova = 1ULL << 60;  // beyond the width: no read at all
  const auto done = bench_.run(requests);
  EXPECT_EQ(done.front().response.fault, FaultReason::kAddressBeyondWidth);
  EXPECT_TRUE(translates_to(done.back().response, kPages, 1));
}

TEST_P(WalkerPorts, AFullWalkerAcceptsNothingUntilASlotIsFree) {
  const auto requests = mapped_walks(walker_->capacity() + 1);
  bench_.surroundings.latency = [](auto&) { return Edge{200}; };
  const auto done = bench_.run(requests);
  const auto last =
      std::find_if(done.begin(), done.end(), [&](auto& w) { return w.request.iova == requests.back().iova; });
  ASSERT_NE(last, done.end());
  EXPECT_EQ(last->accepted, done.front().answered + 1);
}

TEST_P(WalkerPorts, OneWalkIsAcceptedAtEveryEdgeWhileSlotsAreFree) {
  bench_.surroundings.latency = [](auto&) { return Edge{100}; };
  auto done = bench_.run(mapped_walks(walker_->capacity()));
  std::sort(done.begin(), done.end(), [](auto& a, auto& b) { return a.accepted < b.accepted; });
  for (std::size_t i = 1; i < done.size(); ++i) EXPECT_EQ(done[i].accepted, done[i - 1].accepted + 1);
}

TEST_P(WalkerPorts, NoWalkIsStarvedByTheOthers) {
  // All walks want the port all the time; each must get it once a round.
  const unsigned n = walker_->capacity();
  const auto done = bench_.run(mapped_walks(20 * n));
  Edge longest = 0;
  for (const Walked& walked : done) longest = std::max(longest, walked.answered - walked.accepted);
  EXPECT_LE(longest, Edge{4} * n + n + 4) << "four reads, a round of n each, and a round for the answer";
}

// ---- back-pressure -------------------------------------------------------------------------------------------------

TEST_P(WalkerPorts, BackPressureOnEveryPortLosesNothing) {
  // WalkerBench checks that what is shown stays the same until it is taken.
  for (const unsigned seed : {1U, 2U, 3U, 4U, 5U, 6U}) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    std::mt19937 random(seed);
    const auto one_in = [&random](unsigned n) { return random() % n == 0; };
    bench_.surroundings.memory_ready = [&](Edge) { return one_in(seed); };
    bench_.surroundings.response_ready = [&](Edge) { return one_in(7 - seed); };
    bench_.surroundings.offers = [&](Edge) { return one_in(3); };
    bench_.surroundings.latency = [&](auto&) { return random() % 30; };
    expect_all_mapped(bench_.run(mapped_walks(200)), 200);
  }
}

TEST_P(WalkerPorts, AStalledMemoryPortKeepsItsReadWhileNewWalksArrive) {
  bench_.surroundings.memory_ready = [](Edge edge) { return edge >= 300; };
  expect_all_mapped(bench_.run(mapped_walks(walker_->capacity())), walker_->capacity());
  EXPECT_EQ(bench_.first_read(), 300U);
}

TEST_P(WalkerPorts, AStalledResponsePortKeepsItsAnswerWhileOthersFinish) {
  bench_.surroundings.response_ready = [](Edge edge) { return edge >= 300; };
  const unsigned n = walker_->capacity();
  const auto done = bench_.run(mapped_walks(n));
  expect_all_mapped(done, n);
  for (std::size_t i = 0; i < done.size(); ++i) EXPECT_EQ(done[i].answered, 300 + i) << "one answer an edge";
}

// ---- cycles --------------------------------------------------------------------------------------------------------

TEST_P(WalkerPorts, OneWalkTakesNoLongerThanPromised) {
  for (const unsigned latency : {0U, 20U, 100U}) {
    for (unsigned levels = 3; levels <= 5; ++levels) {
      for (unsigned leaf = 1; leaf <= 3; ++leaf) {
        root_ = tables_.new_table();
        tables_.map(root_, levels, kIova, leaf, 0x4000'0000 | kReadWrite | (leaf > 1 ? kPageSizeBit : 0));
        bench_.surroundings.latency = [latency](auto&) { return Edge{latency}; };
        const Walked walked = bench_.run(std::vector{request(kIova, Access::kRead, levels)}).front();
        const unsigned reads = levels - leaf + 1;
        ASSERT_EQ(walked.response.reads, reads);
        const Edge cycles = walked.answered - walked.accepted + 1;
        EXPECT_LE(cycles, reads * (latency + 2) + 3) << "L " << latency << " levels " << levels;
        EXPECT_EQ(cycles, reads * (latency + 2) + 2) << "rtl/README.md says so";
      }
    }
  }
}

TEST_P(WalkerPorts, EnoughWalksKeepTheMemoryPortBusy) {
  if (walker_->capacity() < 16) GTEST_SKIP() << "too few walks for the latencies of this test";
  for (unsigned levels = 3; levels <= 4; ++levels) {
    root_ = tables_.new_table();
    for (const unsigned latency : {0U, 5U, 10U}) {
      WalkerBench bench(*walker_, memory_);
      bench.surroundings.latency = [latency](auto&) { return Edge{latency}; };
      expect_all_mapped(bench.run(mapped_walks(500, levels)), 500);
      const double busy =
          static_cast<double>(bench.reads()) / static_cast<double>(bench.last_read() - bench.first_read() + 1);
      EXPECT_GE(busy, 0.95) << levels << " levels, L " << latency;
    }
  }
}

// ---- quiescence ----------------------------------------------------------------------------------------------------

TEST_P(WalkerPorts, SkippingQuiescentEdgesChangesNoStamp) {
  const auto requests = mapped_walks(100);
  std::vector<Walked> stamps[2];
  Edge clocked[2] = {};
  for (const bool skip : {false, true}) {
    const auto walker = make_walker(GetParam(), config_);
    WalkerBench bench(*walker, memory_);
    std::mt19937 random(5);
    bench.surroundings.skip_quiescent = skip;
    bench.surroundings.latency = [&random](auto&) { return 20 + random() % 200; };
    stamps[skip] = bench.run(requests);
    clocked[skip] = bench.edges_clocked();
  }
  EXPECT_EQ(stamps[0], stamps[1]);
  EXPECT_LT(clocked[1], clocked[0]);
}

TEST_P(WalkerPorts, QuiescentWhileEveryWalkWaitsForMemory) {
  EXPECT_TRUE(walker_->quiescent());
  EXPECT_TRUE(walker_->idle());
  mapped_walks(1);
  const WalkRequest one = request(kIova);
  EXPECT_TRUE(walker_->cycle({.request = &one}).request_accepted);
  EXPECT_FALSE(walker_->quiescent()) << "it wants to read";
  EXPECT_FALSE(walker_->idle());
  ASSERT_TRUE(walker_->cycle({.memory_ready = false}).memory_request.has_value());
  EXPECT_FALSE(walker_->quiescent()) << "its read was not taken";
  ASSERT_TRUE(walker_->cycle({}).memory_request.has_value());
  EXPECT_TRUE(walker_->quiescent());
  EXPECT_FALSE(walker_->idle());
  const MemoryResponse error{0, 0, true};
  walker_->cycle({.memory_response = &error});
  EXPECT_FALSE(walker_->quiescent()) << "it wants to answer";
  ASSERT_TRUE(walker_->cycle({.response_ready = false}).response.has_value());
  EXPECT_FALSE(walker_->quiescent()) << "its answer was not taken";
  EXPECT_TRUE(faults_with(*walker_->cycle({}).response, 0x7, 4));
  EXPECT_TRUE(walker_->quiescent());
  EXPECT_TRUE(walker_->idle());
}

// ---- reset and misuse ----------------------------------------------------------------------------------------------

TEST_P(WalkerPorts, ResetDropsEveryWalk) {
  const auto requests = mapped_walks(walker_->capacity());
  for (std::uint8_t id = 0; id < walker_->capacity(); ++id) {
    WalkRequest r = requests[id];
    r.id = id;
    ASSERT_TRUE(walker_->cycle({.request = &r, .memory_ready = (id % 2) != 0}).request_accepted);
  }
  ASSERT_FALSE(walker_->cycle({.request = &requests[0], .memory_ready = false}).request_accepted);
  walker_->reset();
  EXPECT_TRUE(walker_->idle());
  EXPECT_TRUE(walker_->quiescent());
  expect_all_mapped(bench_.run(requests), requests.size());
}

TEST_P(WalkerPorts, AnIdInUseIsRefused) {
  if (walker_->capacity() < 2) GTEST_SKIP() << "the port is closed while the only id is in use";
  const auto requests = mapped_walks(2);
  walker_->cycle({.request = &requests[0], .memory_ready = false});
  walker_->cycle({.memory_ready = false});
  EXPECT_THROW(walker_->cycle({.request = &requests[1], .memory_ready = false}), std::logic_error);
}

TEST_P(WalkerPorts, AnAnswerToAWalkThatDoesNotWaitIsRefused) {
  const auto requests = mapped_walks(1);
  walker_->cycle({.request = &requests[0], .memory_ready = false});
  walker_->cycle({.memory_ready = false});
  const MemoryResponse early{0, 3, false};
  EXPECT_THROW(walker_->cycle({.memory_response = &early, .memory_ready = false}), std::logic_error);
}

VTD_FOR_EVERY_WALKER(WalkerPorts);

// ---- all of them alike
// -----------------------------------------------------------------------------------------------

class AllWalkers : public WalkerPorts {};

TEST_P(AllWalkers, HaveTheSameStampsAtEveryEdge) {
  const auto requests = mapped_walks(300);
  const auto stamps = [&](std::unique_ptr<Walker> walker) {
    WalkerBench bench(*walker, memory_);
    std::mt19937 random(11);
    bench.surroundings.memory_ready = [&](Edge) { return random() % 4 != 0; };
    bench.surroundings.response_ready = [&](Edge) { return random() % 3 != 0; };
    bench.surroundings.latency = [&](auto&) { return random() % 20; };
    return bench.run(requests);
  };
  const auto expected = stamps(std::make_unique<ReferenceWalker>(config_, walker_->capacity()));
  for (const std::uint32_t reset_seed : {1U, 2U, 77U, 123456789U})
    EXPECT_EQ(stamps(make_walker(GetParam(), config_, reset_seed)), expected)
        << "registers came up by seed " << reset_seed;
}

TEST_P(AllWalkers, SeveralInstancesDoNotDisturbEachOther) {
  auto other = make_walker(GetParam(), {.superpage_2m = false}, 9);
  tables_.map(root_, 4, kIova, 2, 0x4000'0000 | kReadWrite | kPageSizeBit);
  const WalkRequest r = request(kIova);
  WalkerBench other_bench(*other, memory_);
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(translates_to(bench_.run(r), 0x4000'0000, 2));
    EXPECT_TRUE(faults_with(other_bench.run(r), 0xC, 2));
  }
  other.reset();  // destroyed
  EXPECT_TRUE(translates_to(bench_.run(r), 0x4000'0000, 2));
}

VTD_FOR_EVERY_WALKER(AllWalkers);

TEST(ReferenceWalk, IsTheSameWalkWithoutEdges) {
  FakeMemory memory;
  TableBuilder tables(memory);
  const std::uint64_t root = tables.new_table();
  tables.map(root, 3, 0x4000'0000, 2, 0x8020'0000 | kReadable | kPageSizeBit);
  const WalkResponse response = reference_walk({}, {.id = 5, .root = root, .levels = 3, .iova = 0x4000'0123},
                                               [&](PhysAddr a) { return memory.read(a); });
  EXPECT_EQ(response, (WalkResponse{.id = 5, .level = 2, .page = 0x8020'0000, .readable = true, .reads = 2}));
}

}  // namespace
}  // namespace vtd::test
