// SPDX-License-Identifier: MIT
#include "sim/qemu/guest_ram.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <stdexcept>

#include "tlm/spec/field.h"

namespace vtd::qemu {
namespace {

constexpr std::size_t kSmall = 64;  ///< accesses of up to a cache line are made of whole words, in order

template <typename Word>
bool aligned(const std::uint8_t* at, std::size_t bytes) {
  return bytes % sizeof(Word) == 0 && is_aligned(reinterpret_cast<std::uintptr_t>(at), sizeof(Word));
}

template <typename Word>
void load(std::uint8_t* from, std::span<std::uint8_t> to) {
  for (std::size_t i = 0; i < to.size(); i += sizeof(Word)) {
    const Word word = std::atomic_ref(*reinterpret_cast<Word*>(from + i)).load(std::memory_order_acquire);
    std::memcpy(to.data() + i, &word, sizeof word);
  }
}

template <typename Word>
void store(std::uint8_t* to, std::span<const std::uint8_t> from) {
  for (std::size_t i = 0; i < from.size(); i += sizeof(Word)) {
    Word word{};
    std::memcpy(&word, from.data() + i, sizeof word);
    std::atomic_ref(*reinterpret_cast<Word*>(to + i)).store(word, std::memory_order_release);
  }
}

}  // namespace

SharedRam::~SharedRam() {
  for (const File& file : files_) munmap(file.data, file.size);
}

const SharedRam::File& SharedRam::file_of(const Descriptor& descriptor) {
  struct stat status {};
  if (fstat(descriptor.get(), &status) != 0)
    throw std::runtime_error(fmt::format("guest RAM: fstat: {}", std::strerror(errno)));
  const auto known = std::find_if(files_.begin(), files_.end(),
                                  [&](const File& f) { return f.device == status.st_dev && f.inode == status.st_ino; });
  if (known != files_.end()) return *known;
  const auto size = static_cast<std::uint64_t>(status.st_size);
  void* data = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor.get(), 0);
  if (data == MAP_FAILED) throw std::runtime_error(fmt::format("guest RAM: mmap: {}", std::strerror(errno)));
  files_.push_back({status.st_dev, status.st_ino, size, static_cast<std::uint8_t*>(data)});
  return files_.back();
}

bool SharedRam::set(const std::vector<RamSection>& sections) {
  std::vector<Section> next;
  for (const RamSection& s : sections) {
    const File& file = file_of(s.file);
    if (s.offset > file.size || s.size > file.size - s.offset)
      throw std::runtime_error(fmt::format("guest RAM at {:#x}: {:#x} bytes from {:#x} on are not in the file of {:#x}",
                                           s.address, s.size, s.offset, file.size));
    next.push_back({s.address, s.size, file.data + s.offset});
  }
  if (next == sections_) return false;
  sections_ = std::move(next);
  return true;
}

std::uint8_t* SharedRam::find(PhysAddr address, std::uint64_t bytes) const {
  for (const Section& s : sections_)
    if (address >= s.address && address - s.address < s.size && bytes <= s.size - (address - s.address))
      return s.data + (address - s.address);
  return nullptr;
}

bool SharedRam::read(const MemoryTag&, PhysAddr address, std::span<std::uint8_t> data) {
  std::uint8_t* from = find(address, data.size());
  if (from == nullptr) return false;
  if (data.size() <= kSmall && aligned<std::uint64_t>(from, data.size()))
    load<std::uint64_t>(from, data);
  else
    std::memcpy(data.data(), from, data.size());
  return true;
}

bool SharedRam::write(const MemoryTag&, PhysAddr address, std::span<const std::uint8_t> data) {
  std::uint8_t* to = find(address, data.size());
  if (to == nullptr) return false;
  if (data.size() <= kSmall && aligned<std::uint64_t>(to, data.size()))
    store<std::uint64_t>(to, data);
  else if (data.size() <= kSmall && aligned<std::uint32_t>(to, data.size()))
    store<std::uint32_t>(to, data);
  else
    std::memcpy(to, data.data(), data.size());
  return true;
}

std::optional<std::uint64_t> SharedRam::exchange(const MemoryTag&, PhysAddr address, std::uint64_t expected,
                                                 std::uint64_t desired) {
  std::uint8_t* at = find(address, sizeof expected);
  if (at == nullptr || !aligned<std::uint64_t>(at, sizeof expected)) return std::nullopt;
  std::atomic_ref(*reinterpret_cast<std::uint64_t*>(at)).compare_exchange_strong(expected, desired);
  return expected;
}

void SharedRam::message(const MemoryTag&, PhysAddr address, std::uint32_t data) {
  send_(address, data);
}

std::optional<GuestRam::Direct> SharedRam::direct(PhysAddr address) {
  for (const Section& s : sections_)
    if (address >= s.address && address - s.address < s.size)
      return Direct{s.address, s.address + (s.size - 1), s.data};
  return std::nullopt;
}

}  // namespace vtd::qemu
