// SPDX-License-Identifier: MIT
#include "sim/decode/paging_tree.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "tlm/spec/capability.h"
#include "tlm/spec/field.h"
#include "tlm/spec/paging.h"

namespace vtd::sim {
namespace {

constexpr Field kSecondFlags[] = {ss::kR,  ss::kW, ss::kX, ss::kEMT, ss::kIPAT,
                                  ss::kPS, ss::kA, ss::kD, ss::kSNP, ss::kTM};
constexpr Field kFirstFlags[] = {fs::kP, fs::kRW, fs::kUS, fs::kPWT, fs::kPCD, fs::kA,
                                 fs::kD, fs::kPS, fs::kG,  fs::kEA,  fs::kXD};

constexpr std::uint64_t kReadWrite = ss::kR.mask() | ss::kW.mask();

bool present(const Stage& stage, std::uint64_t entry) {
  return (entry & (stage.first ? fs::kP.mask() : kReadWrite)) != 0;
}
bool is_leaf(unsigned level, std::uint64_t entry) {
  return level == 1 || ss::kPS.get(entry) != 0;
}
static_assert(ss::kPS.mask() == fs::kPS.mask() && ss::kADDR.mask() == fs::kADDR.mask());

std::string flags(const Stage& stage, unsigned level, std::uint64_t entry) {
  const std::span<const Field> fields = stage.first ? std::span<const Field>(kFirstFlags) : kSecondFlags;
  const bool pat = stage.first && level > 1 && is_leaf(level, entry) && fs::kPAT.get(entry) != 0;
  return field_list("paging", fields, std::span(&entry, 1), Zeros::kOmit) + (pat ? " PAT=0x1" : "");
}

/// Address bits of a leaf below its page.
std::uint64_t low_bits(unsigned level) {
  return bit_range(level_shift(level) - 1, kPageShift);
}

/// The capability that a leaf needs and the unit lacks; empty if it lacks none, or nothing is known of it.
std::string lacking(const Stage& stage, unsigned level, std::uint64_t entry) {
  const Machine& machine = stage.machine;
  if (stage.first) return level == 3 && machine.lacks_cap(cap::kFS1GP) ? "a 1G page needs CAP.FS1GP" : "";
  if (level > 1 && machine.cap && (cap::kSSLPS.get(*machine.cap) & bit(level - 2)) == 0)
    return fmt::format("a {} page needs CAP.SSLPS bit {}", size_text(level_size(level)), level - 2);
  if (ss::kSNP.get(entry) != 0 && machine.lacks_ecap(ecap::kSC)) return "SNP needs ECAP.SC";
  return ss::kTM.get(entry) != 0 && machine.lacks_ecap(ecap::kDT) ? "TM needs ECAP.DT" : "";
}

/// Why the unit would not take a present entry; empty if it would.
std::string unusable(const Stage& stage, unsigned level, std::uint64_t entry) {
  const bool leaf = is_leaf(level, entry);
  constexpr unsigned kLargestLeaf = 3;
  if (leaf && level > kLargestLeaf) return fmt::format("PS is set, and no page has the size of level {}", level);
  // Under nesting the second stage limits the address, not the host.
  std::uint64_t reserved = stage.under != nullptr ? 0 : bit_range(ss::kADDR.hi, stage.machine.host_address_width);
  if (!stage.first && !leaf) reserved |= ss::kSNP.mask() | ss::kTM.mask();
  if (leaf) reserved |= low_bits(level) & ~(stage.first ? fs::kPAT.mask() : 0);
  const std::string bits = bits_set(std::span(&entry, 1), std::span(&reserved, 1));
  if (!bits.empty()) return "reserved bits set: " + bits;
  return leaf ? lacking(stage, level, entry) : "";
}

std::uint64_t page_of(unsigned level, std::uint64_t entry) {
  return ss::kADDR.in_place(entry) & ~low_bits(level);
}

/// "table 0x103000, R=0x1 W=0x1"
std::string target(const Stage& stage, unsigned level, std::uint64_t entry) {
  const bool leaf = is_leaf(level, entry);
  return fmt::format("{} {:#x}, {}", leaf ? "page" : "table", leaf ? page_of(level, entry) : ss::kADDR.in_place(entry),
                     flags(stage, level, entry));
}

/// The address as the device issues it: first-stage addresses are sign-extended.
std::uint64_t canonical(const Stage& stage, std::uint64_t input) {
  const unsigned width = width_of_levels(stage.levels);
  return stage.first && (input & bit(width - 1)) != 0 ? input | bit_range(63, width) : input;
}

const char* name(const Stage& stage) {
  return stage.first ? "first-stage" : "second-stage";
}

}  // namespace

/// A run of leaves that continue one another.
struct PagingTree::Leaves {
  unsigned first = 0;
  unsigned count = 0;
  std::uint64_t entry = 0;  ///< the first

