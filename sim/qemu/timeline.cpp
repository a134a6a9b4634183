// SPDX-License-Identifier: MIT
#include "sim/qemu/timeline.h"

#include <fmt/format.h>

#include <array>
#include <stdexcept>
#include <vector>

#include "sim/decode/words.h"
#include "tlm/spec/fault_reason.h"
#include "tlm/spec/registers.h"
#include "tlm/unit/wave_signals.h"

namespace vtd::qemu {
namespace {

constexpr Field kLow{"LOW", 31, 0};
constexpr Field kHigh{"HIGH", 63, 32};

/// A register, or a fault recording register, at a place in the unit.
struct Place {
  std::string name;
  std::vector<Field> fields;
  std::uint64_t offset = 0;  ///< of its 64-bit word
  std::size_t word = 0;
  std::size_t words = 1;
};

std::optional<Place> place_of(const Profile& profile, std::uint64_t offset) {
  const std::uint64_t base = align_down(offset, sizeof(std::uint64_t));
  const std::uint64_t first = profile.fault_record_offset;
  if (offset >= first && offset < first + std::uint64_t{profile.fault_records} * frcd::kBytes) {
    const std::uint64_t index = (offset - first) / frcd::kBytes;
    return Place{fmt::format("FRCD{}", index),
                 {std::begin(frcd::kAll), std::end(frcd::kAll)},
                 base,
                 (offset - first) % frcd::kBytes / sizeof(std::uint64_t),
                 2};
  }
  for (const Register& r : kRegisters) {
    const std::uint64_t at = offset_of(r.id, profile);
    const bool in = offset >= at && offset < at + r.bits / 8;
    if (!in) continue;
    Place place{r.name, {}, at};
    if (r.id == RegId::kCAP)
      place.fields.assign(std::begin(cap::kAll), std::end(cap::kAll));
    else if (r.id == RegId::kECAP)
      place.fields.assign(std::begin(ecap::kAll), std::end(ecap::kAll));
    else
      for (const RegField& f : r.fields) place.fields.push_back(f.field);
    return place;
  }
  return std::nullopt;
}

}  // namespace

std::string register_access(const Profile& profile, const Event& e) {
  const bool write = e.kind == Event::Kind::kBarWrite;
  const auto place = place_of(profile, e.address);
  const unsigned digits = 2 * e.bytes;
  const std::string head =
      fmt::format("{} {:<9}", write ? 'W' : 'R', place ? place->name : fmt::format("+{:#05x}", e.address));
  if (!place) return fmt::format("{} {:0{}x}", head, e.value, digits);
  const bool upper = e.address != place->offset;
  std::vector<std::uint64_t> words(place->words);
  words[place->word] = upper ? kHigh.of(e.value) : e.bytes == 4 ? kLow.of(e.value) : e.value;
  std::vector<Field> shown;
  for (const Field& f : place->fields)
    if (f.word() == place->word) shown.push_back(f);
  const std::string fields =
      sim::field_list(place->name.substr(0, 4) == "FRCD" ? "FRCD" : place->name, shown, words, sim::Zeros::kOmit);
  return fmt::format("{} {:>16}  {}", head, fmt::format("{:0{}x}", e.value, digits), fields);
}

Timeline::Timeline(const std::string& path, const Profile& profile) : file_(path), path_(path), profile_(profile) {
  if (!file_) throw std::runtime_error(path + ": cannot be written");
}

void Timeline::line(const std::string& text) {
  flush_poll();
  file_ << fmt::format("[{:12.6f}] {}\n", seconds_, text);
}

void Timeline::flush_poll() {
  if (polls_ > 1) file_ << fmt::format("               {:<44}... {} times in all\n", "", polls_);
  polls_ = 0;
  poll_.clear();
}

void Timeline::console(const std::string& text) {
  line(text);
}

void Timeline::access(const Event& e) {
  if (e.kind == Event::Kind::kReset) return line("    reset of the function");
  const std::string text = register_access(profile_, e);
  ++(e.kind == Event::Kind::kBarWrite ? writes_ : reads_);
  if (e.kind == Event::Kind::kBarRead && text == poll_) {
    ++polls_;
    return;
  }
  line("    " + text);
  if (e.kind != Event::Kind::kBarRead) return;
  poll_ = text;
  polls_ = 1;
}

void Timeline::close() {
  flush_poll();
  file_.close();
  if (!file_) throw std::runtime_error(path_ + ": cannot be written");
}

void Timeline::on_fault(const Fault& fault) {
  line(fmt::format("        fault {:#04x} {}: {} {} {:#x}", static_cast<unsigned>(fault.reason),
                   info(fault.reason).name, sim::source_text(fault.source),
                   vtd::writes(fault.access) ? "writes" : "reads", fault.address));
}

void Timeline::on_invalidation_end(const Invalidation& invalidation) {
  line("        done: " + in_words(invalidation));
}

void Timeline::on_wait_complete(std::uint32_t status_data) {
  line(fmt::format("        done: wait, status {}", status_data));
}

}  // namespace vtd::qemu
