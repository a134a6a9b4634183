// SPDX-License-Identifier: MIT
// The RTL against the rules on random walks: random tables, latencies, orders, errors and back-pressure. A failure
// names its seed and how to run it again. VTDSIM_SEED=n is the seed of the first world, VTDSIM_WALKS=n the number of
// walks (nightly runs more).
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>

#include "tests/support/matchers.h"
#include "tests/walker/functional_points.h"
#include "tests/walker/random_world.h"
#include "tlm/core/reference_walker.h"
#include "tlm/spec/fault_reason.h"
#include "tlm/unit/lockstep_walker.h"
#include "tlm/unit/rtl_walker.h"

namespace vtd::test {
namespace {

constexpr std::uint64_t kWalks = 50'000;
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

unsigned walks_at_once() {
  return RtlWalker(WalkerConfig{}).capacity();
}

/// A world and the walker in it: how memory behaves, what changes meanwhile, and what must be true of results beside
/// what LockstepWalker checks at every step.
class Story {
 public:
  Story(std::uint64_t seed, Walker& walker) : world(seed), walker_(walker) {}

  RandomWorld world;
  std::uint64_t judged = 0;

  /// Runs `count` walks. While a change has not been invalidated completely, results are the tables of before or after
  /// it, which only lockstep can judge; otherwise they must be what the tables say now.
  void run(unsigned count, std::map<FaultReason, unsigned>& outcomes, FunctionalPoints& points) {
    std::vector<WalkRequest> requests(count);
    for (std::size_t i = 0; i < requests.size(); ++i)
      requests[i] = i > 0 && world.one_in(4) ? requests[i - 1] : world.request();  // some ask for the same
    WalkerBench bench(walker_, world.memory());
    surround(bench);
    for (const Walked& walked : bench.run(requests)) {
      ++outcomes[walked.response.fault];
      points.add(walked.request, walked.response);
      if (state_ == State::kSettled && walked.accepted >= settled_ && !spoils_) judge(walked);
    }
  }

 private:
  void surround(WalkerBench& bench) {
    Surroundings& s = bench.surroundings;
    const auto ready_in = 1 + static_cast<unsigned>(world.below(4));
    const auto latency = 1 + world.below(60);
    const bool changes = world.one_in(2);
    const bool invalidates = changes || world.one_in(2);
    spoils_ = world.one_in(4);
    s.memory_ready = [this, ready_in](Edge) { return world.one_in(ready_in); };
    s.update_ready = [this, ready_in](Edge) { return world.one_in(ready_in); };
    s.response_ready = [this, ready_in](Edge) { return world.one_in(5 - ready_in); };
    s.offers = [this](Edge) { return !world.one_in(4); };
    s.latency = [this, latency](auto&) { return world.below(latency); };
    s.update_latency = [this, latency](auto&) { return world.below(latency); };
    if (spoils_) {
      s.spoil = [this](MemoryResponse& r) { r.error = r.error || world.one_in(50); };
      s.spoil_update = [this](UpdateResponse& r) {
        r.error = r.error || world.one_in(20);
        r.swapped = r.swapped && !world.one_in(10);
      };
    }
    if (changes)
      s.meanwhile = [this](Edge) {
        if (state_ != State::kSettled || !world.one_in(200)) return;
        for (auto n = 1 + world.below(3); n > 0; --n) world.mutate();
        state_ = State::kChanged;
        // A table may be everybody's: everything is invalidated, or one domain after the other.
        if (world.one_in(2)) return repairs_.push_back({});
        for (unsigned d = 0; d < RandomWorld::domains(); ++d)
          repairs_.push_back({.scope = WalkScope::kDomain, .domain = world.domain(d)});
      };
    if (invalidates)
      s.invalidation = [this](Edge) -> std::optional<WalkInvalidation> {
        if (repairs_.empty() || !world.one_in(10)) {
          if (world.one_in(400)) return world.invalidation();
          return std::nullopt;
        }
        const WalkInvalidation repair = repairs_.back();
        repairs_.pop_back();
        if (repairs_.empty()) state_ = State::kRepairing;
        return repair;
      };
    s.invalidated = [this, &bench] {
      if (state_ != State::kRepairing) return;
      state_ = State::kSettled;
      settled_ = bench.now();
    };
    s.skip_quiescent = !invalidates && world.one_in(2);
  }

  void judge(const Walked& walked) {
    // Whose update was refused may have been updated by a walk that may.
    const FaultReason fault = walked.response.fault;
    if (fault == FaultReason::kFsAdNoSnoop || fault == FaultReason::kSsAdNoSnoop ||
        fault == FaultReason::kNestedAdWrite)
      return;
    const auto now =
        reference_walk(world.config(), walked.request, [&](PhysAddr address) { return world.memory().read(address); });
    WalkResponse got = walked.response;
    // Caches save reads, and D may have been set since.
    got.reads = now.reads;
    got.clean = now.clean;
    ASSERT_EQ(got, now) << "got " << InWords{got} << ", the tables say " << InWords{now} << "; iova " << std::hex
                        << walked.request.iova;
    ++judged;
  }

