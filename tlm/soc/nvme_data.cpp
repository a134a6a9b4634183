// SPDX-License-Identifier: MIT
// Where the data of a command lie: physical region pages (NVMe 4.3).
#include <algorithm>
#include <array>
#include <cstring>

#include "tlm/soc/nvme_controller.h"
#include "tlm/spec/types.h"

namespace vtd::soc {
namespace {

namespace n = nvme;

constexpr std::size_t kEntry = sizeof(std::uint64_t);

}  // namespace

n::Status NvmeController::pieces_of(const n::Command& command, std::size_t bytes, std::vector<Piece>& pieces) {
  const Iova first = command.get(n::sqe::kPRP1);
  const Iova second = command.get(n::sqe::kPRP2);
  if (!is_aligned(first, 4)) return n::status::kPrpOffset;
  const std::size_t head = std::min<std::size_t>(bytes, kPageSize - first % kPageSize);
  pieces.push_back({first, head});
  std::size_t left = bytes - head;
  if (left == 0) return n::status::kSuccess;
  if (left <= kPageSize) {
    if (!is_aligned(second, kPageSize)) return n::status::kPrpOffset;
    pieces.push_back({second, left});
    return n::status::kSuccess;
  }
  // A list; its last entry in a page leads to the next list if more is to come.
  Iova list = second;
  if (!is_aligned(list, kEntry)) return n::status::kPrpOffset;
  while (left > 0) {
    const std::size_t wanted = (left + kPageSize - 1) / kPageSize;
    const std::size_t room = (kPageSize - list % kPageSize) / kEntry;
    const std::size_t count = std::min(wanted, room);
    std::vector<std::uint8_t> entries(count * kEntry);
    if (!read(list, entries)) return n::status::kDataTransferError;
    for (std::size_t i = 0; i < count; ++i) {
      Iova at = 0;
      std::memcpy(&at, entries.data() + i * kEntry, kEntry);
      if (!is_aligned(at, kPageSize)) return n::status::kPrpOffset;
      if (i + 1 == count && wanted > count) {
        list = at;
        break;
      }
      const std::size_t piece = std::min<std::size_t>(left, kPageSize);
      pieces.push_back({at, piece});
      left -= piece;
    }
  }
  return n::status::kSuccess;
}

n::Status NvmeController::transfer(const n::Command& command, std::span<std::uint8_t> data, Direction direction) {
  const std::uint64_t life = life_;
  std::vector<Piece> pieces;
  const n::Status status = pieces_of(command, data.size(), pieces);
  if (!status.ok()) return status;
  for (const Piece& piece : pieces) {
    const auto part = data.first(piece.bytes);
    const bool moved = direction == Direction::kToHost ? write(piece.address, part) : read(piece.address, part);
    if (!moved || life != life_) return n::status::kDataTransferError;
    data = data.subspan(piece.bytes);
  }
  return n::status::kSuccess;
}

}  // namespace vtd::soc
