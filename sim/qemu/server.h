// SPDX-License-Identifier: MIT
// `vtdsim serve`: a QEMU, and the machine behind it, until the guest is done.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sim/qemu/bugs.h"
#include "sim/qemu/machine.h"
#include "sim/qemu/qtest.h"
#include "sim/qemu/recording.h"
#include "sim/qemu/timeline.h"
#include "sim/qemu/transport.h"
#include "tlm/unit/wave_file.h"

namespace vtd::qemu {

struct ServeOptions {
  MachineOptions machine{};
  double ratio = 1;   ///< simulated seconds a second, at Pace::kWall
  std::string out{};  ///< directory of report, timeline and waves
  bool waves = false;
  std::string record{};             ///< file; empty: none
  std::vector<std::string> qemu{};  ///< the command
};

class Server {
 public:
  /// Builds the machine. Throws std::invalid_argument for wrong options.
  explicit Server(const ServeOptions& options);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// Starts QEMU and serves it until it ends, or `stop` becomes true; returns its exit status. Throws what breaks:
  /// QemuDied, ProtocolError, a walker that differs in lockstep.
  int run(const volatile bool& stop);
  /// What happened, as JSON.
  [[nodiscard]] std::string report() const;
  /// The same in a few lines.
  [[nodiscard]] std::string summary() const;

 private:
  using Clock = std::chrono::steady_clock;
  class Scratch;
  /// A function and its connection.
  struct Connection {
    std::unique_ptr<Transport> transport;
    bool open = true;
    std::uint64_t config_accesses = 0;
    std::uint64_t bar_accesses = 0;
  };

  /// run(), but for the books.
  int serve_guest(const volatile bool& stop);
  /// Recording, timeline and waves are whole, however the run ended.
  void close_books();
  [[nodiscard]] std::vector<std::string> command(std::vector<Descriptor>& inherited);
  bool serve_until_closed(QemuProcess& qemu, const volatile bool& stop);
  void serve(std::size_t index);
  /// Performs what the guest asks for; the answer.
  std::uint64_t perform(std::size_t index, const Request& request);
  void tell(const Event& event);
  /// Lets the simulation follow the clock.
  void follow_clock();
  /// Milliseconds that nothing has to be done for; -1: forever.
  [[nodiscard]] int idle_ms() const;
  void tick_endpoints();
  void console(QemuProcess& qemu);
  void send_message(PhysAddr address, std::uint32_t data);
  /// A guest may leave while a device has a message for it: that ends the run, and is no error.
  void if_there(const std::function<void()>& talk);
  [[nodiscard]] double seconds() const;
  [[nodiscard]] std::uint64_t clock_ps() const;

  ServeOptions options_;
  SharedRam shared_;
  std::optional<Recorder> recorder_;
  std::optional<TappedRam> tapped_;
  BuggyRam buggy_;
  Machine machine_;
  Timeline timeline_;
  std::optional<WaveFile> waves_;
  std::unique_ptr<Scratch> scratch_;  ///< until QEMU has read what is there
  std::optional<Qtest> qtest_;
  std::vector<Connection> connections_;
  std::vector<Clock::time_point> ticked_;
  Clock::time_point start_ = Clock::now();
  std::uint64_t behind_ps_ = 0;  ///< what the simulation has given up to catch up with
  std::string line_;             ///< of the console, so far
  std::uint64_t messages_ = 0;
  bool gone_ = false;  ///< QEMU does not take messages any more
  double ended_ = 0;
};

}  // namespace vtd::qemu
