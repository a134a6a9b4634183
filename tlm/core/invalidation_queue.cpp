// SPDX-License-Identifier: MIT
#include "tlm/core/invalidation_queue.h"

namespace vtd {
namespace {

constexpr std::uint64_t kIqaDefined = iq::kIQA.mask() | iq::kDW.mask() | iq::kQS.mask();

bool has_other_bits(const RegisterWrite& write, std::uint64_t defined) {
  return (write.value & ~defined) != 0;
}

}  // namespace

InvalidationQueue::InvalidationQueue(UnitState& state, FaultLog& faults, Invalidator& invalidator)
    : state_(state),
      faults_(faults),
      invalidator_(invalidator),
      event_({RegId::kIECTL, RegId::kIEDATA, RegId::kIEADDR, RegId::kIEUADDR}, state.registers, state.host) {}

void InvalidationQueue::enable() {
  base_ = state_.registers.value(RegId::kIQA);
  state_.registers.set_field(RegId::kIQH, iq::kQH, 0);
  enabled_ = true;
}

void InvalidationQueue::start() {
  state_.host.wake(Engine::kQueue);
}

bool InvalidationQueue::disable() {
  if (state_.registers.value(RegId::kIQH) != state_.registers.value(RegId::kIQT))
    state_.misuse.add(Misuse::kQueueDisabledWhileBusy);
  enabled_ = false;
  return state_.wait_until([this] { return !busy_; });
}

void InvalidationQueue::tail_written(const RegisterWrite& write) {
  // The low half holds all defined bits; a write of the high half alone leaves what the low half said.
  const bool low_half = iq::kQT.in_place(write.written) != 0;
  tail_reserved_ = has_other_bits(write, iq::kQT.mask()) || (tail_reserved_ && !low_half);
  if (enabled_) start();
}

void InvalidationQueue::base_written(const RegisterWrite& write) {
  const bool low_half = iq::kQS.in_place(write.written) != 0;
  base_reserved_ = has_other_bits(write, kIqaDefined) || (base_reserved_ && !low_half);
}

void InvalidationQueue::status_written() {
  if (enabled_ && !stopped()) start();
}

void InvalidationQueue::completion_status_written() {
  if (state_.registers.field(RegId::kICS, iq::kIWC) == 0) event_.withdraw();
}

void InvalidationQueue::run() {
  if (running_) return;  // a second call while the first is suspended: the first sees all work
  running_ = true;
  while (ready()) process_next();
  running_ = false;
}

void InvalidationQueue::reset() {
  enabled_ = false;
  busy_ = false;
  pending_.clear();
  base_ = 0;
  base_reserved_ = false;
  tail_reserved_ = false;
}

bool InvalidationQueue::ready() const {
  const bool work = state_.registers.value(RegId::kIQH) != state_.registers.value(RegId::kIQT);
  return enabled_ && !stopped() && (work || pointer_error() != QueueError::kNone);
}

bool InvalidationQueue::stopped() const {
  const std::uint64_t status = state_.registers.value(RegId::kFSTS);
  return fsts::kIQE.get(status) != 0 || fsts::kITE.get(status) != 0;
}

QueueError InvalidationQueue::pointer_error() const {
  const std::uint64_t tail = iq::kQT.in_place(state_.registers.value(RegId::kIQT));
  if (base_reserved_ || tail_reserved_ || tail >= iq::ring_bytes(base_)) return QueueError::kInvalidTail;
  return is_aligned(tail, bytes_of(width())) ? QueueError::kNone : QueueError::kMisalignedTail;
}

DescriptorWidth InvalidationQueue::width() const {
  return iq::kDW.get(base_) == 0 ? DescriptorWidth::k128 : DescriptorWidth::k256;
}

void InvalidationQueue::process_next() {
  const QueueError bad_pointer = pointer_error();
  if (bad_pointer != QueueError::kNone) return faults_.raise_queue_error(bad_pointer);

  const std::uint64_t born = state_.generation;
  busy_ = true;
  descriptor::Entry raw;
  const bool fetched = fetch(raw);
  if (state_.generation != born || !state_.spend(Step::kDescriptor)) return;
  const DecodedDescriptor decoded =
      fetched ? decode(raw, width(), state_.root.mode, state_.profile) : DecodedDescriptor{QueueError::kFetch};
  if (const auto* error = std::get_if<QueueError>(&decoded)) {
    faults_.raise_queue_error(*error);
  } else {
    if (!perform(decoded)) return;  // the reset has cleared busy_
    advance_head();
  }
  busy_ = false;
  state_.host.notify_progress();
}

bool InvalidationQueue::fetch(descriptor::Entry& out) {
  const PhysAddr address = iq::kIQA.in_place(base_) + iq::kQH.in_place(state_.registers.value(RegId::kIQH));
  const std::size_t words = bytes_of(width()) / sizeof(std::uint64_t);
  return state_.host.read_descriptor(address, std::span(out.words).first(words));
}

bool InvalidationQueue::perform(const DecodedDescriptor& decoded) {
  if (const auto* invalidation = std::get_if<Invalidation>(&decoded)) return invalidator_.perform(*invalidation);
  if (const auto* device = std::get_if<DeviceTlbInvalidation>(&decoded)) return send_to_device(*device);
  if (const auto* response = std::get_if<PageResponse>(&decoded)) {
    state_.host.respond(*response);
    state_.observer.on_page_response(*response);
    return true;
  }
  return complete_wait(std::get<WaitCommand>(decoded));
}

bool InvalidationQueue::send_to_device(DeviceTlbInvalidation invalidation) {
  const auto room = [&] { return pending_at(invalidation.source) < invalidation.max_pending; };
  if (!state_.wait_until(room)) return false;
  invalidation.tag = next_tag_++;
  pending_[invalidation.tag] = invalidation.source;
  state_.observer.on_device_invalidation(invalidation);
  state_.host.invalidate_device(invalidation);
  return true;
}

std::size_t InvalidationQueue::pending_at(SourceId source) const {
  std::size_t count = 0;
  for (const auto& [tag, target] : pending_) count += target == source ? 1 : 0;
  return count;
}

void InvalidationQueue::device_answered(DeviceTag tag, DeviceAnswer answer) {
  const auto found = pending_.find(tag);
  if (found == pending_.end()) return;
  const SourceId source = found->second;
  pending_.erase(found);
  if (answer != DeviceAnswer::kDone) faults_.raise_device_error(answer, source);
  state_.host.notify_progress();
}

bool InvalidationQueue::complete_wait(const WaitCommand& wait) {
  const std::uint64_t born = state_.generation;
  const auto timed_out = [this] { return state_.registers.field(RegId::kFSTS, fsts::kITE) != 0; };
  if (!state_.wait_until([&] { return pending_.empty() || timed_out(); })) return false;
  if (timed_out()) return true;  // aborted: neither status nor event, software submits again
  if (wait.page_drain) {
    const std::uint64_t later = state_.in_flight.next_serial();
    if (!state_.wait_until([&] { return state_.in_flight.page_requests_done_before(later); })) return false;
  }
  if (wait.write_status && !state_.host.write32(wait.status_address, wait.status_data))
    state_.misuse.add(Misuse::kStatusWriteFailed);
  if (state_.generation != born) return false;
  state_.observer.on_wait_complete(wait.status_data);
  if (wait.interrupt && state_.registers.field(RegId::kICS, iq::kIWC) == 0) {
    state_.registers.set_field(RegId::kICS, iq::kIWC, 1);
    event_.raise();
  }
  return true;
}

void InvalidationQueue::advance_head() {
  const std::uint64_t head = iq::kQH.in_place(state_.registers.value(RegId::kIQH));
  const std::uint64_t next = (head + bytes_of(width())) % iq::ring_bytes(base_);
  state_.registers.set(RegId::kIQH, iq::kQH.in_place(next));
}

}  // namespace vtd
