// SPDX-License-Identifier: MIT
#include "sim/functional_coverage.h"

#include <fmt/format.h>

#include <array>
#include <iterator>

#include "tlm/core/observer.h"

namespace vtd::sim {
namespace {

using platform::LifecycleState;

constexpr std::size_t kPhases = static_cast<std::size_t>(CoveragePhase::kCount);
constexpr const char* kPhaseNames[kPhases] = {"normal", "preserved", "shutdown", "blackout", "adopt", "restored"};
constexpr const char* kAccessNames[] = {"read", "write"};
constexpr const char* kSizeNames[] = {"4K", "2M", "1G"};

CoveragePhase phase_of(LifecycleState state) {
  switch (state) {
    case LifecycleState::kBoot:
    case LifecycleState::kNormal:
    case LifecycleState::kFinished:
    case LifecycleState::kFatal:
      return CoveragePhase::kNormal;
    case LifecycleState::kPreserved:
      return CoveragePhase::kPreserved;
    case LifecycleState::kFrozen:
    case LifecycleState::kCleaned:
      return CoveragePhase::kShutdown;
    case LifecycleState::kBlackout:
      return CoveragePhase::kBlackout;
    case LifecycleState::kAdopting:
    case LifecycleState::kRestoring:
      return CoveragePhase::kAdopt;
    case LifecycleState::kReattached:
      return CoveragePhase::kRestored;
  }
  return CoveragePhase::kNormal;
}

/// What a walk goes through. The depth is that of the tables that the request's address indexes.
struct Kind {
  WalkKind kind;
  const char* name;
  unsigned least_levels;
  bool first;       ///< its tables are first-stage ones
  bool write_only;  ///< pages may be mapped for writing only
};
constexpr std::array<Kind, 4> kKinds{{{WalkKind::kLegacy, "legacy/second", 3, false, true},
                                      {WalkKind::kSecondStage, "scalable/second", 3, false, true},
                                      {WalkKind::kFirstStage, "scalable/first", 4, true, false},
                                      {WalkKind::kNested, "scalable/nested", 4, true, false}}};
constexpr unsigned kMostLevels = 5;
constexpr std::size_t kLevelCodes = 3;  // 3, 4, 5
constexpr std::size_t kSizes = std::size(kSizeNames);

constexpr const char* kRightsNames[] = {"r", "w", "rw"};

/// Invalidations that software can ask for (VT-d 6.5).
struct InvalidationPoint {
  Invalidation::Kind kind;
  Invalidation::Scope scope;
  const char* name;
};
using enum Invalidation::Scope;
constexpr std::array kInvalidations{InvalidationPoint{Invalidation::Kind::kContext, kGlobal, "context-global"},
                                    InvalidationPoint{Invalidation::Kind::kContext, kDomain, "context-domain"},
                                    InvalidationPoint{Invalidation::Kind::kContext, kDevice, "context-device"},
                                    InvalidationPoint{Invalidation::Kind::kPasidCache, kGlobal, "pasid-cache-global"},
                                    InvalidationPoint{Invalidation::Kind::kPasidCache, kDomain, "pasid-cache-domain"},
                                    InvalidationPoint{Invalidation::Kind::kPasidCache, kPasid, "pasid-cache-pasid"},
                                    InvalidationPoint{Invalidation::Kind::kIotlb, kGlobal, "iotlb-global"},
                                    InvalidationPoint{Invalidation::Kind::kIotlb, kDomain, "iotlb-domain"},
                                    InvalidationPoint{Invalidation::Kind::kIotlb, kPage, "iotlb-domain-page"},
                                    InvalidationPoint{Invalidation::Kind::kPasidIotlb, kPasid, "pasid-iotlb-pasid"},
                                    InvalidationPoint{Invalidation::Kind::kPasidIotlb, kPage, "pasid-iotlb-page"},
                                    InvalidationPoint{Invalidation::Kind::kInterrupt, kGlobal, "interrupt-global"},
                                    InvalidationPoint{Invalidation::Kind::kInterrupt, kIndex, "interrupt-index"}};
constexpr const char* kWays[] = {"register", "queued"};

// Groups of points lie one after the other; within a group the last coordinate runs fastest.
constexpr std::size_t kWalks = 0;                                                        // kind, levels, size, access
constexpr std::size_t kRights = kWalks + kKinds.size() * kLevelCodes * kSizes * 2;       // kind, rights, access
constexpr std::size_t kInPhase = kRights + kKinds.size() * std::size(kRightsNames) * 2;  // kind, access, phase
constexpr std::size_t kCached = kInPhase + kKinds.size() * 2 * kPhases;                  // hit or miss, access, phase
constexpr std::size_t kFaultAt = kCached + 2 * 2 * kPhases;                              // reason, phase
constexpr std::size_t kInvalidated = kFaultAt + std::size(kFaults) * kPhases;            // what, way, phase
constexpr std::size_t kRestarted = kInvalidated + kInvalidations.size() * 2 * kPhases;   // phase
constexpr std::size_t kDeviceTlb = kRestarted + kPhases;                                 // phase
constexpr std::size_t kPoints = kDeviceTlb + kPhases;

constexpr std::size_t walk_point(std::size_t kind, unsigned levels, unsigned size, bool write) {
  return kWalks + ((kind * kLevelCodes + (levels - 3)) * kSizes + size) * 2 + (write ? 1 : 0);
}

/// Every point's name; empty: a cross that is not legal.
std::vector<std::string> names() {
  std::vector<std::string> out(kPoints);
  std::size_t at = 0;
  for (const Kind& k : kKinds)
    for (unsigned levels = 3; levels <= kMostLevels; ++levels)
      for (const char* size : kSizeNames)
        for (const char* access : kAccessNames) {
          if (levels >= k.least_levels) out[at] = fmt::format("{}/{}-level/{}/{}/ok", k.name, levels, size, access);
          ++at;
        }
  for (const Kind& k : kKinds)
    for (std::size_t rights = 0; rights < std::size(kRightsNames); ++rights)
      for (std::size_t access = 0; access < 2; ++access) {
        const bool allowed = rights == 2 || rights == access;
        if (allowed && (rights != 1 || k.write_only))
          out[at] = fmt::format("{}/page-{}/{}/ok", k.name, kRightsNames[rights], kAccessNames[access]);
        ++at;
      }
  for (const Kind& k : kKinds)
    for (const char* access : kAccessNames)
      for (const char* phase : kPhaseNames) out[at++] = fmt::format("walk/{}/{}/{}", k.name, access, phase);
  for (const char* hit : {"miss", "hit"})
    for (const char* access : kAccessNames)
      for (const char* phase : kPhaseNames) out[at++] = fmt::format("iotlb/{}/{}/{}", hit, access, phase);
  for (const FaultInfo& f : kFaults)
    for (const char* phase : kPhaseNames) {
      if (f.reason != FaultReason::kNone) out[at] = fmt::format("fault/{}/{}", f.name, phase);
      ++at;
    }
  for (const InvalidationPoint& i : kInvalidations)
    for (const char* way : kWays)
      for (const char* phase : kPhaseNames) {
        // Registers know nothing of PASIDs and interrupts, but SRTP and SIRTP invalidate everything of them.
        out[at++] = fmt::format("invalidation/{}/{}/{}", way, i.name, phase);
      }
  for (const char* phase : kPhaseNames) out[at++] = fmt::format("restart/{}", phase);
  for (const char* phase : kPhaseNames) out[at++] = fmt::format("invalidation/device-tlb/{}", phase);
  return out;
}

constexpr std::array<std::uint8_t, 256> kFaultIndex = [] {
  std::array<std::uint8_t, 256> out{};
  for (std::size_t i = 0; i < std::size(kFaults); ++i)
    out[static_cast<std::size_t>(kFaults[i].reason)] = static_cast<std::uint8_t>(i);
  return out;
}();

}  // namespace

/// One unit's events; all count into the same points.
class FunctionalCoverage::Unit : public Observer {
 public:
  explicit Unit(FunctionalCoverage& all) : all_(all) {}

