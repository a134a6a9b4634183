// SPDX-License-Identifier: MIT
#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <ios>
#include <set>
#include <stdexcept>

#include "sim/inject.h"
#include "sim/scenario/scenario.h"
#include "sim/scenario/schema.h"
#include "tlm/core/profile_check.h"
#include "tlm/soc/isolation_monitor.h"
#include "tlm/spec/platform.h"
#include "tlm/spec/profile_fields.h"
#include "tlm/spec/profiles.h"

namespace vtd::sim {
namespace {

const std::vector<std::string> kTopKeys{"name",  "about",  "covers", "platform", "endpoints",
                                        "steps", "expect", "seed",   "sweep"};

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(separator, begin), text.size());
    parts.emplace_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

bool is_name(const std::string& text) {
  return !text.empty() && std::all_of(text.begin(), text.end(),
                                      [](unsigned char c) { return std::isalnum(c) != 0 || c == '_' || c == '-'; });
}

class Loader {
 public:
  explicit Loader(std::string path) { result_.scenario.path = std::move(path); }

  Loaded load() {
    YAML::Node root;
    try {
      root = YAML::LoadFile(result_.scenario.path);
    } catch (const YAML::BadFile&) {
      mistake({result_.scenario.path, 1, 1}, "cannot read the file");
      return std::move(result_);
    } catch (const YAML::ParserException& e) {
      mistake({result_.scenario.path, e.mark.line + 1, e.mark.column + 1}, "YAML: " + e.msg);
      return std::move(result_);
    } catch (const std::ios_base::failure&) {  // a directory
      mistake({result_.scenario.path, 1, 1}, "cannot read the file");
      return std::move(result_);
    }
    if (!root.IsMap()) {
      mistake(root, "a scenario is a mapping with the keys name, about, platform, endpoints, steps, expect");
      return std::move(result_);
    }
    top(root);
    return std::move(result_);
  }

 private:
  void mistake(const YAML::Node& node, std::string text) { mistake(position(node), std::move(text)); }
  void mistake(Position at, std::string text) {
    Mistake& m = result_.mistakes.emplace_back();
    m.at = std::move(at);
    m.text = std::move(text);
  }
  /// An empty file has no marks: its place is the beginning.
  Position position(const YAML::Node& node) const {
    const YAML::Mark mark = node.Mark();
    return {result_.scenario.path, std::max(mark.line, 0) + 1, std::max(mark.column, 0) + 1};
  }
  static std::string meant(const std::string& word, const std::vector<std::string>& candidates) {
    const std::string best = nearest(word, candidates);
    return best.empty() ? "" : fmt::format("; did you mean '{}'?", best);
  }

  void top(const YAML::Node& root) {
    std::set<std::string> seen;
    for (const auto& item : root) {
      const auto key = item.first.as<std::string>("");
      if (std::find(kTopKeys.begin(), kTopKeys.end(), key) == kTopKeys.end())
        mistake(item.first, fmt::format("unknown key '{}', expected one of {}{}", key, fmt::join(kTopKeys, ", "),
                                        meant(key, kTopKeys)));
      if (!seen.insert(key).second) mistake(item.first, fmt::format("key '{}' appears twice, expected once", key));
    }
    Scenario& s = result_.scenario;
    if (const auto n = root["name"]; n && n.IsScalar() && is_name(n.Scalar()))
      s.name = n.Scalar();
    else
      mistake(n ? n : root, "a scenario needs a name: letters, digits, '_' and '-'");
    if (const auto n = root["about"]) s.about = n.IsScalar() ? n.Scalar() : "";
    if (const auto n = root["covers"]) texts(n, "covers", s.covers);
    if (const auto n = root["seed"]) {
      if (const auto v = parse_number(n.IsScalar() ? n.Scalar() : ""))
        s.seed = *v;
      else
        mistake(n, "seed must be a number");
    }
    if (const auto n = root["sweep"]) mistake(n, "sweep is not supported yet, expected a scenario without it");
    if (const auto n = root["platform"]) platform_section(n);
    if (const auto n = root["endpoints"]) endpoints(n);
    const auto steps_node = root["steps"];
    if (!steps_node || !steps_node.IsSequence())
      mistake(steps_node ? steps_node : root, "a scenario needs steps: a list");
    else
      for (const auto& n : steps_node) step(n);
    if (const auto n = root["expect"]) expectations(n);
  }

