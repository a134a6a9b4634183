// SPDX-License-Identifier: MIT
// Software that changes structures at random and invalidates correctly, with whichever descriptor is enough, never
// sees that there are caches; software that forgets does. What a request must give is judged by what the test wrote,
// and by the unit's own walk without caches. Written from the document with raw numbers only.
#include <algorithm>
#include <bit>
#include <random>

#include "tests/core/raw_software.h"

namespace vtd::test {
namespace {

/// What a test is about. The first five are also kinds of translation: PGTT; kNone of requests that fault before.
enum class Cache : std::uint8_t { kNone, kFirst, kSecond, kNested, kPassThrough, kContext, kPasid, kInterrupt };

constexpr SourceId kDevices[] = {make_source_id(0, 3, 0), make_source_id(0, 3, 4), make_source_id(0, 4, 0),
                                 make_source_id(0, 19, 1)};
constexpr unsigned kDids[] = {0x15, 0x16, 0x115};
constexpr unsigned kPasids[] = {0, 1, 2, 0x41};  // in two tables
constexpr unsigned kDeviceCount = std::size(kDevices), kDomains = std::size(kDids), kPasidCount = std::size(kPasids);
// What nobody uses.
constexpr unsigned kNoDid = 0x77, kNoPasid = 9, kNoDevice = make_source_id(0, 25, 0).value;
/// A fault whose reason depends on the order of two checks.
constexpr unsigned kAnyFault = 0xFF;
constexpr std::uint64_t kGiB = 1ULL << 30;
constexpr Iova kIova = 4 * kGiB + 0x1000, kGuest = 5 * kGiB + 0x20'0000;

constexpr std::uint64_t size_of(unsigned level) {
  return 0x1000ULL << 9 * (level - 1);
}

struct Descriptor {
  std::uint64_t low, high = 0;
};
constexpr Descriptor context_cache(unsigned g, unsigned did = 0, unsigned sid = 0, unsigned fm = 0) {
  return {1 | g << 4 | std::uint64_t{did} << 16 | std::uint64_t{sid} << 32 | std::uint64_t{fm} << 48};
}
constexpr Descriptor iotlb(unsigned g, unsigned did = 0, std::uint64_t range = 0) {
  return {2 | g << 4 | std::uint64_t{did} << 16, range};
}
constexpr Descriptor interrupt_cache(unsigned g, unsigned index = 0, unsigned im = 0) {
  return {4 | g << 4 | std::uint64_t{im} << 27 | std::uint64_t{index} << 32};
}
constexpr Descriptor pasid_iotlb(unsigned g, unsigned did, unsigned pasid, std::uint64_t range = 0) {
  return {6 | g << 4 | std::uint64_t{did} << 16 | std::uint64_t{pasid} << 32, range};
}
constexpr Descriptor pasid_cache(unsigned g, unsigned did = 0, unsigned pasid = 0) {
  return {7 | g << 4 | std::uint64_t{did} << 16 | std::uint64_t{pasid} << 32};
}

// ---- What was written: the judge -------------------------------------------------------------------------------

struct Answer {
  unsigned fault = 0;
  PhysAddr address = 0;  ///< of an interrupt: its data in the upper half
  friend bool operator==(const Answer&, const Answer&) = default;
};
struct Page {
  unsigned level = 1;
  PhysAddr to = 0;
  bool read = true, write = true;  ///< first-stage: `read` is U/S
};
struct Tree {
  PhysAddr root = 0;
  unsigned levels = 4;
  bool first_stage = false;
  std::map<Iova, Page> pages{};  ///< by first byte; they do not overlap
  [[nodiscard]] const Page* find(Iova iova) const {
    const auto after = pages.upper_bound(iova);
    if (after == pages.begin()) return nullptr;
    const auto& [first, page] = *std::prev(after);
    return iova - first < size_of(page.level) ? &page : nullptr;
  }
};
struct Device {
  bool present = true, pasids = true;
  unsigned directory = 0, rid = 0;
};
/// PASID entry; in legacy mode the context entry of the device that has this directory for its own.
struct Entry {
  bool present = true;
  unsigned d = 0;
};
/// What the entries of a DID and a PASID say, in whichever directory: their translations have the same tags.
struct Space {
  Cache kind = Cache::kNone;
  const Tree* first = nullptr;
  [[nodiscard]] bool by_pasid() const { return kind == Cache::kFirst || kind == Cache::kNested; }
};
struct Interrupt {
  bool present = true;
  unsigned vector = 0x20, destination = 0;
  bool validated = false;  ///< SVT
  SourceId only{};         ///< who may ask, when validated
};

class CacheRandom : public RawScalable {
 protected:
  static constexpr PhysAddr kInterrupts = 0x80'0000;
  Device devices[kDeviceCount];
  Entry entries[kDeviceCount][kPasidCount];  ///< by directory
  Space spaces[kDomains][kPasidCount];
  Tree firsts[3], seconds[kDomains];
  Interrupt interrupts[256];

