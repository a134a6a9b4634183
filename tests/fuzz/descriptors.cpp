// SPDX-License-Identifier: MIT
// Any bytes as invalidation descriptors, in both widths and table modes.
#include "tests/fuzz/fuzz_unit.h"

using namespace vtd;
using namespace vtd::fuzz;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr PhysAddr kQueue = 0x80000;
  Input input(data, size);
  const bool scalable = input.flag();
  const bool wide = scalable || input.flag();
  World world(input.flag() ? full_profile() : qemu72_profile());
  build_tables(world, TableMode::kScalable);
  world.enable(scalable ? kScalableRoot : kLegacyRoot, scalable ? TableMode::kScalable : TableMode::kLegacy);
  world.write(RegId::kIQA, kQueue | iq::kDW.of(wide ? 1 : 0));
  world.command(gcmd::kQIE);
  const unsigned bytes = wide ? 32 : 16;
  std::uint64_t tail = 0;
  while (!input.empty()) {
    // Types are likely to exist, and the upper half of wide descriptors to be zero.
    const std::uint64_t low = input.take<std::uint64_t>();
    world.words[kQueue + tail] = input.flag() ? (low & ~std::uint64_t{0xE0F}) | (1 + low % 9) : low;
    world.words[kQueue + tail + 8] = input.take<std::uint64_t>();
    if (wide) world.words[kQueue + tail + 16] = input.below(16) == 0 ? 1 : 0;
    const std::uint64_t head = world.reg(RegId::kIQH);
    tail = (tail + bytes) % 0x1000;
    world.write(RegId::kIQT, tail);
    world.pump();
    const std::uint64_t status = world.reg(RegId::kFSTS);
    const bool error = fsts::kIQE.get(status) != 0;
    require(error ? world.reg(RegId::kIQH) == head : world.reg(RegId::kIQH) == tail || fsts::kITE.get(status) != 0,
            "IQH neither stands at a bad descriptor nor at the tail");
    if (error) {  // replaced by a good one, as software does
      world.words[kQueue + head] = 0x15;
      world.words[kQueue + head + 8] = 0;
      if (wide) world.words[kQueue + head + 16] = 0;
    }
    world.write(RegId::kFSTS, fsts::kIQE.mask() | fsts::kITE.mask() | fsts::kICE.mask());
    world.pump();
    require(world.reg(RegId::kIQH) == tail, "the queue does not go on after the error was cleared");
    DmaRequest request = take_request(input);
    Ticket ticket = world.unit.accept(request);
    static_cast<void>(world.unit.translate(ticket));
  }
  return 0;
}
