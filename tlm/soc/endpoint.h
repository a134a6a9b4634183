// SPDX-License-Identifier: MIT
// A DMA device that checks its own data end to end: every block it writes carries a sequence number, its name and its
// address, and is read back and compared later. A lost, duplicated or misdirected transfer is therefore always found.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <systemc>
#include <tlm>
#include <vector>

#include <tlm_utils/simple_initiator_socket.h>

#include "tlm/soc/register_device.h"
#include "tlm/spec/fault_reason.h"
#include "tlm/spec/types.h"
#include "tlm/unit/dma_extension.h"

namespace vtd::soc {

enum class Pattern : std::uint8_t { kSequential, kRandom };

/// A range of input addresses the stream works in.
struct Window {
  Iova iova = 0;
  std::uint64_t size = 0;  ///< bytes, a multiple of the block size
};

struct EndpointConfig {
  std::string name = "D1";
  SourceId source{};                ///< requester id
  std::optional<SourceId> alias{};  ///< of a bridge that speaks for the device: its requests carry this one
  unsigned unit = 0;
  bool unplugged = false;        ///< not on the bus until it is plugged in
  bool non_pci = false;          ///< no bus mastering to switch off
  unsigned pasid_bits = 0;       ///< width of its PASIDs, 0 none, at most 20
  std::optional<Pasid> pasid{};  ///< of the stream's requests
  bool ats = false;              ///< has a device TLB
  bool page_requests = false;    ///< with ATS: asks for pages that are not mapped
  unsigned tlb_entries = 64;     ///< of the device TLB
  std::vector<Window> windows;
  Pattern pattern = Pattern::kSequential;
  std::uint32_t block = 256;                       ///< bytes, 64..65536, a multiple of 8
  unsigned outstanding = 4;                        ///< requests in flight, 1..64
  sc_core::sc_time interval{100, sc_core::SC_NS};  ///< of one worker, between two requests
  bool ignore_bus_master = false;                  ///< a broken device: goes on when bus-mastering is off
  std::uint64_t seed = 1;
};

struct StreamStatistics {
  std::uint64_t writes = 0;
  std::uint64_t reads = 0;
  std::uint64_t bytes_written = 0;
  std::uint64_t bytes_read = 0;
  std::uint64_t blocks_checked = 0;
  std::uint64_t mismatches = 0;
  std::map<FaultReason, std::uint64_t> faults;
  std::uint64_t bus_errors = 0;
  sc_core::sc_time latency_sum;
  sc_core::sc_time latency_max;
  [[nodiscard]] std::uint64_t transfers() const { return writes + reads; }
  [[nodiscard]] std::uint64_t faulted() const;
};

/// Outcome of one DMA.
struct DmaOutcome {
  bool ok = false;
  FaultReason fault = FaultReason::kNone;  ///< when a unit refused it
  std::optional<Pasid> pasid{};            ///< of the request
  sc_core::sc_time latency;
};

/// Length of a slice of Endpoint::throughput(), picoseconds.
inline constexpr std::uint64_t kThroughputSlicePs = 10'000'000;

class AtsEndpoint;

class Endpoint : public RegisterDevice {
 public:
  tlm_utils::simple_initiator_socket<Endpoint> dma{"dma"};

  /// Throws std::invalid_argument for a block or window that does not fit.
  Endpoint(sc_core::sc_module_name name, const EndpointConfig& config);

  [[nodiscard]] const EndpointConfig& config() const { return config_; }
  /// Forgets what was written. Throws std::logic_error while requests are in flight.
  void set_windows(std::vector<Window> windows);
  /// Starts and stops the stream. stop() returns when no request is in flight; call it from an SC_THREAD.
  void start();
  void stop();
  /// The stream ends by itself when every worker has done `transfers` / outstanding transfers since construction, so
  /// that the work done does not depend on timing. 0: endless.
  void finish_at(std::uint64_t transfers);
  /// Waits until the stream has ended by itself. False: not within `timeout`.
  bool wait_finished(const sc_core::sc_time& timeout);
  /// Transfers that the stream has tried since construction, refused ones included.
  [[nodiscard]] std::uint64_t attempts() const;
  [[nodiscard]] bool running() const { return running_; }
  [[nodiscard]] unsigned in_flight() const { return in_flight_; }

