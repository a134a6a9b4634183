// SPDX-License-Identifier: MIT
#include "tlm/unit/memory_port.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>

#include "tlm/unit/simulation.h"

namespace vtd {

std::unique_ptr<MemoryPort::Transaction> MemoryPort::prepare(const MemoryAccess& access) {
  std::unique_ptr<Transaction> transaction;
  if (spare_.empty()) {
    transaction = std::make_unique<Transaction>();
  } else {
    transaction = std::move(spare_.back());
    spare_.pop_back();
  }
  transaction->tag.kind = access.kind;
  transaction->tag.source = access.source;
  transaction->tag.iova = access.iova;
  transaction->tag.pasid = access.pasid;
  transaction->tag.translated = access.translated;
  transaction->tag.expected = access.expected;
  transaction->tag.observed.reset();
  tlm::tlm_generic_payload& payload = transaction->payload;
  const auto bytes = static_cast<unsigned>(access.data.size());
  payload.set_command(access.command);
  payload.set_address(access.address);
  payload.set_data_ptr(access.data.data());
  payload.set_data_length(bytes);
  payload.set_streaming_width(bytes);
  payload.set_byte_enable_ptr(access.byte_enables.empty() ? nullptr : access.byte_enables.data());
  payload.set_byte_enable_length(static_cast<unsigned>(access.byte_enables.size()));
  payload.set_dmi_allowed(false);
  payload.set_response_status(tlm::TLM_INCOMPLETE_RESPONSE);
  return transaction;
}

void MemoryPort::recycle(std::unique_ptr<Transaction> transaction) {
  spare_.push_back(std::move(transaction));
}

tlm::tlm_response_status MemoryPort::access(const MemoryAccess& access, sc_core::sc_time& delay) {
  auto transaction = prepare(access);
  out_().b_transport(transaction->payload, delay);
  const auto status = transaction->payload.get_response_status();
  recycle(std::move(transaction));
  return status;
}

tlm::tlm_response_status MemoryPort::access_and_wait(const MemoryAccess& request) {
  sc_core::sc_time delay = sc_core::SC_ZERO_TIME;
  const auto status = access(request, delay);
  if (delay > sc_core::SC_ZERO_TIME) sc_core::wait(delay);
  return status;
}

unsigned MemoryPort::debug(const MemoryAccess& access) {
  auto transaction = prepare(access);
  const unsigned bytes = out_().transport_dbg(transaction->payload);
  recycle(std::move(transaction));
  return bytes;
}

bool MemoryPort::direct(tlm::tlm_command command, PhysAddr address, tlm::tlm_dmi& dmi) {
  MemoryAccess probe;
  probe.command = command;
  probe.address = address;
  auto transaction = prepare(probe);
  dmi.init();
  const bool granted = out_().get_direct_mem_ptr(transaction->payload, dmi);
  recycle(std::move(transaction));
  return granted;
}

// ---- the walker's reads ------------------------------------------------------------------------------------------

std::optional<WalkMemory::Direct> MemoryPort::read_direct(PhysAddr address) {
  const Region& region = region_of(address);
  if (region.data == nullptr) return std::nullopt;
  Direct result;
  result.latency = region.latency;
  std::memcpy(&result.data, region.data + (address - region.first), sizeof result.data);
  return result;
}

const MemoryPort::Region& MemoryPort::region_of(PhysAddr address) {
  if (last_region_ < regions_.size() && regions_[last_region_].holds(address)) return regions_[last_region_];
  const auto known = std::find_if(regions_.begin(), regions_.end(), [&](const Region& r) { return r.holds(address); });
  if (known == regions_.end()) {
    tlm::tlm_dmi dmi;
    const bool granted = direct(tlm::TLM_READ_COMMAND, address, dmi) && dmi.is_read_allowed();
    // A refusal that names no range stands for the page.
    const bool whole = !granted && dmi.get_start_address() == 0 && dmi.get_end_address() == ~sc_dt::uint64{0};
    Region region;
    region.first = whole ? align_down(address, kPageSize) : dmi.get_start_address();
    region.last = whole ? region.first + (kPageSize - 1) : dmi.get_end_address();
    if (granted) {
      const auto cycles = [this](const sc_core::sc_time& named, unsigned otherwise) {
        const std::uint64_t count = (to_ps(named) + period_ps_ - 1) / period_ps_;
        return count != 0 ? static_cast<unsigned>(count) : otherwise;
      };
      region.data = dmi.get_dmi_ptr();
      region.writable = dmi.is_write_allowed();
      region.latency = cycles(dmi.get_read_latency(), direct_latency_);
      region.update_latency = cycles(dmi.get_write_latency(), update_latency_);
    }
    if (!region.holds(address)) region = {.first = address, .last = address + (sizeof(std::uint64_t) - 1)};
    regions_.push_back(region);
    last_region_ = regions_.size() - 1;
  } else {
    last_region_ = static_cast<std::size_t>(known - regions_.begin());
  }
  return regions_[last_region_];
}

std::optional<WalkMemory::Direct> MemoryPort::update_direct(PhysAddr address, std::uint64_t expected,
                                                            std::uint64_t desired) {
  const Region& region = region_of(address);
  if (region.data == nullptr || !region.writable) return std::nullopt;
  auto* word = reinterpret_cast<std::uint64_t*>(region.data + (address - region.first));
  // Memory may be shared with other threads or processes.
  std::atomic_ref<std::uint64_t>(*word).compare_exchange_strong(expected, desired);
  return Direct{.data = expected, .latency = region.update_latency};
}

std::optional<std::uint64_t> MemoryPort::update_entry(PhysAddr address, std::uint64_t expected, std::uint64_t desired,
                                                      SourceId source, Iova iova) {
  const std::span bytes(reinterpret_cast<unsigned char*>(&desired), sizeof desired);
  auto transaction = prepare({.command = tlm::TLM_WRITE_COMMAND,
                              .address = address,
                              .data = bytes,
                              .kind = MemoryKind::kUpdate,
                              .source = source,
                              .iova = iova,
                              .expected = expected});
  sc_core::sc_time delay = sc_core::SC_ZERO_TIME;
  out_().b_transport(transaction->payload, delay);
  const bool ok = transaction->payload.is_response_ok();
  const auto observed = transaction->tag.observed;
  recycle(std::move(transaction));
  if (delay > sc_core::SC_ZERO_TIME) sc_core::wait(delay);
  return ok ? observed : std::nullopt;
}

void MemoryPort::invalidated(std::uint64_t first, std::uint64_t last) {
  std::erase_if(regions_, [&](const Region& r) { return r.first <= last && first <= r.last; });
  last_region_ = 0;
}

std::optional<std::uint64_t> MemoryPort::read_entry(PhysAddr address, SourceId source, Iova iova) {
  std::array<unsigned char, sizeof(std::uint64_t)> bytes{};
  const auto status = access_and_wait({.address = address, .data = bytes, .source = source, .iova = iova});
  if (status != tlm::TLM_OK_RESPONSE) return std::nullopt;
  std::uint64_t data = 0;
  std::memcpy(&data, bytes.data(), sizeof data);
  return data;
}

}  // namespace vtd
