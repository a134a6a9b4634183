// SPDX-License-Identifier: MIT
#include "tlm/soc/cpu/elf_symbols.h"

#include <cxxabi.h>
#include <elf.h>
#include <fmt/format.h>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>
#include <optional>
#include <vector>

namespace vtd::soc {
namespace {

using File = std::vector<char>;

template <typename T>
std::optional<T> at(const File& file, std::uint64_t offset) {
  if (offset > file.size() || sizeof(T) > file.size() - offset) return std::nullopt;
  T value;
  std::memcpy(&value, file.data() + offset, sizeof value);
  return value;
}

std::string text_at(const File& file, std::uint64_t offset) {
  if (offset >= file.size()) return {};
  return {file.data() + offset, strnlen(file.data() + offset, file.size() - offset)};
}

std::string demangle(const std::string& name) {
  int status = 0;
  const std::unique_ptr<char, void (*)(void*)> plain(abi::__cxa_demangle(name.c_str(), nullptr, nullptr, &status),
                                                     std::free);
  return status == 0 ? plain.get() : name;
}

}  // namespace

ElfSymbols::ElfSymbols(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  const File file{std::istreambuf_iterator<char>(in), {}};
  const auto header = at<Elf64_Ehdr>(file, 0);
  if (!header || std::memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 || header->e_ident[EI_CLASS] != ELFCLASS64) return;
  for (unsigned i = 0; i < header->e_shnum; ++i) {
    const auto table = at<Elf64_Shdr>(file, header->e_shoff + i * sizeof(Elf64_Shdr));
    if (!table || table->sh_type != SHT_SYMTAB) continue;
    const auto names = at<Elf64_Shdr>(file, header->e_shoff + table->sh_link * sizeof(Elf64_Shdr));
    if (!names) continue;
    for (std::uint64_t offset = 0; offset + sizeof(Elf64_Sym) <= table->sh_size; offset += sizeof(Elf64_Sym)) {
      const auto symbol = at<Elf64_Sym>(file, table->sh_offset + offset);
      if (!symbol || ELF64_ST_TYPE(symbol->st_info) != STT_FUNC || symbol->st_shndx == SHN_UNDEF) continue;
      functions_[symbol->st_value] = {symbol->st_size, demangle(text_at(file, names->sh_offset + symbol->st_name))};
    }
  }
}

std::string ElfSymbols::describe(std::uint64_t address) const {
  auto next = functions_.upper_bound(address);
  if (next == functions_.begin()) return fmt::format("{:#x}", address);
  const auto& [first, function] = *--next;
  if (address - first >= function.size) return fmt::format("{:#x}", address);
  return fmt::format("{}+{:#x}", function.name, address - first);
}

}  // namespace vtd::soc
