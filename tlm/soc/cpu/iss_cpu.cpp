// SPDX-License-Identifier: MIT
#include "tlm/soc/cpu/iss_cpu.h"

#include <fmt/format.h>
#include <unicorn/unicorn.h>

#include <exception>
#include <stdexcept>
#include <utility>
#include <vector>

#include "tlm/spec/platform.h"
#include "tlm/spec/types.h"

namespace vtd::soc {
namespace {

constexpr std::uint64_t kFirstMmio = platform::kMailboxBase;
constexpr std::uint64_t kLastMmio = 0xFFFF'FFFF;
constexpr unsigned kMaxFrames = 24;

struct Range {
  std::uint64_t base;
  std::uint64_t size;
};
/// Backed by pages whose contents are set just before the guest reads them.
constexpr std::array kMmio{
    Range{platform::kMailboxBase,
          platform::kEndpointBase + platform::kMaxEndpoints* platform::kEndpointStride - platform::kMailboxBase},
    Range{platform::kImageStoreBase, 2 * platform::kImageStoreStride},
    Range{platform::kUnitBase, platform::kMaxUnits* platform::kUnitStride},
};

constexpr std::pair<const char*, int> kRegisters[] = {
    {"rip", UC_X86_REG_RIP}, {"rsp", UC_X86_REG_RSP}, {"rbp", UC_X86_REG_RBP}, {"flags", UC_X86_REG_EFLAGS},
    {"rax", UC_X86_REG_RAX}, {"rbx", UC_X86_REG_RBX}, {"rcx", UC_X86_REG_RCX}, {"rdx", UC_X86_REG_RDX},
    {"rsi", UC_X86_REG_RSI}, {"rdi", UC_X86_REG_RDI}, {"r8", UC_X86_REG_R8},   {"r9", UC_X86_REG_R9},
    {"r10", UC_X86_REG_R10}, {"r11", UC_X86_REG_R11}, {"r12", UC_X86_REG_R12}, {"r13", UC_X86_REG_R13},
    {"r14", UC_X86_REG_R14}, {"r15", UC_X86_REG_R15},
};

const char* verb(uc_mem_type type) {
  switch (type) {
    case UC_MEM_FETCH_UNMAPPED:
      return "fetch";
    case UC_MEM_WRITE_UNMAPPED:
      return "write";
    default:
      return "read";
  }
}

void check(uc_err error) {
  if (error != UC_ERR_OK) throw std::runtime_error(fmt::format("unicorn: {}", uc_strerror(error)));
}

}  // namespace

/// One life of the simulated CPU, from reset to reset. Exceptions never pass through it: callbacks note why they
/// want to stop, and stop.
class IssCpu::Engine {
 public:
  explicit Engine(IssCpu& cpu) : cpu_(cpu) {
    check(uc_open(UC_ARCH_X86, UC_MODE_64, &uc_));
    check(uc_mem_map_ptr(uc_, kPageSize, cpu.dram().size() - kPageSize, UC_PROT_ALL, cpu.dram().data() + kPageSize));
    for (const Range& range : kMmio) check(uc_mem_map(uc_, range.base, range.size, UC_PROT_READ | UC_PROT_WRITE));
    hook(UC_HOOK_CODE, reinterpret_cast<void*>(&Engine::on_instruction), 1, 0);
    hook(UC_HOOK_MEM_READ, reinterpret_cast<void*>(&Engine::on_read), kFirstMmio, kLastMmio);
    hook(UC_HOOK_MEM_WRITE, reinterpret_cast<void*>(&Engine::on_write), kFirstMmio, kLastMmio);
    if (!cpu.dram().coherent() || cpu.stores_wanted())
      hook(UC_HOOK_MEM_WRITE, reinterpret_cast<void*>(&Engine::on_memory_write), kPageSize, cpu.dram().size() - 1);
    hook(UC_HOOK_MEM_UNMAPPED, reinterpret_cast<void*>(&Engine::on_unmapped), 1, 0);
  }
  ~Engine() { uc_close(uc_); }
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  void run(std::uint64_t entry) {
    const uc_err error = uc_emu_start(uc_, entry, ~std::uint64_t{0}, 0, 0);
    if (failure_) std::rethrow_exception(failure_);
    if (cpu_.restart_pending()) return;
    if (reason_.empty()) reason_ = error == UC_ERR_OK ? "the CPU halted" : uc_strerror(error);
    cpu_.report(crash());
  }

 private:
  void hook(int type, void* callback, std::uint64_t first, std::uint64_t last) {
    uc_hook handle{};
    check(uc_hook_add(uc_, &handle, type, callback, this, first, last));
  }

  static void on_instruction(uc_engine* uc, std::uint64_t, std::uint32_t, void* self) {
    IssCpu& cpu = static_cast<Engine*>(self)->cpu_;
    static_cast<Engine*>(self)->guarded([&] {
      static_cast<Engine*>(self)->announce_stores();
      cpu.spend(1);
    });
    if (cpu.restart_pending()) uc_emu_stop(uc);
  }

