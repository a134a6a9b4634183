// SPDX-License-Identifier: MIT
#include "tlm/core/page_request_queue.h"

namespace vtd {

page_request::Entry page_request_descriptor(const PageRequest& request) {
  namespace d = page_request;
  d::Entry entry;
  entry.set(d::kTYPE, 1).set(d::kRID, request.source.value);
  if (request.pasid) {
    entry.set(d::kPASID_PRESENT, 1).set(d::kPASID, request.pasid->value);
    entry.set(d::kEXE, request.execute ? 1 : 0).set(d::kPRIV, request.privileged ? 1 : 0);
  }
  entry.set(d::kR, request.read ? 1 : 0).set(d::kW, request.write ? 1 : 0).set(d::kLPIG, request.last ? 1 : 0);
  return entry.set(d::kPRGI, request.group).set_address(d::kADDR, request.address);
}

PageRequestQueue::PageRequestQueue(UnitState& state)
    : state_(state),
      event_({RegId::kPECTL, RegId::kPEDATA, RegId::kPEADDR, RegId::kPEUADDR}, state.registers, state.host) {}

void PageRequestQueue::post(const PageRequest& request) {
  if (!state_.wait_until([this] { return !writing_; })) return;
  if (state_.registers.field(RegId::kPRS, prq::kPRO) != 0 || full()) return drop(request);
  RegisterFile& registers = state_.registers;
  const std::uint64_t base = registers.value(RegId::kPQA);
  const std::uint64_t tail = prq::kPQT.in_place(registers.value(RegId::kPQT));
  const page_request::Entry entry = page_request_descriptor(request);
  const std::uint64_t born = state_.generation;
  writing_ = true;
  const bool written = state_.host.write(prq::kPQA.in_place(base) + tail, entry.words);
  if (state_.generation != born) return;  // the reset has cleared writing_
  writing_ = false;
  state_.host.notify_progress();
  if (!written) return drop(request);
  registers.set(RegId::kPQT, prq::kPQT.in_place((tail + page_request::kBytes) % prq::ring_bytes(base)));
  ++state_.statistics.page_requests;
  state_.observer.on_page_request(request);
  set_cause(prq::kPPR);
}

void PageRequestQueue::answer(const PageRequest& request, PageResponseCode code) {
  if (!request.last) return;
  const PageResponse response{request.source, request.pasid, request.group, static_cast<std::uint8_t>(code)};
  state_.host.respond(response);
  state_.observer.on_page_response(response);
}

bool PageRequestQueue::full() const {
  const std::uint64_t size = prq::ring_bytes(state_.registers.value(RegId::kPQA));
  const std::uint64_t tail = prq::kPQT.in_place(state_.registers.value(RegId::kPQT)) % size;
  const std::uint64_t head = prq::kPQH.in_place(state_.registers.value(RegId::kPQH)) % size;
  return (tail + page_request::kBytes) % size == head;
}

void PageRequestQueue::drop(const PageRequest& request) {
  ++state_.statistics.page_requests_dropped;
  set_cause(prq::kPRO);
  answer(request, PageResponseCode::kSuccess);
}

void PageRequestQueue::set_cause(const Field& cause) {
  const bool first = state_.registers.value(RegId::kPRS) == 0;
  state_.registers.set_field(RegId::kPRS, cause, 1);
  if (first) event_.raise();
}

void PageRequestQueue::status_written() {
  if (state_.registers.value(RegId::kPRS) == 0) event_.withdraw();
}

void PageRequestQueue::reset() {
  writing_ = false;
}

}  // namespace vtd
