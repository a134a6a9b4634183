// SPDX-License-Identifier: MIT
#include "tlm/soc/pci_function.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

#include "tlm/spec/types.h"
#include "tlm/unit/dma_extension.h"

namespace vtd::soc {

namespace p = pci;

PciFunction::PciFunction(sc_core::sc_module_name name, const PciIdentity& identity)
    : sc_module(name), identity_(identity) {
  if (!std::has_single_bit(identity.bar_size) || identity.bar_size < kPageSize)
    throw std::invalid_argument(std::string(basename()) + ": BAR size must be a power of two, >= 4096");
  reset();
}

void PciFunction::reset() {
  config_.fill(0);
  set_config(p::kVendorId, identity_.vendor, 2);
  set_config(p::kDeviceId, identity_.device, 2);
  set_config(p::kRevisionId, identity_.revision, 1);
  set_config(p::kRevisionId + 1, identity_.class_code, 3);
  set_config(p::kSubsystemVendorId, identity_.vendor, 2);
  set_config(p::kSubsystemId, identity_.device, 2);
  if (identity_.msi) {
    set_config(p::kStatus, p::status::kCapabilityList.of(1), 2);
    set_config(p::kCapabilities, p::msi::kOffset, 1);
    set_config(p::msi::kControl, p::msi::kCapabilityId.of(p::msi::kId) | p::msi::k64Bit.of(1), 4);
  }
  on_reset();
}

void PciFunction::set_config(unsigned offset, std::uint64_t value, unsigned bytes) {
  std::memcpy(config_.data() + offset, &value, bytes);  // little-endian, as this machine
}

std::uint32_t PciFunction::config_word(unsigned offset) const {
  std::uint32_t word = 0;
  std::memcpy(&word, config_.data() + align_down(offset, sizeof word), sizeof word);
  return word;
}

std::uint32_t PciFunction::config_read(unsigned offset, unsigned bytes) const {
  std::uint32_t value = 0;
  if (offset + bytes <= p::kConfigSize && bytes <= sizeof value) std::memcpy(&value, config_.data() + offset, bytes);
  return value;
}

std::uint32_t PciFunction::writable(unsigned offset) const {
  switch (offset) {
    case p::kCommand:
      return p::command::kWritable;
    case p::kBar0:
      return ~(identity_.bar_size - 1);
    case p::kInterruptLine:
      return 0xFF;
    default:
      break;
  }
  if (!identity_.msi) return 0;
  switch (offset) {
    case p::msi::kControl:
      return static_cast<std::uint32_t>(p::msi::kEnable.mask());
    case p::msi::kAddress:
      return p::msi::kAddressWritable;
    case p::msi::kAddressHigh:
      return 0xFFFF'FFFF;
    case p::msi::kData:
      return p::msi::kDataWritable;
    default:
      return 0;
  }
}

void PciFunction::config_write(unsigned offset, std::uint32_t value, unsigned bytes) {
  const unsigned base = static_cast<unsigned>(align_down(offset, sizeof value));
  if (base + sizeof value > p::kConfigSize || offset - base + bytes > sizeof value) return;
  const std::uint32_t before = config_word(base);
  std::uint32_t after = before;
  std::memcpy(reinterpret_cast<std::uint8_t*>(&after) + (offset - base), &value, bytes);
  const std::uint32_t mask = writable(base);
  after = (before & ~mask) | (after & mask);
  set_config(base, after, sizeof after);
  if (after != before) on_config();
}

std::uint32_t PciFunction::bar() const {
  return config_word(p::kBar0);
}
bool PciFunction::memory_enabled() const {
  return p::command::kMemory.get(config_word(p::kCommand)) != 0;
}
bool PciFunction::bus_master() const {
  return p::command::kBusMaster.get(config_word(p::kCommand)) != 0;
}

// ---- masters -----------------------------------------------------------------------------------------------------

PciEndpoint::PciEndpoint(sc_core::sc_module_name name, const PciIdentity& identity, unsigned max_payload)
    : PciFunction(name, identity), max_payload_(max_payload) {
  if (!std::has_single_bit(max_payload) || max_payload < 64 || max_payload > kPageSize)
    throw std::invalid_argument(std::string(basename()) + ": max_payload must be a power of two, 64..4096");
}

bool PciEndpoint::read(Iova address, std::span<std::uint8_t> data) {
  return request(tlm::TLM_READ_COMMAND, address, data);
}

bool PciEndpoint::write(Iova address, std::span<const std::uint8_t> data) {
  std::vector<std::uint8_t> copy(data.begin(), data.end());  // a payload's data is not const
  return request(tlm::TLM_WRITE_COMMAND, address, copy);
}

bool PciEndpoint::request(tlm::tlm_command command, Iova address, std::span<std::uint8_t> data) {
  tlm::tlm_generic_payload trans;
  while (!data.empty()) {
    if (!bus_master()) {
      ++counters_.refused;
      return false;
    }
    const std::size_t room = max_payload_ - (address & (max_payload_ - 1));
    const std::size_t length = std::min(data.size(), room);
    trans.set_command(command);
    trans.set_address(address);
    trans.set_data_ptr(data.data());
    trans.set_data_length(static_cast<unsigned>(length));
    trans.set_streaming_width(static_cast<unsigned>(length));
    trans.set_response_status(tlm::TLM_INCOMPLETE_RESPONSE);
    sc_core::sc_time delay;
    dma->b_transport(trans, delay);
    if (delay != sc_core::SC_ZERO_TIME) wait(delay);
    if (!trans.is_response_ok()) {
      ++counters_.refused;
      return false;
    }
    ++(trans.is_write() ? counters_.writes : counters_.reads);
    (trans.is_write() ? counters_.bytes_written : counters_.bytes_read) += length;
    address += length;
    data = data.subspan(length);
  }
  return true;
}

void PciEndpoint::interrupt() {
  if (p::msi::kEnable.get(config_word(p::msi::kControl)) == 0) return;
  Iova address = 0;
  std::memcpy(&address, config_.data() + p::msi::kAddress, sizeof address);
  std::array<std::uint8_t, sizeof(std::uint32_t)> data{};
  std::memcpy(data.data(), config_.data() + p::msi::kData, data.size());
  if (request(tlm::TLM_WRITE_COMMAND, address, data)) ++counters_.interrupts;
}

}  // namespace vtd::soc
