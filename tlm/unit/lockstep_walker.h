// SPDX-License-Identifier: MIT
// RTL and rules side by side: only the RTL touches memory. For each walk a PagingWalk replays the RTL's own reads and
// updates; every one must be what the rules require next, every result must be theirs.
//
// What the RTL did not read must be what it may have cached: the way to an entry that an earlier walk of the same tag
// read, and that no invalidation has covered since. A walk that ends without reading must have been answered by
// another one of the same page that was in flight with it.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <tuple>
#include <vector>

#include "tlm/core/paging_walk.h"
#include "tlm/core/walker.h"

namespace vtd {

/// What differed, in words: the walk, what the RTL did, what the rules require.
class LockstepMismatch : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

class LockstepWalker final : public Walker {
 public:
  LockstepWalker(std::unique_ptr<Walker> device, const WalkerConfig& config);

  [[nodiscard]] unsigned capacity() const override { return device_->capacity(); }
  void reset() override;
  /// Throws LockstepMismatch at the first difference.
  WalkerOutputs cycle(const WalkerInputs& in) override;
  [[nodiscard]] bool quiescent() const override { return device_->quiescent(); }
  [[nodiscard]] bool idle() const override { return device_->idle(); }
  [[nodiscard]] bool invalidating() const override { return device_->invalidating(); }
  [[nodiscard]] std::uint32_t count(WalkerEvent event) override { return device_->count(event); }
  void skipped(std::uint64_t edges) override { device_->skipped(edges); }
  /// Walks compared to their end.
  [[nodiscard]] std::uint64_t compared() const { return compared_; }
  /// Reads that a cache made unnecessary, and results that another walk gave.
  [[nodiscard]] std::uint64_t skipped_reads() const { return skipped_reads_; }
  [[nodiscard]] std::uint64_t shared_results() const { return shared_results_; }

 private:
  /// Whose entry, of which stage and level, for which input address.
  struct CacheKey {
    bool first_stage = false;
    bool nested = false;  ///< of the first stage: tables are guest addresses
    DomainId domain{};
    Pasid pasid{};  ///< of the first stage
    std::uint8_t level = 0;
    std::uint64_t input = 0;  ///< first address that the entry maps
    friend auto operator<=>(const CacheKey&, const CacheKey&) = default;
  };
  using Way = std::vector<std::uint64_t>;  ///< entries of one stage from the top table on
  /// The rules, and the entries of each stage that brought them where they are, from the top table on.
  struct Trace {
    PagingWalk walk;
    std::uint64_t skipped = 0;  ///< reads that were not made
    Way first{}, second{};
    CacheKey first_key{}, second_key{};  ///< of their last entries
    /// Notes the entry that the walk is about to be given; returns the way to it and with it.
    const Way& note(std::uint64_t entry);
    friend bool operator==(const Trace&, const Trace&) = default;
  };
  struct Shadow {
    std::vector<Trace> traces;            ///< where the walk may be: an address can be that of several entries
    bool waits = false;                   ///< a read or an update is under way
    bool killed = false;                  ///< covered by an invalidation, but shown or under way
    PhysAddr shown = 0;                   ///< killed: its read that was shown
    bool untouched = true;                ///< nothing was read since it began
    std::vector<WalkResponse> offered{};  ///< results of walks that it may have followed
    [[nodiscard]] const WalkRequest& request() const { return traces.front().walk.request(); }
  };

  Shadow& shadow(WalkId id, const char* what);
  /// For the entry that the walk requires next, if it were of `level`.
  [[nodiscard]] static CacheKey key_of(const PagingWalk& walk, unsigned level);
  [[nodiscard]] static CacheKey first_key_of(const WalkRequest& request, unsigned level);
  /// Adds to `reached` every place at which the walk requires this read: here, or behind entries that may be cached.
  void advance(const Trace& trace, PhysAddr address, std::vector<Trace>& reached);
  /// Gives the walk the entries of one way. False: they do not fit, or it would end or update with them.
  bool follow(Trace& trace, const Way& way, bool first_stage);
  /// The same with any way that translates the address of a first-stage table.
  bool translate(Trace& trace);
  void learn(Trace& trace, const MemoryResponse& answer);
  /// What is below is reached by the entry as it is now.
  void learn(Trace& trace, const UpdateRequest& update);
  void add(const CacheKey& key, const Way& way);
  void take_answer(Shadow& shadow, const MemoryResponse& answer);
  void take_answer(Shadow& shadow, const UpdateResponse& answer);
  static void restart(Shadow& shadow);
  [[nodiscard]] static bool drops(const WalkInvalidation& invalidation, const CacheKey& key, bool leaf);
  void check_read(const MemoryRequest& request);
  void check_update(const UpdateRequest& request);
  void check_response(const WalkResponse& response);
  void invalidate(const WalkInvalidation& invalidation, const WalkerOutputs& out, const WalkerInputs& in);

  std::unique_ptr<Walker> device_;
  WalkerConfig config_;
  std::vector<std::optional<Shadow>> shadows_;
  std::map<CacheKey, std::vector<Way>> cacheable_;
  std::uint64_t compared_ = 0;
  std::uint64_t skipped_reads_ = 0;
  std::uint64_t shared_results_ = 0;
};

}  // namespace vtd
