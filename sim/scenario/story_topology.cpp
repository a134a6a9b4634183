// SPDX-License-Identifier: MIT
// The machine and the first domains of a random story.
#include <algorithm>

#include "sim/scenario/random_story.h"
#include "sim/scenario/story_teller.h"

namespace vtd::sim {

std::string random_story(std::uint64_t seed) {
  return story::Teller(seed).tell();
}

namespace story {
std::string bdf(SourceId id) {
  return fmt::format("{:02x}:{:02x}.{}", id.value >> 8, id.value >> 3 & 31, id.value & 7);
}

std::string Teller::tell() {
  draw_platform();
  draw_devices();
  set_up();
  const std::uint64_t acts = dice_.between(8, 20);
  const std::uint64_t first = dice_.below(acts);
  phase("walk");
  for (std::uint64_t i = 0; i < acts; ++i) {
    if (i == first || dice_.chance(8))
      live_update();
    else
      act();
  }
  finish();
  phase("end");
  pause();
  for (Device& d : world_.devices) stop(d);
  std::string out = fmt::format("name: story_{}\nabout: \"Drawn by seed {}: {} mode, {} devices, {} live updates\"\n",
                                seed_, seed_, world_.scalable ? "scalable" : "legacy", world_.devices.size(), updates_);
  out += fmt::format("covers: none\nseed: {}\n\nplatform: {{{}}}\n\nendpoints:\n", seed_, platform_);
  for (const Device& d : world_.devices) out += device_text(d);
  out += "\nsteps:\n" + steps_.substr(1) + fmt::format("\nexpect:\n  resets: {}\n", updates_);
  if (drops_ != 0) out += fmt::format("  translation_drops: {}\n", drops_);
  if (!faults_.empty()) out += "  faults:\n";
  for (const auto& [who, count] : faults_)
    out += fmt::format("    - {{device: {}, reason: {}, count: {}}}\n", who.first, who.second, count);
  if (!console_.empty()) out += "  console:\n";
  for (const std::string& text : console_) out += fmt::format("    - \"{}\"\n", text);
  return out;
}

void Teller::draw_platform() {
  world_.scalable = dice_.chance(50);
  const bool minimal = !world_.scalable && dice_.chance(10);
  if (minimal) profile_ = "minimal";
  if (world_.scalable || (!minimal && dice_.chance(25))) profile_ = "full";
  superpages_ = !minimal;
  boot_delay_us_ = static_cast<unsigned>(dice_.between(30, 150));
  platform_ = fmt::format("walker: rtl, cpu: iss, profile: {}, mode: {}, units: {}, iotlb_sets: {}, iotlb_ways: {}, ",
                          profile_, world_.scalable ? "scalable" : "legacy", dice_.chance(30) ? 2 : 1,
                          dice_.pick({1, 2, 8, 32}), dice_.pick({1, 2, 4}));
  platform_ += fmt::format("memory_latency: {} ns, cpu_quantum: {} ns,\n           poison: {}, boot_delay: {} us",
                           dice_.pick({5, 20, 60, 150}), dice_.pick({50, 200, 1000}),
                           dice_.pick({"zero", "ones", "random", "plausible", "plausible"}), boot_delay_us_);
  std::vector<std::string> changes;
  if (!minimal && dice_.chance(10)) changes.emplace_back("coherent: false");
  if (dice_.chance(10)) changes.emplace_back("caching_mode: true");
  if (!changes.empty()) platform_ += fmt::format(", capabilities: {{{}}}", fmt::join(changes, ", "));
}

void Teller::draw_devices() {
  const std::uint64_t count = dice_.between(1, 6);
  const bool two_units = platform_.find("units: 2") != std::string::npos;
  for (unsigned i = 0; i < count; ++i) {
    Device d;
    d.name = fmt::format("D{}", i + 1);
    // Two buses: some context tables hold none of the preserved devices.
    d.source = make_source_id(dice_.chance(25) ? 1 : 0, i + 2, 0);
    if (dice_.chance(15)) d.alias = make_source_id(dice_.chance(50) ? 1 : 0, i + 8, static_cast<unsigned>(i % 8));
    if (two_units) d.unit = static_cast<unsigned>(dice_.below(2));
    if (world_.scalable && dice_.chance(60)) d.pasid_bits = static_cast<unsigned>(dice_.between(7, 10));
    d.ats = profile_ == "full" && !d.alias && dice_.chance(15);
    d.non_pci = !d.ats && i > 0 && dice_.chance(8);
    d.ignores_bus_master = !d.non_pci && !d.ats && i > 0 && dice_.chance(12);
    d.outstanding = static_cast<unsigned>(dice_.between(1, 4));
    d.interval_ns = dice_.pick({500U, 1000U, 2000U});
    d.random_pattern = dice_.chance(70);
    world_.devices.push_back(d);
  }
}

std::string Teller::device_text(const Device& d) const {
  std::string text = fmt::format("  - {{name: {}, source: \"{}\"", d.name, bdf(d.source));
  if (d.alias) text += fmt::format(", alias: \"{}\"", bdf(*d.alias));
  if (d.unit != 0) text += fmt::format(", unit: {}", d.unit);
  if (d.pasid_bits != 0) text += fmt::format(", pasid_bits: {}", d.pasid_bits);
  if (d.ats) text += ", ats: true";
  if (d.non_pci) text += ", non_pci: true";
  if (d.ignores_bus_master) text += ", ignore_bus_master: true";
  if (d.stream_pasid != 0) text += fmt::format(", pasid: {}", d.stream_pasid);
  if (d.window)
    text += fmt::format(",\n     pattern: {}, outstanding: {}, interval: {} ns, windows: [{{iova: {:#x}, size: {}K}}]",
                        d.random_pattern ? "random" : "sequential", d.outstanding, d.interval_ns, d.window->iova,
                        d.window->size >> 10);
  return text + "}\n";
}

Stage Teller::draw_stage() {
  if (!world_.scalable) return Stage::kSecond;
  return dice_.pick({Stage::kSecond, Stage::kSecond, Stage::kFirst, Stage::kFirst, Stage::kNested});
}

Space& Teller::new_space(Stage stage, unsigned at_least) {
  Space s;
  s.stage = stage;
  const unsigned least = std::max(at_least, stage == Stage::kSecond ? 3U : 4U);
  s.levels = profile_ == "minimal" ? 3 : static_cast<unsigned>(dice_.between(least, 5));
  if (stage == Stage::kNested) {
    Space& parent = new_space(Stage::kSecond, 4);
    parent.is_parent = true;
    const std::string name = fmt::format("M{}", ++memories_);
    step("memory: {{name: {}, size: 2M}}", name);
    map(parent, Piece{0, 2 << 20, name, 0, "rw", dice_.pick({"4K", "2M"}), false});
    s.parent = parent.name;
  }
  s.name = fmt::format("A{}", ++domains_);
  const char* name = stage == Stage::kSecond ? "second" : stage == Stage::kFirst ? "first" : "nested";
  step("domain: {{name: {}, levels: {}, stage: {}{}}}", s.name, s.levels, name,
       s.parent.empty() ? "" : ", parent: " + s.parent);
  world_.spaces.push_back(s);
  return world_.spaces.back();
}

void Teller::add_stream(Device& d, Space& space) {
  const std::size_t before = space.pieces.size();
  if (!map(space, dice_.pick({16U, 64U, 256U}) << 10, "rw", true) || space.pieces.size() == before) return;
  d.window = space.pieces.back();
}

void Teller::set_up() {
  phase("set up");
  std::vector<std::string> names;
  const std::uint64_t count = dice_.between(1, 3);
  for (std::uint64_t i = 0; i < count; ++i) {
    // The first one can be preserved, so that each story has a live update.
    names.push_back(
        new_space(i == 0 && world_.scalable ? dice_.pick({Stage::kSecond, Stage::kFirst}) : draw_stage()).name);
    for (std::uint64_t n = dice_.between(1, 2); n != 0; --n) map_more();
  }
  for (Device& d : world_.devices) {
    const bool first = &d == &world_.devices.front();
    if (!first && dice_.chance(20)) continue;
    Space& space = *world_.find(first ? names.front() : dice_.pick(names));
    const bool by_pasid = !first && d.pasid_bits != 0 && dice_.chance(30);
    if (first || dice_.chance(60)) {
      if (by_pasid && !d.ats) d.stream_pasid = dice_.pick({1, 5, 63, 64, 100});
      add_stream(d, space);
    }
    attach(d, space, d.stream_pasid);
    if (d.window) start(d);
  }
}

}  // namespace story
}  // namespace vtd::sim
