// SPDX-License-Identifier: MIT
// A remapping unit with a memory, a processor that writes registers, and one device per dma socket.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <deque>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include <tlm_utils/simple_initiator_socket.h>

#include "tests/unit/tables.h"
#include "tests/unit/test_memory.h"
#include "tlm/spec/descriptor.h"
#include "tlm/spec/registers.h"
#include "tlm/unit/remapping_unit.h"
#include "tlm/unit/simulation.h"

namespace vtd::test {

inline constexpr SourceId kNic = make_source_id(0, 3, 0);
inline constexpr SourceId kDisk = make_source_id(0, 4, 0);
inline constexpr DomainId kDomain{5};

class UnitBench : public sc_core::sc_module {
 public:
  using DeviceSocket = tlm_utils::simple_initiator_socket_tagged<UnitBench>;

  UnitBench(sc_core::sc_module_name name, const UnitConfig& config)
      : sc_module(name),
        unit("unit", config),
        memory("memory"),
        cpu("cpu"),
        devices("devices", config.dma_ports.size()),
        tables(memory),
        table(tables.new_table()) {
    cpu.bind(unit.mmio);
    unit.memory.bind(memory.socket);
    for (std::size_t i = 0; i < devices.size(); ++i) {
      devices[i].bind(unit.dma[i]);
      devices[i].register_invalidate_direct_mem_ptr(this, &UnitBench::on_revoke, static_cast<int>(i));
      devices[i].register_nb_transport_bw(this, &UnitBench::on_backward, static_cast<int>(i));
    }
  }

  // ---- running ----
  /// Runs `body` as a process, and the simulation until nothing is left to do; the body must have ended by then.
  void go(const std::function<void()>& body) {
    const unsigned before = ended;
    spawn(body);
    vtd::run();
    EXPECT_GT(ended, before) << "the process never ended";
  }
  void spawn(const std::function<void()>& body) {
    ++started;
    sc_core::sc_spawn(
        [this, body] {
          body();
          ++ended;
        },
        sc_core::sc_gen_unique_name("process"));
  }
  unsigned started = 0;
  unsigned ended = 0;

  // ---- registers ----
  struct Answer {
    tlm::tlm_response_status status = tlm::TLM_INCOMPLETE_RESPONSE;
    std::uint64_t value = 0;
    sc_core::sc_time delay;
  };
  Answer mmio(tlm::tlm_command command, std::uint64_t offset, std::uint64_t value, unsigned bytes) {
    tlm::tlm_generic_payload trans;
    prepare(trans, command, offset, std::span(reinterpret_cast<unsigned char*>(&value), bytes));
    Answer answer;
    cpu->b_transport(trans, answer.delay);
    answer.status = trans.get_response_status();
    answer.value = value;
    return answer;
  }
  std::uint64_t read(RegId id) {
    const Answer answer = mmio(tlm::TLM_READ_COMMAND, offset(id), 0, info(id).bits / 8U);
    EXPECT_EQ(answer.status, tlm::TLM_OK_RESPONSE);
    return answer.value;
  }
  void write(RegId id, std::uint64_t value) {
    EXPECT_EQ(mmio(tlm::TLM_WRITE_COMMAND, offset(id), value, info(id).bits / 8U).status, tlm::TLM_OK_RESPONSE);
  }
  [[nodiscard]] std::uint64_t offset(RegId id) const { return offset_of(id, unit.config().profile); }
  void wait_until(const std::function<bool()>& condition) {
    while (!condition()) sc_core::wait(sc_core::sc_time(10, sc_core::SC_NS));
  }
  void command(const Field& bit, bool on = true) {
    const std::uint64_t held = read(RegId::kGSTS) & gcmd::kPersistent;
    write(RegId::kGCMD, on ? held | bit.mask() : held & ~bit.mask());
    wait_until([&] { return (bit.get(read(RegId::kGSTS)) != 0) == on; });
  }
  /// Root table, queue and translation on.
  void enable() {
    write(RegId::kIQA, kQueue);
    command(gcmd::kQIE);
    enable_without_queue();
  }
  void enable_without_queue() {
    write(RegId::kRTADDR, kRootTable);
    command(gcmd::kSRTP);
    command(gcmd::kTE);
  }
  void submit(const descriptor::Entry& entry) {
    const std::uint64_t tail = iq::kQT.in_place(read(RegId::kIQT));
    memory.set_word(kQueue + tail, entry.words[0]);
    memory.set_word(kQueue + tail + 8, entry.words[1]);
    write(RegId::kIQT, tail + 16);
  }
  void submit_iotlb_domain(DomainId domain) {
    descriptor::Entry entry;
    entry.set(descriptor::kTYPE, static_cast<std::uint64_t>(DescriptorType::kIotlb))
        .set(descriptor::kDID, domain.value);
    entry.set(descriptor::kG, static_cast<std::uint64_t>(IotlbGranularity::kDomain));
    entry.set(descriptor::iotlb::kDR, 1).set(descriptor::iotlb::kDW, 1);
    submit(entry);
  }
  /// A wait descriptor that writes `data` to kStatus.
  void submit_wait(std::uint32_t data) {
    descriptor::Entry entry;
    entry.set(descriptor::kTYPE, static_cast<std::uint64_t>(DescriptorType::kWait)).set(descriptor::wait::kSW, 1);
    entry.set(descriptor::wait::kSTATUS_DATA, data).set_address(descriptor::wait::kSTATUS_ADDR, kStatus);
    submit(entry);
  }
  [[nodiscard]] bool queue_empty() { return read(RegId::kIQH) == read(RegId::kIQT); }

