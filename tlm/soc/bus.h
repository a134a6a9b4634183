// SPDX-License-Identifier: MIT
// Routes transactions by address. Every mapped target sees addresses from 0.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <systemc>
#include <tlm>
#include <vector>

#include <tlm_utils/simple_initiator_socket.h>
#include <tlm_utils/simple_target_socket.h>

#include "tlm/unit/memory_tag.h"

namespace vtd::soc {

class Bus : public sc_core::sc_module {
 public:
  using Input = tlm_utils::simple_target_socket_tagged<Bus>;
  using Output = tlm_utils::simple_initiator_socket_tagged<Bus>;
  /// A unit's transaction that was delivered.
  using Watcher = std::function<void(const MemoryTag&, const tlm::tlm_generic_payload&)>;

  explicit Bus(sc_core::sc_module_name name) : sc_module(name) {}

  /// A socket for one more initiator.
  Input& new_input();
  /// Maps [base, base + size) to a target; ranges must not overlap.
  template <typename Target>
  void map(std::uint64_t base, std::uint64_t size, Target& target) {
    new_output(base, size).bind(target);
  }
  void watch(Watcher watcher) { watcher_ = std::move(watcher); }
  /// Transactions that hit no range; they answer TLM_ADDRESS_ERROR_RESPONSE.
  [[nodiscard]] std::uint64_t unmapped() const { return unmapped_; }

 private:
  /// A socket in a module of its own: sockets can be made only while a module is under construction.
  template <typename Socket>
  struct Port : sc_core::sc_module {
    Socket socket{"socket"};
    explicit Port(sc_core::sc_module_name name) : sc_module(name) {}
  };
  struct Range {
    std::uint64_t base = 0;
    std::uint64_t size = 0;
    std::unique_ptr<Port<Output>> port;
  };
  Output& new_output(std::uint64_t base, std::uint64_t size);
  [[nodiscard]] Range* find(std::uint64_t address, std::uint64_t bytes);
  void transport(int input, tlm::tlm_generic_payload& trans, sc_core::sc_time& delay);
  unsigned debug(int input, tlm::tlm_generic_payload& trans);
  bool direct(int input, tlm::tlm_generic_payload& trans, tlm::tlm_dmi& dmi);
  void revoked(int output, sc_dt::uint64 first, sc_dt::uint64 last);

  std::vector<std::unique_ptr<Port<Input>>> inputs_;
  std::vector<Range> ranges_;
  Watcher watcher_;
  std::uint64_t unmapped_ = 0;
};

}  // namespace vtd::soc
