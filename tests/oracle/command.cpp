// SPDX-License-Identifier: MIT
#include "tests/oracle/command.h"

#include <fmt/format.h>

#include <sstream>
#include <stdexcept>

namespace vtd::oracle {

std::string to_text(const Case& c) {
  std::string text;
  for (const Command& command : c.commands) {
    switch (command.kind) {
      case Command::Kind::kMemory:
        text += fmt::format("memory {:#x} {:#x}\n", command.address, command.value);
        break;
      case Command::Kind::kWrite:
        text += fmt::format("write{} {:#x} {:#x}\n", command.bytes, command.address, command.value);
        break;
      case Command::Kind::kRead:
        text += fmt::format("read{} {:#x} 0\n", command.bytes, command.address);
        break;
      case Command::Kind::kDma:
        text += fmt::format("dma{} {:#x} 0\n", static_cast<unsigned>(command.device), command.address);
        break;
      case Command::Kind::kMark:
        break;
    }
  }
  return text;
}

Case from_text(const std::string& text) {
  Case result;
  std::istringstream lines(text);
  std::string line;
  for (unsigned number = 1; std::getline(lines, line); ++number) {
    if (line.empty() || line[0] == '#') continue;
    std::istringstream words(line);
    std::string name;
    Command command;
    words >> name >> std::hex >> command.address >> command.value;
    const char digit = name.empty() ? ' ' : name.back();
    if (!words || name.empty()) throw std::runtime_error(fmt::format("line {}: '{}'", number, line));
    if (name == "memory") {
      command.kind = Command::Kind::kMemory;
    } else if (name == "write4" || name == "write8") {
      command.kind = Command::Kind::kWrite;
      command.bytes = static_cast<unsigned>(digit - '0');
    } else if (name == "read4" || name == "read8") {
      command.kind = Command::Kind::kRead;
      command.bytes = static_cast<unsigned>(digit - '0');
    } else if (name.rfind("dma", 0) == 0 && digit >= '0' && digit - '0' < static_cast<int>(Device::kCount)) {
      command.kind = Command::Kind::kDma;
      command.device = static_cast<Device>(digit - '0');
    } else {
      throw std::runtime_error(fmt::format("line {}: unknown command '{}'", number, name));
    }
    result.commands.push_back(command);
  }
  return result;
}

}  // namespace vtd::oracle
