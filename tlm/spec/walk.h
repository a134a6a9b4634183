// SPDX-License-Identifier: MIT
// Codes on the ports of the page walker, in C++ and in RTL.
#pragma once

#include <cstdint>

namespace vtd {

/// What a walk goes through, and with which reasons it fails.
enum class WalkKind : std::uint8_t {
  kLegacy,       ///< second stage, legacy mode: reasons 4 to 7 and C
  kSecondStage,  ///< second stage, scalable mode: reasons 78 to 7C, 84 to 87
  kFirstStage,   ///< reasons 70 to 73, 80 to 83, 85 to 87, 90, 91
  kNested,       ///< first stage, every address of which goes through the second stage
};

/// Which walks and which entries of the paging-structure caches an invalidation covers (VT-d 6.5.2).
enum class WalkScope : std::uint8_t {
  kAll,
  kDomain,      ///< of a DID
  kDomainPage,  ///< of a DID: second-stage ones that the page range meets, and all of the first stage
  kPasid,       ///< first-stage ones of a DID and PASID
  kPasidPage,   ///< the same, as far as the page range meets them
};

/// What the walker counts. X(name, text)
#define VTD_WALKER_EVENTS(X)                                         \
  X(kWalk, "walks accepted")                                         \
  X(kRead, "entries read")                                           \
  X(kUpdate, "entries updated (A, D)")                               \
  X(kRetry, "walks begun again: an entry changed before its update") \
  X(kKill, "walks begun again: an invalidation covered them")        \
  X(kShared, "walks answered by another walk of the same page")      \
  X(kFault, "walks that faulted")                                    \
  X(kInvalidation, "invalidations")                                  \
  X(kFirstHit2, "first-stage cache hits, level 2")                   \
  X(kFirstHit3, "first-stage cache hits, level 3")                   \
  X(kFirstHit4, "first-stage cache hits, level 4")                   \
  X(kSecondHit2, "second-stage cache hits, level 2")                 \
  X(kSecondHit3, "second-stage cache hits, level 3")                 \
  X(kSecondHit4, "second-stage cache hits, level 4")                 \
  X(kGuestHit, "guest table cache hits")                             \
  X(kFill, "cache fills")

enum class WalkerEvent : std::uint8_t {
#define VTD_X(name, text) name,
  VTD_WALKER_EVENTS(VTD_X)
#undef VTD_X
      kCount
};

}  // namespace vtd
