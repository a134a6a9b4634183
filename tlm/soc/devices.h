// SPDX-License-Identifier: MIT
// Small platform devices: UART, timer, interrupt sink, image store.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "tlm/soc/dram.h"
#include "tlm/soc/register_device.h"

namespace vtd::soc {

/// Collects characters into lines.
class Uart : public RegisterDevice {
 public:
  using RegisterDevice::RegisterDevice;
  struct Line {
    sc_core::sc_time time;  ///< of the end of the line
    std::string text;
  };
  [[nodiscard]] const std::vector<Line>& lines() const { return lines_; }
  /// Called with every finished line.
  void on_line(std::function<void(const std::string&)> sink) { sink_ = std::move(sink); }

 protected:
  std::uint64_t read(std::uint64_t, unsigned) override { return 0; }
  void write(std::uint64_t offset, std::uint64_t value, unsigned bytes) override;

 private:
  std::string partial_;
  std::vector<Line> lines_;
  std::function<void(const std::string&)> sink_;
};

/// The CPU's clock: now, and sleep. A sleep ends early by wake().
class Timer : public RegisterDevice {
 public:
  using RegisterDevice::RegisterDevice;
  void wake() { awake_.notify(); }

 protected:
  std::uint64_t read(std::uint64_t offset, unsigned bytes) override;
  void write(std::uint64_t offset, std::uint64_t value, unsigned bytes) override;

 private:
  sc_core::sc_event awake_;
};

/// Writes lines of the CPU's cache back to memory (platform::cache).
class CacheMaintenance : public RegisterDevice {
 public:
  CacheMaintenance(sc_core::sc_module_name name, Dram& dram) : RegisterDevice(name), dram_(dram) {}

 protected:
  std::uint64_t read(std::uint64_t offset, unsigned bytes) override;
  void write(std::uint64_t offset, std::uint64_t value, unsigned bytes) override;

 private:
  Dram& dram_;
  std::uint64_t address_ = 0;
};

/// Takes message-signalled interrupts: 32-bit writes to FEEx_xxxx.
class InterruptSink : public RegisterDevice {
 public:
  using RegisterDevice::RegisterDevice;
  struct Message {
    sc_core::sc_time time;
    std::uint64_t address;  ///< relative to FEE0_0000
    std::uint32_t data;
  };
  [[nodiscard]] const std::vector<Message>& messages() const { return messages_; }
  /// Called after every message.
  void on_message(std::function<void()> listener) { listeners_.push_back(std::move(listener)); }

 protected:
  std::uint64_t read(std::uint64_t, unsigned) override { return 0; }
  void write(std::uint64_t offset, std::uint64_t value, unsigned bytes) override;

 private:
  std::vector<Message> messages_;
  std::vector<std::function<void()>> listeners_;
};

/// Read-only copies of the firmware images, each a platform::ImageHeader and its flat binary.
class ImageStore : public RegisterDevice {
 public:
  using RegisterDevice::RegisterDevice;
  /// Loads a *.img file into the slot of image 0 (A) or 1 (B). Throws std::runtime_error naming the file.
  void load(unsigned image, const std::string& path);
  [[nodiscard]] const std::vector<std::uint8_t>& image(unsigned index) const { return images_.at(index); }

 protected:
  std::uint64_t read(std::uint64_t offset, unsigned bytes) override;
  void write(std::uint64_t, std::uint64_t, unsigned) override {}

 private:
  std::vector<std::vector<std::uint8_t>> images_{2};
};

}  // namespace vtd::soc
