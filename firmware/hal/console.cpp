// SPDX-License-Identifier: MIT
#include "firmware/hal/console.h"

#include "firmware/hal/hal.h"

namespace vtd::fw {
namespace {
constexpr std::string_view kStatusNames[] = VTD_STATUS_NAMES;

void add_hex_digits(Text& t, unsigned value, unsigned digits) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  while (digits-- > 0)
    t.add(kDigits[Field{"", static_cast<std::uint16_t>(digits * 4 + 3), static_cast<std::uint16_t>(digits * 4)}.get(
        value)]);
}
}  // namespace

Text& Text::add(char c) {
  if (length_ < kCapacity) buffer_[length_++] = c;
  return *this;
}

Text& Text::add(std::string_view text) {
  for (const char c : text) add(c);
  return *this;
}

Text& Text::add_decimal(std::uint64_t value) {
  char digits[20];
  unsigned n = 0;
  do {
    digits[n++] = static_cast<char>('0' + value % 10);
    value /= 10;
  } while (value != 0);
  while (n > 0) add(digits[--n]);
  return *this;
}

Text& Text::add_hex(std::uint64_t value) {
  char digits[16];
  unsigned n = 0;
  do {
    digits[n++] = "0123456789abcdef"[value % 16];
    value /= 16;
  } while (value != 0);
  add("0x");
  while (n > 0) add(digits[--n]);
  return *this;
}

void put(Text& t, Bdf v) {
  constexpr Field kDevice{"device", 7, 3};
  constexpr Field kFunction{"function", 2, 0};
  add_hex_digits(t, v.sid.bus(), 2);
  t.add(':');
  add_hex_digits(t, static_cast<unsigned>(kDevice.get(v.sid.devfn())), 2);
  t.add('.').add_decimal(kFunction.get(v.sid.devfn()));
}

void put(Text& t, platform::Status v) {
  t.add(kStatusNames[static_cast<unsigned>(v)]);
}

namespace hal {

void print_line(std::string_view line) {
  constexpr PhysAddr kData = platform::kUartBase + platform::uart::kData;
  for (const char c : line) mmio_write32(kData, static_cast<unsigned char>(c));
  mmio_write32(kData, '\n');
}

void fatal(std::string_view reason) {
  namespace mailbox = platform::mailbox;
  print("FATAL ", reason);
  mmio_write64(platform::kMailboxBase + mailbox::kBootStatus, static_cast<std::uint64_t>(Status::kFatal));
  mmio_write64(platform::kMailboxBase + mailbox::kState, static_cast<std::uint64_t>(platform::LifecycleState::kFatal));
  for (;;) sleep(kSecond);
}

}  // namespace hal
}  // namespace vtd::fw
