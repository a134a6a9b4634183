// SPDX-License-Identifier: MIT
#include "tlm/soc/bus.h"

#include <algorithm>
#include <stdexcept>

namespace vtd::soc {

Bus::Input& Bus::new_input() {
  const int index = static_cast<int>(inputs_.size());
  inputs_.push_back(std::make_unique<Port<Input>>(sc_core::sc_gen_unique_name("bus_in")));
  Input& input = inputs_.back()->socket;
  input.register_b_transport(this, &Bus::transport, index);
  input.register_transport_dbg(this, &Bus::debug, index);
  input.register_get_direct_mem_ptr(this, &Bus::direct, index);
  return input;
}

Bus::Output& Bus::new_output(std::uint64_t base, std::uint64_t size) {
  for (const Range& r : ranges_)
    if (base < r.base + r.size && r.base < base + size) throw std::invalid_argument("bus ranges overlap");
  const int index = static_cast<int>(ranges_.size());
  ranges_.push_back({base, size, std::make_unique<Port<Output>>(sc_core::sc_gen_unique_name("bus_out"))});
  Output& output = ranges_.back().port->socket;
  output.register_invalidate_direct_mem_ptr(this, &Bus::revoked, index);
  return output;
}

Bus::Range* Bus::find(std::uint64_t address, std::uint64_t bytes) {
  const auto it = std::find_if(ranges_.begin(), ranges_.end(), [&](const Range& r) {
    return address >= r.base && address - r.base < r.size && bytes <= r.size - (address - r.base);
  });
  return it == ranges_.end() ? nullptr : &*it;
}

void Bus::transport(int, tlm::tlm_generic_payload& trans, sc_core::sc_time& delay) {
  const std::uint64_t address = trans.get_address();
  Range* range = find(address, trans.get_data_length());
  if (range == nullptr) {
    ++unmapped_;
    return trans.set_response_status(tlm::TLM_ADDRESS_ERROR_RESPONSE);
  }
  trans.set_address(address - range->base);
  range->port->socket->b_transport(trans, delay);
  trans.set_address(address);
  const auto* tag = trans.get_extension<MemoryTag>();
  if (tag != nullptr && watcher_ && trans.is_response_ok()) watcher_(*tag, trans);
}

unsigned Bus::debug(int, tlm::tlm_generic_payload& trans) {
  const std::uint64_t address = trans.get_address();
  Range* range = find(address, trans.get_data_length());
  if (range == nullptr) return 0;
  trans.set_address(address - range->base);
  const unsigned moved = range->port->socket->transport_dbg(trans);
  trans.set_address(address);
  return moved;
}

bool Bus::direct(int, tlm::tlm_generic_payload& trans, tlm::tlm_dmi& dmi) {
  const std::uint64_t address = trans.get_address();
  Range* range = find(address, 1);
  if (range == nullptr) return false;
  trans.set_address(address - range->base);
  const bool granted = range->port->socket->get_direct_mem_ptr(trans, dmi);
  trans.set_address(address);
  dmi.set_start_address(dmi.get_start_address() + range->base);
  dmi.set_end_address(std::min<std::uint64_t>(dmi.get_end_address(), range->size - 1) + range->base);
  return granted;
}

void Bus::revoked(int output, sc_dt::uint64 first, sc_dt::uint64 last) {
  const std::uint64_t base = ranges_[static_cast<std::size_t>(output)].base;
  for (const auto& input : inputs_) input->socket->invalidate_direct_mem_ptr(base + first, base + last);
}

}  // namespace vtd::soc
