// SPDX-License-Identifier: MIT
// One source, two images: VTD_FW_IMAGE is 'A' or 'B'.
#include "firmware/app/main.h"

#include <cstddef>
#include <new>

#include "firmware/app/server.h"
#include "firmware/hal/console.h"

#ifndef VTD_FW_IMAGE
#error "define VTD_FW_IMAGE as 'A' or 'B'"
#endif

namespace vtd::fw {
namespace {
// Built in place at start, so that the stored image carries no zeros for them.
template <typename T>
struct Storage {
  alignas(T) std::byte bytes[sizeof(T)];
};
Storage<Iommu> g_iommu;
Storage<LiveUpdate> g_live_update;
}  // namespace

void run_image() {
  constexpr auto kLetter = static_cast<ImageLetter>(VTD_FW_IMAGE);
  hal::print("vtdsim firmware, image ", static_cast<char>(kLetter));
  Iommu& iommu = *new (g_iommu.bytes) Iommu;
  LiveUpdate& live_update = *new (g_live_update.bytes) LiveUpdate(iommu, kLetter);
  live_update.boot();
  Server(iommu, live_update).run();
}

}  // namespace vtd::fw
