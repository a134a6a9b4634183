// SPDX-License-Identifier: MIT
// Entry of an image that runs as a shared object in the simulator's process.
#include "firmware/app/main.h"
#include "firmware/hal/hal.h"

extern "C" [[gnu::visibility("default")]] void vtd_firmware_entry(const VtdFirmwareHost* host) {
  vtd::fw::hal::bind(host);
  vtd::fw::run_image();
}
