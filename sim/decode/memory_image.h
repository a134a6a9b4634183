// SPDX-License-Identifier: MIT
// Memory that is looked at and not changed: a raw binary image, as a debugger or an emulator writes it, or what a
// simulation holds.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "tlm/spec/types.h"

namespace vtd::sim {

/// The first byte is at `base`. Little endian, as are the structures and the host.
class MemoryImage {
 public:
  /// `bytes` outlive it, are not empty and do not go past the last address.
  MemoryImage(std::span<const std::byte> bytes, PhysAddr base) : base_(base), bytes_(bytes) {}
  MemoryImage(const MemoryImage&) = delete;
  MemoryImage& operator=(const MemoryImage&) = delete;

  /// False, and `words` untouched, if any byte is outside of the image.
  [[nodiscard]] bool read(PhysAddr address, std::span<std::uint64_t> words) const;
  /// First and last address, "0x1000..0x1fff".
  [[nodiscard]] std::string range() const;
  /// "outside of the image 0x1000..0x1fff"
  [[nodiscard]] std::string outside() const { return "outside of the image " + range(); }
  /// Throws std::invalid_argument that names `option` if `address` is outside.
  void need(const std::string& option, PhysAddr address) const;

 private:
  PhysAddr base_;
  std::span<const std::byte> bytes_;
};

/// A file mapped for reading; its first byte is at `base`.
class FileImage : public MemoryImage {
 public:
  /// Throws std::invalid_argument that names the file, or --base.
  FileImage(const std::string& path, PhysAddr base) : FileImage(map(path, base), base) {}
  ~FileImage();

 private:
  FileImage(std::span<const std::byte> bytes, PhysAddr base) : MemoryImage(bytes, base), mapped_(bytes) {}
  [[nodiscard]] static std::span<const std::byte> map(const std::string& path, PhysAddr base);
  std::span<const std::byte> mapped_;
};

}  // namespace vtd::sim
