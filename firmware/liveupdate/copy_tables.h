// SPDX-License-Identifier: MIT
// The older cousin of live update: after a crash, the new image copies the translation tables of the old one (kdump),
// so that DMA of devices nobody has stopped goes where it went. Nothing of the old image's memory is touched or
// trusted.
#pragma once

#include "firmware/iommu/iommu.h"

namespace vtd::fw {

/// Copies root, context and, in scalable mode, PASID directory and tables of a unit that translates; reserves each
/// domain id that it finds, then moves the unit to the copies. Devices with an entry are marked copied: their first
/// attach tears the entry down. Paging tables stay where they are. kInvalid: the unit's table mode is not `mode`;
/// kNoMemory; kFault: a table lies outside memory. After an error nothing is changed.
[[nodiscard]] Status copy_tables(Iommu& iommu, Unit& unit, TableMode mode);

}  // namespace vtd::fw
