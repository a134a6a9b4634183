// SPDX-License-Identifier: MIT
#include "sim/qemu/command.h"

#include <fmt/format.h>
#include <signal.h>

#include <CLI/CLI.hpp>
#include <bit>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>

#include "sim/qemu/replay.h"
#include "sim/qemu/server.h"
#include "sim/report/unit_report.h"
#include "sim/runner.h"
#include "tlm/unit/simulation.h"

namespace vtd::qemu {
namespace {

volatile bool stop = false;

void on_signal(int) {
  stop = true;
}

/// Ends a run in order.
void catch_signals() {
  struct sigaction action {};
  action.sa_handler = on_signal;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

void write_text(const std::string& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary);
  file << text;
  if (!file) throw std::runtime_error(path + ": cannot be written");
}

using sim::ExitStatus;

int code(ExitStatus status) {
  return static_cast<int>(status);
}

/// Sets and ways of about `entries`; throws for a number that no IOTLB has.
void set_iotlb(MachineOptions& o, unsigned entries) {
  constexpr unsigned kWays = 4;
  const unsigned ways = std::min(entries, kWays);
  const unsigned sets = entries / ways;
  if (sets * ways != entries || !std::has_single_bit(sets))
    throw std::invalid_argument(fmt::format("--iotlb {}: a power of two expected", entries));
  o.iotlb_sets = sets;
  o.iotlb_ways = ways;
}

}  // namespace

struct QemuCommand::Options {
  CLI::App* serve = nullptr;
  CLI::App* replay = nullptr;
  ServeOptions serving;
  std::string pace;
  unsigned iotlb = 0;
  bool no_endpoints = false;
  // ---- replay ----
  std::string recording;
  std::string walker;
};

QemuCommand::QemuCommand(CLI::App& program) : options_(std::make_unique<Options>()) {
  Options& o = *options_;
  MachineOptions& m = o.serving.machine;
  const auto walkers = CLI::IsMember({"model", "rtl", "lockstep"});
  o.serve = program.add_subcommand(
      "serve",
      "a remapping unit and PCI functions behind a stock QEMU: vtdsim serve [options] -- qemu-system-x86_64 ...");
  o.serve->add_option("--profile", m.profile, "capabilities: minimal, qemu72, linux, full");
  o.serve->add_option("--set", m.fields, "FIELD=VALUE of the profile, may be repeated")->allow_extra_args(false);
  o.serve->add_option("--walker", m.walker, "page walker, rtl by default")->check(walkers);
  o.serve
      ->add_option("--endpoint", m.endpoints, "a PCI function behind the unit, may be repeated: 00:11.0, 00:12.0 ...")
      ->check(CLI::IsMember({"dma", "nvme"}))
      ->allow_extra_args(false);
  o.serve->add_option("--nvme-size", m.nvme_mib, "MiB of an NVMe namespace")->check(CLI::Range(1, 4096));
  o.serve->add_option("--memory", m.memory_mib, "MiB of guest RAM")->check(CLI::Range(64, 2048));
  o.serve->add_option("--seed", m.seed, "seed of the unit")->check(CLI::PositiveNumber);
  o.serve->add_flag("--interrupt-remapping", m.interrupt_remapping, "the unit has it, and the DMAR table says so");
  o.serve->add_option("--inject", m.bugs, "a bug in the unit: NAME or NAME:N, from its N-th occasion on")
      ->allow_extra_args(false);
  o.serve
      ->add_option("--pace", o.pace,
                   "wall: simulated time follows the clock; settled: every access of the guest finds the machine at "
                   "rest. settled with --record, else wall")
      ->check(CLI::IsMember({"wall", "settled"}));
  o.serve->add_option("--ratio", o.serving.ratio, "simulated seconds a second, at pace wall")
      ->check(CLI::PositiveNumber);
  o.serve->add_option("--record", o.serving.record, "write a recording for `vtdsim replay`");
  o.serve->add_option("--unit-base", m.unit_base, "where firmware places the unit's registers");
  o.serve->add_option("qemu", o.serving.qemu, "QEMU's command line, after --")->required();
  o.replay = program.add_subcommand("replay", "do a recorded run again without QEMU, and compare");
  o.replay->add_option("recording", o.recording, "file that --record wrote")->required();
  o.replay->add_option("--walker", o.walker, "another page walker than the recorded one")->check(walkers);
  for (CLI::App* command : {o.serve, o.replay}) {
    command->add_option("--iotlb", o.iotlb, "entries of the IOTLB, a power of two")->check(CLI::Range(1, 16384));
    command->add_flag("--waves", o.serving.waves, "write an FST wave file");
    command->add_option("--out", o.serving.out, "directory for report, timeline and waves");
  }
}

QemuCommand::~QemuCommand() = default;

bool QemuCommand::called() const {
  return *options_->serve || *options_->replay;
}

int QemuCommand::run() const {
  if (options_->serving.out.empty()) options_->serving.out = *options_->serve ? "out/serve" : "out/replay";
  std::filesystem::create_directories(options_->serving.out);
  return *options_->serve ? serve() : replay();
}

int QemuCommand::serve() const {
  ServeOptions& o = options_->serving;
  if (options_->iotlb != 0) set_iotlb(o.machine, options_->iotlb);
  const bool settled = options_->pace.empty() ? !o.record.empty() : options_->pace == "settled";
  o.machine.pace = settled ? Pace::kSettled : Pace::kWall;
  catch_signals();
  Server server(o);
  int status = 0;
  std::string broken;
  try {
    status = server.run(stop);
  } catch (const std::exception& e) {
    broken = e.what();
  }
  write_text(o.out + "/report.json", server.report());
  std::cout << server.summary();
  if (!broken.empty()) std::cerr << "vtdsim serve: " << broken << '\n';
  if (broken.empty() && status > 0) std::cerr << fmt::format("vtdsim serve: QEMU ended with status {}\n", status);
  if (stop) return code(ExitStatus::kLimit);
  return code(broken.empty() && status == 0 ? ExitStatus::kAsExpected : ExitStatus::kExpectationFailed);
}

int QemuCommand::replay() const {
  const Options& o = *options_;
  try {
    Recording recording(o.recording);
    MachineOptions machine = recording.options();
    if (!o.walker.empty()) machine.walker = o.walker;
    if (o.iotlb != 0) set_iotlb(machine, o.iotlb);
    Replay replay(recording, machine);
    Timeline timeline(o.serving.out + "/timeline.log", replay.machine().unit().config().profile);
    replay.machine().unit().add_observer(timeline);
    replay.on_input([&](const Event& e) {
      timeline.at(sc_core::sc_time_stamp().to_seconds());
      if (e.function == 0 && (e.kind == Event::Kind::kBarRead || e.kind == Event::Kind::kBarWrite)) timeline.access(e);
    });
    std::optional<WaveFile> waves;
    if (o.serving.waves) {
      waves.emplace(o.serving.out + "/linux.fst");
      replay.machine().unit().set_waves(*waves);
      waves->start();
    }
    replay.run([&] {
      if (waves) waves->advance(vtd::now_ps());
    });
    if (waves) waves->close();
    timeline.close();
    nlohmann::json j;
    j["machine"] = nlohmann::json::parse(to_json(machine));
    j["unit"] = sim::unit_json(replay.machine().unit());
    j["differences"] = replay.differences();
    write_text(o.serving.out + "/report.json", j.dump(2) + '\n');
    std::cout << fmt::format("{} accesses of the guest, {} of the unit, walker {}: {}\n", replay.inputs(),
                             replay.accesses(), machine.walker,
                             replay.likeness() == Likeness::kExact ? "compared one by one, with their times"
                                                                   : "compared in what the guest can see");
    for (const std::string& text : replay.differences()) std::cout << text << '\n';
    std::cout << (replay.differences().empty() ? "PASSED: the same\n" : "FAILED: it is not the same\n");
    return code(replay.differences().empty() ? ExitStatus::kAsExpected : ExitStatus::kExpectationFailed);
  } catch (const RecordingError& e) {
    throw std::invalid_argument(e.what());
  }
}

}  // namespace vtd::qemu
