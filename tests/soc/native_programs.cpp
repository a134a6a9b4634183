// SPDX-License-Identifier: MIT
// The programs of programs.S for the native CPU.
#include "tlm/spec/firmware_abi.h"
#include "tlm/spec/platform.h"

namespace {

constexpr std::uint64_t kSelect = vtd::platform::kHeapBase;
constexpr std::uint64_t kDevice = vtd::platform::kMailboxBase;
std::uint64_t boots = 0;

const VtdFirmwareHost* machine = nullptr;
std::uint64_t load(std::uint64_t address) {
  return machine->mem_read(machine->context, address, 8);
}
void write_register(std::uint64_t offset, std::uint64_t value, unsigned bytes) {
  machine->mmio_write(machine->context, kDevice + offset, value, bytes);
}
std::uint64_t read_register(std::uint64_t offset, unsigned bytes) {
  return machine->mmio_read(machine->context, kDevice + offset, bytes);
}

[[gnu::noinline]] void widths() {
  write_register(0x10, 0x11223344, 4);
  write_register(0x18, 0x1122334455667788, 8);
  const std::uint64_t narrow = read_register(0x20, 4);
  const std::uint64_t wide = read_register(0x28, 8);
  write_register(0x30, narrow, 4);
  write_register(0x38, wide, 8);
}

[[gnu::noinline]] void poll() {
  std::uint64_t value = 0;
  while (value == 0) value = load(kSelect + 8);
  write_register(0x10, value, 8);
}

[[gnu::noinline]] std::uint64_t inner() {
  return load(0x9000'0000) + 1;
}
[[gnu::noinline]] std::uint64_t outer() {
  return inner() + 1;
}

}  // namespace

extern "C" [[gnu::visibility("default")]] void vtd_firmware_entry(const VtdFirmwareHost* host) {
  machine = host;
  ++boots;
  switch (load(kSelect)) {
    case 1:
      widths();
      break;
    case 2:
      poll();
      break;
    case 3:
      write_register(0x10, outer(), 8);
      break;
    case 4:
      write_register(0x5000, 1, 4);
      break;
    case 5:
      write_register(0x10, boots, 8);
      break;
    default:
      return;
  }
  for (;;) load(kSelect);
}