  void on_walk_end(SourceId, const WalkRequest& q, const WalkResponse& r) override {
    const auto kind = static_cast<std::size_t>(q.kind);
    const bool write = writes(q.access);
    count(kInPhase + (kind * 2 + (write ? 1 : 0)) * kPhases + phase());
    if (r.fault != FaultReason::kNone) return;
    count(walk_point(kind, kKinds[kind].first ? q.first_levels : q.levels, r.level - 1U, write));
    const std::size_t rights = r.readable && r.writable ? 2 : r.writable ? 1 : 0;
    if (write ? r.writable : r.readable)
      count(kRights + (kind * std::size(kRightsNames) + rights) * 2 + (write ? 1 : 0));
  }
  void on_translated(const DmaRequest& q, const Translation& t) override {
    if (!t.remapped || t.interrupt) return;
    count(kCached + ((t.iotlb_hit ? 2U : 0U) + (writes(q.access) ? 1U : 0U)) * kPhases + phase());
  }
  void on_fault(const Fault& f) override {
    if (f.reason != FaultReason::kNone)
      count(kFaultAt + kFaultIndex[static_cast<std::size_t>(f.reason)] * kPhases + phase());
  }
  void on_invalidation_end(const Invalidation& i) override {
    for (std::size_t n = 0; n < kInvalidations.size(); ++n)
      if (kInvalidations[n].kind == i.kind && kInvalidations[n].scope == i.scope)
        count(kInvalidated + (n * 2 + (queued_ ? 1 : 0)) * kPhases + phase());
  }
  void on_device_invalidation(const DeviceTlbInvalidation&) override { count(kDeviceTlb + phase()); }
  void on_restart(const DmaRequest&) override { count(kRestarted + phase()); }
  void on_register(RegId id, std::uint64_t value) override {
    if (id == RegId::kGSTS) queued_ = gsts::kQIES.get(value) != 0;
  }

 private:
  void count(std::size_t point) { ++all_.counts_[point]; }
  [[nodiscard]] std::size_t phase() const { return static_cast<std::size_t>(all_.phase_); }

  FunctionalCoverage& all_;
  bool queued_ = false;  ///< the queue is on: what is invalidated was asked for there
};

FunctionalCoverage::FunctionalCoverage(soc::Platform& platform) : counts_(kPoints) {
  for (std::size_t u = 0; u < platform.units(); ++u) {
    units_.push_back(std::make_unique<Unit>(*this));
    platform.unit(u).add_observer(*units_.back());
  }
  platform.mailbox().on_state([this](LifecycleState s) {
    // The incoming image begins in the blackout of the one before.
    if (s != LifecycleState::kBoot || phase_ != CoveragePhase::kBlackout) phase_ = phase_of(s);
  });
}

FunctionalCoverage::~FunctionalCoverage() = default;

std::map<std::string, std::uint64_t> FunctionalCoverage::met() const {
  const std::vector<std::string> all = names();
  std::map<std::string, std::uint64_t> out;
  for (std::size_t i = 0; i < all.size(); ++i)
    if (counts_[i] != 0) out[all[i]] = counts_[i];
  return out;
}

std::vector<std::string> FunctionalCoverage::model() {
  std::vector<std::string> out = names();
  std::erase(out, "");
  return out;
}

}  // namespace vtd::sim
