// SPDX-License-Identifier: MIT
// The command line of `vtdsim decode`.
#pragma once

#include <memory>
#include <string>

namespace CLI {
class App;
}

namespace vtd::sim {

/// Adds `decode` and its sub-commands to the program.
class DecodeCommand {
 public:
  explicit DecodeCommand(CLI::App& program);
  ~DecodeCommand();
  DecodeCommand(const DecodeCommand&) = delete;
  DecodeCommand& operator=(const DecodeCommand&) = delete;
  /// True if the user called it.
  [[nodiscard]] bool called() const;
  /// The answer; throws std::invalid_argument on wrong input.
  [[nodiscard]] std::string answer() const;

 private:
  struct Options;
  std::unique_ptr<Options> options_;
};

}  // namespace vtd::sim
