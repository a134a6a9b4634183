// SPDX-License-Identifier: MIT
#include "sim/inject.h"

#include <fmt/format.h>

#include <algorithm>
#include <regex>
#include <stdexcept>

#include "firmware/liveupdate/abi.h"
#include "sim/scenario/scenario.h"
#include "sim/scenario/schema.h"
#include "tlm/soc/platform.h"
#include "tlm/spec/paging.h"
#include "tlm/spec/platform.h"
#include "tlm/spec/structures.h"

namespace vtd::sim {

namespace abi = fw::abi;

namespace {

const std::regex kImage(R"(image\.([a-z_]+)(?:\[(\d+)\])?\.([a-z0-9_]+))");
const std::regex kReference(R"(([a-z_]+)\[(\d+)\])");
const std::regex kFlip(R"(flip:(\d+))");
const std::regex kRandom(R"(random:(\d+))");
const std::regex kPreservedTable(R"(preserved\.table\[([1-5])\])");
const std::regex kPreserved(R"(preserved\.(root|context|pasid|memory|units|domains|devices|handover))");
const std::regex kFirmware(R"(firmware\.([a-z_]+))");
const std::regex kFail(R"(fail\.([a-z_]+))");
const std::regex kEntry(R"(entry\.([A-Za-z0-9_-]+)\[(0x[0-9a-fA-F]+)\]\.level([1-5]))");

constexpr const char* kFailPlaces[] = VTD_FAIL_PLACE_NAMES;

std::optional<platform::FailPlace> fail_place(const std::string& name) {
  for (std::size_t i = 1; i < std::size(kFailPlaces); ++i)
    if (name == kFailPlaces[i]) return static_cast<platform::FailPlace>(i);
  return std::nullopt;
}

/// Reads structures in DRAM as the unit's registers point to them.
class TableReader {
 public:
  explicit TableReader(soc::Platform& platform, unsigned unit = 0) : platform_(platform), unit_(unit) {}

  [[nodiscard]] std::uint64_t read(PhysAddr address) const { return platform_.dram().peek(address); }

  [[nodiscard]] PhysAddr root() const { return rtaddr::kRTA.in_place(root_register()); }
  [[nodiscard]] bool scalable() const {
    return rtaddr::kTTM.get(root_register()) == static_cast<std::uint64_t>(TableMode::kScalable);
  }
  [[nodiscard]] PhysAddr context_table(SourceId source) const {
    const PhysAddr at = root() + std::uint64_t{source.bus()} * root::kBytes;
    const bool upper = scalable() && source.devfn() >= kScalableEntries;
    return root::kCTP.in_place(read(upper ? at + 8 : at));
  }
  /// The low half of the context entry.
  [[nodiscard]] Record128 context(SourceId source) const {
    const PhysAddr table = context_table(source);
    const PhysAddr at = scalable() ? table + std::uint64_t{source.devfn() % kScalableEntries} * sctx::kBytes
                                   : table + std::uint64_t{source.devfn()} * ctx::kBytes;
    return {{read(at), read(at + 8)}};
  }
  /// Page of the table that has the PASID; throws if there is none.
  [[nodiscard]] PhysAddr pasid_table(SourceId source, std::uint32_t pasid) const {
    const PhysAddr directory = context(source).address(sctx::kPASIDDIRPTR);
    const std::uint64_t entry = read(directory + pasid_dir::kIndex.get(pasid) * pasid_dir::kBytes);
    if (pasid_dir::kP.get(entry) == 0)
      throw std::runtime_error(fmt::format("the device has no table for PASID {}", pasid));
    return pasid_dir::kSMPTBLPTR.in_place(entry);
  }
  /// Address of the paging entry of `level` that `iova` selects, for requests without PASID; throws if the tables do
  /// not reach so far.
  [[nodiscard]] PhysAddr entry(SourceId source, Iova iova, unsigned level) const {
    if (context(source).get(ctx::kP) == 0) throw std::runtime_error("the device has no context entry");
    unsigned at_level = levels_of_aw(static_cast<unsigned>(context(source).get(ctx::kAW)));
    PhysAddr table = context(source).address(ctx::kSSPTPTR);
    bool first_stage = false;
    if (scalable()) {
      const PhysAddr at = pasid_table(source, 0);
      first_stage = pasid::kPGTT.get(read(at)) == static_cast<std::uint64_t>(PasidTranslation::kFirstStage);
      at_level = first_stage ? 4 + static_cast<unsigned>(pasid::kFSPM.get(read(at + 16)))
                             : levels_of_aw(static_cast<unsigned>(pasid::kAW.get(read(at))));
      table = first_stage ? pasid::kFSPTPTR.in_place(read(at + 16)) : pasid::kSSPTPTR.in_place(read(at));
    }
    const std::uint64_t present = first_stage ? fs::kP.mask() : ss::kR.mask() | ss::kW.mask();
    PhysAddr at = entry_address(table, iova, at_level);
    for (; at_level > level; --at_level) {
      const std::uint64_t entry = read(at);
      if ((entry & present) == 0 || ss::kPS.get(entry) != 0)
        throw std::runtime_error(fmt::format("the tables end at level {}", at_level));
      at = entry_address(ss::kADDR.in_place(entry), iova, at_level - 1);
    }
    return at;
  }
  /// A table page of `level`: the first one in the tables that start at `table`.
  [[nodiscard]] std::optional<PhysAddr> first_table(PhysAddr table, unsigned table_level, unsigned level) const {
    if (table_level == level) return table;
    for (unsigned i = 0; i < kEntriesPerTable; ++i) {
      const std::uint64_t entry = read(table + std::uint64_t{i} * kEntryBytes);
      const bool present = (ss::kR.get(entry) | ss::kW.get(entry)) != 0;
      if (!present || ss::kPS.get(entry) != 0) continue;
      if (const auto found = first_table(ss::kADDR.in_place(entry), table_level - 1, level)) return found;
    }
    return std::nullopt;
  }

