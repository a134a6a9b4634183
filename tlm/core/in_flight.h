// SPDX-License-Identifier: MIT
// Requests in flight: from acceptance until their data is visible or they were refused (design: "In flight").
#pragma once

#include <cstdint>
#include <list>

#include "tlm/core/host.h"
#include "tlm/core/invalidation.h"
#include "tlm/core/observer.h"
#include "tlm/core/request.h"

namespace vtd {

enum class FlightPhase : std::uint8_t {
  kAccepted,     ///< nothing read yet
  kTranslating,  ///< a pass runs; what it has read belongs to its epoch
  kTranslated,   ///< the address is known, the data not yet visible
  kRefused,      ///< faulted; will not deliver
};

/// Everything the unit knows about one request; lives as long as its Ticket.
struct Flight {
  DmaRequest request{};
  std::uint64_t serial = 0;      ///< order of acceptance
  std::uint64_t generation = 0;  ///< of the unit's last reset before acceptance
  bool remapped = false;         ///< translation (interrupt requests: interrupt remapping) was enabled at acceptance
  FlightPhase phase = FlightPhase::kAccepted;
  Epoch epoch = 0;              ///< of the pass that runs
  InvalidationTag tag{};        ///< domain and page size once known
  bool fault_disabled = false;  ///< FPD of the entries read so far
  bool committed = false;       ///< the pass has done what cannot be undone (an interrupt was posted): no restart
  unsigned restarts = 0;
};

/// The list of requests in flight and the questions that invalidations and commands ask of it.
class InFlight {
 public:
  using Position = std::list<Flight>::iterator;

  InFlight(Host& host, Observer& observer) : host_(host), observer_(observer) {}
  InFlight(const InFlight&) = delete;
  InFlight& operator=(const InFlight&) = delete;

  Position add(const Flight& flight);
  void remove(Position position);

  /// Restarts a request may suffer before it holds back the next covering invalidation.
  static constexpr unsigned kMaxRestarts = 4;
  /// True if a request that was restarted too often is translating and `invalidation` covers it.
  [[nodiscard]] bool holds_back(const Invalidation& invalidation) const;
  /// True if `invalidation`, which began `epoch`, may complete: no covered request still runs an older pass,
  /// and none that it drains is translated but not yet visible.
  [[nodiscard]] bool settled(const Invalidation& invalidation, Epoch epoch) const;
  /// True if every request accepted before `serial` has left the unit or was refused.
  [[nodiscard]] bool drained_before(std::uint64_t serial) const;
  /// True if every page request accepted before `serial` is in the queue or was refused.
  [[nodiscard]] bool page_requests_done_before(std::uint64_t serial) const;
  /// The oldest epoch that a running pass may still ask about; `now` if none runs.
  [[nodiscard]] Epoch oldest_epoch(Epoch now) const;
  [[nodiscard]] std::uint64_t next_serial() const { return next_serial_; }
  [[nodiscard]] std::size_t size() const { return flights_.size(); }

 private:
  Host& host_;
  Observer& observer_;
  std::uint64_t next_serial_ = 0;
  std::list<Flight> flights_;
};

/// One request in flight. Move-only; destroying it says "delivered" or "given up". The unit must outlive it.
class Ticket {
 public:
  Ticket(InFlight& owner, InFlight::Position position) : owner_(&owner), position_(position) {}
  Ticket(Ticket&& other) noexcept : owner_(other.owner_), position_(other.position_) { other.owner_ = nullptr; }
  Ticket& operator=(Ticket&& other) noexcept {
    if (this != &other) {
      end();
      owner_ = other.owner_;
      position_ = other.position_;
      other.owner_ = nullptr;
    }
    return *this;
  }
  Ticket(const Ticket&) = delete;
  Ticket& operator=(const Ticket&) = delete;
  ~Ticket() { end(); }

  /// Ends the request before destruction; the ticket must not be used for anything else afterwards.
  void end() {
    if (owner_ != nullptr) owner_->remove(position_);
    owner_ = nullptr;
  }
  [[nodiscard]] const DmaRequest& request() const { return position_->request; }
  [[nodiscard]] const Flight& flight() const { return *position_; }

 private:
  friend class UnitCore;
  InFlight* owner_;
  InFlight::Position position_;
};

}  // namespace vtd
