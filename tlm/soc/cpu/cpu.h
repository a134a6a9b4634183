// SPDX-License-Identifier: MIT
// The CPU that runs the firmware. Two of them: an instruction-set simulator, and the same sources as native code.
//
// Time is instructions x CPI. The CPU waits for it every quantum and before every register access, so that firmware
// polling a word in memory lets the rest of the platform go on. Its view of DRAM is direct: injected troubles of DRAM
// (stall, slow, bus error) meet DMA and table walks, not the CPU. The page at address 0 is not mapped for the CPU.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <systemc>
#include <tlm>
#include <utility>
#include <vector>

#include <tlm_utils/simple_initiator_socket.h>

#include "tlm/soc/dram.h"

namespace vtd::soc {

enum class CpuKind : std::uint8_t { kIss, kNative };

/// Where the pieces of one firmware image are.
struct FirmwareFiles {
  std::string image;    ///< *.img: platform::ImageHeader and flat binary; what the image store holds
  std::string symbols;  ///< *.elf: function names for crash reports of the ISS; may be empty
  std::string native;   ///< *.so: the same firmware for CpuKind::kNative; may be empty for the ISS
};

struct CpuConfig {
  CpuKind kind = CpuKind::kIss;
  double cpi = 1;                               ///< clock cycles an instruction, > 0
  sc_core::sc_time period{1, sc_core::SC_NS};   ///< of the clock
  sc_core::sc_time quantum{1, sc_core::SC_US};  ///< longest run between two yields
  std::array<FirmwareFiles, 2> firmware;        ///< images A and B
};

/// One register access of the CPU, when it has been answered.
struct MmioAccess {
  bool write = false;
  std::uint64_t address = 0;
  std::uint64_t value = 0;
  unsigned bytes = 0;
  sc_core::sc_time time;  ///< of the call
};

/// A store of the CPU to DRAM, when the instruction has been executed. One instruction may give several, one after the
/// other, for what it writes at once.
struct MemoryStore {
  std::uint64_t address = 0;
  unsigned bytes = 0;
};

/// Why and where the firmware crashed.
struct CrashReport {
  sc_core::sc_time time;
  std::string reason;                                            ///< "read of 8 bytes at 0x..: nothing there"
  std::string where;                                             ///< function and offset
  std::vector<std::pair<std::string, std::uint64_t>> registers;  ///< empty on the native CPU
  std::vector<std::string> backtrace;                            ///< innermost first
  /// All of it, several lines.
  [[nodiscard]] std::string text() const;
};

class Cpu : public sc_core::sc_module {
 public:
  tlm_utils::simple_initiator_socket<Cpu> bus{"bus"};

  Cpu(sc_core::sc_module_name name, CpuConfig config, Dram& dram);

  /// Reset: whatever runs ends at once; execution starts at `entry` after `hold`. From any process, the CPU's own too.
  void restart(std::uint64_t entry, const sc_core::sc_time& hold = sc_core::SC_ZERO_TIME);

  [[nodiscard]] const CpuConfig& config() const { return config_; }
  /// Set from the crash to the next restart.
  [[nodiscard]] const std::optional<CrashReport>& crash_report() const { return crash_; }
  /// The report as text, empty when there is none.
  [[nodiscard]] std::string crash() const { return crash_ ? crash_->text() : std::string{}; }
  void on_crash(std::function<void(const CrashReport&)> listener) { on_crash_.push_back(std::move(listener)); }
  void on_mmio(std::function<void(const MmioAccess&)> listener) { on_mmio_.push_back(std::move(listener)); }
  /// Called when an instruction has written to DRAM, with all that it wrote; may suspend. Before the CPU starts. The
  /// ISS only: throws std::invalid_argument on the native CPU, which does not know its stores.
  void on_stores(std::function<void(const std::vector<MemoryStore>&)> listener);
  /// Executed since the start of the simulation; on the native CPU an estimate.
  [[nodiscard]] std::uint64_t instructions() const { return instructions_; }

 protected:
  /// Runs the image until restart_pending() or a crash, which it reports.
  virtual void execute(std::uint64_t entry) = 0;

  enum class Access : std::uint8_t { kOk, kBusError };
  /// Register accesses. They suspend; check restart_pending() afterwards.
  Access read_register(std::uint64_t address, unsigned bytes, std::uint64_t& value);
  Access write_register(std::uint64_t address, unsigned bytes, std::uint64_t value);
  /// Accounts for instructions; suspends when the quantum is used up.
  void spend(std::uint64_t instructions) {
    instructions_ += instructions;
    ahead_ += instructions;
    if (ahead_ >= quantum_) synchronise();
  }
  /// Waits for the instructions that have been accounted for.
  void synchronise();
  [[nodiscard]] bool restart_pending() const { return restart_pending_; }
  void report(CrashReport crash);
  [[nodiscard]] Dram& dram() { return dram_; }
  [[nodiscard]] bool stores_wanted() const { return !on_stores_.empty(); }
  void announce(const std::vector<MemoryStore>& stores) {
    for (const auto& listener : on_stores_) listener(stores);
  }

 private:
  void run();
  Access access(MmioAccess& access);

  CpuConfig config_;
  Dram& dram_;
  sc_core::sc_time instruction_time_;
  std::uint64_t quantum_;    ///< instructions
  std::uint64_t ahead_ = 0;  ///< instructions not yet waited for
  std::uint64_t instructions_ = 0;
  bool restart_pending_ = false;
  std::uint64_t entry_ = 0;
  sc_core::sc_time start_;  ///< not before
  sc_core::sc_event restarted_;
  std::optional<CrashReport> crash_;
  std::vector<std::function<void(const CrashReport&)>> on_crash_;
  std::vector<std::function<void(const MmioAccess&)>> on_mmio_;
  std::vector<std::function<void(const std::vector<MemoryStore>&)>> on_stores_;
};

/// Throws std::invalid_argument for a CPU that this build does not have.
[[nodiscard]] std::unique_ptr<Cpu> make_cpu(sc_core::sc_module_name name, const CpuConfig& config, Dram& dram);

}  // namespace vtd::soc
