// SPDX-License-Identifier: MIT
// Paging structures in words: a tree, or the path of one address.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "sim/decode/memory_image.h"
#include "sim/decode/words.h"
#include "tlm/spec/field.h"
#include "tlm/spec/types.h"

namespace vtd::sim {

/// What is known of the unit; what it lacks is only known with its registers.
struct Machine {
  unsigned host_address_width = 52;
  std::optional<std::uint64_t> cap;
  std::optional<std::uint64_t> ecap;

  [[nodiscard]] bool lacks_cap(const Field& f) const { return cap && f.get(*cap) == 0; }
  [[nodiscard]] bool lacks_ecap(const Field& f) const { return ecap && f.get(*ecap) == 0; }
};

/// One stage of translation.
struct Stage {
  bool first = false;  ///< first-stage entries; else second-stage
  PhysAddr top = 0;    ///< the top table
  unsigned levels = 0;
  Machine machine;
  const Stage* under = nullptr;  ///< the stage that translates table addresses and results: nested translation
};

class PagingTree {
 public:
  PagingTree(const MemoryImage& image, Lines& out) : image_(image), out_(out) {}
  /// All present entries; adjacent leaves that continue one another are one line.
  void tree(unsigned depth, const Stage& stage);
  /// The entries that translate `address`, of both stages if `stage` is over another.
  void path(unsigned depth, const Stage& stage, std::uint64_t address);

 private:
  struct Leaves;
  struct Found {
    std::optional<std::uint64_t> address;
    std::string why;           ///< there is none
    std::uint64_t rights = 0;  ///< bits of an entry: those that all of the path have, and XD if one has it
  };
  void table(unsigned depth, const Stage& stage, std::uint64_t at, unsigned level, std::uint64_t input);
  /// Follows `address`; prints the entries if `depth` is given.
  Found walk(const Stage& stage, std::uint64_t address, std::optional<unsigned> depth);
  /// Host address of a table of `stage`.
  Found host(const Stage& stage, std::uint64_t at);

  const MemoryImage& image_;
  Lines& out_;
};

}  // namespace vtd::sim
