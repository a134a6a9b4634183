// SPDX-License-Identifier: MIT
#include "firmware/vtd/unit_driver.h"

namespace vtd::fw {
namespace {
constexpr std::uint64_t kAllOnes32 = bit_range(31, 0);
}

bool UnitDriver::discover(PhysAddr base) {
  registers_ = Registers(base);
  const std::uint64_t version = registers_.read(RegId::kVER);
  if (version == 0 || version == kAllOnes32) return false;
  cap_ = registers_.read(RegId::kCAP);
  ecap_ = registers_.read(RegId::kECAP);
  shadow_ = registers_.read(RegId::kGSTS) & gcmd::kPersistent;
  return true;
}

Status UnitDriver::set_persistent(const Field& command, const Field& status) {
  shadow_ |= command.mask();
  registers_.write(RegId::kGCMD, shadow_);
  return hal::poll([&] { return status.get(registers_.read(RegId::kGSTS)) == 1; });
}

Status UnitDriver::clear_persistent(const Field& command, const Field& status) {
  shadow_ &= ~command.mask();
  registers_.write(RegId::kGCMD, shadow_);
  return hal::poll([&] { return status.get(registers_.read(RegId::kGSTS)) == 0; });
}

Status UnitDriver::once(const Field& command, const Field& status, std::uint64_t done) {
  registers_.write(RegId::kGCMD, shadow_ | command.mask());
  return hal::poll([&] { return status.get(registers_.read(RegId::kGSTS)) == done; });
}

Status UnitDriver::enable_queue(PhysAddr ring, PhysAddr status) {
  if (ecap::kQI.get(ecap_) == 0) return Status::kOk;
  queue_ = InvalidationQueue(registers_, ring, status);
  queue_.program();
  return set_persistent(gcmd::kQIE, gsts::kQIES);
}

Status UnitDriver::disable_queue() {
  const Status drained =
      hal::poll([&] { return iq::kQH.get(registers_.read(RegId::kIQH)) == iq::kQT.get(registers_.read(RegId::kIQT)); });
  if (!ok(drained)) return Status::kBusy;
  return clear_persistent(gcmd::kQIE, gsts::kQIES);
}

Status UnitDriver::set_root(PhysAddr root) {
  constexpr auto kMode = static_cast<std::uint64_t>(TableMode::kLegacy);
  registers_.write(RegId::kRTADDR, rtaddr::kRTA.in_place(root) | rtaddr::kTTM.of(kMode));
  if (const Status s = once(gcmd::kSRTP, gsts::kRTPS, 1); !ok(s)) return s;
  if (cap::kESRTPS.get(cap_) != 0) return Status::kOk;
  if (const Status s = invalidate(ContextInvalidation{}); !ok(s)) return s;
  return invalidate(IotlbInvalidation{});
}

Status UnitDriver::disable_protected_memory() {
  if (cap::kPLMR.get(cap_) == 0 && cap::kPHMR.get(cap_) == 0) return Status::kOk;
  registers_.write(RegId::kPMEN, 0);
  return hal::poll([&] { return pmen::kPRS.get(registers_.read(RegId::kPMEN)) == 0; });
}

Status UnitDriver::flush_write_buffer() {
  if (cap::kRWBF.get(cap_) == 0) return Status::kOk;
  return once(gcmd::kWBF, gsts::kWBFS, 0);
}

Status UnitDriver::invalidate(const ContextInvalidation& what) {
  return queue_enabled() ? queue_.execute(describe(what)) : invalidate_by_register(registers_, what);
}

Status UnitDriver::invalidate(const IotlbInvalidation& what) {
  return queue_enabled() ? queue_.execute(describe(what, cap_)) : invalidate_by_register(registers_, what, cap_, ecap_);
}

}  // namespace vtd::fw