  void texts(const YAML::Node& node, const char* what, std::vector<std::string>& out) {
    if (node.IsScalar()) {
      if (node.Scalar() != "none") out.push_back(node.Scalar());
      return;
    }
    if (!node.IsSequence()) return mistake(node, fmt::format("{} must be a text or a list of texts", what));
    for (const auto& n : node) {
      if (n.IsScalar())
        out.push_back(n.Scalar());
      else
        mistake(n, fmt::format("{} must be a list of texts", what));
    }
  }

  // ---- a mapping after a table ----
  void mapping(const YAML::Node& node, const Spec& spec, Params& out, const std::vector<std::string>& also = {}) {
    if (!node.IsMap()) return mistake(node, fmt::format("{} must be a mapping", spec.name));
    std::vector<std::string> names = also;
    for (const Param& p : spec.params) names.emplace_back(p.name);
    for (const auto& item : node) {
      const auto key = item.first.as<std::string>("");
      if (std::find(also.begin(), also.end(), key) != also.end()) continue;
      const auto p =
          std::find_if(spec.params.begin(), spec.params.end(), [&](const Param& x) { return key == x.name; });
      if (p == spec.params.end()) {
        mistake(item.first,
                fmt::format("{} has no '{}', expected {}{}", spec.name, key,
                            names.empty() ? "nothing" : fmt::format("{}", fmt::join(names, ", ")), meant(key, names)));
        continue;
      }
      if (out.has(key)) mistake(item.first, fmt::format("'{}' appears twice, expected once", key));
      value(item.second, spec, *p, out);
    }
    for (const Param& p : spec.params)
      if (p.required && !node[p.name]) mistake(node, fmt::format("{} needs '{}': {}", spec.name, p.name, p.help));
  }

  void value(const YAML::Node& node, const Spec& spec, const Param& p, Params& out) {
    const std::string where = fmt::format("{}.{}", spec.name, p.name);
    if (!node.IsScalar()) return mistake(node, where + " must be a single value");
    const std::string& text = node.Scalar();
    switch (p.type) {
      case Type::kText:
        return out.set(p.name, text);
      case Type::kName:
        if (!is_name(text))
          return mistake(node, fmt::format("{} is '{}', expected letters, digits, '_' and '-'", where, text));
        return out.set(p.name, text);
      case Type::kNumber:
        return number(node, where, p, out);
      case Type::kTime: {
        const auto ns = parse_time_ns(text);
        if (!ns) return mistake(node, fmt::format("{} is '{}', expected a time such as 20 us", where, text));
        return out.set(p.name, *ns);
      }
      case Type::kFlag:
        if (text != "true" && text != "false")
          return mistake(node, fmt::format("{} is '{}', expected true or false", where, text));
        return out.set(p.name, std::uint64_t{text == "true"});
      case Type::kChoice: {
        const auto choices = split(p.choices, '|');
        if (std::find(choices.begin(), choices.end(), text) == choices.end())
          return mistake(node, fmt::format("{} is '{}', expected one of {}{}", where, text, fmt::join(choices, ", "),
                                           meant(text, choices)));
        return out.set(p.name, text);
      }
      case Type::kEndpoint:
        return known(node, where, "endpoint", endpoint_names_, p, out);
      case Type::kMemory:
        return known(node, where, "memory", memory_names_, p, out);
      case Type::kDomain:
        return known(node, where, "domain", domain_names_, p, out);
      case Type::kSource: {
        const auto source = parse_source(text);
        if (!source)
          return mistake(node, fmt::format("{} is '{}', expected bb:dd.f in hex, such as 00:03.0", where, text));
        return out.set(p.name, std::uint64_t{source->value});
      }
    }
  }

  void number(const YAML::Node& node, const std::string& where, const Param& p, Params& out) {
    const auto v = parse_number(node.Scalar());
    if (!v) return mistake(node, fmt::format("{} is '{}', expected a number", where, node.Scalar()));
    if (*v < p.min || *v > p.max)
      return mistake(node, fmt::format("{} is {:#x}, expected {:#x}..{:#x}", where, *v, p.min, p.max));
    if (*v % p.multiple_of != 0)
      return mistake(node, fmt::format("{} is {:#x}, expected a multiple of {:#x}", where, *v, p.multiple_of));
    out.set(p.name, *v);
  }

