// SPDX-License-Identifier: MIT
#include "firmware/liveupdate/handoff.h"

#include "firmware/hal/console.h"

namespace vtd::fw {
namespace {

constexpr PhysAddr kReset = platform::kResetBase;

struct Slot {
  PhysAddr base;
  std::uint64_t size;
};
Slot slot_of(ImageLetter image) {
  if (image == ImageLetter::kA) return {platform::kSlotABase, platform::kSlotASize};
  return {platform::kSlotBBase, platform::kSlotBSize};
}

platform::ImageHeader read_header(PhysAddr store) {
  std::array<std::uint64_t, sizeof(platform::ImageHeader) / 8> words{};
  for (std::size_t i = 0; i < words.size(); ++i) words[i] = hal::mmio_read64(store + i * 8);
  return std::bit_cast<platform::ImageHeader>(words);
}

}  // namespace

Status place_image(ImageLetter image) {
  namespace reset = platform::reset;
  const PhysAddr store =
      platform::kImageStoreBase + (image == ImageLetter::kB ? platform::kImageStoreStride : std::uint64_t{0});
  const Slot slot = slot_of(image);
  const platform::ImageHeader header = read_header(store);
  if (header.magic != platform::ImageHeader::kMagic || header.load_address != slot.base ||
      header.memory_size > slot.size || header.size > header.memory_size)
    return Status::kNoData;
  // The rest of memory_size needs no clearing: an image clears its own zero-initialised part.
  for (std::uint64_t at = 0; at < header.size; at += 8)
    hal::write64(slot.base + at, hal::mmio_read64(store + sizeof(header) + at));
  hal::flush(slot.base, header.size);
  hal::mmio_write64(kReset + reset::kEntry, header.entry);
  hal::mmio_write64(kReset + reset::kScratchBase, slot.base);
  hal::mmio_write64(kReset + reset::kScratchSize, slot.size);
  hal::print("reboot: image ", static_cast<char>(image), " placed at ", Hex{slot.base}, ", bytes ", header.size);
  return Status::kOk;
}

void warm_reset(PhysAddr root, PhysAddr tracker) {
  namespace reset = platform::reset;
  hal::mmio_write64(kReset + reset::kHandover, root);
  hal::mmio_write64(kReset + reset::kTracker, tracker);
  hal::flush_everything();  // records, tables and the new image are in memory, not in a cache that is about to be lost
  hal::mmio_write64(kReset + reset::kCommand, static_cast<std::uint64_t>(reset::Kind::kWarm));
}

void crash_reset() {
  namespace reset = platform::reset;
  hal::flush_everything();
  hal::mmio_write64(kReset + reset::kCommand, static_cast<std::uint64_t>(reset::Kind::kCrash));
}

}  // namespace vtd::fw
