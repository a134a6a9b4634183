// SPDX-License-Identifier: MIT
#pragma once

namespace vtd::fw {

/// The image: boots, then serves commands for ever. The hal is connected before.
[[noreturn]] void run_image();

}  // namespace vtd::fw
