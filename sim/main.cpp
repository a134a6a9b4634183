// SPDX-License-Identifier: MIT
// vtdsim: run, list, lint, story, explain, decode.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <optional>
#include <systemc>

#include "sim/build.h"
#include "sim/catalogue.h"
#include "sim/coverage.h"
#include "sim/decode/command.h"
#include "sim/explain.h"
#include "sim/functional_coverage.h"
#include "sim/qemu/command.h"
#include "sim/report/chronicle.h"
#include "sim/report/page.h"
#include "sim/report/report.h"
#include "sim/runner.h"
#include "sim/scenario/random_story.h"
#include "sim/trace.h"
#include "tlm/unit/simulation.h"

namespace {

using namespace vtd;
using namespace vtd::sim;
namespace files = std::filesystem;

struct Options {
  std::string scenario;
  std::string scenario_dir = VTDSIM_SCENARIOS;
  std::string firmware_dir = VTDSIM_FIRMWARE;
  Overrides overrides;
  std::vector<std::string> injections;
  std::string out;
  bool waves = false;
  bool quiet = false;
  bool name_only = false;
  bool coverage = false;
  bool functional_coverage = false;
  std::string normalised;
  std::string full;
  unsigned wall_seconds = 600;
};

void write_file(const std::string& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary);
  file << text;
  if (!file) throw std::runtime_error("cannot write " + path);
}

int exit_code(ExitStatus status) {
  return static_cast<int>(status);
}

/// Prints the mistakes of a file; true if there are any.
bool print_mistakes(const Loaded& loaded) {
  for (const Mistake& m : loaded.mistakes) std::cerr << format(m) << '\n';
  return !loaded.mistakes.empty();
}

std::string rerun_command(const Options& o, const Choice& choice) {
  std::string text =
      fmt::format("sim/run {} --walker {} --cpu {} --seed {}", o.scenario, choice.walker, choice.cpu, choice.seed);
  for (const auto& [option, value] :
       {std::pair{"--timing", o.overrides.timing}, {"--poison", o.overrides.poison}, {"--verify", o.overrides.verify}})
    if (!value.empty()) text += fmt::format(" {} {}", option, value);
  if (o.overrides.every_cycle) text += " --every-cycle";
  for (const std::string& i : o.injections) text += fmt::format(" --inject '{}'", i);
  return text + " --waves";
}

/// A line that says where the simulation is, on a terminal only.
void progress(const soc::Platform& platform) {
  static const bool kTerminal = isatty(STDERR_FILENO) != 0;
  if (!kTerminal) return;
  std::cerr << fmt::format("\r{:<12} {:<40}", sc_core::sc_time_stamp().to_string(), platform.phases().back().text)
            << std::flush;
}

