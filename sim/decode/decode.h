// SPDX-License-Identifier: MIT
// `vtdsim decode`: register dumps, table trees, descriptor rings, fault records and interrupt tables in words.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sim/decode/memory_image.h"
#include "sim/decode/paging_tree.h"
#include "tlm/spec/types.h"

namespace vtd::sim {

// All of these return the answer, and throw std::invalid_argument that names the file and line, or the option.

/// A dump: lines `OFFSET VALUE` or `NAME VALUE`, in hex, with # comments; `path` may be empty. `values`: NAME=VALUE.
[[nodiscard]] std::string decode_registers(const std::string& path, const std::vector<std::string>& values);

/// The two words of a fault record.
[[nodiscard]] std::string decode_fault(std::uint64_t high, std::uint64_t low);
/// The same, of numbers in hex.
[[nodiscard]] std::string decode_fault(const std::string& high, const std::string& low);

struct TableQuestion {
  Machine machine;
  std::uint64_t root = 0;          ///< RTADDR; its TTM is the mode, unless `mode` is given
  std::optional<TableMode> mode;   ///< legacy or scalable
  std::optional<SourceId> source;  ///< all devices, if not given
  std::optional<Iova> iova;        ///< the path of this address; needs `source`
  std::optional<Pasid> pasid;      ///< all, or with `iova` the context entry's RID_PASID
  std::uint64_t limit = 0;         ///< lines
};
/// Root, context and PASID structures and the paging entries below them.
[[nodiscard]] std::string decode_tables(const MemoryImage& image, const TableQuestion& question);

struct QueueQuestion {
  std::uint64_t iqa = 0;              ///< IQA
  std::optional<std::uint64_t> head;  ///< IQH
  std::optional<std::uint64_t> tail;  ///< IQT
  std::optional<TableMode> mode;      ///< what the unit's table mode forbids is only known with it
  std::uint64_t limit = 0;            ///< lines
};
/// Invalidation descriptors.
[[nodiscard]] std::string decode_queue(const MemoryImage& image, const QueueQuestion& question);

/// Interrupt remapping table entries; `irta` is IRTA.
[[nodiscard]] std::string decode_interrupts(const MemoryImage& image, std::uint64_t irta, std::uint64_t limit);

/// A number in hex, with or without 0x.
[[nodiscard]] std::optional<std::uint64_t> parse_hex(std::string_view text);

}  // namespace vtd::sim
