// SPDX-License-Identifier: MIT
// What the machine behind QEMU is made of: said on the command line, kept in a recording.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tlm/unit/unit_config.h"

namespace vtd::qemu {

/// When the simulation goes on.
enum class Pace : std::uint8_t {
  kWall,     ///< with wall-clock time: requests are in flight while the guest works
  kSettled,  ///< each access of the guest finds everything at rest that earlier ones have set off
};

struct MachineOptions {
  std::string profile = "linux";
  std::vector<std::string> fields{};  ///< FIELD=VALUE, on top of the profile
  std::string walker = "rtl";
  std::vector<std::string> endpoints{"dma"};  ///< dma, nvme; the first one is 00:11.0
  std::uint64_t nvme_mib = 128;
  std::uint64_t memory_mib = 1024;
  unsigned iotlb_sets = 0;  ///< 0: as CacheConfig has it
  unsigned iotlb_ways = 0;
  std::uint64_t seed = 1;
  std::uint32_t unit_base = 0xFEBE'0000;  ///< of its registers: where SeaBIOS on q35 places the unit's BAR
  bool interrupt_remapping = false;
  Pace pace = Pace::kWall;
  std::vector<std::string> bugs{};  ///< as parse_bug() of bugs.h takes them
};

/// Throws std::invalid_argument that names the option.
[[nodiscard]] UnitConfig unit_config(const MachineOptions& options);
[[nodiscard]] std::string to_json(const MachineOptions& options);
[[nodiscard]] MachineOptions options_from_json(const std::string& text);

}  // namespace vtd::qemu
