// SPDX-License-Identifier: MIT
#include "tlm/core/interrupt_remapping.h"

namespace vtd {
namespace {

constexpr unsigned kVectorsPerWord = 64;

Fault refuse(const DmaRequest& request, FaultReason reason) {
  return {.reason = reason, .source = request.source, .address = request.address, .access = request.access};
}

Translation passes(const DmaRequest& request) {
  return {.address = request.address, .readable = true, .writable = true, .remapped = false};
}

Translation replaced_by(const DmaRequest& request, std::optional<InterruptMessage> message) {
  Translation result = passes(request);
  result.interrupt = true;
  result.message = message;
  return result;
}

/// Reserved bits of a remappable request: address [1:0], data [31:16]. Without SHV the lower half of the data is
/// ignored (an IOAPIC sends its vector there).
bool malformed(const DmaRequest& request) {
  namespace ir = interrupt_request;
  if (!request.data || request.length != sizeof(std::uint32_t) || ir::kADDRESS_MBZ.get(request.address) != 0)
    return true;
  return ir::kDATA_MBZ.get(*request.data) != 0;
}

}  // namespace

bool is_interrupt_request(const DmaRequest& request) {
  return request.access == Access::kWrite && request.type == AddressType::kUntranslated && !request.pasid &&
         !request.page_request && in_interrupt_range(request.address);
}

std::optional<std::uint32_t> interrupt_index(const DmaRequest& request) {
  namespace ir = interrupt_request;
  if (ir::kFORMAT.get(request.address) == 0) return std::nullopt;
  constexpr Field kHigh{"HANDLE_15", 15, 15};
  const std::uint64_t handle = ir::kHANDLE.get(request.address) | kHigh.of(ir::kHANDLE_HIGH.get(request.address));
  const std::uint64_t subhandle = ir::kSHV.get(request.address) != 0 ? ir::kSUBHANDLE.get(request.data.value_or(0)) : 0;
  return static_cast<std::uint32_t>(handle + subhandle);
}

bool source_valid(const irte::Entry& entry, SourceId source) {
  const SourceId wanted{static_cast<std::uint16_t>(entry.get(irte::kSID))};
  switch (static_cast<SourceValidation>(entry.get(irte::kSVT))) {
    case SourceValidation::kNone:
      return true;
    case SourceValidation::kSource: {
      // SQ ignores function bits as FM of a context invalidation does.
      const auto compared = static_cast<std::uint16_t>(~function_mask(static_cast<unsigned>(entry.get(irte::kSQ))));
      return (wanted.value & compared) == (source.value & compared);
    }
    case SourceValidation::kBusRange:
      return source.bus() >= wanted.bus() && source.bus() <= wanted.devfn();
    case SourceValidation::kReserved:
      break;
  }
  return false;
}

FaultReason check_interrupt_entry(const Profile& profile, const irte::Entry& entry) {
  const bool posted = entry.get(irte::kIM) != 0;
  if (posted && !profile.posted_interrupts) return FaultReason::kIrReserved;
  if (entry.any(posted ? irte::kReservedPosted : irte::kReserved)) return FaultReason::kIrReserved;
  if (static_cast<SourceValidation>(entry.get(irte::kSVT)) == SourceValidation::kReserved)
    return FaultReason::kIrReserved;
  return FaultReason::kNone;
}

InterruptMessage remapped_message(const irte::Entry& entry, bool extended) {
  namespace ir = interrupt_request;
  InterruptMessage message;
  message.address = kInterruptBase | ir::kRH.of(entry.get(irte::kRH)) | ir::kDM.of(entry.get(irte::kDM));
  if (extended) {
    constexpr Field kLow{"DST_LOW", 7, 0};
    constexpr Field kHigh{"DST_HIGH", 31, 8};
    const std::uint64_t destination = entry.get(irte::kDST);
    message.address |= ir::kDST.of(kLow.get(destination)) | ir::kDST_UPPER.of(kHigh.get(destination));
  } else {
    message.address |= ir::kDST.of(entry.get(irte::kXAPIC_DST));
  }
  const std::uint64_t level = entry.get(irte::kTM);  // level-triggered messages assert
  message.data = static_cast<std::uint32_t>(ir::kVECTOR.of(entry.get(irte::kV)) | ir::kDLM.of(entry.get(irte::kDLM)) |
                                            ir::kTRIGGER.of(level) | ir::kLEVEL.of(level));
  return message;
}

Result<Translation> InterruptRemapping::remap(Flight& flight) {
  const DmaRequest& request = flight.request;
  if (!flight.remapped) return passes(request);
  const bool extended = irta::kEIME.get(state_.interrupt_root) != 0;
  if (interrupt_request::kFORMAT.get(request.address) == 0) {
    if (state_.compatibility_format && !extended) return passes(request);
    return refuse(request, FaultReason::kIrCompatibilityBlocked);
  }
  const auto index = interrupt_index(request);
  if (malformed(request)) return refuse(request, FaultReason::kIrReservedInRequest);

  const Lookup found = entry_of(flight, *index);
  if (found.fault != FaultReason::kNone) return refuse(request, found.fault);
  if (!source_valid(found.entry, request.source)) return refuse(request, FaultReason::kIrSourceValidation);
  if (found.entry.get(irte::kIM) != 0) return post(flight, found.entry);
  return replaced_by(request, remapped_message(found.entry, extended));
}

InterruptRemapping::Lookup InterruptRemapping::entry_of(Flight& flight, std::uint32_t index) {
  state_.host.spend(Step::kInterruptLookup);
  if (index >= irta::entries(state_.interrupt_root)) return {.fault = FaultReason::kIrIndexBeyondTable};
  Lookup found;
  const InterruptTag tag{index};
  if (const auto cached = state_.caches.interrupt.lookup(tag)) {
    found.entry = *cached;
    flight.fault_disabled = cached->get(irte::kFPD) != 0;
    return found;
  }
  const PhysAddr address = irta::kIRTA.in_place(state_.interrupt_root) + std::uint64_t{index} * irte::kBytes;
  if (!state_.host.read(address, found.entry.words)) return {.fault = FaultReason::kIrTableAccess};
  flight.fault_disabled = found.entry.get(irte::kFPD) != 0;
  if (found.entry.get(irte::kP) == 0) return {.fault = FaultReason::kIrNotPresent};
  if (const auto bad = check_interrupt_entry(state_.profile, found.entry); bad != FaultReason::kNone)
    return {.fault = bad};
  const bool stale =
      flight.generation != state_.generation ||
      state_.log.any_since(flight.epoch, [&](const Invalidation& i) { return covers_interrupt(i, index); });
  if (stale)
    state_.caches.interrupt.refuse_fill();
  else
    state_.caches.interrupt.fill(tag, found.entry);
  return found;
}

Result<Translation> InterruptRemapping::post(Flight& flight, const irte::Entry& entry) {
  const DmaRequest& request = flight.request;
  constexpr Field kUpper{"UPPER", 63, 32};
  constexpr Field kLower{"LOWER", 31, 6};
  const PhysAddr descriptor = kUpper.of(entry.get(irte::kPDAH)) | kLower.of(entry.get(irte::kPDAL));
  const auto word_address = [&](unsigned word) { return descriptor + word * sizeof(std::uint64_t); };
  // What is reserved is looked at before anything is posted.
  const PhysAddr control_address = word_address(posted::kControlWord);
  posted::Entry raw;
  if (!state_.host.read(descriptor, raw.words)) return refuse(request, FaultReason::kIrPostedAccess);
  if (flight.generation != state_.generation) return refuse(request, FaultReason::kNone);
  std::uint64_t reserved = raw.words[posted::kControlWord] & posted::kReservedInControl;
  for (unsigned word = posted::kControlWord + 1; word < raw.words.size(); ++word) reserved |= raw.words[word];
  if (reserved != 0) return refuse(request, FaultReason::kIrPostedReserved);

  // The last moment at which the pass may be abandoned: what is posted cannot be taken back.
  if (state_.log.covered_since(flight.epoch, flight.tag)) return refuse(request, FaultReason::kNone);
  flight.committed = true;

  const auto vector = static_cast<unsigned>(entry.get(irte::kV));
  if (!set_bits(word_address(vector / kVectorsPerWord), bit(vector % kVectorsPerWord)))
    return refuse(request, FaultReason::kIrPostedAccess);
  const bool urgent = entry.get(irte::kURG) != 0;
  std::uint64_t control = raw.words[posted::kControlWord];
  for (;;) {
    const bool notify = posted::kON.get(control) == 0 && (urgent || posted::kSN.get(control) == 0);
    if (!notify) return replaced_by(request, std::nullopt);
    const auto seen = state_.host.compare_exchange(control_address, control, posted::kON.with(control, 1));
    if (!seen) return refuse(request, FaultReason::kIrPostedAccess);
    if (*seen == control) break;
    control = *seen;
  }
  irte::Entry notification;
  notification.set(irte::kV, posted::kNV.get(control)).set(irte::kDST, posted::kNDST.get(control));
  return replaced_by(request, remapped_message(notification, irta::kEIME.get(state_.interrupt_root) != 0));
}

std::optional<std::uint64_t> InterruptRemapping::set_bits(PhysAddr address, std::uint64_t bits) {
  std::uint64_t expected = 0;
  for (;;) {
    const auto seen = state_.host.compare_exchange(address, expected, expected | bits);
    if (!seen || *seen == expected) return seen;
    expected = *seen;
    if ((expected & bits) == bits) return expected;
  }
}

}  // namespace vtd
