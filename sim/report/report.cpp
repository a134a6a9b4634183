// SPDX-License-Identifier: MIT
#include "sim/report/report.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "sim/report/unit_report.h"

namespace vtd::sim {
namespace {

std::uint64_t ns(const sc_core::sc_time& t) {
  return t.value() / 1000;
}

std::string bytes(std::uint64_t n) {
  if (n >= 10 << 20) return fmt::format("{} MiB", n >> 20);
  if (n >= 10 << 10) return fmt::format("{} KiB", n >> 10);
  return fmt::format("{} B", n);
}

std::string verdict(ExitStatus status) {
  switch (status) {
    case ExitStatus::kAsExpected:
      return "PASSED: everything as expected";
    case ExitStatus::kExpectationFailed:
      return "FAILED";
    case ExitStatus::kWrongInput:
      return "WRONG INPUT";
    case ExitStatus::kLimit:
      return "FAILED: time limit reached";
    case ExitStatus::kInternal:
      return "INTERNAL ERROR";
  }
  return "";
}

std::string phases_text(const Outcome& o, std::uint64_t period_ns) {
  std::string out = fmt::format("\n  {:<22}{:>12}{:>12}{:>10}{:>8}{:>10}{:>10}{:>8}\n", "phase", "from cycle",
                                "to cycle", "cycles", "walks", "iotlb hit", "miss", "faults");
  for (const Phase& p : o.phases)
    out += fmt::format("  {:<22}{:>12}{:>12}{:>10}{:>8}{:>10}{:>10}{:>8}\n", p.name, p.begin_ns / period_ns,
                       p.end_ns / period_ns, (p.end_ns - p.begin_ns) / period_ns, p.counts.walks, p.counts.iotlb_hits,
                       p.counts.iotlb_misses, p.counts.faults);
  return out;
}

std::string streams_text(soc::Platform& platform) {
  std::string out = fmt::format("\n  {:<10}{:>9}{:>12}{:>12}{:>9}{:>9}{:>8}{:>12}{:>12}\n", "device", "transfers",
                                "written", "read", "checked", "wrong", "faults", "avg ns", "max ns");
  for (std::size_t i = 0; i < platform.endpoints(); ++i) {
    const soc::Endpoint& e = platform.endpoint(i);
    const soc::StreamStatistics& s = e.total();
    out += fmt::format("  {:<10}{:>9}{:>12}{:>12}{:>9}{:>9}{:>8}{:>12}{:>12}\n", e.config().name, s.transfers(),
                       bytes(s.bytes_written), bytes(s.bytes_read), s.blocks_checked, s.mismatches, s.faulted(),
                       s.transfers() == 0 ? 0 : ns(s.latency_sum) / s.transfers(), ns(s.latency_max));
    for (const auto& [reason, count] : s.faults)
      out += fmt::format("  {:<10}fault {} ({}): {}\n", "", info(reason).name, info(reason).text, count);
  }
  return out;
}

/// Hits of the walker's paging-structure caches; nothing of a walker that has none.
std::string walker_text(const RemappingUnit& unit) {
  const auto count = [&](WalkerEvent event) { return unit.walker_count(event); };
  if (count(WalkerEvent::kWalk) == 0) return {};
  using enum WalkerEvent;
  return fmt::format(
      "  walker: paging-structure cache hits at level 2/3/4: {}/{}/{} second stage, {}/{}/{} first stage, {} guest "
      "tables; {} answers shared\n",
      count(kSecondHit2), count(kSecondHit3), count(kSecondHit4), count(kFirstHit2), count(kFirstHit3),
      count(kFirstHit4), count(kGuestHit), count(kShared));
}

std::string caches_text(soc::Platform& platform) {
  std::string out = fmt::format("\n  {:<18}{:>10}{:>10}{:>10}{:>10}{:>10}{:>13}\n", "cache", "hits", "misses", "fills",
                                "refused", "evicted", "invalidated");
  for (std::size_t i = 0; i < platform.units(); ++i) {
    const UnitStatistics& u = platform.unit(i).statistics();
    for (const auto& [id, name] : {std::pair{CacheId::kContext, "context cache"}, {CacheId::kIotlb, "IOTLB"}})
      out += fmt::format("  {:<18}{:>10}{:>10}{:>10}{:>10}{:>10}{:>13}\n", fmt::format("unit{} {}", i, name),
                         u.cache(id, CacheEvent::kHit), u.cache(id, CacheEvent::kMiss), u.cache(id, CacheEvent::kFill),
                         u.cache(id, CacheEvent::kFillRefused), u.cache(id, CacheEvent::kEvict),
                         u.cache(id, CacheEvent::kInvalidate));
    out += fmt::format(
        "  unit{}: {} walks ({} entries read, at most {} at once), {} faults, {} restarts, {} invalidations\n", i,
        u.walks, u.walk_reads, u.walks_in_flight_max, u.faults, u.restarts, u.invalidations);
    out += walker_text(platform.unit(i));
  }
  return out;
}

/// The last live update; the others are in the JSON file.
std::string updates_text(const std::vector<UpdateReport>& updates, std::uint64_t period_ns) {
  if (updates.empty()) return {};
  const UpdateReport& u = updates.back();
  std::string out = fmt::format("\n  live update {:<9}{:>12}{:>9}{:>15}{:>9}{:>12}{:>12}\n", updates.size(), "cycles",
                                "walks", "invalidations", "DMA", "avg ns", "max ns");
  for (const UpdatePhase& p : u.phases)
    out += fmt::format("  {:<21}{:>12}{:>9}{:>15}{:>9}{:>12}{:>12}\n", p.name, (p.end_ns - p.begin_ns) / period_ns,
                       p.walks, p.invalidations, p.dma, p.dma == 0 ? 0 : p.latency_sum_ns / p.dma, p.latency_max_ns);
  return out + fmt::format("  {} pages preserved; first invalidation {} cycles after the reset\n", u.preserved_pages,
                           u.first_invalidation_ns / period_ns);
}

nlohmann::json json_of(const UpdateReport& u) {
  nlohmann::json phases = nlohmann::json::array();
  for (const UpdatePhase& p : u.phases)
    phases.push_back({{"name", p.name},
                      {"begin_ns", p.begin_ns},
                      {"end_ns", p.end_ns},
                      {"walks", p.walks},
                      {"invalidations", p.invalidations},
                      {"dma", p.dma},
                      {"latency_sum_ns", p.latency_sum_ns},
                      {"latency_max_ns", p.latency_max_ns}});
  return {{"phases", phases},
          {"preserved_pages", u.preserved_pages},
          {"reset_ns", u.reset_ns},
          {"first_invalidation_ns", u.first_invalidation_ns}};
}

/// Nothing where every unit snoops.
std::string cpu_cache_text(soc::Platform& platform) {
  if (platform.dram().coherent()) return {};
  const soc::Dram::CacheCounters& c = platform.dram().cache_counters();
  return fmt::format("  CPU cache, not snooped by table walks: {} lines written back, {} evicted, {} lost at resets\n",
                     c.written_back, c.evicted, c.lost);
}

nlohmann::json json_of(const Snapshot& s) {
  return {{"walks", s.walks},
          {"faults", s.faults},
          {"invalidations", s.invalidations},
          {"restarts", s.restarts},
          {"iotlb_hits", s.iotlb_hits},
          {"iotlb_misses", s.iotlb_misses},
          {"context_hits", s.context_hits},
          {"context_misses", s.context_misses}};
}

nlohmann::json json_of(const soc::StreamStatistics& s) {
  nlohmann::json faults = nlohmann::json::object();
  for (const auto& [reason, count] : s.faults) faults[info(reason).name] = count;
  return {{"writes", s.writes},
          {"reads", s.reads},
          {"bytes_written", s.bytes_written},
          {"bytes_read", s.bytes_read},
          {"checked", s.blocks_checked},
          {"mismatches", s.mismatches},
          {"faults", faults},
          {"bus_errors", s.bus_errors},
          {"latency_sum_ns", ns(s.latency_sum)},
          {"latency_max_ns", ns(s.latency_max)}};
}

}  // namespace

std::string summary(const ReportContext& c) {
  const Outcome& o = c.outcome;
  const std::uint64_t period = std::max<std::uint64_t>(1, c.platform.unit(0).config().timing.period_ps / 1000);
  std::string out = fmt::format("\n{}  [walker {}, cpu {}, seed {}]\n", c.scenario.name, c.walker, c.cpu, c.seed);
  out += phases_text(o, period);
  out += streams_text(c.platform);
  out += caches_text(c.platform);
  out += cpu_cache_text(c.platform);
  out += updates_text(c.updates, period);
  if (o.resets > 0) {
    out += fmt::format(
        "\n  warm resets: {}; blackout (no firmware access to a unit): {} cycles; walks before {}, during {}, after "
        "{}\n",
        o.resets, o.blackout_end_ns > o.blackout_begin_ns ? (o.blackout_end_ns - o.blackout_begin_ns) / period : 0,
        o.walks_before, o.walks_during, o.walks_after);
    out += fmt::format("  translation switched off {} times, root pointer changed {} times, {} pages poisoned\n",
                       c.platform.monitor().translation_drops(), c.platform.monitor().root_changes(),
                       c.platform.resets().lost_pages().size());
  }
  out += fmt::format("  isolation: {} DMA judged, {} violations\n", c.platform.monitor().checked(),
                     c.platform.monitor().violations().size());
  if (o.interleavings > 0)
    out += fmt::format("  systematic: requests tried after each of {} stores of the firmware\n", o.interleavings);
  for (const std::string& text : o.injected) out += "  injected: " + text + '\n';
  out += fmt::format("\n{}\n", verdict(c.status));
  for (const Failure& f : o.failures)
    out +=
        fmt::format("  at {} ns, {}\n    expected: {}\n    happened: {}\n", f.time_ns, f.where, f.expected, f.happened);
  if (!c.wave_file.empty()) out += fmt::format("wave:  {}\n", c.wave_file);
  if (!c.json_file.empty()) out += fmt::format("json:  {}\n", c.json_file);
  if (!c.page_file.empty()) out += fmt::format("page:  {}\n", c.page_file);
  return out + fmt::format("rerun: {}\n", c.rerun);
}

std::string json(const ReportContext& c) {
  nlohmann::json j;
  j["scenario"] = c.scenario.name;
  j["about"] = c.scenario.about;
  j["covers"] = c.scenario.covers;
  j["walker"] = c.walker;
  j["cpu"] = c.cpu;
  j["seed"] = c.seed;
  j["status"] = static_cast<int>(c.status);
  for (const Phase& p : c.outcome.phases)
    j["phases"].push_back(
        {{"name", p.name}, {"begin_ns", p.begin_ns}, {"end_ns", p.end_ns}, {"counts", json_of(p.counts)}});
  for (std::size_t i = 0; i < c.platform.endpoints(); ++i) {
    const soc::Endpoint& e = c.platform.endpoint(i);
    nlohmann::json by_phase = nlohmann::json::array();
    for (const auto& s : e.phases()) by_phase.push_back(json_of(s));
    j["streams"].push_back({{"device", e.config().name},
                            {"source", e.config().source.value},
                            {"total", json_of(e.total())},
                            {"phases", by_phase}});
  }
  for (std::size_t i = 0; i < c.platform.units(); ++i) j["units"].push_back(unit_json(c.platform.unit(i)));
  if (!c.platform.dram().coherent()) {
    const soc::Dram::CacheCounters& cache = c.platform.dram().cache_counters();
    j["cpu_cache"] = {{"written_back", cache.written_back}, {"evicted", cache.evicted}, {"lost", cache.lost}};
  }
  const Outcome& o = c.outcome;
  j["live_update"] = {{"resets", o.resets},
                      {"blackout_begin_ns", o.blackout_begin_ns},
                      {"blackout_end_ns", o.blackout_end_ns},
                      {"unit_writes", o.unit_writes},
                      {"walks_before", o.walks_before},
                      {"walks_during", o.walks_during},
                      {"walks_after", o.walks_after},
                      {"translation_drops", c.platform.monitor().translation_drops()},
                      {"root_changes", c.platform.monitor().root_changes()}};
  j["updates"] = nlohmann::json::array();
  for (const UpdateReport& u : c.updates) j["updates"].push_back(json_of(u));
  j["coverage"] = c.coverage;
  j["violations"] = nlohmann::json::array();
  for (const soc::Violation& v : c.platform.monitor().violations())
    j["violations"].push_back({{"hazard", soc::info(v.hazard).name},
                               {"time_ns", ns(v.time)},
                               {"source", v.source.value},
                               {"iova", v.iova},
                               {"address", v.address},
                               {"length", v.length}});
  j["failures"] = nlohmann::json::array();
  for (const Failure& f : o.failures)
    j["failures"].push_back(
        {{"time_ns", f.time_ns}, {"where", f.where}, {"expected", f.expected}, {"happened", f.happened}});
  j["injected"] = o.injected;
  j["interleavings"] = o.interleavings;
  for (const auto& line : c.platform.uart().lines())
    j["console"].push_back({{"time_ns", ns(line.time)}, {"text", line.text}});
  j["wave"] = c.wave_file;
  j["rerun"] = c.rerun;
  return j.dump(2) + '\n';
}

}  // namespace vtd::sim
