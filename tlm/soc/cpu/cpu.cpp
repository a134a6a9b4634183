// SPDX-License-Identifier: MIT
#include "tlm/soc/cpu/cpu.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "tlm/soc/cpu/native_cpu.h"
#ifdef VTDSIM_ISS
#include "tlm/soc/cpu/iss_cpu.h"
#endif

namespace vtd::soc {
namespace {

/// Firmware's own frames and those of the simulators below the callbacks.
constexpr int kStackBytes = 8 << 20;

}  // namespace

std::string CrashReport::text() const {
  std::string out = fmt::format("firmware crashed at {}: {}\n  in {}\n", time.to_string(), reason, where);
  for (std::size_t i = 0; i < registers.size(); ++i)
    out += fmt::format("  {:<6} {:016x}{}", registers[i].first, registers[i].second,
                       i % 4 == 3 || i + 1 == registers.size() ? "\n" : "");
  for (const std::string& frame : backtrace) out += fmt::format("  called from {}\n", frame);
  return out;
}

Cpu::Cpu(sc_core::sc_module_name name, CpuConfig config, Dram& dram)
    : sc_module(name), config_(std::move(config)), dram_(dram), instruction_time_(config_.period * config_.cpi) {
  if (instruction_time_ == sc_core::SC_ZERO_TIME) throw std::invalid_argument("cpu: cpi and period must be positive");
  quantum_ = std::max<std::uint64_t>(1, config_.quantum.value() / instruction_time_.value());
  sc_core::sc_spawn_options options;
  options.set_stack_size(kStackBytes);
  sc_core::sc_spawn([this] { run(); }, "run", &options);
}

void Cpu::on_stores(std::function<void(const std::vector<MemoryStore>&)> listener) {
  if (config_.kind != CpuKind::kIss)
    throw std::invalid_argument("single stores are known on the instruction-set simulator only, expected cpu: iss");
  on_stores_.push_back(std::move(listener));
}

void Cpu::restart(std::uint64_t entry, const sc_core::sc_time& hold) {
  entry_ = entry;
  start_ = sc_core::sc_time_stamp() + hold;
  crash_.reset();
  restart_pending_ = true;
  restarted_.notify(sc_core::SC_ZERO_TIME);
}

void Cpu::run() {
  for (;;) {
    while (!restart_pending_) wait(restarted_);
    while (sc_core::sc_time_stamp() < start_) wait(start_ - sc_core::sc_time_stamp(), restarted_);
    restart_pending_ = false;
    ahead_ = 0;
    execute(entry_);
  }
}

void Cpu::synchronise() {
  const auto ahead = sc_core::sc_time::from_value(instruction_time_.value() * ahead_);
  ahead_ = 0;
  if (ahead != sc_core::SC_ZERO_TIME && !restart_pending_) wait(ahead, restarted_);
}

Cpu::Access Cpu::read_register(std::uint64_t address, unsigned bytes, std::uint64_t& value) {
  MmioAccess read{false, address, 0, bytes, {}};
  const Access result = access(read);
  value = read.value;
  return result;
}

Cpu::Access Cpu::write_register(std::uint64_t address, unsigned bytes, std::uint64_t value) {
  MmioAccess write{true, address, value, bytes, {}};
  return access(write);
}

Cpu::Access Cpu::access(MmioAccess& access) {
  synchronise();
  if (restart_pending_) return Access::kOk;
  access.time = sc_core::sc_time_stamp();
  tlm::tlm_generic_payload trans;
  trans.set_command(access.write ? tlm::TLM_WRITE_COMMAND : tlm::TLM_READ_COMMAND);
  trans.set_address(access.address);
  trans.set_data_ptr(reinterpret_cast<unsigned char*>(&access.value));  // little-endian, as this machine
  trans.set_data_length(access.bytes);
  trans.set_streaming_width(access.bytes);
  sc_core::sc_time delay;
  bus->b_transport(trans, delay);
  if (delay != sc_core::SC_ZERO_TIME && !restart_pending_) wait(delay, restarted_);
  if (!trans.is_response_ok()) return Access::kBusError;
  for (const auto& listener : on_mmio_) listener(access);
  return Access::kOk;
}

void Cpu::report(CrashReport crash) {
  crash.time = sc_core::sc_time_stamp();
  crash_ = std::move(crash);
  for (const auto& listener : on_crash_) listener(*crash_);
}

std::unique_ptr<Cpu> make_cpu(sc_core::sc_module_name name, const CpuConfig& config, Dram& dram) {
  if (config.kind == CpuKind::kNative) return std::make_unique<NativeCpu>(name, config, dram);
#ifdef VTDSIM_ISS
  return std::make_unique<IssCpu>(name, config, dram);
#else
  throw std::invalid_argument(
      "this build has no instruction-set simulator: configure with -DVTDSIM_ISS=ON, or use the native CPU");
#endif
}

}  // namespace vtd::soc
