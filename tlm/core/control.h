// SPDX-License-Identifier: MIT
// GCMD and GSTS (VT-d 11.4.4): one function per command bit. Status follows completion, not the write.
#pragma once

#include <cstdint>

#include "tlm/core/invalidation_queue.h"
#include "tlm/core/invalidator.h"
#include "tlm/core/unit_state.h"

namespace vtd {

class Control {
 public:
  Control(UnitState& state, Invalidator& invalidator, InvalidationQueue& queue)
      : state_(state), invalidator_(invalidator), queue_(queue) {}

  /// Software wrote GCMD: starts what changed in the persistent bits and every one-shot bit that is set.
  /// SFL and EAFL (CAP.AFL=0) have no effect and show no status; nor have IRE, SIRTP and CFI without ECAP.IR.
  void command_written(const RegisterWrite& write);
  /// Performs pending commands in order. May suspend.
  void run();
  void reset();

 private:
  enum class Switch : std::uint8_t { kOff, kOn };

  /// GCMD.TE: requests accepted from now on follow the new setting; TES when all earlier ones have left.
  void set_translation(Switch to);
  /// GCMD.SRTP: latches root table and mode; with ESRTPS invalidates context cache and IOTLB.
  void set_root_table(std::uint64_t rtaddr);
  /// GCMD.SIRTP: latches the interrupt remapping table; with ESIRTPS invalidates the interrupt entry cache.
  void set_interrupt_table(std::uint64_t irta);
  /// GCMD.IRE: as TE, for interrupt requests.
  void set_interrupt_remapping(Switch to);
  /// GCMD.CFI.
  void set_compatibility_format(Switch to);
  /// GCMD.QIE.
  void set_queue(Switch to);
  /// GCMD.WBF, with RWBF=1.
  void flush_write_buffer();
  /// ESRTPS=1: false if the unit was reset meanwhile.
  [[nodiscard]] bool invalidate_everything();

  void show(const Field& status, std::uint64_t value) { state_.registers.set_field(RegId::kGSTS, status, value); }

  UnitState& state_;
  Invalidator& invalidator_;
  InvalidationQueue& queue_;
  std::uint64_t commanded_ = 0;  ///< persistent bits as last written
  unsigned unfinished_ = 0;      ///< commands whose status is still to come
  bool running_ = false;
};

}  // namespace vtd
