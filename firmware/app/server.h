// SPDX-License-Identifier: MIT
// The mailbox command server: what an operator, here the scenario, asks of the firmware (tlm/spec/platform.h).
#pragma once

#include "firmware/liveupdate/live_update.h"

namespace vtd::fw {

/// The word that PlantGlobal writes: private to the running image, so a fresh image must read 0.
extern std::uint64_t g_planted;

class Server {
 public:
  static constexpr std::size_t kArgs = platform::mailbox::kArgs;
  using Args = std::array<std::uint64_t, kArgs>;
  struct Reply {
    Status status = Status::kOk;
    std::array<std::uint64_t, platform::mailbox::kResults> results{};
  };

  Server(Iommu& iommu, LiveUpdate& live_update) : iommu_(iommu), live_update_(live_update) {}

  /// Serves commands for ever.
  [[noreturn]] void run();
  /// One command, without the mailbox registers.
  [[nodiscard]] Reply execute(platform::Command command, const Args& args);

 private:
  void serve_one();
  [[nodiscard]] Reply change_mappings(platform::Command command, const Args& args);
  [[nodiscard]] Reply change_sessions(platform::Command command, const Args& args);
  [[nodiscard]] Reply move_on(platform::Command command, const Args& args);
  [[nodiscard]] Reply query(std::uint64_t what, std::uint64_t id);
  [[nodiscard]] Reply query_device(platform::Query what, std::uint64_t id);
  [[nodiscard]] Reply query_allocator();
  [[nodiscard]] Status protect_memory(PhysAddr base, std::uint64_t size);
  [[nodiscard]] Reply drain_all_faults();
  [[nodiscard]] Reply unmap(const Args& args);

  Iommu& iommu_;
  LiveUpdate& live_update_;
};

}  // namespace vtd::fw
