// SPDX-License-Identifier: MIT
// The rules of one walk (VT-d 3.6, 3.7, 3.8), without any way to reach memory: the caller does what next() asks for
// and hands the outcome to consume() or updated(). The reference walker, the lockstep shadow and debug translation
// are all this class with different memories.
//
// Order in one entry: read, present, reserved bits; rights and the interrupt range at the leaf; A and D last, by
// compare-exchange. A of an entry is set before the entry below is read; D, and A of the leaf, only when nothing can
// fault any more. When the entry has changed meanwhile the walk starts again.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>

#include "tlm/core/entry_rules.h"
#include "tlm/core/walker.h"

namespace vtd {

class PagingWalk {
 public:
  /// `request.levels` is 3, 4 or 5, `first_levels` 4 or 5. An address beyond the width of the tables or not
  /// canonical, and a top table beyond the host address width (an access error), end the walk before any read.
  PagingWalk(const WalkerConfig& config, const WalkRequest& request);

  /// Address of the entry that the rules require next; nullopt when an update is required or the walk has ended.
  [[nodiscard]] std::optional<PhysAddr> next_read() const;
  /// The compare-exchange that the rules require next; nullopt when a read is required or the walk has ended.
  [[nodiscard]] std::optional<UpdateRequest> next_update() const;
  /// True when there is nothing more to read or update.
  [[nodiscard]] bool ended() const { return step_ == Step::kEnded; }
  /// The entry at next_read(), or the news that it could not be read. Only while next_read() has a value.
  void consume(std::uint64_t entry, bool error);
  /// The entry at next_read() as a cache knows it: as consume(), but nothing was read.
  void skip(std::uint64_t entry);
  /// The outcome of next_update(). Only while it has a value.
  void updated(bool swapped, bool error);
  /// True if the request alone ended the walk: its address or its top tables are out of reach.
  [[nodiscard]] bool refused() const { return ended() && response_.reads == 0; }
  /// Begins again, for an invalidation has covered the walk; reads stay counted.
  void restart() { start(); }
  /// The same, and the answer to a read that was under way is thrown away; it counts, whatever next_read() says now.
  void restart_without_answer();
  /// Which entry next_read() is: stage, level, and the input address of the stage.
  struct Position {
    bool first_stage = false;
    std::uint8_t level = 0;
    std::uint64_t input = 0;
    friend auto operator<=>(const Position&, const Position&) = default;
  };
  [[nodiscard]] Position position() const;
  /// The outcome; meaningful once the walk has ended.
  [[nodiscard]] const WalkResponse& result() const { return response_; }
  [[nodiscard]] const WalkRequest& request() const { return request_; }
  /// The same walk at the same place, with the same behind it.
  friend bool operator==(const PagingWalk&, const PagingWalk&) = default;

 private:
  enum class Step : std::uint8_t { kReadFirst, kReadSecond, kEnded };
  /// What the second stage translates: the address of a first-stage entry, or the final one.
  enum class Purpose : std::uint8_t { kTable, kFinal };
  /// A pending compare-exchange; the stage decides the reason of a failure.
  struct Update {
    PhysAddr address = 0;
    std::uint64_t expected = 0;
    std::uint64_t desired = 0;
    bool first_stage = false;
    std::uint8_t level = 0;
    friend bool operator==(const Update&, const Update&) = default;
  };
  /// A second-stage leaf that was used.
  struct SecondLeaf {
    PhysAddr address = 0;     ///< of the entry
    std::uint64_t entry = 0;  ///< as it is in memory now
    PhysAddr page = 0;
    std::uint8_t level = 1;
    bool readable = true;
    bool writable = true;
    friend bool operator==(const SecondLeaf&, const SecondLeaf&) = default;
  };

  void start();
  void begin_first_entry();
  void begin_second(std::uint64_t input, Purpose purpose);
  void consume_first(std::uint64_t entry, bool error);
  void consume_second(std::uint64_t entry, bool error);
  void consume_legacy(std::uint64_t entry, bool error);
  void first_leaf(std::uint64_t entry);
  void second_leaf(std::uint64_t entry);
  void final_leaf(std::uint64_t entry);
  /// Queues what the first-stage entry just read needs; false if the walk has ended with a fault.
  bool queue_first_update(std::uint64_t entry, std::uint64_t wanted);
  bool queue_second_update(PhysAddr address, std::uint64_t entry, std::uint8_t level, std::uint64_t wanted);
  void use(std::uint64_t entry, bool error);
  /// Queued updates are done: goes on with the step that was waiting for them.
  void advance();
  void finish();
  void end_with(FaultReason fault);
  [[nodiscard]] PhysAddr final_address() const;
  [[nodiscard]] bool legacy() const { return request_.kind == WalkKind::kLegacy; }
  [[nodiscard]] bool nested() const { return request_.kind == WalkKind::kNested; }
  [[nodiscard]] bool first_stage() const { return request_.kind == WalkKind::kFirstStage || nested(); }
  [[nodiscard]] unsigned second_width() const;

  WalkerConfig config_;
  WalkRequest request_;
  WalkResponse response_;
  PathRights rights_;
  Step step_ = Step::kEnded;
  Purpose purpose_ = Purpose::kFinal;
  std::uint8_t level_ = 0;        ///< of the entry to read next, in its stage
  PhysAddr table_ = 0;            ///< of the second stage
  std::uint64_t input_ = 0;       ///< of the second stage
  bool path_readable_ = true;     ///< of the second stage
  bool path_writable_ = true;     ///< of the second stage
  std::uint8_t first_level_ = 0;  ///< of the first-stage entry in work
  PhysAddr first_table_ = 0;      ///< a guest address when nested
  PhysAddr first_entry_ = 0;      ///< host address of the first-stage entry to read
  std::uint64_t first_page_ = 0;  ///< of the first-stage leaf
  std::uint64_t first_leaf_ = 0;  ///< the first-stage leaf as it was read
  SecondLeaf table_leaf_;         ///< that maps the table of the first-stage entry
  SecondLeaf final_;              ///< that maps the final address
  /// At most: D of the page of the first-stage leaf's table, the first-stage leaf, the final second-stage leaf.
  std::array<Update, 3> updates_{};
  unsigned update_count_ = 0;
  unsigned update_next_ = 0;
  enum class After : std::uint8_t { kNextFirst, kNextSecond, kReadFirst, kFinish } after_ = After::kFinish;
};

/// Reads one entry; nullopt is a bus error.
using EntryReader = std::function<std::optional<std::uint64_t>(PhysAddr)>;
/// One walk from beginning to end. Updates are taken as done and change nothing: what debug translation needs.
[[nodiscard]] WalkResponse reference_walk(const WalkerConfig& config, const WalkRequest& request,
                                          const EntryReader& read);

}  // namespace vtd
