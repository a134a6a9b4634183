// SPDX-License-Identifier: MIT
// Any bits in any structure of memory, every change followed by an invalidation of everything; what comes out must be
// what the tables say.
#include "tests/fuzz/fuzz_unit.h"

using namespace vtd;
using namespace vtd::fuzz;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input input(data, size);
  const bool scalable = input.flag();
  Profile profile = full_profile();
  profile.hitless_root = true;  // SRTP invalidates the PASID cache too
  if (!scalable) profile.caching_mode = input.flag();
  World world(profile);
  const TableMode mode = scalable ? TableMode::kScalable : TableMode::kLegacy;
  build_tables(world, mode);
  world.enable(scalable ? kScalableRoot : kLegacyRoot, mode);
  while (!input.empty()) {
    const unsigned changes = input.below(4);
    for (unsigned i = 0; i < changes; ++i) {
      // One of the pages with structures, one of their first entries.
      const PhysAddr page = (1 + input.below(15)) * kPageSize;
      const PhysAddr at = page + input.below(64) * 8U;
      const std::uint64_t bits = bit(input.below(64));
      world.words[at] = input.below(8) == 0 ? input.take<std::uint64_t>() : world.words[at] ^ bits;
    }
    if (changes != 0) world.invalidate_everything();
    const unsigned requests = 1 + input.below(4);
    for (unsigned i = 0; i < requests; ++i) world.check(take_request(input));
  }
  return 0;
}
