// SPDX-License-Identifier: MIT
#include "tlm/soc/mailbox.h"

#include <algorithm>

namespace vtd::soc {

namespace mailbox = platform::mailbox;
using platform::LifecycleState;
using platform::Status;

MailboxReply Mailbox::call(platform::Command command, std::span<const std::uint64_t> args,
                           const sc_core::sc_time& timeout) {
  command_ = command;
  args_.fill(0);
  std::copy_n(args.begin(), std::min(args.size(), args_.size()), args_.begin());
  ++sequence_;
  posted_ = true;
  answered_ = false;
  was_reset_ = false;
  results_.fill(0);
  for (const auto& listener : on_command_) listener(command);
  posted_event_.notify();

  const sc_core::sc_time end = sc_core::sc_time_stamp() + timeout;
  while (!answered_ && sc_core::sc_time_stamp() < end) wait(end - sc_core::sc_time_stamp(), changed_);
  for (const auto& listener : on_command_) listener(std::nullopt);
  posted_ = false;
  return {status_, results_, !answered_};
}

bool Mailbox::wait_ready(const sc_core::sc_time& timeout) {
  const sc_core::sc_time end = sc_core::sc_time_stamp() + timeout;
  while (!ready() && sc_core::sc_time_stamp() < end) wait(end - sc_core::sc_time_stamp(), changed_);
  return ready();
}

bool Mailbox::ready() const {
  return state_ == LifecycleState::kNormal || state_ == LifecycleState::kReattached || state_ == LifecycleState::kFatal;
}

void Mailbox::cpu_reset() {
  was_reset_ = true;
  posted_ = false;
  boot_status_ = Status::kOk;
  set_state(LifecycleState::kBlackout);
  abort_wait_ = true;
  posted_event_.notify();
}

void Mailbox::cpu_crashed() {
  boot_status_ = Status::kFatal;
  set_state(LifecycleState::kFatal);
}

std::uint64_t Mailbox::wait_for_command() {
  abort_wait_ = false;
  while (!posted_ && !abort_wait_) wait(posted_event_);
  if (abort_wait_) return 0;
  posted_ = false;
  return sequence_;
}

std::uint64_t Mailbox::read(std::uint64_t offset, unsigned) {
  if (offset == mailbox::kWait) return wait_for_command();
  if (offset == mailbox::kCommand) return static_cast<std::uint64_t>(command_);
  if (offset >= mailbox::kArg && offset < mailbox::kArg + 8 * mailbox::kArgs)
    return args_[(offset - mailbox::kArg) / 8];
  if (offset == mailbox::kStatus) return static_cast<std::uint64_t>(status_);
  if (offset >= mailbox::kResult && offset < mailbox::kResult + 8 * mailbox::kResults)
    return results_[(offset - mailbox::kResult) / 8];
  if (offset == mailbox::kState) return static_cast<std::uint64_t>(state_);
  if (offset == mailbox::kBootStatus) return static_cast<std::uint64_t>(boot_status_);
  if (offset == mailbox::kPolicy) return policy_;
  if (offset == mailbox::kFail) return fail_;
  if (offset >= mailbox::kDeviations && offset < mailbox::kDeviations + 8 * mailbox::kDeviationWords)
    return deviations_[(offset - mailbox::kDeviations) / 8];
  return 0;
}

void Mailbox::write(std::uint64_t offset, std::uint64_t value, unsigned) {
  if (offset == mailbox::kStatus) status_ = static_cast<Status>(value);
  if (offset >= mailbox::kResult && offset < mailbox::kResult + 8 * mailbox::kResults)
    results_[(offset - mailbox::kResult) / 8] = value;
  if (offset == mailbox::kBootStatus) boot_status_ = static_cast<Status>(value);
  if (offset == mailbox::kState) set_state(static_cast<LifecycleState>(value));
  if (offset == mailbox::kDone && value == sequence_) {
    answered_ = true;
    changed_.notify();
  }
}

void Mailbox::set_state(LifecycleState state) {
  state_ = state;
  for (const auto& listener : on_state_) listener(state);
  // A command that was cut by a reset is complete when the next image is ready, or has given up; so is any command
  // of an image that gives up.
  if (!answered_ && ((was_reset_ && ready()) || state == LifecycleState::kFatal)) {
    status_ = was_reset_ ? boot_status_ : Status::kFatal;
    answered_ = true;
  }
  changed_.notify();
}

}  // namespace vtd::soc
