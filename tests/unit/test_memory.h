// SPDX-License-Identifier: MIT
// Memory behind a unit: sparse pages, a latency, errors, direct pointers and a valve that stops it.
#pragma once

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <set>
#include <systemc>
#include <tlm>
#include <vector>

#include <tlm_utils/simple_target_socket.h>

#include "tlm/spec/types.h"
#include "tlm/unit/memory_tag.h"

namespace vtd::test {

class TestMemory : public sc_core::sc_module {
 public:
  struct Seen {
    tlm::tlm_command command;
    PhysAddr address;
    std::size_t bytes;
    MemoryKind kind;
    SourceId source;
    Iova iova;
  };

  explicit TestMemory(sc_core::sc_module_name name) : sc_module(name), socket("socket"), storage_(kBytes, 0) {
    socket.register_b_transport(this, &TestMemory::transport);
    socket.register_transport_dbg(this, &TestMemory::debug);
    socket.register_get_direct_mem_ptr(this, &TestMemory::direct);
  }

  static constexpr std::size_t kBytes = 16U << 20U;
  tlm_utils::simple_target_socket<TestMemory> socket;

  sc_core::sc_time latency = sc_core::SC_ZERO_TIME;  ///< annotated, and named in direct grants
  bool waits = false;                                ///< waits for the latency instead of annotating it
  bool grants_direct = true;
  bool stalled = false;
  MemoryKind stalled_kind = MemoryKind::kTable;
  bool stalls_all = true;
  std::set<PhysAddr> broken;  ///< accesses that touch these bytes get a bus error
  bool record = true;         ///< fill `seen`
  std::vector<Seen> seen;
  unsigned waiting = 0;  ///< transactions stopped by the valve

  void open_valve() {
    stalled = false;
    valve_.notify(sc_core::SC_ZERO_TIME);
  }

  std::uint64_t word(PhysAddr address) const {
    std::uint64_t value = 0;
    std::memcpy(&value, &storage_.at(address), sizeof value);
    return value;
  }
  void set_word(PhysAddr address, std::uint64_t value) { std::memcpy(&storage_.at(address), &value, sizeof value); }
  unsigned char& byte(PhysAddr address) { return storage_.at(address); }
  void revoke_direct(PhysAddr first, PhysAddr last) { socket->invalidate_direct_mem_ptr(first, last); }
  const std::vector<unsigned char>& contents() const { return storage_; }
  std::size_t count(MemoryKind kind) const {
    return static_cast<std::size_t>(
        std::count_if(seen.begin(), seen.end(), [&](const Seen& s) { return s.kind == kind; }));
  }

 private:
  void transport(tlm::tlm_generic_payload& trans, sc_core::sc_time& delay) {
    auto* tag = trans.get_extension<MemoryTag>();
    MemoryTag none;
    if (tag == nullptr) tag = &none;
    if (record)
      seen.push_back(
          {trans.get_command(), trans.get_address(), trans.get_data_length(), tag->kind, tag->source, tag->iova});
    const bool held = stalls_all || tag->kind == stalled_kind;
    while (stalled && held) {
      ++waiting;
      sc_core::wait(valve_);
      --waiting;
    }
    if (waits)
      sc_core::wait(latency);
    else
      delay += latency;
    const bool inside = trans.get_address() + trans.get_data_length() <= kBytes;
    const auto bad = broken.lower_bound(trans.get_address());
    const bool error = bad != broken.end() && *bad < trans.get_address() + trans.get_data_length();
    if (trans.get_address() >= kInterruptBase && trans.is_write()) {
      messages.push_back(trans.get_address());
      trans.set_response_status(tlm::TLM_OK_RESPONSE);
      return;
    }
    if (!inside || error) {
      trans.set_response_status(tlm::TLM_ADDRESS_ERROR_RESPONSE);
      return;
    }
    if (tag->kind == MemoryKind::kUpdate) tag->observed = word(trans.get_address());
    if (tag->kind != MemoryKind::kUpdate || *tag->observed == tag->expected) move(trans);
    trans.set_response_status(tlm::TLM_OK_RESPONSE);
  }
  void move(tlm::tlm_generic_payload& trans) {
    const unsigned char* enables = trans.get_byte_enable_ptr();
    for (unsigned i = 0; i < trans.get_data_length(); ++i) {
      if (enables != nullptr && enables[i % trans.get_byte_enable_length()] == 0) continue;
      unsigned char& here = storage_[trans.get_address() + i];
      if (trans.is_write())
        here = trans.get_data_ptr()[i];
      else
        trans.get_data_ptr()[i] = here;
    }
  }
  unsigned debug(tlm::tlm_generic_payload& trans) {
    if (trans.get_address() + trans.get_data_length() > kBytes) return 0;
    move(trans);
    return trans.get_data_length();
  }
  bool direct(tlm::tlm_generic_payload&, tlm::tlm_dmi& dmi) {
    dmi.set_start_address(0);
    dmi.set_end_address(kBytes - 1);
    if (!grants_direct) return false;
    dmi.set_dmi_ptr(storage_.data());
    dmi.allow_read_write();
    dmi.set_read_latency(latency);
    dmi.set_write_latency(latency);
    return true;
  }

 public:
  std::vector<PhysAddr> messages;

 private:
  std::vector<unsigned char> storage_;
  sc_core::sc_event valve_{"valve"};
};

}  // namespace vtd::test
