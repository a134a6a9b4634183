// SPDX-License-Identifier: MIT
#include "sim/qemu/machine.h"

#include <fmt/format.h>

#include <cstring>
#include <stdexcept>

#include "tlm/soc/dma_engine.h"
#include "tlm/soc/nvme_controller.h"
#include "tlm/unit/simulation.h"

namespace vtd::qemu {
namespace {

constexpr std::uint64_t kOnes = ~std::uint64_t{0};
const sc_core::sc_time kRamLatency(20, sc_core::SC_NS);

const soc::PciIdentity kUnitIdentity{.vendor = 0x1234,
                                     .device = 0x7D50,
                                     .class_code = 0x08'80'00,
                                     .revision = 0,
                                     .bar_size = UnitFunction::kBarSize,
                                     .msi = false};

std::unique_ptr<soc::PciEndpoint> make_endpoint(const std::string& kind, std::size_t index, const MachineOptions& o) {
  const std::string name = fmt::format("{}{}", kind, index);
  if (kind == "dma") return std::make_unique<soc::DmaEngine>(name.c_str());
  // Completions must come in the order of submission where a run is to be the same under every walker.
  constexpr unsigned kWorkers = 8;
  if (kind == "nvme")
    return std::make_unique<soc::NvmeController>(
        name.c_str(), soc::NvmeConfig{.size_mib = o.nvme_mib, .workers = o.pace == Pace::kSettled ? 1 : kWorkers});
  throw std::invalid_argument(fmt::format("--endpoint {}: dma or nvme expected", kind));
}

UnitConfig config_with_ports(const MachineOptions& options) {
  UnitConfig config = unit_config(options);
  for (std::size_t i = 0; i < options.endpoints.size(); ++i)
    config.dma_ports.emplace_back(make_source_id(0, Machine::kUnitDevice + 1 + static_cast<unsigned>(i), 0));
  return config;
}

}  // namespace

// ---- the unit's registers ----------------------------------------------------------------------------------------

UnitFunction::UnitFunction(sc_core::sc_module_name name, std::uint32_t base)
    : PciFunction(name, kUnitIdentity), base_(base) {}

std::uint32_t UnitFunction::config_read(unsigned offset, unsigned bytes) const {
  return memory_enabled() ? static_cast<std::uint32_t>(kOnes) : PciFunction::config_read(offset, bytes);
}

void UnitFunction::config_write(unsigned offset, std::uint32_t value, unsigned bytes) {
  const bool hidden = memory_enabled();
  // The kernel does not see the function; what it or firmware still writes must not move the registers.
  if (hidden && offset != pci::kCommand) return;
  PciFunction::config_write(offset, value, bytes);
  if (hidden || !memory_enabled() || bar() == base_) return;
  throw std::runtime_error(fmt::format(
      "firmware has placed the unit's registers at {:#x}, but the DMAR table says {:#x}: use --unit-base {:#x}", bar(),
      base_, bar()));
}

std::uint64_t UnitFunction::bar_read(std::uint64_t offset, unsigned bytes) {
  std::uint64_t value = 0;
  return access(tlm::TLM_READ_COMMAND, offset, value, bytes) ? value : kOnes;
}

void UnitFunction::bar_write(std::uint64_t offset, std::uint64_t value, unsigned bytes) {
  access(tlm::TLM_WRITE_COMMAND, offset, value, bytes);
}

bool UnitFunction::access(tlm::tlm_command command, std::uint64_t offset, std::uint64_t& value, unsigned bytes) {
  tlm::tlm_generic_payload trans;
  trans.set_command(command);
  trans.set_address(offset);
  trans.set_data_ptr(reinterpret_cast<unsigned char*>(&value));
  trans.set_data_length(bytes);
  trans.set_streaming_width(bytes);
  mmio->b_transport(trans, delay_);
  if (!trans.is_response_ok()) ++refused_;
  return trans.is_response_ok();
}

sc_core::sc_time UnitFunction::take_delay() {
  const sc_core::sc_time delay = delay_;
  delay_ = sc_core::SC_ZERO_TIME;
  return delay;
}

void UnitFunction::on_reset() {
  if (unit_reset_) unit_reset_();
}

// ---- memory ------------------------------------------------------------------------------------------------------

RamTarget::RamTarget(sc_core::sc_module_name name, GuestRam& ram) : sc_module(name), ram_(ram) {
  socket.register_b_transport(this, &RamTarget::transport);
  socket.register_transport_dbg(this, &RamTarget::debug);
  socket.register_get_direct_mem_ptr(this, &RamTarget::direct);
}

void RamTarget::changed() {
  socket->invalidate_direct_mem_ptr(0, kOnes);
}

void RamTarget::transport(tlm::tlm_generic_payload& trans, sc_core::sc_time& delay) {
  delay += kRamLatency;
  if (trans.get_byte_enable_ptr() != nullptr) return trans.set_response_status(tlm::TLM_BYTE_ENABLE_ERROR_RESPONSE);
  trans.set_response_status(debug(trans) == trans.get_data_length() ? tlm::TLM_OK_RESPONSE
                                                                    : tlm::TLM_ADDRESS_ERROR_RESPONSE);
}

unsigned RamTarget::debug(tlm::tlm_generic_payload& trans) {
  static const MemoryTag kNone;
  auto* tag = trans.get_extension<MemoryTag>();
  const MemoryTag& what = tag != nullptr ? *tag : kNone;
  const PhysAddr address = trans.get_address();
  const std::span data(trans.get_data_ptr(), trans.get_data_length());
  if (what.kind == MemoryKind::kMessage) {
    std::uint32_t message = 0;
    if (!trans.is_write() || data.size() != sizeof message) return 0;
    std::memcpy(&message, data.data(), sizeof message);
    ram_.message(what, address, message);
    return trans.get_data_length();
  }
  if (what.kind == MemoryKind::kUpdate) {
    std::uint64_t desired = 0;
    if (data.size() != sizeof desired) return 0;
    std::memcpy(&desired, data.data(), sizeof desired);
    tag->observed = ram_.exchange(what, address, what.expected, desired);
    return tag->observed ? trans.get_data_length() : 0;
  }
  const bool ok = trans.is_write() ? ram_.write(what, address, data) : ram_.read(what, address, data);
  return ok ? trans.get_data_length() : 0;
}

bool RamTarget::direct(tlm::tlm_generic_payload& trans, tlm::tlm_dmi& dmi) {
  const auto range = ram_.direct(trans.get_address());
  dmi.allow_none();
  if (!range) {
    dmi.set_start_address(align_down(trans.get_address(), kPageSize));
    dmi.set_end_address(align_down(trans.get_address(), kPageSize) + (kPageSize - 1));
    return false;
  }
  dmi.set_start_address(range->first);
  dmi.set_end_address(range->last);
  dmi.set_dmi_ptr(range->data);
  dmi.set_read_latency(kRamLatency);
  dmi.set_write_latency(kRamLatency);
  dmi.allow_read_write();
  return true;
}

// ---- all of it ---------------------------------------------------------------------------------------------------

Machine::Machine(sc_core::sc_module_name name, const MachineOptions& options, GuestRam& ram)
    : sc_module(name),
      options_(options),
      unit_(std::make_unique<RemappingUnit>("unit0", config_with_ports(options))),
      unit_function_("registers", options.unit_base),
      ram_("ram", ram) {
  unit_->memory.bind(ram_.socket);
  unit_function_.mmio.bind(unit_->mmio);
  unit_function_.on_unit_reset([this] { unit_->reset(ResetKind::kWarm); });
  for (std::size_t i = 0; i < options.endpoints.size(); ++i) {
    endpoints_.push_back(make_endpoint(options.endpoints[i], i, options));
    endpoints_.back()->dma.bind(unit_->dma[i]);
  }
}

Machine::~Machine() = default;

soc::PciFunction& Machine::function(std::size_t index) {
  return index == 0 ? static_cast<soc::PciFunction&>(unit_function_) : *endpoints_.at(index - 1);
}

void Machine::settle() {
  vtd::run_to_rest(sc_core::sc_time(1, sc_core::SC_SEC));
  if (sc_core::sc_pending_activity())
    throw std::runtime_error("the machine does not come to rest within a simulated second");
}

void Machine::advance(const sc_core::sc_time& time) {
  if (time > sc_core::SC_ZERO_TIME) vtd::run(time);
}

}  // namespace vtd::qemu
