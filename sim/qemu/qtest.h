// SPDX-License-Identifier: MIT
// QEMU's qtest channel: a text line a command, a line an answer. It reads and writes any guest physical address or I/O
// port; a write of a message to FEEx_xxxxh is an MSI.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "sim/qemu/qemu_process.h"

namespace vtd::qemu {

class Qtest {
 public:
  /// Listens on a socket in `directory`. Throws std::runtime_error.
  explicit Qtest(const std::string& directory);
  ~Qtest();
  Qtest(const Qtest&) = delete;
  Qtest& operator=(const Qtest&) = delete;
  /// What QEMU's command line needs so that it connects.
  [[nodiscard]] std::vector<std::string> arguments() const;
  /// Waits until `process` has connected. Throws QemuDied.
  void accept(QemuProcess& process);

  // ---- commands with answers ----
  /// Queues a command line; its answer comes from flush(). Lines are sent in large pieces.
  void queue(const std::string& line);
  /// Sends what is queued and returns the values of all answers since the last flush (0 where there is none). Throws
  /// std::runtime_error for an answer FAIL, naming the command.
  std::vector<std::uint64_t> flush();
  /// One command, one answer.
  std::uint64_t ask(const std::string& line);

  // ---- commands whose answers nobody waits for ----
  /// Sends a command now. Its answer is taken by drain().
  void post(const std::string& line);
  /// Takes the answers that are there. Throws as flush().
  void drain();
  /// To poll for answers.
  [[nodiscard]] int descriptor() const { return socket_.get(); }

 private:
  void send();
  /// One answer, taken from what has been received; false if there is no whole line.
  bool take_answer();
  void receive();
  void collect(std::size_t leave);

  std::string path_;
  Descriptor listener_;
  Descriptor socket_;
  std::string out_;
  std::string in_;
  std::size_t in_at_ = 0;
  std::deque<std::string> asked_;
  std::vector<std::uint64_t> answers_;
};

}  // namespace vtd::qemu
