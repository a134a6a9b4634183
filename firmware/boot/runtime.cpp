// SPDX-License-Identifier: MIT
// What a freestanding C++ image needs besides itself: memory functions, global constructors, the call into the app.
#include <cstddef>
#include <cstdint>

#include "firmware/app/main.h"

extern "C" {

void* memset(void* to, int value, std::size_t bytes) {
  void* const result = to;
  asm volatile("rep stosb" : "+D"(to), "+c"(bytes) : "a"(value) : "memory");
  return result;
}

void* memcpy(void* to, const void* from, std::size_t bytes) {
  void* const result = to;
  asm volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(bytes) : : "memory");
  return result;
}

void* memmove(void* to, const void* from, std::size_t bytes) {
  auto* d = static_cast<unsigned char*>(to);
  const auto* s = static_cast<const unsigned char*>(from);
  if (reinterpret_cast<std::uintptr_t>(d) - reinterpret_cast<std::uintptr_t>(s) >= bytes)
    return memcpy(to, from, bytes);
  while (bytes-- > 0) static_cast<volatile unsigned char*>(d)[bytes] = s[bytes];
  return to;
}

int memcmp(const void* a, const void* b, std::size_t bytes) {
  const auto* x = static_cast<const volatile unsigned char*>(a);
  const auto* y = static_cast<const volatile unsigned char*>(b);
  for (std::size_t i = 0; i < bytes; ++i)
    if (x[i] != y[i]) return x[i] < y[i] ? -1 : 1;
  return 0;
}

std::size_t strlen(const char* text) {
  const volatile char* end = text;
  while (*end != '\0') ++end;
  return static_cast<std::size_t>(end - text);
}

using Constructor = void (*)();
extern const Constructor __init_array_start[];
extern const Constructor __init_array_end[];

[[noreturn]] void vtd_firmware_main() {
  for (const Constructor* c = __init_array_start; c != __init_array_end; ++c) (*c)();
  vtd::fw::run_image();
}

}  // extern "C"
