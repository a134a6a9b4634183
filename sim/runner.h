// SPDX-License-Identifier: MIT
// Plays a scenario on a platform and judges it.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <systemc>
#include <vector>

#include "sim/inject.h"
#include "sim/interleaving.h"
#include "sim/scenario/scenario.h"
#include "tlm/soc/platform.h"

namespace vtd::sim {

/// Exit status of the program (design, "Scenarios").
enum class ExitStatus : int { kAsExpected = 0, kExpectationFailed = 1, kWrongInput = 2, kLimit = 3, kInternal = 4 };

/// Longer than any poll budget of the firmware.
[[nodiscard]] inline sc_core::sc_time command_timeout() {
  return {5, sc_core::SC_SEC};
}
/// Steps that wait, unless they say otherwise.
inline constexpr std::uint64_t kDefaultTimeoutNs = 100'000'000;

/// Counters at one instant, over all units.
struct Snapshot {
  std::uint64_t walks = 0;
  std::uint64_t faults = 0;
  std::uint64_t invalidations = 0;
  std::uint64_t restarts = 0;
  std::uint64_t iotlb_hits = 0;
  std::uint64_t iotlb_misses = 0;
  std::uint64_t context_hits = 0;
  std::uint64_t context_misses = 0;
};
[[nodiscard]] Snapshot operator-(const Snapshot& a, const Snapshot& b);

struct Phase {
  std::string name;
  std::uint64_t begin_ns = 0;
  std::uint64_t end_ns = 0;
  Snapshot counts;  ///< within the phase
};

struct Failure {
  std::uint64_t time_ns = 0;
  std::string where;  ///< file:line:col of the step, or "expect"
  std::string expected;
  std::string happened;
};

struct Outcome {
  std::vector<Phase> phases;
  std::vector<Failure> failures;
  std::vector<std::string> injected;
  std::string impossible;  ///< why an injection could not be planted; the story ended there. Empty: all could
  bool finished = false;   ///< the story came to its end
  std::uint64_t resets = 0;
  std::uint64_t blackout_begin_ns = 0;  ///< last register access of the outgoing image to a unit
  std::uint64_t blackout_end_ns = 0;    ///< first one of the incoming image
  std::uint64_t walks_before = 0;
  std::uint64_t walks_during = 0;
  std::uint64_t walks_after = 0;
  std::uint64_t unit_writes = 0;    ///< to registers of units, since the last reset
  std::uint64_t busy_queues = 0;    ///< invalidation queues, of units that stay on, that were not empty at a reset
  std::uint64_t interleavings = 0;  ///< stores of commands after which requests were tried
};

class Story : public sc_core::sc_module {
 public:
  Story(sc_core::sc_module_name name, const Scenario& scenario, soc::Platform& platform, Injector& injector);

  [[nodiscard]] bool finished() const { return outcome_.finished; }
  /// An injection could not be planted; the story has ended there.
  [[nodiscard]] bool stuck() const { return !outcome_.impossible.empty(); }
  /// The simulator itself failed, now.
  void broke(const std::string& what);
  /// Closes phases and checks the scenario's expectations; after the simulation.
  const Outcome& judge();

 private:
  struct Mapping {
    Iova iova;
    std::uint64_t size;
    PhysAddr address;
    soc::Rights rights;
  };
  /// Requests of a device with this PASID; 0: without.
  struct User {
    std::string device;
    std::uint64_t pasid = 0;
    friend auto operator<=>(const User&, const User&) = default;
  };
  struct DomainTruth {
    std::uint64_t id = 0;
    std::vector<Mapping> mappings;
    std::set<User> users;
  };
  struct MemoryTruth {
    std::uint64_t id = 0;
    PhysAddr base = 0;
    std::uint64_t size = 0;
  };
  struct Preserved {
    std::uint64_t session;
    std::uint64_t token;
    std::string kind;
    std::string name;
  };

  void play();
  void play(const Step& step);
  void begin_phase(const std::string& name);
  void end_phase();
  [[nodiscard]] Snapshot snapshot() const;

  soc::MailboxReply command(const Step& step, platform::Command command, std::vector<std::uint64_t> args);
  bool expect_status(const Step& step, const soc::MailboxReply& reply);
  void fail(const Step& step, const std::string& expected, const std::string& happened);

  // Steps that change what devices may do; each tells the monitor.
  void step_memory(const Step& step);
  void step_domain(const Step& step);
  void step_map(const Step& step);
  void step_unmap(const Step& step);
  static void cut(std::vector<Mapping>& mappings, Iova iova, std::uint64_t size);
  void step_attach(const Step& step);
  void step_pass_through(const Step& step);
  void step_detach(const Step& step);
  void step_session(const Step& step);
  void step_mark_domain(const Step& step);
  void step_destroy_domain(const Step& step);
  void step_take_over(const Step& step);
  void step_replace(const Step& step);
  void step_shutdown(const Step& step);
  void step_reboot(const Step& step);
  void step_crash(const Step& step);
  void boot_next(const Step& step, platform::Command how);
  void step_device(const Step& step);
  void step_interrupt(const Step& step);
  void step_set(const Step& step);
  void step_live_update(const Step& step);
  void step_wait_for(const Step& step);
  void step_drain_faults(const Step& step);
  void step_query(const Step& step);
  void step_dma(const Step& step);
  void step_stream(const Step& step);
  void step_inject(const Step& step);
  void step_systematic(const Step& step);

  /// The rights of these devices were ended by a command that began when `before` was taken.
  void expect_invalidation(const std::vector<soc::Requester>& losing, const Snapshot& before);
  bool expect_outcome(const Step& step, const soc::DmaOutcome& outcome);
  [[nodiscard]] soc::Requester requester(const User& user);
  /// True if a live update brings the attachment over.
  [[nodiscard]] bool stays(const User& user) const;
  void hold_translation(bool hold);
  [[nodiscard]] bool unit_stays(unsigned unit);
  void at_reset();
  void impossible(const std::string& why);
  [[nodiscard]] soc::Endpoint& device(const Step& step);
  [[nodiscard]] std::uint64_t sid(const std::string& device);
  [[nodiscard]] bool is_preserved(const std::string& kind, const std::string& name) const;
  void expect_faults();
  void expect_violations();
  void check_memory();

  const Scenario& scenario_;
  soc::Platform& platform_;
  Injector& injector_;
  std::optional<Interleaving> interleaving_;  ///< of stories that have a `systematic` step
  Outcome outcome_;
  bool phase_open_ = false;
  Snapshot phase_begin_;
  std::map<std::string, DomainTruth> domains_;
  std::map<std::string, MemoryTruth> memories_;
  std::map<User, std::string> attached_;  ///< to a domain; identity: empty
  std::vector<Preserved> preserved_;
  std::map<std::string, std::uint64_t> marked_;  ///< domain -> token
  std::map<std::string, std::array<std::uint64_t, platform::mailbox::kResults>> remembered_;

  std::optional<soc::MailboxReply> background_;
  sc_core::sc_event background_done_;
  sc_core::sc_event state_changed_;
  bool in_blackout_ = false;
  std::uint64_t last_unit_access_ns_ = 0;
  Snapshot at_reset_, at_takeover_;
};

}  // namespace vtd::sim
