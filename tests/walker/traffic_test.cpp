// SPDX-License-Identifier: MIT
// Many walks of addresses that have nothing in common, as a unit sees them when its caches miss: use of the memory
// port, and results that belong to their walks whatever the memory does.
#include <cstdio>
#include <map>
#include <optional>
#include <random>

#include "tests/support/matchers.h"
#include "tests/walker/walker_fixture.h"

namespace vtd::test {
namespace {

class WalkerTraffic : public WalkerConformance {
 protected:
  enum class Pages { k4K, kAll };
  struct Leaf {
    std::uint64_t page = 0;
    unsigned level = 1;
  };

  /// `count` walks of different random addresses below one root; leaf_of_ knows where each leads.
  std::vector<WalkRequest> random_misses(unsigned count, unsigned levels, Pages pages) {
    std::vector<WalkRequest> requests;
    while (requests.size() < count) {
      const unsigned level = pages == Pages::k4K ? 1 : 1 + static_cast<unsigned>(random_() % 3);
      std::uint64_t iova = (random_() << 12) & ((1ULL << (12 + 9 * levels)) - 1);
      // The lowest bits of two indices tell the sizes apart, so that no leaf stands in the way of another walk.
      iova &= ~(kSizeIs1G | kSizeIs2M);
      if (level == 3) iova |= kSizeIs1G;
      if (level == 2) iova |= kSizeIs2M;
      std::uint64_t leaf = memory_.word(tables_.entry(root_, levels, iova, level));
      if (leaf == 0) {
        leaf = ((random_() & 0x3'FFFF) << (3 + 9 * level) & 0x0000'3FFF'FFFF'F000) | kReadWrite |
               (level > 1 ? kPageSizeBit : 0);
        tables_.map(root_, levels, iova, level, leaf);
      }
      if (!leaf_of_.emplace(iova, Leaf{leaf & 0x000F'FFFF'FFFF'F000, level}).second) continue;
      requests.push_back(request(iova, Access::kRead, levels));
    }
    return requests;
  }
  void start_anew() {
    root_ = tables_.new_table();
    leaf_of_.clear();
  }
  void expect_own_pages(const std::vector<Walked>& done, std::size_t count) {
    ASSERT_EQ(done.size(), count);
    for (const Walked& walked : done) {
      const Leaf leaf = leaf_of_.at(walked.request.iova);
      EXPECT_THAT(walked.response, MapsTo(leaf.page, leaf.level)) << "iova 0x" << std::hex << walked.request.iova;
    }
  }
  static double share_of_busy_edges(const WalkerBench& bench) {
    return static_cast<double>(bench.reads()) / static_cast<double>(bench.last_read() - bench.first_read() + 1);
  }

  static constexpr std::uint64_t kSizeIs1G = 1ULL << 30;
  static constexpr std::uint64_t kSizeIs2M = 1ULL << 21;

  std::mt19937_64 random_{2026};
  std::map<std::uint64_t, Leaf> leaf_of_;
  std::unique_ptr<Walker> walker_ = make_walker(GetParam(), config_);
  WalkerBench bench_{*walker_, memory_};
};

TEST_P(WalkerTraffic, RandomMissesAtALatencyOfTenKeepTheMemoryPortBusy) {
  if (walker_->capacity() < 16) GTEST_SKIP() << "too few walks for the latency of this test";
  for (unsigned levels = 3; levels <= 5; ++levels) {
    for (const Pages pages : {Pages::k4K, Pages::kAll}) {
      start_anew();
      WalkerBench bench(*walker_, memory_);
      bench.surroundings.latency = [](auto&) { return Edge{10}; };
      // Equal walks fall into step with each other; walks of different depth, and a last round that is not full, do
      // not.
      const auto requests = random_misses(997, levels, pages);
      expect_own_pages(bench.run(requests), requests.size());
      const double busy = share_of_busy_edges(bench);
      EXPECT_GE(busy, 0.95) << levels << " levels";
      std::printf("%u levels, %s pages: memory port busy at %.1f %% of the edges\n", levels,
                  pages == Pages::kAll ? "4K, 2M and 1G" : "4K", 100 * busy);
    }
  }
}

TEST_P(WalkerTraffic, WhatTheMemoryPortCarriesIsBoundedByTheLatency) {
  // With a latency that the slots cannot cover, each read keeps its walk away from the port for L + 2 edges.
  const unsigned latency = 100 + 10 * walker_->capacity();
  bench_.surroundings.latency = [latency](auto&) { return Edge{latency}; };
  const auto requests = random_misses(20 * walker_->capacity(), 4, Pages::k4K);
  expect_own_pages(bench_.run(requests), requests.size());
  const double most = static_cast<double>(walker_->capacity()) / (latency + 2);
  EXPECT_LE(share_of_busy_edges(bench_), most * 1.02);
  EXPECT_GE(share_of_busy_edges(bench_), most * 0.95);
}

TEST_P(WalkerTraffic, ResultsBelongToTheirWalksWhenMemoryAnswersInRandomOrder) {
  for (const unsigned longest : {2U, 30U, 300U}) {
    bench_.surroundings.latency = [this, longest](auto&) { return random_() % longest; };
    start_anew();
    expect_own_pages(bench_.run(random_misses(300, 4, Pages::kAll)), 300);
  }
}

TEST_P(WalkerTraffic, AnErrorEndsOnlyItsOwnWalk) {
  const auto requests = random_misses(4 * walker_->capacity(), 4, Pages::k4K);
  for (std::size_t i = 0; i < requests.size(); i += 3) memory_.break_word(tables_.entry(root_, 4, requests[i].iova, 1));
  bench_.surroundings.latency = [this](auto&) { return random_() % 40; };
  std::map<std::uint64_t, WalkResponse> results;
  for (const Walked& walked : bench_.run(requests)) results[walked.request.iova] = walked.response;
  for (std::size_t i = 0; i < requests.size(); ++i) {
    if (i % 3 == 0)
      EXPECT_THAT(results.at(requests[i].iova), IsFault(FaultReason::kPagingEntryAccess));
    else
      EXPECT_THAT(results.at(requests[i].iova), MapsTo(leaf_of_.at(requests[i].iova).page, 1));
  }
}

TEST_P(WalkerTraffic, AResetInTheMiddleLeavesNoTraceInLaterWalks) {
  const auto requests = random_misses(walker_->capacity(), 4, Pages::kAll);
  for (unsigned edges = 1; edges <= 40; edges += 3) {
    SCOPED_TRACE(testing::Message() << "reset after " << edges << " edges");
    // Memory that answers every read at the next edge, until the reset.
    std::optional<MemoryRequest> owed;
    std::size_t next = 0;
    for (unsigned edge = 0; edge < edges; ++edge) {
      WalkRequest offered = requests[next % requests.size()];
      offered.id = static_cast<WalkId>(next);
      MemoryResponse answer;
      if (owed) answer = {owed->id, memory_.word(owed->address), false};
      const WalkerOutputs out = walker_->cycle({.request = next < requests.size() ? &offered : nullptr,
                                                .memory_response = owed ? &answer : nullptr,
                                                .response_ready = false});
      owed = out.memory_request;
      if (out.request_accepted) ++next;
    }
    walker_->reset();
    ASSERT_TRUE(walker_->idle());
    ASSERT_TRUE(walker_->quiescent());
    WalkerBench bench(*walker_, memory_);
    expect_own_pages(bench.run(requests), requests.size());
  }
}

VTD_FOR_EVERY_WALKER(WalkerTraffic);

}  // namespace
}  // namespace vtd::test