  void known(const YAML::Node& node, const std::string& where, const char* what, const std::vector<std::string>& names,
             const Param& p, Params& out) {
    if (std::find(names.begin(), names.end(), node.Scalar()) == names.end())
      return mistake(node, fmt::format("{}: there is no {} '{}'{}", where, what, node.Scalar(),
                                       names.empty() ? fmt::format(", expected it to be declared before")
                                                     : fmt::format(", expected one of {}{}", fmt::join(names, ", "),
                                                                   meant(node.Scalar(), names))));
    out.set(p.name, node.Scalar());
  }

  // ---- sections ----
  void platform_section(const YAML::Node& node) {
    Scenario& s = result_.scenario;
    mapping(node, platform_spec(), s.platform, {"capabilities"});
    if (!node.IsMap()) return;
    const auto changes = node["capabilities"];
    if (changes) mapping(changes, capabilities_spec(), s.capabilities);
    if (!result_.mistakes.empty()) return;
    try {
      check_profile(profile_of(s));
    } catch (const std::invalid_argument& e) {
      mistake(changes ? changes : node, fmt::format("capabilities that do not fit together: {}", e.what()));
    }
  }

  void endpoints(const YAML::Node& node) {
    if (!node.IsSequence()) return mistake(node, "endpoints must be a list");
    std::set<std::uint64_t> sources;
    for (const auto& n : node) {
      EndpointDeclaration e;
      e.at = position(n);
      mapping(n, endpoint_spec(), e.params, {"windows"});
      if (n.IsMap() && n["windows"]) windows(n["windows"], e);
      if (e.params.number("unit") >= result_.scenario.platform.number("units", 1))
        mistake(n, fmt::format("endpoint '{}' is behind unit {}, expected less than platform.units",
                               e.params.text("name"), e.params.number("unit")));
      if (e.params.number("page_requests") != 0 && e.params.number("ats") == 0)
        mistake(n, fmt::format("endpoint '{}' has page_requests, expected ats as well", e.params.text("name")));
      for (std::uint64_t copy = 0; copy < e.params.number("count", 1); ++copy) {
        EndpointDeclaration one = e;
        if (copy != 0) one.params.set("name", fmt::format("{}_{}", e.params.text("name"), copy + 1));
        one.params.set("source", e.params.number("source") + copy);
        if (e.params.has("source") && !sources.insert(one.params.number("source")).second)
          mistake(n["source"],
                  fmt::format("requester id {} is used twice, expected one endpoint each", n["source"].Scalar()));
        declare(n, one.params.text("name"), "endpoint", endpoint_names_);
        result_.scenario.endpoints.push_back(std::move(one));
      }
    }
    if (result_.scenario.endpoints.size() > platform::kMaxEndpoints)
      mistake(node, fmt::format("{} endpoints, expected at most {}", result_.scenario.endpoints.size(),
                                platform::kMaxEndpoints));
  }

  void windows(const YAML::Node& node, EndpointDeclaration& e) {
    if (!node.IsSequence()) return mistake(node, "windows must be a list of {iova, size}");
    const std::uint64_t block = e.params.number("block", 256);
    for (const auto& n : node) {
      Params w;
      mapping(n, window_spec(), w);
      if (w.number("size") % block != 0)
        mistake(n, fmt::format("window size {:#x} is not a multiple of the block, {} bytes", w.number("size"), block));
      if (w.number("size") != 0 && w.number("iova") + (w.number("size") - 1) < w.number("iova"))
        mistake(n, fmt::format("window {:#x}+{:#x} goes past the last address, expected less", w.number("iova"),
                               w.number("size")));
      e.windows.push_back({w.number("iova"), w.number("size")});
    }
  }

  void declare(const YAML::Node& node, const std::string& name, const char* what, std::vector<std::string>& names) {
    if (name.empty()) return;
    if (std::find(names.begin(), names.end(), name) != names.end())
      mistake(node, fmt::format("{} '{}' is declared twice, expected once", what, name));
    names.push_back(name);
  }

