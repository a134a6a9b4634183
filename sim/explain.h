// SPDX-License-Identifier: MIT
// `vtdsim explain`: values in words, from the tables in tlm/spec.
#pragma once

#include <string>
#include <vector>

#include "sim/scenario/scenario.h"

namespace vtd::sim {

/// `topic` and arguments: reg NAME=VALUE | fault CODE-or-NAME | entry KIND WORD... |
/// steps [NAME] | places | image | hazards | commands. Throws std::invalid_argument that says what was expected.
[[nodiscard]] std::string explain(const std::string& topic, const std::vector<std::string>& arguments);
/// A scenario in words: what it is about, its devices, its steps in order and what each does.
[[nodiscard]] std::string explain_scenario(const Scenario& scenario);

}  // namespace vtd::sim
