// SPDX-License-Identifier: MIT
// What a random story knows of its own world: who is attached to what, what is mapped where, and hence what becomes of
// a request. Nothing here comes from the model, so it can judge it.
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "tlm/spec/types.h"

namespace vtd::sim::story {

/// Draws that are the same with every standard library.
class Dice {
 public:
  explicit Dice(std::uint64_t seed) : engine_(seed * 0x9E3779B97F4A7C15) {}
  std::uint64_t below(std::uint64_t n) { return engine_() % n; }
  std::uint64_t between(std::uint64_t low, std::uint64_t high) { return low + below(high - low + 1); }
  bool chance(unsigned percent) { return below(100) < percent; }
  template <typename T>
  T pick(std::initializer_list<T> of) {
    return *(of.begin() + below(of.size()));
  }
  template <typename Container>
  auto& pick(Container&& of) {
    return of[below(of.size())];
  }

 private:
  std::mt19937_64 engine_;
};

enum class Stage : std::uint8_t { kSecond, kFirst, kNested };
enum class Op : std::uint8_t { kRead, kWrite };

/// One mapping. Where a stream works, nobody else writes.
struct Piece {
  Iova iova = 0;
  std::uint64_t size = 0;
  std::string memory;
  std::uint64_t offset = 0;
  std::string rights = "rw";
  std::string leaf = "4K";
  bool stream = false;
  [[nodiscard]] bool contains(Iova at) const { return at >= iova && at - iova < size; }
  [[nodiscard]] bool allows(Op op) const { return rights.find(op == Op::kWrite ? 'w' : 'r') != std::string::npos; }
};

/// A domain.
struct Space {
  std::string name;
  Stage stage = Stage::kSecond;
  unsigned levels = 4;
  std::string parent;      ///< nested: whose memory its pieces lie in
  bool is_parent = false;  ///< nobody is attached to it
  std::vector<Piece> pieces;
  std::vector<Piece> gone;  ///< were mapped once
  unsigned places = 0;      ///< given to pieces
  bool marked = false;
  bool preserved = false;  ///< immutable
  bool restored = false;   ///< by a live update: can only be walked and freed
  [[nodiscard]] bool is_mutable() const { return !preserved && !restored && !is_parent; }
};

struct Device {
  std::string name;
  SourceId source{};
  std::optional<SourceId> alias{};
  unsigned unit = 0;
  unsigned pasid_bits = 0;
  bool ats = false;
  bool non_pci = false;
  bool ignores_bus_master = false;
  std::optional<Piece> window{};  ///< of its stream: to be mapped there and nowhere else
  unsigned outstanding = 1;
  unsigned interval_ns = 1000;
  bool random_pattern = true;
  std::uint64_t stream_pasid = 0;
  // ---- what changes ----
  std::map<std::uint64_t, std::string> attached;  ///< PASID, 0 none -> domain
  bool context = false;                           ///< its context entry is there
  bool streaming = false;
  bool claimed = false;
  bool held = false;     ///< preserved, or restored and not taken over
  bool gated = false;    ///< bus mastering is off
  bool retired = false;  ///< what its stream wrote is lost
  [[nodiscard]] SourceId requester() const { return alias.value_or(source); }
  [[nodiscard]] bool idle() const { return attached.empty() && !retired; }
};

class World {
 public:
  bool scalable = false;
  std::vector<Device> devices;
  std::list<Space> spaces;                                 ///< never move
  std::set<std::pair<unsigned, unsigned>> context_tables;  ///< unit, bus

  [[nodiscard]] Space* find(const std::string& name);
  [[nodiscard]] const Space* find(const std::string& name) const;
  [[nodiscard]] bool used(const Space& space) const;
  /// `ok`, the name of a fault reason, or `refused`.
  [[nodiscard]] std::string outcome(const Device& device, std::uint64_t pasid, Iova iova, Op op) const;

  void attach(Device& device, std::uint64_t pasid, const std::string& space);
  void detach(Device& device, std::uint64_t pasid);
  /// The shutdown of a live update, before its reset: what is not preserved is gone.
  void clean();

 private:
  [[nodiscard]] std::string translate(const Space& space, Iova iova, Op op) const;
};

}  // namespace vtd::sim::story
