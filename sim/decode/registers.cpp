// SPDX-License-Identifier: MIT
#include "tlm/spec/registers.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <map>
#include <sstream>
#include <stdexcept>

#include "sim/decode/decode.h"
#include "sim/decode/words.h"

namespace vtd::sim {
namespace {

constexpr std::uint64_t kMmioLimit = 0x10000;  ///< no field of CAP or ECAP places anything beyond
constexpr Field kLow{"LOW", 31, 0};
constexpr Field kHigh{"HIGH", 63, 32};

std::vector<Field> fields_of(const Register& r) {
  if (r.id == RegId::kCAP) return {std::begin(cap::kAll), std::end(cap::kAll)};
  if (r.id == RegId::kECAP) return {std::begin(ecap::kAll), std::end(ecap::kAll)};
  std::vector<Field> fields;
  for (const RegField& f : r.fields) fields.push_back(f.field);
  return fields;
}

/// The words of a dump, by offset.
class Dump {
 public:
  /// One line, `where` is the file and line of; throws std::invalid_argument.
  void add(const std::string& line, const std::string& where);
  std::string decode();

 private:
  struct Value {
    std::uint64_t value;
    bool half = false;  ///< only one half of 64 bits is there
  };
  void put(std::uint64_t offset, std::uint64_t value, const std::string& where);
  std::optional<std::uint64_t> take(std::uint64_t offset);
  std::optional<Value> take(std::uint64_t offset, unsigned bits);
  std::optional<Value> take(const Register& r);
  std::string fault_records();
  std::string unknown() const;

