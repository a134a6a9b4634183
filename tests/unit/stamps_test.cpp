// SPDX-License-Identifier: MIT
// Burst stepping gives the cycle stamps of clock-by-clock stepping: at the end of a run, for arrivals at the time of
// an edge, with a memory that waits, and in random traffic; with the C++ walker and with the RTL.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <sstream>

#include "tests/unit/child.h"
#include "tests/unit/tables.h"
#include "tests/unit/walker_name.h"
#include "tlm/core/reference_walker.h"
#include "tlm/unit/lockstep_walker.h"
#include "tlm/unit/memory_port.h"
#include "tlm/unit/rtl_walker.h"
#include "tlm/unit/simulation.h"
#include "tlm/unit/walk_service.h"

#include <tlm_utils/simple_initiator_socket.h>

namespace vtd::test {
namespace {

using sc_core::SC_NS;
using sc_core::SC_PS;
using sc_core::sc_time;

constexpr std::uint64_t kPeriodPs = 1000;
constexpr unsigned kWalks = 16;

std::unique_ptr<Walker> make(WalkerKind kind) {
  const WalkerConfig config;
  if (kind == WalkerKind::kModel) return std::make_unique<ReferenceWalker>(config, kWalks);
  auto rtl = std::make_unique<RtlWalker>(config, 1);
  if (kind == WalkerKind::kRtl) return rtl;
  return std::make_unique<LockstepWalker>(std::move(rtl), config);
}

/// A walk service with memory and tables; callers log when their walks ended, and how.
struct Bench : sc_core::sc_module {
  Bench(sc_core::sc_module_name name, WalkerKind kind, Stepping stepping)
      : sc_module(name),
        socket("socket"),
        memory("memory"),
        port([this]() -> tlm::tlm_fw_transport_if<>& { return *socket.operator->(); }, kPeriodPs, 20, 20),
        service("service", make(kind), kPeriodPs, stepping, port),
        tables(memory),
        root(tables.new_table()) {
    socket.bind(memory.socket);
    socket.register_invalidate_direct_mem_ptr(this, &Bench::invalidated);
    for (unsigned page = 0; page < 64; ++page) tables.map(root, page * kPageSize, kData + page * kPageSize);
  }
  void invalidated(sc_dt::uint64 first, sc_dt::uint64 last) { port.invalidated(first, last); }

  /// A process that walks at `at` for page `page`.
  void caller(unsigned name, std::uint64_t at_ps, unsigned page) {
    sc_core::sc_spawn(
        [=, this] {
          if (at_ps > now_ps()) sc_core::wait(from_ps(at_ps - now_ps()));
          walk(name, page);
        },
        sc_core::sc_gen_unique_name("caller"));
  }
  void walk(unsigned name, unsigned page) {
    WalkRequest request;
    request.root = root;
    request.iova = page * kPageSize;
    const WalkResponse r = service.walk(request, SourceId{});
    std::ostringstream line;
    line << "caller " << name << " page " << page << " at " << now_ps() << " fault " << static_cast<unsigned>(r.fault)
         << " to " << std::hex << r.page;
    log.push_back(line.str());
  }
  [[nodiscard]] std::string text(bool sorted = false) {
    if (sorted) std::sort(log.begin(), log.end());
    std::string all;
    for (const auto& line : log) all += line + "\n";
    return all;
  }

