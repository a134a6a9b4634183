// SPDX-License-Identifier: MIT
// The non-blocking interface: phases, more requests than processes, back-pressure on responses.
#include "tests/unit/unit_bench.h"

namespace vtd::test {
namespace {

class Manager : public tlm::tlm_mm_interface {
 public:
  void free(tlm::tlm_generic_payload* trans) override {
    trans->reset();
    ++freed;
  }
  unsigned freed = 0;
};

struct Request {
  explicit Request(Manager& manager) : trans(&manager) {}
  tlm::tlm_generic_payload trans;
  std::uint64_t data = 0;
  std::vector<std::string> phases;
};

class NonBlocking : public testing::Test {
 protected:
  void build(unsigned processes) {
    UnitConfig config;
    config.dma_ports = {kNic, kDisk};
    config.nb_processes = processes;
    bench = std::make_unique<UnitBench>("bench", config);
    bench->tables.attach(kNic, kDomain, bench->table);
    bench->tables.attach(kDisk, kDomain, bench->table);
    for (unsigned page = 0; page < 16; ++page) {
      bench->tables.map(bench->table, page * kPageSize, kData + page * kPageSize);
      bench->memory.set_word(kData + page * kPageSize, 100 + page);
    }
    bench->memory.latency = sc_core::sc_time(20, sc_core::SC_NS);
    bench->backward = [this](int, tlm::tlm_generic_payload& trans, tlm::tlm_phase& phase, sc_core::sc_time&) {
      for (auto& r : requests)
        if (&r.trans == &trans) r.phases.emplace_back(phase.get_name());
      if (phase == tlm::END_REQ) request_free.notify(sc_core::SC_ZERO_TIME);
      if (phase != tlm::BEGIN_RESP) return tlm::TLM_ACCEPTED;
      if (!complete_at_once) {
        owed.push_back(&trans);
        return tlm::TLM_ACCEPTED;
      }
      ++responses;
      return tlm::TLM_COMPLETED;
    };
  }
  void send(std::size_t device, Iova address) {
    Request& r = requests.emplace_back(manager);
    UnitBench::prepare(r.trans, tlm::TLM_READ_COMMAND, address, UnitBench::bytes_of_word(r.data));
    r.trans.acquire();
    tlm::tlm_phase phase = tlm::BEGIN_REQ;
    sc_core::sc_time delay(5, sc_core::SC_NS);
    EXPECT_EQ(bench->devices[device]->nb_transport_fw(r.trans, phase, delay), tlm::TLM_ACCEPTED);
    sc_core::wait(request_free);
  }
  std::unique_ptr<UnitBench> bench;
  Manager manager;
  std::deque<Request> requests;
  std::vector<tlm::tlm_generic_payload*> owed;
  unsigned responses = 0;
  bool complete_at_once = true;
  sc_core::sc_event request_free{"request_free"};
};

TEST_F(NonBlocking, GoesThroughItsPhasesAndReturnsData) {
  build(4);
  bench->go([&] {
    bench->enable();
    send(0, 0x3000);
    send(0, 0x99000);
    sc_core::wait(sc_core::sc_time(5, sc_core::SC_US));
    EXPECT_EQ(requests[0].phases, (std::vector<std::string>{"END_REQ", "BEGIN_RESP"}));
    EXPECT_EQ(requests[0].trans.get_response_status(), tlm::TLM_OK_RESPONSE);
    EXPECT_EQ(requests[0].data, 103U);
    EXPECT_EQ(requests[1].trans.get_response_status(), tlm::TLM_ADDRESS_ERROR_RESPONSE);
    for (auto& r : requests) r.trans.release();
    EXPECT_EQ(manager.freed, 2U);
  });
}

TEST_F(NonBlocking, RequestsRunSideBySideAndWaitWhenThePoolIsBusy) {
  build(4);
  bench->go([&] {
    bench->enable();
    for (unsigned i = 0; i < 12; ++i) send(i % 2, i * kPageSize);
    sc_core::wait(sc_core::sc_time(20, sc_core::SC_US));
    EXPECT_EQ(responses, 12U);
    for (unsigned i = 0; i < 12; ++i) EXPECT_EQ(requests[i].data, 100 + i);
  });
  EXPECT_EQ(bench->unit.statistics().walks_in_flight_max, 4U);
}

TEST_F(NonBlocking, OneResponseAtATimeUntilEndResp) {
  build(4);
  complete_at_once = false;
  bench->go([&] {
    bench->enable();
    for (unsigned i = 0; i < 3; ++i) send(0, i * kPageSize);
    for (unsigned i = 0; i < 3; ++i) {
      sc_core::wait(sc_core::sc_time(5, sc_core::SC_US));
      ASSERT_EQ(owed.size(), i + 1);
      tlm::tlm_phase phase = tlm::END_RESP;
      sc_core::sc_time delay(3, sc_core::SC_NS);
      EXPECT_EQ(bench->devices[0]->nb_transport_fw(*owed[i], phase, delay), tlm::TLM_COMPLETED);
    }
    sc_core::wait(sc_core::sc_time(5, sc_core::SC_US));
    for (auto& r : requests) r.trans.release();
    EXPECT_EQ(manager.freed, 3U);
  });
}

}  // namespace
}  // namespace vtd::test
