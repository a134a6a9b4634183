// SPDX-License-Identifier: MIT
// The register file engine (VT-d 11): storage, access classes and resets for the map in tlm/spec/registers.h.
// It knows how fields behave, not what they do: that is for the hooks.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <vector>

#include "tlm/core/observer.h"
#include "tlm/spec/registers.h"

namespace vtd {

/// One software write to one register, told after the access classes were applied.
struct RegisterWrite {
  RegId id{};
  std::uint64_t value = 0;    ///< as written, in place; bits outside `written` are 0
  std::uint64_t written = 0;  ///< the bits that the access held: all, the low or the high half
  /// True if the access held the field and wrote something else than 0 to it.
  [[nodiscard]] bool sets(const Field& field) const { return field.in_place(value) != 0; }
};

/// True if a unit built to `profile` has the register. The others are reserved: they read 0 and ignore writes.
[[nodiscard]] constexpr bool implemented(RegId id, const Profile& profile) {
  switch (id) {
    case RegId::kVER:
    case RegId::kCAP:
    case RegId::kECAP:
    case RegId::kGCMD:
    case RegId::kGSTS:
    case RegId::kRTADDR:
    case RegId::kCCMD:
    case RegId::kFSTS:
    case RegId::kFECTL:
    case RegId::kFEDATA:
    case RegId::kFEADDR:
    case RegId::kFEUADDR:
    case RegId::kIVA:
    case RegId::kIOTLB:
      return true;
    case RegId::kIQH:
    case RegId::kIQT:
    case RegId::kIQA:
    case RegId::kICS:
    case RegId::kIECTL:
    case RegId::kIEDATA:
    case RegId::kIEADDR:
    case RegId::kIEUADDR:
    case RegId::kIQERCD:
      return profile.queued_invalidation;
    case RegId::kPMEN:
      return profile.protected_low || profile.protected_high;
    case RegId::kPLMBASE:
    case RegId::kPLMLIMIT:
      return profile.protected_low;
    case RegId::kPHMBASE:
    case RegId::kPHMLIMIT:
      return profile.protected_high;
    case RegId::kIRTA:
      return profile.interrupt_remapping;
    case RegId::kPQH:
    case RegId::kPQT:
    case RegId::kPQA:
    case RegId::kPRS:
    case RegId::kPECTL:
    case RegId::kPEDATA:
    case RegId::kPEADDR:
    case RegId::kPEUADDR:
      return profile.page_requests;
    case RegId::kPERFCAP:
    case RegId::kPERFCFGOFF:
    case RegId::kPERFOVFOFF:
    case RegId::kPERFCNTROFF:
    case RegId::kPERFINTRSTS:
    case RegId::kPERFINTRCTL:
    case RegId::kPERFINTRDATA:
    case RegId::kPERFINTRADDR:
    case RegId::kPERFINTRUADDR:
    case RegId::kPERFEVNTCAP:
      return profile.performance_counters;
    case RegId::kECMD:
    case RegId::kECEO:
    case RegId::kECRSP:
    case RegId::kECCAP0:
    case RegId::kECCAP1:
    case RegId::kECCAP2:
    case RegId::kECCAP3:
      return profile.enhanced_commands;
    default:
      return false;  // AFLOG: advanced fault logging is implemented by nobody
  }
}

class RegisterFile {
 public:
  using WriteHook = std::function<void(const RegisterWrite&)>;
  using RecordHook = std::function<void(unsigned index)>;
  /// Registers that somebody else keeps: `offset` is a multiple of 4.
  struct Window {
    std::function<std::uint64_t(std::uint64_t offset)> read;
    std::function<void(std::uint64_t offset, std::uint64_t value)> write;
  };

  /// Comes up as after a cold reset. Throws std::invalid_argument if registers placed by the profile overlap
  /// others or lie outside kUnitMmioSize.
  RegisterFile(const Profile& profile, Observer& observer);

  /// Hands [first, first + bytes) to `window`. Throws std::invalid_argument as the constructor does.
  void add_window(std::uint64_t first, std::uint64_t bytes, Window window);
  /// Called after a write to a register, and after a write to a fault recording register.
  void on_write(WriteHook hook) { write_hook_ = std::move(hook); }
  void on_record_write(RecordHook hook) { record_hook_ = std::move(hook); }

  /// Software's view. `bytes` is 4 or 8, `offset` naturally aligned and below kUnitMmioSize. A 64-bit access to
  /// two 32-bit registers acts on each, the lower one first.
  [[nodiscard]] std::uint64_t read(std::uint64_t offset, unsigned bytes) const;
  void write(std::uint64_t offset, std::uint64_t value, unsigned bytes);

  /// Hardware's view: stored values, no access class applies.
  [[nodiscard]] std::uint64_t value(RegId id) const { return values_[static_cast<std::size_t>(id)]; }
  [[nodiscard]] std::uint64_t field(RegId id, const Field& f) const { return f.get(value(id)); }
  void set(RegId id, std::uint64_t value);
  void set_field(RegId id, const Field& f, std::uint64_t field_value) { set(id, f.with(value(id), field_value)); }

  [[nodiscard]] unsigned record_count() const { return static_cast<unsigned>(records_.size()); }
  [[nodiscard]] const frcd::Entry& record(unsigned index) const { return records_[index]; }
  void set_record(unsigned index, const frcd::Entry& entry) { records_[index] = entry; }

  /// Cold: every field to its reset value. Warm: sticky fields and fault records are kept.
  void reset(ResetKind kind);

 private:
  /// What a 4-byte word of the map belongs to.
  struct Slot {
    enum class Kind : std::uint8_t { kNone, kRegister, kRecord, kWindow };
    Kind kind = Kind::kNone;
    std::uint16_t index = 0;  ///< RegId, record number or window number
    std::uint8_t word = 0;    ///< 32-bit word within the register or record
  };
  static constexpr unsigned kWordBytes = 4;

  void place(std::uint64_t offset, Slot slot);
  void place_all();
  [[nodiscard]] const Slot& slot(std::uint64_t offset) const { return slots_[offset / kWordBytes]; }
  [[nodiscard]] std::uint64_t read_word(std::uint64_t offset) const;
  void write_word(std::uint64_t offset, std::uint64_t value);
  void write_register(RegId id, std::uint64_t value, std::uint64_t written);
  void write_record_word(const Slot& slot, std::uint64_t value);
  [[nodiscard]] std::uint64_t initial_value(RegId id) const;

  Profile profile_;
  Observer& observer_;
  std::array<std::uint64_t, kRegCount> values_{};
  std::vector<frcd::Entry> records_;
  std::array<Slot, kUnitMmioSize / kWordBytes> slots_{};
  std::vector<Window> windows_;
  WriteHook write_hook_;
  RecordHook record_hook_;
};

}  // namespace vtd