  tlm_utils::simple_initiator_socket<Bench> socket;
  TestMemory memory;
  MemoryPort port;
  WalkService service;
  Tables tables;
  PhysAddr root;
  std::vector<std::string> log;
};

class Stamps : public testing::TestWithParam<WalkerKind> {
 protected:
  using Story = std::function<std::string(Bench&)>;
  std::string tell(Stepping stepping, const Story& story) {
    return in_child([&] {
      Bench bench("bench", GetParam(), stepping);
      return story(bench);
    });
  }
  /// The story must say the same under both ways of stepping; returns what it said.
  std::string same(const Story& story) {
    const std::string burst = tell(Stepping::kBurst, story);
    EXPECT_EQ(burst, tell(Stepping::kEveryCycle, story));
    EXPECT_NE(burst, "");
    EXPECT_EQ(burst.find("threw"), std::string::npos) << burst;
    return burst;
  }
};

INSTANTIATE_TEST_SUITE_P(Walkers, Stamps, testing::Values(WalkerKind::kModel, WalkerKind::kRtl, WalkerKind::kLockstep),
                         name_of);

TEST_P(Stamps, OneWalkTakesTheContractsCycles) {
  // Arrival at 5 ns: accepted at edge 6; four reads of L = 20: n * (L + 2) + 2 edges, both ends included.
  const std::string said = same([](Bench& b) {
    b.memory.latency = sc_time(20, SC_NS);
    b.caller(0, 5000, 3);
    run();
    return b.text();
  });
  EXPECT_EQ(said, "caller 0 page 3 at 95000 fault 0 to 803000\n");
}

TEST_P(Stamps, DirectAndTransportedReadsAgree) {
  const auto story = [](bool direct, bool waits) {
    return [=](Bench& b) {
      b.memory.latency = sc_time(7, SC_NS);
      b.memory.grants_direct = direct;
      b.memory.waits = waits;
      for (unsigned i = 0; i < 8; ++i) b.caller(i, 1000 * (i / 3), i);
      run();
      return b.text();
    };
  };
  const std::string direct = same(story(true, false));
  EXPECT_EQ(direct, same(story(false, false)));
  EXPECT_EQ(direct, same(story(false, true)));
}

TEST_P(Stamps, AgreeWhenRunsEndInsideAWalk) {
  for (const bool told : {true, false}) {
    const std::string said = same([=](Bench& b) {
      b.memory.latency = sc_time(20, SC_NS);
      const auto go = [=](std::uint64_t ps) { told ? run(from_ps(ps)) : sc_core::sc_start(from_ps(ps)); };
      const PhysAddr leaf = b.tables.map(b.root, 0, kData);
      b.caller(0, 0, 0);
      go(30000);
      b.memory.set_word(leaf, 0x90'0000 | Tables::kReadWrite);  // not read yet: the walk must see it
      go(12345);
      go(655);  // ends at an edge
      b.caller(1, now_ps(), 1);
      go(1);
      go(999);
      b.caller(2, now_ps() + 500, 2);
      go(1000000);
      return b.text();
    });
    EXPECT_NE(said.find("to 900000"), std::string::npos) << said;
  }
}

TEST_P(Stamps, WritesAtTheTimeOfAnEdgeBetweenRunsAreSeen) {
  // The leaf is read at edge 1 + 3 * 22 + 1: written between runs at that time, and one edge later.
  for (const std::uint64_t at : {67000U, 68000U, 69000U}) {
    const std::string said = same([=](Bench& b) {
      b.memory.latency = sc_time(20, SC_NS);
      const PhysAddr leaf = b.tables.map(b.root, 0, kData);
      b.caller(0, 0, 0);
      run(from_ps(at));
      b.memory.set_word(leaf, 0x90'0000 | Tables::kReadWrite);
      run(from_ps(1000000));
      return b.text();
    });
    EXPECT_EQ(said.find("to 900000") != std::string::npos, at <= 68000U) << at << "\n" << said;
  }
}

TEST_P(Stamps, ArrivalsAtTheTimeOfAnEdgeDoNotDependOnProcessOrder) {
  const auto story = [](bool reversed) {
    return [=](Bench& b) {
      b.memory.latency = sc_time(3, SC_NS);
      std::vector<unsigned> order(20);
      for (unsigned i = 0; i < order.size(); ++i) order[i] = i;
      if (reversed) std::reverse(order.begin(), order.end());
      for (const unsigned i : order) b.caller(i, 10000, i);             // more than the walker holds
      for (const unsigned i : order) b.caller(100 + i, 14000, i + 20);  // while edges happen
      run();
      return b.text(true);
    };
  };
  EXPECT_EQ(same(story(false)), same(story(true)));
}

TEST_P(Stamps, ArrivalAtAnEdgeIsTakenAtTheNextOne) {
  const auto end_of = [&](std::uint64_t at) {
    return same([=](Bench& b) {
      b.memory.latency = sc_time(2, SC_NS);
      b.caller(0, at, 0);
      run();
      return b.text();
    });
  };
  EXPECT_EQ(end_of(10000), end_of(10999));
  EXPECT_EQ(end_of(9001), end_of(9999));
  EXPECT_NE(end_of(9999), end_of(10000));
}

TEST_P(Stamps, AgreeWithAMemoryThatStops) {
  const std::string said = same([](Bench& b) {
    b.memory.grants_direct = false;
    b.memory.waits = true;
    b.memory.latency = sc_time(4500, SC_PS);  // answers between edges
    for (unsigned i = 0; i < 24; ++i) b.caller(i, 700 * i, i);
    sc_core::sc_spawn([&b] {
      for (unsigned i = 0; i < 20; ++i) {
        sc_core::wait(sc_time(5, SC_NS));
        b.memory.stalled = true;
        sc_core::wait(sc_time(6, SC_NS));
        b.memory.open_valve();
      }
    });
    run(sc_time(2, sc_core::SC_US));
    return b.text();
  });
  EXPECT_EQ(std::count(said.begin(), said.end(), '\n'), 24);
}

TEST_P(Stamps, AgreeWhenDirectPointersComeAndGo) {
  same([](Bench& b) {
    b.memory.latency = sc_time(6, SC_NS);
    for (unsigned i = 0; i < 40; ++i) b.caller(i, 3100 * i, i % 64);
    sc_core::sc_spawn([&b] {
      for (unsigned i = 0; i < 12; ++i) {
        sc_core::wait(sc_time(9700, SC_PS));
        b.memory.grants_direct = i % 2 == 1;
        b.memory.revoke_direct(0, TestMemory::kBytes - 1);
      }
    });
    run();
    return b.text();
  });
}

TEST_P(Stamps, AgreeInRandomTraffic) {
  for (const unsigned seed : {1U, 2U, 3U}) {
    const std::string said = same([=](Bench& b) {
      std::mt19937 random(seed);
      b.memory.latency = from_ps(1000 * (random() % 30));
      b.memory.grants_direct = seed != 2;
      b.memory.broken.insert(b.tables.map(b.root, 5 * kPageSize, kData));
      for (unsigned i = 0; i < 30; ++i)
        sc_core::sc_spawn(
            [&b, i, seed] {
              std::mt19937 mine(seed * 1000 + i);
              for (unsigned n = 0; n < 10; ++n) {
                sc_core::wait(from_ps(mine() % 3 == 0 ? 1000 * (mine() % 50) : mine() % 60000));
                b.walk(i, mine() % 64);
              }
            },
            sc_core::sc_gen_unique_name("caller"));
      for (unsigned i = 0; i < 50; ++i) run(from_ps(1 + random() % 100000));
      run();
      return b.text(true);
    });
    EXPECT_EQ(std::count(said.begin(), said.end(), '\n'), 300);
  }
}

TEST_P(Stamps, BurstsAreLongAndManyWalksRunSideBySide) {
  const auto numbers = [&](Stepping stepping) {
    return tell(stepping, [](Bench& b) {
      b.memory.latency = sc_time(20, SC_NS);
      for (unsigned i = 0; i < 32; ++i) b.caller(i, 0, i);
      run();
      std::ostringstream out;
      out << b.service.activations() << " " << b.service.in_flight_max() << " " << b.service.completed() << " "
          << b.service.queued_max();
      return out.str();
    });
  };
  std::istringstream burst(numbers(Stepping::kBurst));
  std::istringstream every(numbers(Stepping::kEveryCycle));
  unsigned burst_activations = 0, burst_walks = 0, every_activations = 0, every_walks = 0, done = 0, queued = 0;
  burst >> burst_activations >> burst_walks >> done >> queued;
  every >> every_activations >> every_walks;
  EXPECT_LT(burst_activations * 2, every_activations);
  EXPECT_EQ(burst_walks, kWalks);
  EXPECT_EQ(every_walks, kWalks);
  EXPECT_EQ(done, 32U);
  EXPECT_EQ(queued, 32U);
}

TEST_P(Stamps, ResetReleasesEveryCallerAndTheWalkerWorksOn) {
  const std::string said = tell(Stepping::kBurst, [](Bench& b) {
    b.memory.grants_direct = false;
    b.memory.stalled = true;
    for (unsigned i = 0; i < 20; ++i) b.caller(i, 1000, i);
    run(sc_time(50, SC_NS));
    const std::size_t before = b.log.size();
    b.service.reset();
    run(sc_time(1, SC_NS));
    const std::size_t after = b.log.size();
    b.caller(50, now_ps(), 9);
    run(sc_time(1, SC_NS));
    b.memory.open_valve();
    run();
    return std::to_string(before) + " " + std::to_string(after) + " " + b.log.back().substr(0, 17) + " " +
           b.log.back().substr(b.log.back().find("fault"));
  });
  EXPECT_EQ(said, "0 20 caller 50 page 9  fault 0 to 809000");
}

}  // namespace
}  // namespace vtd::test
