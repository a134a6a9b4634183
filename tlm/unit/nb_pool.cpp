// SPDX-License-Identifier: MIT
#include "tlm/unit/nb_pool.h"

#include <stdexcept>

namespace vtd {

NbPool::NbPool(sc_core::sc_module_name name, std::size_t ports, unsigned processes, Serve serve, Backward backward)
    : sc_module(name), serve_(std::move(serve)), backward_(std::move(backward)), ports_(ports) {
  if (processes == 0) throw std::invalid_argument("nb_processes must be at least 1");
  for (unsigned i = 0; i < processes; ++i) sc_core::sc_spawn([this] { work(); }, sc_core::sc_gen_unique_name("server"));
}

tlm::tlm_sync_enum NbPool::forward(std::size_t port, tlm::tlm_generic_payload& trans, tlm::tlm_phase& phase,
                                   sc_core::sc_time& delay) {
  if (phase == tlm::BEGIN_REQ) {
    trans.acquire();
    requests_.push_back({port, &trans, sc_core::sc_time_stamp() + delay});
    arrived_.notify(sc_core::SC_ZERO_TIME);
    return tlm::TLM_ACCEPTED;
  }
  Port& p = ports_[port];
  if (phase != tlm::END_RESP || p.responding != &trans) {
    trans.set_response_status(tlm::TLM_GENERIC_ERROR_RESPONSE);
    return tlm::TLM_ACCEPTED;
  }
  p.ended.notify(delay);
  return tlm::TLM_COMPLETED;
}

void NbPool::work() {
  for (;;) {
    while (requests_.empty()) sc_core::wait(arrived_);
    const Request request = requests_.front();
    requests_.pop_front();
    if (request.arrival > sc_core::sc_time_stamp()) sc_core::wait(request.arrival - sc_core::sc_time_stamp());
    end_request(request);
    sc_core::sc_time delay = sc_core::SC_ZERO_TIME;
    serve_(request.port, *request.trans, delay);
    if (delay > sc_core::SC_ZERO_TIME) sc_core::wait(delay);
    respond(request);
    request.trans->release();
  }
}

void NbPool::end_request(const Request& request) {
  tlm::tlm_phase phase = tlm::END_REQ;
  sc_core::sc_time delay = sc_core::SC_ZERO_TIME;
  backward_(request.port, *request.trans, phase, delay);
}

void NbPool::respond(const Request& request) {
  Port& port = ports_[request.port];
  while (port.responding != nullptr) sc_core::wait(port.freed);
  port.responding = request.trans;
  tlm::tlm_phase phase = tlm::BEGIN_RESP;
  sc_core::sc_time delay = sc_core::SC_ZERO_TIME;
  const auto answer = backward_(request.port, *request.trans, phase, delay);
  if (answer == tlm::TLM_ACCEPTED)
    sc_core::wait(port.ended);
  else if (delay > sc_core::SC_ZERO_TIME)
    sc_core::wait(delay);
  port.responding = nullptr;
  port.freed.notify(sc_core::SC_ZERO_TIME);
}

}  // namespace vtd
