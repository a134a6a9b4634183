// SPDX-License-Identifier: MIT
#include "tlm/core/fault_log.h"

namespace vtd {
namespace {

constexpr Field kCauses[] = {fsts::kPFO, fsts::kPPF, fsts::kIQE, fsts::kICE, fsts::kITE};

/// FRCD.T1 and T2: 1,0 read; 0,0 write; 1,1 atomic; 0,1 page request.
void set_type(frcd::Entry& entry, const DmaRequest& request) {
  const bool write = request.access == Access::kWrite;
  entry.set(frcd::kT1, request.page_request || write ? 0 : 1);
  entry.set(frcd::kT2, request.page_request || request.access == Access::kAtomic ? 1 : 0);
}

frcd::Entry make_record(const DmaRequest& request, FaultReason reason, std::uint64_t information) {
  frcd::Entry entry;
  entry.set_address(frcd::kFI, information);
  entry.set(frcd::kSID, request.source.value).set(frcd::kFR, static_cast<std::uint64_t>(reason));
  entry.set(frcd::kAT, static_cast<std::uint64_t>(request.type));
  if (request.pasid) {
    entry.set(frcd::kPP, 1).set(frcd::kPV, request.pasid->value);
    entry.set(frcd::kPRIV, request.privileged ? 1 : 0).set(frcd::kEXE, request.execute ? 1 : 0);
  }
  set_type(entry, request);
  return entry.set(frcd::kF, 1);
}

}  // namespace

FaultLog::FaultLog(UnitState& state)
    : state_(state),
      event_({RegId::kFECTL, RegId::kFEDATA, RegId::kFEADDR, RegId::kFEUADDR}, state.registers, state.host) {}

bool FaultLog::record(const DmaRequest& request, FaultReason reason, bool disabled,
                      std::optional<std::uint32_t> interrupt) {
  RegisterFile& registers = state_.registers;
  if (disabled && info(reason).qualified) return false;
  if (registers.field(RegId::kFSTS, fsts::kPFO) != 0) return false;
  if (state_.profile.collapse_faults && pending(request.source)) return false;
  if (registers.record(next_).get(frcd::kF) != 0) {
    set_cause(fsts::kPFO);
    return false;
  }
  const unsigned index = next_;
  next_ = (next_ + 1) % registers.record_count();
  constexpr Field kInterruptIndex{"INDEX", 63, 48};
  const std::uint64_t information = interrupt ? kInterruptIndex.of(*interrupt)
                                              : request.address & bit_range(state_.profile.guest_address_width - 1, 0);
  const frcd::Entry entry = make_record(request, reason, information);
  registers.set_record(index, entry);
  state_.observer.on_fault_record(index, entry);
  if (registers.field(RegId::kFSTS, fsts::kPPF) == 0) {
    registers.set_field(RegId::kFSTS, fsts::kFRI, index);
    set_cause(fsts::kPPF);
  }
  return true;
}

bool FaultLog::pending(SourceId source) const {
  for (unsigned i = 0; i < state_.registers.record_count(); ++i) {
    const frcd::Entry& entry = state_.registers.record(i);
    if (entry.get(frcd::kF) != 0 && entry.get(frcd::kSID) == source.value) return true;
  }
  return false;
}

void FaultLog::raise_queue_error(QueueError error) {
  state_.registers.set_field(RegId::kIQERCD, iq::kIQEI, static_cast<std::uint64_t>(error));
  set_cause(fsts::kIQE);
}

void FaultLog::raise_device_error(DeviceAnswer answer, SourceId source) {
  const bool timeout = answer == DeviceAnswer::kTimeout;
  state_.registers.set_field(RegId::kIQERCD, timeout ? iq::kITESID : iq::kICESID, source.value);
  set_cause(timeout ? fsts::kITE : fsts::kICE);
}

void FaultLog::record_written() {
  RegisterFile& registers = state_.registers;
  for (unsigned i = 0; i < registers.record_count(); ++i)
    if (registers.record(i).get(frcd::kF) != 0) return;
  registers.set_field(RegId::kFSTS, fsts::kPPF, 0);
  withdraw_if_clear();
}

void FaultLog::reset(ResetKind kind) {
  if (kind == ResetKind::kCold) next_ = 0;
}

void FaultLog::set_cause(const Field& cause) {
  const bool first = !any_cause();
  state_.registers.set_field(RegId::kFSTS, cause, 1);
  if (first) event_.raise();
}

void FaultLog::withdraw_if_clear() {
  if (!any_cause()) event_.withdraw();
}

bool FaultLog::any_cause() const {
  const std::uint64_t status = state_.registers.value(RegId::kFSTS);
  for (const Field& cause : kCauses)
    if (cause.get(status) != 0) return true;
  return false;
}

}  // namespace vtd
