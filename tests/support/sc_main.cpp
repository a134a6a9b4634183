// SPDX-License-Identifier: MIT
// Test programs that elaborate SystemC: one case a process (ctest runs each by its filter).
#include <gtest/gtest.h>
#include <systemc>

int sc_main(int argc, char** argv) {
  sc_core::sc_report_handler::set_actions(sc_core::SC_ERROR, sc_core::SC_THROW);
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
