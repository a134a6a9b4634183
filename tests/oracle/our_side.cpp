// SPDX-License-Identifier: MIT
#include <array>
#include <cstring>

#include "tests/oracle/side.h"
#include "tlm/core/paging_walk.h"

namespace vtd::oracle {

OurSide::OurSide(const Profile& profile)
    : memory_(kRamSize), unit_(profile, CacheConfig{}, static_cast<Host&>(*this), nobody_, 1) {}

void OurSide::reset() {
  unit_.reset(ResetKind::kCold);
  std::memset(memory_.data() + kArena, 0, kArenaSize);
}

std::vector<std::uint64_t> OurSide::run(const std::vector<Command>& commands) {
  std::vector<std::uint64_t> answers;
  for (const Command& c : commands) {
    switch (c.kind) {
      case Command::Kind::kMemory:
        std::memcpy(memory_.data() + c.address, &c.value, sizeof c.value);
        break;
      case Command::Kind::kWrite:
        unit_.write(c.address, c.value, c.bytes);
        pump();
        break;
      case Command::Kind::kRead:
        answers.push_back(unit_.read(c.address, c.bytes));
        break;
      case Command::Kind::kDma:
        dma(c.device, c.address);
        break;
      case Command::Kind::kMark:
        break;
    }
  }
  return answers;
}

void OurSide::pump() {
  while (command_woken_ || queue_woken_) {
    if (std::exchange(command_woken_, false)) unit_.run(Engine::kCommand);
    if (std::exchange(queue_woken_, false)) unit_.run(Engine::kQueue);
  }
}

void OurSide::dma(Device device, Iova address) {
  const SourceId source = source_of(device);
  if (device == Device::kWide) {
    std::array<std::uint8_t, 16> descriptor{};
    move(source, address, descriptor, Access::kRead);
    constexpr std::uint8_t kReportStatus = 0x08;
    constexpr std::uint8_t kDone = 0x01;
    if ((descriptor[11] & kReportStatus) == 0) return;
    std::array<std::uint8_t, 4> status{descriptor[12], descriptor[13], descriptor[14], descriptor[15]};
    status[0] |= kDone;
    move(source, address + 12, status, Access::kWrite);
    return;
  }
  if (device == Device::kWriter) {
    std::array<std::uint8_t, 64> zeros{};
    move(source, address, zeros, Access::kWrite);
    return;
  }
  std::array<std::uint8_t, 8> data{};
  move(source, address, data, Access::kRead);
  data = {0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0};
  move(source, address, data, Access::kWrite);
}

bool OurSide::move(SourceId source, Iova address, std::span<std::uint8_t> data, Access access) {
  DmaRequest request{.source = source, .address = address};
  request.length = static_cast<std::uint32_t>(data.size());
  request.access = access;
  Ticket ticket = unit_.accept(request);
  const auto translation = unit_.translate(ticket);
  if (!translation) return false;
  if (!inside(translation->address, data.size())) return true;
  std::uint8_t* here = memory_.data() + translation->address;
  if (access == Access::kWrite)
    std::memcpy(here, data.data(), data.size());
  else
    std::memcpy(data.data(), here, data.size());
  return true;
}

bool OurSide::read(PhysAddr address, std::span<std::uint64_t> out) {
  if (!inside(address, out.size_bytes())) return false;
  std::memcpy(out.data(), memory_.data() + address, out.size_bytes());
  return true;
}

bool OurSide::write32(PhysAddr address, std::uint32_t data) {
  if (!inside(address, sizeof data)) return false;
  std::memcpy(memory_.data() + address, &data, sizeof data);
  return true;
}

std::optional<std::uint64_t> OurSide::compare_exchange(PhysAddr address, std::uint64_t expected,
                                                       std::uint64_t desired) {
  if (!inside(address, sizeof expected)) return std::nullopt;
  std::uint64_t seen = 0;
  std::memcpy(&seen, memory_.data() + address, sizeof seen);
  if (seen == expected) std::memcpy(memory_.data() + address, &desired, sizeof desired);
  return seen;
}

WalkResponse OurSide::walk(WalkRequest request) {
  PagingWalk walk(walker_config(unit_.profile()), request);
  while (!walk.ended()) {
    if (const auto update = walk.next_update()) {
      const auto seen = compare_exchange(update->address, update->expected, update->desired);
      walk.updated(seen == update->expected, !seen.has_value());
      continue;
    }
    std::uint64_t entry = 0;
    const bool ok = read(*walk.next_read(), std::span(&entry, 1));
    walk.consume(entry, !ok);
  }
  return walk.result();
}

void OurSide::invalidate_device(const DeviceTlbInvalidation& invalidation) {
  unit_.device_answered(invalidation.tag, DeviceAnswer::kDone);
}

}  // namespace vtd::oracle
