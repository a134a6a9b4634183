// SPDX-License-Identifier: MIT
// RTL and rules side by side: only the RTL touches memory. For each walk a PagingWalk replays the RTL's own
// reads; every read must be the one the rules require next, every result must be theirs.
#pragma once

#include <memory>
#include <optional>
#include <stdexcept>
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
  void skipped(std::uint64_t edges) override { device_->skipped(edges); }
  /// Walks compared to their end.
  [[nodiscard]] std::uint64_t compared() const { return compared_; }

 private:
  PagingWalk& shadow(WalkId id, const char* what);
  void check_read(const MemoryRequest& request);
  void check_response(const WalkResponse& response);

  std::unique_ptr<Walker> device_;
  WalkerConfig config_;
  std::vector<std::optional<PagingWalk>> shadows_;
  std::uint64_t compared_ = 0;
};

}  // namespace vtd
