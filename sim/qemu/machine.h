// SPDX-License-Identifier: MIT
// What stands behind QEMU: one remapping unit, PCI functions whose DMA it translates, and the way to guest RAM.
#pragma once

#include <memory>
#include <string>
#include <systemc>
#include <vector>

#include <tlm_utils/simple_target_socket.h>

#include "sim/qemu/guest_ram.h"
#include "sim/qemu/options.h"
#include "tlm/soc/pci_function.h"
#include "tlm/unit/remapping_unit.h"

namespace vtd::qemu {

/// The unit's registers as a PCI function, because that is what QEMU can forward. Once firmware has enabled its BAR it
/// hides: configuration reads give all ones, so that the guest's kernel finds the unit through the DMAR table only.
class UnitFunction final : public soc::PciFunction {
 public:
  /// The size makes its base the same whatever the other functions are, as firmware places large BARs first.
  static constexpr std::uint32_t kBarSize = 0x1'0000;
  tlm_utils::simple_initiator_socket<UnitFunction> mmio{"mmio"};

  /// `base` as the DMAR table says.
  UnitFunction(sc_core::sc_module_name name, std::uint32_t base);
  [[nodiscard]] std::uint32_t config_read(unsigned offset, unsigned bytes) const override;
  /// Throws std::runtime_error when firmware enables the BAR anywhere else than at `base`.
  void config_write(unsigned offset, std::uint32_t value, unsigned bytes) override;
  [[nodiscard]] std::uint64_t bar_read(std::uint64_t offset, unsigned bytes) override;
  void bar_write(std::uint64_t offset, std::uint64_t value, unsigned bytes) override;
  /// How long the accesses since the last call took.
  [[nodiscard]] sc_core::sc_time take_delay();
  [[nodiscard]] std::uint64_t refused() const { return refused_; }
  void on_unit_reset(std::function<void()> reset) { unit_reset_ = std::move(reset); }

 private:
  void on_reset() override;
  bool access(tlm::tlm_command command, std::uint64_t offset, std::uint64_t& value, unsigned bytes);

  std::uint32_t base_;
  sc_core::sc_time delay_;
  std::uint64_t refused_ = 0;  ///< accesses that the unit does not take
  std::function<void()> unit_reset_;
};

/// The unit's memory: GuestRam behind a socket.
class RamTarget final : public sc_core::sc_module {
 public:
  tlm_utils::simple_target_socket<RamTarget> socket{"socket"};
  RamTarget(sc_core::sc_module_name name, GuestRam& ram);
  /// RAM is somewhere else now.
  void changed();

 private:
  void transport(tlm::tlm_generic_payload& trans, sc_core::sc_time& delay);
  unsigned debug(tlm::tlm_generic_payload& trans);
  bool direct(tlm::tlm_generic_payload& trans, tlm::tlm_dmi& dmi);

  GuestRam& ram_;
};

class Machine final : public sc_core::sc_module {
 public:
  static constexpr unsigned kUnitDevice = 0x10;  ///< 00:10.0; endpoints follow

  /// Throws std::invalid_argument for what cannot be built. `ram` must outlive the machine.
  Machine(sc_core::sc_module_name name, const MachineOptions& options, GuestRam& ram);
  ~Machine() override;

  [[nodiscard]] RemappingUnit& unit() { return *unit_; }
  [[nodiscard]] const RemappingUnit& unit() const { return *unit_; }
  [[nodiscard]] UnitFunction& unit_function() { return unit_function_; }
  [[nodiscard]] const UnitFunction& unit_function() const { return unit_function_; }
  /// 0 is the unit's, n the endpoint n - 1.
  [[nodiscard]] std::size_t functions() const { return 1 + endpoints_.size(); }
  [[nodiscard]] soc::PciFunction& function(std::size_t index);
  [[nodiscard]] std::size_t endpoints() const { return endpoints_.size(); }
  [[nodiscard]] soc::PciEndpoint& endpoint(std::size_t index) { return *endpoints_.at(index); }
  [[nodiscard]] const soc::PciEndpoint& endpoint(std::size_t index) const { return *endpoints_.at(index); }
  [[nodiscard]] const MachineOptions& options() const { return options_; }
  void ram_changed() { ram_.changed(); }

  /// Runs until nothing is left to do. Throws std::runtime_error if that does not come within a simulated second.
  void settle();
  /// Runs for `time` at least; nothing else happens where nothing is to do.
  void advance(const sc_core::sc_time& time);

 private:
  MachineOptions options_;
  std::unique_ptr<RemappingUnit> unit_;
  UnitFunction unit_function_;
  RamTarget ram_;
  std::vector<std::unique_ptr<soc::PciEndpoint>> endpoints_;
};

}  // namespace vtd::qemu
