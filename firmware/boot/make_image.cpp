// SPDX-License-Identifier: MIT
// Host tool: turns an image's ELF file into what the image store holds: platform::ImageHeader and a flat binary.
// Usage: make_image IN.elf OUT.img LOAD_ADDRESS
#include <elf.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "tlm/spec/platform.h"

namespace {

[[noreturn]] void fail(const std::string& message) {
  std::fprintf(stderr, "make_image: %s\n", message.c_str());
  std::exit(2);
}

std::vector<char> read_file(const char* path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) fail(std::string("cannot read ") + path);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

template <typename T>
T at(const std::vector<char>& file, std::uint64_t offset) {
  if (offset > file.size() || sizeof(T) > file.size() - offset) fail("truncated ELF file");
  T value;
  std::memcpy(&value, file.data() + offset, sizeof value);
  return value;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) fail("usage: make_image IN.elf OUT.img LOAD_ADDRESS");
  const std::vector<char> elf = read_file(argv[1]);
  const std::uint64_t base = std::strtoull(argv[3], nullptr, 0);
  const auto header = at<Elf64_Ehdr>(elf, 0);
  if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_machine != EM_X86_64)
    fail("not an x86-64 ELF file");

  std::vector<char> flat;
  std::uint64_t memory_end = base;
  for (unsigned i = 0; i < header.e_phnum; ++i) {
    const auto segment = at<Elf64_Phdr>(elf, header.e_phoff + i * sizeof(Elf64_Phdr));
    if (segment.p_type != PT_LOAD || segment.p_memsz == 0) continue;
    if (segment.p_paddr < base) fail("segment below the load address");
    if (segment.p_offset > elf.size() || segment.p_filesz > elf.size() - segment.p_offset) fail("truncated ELF file");
    const std::uint64_t offset = segment.p_paddr - base;
    flat.resize(std::max<std::size_t>(flat.size(), offset + segment.p_filesz));
    std::copy_n(elf.begin() + static_cast<std::ptrdiff_t>(segment.p_offset), segment.p_filesz,
                flat.begin() + static_cast<std::ptrdiff_t>(offset));
    memory_end = std::max(memory_end, segment.p_paddr + segment.p_memsz);
  }
  flat.resize(vtd::align_up(flat.size(), 8));
  if (flat.empty()) fail("nothing to load");
  if (flat.size() + sizeof(vtd::platform::ImageHeader) > vtd::platform::kImageStoreStride)
    fail("image larger than its place in the image store");

  const vtd::platform::ImageHeader out_header{
      vtd::platform::ImageHeader::kMagic, base, flat.size(), memory_end - base, header.e_entry, {0, 0, 0}};
  std::ofstream out(argv[2], std::ios::binary);
  out.write(reinterpret_cast<const char*>(&out_header), sizeof out_header);
  out.write(flat.data(), static_cast<std::streamsize>(flat.size()));
  out.close();
  if (!out) fail(std::string("cannot write ") + argv[2]);
  return 0;
}
