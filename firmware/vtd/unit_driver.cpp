// SPDX-License-Identifier: MIT
#include "firmware/vtd/unit_driver.h"

#include "firmware/hal/policy.h"

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

Status UnitDriver::enable_queue(PhysAddr ring, PhysAddr status, DescriptorWidth width) {
  if (ecap::kQI.get(ecap_) == 0) return Status::kOk;
  queue_ = InvalidationQueue(registers_, ring, status, width);
  queue_.program();
  return set_persistent(gcmd::kQIE, gsts::kQIES);
}

Status UnitDriver::drain_queue() {
  constexpr std::uint64_t kErrors = fsts::kIQE.mask() | fsts::kICE.mask() | fsts::kITE.mask();
  bool stopped = false;
  const Status s = hal::poll([&] {
    if (iq::kQH.get(registers_.read(RegId::kIQH)) == iq::kQT.get(registers_.read(RegId::kIQT))) return true;
    stopped = (registers_.read(RegId::kFSTS) & kErrors) != 0;
    return stopped;
  });
  return stopped ? Status::kFault : s;
}

Status UnitDriver::disable_queue() {
  if (!deviates(Deviation::kSkipQueueWait) && !ok(drain_queue())) return Status::kBusy;
  return clear_persistent(gcmd::kQIE, gsts::kQIES);
}

void UnitDriver::clear_queue_errors() {
  constexpr std::uint64_t kErrors = fsts::kIQE.mask() | fsts::kICE.mask() | fsts::kITE.mask();
  if ((registers_.read(RegId::kFSTS) & kErrors) != 0) registers_.write(RegId::kFSTS, kErrors);
}

void UnitDriver::enable_page_requests(PhysAddr ring) {
  if (ecap::kPRS.get(ecap_) == 0) return;
  page_requests_ = ring;
  registers_.write(RegId::kPQH, 0);
  registers_.write(RegId::kPQT, 0);
  registers_.write(RegId::kPQA, prq::kPQA.in_place(ring));
  registers_.write(RegId::kPRS, prq::kPRO.mask() | prq::kPPR.mask());
}

std::optional<page_request::Entry> UnitDriver::next_page_request() {
  if (page_requests_ == 0) return std::nullopt;
  const std::uint64_t head = registers_.read(RegId::kPQH);
  if (prq::kPQH.get(head) == prq::kPQT.get(registers_.read(RegId::kPQT))) return std::nullopt;
  page_request::Entry request;
  const std::uint64_t at = prq::kPQH.in_place(head);
  for (std::size_t i = 0; i < request.words.size(); ++i) request.words[i] = hal::read64(page_requests_ + at + i * 8);
  registers_.write(RegId::kPQH, (at + page_request::kBytes) % kPageSize);
  registers_.write(RegId::kPRS, prq::kPPR.mask());
  return request;
}

Status UnitDriver::set_root(PhysAddr root, TableMode mode, Follow follow) {
  mode_ = mode;
  registers_.write(RegId::kRTADDR, rtaddr::kRTA.in_place(root) | rtaddr::kTTM.of(static_cast<std::uint64_t>(mode)));
  if (const Status s = once(gcmd::kSRTP, gsts::kRTPS, 1); !ok(s)) return s;
  if (cap::kESRTPS.get(cap_) != 0 || follow == Follow::kSkip) return Status::kOk;
  return invalidate_everything();
}

Status UnitDriver::invalidate_everything() {
  if (const Status s = invalidate(ContextInvalidation{}); !ok(s)) return s;
  if (mode_ == TableMode::kScalable)
    if (const Status s = invalidate(PasidInvalidation{}); !ok(s)) return s;
  return invalidate(IotlbInvalidation{});
}

Status UnitDriver::protect_memory(PhysAddr base, std::uint64_t size) {
  if (cap::kPLMR.get(cap_) == 0) return Status::kNotSupported;
  registers_.write(RegId::kPLMBASE, base);
  registers_.write(RegId::kPLMLIMIT, base + size - 1);
  registers_.write(RegId::kPMEN, pmen::kEPM.mask());
  return hal::poll([&] { return pmen::kPRS.get(registers_.read(RegId::kPMEN)) == 1; });
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

Status UnitDriver::execute(const Record128& descriptor) {
  return queue_enabled() ? queue_.execute(descriptor) : Status::kNotSupported;
}

Status UnitDriver::invalidate(const PasidInvalidation& what) {
  return execute(describe(what));
}

Status UnitDriver::invalidate(const PasidIotlbInvalidation& what) {
  return execute(describe(what));
}

Status UnitDriver::invalidate(const DeviceTlbInvalidation& what) {
  return execute(describe(what));
}

Status UnitDriver::respond(const PageResponse& response) {
  return execute(describe(response));
}

void UnitDriver::glitch() {
  registers_.write(RegId::kGCMD, shadow_ & ~gcmd::kTE.mask());
  registers_.write(RegId::kGCMD, shadow_);
}

Status UnitDriver::invalidate(const IotlbInvalidation& what) {
  return queue_enabled() ? queue_.execute(describe(what, cap_)) : invalidate_by_register(registers_, what, cap_, ecap_);
}

}  // namespace vtd::fw
