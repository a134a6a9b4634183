// SPDX-License-Identifier: MIT
// On the instruction-set simulator: physical addresses are pointers, paging is off.
#include "firmware/hal/hal.h"

namespace vtd::fw::hal {
namespace {
template <typename T>
volatile T& at(PhysAddr address) {
  return *reinterpret_cast<volatile T*>(address);
}
}  // namespace

void bind(const VtdFirmwareHost*) {}

std::uint32_t mmio_read32(PhysAddr address) {
  return at<std::uint32_t>(address);
}
std::uint64_t mmio_read64(PhysAddr address) {
  return at<std::uint64_t>(address);
}
void mmio_write32(PhysAddr address, std::uint32_t value) {
  at<std::uint32_t>(address) = value;
}
void mmio_write64(PhysAddr address, std::uint64_t value) {
  at<std::uint64_t>(address) = value;
}

std::uint8_t read8(PhysAddr address) {
  return at<std::uint8_t>(address);
}
std::uint16_t read16(PhysAddr address) {
  return at<std::uint16_t>(address);
}
std::uint32_t read32(PhysAddr address) {
  return at<std::uint32_t>(address);
}
std::uint64_t read64(PhysAddr address) {
  return at<std::uint64_t>(address);
}
void write8(PhysAddr address, std::uint8_t value) {
  at<std::uint8_t>(address) = value;
}
void write16(PhysAddr address, std::uint16_t value) {
  at<std::uint16_t>(address) = value;
}
void write32(PhysAddr address, std::uint32_t value) {
  at<std::uint32_t>(address) = value;
}
void write64(PhysAddr address, std::uint64_t value) {
  at<std::uint64_t>(address) = value;
}

void write128(PhysAddr address, std::uint64_t low, std::uint64_t high) {
  using Vector [[gnu::vector_size(16)]] = std::uint64_t;
  const Vector both{low, high};
  asm volatile("movdqa %1, %0" : "=m"(*reinterpret_cast<Vector*>(address)) : "x"(both) : "memory");
}

void fill(PhysAddr to, std::uint8_t value, std::uint64_t bytes) {
  asm volatile("rep stosb" : "+D"(to), "+c"(bytes) : "a"(value) : "memory");
}

void copy(PhysAddr to, PhysAddr from, std::uint64_t bytes) {
  asm volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(bytes) : : "memory");
}

}  // namespace vtd::fw::hal
