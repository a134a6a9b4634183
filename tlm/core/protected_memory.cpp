// SPDX-License-Identifier: MIT
#include "tlm/core/protected_memory.h"

namespace vtd {
namespace {

constexpr std::uint64_t kGranularity = bit(20);

}  // namespace

void ProtectedMemory::enable_written() {
  enabled_ = state_.registers.field(RegId::kPMEN, pmen::kEPM) != 0;
  state_.command([this, to = enabled_] {
    state_.host.revoke_dmi();
    const std::uint64_t later = state_.in_flight.next_serial();
    if (!state_.wait_until([&] { return state_.in_flight.drained_before(later); })) return;
    if (state_.spend(Step::kCommand)) state_.registers.set_field(RegId::kPMEN, pmen::kPRS, to ? 1 : 0);
  });
}

bool ProtectedMemory::blocks(PhysAddr address, std::uint64_t length) const {
  if (!enabled_) return false;
  const PhysAddr last = address + (length == 0 ? 0 : length - 1);
  return (state_.profile.protected_low && meets(RegId::kPLMBASE, RegId::kPLMLIMIT, address, last)) ||
         (state_.profile.protected_high && meets(RegId::kPHMBASE, RegId::kPHMLIMIT, address, last));
}

bool ProtectedMemory::meets(RegId base, RegId limit, PhysAddr first, PhysAddr last) const {
  const PhysAddr low = state_.registers.value(base);
  const PhysAddr high = state_.registers.value(limit) + (kGranularity - 1);
  return low <= high && first <= high && last >= low;
}

}  // namespace vtd