  [[nodiscard]] bool continued_by(std::uint64_t next, unsigned level) const {
    return count != 0 && page_of(level, next) == page_of(level, entry) + count * level_size(level) &&
           ((next ^ entry) & ~(ss::kADDR.mask() & ~low_bits(level))) == 0;
  }
};

void PagingTree::tree(unsigned depth, const Stage& stage) {
  out_.add(depth, fmt::format("{}: {} levels, {} bit", name(stage), stage.levels, width_of_levels(stage.levels)));
  table(depth + 1, stage, stage.top, stage.levels, 0);
}

void PagingTree::table(unsigned depth, const Stage& stage, std::uint64_t at, unsigned level, std::uint64_t input) {
  std::array<std::uint64_t, kEntriesPerTable> entries{};
  const Found found = host(stage, at);
  if (!found.address) return out_.add(depth, fmt::format("table {:#x}: {}", at, found.why));
  if (!image_.read(*found.address, entries))
    return out_.add(depth, fmt::format("table {:#x} is {}", *found.address, image_.outside()));
  const auto input_of = [&](unsigned index) { return canonical(stage, input + index * level_size(level)); };
  Leaves leaves;
  const auto flush = [&] {
    if (leaves.count == 0) return;
    const unsigned last = leaves.first + leaves.count - 1;
    const std::uint64_t bytes = leaves.count * level_size(level), page = page_of(level, leaves.entry);
    const std::string range = leaves.count == 1 ? "" : fmt::format("..{}", last);
    out_.add(depth,
             fmt::format("level {} [{}{}] {:#x}..{:#x} -> {:#x}..{:#x}: {} x {}, {}", level, leaves.first, range,
                         input_of(leaves.first), input_of(last) + (level_size(level) - 1), page, page + (bytes - 1),
                         leaves.count, size_text(level_size(level)), flags(stage, level, leaves.entry)));
    leaves = {};
  };
  bool empty = true;
  for (unsigned i = 0; i < kEntriesPerTable; ++i) {
    const std::uint64_t entry = entries[i];
    const bool there = present(stage, entry);
    const std::string wrong = there ? unusable(stage, level, entry) : "";
    empty = empty && !there;
    if (there && wrong.empty() && is_leaf(level, entry)) {
      if (!leaves.continued_by(entry, level)) {
        flush();
        leaves = {i, 0, entry};
      }
      ++leaves.count;
      continue;
    }
    flush();
    if (!there) continue;
    out_.add(depth, fmt::format("level {} [{}] {:#x}: {}", level, i, input_of(i), target(stage, level, entry)));
    if (wrong.empty())
      table(depth + 1, stage, ss::kADDR.in_place(entry), level - 1, input + i * level_size(level));
    else
      out_.add(depth + 1, "unusable: " + wrong);
  }
  flush();
  if (empty) out_.add(depth, fmt::format("level {}: no entry is present", level));
}

void PagingTree::path(unsigned depth, const Stage& stage, std::uint64_t address) {
  out_.add(depth, fmt::format("{} path of {:#x}: {} levels, {} bit", name(stage), address, stage.levels,
                              width_of_levels(stage.levels)));
  const Found found = walk(stage, address, depth + 1);
  if (!found.address) return out_.add(depth + 1, fmt::format("{:#x} is not translated: {}", address, found.why));
  const bool interrupt = stage.under == nullptr && in_interrupt_range(*found.address);
  out_.add(depth + 1, fmt::format("{:#x} -> {:#x}{}", address, *found.address,
                                  interrupt ? ", unusable: in the interrupt range" : ""));
  if (stage.under != nullptr) path(depth, *stage.under, *found.address);
}

PagingTree::Found PagingTree::walk(const Stage& stage, std::uint64_t address, std::optional<unsigned> depth) {
  const auto none = [](std::string why) { return Found{std::nullopt, std::move(why), 0}; };
  unsigned width = width_of_levels(stage.levels);
  const std::uint64_t input = stage.first ? address & bit_range(width - 1, 0) : address;
  if (stage.first && canonical(stage, input) != address)
    return none(fmt::format("it is not canonical for {} bits", width));
  if (stage.machine.cap) width = std::min(width, static_cast<unsigned>(cap::kMGAW.get(*stage.machine.cap)) + 1);
  if (beyond_width(input, width)) return none(fmt::format("it is beyond the width of {} bits", width));

  std::uint64_t at = stage.top, all = ~std::uint64_t{0}, any = 0;
  for (unsigned level = stage.levels;; --level) {
    const std::uint64_t entry_at = entry_address(at, input, level);
    const Found found = host(stage, entry_at);
    if (!found.address) return none(fmt::format("table {:#x}: {}", at, found.why));
    std::uint64_t entry = 0;
    if (!image_.read(*found.address, std::span(&entry, 1)))
      return none(fmt::format("the level {} entry at {:#x} is {}", level, *found.address, image_.outside()));
    const std::string translated = stage.under == nullptr ? "" : fmt::format(" (host {:#x})", *found.address);
    if (depth)
      out_.add(*depth, fmt::format("level {} [{}] at {:#x}{}: {}", level, level_index(input, level), entry_at,
                                   translated, target(stage, level, entry)));
    if (!present(stage, entry)) return none(fmt::format("the level {} entry is not present", level));
    if (const std::string wrong = unusable(stage, level, entry); !wrong.empty())
      return none(fmt::format("the level {} entry is unusable: {}", level, wrong));
    all &= entry;
    any |= entry;
    at = ss::kADDR.in_place(entry);
    if (!is_leaf(level, entry)) continue;
    Found result{page_of(level, entry) + (input & (level_size(level) - 1)), {}, 0};
    result.rights = all & (stage.first ? fs::kP.mask() | fs::kRW.mask() | fs::kUS.mask() : kReadWrite);
    if (stage.first) result.rights |= any & fs::kXD.mask();
    if (result.rights == 0) return none("the entries of the path have no right in common");
    if (depth)
      out_.add(*depth, fmt::format("page of {}, rights along the path: {}", size_text(level_size(level)),
                                   flags(stage, 1, result.rights)));
    return result;
  }
}

PagingTree::Found PagingTree::host(const Stage& stage, std::uint64_t at) {
  if (stage.under == nullptr) return {at, {}, 0};
  Found found = walk(*stage.under, at, std::nullopt);
  if (found.address && (found.rights & ss::kR.mask()) == 0)
    return {std::nullopt, "the second stage lets nobody read it", 0};
  if (!found.address) found.why = "the second stage does not translate it: " + found.why;
  return found;
}

}  // namespace vtd::sim
