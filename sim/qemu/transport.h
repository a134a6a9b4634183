// SPDX-License-Identifier: MIT
// How a virtual machine reaches PCI functions that live in this process. One transport, mpqemu, speaks to stock QEMU's
// x-pci-proxy-dev; another one (vfio-user) needs only this interface.
#pragma once

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <vector>

#include "sim/qemu/qemu_process.h"

namespace vtd::qemu {

/// The other side sent something that the protocol does not know, or a part of a message. Says what.
class ProtocolError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// A piece of guest RAM: `size` bytes at the guest physical address are those of a file from `offset` on.
struct RamSection {
  std::uint64_t address = 0;
  std::uint64_t size = 0;
  std::uint64_t offset = 0;
  Descriptor file{};
};

struct Request {
  enum class Kind : std::uint8_t {
    kConfigRead,
    kConfigWrite,
    kBarRead,   ///< `address` is a guest physical address
    kBarWrite,  ///< the same
    kReset,
    kMemory,  ///< `ram` is all of guest RAM from now on. No answer
    kClosed,  ///< the other side has gone. No answer
  };
  Kind kind = Kind::kClosed;
  std::uint64_t address = 0;
  std::uint64_t value = 0;  ///< of writes
  unsigned bytes = 0;       ///< 1..8
  std::vector<RamSection> ram{};
};

/// The connection of one function.
class Transport {
 public:
  virtual ~Transport() = default;
  /// To poll for requests.
  [[nodiscard]] virtual int descriptor() const = 0;
  /// The next request, if poll said that there is one; nullopt for what is of no concern. Throws ProtocolError.
  [[nodiscard]] virtual std::optional<Request> receive() = 0;
  /// Every request but kMemory and kClosed is answered once, before the next receive(); `value` counts for reads.
  virtual void answer(std::uint64_t value) = 0;
};

}  // namespace vtd::qemu
