// SPDX-License-Identifier: MIT
// A run as one HTML page that needs nothing else, and as a trace for Perfetto and Chrome.
#pragma once

#include <string>

#include "sim/report/chronicle.h"
#include "sim/report/report.h"

namespace vtd::sim {

/// Timeline of every device over the phases, tables of counters, registers in words, table trees.
[[nodiscard]] std::string page(const ReportContext& context, const Chronicle& chronicle);

/// Trace events in Chrome's JSON format: phases, live updates, invalidations, faults, and a counter for each device.
[[nodiscard]] std::string chrome_trace(const ReportContext& context, const Chronicle& chronicle);

}  // namespace vtd::sim
