// SPDX-License-Identifier: MIT
// The platform as the firmware sees it, without SystemC and without the unit's core: sparse memory, registers that
// obey at once, a log of every register access. Records commands; checks nothing by itself.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "firmware/app/server.h"
#include "tlm/spec/capability.h"
#include "tlm/spec/deviation.h"
#include "tlm/spec/firmware_abi.h"
#include "tlm/spec/registers.h"

namespace vtd::fw::test {

/// Thrown out of the firmware when it commands a reset, as the platform does.
struct ResetRequested {};
/// Thrown out of the firmware when it has stopped for ever.
struct Stopped {};

/// A remapping unit that completes every command within the write.
struct FakeUnit {
  Profile profile;
  std::map<std::uint64_t, std::uint64_t> registers;  ///< by offset, values as read
  std::vector<Record128> descriptors;                ///< executed, waits included
  unsigned te_drops = 0;                             ///< TES went 1 -> 0
  bool stuck = false;                                ///< the queue does not move
  std::uint64_t stuck_until = ~std::uint64_t{0};     ///< ns; then it does
  /// Set both to put another model of a unit behind these registers.
  std::function<std::uint64_t(std::uint64_t offset, unsigned bytes)> real_read;
  std::function<void(std::uint64_t offset, std::uint64_t value, unsigned bytes)> real_write;
};

class FakePlatform {
 public:
  FakePlatform();
  FakePlatform(const FakePlatform&) = delete;
  FakePlatform& operator=(const FakePlatform&) = delete;

  std::array<FakeUnit, platform::kMaxUnits> units;
  std::uint64_t policy = 0;
  platform::DeviationSet deviations{};
  void deviate(platform::Deviation d) { deviations = platform::with(deviations, d); }
  std::uint64_t poison = 0xA5A5'A5A5'A5A5'A5A5;
  std::uint64_t clock = 0;  ///< ns
  std::vector<std::uint64_t> reset_registers = std::vector<std::uint64_t>(8);
  std::vector<std::uint64_t> mailbox = std::vector<std::uint64_t>(32);
  std::array<std::vector<char>, 2> image_store;
  /// Commands that a whole image (not a Machine) is given through the mailbox; when none is left it is stopped.
  struct Posted {
    platform::Command command;
    std::vector<std::uint64_t> args;
    std::array<std::uint64_t, platform::mailbox::kResults> results{};
    Status status = Status::kFatal;
  };
  std::vector<Posted> script;
  [[nodiscard]] const VtdFirmwareHost& host() const { return host_; }

  /// Its registers.
  struct Endpoint {
    std::uint64_t id = 0;
    std::uint32_t control = 1;
    std::uint64_t alias = 0;
  };
  void add_endpoint(SourceId sid, unsigned unit = 0);
  [[nodiscard]] Endpoint& endpoint(SourceId sid);
  [[nodiscard]] bool bus_master(SourceId sid) const;

  // ---- memory ----------------------------------------------------------------------------------------------
  [[nodiscard]] std::uint64_t read64(PhysAddr at);
  void write64(PhysAddr at, std::uint64_t value);
  void write32(PhysAddr at, std::uint32_t value);
  /// Every page that is neither preserved nor in the next image's slot turns to poison, and lines that were not written
  /// back are as they were before. Units keep everything.
  void lose_unpreserved_memory();

  // ---- the CPU's cache, while a unit has ECAP.C=0 ------------------------------------------------------------
  static constexpr std::uint64_t kLine = 64;
  /// As table walks of such a unit read it: without what the CPU has not written back.
  [[nodiscard]] std::uint64_t walk64(PhysAddr at);
  /// Some of [at, at + bytes) has been written by the CPU and not written back.
  [[nodiscard]] bool dirty(PhysAddr at, std::uint64_t bytes) const;
  unsigned write_backs = 0;                            ///< requests, of any size
  std::function<void(PhysAddr at)> on_entry;           ///< after each 64- or 128-bit write of the CPU
  std::function<void(FakeUnit&, RegId)> before_order;  ///< before a unit gets GCMD, IQT, CCMD or IOTLB_REG

  // ---- observation -----------------------------------------------------------------------------------------
  /// Accesses to unit registers since the last call, e.g. "GCMD <- 0x4000000" and "GSTS"; repeated reads collapsed.
  [[nodiscard]] std::vector<std::string> take_unit_log();
  [[nodiscard]] unsigned unit_writes() const { return unit_writes_; }
  [[nodiscard]] const std::vector<std::string>& console() const { return console_; }
  [[nodiscard]] std::string last_line() const { return console_.empty() ? std::string() : console_.back(); }
  /// 128-bit writes since start: address, low, high.
  struct Write128 {
    PhysAddr at;
    std::uint64_t low, high;
  };
  std::vector<Write128> writes128;

