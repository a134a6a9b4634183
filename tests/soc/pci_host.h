// SPDX-License-Identifier: MIT
// A machine around one PCI function: memory, a place for interrupt messages, and addresses that refuse.
#pragma once

#include <cstring>
#include <span>
#include <stdexcept>
#include <systemc>
#include <tlm>
#include <vector>

#include <tlm_utils/simple_target_socket.h>

#include "tlm/soc/pci_function.h"
#include "tlm/unit/simulation.h"

namespace vtd::test {

class PciHost : public sc_core::sc_module {
 public:
  static constexpr std::uint64_t kBytes = 0x40'0000;
  static constexpr std::uint64_t kMessages = 0xFEE0'0000;
  tlm_utils::simple_target_socket<PciHost> socket{"socket"};

  explicit PciHost(sc_core::sc_module_name name) : sc_module(name), memory_(kBytes) {
    socket.register_b_transport(this, &PciHost::transport);
  }

  std::vector<std::uint32_t> messages;
  std::uint64_t refused_first = 1, refused_last = 0;  ///< nothing
  std::uint64_t read_only_first = 1, read_only_last = 0;
  std::uint64_t slow_first = 1, slow_last = 0;  ///< takes a hundred times as long
  std::size_t largest = 0;                      ///< bytes of a request

  [[nodiscard]] std::uint64_t word(std::uint64_t address) const {
    std::uint64_t value = 0;
    std::memcpy(&value, &memory_.at(address), sizeof value);
    return value;
  }
  void set_word(std::uint64_t address, std::uint64_t value) { std::memcpy(&memory_.at(address), &value, sizeof value); }
  [[nodiscard]] std::span<std::uint8_t> at(std::uint64_t address, std::size_t bytes) {
    return std::span(memory_).subspan(address, bytes);
  }

  /// What firmware and driver do first: BAR, memory, bus master, MSI with data 0x41.
  static void enable(soc::PciFunction& function) {
    function.config_write(0x10, 0xFEB0'0000, 4);
    function.config_write(0x04, 6, 2);
    function.config_write(0x54, kMessages, 4);
    function.config_write(0x5C, 0x41, 2);
    function.config_write(0x52, 1, 2);
  }
  /// Until nothing is left to do; a function that never comes to rest is a bug of its own.
  static void settle() {
    vtd::run_to_rest(sc_core::sc_time(100, sc_core::SC_MS));
    if (sc_core::sc_pending_activity()) throw std::runtime_error("the function does not come to rest");
  }

 private:
  void transport(tlm::tlm_generic_payload& trans, sc_core::sc_time& delay) {
    const std::uint64_t address = trans.get_address();
    const bool slow = address >= slow_first && address <= slow_last;
    delay += sc_core::sc_time(slow ? 2000 : 20, sc_core::SC_NS);
    const std::size_t bytes = trans.get_data_length();
    largest = std::max(largest, bytes);
    trans.set_response_status(tlm::TLM_ADDRESS_ERROR_RESPONSE);
    if (address == kMessages && trans.is_write() && bytes == 4) {
      std::uint32_t data = 0;
      std::memcpy(&data, trans.get_data_ptr(), sizeof data);
      messages.push_back(data);
    } else if (address > kBytes || bytes > kBytes - address ||
               (address <= refused_last && address + bytes > refused_first) ||
               (trans.is_write() && address <= read_only_last && address + bytes > read_only_first)) {
      return;
    } else if (trans.is_write()) {
      std::memcpy(&memory_[address], trans.get_data_ptr(), bytes);
    } else {
      std::memcpy(trans.get_data_ptr(), &memory_[address], bytes);
    }
    trans.set_response_status(tlm::TLM_OK_RESPONSE);
  }

  std::vector<std::uint8_t> memory_;
};

}  // namespace vtd::test
