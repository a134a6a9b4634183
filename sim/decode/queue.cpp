// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <algorithm>

#include "sim/decode/decode.h"
#include "sim/decode/words.h"
#include "tlm/spec/descriptor.h"
#include "tlm/spec/registers.h"

namespace vtd::sim {
namespace {

namespace d = descriptor;

constexpr Field kContextFields[] = {d::kG, d::kDID, d::context::kSID, d::context::kFM};
constexpr Field kIotlbFields[] = {d::kG,         d::iotlb::kDW, d::iotlb::kDR,  d::kDID,
                                  d::iotlb::kAM, d::iotlb::kIH, d::iotlb::kADDR};
constexpr Field kDeviceTlbFields[] = {d::device_tlb::kSID,        d::device_tlb::kMIP, d::device_tlb::kPFSID_LOW,
                                      d::device_tlb::kPFSID_HIGH, d::device_tlb::kS,   d::device_tlb::kADDR};
constexpr Field kIecFields[] = {d::iec::kG1, d::iec::kIIDX, d::iec::kIM};
constexpr Field kWaitFields[] = {d::wait::kIF, d::wait::kSW,          d::wait::kFN,
                                 d::wait::kPD, d::wait::kSTATUS_DATA, d::wait::kSTATUS_ADDR};
constexpr Field kPasidIotlbFields[] = {
    d::kG, d::kDID, d::pasid_iotlb::kPASID, d::pasid_iotlb::kAM, d::pasid_iotlb::kIH, d::pasid_iotlb::kADDR};
constexpr Field kPasidCacheFields[] = {d::kG, d::kDID, d::pasid_cache::kPASID};
constexpr Field kPasidDeviceTlbFields[] = {d::pasid_device_tlb::kSID,        d::pasid_device_tlb::kPASID,
                                           d::pasid_device_tlb::kMIP,        d::pasid_device_tlb::kPFSID_LOW,
                                           d::pasid_device_tlb::kPFSID_HIGH, d::pasid_device_tlb::kGLOBAL,
                                           d::pasid_device_tlb::kS,          d::pasid_device_tlb::kADDR};
constexpr Field kResponseFields[] = {d::page_group_response::kSID,   d::page_group_response::kPP,
                                     d::page_group_response::kPASID, d::page_group_response::kPRGI,
                                     d::page_group_response::kLPIG,  d::page_group_response::kRC};

/// "2^2 pages: 0x10000..0x13fff"
std::string pages(std::uint64_t address, unsigned mask) {
  const unsigned shift = kPageShift + mask;
  if (shift >= 64) return fmt::format("2^{} pages: all addresses", mask);
  const std::uint64_t first = align_down(address, bit(shift));
  return fmt::format("2^{} pages: {:#x}..{:#x}{}", mask, first, first + (bit(shift) - 1),
                     first == address ? "" : ", ADDR is not aligned to that");
}

std::string iotlb_range(const d::Entry& raw) {
  if (static_cast<IotlbGranularity>(raw.get(d::kG)) != IotlbGranularity::kPage) return {};
  return pages(raw.address(d::iotlb::kADDR), static_cast<unsigned>(raw.get(d::iotlb::kAM)));
}

/// With S the lowest clear bit of ADDR, from bit 12 on, ends the run of ones that gives the size.
std::string device_range(std::uint64_t address, bool sized) {
  unsigned mask = 0;
  if (sized) {
    while (mask + kPageShift < 64 && (address & bit(kPageShift + mask)) != 0) ++mask;
    ++mask;
  }
  const unsigned shift = kPageShift + mask;
  return pages(shift >= 64 ? 0 : align_down(address, bit(shift)), mask);
}
std::string device_tlb_range(const d::Entry& raw) {
  return device_range(raw.address(d::device_tlb::kADDR), raw.get(d::device_tlb::kS) != 0);
}
std::string pasid_device_tlb_range(const d::Entry& raw) {
  return device_range(raw.address(d::pasid_device_tlb::kADDR), raw.get(d::pasid_device_tlb::kS) != 0);
}
std::string index_range(const d::Entry& raw) {
  if (raw.get(d::iec::kG1) == 0) return {};
  const std::uint64_t count = bit(static_cast<unsigned>(raw.get(d::iec::kIM)));
  const std::uint64_t first = align_down(raw.get(d::iec::kIIDX), count);
  return fmt::format("2^{} entries: {:#x}..{:#x}", raw.get(d::iec::kIM), first, first + (count - 1));
}

struct Kind {
  DescriptorType type;
  const char* name;
  const char* owner;  ///< of the fields' words
  std::span<const Field> fields;
  std::array<std::uint64_t, 2> used;
  std::string (*range)(const d::Entry&) = nullptr;
  bool scalable = false;  ///< needs scalable mode
};

constexpr Kind kKinds[] = {
    {DescriptorType::kContextCache, "context-cache invalidation", "CC", kContextFields, d::context::kUsed},
    {DescriptorType::kIotlb, "IOTLB invalidation", "IOTLB-descriptor", kIotlbFields, d::iotlb::kUsed, iotlb_range},
    {DescriptorType::kDeviceTlb, "device-TLB invalidation", "device-TLB", kDeviceTlbFields, d::device_tlb::kUsed,
     device_tlb_range},
    {DescriptorType::kInterruptEntryCache, "interrupt-entry-cache invalidation", "IEC", kIecFields, d::iec::kUsed,
     index_range},
    {DescriptorType::kWait, "wait", "wait", kWaitFields, d::wait::kUsed},
    {DescriptorType::kPasidIotlb, "PASID IOTLB invalidation", "PASID-IOTLB", kPasidIotlbFields, d::pasid_iotlb::kUsed,
     iotlb_range, true},
    {DescriptorType::kPasidCache, "PASID-cache invalidation", "PASID-cache", kPasidCacheFields, d::pasid_cache::kUsed,
     nullptr, true},
    {DescriptorType::kPasidDeviceTlb, "PASID device-TLB invalidation", "PASID-device-TLB", kPasidDeviceTlbFields,
     d::pasid_device_tlb::kUsed, pasid_device_tlb_range},
    {DescriptorType::kPageGroupResponse, "page group response", "response", kResponseFields,
     d::page_group_response::kUsed}};

/// Both IOTLB descriptors have G = 3, AM and ADDR at the same bits.
static_assert(d::iotlb::kAM.lo == d::pasid_iotlb::kAM.lo && d::iotlb::kADDR.lo == d::pasid_iotlb::kADDR.lo &&
              static_cast<int>(IotlbGranularity::kPage) == static_cast<int>(PasidIotlbGranularity::kPage));

std::string words_text(std::span<const std::uint64_t> words) {
  std::string out;
  for (const std::uint64_t w : words) out += fmt::format(" {:#018x}", w);
  return out;
}

class Ring {
 public:
  Ring(const MemoryImage& image, const QueueQuestion& question)
      : image_(image),
        question_(question),
        base_(iq::kIQA.in_place(question.iqa)),
        width_(iq::kDW.get(question.iqa) != 0 ? kDescriptorBytes256 : kDescriptorBytes128),
        bytes_(iq::ring_bytes(question.iqa)) {}

