// SPDX-License-Identifier: MIT
// A stock QEMU as a child process, driven over its qtest socket. Nothing of QEMU's code is in this program.
#pragma once

#include <cstdint>
#include <deque>
#include <stdexcept>
#include <string>
#include <vector>

#include <sys/types.h>

namespace vtd::oracle {

/// QEMU ended, or did not answer in time.
class QemuDied : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

class Qtest {
 public:
  /// Starts `command` with `-qtest unix:...` added, in `directory`, where its socket and log go. Throws QemuDied.
  Qtest(std::vector<std::string> command, const std::string& directory);
  ~Qtest();
  Qtest(const Qtest&) = delete;
  Qtest& operator=(const Qtest&) = delete;

  /// Queues a command line; its answer comes from flush(). Lines are sent in large pieces.
  void queue(const std::string& line);
  /// Sends what is queued and returns the values of all answers since the last flush (0 where there is none). Throws
  /// std::runtime_error for an answer FAIL, naming the command.
  std::vector<std::uint64_t> flush();
  /// One command, one answer.
  std::uint64_t ask(const std::string& line);

 private:
  void send();
  std::string next_line();

  pid_t child_ = -1;
  int socket_ = -1;
  std::string out_;
  std::string in_;
  std::size_t in_at_ = 0;
  std::deque<std::string> asked_;
  std::vector<std::uint64_t> answers_;
  void collect(std::size_t leave);
};

}  // namespace vtd::oracle
