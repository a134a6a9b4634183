// SPDX-License-Identifier: MIT
#include "tlm/soc/platform.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <stdexcept>

#include "tlm/spec/registers.h"

namespace vtd::soc {
namespace {

namespace p = platform;

/// An endpoint window with nothing behind it: every register reads 0.
class Absent final : public RegisterDevice {
 public:
  using RegisterDevice::RegisterDevice;

 protected:
  std::uint64_t read(std::uint64_t, unsigned) override { return 0; }
  void write(std::uint64_t, std::uint64_t, unsigned) override {}
};

FirmwareFiles firmware_files(const std::string& directory, char letter) {
  const std::string stem = fmt::format("{}/fw_{}", directory, letter);
  return {stem + ".img", stem + ".elf", stem + ".so"};
}

CpuConfig cpu_config(const PlatformConfig& config) {
  return {config.cpu,
          config.cpi,
          config.cpu_period,
          config.cpu_quantum,
          {firmware_files(config.firmware_dir, 'a'), firmware_files(config.firmware_dir, 'b')}};
}

}  // namespace

/// Tells the monitor what one unit's registers say.
class Platform::UnitWatch final : public Observer {
 public:
  UnitWatch(IsolationMonitor& monitor, std::size_t unit) : monitor_(monitor), unit_(unit) {}
  void on_register(RegId id, std::uint64_t value) override {
    if (id == RegId::kGSTS) monitor_.translation(unit_, gsts::kTES.get(value) != 0);
    if (id == RegId::kRTADDR) monitor_.root_pointer(unit_, value);
    if (id == RegId::kPMEN) monitor_.protected_memory(unit_, pmen::kEPM.get(value) != 0);
  }

