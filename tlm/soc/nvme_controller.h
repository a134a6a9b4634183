// SPDX-License-Identifier: MIT
// An NVMe 1.4 controller with one namespace in host memory, good enough for an operating system's own driver. Every
// access of queues, PRP lists and data is a DMA request; one MSI.
#pragma once

#include <array>
#include <bitset>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "tlm/soc/dram.h"
#include "tlm/soc/pci_function.h"
#include "tlm/spec/nvme.h"

namespace vtd::soc {

struct NvmeConfig {
  std::uint64_t size_mib = 128;  ///< of the namespace
  unsigned workers = 8;          ///< commands that are under way at once; 1: they end in the order of submission
};

/// Misuse (a doorbell outside its queue) is counted and ignored. A queue entry that cannot be read or written stops
/// the controller with CSTS.CFS. Refused data end their command with Data Transfer Error.
class NvmeController final : public PciEndpoint {
 public:
  static constexpr std::uint64_t kBlock = 512;  ///< bytes of a logical block
  static constexpr unsigned kMaxEntries = 256;  ///< of an I/O queue
  static constexpr unsigned kMaxAdmin = 4096;   ///< entries of an admin queue (AQA)
  static constexpr unsigned kMaxQueues = 8;     ///< I/O queues of each kind
  static constexpr unsigned kMdtsPages = 32;    ///< pages of one command's data

  /// Throws std::invalid_argument for no size or no workers.
  NvmeController(sc_core::sc_module_name name, const NvmeConfig& config);

  [[nodiscard]] std::uint64_t bar_read(std::uint64_t offset, unsigned bytes) override;
  void bar_write(std::uint64_t offset, std::uint64_t value, unsigned bytes) override;

  struct Counters {
    std::uint64_t admin = 0;  ///< commands that ended
    std::uint64_t reads = 0;
    std::uint64_t writes = 0;
    std::uint64_t other = 0;
    std::uint64_t failed = 0;       ///< of all, with a status that is not success
    std::uint64_t data_errors = 0;  ///< of these, Data Transfer Error
    std::uint64_t doorbells_refused = 0;
  };
  [[nodiscard]] const Counters& commands() const { return commands_; }

 private:
  struct CompletionQueue {
    Iova base = 0;
    unsigned entries = 0;
    unsigned head = 0;
    unsigned tail = 0;
    bool phase = true;
    bool interrupts = true;
  };
  struct SubmissionQueue {
    Iova base = 0;
    unsigned entries = 0;
    unsigned head = 0;  ///< what is before it may be overwritten: all of it has been fetched
    unsigned next = 0;  ///< the first entry that no worker has begun to fetch
    unsigned tail = 0;
    std::uint16_t completion = 0;
    std::bitset<kMaxAdmin> fetched{};  ///< of [head, next): workers end their fetches in any order
  };
  /// A command with where it came from.
  struct Taken {
    std::uint16_t queue = 0;
    nvme::Command command{};
  };
  struct Ended {
    nvme::Status status{};
    std::uint32_t result = 0;
  };
  enum class Direction : std::uint8_t { kToHost, kFromHost };
  struct Piece {
    Iova address = 0;
    std::size_t bytes = 0;
  };

  // ---- nvme_controller.cpp: registers, queues, workers ----
  void on_reset() override;
  void on_config() override;
  void write_register(std::uint64_t offset, std::uint32_t value);
  void configure(std::uint32_t value);
  void ring_doorbell(std::uint64_t offset, std::uint32_t value);
  /// Forgets queues and what is under way.
  void stop();
  void fatal();
  [[nodiscard]] bool ready() const;
  void work();
  /// The queue that has a command, taking turns.
  [[nodiscard]] std::optional<std::uint16_t> next_queue();
  void one_command(std::uint16_t queue);
  /// nullopt: nothing is to be completed (an asynchronous event request waits).
  std::optional<Ended> perform(const Taken& taken);
  void complete(const Taken& taken, const Ended& ended);
  void count(const Taken& taken, const Ended& ended);
  void request_interrupt();
  void send_interrupts();

  // ---- nvme_data.cpp: data by PRP ----
  /// The pieces of `bytes` bytes; a status if the PRPs are wrong or cannot be read.
  nvme::Status pieces_of(const nvme::Command& command, std::size_t bytes, std::vector<Piece>& pieces);
  nvme::Status transfer(const nvme::Command& command, std::span<std::uint8_t> data, Direction direction);

  // ---- nvme_commands.cpp ----
  std::optional<Ended> admin(const nvme::Command& command);
  Ended create_cq(const nvme::Command& command);
  Ended create_sq(const nvme::Command& command);
  Ended delete_cq(const nvme::Command& command);
  Ended delete_sq(const nvme::Command& command);
  Ended identify(const nvme::Command& command);
  Ended get_log_page(const nvme::Command& command);
  Ended set_features(const nvme::Command& command);
  Ended get_features(const nvme::Command& command);
  Ended io(const nvme::Command& command);
  Ended read_or_write(const nvme::Command& command, bool write);
  Ended deallocate(const nvme::Command& command);
  [[nodiscard]] std::uint64_t blocks() const { return store_.size() / kBlock; }
  [[nodiscard]] bool in_range(std::uint64_t first, std::uint64_t count) const {
    return first <= blocks() && count <= blocks() - first;
  }

  HostMemory store_;
  std::uint32_t cc_ = 0;
  std::uint32_t csts_ = 0;
  std::uint32_t aqa_ = 0;
  std::uint64_t asq_ = 0;
  std::uint64_t acq_ = 0;
  std::uint32_t masked_ = 0;
  std::map<std::uint16_t, std::shared_ptr<SubmissionQueue>> submission_;  ///< shared with fetches under way
  std::map<std::uint16_t, CompletionQueue> completion_;
  std::uint16_t last_queue_ = 0;
  std::map<std::uint8_t, std::uint32_t> features_;
  unsigned async_waiting_ = 0;
  std::uint64_t life_ = 0;  ///< counts resets: what was under way before one must not touch what comes after
  bool interrupt_wanted_ = false;
  sc_core::sc_event changed_{"changed"};
  sc_core::sc_event interrupt_event_{"interrupt"};
  Counters commands_;
};

}  // namespace vtd::soc
