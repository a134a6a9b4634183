// SPDX-License-Identifier: MIT
#include "tlm/unit/host_adapter.h"

#include <cstring>

#include "tlm/unit/simulation.h"

namespace vtd {

void LocalTime::synchronise() {
  if (delay_ == sc_core::SC_ZERO_TIME) return;
  const sc_core::sc_time ahead = delay_;
  delay_ = sc_core::SC_ZERO_TIME;
  sc_core::wait(ahead);
}

void LocalTime::align(std::uint64_t period_ps) {
  synchronise();
  const std::uint64_t past = now_ps() % period_ps;
  if (past != 0) sc_core::wait(from_ps(period_ps - past));
}

class HostAdapter::Keep {
 public:
  explicit Keep(HostAdapter& host) : host_(host), mine_(host.current_) {}
  ~Keep() { host_.current_ = mine_; }
  Keep(const Keep&) = delete;
  Keep& operator=(const Keep&) = delete;

 private:
  HostAdapter& host_;
  LocalTime* mine_;
};

HostAdapter::HostAdapter(const Timing& timing, MemoryPort& memory, WalkService& walks, Revoke revoke)
    : timing_(timing), memory_(memory), walks_(walks), revoke_(std::move(revoke)) {}

sc_core::sc_time HostAdapter::cycles(unsigned n) const {
  return from_ps(timing_.period_ps * n);
}

unsigned HostAdapter::latency(Step step) const {
  switch (step) {
    case Step::kContextCacheLookup:
      return timing_.context_lookup;
    case Step::kPasidCacheLookup:
      return timing_.pasid_lookup;
    case Step::kInterruptLookup:
      return timing_.interrupt_lookup;
    case Step::kIotlbLookup:
      return timing_.iotlb_lookup;
    case Step::kCommand:
      return timing_.command;
    case Step::kInvalidate:
      return timing_.invalidate;
    case Step::kDescriptor:
      return timing_.descriptor;
    case Step::kCount:
      break;
  }
  return 0;
}

void HostAdapter::spend(Step step) {
  const Keep keep(*this);
  current_->spend(cycles(latency(step)) + extra_[static_cast<std::size_t>(step)]);
}

bool HostAdapter::read(PhysAddr address, std::span<std::uint64_t> out) {
  return read(address, out, MemoryKind::kTable);
}

bool HostAdapter::read_descriptor(PhysAddr address, std::span<std::uint64_t> out) {
  return read(address, out, MemoryKind::kDescriptor);
}

bool HostAdapter::read(PhysAddr address, std::span<std::uint64_t> out, MemoryKind kind) {
  const Keep keep(*this);
  const SourceId source = current_->source();
  current_->synchronise();
  // Entries are little-endian words, as this machine's.
  const std::span data(reinterpret_cast<unsigned char*>(out.data()), out.size_bytes());
  return memory_.access_and_wait({.address = address, .data = data, .kind = kind, .source = source}) ==
         tlm::TLM_OK_RESPONSE;
}

bool HostAdapter::write32(PhysAddr address, std::uint32_t data) {
  const Keep keep(*this);
  current_->synchronise();
  const std::span bytes(reinterpret_cast<unsigned char*>(&data), sizeof data);
  return memory_.access_and_wait(
             {.command = tlm::TLM_WRITE_COMMAND, .address = address, .data = bytes, .kind = MemoryKind::kStatus}) ==
         tlm::TLM_OK_RESPONSE;
}

bool HostAdapter::write(PhysAddr address, std::span<const std::uint64_t> words) {
  const Keep keep(*this);
  current_->synchronise();
  std::vector<std::uint64_t> copy(words.begin(), words.end());
  const std::span bytes(reinterpret_cast<unsigned char*>(copy.data()), words.size_bytes());
  return memory_.access_and_wait({.command = tlm::TLM_WRITE_COMMAND,
                                  .address = address,
                                  .data = bytes,
                                  .kind = MemoryKind::kPageRequest,
                                  .source = current_->source()}) == tlm::TLM_OK_RESPONSE;
}

std::optional<std::uint64_t> HostAdapter::compare_exchange(PhysAddr address, std::uint64_t expected,
                                                           std::uint64_t desired) {
  const Keep keep(*this);
  const SourceId source = current_->source();
  current_->synchronise();
  return memory_.update_entry(address, expected, desired, source, 0);
}

void HostAdapter::invalidate_device(const DeviceTlbInvalidation& invalidation) {
  deadlines_.push_back({invalidation.tag, sc_core::sc_time_stamp() + cycles(timing_.device_timeout)});
  deadline_added_.notify(sc_core::SC_ZERO_TIME);
  if (const auto device = devices_.find(invalidation.source); device != devices_.end())
    device->second->invalidate(invalidation);
}

void HostAdapter::respond(const PageResponse& response) {
  if (const auto device = devices_.find(response.source); device != devices_.end()) device->second->respond(response);
}

void HostAdapter::watch_devices() {
  for (;;) {
    while (deadlines_.empty()) sc_core::wait(deadline_added_);
    const Deadline next = deadlines_.front();
    deadlines_.pop_front();
    if (next.at > sc_core::sc_time_stamp()) sc_core::wait(next.at - sc_core::sc_time_stamp());
    timeout_(next.tag);
  }
}

WalkResponse HostAdapter::walk(WalkRequest request) {
  const Keep keep(*this);
  const SourceId source = current_->source();
  current_->synchronise();
  return walks_.walk(request, source);
}

void HostAdapter::invalidate_walks(const WalkInvalidation& invalidation) {
  const Keep keep(*this);
  current_->synchronise();
  walks_.invalidate(invalidation);
}

void HostAdapter::wait_progress() {
  const Keep keep(*this);
  current_->synchronise();
  struct Counted {
    unsigned& count;
    explicit Counted(unsigned& c) : count(c) { ++count; }
    ~Counted() { --count; }
  } const counted(waiting_);
  sc_core::wait(progress_);
}

void HostAdapter::notify_progress() {
  if (waiting_ > 0) progress_.notify(sc_core::SC_ZERO_TIME);
}

void HostAdapter::message(PhysAddr address, std::uint32_t data) {
  messages_.push_back({address, data});
  message_queued_.notify(sc_core::SC_ZERO_TIME);
}

void HostAdapter::send_messages() {
  for (;;) {
    while (messages_.empty()) sc_core::wait(message_queued_);
    Message message = messages_.front();
    messages_.pop_front();
    const std::span bytes(reinterpret_cast<unsigned char*>(&message.data), sizeof message.data);
    memory_.access_and_wait(
        {.command = tlm::TLM_WRITE_COMMAND, .address = message.address, .data = bytes, .kind = MemoryKind::kMessage});
    ++messages_sent_;
  }
}

}  // namespace vtd
