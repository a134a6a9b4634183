// SPDX-License-Identifier: MIT
#include "tlm/soc/dma_engine.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "tlm/spec/types.h"

namespace vtd::soc {
namespace {

namespace e = dma_engine;

constexpr std::uint64_t kWord = sizeof(std::uint64_t);
constexpr std::uint64_t kDescriptorBytes = sizeof(e::Descriptor);
constexpr Field kLow{"LOW", 31, 0};
constexpr Field kHigh{"HIGH", 63, 32};

const PciIdentity kIdentity{.vendor = e::kVendorId,
                            .device = e::kDeviceId,
                            .class_code = e::kClassCode,
                            .revision = 1,
                            .bar_size = e::kBarSize,
                            .msi = true};

bool reads_source(e::Operation operation) {
  return operation == e::Operation::kCopy || operation == e::Operation::kCheck;
}
bool writes_destination(e::Operation operation) {
  return operation != e::Operation::kNop && operation != e::Operation::kCheck;
}

std::uint64_t pattern_word(e::Operation operation, std::uint64_t pattern, std::uint64_t index) {
  return operation == e::Operation::kFill ? pattern : e::sequence(pattern, index);
}

}  // namespace

DmaEngine::DmaEngine(sc_core::sc_module_name name, unsigned outstanding) : PciEndpoint(name, kIdentity) {
  for (unsigned i = 0; i < outstanding; ++i)
    sc_core::sc_spawn([this] { work(); }, sc_core::sc_gen_unique_name("worker"));
  sc_core::sc_spawn([this] { live(); }, "live_dma");
}

// ---- registers ---------------------------------------------------------------------------------------------------

void DmaEngine::on_reset() {
  registers_ = {};
  ++life_;
  under_way_ = 0;
  live_passed_ = 0;
  live_due_ = false;
}

void DmaEngine::on_config() {
  changed_.notify(sc_core::SC_ZERO_TIME);
}

std::uint64_t DmaEngine::bar_read(std::uint64_t offset, unsigned bytes) {
  const std::uint64_t word = read_register(align_down(offset, kWord));
  std::uint64_t value = 0;
  const std::uint64_t skip = offset % kWord;
  if (skip + bytes <= kWord) std::memcpy(&value, reinterpret_cast<const char*>(&word) + skip, bytes);
  return value;
}

void DmaEngine::bar_write(std::uint64_t offset, std::uint64_t value, unsigned bytes) {
  const std::uint64_t base = align_down(offset, kWord);
  if (bytes == kWord && offset == base) return write_register(base, value);
  if (bytes != kWord / 2 || !is_aligned(offset, bytes)) return;
  // Half a register: the other half stays. Control and Status have nothing in their upper half, and commands and W1C
  // bits in the lower one.
  const bool acts = base == e::kStatus || base == e::kControl;
  if (acts && offset != base) return;
  write_register(base, (offset == base ? kLow : kHigh).with(acts ? 0 : read_register(base), value));
}

std::uint64_t DmaEngine::read_register(std::uint64_t offset) const {
  const Registers& r = registers_;
  switch (offset) {
    case e::kId:
      return e::kMagic;
    case e::kControl:
      return r.control;
    case e::kRingBase:
      return r.ring_base;
    case e::kRingSize:
      return r.ring_size;
    case e::kTail:
      return r.tail;
    case e::kHead:
      return r.head;
    case e::kStatus:
      return e::kBusy.of(under_way_ > 0 ? 1 : 0) | e::kRingFault.of(r.ring_fault ? 1 : 0);
    case e::kCompleted:
      return r.completed;
    case e::kFailed:
      return r.failed;
    case e::kLiveAddress:
      return r.live_address;
    case e::kLivePeriod:
      return r.live_period;
    case e::kLiveOk:
      return r.live_ok;
    case e::kLiveFailed:
      return r.live_failed;
    default:
      return 0;
  }
}

void DmaEngine::write_register(std::uint64_t offset, std::uint64_t value) {
  Registers& r = registers_;
  switch (offset) {
    case e::kControl:
      if (e::kReset.get(value) != 0) return on_reset();
      r.control = e::kRun.in_place(value) | e::kInterruptEnable.in_place(value);
      break;
    case e::kRingBase:
      r.ring_base = align_down(value, kDescriptorBytes);
      break;
    case e::kRingSize:
      r.ring_size = std::min(value, e::kRingSizeMax);
      break;
    case e::kTail:
      r.tail = value;
      break;
    case e::kStatus:
      if (e::kRingFault.get(value) != 0) r.ring_fault = false;
      break;
    case e::kLiveAddress:
      r.live_address = align_down(value, kWord);
      break;
    case e::kLivePeriod:
      r.live_period = value;
      live_passed_ = 0;
      break;
    default:
      break;
  }
  changed_.notify(sc_core::SC_ZERO_TIME);
}

// ---- descriptors -------------------------------------------------------------------------------------------------

bool DmaEngine::work_waits() const {
  const Registers& r = registers_;
  return e::kRun.get(r.control) == 0 || r.tail >= r.ring_size || r.head == r.tail || !bus_master();
}

void DmaEngine::work() {
  for (;;) {
    while (work_waits()) wait(changed_);
    one_descriptor();
  }
}

void DmaEngine::one_descriptor() {
  const std::uint64_t life = life_;
  const std::uint64_t index = registers_.head;
  const Iova at = registers_.ring_base + index * kDescriptorBytes;
  registers_.head = (index + 1) % registers_.ring_size;
  ++under_way_;

  e::Descriptor descriptor;
  std::array<std::uint8_t, kDescriptorBytes> bytes{};
  const bool fetched = read(at, bytes);
  if (life != life_) return;
  if (!fetched) return ring_fault(index);
  std::memcpy(descriptor.words.data(), bytes.data(), bytes.size());
  const Outcome outcome = perform(descriptor);
  if (life != life_) return;
  ++(outcome.error == e::Error::kNone ? registers_.completed : registers_.failed);

  e::Descriptor result;
  result.set(e::kDone, 1).set(e::kError, static_cast<std::uint64_t>(outcome.error)).set(e::kDetail, outcome.detail);
  std::array<std::uint8_t, 2 * kWord> back{};
  std::memcpy(back.data(), result.words.data() + e::kResultWord, back.size());
  const bool written = write(at + e::kResultWord * kWord, back);
  if (life != life_) return;
  if (!written) return ring_fault(index);
  if (descriptor.get(e::kInterrupt) != 0 && e::kInterruptEnable.get(registers_.control) != 0) interrupt();
  if (life == life_) --under_way_;
}

void DmaEngine::ring_fault(std::uint64_t index) {
  --under_way_;
  registers_.ring_fault = true;
  registers_.head = index;
  registers_.control = e::kRun.with(registers_.control, 0);
}

DmaEngine::Outcome DmaEngine::perform(const e::Descriptor& descriptor) {
  const std::uint64_t code = descriptor.get(e::kOperation);
  const std::uint64_t length = descriptor.get(e::kLength);
  if (code > static_cast<std::uint64_t>(e::Operation::kCheck)) return {e::Error::kBadDescriptor};
  const auto operation = static_cast<e::Operation>(code);
  if (operation == e::Operation::kNop) return {};
  if (length == 0 || length % kWord != 0 || length > e::kLengthMax) return {e::Error::kBadDescriptor};

  const std::uint64_t life = life_;
  const std::uint64_t pattern = descriptor.get(e::kPattern);
  std::vector<std::uint8_t> buffer;
  for (std::uint64_t done = 0; done < length; done += buffer.size()) {
    buffer.resize(std::min<std::uint64_t>(kPageSize, length - done));
    if (reads_source(operation) && !read(descriptor.get(e::kSource) + done, buffer))
      return {e::Error::kSourceRefused, done};
    if (life != life_) return {};
    for (std::uint64_t i = 0; operation != e::Operation::kCopy && i < buffer.size(); i += kWord) {
      const std::uint64_t wanted = pattern_word(operation, pattern, (done + i) / kWord);
      if (operation == e::Operation::kCheck && std::memcmp(buffer.data() + i, &wanted, kWord) != 0)
        return {e::Error::kMismatch, done + i};
      std::memcpy(buffer.data() + i, &wanted, kWord);
    }
    if (writes_destination(operation) && !write(descriptor.get(e::kDestination) + done, buffer))
      return {e::Error::kDestinationRefused, done};
    if (life != life_) return {};
  }
  return {e::Error::kNone, length};
}

// ---- live DMA ----------------------------------------------------------------------------------------------------

std::uint64_t DmaEngine::next_tick() const {
  const std::uint64_t period = registers_.live_period;
  if (period == 0) return 0;
  return live_passed_ >= period ? 1 : period - live_passed_;
}

void DmaEngine::tick(std::uint64_t microseconds) {
  if (registers_.live_period == 0) return;
  live_passed_ += microseconds;
  if (live_passed_ < registers_.live_period || !bus_master()) return;
  live_passed_ = 0;
  live_due_ = true;
  live_event_.notify(sc_core::SC_ZERO_TIME);
}

void DmaEngine::live() {
  for (;;) {
    while (!live_due_) wait(live_event_);
    live_due_ = false;
    const std::uint64_t life = life_;
    const Iova at = registers_.live_address;
    const std::uint64_t number = registers_.live_ok + registers_.live_failed;
    std::array<std::uint8_t, kWord> sent{};
    std::array<std::uint8_t, kWord> seen{};
    std::memcpy(sent.data(), &number, kWord);
    const bool ok = write(at, sent) && read(at, seen) && seen == sent;
    if (life == life_) ++(ok ? registers_.live_ok : registers_.live_failed);
  }
}

}  // namespace vtd::soc
