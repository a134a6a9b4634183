// SPDX-License-Identifier: MIT
// The page walker's contract: one clock edge at a time, behind it C++ (ReferenceWalker), RTL (RtlWalker)
// or both (LockstepWalker). No time, no simulator: the host decides when an edge happens.
#pragma once

#include <cstdint>
#include <optional>

#include "tlm/spec/capability.h"
#include "tlm/spec/fault_reason.h"
#include "tlm/spec/types.h"
#include "tlm/spec/walk.h"

namespace vtd {

/// Names one walk in flight; chosen by the requester, unique among the walks outstanding, < Walker::capacity().
using WalkId = std::uint8_t;

/// Static inputs of a walker: what the unit's profile says about paging entries.
struct WalkerConfig {
  unsigned host_address_width = 46;   ///< HAW, bits, 32..52; entry bits [51:HAW] are reserved
  unsigned guest_address_width = 57;  ///< MGAW + 1, bits: limit of first-stage and of nested guest addresses
  bool superpage_2m = true;
  bool superpage_1g = true;
  bool first_stage_1g = false;   ///< FS1GP
  bool snoop_control = true;     ///< SNP is reserved in leaves without it
  bool device_tlb = false;       ///< TM is reserved in leaves without it
  bool zero_length_read = true;  ///< CAP.ZLR: zero-length reads are satisfied by W as well
  // Of the RTL; the C++ walker has neither.
  bool structure_caches = true;  ///< use the paging-structure caches
  bool sharing = true;           ///< one walk answers all that ask for the same of the same page
  friend bool operator==(const WalkerConfig&, const WalkerConfig&) = default;
};

constexpr WalkerConfig walker_config(const Profile& p) {
  return {.host_address_width = p.host_address_width,
          .guest_address_width = p.guest_address_width,
          .superpage_2m = p.superpage_2m,
          .superpage_1g = p.superpage_1g,
          .first_stage_1g = p.first_stage_1g,
          .snoop_control = p.snoop_control,
          .device_tlb = p.device_tlb,
          .zero_length_read = p.zero_length_read};
}

/// One walk (VT-d 3.6 to 3.8). Only kLegacy: an `iova` with bits at or above 12 + 9 * levels faults before any read.
struct WalkRequest {
  WalkId id = 0;
  PhysAddr root = 0;        ///< SSPTPTR, 4 KiB aligned
  std::uint8_t levels = 4;  ///< of the second stage: 3, 4 or 5
  Iova iova = 0;
  Access access = Access::kRead;
  DomainId domain{};  ///< DID: walks of one domain have one second-stage tree
  // ---- scalable mode ----
  WalkKind kind = WalkKind::kLegacy;
  Pasid pasid{};                   ///< walks of one domain and PASID have one first-stage tree
  PhysAddr first_root = 0;         ///< FSPTPTR, 4 KiB aligned: a guest address when nested
  std::uint8_t first_levels = 4;   ///< 4 or 5
  bool privileged = false;         ///< a supervisor request
  bool execute = false;            ///< needs execute permission
  bool report_rights = false;      ///< a translation request (ATS): lacking rights are reported and are no fault
  bool write_protect = false;      ///< WPE: supervisor writes honour R/W
  bool accessed_dirty = false;     ///< SSADE: A and D of the second stage are used
  bool extended_accessed = false;  ///< EAFE: EA is set beside A in first-stage entries
  bool walk_snoop = true;          ///< PWSNP: A/D can be updated
  friend bool operator==(const WalkRequest&, const WalkRequest&) = default;
};

/// Result of a walk. With `fault` == kNone the other fields describe the leaf; otherwise only `id`,
/// `level` (of the entry that faulted, 0 when none was read) and `reads` mean something.
struct WalkResponse {
  WalkId id = 0;
  FaultReason fault = FaultReason::kNone;
  std::uint8_t level = 0;   ///< of the leaf: 1 4K, 2 2M, 3 1G; nested: of the smaller of both leaves
  PhysAddr page = 0;        ///< first byte of the leaf's page, aligned to the page size
  bool readable = false;    ///< second stage: AND of R along the path; first stage: true
  bool writable = false;    ///< AND of W (R/W) along the path, of both stages
  bool snoop = false;       ///< SNP of the second-stage leaf
  bool transient = false;   ///< TM of the second-stage leaf
  std::uint16_t reads = 0;  ///< entries read for this walk
  // ---- scalable mode ----
  bool user = true;                 ///< first stage: AND of U/S
  bool executable = true;           ///< first stage: no XD along the path
  bool supervisor_writable = true;  ///< nested: W of the second stage alone; else true
  bool clean = false;               ///< a D bit that a write has to set is still clear: a write must walk again
  friend bool operator==(const WalkResponse&, const WalkResponse&) = default;
};

/// Read of one 8-byte paging entry. At most one read or update is outstanding per walk, so the walk id names it.
struct MemoryRequest {
  WalkId id = 0;
  PhysAddr address = 0;  ///< 8-byte aligned
  friend bool operator==(const MemoryRequest&, const MemoryRequest&) = default;
};

struct MemoryResponse {
  WalkId id = 0;
  std::uint64_t data = 0;
  bool error = false;  ///< bus error: the walk ends with an access error
};

/// Atomic compare-exchange of one 8-byte paging entry, to set A or D (VT-d 3.6.1, 3.7.2).
struct UpdateRequest {
  WalkId id = 0;
  PhysAddr address = 0;  ///< 8-byte aligned
  std::uint64_t expected = 0;
  std::uint64_t desired = 0;
  friend bool operator==(const UpdateRequest&, const UpdateRequest&) = default;
};

struct UpdateResponse {
  WalkId id = 0;
  bool swapped = false;  ///< false: the entry was not `expected`; the walk starts again
  bool error = false;    ///< bus error
};

/// Walks that it covers begin again, and what it covers leaves the paging-structure caches.
struct WalkInvalidation {
  WalkScope scope = WalkScope::kAll;
  DomainId domain{};
  Pasid pasid{};                  ///< kPasid, kPasidPage
  Iova address = 0;               ///< kDomainPage, kPasidPage: in the range of 2^address_mask pages, naturally aligned
  std::uint8_t address_mask = 0;  ///< AM, 0..63
  bool leaf_only = false;         ///< IH, of page ranges: what points to tables may stay cached
};

/// True if the walk may have read what the invalidation is about. Page-selective covers walks of other pages as well:
/// unless `leaf_only`, since they share entries above the leaf; within a domain if they are first-stage ones, since
/// their tables may lie anywhere in the second stage.
[[nodiscard]] bool covers(const WalkInvalidation& invalidation, const WalkRequest& request);
/// True if the range of a page-selective invalidation meets [address, address + size); `size` is a power of two.
[[nodiscard]] bool range_meets(const WalkInvalidation& invalidation, Iova address, std::uint64_t size);

/// What the surroundings drive in the cycle that ends with the next clock edge.
struct WalkerInputs {
  const WalkRequest* request = nullptr;             ///< offered walk; hold it until accepted
  const MemoryResponse* memory_response = nullptr;  ///< at most one a cycle, any order, always taken
  bool memory_ready = true;                         ///< the memory port takes a read at this edge
  bool response_ready = true;                       ///< the requester takes a response at this edge
  const UpdateResponse* update_response = nullptr;  ///< at most one a cycle, any order, always taken
  bool update_ready = true;                         ///< the update port takes a compare-exchange at this edge
  const WalkInvalidation* invalidation = nullptr;   ///< offered; hold it until accepted
  bool drain = false;                               ///< accept no walks
};

/// What the walker showed before that edge, and so what happened at it.
struct WalkerOutputs {
  bool request_accepted = false;
  std::optional<MemoryRequest> memory_request;  ///< shown; taken at the edge when memory_ready
  std::optional<WalkResponse> response;         ///< shown; taken at the edge when response_ready
  std::optional<UpdateRequest> update_request;  ///< shown; taken at the edge when update_ready
  bool invalidation_accepted = false;
};

/// Contract, in cycles: request accepted at edge a; its first read is shown for edge a+1 when the port is
/// free; a response to a read that was taken at edge m may come at edge m+1 or later (L = 0 means m+1); the
/// result is shown for a later edge; updates as reads. A shown read, update or response stays the same until taken.
/// Outputs never depend combinationally on the ready inputs or on responses of the same cycle; request_accepted does
/// not depend on the request's contents.
///
/// An invalidation is accepted unless the one before is not complete. A covered walk begins again: at once; when its
/// read or update is answered; or, of a response that is being shown and is not taken, not at all, since that counts
/// as given before. Complete means that nothing of that kind is left.
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
  /// True while an accepted invalidation is not complete.
  [[nodiscard]] virtual bool invalidating() const = 0;
  /// How often it happened since power-up, modulo 2^32; 0 for walkers that do not count.
  [[nodiscard]] virtual std::uint32_t count(WalkerEvent event) {
    static_cast<void>(event);
    return 0;
  }
  /// Called with the number of quiescent edges that were skipped since the last cycle(); for waves and counters.
  virtual void skipped(std::uint64_t edges) { static_cast<void>(edges); }
};

}  // namespace vtd
