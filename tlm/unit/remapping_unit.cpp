// SPDX-License-Identifier: MIT
#include "tlm/unit/remapping_unit.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>

#include "tlm/core/observer_list.h"
#include "tlm/core/reference_walker.h"
#include "tlm/unit/dma_path.h"
#include "tlm/unit/host_adapter.h"
#include "tlm/unit/lockstep_walker.h"
#include "tlm/unit/memory_port.h"
#include "tlm/unit/nb_pool.h"
#include "tlm/unit/rtl_walker.h"
#include "tlm/unit/simulation.h"
#include "tlm/unit/wave_signals.h"

namespace vtd {
namespace {

struct MadeWalker {
  std::unique_ptr<Walker> walker;
  RtlWalker* rtl = nullptr;  ///< inside `walker`, for waves
};

MadeWalker make_walker(const UnitConfig& config, const std::string& name) {
  WalkerConfig rules = walker_config(config.profile);
  rules.structure_caches = config.structure_caches;
  rules.sharing = config.walk_sharing;
  if (config.walker == WalkerKind::kModel)
    return {std::make_unique<ReferenceWalker>(rules, config.model_walks), nullptr};
  constexpr std::uint64_t kLargestSeed = 0x7FFF'FFFF;
  const auto seed = static_cast<std::uint32_t>(config.seed % kLargestSeed + 1);
  auto rtl = std::make_unique<RtlWalker>(rules, seed, name);
  RtlWalker* device = rtl.get();
  if (config.walker == WalkerKind::kRtl) return {std::move(rtl), device};
  return {std::make_unique<LockstepWalker>(std::move(rtl), rules), device};
}

/// An engine's process: sleeps until the core has work for it.
struct EngineProcess {
  bool awake = false;
  sc_core::sc_event woken;
};

}  // namespace

struct RemappingUnit::Impl {
  Impl(RemappingUnit& unit, const UnitConfig& configuration)
      : config(configuration),
        made(make_walker(config, std::string(unit.basename()) + "_walker")),
        rtl(made.rtl),
        port([&unit]() -> tlm::tlm_fw_transport_if<>& { return *unit.memory.operator->(); }, config.timing.period_ps,
             config.timing.table_read, config.timing.table_update),
        walks("walks", std::move(made.walker), config.timing.period_ps, config.stepping, port),
        host(config.timing, port, walks, [this] { revoke(); }),
        core(config.profile, config.caches, host, observers, config.seed),
        path(config, core, host, port, counted),
        nb(
            "nb", config.dma_ports.size(), config.nb_processes,
            [this](std::size_t p, auto& trans, auto& delay) { path.transport(p, trans, delay); },
            [&unit](std::size_t p, auto& trans, auto& phase, auto& delay) {
              return unit.dma[p]->nb_transport_bw(trans, phase, delay);
            }),
        invalidate_socket([&unit](std::size_t p) { unit.dma[p]->invalidate_direct_mem_ptr(0, ~sc_dt::uint64{0}); }) {
    observers.add(statistics_observer);
    host.on_wake([this](Engine engine) { wake(engine); });
    spawn_engine(Engine::kCommand, "command");
    spawn_engine(Engine::kQueue, "queue");
    sc_core::sc_spawn([this] { host.send_messages(); }, "messages");
    host.on_timeout([this](DeviceTag tag) { core.device_answered(tag, DeviceAnswer::kTimeout); });
    sc_core::sc_spawn([this] { host.watch_devices(); }, "device_watch");
  }

  EngineProcess& process(Engine engine) { return engine == Engine::kCommand ? command : queue; }

  void wake(Engine engine) {
    process(engine).awake = true;
    process(engine).woken.notify(sc_core::SC_ZERO_TIME);
  }

  void spawn_engine(Engine engine, const char* name) {
    sc_core::sc_spawn([this, engine] { run_engine(engine); }, name);
  }

  void run_engine(Engine engine) {
    EngineProcess& self = process(engine);
    sc_core::sc_time delay = sc_core::SC_ZERO_TIME;
    LocalTime time(delay, LocalTime::Mode::kWait, SourceId{});
    for (;;) {
      while (!self.awake) sc_core::wait(self.woken);
      self.awake = false;
      const HostAdapter::Entry entry(host, time);
      core.run(engine);
    }
  }

  void revoke() { path.revoke(invalidate_socket); }