  // ---- the two kinds of test ----
  void only_the_forgetful_see(Cache cache, bool legacy = false) {
    unsigned seed = 0;
    for (const unsigned size : {1U, 2U, 0U}) {
      asked_ = hits_ = 0;
      for (const Replacement kind : {Replacement::kLru, Replacement::kTreePlru, Replacement::kRandom}) {
        for (const IotlbTagging tagging : {IotlbTagging::kDomain, IotlbTagging::kSourceAndDomain}) {
          SCOPED_TRACE(testing::Message() << "size " << size << ", seed " << ++seed);
          live(cache, Cache::kNone, legacy, geometry(size, kind, tagging), seed);
          if (HasFailure()) return;
        }
      }
      EXPECT_GT(hits_ * 3, asked_) << hits_ << " hits of " << asked_ << ", size " << size;
      EXPECT_GT(hits_, 2000U);
      if (size == 1) continue;  // what is stale hardly stays there long enough
      live(cache, cache, legacy, geometry(size, Replacement::kLru, IotlbTagging::kDomain), ++seed);
      EXPECT_GT(wrong_, 10U) << "nothing was sent to the cache, and the judge must see it; size " << size;
    }
  }
  /// `flip` changes what `r` goes to, and back. None of `others` covers that, each of `covering` does.
  template <typename Flip>
  void stale_until_covered(Cache cache, const DmaRequest& r, Flip flip, std::initializer_list<Descriptor> others,
                           std::initializer_list<Descriptor> covering) {
    for (const Descriptor& enough : covering) {
      SCOPED_TRACE(testing::Message() << std::hex << enough.low << ' ' << enough.high);
      const Answer old = answer(dma(r));
      EXPECT_TRUE(old == expected(r));
      flip();
      EXPECT_FALSE(old == expected(r)) << "what is stale can be seen";
      const std::uint64_t filled = counters(cache).fills();
      EXPECT_TRUE(answer(dma(r)) == old) << "nothing was sent";
      for (const Descriptor& other : others) {
        order(other);
        EXPECT_TRUE(answer(dma(r)) == old) << std::hex << other.low << ' ' << other.high << " does not cover it";
      }
      EXPECT_EQ(counters(cache).fills(), filled) << "hits stay hits";
      order(enough);
      EXPECT_TRUE(answer(dma(r)) == expected(r));
    }
  }

