// SPDX-License-Identifier: MIT
// A stock QEMU as a child process. Nothing of QEMU's code is in this program.
#pragma once

#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include <sys/types.h>

namespace vtd::qemu {

/// QEMU ended, or did not answer in time.
class QemuDied : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// A file descriptor that is closed with its owner.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() { close(); }
  Descriptor(Descriptor&& other) noexcept : fd_(other.release()) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    if (this != &other) {
      close();
      fd_ = other.release();
    }
    return *this;
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  [[nodiscard]] int get() const { return fd_; }
  [[nodiscard]] bool valid() const { return fd_ >= 0; }
  int release() {
    const int fd = fd_;
    fd_ = -1;
    return fd;
  }
  void close();

 private:
  int fd_ = -1;
};

class QemuProcess {
 public:
  struct Options {
    std::vector<int> keep{};  ///< descriptors that QEMU inherits under the same numbers
    std::string log{};        ///< file for its stdout and stderr; empty: stdout is output(), stderr is ours
  };
  /// Starts `command`; it dies with this process. Throws QemuDied if there is no such program.
  QemuProcess(std::vector<std::string> command, const Options& options);
  ~QemuProcess();
  QemuProcess(const QemuProcess&) = delete;
  QemuProcess& operator=(const QemuProcess&) = delete;

  /// What it prints, to be read without waiting; invalid with Options::log.
  [[nodiscard]] const Descriptor& output() const { return output_; }
  void close_output() { output_.close(); }
  /// Its exit status (128 + signal if a signal ended it) once it has ended.
  std::optional<int> ended();
  /// The same, after waiting for at most `milliseconds`, then killing it.
  int wait_for_end(int milliseconds);
  void kill();

 private:
  pid_t child_ = -1;
  Descriptor output_;
  std::optional<int> status_;
};

}  // namespace vtd::qemu
