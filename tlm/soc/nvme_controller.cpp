// SPDX-License-Identifier: MIT
#include "tlm/soc/nvme_controller.h"

#include <cstring>
#include <stdexcept>

#include "tlm/spec/types.h"

namespace vtd::soc {
namespace {

namespace n = nvme;

constexpr Field kLow{"LOW", 31, 0};
constexpr Field kHigh{"HIGH", 63, 32};
constexpr std::uint64_t kMiB = 0x10'0000;
constexpr std::size_t kSubmissionBytes = sizeof(n::Command);
constexpr std::size_t kCompletionBytes = sizeof(n::Completion);

constexpr std::uint64_t kCap =
    n::cap::kMQES.of(NvmeController::kMaxEntries - 1) | n::cap::kCQR.of(1) | n::cap::kTO.of(20) | n::cap::kCSS.of(1);

const PciIdentity kIdentity{.vendor = n::kVendorId,
                            .device = n::kDeviceId,
                            .class_code = n::kClassCode,
                            .revision = 1,
                            .bar_size = n::kBarSize,
                            .msi = true};

std::uint64_t store_size(const NvmeConfig& config) {
  if (config.size_mib == 0 || config.workers == 0)
    throw std::invalid_argument("NVMe: a namespace of 1 MiB and one worker are the least");
  return config.size_mib * kMiB;
}

}  // namespace

NvmeController::NvmeController(sc_core::sc_module_name name, const NvmeConfig& config)
    : PciEndpoint(name, kIdentity), store_(store_size(config)) {
  for (unsigned i = 0; i < config.workers; ++i)
    sc_core::sc_spawn([this] { work(); }, sc_core::sc_gen_unique_name("worker"));
  sc_core::sc_spawn([this] { send_interrupts(); }, sc_core::sc_gen_unique_name("interrupts"));
}

// ---- registers (NVMe 3.1) ----------------------------------------------------------------------------------------

void NvmeController::on_reset() {
  stop();
  cc_ = csts_ = aqa_ = masked_ = 0;
  asq_ = acq_ = 0;
  features_.clear();
}

void NvmeController::on_config() {
  changed_.notify(sc_core::SC_ZERO_TIME);
  if (interrupt_wanted_) interrupt_event_.notify(sc_core::SC_ZERO_TIME);
}

void NvmeController::stop() {
  ++life_;
  submission_.clear();
  completion_.clear();
  async_waiting_ = 0;
  interrupt_wanted_ = false;
  changed_.notify(sc_core::SC_ZERO_TIME);  // those who wait for room give up
}

void NvmeController::fatal() {
  stop();
  csts_ = static_cast<std::uint32_t>(n::csts::kCFS.with(csts_, 1));
}

bool NvmeController::ready() const {
  return n::csts::kRDY.get(csts_) != 0 && n::csts::kCFS.get(csts_) == 0;
}

std::uint64_t NvmeController::bar_read(std::uint64_t offset, unsigned bytes) {
  const auto word = [&](std::uint64_t at) -> std::uint32_t {
    switch (at) {
      case n::cap::kOffset:
        return static_cast<std::uint32_t>(kLow.get(kCap));
      case n::cap::kOffset + 4:
        return static_cast<std::uint32_t>(kHigh.get(kCap));
      case n::kVs:
        return n::kVersion14;
      case n::kIntms:
      case n::kIntmc:
        return masked_;
      case n::cc::kOffset:
        return cc_;
      case n::csts::kOffset:
        return csts_;
      case n::aqa::kOffset:
        return aqa_;
      case n::kAsq:
        return static_cast<std::uint32_t>(kLow.get(asq_));
      case n::kAsq + 4:
        return static_cast<std::uint32_t>(kHigh.get(asq_));
      case n::kAcq:
        return static_cast<std::uint32_t>(kLow.get(acq_));
      case n::kAcq + 4:
        return static_cast<std::uint32_t>(kHigh.get(acq_));
      default:
        return 0;
    }
  };
  if (!is_aligned(offset, 4)) return 0;
  return bytes == 8 ? kLow.of(word(offset)) | kHigh.of(word(offset + 4)) : word(offset);
}

void NvmeController::bar_write(std::uint64_t offset, std::uint64_t value, unsigned bytes) {
  if (!is_aligned(offset, 4) || bytes < 4) return;
  write_register(offset, static_cast<std::uint32_t>(kLow.get(value)));
  if (bytes == 8) write_register(offset + 4, static_cast<std::uint32_t>(kHigh.get(value)));
}

void NvmeController::write_register(std::uint64_t offset, std::uint32_t value) {
  switch (offset) {
    case n::kIntms:
      masked_ |= value;
      return;
    case n::kIntmc:
      masked_ &= ~value;
      if (interrupt_wanted_) interrupt_event_.notify(sc_core::SC_ZERO_TIME);
      return;
    case n::cc::kOffset:
      return configure(value);
    case n::aqa::kOffset:
      aqa_ = value;
      return;
    case n::kAsq:
      asq_ = kLow.with(asq_, align_down(value, kPageSize));
      return;
    case n::kAsq + 4:
      asq_ = kHigh.with(asq_, value);
      return;
    case n::kAcq:
      acq_ = kLow.with(acq_, align_down(value, kPageSize));
      return;
    case n::kAcq + 4:
      acq_ = kHigh.with(acq_, value);
      return;
    default:
      if (offset >= n::kDoorbells) ring_doorbell(offset - n::kDoorbells, value);
  }
}

void NvmeController::configure(std::uint32_t value) {
  const bool was_enabled = n::cc::kEN.get(cc_) != 0;
  const bool enable = n::cc::kEN.get(value) != 0;
  cc_ = value;
  if (was_enabled && !enable) {
    stop();
    csts_ = 0;
    return;
  }
  if (!was_enabled && enable) {
    // 4 KiB pages, NVM command set, round robin: nothing else was announced.
    const bool can = n::cc::kMPS.get(value) == 0 && n::cc::kCSS.get(value) == 0 && n::cc::kAMS.get(value) == 0 &&
                     n::aqa::kASQS.get(aqa_) != 0 && n::aqa::kACQS.get(aqa_) != 0;
    if (!can) return fatal();
    submission_[0] = std::make_shared<SubmissionQueue>(
        SubmissionQueue{.base = asq_, .entries = static_cast<unsigned>(n::aqa::kASQS.get(aqa_) + 1)});
    completion_[0] = {.base = acq_, .entries = static_cast<unsigned>(n::aqa::kACQS.get(aqa_) + 1)};
    csts_ = static_cast<std::uint32_t>(n::csts::kRDY.of(1));
  }
  // Nothing is cached, so a shutdown is complete as soon as it is asked for.
  const std::uint64_t shutdown = n::cc::kSHN.get(value) != 0 ? n::csts::kShutdownComplete : 0;
  csts_ = static_cast<std::uint32_t>(n::csts::kSHST.with(csts_, shutdown));
}

void NvmeController::ring_doorbell(std::uint64_t offset, std::uint32_t value) {
  const auto index = static_cast<std::uint16_t>(offset / n::kDoorbellBytes / 2);
  const bool of_completion = offset / n::kDoorbellBytes % 2 != 0;
  const auto sq = submission_.find(index);
  const auto cq = completion_.find(index);
  const bool good = of_completion ? cq != completion_.end() && value < cq->second.entries
                                  : sq != submission_.end() && value < sq->second->entries;
  if (!good) {
    ++commands_.doorbells_refused;
    return;
  }
  (of_completion ? cq->second.head : sq->second->tail) = value;
  changed_.notify(sc_core::SC_ZERO_TIME);
}

// ---- workers -----------------------------------------------------------------------------------------------------

std::optional<std::uint16_t> NvmeController::next_queue() {
  if (!ready() || !bus_master()) return std::nullopt;
  const auto has_command = [](const auto& q) { return q.second->next != q.second->tail; };
  auto at = submission_.upper_bound(last_queue_);
  for (std::size_t i = 0; i < submission_.size(); ++i, ++at) {
    if (at == submission_.end()) at = submission_.begin();
    if (has_command(*at)) return last_queue_ = at->first;
  }
  return std::nullopt;
}

void NvmeController::work() {
  for (;;) {
    const auto queue = next_queue();
    if (queue)
      one_command(*queue);
    else
      wait(changed_);
  }
}

void NvmeController::one_command(std::uint16_t index) {
  const std::uint64_t life = life_;
  const std::shared_ptr<SubmissionQueue> queue = submission_.at(index);
  const unsigned slot = queue->next;
  const Iova at = queue->base + slot * kSubmissionBytes;
  queue->next = (slot + 1) % queue->entries;
  Taken taken{.queue = index};
  std::array<std::uint8_t, kSubmissionBytes> bytes{};
  const bool fetched = read(at, bytes);
  if (life != life_) return;
  if (!fetched) return fatal();
  queue->fetched.set(slot);
  for (; queue->fetched.test(queue->head); queue->head = (queue->head + 1) % queue->entries)
    queue->fetched.reset(queue->head);
  std::memcpy(taken.command.words.data(), bytes.data(), bytes.size());
  const auto ended = perform(taken);
  if (life != life_ || !ended) return;
  count(taken, *ended);
  complete(taken, *ended);
}

std::optional<NvmeController::Ended> NvmeController::perform(const Taken& taken) {
  const n::Command& c = taken.command;
  if (c.get(n::sqe::kPSDT) != 0 || c.get(n::sqe::kFUSE) != 0) return Ended{n::status::kInvalidField};
  return taken.queue == 0 ? admin(c) : std::optional(io(c));
}

void NvmeController::count(const Taken& taken, const Ended& ended) {
  const auto opcode = static_cast<n::Io>(taken.command.get(n::sqe::kOPC));
  std::uint64_t& kind = taken.queue == 0          ? commands_.admin
                        : opcode == n::Io::kRead  ? commands_.reads
                        : opcode == n::Io::kWrite ? commands_.writes
                                                  : commands_.other;
  ++kind;
  if (!ended.status.ok()) ++commands_.failed;
  if (ended.status == n::status::kDataTransferError) ++commands_.data_errors;
}

void NvmeController::complete(const Taken& taken, const Ended& ended) {
  const std::uint64_t life = life_;
  // The queue may be deleted while its command is under way.
  const auto sq = submission_.find(taken.queue);
  if (sq == submission_.end()) return;
  const std::uint16_t index = sq->second->completion;
  const auto full = [&] {
    const auto cq = completion_.find(index);
    return cq != completion_.end() && (cq->second.tail + 1) % cq->second.entries == cq->second.head;
  };
  while (life == life_ && full()) wait(changed_);
  const auto cq = completion_.find(index);
  if (life != life_ || cq == completion_.end() || !submission_.contains(taken.queue)) return;

  CompletionQueue& queue = cq->second;
  n::Completion entry;
  entry.set(n::cqe::kDW0, ended.result)
      .set(n::cqe::kSQHD, submission_.at(taken.queue)->head)
      .set(n::cqe::kSQID, taken.queue)
      .set(n::cqe::kCID, taken.command.get(n::sqe::kCID))
      .set(n::cqe::kP, queue.phase ? 1 : 0)
      .set(n::cqe::kSC, ended.status.code)
      .set(n::cqe::kSCT, ended.status.type)
      .set(n::cqe::kDNR, ended.status.again ? 0 : 1);
  const Iova at = queue.base + queue.tail * kCompletionBytes;
  const bool interrupts = queue.interrupts;
  queue.tail = (queue.tail + 1) % queue.entries;
  if (queue.tail == 0) queue.phase = !queue.phase;
  std::array<std::uint8_t, kCompletionBytes> bytes{};
  std::memcpy(bytes.data(), entry.words.data(), bytes.size());
  const bool written = write(at, bytes);
  if (life != life_) return;
  if (!written) return fatal();
  if (interrupts) request_interrupt();
}

void NvmeController::request_interrupt() {
  interrupt_wanted_ = true;
  interrupt_event_.notify(sc_core::SC_ZERO_TIME);
}

void NvmeController::send_interrupts() {
  constexpr std::uint32_t kVector0 = 1;
  for (;;) {
    while (!interrupt_wanted_ || (masked_ & kVector0) != 0) wait(interrupt_event_);
    interrupt_wanted_ = false;
    interrupt();
  }
}

}  // namespace vtd::soc
