// SPDX-License-Identifier: MIT
// Native images and unit tests: every access is a call into the host.
#include "firmware/hal/hal.h"

namespace vtd::fw::hal {
namespace {
const VtdFirmwareHost* g_host = nullptr;

template <typename T>
T memory_read(PhysAddr address) {
  return static_cast<T>(g_host->mem_read(g_host->context, address, sizeof(T)));
}
template <typename T>
void memory_write(PhysAddr address, T value) {
  g_host->mem_write(g_host->context, address, value, sizeof(T));
}
}  // namespace

void bind(const VtdFirmwareHost* host) {
  g_host = host;
}

std::uint32_t mmio_read32(PhysAddr address) {
  return static_cast<std::uint32_t>(g_host->mmio_read(g_host->context, address, 4));
}
std::uint64_t mmio_read64(PhysAddr address) {
  return g_host->mmio_read(g_host->context, address, 8);
}
void mmio_write32(PhysAddr address, std::uint32_t value) {
  g_host->mmio_write(g_host->context, address, value, 4);
}
void mmio_write64(PhysAddr address, std::uint64_t value) {
  g_host->mmio_write(g_host->context, address, value, 8);
}

std::uint8_t read8(PhysAddr address) {
  return memory_read<std::uint8_t>(address);
}
std::uint16_t read16(PhysAddr address) {
  return memory_read<std::uint16_t>(address);
}
std::uint32_t read32(PhysAddr address) {
  return memory_read<std::uint32_t>(address);
}
std::uint64_t read64(PhysAddr address) {
  return memory_read<std::uint64_t>(address);
}
void write8(PhysAddr address, std::uint8_t value) {
  memory_write(address, value);
}
void write16(PhysAddr address, std::uint16_t value) {
  memory_write(address, value);
}
void write32(PhysAddr address, std::uint32_t value) {
  memory_write(address, value);
}
void write64(PhysAddr address, std::uint64_t value) {
  memory_write(address, value);
}

void write128(PhysAddr address, std::uint64_t low, std::uint64_t high) {
  g_host->mem_write128(g_host->context, address, low, high);
}

void fill(PhysAddr to, std::uint8_t value, std::uint64_t bytes) {
  g_host->mem_set(g_host->context, to, value, bytes);
}
void copy(PhysAddr to, PhysAddr from, std::uint64_t bytes) {
  g_host->mem_copy(g_host->context, to, from, bytes);
}

}  // namespace vtd::fw::hal
