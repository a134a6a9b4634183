// SPDX-License-Identifier: MIT
// Memory of 8-byte words that exists only where it was written, with places that answer with a bus error.
#pragma once

#include <cstdint>
#include <optional>
#include <unordered_map>
#include <unordered_set>

namespace vtd::test {

class FakeMemory {
 public:
  void set_word(std::uint64_t address, std::uint64_t value) { words_[address] = value; }
  /// 0 where nothing was written.
  [[nodiscard]] std::uint64_t word(std::uint64_t address) const {
    const auto it = words_.find(address);
    return it == words_.end() ? 0 : it->second;
  }
  /// From now on reads of the word at `address` end with a bus error.
  void break_word(std::uint64_t address) { broken_.insert(address); }
  [[nodiscard]] std::optional<std::uint64_t> read(std::uint64_t address) const {
    if (broken_.count(address) != 0) return std::nullopt;
    return word(address);
  }
  /// Atomically; what was there, nullopt: bus error.
  std::optional<std::uint64_t> compare_exchange(std::uint64_t address, std::uint64_t expected, std::uint64_t desired) {
    const auto seen = read(address);
    if (seen == expected) set_word(address, desired);
    return seen;
  }

 private:
  std::unordered_map<std::uint64_t, std::uint64_t> words_;
  std::unordered_set<std::uint64_t> broken_;
};

}  // namespace vtd::test
