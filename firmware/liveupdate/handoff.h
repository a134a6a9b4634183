// SPDX-License-Identifier: MIT
// The jump: place the other image in its scratch slot, tell the reset controller, reset.
#pragma once

#include "firmware/hal/hal.h"

namespace vtd::fw {

/// Which of the two images.
enum class ImageLetter : char { kA = 'A', kB = 'B' };
constexpr ImageLetter other(ImageLetter l) {
  return l == ImageLetter::kA ? ImageLetter::kB : ImageLetter::kA;
}

/// Copies `image` from the image store into its slot and programs where it starts. kNoData: the store has no such
/// image, or it does not fit its slot.
[[nodiscard]] Status place_image(ImageLetter image);

/// Commands the warm reset with this handover root and tracker (0 and 0: nothing handed over). Does not return.
void warm_reset(PhysAddr root, PhysAddr tracker);
/// The same after a crash: nothing is handed over, no page is lost. Does not return.
void crash_reset();

}  // namespace vtd::fw