 private:
  static constexpr unsigned kScalableEntries = 128;  ///< of one context table
  [[nodiscard]] std::uint64_t root_register() const {
    return platform_.unit(unit_).core().register_value(RegId::kRTADDR);
  }

  soc::Platform& platform_;
  unsigned unit_;
};

std::optional<PhysAddr> record(soc::Platform& platform, const std::string& name, std::uint64_t index) {
  return abi::find_record([&](PhysAddr a) { return platform.dram().peek(a); }, platform.resets().handover(), name,
                          index);
}

PhysAddr need(std::optional<PhysAddr> address, const std::string& what) {
  if (!address) throw std::runtime_error("the handover image has no " + what);
  return *address;
}

std::uint64_t field(soc::Platform& platform, const std::string& record_name, std::uint64_t index, const char* name) {
  const PhysAddr at = need(record(platform, record_name, index), record_name);
  const PhysAddr address = at + abi::find_field(record_name, name)->offset;
  return platform.dram().peek(align_down(address, 8));
}

void write_field(soc::Platform& platform, PhysAddr address, std::uint32_t bytes, std::uint64_t value) {
  if (bytes == 8) return platform.dram().poke(address, value);
  const PhysAddr word = align_down(address, 8);
  const Field half = address == word ? Field{"low", 31, 0} : Field{"high", 63, 32};
  platform.dram().poke(word, half.with(platform.dram().peek(word), value));
}

std::uint64_t read_field(soc::Platform& platform, PhysAddr address, std::uint32_t bytes) {
  const std::uint64_t word = platform.dram().peek(align_down(address, 8));
  return bytes == 8 ? word : address % 8 == 0 ? word & bit_range(31, 0) : word >> 32;
}

void lose_page(soc::Platform& platform, PhysAddr page) {
  if (!platform.resets().preserved(page))
    throw std::runtime_error(fmt::format("page {:#x} is not preserved anyway", page));
  const PhysAddr word =
      abi::tracker_word([&](PhysAddr at) { return platform.dram().peek(at); }, platform.resets().tracker(), page);
  platform.dram().poke(word, platform.dram().peek(word) & ~bit(platform::tracker::bit_of(page)));
}

PhysAddr named_page(soc::Platform& platform, const std::string& what) {
  const TableReader tables(platform);
  if (what == "handover") return platform.resets().handover();
  if (what == "root") return tables.root();
  if (what == "context" || what == "pasid") {
    const SourceId device{static_cast<std::uint16_t>(field(platform, "device", 0, "devid"))};
    return what == "context" ? tables.context_table(device) : tables.pasid_table(device, 0);
  }
  if (what == "memory") return field(platform, "memory", 0, "base");
  return align_down(need(record(platform, what.substr(0, what.size() - 1), 0), what), kPageSize);
}

/// The first page of general memory that nobody has preserved.
PhysAddr unpreserved_page(soc::Platform& platform) {
  for (PhysAddr page = platform::kHeapBase; page < platform.dram().size(); page += kPageSize)
    if (!platform.resets().preserved(page)) return page;
  throw std::runtime_error("every page is preserved");
}

/// Mixes a number into another one, so that each field gets its own bits (splitmix64).
std::uint64_t mix(std::uint64_t seed, const std::string& text) {
  std::uint64_t z = seed;
  for (const char c : text) {
    z = (z + static_cast<unsigned char>(c)) + 0x9E3779B97F4A7C15;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
    z ^= z >> 31;
  }
  return z;
}

/// What a word of value_words() stands for, for a field that holds `old`.
std::uint64_t value_of(soc::Platform& platform, const Injection& injection, std::uint64_t old, std::uint32_t bytes) {
  const std::string& word = injection.reference;
  std::smatch m;
  if (std::regex_match(word, m, kReference)) return need(record(platform, m[1].str(), *parse_number(m[2].str())), word);
  if (std::regex_match(word, m, kFlip))
    return old ^ bit(static_cast<unsigned>(*parse_number(m[1].str()) % (bytes * 8)));
  if (word == "ones") return ~std::uint64_t{0};
  if (std::regex_match(word, m, kRandom)) return mix(*parse_number(m[1].str()), injection.place);
  if (word == "outside") return platform.dram().size();
  if (word == "unpreserved") return unpreserved_page(platform);
  if (word == "in_use") return align_down(need(record(platform, "device", 0), "device"), kPageSize);
  // neighbour
  return old != 0 && is_aligned(old, kPageSize) ? old + kPageSize : old + 1;
}

std::string describe(const Injection& injection) {
  return fmt::format("{} = {:#x}", injection.place, injection.value);
}

std::string apply_at_reset(soc::Platform& platform, const Injection& injection) {
  std::smatch m;
  if (std::regex_match(injection.place, m, kImage)) {
    const std::uint64_t index = m[2].matched ? *parse_number(m[2].str()) : 0;
    const PhysAddr at = need(record(platform, m[1].str(), index), injection.place);
    const abi::FieldInfo* f = abi::find_field(m[1].str(), m[3].str());
    Injection done = injection;
    const std::uint64_t old = read_field(platform, at + f->offset, f->bytes);
    if (!injection.reference.empty()) done.value = value_of(platform, injection, old, f->bytes);
    if (f->bytes == 4) done.value &= bit_range(31, 0);
    write_field(platform, at + f->offset, f->bytes, done.value);
    return fmt::format("{}, was {:#x}", describe(done), old);
  }
  PhysAddr page = 0;
  if (std::regex_match(injection.place, m, kPreservedTable)) {
    const auto level = static_cast<unsigned>(*parse_number(m[1].str()));
    const PhysAddr at = need(record(platform, "domain", 0), "domain");
    const PhysAddr top = platform.dram().peek(at + abi::find_field("domain", "top_table")->offset);
    const auto top_level = static_cast<unsigned>(field(platform, "domain", 0, "top_level") & 0xFFFFFFFF);
    const auto table = level <= top_level ? TableReader(platform).first_table(top, top_level, level) : std::nullopt;
    page = need(table, fmt::format("table of level {}", level));
  } else if (std::regex_match(injection.place, m, kPreserved)) {
    page = named_page(platform, m[1].str());
  }
  lose_page(platform, page);
  return fmt::format("{}: page {:#x} left out of the preserved set", injection.place, page);
}

}  // namespace

const std::vector<PlaceHelp>& places() {
  static const std::vector<PlaceHelp> kPlaces = [] {
    std::vector<PlaceHelp> all{
        {"image.RECORD[N].FIELD=VALUE",
         "a field of the handover image, at the warm reset (records and fields: explain image)"},
        {"preserved.table[LEVEL]", "a page-table page left out of the preserved set"},
        {"preserved.root", "the root table left out of the preserved set"},
        {"preserved.context", "the first device's context table left out of the preserved set"},
        {"preserved.pasid", "the first device's first PASID table left out of the preserved set"},
        {"preserved.memory", "the first page of the first memory file left out of the preserved set"},
        {"preserved.units|domains|devices|handover", "a page of records left out of the preserved set"},
        {"entry.DEVICE[IOVA].levelN=VALUE", "the paging entry of level N that the device's IOVA selects, at once"},
    };
    for (std::size_t i = 1; i < std::size(kFailPlaces); ++i)
      all.push_back({fmt::format("fail.{}=N", kFailPlaces[i]), "that call of the firmware fails at its N-th turn"});
    for (std::size_t i = 0; i < platform::kDeviations; ++i) {
      const platform::DeviationInfo& d = platform::info(static_cast<platform::Deviation>(i));
      all.push_back({fmt::format("firmware.{}=1", d.name), std::string(d.what)});
    }
    return all;
  }();
  return kPlaces;
}

std::string check_place(const std::string& place, bool has_value) {
  std::smatch m;
  if (std::regex_match(place, m, kImage)) {
    if (abi::find_field(m[1].str(), m[3].str()) == nullptr) {
      std::vector<std::string> fields;
      for (const abi::FieldInfo& f : abi::kFields)
        if (f.record == m[1].str()) fields.emplace_back(f.name);
      if (fields.empty())
        return fmt::format(
            "the image has no record '{}', expected root, flb, iommu, unit, domain, device, session, file, memory, "
            "iommufd, hwpt or vfio, or unit_page, domain_page, device_page, session_page or memory_page",
            m[1].str());
      return fmt::format("image record '{}' has no field '{}', expected one of {}", m[1].str(), m[3].str(),
                         fmt::join(fields, ", "));
    }
    return has_value ? "" : fmt::format("{} needs a value", place);
  }
  for (const std::regex* r : {&kPreservedTable, &kPreserved})
    if (std::regex_match(place, *r)) return "";
  if (std::regex_match(place, m, kFirmware) && platform::find_deviation(m[1].str())) return "";
  if (std::regex_match(place, m, kFail) && fail_place(m[1].str())) return "";
  if (std::regex_match(place, kEntry)) return has_value ? "" : fmt::format("{} needs a value", place);
  std::vector<std::string> names;
  for (const PlaceHelp& p : places()) names.push_back(p.pattern.substr(0, p.pattern.find('=')));
  const std::string meant = nearest(place, names);
  return fmt::format("unknown place '{}', expected one of `vtdsim explain places`{}", place,
                     meant.empty() ? "" : fmt::format("; did you mean '{}'?", meant));
}

bool is_reference(const std::string& text) {
  const auto& words = value_words();
  return std::regex_match(text, kReference) || std::regex_match(text, kFlip) || std::regex_match(text, kRandom) ||
         std::any_of(words.begin(), words.end(), [&](const PlaceHelp& w) { return w.pattern == text; });
}

const std::vector<PlaceHelp>& value_words() {
  static const std::vector<PlaceHelp> kWords = {
      {"RECORD[N]", "the address of that record"},
      {"ones", "all bits set"},
      {"neighbour", "the next number, or the next page"},
      {"random:N", "bits that follow from N and the place"},
      {"outside", "the first address behind memory"},
      {"unpreserved", "a page that nobody preserved"},
      {"in_use", "a page in use: that of the device records"},
      {"flip:N", "bit N the other way round"},
  };
  return kWords;
}

Injection parse_injection(const std::string& text) {
  Injection injection;
  const std::size_t equals = text.find('=');
  injection.place = text.substr(0, equals);
  if (equals != std::string::npos) {
    const std::string given = text.substr(equals + 1);
    const auto value = parse_number(given);
    if (!value && !is_reference(given))
      throw std::invalid_argument(
          fmt::format("--inject {}: the value must be a number, a record such as unit[1], or one of the words of "
                      "`vtdsim explain places`",
                      text));
    injection.value = value.value_or(0);
    if (!value) injection.reference = given;
  }
  const std::string wrong = check_place(injection.place, equals != std::string::npos);
  if (!wrong.empty()) throw std::invalid_argument("--inject: " + wrong);
  return injection;
}

void Injector::plan(const Injection& injection) {
  planned_.push_back(injection);
  if (std::regex_match(injection.place, kFirmware)) done_.push_back(describe(injection));
}

platform::DeviationSet Injector::deviations() const {
  platform::DeviationSet set{};
  std::smatch m;
  for (const Injection& i : planned_)
    if (std::regex_match(i.place, m, kFirmware))
      set = platform::with(set, *platform::find_deviation(m[1].str()), i.value != 0);
  return set;
}

bool Injector::waits_for_reset(const std::string& place) {
  return std::regex_match(place, kImage) || std::regex_match(place, kPreservedTable) ||
         std::regex_match(place, kPreserved);
}

void Injector::at_reset(soc::Platform& platform) {
  std::vector<Injection> rest;
  for (const Injection& i : planned_) {
    if (waits_for_reset(i.place)) {
      done_.push_back(apply_at_reset(platform, i));
    } else if (std::regex_match(i.place, kEntry) || std::regex_match(i.place, kFail)) {
      now(platform, i);
      done_.push_back(describe(i));
    } else {
      rest.push_back(i);
    }
  }
  planned_ = rest;
}

void Injector::now(soc::Platform& platform, const Injection& injection) {
  std::smatch m;
  if (std::regex_match(injection.place, m, kFail))
    return platform.mailbox().set_failure(*fail_place(m[1].str()), injection.value);
  if (!std::regex_match(injection.place, m, kEntry))
    throw std::runtime_error(injection.place + " cannot be changed now");
  const soc::Endpoint* endpoint = platform.find_endpoint(m[1].str());
  if (endpoint == nullptr) throw std::runtime_error("there is no endpoint " + m[1].str());
  const auto level = static_cast<unsigned>(*parse_number(m[3].str()));
  const PhysAddr at =
      TableReader(platform, endpoint->config().unit).entry(endpoint->requester(), *parse_number(m[2].str()), level);
  platform.dram().poke(at, injection.value);
}

}  // namespace vtd::sim
