// SPDX-License-Identifier: MIT
#include "tests/oracle/qtest.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>

namespace vtd::oracle {
namespace {

constexpr int kPatienceMs = 20'000;
constexpr std::size_t kOutstanding = 2000;  ///< answers that may be under way
constexpr std::size_t kPiece = 1U << 14U;

void wait_for(int descriptor, short events, const char* what) {
  pollfd p{descriptor, events, 0};
  if (poll(&p, 1, kPatienceMs) != 1) throw QemuDied(std::string("QEMU does not ") + what);
}

}  // namespace

Qtest::Qtest(std::vector<std::string> command, const std::string& directory) {
  const std::string path = directory + "/qtest";
  unlink(path.c_str());
  const int listener = socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) throw std::runtime_error(path + ": too long for a socket");
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  if (bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 || listen(listener, 1) != 0)
    throw std::runtime_error(path + ": cannot listen");
  command.insert(command.end(), {"-qtest", "unix:" + path, "-qtest-log", "/dev/null"});

  child_ = fork();
  if (child_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    const int log = open((directory + "/qemu.log").c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
    dup2(log, STDOUT_FILENO);
    dup2(log, STDERR_FILENO);
    std::vector<char*> arguments;
    for (std::string& word : command) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    execvp(arguments[0], arguments.data());
    _exit(127);
  }
  wait_for(listener, POLLIN, "connect: see qemu.log");
  socket_ = accept(listener, nullptr, nullptr);
  close(listener);
}

Qtest::~Qtest() {
  if (socket_ >= 0) close(socket_);
  if (child_ <= 0) return;
  kill(child_, SIGKILL);
  waitpid(child_, nullptr, 0);
}

void Qtest::queue(const std::string& line) {
  out_ += line;
  out_ += '\n';
  asked_.push_back(line);
  if (out_.size() >= kPiece) send();
  if (asked_.size() >= kOutstanding) {
    send();
    collect(kOutstanding / 2);
  }
}

std::vector<std::uint64_t> Qtest::flush() {
  send();
  collect(0);
  return std::move(answers_);
}

std::uint64_t Qtest::ask(const std::string& line) {
  flush();
  answers_.clear();
  queue(line);
  return flush().back();
}

void Qtest::send() {
  std::size_t sent = 0;
  while (sent < out_.size()) {
    const ssize_t n = ::send(socket_, out_.data() + sent, out_.size() - sent, MSG_NOSIGNAL);
    if (n <= 0) throw QemuDied("QEMU has closed the connection");
    sent += static_cast<std::size_t>(n);
  }
  out_.clear();
}

void Qtest::collect(std::size_t leave) {
  while (asked_.size() > leave) {
    const std::string line = next_line();
    if (line.rfind("IRQ", 0) == 0) continue;
    if (line.rfind("OK", 0) != 0) throw std::runtime_error("QEMU answers '" + line + "' to '" + asked_.front() + "'");
    const bool number = line.size() > 3 && line[3] >= '0' && line[3] <= '9';
    answers_.push_back(number ? std::stoull(line.substr(3), nullptr, 0) : 0);
    asked_.pop_front();
  }
}

std::string Qtest::next_line() {
  for (;;) {
    const std::size_t end = in_.find('\n', in_at_);
    if (end != std::string::npos) {
      std::string line = in_.substr(in_at_, end - in_at_);
      in_at_ = end + 1;
      return line;
    }
    in_.erase(0, in_at_);
    in_at_ = 0;
    wait_for(socket_, POLLIN, "answer");
    char bytes[1U << 16U];
    const ssize_t n = recv(socket_, bytes, sizeof bytes, 0);
    if (n <= 0) throw QemuDied("QEMU has died");
    in_.append(bytes, static_cast<std::size_t>(n));
  }
}

}  // namespace vtd::oracle
