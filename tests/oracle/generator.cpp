// SPDX-License-Identifier: MIT
#include "tests/oracle/generator.h"

#include <fmt/format.h>
#include <cstring>

namespace vtd::oracle {
namespace {

constexpr std::uint64_t kPage = 4096;
constexpr std::uint64_t kData = kArena + kArenaSize / 2;  ///< 2M aligned; the tables are below
constexpr std::uint64_t kDataPages = kArenaSize / 2 / kPage;
constexpr std::uint64_t kHole = 0x3000'0000;  ///< beyond memory
constexpr unsigned kDevices = static_cast<unsigned>(Device::kCount);
constexpr std::uint64_t kTe = 1ULL << 31;
constexpr std::uint64_t kQie = 1ULL << 26;

constexpr std::uint64_t bit(unsigned n) {
  return std::uint64_t{1} << n;
}
constexpr unsigned shift_of(unsigned level) {
  return 12 + 9 * (level - 1);
}
const char* size_name(unsigned level) {
  return level == 1 ? "4K" : level == 2 ? "2M" : "1G";
}

}  // namespace

std::vector<std::uint8_t> initial_arena() {
  std::vector<std::uint8_t> bytes(kArenaSize, 0);
  for (std::uint64_t at = kData - kArena; at < kArenaSize; at += 16) {
    bytes[at + 11] = 0x08;  // report status
    const auto tag = static_cast<std::uint32_t>((at / 16) << 8);
    std::memcpy(&bytes[at + 12], &tag, sizeof tag);
  }
  return bytes;
}

Generator::Generator(const GeneratorConfig& config, std::uint64_t seed)
    : config_(config), seed_(seed), random_(seed * 0x9E37'79B9 + 1) {}

Case Generator::make() {
  case_.seed = seed_;
  build();
  for (unsigned done = 0; done < config_.dmas;) {
    const std::uint64_t what = below(100);
    if (what < 22) {
      mutate();
    } else if (what < 26) {
      disturb();
    } else if (what < 28) {
      if (config_.mode == Mode::kLegacy) switch_queue();
    } else {
      dma();
      ++done;
    }
  }
  if (queued_) switch_queue();
  return std::move(case_);
}

// ---- commands ---------------------------------------------------------------------------------------------------

void Generator::memory(std::uint64_t address, std::uint64_t value) {
  shadow_[address] = value;
  case_.commands.push_back({.kind = Command::Kind::kMemory, .address = address, .value = value});
}

void Generator::write(std::uint64_t offset, std::uint64_t value, unsigned bytes) {
  case_.commands.push_back({.kind = Command::Kind::kWrite, .address = offset, .value = value, .bytes = bytes});
}

void Generator::read(std::uint64_t offset, unsigned bytes) {
  case_.commands.push_back({.kind = Command::Kind::kRead, .address = offset, .bytes = bytes});
}

void Generator::read_faults() {
  read(0x34, 4);
  read(0x220, 8);
  read(0x228, 8);
  write(0x22C, 0x8000'0000);
  write(0x34, 1);
}

// ---- tables -----------------------------------------------------------------------------------------------------

std::uint64_t Generator::new_page() {
  const std::uint64_t page = next_page_;
  next_page_ += kPage;
  return page;
}

std::uint64_t Generator::data_page() {
  return kData + below(kDataPages) * kPage;
}

void Generator::build() {
  next_page_ = kArena;
  root_ = new_page();
  queue_ = new_page();
  status_ = new_page();
  for (unsigned i = 0, count = 2 + static_cast<unsigned>(below(2)); i < count; ++i) new_domain();
  contexts_.resize(kDevices);
  for (unsigned device = 0; device < kDevices; ++device) attach(device);
  set_root(root_);
  if (config_.mode != Mode::kLegacy) {  // only descriptors reach the PASID cache
    switch_queue();
    invalidate_all();
  }
  read(0x1C, 4);
  write(0x22C, 0x8000'0000);
  write(0x34, 0x11);
}

void Generator::new_domain() {
  Domain domain;
  domain.id = static_cast<std::uint16_t>(1 + below(8000) * 4 + domains_.size());
  domain.levels = config_.mode == Mode::kFirstStage || (config_.four_levels && chance(60)) ? 4 : 3;
  domain.root = new_page();
  for (unsigned i = 0; i < 8; ++i) map(domain);
  domains_.push_back(std::move(domain));
}

std::uint64_t Generator::table_entry(std::uint64_t page) const {
  return page | (config_.mode == Mode::kFirstStage ? 7 : 3);
}

std::uint64_t Generator::leaf_entry(std::uint64_t page, unsigned level) {
  const std::uint64_t size = level > 1 ? bit(7) : 0;
  if (config_.mode == Mode::kFirstStage) return page | size | 1 | (chance(92) ? 2 : 0) | (chance(92) ? 4 : 0);
  const std::uint64_t pick = below(100);
  const std::uint64_t rights = pick < 88 ? 3 : pick < 90 ? 1 : 2;
  // Bits that are to be ignored.
  const std::uint64_t ignored = chance(20) ? bit(52 + static_cast<unsigned>(below(10))) | bit(63) | (below(8) << 3) : 0;
  return page | size | rights | ignored | (chance(10) ? 4 : 0);
}

void Generator::map(Domain& domain) {
  Mapping m;
  const std::uint64_t pick = below(10);
  m.level = pick < 6 ? 1 : pick < 8 ? 2 : 3;
  const bool low = chance(75);
  const unsigned width = std::min(config_.width, 12 + 9 * domain.levels);
  // First-stage addresses stay in the lower canonical half.
  const unsigned usable = config_.mode == Mode::kFirstStage ? width - 1 : width;
  m.iova = (low ? below(0xFE00'0000) : random_() & (bit(usable) - 1)) >> shift_of(m.level) << shift_of(m.level);
  // No two mappings meet.
  for (const Mapping& other : domain.mappings) {
    const unsigned shift = shift_of(std::max(std::max(m.level, other.level), 3U));
    if (m.iova >> shift == other.iova >> shift && (m.level == 3 || other.level == 3)) return;
    const unsigned two = shift_of(2);
    if (m.iova >> two == other.iova >> two && (m.level == 2 || other.level == 2)) return;
    if (m.iova >> 12 == other.iova >> 12) return;
  }
  std::uint64_t table = domain.root;
  for (unsigned level = domain.levels; level > m.level; --level) {
    const std::uint64_t at = table + ((m.iova >> shift_of(level)) & 511) * 8;
    if (shadow_[at] == 0) memory(at, table_entry(new_page()));
    table = shadow_[at] & 0xFFFF'F000;
  }
  m.entry = table + ((m.iova >> shift_of(m.level)) & 511) * 8;
  std::uint64_t page = data_page();
  if (m.level == 2) page = kData;
  if (m.level == 3) page = 0;
  // Where in the page data lies: a large page holds more than the arena.
  m.offset = m.level == 3 ? data_page() : m.level == 2 ? data_page() - kData : 0;
  memory(m.entry, leaf_entry(page, m.level));
  m.name = size_name(m.level);
  domain.mappings.push_back(m);
}

void Generator::attach(unsigned device) {
  Context& context = contexts_[device];
  context = {};
  context.domain = below(domains_.size());
  context.id = domains_[context.domain].id;
  if (config_.mode == Mode::kLegacy)
    attach_legacy(device, context);
  else
    attach_scalable(device, context);
}

void Generator::attach_legacy(unsigned device, Context& context) {
  const SourceId source = kSources[device];
  const std::uint64_t root_entry = root_ + source.bus() * 16U;
  std::uint64_t table = shadow_[root_entry] & ~std::uint64_t{0xFFF};
  // A root entry that is broken stays so for the case: it serves other devices too.
  if (table == 0) {
    table = new_page();
    memory(root_entry, table | 1);
    if (source.bus() == 1 && chance(8)) {
      const std::uint64_t broken = below(4);
      memory(root_entry, broken == 0   ? table
                         : broken == 1 ? table | 1 | bit(1 + static_cast<unsigned>(below(11)))
                         : broken == 2 ? kHole | 1
                                       : table | 1 | bit(config_.width + static_cast<unsigned>(below(4))));
    }
  }
  const std::uint64_t root_value = shadow_[root_entry];
  const bool root_good = root_value == (table | 1) && table < kHole;
  if (!root_good) table = root_value & 0xFFFF'F000 & ~std::uint64_t{0xFFF};
  context.entry = table + source.devfn() * 16U;
  const Domain& domain = domains_[context.domain];
  std::uint64_t low = domain.root | 1;
  std::uint64_t high = (domain.levels - 2) | (std::uint64_t{domain.id} << 8);
  const std::uint64_t pick = below(100);
  if (pick < 8) {
    context.pass_through = true;
    low = (low & ~std::uint64_t{0xC}) | 8;
    high = (config_.four_levels ? 2 : 1) | (std::uint64_t{domain.id} << 8);
  } else if (pick < 22) {
    constexpr const char* kNames[] = {"not present", "reserved low", "reserved high",
                                      "TT",          "AW",           "table beyond memory"};
    const auto broken = below(std::size(kNames));
    context.broken = kNames[broken];
    if (broken == 0) low &= ~std::uint64_t{1};
    if (broken == 1) low |= bit(4 + static_cast<unsigned>(below(8)));
    if (broken == 2) high |= bit(24 + static_cast<unsigned>(below(40)));
    if (broken == 3) low |= 0xC;
    if (broken == 4) high = (high & ~std::uint64_t{7}) | (chance(50) ? 0 : 4);
    // A domain-id of its own: one that stands for two tables may answer from either.
    if (broken == 5) {
      low = (low & 0xFFF) | kHole;
      context.id = static_cast<std::uint16_t>(domain.id + 0x8000U);
      high = (high & ~std::uint64_t{0xFFFF00}) | std::uint64_t{context.id} << 8;
    }
  }
  if (chance(10)) low |= 2;  // FPD
  if (root_good) {
    memory(context.entry, low);
    memory(context.entry + 8, high | (chance(20) ? below(16) << 3 : 0));
  } else {
    context.broken = "root";
  }
}

void Generator::attach_scalable(unsigned device, Context& context) {
  const SourceId source = kSources[device];
  const std::uint64_t root_entry = root_ + source.bus() * 16U + (source.devfn() >= 128 ? 8 : 0);
  std::uint64_t table = shadow_[root_entry] & ~std::uint64_t{0xFFF};
  if (table == 0) {
    table = new_page();
    memory(root_entry, table | 1);
  }
  const std::uint64_t context_entry = table + (source.devfn() & 127U) * 32U;
  std::uint64_t directory = shadow_[context_entry] & ~std::uint64_t{0xFFF};
  if (directory == 0) directory = new_page();
  const auto pasid = static_cast<unsigned>(0);
  std::uint64_t low = directory | 1;
  std::uint64_t pasids = shadow_[directory] & ~std::uint64_t{0xFFF};
  if (pasids == 0) pasids = new_page();
  context.entry = pasids + pasid * 64U;
  const Domain& domain = domains_[context.domain];
  const bool first = config_.mode == Mode::kFirstStage;
  std::uint64_t word0 = first ? 1 | (1 << 6) | (2 << 2) : domain.root | 1 | (2 << 6) | ((domain.levels - 2) << 2);
  std::uint64_t word1 = domain.id;
  const std::uint64_t word2 = first ? domain.root : 0;
  if (first) word1 |= bit(23);  // PWSNP: A and D are used
  std::uint64_t directory_entry = pasids | 1;
  const std::uint64_t pick = below(100);
  if (pick < 8) {
    context.pass_through = true;
    word0 = (word0 & ~std::uint64_t{0x1C0}) | (4 << 6);
  } else if (pick < 20) {
    constexpr const char* kNames[] = {
        "context not present", "context reserved", "directory not present", "PASID entry not present", "AW",
        "table beyond memory"};
    const auto broken = below(std::size(kNames));
    context.broken = kNames[broken];
    if (broken == 0) low &= ~std::uint64_t{1};
    if (broken == 1) low |= bit(5 + static_cast<unsigned>(below(4)));
    if (broken == 2) directory_entry &= ~std::uint64_t{1};
    if (broken == 3) word0 &= ~std::uint64_t{1};
    if (broken == 4) word0 = first ? word0 : word0 & ~std::uint64_t{0x1C};
    if (broken == 4 && first) context.broken.clear();
    if (broken == 5) low = (low & 0xFFF) | kHole;
  }
  if (chance(8)) low |= 2;
  memory(context_entry, low);
  memory(context_entry + 8, pasid);
  // The tables stay where they are, whatever the entries that lead there say.
  shadow_[context_entry] = directory | (low & 0xFFF);
  memory(directory, directory_entry);
  shadow_[directory] = pasids | (directory_entry & 0xFFF);
  memory(context.entry, word0);
  memory(context.entry + 8, word1);
  memory(context.entry + 16, word2);
}

// ---- what happens -----------------------------------------------------------------------------------------------

void Generator::mutate() {
  Domain& domain = domains_[below(domains_.size())];
  const std::uint64_t what = below(10);
  if (what < 6)
    mutate_leaf(domain);
  else if (what < 8)
    mutate_middle(domain);
  else
    mutate_context();
}

void Generator::mutate_leaf(Domain& domain) {
  Mapping& m = domain.mappings[below(domain.mappings.size())];
  const std::uint64_t page = m.level == 1 ? data_page() : m.level == 2 ? kData : 0;
  std::uint64_t entry = leaf_entry(page, m.level);
  m.name = size_name(m.level);
  const std::uint64_t pick = below(100);
  const bool first = config_.mode == Mode::kFirstStage;
  if (pick < 15) {
    entry = 0;
    m.name += " absent";
  } else if (pick < 30) {
    const std::uint64_t kind = below(4);
    if (kind == 0) {
      entry |= bit(config_.width + static_cast<unsigned>(below(52 - config_.width)));
    } else if (kind == 1 && !first) {
      entry |= chance(50) ? bit(11) : bit(62);
    } else if (kind == 2 && m.level > 1) {
      entry |= bit(13 + static_cast<unsigned>(below(shift_of(m.level) - 13)));
    } else {
      entry = (entry & 0xFFF & ~std::uint64_t{0x80}) | 0xFEE0'0000 | (below(256) << 12);
      if (m.level > 1) entry = 0;
    }
    m.name += entry == 0 ? " absent" : " bad";
  } else if (pick < 36 && m.level == 1) {
    entry = (entry & 0xFFF) | kHole | (below(256) << 12);
    m.name += " hole";
  }
  memory(m.entry, entry);
  invalidate_page(domain, m.iova, m.level, true);
}

void Generator::mutate_middle(Domain& domain) {
  const Mapping& m = domain.mappings[below(domain.mappings.size())];
  if (m.level == domain.levels) return;
  const unsigned level = m.level + 1 + static_cast<unsigned>(below(domain.levels - m.level));
  std::uint64_t table = domain.root;
  for (unsigned l = domain.levels; l > level; --l)
    table = shadow_[table + ((m.iova >> shift_of(l)) & 511) * 8] & 0xFFFF'F000;
  const std::uint64_t at = table + ((m.iova >> shift_of(level)) & 511) * 8;
  const std::uint64_t next = shadow_[at] & 0xFFFF'F000;
  std::uint64_t entry = table_entry(next);
  const std::uint64_t pick = below(100);
  const bool first = config_.mode == Mode::kFirstStage;
  if (pick < 6)
    entry &= ~std::uint64_t{2};
  else if (pick < 35 && !first)
    entry &= ~std::uint64_t{1};
  else if (pick < 45)
    entry |= first ? bit(config_.width) : chance(50) ? bit(11) : bit(config_.width + 1);
  else if (pick < 50 && first)
    entry &= ~std::uint64_t{4};
  memory(at, entry);
  // A table that is not in memory is never remembered: it comes back with the next change.
  if (pick >= 50 && pick < 58) {
    memory(at, kHole | (entry & 0xFFF));
    shadow_[at] = entry;
  }
  invalidate_domain(domain);
}

void Generator::mutate_context() {
  const auto device = static_cast<unsigned>(below(kDevices));
  if (contexts_[device].broken == "root") return;
  const std::uint16_t old_domain = contexts_[device].id;
  attach(device);
  invalidate_context(device, old_domain);
}

void Generator::dma() {
  const auto device = static_cast<unsigned>(below(kDevices));
  const bool writer = static_cast<Device>(device) == Device::kWriter;
  const bool wide = writer || static_cast<Device>(device) == Device::kWide;
  const Context& context = contexts_[device];
  const Domain& domain = domains_[context.domain];
  std::uint64_t iova = 0;
  std::string page;
  for (unsigned tries = 0; tries < 20 && page.empty(); ++tries) {
    const Mapping& m = domain.mappings[below(domain.mappings.size())];
    iova = m.iova + m.offset + below(256) * 16;
    page = m.name;
    if (!wide && iova >= bit(32)) page.clear();
  }
  const std::uint64_t pick = below(100);
  if (context.pass_through) {
    page = "pass-through";
    iova = data_page() + below(256) * 16;
  } else if (page.empty() || pick < 6) {
    page = "unmapped";
    iova = below(0xFE00'0000) & ~std::uint64_t{15};
    for (const Mapping& m : domain.mappings)
      if (iova >> shift_of(m.level) == m.iova >> shift_of(m.level)) page = m.name;
    // A large page may lead anywhere in memory, that is to tables.
    if (page != "unmapped" && page.rfind("4K", 0) != 0) return;
  } else if (wide && pick < 14) {
    page = "beyond width";
    iova = (random_() | bit(std::min(config_.width, 12 + 9 * domain.levels))) & ~std::uint64_t{15};
  }
  if (!context.broken.empty()) page = context.broken;
  if (writer) iova &= ~std::uint64_t{63};
  const char* const modes[] = {"legacy", "scalable", "first-stage"};
  const std::string table = fmt::format("{} {} levels", modes[static_cast<std::size_t>(config_.mode)], domain.levels);
  case_.commands.push_back({.kind = Command::Kind::kMark, .value = case_.marks.size()});
  case_.marks.push_back({table, page, invalidation_});
  case_.commands.push_back({.kind = Command::Kind::kDma, .address = iova, .device = static_cast<Device>(device)});
  read_faults();
  invalidation_ = "none";
}

void Generator::disturb() {
  // Invalidations that nothing needs, and looks at registers.
  const Domain& domain = domains_[below(domains_.size())];
  switch (below(6)) {
    case 0:
      return invalidate_domain(domain);
    case 5:
      return lose_root();
    case 1:
      return invalidate_page(domain, random_() & (bit(38) - 1), 1, chance(50));
    case 2:
      read(0x1C, 4);
      return read(0x20, 8);
    case 3:
      if (queued_) bad_descriptor();
      return;
    default:
      read(0x38, 4);
      return read(0x9C, 4);
  }
}

void Generator::set_root(std::uint64_t root) {
  write(0x20, root | (config_.mode == Mode::kLegacy ? 0 : bit(10)), 8);
  write(0x18, kTe | bit(30) | (queued_ ? kQie : 0));
  invalidate_all();
}

void Generator::lose_root() {
  set_root(kHole);
  const auto device = static_cast<unsigned>(below(kDevices));
  case_.commands.push_back({.kind = Command::Kind::kMark, .value = case_.marks.size()});
  case_.marks.push_back({"any", "no root table", "global"});
  case_.commands.push_back({.kind = Command::Kind::kDma, .address = 0x10000, .device = static_cast<Device>(device)});
  read_faults();
  set_root(root_);
}

void Generator::switch_queue() {
  if (queued_) {  // QEMU does not switch the queue off unless its last descriptor was a wait
    memory(queue_ + tail_, 5 | (1 << 5) | (std::uint64_t{0x99} << 32));
    memory(queue_ + tail_ + 8, status_ + 128);
    const unsigned bytes = config_.mode == Mode::kLegacy ? 16 : 32;
    if (bytes == 32) memory(queue_ + tail_ + 16, 0);
    tail_ = (tail_ + bytes) % kPage;
    write(0x88, tail_, 8);
    queued_ = false;
    return write(0x18, kTe);
  }
  queued_ = true;
  write(0x90, queue_ | (config_.mode == Mode::kLegacy ? 0 : bit(11)), 8);
  write(0x88, 0, 8);
  tail_ = 0;
  write(0x18, kTe | kQie);
  read(0x1C, 4);
}

// ---- invalidations ----------------------------------------------------------------------------------------------

void Generator::invalidate_page(const Domain& domain, std::uint64_t iova, unsigned level, bool leaf_only) {
  const std::uint64_t pick = below(10);
  if (pick < 2) return invalidate_domain(domain);
  if (pick < 3) return invalidate_all();
  // At least the page, at most MAMV.
  const unsigned least = 9 * (level - 1);
  const std::uint64_t mask = least + (chance(60) ? 0 : below(18 - least + 1));
  const bool hint = leaf_only && chance(50);
  iotlb(3, domain.id, iova, mask, hint);
  invalidation_ = fmt::format("page{}{}", mask == 0 ? "" : mask < 9 ? " AM1-8" : " AM9-18", hint ? " IH" : "");
}

void Generator::invalidate_domain(const Domain& domain) {
  iotlb(2, domain.id, 0, 0, false);
  invalidation_ = "domain";
}

void Generator::invalidate_all() {
  if (queued_) {
    submit(1 | (1 << 4), 0);
    if (config_.mode != Mode::kLegacy) submit(7 | (3 << 4), 0);
  } else {
    write(0x28, bit(63) | bit(61), 8);
    read(0x28, 8);
  }
  iotlb(1, 0, 0, 0, false);
  invalidation_ = "global";
}

void Generator::invalidate_context(unsigned device, std::uint16_t old_domain) {
  // Scalable context entries have no domain; entries that were broken were tagged with none.
  const bool scalable = config_.mode != Mode::kLegacy;
  std::uint64_t granularity = scalable ? (chance(50) ? 1 : 3) : 1 + below(3);
  if (config_.caching_mode) granularity = 1;
  const std::uint64_t mask = below(4);
  const std::uint64_t fields = (mask << 32) | (std::uint64_t{kSources[device].value} << 16);
  if (queued_) {
    submit(1 | (granularity << 4) | (std::uint64_t{old_domain} << 16) | (std::uint64_t{kSources[device].value} << 32) |
               (mask << 48),
           0);
    if (scalable) submit(7 | (3 << 4), 0);
  } else {
    write(0x28, bit(63) | (granularity << 61) | fields | old_domain, 8);
    if (!scalable) read(0x28, 8);
  }
  iotlb(chance(70) ? 2 : 1, old_domain, 0, 0, false);
  constexpr const char* kNames[] = {"", "context global", "context domain", "context device"};
  invalidation_ = kNames[granularity];
}

void Generator::iotlb(std::uint64_t granularity, std::uint16_t domain, std::uint64_t address, std::uint64_t mask,
                      bool leaf_only) {
  const std::uint64_t range = (address & ~std::uint64_t{0xFFF}) | (leaf_only ? 0x40 : 0) | mask;
  if (queued_) {
    const std::uint64_t drain = below(4) << 6;
    submit(2 | (granularity << 4) | drain | (std::uint64_t{domain} << 16), granularity == 3 ? range : 0);
    return;
  }
  write(0xF0, range, 8);
  write(0xF8, bit(63) | (granularity << 60) | (std::uint64_t{domain} << 32) | (below(4) << 48), 8);
  read(0xF8, 8);
}

void Generator::submit(std::uint64_t low, std::uint64_t high) {
  const unsigned bytes = config_.mode == Mode::kLegacy ? 16 : 32;
  const auto put = [&](std::uint64_t l, std::uint64_t h) {
    memory(queue_ + tail_, l);
    memory(queue_ + tail_ + 8, h);
    if (bytes == 32) memory(queue_ + tail_ + 16, 0);
    tail_ = (tail_ + bytes) % kPage;
  };
  put(low, high);
  const bool wait = chance(50);
  // Status writes and interrupts never together: QEMU dies of it.
  if (wait && chance(70)) put(5 | (1 << 5) | (below(2) << 6) | (below(1 << 16) << 32), status_ + below(16) * 4);
  write(0x88, tail_, 8);
  read(0x80, 8);
}

void Generator::bad_descriptor() {
  const unsigned bytes = config_.mode == Mode::kLegacy ? 16 : 32;
  std::uint64_t low = 0;
  switch (below(4)) {
    case 0:
      low = 10 + below(6);  // unknown type
      break;
    case 1:
      low = 1 | (1 << 4) | bit(50 + static_cast<unsigned>(below(14)));
      break;
    case 2:
      low = 2 | (2 << 4) | bit(32 + static_cast<unsigned>(below(32)));
      break;
    default:
      low = 2;  // reserved granularity
  }
  const std::uint64_t at = queue_ + tail_;
  memory(at, low);
  memory(at + 8, 0);
  if (bytes == 32) memory(at + 16, 0);
  tail_ = (tail_ + bytes) % kPage;
  write(0x88, tail_, 8);
  read(0x80, 8);
  read(0x34, 4);
  // Software replaces it and goes on.
  memory(at, 5 | (1 << 5) | (std::uint64_t{0x77} << 32));
  memory(at + 8, status_ + 64);
  write(0x34, 0x10);
  write(0x88, tail_, 8);
  read(0x80, 8);
  read(0x34, 4);
}

}  // namespace vtd::oracle
