// SPDX-License-Identifier: MIT
// A DMA engine that a guest drives: a ring of descriptors that copy, fill, generate and check; and live DMA that goes
// on until somebody stops it. Registers and descriptors: tlm/spec/dma_engine.h.
#pragma once

#include <cstdint>
#include <vector>

#include "tlm/soc/pci_function.h"
#include "tlm/spec/dma_engine.h"

namespace vtd::soc {

/// Descriptors are taken in order; up to `outstanding` are under way at once, and end in any order.
class DmaEngine final : public PciEndpoint {
 public:
  explicit DmaEngine(sc_core::sc_module_name name, unsigned outstanding = 4);

  [[nodiscard]] std::uint64_t bar_read(std::uint64_t offset, unsigned bytes) override;
  void bar_write(std::uint64_t offset, std::uint64_t value, unsigned bytes) override;
  void tick(std::uint64_t microseconds) override;
  [[nodiscard]] std::uint64_t next_tick() const override;

 private:
  /// What software sees; gone with a reset.
  struct Registers {
    std::uint64_t control = 0;
    std::uint64_t ring_base = 0;
    std::uint64_t ring_size = 0;
    std::uint64_t tail = 0;
    std::uint64_t head = 0;
    bool ring_fault = false;
    std::uint64_t completed = 0;
    std::uint64_t failed = 0;
    std::uint64_t live_address = 0;
    std::uint64_t live_period = 0;
    std::uint64_t live_ok = 0;
    std::uint64_t live_failed = 0;
  };
  struct Outcome {
    dma_engine::Error error = dma_engine::Error::kNone;
    std::uint64_t detail = 0;
  };

  void on_reset() override;
  void on_config() override;
  [[nodiscard]] std::uint64_t read_register(std::uint64_t offset) const;
  void write_register(std::uint64_t offset, std::uint64_t value);
  void work();
  [[nodiscard]] bool work_waits() const;
  void one_descriptor();
  void ring_fault(std::uint64_t index);
  Outcome perform(const dma_engine::Descriptor& descriptor);
  void live();

  Registers registers_;
  std::uint64_t life_ = 0;  ///< counts resets: what was under way before one must not touch what comes after
  unsigned under_way_ = 0;  ///< descriptors of this life
  sc_core::sc_event changed_{"changed"};
  std::uint64_t live_passed_ = 0;  ///< microseconds since the last attempt
  bool live_due_ = false;
  sc_core::sc_event live_event_{"live"};
};

}  // namespace vtd::soc
