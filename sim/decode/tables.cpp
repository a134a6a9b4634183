// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "sim/decode/decode.h"
#include "sim/decode/paging_tree.h"
#include "sim/decode/words.h"
#include "tlm/spec/capability.h"
#include "tlm/spec/paging.h"
#include "tlm/spec/registers.h"
#include "tlm/spec/structures.h"

namespace vtd::sim {
namespace {

constexpr unsigned kBuses = 256;
constexpr unsigned kDevices = 256;  ///< of a bus, functions counted

/// A root entry, or one half of a scalable one: the context table of `count` devices from `first` on.
struct Half {
  unsigned word;
  unsigned first;
  unsigned count;
  [[nodiscard]] constexpr bool has(unsigned devfn) const { return devfn - first < count; }
};
constexpr Half kLegacyHalves[] = {{0, 0, kDevices}};
constexpr Half kScalableHalves[] = {{0, 0, kDevices / 2}, {1, kDevices / 2, kDevices / 2}};
constexpr Field kRootFields[] = {root::kP, root::kCTP};
constexpr Field kHalfFields[] = {root::kLP, root::kLCTP};

/// A field that is reserved in a unit without the capability.
struct Need {
  Field field;
  Field capability;  ///< of ECAP
};
constexpr Need kContextNeeds[] = {{sctx::kDTE, ecap::kDT},
                                  {sctx::kPASIDE, ecap::kPASID},
                                  {sctx::kPRE, ecap::kPRS},
                                  {sctx::kRID_PASID, ecap::kRPS},
                                  {sctx::kRID_PRIV, ecap::kRPRIVS}};
constexpr Need kPasidNeeds[] = {
    {pasid::kSSADE, ecap::kSSADS}, {pasid::kPWSNP, ecap::kSMPWCS}, {pasid::kPGSNP, ecap::kSC},
    {pasid::kCD, ecap::kMTS},      {pasid::kEMTE, ecap::kMTS},     {pasid::kPAT, ecap::kMTS},
    {pasid::kSRE, ecap::kSRS},     {pasid::kERE, ecap::kERS},      {pasid::kEAFE, ecap::kEAFS}};
/// What TT and PGTT need, by value.
constexpr std::optional<Field> kTypeNeeds[] = {std::nullopt, ecap::kDT, ecap::kPT, std::nullopt};
constexpr std::optional<Field> kStageNeeds[] = {std::nullopt, ecap::kFSTS,  ecap::kSSTS,  ecap::kNEST,
                                                ecap::kPT,    std::nullopt, std::nullopt, std::nullopt};

/// Entries of a table: all of them, or the one that is asked for.
struct Range {
  unsigned first;
  unsigned count;
  bool asked;
};
Range all(unsigned count) {
  return {0, count, false};
}
Range only(std::uint64_t index) {
  return {static_cast<unsigned>(index), 1, true};
}

SourceId source_id(unsigned bus, unsigned devfn) {
  return SourceId{static_cast<std::uint16_t>((bus << 8) | devfn)};
}

class Tables {
 public:
  Tables(const MemoryImage& image, const TableQuestion& question, TableMode mode, Lines& out)
      : image_(image), question_(question), scalable_(mode == TableMode::kScalable), out_(out), paging_(image, out) {}

  void root();

 private:
  struct Entry {
    std::string heading;
    std::string_view owner;  ///< of the fields' words
    std::span<const Field> fields;
    std::span<const std::uint64_t> words;
    std::span<const std::uint64_t> reserved;
    std::span<const Need> needs{};
  };
  /// Prints an entry with its fields; false, and why, if the unit would not take it. `wrong` says what else is wrong.
  bool usable(unsigned depth, const Entry& entry, std::initializer_list<std::string> wrong);
  /// "SSPTPTR is beyond 46 bits", or nothing.
  [[nodiscard]] std::string pointer(const Field& field, std::uint64_t word) const;
  /// "TT needs ECAP.DT", or nothing.
  [[nodiscard]] std::string type(const char* name, const std::optional<Field>& need) const;
  /// Whether AW is reserved, or CAP.SAGAW lacks it.
  [[nodiscard]] std::string width(unsigned levels) const;
  /// Visits the entries of a table. Zero ones are counted in a line, unless asked for.
  template <std::size_t N, typename Visit>
  void each(unsigned depth, const char* what, PhysAddr table, Range range, Visit visit);

