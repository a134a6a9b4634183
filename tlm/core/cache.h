// SPDX-License-Identifier: MIT
// A finite set-associative cache with tags, deterministic replacement and counters. Values are handed out by
// copy: no reference into a cache ever survives a suspension.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <random>
#include <span>
#include <stdexcept>
#include <vector>

#include "tlm/core/observer.h"

namespace vtd {

enum class Replacement : std::uint8_t { kLru, kTreePlru, kRandom };

/// Both numbers >= 1; capacity is sets * ways entries.
struct CacheGeometry {
  unsigned sets = 16;
  unsigned ways = 4;
  Replacement replacement = Replacement::kLru;
};

/// How often each CacheEvent happened.
class CacheCounters {
 public:
  [[nodiscard]] std::uint64_t of(CacheEvent event) const { return counts_[static_cast<std::size_t>(event)]; }
  [[nodiscard]] std::uint64_t hits() const { return of(CacheEvent::kHit); }
  [[nodiscard]] std::uint64_t misses() const { return of(CacheEvent::kMiss); }
  [[nodiscard]] std::uint64_t fills() const { return of(CacheEvent::kFill); }
  [[nodiscard]] std::uint64_t fills_refused() const { return of(CacheEvent::kFillRefused); }
  [[nodiscard]] std::uint64_t evictions() const { return of(CacheEvent::kEvict); }
  [[nodiscard]] std::uint64_t invalidations() const { return of(CacheEvent::kInvalidate); }
  void add(CacheEvent event, std::uint64_t count) { counts_[static_cast<std::size_t>(event)] += count; }

 private:
  std::array<std::uint64_t, static_cast<std::size_t>(CacheEvent::kCount)> counts_{};
};

/// Chooses the way to replace in one set. Ways are numbered from 0.
class ReplacementState {
 public:
  ReplacementState(Replacement kind, unsigned ways) : kind_(kind), ways_(ways), state_(std::size_t{ways} * 4) {}

  /// `way` was used (hit or filled) at `time`, which grows with every use.
  void use(unsigned way, std::uint64_t time) {
    if (kind_ == Replacement::kLru) state_[way] = time;
    if (kind_ == Replacement::kTreePlru) point_away(way);
  }
  /// The way to replace, all ways being valid.
  unsigned victim(std::mt19937_64& random) const {
    if (kind_ == Replacement::kRandom) return static_cast<unsigned>(random() % ways_);
    return kind_ == Replacement::kLru ? oldest() : follow_tree();
  }

 private:
  [[nodiscard]] unsigned oldest() const {
    unsigned best = 0;
    for (unsigned way = 1; way < ways_; ++way)
      if (state_[way] < state_[best]) best = way;
    return best;
  }
  /// Tree nodes in heap order; a node's 1 means "the victim is in the upper half".
  void point_away(unsigned way) {
    unsigned low = 0;
    unsigned high = ways_;
    for (std::size_t node = 0; high - low > 1;) {
      const unsigned middle = low + (high - low) / 2;
      const bool upper = way >= middle;
      state_[node] = upper ? 0 : 1;
      node = 2 * node + (upper ? 2 : 1);
      (upper ? low : high) = middle;
    }
  }
  [[nodiscard]] unsigned follow_tree() const {
    unsigned low = 0;
    unsigned high = ways_;
    for (std::size_t node = 0; high - low > 1;) {
      const unsigned middle = low + (high - low) / 2;
      const bool upper = state_[node] != 0;
      node = 2 * node + (upper ? 2 : 1);
      (upper ? low : high) = middle;
    }
    return low;
  }

  Replacement kind_;
  unsigned ways_;
  std::vector<std::uint64_t> state_;  ///< LRU: last use of each way; tree-PLRU: nodes
};

/// Tag needs operator== and `std::uint64_t index() const`, from which the set is chosen.
template <typename Tag, typename Value>
class TaggedCache {
 public:
  /// Throws std::invalid_argument for an empty geometry. `observer` must outlive the cache.
  TaggedCache(CacheId id, CacheGeometry geometry, std::uint64_t seed, Observer& observer)
      : id_(id), geometry_(geometry), observer_(observer), random_(seed) {
    if (geometry.sets == 0 || geometry.ways == 0) throw std::invalid_argument("a cache needs at least one set and way");
    sets_.assign(geometry.sets, Set(geometry));
  }

