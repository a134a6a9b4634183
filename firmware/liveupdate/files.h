// SPDX-License-Identifier: MIT
// The three kinds of file that a session may hold, and their handlers' names.
#pragma once

#include "firmware/liveupdate/abi.h"

namespace vtd::fw {

enum class FileKind : std::uint8_t { kUnknown = 0, kMemory = 1, kIommufd = 2, kDevice = 3 };

constexpr FileKind kind_of(const abi::CompatibleString& handler) {
  if (handler == abi::kMemoryCompatible) return FileKind::kMemory;
  if (handler == abi::kIommufdCompatible) return FileKind::kIommufd;
  if (handler == abi::kVfioCompatible) return FileKind::kDevice;
  return FileKind::kUnknown;
}
constexpr const abi::CompatibleString& handler_of(FileKind kind) {
  if (kind == FileKind::kMemory) return abi::kMemoryCompatible;
  return kind == FileKind::kIommufd ? abi::kIommufdCompatible : abi::kVfioCompatible;
}

}  // namespace vtd::fw
