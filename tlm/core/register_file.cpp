// SPDX-License-Identifier: MIT
#include "tlm/core/register_file.h"

#include <stdexcept>
#include <string>

namespace vtd {
namespace {

constexpr Field kLowHalf{"LOW", 31, 0};
constexpr Field kHighHalf{"HIGH", 63, 32};

constexpr const Field& half(unsigned word) {
  return word % 2 == 0 ? kLowHalf : kHighHalf;
}

constexpr bool sticky(RegAccess access) {
  return access == RegAccess::kRW1CS || access == RegAccess::kROS;
}

/// The field's stored value after software wrote `value` to it.
std::uint64_t after_write(const RegField& f, std::uint64_t stored, std::uint64_t value) {
  switch (f.access) {
    case RegAccess::kRW:
    case RegAccess::kWO:
      return f.field.with(stored, f.field.get(value));
    case RegAccess::kRW1C:
    case RegAccess::kRW1CS:
      return stored & ~f.field.in_place(value);
    case RegAccess::kRO:
    case RegAccess::kROS:
      break;
  }
  return stored;
}

/// What software reads: write-only fields are 0.
std::uint64_t visible(const Register& reg, std::uint64_t stored) {
  for (const RegField& f : reg.fields)
    if (f.access == RegAccess::kWO) stored = f.field.with(stored, 0);
  return stored;
}

}  // namespace

RegisterFile::RegisterFile(const Profile& profile, Observer& observer)
    : profile_(profile), observer_(observer), records_(profile.fault_records) {
  place_all();
  for (std::size_t i = 0; i < kRegCount; ++i) values_[i] = initial_value(static_cast<RegId>(i));
}

void RegisterFile::place(std::uint64_t offset, Slot slot) {
  if (offset + kWordBytes > kUnitMmioSize)
    throw std::invalid_argument("register at offset " + std::to_string(offset) + " lies outside the unit");
  Slot& target = slots_[offset / kWordBytes];
  if (target.kind != Slot::Kind::kNone)
    throw std::invalid_argument("two registers share offset " + std::to_string(offset));
  target = slot;
}

void RegisterFile::place_all() {
  for (const Register& reg : kRegisters) {
    if (!implemented(reg.id, profile_)) continue;
    for (unsigned word = 0; word < reg.bits / 32U; ++word)
      place(offset_of(reg.id, profile_) + word * kWordBytes,
            {Slot::Kind::kRegister, static_cast<std::uint16_t>(reg.id), static_cast<std::uint8_t>(word)});
  }
  for (unsigned index = 0; index < records_.size(); ++index)
    for (unsigned word = 0; word < frcd::kBytes / kWordBytes; ++word)
      place(profile_.fault_record_offset + index * frcd::kBytes + word * kWordBytes,
            {Slot::Kind::kRecord, static_cast<std::uint16_t>(index), static_cast<std::uint8_t>(word)});
}

void RegisterFile::add_window(std::uint64_t first, std::uint64_t bytes, Window window) {
  for (std::uint64_t offset = first; offset < first + bytes; offset += kWordBytes)
    place(offset, {Slot::Kind::kWindow, static_cast<std::uint16_t>(windows_.size()), 0});
  windows_.push_back(std::move(window));
}

std::uint64_t RegisterFile::read(std::uint64_t offset, unsigned bytes) const {
  if (bytes == kWordBytes) return read_word(offset);
  return kLowHalf.of(read_word(offset)) | kHighHalf.of(read_word(offset + kWordBytes));
}

std::uint64_t RegisterFile::read_word(std::uint64_t offset) const {
  const Slot& s = slot(offset);
  if (s.kind == Slot::Kind::kNone) return 0;
  if (s.kind == Slot::Kind::kWindow) return kLowHalf.get(windows_[s.index].read(offset));
  if (s.kind == Slot::Kind::kRecord) return half(s.word).get(records_[s.index].words[s.word / 2]);
  return half(s.word).get(visible(kRegisters[s.index], values_[s.index]));
}

void RegisterFile::write(std::uint64_t offset, std::uint64_t value, unsigned bytes) {
  if (bytes == kWordBytes) return write_word(offset, value);
  const Slot& s = slot(offset);
  const bool whole = s.kind == Slot::Kind::kRegister && kRegisters[s.index].bits == 64 && s.word == 0;
  if (whole) return write_register(static_cast<RegId>(s.index), value, ~std::uint64_t{0});
  write_word(offset, kLowHalf.get(value));
  write_word(offset + kWordBytes, kHighHalf.get(value));
}

void RegisterFile::write_word(std::uint64_t offset, std::uint64_t value) {
  const Slot& s = slot(offset);
  if (s.kind == Slot::Kind::kNone) return;
  if (s.kind == Slot::Kind::kRecord) return write_record_word(s, value);
  if (s.kind == Slot::Kind::kWindow) return windows_[s.index].write(offset, value);
  write_register(static_cast<RegId>(s.index), half(s.word).of(value), half(s.word).mask());
}

void RegisterFile::write_register(RegId id, std::uint64_t value, std::uint64_t written) {
  std::uint64_t stored = this->value(id);
  for (const RegField& f : info(id).fields) {
    if (f.field.in_place(written) == 0) continue;
    const std::uint64_t merged = (stored & ~written) | value;
    const bool clears = f.access == RegAccess::kRW1C || f.access == RegAccess::kRW1CS;
    stored = after_write(f, stored, clears ? value : merged);
  }
  set(id, stored);
  if (write_hook_) write_hook_({id, value, written});
}

void RegisterFile::write_record_word(const Slot& s, std::uint64_t value) {
  const bool holds_fault_bit = half(s.word).in_place(frcd::kF.mask()) != 0 && s.word / 2 == frcd::kF.word();
  if (!holds_fault_bit || frcd::kF.get(half(s.word).of(value)) == 0) return;
  records_[s.index].set(frcd::kF, 0);
  if (record_hook_) record_hook_(s.index);
}

void RegisterFile::set(RegId id, std::uint64_t value) {
  std::uint64_t& stored = values_[static_cast<std::size_t>(id)];
  if (stored == value) return;
  stored = value;
  observer_.on_register(id, value);
}

std::uint64_t RegisterFile::initial_value(RegId id) const {
  if (!implemented(id, profile_)) return 0;
  if (id == RegId::kVER) return reg::kMAX.of(profile_.version_major) | reg::kMIN.of(profile_.version_minor);
  if (id == RegId::kCAP) return cap_value(profile_);
  if (id == RegId::kECAP) return ecap_value(profile_);
  if (id == RegId::kPERFCAP) return perf::capability();
  if (id == RegId::kPERFCFGOFF) return perf::kConfigurationOffset;
  if (id == RegId::kPERFOVFOFF) return perf::kOverflowOffset;
  if (id == RegId::kPERFCNTROFF) return perf::kCounterOffset;
  if (id == RegId::kPERFEVNTCAP) return perf::events_of_group(0);
  if (id == RegId::kECCAP3 && profile_.performance_counters)
    return ecmd::kECNTS.mask() | ecmd::kDCNTS.mask() | ecmd::kFCNTS.mask() | ecmd::kUFCNTS.mask();
  std::uint64_t value = 0;
  for (const RegField& f : info(id).fields) value |= f.field.of(f.reset);
  return value;
}

void RegisterFile::reset(ResetKind kind) {
  for (const Register& reg : kRegisters) {
    std::uint64_t value = initial_value(reg.id);
    for (const RegField& f : reg.fields)
      if (kind == ResetKind::kWarm && sticky(f.access)) value = f.field.with(value, f.field.get(this->value(reg.id)));
    set(reg.id, value);
  }
  if (kind == ResetKind::kCold)
    for (frcd::Entry& entry : records_) entry = {};
}

}  // namespace vtd
