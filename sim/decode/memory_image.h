// SPDX-License-Identifier: MIT
// A raw binary image of memory, as a debugger or an emulator writes it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "tlm/spec/types.h"

namespace vtd::sim {

/// A file mapped for reading; its first byte is at `base`. Little endian, as are the structures and the host.
class MemoryImage {
 public:
  /// Throws std::invalid_argument that names the file, or --base.
  MemoryImage(const std::string& path, PhysAddr base);
  ~MemoryImage();
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
  std::size_t size_ = 0;
  void* bytes_ = nullptr;
};

}  // namespace vtd::sim
