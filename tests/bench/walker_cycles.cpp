// SPDX-License-Identifier: MIT
// Cycles per walk, exactly: every combination of latency, order of pages, stages and caches for one number of walks
// side by side. Prints a JSON object per line; walker_cycles.py makes the table and the plot. Exits with 1 if a walk
// leads elsewhere than its tables say.
#include <fmt/core.h>

#include <algorithm>
#include <cstdlib>
#include <deque>
#include <random>

#include "tests/bench/tables.h"
#include "tlm/unit/rtl_walker.h"

namespace vtd::bench {
namespace {

struct Case {
  WalkKind kind = WalkKind::kSecondStage;
  bool caches = true;
  bool random = true;
  unsigned latency = 0;  ///< L
};

struct Measured {
  std::uint64_t cycles = 0;
  std::uint64_t reads = 0;
};

/// Keeps the walker full; memory answers every read after `latency` cycles, in order.
class Loop {
 public:
  Loop(const Tables& tables, const Case& c)
      : tables_(tables),
        latency_(c.latency),
        walker_(WalkerConfig{.structure_caches = c.caches}),
        pages_(walker_.capacity()) {
    for (unsigned id = 0; id < walker_.capacity(); ++id) free_.push_back(static_cast<WalkId>(id));
  }

  /// From the edge that accepts the first walk to the one that presents the last result, both included.
  Measured run(const std::vector<unsigned>& pages) {
    Measured m;
    std::size_t next = 0, done = 0;
    const std::uint64_t first = edge_;
    while (done < pages.size()) {
      const bool full = next == pages.size() || free_.empty();
      if (full && walker_.quiescent() && !owed_.empty()) edge_ = std::max(edge_, owed_.front().due);
      WalkerInputs in;
      WalkRequest request;
      if (!full) {
        request = tables_.request(pages[next]);
        request.id = free_.back();
        in.request = &request;
      }
      MemoryResponse answer;
      if (!owed_.empty() && owed_.front().due <= edge_) {
        answer = {owed_.front().request.id, tables_.word(owed_.front().request.address), false};
        owed_.pop_front();
        in.memory_response = &answer;
      }
      const WalkerOutputs out = walker_.cycle(in);
      if (out.request_accepted) {
        pages_[request.id] = pages[next++];
        free_.pop_back();
      }
      if (out.memory_request) {
        owed_.push_back({*out.memory_request, edge_ + 1 + latency_});
        ++m.reads;
      }
      if (out.response) {
        const unsigned page = pages_[out.response->id];
        if (out.response->fault != FaultReason::kNone || out.response->page != Tables::page_of(page)) {
          fmt::print(stderr, "page {} leads to {:#x}, fault {}\n", page, out.response->page,
                     static_cast<unsigned>(out.response->fault));
          std::exit(1);
        }
        free_.push_back(out.response->id);
        ++done;
      }
      m.cycles = edge_ + 1 - first;
      ++edge_;
    }
    return m;
  }

 private:
  struct Owed {
    MemoryRequest request;
    std::uint64_t due = 0;
  };
  const Tables& tables_;
  unsigned latency_;
  RtlWalker walker_;
  std::uint64_t edge_ = 0;
  std::vector<WalkId> free_;
  std::vector<unsigned> pages_;  ///< by id
  std::deque<Owed> owed_;
};

std::vector<unsigned> pages(bool random, unsigned count) {
  std::vector<unsigned> all(count);
  std::mt19937 generator(1);
  for (unsigned i = 0; i < count; ++i) all[i] = random ? generator() % kPages : i % kPages;
  return all;
}

void measure(const Tables& tables, const Case& c) {
  const unsigned walks = RtlWalker(WalkerConfig{}).capacity() == 1 ? 8'192 : 32'768;
  Loop loop(tables, c);
  static_cast<void>(loop.run(pages(c.random, c.random ? 4'096 : 16)));  // until the caches hold what they can
  const Measured m = loop.run(pages(c.random, walks));
  const double n = RtlWalker(WalkerConfig{}).capacity();
  const auto reads = static_cast<double>(m.reads);
  const double bound = std::max(reads, reads * (c.latency + 2) / n);
  fmt::print(
      "{{\"n\": {}, \"stages\": \"{}\", \"caches\": {}, \"pages\": \"{}\", \"latency\": {}, \"walks\": {}, \"cycles\": "
      "{}, \"reads\": {}, \"cycles_per_walk\": {:.3f}, \"reads_per_walk\": {:.3f}, \"port_busy\": {:.4f}, \"bound\": "
      "{:.3f}, \"of_bound\": {:.4f}}}\n",
      n, c.kind == WalkKind::kNested ? "nested 4 on 4" : "4 levels", c.caches, c.random ? "random" : "sequential",
      c.latency, walks, m.cycles, m.reads, static_cast<double>(m.cycles) / walks, reads / walks,
      reads / static_cast<double>(m.cycles), bound / walks, bound / static_cast<double>(m.cycles));
  std::fflush(stdout);
}

/// One walk with cold caches, alone.
void measure_single(const Tables& tables, unsigned latency) {
  Loop loop(tables, {.latency = latency});
  const Measured m = loop.run({77});
  const WalkRequest request = tables.request(0);
  fmt::print("{{\"single\": \"{}\", \"latency\": {}, \"cycles\": {}, \"reads\": {}, \"limit\": {}}}\n",
             request.kind == WalkKind::kNested ? "nested 4 on 4" : fmt::format("{} levels", request.levels), latency,
             m.cycles, m.reads, m.reads * (latency + 2) + 3);
}

int main_of_bench() {
  const Tables three(WalkKind::kSecondStage, 3);
  for (const unsigned latency : {0U, 20U, 100U}) measure_single(three, latency);
  for (const WalkKind kind : {WalkKind::kSecondStage, WalkKind::kNested}) {
    const Tables tables(kind);
    for (const unsigned latency : {0U, 20U, 100U}) measure_single(tables, latency);
    for (const bool caches : {true, false})
      for (const bool random : {false, true})
        for (const unsigned latency : {0U, 20U, 40U, 100U, 200U}) measure(tables, {kind, caches, random, latency});
  }
  return 0;
}

}  // namespace
}  // namespace vtd::bench

int main() {
  return vtd::bench::main_of_bench();
}
