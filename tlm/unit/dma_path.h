// SPDX-License-Identifier: MIT
// From a transaction on a dma socket to translated transactions on the memory socket.
#pragma once

#include <functional>
#include <systemc>
#include <tlm>
#include <vector>

#include "tlm/core/unit.h"
#include "tlm/unit/dma_extension.h"
#include "tlm/unit/host_adapter.h"
#include "tlm/unit/memory_port.h"
#include "tlm/unit/statistics.h"
#include "tlm/unit/unit_config.h"

namespace vtd {

class DmaPath {
 public:
  DmaPath(const UnitConfig& config, UnitCore& core, HostAdapter& host, MemoryPort& memory, UnitStatistics& statistics)
      : config_(config),
        core_(core),
        host_(host),
        memory_(memory),
        statistics_(statistics),
        granted_(config.dma_ports.size(), Granted::kNothing) {}

  /// b_transport of socket `port`.
  void transport(std::size_t port, tlm::tlm_generic_payload& trans, sc_core::sc_time& delay);
  /// transport_dbg of socket `port`: the bytes that were translated and served.
  unsigned debug(std::size_t port, tlm::tlm_generic_payload& trans);
  /// get_direct_mem_ptr of socket `port`.
  bool direct(std::size_t port, tlm::tlm_generic_payload& trans, tlm::tlm_dmi& dmi);
  /// Takes every grant back: calls `invalidate` with each socket that has one.
  void revoke(const std::function<void(std::size_t port)>& invalidate);
  /// No DMI from now on: somebody wants to see every transaction.
  void forbid_direct() { direct_allowed_ = false; }

 private:
  enum class Granted : std::uint8_t { kNothing, kSomething };

  /// At most one page of a transaction.
  struct Piece {
    DmaRequest request{};
    std::span<unsigned char> data{};
    std::span<unsigned char> byte_enables{};
  };

  /// The request that the whole transaction stands for; nullopt, with the error response set, if it is not legal.
  std::optional<DmaRequest> whole_request(std::size_t port, tlm::tlm_generic_payload& trans);
  [[nodiscard]] std::optional<SourceId> source_of(std::size_t port, const DmaExtension* extension) const;
  void move(const DmaRequest& whole, tlm::tlm_generic_payload& trans, LocalTime& time);
  tlm::tlm_response_status move_piece(const Piece& piece, DmaExtension* extension, LocalTime& time);
  tlm::tlm_response_status forward(const Piece& piece, const Translation& translation, LocalTime& time);
  tlm::tlm_response_status send_interrupt(const Translation& translation, SourceId source, LocalTime& time);
  [[nodiscard]] LocalTime::Mode local_mode() const {
    return config_.mode == TimingMode::kCycleTrue ? LocalTime::Mode::kWait : LocalTime::Mode::kAnnotate;
  }

  const UnitConfig& config_;
  UnitCore& core_;
  HostAdapter& host_;
  MemoryPort& memory_;
  UnitStatistics& statistics_;
  std::vector<Granted> granted_;  ///< by socket
  bool direct_allowed_ = true;
};

}  // namespace vtd
