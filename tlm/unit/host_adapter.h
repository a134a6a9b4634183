// SPDX-License-Identifier: MIT
// vtd::Host over SystemC: each process that enters the core brings its local time; what takes time is added to it
// or waited for.
#pragma once

#include <array>
#include <deque>
#include <functional>
#include <map>
#include <systemc>

#include "tlm/core/host.h"
#include "tlm/unit/ats_device.h"
#include "tlm/unit/memory_port.h"
#include "tlm/unit/timing.h"
#include "tlm/unit/walk_service.h"

namespace vtd {

/// Local time of one process while it is inside the unit.
class LocalTime {
 public:
  enum class Mode : std::uint8_t { kAnnotate, kWait };

  /// `delay`: the caller's offset from global time.
  LocalTime(sc_core::sc_time& delay, Mode mode, SourceId source) : delay_(delay), mode_(mode), source_(source) {}

  /// Lets `time` pass.
  void spend(const sc_core::sc_time& time) {
    if (mode_ == Mode::kAnnotate)
      delay_ += time;
    else if (time > sc_core::SC_ZERO_TIME)
      sc_core::wait(time);
  }
  /// Waits until global time has come to the local time.
  void synchronise();
  /// As synchronise, and then for the next clock edge unless there is one now.
  void align(std::uint64_t period_ps);
  [[nodiscard]] sc_core::sc_time& delay() { return delay_; }
  [[nodiscard]] sc_core::sc_time now() const { return sc_core::sc_time_stamp() + delay_; }
  [[nodiscard]] SourceId source() const { return source_; }

 private:
  sc_core::sc_time& delay_;
  Mode mode_;
  SourceId source_;
};

class HostAdapter final : public Host {
 public:
  /// Called when translations change: takes DMI pointers back.
  using Revoke = std::function<void()>;
  HostAdapter(const Timing& timing, MemoryPort& memory, WalkService& walks, Revoke revoke);

  /// Names the process that enters the core next; valid until it suspends outside of a Host call.
  class Entry {
   public:
    Entry(HostAdapter& host, LocalTime& time) : host_(host) { host_.current_ = &time; }
    ~Entry() { host_.current_ = nullptr; }
    Entry(const Entry&) = delete;
    Entry& operator=(const Entry&) = delete;

   private:
    HostAdapter& host_;
  };

  [[nodiscard]] sc_core::sc_time cycles(unsigned n) const;
  void slow(Step step, const sc_core::sc_time& extra) { extra_[static_cast<std::size_t>(step)] = extra; }
  void on_wake(std::function<void(Engine)> wake) { wake_ = std::move(wake); }
  /// Connects the requester `source`; `device` must outlive the unit.
  void attach(SourceId source, AtsDevice& device) { devices_[source] = &device; }
  /// `answer(tag, kTimeout)` is called when the time for a device's answer is over, whether it came or not.
  void on_timeout(std::function<void(DeviceTag)> timeout) { timeout_ = std::move(timeout); }
  /// Watches over invalidation requests to devices; the body of a process of its own.
  void watch_devices();
  /// Sends queued messages, one after the other; the body of a process of its own.
  void send_messages();
  [[nodiscard]] std::uint64_t messages_sent() const { return messages_sent_; }

  // ---- Host ----
  [[nodiscard]] bool read(PhysAddr address, std::span<std::uint64_t> out) override;
  [[nodiscard]] bool read_descriptor(PhysAddr address, std::span<std::uint64_t> out) override;
  [[nodiscard]] bool write32(PhysAddr address, std::uint32_t data) override;
  [[nodiscard]] bool write(PhysAddr address, std::span<const std::uint64_t> words) override;
  [[nodiscard]] std::optional<std::uint64_t> compare_exchange(PhysAddr address, std::uint64_t expected,
                                                              std::uint64_t desired) override;
  void invalidate_device(const DeviceTlbInvalidation& invalidation) override;
  void respond(const PageResponse& response) override;
  void message(PhysAddr address, std::uint32_t data) override;
  [[nodiscard]] WalkResponse walk(WalkRequest request) override;
  void invalidate_walks(const WalkInvalidation& invalidation) override;
  void spend(Step step) override;
  void wait_progress() override;
  void notify_progress() override;
  void wake(Engine engine) override { wake_(engine); }
  void revoke_dmi() override { revoke_(); }

 private:
  [[nodiscard]] bool read(PhysAddr address, std::span<std::uint64_t> out, MemoryKind kind);
  struct Message {
    PhysAddr address = 0;
    std::uint32_t data = 0;
  };
  /// Puts the caller back in place after it was suspended.
  class Keep;
  [[nodiscard]] unsigned latency(Step step) const;

  Timing timing_;
  MemoryPort& memory_;
  WalkService& walks_;
  Revoke revoke_;
  std::function<void(Engine)> wake_;
  LocalTime* current_ = nullptr;
  std::array<sc_core::sc_time, static_cast<std::size_t>(Step::kCount)> extra_{};
  sc_core::sc_event progress_{"progress"};
  unsigned waiting_ = 0;  ///< processes in wait_progress()
  std::deque<Message> messages_;
  sc_core::sc_event message_queued_{"message_queued"};
  std::uint64_t messages_sent_ = 0;
  struct Deadline {
    DeviceTag tag = 0;
    sc_core::sc_time at;
  };
  std::map<SourceId, AtsDevice*> devices_;
  std::function<void(DeviceTag)> timeout_;
  std::deque<Deadline> deadlines_;
  sc_core::sc_event deadline_added_{"deadline_added"};
};

}  // namespace vtd
