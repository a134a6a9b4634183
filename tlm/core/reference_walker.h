// SPDX-License-Identifier: MIT
// The walker contract in plain C++: N walks side by side, each a PagingWalk. Same cycles as the RTL with its
// paging-structure caches and its sharing switched off.
#pragma once

#include <array>
#include <optional>
#include <vector>

#include "tlm/core/paging_walk.h"
#include "tlm/core/walker.h"

namespace vtd {

/// Picks one of N candidates in turn and holds on to its choice until it is taken.
class RoundRobin {
 public:
  /// The slot to show: the one shown before if it was not taken, else the first candidate from the turn on.
  template <typename IsCandidate>
  [[nodiscard]] std::optional<unsigned> pick(unsigned slots, IsCandidate is_candidate) {
    if (held_) return held_;
    for (unsigned i = 0; i < slots; ++i) {
      const unsigned slot = (turn_ + i) % slots;
      if (is_candidate(slot)) return held_ = slot;
    }
    return std::nullopt;
  }
  /// The shown slot was taken; the turn passes to the one after it.
  void take(unsigned slots) {
    turn_ = (*held_ + 1) % slots;
    held_.reset();
  }

 private:
  unsigned turn_ = 0;
  std::optional<unsigned> held_;
};

class ReferenceWalker final : public Walker {
 public:
  /// `capacity`: walks side by side, 1..64.
  ReferenceWalker(const WalkerConfig& config, unsigned capacity);

  [[nodiscard]] unsigned capacity() const override { return static_cast<unsigned>(slots_.size()); }
  void reset() override;
  WalkerOutputs cycle(const WalkerInputs& in) override;
  [[nodiscard]] bool quiescent() const override;
  [[nodiscard]] bool idle() const override;
  [[nodiscard]] bool invalidating() const override { return invalidating_; }

 private:
  enum class State : std::uint8_t { kIdle, kRead, kUpdate, kWait, kDone };
  struct Slot {
    State state = State::kIdle;
    bool killed = false;  ///< covered by an invalidation, but shown or under way
    std::optional<PagingWalk> walk;
  };
  /// `shown`: one of its items is shown, and was not taken.
  static void kill(Slot& slot, bool shown);
  [[nodiscard]] bool any(State state) const;
  static State after(const PagingWalk& walk) {
    return walk.ended() ? State::kDone : walk.next_update() ? State::kUpdate : State::kRead;
  }
  /// The slot that waits for an answer from memory. Throws std::logic_error if it does not.
  Slot& waiting(WalkId id);

  WalkerConfig config_;
  std::vector<Slot> slots_;
  RoundRobin memory_turn_;
  RoundRobin update_turn_;
  RoundRobin response_turn_;
  bool invalidating_ = false;
};

}  // namespace vtd
