// SPDX-License-Identifier: MIT
// What a story is judged by, after it was played.
#include <fmt/format.h>

#include <algorithm>

#include "sim/runner.h"
#include "sim/times.h"

namespace vtd::sim {

/// Compares what devices believe they wrote with memory, by the intended map.
void Story::check_memory() {
  for (std::size_t i = 0; i < platform_.endpoints(); ++i) {
    soc::Endpoint& e = platform_.endpoint(i);
    const auto domain = attached_.find({e.config().name, e.config().pasid ? e.config().pasid->value : 0});
    if (domain == attached_.end() || domain->second.empty()) continue;
    const auto& mappings = domains_.at(domain->second).mappings;
    e.check_memory([&](Iova iova) -> std::uint64_t {
      for (const Mapping& m : mappings)
        if (iova >= m.iova && iova - m.iova < m.size) return platform_.dram().peek(m.address + (iova - m.iova));
      return 0;
    });
  }
}

void Story::broke(const std::string& what) {
  outcome_.finished = false;
  outcome_.failures.push_back({now_ns(), "internal error", "none", what});
}

const Outcome& Story::judge() {
  end_phase();
  const Params& p = scenario_.expect.params;
  const auto expect = [&](const std::string& what, std::uint64_t wanted, std::uint64_t got) {
    if (wanted != got)
      outcome_.failures.push_back({now_ns(), "expect", fmt::format("{} {}", wanted, what), fmt::format("{}", got)});
  };
  const auto at_least = [&](const char* key, const std::string& what, std::uint64_t got) {
    if (p.has(key) && got < p.number(key))
      outcome_.failures.push_back(
          {now_ns(), "expect", fmt::format("at least {} {}", p.number(key), what), fmt::format("{}", got)});
  };
  const Snapshot end = snapshot();
  if (outcome_.resets > 0) {
    const bool taken_over = outcome_.blackout_end_ns > outcome_.blackout_begin_ns;
    outcome_.walks_before = at_reset_.walks;
    outcome_.walks_during = (taken_over ? at_takeover_.walks : end.walks) - at_reset_.walks;
    outcome_.walks_after = taken_over ? end.walks - at_takeover_.walks : 0;
  }
  outcome_.injected = injector_.done();
  if (interleaving_) outcome_.interleavings = interleaving_->points();
  if (!outcome_.finished) return outcome_;

  std::uint64_t mismatches = 0;
  std::uint64_t bus_errors = 0;
  for (std::size_t i = 0; i < platform_.endpoints(); ++i) {
    const soc::Endpoint& e = platform_.endpoint(i);
    mismatches += e.total().mismatches;
    bus_errors += e.total().bus_errors;
    if (e.total().mismatches != p.number("mismatches"))
      for (const std::string& c : e.complaints())
        outcome_.failures.push_back({now_ns(), "data", "the block that was written", c});
  }
  expect("blocks with wrong data", p.number("mismatches"), mismatches);
  expect("DMA answered by a bus error", p.number("bus_errors"), bus_errors);
  if (p.has("interrupts")) expect("interrupts", p.number("interrupts"), platform_.interrupts().messages().size());
  expect("translation switched off (TES 1 -> 0)", p.number("translation_drops"),
         platform_.monitor().translation_drops());
  std::uint64_t misuse = 0;
  for (std::size_t i = 0; i < platform_.units(); ++i)
    for (std::size_t m = 0; m < static_cast<std::size_t>(Misuse::kCount); ++m)
      misuse += platform_.unit(i).core().misuse(static_cast<Misuse>(m));
  expect("uses of registers that the architecture forbids", p.number("misuse"), misuse);
  expect("invalidation queues that are busy at the reset", p.number("busy_queues"), outcome_.busy_queues);
  if (p.has("resets")) expect("warm resets", p.number("resets"), outcome_.resets);
  at_least("walks_before", "walks before the warm reset", outcome_.walks_before);
  at_least("walks_during", "walks in the blackout", outcome_.walks_during);
  at_least("walks_after", "walks after the blackout", outcome_.walks_after);
  expect_faults();
  expect_violations();
  for (const std::string& text : scenario_.expect.console) {
    const auto& lines = platform_.uart().lines();
    const bool found = std::any_of(lines.begin(), lines.end(),
                                   [&](const soc::Uart::Line& l) { return l.text.find(text) != std::string::npos; });
    if (!found) outcome_.failures.push_back({now_ns(), "expect", fmt::format("console: '{}'", text), "not printed"});
  }
  return outcome_;
}

void Story::expect_faults() {
  for (std::size_t i = 0; i < platform_.endpoints(); ++i) {
    const soc::Endpoint& e = platform_.endpoint(i);
    for (const auto& [reason, count] : e.total().faults) {
      const bool named = std::any_of(
          scenario_.expect.faults.begin(), scenario_.expect.faults.end(),
          [&, r = reason](const FaultExpectation& f) { return f.device == e.config().name && f.reason == r; });
      if (!named)
        outcome_.failures.push_back({now_ns(), "expect",
                                     fmt::format("no fault {} of {}", info(reason).name, e.config().name),
                                     fmt::format("{}", count)});
    }
  }
  for (const FaultExpectation& f : scenario_.expect.faults) {
    const auto& faults = platform_.find_endpoint(f.device)->total().faults;
    const auto it = faults.find(f.reason);
    const std::uint64_t got = it == faults.end() ? 0 : it->second;
    if (f.count ? got != *f.count : got < f.at_least)
      outcome_.failures.push_back({now_ns(), "expect",
                                   fmt::format("{}{} faults {} of {}", f.count ? "" : "at least ",
                                               f.count.value_or(f.at_least), info(f.reason).name, f.device),
                                   fmt::format("{}", got)});
  }
}

void Story::expect_violations() {
  std::map<std::string, std::vector<soc::Violation>> seen;
  for (const soc::Violation& v : platform_.monitor().violations()) seen[soc::info(v.hazard).name].push_back(v);
  for (const auto& [name, list] : seen) {
    const auto& wanted = scenario_.expect.violations;
    if (std::find(wanted.begin(), wanted.end(), name) != wanted.end()) continue;
    const soc::Violation& v = list.front();
    outcome_.failures.push_back({v.time.value() / 1000, "isolation",
                                 fmt::format("no {}: {}", name, soc::info(v.hazard).text),
                                 fmt::format("{} times, first: {:04x} {:#x} -> {:#x}, {} bytes", list.size(),
                                             v.source.value, v.iova, v.address, v.length)});
  }
  for (const std::string& name : scenario_.expect.violations)
    if (seen.count(name) == 0)
      outcome_.failures.push_back({now_ns(), "isolation", "hazard " + name + " reported", "not reported"});
}

}  // namespace vtd::sim
