// SPDX-License-Identifier: MIT
#include "sim/decode/register_access.h"

#include <fmt/format.h>

#include <iterator>
#include <optional>
#include <vector>

#include "sim/decode/words.h"
#include "tlm/spec/registers.h"

namespace vtd::sim {
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

std::string in_words(const RegisterAccess& e, const Profile& profile) {
  const auto place = place_of(profile, e.offset);
  const unsigned digits = 2 * e.bytes;
  const std::string head =
      fmt::format("{} {:<9}", e.write ? 'W' : 'R', place ? place->name : fmt::format("+{:#05x}", e.offset));
  if (!place) return fmt::format("{} {:0{}x}", head, e.value, digits);
  const bool upper = e.offset != place->offset;
  std::vector<std::uint64_t> words(place->words);
  words[place->word] = upper ? kHigh.of(e.value) : e.bytes == 4 ? kLow.of(e.value) : e.value;
  std::vector<Field> shown;
  for (const Field& f : place->fields)
    if (f.word() == place->word) shown.push_back(f);
  const std::string fields =
      field_list(place->name.substr(0, 4) == "FRCD" ? "FRCD" : place->name, shown, words, Zeros::kOmit);
  return fmt::format("{} {:>16}  {}", head, fmt::format("{:0{}x}", e.value, digits), fields);
}

}  // namespace vtd::sim
