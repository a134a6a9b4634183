// SPDX-License-Identifier: MIT
#include "sim/decode/command.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "sim/decode/decode.h"
#include "sim/scenario/scenario.h"

namespace vtd::sim {

struct DecodeCommand::Options {
  CLI::App* command = nullptr;
  std::function<std::string()> answer;
  std::string file;
  std::vector<std::string> values;
  std::string high, low;
  PhysAddr base = 0;
  std::uint64_t irta = 0;
  std::uint64_t limit = 10000;
  TableQuestion tables;
  QueueQuestion queue;

  CLI::App* sub(const std::string& name, const std::string& about, std::function<std::string()> run) {
    CLI::App* app = command->add_subcommand(name, about);
    app->callback([this, run = std::move(run)] { answer = run; });
    return app;
  }
  CLI::App* memory(const std::string& name, const std::string& about,
                   std::function<std::string(const MemoryImage&)> run) {
    CLI::App* app = sub(name, about, [this, run = std::move(run)] { return run(FileImage(file, base)); });
    app->add_option("memory", file, "raw image of memory, little endian")->required();
    number(app, "--base", base, "address of the image's first byte")->required();
    number(app, "--limit", limit, "lines to print, 10000 by default");
    return app;
  }

  /// An option that is a number, as all of vtdsim reads it.
  template <typename T>
  static CLI::Option* number(CLI::App* app, const std::string& name, T& to, const std::string& help) {
    return app->add_option_function<std::string>(
        name,
        [name, &to](const std::string& text) {
          const auto value = parse_number(text);
          if (!value) throw CLI::ValidationError(name, fmt::format("'{}' is not a number", text));
          to = *value;
        },
        help + " (0x for hex)");
  }
  static void mode(CLI::App* app, std::optional<TableMode>& to, const std::string& help) {
    app->add_option_function<std::string>(
           "--mode",
           [&to](const std::string& text) { to = text == "legacy" ? TableMode::kLegacy : TableMode::kScalable; }, help)
        ->check(CLI::IsMember({"legacy", "scalable"}));
  }
};

DecodeCommand::DecodeCommand(CLI::App& program) : options_(std::make_unique<Options>()) {
  Options& o = *options_;
  o.command = program.add_subcommand("decode", "dumps of registers and memory in words");
  o.command->require_subcommand(1);

  CLI::App* registers = o.sub("registers", "a register dump: lines OFFSET VALUE or NAME VALUE, in hex",
                              [&o] { return decode_registers(o.file, o.values); });
  registers->add_option("file", o.file, "the dump; # begins a comment");
  registers->add_option("--reg", o.values, "NAME=VALUE or OFFSET=VALUE; may be repeated")->allow_extra_args(false);

  CLI::App* tables =
      o.memory("tables", "root, context, PASID and paging structures as a tree", [&o](const MemoryImage& m) {
        o.tables.limit = o.limit;
        return decode_tables(m, o.tables);
      });
  Options::number(tables, "--root", o.tables.root, "RTADDR")->required();
  Options::mode(tables, o.tables.mode, "table mode, RTADDR.TTM by default");
  tables->add_option_function<std::string>(
      "--source",
      [&o](const std::string& text) {
        o.tables.source = parse_source(text);
        if (!o.tables.source)
          throw CLI::ValidationError("--source", fmt::format("'{}' is not BB:DD.F, such as 00:03.0", text));
      },
      "only this device");
  Options::number(tables, "--iova", o.tables.iova, "only the path of this address");
  tables->add_option_function<std::string>(
      "--pasid",
      [&o](const std::string& text) {
        constexpr std::uint64_t kLargest = 0xFFFFF;
        const auto value = parse_number(text);
        if (!value || *value > kLargest)
          throw CLI::ValidationError("--pasid", fmt::format("'{}' is not a number of 20 bits", text));
        o.tables.pasid = Pasid{static_cast<std::uint32_t>(*value)};
      },
      "only this PASID; of an address, RID_PASID by default");
  tables->add_option("--haw", o.tables.machine.host_address_width, "host address width, 52 by default")
      ->check(CLI::Range(32, 52));
  Options::number(tables, "--cap", o.tables.machine.cap, "CAP, to say what the unit does not support");
  Options::number(tables, "--ecap", o.tables.machine.ecap, "ECAP, likewise");

  CLI::App* queue = o.memory("queue", "invalidation descriptors", [&o](const MemoryImage& m) {
    o.queue.limit = o.limit;
    return decode_queue(m, o.queue);
  });
  Options::number(queue, "--iqa", o.queue.iqa, "IQA")->required();
  Options::number(queue, "--head", o.queue.head, "IQH: bytes into the ring");
  Options::number(queue, "--tail", o.queue.tail, "IQT: bytes into the ring");
  Options::mode(queue, o.queue.mode, "table mode, to say what it forbids");

  CLI::App* fault = o.sub("fault", "a fault record, as two words in hex", [&o] { return decode_fault(o.high, o.low); });
  fault->add_option("high", o.high, "bits 127:64")->required();
  fault->add_option("low", o.low, "bits 63:0")->required();

  CLI::App* irt = o.memory("irt", "interrupt remapping table entries",
                           [&o](const MemoryImage& m) { return decode_interrupts(m, o.irta, o.limit); });
  Options::number(irt, "--irta", o.irta, "IRTA")->required();
}

DecodeCommand::~DecodeCommand() = default;

bool DecodeCommand::called() const {
  return options_->command->parsed();
}

std::string DecodeCommand::answer() const {
  return options_->answer();
}

}  // namespace vtd::sim
