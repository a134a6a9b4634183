// SPDX-License-Identifier: MIT
// The machine: q35 with a CPU that halts at once, an intel-iommu, three i82559er and an e1000 (oracle.md sections 1,
// 4).
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include "tests/oracle/side.h"

namespace vtd::oracle {
namespace {

constexpr std::uint64_t kUnit = 0xFED9'0000;
constexpr std::uint64_t kBars[] = {0xE000'0000, 0xE020'0000, 0xE100'0000, 0xE040'0000, 0xE060'0000};  ///< by Device
constexpr unsigned kSelfTest = 8;  ///< i82559er: PORT register
// e1000: transmit control, descriptor base, length, head, tail.
constexpr unsigned kTctl = 0x400;
constexpr unsigned kTdbal = 0x3800;
constexpr unsigned kTdbah = 0x3804;
constexpr unsigned kTdlen = 0x3808;
constexpr unsigned kTdh = 0x3810;
constexpr unsigned kTdt = 0x3818;
// rtl8139 in C+ mode: where the tally counters go, low half with the command bit 3, high half.
constexpr unsigned kCpCmd = 0xE0;
constexpr unsigned kTallyLow = 0x10;
constexpr unsigned kTallyHigh = 0x14;

/// 64 KiB of ROM whose reset vector disables interrupts and halts for ever.
void write_halting_rom(const std::string& path) {
  std::string rom(64U << 10U, '\xF4');            // hlt
  const std::string vector = "\xFA\xF4\xEB\xFD";  // cli; hlt; jmp to hlt
  rom.replace(rom.size() - 16, vector.size(), vector);
  std::ofstream(path, std::ios::binary) << rom;
}

std::string new_directory() {
  const bool shared = std::filesystem::is_directory("/dev/shm") && access("/dev/shm", W_OK) == 0;
  std::string name = std::string(shared ? "/dev/shm" : "/tmp") + "/vtd_oracle_XXXXXX";
  if (mkdtemp(name.data()) == nullptr) throw std::runtime_error(name + ": cannot be made");
  return name;
}

}  // namespace

QemuSide::QemuSide(std::vector<std::string> program, std::string options)
    : program_(std::move(program)), options_(std::move(options)), directory_(new_directory()) {
  start();
}

QemuSide::~QemuSide() {
  qtest_.reset();
  process_.reset();
  if (memory_ != nullptr) munmap(memory_, kRamSize);
  std::filesystem::remove_all(directory_);
}

void QemuSide::start() {
  write_halting_rom(directory_ + "/halt.bin");
  std::vector<std::string> command = program_;
  const std::string memory = directory_ + "/memory";
  for (const std::string& word :
       {std::string("-M"),          std::string("q35,memory-backend=m"),
        std::string("-m"),          std::string("512M"),
        std::string("-object"),     fmt::format("memory-backend-file,id=m,size=512M,mem-path={},share=on", memory),
        std::string("-nodefaults"), std::string("-display"),
        std::string("none"),        std::string("-vga"),
        std::string("none"),        std::string("-bios"),
        directory_ + "/halt.bin",   std::string("-accel"),
        std::string("tcg"),         std::string("-S"),
        std::string("-device"),     fmt::format("intel-iommu{}{}", options_.empty() ? "" : ",", options_),
        std::string("-device"),     std::string("i82559er,addr=04.0,romfile="),
        std::string("-device"),     std::string("i82559er,addr=08.0,romfile="),
        std::string("-device"),     std::string("e1000,addr=05.0,romfile="),
        std::string("-device"),     std::string("rtl8139,addr=09.0,romfile="),
        std::string("-device"),     std::string("pcie-root-port,id=rp,addr=07.0,chassis=1"),
        std::string("-device"),     std::string("i82559er,bus=rp,addr=0,romfile=")})
    command.push_back(word);
  qtest_ = std::make_unique<qemu::Qtest>(directory_);
  for (const std::string& word : qtest_->arguments()) command.push_back(word);
  process_ = std::make_unique<qemu::QemuProcess>(command, qemu::QemuProcess::Options{.log = directory_ + "/qemu.log"});
  qtest_->accept(*process_);
  qtest_->ask("endianness");
  const int file = open(memory.c_str(), O_RDWR);
  void* mapped = mmap(nullptr, kRamSize, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  close(file);
  if (mapped == MAP_FAILED) throw std::runtime_error(memory + ": cannot be mapped");
  memory_ = static_cast<std::uint8_t*>(mapped);
  std::filesystem::remove(memory);  // QEMU and we have it; nothing is left behind if we are killed
  set_up_devices();
}

void QemuSide::config_write(unsigned bus, unsigned device, unsigned function, unsigned offset, std::uint64_t value,
                            char width) {
  const unsigned address = 0x8000'0000U | (bus << 16) | (device << 11) | (function << 8) | (offset & 0xFC);
  qtest_->queue(fmt::format("outl 0xcf8 {:#x}", address));
  qtest_->queue(fmt::format("out{} {:#x} {:#x}", width, 0xCFC + (offset & 3), value));
}

void QemuSide::set_up_devices() {
  config_write(0, 7, 0, 0x18, 0x010100, 'l');     // buses behind the root port
  config_write(0, 7, 0, 0x20, 0xE100'E100, 'l');  // its memory window
  config_write(0, 7, 0, 0x04, 6, 'w');
  const auto device = [&](Device d, unsigned bus, unsigned number) {
    config_write(bus, number, 0, 0x10, kBars[static_cast<std::size_t>(d)], 'l');
    config_write(bus, number, 0, 0x04, 6, 'w');
  };
  device(Device::kFastA, 0, 4);
  device(Device::kFastB, 0, 8);
  device(Device::kFastBus1, 1, 0);
  device(Device::kWide, 0, 5);
  // The rtl8139 has its memory registers behind BAR 1; C+ mode makes it write its counters on command.
  const std::uint64_t writer = kBars[static_cast<std::size_t>(Device::kWriter)];
  config_write(0, 9, 0, 0x14, writer, 'l');
  config_write(0, 9, 0, 0x04, 6, 'w');
  qtest_->queue(fmt::format("writew {:#x} 1", writer + kCpCmd));
  const std::uint64_t wide = kBars[static_cast<std::size_t>(Device::kWide)];
  qtest_->queue(fmt::format("writel {:#x} 0x1000", wide + kTdlen));
  qtest_->queue(fmt::format("writel {:#x} 0", wide + kTdt));
  qtest_->queue(fmt::format("writel {:#x} 2", wide + kTctl));
  qtest_->flush();
}

void QemuSide::reset() {
  // system_reset needs QMP; a new machine is as good, and rare.
  qtest_.reset();
  process_.reset();
  munmap(memory_, kRamSize);
  memory_ = nullptr;
  start();
}

std::span<std::uint8_t> QemuSide::arena() {
  return {memory_ + kArena, kArenaSize};
}

std::vector<std::uint64_t> QemuSide::run(const std::vector<Command>& commands) {
  std::vector<std::size_t> reads;  // positions of their answers
  std::size_t asked = 0;
  const auto ask = [&](const std::string& line) {
    qtest_->queue(line);
    ++asked;
  };
  for (const Command& c : commands) {
    const char width = c.bytes == 8 ? 'q' : 'l';
    switch (c.kind) {
      case Command::Kind::kMemory:
        ask(fmt::format("writeq {:#x} {:#x}", c.address, c.value));
        break;
      case Command::Kind::kWrite:
        ask(fmt::format("write{} {:#x} {:#x}", width, kUnit + c.address, c.value));
        break;
      case Command::Kind::kRead:
        reads.push_back(asked);
        ask(fmt::format("read{} {:#x}", width, kUnit + c.address));
        break;
      case Command::Kind::kDma: {
        const std::uint64_t bar = kBars[static_cast<std::size_t>(c.device)];
        if (c.device == Device::kWriter) {
          ask(fmt::format("writel {:#x} {:#x}", bar + kTallyHigh, c.address >> 32));
          ask(fmt::format("writel {:#x} {:#x}", bar + kTallyLow, (c.address & 0xFFFF'FFC0) | 8));
          break;
        }
        if (c.device != Device::kWide) {
          ask(fmt::format("writel {:#x} {:#x}", bar + kSelfTest, c.address | 1));
          break;
        }
        ask(fmt::format("writel {:#x} {:#x}", bar + kTdbal, c.address & 0xFFFF'FFFF));
        ask(fmt::format("writel {:#x} {:#x}", bar + kTdbah, c.address >> 32));
        ask(fmt::format("writel {:#x} 0", bar + kTdh));
        ask(fmt::format("writel {:#x} 1", bar + kTdt));
        break;
      }
      case Command::Kind::kMark:
        break;
    }
  }
  const auto all = qtest_->flush();
  std::vector<std::uint64_t> answers;
  for (const std::size_t position : reads) answers.push_back(all.at(position));
  return answers;
}

}  // namespace vtd::oracle
