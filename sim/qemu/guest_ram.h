// SPDX-License-Identifier: MIT
// Guest RAM as the unit sees it, behind one interface, so that a recorder or an injected fault can stand in the way and
// a replay can stand for it.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "sim/qemu/transport.h"
#include "tlm/unit/memory_tag.h"

namespace vtd::qemu {

/// Every call is one access of the unit, as its MemoryTag says. False, nullopt: there is no RAM.
class GuestRam {
 public:
  virtual ~GuestRam() = default;
  [[nodiscard]] virtual bool read(const MemoryTag& tag, PhysAddr address, std::span<std::uint8_t> data) = 0;
  [[nodiscard]] virtual bool write(const MemoryTag& tag, PhysAddr address, std::span<const std::uint8_t> data) = 0;
  /// Compare-exchange of 8 bytes; what was there.
  [[nodiscard]] virtual std::optional<std::uint64_t> exchange(const MemoryTag& tag, PhysAddr address,
                                                              std::uint64_t expected, std::uint64_t desired) = 0;
  /// An interrupt message: to FEEx_xxxxh.
  virtual void message(const MemoryTag& tag, PhysAddr address, std::uint32_t data) = 0;

  /// The RAM around `address`, if it may be accessed in place.
  struct Direct {
    PhysAddr first = 0;
    PhysAddr last = 0;
    std::uint8_t* data = nullptr;
  };
  [[nodiscard]] virtual std::optional<Direct> direct(PhysAddr address) {
    static_cast<void>(address);
    return std::nullopt;
  }
};

/// A virtual machine's RAM, shared with it. Words are read and written whole, as the machine's CPU does.
class SharedRam final : public GuestRam {
 public:
  /// `send` delivers interrupt messages.
  explicit SharedRam(std::function<void(PhysAddr, std::uint32_t)> send) : send_(std::move(send)) {}
  ~SharedRam() override;
  SharedRam(const SharedRam&) = delete;
  SharedRam& operator=(const SharedRam&) = delete;

  /// All of RAM from now on; false if that changes nothing. Throws std::runtime_error for a file that cannot be mapped.
  bool set(const std::vector<RamSection>& sections);

  [[nodiscard]] bool read(const MemoryTag& tag, PhysAddr address, std::span<std::uint8_t> data) override;
  [[nodiscard]] bool write(const MemoryTag& tag, PhysAddr address, std::span<const std::uint8_t> data) override;
  [[nodiscard]] std::optional<std::uint64_t> exchange(const MemoryTag& tag, PhysAddr address, std::uint64_t expected,
                                                      std::uint64_t desired) override;
  void message(const MemoryTag& tag, PhysAddr address, std::uint32_t data) override;
  [[nodiscard]] std::optional<Direct> direct(PhysAddr address) override;

 private:
  /// A file of RAM, mapped whole once.
  struct File {
    std::uint64_t device = 0;
    std::uint64_t inode = 0;
    std::uint64_t size = 0;
    std::uint8_t* data = nullptr;
  };
  struct Section {
    PhysAddr address = 0;
    std::uint64_t size = 0;
    std::uint8_t* data = nullptr;
    friend bool operator==(const Section&, const Section&) = default;
  };
  const File& file_of(const Descriptor& descriptor);
  [[nodiscard]] std::uint8_t* find(PhysAddr address, std::uint64_t bytes) const;

  std::function<void(PhysAddr, std::uint32_t)> send_;
  std::vector<File> files_;
  std::vector<Section> sections_;
};

}  // namespace vtd::qemu
