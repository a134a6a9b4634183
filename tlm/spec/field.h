// SPDX-License-Identifier: MIT
// Bit fields of registers and in-memory records. With the tables beside it, this is the only place
// in the tree that shifts or masks.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace vtd {

/// A named bit field [hi:lo] of a register or of a little-endian record of 64-bit words. A field never
/// crosses a 64-bit word; `lo` counts from bit 0 of the first word, so AW[66:64] is bit 0 of word 1.
struct Field {
  const char* name;
  std::uint16_t hi;
  std::uint16_t lo;

  [[nodiscard]] constexpr unsigned width() const { return static_cast<unsigned>(hi - lo + 1); }
  /// Index of the 64-bit word that holds the field.
  [[nodiscard]] constexpr unsigned word() const { return lo / 64U; }
  /// Largest value the field can hold.
  [[nodiscard]] constexpr std::uint64_t max() const {
    return width() == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << width()) - 1;
  }
  /// The field's bits in place, within its own 64-bit word.
  [[nodiscard]] constexpr std::uint64_t mask() const { return max() << (lo % 64U); }
  [[nodiscard]] constexpr std::uint64_t get(std::uint64_t word_value) const {
    return (word_value >> (lo % 64U)) & max();
  }
  /// `word_value` with this field set to `value`; bits of `value` above the field are dropped.
  [[nodiscard]] constexpr std::uint64_t with(std::uint64_t word_value, std::uint64_t value) const {
    return (word_value & ~mask()) | ((value & max()) << (lo % 64U));
  }
  [[nodiscard]] constexpr std::uint64_t of(std::uint64_t value) const { return with(0, value); }
  [[nodiscard]] constexpr bool fits(std::uint64_t value) const { return (value & ~max()) == 0; }
  /// For address fields whose low bits are implied zero: the field's bits left in place.
  [[nodiscard]] constexpr std::uint64_t in_place(std::uint64_t word_value) const { return word_value & mask(); }
};

/// An in-memory record of N little-endian 64-bit words (a root entry is Record<2>, a PASID entry Record<8>).
template <std::size_t N>
struct Record {
  std::array<std::uint64_t, N> words{};

  [[nodiscard]] constexpr std::uint64_t get(const Field& f) const { return f.get(words[f.word()]); }
  /// Field bits left in place within their word: the byte address for 4 KiB-aligned pointer fields.
  [[nodiscard]] constexpr std::uint64_t address(const Field& f) const { return f.in_place(words[f.word()]); }
  constexpr Record& set(const Field& f, std::uint64_t value) {
    words[f.word()] = f.with(words[f.word()], value);
    return *this;
  }
  /// Sets a pointer field from a byte address; the bits below the field must be zero.
  constexpr Record& set_address(const Field& f, std::uint64_t byte_address) {
    words[f.word()] = (words[f.word()] & ~f.mask()) | (byte_address & f.mask());
    return *this;
  }
  /// True if any bit of `mask` (one mask per word) is set: the reserved-bit check.
  [[nodiscard]] constexpr bool any(const std::array<std::uint64_t, N>& mask) const {
    for (std::size_t i = 0; i < N; ++i)
      if ((words[i] & mask[i]) != 0) return true;
    return false;
  }
  friend constexpr bool operator==(const Record&, const Record&) = default;
};

using Record128 = Record<2>;
using Record256 = Record<4>;
using Record512 = Record<8>;

/// Bits [hi:lo] set, for reserved masks. Empty (0) when hi < lo.
constexpr std::uint64_t bit_range(unsigned hi, unsigned lo) {
  return hi < lo ? 0 : Field{"", static_cast<std::uint16_t>(hi), static_cast<std::uint16_t>(lo)}.mask();
}
constexpr std::uint64_t bit(unsigned n) {
  return std::uint64_t{1} << n;
}

constexpr std::uint64_t align_down(std::uint64_t value, std::uint64_t size) {
  return value & ~(size - 1);
}
constexpr std::uint64_t align_up(std::uint64_t value, std::uint64_t size) {
  return align_down(value + size - 1, size);
}
constexpr bool is_aligned(std::uint64_t value, std::uint64_t size) {
  return (value & (size - 1)) == 0;
}

}  // namespace vtd