  void half(unsigned bus, const Half& half, const root::Entry& raw);
  void context(unsigned bus, unsigned devfn, const ctx::Entry& raw);
  void context(unsigned bus, unsigned devfn, const sctx::Entry& raw);
  void directory(unsigned index, const pasid_dir::Entry& raw, std::optional<Pasid> pasid);
  void pasid(std::uint32_t number, const pasid::Entry& raw);
  void stage(unsigned depth, const Stage& stage);

  const MemoryImage& image_;
  const TableQuestion& question_;
  bool scalable_;
  Lines& out_;
  PagingTree paging_;
};

std::string Tables::pointer(const Field& field, std::uint64_t word) const {
  if (!beyond_width(field.in_place(word), question_.machine.host_address_width)) return {};
  return fmt::format("{} is beyond {} bits", field.name, question_.machine.host_address_width);
}

std::string Tables::type(const char* name, const std::optional<Field>& need) const {
  return need && question_.machine.lacks_ecap(*need) ? fmt::format("{} needs ECAP.{}", name, need->name) : "";
}

std::string Tables::width(unsigned levels) const {
  if (levels < 3 || levels > 5) return "AW is reserved";
  const auto& cap = question_.machine.cap;
  const bool lacks = cap && (cap::kSAGAW.get(*cap) & bit(aw_of_levels(levels))) == 0;
  return lacks ? fmt::format("CAP.SAGAW has no {} levels", levels) : "";
}

bool Tables::usable(unsigned depth, const Entry& entry, std::initializer_list<std::string> wrong) {
  const bool zero = std::all_of(entry.words.begin(), entry.words.end(), [](std::uint64_t word) { return word == 0; });
  const std::string fields = zero ? "zero" : field_list(entry.owner, entry.fields, entry.words, Zeros::kOmit);
  out_.add(depth, fmt::format("{}: {}", entry.heading, fields));
  if ((entry.words[0] & bit(0)) == 0) {  // P is bit 0 of all of them
    out_.add(depth + 1, "unusable: not present");
    return false;
  }
  bool good = true;
  const auto because = [&](const std::string& text) {
    out_.add(depth + 1, "unusable: " + text);
    good = false;
  };
  if (const std::string bits = bits_set(entry.words, entry.reserved); !bits.empty())
    because("reserved bits set: " + bits);
  for (const Need& need : entry.needs)
    if (need.field.get(entry.words[need.field.word()]) != 0 && question_.machine.lacks_ecap(need.capability))
      because(fmt::format("{} needs ECAP.{}", need.field.name, need.capability.name));
  for (const std::string& text : wrong)
    if (!text.empty()) because(text);
  return good;
}

template <std::size_t N, typename Visit>
void Tables::each(unsigned depth, const char* what, PhysAddr table, Range range, Visit visit) {
  unsigned zero = 0;
  for (unsigned i = range.first; i < range.first + range.count; ++i) {
    Record<N> raw;
    const PhysAddr address = table + i * sizeof(raw.words);
    if (!image_.read(address, raw.words))
      return out_.add(depth, fmt::format("{} {:#x} at {:#x} is {}", what, i, address, image_.outside()));
    if (!range.asked && raw == Record<N>{})
      ++zero;
    else
      visit(i, raw);
  }
  if (zero != 0) out_.add(depth, fmt::format("{} of {} {} are zero, not present", zero, range.count, what));
}

void Tables::root() {
  const PhysAddr table = rtaddr::kRTA.in_place(question_.root);
  out_.add(0, fmt::format("root table at {:#x}, {} mode", table, scalable_ ? "scalable" : "legacy"));
  const auto& source = question_.source;
  each<2>(1, "root entries", table, source ? only(source->bus()) : all(kBuses),
          [&](unsigned bus, const root::Entry& raw) {
            const std::span<const Half> halves = scalable_ ? std::span<const Half>(kScalableHalves) : kLegacyHalves;
            for (const Half& h : halves)
              if (source ? h.has(source->devfn()) : !scalable_ || raw.words[h.word] != 0) half(bus, h, raw);
          });
}

void Tables::half(unsigned bus, const Half& half, const root::Entry& raw) {
  const std::uint64_t word = raw.words[half.word];
  const std::uint64_t words[] = {word, scalable_ ? 0 : raw.words[1]};
  const std::uint64_t reserved[] = {bit_range(11, 1), ~std::uint64_t{0}};
  std::string heading = fmt::format("bus {:02x}", bus);
  if (scalable_) heading += half.first == 0 ? ", devices 00..0f" : ", devices 10..1f";
  const std::span<const Field> fields = scalable_ ? std::span<const Field>(kHalfFields) : kRootFields;
  if (!usable(1, {heading, "root", fields, words, reserved}, {pointer(fields[1], word)})) return;
  const Range range = question_.source ? only(question_.source->devfn() - half.first) : all(half.count);
  const PhysAddr table = root::kCTP.in_place(word);
  const auto visit = [&](unsigned index, const auto& entry) { context(bus, half.first + index, entry); };
  if (scalable_)
    each<4>(2, "context entries", table, range, visit);
  else
    each<2>(2, "context entries", table, range, visit);
}

void Tables::context(unsigned bus, unsigned devfn, const ctx::Entry& raw) {
  const auto type = static_cast<TranslationType>(raw.get(ctx::kTT));
  const auto levels = levels_of_aw(static_cast<unsigned>(raw.get(ctx::kAW)));
  const bool pass_through = type == TranslationType::kPassThrough;
  const bool good = usable(
      2, {source_text(source_id(bus, devfn)), "context", ctx::kAll, raw.words, ctx::kReserved},
      {type == TranslationType::kReserved ? "TT is reserved" : "", this->type("TT", kTypeNeeds[raw.get(ctx::kTT)]),
       width(levels), pass_through ? "" : pointer(ctx::kSSPTPTR, raw.words[0])});
  if (!good) return;
  if (pass_through) return out_.add(3, "pass-through: the address of a request is the host address");
  stage(3, {false, raw.address(ctx::kSSPTPTR), levels, question_.machine, nullptr});
}

void Tables::context(unsigned bus, unsigned devfn, const sctx::Entry& raw) {
  const Entry entry{
      source_text(source_id(bus, devfn)), "scalable-context", sctx::kAll, raw.words, sctx::kReserved, kContextNeeds};
  if (!usable(2, entry, {pointer(sctx::kPASIDDIRPTR, raw.words[0])})) return;
  std::optional<Pasid> pasid = question_.pasid;
  if (!pasid && question_.iova) pasid = Pasid{static_cast<std::uint32_t>(raw.get(sctx::kRID_PASID))};
  const std::uint32_t pasids = pasids_of_pdts(static_cast<unsigned>(raw.get(sctx::kPDTS)));
  if (pasid && pasid->value >= pasids)
    return out_.add(3, fmt::format("PASID {:#x} is beyond the directory of {} PASIDs", pasid->value, pasids));
  const auto per_entry = static_cast<unsigned>(bit(pasid_dir::kIndex.lo));
  each<1>(3, "PASID directory entries", raw.address(sctx::kPASIDDIRPTR),
          pasid ? only(pasid_dir::kIndex.get(pasid->value)) : all(pasids / per_entry),
          [&](unsigned index, const pasid_dir::Entry& e) { directory(index, e, pasid); });
}

void Tables::directory(unsigned index, const pasid_dir::Entry& raw, std::optional<Pasid> pasid) {
  const auto first = static_cast<std::uint32_t>(pasid_dir::kIndex.of(index));
  const auto count = static_cast<unsigned>(bit(pasid_dir::kIndex.lo));
  const Entry entry{fmt::format("PASIDs {:#x}..{:#x}", first, first + count - 1), "pasid-directory", pasid_dir::kAll,
                    raw.words, pasid_dir::kReserved};
  if (!usable(3, entry, {pointer(pasid_dir::kSMPTBLPTR, raw.words[0])})) return;
  each<8>(4, "PASID entries", raw.address(pasid_dir::kSMPTBLPTR),
          pasid ? only(pasid::kIndex.get(pasid->value)) : all(count),
          [&](unsigned i, const pasid::Entry& e) { this->pasid(first + i, e); });
}

void Tables::pasid(std::uint32_t number, const pasid::Entry& raw) {
  const auto type = static_cast<PasidTranslation>(raw.get(pasid::kPGTT));
  const bool pass_through = type == PasidTranslation::kPassThrough;
  const bool nested = type == PasidTranslation::kNested;
  const bool uses_first = type == PasidTranslation::kFirstStage || nested;
  const bool uses_second = type == PasidTranslation::kSecondStage || nested;
  const auto levels = levels_of_aw(static_cast<unsigned>(raw.get(pasid::kAW)));
  const std::uint64_t mode = raw.get(pasid::kFSPM);
  const bool good =
      usable(4, {fmt::format("PASID {:#x}", number), "pasid", pasid::kAll, raw.words, pasid::kReserved, kPasidNeeds},
             {!pass_through && !uses_first && !uses_second ? "PGTT is reserved" : "",
              this->type("PGTT", kStageNeeds[raw.get(pasid::kPGTT)]), uses_second ? width(levels) : "",
              uses_first && mode > 1 ? "FSPM is reserved" : "",
              uses_first && mode == 1 && question_.machine.lacks_cap(cap::kFS5LP) ? "FSPM needs CAP.FS5LP" : "",
              pointer(pasid::kSSPTPTR, raw.words[0]),
              nested ? "" : pointer(pasid::kFSPTPTR, raw.words[pasid::kFSPTPTR.word()])});
  if (!good) return;
  if (pass_through) return out_.add(5, "pass-through: the address of a request is the host address");
  const Stage second{false, raw.address(pasid::kSSPTPTR), levels, question_.machine, nullptr};
  const Stage first{true, raw.address(pasid::kFSPTPTR), mode == 0 ? 4U : 5U, question_.machine,
                    nested ? &second : nullptr};
  if (uses_first) stage(5, first);
  // The path of an address goes on through the second stage by itself.
  if (uses_second && !(nested && question_.iova)) stage(5, second);
}

void Tables::stage(unsigned depth, const Stage& stage) {
  if (question_.iova)
    paging_.path(depth, stage, *question_.iova);
  else
    paging_.tree(depth, stage);
}

TableMode mode_of(const TableQuestion& question) {
  if (question.mode) return *question.mode;
  const auto mode = static_cast<TableMode>(rtaddr::kTTM.get(question.root));
  if (mode == TableMode::kLegacy || mode == TableMode::kScalable) return mode;
  throw std::invalid_argument(fmt::format("--root {:#x}: TTM is {}, expected legacy or scalable mode", question.root,
                                          mode == TableMode::kAbortDma ? "abort DMA" : "reserved"));
}

}  // namespace

std::string decode_tables(const MemoryImage& image, const TableQuestion& question) {
  const TableMode mode = mode_of(question);
  constexpr std::uint64_t kReserved = ~(rtaddr::kRTA.mask() | rtaddr::kTTM.mask());
  if ((question.root & kReserved) != 0)
    throw std::invalid_argument(fmt::format("--root {:#x}: not at a page, expected RTADDR", question.root));
  if (question.iova && !question.source)
    throw std::invalid_argument("--iova: needs --source, the device that issues the address");
  if (question.pasid && mode == TableMode::kLegacy)
    throw std::invalid_argument("--pasid: legacy mode has no PASIDs, expected --mode scalable");
  image.need("--root", rtaddr::kRTA.in_place(question.root));
  Lines lines(question.limit);
  return lines.collect([&] { Tables(image, question, mode, lines).root(); });
}

}  // namespace vtd::sim
