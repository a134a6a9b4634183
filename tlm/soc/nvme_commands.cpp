// SPDX-License-Identifier: MIT
// The admin and the NVM command set (NVMe 5 and 6).
#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <string_view>

#include "tlm/soc/nvme_controller.h"
#include "tlm/spec/types.h"

namespace vtd::soc {
namespace {

namespace n = nvme;

constexpr unsigned kAsyncLimit = 4;
constexpr std::uint32_t kNamespace = 1;
constexpr std::uint32_t kEveryNamespace = 0xFFFF'FFFF;
constexpr std::uint64_t kEui64 = 0x7D5F'0000'5644'5400;
constexpr std::uint16_t kKelvin = 310;

/// A structure that a command returns, filled by byte offset.
class Page {
 public:
  explicit Page(std::size_t bytes = kPageSize) : data_(bytes) {}
  template <typename T>
  void put(std::size_t offset, T value) {
    std::memcpy(data_.data() + offset, &value, sizeof value);
  }
  /// ASCII, padded with spaces.
  void text(std::size_t offset, std::size_t bytes, std::string_view value) {
    std::fill_n(data_.begin() + static_cast<std::ptrdiff_t>(offset), bytes, std::uint8_t{' '});
    std::copy(value.begin(), value.end(), data_.begin() + static_cast<std::ptrdiff_t>(offset));
  }
  [[nodiscard]] std::vector<std::uint8_t>& data() { return data_; }

