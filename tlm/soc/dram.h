// SPDX-License-Identifier: MIT
// The platform's memory: flat, with DMI, and with the troubles that stories inject. Behind a unit with ECAP.C=0 it has
// two views: the CPU's, with lines that its cache has not written back, and that of the unit's table walks.
#pragma once

#include <cstdint>
#include <functional>
#include <random>
#include <set>
#include <span>
#include <systemc>
#include <tlm>
#include <utility>

#include <tlm_utils/simple_target_socket.h>

#include "tlm/unit/memory_tag.h"

namespace vtd::soc {

/// Contents that many places in memory can have at the cost of one, until they are written.
class SharedBlock {
 public:
  static constexpr std::uint64_t kBytes = 0x20'0000;
  /// One word after the other, as `next` says.
  explicit SharedBlock(const std::function<std::uint64_t()>& next);
  ~SharedBlock();
  SharedBlock(const SharedBlock&) = delete;
  SharedBlock& operator=(const SharedBlock&) = delete;
  [[nodiscard]] const std::uint8_t* data() const { return data_; }
  /// A private copy in place of the kBytes at `where`.
  void map_at(std::uint8_t* where) const;

 private:
  int file_ = -1;
  std::uint8_t* data_ = nullptr;
};

/// Zeroed memory that the host backs page by page, as it is used.
class HostMemory {
 public:
  HostMemory() = default;
  explicit HostMemory(std::uint64_t bytes);
  ~HostMemory();
  HostMemory(const HostMemory&) = delete;
  HostMemory& operator=(const HostMemory&) = delete;
  HostMemory(HostMemory&& other) noexcept { swap(other); }
  HostMemory& operator=(HostMemory&& other) noexcept {
    swap(other);
    return *this;
  }
  [[nodiscard]] std::uint64_t size() const { return size_; }
  [[nodiscard]] bool empty() const { return size_ == 0; }
  [[nodiscard]] std::uint8_t* data() { return data_; }
  [[nodiscard]] const std::uint8_t* data() const { return data_; }
  /// All zero again, and unused.
  void clear();
  /// [address, address + bytes) reads as `block` over and over. Only what is not a whole block is backed by the host.
  void fill(std::uint64_t address, std::uint64_t bytes, const SharedBlock& block);
  /// The contents of another one of this size; pages that are zero in both stay unused.
  void copy_from(const HostMemory& other);

 private:
  void swap(HostMemory& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
  }
  std::uint8_t* data_ = nullptr;
  std::uint64_t size_ = 0;
};

class Dram : public sc_core::sc_module {
 public:
  tlm_utils::simple_target_socket<Dram> socket{"socket"};

  /// `bytes` of zeroed memory at address 0; `latency` of every access.
  Dram(sc_core::sc_module_name name, std::uint64_t bytes, const sc_core::sc_time& latency);

  [[nodiscard]] std::uint64_t size() const { return data_.size(); }
  [[nodiscard]] std::uint8_t* data() { return data_.data(); }
  /// Direct view, without time: for loaders, injection and checks. Throws std::out_of_range.
  [[nodiscard]] std::uint64_t peek(std::uint64_t address) const;
  void poke(std::uint64_t address, std::uint64_t value);
  void load(std::uint64_t address, std::span<const std::uint8_t> bytes);
  /// Power was lost: all zero, in memory and in every cache.
  void clear();
  /// What [address, address + bytes) held is lost: it reads as `poison` over and over.
  void lose(std::uint64_t address, std::uint64_t bytes, const SharedBlock& poison);

  // ---- two views ----
  /// From now on CPU writes stay in 64-byte lines until they are written back: by the firmware, or now and then by an
  /// eviction. Table walks see what was written back only; everything else is snooped. No DMI. Before the simulation.
  enum class Evictions : std::uint8_t { kBySeed, kNone };
  void make_non_coherent(std::uint64_t seed, Evictions evictions = Evictions::kBySeed);
  [[nodiscard]] bool coherent() const { return written_back_.empty(); }
  /// The CPU writes [address, address + bytes) through data(): has just done so, or will before anything else happens.
  void cpu_wrote(std::uint64_t address, std::uint64_t bytes);
  /// Writes the lines of [address, address + bytes) back; `bytes` 0: all lines.
  void write_back(std::uint64_t address, std::uint64_t bytes);
  /// The CPU's cache is lost: what was not written back never happened.
  void lose_cache();
  struct CacheCounters {
    std::uint64_t written_back = 0;  ///< lines, on request
    std::uint64_t evicted = 0;
    std::uint64_t lost = 0;
  };
  [[nodiscard]] const CacheCounters& cache_counters() const { return counters_; }

  /// Accesses wait until release().
  void stall();
  void release();
  /// Every access takes `extra` more; SC_ZERO_TIME ends it.
  void slow(const sc_core::sc_time& extra);
  /// Accesses that touch [first, last] answer a bus error; first > last ends it.
  void fail_range(std::uint64_t first, std::uint64_t last);

 private:
  static constexpr std::uint64_t kLine = 64;
  void move(tlm::tlm_generic_payload& trans);
  void compare_exchange(tlm::tlm_generic_payload& trans, MemoryTag& tag);
  /// For a line that becomes dirty: once in a while another one goes to memory without anybody asking.
  void make_room();
  /// Both views get what the CPU's has.
  void write_back_line(std::uint64_t line);
  void transport(tlm::tlm_generic_payload& trans, sc_core::sc_time& delay);
  unsigned debug(tlm::tlm_generic_payload& trans);
  bool direct(tlm::tlm_generic_payload& trans, tlm::tlm_dmi& dmi);
  [[nodiscard]] bool inside(std::uint64_t address, std::uint64_t bytes) const;
  [[nodiscard]] bool failing(std::uint64_t address, std::uint64_t bytes) const;
  /// DMI would bypass trouble, and the second view, so there is none then.
  [[nodiscard]] bool troubled() const;
  void revoke();

  HostMemory data_;                ///< the CPU's view, and the only one of a coherent platform
  HostMemory written_back_;        ///< what table walks see; empty when coherent
  std::set<std::uint64_t> dirty_;  ///< lines in which the views may differ
  Evictions evictions_ = Evictions::kBySeed;
  std::mt19937_64 random_;
  CacheCounters counters_;
  sc_core::sc_time latency_;
  sc_core::sc_time extra_;
  bool stalled_ = false;
  sc_core::sc_event released_;
  std::uint64_t fail_first_ = 1;
  std::uint64_t fail_last_ = 0;
};

}  // namespace vtd::soc
