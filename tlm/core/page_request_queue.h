// SPDX-License-Identifier: MIT
// The page request queue in memory and its event (VT-d 7.4, 7.5, 11.4.11).
#pragma once

#include <cstdint>

#include "tlm/core/event_message.h"
#include "tlm/core/request.h"
#include "tlm/core/unit_state.h"

namespace vtd {

/// The descriptor that a request becomes (type 1, no private data).
[[nodiscard]] page_request::Entry page_request_descriptor(const PageRequest& request);

class PageRequestQueue {
 public:
  explicit PageRequestQueue(UnitState& state);

  /// Writes the request at PQT and raises the event. When the queue is full, or PRS.PRO is still set, the request is
  /// dropped and PRO set; the last of a group is then answered with success, so that the device tries again.
  /// Requests are written in the order of the calls. May suspend.
  void post(const PageRequest& request);
  /// The unit answers a request itself; only the last of a group gets an answer.
  void answer(const PageRequest& request, PageResponseCode code);

  /// Software wrote PRS, or PECTL.
  void status_written();
  void control_written() { event_.control_written(); }
  void reset();

 private:
  [[nodiscard]] bool full() const;
  void drop(const PageRequest& request);
  void set_cause(const Field& cause);

  UnitState& state_;
  EventMessage event_;
  bool writing_ = false;
};

}  // namespace vtd
