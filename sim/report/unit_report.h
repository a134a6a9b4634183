// SPDX-License-Identifier: MIT
// What a unit counted, for the JSON file of every kind of run.
#pragma once

#include <nlohmann/json.hpp>

#include "tlm/unit/remapping_unit.h"

namespace vtd::sim {

[[nodiscard]] nlohmann::json unit_json(const RemappingUnit& unit);

}  // namespace vtd::sim
