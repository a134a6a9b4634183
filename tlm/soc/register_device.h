// SPDX-License-Identifier: MIT
// A block of platform registers: one target socket, one read and one write function.
#pragma once

#include <cstdint>
#include <cstring>
#include <systemc>
#include <tlm>

#include <tlm_utils/simple_target_socket.h>

#include "tlm/spec/field.h"

namespace vtd::soc {

/// Accesses of 4 or 8 bytes, naturally aligned; anything else answers a TLM error. read() and write() may wait.
class RegisterDevice : public sc_core::sc_module {
 public:
  tlm_utils::simple_target_socket<RegisterDevice> socket{"socket"};

  explicit RegisterDevice(sc_core::sc_module_name name) : sc_module(name) {
    socket.register_b_transport(this, &RegisterDevice::transport);
  }

 protected:
  /// Byte offset within the block.
  virtual std::uint64_t read(std::uint64_t offset, unsigned bytes) = 0;
  virtual void write(std::uint64_t offset, std::uint64_t value, unsigned bytes) = 0;

 private:
  void transport(tlm::tlm_generic_payload& trans, sc_core::sc_time& delay) {
    const unsigned bytes = trans.get_data_length();
    if ((bytes != 4 && bytes != 8) || !is_aligned(trans.get_address(), bytes))
      return trans.set_response_status(tlm::TLM_ADDRESS_ERROR_RESPONSE);
    // Registers act at global time.
    if (delay != sc_core::SC_ZERO_TIME) wait(delay);
    delay = sc_core::SC_ZERO_TIME;
    std::uint64_t value = 0;
    if (trans.is_read()) {
      value = read(trans.get_address(), bytes);
      std::memcpy(trans.get_data_ptr(), &value, bytes);
    } else {
      std::memcpy(&value, trans.get_data_ptr(), bytes);
      write(trans.get_address(), value, bytes);
    }
    trans.set_response_status(tlm::TLM_OK_RESPONSE);
  }
};

}  // namespace vtd::soc
