// SPDX-License-Identifier: MIT
// Names of walkers in the names of parametrised tests.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "tlm/unit/unit_config.h"

namespace vtd::test {

inline std::string name_of(const testing::TestParamInfo<WalkerKind>& kind) {
  if (kind.param == WalkerKind::kModel) return "Model";
  return kind.param == WalkerKind::kRtl ? "Rtl" : "Lockstep";
}

}  // namespace vtd::test
