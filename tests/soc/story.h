// SPDX-License-Identifier: MIT
// Runs a test's story in an SC_THREAD.
#pragma once

#include <gtest/gtest.h>
#include <tlm_utils/simple_initiator_socket.h>

#include <functional>
#include <systemc>
#include <tlm>

#include "tlm/unit/simulation.h"

namespace vtd::soc::test {

inline sc_core::sc_time ns(double value) {
  return {value, sc_core::SC_NS};
}
inline sc_core::sc_time us(double value) {
  return {value, sc_core::SC_US};
}
inline sc_core::sc_time ms(double value) {
  return {value, sc_core::SC_MS};
}

/// An initiator of its own, for registers and memory.
class Master : public sc_core::sc_module {
 public:
  tlm_utils::simple_initiator_socket<Master> socket{"socket"};
  explicit Master(sc_core::sc_module_name name) : sc_module(name) {}

  tlm::tlm_response_status access(tlm::tlm_command command, std::uint64_t address, void* data, unsigned bytes) {
    tlm::tlm_generic_payload trans;
    trans.set_command(command);
    trans.set_address(address);
    trans.set_data_ptr(static_cast<unsigned char*>(data));
    trans.set_data_length(bytes);
    trans.set_streaming_width(bytes);
    sc_core::sc_time delay;
    socket->b_transport(trans, delay);
    wait(delay);
    return trans.get_response_status();
  }
  std::uint64_t read(std::uint64_t address, unsigned bytes) {
    std::uint64_t value = 0;
    EXPECT_EQ(access(tlm::TLM_READ_COMMAND, address, &value, bytes), tlm::TLM_OK_RESPONSE);
    return value;
  }
  void write(std::uint64_t address, std::uint64_t value, unsigned bytes) {
    EXPECT_EQ(access(tlm::TLM_WRITE_COMMAND, address, &value, bytes), tlm::TLM_OK_RESPONSE);
  }
};

/// Runs `story` to its end, or for `limit`.
inline void run_story(std::function<void()> story,
                      const sc_core::sc_time& limit = sc_core::sc_time(1, sc_core::SC_SEC)) {
  bool finished = false;
  sc_core::sc_spawn(
      [story, &finished] {
        story();
        finished = true;
        sc_core::sc_stop();
      },
      "story");
  vtd::run(limit);
  EXPECT_TRUE(finished) << "the story did not end in " << limit.to_string();
}

}  // namespace vtd::soc::test
