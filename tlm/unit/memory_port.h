// SPDX-License-Identifier: MIT
// The unit's way to memory: transactions with a MemoryTag, and direct pointers for the walker's reads.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <systemc>
#include <tlm>
#include <vector>

#include "tlm/unit/memory_tag.h"
#include "tlm/unit/walk_service.h"

namespace vtd {

/// One transaction of the unit.
struct MemoryAccess {
  tlm::tlm_command command = tlm::TLM_READ_COMMAND;
  PhysAddr address = 0;
  std::span<unsigned char> data{};
  std::span<unsigned char> byte_enables{};  ///< empty: all bytes
  MemoryKind kind = MemoryKind::kTable;
  SourceId source{};
  Iova iova = 0;
  std::uint64_t expected = 0;    ///< kUpdate
  std::optional<Pasid> pasid{};  ///< kDma
  bool translated = false;       ///< kDma
};

class MemoryPort final : public WalkMemory {
 public:
  /// `out` is a bound initiator socket's forward interface, asked for at each access.
  using Out = std::function<tlm::tlm_fw_transport_if<>&()>;
  /// The latencies, in cycles, are of direct accesses for which memory names none.
  MemoryPort(Out out, std::uint64_t period_ps, unsigned direct_latency, unsigned update_latency)
      : out_(std::move(out)), period_ps_(period_ps), direct_latency_(direct_latency), update_latency_(update_latency) {}

  /// b_transport with the caller's local time. Suspends if memory does.
  tlm::tlm_response_status access(const MemoryAccess& access, sc_core::sc_time& delay);
  /// As access, then waits for the delay that memory annotated.
  tlm::tlm_response_status access_and_wait(const MemoryAccess& access);
  /// transport_dbg; the bytes that memory served.
  unsigned debug(const MemoryAccess& access);
  /// get_direct_mem_ptr.
  bool direct(tlm::tlm_command command, PhysAddr address, tlm::tlm_dmi& dmi);

  [[nodiscard]] std::optional<Direct> read_direct(PhysAddr address) override;
  [[nodiscard]] std::optional<std::uint64_t> read_entry(PhysAddr address, SourceId source, Iova iova) override;
  [[nodiscard]] std::optional<Direct> update_direct(PhysAddr address, std::uint64_t expected,
                                                    std::uint64_t desired) override;
  [[nodiscard]] std::optional<std::uint64_t> update_entry(PhysAddr address, std::uint64_t expected,
                                                          std::uint64_t desired, SourceId source, Iova iova) override;
  /// Memory withdrew direct pointers to [first, last], or changed its mind about granting them.
  void invalidated(std::uint64_t first, std::uint64_t last);

 private:
  struct Region {
    PhysAddr first = 0;
    PhysAddr last = 0;
    unsigned char* data = nullptr;  ///< nullptr: no direct access here
    bool writable = false;
    unsigned latency = 0;         ///< of reads, cycles
    unsigned update_latency = 0;  ///< of updates, cycles
    [[nodiscard]] bool holds(PhysAddr address) const {
      return address >= first && address <= last && last - address >= sizeof(std::uint64_t) - 1;
    }
  };
  struct Transaction {
    Transaction() { payload.set_extension(&tag); }
    ~Transaction() { payload.clear_extension(&tag); }  // it is not the payload's to free
    Transaction(const Transaction&) = delete;
    Transaction& operator=(const Transaction&) = delete;
    MemoryTag tag;
    tlm::tlm_generic_payload payload;
  };
  const Region& region_of(PhysAddr address);
  std::unique_ptr<Transaction> prepare(const MemoryAccess& access);
  void recycle(std::unique_ptr<Transaction> transaction);

  Out out_;
  std::uint64_t period_ps_;
  unsigned direct_latency_;
  unsigned update_latency_;
  std::vector<Region> regions_;
  std::size_t last_region_ = 0;
  std::vector<std::unique_ptr<Transaction>> spare_;
};

}  // namespace vtd
