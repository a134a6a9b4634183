// SPDX-License-Identifier: MIT
// A case: commands that both sides perform, and what they answered.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tlm/spec/types.h"

namespace vtd::oracle {

/// The devices of the machine that do DMA.
enum class Device : std::uint8_t {
  kFastA,     ///< i82559er 00:04.0: at once, an 8-byte read and an 8-byte write at an address below 4 GiB
  kFastB,     ///< i82559er 00:08.0
  kFastBus1,  ///< i82559er 01:00.0, behind a root port
  kWide,      ///< e1000 00:05.0: reads 16 bytes anywhere, and writes 4 bytes at +12 if it has read a good descriptor
  kWriter,    ///< rtl8139 00:09.0: writes 64 bytes of zeros, in small pieces, anywhere
  kCount
};
/// Requester ids by Device.
inline constexpr SourceId kSources[] = {make_source_id(0, 4, 0), make_source_id(0, 8, 0), make_source_id(1, 0, 0),
                                        make_source_id(0, 5, 0), make_source_id(0, 9, 0)};
constexpr SourceId source_of(Device device) {
  return kSources[static_cast<std::size_t>(device)];
}

struct Command {
  enum class Kind : std::uint8_t {
    kMemory,  ///< writes 8 bytes at `address`
    kWrite,   ///< writes register `address`, `bytes` wide
    kRead,    ///< reads it: the answers are compared
    kDma,     ///< one DMA of `device` at `address`
    kMark,    ///< not performed: what the next DMA is about, for the histogram
  };
  Kind kind = Kind::kMemory;
  std::uint64_t address = 0;
  std::uint64_t value = 0;  ///< kMark: an index into Case::marks
  unsigned bytes = 8;
  Device device = Device::kFastA;
};

/// Cell of the histogram that a DMA belongs to, beside the reason of its fault.
struct Mark {
  std::string table;         ///< "legacy 4 levels" ...
  std::string page;          ///< "4K", "2M", "1G", "unmapped", "pass-through", ...
  std::string invalidation;  ///< what came since the last DMA
};

/// The guest memory that both sides have, and the arena in it that cases use.
inline constexpr PhysAddr kRamSize = 512U << 20U;
inline constexpr PhysAddr kArena = 64U << 20U;          ///< 2M aligned
inline constexpr std::uint64_t kArenaSize = 4U << 20U;  ///< two 2M pages: tables, then data

struct Case {
  std::uint64_t seed = 0;
  std::vector<Command> commands;
  std::vector<Mark> marks;
};

/// A case as text and back: one command a line. Marks are dropped. Throws std::runtime_error, naming the line.
[[nodiscard]] std::string to_text(const Case& c);
[[nodiscard]] Case from_text(const std::string& text);

}  // namespace vtd::oracle
