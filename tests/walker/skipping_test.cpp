// SPDX-License-Identifier: MIT
// Edges that by quiescent() change nothing may be left out: random walks with and without them have the same stamps,
// the same results and the same counts. What happens at an edge depends on its number alone.
#include <gtest/gtest.h>

#include "tests/walker/random_world.h"
#include "tlm/unit/rtl_walker.h"

namespace vtd::test {
namespace {

std::uint64_t mixed(std::uint64_t seed, std::uint64_t a, std::uint64_t b = 0) {
  std::uint64_t x = seed * 0x9E37'79B9'7F4A'7C15 ^ a * 0xBF58'476D'1CE4'E5B9 ^ b * 0x94D0'49BB'1331'11EB;
  x ^= x >> 31;
  x *= 0xD6E8'FEB8'6659'FD93;
  return x ^ x >> 29;
}

struct Log {
  std::vector<Walked> walks;
  std::vector<std::uint32_t> events;
  Edge clocked = 0;
  friend bool operator==(const Log& a, const Log& b) { return a.walks == b.walks && a.events == b.events; }
};

Log play(std::uint64_t seed, bool skip) {
  RandomWorld world(seed);
  RtlWalker walker(world.config(), static_cast<std::uint32_t>(seed));
  WalkerBench bench(walker, world.memory());
  std::vector<WalkRequest> requests(200);
  for (WalkRequest& r : requests) r = world.request();
  std::vector<WalkInvalidation> invalidations(40);
  for (WalkInvalidation& i : invalidations) i = world.invalidation();
  std::uint64_t asked = 0;
  Surroundings& s = bench.surroundings;
  s.skip_quiescent = skip;
  // Where a walk may be taken or a result is shown nothing is skipped, so these may depend on the edge.
  s.memory_ready = [seed](Edge e) { return mixed(seed, 1, e) % 4 != 0; };
  s.update_ready = [seed](Edge e) { return mixed(seed, 2, e) % 4 != 0; };
  s.response_ready = [seed](Edge e) { return mixed(seed, 3, e) % 4 != 0; };
  s.offers = [seed](Edge e) { return mixed(seed, 4, e) % 3 != 0; };
  s.latency = [seed](const MemoryRequest& r) { return mixed(seed, r.address, r.id) % 200; };
  s.update_latency = [seed](const UpdateRequest& r) { return mixed(seed, r.address, r.id) % 200; };
  // After so many reads and updates, not at an edge.
  s.invalidation = [&](Edge) -> std::optional<WalkInvalidation> {
    if (asked == invalidations.size() || bench.reads() + bench.updates() < 100 * (asked + 1)) return std::nullopt;
    return invalidations[asked++];
  };
  Log log{.walks = bench.run(requests), .events = {}};
  for (unsigned e = 0; e < static_cast<unsigned>(WalkerEvent::kCount); ++e)
    log.events.push_back(walker.count(static_cast<WalkerEvent>(e)));
  log.clocked = bench.edges_clocked();
  return log;
}

TEST(Skipping, LeavesTheSameLog) {
  Edge with = 0, without = 0;
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    const Log every = play(seed, false), skipped = play(seed, true);
    ASSERT_EQ(every, skipped) << "seed " << seed;
    without += every.clocked;
    with += skipped.clocked;
  }
  EXPECT_LT(with, without * 9 / 10) << "there was something to skip";
  std::printf("%llu of %llu edges were clocked\n", static_cast<unsigned long long>(with),
              static_cast<unsigned long long>(without));
}

}  // namespace
}  // namespace vtd::test
