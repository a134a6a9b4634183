// SPDX-License-Identifier: MIT
#include "sim/trace.h"

#include <fmt/format.h>

#include "tlm/spec/platform.h"

namespace vtd::sim {

/// Counts fault records by what they say.
class Trace::FaultRecords : public Observer {
 public:
  explicit FaultRecords(Trace& trace) : trace_(trace) {}
  void on_fault_record(unsigned, const frcd::Entry& entry) override {
    const auto reason = static_cast<FaultReason>(entry.get(frcd::kFR));
    const std::string text = fmt::format("fault {:04x} {} {:#x} T1 {} T2 {}", entry.get(frcd::kSID), info(reason).name,
                                         entry.address(frcd::kFI), entry.get(frcd::kT1), entry.get(frcd::kT2));
    ++trace_.faults_[text];
    trace_.full_.push_back(fmt::format("{} {}", sc_core::sc_time_stamp().value(), text));
  }

 private:
  Trace& trace_;
};

namespace {

/// FNV-1a over 64-bit words.
std::uint64_t digest(const soc::Dram& dram, std::uint64_t first, std::uint64_t bytes) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (std::uint64_t at = first; at < first + bytes; at += 8) hash = (hash ^ dram.peek(at)) * 0x100000001b3;
  return hash;
}

bool in(std::uint64_t address, std::uint64_t base, std::uint64_t size) {
  return address >= base && address - base < size;
}

}  // namespace

Trace::Trace(soc::Platform& platform) : platform_(platform) {
  platform.cpu().on_mmio([this](const soc::MmioAccess& a) { mmio(a); });
  for (std::size_t u = 0; u < platform.units(); ++u) {
    observers_.push_back(std::make_shared<FaultRecords>(*this));
    platform.unit(u).add_observer(*observers_.back());
  }
  for (std::size_t i = 0; i < platform.endpoints(); ++i) {
    platform.endpoint(i).on_transfer([this](const soc::Endpoint& e, Iova iova, Access kind, std::uint32_t bytes,
                                            const soc::DmaOutcome& outcome) {
      const char* result = outcome.ok                            ? "ok"
                           : outcome.fault == FaultReason::kNone ? "bus error"
                                                                 : info(outcome.fault).name;
      const std::string text =
          fmt::format("dma {} {} {:#x}+{} {}", e.config().name, writes(kind) ? "write" : "read", iova, bytes, result);
      ++transfers_[text];
      full_.push_back(fmt::format("{} {}", sc_core::sc_time_stamp().value(), text));
    });
  }
}

void Trace::mmio(const soc::MmioAccess& a) {
  const bool write = a.write;
  const std::string text = fmt::format("{}{} {:#x} {:#x}", write ? "write" : "read", 8 * a.bytes, a.address, a.value);
  full_.push_back(fmt::format("{} {}", a.time.value(), text));
  // The timer tells time; the image store is memory.
  if (in(a.address, platform::kTimerBase, platform::kDeviceWindowSize) ||
      in(a.address, platform::kImageStoreBase, 2 * platform::kImageStoreStride))
    return;
  const bool poll = !write && last_was_read_ && last_read_ == a.address;
  if (poll) registers_.pop_back();
  registers_.push_back(text);
  last_was_read_ = !write;
  last_read_ = a.address;
}

std::string Trace::normalised() const {
  std::string out = "# registers\n";
  for (const std::string& line : registers_) out += line + '\n';
  out += "# fault records\n";
  for (const auto& [text, count] : faults_) out += fmt::format("{} x{}\n", text, count);
  out += "# dma\n";
  for (const auto& [text, count] : transfers_) out += fmt::format("{} x{}\n", text, count);
  const soc::Dram& dram = platform_.dram();
  out += fmt::format("# memory\nheap {:016x}\nguest {:016x}\n", digest(dram, platform::kHeapBase, platform::kHeapSize),
                     digest(dram, platform::kGuestBase, dram.size() - platform::kGuestBase));
  return out;
}

std::string Trace::full() const {
  std::string out;
  for (const std::string& line : full_) out += line + '\n';
  return out + normalised();
}

}  // namespace vtd::sim
