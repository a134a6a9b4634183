// SPDX-License-Identifier: MIT
#include "sim/report/unit_report.h"

#include <array>
#include <utility>

namespace vtd::sim {
namespace {

nlohmann::json walker_json(const RemappingUnit& unit) {
  nlohmann::json events = nlohmann::json::object();
#define VTD_X(name, text) events[text] = unit.walker_count(WalkerEvent::name);
  VTD_WALKER_EVENTS(VTD_X)
#undef VTD_X
  return events;
}

}  // namespace

nlohmann::json unit_json(const RemappingUnit& unit) {
  const UnitStatistics& u = unit.statistics();
  nlohmann::json caches;
  for (const auto& [id, name] : {std::pair{CacheId::kContext, "context"},
                                 {CacheId::kPasid, "pasid"},
                                 {CacheId::kIotlb, "iotlb"},
                                 {CacheId::kInterrupt, "interrupt"}})
    caches[name] = {
        {"hits", u.cache(id, CacheEvent::kHit)},        {"misses", u.cache(id, CacheEvent::kMiss)},
        {"fills", u.cache(id, CacheEvent::kFill)},      {"fills_refused", u.cache(id, CacheEvent::kFillRefused)},
        {"evictions", u.cache(id, CacheEvent::kEvict)}, {"invalidated", u.cache(id, CacheEvent::kInvalidate)}};
  return {{"caches", caches},
          {"walker", walker_json(unit)},
          {"walks", u.walks},
          {"walk_reads", u.walk_reads},
          {"walks_in_flight_max", u.walks_in_flight_max},
          {"faults", u.faults},
          {"restarts", u.restarts},
          {"invalidations", u.invalidations},
          {"waits", u.waits},
          {"messages", u.messages}};
}

}  // namespace vtd::sim