  Walker& walker_;
  enum class State { kSettled, kChanged, kRepairing } state_ = State::kSettled;
  bool spoils_ = false;
  std::vector<WalkInvalidation> repairs_;  ///< still to be offered
  Edge settled_ = 0;                       ///< since then memory is the same
};

TEST(Lockstep, RandomWalks) {
  const std::uint64_t first_seed = from_environment("VTDSIM_SEED", 1);
  const std::uint64_t worlds = (from_environment("VTDSIM_WALKS", kWalks) + kWalksPerWorld - 1) / kWalksPerWorld;
  std::uint64_t compared = 0, judged = 0, skipped = 0, shared = 0;
  std::map<FaultReason, unsigned> outcomes;
  std::map<WalkerEvent, std::uint64_t> events;
  FunctionalPoints points;
  for (std::uint64_t seed = first_seed; seed < first_seed + worlds; ++seed) {
    SCOPED_TRACE(testing::Message() << "rerun: VTDSIM_SEED=" << seed << " VTDSIM_WALKS=" << kWalksPerWorld);
    const WalkerConfig config = RandomWorld(seed).config();
    LockstepWalker walker(std::make_unique<RtlWalker>(config, static_cast<std::uint32_t>(seed)), config);
    Story story(seed, walker);
    try {
      story.run(kWalksPerWorld, outcomes, points);
    } catch (const std::exception& e) {
      FAIL() << e.what();
    }
    if (HasFatalFailure()) return;
    compared += walker.compared();
    judged += story.judged;
    skipped += walker.skipped_reads();
    shared += walker.shared_results();
    for (unsigned e = 0; e < static_cast<unsigned>(WalkerEvent::kCount); ++e)
      events[static_cast<WalkerEvent>(e)] += walker.count(static_cast<WalkerEvent>(e));
  }
  RecordProperty("walks", std::to_string(compared));
  for (const auto& [reason, count] : outcomes) std::printf("%7u  %s\n", count, info(reason).text);
#define VTD_X(name, text) std::printf("%7llu  %s\n", static_cast<unsigned long long>(events[WalkerEvent::name]), text);
  VTD_WALKER_EVENTS(VTD_X)
#undef VTD_X
  std::printf("%7llu  reads that caches made unnecessary\n%7llu  results held against the tables\n",
              static_cast<unsigned long long>(skipped), static_cast<unsigned long long>(judged));
  unsigned nested_holes = 0;
  for (const auto& [point, count] : points.hits()) {
    if (count > 0) continue;
    std::printf("not reached: %s\n", point.c_str());
    nested_holes += point.rfind("nested", 0) == 0 ? 1 : 0;
  }
  EXPECT_EQ(compared, worlds * kWalksPerWorld);
  EXPECT_GE(events[WalkerEvent::kShared], shared) << "some are killed after they have inherited";
  static_assert(kWalks >= 10'000);
  if (compared < 10'000) return;  // a rerun; the default and nightly are above
  // The walks reach everything: each outcome, each event.
  for (const FaultInfo& fault : kFaults) {
    const bool of_walks = fault.cls == FaultClass::kFirstStage || fault.cls == FaultClass::kSecondStage ||
                          fault.reason == FaultReason::kSmInterruptRange || fault.reason == FaultReason::kNone;
    if (of_walks) {
      EXPECT_GE(outcomes[fault.reason], compared / 20'000) << fault.text;
    }
  }
  for (const FaultReason reason : {FaultReason::kAddressBeyondWidth, FaultReason::kWritePermission,
                                   FaultReason::kReadPermission, FaultReason::kPagingEntryReserved})
    EXPECT_GE(outcomes[reason], compared / 2'000) << info(reason).text;
  EXPECT_GE(outcomes[FaultReason::kNone], compared / 5);
  for (const auto& [event, count] : events) {
    const bool sharing = event == WalkerEvent::kShared && walks_at_once() == 1;
    if (!sharing) {
      EXPECT_GE(count, compared / 5'000) << "event " << static_cast<unsigned>(event);
    }
  }
  EXPECT_GE(judged, compared / 5);
  // Of nested walks, which read up to 35 entries, few get to their end here: tests/walker/rules_test.cpp has their
  // pages.
  EXPECT_EQ(points.holes(), nested_holes);
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
  [[nodiscard]] bool invalidating() const override { return truth_.invalidating(); }

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