  UnitConfig config;
  UnitStatistics counted;
  StatisticsObserver statistics_observer{counted};
  ObserverList observers;
  MadeWalker made;
  RtlWalker* rtl;
  MemoryPort port;
  WalkService walks;
  HostAdapter host;
  UnitCore core;
  DmaPath path;
  NbPool nb;
  std::function<void(std::size_t)> invalidate_socket;
  EngineProcess command;
  EngineProcess queue;
  std::unique_ptr<WaveSignals> signals;
};

RemappingUnit::RemappingUnit(sc_core::sc_module_name name, const UnitConfig& config)
    : sc_module(name),
      mmio("mmio"),
      dma("dma", config.dma_ports.size()),
      memory("memory"),
      impl_(std::make_unique<Impl>(*this, config)) {
  mmio.register_b_transport(this, &RemappingUnit::mmio_transport);
  mmio.register_transport_dbg(this, &RemappingUnit::mmio_debug);
  for (std::size_t i = 0; i < dma.size(); ++i) {
    const int port = static_cast<int>(i);
    dma[i].register_b_transport(this, &RemappingUnit::dma_transport, port);
    dma[i].register_nb_transport_fw(this, &RemappingUnit::dma_nb_transport, port);
    dma[i].register_transport_dbg(this, &RemappingUnit::dma_debug, port);
    dma[i].register_get_direct_mem_ptr(this, &RemappingUnit::dma_direct, port);
  }
  memory.register_invalidate_direct_mem_ptr(this, &RemappingUnit::memory_invalidated);
}

RemappingUnit::~RemappingUnit() = default;

// ---- control -----------------------------------------------------------------------------------------------------

void RemappingUnit::reset(ResetKind kind) {
  impl_->core.reset(kind);
  impl_->walks.reset();
}

void RemappingUnit::attach(SourceId source, AtsDevice& device) {
  impl_->host.attach(source, device);
}

void RemappingUnit::device_answered(DeviceTag tag, DeviceAnswer answer) {
  impl_->core.device_answered(tag, answer);
}

void RemappingUnit::page_request(const PageRequest& request) {
  sc_core::sc_time delay = sc_core::SC_ZERO_TIME;
  LocalTime time(delay, LocalTime::Mode::kWait, request.source);
  const HostAdapter::Entry entry(impl_->host, time);
  impl_->core.page_request(request);
}

void RemappingUnit::add_observer(Observer& observer) {
  impl_->observers.add(observer);
}

void RemappingUnit::set_waves(WaveFile& waves) {
  impl_->path.forbid_direct();
  impl_->signals = std::make_unique<WaveSignals>(waves, basename(), impl_->config);
  impl_->observers.add(*impl_->signals);
  if (impl_->rtl != nullptr)
    impl_->rtl->set_waves(
        waves, [this] { return impl_->walks.edge_ps(); }, impl_->config.timing.period_ps);
}

void RemappingUnit::slow(Step step, const sc_core::sc_time& extra) {
  impl_->host.slow(step, extra);
}

std::uint32_t RemappingUnit::walker_count(WalkerEvent event) const {
  return impl_->walks.walker().count(event);
}
const UnitStatistics& RemappingUnit::statistics() const {
  impl_->counted.messages = impl_->host.messages_sent();
  return impl_->counted;
}
UnitCore& RemappingUnit::core() {
  return impl_->core;
}
const UnitCore& RemappingUnit::core() const {
  return impl_->core;
}
const WalkService& RemappingUnit::walks() const {
  return impl_->walks;
}
const UnitConfig& RemappingUnit::config() const {
  return impl_->config;
}

// ---- registers ---------------------------------------------------------------------------------------------------

void RemappingUnit::mmio_transport(tlm::tlm_generic_payload& trans, sc_core::sc_time& delay) {
  RefusalCounters& refused = impl_->counted.refused;
  const auto refuse = [&](tlm::tlm_response_status status, std::uint64_t& counter) {
    ++counter;
    trans.set_response_status(status);
  };
  const std::uint64_t offset = trans.get_address();
  const unsigned bytes = trans.get_data_length();
  if (trans.get_command() == tlm::TLM_IGNORE_COMMAND)
    return refuse(tlm::TLM_COMMAND_ERROR_RESPONSE, refused.mmio_command);
  if (trans.get_byte_enable_ptr() != nullptr)
    return refuse(tlm::TLM_BYTE_ENABLE_ERROR_RESPONSE, refused.mmio_byte_enable);
  if ((bytes != 4 && bytes != 8) || trans.get_streaming_width() < bytes)
    return refuse(tlm::TLM_BURST_ERROR_RESPONSE, refused.mmio_size);
  if (!UnitCore::legal_access(offset, bytes)) return refuse(tlm::TLM_ADDRESS_ERROR_RESPONSE, refused.mmio_address);

  delay += impl_->host.cycles(impl_->config.timing.mmio_access);
  std::uint64_t value = 0;  // registers are little-endian, as this machine
  if (trans.is_read()) {
    value = impl_->core.read(offset, bytes);
    std::memcpy(trans.get_data_ptr(), &value, bytes);
  } else {
    std::memcpy(&value, trans.get_data_ptr(), bytes);
    impl_->core.write(offset, value, bytes);
  }
  trans.set_response_status(tlm::TLM_OK_RESPONSE);
}

unsigned RemappingUnit::mmio_debug(tlm::tlm_generic_payload& trans) {
  const unsigned bytes = trans.get_data_length();
  if (!trans.is_read() || !UnitCore::legal_access(trans.get_address(), bytes)) return 0;
  const std::uint64_t value = impl_->core.read(trans.get_address(), bytes);
  std::memcpy(trans.get_data_ptr(), &value, bytes);
  return bytes;
}

// ---- DMA ---------------------------------------------------------------------------------------------------------

void RemappingUnit::dma_transport(int port, tlm::tlm_generic_payload& trans, sc_core::sc_time& delay) {
  impl_->path.transport(static_cast<std::size_t>(port), trans, delay);
}

tlm::tlm_sync_enum RemappingUnit::dma_nb_transport(int port, tlm::tlm_generic_payload& trans, tlm::tlm_phase& phase,
                                                   sc_core::sc_time& delay) {
  return impl_->nb.forward(static_cast<std::size_t>(port), trans, phase, delay);
}

unsigned RemappingUnit::dma_debug(int port, tlm::tlm_generic_payload& trans) {
  return impl_->path.debug(static_cast<std::size_t>(port), trans);
}

bool RemappingUnit::dma_direct(int port, tlm::tlm_generic_payload& trans, tlm::tlm_dmi& dmi) {
  return impl_->path.direct(static_cast<std::size_t>(port), trans, dmi);
}

void RemappingUnit::memory_invalidated(sc_dt::uint64 first, sc_dt::uint64 last) {
  impl_->port.invalidated(first, last);
  impl_->revoke();
}

}  // namespace vtd
