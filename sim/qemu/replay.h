// SPDX-License-Identifier: MIT
// Does a recorded run again, without QEMU. With the recorded walker and caches every access must come again at its
// time. Under another walker, or with other caches, the comparison is one of intervals: between any two accesses of the
// guest every value that it saw and everything that reached its memory must be the same, in whatever order and at
// whatever time within the interval; tables may be read more or less often.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "sim/qemu/bugs.h"
#include "sim/qemu/machine.h"
#include "sim/qemu/recording.h"

namespace vtd::qemu {

enum class Likeness : std::uint8_t {
  kExact,    ///< every access, in order, at its time
  kOutcome,  ///< what the guest can see
};

/// Stands for the guest's memory: answers reads from the recording and checks what is written.
class ReplayedRam final : public GuestRam {
 public:
  explicit ReplayedRam(Likeness likeness) : likeness_(likeness) {}

  /// What the unit did between two accesses of the guest, in order.
  void begin(std::vector<Event> events);
  /// Everything of it must have come.
  void end();
  [[nodiscard]] const std::vector<std::string>& differences() const { return differences_; }
  void differ(const std::string& text);
  [[nodiscard]] std::uint64_t accesses() const { return accesses_; }

  [[nodiscard]] bool read(const MemoryTag& tag, PhysAddr address, std::span<std::uint8_t> data) override;
  [[nodiscard]] bool write(const MemoryTag& tag, PhysAddr address, std::span<const std::uint8_t> data) override;
  [[nodiscard]] std::optional<std::uint64_t> exchange(const MemoryTag& tag, PhysAddr address, std::uint64_t expected,
                                                      std::uint64_t desired) override;
  void message(const MemoryTag& tag, PhysAddr address, std::uint32_t data) override;

 private:
  using Place = std::tuple<MemoryKind, PhysAddr, std::size_t>;
  struct Answer {
    bool ok = false;
    std::vector<std::uint8_t> data{};
  };
  /// kExact: the recorded event that `now` must be; nullptr, with the difference noted, if it is not.
  const Event* expect(const Event& now);
  /// kOutcome: what a read of this place gives.
  const Answer* answer(const Place& place);
  void happened(const Event& event);

  Likeness likeness_;
  std::uint64_t accesses_ = 0;
  std::vector<std::string> differences_;
  std::deque<Event> expected_;
  Event current_;
  // ---- kOutcome ----
  std::map<Place, std::deque<Answer>> reads_;     ///< of this stretch
  std::map<Place, Answer> known_;                 ///< the last that is known of tables
  std::map<std::string, std::int64_t> outcomes_;  ///< recorded minus happened
  std::set<std::string> recorded_once_;           ///< of what counts however often it comes: messages, A and D bits
  std::set<std::string> happened_once_;
};

class Replay {
 public:
  /// Throws RecordingError or std::invalid_argument, for a run that cannot be done again with these options.
  Replay(Recording& recording, const MachineOptions& options);
  [[nodiscard]] Machine& machine() { return machine_; }
  [[nodiscard]] Likeness likeness() const { return likeness_; }
  /// To the end, or until too much is different. `between` is called now and then.
  void run(const std::function<void()>& between);
  [[nodiscard]] const std::vector<std::string>& differences() const { return ram_.differences(); }
  [[nodiscard]] std::uint64_t inputs() const { return inputs_; }
  [[nodiscard]] std::uint64_t accesses() const { return ram_.accesses(); }
  /// Calls `listener` with each access of the guest.
  void on_input(std::function<void(const Event&)> listener) { listener_ = std::move(listener); }

 private:
  void perform(const Event& input);

  Recording& recording_;
  Likeness likeness_;
  ReplayedRam ram_;
  BuggyRam buggy_;
  Machine machine_;
  std::uint64_t inputs_ = 0;
  std::function<void(const Event&)> listener_;
};

}  // namespace vtd::qemu