  // ---- the world ----
  void create(bool legacy, const CacheConfig& caches = {}) {
    legacy_ = legacy;
    build(legacy ? Profile{} : full_profile(), caches);
    forget_raw_tables();
    children_.clear();
    for (unsigned t = 0; t < 3; ++t) {
      seconds[t] = {.root = new_raw_table(), .levels = 3 + t};
      firsts[t] = {.root = new_raw_table(), .levels = 4 + t % 2, .first_stage = true};
      // Where the tables of first stages are, for nested translation.
      map_in(seconds[t].root, seconds[t].levels, 0x100'0000, 0x100'0000 | kR | kW, 2, kR | kW);
      write_page(seconds[t], kIova, {.to = (0x40 + t) * kGiB});
      for (unsigned n = 0; n < 4; ++n)
        write_page(seconds[t], kGuest + n * 0x1000, {.to = (0x50 + t) * kGiB + n * 0x1000});
      write_page(firsts[t], kIova, {.to = kGuest + t * 0x1000});
    }
    static constexpr Cache kKinds[] = {Cache::kSecond, Cache::kFirst, Cache::kNested, Cache::kFirst};
    for (unsigned d = 0; d < kDomains; ++d)
      for (unsigned p = 0; p < kPasidCount; ++p) spaces[d][p] = {kKinds[p], &firsts[(d + p) % 3]};
    host->words[kRoot] = kLower | 1;
    if (!legacy) host->words[kRoot + 8] = kUpper | 1;
    for (unsigned n = 0; n < kDeviceCount; ++n) {
      devices[n] = {.directory = n};
      if (!legacy) write_device(n);
      for (unsigned t = 0; t < 2; ++t) put(kDirectory + n * 0x1000 + t * 8, {table_at(n, t) | 1});
      for (unsigned p = 0; p < kPasidCount; ++p) entries[n][p] = {.d = n / 2}, write_entry(n, p);
    }
    for (unsigned n = 0; n < std::size(interrupts); ++n) write_interrupt(n, {.vector = 0x20 + n % 64});
    legacy ? RawSoftware::start() : start();
    queue_on(legacy ? kQueue : kQueue | 1 << 11);
    if (legacy) return;
    write64(0xB8, kInterrupts | 7);
    write32(kGcmd, 1U << 31 | 1U << 26 | 1U << 24);
    write32(kGcmd, 1U << 31 | 1U << 26 | 1U << 25);
  }
  void write_device(unsigned n) {
    const auto [present, pasids, directory, rid] = devices[n];
    const std::uint64_t bits = (pasids ? kPaside : 0) | (present ? 1 : 0);
    put(context_at(kDevices[n]), {(kDirectory + directory * 0x1000) | bits, kPasids[rid], 0, 0});
  }
  static PhysAddr table_at(unsigned directory, unsigned t) { return kPasidTable + (directory * 2 + t) * 0x1000; }
  void write_entry(unsigned n, unsigned p) {
    const auto [present, d] = entries[n][p];
    const Space& space = spaces[d][p];
    const Tree &first = *space.first, &second = seconds[d];
    const bool by_second = space.kind == Cache::kSecond || space.kind == Cache::kNested;
    if (!legacy_)
      return put(
          table_at(n, kPasids[p] / 64) + kPasids[p] % 64 * 64,
          {static_cast<unsigned>(space.kind) << 6 | (by_second ? second.root | (second.levels - 2) << 2 : 0) | present,
           kDids[d] | kPwsnp, space.by_pasid() ? first.root | (first.levels - 4) << 2 : 0});
    if (p != 0) return;
    context(kDevices[n], by_second ? second.root : 8, kDids[d], by_second ? second.levels - 2 : 3);
    if (!present) host->words[0x2'0000 + kDevices[n].devfn() * 16ULL] = 0;
  }
  void write_interrupt(unsigned n, const Interrupt& i) {
    interrupts[n] = i;
    put(kInterrupts + n * 16ULL, {std::uint64_t{i.destination} << 40 | i.vector << 16 | (i.present ? 1 : 0),
                                  i.validated ? 1U << 18 | i.only.value : 0});
  }
  /// Returns what has to be invalidated, in the form that descriptors have; 0: nothing that was there has changed.
  std::uint64_t write_page(Tree& tree, Iova iova, Page page, bool present = true) {
    unsigned level = tree.levels, touched = 0;
    PhysAddr at = tree.root + (iova / size_of(level) & 0x1FF) * 8;
    for (; level > page.level; --level, at += (iova / size_of(level) & 0x1FF) * 8) {
      std::uint64_t& entry = host->words[at];
      const bool leaf = (entry & 0x80) != 0;
      if (leaf) touched = level;
      if (leaf || entry == 0) entry = empty_child(at) | (tree.first_stage ? kP | kRw | kUs : kR | kW);
      at = entry & 0x000F'FFFF'FFFF'F000;
    }
    std::uint64_t& entry = host->words[at];
    const bool leaf_only = touched == 0 && (level == 1 || (entry & 0x80) != 0);
    if (entry != 0) touched = level;
    const std::uint64_t first = kP | (page.read ? kUs : 0) | (page.write ? kRw : 0) | (once_in(2) ? kA | kD : 0);
    const std::uint64_t second = (page.read ? kR : 0) | (page.write ? kW : 0);
    entry = present ? page.to | (level > 1 ? 0x80U : 0U) | (tree.first_stage ? first : second) : 0;
    const std::uint64_t size = size_of(std::max(level, touched)), base = iova & -size;
    tree.pages.erase(tree.pages.lower_bound(base), tree.pages.lower_bound(base + size));
    if (present) tree.pages[iova & -size_of(level)] = page;
    const unsigned least = std::countr_zero(size) - 12, am = least + (once_in(2) ? 0 : below(19 - least));
    return touched == 0 ? 0 : base | (random_() & (size - 0x1000)) | am | (leaf_only && once_in(2) ? 0x40U : 0U);
  }

  // ---- changes, each with invalidations that are enough ----
  void change() {
    const unsigned n = below(kDeviceCount), p = legacy_ ? 0 : below(kPasidCount);
    if (focus_ == Cache::kInterrupt) return change_interrupts(below(3));
    if (!legacy_ && about(Cache::kContext, 8)) return change_device(n);
    if (about(legacy_ ? Cache::kContext : Cache::kPasid, 4))
      return once_in(3) ? change_space(below(kDomains), p) : change_entry(n, p);
    const bool second = legacy_ || focus_ == Cache::kSecond || (focus_ != Cache::kFirst && once_in(2));
    change_page(second ? seconds[below(kDomains)] : firsts[below(3)]);
  }
  void change_device(unsigned n) {
    Device& device = devices[n];
    const Device old = device;
    const unsigned what = below(4);
    if (what == 0) device.present = !old.present || once_in(2);
    if (what == 1) device.directory = below(kDeviceCount);
    if (what == 2) device.pasids = !old.pasids || once_in(2);
    if (what == 3) device.rid = below(kPasidCount);
    write_device(n);
    if (!old.present) return;  // what is absent is not cached
    once_in(3) ? send(Cache::kContext, context_cache(1)) : send_device(kDids[below(kDomains)], n);
    if (device.present && device.directory == old.directory) return;
    for (unsigned p = 0; p < kPasidCount; ++p) {
      const auto [present, d] = entries[old.directory][p];
      if (present) drop(n, d, p, spaces[d][p]);
    }
  }
  void change_entry(unsigned n, unsigned p) {
    const Entry old = std::exchange(entries[n][p], {!once_in(6), below(kDomains)});
    write_entry(n, p);
    if (old.present) drop(n, old.d, p, spaces[old.d][p]);
  }
  void change_space(unsigned d, unsigned p) {
    static constexpr Cache kKinds[] = {Cache::kSecond, Cache::kPassThrough, Cache::kFirst, Cache::kNested};
    const bool focused = focus_ <= Cache::kNested && !once_in(3);
    const Space old =
        std::exchange(spaces[d][p], {focused ? focus_ : kKinds[below(legacy_ ? 2 : 4)], &firsts[below(3)]});
    for (unsigned n = 0; n < kDeviceCount; ++n)
      if (entries[n][p].d == d) write_entry(n, p);
    for (unsigned n = 0; n < kDeviceCount; ++n)
      if (entries[n][p].d == d && entries[n][p].present) drop(n, d, p, old);
  }
  void change_page(Tree& tree) {
    static constexpr unsigned kLevels[] = {1, 1, 1, 1, 2, 2, 3};
    changed_ = some_iova();
    Page page{.level = one_of(kLevels)};
    page.to = (tree.first_stage ? some_iova() : 64 * kGiB + below(64 * 512 * 512) * 0x1000ULL) & -size_of(page.level);
    const unsigned rights = below(6);
    page.read = rights != 0, page.write = rights != 1;
    const Page* old = tree.find(changed_);
    const bool unmap = old != nullptr && once_in(6);
    const std::uint64_t range = write_page(tree, changed_, unmap ? *old : page, !unmap);
    for (unsigned n = 0; n < kDomains * kPasidCount && range != 0; ++n) {
      const unsigned d = n / kPasidCount, p = n % kPasidCount;
      if (&tree == &seconds[d] && p == 0) once_in(4) ? send_domain(d) : send(Cache::kSecond, iotlb(3, kDids[d], range));
      if (&tree == spaces[d][p].first && spaces[d][p].by_pasid())
        once_in(3) ? drop_translations(d, p, true) : send(Cache::kFirst, pasid_iotlb(3, kDids[d], kPasids[p], range));
    }
  }
  void change_interrupts(unsigned im) {
    const unsigned first = some_index() & -(1U << im), last = first | ((1U << im) - 1), how = below(4);
    bool cached = false;
    for (unsigned n = first; n <= last; ++n) {
      cached = cached || interrupts[n].present;
      write_interrupt(n, {!once_in(8), 0x20 + below(200), below(250)});
      if (once_in(5))
        interrupts[n].validated = true, interrupts[n].only = one_of(kDevices), write_interrupt(n, interrupts[n]);
    }
    if (!cached) return;
    if (how == 0) return send(Cache::kInterrupt, interrupt_cache(0));
    if (how == 1) return send(Cache::kInterrupt, interrupt_cache(1, first + below(1U << im), im));
    if (how == 2) return send(Cache::kInterrupt, interrupt_cache(1, first, im + below(16 - im)));
    for (unsigned n = first; n <= last; ++n) send(Cache::kInterrupt, interrupt_cache(1, n));
  }

  void order(const Descriptor& d) { EXPECT_EQ(submit(d.low, d.high), 0U); }
  void send(Cache cache, const Descriptor& d) {
    const bool translations = forgotten_ != Cache::kNone && forgotten_ <= Cache::kNested;
    if (cache <= Cache::kNested ? !translations : cache != forgotten_) order(d);
  }
  void send_device(unsigned did, unsigned n) {
    static constexpr unsigned kIgnored[] = {0, 4, 6, 7};
    const unsigned fm = below(4), sid = kDevices[n].value ^ (below(8) & kIgnored[fm]);
    send(Cache::kContext, context_cache(3, did, sid, fm));
  }
  void send_domain(unsigned d) { send(Cache::kSecond, once_in(4) ? iotlb(1) : iotlb(2, kDids[d])); }
  void drop_translations(unsigned d, unsigned p, bool by_pasid) {
    by_pasid && !once_in(3) ? send(Cache::kFirst, pasid_iotlb(2, kDids[d], kPasids[p])) : send_domain(d);
  }
  /// All that came of an entry that device `n`, or any other in scalable mode, does not see any more.
  void drop(unsigned n, unsigned d, unsigned p, const Space& space) {
    const unsigned how = below(3), did = kDids[d];
    if (legacy_)
      how == 0 ? send_device(did, n) : send(Cache::kContext, how == 1 ? context_cache(1) : context_cache(2, did));
    else
      send(Cache::kPasid, how == 0 ? pasid_cache(3) : how == 1 ? pasid_cache(0, did) : pasid_cache(1, did, kPasids[p]));
    drop_translations(d, p, space.by_pasid());
  }
  /// Covers nothing that `r` has cached.
  Descriptor bystander(const DmaRequest& r) {
    const Path path = path_of(r);
    const unsigned did = kDids[path.d], pasid = kPasids[path.p], fm = below(4), im = below(7);
    const Iova page = r.address & ~0xFFFULL, elsewhere = (8 + below(4)) * kGiB | below(19);
    const bool second = path.space.kind == Cache::kSecond;
    if (r.data) return once_in(4) ? iotlb(1) : interrupt_cache(1, index_of(r) ^ 1U << (im + below(8 - im)), im);
    if (legacy_)
      return one_of<Descriptor>({context_cache(2, kNoDid), context_cache(3, kNoDid, r.source.value, fm),
                                 context_cache(3, did, kNoDevice, fm), iotlb(2, kNoDid), iotlb(3, kNoDid, page),
                                 iotlb(3, did, elsewhere)});
    if (second && once_in(4)) return once_in(2) ? pasid_iotlb(2, did, pasid) : iotlb(3, did, elsewhere);
    return one_of<Descriptor>({context_cache(3, did, kNoDevice, fm), iotlb(2, kNoDid), iotlb(3, kNoDid, page),
                               pasid_cache(0, kNoDid), pasid_cache(1, kNoDid, pasid), pasid_cache(1, did, kNoPasid),
                               pasid_iotlb(2, did, kNoPasid), pasid_iotlb(3, did, kNoPasid, page),
                               pasid_iotlb(3, kNoDid, pasid, page), pasid_iotlb(3, did, pasid, elsewhere),
                               interrupt_cache(0)});
  }

  // ---- requests ----
  static DmaRequest interrupt(unsigned index, SourceId source) {
    DmaRequest r = dma_write(source, 0xFEE0'0010 | index << 5);
    r.data = 0;
    return r;
  }
  static unsigned index_of(const DmaRequest& r) { return static_cast<unsigned>(r.address >> 5 & 0x7FFF); }
  DmaRequest some_request() {
    if (focus_ == Cache::kInterrupt) return interrupt(some_index(), one_of(kDevices));
    static constexpr Access kAccesses[] = {Access::kRead, Access::kRead, Access::kWrite, Access::kZeroLengthRead};
    DmaRequest r;
    Path path;
    for (unsigned tries = 0; tries < 4 && (tries == 0 || (focus_ <= Cache::kNested && path.space.kind != focus_));
         ++tries) {
      r = request(once_in(3) ? changed_ : some_iova(), one_of(kAccesses), one_of(kDevices));
      if (!legacy_ && !once_in(3)) r.pasid = Pasid{one_of(kPasids)};
      path = path_of(r);
    }
    const auto& pages = path.space.by_pasid() ? path.space.first->pages : seconds[path.d].pages;
    if (!pages.empty() && !once_in(4)) {
      const auto& [first, page] = *std::next(pages.begin(), below(static_cast<unsigned>(pages.size())));
      r.address = first + (r.address & (size_of(page.level) - 1));
    }
    // Of zero-length reads it is not said whether W of the second stage alone is enough.
    if (path.space.kind == Cache::kNested && r.length == 0) r.access = Access::kRead, r.length = 4;
    return r;
  }
  struct Path {
    unsigned fault = 0, d = 0, p = 0;
    Space space{};
  };
  [[nodiscard]] Path path_of(const DmaRequest& r) const {
    const auto index_in = [](const auto& list, auto wanted) { return std::find(list, std::end(list), wanted) - list; };
    const auto [present, pasids, directory, rid] = devices[index_in(kDevices, r.source)];
    if (!present) return {.fault = 0x41};
    if (r.pasid && !pasids) return {.fault = 0x45};
    const unsigned p = r.pasid ? static_cast<unsigned>(index_in(kPasids, r.pasid->value)) : rid;
    const Entry& entry = entries[directory][p];
    if (!entry.present) return {.fault = legacy_ ? 0x02U : 0x59U};
    return {.d = entry.d, .p = p, .space = spaces[entry.d][p]};
  }
  [[nodiscard]] Answer expected(const DmaRequest& r) const {
    if (r.data) {
      const Interrupt& i = interrupts[index_of(r)];
      if (!i.present || (i.validated && i.only != r.source)) return {.fault = i.present ? 0x26U : 0x22U};
      return {.address = 0xFEE0'0000 | i.destination << 12 | std::uint64_t{i.vector} << 32};
    }
    const auto [fault, d, p, space] = path_of(r);
    if (fault != 0) return {.fault = fault};
    if (space.kind == Cache::kPassThrough) return {.address = r.address};
    if (space.kind == Cache::kSecond) return through(seconds[d], r, r.address);
    const Answer first = through(*space.first, r, r.address);
    if (space.kind == Cache::kFirst || first.fault == 0x71) return first;
    return first.fault == 0 ? through(seconds[d], r, first.address) : Answer{.fault = kAnyFault};
  }
  [[nodiscard]] Answer through(const Tree& tree, const DmaRequest& r, Iova iova) const {
    const Page* page = tree.find(iova);
    const bool write = r.access == Access::kWrite;
    const unsigned lacking = legacy_ ? (write ? 5 : 6) : write ? 0x85 : 0x86;
    if (page == nullptr) return {.fault = tree.first_stage ? 0x71 : legacy_ ? lacking : 0x79};
    if (tree.first_stage && !page->read) return {.fault = 0x81};
    if (!(write ? page->write : page->read || r.length == 0)) return {.fault = lacking};
    return {.address = page->to + (iova & (size_of(page->level) - 1))};
  }
  static Answer answer(const Result<Translation>& result) {
    if (!result) return {.fault = static_cast<unsigned>(result.fault().reason)};
    if (!result->message) return {.address = result->address};
    return {.address = result->message->address | std::uint64_t{result->message->data} << 32};
  }
  [[nodiscard]] const CacheCounters& counters(Cache cache) const {
    const Caches& caches = unit->caches();
    if (cache == Cache::kContext) return caches.context.counters();
    if (cache == Cache::kPasid) return caches.pasid.counters();
    return cache == Cache::kInterrupt ? caches.interrupt.counters() : caches.iotlb.counters();
  }

 private:
  static CacheConfig geometry(unsigned size, Replacement kind, IotlbTagging tagging) {
    CacheConfig caches;
    caches.iotlb_tagging = tagging;
    for (CacheGeometry* g : {&caches.context, &caches.pasid, &caches.iotlb, &caches.interrupt}) {
      if (size != 0) g->sets = g->ways = size;
      g->replacement = kind;
    }
    return caches;
  }
  void live(Cache focus, Cache forgotten, bool legacy, const CacheConfig& caches, unsigned seed) {
    focus_ = focus, forgotten_ = forgotten, wrong_ = 0;
    random_.seed(seed);
    create(legacy, caches);
    for (unsigned step = 0; step < 600 && !HasFailure(); ++step) {
      host->reads.clear(), host->walks.clear(), host->updates.clear();
      change();
      for (unsigned burst = 0; burst < 5; ++burst) {
        DmaRequest r = some_request();
        judge(r);
        if (!r.data) r.address ^= below(512) * 8;
        if (once_in(2)) judge(r);
        if (forgotten == Cache::kNone && once_in(3)) leaves_alone(r);
      }
    }
    if (focus < Cache::kContext || forgotten != Cache::kNone) return;
    hits_ += counters(focus).hits();
    asked_ += counters(focus).hits() + counters(focus).misses();
  }
  void judge(const DmaRequest& r) {
    const Answer wanted = expected(r);
    const auto agrees = [&](const Answer& a) { return wanted.fault == kAnyFault ? a.fault != 0 : a == wanted; };
    const auto memory = [this](PhysAddr at, std::span<std::uint64_t> out) {
      for (std::uint64_t& word : out) word = host->word(at), at += 8;
      return true;
    };
    EXPECT_TRUE(r.data || agrees(answer(unit->debug_translate(r, memory)))) << "the walk without caches";
    const auto result = dma(r);
    if (forgotten_ == Cache::kNone && result.ok() && !r.data && path_of(r).space.kind == focus_)
      ++asked_, hits_ += result->iotlb_hit ? 1 : 0;
    const Answer given = answer(result);
    if (agrees(given)) return;
    ++wrong_;
    EXPECT_NE(forgotten_, Cache::kNone) << std::hex << r.source.value << ' ' << r.address << ": " << given.fault << ' '
                                        << given.address << ", not " << wanted.fault << ' ' << wanted.address;
  }
  void leaves_alone(const DmaRequest& r) {
    judge(r);
    const auto fills = [this](Cache cache) { return counters(cache).fills(); };
    const auto all = [&] {
      return std::array{fills(Cache::kContext), fills(Cache::kPasid), fills(Cache::kSecond), fills(Cache::kInterrupt)};
    };
    const auto filled = all();
    const Descriptor other = bystander(r);
    order(other);
    judge(r);
    EXPECT_EQ(all(), filled) << std::hex << other.low << ' ' << other.high << " dropped " << r.address;
  }
  /// One table for each entry that ever pointed to one, now empty.
  PhysAddr empty_child(PhysAddr entry) {
    const auto [at, added] = children_.try_emplace(entry, 0);
    if (added) at->second = new_raw_table();
    EXPECT_LT(at->second, 0x120'0000U) << "mapped for nested translation";
    host->words.erase(host->words.lower_bound(at->second), host->words.lower_bound(at->second + 0x1000));
    return at->second;
  }

  unsigned below(unsigned n) { return static_cast<unsigned>(random_() % n); }
  bool once_in(unsigned n) { return below(n) == 0; }
  template <typename T, std::size_t N>
  const T& one_of(const T (&choices)[N]) {
    return choices[below(N)];
  }
  bool about(Cache cache, unsigned otherwise) { return focus_ == cache ? !once_in(4) : once_in(otherwise); }
  Iova some_iova() { return (4 + below(2)) * kGiB + below(2) * 0x20'0000ULL + (1ULL << below(3)) * 0x1000; }
  unsigned some_index() { return below(4) * 0x40 + below(4); }

  std::mt19937_64 random_;
  std::map<PhysAddr, PhysAddr> children_;
  bool legacy_ = false;
  Iova changed_ = kIova;
  Cache focus_ = Cache::kNone, forgotten_ = Cache::kNone;
  std::uint64_t asked_ = 0, hits_ = 0, wrong_ = 0;
};

// ---- At random -------------------------------------------------------------------------------------------------

TEST_F(CacheRandom, LegacyContextCache) {
  only_the_forgetful_see(Cache::kContext, true);
}
TEST_F(CacheRandom, LegacyIotlb) {
  only_the_forgetful_see(Cache::kSecond, true);
}
TEST_F(CacheRandom, ContextCache) {
  only_the_forgetful_see(Cache::kContext);
}
TEST_F(CacheRandom, PasidCache) {
  only_the_forgetful_see(Cache::kPasid);
}
TEST_F(CacheRandom, SecondStageIotlb) {
  only_the_forgetful_see(Cache::kSecond);
}
TEST_F(CacheRandom, FirstStageIotlb) {
  only_the_forgetful_see(Cache::kFirst);
}
TEST_F(CacheRandom, NestedIotlb) {
  only_the_forgetful_see(Cache::kNested);
}
TEST_F(CacheRandom, InterruptEntryCache) {
  only_the_forgetful_see(Cache::kInterrupt);
}

// ---- Planted ---------------------------------------------------------------------------------------------------

TEST_F(CacheRandom, AContextEntryIsStaleUntilItIsCovered) {
  const unsigned sid = kDevices[0].value, next = kDevices[1].value, other = kDevices[2].value;
  create(true);
  const auto pass_through = [&] {
    spaces[0][0].kind = spaces[0][0].kind == Cache::kSecond ? Cache::kPassThrough : Cache::kSecond;
    write_entry(0, 0);
  };
  stale_until_covered(
      Cache::kContext, dma_read(kDevices[0], kIova), pass_through,
      {context_cache(2, 0x16), context_cache(3, 0x16, sid), context_cache(3, 0x15, next),
       context_cache(3, 0x15, sid ^ 6, 1), context_cache(3, 0x15, other, 3), iotlb(1)},
      {context_cache(1), context_cache(2, 0x15), context_cache(3, 0x15, sid), context_cache(3, 0x15, next, 1),
       context_cache(3, 0x15, sid ^ 6, 2), context_cache(3, 0x15, sid ^ 7, 3)});
  create(false);
  const auto rid_pasid = [&] { devices[0].rid ^= 3, write_device(0); };
  stale_until_covered(
      Cache::kContext, dma_read(kDevices[0], kIova), rid_pasid,
      {context_cache(3, 0, next), context_cache(3, 0, sid ^ 6, 1), context_cache(3, 0, other, 3), pasid_cache(3),
       iotlb(1)},
      {context_cache(1), context_cache(3, 0, sid), context_cache(3, 0, next, 1), context_cache(3, 0, sid ^ 7, 3)});
}

TEST_F(CacheRandom, APasidEntryIsStaleUntilItIsCovered) {
  create(false);
  const auto flip = [&] {
    spaces[0][1].kind = spaces[0][1].kind == Cache::kFirst ? Cache::kPassThrough : Cache::kFirst;
    write_entry(0, 1);
  };
  stale_until_covered(Cache::kPasid, with_pasid(dma_read(kDevices[0], kIova), 1), flip,
                      {pasid_cache(0, 0x16), pasid_cache(1, 0x15, 2), pasid_cache(1, 0x16, 1),
                       pasid_cache(1, 0x15, 0x41), context_cache(1), iotlb(1), pasid_iotlb(2, 0x15, 1)},
                      {pasid_cache(3), pasid_cache(0, 0x15), pasid_cache(1, 0x15, 1)});
}

TEST_F(CacheRandom, ATranslationIsStaleUntilItIsCovered) {
  create(false);
  const auto flip = [this](Tree& tree, Iova iova) {
    Page page = *tree.find(iova);
    page.to ^= 0x1000;
    write_page(tree, iova, page);
  };
  stale_until_covered(
      Cache::kSecond, dma_read(kDevices[0], kIova), [&] { flip(seconds[0], kIova); },
      {iotlb(2, 0x16), iotlb(3, 0x16, kIova), iotlb(3, 0x15, kIova + 0x1000), iotlb(3, 0x15, kGuest | 9),
       pasid_iotlb(2, 0x15, 0), pasid_iotlb(3, 0x15, 0, kIova), pasid_cache(3), context_cache(1)},
      {iotlb(1), iotlb(2, 0x15), iotlb(3, 0x15, kIova), iotlb(3, 0x15, kIova | 0x40), iotlb(3, 0x15, 4 * kGiB | 18)});
  for (const unsigned p : {1U, 2U}) {  // first-stage, nested
    stale_until_covered(spaces[0][p].kind, with_pasid(dma_read(kDevices[0], kIova), p), [&] { flip(firsts[p], kIova); },
                        {iotlb(2, 0x16), iotlb(3, 0x16, kIova), pasid_iotlb(2, 0x15, 3 - p), pasid_iotlb(2, 0x16, p),
                         pasid_iotlb(3, 0x15, p, kIova + 0x1000), pasid_iotlb(3, 0x15, p, kGuest),
                         pasid_iotlb(3, 0x15, 3 - p, kIova), pasid_cache(3), context_cache(1)},
                        {iotlb(1), iotlb(2, 0x15), pasid_iotlb(2, 0x15, p), pasid_iotlb(3, 0x15, p, kIova),
                         pasid_iotlb(3, 0x15, p, kIova | 0x40), pasid_iotlb(3, 0x15, p, 4 * kGiB | 18)});
  }
  const Iova guest = firsts[2].find(kIova)->to;
  stale_until_covered(
      Cache::kNested, with_pasid(dma_read(kDevices[0], kIova), 2), [&] { flip(seconds[0], guest); },
      {iotlb(2, 0x16), iotlb(3, 0x16, guest), pasid_iotlb(2, 0x15, 1), pasid_cache(3), context_cache(1)},
      {iotlb(1), iotlb(2, 0x15), iotlb(3, 0x15, guest), iotlb(3, 0x15, guest | 0x40)});
}

TEST_F(CacheRandom, AnInterruptEntryIsStaleUntilItIsCovered) {
  create(false);
  const auto flip = [&] { interrupts[5].vector ^= 0x80, write_interrupt(5, interrupts[5]); };
  stale_until_covered(
      Cache::kInterrupt, interrupt(5, kDevices[0]), flip,
      {interrupt_cache(1, 4), interrupt_cache(1, 6), interrupt_cache(1, 0x105), interrupt_cache(1, 6, 1),
       interrupt_cache(1, 3, 2), interrupt_cache(1, 8, 3), iotlb(1), context_cache(1), pasid_cache(3)},
      {interrupt_cache(0), interrupt_cache(1, 5), interrupt_cache(1, 4, 1), interrupt_cache(1, 7, 2),
       interrupt_cache(1, 0, 3), interrupt_cache(1, 0xFF, 8), interrupt_cache(1, 0x7FFF, 15)});
}

}  // namespace
}  // namespace vtd::test
