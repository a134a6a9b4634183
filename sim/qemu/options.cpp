// SPDX-License-Identifier: MIT
#include "sim/qemu/options.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "tlm/spec/profile_fields.h"
#include "tlm/spec/profiles.h"

namespace vtd::qemu {
namespace {

unsigned number_of(const std::string& text, const std::string& whole) {
  unsigned value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size())
    throw std::invalid_argument(fmt::format("--set {}: '{}' is not a number", whole, text));
  return value;
}

void set_field(Profile& profile, const std::string& text) {
  const std::size_t equals = text.find('=');
  const std::string name = text.substr(0, equals);
  const std::string value = equals == std::string::npos ? "1" : text.substr(equals + 1);
  const auto named = [&](const auto& field) { return name == field.name; };
  if (const auto n = std::find_if(kProfileNumbers.begin(), kProfileNumbers.end(), named); n != kProfileNumbers.end()) {
    const unsigned v = number_of(value, text);
    if (v < n->min || v > n->max || v % n->multiple_of != 0)
      throw std::invalid_argument(fmt::format("--set {}: {} expected, {} to {}, a multiple of {}", text, n->help,
                                              n->min, n->max, n->multiple_of));
    profile.*(n->member) = v;
    return;
  }
  const auto f = std::find_if(kProfileFlags.begin(), kProfileFlags.end(), named);
  if (f == kProfileFlags.end())
    throw std::invalid_argument(fmt::format("--set {}: a profile has no field '{}'", text, name));
  profile.*(f->member) = number_of(value, text) != 0;
}

WalkerKind walker_of(const std::string& name) {
  if (name == "model") return WalkerKind::kModel;
  if (name == "rtl") return WalkerKind::kRtl;
  if (name == "lockstep") return WalkerKind::kLockstep;
  throw std::invalid_argument(fmt::format("--walker {}: model, rtl or lockstep expected", name));
}

}  // namespace

UnitConfig unit_config(const MachineOptions& options) {
  UnitConfig config;
  const auto profile = find_profile(options.profile);
  if (!profile) throw std::invalid_argument(fmt::format("--profile {}: there is none of that name", options.profile));
  config.profile = *profile;
  if (options.interrupt_remapping) config.profile.interrupt_remapping = true;
  for (const std::string& field : options.fields) set_field(config.profile, field);
  config.walker = walker_of(options.walker);
  if (options.iotlb_sets != 0) config.caches.iotlb.sets = options.iotlb_sets;
  if (options.iotlb_ways != 0) config.caches.iotlb.ways = options.iotlb_ways;
  config.seed = options.seed;
  return config;
}

std::string to_json(const MachineOptions& o) {
  return nlohmann::json{{"profile", o.profile},
                        {"fields", o.fields},
                        {"walker", o.walker},
                        {"endpoints", o.endpoints},
                        {"nvme_mib", o.nvme_mib},
                        {"memory_mib", o.memory_mib},
                        {"iotlb_sets", o.iotlb_sets},
                        {"iotlb_ways", o.iotlb_ways},
                        {"seed", o.seed},
                        {"unit_base", o.unit_base},
                        {"interrupt_remapping", o.interrupt_remapping},
                        {"pace", o.pace == Pace::kWall ? "wall" : "settled"},
                        {"bugs", o.bugs}}
      .dump();
}

MachineOptions options_from_json(const std::string& text) {
  const auto j = nlohmann::json::parse(text);
  MachineOptions o;
  j.at("profile").get_to(o.profile);
  j.at("fields").get_to(o.fields);
  j.at("walker").get_to(o.walker);
  j.at("endpoints").get_to(o.endpoints);
  j.at("nvme_mib").get_to(o.nvme_mib);
  j.at("memory_mib").get_to(o.memory_mib);
  j.at("iotlb_sets").get_to(o.iotlb_sets);
  j.at("iotlb_ways").get_to(o.iotlb_ways);
  j.at("seed").get_to(o.seed);
  j.at("unit_base").get_to(o.unit_base);
  j.at("interrupt_remapping").get_to(o.interrupt_remapping);
  o.pace = j.at("pace") == "wall" ? Pace::kWall : Pace::kSettled;
  j.at("bugs").get_to(o.bugs);
  return o;
}

}  // namespace vtd::qemu
