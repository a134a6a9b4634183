// SPDX-License-Identifier: MIT
// One VT-d remapping unit as a TLM-2.0 block: sockets and time around vtd::UnitCore.
//
// Units use the kernel's default time resolution of 1 ps. To let RTL walkers run in bursts, start the simulation
// with vtd::run() (tlm/unit/simulation.h).
#pragma once

#include <functional>
#include <memory>
#include <systemc>
#include <tlm>
#include <vector>

#include <tlm_utils/simple_initiator_socket.h>
#include <tlm_utils/simple_target_socket.h>

#include "tlm/core/unit.h"
#include "tlm/unit/ats_device.h"
#include "tlm/unit/dma_extension.h"
#include "tlm/unit/memory_tag.h"
#include "tlm/unit/statistics.h"
#include "tlm/unit/unit_config.h"
#include "tlm/unit/walk_service.h"

namespace vtd {

class WaveFile;
class RtlWalker;

class RemappingUnit : public sc_core::sc_module {
 public:
  using DmaSocket = tlm_utils::simple_target_socket_tagged<RemappingUnit>;

  /// Throws std::invalid_argument for a profile, cache geometry or timing that cannot be built.
  RemappingUnit(sc_core::sc_module_name name, const UnitConfig& config);
  ~RemappingUnit() override;

  /// Registers, byte offsets 0..0xFFF; 4 or 8 bytes, naturally aligned. Never waits; debug access reads only.
  tlm_utils::simple_target_socket<RemappingUnit> mmio;
  /// Requests of devices, one socket per entry of UnitConfig::dma_ports. Cut at 4 KiB. A piece that faults ends the
  /// transaction with TLM_ADDRESS_ERROR_RESPONSE; pieces before it have been delivered. A bus error of memory is
  /// passed on. transport_dbg uses tables in memory, changes and waits for nothing.
  sc_core::sc_vector<DmaSocket> dma;
  /// Tables, descriptors, wait status, translated data, interrupt messages; every transaction has a MemoryTag.
  tlm_utils::simple_initiator_socket<RemappingUnit> memory;

  /// Connects a device with ATS or PRI; it must outlive the unit. Without it invalidation requests to `source` time out
  /// and page responses are lost.
  void attach(SourceId source, AtsDevice& device);
  /// A device's answer to an invalidation request. Never suspends.
  void device_answered(DeviceTag tag, DeviceAnswer answer);
  /// A page request (PRI) of a device, from an SC_THREAD. Suspends until it is in the queue, or was answered through
  /// AtsDevice::respond().
  void page_request(const PageRequest& request);
  /// Unit reset, at once. Requests in flight are refused, nothing is recorded.
  void reset(ResetKind kind);
  /// Adds a listener; it must outlive the unit.
  void add_observer(Observer& observer);
  /// Shows the unit, and its RTL walker, in `waves`. Before waves.start() and before the simulation.
  void set_waves(WaveFile& waves);
  /// Makes every `step` take so much longer, for stories of a slow unit.
  void slow(Step step, const sc_core::sc_time& extra);

  [[nodiscard]] const UnitStatistics& statistics() const;
  /// How often the walker counted the event since its reset, modulo 2^32; 0 with the C++ walker, which counts nothing.
  [[nodiscard]] std::uint32_t walker_count(WalkerEvent event) const;
  [[nodiscard]] UnitCore& core();
  [[nodiscard]] const UnitCore& core() const;
  [[nodiscard]] const WalkService& walks() const;
  [[nodiscard]] const UnitConfig& config() const;

 private:
  struct Impl;

  // ---- socket callbacks ----
  void mmio_transport(tlm::tlm_generic_payload& trans, sc_core::sc_time& delay);
  unsigned mmio_debug(tlm::tlm_generic_payload& trans);
  void dma_transport(int port, tlm::tlm_generic_payload& trans, sc_core::sc_time& delay);
  tlm::tlm_sync_enum dma_nb_transport(int port, tlm::tlm_generic_payload& trans, tlm::tlm_phase& phase,
                                      sc_core::sc_time& delay);
  unsigned dma_debug(int port, tlm::tlm_generic_payload& trans);
  bool dma_direct(int port, tlm::tlm_generic_payload& trans, tlm::tlm_dmi& dmi);
  void memory_invalidated(sc_dt::uint64 first, sc_dt::uint64 last);

  std::unique_ptr<Impl> impl_;
};

}  // namespace vtd
