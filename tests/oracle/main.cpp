// SPDX-License-Identifier: MIT
// vtd_oracle: the same cases to our unit and to stock QEMU's intel-iommu; every difference must have a name.
// Exit status: 0 no difference, 1 a difference or a cell under its minimum, 2 wrong options, 77 QEMU is not there.
#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <sstream>

#include "tests/oracle/compare.h"
#include "tests/oracle/generator.h"
#include "tests/oracle/side.h"
#include "tlm/spec/profiles.h"

namespace vtd::oracle {
namespace {

struct Options {
  std::string mode = "legacy";
  std::string qemu = "qemu-system-x86_64";
  std::uint64_t cases = 20'000;
  std::uint64_t seed = 1;
  std::string replay;
  std::string save = ".";
  bool histogram = false;
};

/// One way to build QEMU's unit, and ours alike.
struct Machine {
  Mode mode = Mode::kLegacy;
  std::string options;
  Profile profile;
  GeneratorConfig generator;
};

std::vector<Machine> machines(Mode mode) {
  Profile narrow = qemu72_profile();
  Profile wide = narrow;
  wide.levels4 = true;
  wide.guest_address_width = wide.host_address_width = 48;
  if (mode == Mode::kLegacy) {
    Profile snoop = wide;
    snoop.snoop_control = true;
    snoop.caching_mode = true;
    snoop.device_tlb = true;
    return {{mode, "", narrow, {mode, false, 39, 150}},
            {mode, "aw-bits=48", wide, {mode, true, 48, 150}},
            {mode, "aw-bits=48,caching-mode=on,device-iotlb=on,snoop-control=on", snoop, {mode, true, 48, 150, true}}};
  }
  wide.scalable_mode = wide.second_stage = true;
  wide.snoop_control = true;  // QEMU takes SNP in scalable mode in any case
  if (mode == Mode::kScalable)
    return {{mode, "aw-bits=48,snoop-control=on,x-scalable-mode=on", wide, {mode, true, 48, 150}}};
  wide.second_stage = false;
  wide.walk_snoop = true;
  wide.first_stage = wide.first_stage_1g = true;
  return {{mode, "aw-bits=48,snoop-control=on,x-scalable-mode=on,x-flts=on", wide, {mode, true, 48, 150}}};
}

std::vector<std::string> split(const std::string& text) {
  std::istringstream words(text);
  std::vector<std::string> result;
  for (std::string word; words >> word;) result.push_back(word);
  return result;
}

class Bench {
 public:
  Bench(const Machine& machine, const std::string& qemu)
      : machine_(machine), qemu_(split(qemu), machine.options), ours_(machine.profile), initial_(initial_arena()) {}

  /// Performs the case from fresh memory.
  Difference difference(const Case& c, Tally& tally) {
    for (Side* side : std::initializer_list<Side*>{&qemu_, &ours_}) {
      const auto arena = side->arena();
      std::memcpy(arena.data(), initial_.data(), initial_.size());
    }
    const auto theirs = qemu_.run(c.commands);
    const auto ours = ours_.run(c.commands);
    const Difference wrong = compare(machine_.mode, c, ours, theirs, tally);
    return wrong.none() ? compare_memory(machine_.mode, ours_.arena(), qemu_.arena(), tally) : wrong;
  }
  void reset() {
    qemu_.reset();
    ours_.reset();
  }
  /// CAP and ECAP, ours and QEMU's.
  std::pair<std::uint64_t, std::uint64_t> capabilities(std::uint64_t offset) {
    const std::vector<Command> read{{.kind = Command::Kind::kRead, .address = offset, .bytes = 8}};
    return {ours_.run(read).front(), qemu_.run(read).front()};
  }

