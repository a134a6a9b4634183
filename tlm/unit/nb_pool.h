// SPDX-License-Identifier: MIT
// nb_transport on top of b_transport: a fixed pool of processes serves requests of all dma sockets. Four-phase base
// protocol; END_REQ is sent when a process takes the request, so a socket has at most one request waiting.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <systemc>
#include <tlm>
#include <vector>

namespace vtd {

class NbPool : public sc_core::sc_module {
 public:
  using Serve = std::function<void(std::size_t port, tlm::tlm_generic_payload&, sc_core::sc_time&)>;
  using Backward = std::function<tlm::tlm_sync_enum(std::size_t port, tlm::tlm_generic_payload&, tlm::tlm_phase&,
                                                    sc_core::sc_time&)>;
  /// `serve` may suspend; `backward` is nb_transport_bw of a socket. `processes` >= 1.
  NbPool(sc_core::sc_module_name name, std::size_t ports, unsigned processes, Serve serve, Backward backward);

  /// nb_transport_fw of socket `port`. The transaction must have a memory manager.
  tlm::tlm_sync_enum forward(std::size_t port, tlm::tlm_generic_payload& trans, tlm::tlm_phase& phase,
                             sc_core::sc_time& delay);

 private:
  struct Request {
    std::size_t port = 0;
    tlm::tlm_generic_payload* trans = nullptr;
    sc_core::sc_time arrival;
  };
  struct Port {
    tlm::tlm_generic_payload* responding = nullptr;  ///< BEGIN_RESP sent, END_RESP not yet received
    sc_core::sc_event ended;                         ///< END_RESP came
    sc_core::sc_event freed;                         ///< the next response may begin
  };
  void work();
  void end_request(const Request& request);
  void respond(const Request& request);

  Serve serve_;
  Backward backward_;
  std::deque<Port> ports_;
  std::deque<Request> requests_;
  sc_core::sc_event arrived_{"arrived"};
};

}  // namespace vtd