  /// The value of the first tag that is cached. Counts one hit or one miss, whatever the number of tags.
  std::optional<Value> lookup(std::span<const Tag> tags) {
    for (const Tag& tag : tags) {
      Set& set = set_of(tag);
      if (const auto way = set.find(tag)) {
        set.replacement.use(*way, ++time_);
        count(CacheEvent::kHit, 1);
        return set.lines[*way]->value;
      }
    }
    count(CacheEvent::kMiss, 1);
    return std::nullopt;
  }
  std::optional<Value> lookup(const Tag& tag) { return lookup(std::span<const Tag>(&tag, 1)); }

  /// As lookup, but counts nothing and changes no replacement state.
  [[nodiscard]] std::optional<Value> peek(const Tag& tag) const {
    const Set& set = sets_[tag.index() % geometry_.sets];
    const auto way = set.find(tag);
    return way ? std::optional<Value>(set.lines[*way]->value) : std::nullopt;
  }

  void fill(const Tag& tag, const Value& value) {
    Set& set = set_of(tag);
    const unsigned way = way_for(set, tag);
    set.lines[way] = Line{tag, value};
    set.replacement.use(way, ++time_);
    count(CacheEvent::kFill, 1);
  }
  /// A fill that an invalidation forbade.
  void refuse_fill() { count(CacheEvent::kFillRefused, 1); }

  /// Drops every entry for which `covered(tag, value)` holds; returns how many.
  template <typename Predicate>
  std::uint64_t invalidate_if(Predicate covered) {
    std::uint64_t dropped = 0;
    for (Set& set : sets_)
      for (auto& line : set.lines)
        if (line && covered(line->tag, line->value)) {
          line.reset();
          ++dropped;
        }
    if (dropped != 0) count(CacheEvent::kInvalidate, dropped);
    return dropped;
  }
  /// Forgets everything: reset. Counted as an invalidation of what was valid.
  void clear() {
    invalidate_if([](const Tag&, const Value&) { return true; });
  }

  [[nodiscard]] std::size_t size() const {
    std::size_t valid = 0;
    for (const Set& set : sets_)
      for (const auto& line : set.lines) valid += line ? 1 : 0;
    return valid;
  }
  [[nodiscard]] const CacheCounters& counters() const { return counters_; }
  [[nodiscard]] const CacheGeometry& geometry() const { return geometry_; }

 private:
  struct Line {
    Tag tag;
    Value value;
  };
  struct Set {
    explicit Set(const CacheGeometry& g) : lines(g.ways), replacement(g.replacement, g.ways) {}
    [[nodiscard]] std::optional<unsigned> find(const Tag& tag) const {
      for (unsigned way = 0; way < lines.size(); ++way)
        if (lines[way] && lines[way]->tag == tag) return way;
      return std::nullopt;
    }
    std::vector<std::optional<Line>> lines;
    ReplacementState replacement;
  };

  Set& set_of(const Tag& tag) { return sets_[tag.index() % geometry_.sets]; }

  /// The way a fill goes to: the same tag's, else a free one, else the victim's (counted as evicted).
  unsigned way_for(Set& set, const Tag& tag) {
    if (const auto same = set.find(tag)) return *same;
    for (unsigned way = 0; way < geometry_.ways; ++way)
      if (!set.lines[way]) return way;
    count(CacheEvent::kEvict, 1);
    return set.replacement.victim(random_);
  }
  void count(CacheEvent event, std::uint64_t number) {
    counters_.add(event, number);
    observer_.on_cache(id_, event, number);
  }

  CacheId id_;
  CacheGeometry geometry_;
  Observer& observer_;
  std::mt19937_64 random_;
  std::uint64_t time_ = 0;
  std::vector<Set> sets_;
  CacheCounters counters_;
};

}  // namespace vtd
