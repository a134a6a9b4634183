// SPDX-License-Identifier: MIT
#include "sim/qemu/qemu_process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace vtd::qemu {

void Descriptor::close() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

namespace {

std::array<Descriptor, 2> make_pipe(int flags) {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), flags) != 0) throw QemuDied(std::string("pipe: ") + std::strerror(errno));
  return {Descriptor(ends[0]), Descriptor(ends[1])};
}

/// In the child: becomes QEMU, or reports errno.
[[noreturn]] void become(const std::vector<char*>& words, const QemuProcess::Options& options, pid_t parent, int output,
                         int report) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(127);  // it has died before that took effect
  if (!options.log.empty()) {
    const int log = open(options.log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    dup2(log, STDOUT_FILENO);
    dup2(log, STDERR_FILENO);
  } else {
    dup2(output, STDOUT_FILENO);
  }
  for (const int fd : options.keep) fcntl(fd, F_SETFD, 0);
  execvp(words[0], words.data());
  const int error = errno;
  static_cast<void>(!write(report, &error, sizeof error));
  _exit(127);
}

}  // namespace

QemuProcess::QemuProcess(std::vector<std::string> command, const Options& options) {
  std::vector<char*> words;
  std::transform(command.begin(), command.end(), std::back_inserter(words), [](std::string& w) { return w.data(); });
  words.push_back(nullptr);
  auto [out, out_end] = make_pipe(O_CLOEXEC);
  auto [failed, failed_end] = make_pipe(O_CLOEXEC);
  const pid_t parent = getpid();
  child_ = fork();
  if (child_ == 0) become(words, options, parent, out_end.get(), failed_end.get());
  if (child_ < 0) throw QemuDied(std::string("fork: ") + std::strerror(errno));
  out_end.close();
  failed_end.close();
  int error = 0;
  if (read(failed.get(), &error, sizeof error) == sizeof error)
    throw QemuDied(command.front() + " cannot be started: " + std::strerror(error));
  if (!options.log.empty()) return;
  fcntl(out.get(), F_SETFL, O_NONBLOCK);
  output_ = std::move(out);
}

QemuProcess::~QemuProcess() {
  kill();
}

std::optional<int> QemuProcess::ended() {
  int status = 0;
  if (!status_ && waitpid(child_, &status, WNOHANG) == child_)
    status_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return status_;
}

int QemuProcess::wait_for_end(int milliseconds) {
  constexpr int kStepMs = 5;
  for (int waited = 0; waited < milliseconds && !ended(); waited += kStepMs) usleep(kStepMs * 1000);
  kill();
  return *status_;
}

void QemuProcess::kill() {
  if (child_ <= 0 || ended()) return;
  ::kill(child_, SIGKILL);
  int status = 0;
  waitpid(child_, &status, 0);
  status_ = 128 + SIGKILL;
}

}  // namespace vtd::qemu
