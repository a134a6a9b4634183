// SPDX-License-Identifier: MIT
// A machine with one unit and two endpoints, and the mailbox calls of an update, shared by the platform tests.
#pragma once

#include <gtest/gtest.h>

#include <initializer_list>
#include <vector>

#include "tests/soc/story.h"
#include "tlm/soc/platform.h"

namespace vtd::soc::test {

using platform::Command;
using platform::LifecycleState;
using platform::Status;

inline constexpr SourceId kD1 = make_source_id(1, 0, 0);
inline constexpr SourceId kD2 = make_source_id(1, 1, 0);
inline constexpr Iova kIova = 0x10'0000;
inline constexpr std::uint64_t kBytes = 0x2'0000;                             ///< mapped for each device
inline constexpr std::uint64_t kMemory1 = platform::kGuestBase;               ///< of D1, preserved
inline constexpr std::uint64_t kMemory2 = platform::kGuestBase + 0x100'0000;  ///< of D2, not preserved

inline EndpointConfig endpoint(const char* name, SourceId source) {
  EndpointConfig c;
  c.name = name;
  c.source = source;
  c.windows = {{kIova, kBytes}};
  c.interval = us(1);
  return c;
}

inline PlatformConfig machine_config(CpuKind cpu = CpuKind::kNative) {
  PlatformConfig c;
  c.units.resize(1);
  c.endpoints = {endpoint("D1", kD1), endpoint("D2", kD2)};
  c.cpu = cpu;
  c.firmware_dir = VTD_FIRMWARE_DIR;
  c.policy = platform::policy::kVerify.of(1);
  return c;
}

class Machine : public Platform {
 public:
  explicit Machine(const PlatformConfig& config) : Platform("machine", config), master("master") {
    master.socket.bind(bus().new_input());
  }
  Master master;  ///< registers, for planting bugs

  MailboxReply call(Command command, std::initializer_list<std::uint64_t> args = {}) {
    const std::vector<std::uint64_t> list(args);
    MailboxReply reply = mailbox().call(command, list, ms(2000));
    EXPECT_FALSE(reply.timed_out) << "command " << static_cast<int>(command) << "\n" << cpu().crash();
    return reply;
  }
  /// The command succeeds.
  void must(Command command, std::initializer_list<std::uint64_t> args = {}) {
    EXPECT_EQ(call(command, args).status, Status::kOk) << "command " << static_cast<int>(command) << "\n" << console();
  }
  [[nodiscard]] std::string console() {
    std::string all;
    for (const Uart::Line& line : uart().lines()) all += line.text + "\n";
    return all;
  }
  void wait_ready() { EXPECT_TRUE(mailbox().wait_ready(ms(100))) << console() << cpu().crash(); }

  /// Memory, domain `id` with all of it mapped at kIova, device attached; the monitor knows.
  void map_and_attach(std::uint64_t id, SourceId source, std::uint64_t memory, unsigned perm = 3) {
    must(Command::kAddMemory, {id, memory, kBytes});
    must(Command::kCreateDomain, {id, 4});
    must(Command::kMap, {id, kIova, id, 0, kBytes, perm, 1});
    must(Command::kAttach, {source.value, id});
    monitor().grant(source, kIova, memory, kBytes, {(perm & 1) != 0, (perm & 2) != 0});
  }
  /// D1 with its memory and domain goes into session 1.
  void preserve_d1() {
    must(Command::kClaimOwner, {kD1.value, 99});
    must(Command::kSessionOpen, {1});
    must(Command::kPreserveMemory, {1, 1, 1});
    must(Command::kMarkDomain, {1, 2});
    must(Command::kPreserveIommufd, {1, 2});
    must(Command::kPreserveDevice, {1, 3, kD1.value});
  }
  /// The next image's userspace takes D1, its memory and its domain back.
  void take_over_d1() {
    for (const std::uint64_t token : {1U, 2U, 3U}) must(Command::kRetrieve, {1, token});
    must(Command::kTransferOwner, {kD1.value, 99});
    must(Command::kReclaimDomain, {2});
  }
  /// Takes a page out of the preserved set.
  void lose_page(std::uint64_t page) {
    namespace tracker = platform::tracker;
    const std::uint64_t word = tracker::word(dram().peek(tracker::leaf_entry(resets().tracker(), page)), page);
    dram().poke(word, dram().peek(word) & ~bit(tracker::bit_of(page)));
  }
  /// Freeze, clean, warm reset, next image; D2 loses its rights.
  MailboxReply update() {
    monitor().hold_translation(0, true);
    must(Command::kFreeze);
    monitor().begin_revoke_all(kD2);
    must(Command::kShutdown);
    monitor().end_revoke_all(kD2);
    return call(Command::kReboot);
  }
  std::uint64_t read8_of_d1(Iova iova) { return dram().peek(kMemory1 + (iova - kIova)); }
};

}  // namespace vtd::soc::test
