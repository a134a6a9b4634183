// SPDX-License-Identifier: MIT
#include "sim/explain.h"

#include <fmt/format.h>

#include <span>
#include <stdexcept>

#include "firmware/liveupdate/abi.h"
#include "sim/inject.h"
#include "sim/scenario/scenario.h"
#include "sim/scenario/schema.h"
#include "tlm/soc/isolation_monitor.h"
#include "tlm/spec/fault_reason.h"
#include "tlm/spec/paging.h"
#include "tlm/spec/platform.h"
#include "tlm/spec/registers.h"
#include "tlm/spec/structures.h"

namespace vtd::sim {
namespace {

std::uint64_t number(const std::string& text) {
  const auto value = parse_number(text);
  if (!value) throw std::invalid_argument(fmt::format("'{}' is not a number", text));
  return *value;
}

std::string fields_text(std::span<const Field> fields, std::span<const std::uint64_t> words) {
  std::string out;
  for (const Field& f : fields) {
    if (f.word() >= words.size()) continue;
    const std::string bits = f.width() == 1 ? fmt::format("{}", f.lo) : fmt::format("{}:{}", f.hi, f.lo);
    const std::uint64_t word = words[f.word()];
    // Pointers are shown as the address they mean.
    const bool pointer = f.width() > 32 && f.lo % 64 >= 12;
    out += fmt::format("  {:<14} [{:>7}] = {:#x}\n", f.name, bits, pointer ? f.in_place(word) : f.get(word));
  }
  return out;
}

std::string explain_register(const std::vector<std::string>& arguments) {
  if (arguments.size() != 1) throw std::invalid_argument("explain reg NAME=VALUE, such as reg FSTS=0x102");
  const std::size_t equals = arguments[0].find('=');
  const std::string name = arguments[0].substr(0, equals);
  for (const Register& r : kRegisters) {
    if (name != r.name) continue;
    const std::string where =
        r.offset == Register::kPlaced ? "placed by ECAP.IRO" : fmt::format("offset {:#x}", r.offset);
    std::string out = fmt::format("{}: {}, {} bits, VT-d {}\n", r.name, where, r.bits, r.section);
    const std::uint64_t value = equals == std::string::npos ? 0 : number(arguments[0].substr(equals + 1));
    std::vector<Field> fields;
    if (r.id == RegId::kCAP)
      fields.assign(std::begin(cap::kAll), std::end(cap::kAll));
    else if (r.id == RegId::kECAP)
      fields.assign(std::begin(ecap::kAll), std::end(ecap::kAll));
    else
      for (const RegField& f : r.fields) fields.push_back(f.field);
    return out + fields_text(fields, std::span(&value, 1));
  }
  std::vector<std::string> names;
  for (const Register& r : kRegisters) names.emplace_back(r.name);
  throw std::invalid_argument(
      fmt::format("there is no register '{}', expected one of {}", name, fmt::join(names, ", ")));
}

std::string explain_fault(const std::vector<std::string>& arguments) {
  if (arguments.size() != 1) throw std::invalid_argument("explain fault CODE or NAME, such as fault 5");
  const auto code = parse_number(arguments[0]);
  for (const FaultInfo& f : kFaults)
    if (arguments[0] == f.name || (code && *code == static_cast<std::uint64_t>(f.reason)))
      return fmt::format("{:#04x} {}: {}\n  {}recorded when FPD is set; {}recoverable for ATS\n",
                         static_cast<unsigned>(f.reason), f.name, f.text, f.qualified ? "not " : "",
                         f.recoverable ? "" : "not ");
  throw std::invalid_argument(fmt::format("there is no fault reason '{}'", arguments[0]));
}

std::string explain_entry(const std::vector<std::string>& arguments) {
  const std::pair<const char*, std::span<const Field>> kinds[] = {{"root", root::kAll},
                                                                  {"context", ctx::kAll},
                                                                  {"scalable-context", sctx::kAll},
                                                                  {"pasid-directory", pasid_dir::kAll},
                                                                  {"pasid", pasid::kAll},
                                                                  {"second-stage", ss::kAll},
                                                                  {"first-stage", fs::kAll},
                                                                  {"fault-record", frcd::kAll},
                                                                  {"irte", irte::kAll}};
  std::vector<std::string> names;
  std::vector<std::uint64_t> words;
  for (std::size_t i = 1; i < arguments.size(); ++i) words.push_back(number(arguments[i]));
  for (const auto& [name, fields] : kinds) {
    names.emplace_back(name);
    if (!arguments.empty() && arguments[0] == name && !words.empty())
      return fmt::format("{}\n{}", name, fields_text(fields, words));
  }
  throw std::invalid_argument(
      fmt::format("explain entry KIND WORD..., low word first; KIND is one of {}", fmt::join(names, ", ")));
}

std::string explain_steps(const std::vector<std::string>& arguments) {
  std::string out;
  for (const Spec& s : step_specs()) {
    if (!arguments.empty() && arguments[0] != s.name) continue;
    out += fmt::format("{}: {}\n", s.name, s.help);
    for (const Param& p : s.params)
      out += fmt::format("  {:<12}{} {}{}\n", p.name, p.required ? "*" : " ", p.help,
                         p.choices.empty() ? "" : fmt::format(" ({})", p.choices));
  }
  if (out.empty()) throw std::invalid_argument(fmt::format("there is no step '{}'", arguments[0]));
  return out;
}

std::string value_text(const Param& p, const Params& params) {
  switch (p.type) {
    case Type::kTime:
      return fmt::format("{} ns", params.number(p.name));
    case Type::kFlag:
      return params.number(p.name) != 0 ? "true" : "false";
    case Type::kNumber:
      return fmt::format("{:#x}", params.number(p.name));
    case Type::kSource: {
      const SourceId s{static_cast<std::uint16_t>(params.number(p.name))};
      return fmt::format("{:02x}:{:02x}.{}", s.bus(), s.devfn() / 8, s.devfn() % 8);
    }
    default:
      return params.text(p.name);
  }
}

std::string values_text(const Spec& spec, const Params& params) {
  std::string out;
  for (const Param& p : spec.params)
    if (params.has(p.name)) out += fmt::format("{}{} {}", out.empty() ? "" : ", ", p.name, value_text(p, params));
  return out;
}

std::string explain_image() {
  std::string out;
  for (const fw::abi::FieldInfo& f : fw::abi::kFields)
    out += fmt::format("  {}.{}: byte {}, {} bytes\n", f.record, f.name, f.offset, f.bytes);
  return out;
}

}  // namespace

std::string explain_scenario(const Scenario& s) {
  std::string out = fmt::format("{}\n{}\ncovers: {}\nplatform: {}\n", s.name, s.about, fmt::join(s.covers, " "),
                                values_text(platform_spec(), s.platform));
  for (const EndpointDeclaration& e : s.endpoints)
    out += fmt::format("device: {}\n", values_text(endpoint_spec(), e.params));
  for (const Step& step : s.steps) {
    if (step.kind == "phase") {
      out += fmt::format("\n{}\n", step.params.text("name"));
      continue;
    }
    const Spec& spec = *find_step(step.kind);
    const std::string values = values_text(spec, step.params);
    out +=
        fmt::format("{:>5}: {:<16} {}{}{}\n", step.at.line, step.kind, spec.help, values.empty() ? "" : ": ", values);
  }
  return out;
}

std::string explain(const std::string& topic, const std::vector<std::string>& arguments) {
  if (topic == "reg") return explain_register(arguments);
  if (topic == "fault") return explain_fault(arguments);
  if (topic == "entry") return explain_entry(arguments);
  if (topic == "steps") return explain_steps(arguments);
  if (topic == "image") return explain_image();
  std::string out;
  if (topic == "places")
    for (const PlaceHelp& p : places()) out += fmt::format("{:<44}{}\n", p.pattern, p.help);
  out += "\ninstead of a VALUE of the image:\n";
  for (const PlaceHelp& w : value_words()) out += fmt::format("{:<44}{}\n", w.pattern, w.help);
  if (topic == "hazards")
    for (std::size_t i = 0; i < static_cast<std::size_t>(soc::Hazard::kCount); ++i) {
      const soc::HazardInfo& h = soc::info(static_cast<soc::Hazard>(i));
      out += fmt::format("{}: {}; planted by: {}\n", h.name, h.text, h.planted);
    }
#define VTD_X(name, code, args) \
  if (topic == "commands") out += fmt::format("{:>3} {} {}\n", code, &#name[1], args);
  VTD_MAILBOX_COMMANDS(VTD_X)
#undef VTD_X
  if (out.empty())
    throw std::invalid_argument(fmt::format(
        "nothing is known about '{}', expected reg, fault, entry, steps, places, image, hazards or commands", topic));
  return out;
}

}  // namespace vtd::sim
