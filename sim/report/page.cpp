// SPDX-License-Identifier: MIT
#include "sim/report/page.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <span>
#include <stdexcept>

#include "sim/decode/decode.h"
#include "sim/report/page_template.h"

namespace vtd::sim {
namespace {

using Json = nlohmann::json;

constexpr std::uint64_t kTreeLines = 2000;

Json json_of(const std::vector<Span>& spans) {
  Json list = Json::array();
  for (const Span& s : spans) list.push_back({s.begin_ns, s.end_ns, s.unit, s.text});
  return list;
}

/// Root, context, PASID and paging structures of a unit as they are in memory now.
std::string tree(soc::Platform& platform, std::size_t unit) {
  const UnitCore& core = platform.unit(unit).core();
  const MemoryImage image(std::as_bytes(std::span(platform.dram().data(), platform.dram().size())), 0);
  TableQuestion question;
  question.machine = {platform.unit(unit).config().profile.host_address_width, core.register_value(RegId::kCAP),
                      core.register_value(RegId::kECAP)};
  question.root = core.register_value(RegId::kRTADDR);
  question.limit = kTreeLines;
  try {
    return decode_tables(image, question);
  } catch (const std::invalid_argument& e) {
    return e.what();
  }
}

/// An event of the Chrome trace format; times there are microseconds.
Json event(const char* type, std::string name, int thread, std::uint64_t ns) {
  return {{"ph", type}, {"name", std::move(name)}, {"pid", 1}, {"tid", thread}, {"ts", static_cast<double>(ns) / 1000}};
}
Json complete(std::string name, int thread, std::uint64_t begin_ns, std::uint64_t end_ns) {
  Json e = event("X", std::move(name), thread, begin_ns);
  e["dur"] = static_cast<double>(end_ns - begin_ns) / 1000;
  return e;
}

}  // namespace

std::string page(const ReportContext& c, const Chronicle& chronicle) {
  Json data;
  data["report"] = Json::parse(sim::json(c));
  data["slice_ns"] = chronicle.slice_ns();
  data["traffic"] = Json::array();
  for (std::size_t i = 0; i < c.platform.endpoints(); ++i) {
    Json slices = Json::array();
    for (const Slice& s : chronicle.traffic()[i])
      slices.push_back({s.transfers, s.refused, s.bytes, s.latency_sum_ns, s.latency_max_ns});
    data["traffic"].push_back({{"device", c.platform.endpoint(i).config().name}, {"slices", slices}});
  }
  data["invalidations"] = json_of(chronicle.invalidations());
  data["faults"] = json_of(chronicle.faults());
  data["walk_latency"] = chronicle.walk_latency();
  data["registers"] = Json::array();
  for (const RegisterLine& r : chronicle.registers()) data["registers"].push_back({r.time_ns, r.unit, r.text, r.times});
  data["left_out"] = chronicle.left_out();
  data["tables"] = Json::array();
  for (std::size_t u = 0; u < c.platform.units(); ++u)
    data["tables"].push_back({{"title", fmt::format("unit{}", u)}, {"text", tree(c.platform, u)}});

  std::string text = data.dump();
  // Inside a script element only "</" could end it.
  for (std::size_t at = 0; (at = text.find("</", at)) != std::string::npos; at += 3) text.insert(at + 1, "\\");
  std::string out = kPageTemplate;
  constexpr std::string_view kPlace = "@DATA@";
  return out.replace(out.find(kPlace), kPlace.size(), text);
}

std::string chrome_trace(const ReportContext& c, const Chronicle& chronicle) {
  enum Thread { kPhases = 1, kUpdates, kUnits };
  Json events = Json::array();
  const auto name = [&](int thread, const std::string& text) {
    Json e = event("M", "thread_name", thread, 0);
    e["args"] = {{"name", text}};
    events.push_back(e);
  };
  name(kPhases, "phases");
  name(kUpdates, "live updates");
  for (std::size_t u = 0; u < c.platform.units(); ++u) name(kUnits + static_cast<int>(u), fmt::format("unit{}", u));

  for (const Phase& p : c.outcome.phases) events.push_back(complete(p.name, kPhases, p.begin_ns, p.end_ns));
  for (const UpdateReport& u : c.updates)
    for (const UpdatePhase& p : u.phases)
      events.push_back(complete(std::string(p.name), kUpdates, p.begin_ns, p.end_ns));
  for (const Span& s : chronicle.invalidations())
    events.push_back(complete(s.text, kUnits + static_cast<int>(s.unit), s.begin_ns, s.end_ns));
  for (const Span& s : chronicle.faults()) {
    Json e = event("i", "fault " + s.text, kUnits + static_cast<int>(s.unit), s.begin_ns);
    e["s"] = "t";
    events.push_back(e);
  }
  for (std::size_t i = 0; i < c.platform.endpoints(); ++i) {
    const std::vector<Slice>& slices = chronicle.traffic()[i];
    for (std::size_t k = 0; k < slices.size(); ++k) {
      const Slice& s = slices[k];
      Json e = event("C", c.platform.endpoint(i).config().name, kPhases, k * chronicle.slice_ns());
      e["args"] = {{"MB/s", static_cast<double>(s.bytes) * 1000 / static_cast<double>(chronicle.slice_ns())},
                   {"mean ns", s.transfers == 0 ? 0 : s.latency_sum_ns / s.transfers}};
      events.push_back(e);
    }
  }
  return Json{{"displayTimeUnit", "ns"}, {"traceEvents", events}}.dump() + '\n';
}

}  // namespace vtd::sim
