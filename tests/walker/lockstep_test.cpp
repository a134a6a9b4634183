// SPDX-License-Identifier: MIT
// The RTL against the rules on random walks: random tables, latencies, orders, errors and back-pressure. A failure
// names its seed and how to run it again. VTDSIM_SEED=n is the seed of the first world, VTDSIM_WALKS=n the number of
// walks (nightly runs more).
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>

#include "tests/support/matchers.h"
#include "tests/walker/random_world.h"
#include "tlm/core/reference_walker.h"
#include "tlm/spec/fault_reason.h"
#include "tlm/unit/lockstep_walker.h"
#include "tlm/unit/rtl_walker.h"

namespace vtd::test {
namespace {

constexpr std::uint64_t kWalks = 40'000;
constexpr std::uint64_t kWalksPerWorld = 400;

/// A variable that is set but is no positive number stops the test, which would else run something else than asked.
std::uint64_t from_environment(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  if (text == nullptr) return otherwise;
  char* end = nullptr;
  const std::uint64_t value = std::strtoull(text, &end, 0);
  if (*end != '\0' || value == 0) throw std::invalid_argument(std::string(name) + " must be a number above 0");
  return value;
}

/// How a world treats its walker. Counts in `spoiled` the answers that it makes errors.
Surroundings surroundings(RandomWorld& world, unsigned& spoiled) {
  Surroundings s;
  const auto ready_in = 1 + static_cast<unsigned>(world.below(4));
  const auto latency = 1 + world.below(60);
  const bool spoils = world.one_in(2);
  s.memory_ready = [&world, ready_in](Edge) { return world.one_in(ready_in); };
  s.response_ready = [&world, ready_in](Edge) { return world.one_in(5 - ready_in); };
  s.offers = [&world](Edge) { return !world.one_in(4); };
  s.latency = [&world, latency](auto&) { return world.below(latency); };
  s.spoil = [&world, &spoiled, spoils](MemoryResponse& r) {
    if (r.error || !spoils || !world.one_in(50)) return;
    r.error = true;
    ++spoiled;
  };
  return s;
}

/// What the rules make of the walk, found without any walker: its reads go to the tables of the world, and where an
/// answer was spoiled (the walk says at which read it ended), the same answer is an error here too.
WalkResponse expected(const RandomWorld& world, const Walked& walked, unsigned& spoiled) {
  unsigned reads = 0;
  const auto read = [&](PhysAddr address) {
    const auto word = world.memory().read(address);
    const bool ended_here =
        ++reads == walked.response.reads && walked.response.fault == FaultReason::kPagingEntryAccess;
    if (!word || !ended_here) return word;
    ++spoiled;
    return std::optional<std::uint64_t>{};
  };
  return reference_walk(world.config(), walked.request, read);
}

TEST(Lockstep, RandomWalks) {
  const std::uint64_t first_seed = from_environment("VTDSIM_SEED", 1);
  const std::uint64_t worlds = (from_environment("VTDSIM_WALKS", kWalks) + kWalksPerWorld - 1) / kWalksPerWorld;
  std::uint64_t compared = 0;
  std::map<FaultReason, unsigned> outcomes;
  std::set<unsigned> levels_of_leaves;
  for (std::uint64_t seed = first_seed; seed < first_seed + worlds; ++seed) {
    SCOPED_TRACE(testing::Message() << "rerun: VTDSIM_SEED=" << seed << " VTDSIM_WALKS=" << kWalksPerWorld);
    RandomWorld world(seed);
    std::vector<WalkRequest> requests(kWalksPerWorld);
    for (WalkRequest& r : requests) r = world.request();
    LockstepWalker walker(std::make_unique<RtlWalker>(world.config(), static_cast<std::uint32_t>(seed)),
                          world.config());
    WalkerBench bench(walker, world.memory());
    unsigned spoiled = 0;
    unsigned spoiled_by_the_rules = 0;
    bench.surroundings = surroundings(world, spoiled);
    bench.surroundings.skip_quiescent = world.one_in(2);
    try {
      for (const Walked& walked : bench.run(requests)) {
        const WalkResponse wanted = expected(world, walked, spoiled_by_the_rules);
        ASSERT_EQ(walked.response, wanted) << "got " << InWords{walked.response} << ", wanted " << InWords{wanted};
        ++outcomes[walked.response.fault];
        if (walked.response.fault == FaultReason::kNone) levels_of_leaves.insert(walked.response.level);
      }
    } catch (const std::exception& e) {
      FAIL() << e.what();
    }
    ASSERT_EQ(spoiled_by_the_rules, spoiled) << "each spoiled answer ends one walk";
    compared += walker.compared();
  }
  RecordProperty("walks", std::to_string(compared));
  for (const auto& [reason, count] : outcomes) std::printf("%7u  %s\n", count, info(reason).text);
  EXPECT_EQ(compared, worlds * kWalksPerWorld);
  static_assert(kWalks >= 10'000);
  if (compared < 10'000) return;  // a rerun; the default and nightly are above
  // The walks reach everything: each outcome often enough, leaves of every size.
  for (const FaultReason reason :
       {FaultReason::kNone, FaultReason::kAddressBeyondWidth, FaultReason::kWritePermission,
        FaultReason::kReadPermission, FaultReason::kPagingEntryAccess, FaultReason::kPagingEntryReserved})
    EXPECT_GE(outcomes[reason], compared / 100) << info(reason).text;
  EXPECT_EQ(levels_of_leaves, (std::set<unsigned>{1, 2, 3}));
}

// ---- the lockstep walker itself ------------------------------------------------------------------------------------

/// A walker with one fault of its own making.
class Liar final : public Walker {
 public:
  using Lie = std::function<void(WalkerOutputs&)>;
  Liar(const WalkerConfig& config, Lie lie) : truth_(config, 4), lie_(std::move(lie)) {}
  [[nodiscard]] unsigned capacity() const override { return truth_.capacity(); }
  void reset() override { truth_.reset(); }
  WalkerOutputs cycle(const WalkerInputs& in) override {
    WalkerOutputs out = truth_.cycle(in);
    lie_(out);
    return out;
  }
  [[nodiscard]] bool quiescent() const override { return truth_.quiescent(); }
  [[nodiscard]] bool idle() const override { return truth_.idle(); }

 private:
  ReferenceWalker truth_;
  Lie lie_;
};

/// What lockstep says about a 4-level walk of a liar; empty if it believed all.
std::string complaint(const Liar::Lie& lie) {
  FakeMemory memory;
  TableBuilder tables(memory);
  const std::uint64_t root = tables.new_table();
  tables.map(root, 4, 0x12'3456'7000, 1, 0x2'0000'0000 | kReadWrite);
  LockstepWalker walker(std::make_unique<Liar>(WalkerConfig{}, lie), WalkerConfig{});
  WalkerBench bench(walker, memory);
  try {
    bench.run(WalkRequest{.id = 0, .root = root, .levels = 4, .iova = 0x12'3456'7000});
  } catch (const LockstepMismatch& mismatch) {
    return mismatch.what();
  }
  return "";
}

TEST(LockstepWalker, BelievesTheTruth) {
  EXPECT_EQ(complaint([](WalkerOutputs&) {}), "");
}

TEST(LockstepWalker, SeesEveryWrongFieldOfAResult) {
  const std::vector<std::function<void(WalkResponse&)>> lies = {
      [](WalkResponse& r) { r.fault = FaultReason::kReadPermission; },
      [](WalkResponse& r) { r.level = 2; },
      [](WalkResponse& r) { r.page += 0x1000; },
      [](WalkResponse& r) { r.readable = false; },
      [](WalkResponse& r) { r.writable = false; },
      [](WalkResponse& r) { r.snoop = true; },
      [](WalkResponse& r) { r.transient = true; },
      [](WalkResponse& r) { r.reads = 3; },
  };
  for (std::size_t i = 0; i < lies.size(); ++i) {
    const std::string text = complaint([&](WalkerOutputs& out) {
      if (out.response) lies[i](*out.response);
    });
    EXPECT_NE(text.find("the rules say"), std::string::npos) << "field " << i << ": " << text;
    EXPECT_NE(text.find("0x1234567000"), std::string::npos) << "the message names the walk: " << text;
  }
}

TEST(LockstepWalker, SeesAWrongRead) {
  const std::string text = complaint([](WalkerOutputs& out) {
    if (out.memory_request) out.memory_request->address += 8;
  });
  EXPECT_NE(text.find("the rules require"), std::string::npos) << text;
}

TEST(LockstepWalker, SeesAResultBeforeTheLastRead) {
  const std::string text = complaint([](WalkerOutputs& out) {
    if (out.memory_request) out.response = WalkResponse{.id = out.memory_request->id};
  });
  EXPECT_NE(text.find("the rules require a read of"), std::string::npos) << text;
}

TEST(LockstepWalker, SeesAnAnswerForNobody) {
  const std::string text = complaint([](WalkerOutputs& out) {
    if (out.response) out.response->id = 3;
  });
  EXPECT_NE(text.find("not in flight"), std::string::npos) << text;
}

}  // namespace
}  // namespace vtd::test