 private:
  const Machine& machine_;
  QemuSide qemu_;
  OurSide ours_;
  std::vector<std::uint8_t> initial_;
};

/// Drops commands as long as a difference of this kind stays.
Case minimise(Bench& bench, Case c, const std::string& kind) {
  for (std::size_t step = std::max<std::size_t>(c.commands.size() / 2, 1); step > 0; step /= 2) {
    for (std::size_t at = 0; at < c.commands.size();) {
      Case smaller = c;
      const std::size_t end = std::min(at + step, c.commands.size());
      smaller.commands.erase(smaller.commands.begin() + static_cast<std::ptrdiff_t>(at),
                             smaller.commands.begin() + static_cast<std::ptrdiff_t>(end));
      Tally ignored;
      bench.reset();
      if (bench.difference(smaller, ignored).kind != kind)
        at = end;
      else
        c = smaller;
    }
  }
  return c;
}

bool capabilities_agree(Bench& bench) {
  struct Register {
    std::uint64_t offset;
    std::uint64_t ignored;
    const char* name;
  };
  constexpr std::uint64_t kSmpwcs = std::uint64_t{1} << 48;
  constexpr std::uint64_t kSrs = std::uint64_t{1} << 31;
  const Register registers[] = {
      {0x08, 0, "CAP"},
      {0x10, kSmpwcs | kSrs, "ECAP but SMPWCS (QEMU sets A and D without it) and SRS (announced without first stage)"}};
  bool agree = true;
  for (const auto& [offset, ignored, name] : registers) {
    const auto [ours, theirs] = bench.capabilities(offset);
    fmt::print("{}: ours {:016x}, QEMU {:016x}\n", name, ours, theirs);
    agree = agree && ((ours ^ theirs) & ~ignored) == 0;
  }
  return agree;
}

int report(Mode mode, const Tally& tally, double seconds, const Options& o) {
  fmt::print("{} DMAs in {:.1f} s, {:.0f} a minute\n", tally.dmas, seconds,
             static_cast<double>(tally.dmas) / seconds * 60);
  int status = 0;
  for (const Rule& rule : rules()) {
    const auto uses = tally.rule_uses.find(rule.name);
    if (uses == tally.rule_uses.end()) continue;
    const double share = 100.0 * static_cast<double>(uses->second) / static_cast<double>(tally.dmas);
    fmt::print("rule {}: {} DMAs, {:.2f} %{}\n  {}\n", rule.name, uses->second, share,
               rule.masks ? "" : ", translated, nothing masked", rule.text);
    if (rule.masks && share > 5) {
      fmt::print("FAILED: the rule masks more than 5 %\n");
      status = 1;
    }
  }
  for (const RegisterRule& rule : register_rules())
    if (const auto uses = tally.rule_uses.find(rule.name); uses != tally.rule_uses.end())
      fmt::print("rule {}: {} reads of registers or memory\n  {}\n", rule.name, uses->second, rule.text);
  if (o.histogram)
    for (const auto& [cell, count] : tally.cells) fmt::print("{:8} {}\n", count, cell);
  for (const Required& required : required_cells(mode)) {
    std::uint64_t count = 0;
    std::string name;
    for (const char* word : required.words) name += name.empty() ? word : fmt::format(" {}", word);
    for (const auto& [cell, n] : tally.cells)
      if (std::all_of(required.words.begin(), required.words.end(),
                      [&](const char* word) { return cell.find(word) != std::string::npos; }))
        count += n;
    const std::uint64_t least = required.at_least * tally.dmas / 20'000;
    const bool enough = count >= least;
    fmt::print("cell {:28} {:8}, at least {}{}\n", name, count, least, enough ? "" : "  FAILED");
    if (!enough) status = 1;
  }
  return status;
}

int run(const Options& o) {
  const Mode mode = o.mode == "legacy" ? Mode::kLegacy : o.mode == "scalable" ? Mode::kScalable : Mode::kFirstStage;
  Tally tally;
  const auto begin = std::chrono::steady_clock::now();
  const auto all = machines(mode);
  std::vector<std::unique_ptr<Bench>> benches;
  for (const Machine& machine : all) {
    benches.push_back(std::make_unique<Bench>(machine, o.qemu));
    if (!capabilities_agree(*benches.back())) {
      fmt::print(stderr, "the units are not alike ({})\n", machine.options);
      return 1;
    }
  }
  if (!o.replay.empty()) {
    std::ifstream file(o.replay);
    std::stringstream text;
    text << file.rdbuf();
    std::size_t which = 0;
    if (const auto at = text.str().find("# machine "); at != std::string::npos)
      which = std::stoul(text.str().substr(at + 10)) % benches.size();
    const Difference wrong = benches[which]->difference(from_text(text.str()), tally);
    fmt::print("{}\n", wrong.none() ? "no difference" : wrong.text);
    return wrong.none() ? 0 : 1;
  }
  for (std::uint64_t seed = o.seed; tally.dmas < o.cases; ++seed) {
    const std::size_t which = seed % benches.size();
    const Case c = Generator(all[which].generator, seed).make();
    Difference wrong = benches[which]->difference(c, tally);
    if (wrong.none()) continue;
    fmt::print("seed {}: {}\n", seed, wrong.text);
    const Case small = minimise(*benches[which], c, wrong.kind);
    Tally ignored;
    benches[which]->reset();
    wrong = benches[which]->difference(small, ignored);
    const std::string path = fmt::format("{}/oracle_{}_{}.txt", o.save, o.mode, seed);
    const std::string text =
        fmt::format("# machine {}\n# {}\n# replay: vtd_oracle --mode {} --qemu '{}' --replay {}\n{}", which, wrong.text,
                    o.mode, o.qemu, path, to_text(small));
    std::ofstream(path) << text;
    fmt::print("{}\n", text);
    return 1;
  }
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
  return report(mode, tally, seconds.count(), o);
}

}  // namespace
}  // namespace vtd::oracle

int main(int argc, char** argv) {
  using namespace vtd::oracle;
  Options o;
  CLI::App app{"Differential test of the remapping unit against stock QEMU's intel-iommu"};
  app.add_option("--mode", o.mode, "tables")->check(CLI::IsMember({"legacy", "scalable", "first-stage"}));
  app.add_option("--qemu", o.qemu, "program, and options that it needs to run");
  app.add_option("--cases", o.cases, "DMAs to compare");
  app.add_option("--seed", o.seed, "of the first case");
  app.add_option("--replay", o.replay, "performs the case of this file")->check(CLI::ExistingFile);
  app.add_option("--save", o.save, "directory for cases that fail")->check(CLI::ExistingDirectory);
  app.add_flag("--histogram", o.histogram, "prints every cell");
  CLI11_PARSE(app, argc, argv);
  if (const char* cases = std::getenv("VTDSIM_ORACLE_CASES")) o.cases = std::strtoull(cases, nullptr, 0);
  const std::string program = split(o.qemu).empty() ? "" : split(o.qemu).front();
  if (std::system(("command -v " + program + " > /dev/null 2>&1").c_str()) != 0) {
    fmt::print("skipped: {} is not there; apt-get install qemu-system-x86\n", program);
    return 77;
  }
  try {
    return run(o);
  } catch (const std::exception& e) {
    fmt::print(stderr, "{}\n", e.what());
    return 1;
  }
}