  void describe(Lines& out);

 private:
  /// A head or tail register in words; its index if it is one.
  std::optional<std::uint64_t> position(Lines& out, const char* name, std::optional<std::uint64_t> value) const;
  std::string mark(std::uint64_t index) const;
  void one(Lines& out, std::uint64_t index, const d::Entry& raw) const;

  const MemoryImage& image_;
  const QueueQuestion& question_;
  PhysAddr base_;
  unsigned width_;
  std::uint64_t bytes_;
  std::optional<std::uint64_t> head_;
  std::optional<std::uint64_t> tail_;
};

std::optional<std::uint64_t> Ring::position(Lines& out, const char* name, std::optional<std::uint64_t> value) const {
  if (!value) return std::nullopt;
  const char* wrong = *value >= bytes_ ? "beyond the ring" : *value % width_ != 0 ? "not at a descriptor" : nullptr;
  if (wrong != nullptr) {
    out.add(0, fmt::format("{} {:#x} is {}: the unit sets FSTS.IQE", name, *value, wrong));
    return std::nullopt;
  }
  out.add(0, fmt::format("{} {:#x}: descriptor {}", name, *value, *value / width_));
  return *value / width_;
}

std::string Ring::mark(std::uint64_t index) const {
  const bool head = head_ == index, tail = tail_ == index;
  if (head || tail) return head && tail ? "head=tail" : head ? "head" : "tail";
  if (!head_ || !tail_) return {};
  const std::uint64_t count = bytes_ / width_;
  return (index + count - *head_) % count < (*tail_ + count - *head_) % count ? "pending" : "";
}

void Ring::one(Lines& out, std::uint64_t index, const d::Entry& raw) const {
  const std::string place = fmt::format("{:<9} [{}] {:#x}: ", mark(index), index, base_ + index * width_);
  const std::string unknown = words_text(std::span(raw.words).first(width_ / sizeof(std::uint64_t)));
  constexpr unsigned kReasonDepth = 6;
  const std::uint64_t type = raw.get(d::kTYPE), high = raw.get(d::kTYPE_HIGH);
  const auto* kind = std::find_if(std::begin(kKinds), std::end(kKinds),
                                  [&](const Kind& k) { return static_cast<std::uint64_t>(k.type) == type; });
  if (kind == std::end(kKinds) || high != 0) {
    out.add(0, fmt::format("{}type {:#x}:{}", place, type | (high << d::kTYPE.width()), unknown));
    out.add(kReasonDepth, "unusable: no descriptor has this type");
    return;
  }
  const std::string range = kind->range == nullptr ? std::string{} : kind->range(raw);
  out.add(
      0, fmt::format("{}type {} {}: {}{}{}", place, type, kind->name,
                     field_list(kind->owner, kind->fields, raw.words, Zeros::kShow), range.empty() ? "" : "; ", range));
  const std::uint64_t unused[] = {~kind->used[0], ~kind->used[1], ~std::uint64_t{0}, ~std::uint64_t{0}};
  if (const std::string bits = bits_set(raw.words, unused); !bits.empty())
    out.add(kReasonDepth, fmt::format("unusable: reserved bits set: {} of{}", bits, unknown));
  if (kind->fields.front().name == d::kG.name && meaning(kind->owner, d::kG, raw.get(d::kG)) == "reserved")
    out.add(kReasonDepth, "unusable: G is reserved");
  if (kind->scalable && question_.mode == TableMode::kLegacy)
    out.add(kReasonDepth, "unusable: this type needs scalable mode");
}

void Ring::describe(Lines& out) {
  const std::uint64_t count = bytes_ / width_;
  out.add(0, fmt::format("queue at {:#x}: {} descriptors of {} bit, {} bytes", base_, count, 8 * width_, bytes_));
  constexpr std::uint64_t kReserved = ~(iq::kIQA.mask() | iq::kDW.mask() | iq::kQS.mask());
  if (const std::string bits = bits_set(std::span(&question_.iqa, 1), std::span(&kReserved, 1)); !bits.empty())
    out.add(0, fmt::format("unusable: reserved bits of IQA set: {}", bits));
  if (question_.mode == TableMode::kScalable && width_ == kDescriptorBytes128)
    out.add(0, "unusable: scalable mode needs descriptors of 256 bit, IQA.DW=1");
  head_ = position(out, "head", question_.head);
  tail_ = position(out, "tail", question_.tail);

  std::uint64_t zero = 0;  // descriptors in a row, with no mark
  const auto flush = [&](std::uint64_t end) {
    if (zero != 0) out.add(0, fmt::format("{:<9} [{}..{}] zero", "", end - zero, end - 1));
    zero = 0;
  };
  for (std::uint64_t i = 0; i < count; ++i) {
    d::Entry raw;
    if (!image_.read(base_ + i * width_, std::span(raw.words).first(width_ / sizeof(std::uint64_t)))) {
      flush(i);
      out.add(0, fmt::format("{:<9} [{}..{}] {}", "", i, count - 1, image_.outside()));
      return;
    }
    if (raw == d::Entry{} && mark(i).empty()) {
      ++zero;
      continue;
    }
    flush(i);
    one(out, i, raw);
  }
  flush(count);
}

}  // namespace

std::string decode_queue(const MemoryImage& image, const QueueQuestion& question) {
  image.need("--iqa", iq::kIQA.in_place(question.iqa));
  Lines lines(question.limit);
  return lines.collect([&] { Ring(image, question).describe(lines); });
}

}  // namespace vtd::sim
