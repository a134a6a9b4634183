// SPDX-License-Identifier: MIT
// The command lines of `vtdsim serve` and `vtdsim replay`.
#pragma once

#include <memory>

namespace CLI {
class App;
}

namespace vtd::qemu {

/// Adds `serve` and `replay` to the program.
class QemuCommand {
 public:
  explicit QemuCommand(CLI::App& program);
  ~QemuCommand();
  QemuCommand(const QemuCommand&) = delete;
  QemuCommand& operator=(const QemuCommand&) = delete;
  /// True if the user called one of them.
  [[nodiscard]] bool called() const;
  /// Does what the user asked for; the exit status of the program. Throws std::invalid_argument on wrong input.
  [[nodiscard]] int run() const;

 private:
  struct Options;
  [[nodiscard]] int serve() const;
  [[nodiscard]] int replay() const;
  std::unique_ptr<Options> options_;
};

}  // namespace vtd::qemu