ExitStatus simulate(const Options& o, Story& story, soc::Platform& platform, const Scenario& scenario,
                    WaveFile* waves) {
  const auto begin = std::chrono::steady_clock::now();
  const sc_core::sc_time slice(100, sc_core::SC_US);
  const sc_core::sc_time limit(static_cast<double>(scenario.platform.number("limit", 1'000'000'000)), sc_core::SC_NS);
  while (!story.finished() && !story.stuck()) {
    vtd::run(slice);
    if (waves != nullptr) waves->advance(vtd::now_ps());
    if (!o.quiet) progress(platform);
    if (story.finished() || story.stuck()) break;
    const bool wall = std::chrono::steady_clock::now() - begin > std::chrono::seconds(o.wall_seconds);
    if (wall || sc_core::sc_time_stamp() >= limit) {
      std::cerr << fmt::format("{} limit reached at {} in phase '{}'\n", wall ? "wall-clock" : "simulated-time",
                               sc_core::sc_time_stamp().to_string(), platform.phases().back().text);
      return ExitStatus::kLimit;
    }
  }
  return ExitStatus::kAsExpected;
}

int run(const Options& o) {
  const auto path = find_scenario(o.scenario, o.scenario_dir);
  if (!path) {
    std::cerr << fmt::format("there is no scenario '{}', expected a file or a name that `vtdsim list` shows\n",
                             o.scenario);
    return exit_code(ExitStatus::kWrongInput);
  }
  const Loaded loaded = load_scenario(*path);
  if (print_mistakes(loaded)) return exit_code(ExitStatus::kWrongInput);
  const Scenario& scenario = loaded.scenario;

  if (o.name_only) {
    std::cout << scenario.name << '\n';
    return 0;
  }

  Injector injector;
  try {
    for (const std::string& text : o.injections) injector.plan(parse_injection(text));
  } catch (const std::invalid_argument& e) {
    std::cerr << e.what() << '\n';
    return exit_code(ExitStatus::kWrongInput);
  }

  const std::string out = o.out.empty() ? "out/" + scenario.name : o.out;
  files::create_directories(out);
  for (const char* image : {"fw_a.img", "fw_b.img"}) {
    if (files::is_regular_file(o.firmware_dir + "/" + image)) continue;
    std::cerr << fmt::format("--firmware {}: there is no {}, expected both images\n", o.firmware_dir, image);
    return exit_code(ExitStatus::kWrongInput);
  }
  const Choice choice = choose(scenario, o.overrides);
  std::optional<soc::Platform> platform;
  try {
    platform.emplace("platform", platform_config(scenario, o.overrides, o.firmware_dir, injector.deviations()));
  } catch (const std::invalid_argument& e) {
    std::cerr << fmt::format("{}: {}\n", scenario.path, e.what());
    return exit_code(ExitStatus::kWrongInput);
  }
  Trace trace(*platform);
  const BlackoutMeter blackout(*platform);
  const Chronicle chronicle(*platform);
  std::optional<FunctionalCoverage> functional;
  if (o.functional_coverage) functional.emplace(*platform);
  Story story("story", scenario, *platform, injector);
  if (!o.quiet) platform->uart().on_line([](const std::string& line) { std::cout << "  | " << line << '\n'; });
  std::optional<WaveFile> waves;
  if (o.waves) {
    waves.emplace(out + "/" + scenario.name + ".fst");
    platform->set_waves(*waves);
    waves->start();
  }

  ExitStatus status = ExitStatus::kInternal;
  try {
    status = simulate(o, story, *platform, scenario, waves ? &*waves : nullptr);
  } catch (const std::exception& e) {  // a walker that differs in lockstep, an RTL assertion: report and wave are due
    story.broke(e.what());
  }
  const Outcome& outcome = story.judge();
  if (!outcome.impossible.empty()) {
    std::cerr << fmt::format("inject: {}\n", outcome.impossible);
    status = ExitStatus::kWrongInput;
  }
  if (waves) waves->close();
  if (status == ExitStatus::kAsExpected && !outcome.failures.empty()) status = ExitStatus::kExpectationFailed;

  const auto met = functional ? functional->met() : std::map<std::string, std::uint64_t>{};
  const ReportContext context{scenario,
                              *platform,
                              outcome,
                              met,
                              blackout.updates(),
                              status,
                              choice.walker,
                              choice.cpu,
                              choice.seed,
                              waves ? waves->path() : std::string{},
                              out + "/report.json",
                              out + "/report.html",
                              rerun_command(o, choice)};
  write_file(context.json_file, json(context));
  write_file(context.page_file, page(context, chronicle));
  write_file(out + "/trace.json", chrome_trace(context, chronicle));
  if (!o.normalised.empty()) write_file(o.normalised, trace.normalised());
  if (!o.full.empty()) write_file(o.full, trace.full());
  if (!o.quiet || status != ExitStatus::kAsExpected) std::cout << summary(context) << std::flush;
  return exit_code(status);
}

int list(const Options& o) {
  if (o.coverage) {
    const Coverage c = coverage(o.scenario_dir);
    std::cout << c.matrix;
    std::cerr << c.missing;
    return exit_code(c.missing.empty() ? ExitStatus::kAsExpected : ExitStatus::kExpectationFailed);
  }
  for (const std::string& path : scenario_files(o.scenario_dir)) {
    const Loaded loaded = load_scenario(path);
    if (print_mistakes(loaded)) continue;
    const std::string about = loaded.scenario.about.substr(0, loaded.scenario.about.find('\n'));
    std::cout << fmt::format("{:<44}{}\n", loaded.scenario.name, about);
  }
  for (const auto& [alias, meaning] : kAliases) std::cout << fmt::format("{:<44}alias of {}\n", alias, meaning);
  return 0;
}

/// A scenario in words: what it is about and its steps, in order.
std::string tell(const Options& o, const std::vector<std::string>& words) {
  if (words.size() != 1) throw std::invalid_argument("explain scenario NAME, such as scenario S01");
  const auto path = find_scenario(words[0], o.scenario_dir);
  if (!path) throw std::invalid_argument(fmt::format("there is no scenario '{}', see `vtdsim list`", words[0]));
  const Loaded loaded = load_scenario(*path);
  if (!loaded.mistakes.empty()) throw std::invalid_argument(format(loaded.mistakes.front()));
  return explain_scenario(loaded.scenario);
}

int lint(const Options& o, const std::vector<std::string>& paths) {
  bool wrong = false;
  for (const std::string& word : paths)
    wrong = print_mistakes(load_scenario(find_scenario(word, o.scenario_dir).value_or(word))) || wrong;
  return exit_code(wrong ? ExitStatus::kWrongInput : ExitStatus::kAsExpected);
}

}  // namespace

#if defined(__SANITIZE_ADDRESS__)
// SystemC's threads run on stacks of their own, which neither the fake stack nor the leak checker can walk.
extern "C" const char* __asan_default_options() {
  return "detect_stack_use_after_return=0:detect_leaks=0";
}
#endif

namespace {
// SystemC prints its banner before sc_main.
[[gnu::constructor]] void no_banner() {
  setenv("SYSTEMC_DISABLE_COPYRIGHT_MESSAGE", "1", 0);
}
}  // namespace

int sc_main(int argc, char** argv) {
  sc_core::sc_report_handler::set_actions(sc_core::SC_ERROR, sc_core::SC_THROW);
  sc_core::sc_report_handler::set_actions("/OSCI/SystemC", sc_core::SC_DO_NOTHING);
  Options o;
  std::vector<std::string> words;
  std::string topic;
  CLI::App app{"vtdsim: an Intel VT-d remapping unit, its RTL page walker and live-update firmware, co-simulated"};
  app.require_subcommand(1);
  app.add_option("--scenarios", o.scenario_dir, "directory of the catalogue");

  CLI::App* run_command = app.add_subcommand("run", "play a scenario");
  run_command->add_option("scenario", o.scenario, "name, alias or file")->required();
  run_command->add_option("--walker", o.overrides.walker, "page walker")
      ->check(CLI::IsMember({"model", "rtl", "lockstep"}));
  run_command->add_option("--cpu", o.overrides.cpu, "firmware CPU")->check(CLI::IsMember({"iss", "native"}));
  run_command->add_option("--timing", o.overrides.timing, "loosely timed or cycle-true")
      ->check(CLI::IsMember({"loose", "cycle"}));
  run_command->add_option("--poison", o.overrides.poison, "what lost memory holds")
      ->check(CLI::IsMember({"zero", "ones", "random", "plausible"}));
  run_command->add_option("--verify", o.overrides.verify, "how the incoming firmware takes the image")
      ->check(CLI::IsMember({"checking", "trusting"}));
  run_command->add_option("--seed", o.overrides.seed, "seed, the scenario's by default")->check(CLI::PositiveNumber);
  run_command->add_flag("--every-cycle", o.overrides.every_cycle, "clock the walker edge by edge instead of in bursts");
  run_command->add_option("--inject", o.injections, "PLACE=VALUE (see `vtdsim explain places`); may be repeated")
      ->allow_extra_args(false);
  run_command->add_option("--out", o.out, "directory for wave, report and traces; out/NAME by default");
  run_command->add_flag("--coverage", o.functional_coverage, "count points of functional coverage in the report");
  run_command->add_flag("--waves", o.waves, "write an FST wave file");
  run_command->add_flag("--quiet", o.quiet, "print only what failed");
  run_command->add_flag("--name-only", o.name_only, "print the scenario's name and do nothing else");
  run_command->add_option("--trace-normalised", o.normalised, "write the normalised trace to this file");
  run_command->add_option("--trace-full", o.full, "write the full trace, with times, to this file");
  run_command->add_option("--firmware", o.firmware_dir, "directory of the firmware images");
  run_command->add_option("--wall-limit", o.wall_seconds, "seconds of wall-clock time")->check(CLI::PositiveNumber);

  CLI::App* list_command = app.add_subcommand("list", "list the catalogue");
  list_command->add_flag("--coverage", o.coverage,
                         "patches and findings of the Linux series, the scenarios of each; fails if one has none");
  CLI::App* lint_command = app.add_subcommand("lint", "check scenario files without running them");
  lint_command->add_option("files", words, "names or files")->required();
  CLI::App* explain_command = app.add_subcommand(
      "explain",
      "values in words: reg FSTS=0x102, fault 5, entry context W0 W1, scenario S01, steps, places, image, hazards, "
      "commands");
  explain_command->add_option("topic", topic, "reg, fault, entry, scenario, steps, places, image, hazards, commands")
      ->required();
  explain_command->add_option("arguments", words, "what to explain");
  std::uint64_t story_seed = 1;
  CLI::App* story_command = app.add_subcommand("story", "print a scenario drawn by a seed");
  story_command->add_option("--seed", story_seed, "seed, 1 by default")->check(CLI::PositiveNumber);
  bool coverage_model = false;
  story_command->add_flag("--coverage-model", coverage_model,
                          "instead: every point of functional coverage, one a line");
  const DecodeCommand decode(app);
  const qemu::QemuCommand qemu(app);

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : exit_code(ExitStatus::kWrongInput);
  }
  try {
    if (*run_command) return run(o);
    if (*list_command) return list(o);
    if (*lint_command) return lint(o, words);
    if (*explain_command) {
      std::cout << (topic == "scenario" ? tell(o, words) : explain(topic, words));
      return 0;
    }
    if (*story_command) {
      if (coverage_model)
        for (const std::string& point : FunctionalCoverage::model()) std::cout << point << '\n';
      else
        std::cout << random_story(story_seed);
      return 0;
    }
    if (qemu.called()) return qemu.run();
    if (decode.called()) {
      std::cout << decode.answer();
      return 0;
    }
  } catch (const std::invalid_argument& e) {
    std::cerr << e.what() << '\n';
    return exit_code(ExitStatus::kWrongInput);
  } catch (const std::exception& e) {
    std::cerr << "internal error: " << e.what() << '\n';
    return exit_code(ExitStatus::kInternal);
  }
  return 0;
}
