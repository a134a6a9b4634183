// SPDX-License-Identifier: MIT
// The page walker's contract: one clock edge at a time, behind it C++ (ReferenceWalker), RTL (RtlWalker)
// or both (LockstepWalker). No time, no simulator: the host decides when an edge happens.
#pragma once

#include <cstdint>
#include <optional>

#include "tlm/spec/capability.h"
#include "tlm/spec/fault_reason.h"
#include "tlm/spec/types.h"

namespace vtd {

/// Names one walk in flight; chosen by the requester, unique among the walks outstanding, < Walker::capacity().
using WalkId = std::uint8_t;

/// Static inputs of a walker: what the unit's profile says about paging entries.
struct WalkerConfig {
  unsigned host_address_width = 46;  ///< HAW, bits, 32..52; entry bits [51:HAW] are reserved
  bool superpage_2m = true;
  bool superpage_1g = true;
  bool snoop_control = true;     ///< SNP is reserved in leaves without it
  bool device_tlb = false;       ///< TM is reserved in leaves without it
  bool zero_length_read = true;  ///< CAP.ZLR: zero-length reads are satisfied by W as well
};

constexpr WalkerConfig walker_config(const Profile& p) {
  return {p.host_address_width, p.superpage_2m, p.superpage_1g, p.snoop_control, p.device_tlb, p.zero_length_read};
}

/// One second-stage walk (VT-d 3.7). Width: an `iova` with bits at or above 12 + 9 * levels faults before any
/// read (kAddressBeyondWidth).
struct WalkRequest {
  WalkId id = 0;
  PhysAddr root = 0;        ///< SSPTPTR, 4 KiB aligned
  std::uint8_t levels = 4;  ///< 3, 4 or 5
  Iova iova = 0;
  Access access = Access::kRead;
};

/// Result of a walk. With `fault` == kNone the other fields describe the leaf; otherwise only `id`,
/// `level` (of the entry that faulted, 0 when none was read) and `reads` mean something.
struct WalkResponse {
  WalkId id = 0;
  FaultReason fault = FaultReason::kNone;
  std::uint8_t level = 0;  ///< of the leaf: 1 4K, 2 2M, 3 1G
  PhysAddr page = 0;       ///< first byte of the leaf's page, aligned to the page size
  bool readable = false;   ///< AND of R along the path
  bool writable = false;   ///< AND of W along the path
  bool snoop = false;      ///< SNP of the leaf
  bool transient = false;  ///< TM of the leaf
  std::uint8_t reads = 0;  ///< entries read for this walk
  friend bool operator==(const WalkResponse&, const WalkResponse&) = default;
};

/// Read of one 8-byte paging entry. At most one is outstanding per walk, so the walk id names it.
struct MemoryRequest {
  WalkId id = 0;
  PhysAddr address = 0;  ///< 8-byte aligned
  friend bool operator==(const MemoryRequest&, const MemoryRequest&) = default;
};

struct MemoryResponse {
  WalkId id = 0;
  std::uint64_t data = 0;
  bool error = false;  ///< bus error: the walk ends with kPagingEntryAccess
};

/// What the surroundings drive in the cycle that ends with the next clock edge.
struct WalkerInputs {
  const WalkRequest* request = nullptr;             ///< offered walk; hold it until accepted
  const MemoryResponse* memory_response = nullptr;  ///< at most one a cycle, any order, always taken
  bool memory_ready = true;                         ///< the memory port takes a read at this edge
  bool response_ready = true;                       ///< the requester takes a response at this edge
};

/// What the walker showed before that edge, and so what happened at it.
struct WalkerOutputs {
  bool request_accepted = false;
  std::optional<MemoryRequest> memory_request;  ///< shown; taken at the edge when memory_ready
  std::optional<WalkResponse> response;         ///< shown; taken at the edge when response_ready
};

/// Contract, in cycles: request accepted at edge a; its first read is shown for edge a+1 when the port is
/// free; a response to a read that was taken at edge m may come at edge m+1 or later (L = 0 means m+1); the
/// result is shown for a later edge. A shown read or response stays the same until taken. Outputs never depend
/// combinationally on memory_ready, response_ready or memory_response of the same cycle; request_accepted does
/// not depend on the request's contents.
class Walker {
 public:
  virtual ~Walker() = default;
  /// Walks that can be outstanding at once, 1..64.
  [[nodiscard]] virtual unsigned capacity() const = 0;
  /// Drops every walk and returns to the state after power-up.
  virtual void reset() = 0;
  /// Advances by one clock edge.
  virtual WalkerOutputs cycle(const WalkerInputs& in) = 0;
  /// True if a further edge without a request, and without a memory response, changes nothing and shows
  /// nothing: every walk in flight waits for memory. Such edges may be skipped.
  [[nodiscard]] virtual bool quiescent() const = 0;
  /// True if no walk is in flight (drained).
  [[nodiscard]] virtual bool idle() const = 0;
  /// Called with the number of quiescent edges that were skipped since the last cycle(); for waves and counters.
  virtual void skipped(std::uint64_t edges) { static_cast<void>(edges); }
};

}  // namespace vtd
