// SPDX-License-Identifier: MIT
// Any requests to good tables of every kind.
#include "tests/fuzz/fuzz_unit.h"

using namespace vtd;
using namespace vtd::fuzz;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input input(data, size);
  const bool scalable = input.flag();
  World world(full_profile());
  const TableMode mode = scalable ? TableMode::kScalable : TableMode::kLegacy;
  build_tables(world, mode);
  world.enable(scalable ? kScalableRoot : kLegacyRoot, mode);
  while (!input.empty()) {
    DmaRequest request = take_request(input);
    request.source = SourceId{input.take<std::uint16_t>()};
    if (input.flag()) request.source.value &= 7;
    if (request.pasid && input.flag()) request.pasid = Pasid{input.take<std::uint32_t>() & 0xF'FFFF};
    if (!input.flag()) request.length = input.take<std::uint8_t>();
    world.check(request);
  }
  return 0;
}
