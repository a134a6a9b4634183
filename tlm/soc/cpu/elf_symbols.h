// SPDX-License-Identifier: MIT
// Function names of an ELF file, for crash reports.
#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace vtd::soc {

class ElfSymbols {
 public:
  /// Nothing is known.
  ElfSymbols() = default;
  /// Functions of a 64-bit ELF file with a symbol table. A file that cannot be read gives no names: a report without
  /// names is better than none.
  explicit ElfSymbols(const std::string& path);

  /// "function+0x12"; "0x1234" when no function holds the address.
  [[nodiscard]] std::string describe(std::uint64_t address) const;
  [[nodiscard]] bool empty() const { return functions_.empty(); }

 private:
  struct Function {
    std::uint64_t size = 0;
    std::string name;
  };
  std::map<std::uint64_t, Function> functions_;  ///< by first address
};

}  // namespace vtd::soc
