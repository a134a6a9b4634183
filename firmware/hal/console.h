// SPDX-License-Identifier: MIT
// Console output and the end of the line: small formatted print over the platform's UART, and fatal stop.
#pragma once

#include <cstdint>
#include <string_view>

#include "tlm/spec/platform.h"
#include "tlm/spec/types.h"

namespace vtd::fw {

/// A line being built; longer text is cut.
class Text {
 public:
  Text& add(std::string_view text);
  Text& add(char c);
  Text& add_decimal(std::uint64_t value);
  Text& add_hex(std::uint64_t value);
  [[nodiscard]] std::string_view view() const { return {buffer_, length_}; }

 private:
  static constexpr std::size_t kCapacity = 240;
  char buffer_[kCapacity];
  std::size_t length_ = 0;
};

/// Printed as 0x..., where plain integers are printed in decimal.
struct Hex {
  std::uint64_t value;
};

/// Printed as bus:device.function.
struct Bdf {
  SourceId sid;
};

inline void put(Text& t, std::string_view v) {
  t.add(v);
}
inline void put(Text& t, const char* v) {
  t.add(std::string_view(v));
}
inline void put(Text& t, char v) {
  t.add(v);
}
inline void put(Text& t, std::uint64_t v) {
  t.add_decimal(v);
}
inline void put(Text& t, std::uint32_t v) {
  t.add_decimal(v);
}
inline void put(Text& t, Hex v) {
  t.add_hex(v.value);
}
void put(Text& t, Bdf v);
void put(Text& t, platform::Status v);

template <typename... Parts>
[[nodiscard]] Text text(const Parts&... parts) {
  Text t;
  (put(t, parts), ...);
  return t;
}

namespace hal {

/// One line to the UART; a newline is added.
void print_line(std::string_view line);

template <typename... Parts>
void print(const Parts&... parts) {
  print_line(text(parts...).view());
}

/// Prints "FATAL <reason>", reports state and boot status, then sleeps for ever. No unit register is touched.
[[noreturn]] void fatal(std::string_view reason);

template <typename... Parts>
[[noreturn]] void die(const Parts&... parts) {
  fatal(text(parts...).view());
}

}  // namespace hal
}  // namespace vtd::fw
