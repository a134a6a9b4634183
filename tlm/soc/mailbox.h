// SPDX-License-Identifier: MIT
// The mailbox between a story and the firmware (protocol: tlm/spec/platform.h).
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "tlm/soc/register_device.h"
#include "tlm/spec/deviation.h"
#include "tlm/spec/platform.h"

namespace vtd::soc {

struct MailboxReply {
  platform::Status status = platform::Status::kOk;
  std::array<std::uint64_t, platform::mailbox::kResults> results{};
  bool timed_out = false;
};

class Mailbox : public RegisterDevice {
 public:
  using RegisterDevice::RegisterDevice;

  /// Posts a command and waits for its completion, over a warm reset too. One caller at a time, from an SC_THREAD.
  MailboxReply call(platform::Command command, std::span<const std::uint64_t> args, const sc_core::sc_time& timeout);
  /// Waits until the running image is ready (normal, reattached) or has given up (fatal). False: timed out.
  bool wait_ready(const sc_core::sc_time& timeout);

  void set_policy(std::uint64_t bits) { policy_ = bits; }
  [[nodiscard]] std::uint64_t policy() const { return policy_; }
  void set_deviations(const platform::DeviationSet& set) { deviations_ = set; }
  /// Lets a call of the firmware fail at its `turn`-th turn from the next command, or boot, on; kNone: no more.
  void set_failure(platform::FailPlace place, std::uint64_t turn) {
    fail_ = platform::mailbox::kFailPlace.of(static_cast<std::uint64_t>(place)) | platform::mailbox::kFailTurn.of(turn);
  }
  [[nodiscard]] platform::LifecycleState state() const { return state_; }
  [[nodiscard]] platform::Status boot_status() const { return boot_status_; }
  /// Called when the firmware writes STATE, and with kBlackout at a reset.
  void on_state(std::function<void(platform::LifecycleState)> listener) { on_state_.push_back(std::move(listener)); }
  /// Called when a command is posted and when it is done.
  void on_command(std::function<void(std::optional<platform::Command>)> listener) {
    on_command_.push_back(std::move(listener));
  }

  /// The CPU was reset: whatever it was doing is gone; a WAIT in progress ends.
  void cpu_reset();
  /// The firmware is dead: its state is fatal, a command in progress completes with Status::kFatal.
  void cpu_crashed();

 protected:
  std::uint64_t read(std::uint64_t offset, unsigned bytes) override;
  void write(std::uint64_t offset, std::uint64_t value, unsigned bytes) override;

 private:
  std::uint64_t wait_for_command();
  void set_state(platform::LifecycleState state);
  [[nodiscard]] bool ready() const;

  std::uint64_t policy_ = 0;
  platform::DeviationSet deviations_{};
  std::uint64_t fail_ = 0;
  platform::LifecycleState state_ = platform::LifecycleState::kBoot;
  platform::Status boot_status_ = platform::Status::kOk;

  std::uint64_t sequence_ = 0;
  bool posted_ = false;     ///< a command waits to be taken
  bool answered_ = true;    ///< the last command is complete
  bool was_reset_ = false;  ///< since the last command was posted
  bool abort_wait_ = false;
  platform::Command command_{};
  std::array<std::uint64_t, platform::mailbox::kArgs> args_{};
  platform::Status status_ = platform::Status::kOk;
  std::array<std::uint64_t, platform::mailbox::kResults> results_{};

  sc_core::sc_event posted_event_;
  sc_core::sc_event changed_;
  std::vector<std::function<void(platform::LifecycleState)>> on_state_;
  std::vector<std::function<void(std::optional<platform::Command>)>> on_command_;
};

}  // namespace vtd::soc
