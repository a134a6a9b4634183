// SPDX-License-Identifier: MIT
// The firmware as native code: a fresh private copy of the image's shared object at each reset, so that none of its
// variables survives. For debuggers, sanitizers and speed.
#pragma once

#include "tlm/soc/cpu/cpu.h"

struct VtdFirmwareHost;

namespace vtd::soc {

class NativeCpu final : public Cpu {
 public:
  NativeCpu(sc_core::sc_module_name name, const CpuConfig& config, Dram& dram);

 protected:
  void execute(std::uint64_t entry) override;

 private:
  struct Services;
  struct Image {
    std::uint64_t load_address = 0;
    std::uint64_t entry = 0;
    std::vector<std::uint8_t> flat;
    std::string native;
  };
  [[nodiscard]] const Image* image_at(std::uint64_t entry) const;
  void run_image(const Image& image);

  std::vector<Image> images_;
};

}  // namespace vtd::soc
