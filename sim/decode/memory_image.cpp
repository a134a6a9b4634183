// SPDX-License-Identifier: MIT
#include "sim/decode/memory_image.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <stdexcept>

namespace vtd::sim {

std::span<const std::byte> FileImage::map(const std::string& path, PhysAddr base) {
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  struct stat status {};
  const bool regular = file >= 0 && fstat(file, &status) == 0 && S_ISREG(status.st_mode);
  const std::size_t size = regular ? static_cast<std::size_t>(status.st_size) : 0;
  void* const bytes = size != 0 ? mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file, 0) : nullptr;
  if (file >= 0) close(file);
  if (!regular || bytes == MAP_FAILED) throw std::invalid_argument(fmt::format("{}: cannot read the file", path));
  if (size == 0) throw std::invalid_argument(fmt::format("{}: the file is empty, expected a memory image", path));
  if (base + (size - 1) >= base) return {static_cast<const std::byte*>(bytes), size};
  munmap(bytes, size);
  throw std::invalid_argument(
      fmt::format("--base {:#x}: the {:#x} bytes of {} go past the last address", base, size, path));
}

FileImage::~FileImage() {
  munmap(const_cast<std::byte*>(mapped_.data()), mapped_.size());
}

bool MemoryImage::read(PhysAddr address, std::span<std::uint64_t> words) const {
  const std::uint64_t offset = address - base_;
  if (address < base_ || offset >= bytes_.size() || words.size_bytes() > bytes_.size() - offset) return false;
  std::memcpy(words.data(), bytes_.data() + offset, words.size_bytes());
  return true;
}

std::string MemoryImage::range() const {
  return fmt::format("{:#x}..{:#x}", base_, base_ + (bytes_.size() - 1));
}

void MemoryImage::need(const std::string& option, PhysAddr address) const {
  if (address < base_ || address - base_ >= bytes_.size())
    throw std::invalid_argument(fmt::format("{}: {:#x} is {}", option, address, outside()));
}

}  // namespace vtd::sim
