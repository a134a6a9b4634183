// SPDX-License-Identifier: MIT
// A set of addresses, kept as ranges that neither overlap nor touch.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <map>

namespace vtd::soc {

class AddressSet {
 public:
  void add(std::uint64_t first, std::uint64_t bytes) {
    if (bytes == 0) return;
    std::uint64_t end = first + bytes;
    auto next = ranges_.upper_bound(first);
    if (next != ranges_.begin() && std::prev(next)->second >= first) --next;
    while (next != ranges_.end() && next->first <= end) {
      first = std::min(first, next->first);
      end = std::max(end, next->second);
      next = ranges_.erase(next);
    }
    ranges_.emplace(first, end);
  }
  void remove(std::uint64_t first, std::uint64_t bytes) {
    if (bytes == 0) return;
    const std::uint64_t end = first + bytes;
    auto next = ranges_.upper_bound(first);
    if (next != ranges_.begin() && std::prev(next)->second > first) --next;
    while (next != ranges_.end() && next->first < end) {
      const auto [from, to] = *next;
      next = ranges_.erase(next);
      if (from < first) ranges_.emplace(from, first);
      if (to > end) ranges_.emplace(end, to);
    }
  }
  [[nodiscard]] bool contains(std::uint64_t address) const {
    const auto next = ranges_.upper_bound(address);
    return next != ranges_.begin() && address < std::prev(next)->second;
  }
  void clear() { ranges_.clear(); }
  /// How many ranges.
  [[nodiscard]] std::size_t pieces() const { return ranges_.size(); }

 private:
  std::map<std::uint64_t, std::uint64_t> ranges_;  ///< first -> end
};

}  // namespace vtd::soc