 private:
  std::uint64_t mmio_read(PhysAddr at, unsigned bytes);
  void mmio_write(PhysAddr at, std::uint64_t value, unsigned bytes);
  std::uint64_t mailbox_read(std::uint64_t offset);
  void mailbox_write(std::uint64_t offset, std::uint64_t value);
  std::uint64_t unit_read(FakeUnit& unit, std::uint64_t offset, unsigned bytes);
  void unit_write(FakeUnit& unit, std::uint64_t offset, std::uint64_t value, unsigned bytes);
  void run_queue(FakeUnit& unit);
  void log_unit(std::uint64_t offset, const FakeUnit& unit, const std::uint64_t* written);
  std::uint8_t& byte(PhysAddr at);
  void cpu_writes(PhysAddr at, std::uint64_t bytes);
  void wrote_entry(PhysAddr at) {
    if (on_entry) on_entry(at);
  }
  void order(FakeUnit& unit, std::uint64_t offset);
  void write_back(PhysAddr at, std::uint64_t bytes);
  void lose_cache();

  using Page = std::array<std::uint8_t, kPageSize>;
  std::unordered_map<PhysAddr, Page> pages_;  ///< as the CPU sees them
  using Line = std::array<std::uint64_t, kLine / 8>;
  std::map<PhysAddr, Line> behind_;  ///< by address: what memory still holds of lines that the CPU has changed
  PhysAddr cache_address_ = 0;
  std::vector<Endpoint> endpoints_;
  std::vector<std::string> log_;
  std::vector<std::string> console_;
  std::string line_;
  unsigned unit_writes_ = 0;
  std::size_t posted_ = 0;  ///< commands handed out
  VtdFirmwareHost host_{};
};

/// One machine: the platform and the image that runs on it. Endpoints must be added before boot().
class Machine {
 public:
  static constexpr SourceId kD1{0x0108};  ///< 01:01.0
  static constexpr SourceId kD2{0x0110};  ///< 01:02.0
  static constexpr SourceId kD3{0x0508};  ///< 05:01.0, another bus

  Machine();
  FakePlatform platform;

  /// Before boot: units with every stage, PASIDs, device TLBs and page requests; D1 has ATS, PRI and 20 bits of PASID,
  /// D2 has 8 bits, D3 none.
  void make_scalable();
  void boot(ImageLetter image);
  Server::Reply run(platform::Command command, std::initializer_list<std::uint64_t> args = {});
  Status status(platform::Command command, std::initializer_list<std::uint64_t> args = {}) {
    return run(command, args).status;
  }
  /// The call at `place` fails at its n-th turn from now; turn 0: none does.
  void plan(platform::FailPlace place, std::uint64_t turn);
  std::uint64_t ask(platform::Query what, std::uint64_t id = 0, std::size_t result = 0);

  /// Memory 1 (64 KiB), domain 1 with it mapped at 0x10000, D1 attached and owned.
  void set_up_device();
  /// Session 1: memory (token 1), domain (2), D1 (3).
  void preserve_all();
  /// Marks the domain with the token and preserves the iommufd.
  Status preserve_domain(std::uint64_t session, std::uint64_t token, std::uint64_t domain);
  /// Retrieves the three files, binds D1 to owner 0x77 and reclaims the domain.
  void take_over();
  /// Word of the tracker that has the page's bit.
  [[nodiscard]] PhysAddr tracker_word(PhysAddr tracker, PhysAddr page) {
    return abi::tracker_word([&](PhysAddr at) { return platform.read64(at); }, tracker, page);
  }
  /// Freeze and shutdown: nothing unpreserved translates any more.
  void clean();
  /// clean(), then reboot up to the reset; unpreserved memory is lost. Image B is not started.
  void go_down();
  [[nodiscard]] bool start_next();  ///< boots B; false when it refused the image

  [[nodiscard]] PhysAddr field(std::string_view record, std::uint64_t index, std::string_view name);
  void set_field(std::string_view record, std::uint64_t index, std::string_view name, std::uint64_t value);
  [[nodiscard]] std::uint64_t get_field(std::string_view record, std::uint64_t index, std::string_view name);
  void drop_from_tracker(PhysAddr page);

  [[nodiscard]] Iommu& iommu() { return *iommu_; }
  [[nodiscard]] LiveUpdate& live_update() { return *live_update_; }

 private:
  std::unique_ptr<Iommu> iommu_;
  std::unique_ptr<LiveUpdate> live_update_;
  std::unique_ptr<Server> server_;
};

}  // namespace vtd::fw::test
