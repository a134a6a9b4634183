// SPDX-License-Identifier: MIT
// The two sides of the comparison.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "sim/qemu/qemu_process.h"
#include "sim/qemu/qtest.h"
#include "tests/oracle/command.h"
#include "tlm/core/unit.h"

namespace vtd::oracle {

/// Performs cases. Memory and registers are kept from one case to the next.
class Side {
 public:
  virtual ~Side() = default;
  /// Performs all commands; the answers of the kRead commands in order.
  virtual std::vector<std::uint64_t> run(const std::vector<Command>& commands) = 0;
  /// The arena.
  virtual std::span<std::uint8_t> arena() = 0;
  /// As after power-on, memory zero.
  virtual void reset() = 0;
};

/// Stock QEMU. `options` are those of -device intel-iommu. Throws qemu::QemuDied or std::runtime_error.
class QemuSide final : public Side {
 public:
  QemuSide(std::vector<std::string> program, std::string options);
  ~QemuSide() override;
  std::vector<std::uint64_t> run(const std::vector<Command>& commands) override;
  std::span<std::uint8_t> arena() override;
  void reset() override;

 private:
  void start();
  void config_write(unsigned bus, unsigned device, unsigned function, unsigned offset, std::uint64_t value, char width);
  void set_up_devices();

  std::vector<std::string> program_;
  std::string options_;
  std::string directory_;
  std::unique_ptr<qemu::QemuProcess> process_;
  std::unique_ptr<qemu::Qtest> qtest_;
  std::uint8_t* memory_ = nullptr;
};

/// Our unit in a machine alike.
class OurSide final : public Side, private Host {
 public:
  explicit OurSide(const Profile& profile);
  std::vector<std::uint64_t> run(const std::vector<Command>& commands) override;
  std::span<std::uint8_t> arena() override { return {memory_.data() + kArena, kArenaSize}; }
  void reset() override;
  [[nodiscard]] std::uint64_t read_register(std::uint64_t offset) const { return unit_.read(offset, 8); }

 private:
  void pump();
  void dma(Device device, Iova address);
  /// One request within a page; false: it faulted. Data outside memory is lost, reads there give zeros.
  bool move(SourceId source, Iova address, std::span<std::uint8_t> data, Access access);
  [[nodiscard]] static bool inside(PhysAddr address, std::uint64_t bytes) {
    return address < kRamSize && bytes <= kRamSize - address;
  }

  // ---- Host ----
  bool read(PhysAddr address, std::span<std::uint64_t> out) override;
  bool write32(PhysAddr address, std::uint32_t data) override;
  bool write(PhysAddr, std::span<const std::uint64_t>) override { return false; }
  std::optional<std::uint64_t> compare_exchange(PhysAddr address, std::uint64_t expected,
                                                std::uint64_t desired) override;
  WalkResponse walk(WalkRequest request) override;
  void invalidate_device(const DeviceTlbInvalidation& invalidation) override;
  void respond(const PageResponse&) override {}
  void message(PhysAddr, std::uint32_t) override {}
  void spend(Step) override {}
  void wait_progress() override { throw std::logic_error("our unit waits, and nothing is under way"); }
  void notify_progress() override {}
  void wake(Engine engine) override { (engine == Engine::kCommand ? command_woken_ : queue_woken_) = true; }
  void revoke_dmi() override {}

  Observer nobody_;
  std::vector<std::uint8_t> memory_;
  bool command_woken_ = false;
  bool queue_woken_ = false;
  UnitCore unit_;
};

}  // namespace vtd::oracle
