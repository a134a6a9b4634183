// SPDX-License-Identifier: MIT
// The whole machine: CPU, memory, remapping units, DMA endpoints, resets, mailbox, and the monitor that watches them.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <systemc>
#include <vector>

#include "tlm/soc/ats_endpoint.h"
#include "tlm/soc/bus.h"
#include "tlm/soc/cpu/cpu.h"
#include "tlm/soc/devices.h"
#include "tlm/soc/dram.h"
#include "tlm/soc/endpoint.h"
#include "tlm/soc/isolation_monitor.h"
#include "tlm/soc/mailbox.h"
#include "tlm/soc/platform_waves.h"
#include "tlm/soc/reset_controller.h"
#include "tlm/unit/remapping_unit.h"

namespace vtd::soc {

struct PlatformConfig {
  std::vector<UnitConfig> units;          ///< at most platform::kMaxUnits; dma_ports is set from the endpoints
  std::vector<EndpointConfig> endpoints;  ///< at most platform::kMaxEndpoints
  CpuKind cpu = CpuKind::kIss;
  std::string firmware_dir;  ///< holds fw_a.img, fw_a.elf, fw_a.so and the same of fw_b
  PoisonMode poison = PoisonMode::kRandom;
  std::uint64_t seed = 1;
  std::uint64_t policy = 0;  ///< platform::policy bits
  platform::DeviationSet deviations{};
  std::uint64_t memory = platform::kDramSize;  ///< bytes of DRAM, a multiple of 128 MiB, at most platform::kDramMax
  sc_core::sc_time dram_latency{20, sc_core::SC_NS};
  sc_core::sc_time cpu_period{1, sc_core::SC_NS};
  double cpi = 1;
  sc_core::sc_time cpu_quantum{1, sc_core::SC_US};
  sc_core::sc_time boot_delay;  ///< the CPU is held in reset so long after a warm reset
  /// Of the CPU's cache. If any unit has ECAP.C=0, no unit's table walks snoop it.
  Dram::Evictions evictions = Dram::Evictions::kBySeed;
};

class Platform : public sc_core::sc_module {
 public:
  /// Throws std::invalid_argument or std::runtime_error for a machine that cannot be built.
  Platform(sc_core::sc_module_name name, const PlatformConfig& config);
  ~Platform() override;

  [[nodiscard]] Dram& dram() { return dram_; }
  [[nodiscard]] Bus& bus() { return bus_; }
  [[nodiscard]] RemappingUnit& unit(std::size_t index) { return *units_.at(index); }
  [[nodiscard]] std::size_t units() const { return units_.size(); }
  [[nodiscard]] Endpoint& endpoint(std::size_t index) { return *endpoints_.at(index); }
  /// nullptr if there is none of that name.
  [[nodiscard]] Endpoint* find_endpoint(const std::string& name);
  [[nodiscard]] std::size_t endpoints() const { return endpoints_.size(); }
  [[nodiscard]] Mailbox& mailbox() { return mailbox_; }
  [[nodiscard]] ResetController& resets() { return resets_; }
  [[nodiscard]] Uart& uart() { return uart_; }
  [[nodiscard]] InterruptSink& interrupts() { return interrupts_; }
  [[nodiscard]] IsolationMonitor& monitor() { return monitor_; }
  [[nodiscard]] Cpu& cpu() { return *cpu_; }

  /// Shows units and platform in `waves`. Before waves.start() and before the simulation.
  void set_waves(WaveFile& waves);
  /// Names what happens from now on: text in the waves, a bucket in every endpoint's statistics.
  void set_phase(const std::string& text);
  struct Phase {
    sc_core::sc_time begin;
    std::string text;
  };
  /// Phase n is bucket n of the endpoints; phase 0 is unnamed and lasts until the first set_phase().
  [[nodiscard]] const std::vector<Phase>& phases() const { return phases_; }

 private:
  class UnitWatch;
  void start_of_simulation() override;
  void add_units(const PlatformConfig& config);
  void add_endpoints(const PlatformConfig& config);
  void connect();
  void boot_image_a();
  void before_reset(platform::reset::Kind kind);
  void after_reset(platform::reset::Kind kind);

  Dram dram_;
  Bus bus_{"bus"};
  Mailbox mailbox_{"mailbox"};
  ResetController resets_;
  Uart uart_{"uart"};
  Timer timer_{"timer"};
  CacheMaintenance cache_{"cache", dram_};
  InterruptSink interrupts_{"interrupts"};
  ImageStore images_{"images"};
  IsolationMonitor monitor_;
  std::unique_ptr<Cpu> cpu_;
  std::vector<std::unique_ptr<RemappingUnit>> units_;
  std::vector<std::unique_ptr<UnitWatch>> watches_;
  std::vector<std::unique_ptr<AtsEndpoint>> tlbs_;
  std::vector<std::unique_ptr<Endpoint>> endpoints_;
  std::vector<std::unique_ptr<RegisterDevice>> absent_;  ///< endpoint windows without an endpoint
  std::unique_ptr<PlatformWaves> waves_;
  sc_core::sc_time boot_delay_;
  std::vector<Phase> phases_{{sc_core::SC_ZERO_TIME, ""}};
};

}  // namespace vtd::soc
