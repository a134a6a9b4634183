// SPDX-License-Identifier: MIT
// PCI functions of the platform that software finds by configuration space: one memory BAR, perhaps MSI; and those of
// them that do DMA through a remapping unit.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <systemc>
#include <tlm>

#include <tlm_utils/simple_initiator_socket.h>

#include "tlm/core/request.h"
#include "tlm/spec/pci.h"

namespace vtd::soc {

struct PciIdentity {
  std::uint16_t vendor = 0;
  std::uint16_t device = 0;
  std::uint32_t class_code = 0;  ///< 24 bits: base class, sub-class, programming interface
  std::uint8_t revision = 0;
  std::uint32_t bar_size = 0x1000;  ///< bytes, a power of two, >= 4096
  bool msi = false;                 ///< has the capability
};

/// Configuration accesses are 1, 2 or 4 bytes inside an aligned 4-byte word; BAR accesses 1 to 8 bytes inside the BAR.
/// None of them waits; all may be called outside of processes.
class PciFunction : public sc_core::sc_module {
 public:
  /// Throws std::invalid_argument for a BAR size that is none.
  PciFunction(sc_core::sc_module_name name, const PciIdentity& identity);

  [[nodiscard]] virtual std::uint32_t config_read(unsigned offset, unsigned bytes) const;
  virtual void config_write(unsigned offset, std::uint32_t value, unsigned bytes);
  [[nodiscard]] virtual std::uint64_t bar_read(std::uint64_t offset, unsigned bytes) = 0;
  virtual void bar_write(std::uint64_t offset, std::uint64_t value, unsigned bytes) = 0;
  /// Of the function: configuration space and on_reset().
  void reset();

  [[nodiscard]] const PciIdentity& identity() const { return identity_; }
  /// The base that software has written to BAR 0; all ones below the size while it sizes the BAR.
  [[nodiscard]] std::uint32_t bar() const;
  [[nodiscard]] bool memory_enabled() const;
  [[nodiscard]] bool bus_master() const;

 protected:
  virtual void on_reset() {}
  /// COMMAND.BME or MSI have changed.
  virtual void on_config() {}
  [[nodiscard]] std::uint32_t config_word(unsigned offset) const;

  std::array<std::uint8_t, pci::kConfigSize> config_{};

 private:
  void set_config(unsigned offset, std::uint64_t value, unsigned bytes);
  /// Bits of the aligned word at `offset` that software may change.
  [[nodiscard]] std::uint32_t writable(unsigned offset) const;

  PciIdentity identity_;
};

/// A function that is a master: everything it reads and writes is a DMA request of its socket's requester.
class PciEndpoint : public PciFunction {
 public:
  tlm_utils::simple_initiator_socket<PciEndpoint> dma{"dma"};

  /// `max_payload`: bytes of the largest request, a power of two, 64..4096; requests do not cross multiples of it.
  PciEndpoint(sc_core::sc_module_name name, const PciIdentity& identity, unsigned max_payload = 512);

  struct Counters {
    std::uint64_t reads = 0;  ///< requests that were answered
    std::uint64_t writes = 0;
    std::uint64_t bytes_read = 0;
    std::uint64_t bytes_written = 0;
    std::uint64_t refused = 0;  ///< faults, bus errors, bus master off
    std::uint64_t interrupts = 0;
  };
  [[nodiscard]] const Counters& counters() const { return counters_; }
  /// From outside, now and then (design.md section 8: timers follow wall time). `microseconds`: time since the last.
  virtual void tick(std::uint64_t microseconds) { static_cast<void>(microseconds); }
  /// Microseconds until tick() has something to do; 0: nothing.
  [[nodiscard]] virtual std::uint64_t next_tick() const { return 0; }

 protected:
  // ---- from an SC_THREAD; they wait. False: a request was refused, requests before it have been delivered ----
  [[nodiscard]] bool read(Iova address, std::span<std::uint8_t> data);
  [[nodiscard]] bool write(Iova address, std::span<const std::uint8_t> data);
  /// Sends the message if MSI is enabled.
  void interrupt();

 private:
  bool request(tlm::tlm_command command, Iova address, std::span<std::uint8_t> data);

  unsigned max_payload_;
  Counters counters_;
};

}  // namespace vtd::soc
