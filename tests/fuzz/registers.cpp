// SPDX-License-Identifier: MIT
// Any accesses to any registers, with DMA and page requests in between.
#include "tests/fuzz/fuzz_unit.h"

using namespace vtd;
using namespace vtd::fuzz;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input input(data, size);
  World world(kProfiles[input.below(kProfiles.size())]);
  build_tables(world, TableMode::kLegacy);
  while (!input.empty()) {
    const unsigned what = input.below(16);
    if (what == 0) {
      Ticket ticket = world.unit.accept(take_request(input));
      static_cast<void>(world.unit.translate(ticket));
    } else if (what == 1) {
      world.unit.page_request({.source = SourceId{input.take<std::uint16_t>()},
                               .address = input.take<std::uint64_t>(),
                               .read = input.flag(),
                               .write = input.flag(),
                               .last = input.flag()});
    } else if (what == 2) {
      world.unit.reset(input.flag() ? ResetKind::kWarm : ResetKind::kCold);
    } else {
      const unsigned bytes = input.flag() ? 8 : 4;
      // Most registers lie in the first 256 bytes.
      const std::uint64_t offset =
          align_down((input.flag() ? input.take<std::uint16_t>() : input.take<std::uint8_t>()) % kUnitMmioSize, bytes);
      world.unit.write(offset, input.take<std::uint64_t>(), bytes);
      static_cast<void>(world.unit.read(offset, bytes));
    }
    world.pump();
  }
  return 0;
}