  void step(const YAML::Node& node) {
    Step s;
    s.at = position(node);
    YAML::Node params;
    if (node.IsScalar()) {
      s.kind = node.Scalar();
    } else if (node.IsMap() && node.size() == 1) {
      s.kind = node.begin()->first.as<std::string>("");
      params = node.begin()->second;
    } else {
      return mistake(node, "a step is a name, or one name with parameters, such as `- wait: 20 us`");
    }
    const Spec* spec = find_step(s.kind);
    if (spec == nullptr) {
      std::vector<std::string> names;
      for (const Spec& x : step_specs()) names.emplace_back(x.name);
      return mistake(node, fmt::format("unknown step '{}', expected one of {}{}", s.kind, fmt::join(names, ", "),
                                       meant(s.kind, names)));
    }
    if (!params.IsDefined() || params.IsNull()) {
      for (const Param& p : spec->params)
        if (p.required) mistake(node, fmt::format("{} needs '{}': {}", spec->name, p.name, p.help));
    } else if (params.IsScalar() && !spec->params.empty()) {
      value(params, *spec, spec->params.front(), s.params);
      for (std::size_t i = 1; i < spec->params.size(); ++i)
        if (spec->params[i].required)
          mistake(params, fmt::format("{} needs '{}': {}", spec->name, spec->params[i].name, spec->params[i].help));
    } else {
      mapping(params, *spec, s.params);
    }
    check(params.IsDefined() && !params.IsNull() ? params : node, s);
    result_.scenario.steps.push_back(std::move(s));
  }

  // ---- rules beyond types ----
  void check(const YAML::Node& node, Step& s) {
    if (s.kind == "domain") declare(node, s.params.text("name"), "domain", domain_names_);
    if (s.kind == "memory") memory(node, s);
    if (s.kind == "map") map(node, s);
    if (s.kind == "protect_memory" && s.params.has("at") != s.params.has("size"))
      mistake(node, "protect_memory needs at and size, or neither: off");
    if (s.kind == "domain" && (s.params.text("stage") == "nested") != s.params.has("parent"))
      mistake(node, "a nested domain needs a parent, and no other has one");
    if ((s.kind == "dma" || s.kind == "repeat_dma" || s.kind == "interrupt") && s.params.has("expect")) {
      const std::string expected = s.params.text("expect");
      if (expected != "ok" && expected != "refused" && !parse_reason(expected))
        unknown_reason(node["expect"], expected);
    }
    if (s.kind == "inject")
      if (const auto wrong = check_place(s.params.text("place"), s.params.has("value") || s.params.has("as"));
          !wrong.empty())
        mistake(node, wrong);
    if (s.params.has("as") && !is_reference(s.params.text("as")))
      mistake(node, fmt::format("as is '{}', expected a record such as unit[1], or a word of `vtdsim explain places`",
                                s.params.text("as")));
  }

  void unknown_reason(const YAML::Node& node, const std::string& reason) {
    std::vector<std::string> names;
    for (const FaultInfo& f : kFaults) names.emplace_back(f.name);
    mistake(node, fmt::format("there is no fault reason '{}', expected a name such as ReadPermission{}", reason,
                              meant(reason, names)));
  }

  void memory(const YAML::Node& node, Step& s) {
    declare(node, s.params.text("name"), "memory", memory_names_);
    const std::uint64_t size = s.params.number("size");
    if (!s.params.has("at")) s.params.set("at", next_memory_);
    const std::uint64_t at = s.params.number("at");
    const std::uint64_t guest = result_.scenario.platform.number("memory", platform::kDramSize) - platform::kGuestBase;
    if (at < platform::kGuestBase || size > guest || at - platform::kGuestBase > guest - size)
      return mistake(node, fmt::format("memory {:#x}+{:#x} lies outside guest memory, expected {:#x}+{:#x}", at, size,
                                       platform::kGuestBase, guest));
    for (const auto& [other, range] : memories_)
      if (at < range.first + range.second && range.first < at + size)
        mistake(node, fmt::format("memory '{}' overlaps memory '{}', expected apart", s.params.text("name"), other));
    memories_[s.params.text("name")] = {at, size};
    next_memory_ = std::max(next_memory_, at + size);
  }

  void map(const YAML::Node& node, const Step& s) {
    const auto memory = memories_.find(s.params.text("memory"));
    if (memory == memories_.end()) return;
    const std::uint64_t offset = s.params.number("offset");
    const std::uint64_t size = s.params.number("size");
    const std::uint64_t most = memory->second.second;
    if (size > most || offset > most - size)
      mistake(node, fmt::format("maps {:#x}+{:#x} of memory '{}', expected at most {:#x} bytes", offset, size,
                                memory->first, most));
  }

