// SPDX-License-Identifier: MIT
#include "tlm/core/register_invalidation.h"

#include <optional>

#include "tlm/spec/descriptor.h"

namespace vtd {
namespace {

std::optional<Invalidation> decode_context(std::uint64_t command, TableMode mode) {
  return context_invalidation({.granularity = ccmd::kCIRG.get(command),
                               .domain = ccmd::kDID.get(command),
                               .source = ccmd::kSID.get(command),
                               .function_mask = ccmd::kFM.get(command)},
                              mode);
}

std::optional<Invalidation> decode_iotlb(std::uint64_t command, std::uint64_t address, const Profile& profile) {
  return iotlb_invalidation({.granularity = iotlb_reg::kIIRG.get(command),
                             .domain = iotlb_reg::kDID.get(command),
                             .address = iva::kADDR.in_place(address),
                             .address_mask = iva::kAM.get(address),
                             .leaf_only = iva::kIH.get(address) != 0,
                             .drain_reads = iotlb_reg::kDR.get(command) != 0,
                             .drain_writes = iotlb_reg::kDW.get(command) != 0},
                            profile);
}

/// CAIG / IAIG: 1 global, 2 domain, 3 device or page; 0 nothing was invalidated.
std::uint64_t performed(const std::optional<Invalidation>& invalidation) {
  if (!invalidation) return 0;
  if (invalidation->scope == Invalidation::Scope::kGlobal) return 1;
  return invalidation->scope == Invalidation::Scope::kDomain ? 2 : 3;
}

}  // namespace

bool RegisterInvalidation::accept(bool& pending) {
  if (queue_.enabled()) {
    state_.misuse.add(Misuse::kRegisterInvalidationWithQueue);
    return false;
  }
  if (pending) {
    state_.misuse.add(Misuse::kRegisterInvalidationWhilePending);
    return false;
  }
  pending = true;
  return true;
}

void RegisterInvalidation::context_written(const RegisterWrite& write) {
  if (!write.sets(ccmd::kICC) || !accept(context_pending_)) return;
  state_.command([this, command = state_.registers.value(RegId::kCCMD)] { invalidate_context(command); });
}

void RegisterInvalidation::iotlb_written(const RegisterWrite& write) {
  if (!write.sets(iotlb_reg::kIVT) || !accept(iotlb_pending_)) return;
  state_.command([this, command = state_.registers.value(RegId::kIOTLB),
                  address = state_.registers.value(RegId::kIVA)] { invalidate_iotlb(command, address); });
}

void RegisterInvalidation::invalidate_context(std::uint64_t command) {
  const auto invalidation = decode_context(command, state_.root.mode);
  if (invalidation && !invalidator_.perform(*invalidation)) return;
  state_.registers.set_field(RegId::kCCMD, ccmd::kCAIG, performed(invalidation));
  state_.registers.set_field(RegId::kCCMD, ccmd::kICC, 0);
  context_pending_ = false;
}

void RegisterInvalidation::invalidate_iotlb(std::uint64_t command, std::uint64_t address) {
  const auto invalidation = decode_iotlb(command, address, state_.profile);
  if (invalidation && !invalidator_.perform(*invalidation)) return;
  state_.registers.set_field(RegId::kIOTLB, iotlb_reg::kIAIG, performed(invalidation));
  state_.registers.set_field(RegId::kIOTLB, iotlb_reg::kIVT, 0);
  iotlb_pending_ = false;
}

void RegisterInvalidation::reset() {
  context_pending_ = false;
  iotlb_pending_ = false;
}

}  // namespace vtd
