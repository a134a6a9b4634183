// SPDX-License-Identifier: MIT
// Clocks one walker for many callers (design: "Coupling: burst stepping").
//
// Clock edges lie at the multiples of the period. What arrives at time t, a request or data from memory, is taken
// at the first edge after t, never at t: the result does not depend on the order of processes at t. Requests of
// the same time are ordered by address. Results are delivered, and reads issued, at the time of their edge.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <systemc>
#include <variant>
#include <vector>

#include "tlm/core/walker.h"
#include "tlm/unit/unit_config.h"

namespace vtd {

/// Where walks read paging entries.
class WalkMemory {
 public:
  struct Direct {
    std::uint64_t data = 0;
    unsigned latency = 0;  ///< cycles; 0: the edge after the one that took the read has the data
  };
  virtual ~WalkMemory() = default;
  /// The entry, if memory can be read without a transaction. Never suspends.
  [[nodiscard]] virtual std::optional<Direct> read_direct(PhysAddr address) = 0;
  /// The entry by a transaction; nullopt: bus error. May suspend.
  [[nodiscard]] virtual std::optional<std::uint64_t> read_entry(PhysAddr address, SourceId source, Iova iova) = 0;
  /// Compare-exchange without a transaction; `data` is what was there. Never suspends.
  [[nodiscard]] virtual std::optional<Direct> update_direct(PhysAddr address, std::uint64_t expected,
                                                            std::uint64_t desired) = 0;
  /// The same by a transaction; nullopt: bus error. May suspend.
  [[nodiscard]] virtual std::optional<std::uint64_t> update_entry(PhysAddr address, std::uint64_t expected,
                                                                  std::uint64_t desired, SourceId source,
                                                                  Iova iova) = 0;
};

class WalkService : public sc_core::sc_module {
 public:
  /// `period_ps` > 0. `memory` must outlive the service.
  WalkService(sc_core::sc_module_name name, std::unique_ptr<Walker> walker, std::uint64_t period_ps, Stepping stepping,
              WalkMemory& memory);
  ~WalkService() override;

  /// Suspends the calling SC_THREAD until the walk has ended. Requests wait in order while the walker is full.
  /// `source` only labels transactions. After reset() the result means nothing.
  [[nodiscard]] WalkResponse walk(const WalkRequest& request, SourceId source);
  /// Suspends the calling SC_THREAD until the invalidation is complete, or the service is reset. One after the other.
  void invalidate(const WalkInvalidation& invalidation);
  /// Drops all walks and invalidations; their callers return.
  void reset();

  /// Time of the edge that the walker performs, or performed last.
  [[nodiscard]] std::uint64_t edge_ps() const { return last_edge_ * period_ps_; }
  [[nodiscard]] std::uint64_t completed() const { return completed_; }
  [[nodiscard]] unsigned in_flight() const { return in_flight_count_; }  ///< inside the walker
  [[nodiscard]] unsigned in_flight_max() const { return in_flight_max_; }
  [[nodiscard]] std::size_t queued_max() const { return queued_max_; }  ///< waiting for the walker
  [[nodiscard]] std::uint64_t edges_clocked() const { return edges_clocked_; }
  [[nodiscard]] std::uint64_t activations() const { return activations_; }  ///< of the clocking process
  [[nodiscard]] Walker& walker() { return *walker_; }

 private:
  using Edge = std::uint64_t;  ///< edge number n lies at n * period

  struct Job {
    WalkRequest request{};
    SourceId source{};
    std::uint64_t arrival_ps = 0;
    WalkResponse response{};
    bool done = false;
    bool abandoned = false;  ///< its caller was killed
    sc_core::sc_event finished;
  };
  struct Invalidating {
    WalkInvalidation invalidation{};
    std::uint64_t arrival_ps = 0;
    bool accepted = false;
    bool done = false;
    sc_core::sc_event finished;
  };
  /// The answer of memory to a read or an update, which are ordered apart.
  template <typename Response>
  struct Arrival {
    Edge due = 0;
    Response response{};
  };
  template <typename Response>
  using Arrivals = std::vector<Arrival<Response>>;  ///< sorted by due edge and id, next last
  /// A read or an update that needs a transaction.
  struct Read {
    std::variant<MemoryRequest, UpdateRequest> request{};
    SourceId source{};
    Iova iova = 0;
    std::uint64_t generation = 0;
  };

  void step();
  [[nodiscard]] std::uint64_t burst_end(std::uint64_t now) const;
  [[nodiscard]] std::optional<Edge> next_active_edge() const;
  void clock(Edge edge);
  void offer(std::uint64_t edge_ps);
  void take_read(Edge edge, const MemoryRequest& request);
  void take_update(Edge edge, const UpdateRequest& request);
  void take_response(const WalkResponse& response);
  /// Makes the effects of the last edge visible to other processes; true if there were any.
  bool publish();
  [[nodiscard]] bool unpublished() const { return !ended_.empty() || !issued_.empty() || invalidated_; }

  void serve_reads(unsigned reader);
  void assign_reads();
  void serve(const Read& read, const MemoryRequest& request);
  void serve(const Read& read, const UpdateRequest& request);
  template <typename Response>
  static void add_arrival(Arrivals<Response>& arrivals, Edge due, const Response& response);
  [[nodiscard]] Edge edge_after(std::uint64_t ps) const { return ps / period_ps_ + 1; }

  Job& new_job();
  void release(Job& job);
  void end_invalidation();
  void end(Job& job, const WalkResponse& response);
  static bool before(const Job& a, const Job& b);

  std::unique_ptr<Walker> walker_;
  std::uint64_t period_ps_;
  Stepping stepping_;
  WalkMemory& memory_;

  sc_core::sc_event kick_;
  Edge last_edge_ = 0;            ///< clocked last
  Edge next_edge_ = 0;            ///< not yet clocked, not yet known to be quiescent
  std::uint64_t effects_ps_ = 0;  ///< time of the edge whose effects are unpublished

  std::vector<std::unique_ptr<Job>> jobs_;  ///< all ever made
  std::vector<Job*> free_jobs_;
  std::deque<Job*> queue_;        ///< by arrival, then address
  Job* offered_ = nullptr;        ///< shown to the walker until it accepts
  std::vector<Job*> in_flight_;   ///< by walk id
  std::vector<WalkId> free_ids_;  ///< sorted, smallest last
  Arrivals<MemoryResponse> arrivals_;
  Arrivals<UpdateResponse> update_arrivals_;
  std::deque<Invalidating*> invalidations_;  ///< in order; they live in their callers
  bool invalidated_ = false;                 ///< the last edge completed the first of them
  std::vector<Job*> ended_;                  ///< answered by the last edge, caller not yet woken
  std::vector<Read> issued_;                 ///< asked for by the last edge, no transaction yet
  std::deque<Read> reads_;                   ///< for the next reader that is free
  std::deque<sc_core::sc_event> reader_events_;
  std::vector<unsigned> idle_readers_;
  std::uint64_t generation_ = 0;  ///< number of resets

  std::uint64_t completed_ = 0;
  std::uint64_t edges_clocked_ = 0;
  std::uint64_t activations_ = 0;
  unsigned in_flight_count_ = 0;
  unsigned in_flight_max_ = 0;
  std::size_t queued_max_ = 0;
};

}  // namespace vtd
