// SPDX-License-Identifier: MIT
// A unit in a world that fuzzers control: memory, registers, requests. Everything runs in one thread, so a unit that
// waits for something that can never come is found at once.
#pragma once

#include <cstdint>
#include <cstring>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "tlm/core/paging_walk.h"
#include "tlm/core/unit.h"
#include "tlm/spec/paging.h"
#include "tlm/spec/profiles.h"

namespace vtd::fuzz {

/// The bytes of one input, taken from the front; zeros when they are used up.
class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size) : left_(data, size) {}
  [[nodiscard]] bool empty() const { return left_.empty(); }
  template <typename T>
  T take() {
    T value{};
    const std::size_t bytes = std::min(sizeof value, left_.size());
    if (bytes != 0) std::memcpy(&value, left_.data(), bytes);
    left_ = left_.subspan(bytes);
    return value;
  }
  /// A number below `limit` (1..256).
  unsigned below(unsigned limit) { return take<std::uint8_t>() % limit; }
  bool flag() { return (take<std::uint8_t>() & 1) != 0; }

 private:
  std::span<const std::uint8_t> left_;
};

/// What is wrong is told to stderr, and the process aborts: fuzzers and sanitizers count that as a crash.
void require(bool condition, const char* what);

/// Sparse memory of 1 MiB above which every access is a bus error.
class World final : public Host {
 public:
  static constexpr PhysAddr kMemory = 0x10'0000;
  explicit World(const Profile& profile);

  std::map<PhysAddr, std::uint64_t> words;
  UnitCore unit;
  /// 8-byte words that the unit has read as paging entries since the last invalidation of everything.
  std::vector<std::uint64_t> entries_read;

  void write(RegId id, std::uint64_t value) { unit.write(offset_of(id, unit.profile()), value, info(id).bits / 8U); }
  [[nodiscard]] std::uint64_t reg(RegId id) const { return unit.register_value(id); }
  void command(const Field& bit);
  /// Runs what was woken until nothing is.
  void pump();
  /// Root table at `root`, translation on.
  void enable(PhysAddr root, TableMode mode);
  /// Global invalidation of every cache, by registers (of the PASID cache only with ESRTPS).
  void invalidate_everything();
  /// Translates and holds the result against the tables as they are now: nothing may be cached that they do not say.
  /// Only after changes of memory were followed by invalidate_everything(). Tables may give one domain-id to several
  /// sources and PASIDs whose tables differ; then a cached translation of the one legally answers the other, and the
  /// request is held against the tables again with empty caches.
  void check(const DmaRequest& request);

  // ---- Host ----
  bool read(PhysAddr address, std::span<std::uint64_t> out) override;
  bool write32(PhysAddr address, std::uint32_t data) override;
  bool write(PhysAddr address, std::span<const std::uint64_t> data) override;
  std::optional<std::uint64_t> compare_exchange(PhysAddr address, std::uint64_t expected,
                                                std::uint64_t desired) override;
  WalkResponse walk(WalkRequest request) override;
  void invalidate_device(const DeviceTlbInvalidation& invalidation) override;
  void respond(const PageResponse&) override {}
  void message(PhysAddr, std::uint32_t) override {}
  void spend(Step) override {}
  void wait_progress() override { require(false, "the unit waits, and nothing is under way"); }
  void notify_progress() override {}
  void wake(Engine engine) override { (engine == Engine::kCommand ? command_woken_ : queue_woken_) = true; }
  void revoke_dmi() override {}

 private:
  static Observer& nobody();
  /// What is wrong with the translation; nullptr: nothing.
  const char* complaint(const DmaRequest& request);
  /// Sources and PASIDs of the requests since the last invalidation of everything.
  std::set<std::pair<SourceId, std::optional<Pasid>>> requesters_;
  /// A walk set A or D in what is also a root, context or PASID entry: caches may rightly disagree with it.
  bool structures_touched_ = false;
  bool command_woken_ = false;
  bool queue_woken_ = false;
};

/// Fields of a request from the input; addresses and source-ids are likely to be mapped.
[[nodiscard]] DmaRequest take_request(Input& input);

/// Tables for every kind of translation at fixed places, valid: see the definition.
void build_tables(World& world, TableMode mode);
inline constexpr PhysAddr kLegacyRoot = 0x1000;
inline constexpr PhysAddr kScalableRoot = 0x2000;

}  // namespace vtd::fuzz
