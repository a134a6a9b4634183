// SPDX-License-Identifier: MIT
// Test programs that elaborate SystemC: one case a process (ctest runs each by its filter).
#include <gtest/gtest.h>
#include <systemc>

// Under AddressSanitizer: SystemC's threads run on stacks of their own, which neither the fake stack nor the leak
// checker can walk. The name is the sanitizer's; without it nothing calls this.
extern "C" const char* __asan_default_options() {  // NOLINT
  return "detect_stack_use_after_return=0:detect_leaks=0";
}

int sc_main(int argc, char** argv) {
  sc_core::sc_report_handler::set_actions(sc_core::SC_ERROR, sc_core::SC_THROW);
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
