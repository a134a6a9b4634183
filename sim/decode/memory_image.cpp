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

MemoryImage::MemoryImage(const std::string& path, PhysAddr base) : base_(base) {
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  struct stat status {};
  const bool regular = file >= 0 && fstat(file, &status) == 0 && S_ISREG(status.st_mode);
  size_ = regular ? static_cast<std::size_t>(status.st_size) : 0;
  if (size_ != 0) bytes_ = mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, file, 0);
  if (file >= 0) close(file);
  if (!regular || bytes_ == MAP_FAILED) throw std::invalid_argument(fmt::format("{}: cannot read the file", path));
  if (size_ == 0) throw std::invalid_argument(fmt::format("{}: the file is empty, expected a memory image", path));
  if (base_ + (size_ - 1) >= base_) return;
  munmap(bytes_, size_);
  throw std::invalid_argument(
      fmt::format("--base {:#x}: the {:#x} bytes of {} go past the last address", base_, size_, path));
}

MemoryImage::~MemoryImage() {
  munmap(bytes_, size_);
}

bool MemoryImage::read(PhysAddr address, std::span<std::uint64_t> words) const {
  const std::uint64_t offset = address - base_;
  if (address < base_ || offset >= size_ || words.size_bytes() > size_ - offset) return false;
  std::memcpy(words.data(), static_cast<const std::byte*>(bytes_) + offset, words.size_bytes());
  return true;
}

std::string MemoryImage::range() const {
  return fmt::format("{:#x}..{:#x}", base_, base_ + (size_ - 1));
}

void MemoryImage::need(const std::string& option, PhysAddr address) const {
  if (address < base_ || address - base_ >= size_)
    throw std::invalid_argument(fmt::format("{}: {:#x} is {}", option, address, outside()));
}

}  // namespace vtd::sim
