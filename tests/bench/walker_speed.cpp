// SPDX-License-Identifier: MIT
// How fast the walkers are simulated: edges and walks a second, the RTL beside the C++ walker with as many walks side
// by side. Random pages, memory answers after 20 to 27 edges in any order, the walker is kept full.
#include <benchmark/benchmark.h>

#include <random>

#include "tests/bench/tables.h"
#include "tlm/core/reference_walker.h"
#include "tlm/unit/rtl_walker.h"

namespace vtd::bench {
namespace {

template <typename MakeWalker>
void run(benchmark::State& state, WalkKind kind, MakeWalker make_walker) {
  static const Tables second(WalkKind::kSecondStage), nested(WalkKind::kNested);
  const Tables& tables = kind == WalkKind::kNested ? nested : second;
  const std::unique_ptr<Walker> walker = make_walker();
  std::mt19937 random(1);
  std::vector<WalkId> free;
  for (unsigned id = 0; id < walker->capacity(); ++id) free.push_back(static_cast<WalkId>(id));
  constexpr unsigned kWheel = 64;  // answers by the edge at which they come, several at most
  std::vector<std::vector<MemoryRequest>> wheel(kWheel);
  std::vector<MemoryRequest> late;
  std::uint64_t edge = 0, walks = 0;
  WalkRequest request = tables.request(0);
  for (auto _ : state) {
    auto& now = wheel[edge % kWheel];
    late.insert(late.end(), now.begin(), now.end());
    now.clear();
    WalkerInputs in;
    MemoryResponse answer;
    if (!late.empty()) {
      answer = {late.back().id, tables.word(late.back().address), false};
      late.pop_back();
      in.memory_response = &answer;
    }
    if (!free.empty()) {
      request = tables.request(random() % kPages);
      request.id = free.back();
      in.request = &request;
    }
    const WalkerOutputs out = walker->cycle(in);
    if (out.request_accepted) free.pop_back();
    if (out.memory_request) wheel[(edge + 21 + random() % 8) % kWheel].push_back(*out.memory_request);
    if (out.response) {
      free.push_back(out.response->id);
      ++walks;
    }
    ++edge;
  }
  state.counters["edges/s"] = benchmark::Counter(static_cast<double>(edge), benchmark::Counter::kIsRate);
  state.counters["walks/s"] = benchmark::Counter(static_cast<double>(walks), benchmark::Counter::kIsRate);
}

void rtl(benchmark::State& state, WalkKind kind) {
  run(state, kind, [] { return std::make_unique<RtlWalker>(WalkerConfig{}); });
}
void model(benchmark::State& state, WalkKind kind) {
  run(state, kind, [] { return std::make_unique<ReferenceWalker>(WalkerConfig{}, VTD_BENCH_WALKS); });
}
BENCHMARK_CAPTURE(rtl, second_stage, WalkKind::kSecondStage);
BENCHMARK_CAPTURE(model, second_stage, WalkKind::kSecondStage);
BENCHMARK_CAPTURE(rtl, nested, WalkKind::kNested);
BENCHMARK_CAPTURE(model, nested, WalkKind::kNested);

}  // namespace
}  // namespace vtd::bench

BENCHMARK_MAIN();
