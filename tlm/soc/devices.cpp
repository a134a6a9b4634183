// SPDX-License-Identifier: MIT
#include "tlm/soc/devices.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <stdexcept>

#include "tlm/spec/platform.h"

namespace vtd::soc {

void Uart::write(std::uint64_t offset, std::uint64_t value, unsigned) {
  if (offset != platform::uart::kData) return;
  const char c = static_cast<char>(value);
  if (c != '\n') {
    const bool printable = c >= ' ' && c <= '~';  // a broken image may let the firmware print anything
    partial_ += printable ? c : '?';
    return;
  }
  lines_.push_back({sc_core::sc_time_stamp(), partial_});
  partial_.clear();
  if (sink_) sink_(lines_.back().text);
}

std::uint64_t Timer::read(std::uint64_t offset, unsigned) {
  if (offset != platform::timer::kNow) return 0;
  static const sc_core::sc_time kNanosecond(1, sc_core::SC_NS);
  return sc_core::sc_time_stamp().value() / kNanosecond.value();
}

void Timer::write(std::uint64_t offset, std::uint64_t value, unsigned) {
  if (offset == platform::timer::kSleep) wait(sc_core::sc_time(static_cast<double>(value), sc_core::SC_NS), awake_);
}

void InterruptSink::write(std::uint64_t offset, std::uint64_t value, unsigned) {
  messages_.push_back({sc_core::sc_time_stamp(), offset, static_cast<std::uint32_t>(value)});
  for (const auto& listener : listeners_) listener();
}

void ImageStore::load(unsigned image, const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error("cannot read firmware image " + path);
  auto& bytes = images_.at(image);
  bytes.assign(std::istreambuf_iterator<char>(file), {});
  platform::ImageHeader header{};
  if (bytes.size() < sizeof header) throw std::runtime_error(path + " is too short for a firmware image");
  std::memcpy(&header, bytes.data(), sizeof header);
  if (header.magic != platform::ImageHeader::kMagic || bytes.size() != sizeof header + header.size)
    throw std::runtime_error(path + " is not a firmware image");
}

std::uint64_t ImageStore::read(std::uint64_t offset, unsigned bytes) {
  const auto& image = images_.at(offset / platform::kImageStoreStride % images_.size());
  const std::uint64_t at = offset % platform::kImageStoreStride;
  std::uint64_t value = 0;
  if (at < image.size()) std::memcpy(&value, image.data() + at, std::min<std::size_t>(bytes, image.size() - at));
  return value;
}

std::uint64_t CacheMaintenance::read(std::uint64_t offset, unsigned) {
  return offset == platform::cache::kAddress ? address_ : 0;
}

void CacheMaintenance::write(std::uint64_t offset, std::uint64_t value, unsigned) {
  if (offset == platform::cache::kAddress) address_ = value;
  if (offset == platform::cache::kWriteBack) dram_.write_back(address_, value);
}

}  // namespace vtd::soc