  std::map<std::uint64_t, std::uint64_t> words_;  ///< 32 bits each
  std::map<RegId, std::uint64_t> named_;          ///< IVA and IOTLB, given by name
  std::optional<std::uint64_t> cap_;
  std::optional<std::uint64_t> ecap_;
};

void Dump::add(const std::string& line, const std::string& where) {
  std::string text = line.substr(0, line.find('#'));
  std::replace(text.begin(), text.end(), '=', ' ');
  std::istringstream in(text);
  std::string name, number, more;
  if (!(in >> name)) return;
  if (!(in >> number) || in >> more)
    throw std::invalid_argument(fmt::format("{}: expected OFFSET VALUE or NAME VALUE", where));
  const auto value = parse_hex(number);
  if (!value) throw std::invalid_argument(fmt::format("{}: '{}' is not a 64-bit number in hex", where, number));

  const auto* r = std::find_if(std::begin(kRegisters), std::end(kRegisters),
                               [&](const Register& candidate) { return name == candidate.name; });
  if (r == std::end(kRegisters)) {
    const auto offset = parse_hex(name);
    if (!offset) throw std::invalid_argument(fmt::format("{}: there is no register '{}'", where, name));
    return put(*offset, *value, where);
  }
  if (r->bits == kLow.width() && !kLow.fits(*value))
    throw std::invalid_argument(fmt::format("{}: {} has 32 bits, {:#x} has more", where, name, *value));
  if (r->offset != Register::kPlaced) return put(r->offset, *value, where);
  if (!named_.emplace(r->id, *value).second)
    throw std::invalid_argument(fmt::format("{}: {} is given twice", where, name));
}

void Dump::put(std::uint64_t offset, std::uint64_t value, const std::string& where) {
  const bool wide = !kLow.fits(value);
  const unsigned bytes = wide ? sizeof(std::uint64_t) : sizeof(std::uint32_t);
  if (offset >= kMmioLimit || offset % bytes != 0)
    throw std::invalid_argument(
        fmt::format("{}: offset {:#x}, expected a multiple of {} below {:#x}", where, offset, bytes, kMmioLimit));
  const bool first = words_.emplace(offset, kLow.get(value)).second;
  if (!first || (wide && !words_.emplace(offset + sizeof(std::uint32_t), kHigh.get(value)).second))
    throw std::invalid_argument(fmt::format("{}: offset {:#x} is given twice", where, offset));
}

std::optional<std::uint64_t> Dump::take(std::uint64_t offset) {
  const auto node = words_.extract(offset);
  return node ? std::optional(node.mapped()) : std::nullopt;
}

std::optional<Dump::Value> Dump::take(std::uint64_t offset, unsigned bits) {
  const auto low = take(offset);
  const auto high = bits == kLow.width() ? std::nullopt : take(offset + sizeof(std::uint32_t));
  if (!low && !high) return std::nullopt;
  return Value{kLow.of(low.value_or(0)) | kHigh.of(high.value_or(0)), !low};
}

std::optional<Dump::Value> Dump::take(const Register& r) {
  if (r.offset != Register::kPlaced) return take(r.offset, r.bits);
  if (const auto it = named_.find(r.id); it != named_.end()) return Value{it->second};
  if (!ecap_) return std::nullopt;
  return take(iva_offset(*ecap_) + (r.id == RegId::kIOTLB ? sizeof(std::uint64_t) : 0), r.bits);
}

std::string Dump::fault_records() {
  std::string out;
  if (!cap_) return out;
  for (unsigned i = 0; i < frcd_count(*cap_); ++i) {
    const std::uint64_t offset = frcd_offset(*cap_) + std::uint64_t{i} * frcd::kBytes;
    const auto low = take(offset, 64);
    const auto high = take(offset + sizeof(std::uint64_t), 64);
    if (!low && !high) continue;
    out += fmt::format("FRCD{}, fault record: offset {:#x}, 128 bits, VT-d 11.4.14.1\n", i, offset);
    out += decode_fault(high.value_or(Value{}).value, low.value_or(Value{}).value);
  }
  return out;
}

std::string Dump::unknown() const {
  std::string out;
  for (const auto& [offset, value] : words_)
    out += fmt::format("offset {:#x} = {:#x}: no register is known here\n", offset, value);
  if (!out.empty() && !cap_) out += "(fault records are placed by CAP.FRO, and CAP is not in the dump)\n";
  if (!out.empty() && !ecap_) out += "(IVA and IOTLB are placed by ECAP.IRO, and ECAP is not in the dump)\n";
  return out;
}

std::string Dump::decode() {
  std::string out;
  for (const Register& r : kRegisters) {
    const auto taken = take(r);
    if (!taken) continue;
    const std::uint64_t value = taken->value;
    if (r.id == RegId::kCAP) cap_ = value;
    if (r.id == RegId::kECAP) ecap_ = value;
    const bool placed = r.offset == Register::kPlaced;
    const std::uint64_t offset =
        placed ? iva_offset(ecap_.value_or(0)) + (r.id == RegId::kIOTLB ? sizeof(std::uint64_t) : 0) : r.offset;
    const std::string about = title(r.name);
    out += fmt::format("{}{}{}: {}, {} bits, VT-d {}, value {:#x}{}\n", r.name, about.empty() ? "" : ", ", about,
                       placed && !ecap_ ? "placed by ECAP.IRO" : fmt::format("offset {:#x}", offset), r.bits, r.section,
                       value, taken->half ? " (the low half is not in the dump)" : "");
    const std::vector<Field> fields = fields_of(r);
    out += field_lines(r.name, fields, std::span(&value, 1));
    std::uint64_t reserved = r.bits == 64 ? ~std::uint64_t{0} : kLow.mask();
    for (const Field& f : fields) reserved &= ~f.mask();
    if (const std::string bits = bits_set(std::span(&value, 1), std::span(&reserved, 1)); !bits.empty())
      out += fmt::format("  reserved bits set: {}\n", bits);
  }
  out += fault_records();
  return out + unknown();
}

}  // namespace

std::optional<std::uint64_t> parse_hex(std::string_view text) {
  if (text.starts_with("0x") || text.starts_with("0X")) text.remove_prefix(2);
  std::uint64_t value = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  if (text.empty() || error != std::errc{} || rest != text.data() + text.size()) return std::nullopt;
  return value;
}

std::string decode_registers(const std::string& path, const std::vector<std::string>& values) {
  Dump dump;
  if (!path.empty()) {
    std::ifstream file(path);
    std::string line;
    int number = 0;
    while (std::getline(file, line)) dump.add(line, fmt::format("{}:{}", path, ++number));
    if (number == 0 || file.bad()) throw std::invalid_argument(fmt::format("{}: cannot read the file", path));
  }
  for (const std::string& value : values) dump.add(value, fmt::format("--reg {}", value));
  std::string out = dump.decode();
  if (out.empty())
    throw std::invalid_argument("there is no register to decode, expected a FILE with some or --reg NAME=VALUE");
  return out;
}

}  // namespace vtd::sim