 private:
  IsolationMonitor& monitor_;
  std::size_t unit_;
};

Platform::Platform(sc_core::sc_module_name name, const PlatformConfig& config)
    : sc_module(name),
      dram_("dram", config.memory, config.dram_latency),
      resets_("resets", dram_, config.poison, config.seed),
      cpu_(make_cpu("cpu", cpu_config(config), dram_)),
      boot_delay_(config.boot_delay) {
  for (unsigned i = 0; i < 2; ++i) images_.load(i, cpu_->config().firmware[i].image);
  mailbox_.set_policy(config.policy);
  mailbox_.set_deviations(config.deviations);
  const auto snoops = [](const UnitConfig& unit) { return unit.profile.coherent; };
  if (!std::all_of(config.units.begin(), config.units.end(), snoops))
    dram_.make_non_coherent(config.seed, config.evictions);
  add_units(config);
  add_endpoints(config);
  connect();
}

Platform::~Platform() = default;

void Platform::add_units(const PlatformConfig& config) {
  if (config.units.empty() || config.units.size() > p::kMaxUnits)
    throw std::invalid_argument(fmt::format("units: 1 to {} expected", p::kMaxUnits));
  for (std::size_t i = 0; i < config.units.size(); ++i) {
    UnitConfig unit = config.units[i];
    unit.dma_ports.clear();
    // Requester ids come with each request: the bus may be numbered anew. One port more for a device TLB.
    for (const EndpointConfig& endpoint : config.endpoints)
      if (endpoint.unit == i) unit.dma_ports.resize(unit.dma_ports.size() + (endpoint.ats ? 2 : 1));
    units_.push_back(std::make_unique<RemappingUnit>(fmt::format("unit{}", i).c_str(), unit));
    watches_.push_back(std::make_unique<UnitWatch>(monitor_, i));
    units_.back()->add_observer(*watches_.back());
  }
}

void Platform::add_endpoints(const PlatformConfig& config) {
  if (config.endpoints.size() > p::kMaxEndpoints)
    throw std::invalid_argument(fmt::format("endpoints: at most {} expected", p::kMaxEndpoints));
  std::vector<unsigned> ports(units_.size(), 0);
  for (const EndpointConfig& c : config.endpoints) {
    if (c.unit >= units_.size()) throw std::invalid_argument(c.name + ": no such unit");
    if (find_endpoint(c.name) != nullptr) throw std::invalid_argument(c.name + ": two endpoints of this name");
    endpoints_.push_back(std::make_unique<Endpoint>(c.name.c_str(), c));
    Endpoint& endpoint = *endpoints_.back();
    endpoint.dma.bind(units_[c.unit]->dma[ports[c.unit]++]);
    if (c.ats) {
      AtsEndpointConfig tlb{.name = c.name + "_tlb", .source = endpoint.requester()};
      tlb.tlb_entries = c.tlb_entries;
      tlbs_.push_back(std::make_unique<AtsEndpoint>(tlb.name.c_str(), tlb, *units_[c.unit]));
      tlbs_.back()->dma.bind(units_[c.unit]->dma[ports[c.unit]++]);
      endpoint.set_tlb(*tlbs_.back());
    }
    endpoint.on_transfer([this](const Endpoint& e, Iova iova, Access access, std::uint32_t bytes, const DmaOutcome& o) {
      if (!o.ok) monitor_.refused({e.requester(), o.pasid}, iova, bytes, access);
    });
  }
}

void Platform::connect() {
  cpu_->bus.bind(bus_.new_input());
  for (const auto& unit : units_) unit->memory.bind(bus_.new_input());

  bus_.map(p::kDramBase, dram_.size(), dram_.socket);
  bus_.map(p::kMailboxBase, p::kDeviceWindowSize, mailbox_.socket);
  bus_.map(p::kResetBase, p::kDeviceWindowSize, resets_.socket);
  bus_.map(p::kUartBase, p::kDeviceWindowSize, uart_.socket);
  bus_.map(p::kTimerBase, p::kDeviceWindowSize, timer_.socket);
  bus_.map(p::kCacheBase, p::kDeviceWindowSize, cache_.socket);
  bus_.map(p::kImageStoreBase, 2 * p::kImageStoreStride, images_.socket);
  bus_.map(kInterruptBase, kInterruptSize, interrupts_.socket);
  for (std::size_t i = 0; i < units_.size(); ++i)
    bus_.map(p::kUnitBase + i * p::kUnitStride, p::kUnitStride, units_[i]->mmio);
  for (std::size_t i = 0; i < p::kMaxEndpoints; ++i) {
    if (i >= endpoints_.size()) absent_.push_back(std::make_unique<Absent>(fmt::format("absent{}", i).c_str()));
    RegisterDevice& device = i < endpoints_.size() ? *endpoints_[i] : *absent_.back();
    bus_.map(p::kEndpointBase + i * p::kEndpointStride, p::kDeviceWindowSize, device.socket);
  }

  bus_.watch([this](const MemoryTag& tag, const tlm::tlm_generic_payload& trans) {
    if (tag.kind != MemoryKind::kDma) return;
    monitor_.delivered({tag.source, tag.pasid}, tag.iova, trans.get_address(), trans.get_data_length(),
                       trans.is_write() ? Access::kWrite : Access::kRead, tag.translated);
  });
  cpu_->on_crash([this](const CrashReport&) { mailbox_.cpu_crashed(); });
  resets_.before([this](p::reset::Kind kind) { before_reset(kind); });
  resets_.after([this](p::reset::Kind kind) { after_reset(kind); });
}

void Platform::start_of_simulation() {
  boot_image_a();
}

void Platform::boot_image_a() {
  const std::vector<std::uint8_t>& image = images_.image(0);
  p::ImageHeader header{};
  std::memcpy(&header, image.data(), sizeof header);
  if (header.load_address + header.memory_size > dram_.size()) throw std::runtime_error("image A lies outside DRAM");
  dram_.load(header.load_address, std::span(image).subspan(sizeof header));
  cpu_->restart(header.entry);
}

void Platform::before_reset(p::reset::Kind kind) {
  if (waves_) waves_->reset();
  mailbox_.cpu_reset();
  timer_.wake();
  if (kind == p::reset::Kind::kWarm) monitor_.warm_reset();
  if (kind != p::reset::Kind::kCold) return;
  monitor_.power_off();
  for (const auto& endpoint : endpoints_) endpoint->power_off();
  for (const auto& unit : units_) unit->reset(ResetKind::kCold);
}

void Platform::after_reset(p::reset::Kind kind) {
  if (kind == p::reset::Kind::kCold) return boot_image_a();
  // Memory of guests that nobody preserved belongs to others from now on.
  resets_.for_each_lost_range([this](std::uint64_t address, std::uint64_t bytes) {
    const std::uint64_t first = std::max(address, p::kGuestBase);
    if (address + bytes > first) monitor_.recycle(first, address + bytes - first);
  });
  cpu_->restart(resets_.entry(), boot_delay_);
}

Endpoint* Platform::find_endpoint(const std::string& name) {
  const auto found =
      std::find_if(endpoints_.begin(), endpoints_.end(), [&](const auto& e) { return e->config().name == name; });
  return found == endpoints_.end() ? nullptr : found->get();
}

void Platform::set_waves(WaveFile& waves) {
  for (const auto& unit : units_) unit->set_waves(waves);
  std::vector<std::string> names;
  for (const auto& endpoint : endpoints_) names.push_back(endpoint->config().name);
  waves_ = std::make_unique<PlatformWaves>(waves, names);
  mailbox_.on_state([this](p::LifecycleState state) { waves_->firmware(state); });
  mailbox_.on_command([this](std::optional<p::Command> command) { waves_->command(command); });
  interrupts_.on_message([this] { waves_->interrupt(interrupts_.messages().size()); });
  for (const auto& endpoint : endpoints_)
    endpoint->on_activity(
        [this](const Endpoint& e) { waves_->endpoint(e.config().name, e.in_flight(), e.total().transfers()); });
}

void Platform::set_phase(const std::string& text) {
  phases_.push_back({sc_core::sc_time_stamp(), text});
  for (const auto& endpoint : endpoints_) endpoint->set_phase(phases_.size() - 1);
  if (waves_) waves_->phase(text);
}

}  // namespace vtd::soc
