// SPDX-License-Identifier: MIT
// What surrounds a walker in the tests: offers walks, plays the memory, takes results, and checks at every edge
// what the contract promises whatever happens inside (tlm/core/walker.h).
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/support/fake_memory.h"
#include "tlm/core/walker.h"

namespace vtd::test {

enum class WalkerUnderTest { kReference, kRtl, kLockstep };
std::string name_of(WalkerUnderTest kind);
/// `seed` decides the values with which RTL registers come up.
std::unique_ptr<Walker> make_walker(WalkerUnderTest kind, const WalkerConfig& config, std::uint32_t seed = 1);

/// The walker broke the contract.
class ContractBroken : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

using Edge = std::uint64_t;

/// How the surroundings behave. Defaults: memory answers at the next edge, everybody is always ready.
struct Surroundings {
  std::function<Edge(const MemoryRequest&)> latency = [](const MemoryRequest&) { return Edge{0}; };  ///< L
  std::function<bool(Edge)> memory_ready = [](Edge) { return true; };
  std::function<bool(Edge)> response_ready = [](Edge) { return true; };
  std::function<bool(Edge)> offers = [](Edge) { return true; };  ///< a waiting walk is offered at this edge
  /// Replaces the answer of the memory; for errors by chance.
  std::function<void(MemoryResponse&)> spoil = [](MemoryResponse&) {};
  // The same of updates.
  std::function<Edge(const UpdateRequest&)> update_latency = [](const UpdateRequest&) { return Edge{0}; };
  std::function<bool(Edge)> update_ready = [](Edge) { return true; };
  std::function<void(UpdateResponse&)> spoil_update = [](UpdateResponse&) {};
  /// Called before every edge: memory may be changed here.
  std::function<void(Edge)> meanwhile = [](Edge) {};
  /// An invalidation to offer, when none is under way.
  std::function<std::optional<WalkInvalidation>(Edge)> invalidation = [](Edge) {
    return std::optional<WalkInvalidation>{};
  };
  std::function<void()> invalidated = [] {};  ///< the last one is complete
  std::function<bool(Edge)> drain = [](Edge) { return false; };
  bool skip_quiescent = false;  ///< do not clock edges that by quiescent() change nothing
};

/// One walk from beginning to end.
struct Walked {
  WalkRequest request;
  WalkResponse response;
  Edge accepted = 0;
  Edge answered = 0;  ///< edge at which the response was taken
  friend bool operator==(const Walked& a, const Walked& b) {
    return a.response == b.response && a.accepted == b.accepted && a.answered == b.answered;
  }
};

class WalkerBench {
 public:
  WalkerBench(Walker& walker, FakeMemory& memory) : walker_(walker), memory_(memory) {}

  Surroundings surroundings;

  /// Runs `requests` in order, as many at once as the walker takes; the bench chooses the ids. Returns them in the
  /// order of the answers. Throws ContractBroken, also when a walk is not answered.
  std::vector<Walked> run(const std::vector<WalkRequest>& requests);
  /// One walk alone.
  WalkResponse run(const WalkRequest& request) { return run(std::vector{request}).front().response; }

  /// Number of reads taken, and the edges of the first and the last.
  [[nodiscard]] std::uint64_t reads() const { return reads_; }
  [[nodiscard]] std::uint64_t updates() const { return updates_; }
  [[nodiscard]] Edge now() const { return edge_; }
  [[nodiscard]] Edge first_read() const { return first_read_; }
  [[nodiscard]] Edge last_read() const { return last_read_; }
  [[nodiscard]] Edge edges_clocked() const { return edges_clocked_; }
  [[nodiscard]] std::size_t most_in_flight() const { return most_in_flight_; }

 private:
  template <typename Request>
  struct Owed {  ///< a read or an update that memory has not answered
    Request request;
    Edge due = 0;
  };
  struct Flight {
    WalkRequest request;
    Edge accepted = 0;
  };
  /// Walks yet to be offered, and what came back.
  struct Progress {
    const std::vector<WalkRequest>& requests;
    std::size_t next = 0;
    std::optional<WalkRequest> offered;
    std::vector<Walked> done;
  };

  void clock(Progress& progress);
  void offer(Progress& progress);
  std::optional<MemoryResponse> answer_of_memory();
  std::optional<UpdateResponse> answer_to_update();
  template <typename Request>
  std::optional<Request> take_due(std::vector<Owed<Request>>& owed);
  void check_shown(const WalkerOutputs& out, const WalkerInputs& in);
  [[nodiscard]] bool owes(WalkId id) const;
  void take_read(const MemoryRequest& request);
  void take_update(const UpdateRequest& request);
  void take_response(const WalkResponse& response, Progress& progress);
  void skip(const Progress& progress);

  Walker& walker_;
  FakeMemory& memory_;
  Edge edge_ = 0;
  std::vector<std::optional<Flight>> flights_;
  std::vector<Owed<MemoryRequest>> owed_;
  std::vector<Owed<UpdateRequest>> owed_updates_;
  std::optional<WalkInvalidation> invalidation_;
  bool invalidating_ = false;
  std::optional<MemoryRequest> stalled_read_;
  std::optional<UpdateRequest> stalled_update_;
  std::optional<WalkResponse> stalled_response_;
  std::uint64_t reads_ = 0;
  std::uint64_t updates_ = 0;
  Edge first_read_ = 0;
  Edge last_read_ = 0;
  Edge edges_clocked_ = 0;
  std::size_t most_in_flight_ = 0;
};

}  // namespace vtd::test