  // ---- DMA ----
  struct Dma {
    tlm::tlm_response_status status = tlm::TLM_INCOMPLETE_RESPONSE;
    sc_core::sc_time delay;
  };
  Dma dma(std::size_t device, tlm::tlm_command command, Iova address, std::span<unsigned char> data,
          DmaExtension* extension = nullptr, sc_core::sc_time delay = sc_core::SC_ZERO_TIME) {
    tlm::tlm_generic_payload trans;
    prepare(trans, command, address, data);
    if (extension != nullptr) trans.set_extension(extension);
    devices[device]->b_transport(trans, delay);
    if (extension != nullptr) trans.clear_extension(extension);
    return {trans.get_response_status(), delay};
  }
  tlm::tlm_response_status dma_read(std::size_t device, Iova address, std::uint64_t* value = nullptr) {
    std::uint64_t data = 0;
    const auto result = dma(device, tlm::TLM_READ_COMMAND, address, bytes_of_word(data));
    if (value != nullptr) *value = data;
    return result.status;
  }
  tlm::tlm_response_status dma_write(std::size_t device, Iova address, std::uint64_t data) {
    return dma(device, tlm::TLM_WRITE_COMMAND, address, bytes_of_word(data)).status;
  }
  static std::span<unsigned char> bytes_of_word(std::uint64_t& word) {
    return {reinterpret_cast<unsigned char*>(&word), sizeof word};
  }
  static void prepare(tlm::tlm_generic_payload& trans, tlm::tlm_command command, std::uint64_t address,
                      std::span<unsigned char> data) {
    trans.set_command(command);
    trans.set_address(address);
    trans.set_data_ptr(data.data());
    trans.set_data_length(static_cast<unsigned>(data.size()));
    trans.set_streaming_width(static_cast<unsigned>(data.size()));
    trans.set_byte_enable_ptr(nullptr);
    trans.set_response_status(tlm::TLM_INCOMPLETE_RESPONSE);
  }

  std::function<tlm::tlm_sync_enum(int, tlm::tlm_generic_payload&, tlm::tlm_phase&, sc_core::sc_time&)> backward;
  std::function<void(int)> on_revoked;
  unsigned revocations = 0;

  RemappingUnit unit;
  TestMemory memory;
  tlm_utils::simple_initiator_socket<UnitBench> cpu;
  sc_core::sc_vector<DeviceSocket> devices;
  Tables tables;
  PhysAddr table;  ///< second-stage root of kDomain

 private:
  void on_revoke(int device, sc_dt::uint64, sc_dt::uint64) {
    ++revocations;
    if (on_revoked) on_revoked(device);
  }
  tlm::tlm_sync_enum on_backward(int device, tlm::tlm_generic_payload& trans, tlm::tlm_phase& phase,
                                 sc_core::sc_time& delay) {
    return backward ? backward(device, trans, phase, delay) : tlm::TLM_ACCEPTED;
  }
};

}  // namespace vtd::test
