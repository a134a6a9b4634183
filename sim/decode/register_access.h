// SPDX-License-Identifier: MIT
// An access of a unit's registers in words.
#pragma once

#include <cstdint>
#include <string>

#include "tlm/spec/capability.h"

namespace vtd::sim {

struct RegisterAccess {
  bool write = false;
  std::uint64_t offset = 0;  ///< in the unit's registers
  std::uint64_t value = 0;
  unsigned bytes = 4;  ///< 4 or 8
};

/// "W GCMD      84000000  TE=1 QIE=1". `profile` says where fault and invalidation registers are.
[[nodiscard]] std::string in_words(const RegisterAccess& access, const Profile& profile);

}  // namespace vtd::sim
