// SPDX-License-Identifier: MIT
// All caches of a unit in one struct, so that flush-all and reset cannot forget one.
#pragma once

#include <cstdint>

#include "tlm/core/cache.h"
#include "tlm/core/context_entry.h"
#include "tlm/core/interrupt_cache.h"
#include "tlm/core/iotlb.h"

namespace vtd {

struct CacheConfig {
  CacheGeometry context{16, 4, Replacement::kLru};
  CacheGeometry pasid{16, 4, Replacement::kLru};
  CacheGeometry iotlb{32, 4, Replacement::kLru};
  CacheGeometry interrupt{16, 4, Replacement::kLru};
  IotlbTagging iotlb_tagging = IotlbTagging::kDomain;
};

struct Caches {
  ContextCache context;
  PasidCache pasid;
  Iotlb iotlb;
  InterruptCache interrupt;

  Caches(const CacheConfig& config, std::uint64_t seed, Observer& observer)
      : context(CacheId::kContext, config.context, seed, observer),
        pasid(CacheId::kPasid, config.pasid, seed, observer),
        iotlb(config.iotlb, config.iotlb_tagging, seed, observer),
        interrupt(CacheId::kInterrupt, config.interrupt, seed, observer) {}

  /// Drops what `invalidation` covers.
  void invalidate(const Invalidation& invalidation);
  /// Drops everything.
  void clear();
};

}  // namespace vtd
