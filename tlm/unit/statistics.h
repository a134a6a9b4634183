// SPDX-License-Identifier: MIT
// What a unit counted: for reports and tests. Latency and occupancy come from simulated time.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <map>

#include "tlm/core/observer.h"

namespace vtd {

/// Latencies in cycles, in buckets of powers of two.
class LatencyHistogram {
 public:
  static constexpr unsigned kBuckets = 40;
  /// Bucket 0 holds 0 cycles, bucket n holds [2^(n-1), 2^n).
  void add(std::uint64_t cycles) {
    const auto bucket = static_cast<std::size_t>(std::bit_width(cycles));
    ++buckets_[bucket < kBuckets ? bucket : kBuckets - 1];
    ++count_;
    sum_ += cycles;
    min_ = count_ == 1 || cycles < min_ ? cycles : min_;
    max_ = cycles > max_ ? cycles : max_;
  }
  [[nodiscard]] std::uint64_t count() const { return count_; }
  [[nodiscard]] std::uint64_t sum() const { return sum_; }
  [[nodiscard]] std::uint64_t min() const { return min_; }
  [[nodiscard]] std::uint64_t max() const { return max_; }
  [[nodiscard]] double mean() const {
    return count_ == 0 ? 0.0 : static_cast<double>(sum_) / static_cast<double>(count_);
  }
  [[nodiscard]] const std::array<std::uint64_t, kBuckets>& buckets() const { return buckets_; }

 private:
  std::array<std::uint64_t, kBuckets> buckets_{};
  std::uint64_t count_ = 0;
  std::uint64_t sum_ = 0;
  std::uint64_t min_ = 0;
  std::uint64_t max_ = 0;
};

/// Of one requester. A transaction is what arrived at the socket; the unit splits it at 4 KiB.
struct SourceStatistics {
  std::uint64_t transactions = 0;
  std::uint64_t requests = 0;   ///< pieces of at most one page
  std::uint64_t in_flight = 0;  ///< requests now
  std::uint64_t in_flight_max = 0;
  std::uint64_t bytes_read = 0;     ///< delivered
  std::uint64_t bytes_written = 0;  ///< delivered
  std::uint64_t faults = 0;
  LatencyHistogram latency;  ///< of transactions, cycles
};

/// Transactions that a socket refused before the unit saw a request.
struct RefusalCounters {
  std::uint64_t mmio_command = 0;
  std::uint64_t mmio_size = 0;     ///< neither 4 nor 8 bytes, or streaming
  std::uint64_t mmio_address = 0;  ///< misaligned or outside
  std::uint64_t mmio_byte_enable = 0;
  std::uint64_t dma_command = 0;
  std::uint64_t dma_size = 0;       ///< empty, or streaming
  std::uint64_t dma_no_source = 0;  ///< neither the socket nor an extension names the requester
};

struct UnitStatistics {
  using PerEvent = std::array<std::uint64_t, static_cast<std::size_t>(CacheEvent::kCount)>;
  std::array<PerEvent, static_cast<std::size_t>(CacheId::kCount)> caches{};
  std::map<SourceId, SourceStatistics> sources;
  std::uint64_t walks = 0;            ///< begun
  std::uint64_t walk_reads = 0;       ///< entries read by walks that ended
  std::uint64_t walks_in_flight = 0;  ///< asked for and not yet answered
  std::uint64_t walks_in_flight_max = 0;
  std::uint64_t faults = 0;
  std::uint64_t restarts = 0;
  std::uint64_t invalidations = 0;  ///< completed
  std::uint64_t waits = 0;          ///< wait descriptors completed
  std::uint64_t messages = 0;       ///< interrupt messages of the unit
  std::uint64_t dmi_grants = 0;
  std::uint64_t dmi_revocations = 0;  ///< that reached at least one socket with a grant
  RefusalCounters refused;

  [[nodiscard]] std::uint64_t cache(CacheId id, CacheEvent event) const {
    return caches[static_cast<std::size_t>(id)][static_cast<std::size_t>(event)];
  }
};

/// Fills the part of UnitStatistics that the core's events tell.
class StatisticsObserver final : public Observer {
 public:
  explicit StatisticsObserver(UnitStatistics& statistics) : statistics_(statistics) {}
  void on_accept(const DmaRequest& request) override;
  void on_fault(const Fault& fault) override;
  void on_restart(const DmaRequest& request) override;
  void on_end(const DmaRequest& request) override;
  void on_cache(CacheId id, CacheEvent event, std::uint64_t count) override;
  void on_walk_begin(SourceId source, const WalkRequest& request) override;
  void on_walk_end(SourceId source, const WalkRequest& request, const WalkResponse& response) override;
  void on_invalidation_end(const Invalidation& invalidation) override;
  void on_wait_complete(std::uint32_t status_data) override;

 private:
  UnitStatistics& statistics_;
};

}  // namespace vtd
