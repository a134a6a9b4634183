// SPDX-License-Identifier: MIT
#include "tests/oracle/compare.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <initializer_list>
#include <tuple>

namespace vtd::oracle {
namespace {

constexpr std::uint64_t kFsts = 0x34;
constexpr std::uint64_t kRecordLow = 0x220;
constexpr std::uint64_t kRecordHigh = 0x228;

std::uint64_t bits(std::uint64_t value, unsigned high, unsigned low) {
  return (value >> low) & ((std::uint64_t{1} << (high - low + 1)) - 1);
}

std::optional<FaultRecord> record_of(std::uint64_t low, std::uint64_t high) {
  if (bits(high, 63, 63) == 0) return std::nullopt;
  FaultRecord r;
  r.reason = static_cast<unsigned>(bits(high, 39, 32));
  r.source = static_cast<unsigned>(bits(high, 15, 0));
  r.is_read = bits(high, 62, 62) != 0;
  r.address = low & ~std::uint64_t{0xFFF};
  return r;
}

std::string text(const std::optional<FaultRecord>& r) {
  if (!r) return "no fault";
  return fmt::format("reason {:#x} source {:#06x} {} {:#x}", r->reason, r->source, r->is_read ? "read" : "write",
                     r->address);
}

bool one_of(unsigned value, std::initializer_list<unsigned> values) {
  return std::find(values.begin(), values.end(), value) != values.end();
}

/// Equal but for the reason.
bool same_place(const std::optional<FaultRecord>& a, const std::optional<FaultRecord>& b) {
  return a && b && a->source == b->source && a->is_read == b->is_read && a->address == b->address;
}

using Record = std::optional<FaultRecord>;

bool reserved_before_rights(Mode mode, const Record& ours, const Record& theirs) {
  if (!same_place(ours, theirs)) return false;
  if (mode == Mode::kFirstStage)
    return one_of(theirs->reason, {0x81, 0x85}) && one_of(ours->reason, {0x70, 0x71, 0x72, 0x81, 0x85});
  return one_of(theirs->reason, {5, 6}) && one_of(ours->reason, {0xC, 0x7A, 0x78});
}

bool top_table_unreadable(Mode, const Record& ours, const Record& theirs) {
  return same_place(ours, theirs) && theirs->reason == 3 && one_of(ours->reason, {7, 0x7B});
}

bool denied_hit_not_recorded(Mode, const Record& ours, const Record& theirs) {
  return ours && !theirs && one_of(ours->reason, {5, 6, 0x85, 0x86});
}

bool reserved_despite_fpd(Mode, const Record& ours, const Record& theirs) {
  return !ours && theirs && theirs->reason == 0xB;
}

bool pasid_despite_fpd(Mode mode, const Record& ours, const Record& theirs) {
  return mode != Mode::kLegacy && !ours && theirs && theirs->reason == 0x58;
}

bool legacy_reasons(Mode mode, const Record& ours, const Record& theirs) {
  if (mode == Mode::kLegacy || !same_place(ours, theirs)) return false;
  switch (theirs->reason) {
    case 1:
      return ours->reason == 0x39;
    case 2:
      return ours->reason == 0x41;
    case 4:
      return ours->reason == 0x84;
    case 5:
      return one_of(ours->reason, {0x85, 0x79});
    case 6:
      return one_of(ours->reason, {0x86, 0x79});
    case 7:
      return ours->reason == 0x78;
    case 8:
      return ours->reason == 0x38;
    case 9:
      return ours->reason == 0x40;
    case 0xA:
      return ours->reason == 0x3A;
    case 0xB:
      return ours->reason == 0x42;
    case 0xC:
      return ours->reason == 0x7A;
    case 0x58:
      return one_of(ours->reason, {0x50, 0x51, 0x52, 0x59, 0x5A, 0x5B});
    default:
      return false;
  }
}

/// QEMU leaves the bits of the address that are beyond the widest table.
bool address_not_masked(Mode mode, const Record& ours, const Record& theirs) {
  if (!ours || !theirs || ours->address == theirs->address) return false;
  Record same = theirs;
  same->address &= (std::uint64_t{1} << 48) - 1;
  if ((ours->address >> 39) == 0 && same->address != ours->address) same->address &= (std::uint64_t{1} << 39) - 1;
  return same_place(ours, same) && (same->reason == ours->reason || legacy_reasons(mode, ours, same));
}

bool context_domain_as_global(std::uint64_t offset, std::uint64_t ours, std::uint64_t theirs) {
  constexpr std::uint64_t kCaig = std::uint64_t{3} << 59;
  return offset == 0x28 && (ours & kCaig) == std::uint64_t{2} << 59 &&
         theirs == ((ours & ~kCaig) | std::uint64_t{1} << 59);
}

/// For rules about memory.
bool nothing(std::uint64_t, std::uint64_t, std::uint64_t) {
  return false;
}

bool invalid_context(Mode mode, const Record& ours, const Record& theirs) {
  return mode != Mode::kLegacy && same_place(ours, theirs) && theirs->reason == 3 &&
         one_of(ours->reason, {0x50, 0x5B, 0x43, 0x48});
}

}  // namespace

const std::vector<Rule>& rules() {
  static const std::vector<Rule> kRules{
      {"reserved-before-rights",
       "QEMU looks at the rights of a paging entry before its reserved bits (first-stage: before the entries below "
       "it); "
       "an entry that breaks the format says nothing about rights (vtd.md 3.5, 2.6), and rights of a path are judged "
       "at its leaf",
       reserved_before_rights, true},
      {"top-table-unreadable",
       "QEMU reports an unreadable top table as an invalid context entry (3); it is an error reading a paging entry "
       "(vtd.md 3.6: 7, 7B)",
       top_table_unreadable, true},
      {"denied-hit-not-recorded",
       "QEMU blocks a request that an IOTLB entry denies, but records no fault (oracle.md B1); it must be recorded "
       "(vtd.md 9, first trap)",
       denied_hit_not_recorded, true},
      {"context-reserved-despite-fpd",
       "QEMU records reserved bits of a context entry (B) although FPD is set; faults from the context entry on are "
       "qualified (vtd.md 3.5, where the sources differ)",
       reserved_despite_fpd, true},
      {"pasid-fault-despite-fpd",
       "QEMU 7.2 has one reason (58, never qualified) for every fault of PASID directory and entry; absent and invalid "
       "ones are qualified by FPD (vtd.md 3.5)",
       pasid_despite_fpd, true},
      {"legacy-reasons-in-scalable-mode",
       "QEMU uses legacy reasons for root, context and second-stage faults of scalable mode (oracle.md B4); one "
       "notation is translated to the other",
       legacy_reasons, false},
      {"invalid-context-in-scalable-mode",
       "QEMU reports an unreadable or invalid PASID structure as an invalid context entry (3); vtd.md 3.6 has reasons "
       "of their own",
       invalid_context, true},
      {"fault-address-not-masked",
       "QEMU records address bits beyond the widest table, which are zero (vtd.md 3.5); the bits below are compared",
       address_not_masked, false}};
  return kRules;
}

const std::vector<RegisterRule>& register_rules() {
  static const std::vector<RegisterRule> kRules{
      {"context-domain-as-global",
       "QEMU performs a domain-selective context invalidation globally, and says so in CAIG (oracle.md A2): allowed, "
       "ours is exact (vtd.md 4.2)",
       context_domain_as_global},
      {"accessed-dirty-differ",
       "QEMU 10 does not set D when a write hits an IOTLB entry that a read has filled (oracle.md B15), sets no A "
       "below "
       "an entry that denies the access, and sets A and D in a leaf that leads to the interrupt range; D must be set "
       "before "
       "the write, A of every entry used but not of the one that faults (vtd.md 2.7, 3.8)",
       nothing}};
  return kRules;
}

Difference compare(Mode mode, const Case& c, const std::vector<std::uint64_t>& ours,
                   const std::vector<std::uint64_t>& theirs, Tally& tally) {
  std::size_t answer = 0;
  const Mark* mark = nullptr;
  const Command* dma = nullptr;
  std::uint64_t fsts[2] = {};
  std::uint64_t low[2] = {};
  for (std::size_t i = 0; i < c.commands.size(); ++i) {
    const Command& command = c.commands[i];
    if (command.kind == Command::Kind::kMark) mark = command.value < c.marks.size() ? &c.marks[command.value] : nullptr;
    if (command.kind == Command::Kind::kDma) {
      dma = &command;
      ++tally.dmas;
    }
    if (command.kind != Command::Kind::kRead) continue;
    const std::uint64_t a = ours.at(answer);
    const std::uint64_t b = theirs.at(answer);
    ++answer;
    const auto where = [&] {
      return fmt::format(
          "command {}{}", i,
          dma != nullptr ? fmt::format(", after dma{} {:#x}", static_cast<unsigned>(dma->device), dma->address) : "");
    };
    // The status is judged with the record that follows it.
    if (command.address == kFsts && i + 1 < c.commands.size() && c.commands[i + 1].address == kRecordLow) {
      fsts[0] = a;
      fsts[1] = b;
      continue;
    }
    if (command.address == kRecordLow) {
      low[0] = a;
      low[1] = b;
      continue;
    }
    if (command.address != kRecordHigh) {
      if (a == b) continue;
      const auto rule = std::find_if(register_rules().begin(), register_rules().end(),
                                     [&](const RegisterRule& r) { return r.explains(command.address, a, b); });
      if (rule == register_rules().end())
        return {fmt::format("register {:#x}", command.address),
                fmt::format("{}: register {:#x}: ours {:#x}, QEMU {:#x}", where(), command.address, a, b)};
      ++tally.rule_uses[rule->name];
      continue;
    }
    const auto mine = record_of(low[0], a);
    const auto other = record_of(low[1], b);
    if (mark != nullptr && dma != nullptr) {
      const std::string reason = mine ? fmt::format("{:x}", mine->reason) : "ok";
      ++tally.cells[fmt::format("{} | {} | {} | {}", mark->table, mark->page, reason, mark->invalidation)];
    }
    mark = nullptr;
    if (mine == other && fsts[0] == fsts[1]) continue;
    const auto rule =
        std::find_if(rules().begin(), rules().end(), [&](const Rule& r) { return r.explains(mode, mine, other); });
    if (rule == rules().end())
      return {fmt::format("reason {:x} {:x}", mine ? mine->reason : 0, other ? other->reason : 0),
              fmt::format("{}: ours {} FSTS {:#x}, QEMU {} FSTS {:#x}", where(), text(mine), fsts[0], text(other),
                          fsts[1])};
    ++tally.rule_uses[rule->name];
  }
  return {};
}

Difference compare_memory(Mode mode, std::span<const std::uint8_t> ours, std::span<const std::uint8_t> theirs,
                          Tally& tally) {
  constexpr std::uint8_t kAccessed = 0x20;
  constexpr std::uint8_t kDirty = 0x40;
  auto a = ours.begin();
  for (auto b = theirs.begin();; ++a, ++b) {
    std::tie(a, b) = std::mismatch(a, ours.end(), b);
    if (a == ours.end()) return {};
    const auto offset = static_cast<std::uint64_t>(a - ours.begin());
    const bool table = mode == Mode::kFirstStage && offset < kArenaSize / 2 && offset % 8 == 0;
    std::uint64_t entry = 0;
    if (table) std::memcpy(&entry, &*a, sizeof entry);
    const bool dirty_lacking = (*b & ~*a & kDirty) == 0 || in_interrupt_range(entry & ~std::uint64_t{0xFFF});
    if (!table || !dirty_lacking || ((*a ^ *b) & ~(kAccessed | kDirty)) != 0)
      return {"memory", fmt::format("memory at {:#x}: ours {:#04x}, QEMU {:#04x}", kArena + offset, *a, *b)};
    ++tally.rule_uses["accessed-dirty-differ"];
  }
}

const std::vector<Required>& required_cells(Mode mode) {
  static const std::vector<Required> kLegacy{{{"3 levels", "| 4K | ok"}, 200},
                                             {{"4 levels", "| 4K | ok"}, 200},
                                             {{"3 levels", "| 2M | ok"}, 50},
                                             {{"4 levels", "| 2M | ok"}, 50},
                                             {{"3 levels", "| 1G | ok"}, 50},
                                             {{"4 levels", "| 1G | ok"}, 50},
                                             {{"| 4K | 5"}, 5},
                                             {{"| 4K | 6"}, 5},
                                             {{"| 2M | 6"}, 5},
                                             {{"| 1G | 6"}, 5},
                                             {{"4K absent | 5"}, 5},
                                             {{"4K absent | 6"}, 5},
                                             {{"4K bad | c"}, 5},
                                             {{"2M bad | c"}, 5},
                                             {{"1G bad | c"}, 5},
                                             {{"4K bad | e"}, 5},
                                             {{"4K hole | ok"}, 5},
                                             {{"pass-through | ok"}, 50},
                                             {{"| 1 |"}, 5},
                                             {{"| 2 |"}, 5},
                                             {{"| 3 |"}, 5},
                                             {{"| 4 |"}, 20},
                                             {{"| 7 |"}, 5},
                                             {{"| 9 |"}, 5},
                                             {{"| 8 |"}, 20},
                                             {{"| a |"}, 5},
                                             {{"| b |"}, 5},
                                             {{"| page"}, 50},
                                             {{"| page IH"}, 20},
                                             {{"| page AM1-8"}, 5},
                                             {{"| page AM9-18"}, 20},
                                             {{"| domain"}, 50},
                                             {{"| global"}, 20},
                                             {{"| context global"}, 5},
                                             {{"| context domain"}, 5},
                                             {{"| context device"}, 5}};
  static const std::vector<Required> kScalable{{{"3 levels", "| 4K | ok"}, 100},
                                               {{"4 levels", "| 4K | ok"}, 100},
                                               {{"| 2M | ok"}, 50},
                                               {{"| 1G | ok"}, 50},
                                               {{"| 84 |"}, 20},
                                               {{"| 79 |"}, 20},
                                               {{"| 85 |"}, 5},
                                               {{"| 86 |"}, 5},
                                               {{"| 7a |"}, 5},
                                               {{"| 78 |"}, 5},
                                               {{"| 87 |"}, 3},
                                               {{"| 41 |"}, 5},
                                               {{"| 51 |"}, 5},
                                               {{"| 59 |"}, 5},
                                               {{"pass-through | ok"}, 50},
                                               {{"| page"}, 50},
                                               {{"| domain"}, 50},
                                               {{"| context device"}, 5}};
  static const std::vector<Required> kFirstStage{
      {{"| 4K | ok"}, 100}, {{"| 2M | ok"}, 50}, {{"| 1G | ok"}, 50}, {{"| 71 |"}, 20}, {{"| 72 |"}, 5},
      {{"| 80 |"}, 20},     {{"| 81 |"}, 5},     {{"| 85 |"}, 5},     {{"| 87 |"}, 3},  {{"| 70 |"}, 5}};
  return mode == Mode::kLegacy ? kLegacy : mode == Mode::kScalable ? kScalable : kFirstStage;
}

}  // namespace vtd::oracle
