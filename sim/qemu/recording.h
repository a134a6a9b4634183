// SPDX-License-Identifier: MIT
// A run behind QEMU as a file: everything that came from the guest, every value the unit read from its memory, and
// everything the unit did to the guest, with all the data it moved. Enough to do the run again without QEMU.
//
// The file is gzip; inside, a line of JSON (MachineOptions, and what version this is), then events back to back.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "sim/qemu/guest_ram.h"
#include "sim/qemu/options.h"

namespace vtd::qemu {

struct Event {
  enum class Kind : std::uint8_t {
    // ---- from the guest ----
    kConfigRead,   ///< address, bytes; value: what it got
    kConfigWrite,  ///< address, bytes, value
    kBarRead,      ///< the same, address: offset in the BAR
    kBarWrite,
    kReset,
    kTick,  ///< value: microseconds since the last one
    // ---- what the unit did ----
    kRead,      ///< data
    kWrite,     ///< data
    kExchange,  ///< value: expected, desired; observed in `data`
    kMessage,   ///< value: data of the message
    kEnd,       ///< the run ended
  };
  Kind kind = Kind::kEnd;
  std::uint64_t time_ps = 0;
  std::uint8_t function = 0;  ///< from the guest: 0 the unit, n endpoint n - 1
  MemoryKind memory = MemoryKind::kTable;
  std::uint16_t source = 0;
  bool ok = true;
  std::uint32_t bytes = 0;
  std::uint64_t address = 0;
  std::uint64_t value = 0;
  std::vector<std::uint8_t> data{};

  [[nodiscard]] bool input() const { return kind <= Kind::kTick; }
  friend bool operator==(const Event&, const Event&) = default;
};
/// One line: what happened.
[[nodiscard]] std::string in_words(const Event& event);

class RecordingError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

class Recorder {
 public:
  /// Throws RecordingError if the file cannot be written.
  Recorder(std::string path, const MachineOptions& options);
  ~Recorder();
  Recorder(const Recorder&) = delete;
  Recorder& operator=(const Recorder&) = delete;
  void add(const Event& event);
  /// Writes the end; a recording without it is refused. Throws RecordingError.
  void close(std::uint64_t time_ps);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

class Recording {
 public:
  /// Throws RecordingError for a file that is none.
  explicit Recording(std::string path);
  ~Recording();
  Recording(const Recording&) = delete;
  Recording& operator=(const Recording&) = delete;
  [[nodiscard]] const MachineOptions& options() const;
  /// The next event; kEnd is the last one. Throws RecordingError, with the place, for a file that is cut or corrupt.
  [[nodiscard]] Event next();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// FNV-1a.
[[nodiscard]] std::uint64_t digest(std::span<const std::uint8_t> data);

/// Passes everything on to `inner`, which must outlive it, and makes an event of it.
class TappedRam final : public GuestRam {
 public:
  using Listener = std::function<void(Event)>;
  TappedRam(GuestRam& inner, Listener listener) : inner_(inner), listener_(std::move(listener)) {}
  [[nodiscard]] bool read(const MemoryTag& tag, PhysAddr address, std::span<std::uint8_t> data) override;
  [[nodiscard]] bool write(const MemoryTag& tag, PhysAddr address, std::span<const std::uint8_t> data) override;
  [[nodiscard]] std::optional<std::uint64_t> exchange(const MemoryTag& tag, PhysAddr address, std::uint64_t expected,
                                                      std::uint64_t desired) override;
  void message(const MemoryTag& tag, PhysAddr address, std::uint32_t data) override;

 private:
  GuestRam& inner_;
  Listener listener_;
};

}  // namespace vtd::qemu