  void expectations(const YAML::Node& node) {
    Expectations& e = result_.scenario.expect;
    mapping(node, expect_spec(), e.params, {"faults", "violations", "console"});
    if (!node.IsMap()) return;
    if (const auto n = node["console"]) texts(n, "console", e.console);
    if (const auto n = node["violations"]) {
      texts(n, "violations", e.violations);
      std::vector<std::string> names;
      for (std::size_t i = 0; i < static_cast<std::size_t>(soc::Hazard::kCount); ++i)
        names.emplace_back(soc::info(static_cast<soc::Hazard>(i)).name);
      for (const std::string& v : e.violations)
        if (std::find(names.begin(), names.end(), v) == names.end())
          mistake(n, fmt::format("there is no hazard '{}', expected one of {}{}", v, fmt::join(names, ", "),
                                 meant(v, names)));
    }
    const auto faults = node["faults"];
    if (!faults || (faults.IsScalar() && faults.Scalar() == "none")) return;
    if (!faults.IsSequence()) return mistake(faults, "faults must be none, or a list of {device, reason, count}");
    for (const auto& n : faults) {
      Params p;
      mapping(n, fault_spec(), p);
      FaultExpectation f;
      f.device = p.text("device");
      const auto reason = parse_reason(p.text("reason"));
      if (!reason && p.has("reason")) unknown_reason(n["reason"], p.text("reason"));
      f.reason = reason.value_or(FaultReason::kNone);
      if (p.has("count")) f.count = p.number("count");
      f.at_least = p.number("at_least", 1);
      e.faults.push_back(f);
    }
  }

  Loaded result_;
  std::vector<std::string> endpoint_names_, memory_names_, domain_names_;
  std::map<std::string, std::pair<std::uint64_t, std::uint64_t>> memories_;
  std::uint64_t next_memory_ = platform::kGuestBase;
};

}  // namespace

Profile profile_of(const Scenario& scenario) {
  Profile profile = find_profile(scenario.platform.text("profile", "linux")).value_or(linux_profile());
  for (const ProfileNumber& n : kProfileNumbers)
    profile.*n.member = static_cast<unsigned>(scenario.capabilities.number(n.name, profile.*n.member));
  for (const ProfileFlag& f : kProfileFlags)
    profile.*f.member = scenario.capabilities.number(f.name, profile.*f.member ? 1 : 0) != 0;
  return profile;
}

Loaded load_scenario(const std::string& path) {
  return Loader(path).load();
}

std::string format(const Mistake& m) {
  // One mistake is one line, whatever the file holds.
  std::string text;
  for (const char c : m.text) text += std::iscntrl(static_cast<unsigned char>(c)) != 0 ? '?' : c;
  return fmt::format("{}:{}:{}: {}", m.at.file, m.at.line, m.at.column, text);
}

std::optional<std::uint64_t> parse_number(const std::string& text) {
  const bool hex = text.size() > 2 && text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
  std::uint64_t value = 0;
  const char* begin = text.data() + (hex ? 2 : 0);
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(begin, end, value, hex ? 16 : 10);
  if (error != std::errc{} || rest == begin) return std::nullopt;
  if (rest == end) return value;
  if (rest + 1 != end) return std::nullopt;
  const unsigned shift = *rest == 'K' ? 10 : *rest == 'M' ? 20 : *rest == 'G' ? 30 : 0;
  if (shift == 0 || value > (~std::uint64_t{0} >> shift)) return std::nullopt;
  return value << shift;
}

std::optional<std::uint64_t> parse_time_ns(const std::string& text) {
  constexpr std::uint64_t kMost = 1'000'000'000'000;  // 1000 s
  std::uint64_t value = 0;
  const char* end = text.data() + text.size();
  auto [rest, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc{} || value > kMost) return std::nullopt;
  while (rest != end && *rest == ' ') ++rest;
  const std::string unit(rest, end);
  const std::uint64_t scale = unit == "ns" ? 1 : unit == "us" ? 1000 : unit == "ms" ? 1000000 : 0;
  if (scale == 0 || value > kMost / scale) return std::nullopt;
  return value * scale;
}

std::optional<SourceId> parse_source(const std::string& text) {
  unsigned bus = 0, device = 0, function = 0;
  int used = 0;
  if (std::sscanf(text.c_str(), "%2x:%2x.%1x%n", &bus, &device, &function, &used) != 3) return std::nullopt;
  if (used != static_cast<int>(text.size()) || device > 31 || function > 7) return std::nullopt;
  return make_source_id(bus, device, function);
}

std::optional<FaultReason> parse_reason(const std::string& name) {
  for (const FaultInfo& f : kFaults)
    if (name == f.name && f.reason != FaultReason::kNone) return f.reason;
  return std::nullopt;
}

}  // namespace vtd::sim