 private:
  std::vector<std::uint8_t> data_;
};

Page controller_page() {
  namespace c = n::controller;
  Page page;
  page.put(c::kVid, n::kVendorId);
  page.put(c::kSsvid, n::kVendorId);
  page.text(c::kSerial, c::kSerialBytes, "VTDSIM0001");
  page.text(c::kModel, c::kModelBytes, "vtdsim NVMe controller");
  page.text(c::kFirmware, c::kFirmwareBytes, "1.0");
  page.put(c::kMdts, static_cast<std::uint8_t>(std::bit_width(NvmeController::kMdtsPages) - 1));
  page.put(c::kVersion, n::kVersion14);
  page.put(c::kType, std::uint8_t{1});
  page.put(c::kAsyncLimit, static_cast<std::uint8_t>(kAsyncLimit - 1));
  page.put(c::kFirmwareUpdates, std::uint8_t{3});  // one slot, read-only
  page.put(c::kWarningTemperature, static_cast<std::uint16_t>(kKelvin + 40));
  page.put(c::kCriticalTemperature, static_cast<std::uint16_t>(kKelvin + 60));
  page.put(c::kSqes, std::uint8_t{0x66});
  page.put(c::kCqes, std::uint8_t{0x44});
  page.put(c::kNamespaces, kNamespace);
  page.put(c::kOncs, static_cast<std::uint16_t>(n::controller::kOncsDatasetManagement | c::kOncsWriteZeroes));
  page.put(c::kWriteCache, std::uint8_t{0});
  constexpr std::string_view kNqn = "nqn.2014-08.org.nvmexpress:uuid:7d5f0000-5644-5400-8000-000000000001";
  std::copy(kNqn.begin(), kNqn.end(), page.data().begin() + c::kSubNqn);
  page.put(c::kPower0, std::uint16_t{100});
  return page;
}

Page namespace_page(std::uint64_t blocks) {
  namespace s = n::name_space;
  Page page;
  page.put(s::kSize, blocks);
  page.put(s::kCapacity, blocks);
  page.put(s::kUtilization, blocks);
  page.put(s::kDlfeat, std::uint8_t{1});
  page.put(s::kEui64, kEui64);
  page.put(s::kLbaFormat0, static_cast<std::uint32_t>(s::kLbaDataSize.of(std::bit_width(NvmeController::kBlock) - 1)));
  return page;
}

}  // namespace

// ---- admin -------------------------------------------------------------------------------------------------------

std::optional<NvmeController::Ended> NvmeController::admin(const n::Command& c) {
  switch (static_cast<n::Admin>(c.get(n::sqe::kOPC))) {
    case n::Admin::kDeleteSq:
      return delete_sq(c);
    case n::Admin::kCreateSq:
      return create_sq(c);
    case n::Admin::kGetLogPage:
      return get_log_page(c);
    case n::Admin::kDeleteCq:
      return delete_cq(c);
    case n::Admin::kCreateCq:
      return create_cq(c);
    case n::Admin::kIdentify:
      return identify(c);
    case n::Admin::kAbort:
      return Ended{n::status::kSuccess, 1};  // not aborted
    case n::Admin::kSetFeatures:
      return set_features(c);
    case n::Admin::kGetFeatures:
      return get_features(c);
    case n::Admin::kAsyncEvent:
      if (async_waiting_ >= kAsyncLimit) return Ended{n::status::kAsyncLimit};
      ++async_waiting_;
      return std::nullopt;  // no event ever comes
  }
  return Ended{n::status::kInvalidOpcode};
}

NvmeController::Ended NvmeController::create_cq(const n::Command& c) {
  const auto id = static_cast<std::uint16_t>(c.get(n::sqe::kQID));
  const std::uint64_t size = c.get(n::sqe::kQSIZE) + 1;
  if (id == 0 || id > kMaxQueues || completion_.contains(id)) return {n::status::kInvalidQueueId};
  if (size < 2 || size > kMaxEntries) return {n::status::kInvalidQueueSize};
  if (c.get(n::sqe::kPC) == 0) return {n::status::kInvalidField};
  if (!is_aligned(c.get(n::sqe::kPRP1), kPageSize)) return {n::status::kPrpOffset};
  if (c.get(n::sqe::kIV) != 0) return {n::status::kInvalidVector};
  if (n::cc::kIOCQES.get(cc_) != n::kCompletionShift) return {n::status::kInvalidQueueSize};
  completion_[id] = {
      .base = c.get(n::sqe::kPRP1), .entries = static_cast<unsigned>(size), .interrupts = c.get(n::sqe::kIEN) != 0};
  return {n::status::kSuccess};
}

NvmeController::Ended NvmeController::create_sq(const n::Command& c) {
  const auto id = static_cast<std::uint16_t>(c.get(n::sqe::kQID));
  const auto cq = static_cast<std::uint16_t>(c.get(n::sqe::kCQID));
  const std::uint64_t size = c.get(n::sqe::kQSIZE) + 1;
  if (id == 0 || id > kMaxQueues || submission_.contains(id)) return {n::status::kInvalidQueueId};
  if (cq == 0 || !completion_.contains(cq)) return {n::status::kInvalidCq};
  if (size < 2 || size > kMaxEntries) return {n::status::kInvalidQueueSize};
  if (c.get(n::sqe::kPC) == 0) return {n::status::kInvalidField};
  if (!is_aligned(c.get(n::sqe::kPRP1), kPageSize)) return {n::status::kPrpOffset};
  if (n::cc::kIOSQES.get(cc_) != n::kSubmissionShift) return {n::status::kInvalidQueueSize};
  submission_[id] = std::make_shared<SubmissionQueue>(
      SubmissionQueue{.base = c.get(n::sqe::kPRP1), .entries = static_cast<unsigned>(size), .completion = cq});
  return {n::status::kSuccess};
}

NvmeController::Ended NvmeController::delete_cq(const n::Command& c) {
  const auto id = static_cast<std::uint16_t>(c.get(n::sqe::kQID));
  if (id == 0 || !completion_.contains(id)) return {n::status::kInvalidQueueId};
  const auto uses = [&](const auto& q) { return q.second->completion == id; };
  if (std::any_of(submission_.begin(), submission_.end(), uses)) return {n::status::kInvalidQueueDeletion};
  completion_.erase(id);
  changed_.notify(sc_core::SC_ZERO_TIME);
  return {n::status::kSuccess};
}

NvmeController::Ended NvmeController::delete_sq(const n::Command& c) {
  const auto id = static_cast<std::uint16_t>(c.get(n::sqe::kQID));
  if (id == 0 || submission_.erase(id) == 0) return {n::status::kInvalidQueueId};
  return {n::status::kSuccess};
}

NvmeController::Ended NvmeController::identify(const n::Command& c) {
  const std::uint64_t nsid = c.get(n::sqe::kNSID);
  Page page;
  switch (c.get(n::sqe::kCNS)) {
    case 0:  // a namespace
      if (nsid != kNamespace && nsid != kEveryNamespace) return {n::status::kInvalidNamespace};
      page = namespace_page(blocks());
      break;
    case 1:
      page = controller_page();
      break;
    case 2:  // namespaces above NSID
      if (nsid >= kEveryNamespace - 1) return {n::status::kInvalidNamespace};
      if (nsid < kNamespace) page.put(0, kNamespace);
      break;
    case 3:  // how a namespace is called
      if (nsid != kNamespace) return {n::status::kInvalidNamespace};
      page.put(0, n::name_space::kIdEui64);
      page.put(1, static_cast<std::uint8_t>(sizeof kEui64));
      page.put(4, kEui64);
      break;
    default:
      return {n::status::kInvalidField};
  }
  return {transfer(c, page.data(), Direction::kToHost)};
}

NvmeController::Ended NvmeController::get_log_page(const n::Command& c) {
  constexpr std::uint8_t kErrors = 1;
  constexpr std::uint8_t kHealth = 2;
  constexpr std::uint8_t kFirmwareSlots = 3;
  constexpr std::uint64_t kUpperCount = 0x1'0000;  // NUMDU counts these
  const std::uint64_t words = c.get(n::sqe::kNUMDL) + c.get(n::sqe::kNUMDU) * kUpperCount + 1;
  const std::uint64_t bytes = words * 4;
  if (bytes > kPageSize || c.get(n::sqe::kLPO) != 0) return {n::status::kInvalidField};
  Page page;
  switch (c.get(n::sqe::kLID)) {
    case kErrors:
      break;
    case kHealth:
      page.put(1, kKelvin);
      page.put(3, std::uint8_t{100});  // spare, %
      page.put(4, std::uint8_t{10});
      break;
    case kFirmwareSlots:
      page.put(0, std::uint8_t{1});
      page.text(8, n::controller::kFirmwareBytes, "1.0");
      break;
    default:
      return {n::status::kInvalidLogPage};
  }
  page.data().resize(bytes);
  return {transfer(c, page.data(), Direction::kToHost)};
}

NvmeController::Ended NvmeController::set_features(const n::Command& c) {
  namespace f = n::feature;
  const auto id = static_cast<std::uint8_t>(c.get(n::sqe::kFID));
  const auto value = static_cast<std::uint32_t>(c.get(n::sqe::kCDW11));
  if (c.get(n::sqe::kSV) != 0) return {n::status::kNotSaveable};
  switch (id) {
    case f::kQueues: {
      constexpr std::uint64_t kNone = 0xFFFF;
      if (f::kSubmissionQueues.get(value) == kNone || f::kCompletionQueues.get(value) == kNone)
        return {n::status::kInvalidField};
      const std::uint64_t granted =
          f::kSubmissionQueues.of(std::min<std::uint64_t>(f::kSubmissionQueues.get(value), kMaxQueues - 1)) |
          f::kCompletionQueues.of(std::min<std::uint64_t>(f::kCompletionQueues.get(value), kMaxQueues - 1));
      features_[id] = static_cast<std::uint32_t>(granted);
      return {n::status::kSuccess, features_[id]};
    }
    case f::kArbitration:
    case f::kPower:
    case f::kTemperature:
    case f::kErrorRecovery:
    case f::kCoalescing:
    case f::kVector:
    case f::kAtomicity:
    case f::kAsyncEvents:
      features_[id] = value;
      return {n::status::kSuccess};
    default:
      return {n::status::kInvalidField};
  }
}

NvmeController::Ended NvmeController::get_features(const n::Command& c) {
  namespace f = n::feature;
  constexpr std::uint64_t kCurrent = 0;
  constexpr std::uint64_t kDefault = 1;
  const auto id = static_cast<std::uint8_t>(c.get(n::sqe::kFID));
  const std::uint64_t which = c.get(n::sqe::kSEL);
  if (which > kDefault) return {n::status::kInvalidField};
  const bool known = (id >= f::kArbitration && id <= f::kAsyncEvents && id != 3 && id != f::kWriteCache);
  if (!known) return {n::status::kInvalidField};
  std::uint32_t value = 0;
  if (id == f::kQueues)
    value =
        static_cast<std::uint32_t>(f::kSubmissionQueues.of(kMaxQueues - 1) | f::kCompletionQueues.of(kMaxQueues - 1));
  if (const auto set = features_.find(id); which == kCurrent && set != features_.end()) value = set->second;
  return {n::status::kSuccess, value};
}

// ---- NVM ---------------------------------------------------------------------------------------------------------

NvmeController::Ended NvmeController::io(const n::Command& c) {
  const auto opcode = static_cast<n::Io>(c.get(n::sqe::kOPC));
  const std::uint64_t nsid = c.get(n::sqe::kNSID);
  if (nsid != kNamespace && !(nsid == kEveryNamespace && opcode == n::Io::kFlush))
    return {n::status::kInvalidNamespace};
  const std::uint64_t first = c.get(n::sqe::kSLBA);
  const std::uint64_t count = c.get(n::sqe::kNLB) + 1;
  switch (opcode) {
    case n::Io::kFlush:
      return {n::status::kSuccess};
    case n::Io::kWrite:
      return read_or_write(c, true);
    case n::Io::kRead:
      return read_or_write(c, false);
    case n::Io::kWriteZeroes:
      if (!in_range(first, count)) return {n::status::kLbaOutOfRange};
      std::memset(store_.data() + first * kBlock, 0, count * kBlock);
      return {n::status::kSuccess};
    case n::Io::kDatasetManagement:
      return deallocate(c);
  }
  return {n::status::kInvalidOpcode};
}

NvmeController::Ended NvmeController::read_or_write(const n::Command& c, bool to_store) {
  const std::uint64_t life = life_;
  const std::uint64_t first = c.get(n::sqe::kSLBA);
  const std::uint64_t count = c.get(n::sqe::kNLB) + 1;
  if (count * kBlock > kMdtsPages * kPageSize) return {n::status::kInvalidField};
  if (!in_range(first, count)) return {n::status::kLbaOutOfRange};
  std::uint8_t* stored = store_.data() + first * kBlock;
  std::vector<std::uint8_t> data(count * kBlock);
  if (!to_store) std::memcpy(data.data(), stored, data.size());
  const n::Status status = transfer(c, data, to_store ? Direction::kFromHost : Direction::kToHost);
  // A write whose data did not come whole leaves the blocks as they were.
  if (to_store && status.ok() && life == life_) std::memcpy(stored, data.data(), data.size());
  return {status};
}

NvmeController::Ended NvmeController::deallocate(const n::Command& c) {
  std::vector<std::uint8_t> data((c.get(n::sqe::kNR) + 1) * sizeof(n::Range));
  const n::Status status = transfer(c, data, Direction::kFromHost);
  if (!status.ok()) return {status};
  if (c.get(n::sqe::kAD) == 0) return {n::status::kSuccess};  // only hints
  std::vector<n::Range> ranges(data.size() / sizeof(n::Range));
  std::memcpy(ranges.data(), data.data(), data.size());
  for (const n::Range& r : ranges)
    if (!in_range(r.get(n::range::kSLBA), r.get(n::range::kBlocks))) return {n::status::kLbaOutOfRange};
  for (const n::Range& r : ranges)
    std::memset(store_.data() + r.get(n::range::kSLBA) * kBlock, 0, r.get(n::range::kBlocks) * kBlock);
  return {n::status::kSuccess};
}

}  // namespace vtd::soc
