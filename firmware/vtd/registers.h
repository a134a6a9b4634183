// SPDX-License-Identifier: MIT
// Register access of one remapping unit, by name and at the register's own width.
#pragma once

#include "firmware/hal/hal.h"
#include "tlm/spec/registers.h"

namespace vtd::fw {

class Registers {
 public:
  Registers() = default;
  explicit Registers(PhysAddr base) : base_(base) {}

  [[nodiscard]] PhysAddr base() const { return base_; }
  [[nodiscard]] std::uint64_t read(RegId id) const {
    return info(id).bits == 32 ? hal::mmio_read32(base_ + info(id).offset) : read64(info(id).offset);
  }
  void write(RegId id, std::uint64_t value) const {
    if (info(id).bits == 32)
      hal::mmio_write32(base_ + info(id).offset, static_cast<std::uint32_t>(value));
    else
      write64(info(id).offset, value);
  }
  /// For registers that CAP and ECAP place: IVA, IOTLB, FRCD. `offset` in bytes.
  [[nodiscard]] std::uint64_t read64(std::uint64_t offset) const { return hal::mmio_read64(base_ + offset); }
  void write64(std::uint64_t offset, std::uint64_t value) const { hal::mmio_write64(base_ + offset, value); }

 private:
  PhysAddr base_ = 0;
};

}  // namespace vtd::fw