  static void on_read(uc_engine* uc, uc_mem_type, std::uint64_t address, int bytes, std::int64_t, void* context) {
    Engine& self = *static_cast<Engine*>(context);
    std::uint64_t value = 0;
    self.guarded([&] {
      self.answer("read", address, bytes, self.cpu_.read_register(address, static_cast<unsigned>(bytes), value));
    });
    uc_mem_write(uc, address, &value, static_cast<std::size_t>(bytes));
  }

  /// Before the write: an eviction takes the line as it was, the next one as it will be.
  static void on_memory_write(uc_engine*, uc_mem_type, std::uint64_t address, int bytes, std::int64_t, void* context) {
    Engine& self = *static_cast<Engine*>(context);
    if (!self.cpu_.dram().coherent()) self.cpu_.dram().cpu_wrote(address, static_cast<std::uint64_t>(bytes));
    if (self.cpu_.stores_wanted()) self.stores_.push_back({address, static_cast<unsigned>(bytes)});
  }

  /// Of the instruction before: its stores are in memory.
  void announce_stores() {
    if (stores_.empty()) return;
    const std::vector<MemoryStore> stores = std::exchange(stores_, {});
    cpu_.announce(stores);
  }

  static void on_write(uc_engine*, uc_mem_type, std::uint64_t address, int bytes, std::int64_t value, void* context) {
    Engine& self = *static_cast<Engine*>(context);
    const auto data = static_cast<std::uint64_t>(value);
    self.guarded([&] {
      self.answer("write", address, bytes, self.cpu_.write_register(address, static_cast<unsigned>(bytes), data));
    });
  }

  void answer(const char* what, std::uint64_t address, int bytes, Access result) {
    if (cpu_.restart_pending())
      uc_emu_stop(uc_);
    else if (result == Access::kBusError)
      stop(fmt::format("{} of {} bytes at {:#x}: bus error", what, bytes, address));
  }

  static bool on_unmapped(uc_engine*, uc_mem_type type, std::uint64_t address, int bytes, std::int64_t, void* self) {
    static_cast<Engine*>(self)->stop(fmt::format("{} of {} bytes at {:#x}: nothing there", verb(type), bytes, address));
    return false;
  }

  /// Runs the rest of a callback unless the CPU is stopping; keeps exceptions out of the simulator's frames.
  template <typename Action>
  void guarded(Action action) {
    if (failure_ || !reason_.empty()) return;
    try {
      action();
    } catch (...) {
      failure_ = std::current_exception();
      uc_emu_stop(uc_);
    }
  }

  void stop(std::string reason) {
    reason_ = std::move(reason);
    uc_emu_stop(uc_);
  }

  [[nodiscard]] std::uint64_t reg(int id) const {
    std::uint64_t value = 0;
    uc_reg_read(uc_, id, &value);
    return value;
  }

  [[nodiscard]] CrashReport crash() const {
    CrashReport report;
    report.reason = reason_;
    report.where = cpu_.describe(reg(UC_X86_REG_RIP));
    for (const auto& [name, id] : kRegisters) report.registers.emplace_back(name, reg(id));
    // Frames are chained through rbp: {caller's rbp, return address}. The outermost rbp is 0.
    std::uint64_t frame = reg(UC_X86_REG_RBP);
    for (unsigned i = 0; i < kMaxFrames; ++i) {
      struct {
        std::uint64_t next;
        std::uint64_t back;
      } link{};
      if (frame == 0 || uc_mem_read(uc_, frame, &link, sizeof link) != UC_ERR_OK || link.back == 0) break;
      report.backtrace.push_back(cpu_.describe(link.back));
      if (link.next <= frame) break;
      frame = link.next;
    }
    return report;
  }

  IssCpu& cpu_;
  uc_engine* uc_ = nullptr;
  std::vector<MemoryStore> stores_;  ///< of the instruction that is being executed
  std::string reason_;               ///< of a crash
  std::exception_ptr failure_;       ///< of the platform, thrown on when the simulator has returned
};

IssCpu::IssCpu(sc_core::sc_module_name name, const CpuConfig& config, Dram& dram) : Cpu(name, config, dram) {
  for (std::size_t i = 0; i < symbols_.size(); ++i)
    if (!config.firmware[i].symbols.empty()) symbols_[i] = ElfSymbols(config.firmware[i].symbols);
}

void IssCpu::execute(std::uint64_t entry) {
  Engine(*this).run(entry);
}

std::string IssCpu::describe(std::uint64_t address) const {
  for (const ElfSymbols& symbols : symbols_) {
    std::string name = symbols.describe(address);
    if (name.find('+') != std::string::npos) return name;
  }
  return fmt::format("{:#x}", address);
}

}  // namespace vtd::soc
