// SPDX-License-Identifier: MIT
// The platform's memory: flat, with DMI, and with the troubles that stories inject.
#pragma once

#include <cstdint>
#include <systemc>
#include <tlm>
#include <vector>

#include <tlm_utils/simple_target_socket.h>

namespace vtd::soc {

class Dram : public sc_core::sc_module {
 public:
  tlm_utils::simple_target_socket<Dram> socket{"socket"};

  /// `bytes` of zeroed memory at address 0; `latency` of every access.
  Dram(sc_core::sc_module_name name, std::uint64_t bytes, const sc_core::sc_time& latency);

  [[nodiscard]] std::uint64_t size() const { return data_.size(); }
  [[nodiscard]] std::uint8_t* data() { return data_.data(); }
  /// Direct view, without time: for loaders, injection and checks. Throws std::out_of_range.
  [[nodiscard]] std::uint64_t peek(std::uint64_t address) const;
  void poke(std::uint64_t address, std::uint64_t value);

  /// Accesses wait until release().
  void stall();
  void release();
  /// Every access takes `extra` more; SC_ZERO_TIME ends it.
  void slow(const sc_core::sc_time& extra);
  /// Accesses that touch [first, last] answer a bus error; first > last ends it.
  void fail_range(std::uint64_t first, std::uint64_t last);

 private:
  void transport(tlm::tlm_generic_payload& trans, sc_core::sc_time& delay);
  unsigned debug(tlm::tlm_generic_payload& trans);
  bool direct(tlm::tlm_generic_payload& trans, tlm::tlm_dmi& dmi);
  [[nodiscard]] bool inside(std::uint64_t address, std::uint64_t bytes) const;
  [[nodiscard]] bool failing(std::uint64_t address, std::uint64_t bytes) const;
  /// DMI would bypass trouble, so there is none while there is trouble.
  [[nodiscard]] bool troubled() const;
  void revoke();

  std::vector<std::uint8_t> data_;
  sc_core::sc_time latency_;
  sc_core::sc_time extra_;
  bool stalled_ = false;
  sc_core::sc_event released_;
  std::uint64_t fail_first_ = 1;
  std::uint64_t fail_last_ = 0;
};

}  // namespace vtd::soc
