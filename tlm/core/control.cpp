// SPDX-License-Identifier: MIT
#include "tlm/core/control.h"

namespace vtd {

void Control::command_written(const RegisterWrite& write) {
  if (unfinished_ != 0) state_.misuse.add(Misuse::kCommandWhilePending);
  const auto changed = [&](const Field& bit) { return bit.get(write.value) != bit.get(commanded_); };
  const auto target = [&](const Field& bit) { return bit.get(write.value) != 0 ? Switch::kOn : Switch::kOff; };
  unsigned started = 0;
  const auto start = [&](std::function<void()> work) {
    ++started;
    ++unfinished_;
    state_.command([this, work = std::move(work)] {
      const std::uint64_t born = state_.generation;
      work();
      if (state_.generation == born) --unfinished_;
    });
  };

  if (write.sets(gcmd::kSRTP)) {
    show(gsts::kRTPS, 0);
    start([this, rtaddr = state_.registers.value(RegId::kRTADDR)] { set_root_table(rtaddr); });
  }
  const bool interrupts = state_.profile.interrupt_remapping;
  if (write.sets(gcmd::kSIRTP) && interrupts) {
    show(gsts::kIRTPS, 0);
    start([this, irta = state_.registers.value(RegId::kIRTA)] { set_interrupt_table(irta); });
  }
  if (write.sets(gcmd::kWBF) && state_.profile.write_buffer_flush) {
    show(gsts::kWBFS, 1);
    start([this] { flush_write_buffer(); });
  }
  if (changed(gcmd::kQIE) && state_.profile.queued_invalidation)
    start([this, to = target(gcmd::kQIE)] { set_queue(to); });
  if (changed(gcmd::kCFI) && interrupts) start([this, to = target(gcmd::kCFI)] { set_compatibility_format(to); });
  if (changed(gcmd::kIRE) && interrupts) start([this, to = target(gcmd::kIRE)] { set_interrupt_remapping(to); });
  if (changed(gcmd::kTE)) start([this, to = target(gcmd::kTE)] { set_translation(to); });

  commanded_ = write.value & gcmd::kPersistent;
  if (started > 1) state_.misuse.add(Misuse::kSeveralCommands);
}

void Control::run() {
  if (running_) return;  // a second call while the first is suspended: the first sees all work
  running_ = true;
  while (!state_.commands.empty()) {
    const auto work = std::move(state_.commands.front());
    state_.commands.pop_front();
    work();
  }
  running_ = false;
}

void Control::reset() {
  commanded_ = 0;
  unfinished_ = 0;
  state_.commands.clear();
}

void Control::set_translation(Switch to) {
  state_.remapping = to == Switch::kOn;
  state_.host.revoke_dmi();
  const std::uint64_t later = state_.in_flight.next_serial();
  if (!state_.wait_until([&] { return state_.in_flight.drained_before(later); })) return;
  if (!state_.spend(Step::kCommand)) return;
  show(gsts::kTES, to == Switch::kOn ? 1 : 0);
}

void Control::set_root_table(std::uint64_t rtaddr) {
  if (!state_.spend(Step::kCommand)) return;
  state_.root = {rtaddr::kRTA.in_place(rtaddr), static_cast<TableMode>(rtaddr::kTTM.get(rtaddr))};
  state_.host.revoke_dmi();
  if (state_.profile.hitless_root && !invalidate_everything()) return;
  show(gsts::kRTPS, 1);
}

void Control::set_interrupt_table(std::uint64_t irta) {
  if (!state_.spend(Step::kCommand)) return;
  state_.interrupt_root = state_.profile.extended_interrupts ? irta : irta::kEIME.with(irta, 0);
  Invalidation interrupts;
  interrupts.kind = Invalidation::Kind::kInterrupt;
  if (state_.profile.hitless_interrupt_root && !invalidator_.perform(interrupts)) return;
  show(gsts::kIRTPS, 1);
}

void Control::set_interrupt_remapping(Switch to) {
  state_.interrupt_remapping = to == Switch::kOn;
  const std::uint64_t later = state_.in_flight.next_serial();
  if (!state_.wait_until([&] { return state_.in_flight.drained_before(later); })) return;
  if (!state_.spend(Step::kCommand)) return;
  show(gsts::kIRES, to == Switch::kOn ? 1 : 0);
}

void Control::set_compatibility_format(Switch to) {
  if (!state_.spend(Step::kCommand)) return;
  state_.compatibility_format = to == Switch::kOn;
  show(gsts::kCFIS, to == Switch::kOn ? 1 : 0);
}

void Control::set_queue(Switch to) {
  if (to == Switch::kOff && !queue_.disable()) return;
  if (!state_.spend(Step::kCommand)) return;
  if (to == Switch::kOn) queue_.enable();
  show(gsts::kQIES, to == Switch::kOn ? 1 : 0);
  if (to == Switch::kOn) queue_.start();
}

void Control::flush_write_buffer() {
  if (!state_.spend(Step::kCommand)) return;
  show(gsts::kWBFS, 0);
}

bool Control::invalidate_everything() {
  Invalidation context;
  context.kind = Invalidation::Kind::kContext;
  Invalidation iotlb;
  iotlb.kind = Invalidation::Kind::kIotlb;
  Invalidation pasid;
  pasid.kind = Invalidation::Kind::kPasidCache;
  return invalidator_.perform(context) && invalidator_.perform(pasid) && invalidator_.perform(iotlb);
}

}  // namespace vtd
