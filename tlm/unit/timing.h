// SPDX-License-Identifier: MIT
// Every latency of a remapping unit, named, in one table. All in cycles of the unit's clock.
#pragma once

#include <cstdint>

namespace vtd {

struct Timing {
  std::uint64_t period_ps = 1000;  ///< clock period, picoseconds, > 0

  unsigned mmio_access = 20;          ///< register access, from the socket to the answer
  unsigned context_lookup = 1;        ///< context-cache lookup
  unsigned pasid_lookup = 1;          ///< PASID-cache lookup
  unsigned iotlb_lookup = 1;          ///< IOTLB lookup
  unsigned interrupt_lookup = 1;      ///< interrupt entry cache lookup
  unsigned command = 16;              ///< a GCMD command, after draining
  unsigned invalidate = 16;           ///< one invalidation, before it takes effect
  unsigned descriptor = 4;            ///< decoding one descriptor
  unsigned table_read = 20;           ///< walker read through a direct pointer for which memory names no latency
  unsigned table_update = 20;         ///< compare-exchange through a direct pointer for which memory names no latency
  unsigned device_timeout = 100'000;  ///< wait for a device's answer to an invalidation request
  unsigned dma_forward = 2;           ///< a DMA request, between its translation and the memory socket
};

}  // namespace vtd
