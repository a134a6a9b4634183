// SPDX-License-Identifier: MIT
// Judges every DMA by what was intended, never by tables or caches. The story says which device may reach which page
// at which address; each right goes granted -> revoking (stale access still legal) -> revoked.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <systemc>
#include <vector>

#include "tlm/soc/address_set.h"
#include "tlm/spec/types.h"

namespace vtd::soc {

enum class Hazard : std::uint8_t {
  kMisdirected,
  kAccessAfterRevoke,
  kRevokeWithoutInvalidation,
  kWriteToReadOnly,
  kReadOfWriteOnly,
  kRecycledPage,
  kFirmwareMemory,
  kCanary,
  kUnowned,
  kLostAccess,
  kTranslationDropped,
  kRootChanged,
  kProtectedMemoryOn,
  kCount
};

struct HazardInfo {
  Hazard hazard;
  const char* name;
  const char* text;
  const char* planted;  ///< the bug that triggers it in the tests
};
/// Every hazard that the monitor knows.
[[nodiscard]] const HazardInfo& info(Hazard hazard);

struct Violation {
  Hazard hazard{};
  sc_core::sc_time time;
  SourceId source{};
  Iova iova = 0;
  PhysAddr address = 0;
  std::uint64_t length = 0;
};

struct Rights {
  bool read = false;
  bool write = false;
};

/// Whose rights: requests of this requester id with this PASID, or without one.
struct Requester {
  SourceId source{};
  std::optional<Pasid> pasid{};
  Requester() = default;
  Requester(SourceId s, std::optional<Pasid> p = std::nullopt)
      : source(s), pasid(p) {}  // NOLINT: a source alone is one
  friend bool operator==(const Requester&, const Requester&) = default;
};

class IsolationMonitor {
 public:
  // ---- truth, told by the story ----
  void grant(Requester source, Iova iova, PhysAddr address, std::uint64_t size, Rights rights);
  /// The right is being installed: access is legal, and so is its refusal, until end_grant() or cancel_grant().
  void begin_grant(Requester source, Iova iova, PhysAddr address, std::uint64_t size, Rights rights);
  void end_grant(Requester source);
  void cancel_grant(Requester source);
  /// The right is being withdrawn: stale access is legal until end_revoke(). Ranges may cut grants.
  void begin_revoke(Requester source, Iova iova, std::uint64_t size);
  /// The withdrawal was refused: the right is as before.
  void cancel_revoke(Requester source, Iova iova, std::uint64_t size);
  void end_revoke(Requester source, Iova iova, std::uint64_t size);
  void begin_revoke_all(Requester source) { begin_revoke(source, 0, kEverything); }
  void end_revoke_all(Requester source) { end_revoke(source, 0, kEverything); }
  /// The withdrawal was completed although no invalidation came since it began: caches may still hold the right.
  void not_invalidated(Requester source);
  /// Memory that a reset gave to others; DMA into it is a hazard until it is granted anew.
  void recycle(PhysAddr address, std::uint64_t size);
  /// From now on the unit's translation must stay on and its root pointer as it is (a live update runs); or no longer.
  void hold_translation(std::size_t unit, bool hold);

  // ---- what happened, told by the platform ----
  /// `translated`: the device had the address translated before, so `iova` says nothing.
  void delivered(Requester source, Iova iova, PhysAddr address, std::uint64_t length, Access access,
                 bool translated = false);
  void refused(Requester source, Iova iova, std::uint64_t length, Access access);
  /// A unit's GSTS.TES and RTADDR, whenever they were stored.
  void translation(std::size_t unit, bool enabled);
  void root_pointer(std::size_t unit, std::uint64_t value);
  /// PMEN.EPM of a unit, whenever it was stored.
  void protected_memory(std::size_t unit, bool enabled);
  /// The CPU is reset, the units are not.
  void warm_reset();
  /// Power was lost: nobody has any right, nothing translates.
  void power_off();

  [[nodiscard]] const std::vector<Violation>& violations() const { return violations_; }
  [[nodiscard]] std::uint64_t checked() const { return checked_; }
  /// TES went 1 -> 0 so many times, and RTADDR changed so many times after TES was first set.
  [[nodiscard]] unsigned translation_drops() const { return drops_; }
  [[nodiscard]] unsigned root_changes() const { return root_changes_; }

 private:
  static constexpr std::uint64_t kEverything = ~std::uint64_t{0};
  enum class State : std::uint8_t { kGranting, kGranted, kRevoking, kRevoked };
  struct Grant {
    Requester source{};
    Iova iova = 0;
    PhysAddr address = 0;
    std::uint64_t size = 0;
    Rights rights{};
    State state = State::kGranted;
  };
  struct UnitState {
    bool hold = false;
    bool translating = false;
    bool protecting = false;
    std::uint64_t root = 0;
  };
  void change(Requester source, Iova iova, std::uint64_t size, State from, State to);
  [[nodiscard]] Hazard blame(Requester source, Iova iova, PhysAddr address, std::uint64_t length) const;
  void report(Hazard hazard, Requester source, Iova iova, PhysAddr address, std::uint64_t length);

  std::vector<Grant> grants_;
  AddressSet recycled_;  ///< whole pages
  std::vector<Violation> violations_;
  std::uint64_t checked_ = 0;
  std::map<std::size_t, UnitState> units_;
  unsigned drops_ = 0;
  unsigned root_changes_ = 0;
};

}  // namespace vtd::soc
