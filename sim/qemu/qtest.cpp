// SPDX-License-Identifier: MIT
#include "sim/qemu/qtest.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <utility>

namespace vtd::qemu {
namespace {

constexpr int kPatienceMs = 20'000;
constexpr std::size_t kOutstanding = 2000;  ///< answers that may be under way
constexpr std::size_t kPiece = 1U << 14U;

bool ready(int descriptor, int milliseconds) {
  pollfd p{descriptor, POLLIN, 0};
  return poll(&p, 1, milliseconds) == 1;
}

}  // namespace

Qtest::Qtest(const std::string& directory) : path_(directory + "/qtest") {
  unlink(path_.c_str());
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path_.size() >= sizeof address.sun_path) throw std::runtime_error(path_ + ": too long for a socket");
  std::memcpy(address.sun_path, path_.c_str(), path_.size() + 1);
  listener_ = Descriptor(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
      listen(listener_.get(), 1) != 0)
    throw std::runtime_error(path_ + ": cannot listen: " + std::strerror(errno));
}

Qtest::~Qtest() {
  unlink(path_.c_str());
}

std::vector<std::string> Qtest::arguments() const {
  return {"-qtest", "unix:" + path_, "-qtest-log", "none"};
}

void Qtest::accept(QemuProcess& process) {
  constexpr int kStepMs = 50;
  for (int waited = 0; !ready(listener_.get(), kStepMs); waited += kStepMs)
    if (process.ended() || waited > kPatienceMs) throw QemuDied("QEMU does not connect: see what it printed");
  socket_ = Descriptor(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
  listener_.close();
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
  return std::exchange(answers_, {});
}

std::uint64_t Qtest::ask(const std::string& line) {
  flush();
  queue(line);
  return flush().back();
}

void Qtest::post(const std::string& line) {
  queue(line);
  send();
}

void Qtest::drain() {
  while (!asked_.empty()) {
    while (!asked_.empty() && take_answer()) {
    }
    if (asked_.empty() || !ready(socket_.get(), 0)) break;
    receive();
  }
  answers_.clear();
}

void Qtest::send() {
  std::size_t sent = 0;
  while (sent < out_.size()) {
    const ssize_t n = ::send(socket_.get(), out_.data() + sent, out_.size() - sent, MSG_NOSIGNAL);
    if (n <= 0) throw QemuDied("QEMU has closed the connection");
    sent += static_cast<std::size_t>(n);
  }
  out_.clear();
}

void Qtest::collect(std::size_t leave) {
  while (asked_.size() > leave) {
    if (take_answer()) continue;
    if (!ready(socket_.get(), kPatienceMs)) throw QemuDied("QEMU does not answer '" + asked_.front() + "'");
    receive();
  }
}

bool Qtest::take_answer() {
  const std::size_t end = in_.find('\n', in_at_);
  if (end == std::string::npos) return false;
  const std::string line = in_.substr(in_at_, end - in_at_);
  in_at_ = end + 1;
  if (line.rfind("IRQ", 0) == 0) return true;
  if (line.rfind("OK", 0) != 0) throw std::runtime_error("QEMU answers '" + line + "' to '" + asked_.front() + "'");
  const bool number = line.size() > 3 && line[3] >= '0' && line[3] <= '9';
  answers_.push_back(number ? std::stoull(line.substr(3), nullptr, 0) : 0);
  asked_.pop_front();
  return true;
}

void Qtest::receive() {
  in_.erase(0, in_at_);
  in_at_ = 0;
  std::array<char, 1U << 16U> bytes{};
  const ssize_t n = recv(socket_.get(), bytes.data(), bytes.size(), 0);
  if (n <= 0) throw QemuDied("QEMU has died");
  in_.append(bytes.data(), static_cast<std::size_t>(n));
}

}  // namespace vtd::qemu
