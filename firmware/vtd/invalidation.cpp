// SPDX-License-Identifier: MIT
#include "firmware/vtd/invalidation.h"

#include "firmware/hal/console.h"

namespace vtd::fw {
namespace {
constexpr std::uint64_t code(auto value) {
  return static_cast<std::uint64_t>(value);
}
constexpr unsigned kInvalidateQueueDepth = 1;  ///< of a device: invalidations that may be on their way to it
constexpr std::uint64_t kQueueErrors = fsts::kIQE.mask() | fsts::kICE.mask() | fsts::kITE.mask();
}  // namespace

void InvalidationQueue::program() {
  tail_ = 0;
  hal::write32(status_, 0);
  registers_.write(RegId::kIQT, 0);
  registers_.write(RegId::kIQA, iq::kIQA.in_place(ring_) | iq::kDW.of(width_ == DescriptorWidth::k256 ? 1 : 0));
}

void InvalidationQueue::push(const Record128& descriptor) {
  const PhysAddr slot = ring_ + tail_ * std::uint64_t{bytes()};
  for (unsigned at = 0; at < bytes(); at += 8) hal::write64(slot + at, at < 16 ? descriptor.words[at / 8] : 0);
  hal::flush(slot, bytes());
  tail_ = (tail_ + 1) % (static_cast<unsigned>(kPageSize) / bytes());
}

void InvalidationQueue::submit() const {
  // The field counts in units of 16 bytes; descriptors of 32 bytes take two.
  registers_.write(RegId::kIQT, iq::kQT.of(std::uint64_t{tail_} * (bytes() / kDescriptorBytes128)));
}

void InvalidationQueue::leave(const Record128& descriptor) {
  push(descriptor);
  submit();
}

Record128 InvalidationQueue::next_wait() {
  namespace wait = descriptor::wait;
  ++sequence_;
  Record128 d;
  d.set(descriptor::kTYPE, code(DescriptorType::kWait)).set(wait::kSW, 1).set(wait::kSTATUS_DATA, sequence_);
  return d.set_address(wait::kSTATUS_ADDR, status_);
}

Status InvalidationQueue::execute(const Record128& descriptor) {
  push(descriptor);
  push(next_wait());
  submit();
  std::uint64_t errors = 0;
  const Status waited = hal::poll([&] {
    if (hal::read32(status_) == sequence_) return true;
    errors = registers_.read(RegId::kFSTS) & kQueueErrors;
    return errors != 0;
  });
  if (ok(waited) && errors == 0) return Status::kOk;
  hal::print("vtd: queue of unit ", Hex{registers_.base()}, errors != 0 ? " stopped: FSTS " : " timed out: FSTS ",
             Hex{errors}, ", head ", Hex{registers_.read(RegId::kIQH)}, ", IQERCD ",
             Hex{registers_.read(RegId::kIQERCD)});
  return errors != 0 ? Status::kFault : waited;
}

Record128 describe(const ContextInvalidation& what) {
  namespace context = descriptor::context;
  Record128 d;
  d.set(descriptor::kTYPE, code(DescriptorType::kContextCache)).set(descriptor::kG, code(what.granularity));
  return d.set(descriptor::kDID, what.domain.value).set(context::kSID, what.source.value);
}

Record128 describe(const IotlbInvalidation& what, std::uint64_t cap) {
  namespace iotlb = descriptor::iotlb;
  Record128 d;
  d.set(descriptor::kTYPE, code(DescriptorType::kIotlb)).set(descriptor::kG, code(what.granularity));
  d.set(iotlb::kDR, cap::kDRD.get(cap)).set(iotlb::kDW, cap::kDWD.get(cap));
  d.set(descriptor::kDID, what.domain.value);
  return d.set(iotlb::kAM, what.address_mask).set_address(iotlb::kADDR, what.address);
}

Record128 describe(const PasidInvalidation& what) {
  Record128 d;
  d.set(descriptor::kTYPE, code(DescriptorType::kPasidCache)).set(descriptor::kG, code(what.granularity));
  return d.set(descriptor::kDID, what.domain.value).set(descriptor::pasid_cache::kPASID, what.pasid);
}

Record128 describe(const PasidIotlbInvalidation& what) {
  namespace piotlb = descriptor::pasid_iotlb;
  Record128 d;
  d.set(descriptor::kTYPE, code(DescriptorType::kPasidIotlb)).set(descriptor::kG, code(what.granularity));
  d.set(descriptor::kDID, what.domain.value).set(piotlb::kPASID, what.pasid);
  return d.set(piotlb::kAM, what.address_mask).set_address(piotlb::kADDR, what.address);
}

Record128 describe(const DeviceTlbInvalidation& what) {
  // S with every address bit set: the whole address space (PCIe ATS, table of invalidation ranges).
  constexpr std::uint64_t kEverything = ~std::uint64_t{0};
  Record128 d;
  if (what.pasid == 0) {
    namespace tlb = descriptor::device_tlb;
    d.set(descriptor::kTYPE, code(DescriptorType::kDeviceTlb)).set(tlb::kSID, what.source.value);
    d.set(tlb::kMIP, kInvalidateQueueDepth).set(tlb::kS, 1);
    return d.set_address(tlb::kADDR, tlb::kADDR.in_place(kEverything >> 1));
  }
  namespace tlb = descriptor::pasid_device_tlb;
  d.set(descriptor::kTYPE, code(DescriptorType::kPasidDeviceTlb)).set(tlb::kSID, what.source.value);
  d.set(tlb::kMIP, kInvalidateQueueDepth).set(tlb::kPASID, what.pasid).set(tlb::kS, 1);
  return d.set_address(tlb::kADDR, tlb::kADDR.in_place(kEverything >> 1));
}

Record128 describe(const PageResponse& what) {
  namespace response = descriptor::page_group_response;
  Record128 d;
  d.set(descriptor::kTYPE, code(DescriptorType::kPageGroupResponse)).set(response::kPP, what.has_pasid ? 1 : 0);
  d.set(response::kRC, what.code).set(response::kSID, what.source.value).set(response::kPASID, what.pasid);
  return d.set(response::kLPIG, 1).set(response::kPRGI, what.group);
}

Status invalidate_by_register(const Registers& registers, const ContextInvalidation& what) {
  registers.write(RegId::kCCMD, ccmd::kICC.mask() | ccmd::kCIRG.of(code(what.granularity)) |
                                    ccmd::kSID.of(what.source.value) | ccmd::kDID.of(what.domain.value));
  return hal::poll([&] { return ccmd::kICC.get(registers.read(RegId::kCCMD)) == 0; });
}

Status invalidate_by_register(const Registers& registers, const IotlbInvalidation& what, std::uint64_t cap,
                              std::uint64_t ecap) {
  const std::uint64_t iva_at = iva_offset(ecap);
  const std::uint64_t iotlb_at = iva_at + 8;
  if (what.granularity == IotlbGranularity::kPage)
    registers.write64(iva_at, iva::kADDR.in_place(what.address) | iva::kAM.of(what.address_mask));
  registers.write64(iotlb_at, iotlb_reg::kIVT.mask() | iotlb_reg::kIIRG.of(code(what.granularity)) |
                                  iotlb_reg::kDR.of(cap::kDRD.get(cap)) | iotlb_reg::kDW.of(cap::kDWD.get(cap)) |
                                  iotlb_reg::kDID.of(what.domain.value));
  return hal::poll([&] { return iotlb_reg::kIVT.get(registers.read64(iotlb_at)) == 0; });
}

IotlbInvalidation covering(DomainId domain, Iova iova, std::uint64_t size, std::uint64_t cap) {
  const IotlbInvalidation whole{IotlbGranularity::kDomain, domain, 0, 0};
  if (cap::kPSI.get(cap) == 0 || size == 0) return whole;
  const Iova last = iova + size - 1;
  std::uint64_t block = kPageSize;
  for (unsigned mask = 0; mask <= cap::kMAMV.get(cap) && block != 0; ++mask, block *= 2)
    if (align_down(iova, block) == align_down(last, block))
      return {IotlbGranularity::kPage, domain, align_down(iova, block), mask};
  return whole;
}

}  // namespace vtd::fw