  /// One DMA, from an SC_THREAD, with the bus-master gate like the stream's.
  DmaOutcome access(Iova iova, std::uint8_t* data, std::uint32_t bytes, Access kind) {
    return access(iova, data, bytes, kind, config_.pasid);
  }
  DmaOutcome access(Iova iova, std::uint8_t* data, std::uint32_t bytes, Access kind, std::optional<Pasid> pasid);
  /// Requester id that its requests carry.
  [[nodiscard]] SourceId requester() const { return config_.alias.value_or(config_.source); }
  /// The bus was numbered anew.
  void renumber(SourceId source);
  /// Unplugged, it does no DMA and its registers say that nothing is there; plugged in again it is as after power-on.
  void plug(bool in);
  [[nodiscard]] bool plugged() const { return plugged_; }
  /// Asleep (D3), it does no DMA and its TLB answers no invalidation.
  void sleep(bool asleep);

  /// Gives the device its TLB; `tlb` must outlive the endpoint. With ATS enabled, requests go through it.
  void set_tlb(AtsEndpoint& tlb) { tlb_ = &tlb; }

  /// Counts go to the bucket of the phase in which a transfer ends.
  void set_phase(std::size_t phase);
  [[nodiscard]] const StreamStatistics& total() const { return total_; }
  /// Longest latency since begin_window().
  void begin_window() { window_latency_max_ = sc_core::SC_ZERO_TIME; }
  [[nodiscard]] const sc_core::sc_time& window_latency_max() const { return window_latency_max_; }
  [[nodiscard]] const std::vector<StreamStatistics>& phases() const { return phases_; }
  /// Bytes that were moved in each slice of kThroughputSlicePs of simulated time, from time 0 to the last transfer.
  [[nodiscard]] const std::vector<std::uint64_t>& throughput() const { return throughput_; }
  /// What is wrong with the data of the stream, in words, first errors only.
  [[nodiscard]] const std::vector<std::string>& complaints() const { return complaints_; }

  /// Compares every block of the stream with memory directly. `read8` reads 8 bytes at an IOVA by the intended map.
  void check_memory(const std::function<std::uint64_t(Iova)>& read8);

  /// One line a transfer, for traces; called when it ends.
  using Listener = std::function<void(const Endpoint&, Iova, Access, std::uint32_t bytes, const DmaOutcome&)>;
  void on_transfer(Listener listener) { listeners_.push_back(std::move(listener)); }
  /// Called when a transfer begins and when it has ended.
  void on_activity(std::function<void(const Endpoint&)> listener) { on_activity_.push_back(std::move(listener)); }
  /// Power was lost: the stream stops, bus mastering is as after power-on.
  void power_off();

 protected:
  std::uint64_t read(std::uint64_t offset, unsigned bytes) override;
  void write(std::uint64_t offset, std::uint64_t value, unsigned bytes) override;

 private:
  struct Slot {
    Iova iova = 0;
    std::uint64_t sequence = 0;  ///< of the block that memory must hold; 0: never written
    bool uncertain = false;      ///< a faulted write may have left it in parts
  };
  void work(unsigned worker);
  void one_transfer(unsigned worker, std::uint64_t turn);
  [[nodiscard]] bool worker_finished(unsigned worker) const;
  void complain(const std::string& text);
  void count(Access kind, std::uint32_t bytes, const DmaOutcome& outcome);
  [[nodiscard]] bool gated() const { return !plugged_ || asleep_ || (!bus_master_ && !config_.ignore_bus_master); }
  void switched();
  DmaOutcome send(Iova iova, std::uint8_t* data, std::uint32_t bytes, Access kind, std::optional<Pasid> pasid);

  EndpointConfig config_;
  bool bus_master_ = true;
  bool ats_enabled_ = false;
  bool pri_enabled_ = false;
  bool asleep_ = false;
  bool plugged_ = true;
  AtsEndpoint* tlb_ = nullptr;
  bool running_ = false;
  unsigned in_flight_ = 0;
  sc_core::sc_event changed_;
  std::vector<Slot> slots_;
  std::vector<std::mt19937_64> random_;  ///< one a worker, so that their order does not matter
  std::vector<std::uint64_t> turns_;     ///< transfers tried, by worker
  std::uint64_t finish_at_ = 0;          ///< a worker's turns, 0 endless
  std::size_t phase_ = 0;
  sc_core::sc_time window_latency_max_;
  StreamStatistics total_;
  std::vector<StreamStatistics> phases_{1};
  std::vector<std::uint64_t> throughput_;
  std::vector<std::string> complaints_;
  std::vector<Listener> listeners_;
  std::vector<std::function<void(const Endpoint&)>> on_activity_;
};

}  // namespace vtd::soc
