// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <stdexcept>

#include "sim/decode/decode.h"
#include "sim/decode/words.h"
#include "tlm/spec/fault_reason.h"
#include "tlm/spec/registers.h"
#include "tlm/spec/structures.h"

namespace vtd::sim {
namespace {

struct Advice {
  FaultReason last;  ///< of the reasons that it is for; the row before it names the last that it is not for
  const char* where;
  const char* cause;
};

// clang-format off
using enum FaultReason;
constexpr Advice kAdvice[] = {
    {kRootNotPresent, "the root entry of the bus", "no device of this bus was ever attached, or the source-id is an alias behind a bridge"},
    {kContextNotPresent, "the context entry", "the device has no domain: no driver has attached it, or DMA goes on after it was detached"},
    {kContextInvalid, "TT and AW of the context entry", "an AW that CAP.SAGAW lacks, or a TT that ECAP.DT or ECAP.PT lacks"},
    {kAddressBeyondWidth, "AW of the context entry, CAP.MGAW", "the driver uses an address that it has not mapped, or one cut or sign-extended"},
    {kReadPermission, "the second-stage paging entries on the path", "not mapped, unmapped too early, mapped for the other direction, or a stale IOTLB"},
    {kPagingEntryAccess, "SSPTPTR and the table addresses on the path", "a table address outside of memory: a corrupt or freed table"},
    {kRootTableAccess, "RTADDR", "a root table outside of memory, or of the kernel before"},
    {kContextTableAccess, "CTP of the root entry", "a context table outside of memory"},
    {kRootReserved, "the root entry", "a corrupt root table, or a scalable one under legacy mode"},
    {kContextReserved, "the context entry", "a corrupt or overwritten context table, or SSPTPTR above the host address width"},
    {kPagingEntryReserved, "the second-stage paging entries on the path", "a corrupt table, SNP without ECAP.SC, a super page that CAP.SSLPS lacks"},
    {kRequestTypeBlocked, "TT of the context entry", "the device uses ATS, and TT is not 01"},
    {kInterruptRange, "the request's address, the result address", "DMA to FEEx_xxxx that is not an interrupt, or a page mapped there"},
    {kIrReservedInRequest, "the device's MSI address and data", "MSI data that is not 0 without SHV, or a wrong length"},
    {kIrIndexBeyondTable, "IRTA.S, the device's MSI address", "the MSI was programmed for another table, or not remapped"},
    {kIrNotPresent, "the interrupt entry", "the interrupt was freed while the device still raises it"},
    {kIrTableAccess, "IRTA", "an interrupt table outside of memory"},
    {kIrReserved, "the interrupt entry", "a corrupt entry, or a posted one without CAP.PI"},
    {kIrCompatibilityBlocked, "GSTS.CFIS, IRTA.EIME", "an interrupt that the operating system did not remap: a device of the firmware, an IOAPIC entry"},
    {kIrSourceValidation, "SID, SQ and SVT of the interrupt entry", "the interrupt of another device, or an alias behind a bridge"},
    {kIrPostedReserved, "the posted descriptor that PDAH and PDAL give", "a descriptor outside of memory, freed or corrupt"},
    {kRootTableAddressInvalid, "RTADDR", "TTM reserved or not supported, or an address above the host address width"},
    {kPageGroupUnderLegacy, "RTADDR.TTM", "the device uses PASIDs or page requests, and the unit is in legacy mode"},
    {kSmRootReserved, "the root entry of the bus, its half by devfn bit 7", "no device of this half was attached, or a corrupt or legacy root table"},
    {kSmContextNotPresent, "the scalable context entry", "the device has no domain: no driver has attached it, or DMA goes on after it was detached"},
    {kSmContextInvalid, "the scalable context entry", "a field that needs a capability that ECAP lacks, or a corrupt entry"},
    {kSmDeviceTlbDisabled, "DTE of the scalable context entry", "ATS is enabled in the device, and not in its context entry"},
    {kSmPasidDisabled, "PASIDE of the scalable context entry", "PASID is enabled in the device, and not in its context entry"},
    {kSmPasidBeyondDirectory, "PDTS of the scalable context entry", "a PASID that was never allocated"},
    {kSmPageRequestDisabled, "PRE of the scalable context entry", "page requests are enabled in the device, and not in its context entry"},
    {kSmRidPasid, "RID_PASID and PDTS of the scalable context entry", "a RID_PASID beyond the directory"},
    {kSmPasidDirReserved, "the PASID directory entry, PASIDDIRPTR", "the PASID is not bound, or a corrupt directory"},
    {kSmPasidNotPresent, "the PASID entry, SMPTBLPTR", "the PASID is not bound, or DMA goes on after it was unbound"},
    {kSmPasidInvalid, "the PASID entry: PGTT, AW, FSPM", "a translation type or width that the unit lacks, or a corrupt entry"},
    {kSmExecuteDisabled, "ERE of the PASID entry", "an execute request to an address space that allows none"},
    {kSmSupervisorDisabled, "SRE of the PASID entry", "a privileged request to an address space of a user"},
    {kFsRootAccess, "the first-stage paging entries on the path, FSPTPTR", "the address is not mapped in the process or domain, or a corrupt table"},
    {kNestedAdWrite, "the second-stage mapping of the first-stage tables", "the guest's tables are not mapped, or not writable, in the second stage"},
    {kSsAdNoSnoop, "the second-stage paging entries on the path, SSPTPTR", "not mapped, a corrupt table, or SSADE without PWSNP"},
    {kNotCanonical, "the request's address, FSPM of the PASID entry", "an address that was never one of the process: a corrupt descriptor of the device"},
    {kExecutePermission, "US and XD of the first-stage paging entries on the path", "a page of the kernel, or one without execute right"},
    {kSsBeyondWidth, "AW of the PASID entry, CAP.MGAW", "an address that was not mapped, or one cut or sign-extended"},
    {kSmReadPermission, "RW and R, W of the paging entries on the path", "mapped for the other direction, or a stale IOTLB"},
    {kSmInterruptRange, "the request's address, the result address", "DMA to FEEx_xxxx that is not an interrupt, or a page mapped there"},
    {kFsAdAccess, "PWSNP of the PASID entry, the first-stage tables", "accessed and dirty flags cannot be written: no snooping, or a table in read-only memory"},
};
// clang-format on

constexpr bool advice_in_order() {
  for (std::size_t i = 1; i < std::size(kAdvice); ++i)
    if (kAdvice[i].last <= kAdvice[i - 1].last) return false;
  return kAdvice[std::size(kAdvice) - 1].last == kFaults[std::size(kFaults) - 1].reason;
}
static_assert(advice_in_order(), "kAdvice must follow the codes and end with the last");

const Advice& advice(FaultReason reason) {
  const Advice* row = kAdvice;
  while (row->last < reason) ++row;
  return *row;
}

const char* access_text(const frcd::Entry& record) {
  constexpr const char* kAccess[] = {"write", "page request", "read", "atomic"};
  return kAccess[2 * record.get(frcd::kT1) + record.get(frcd::kT2)];
}

}  // namespace

std::string decode_fault(std::uint64_t high, std::uint64_t low) {
  const frcd::Entry record{{low, high}};
  std::string out = field_lines("FRCD", frcd::kAll, record.words);
  std::uint64_t used[2] = {};
  for (const Field& f : frcd::kAll) used[f.word()] |= f.mask();
  const std::uint64_t unused[2] = {~used[0], ~used[1]};
  if (const std::string bits = bits_set(record.words, unused); !bits.empty())
    out += fmt::format("  reserved bits set: {}\n", bits);

  const SourceId source{static_cast<std::uint16_t>(record.get(frcd::kSID))};
  const std::uint64_t code = record.get(frcd::kFR);
  const FaultInfo& fault = info(static_cast<FaultReason>(code));
  if (fault.reason == FaultReason::kNone) {
    out += record.get(frcd::kF) == 0 ? "no fault is recorded\n" : fmt::format("reason {:#04x} is not known\n", code);
    return out;
  }
  if (fault.cls == FaultClass::kInterrupt) {
    constexpr Field kIndex{"INDEX", 63, 48};
    out += fmt::format("interrupt request of {}, index {:#x} (FI[63:48]), refused\n", source_text(source),
                       kIndex.get(low));
  } else {
    out += fmt::format("{} of {:#x} by {}", access_text(record), record.address(frcd::kFI), source_text(source));
    if (record.get(frcd::kPP) != 0) out += fmt::format(", PASID {:#x}", record.get(frcd::kPV));
    if (record.get(frcd::kPRIV) != 0) out += ", privileged";
    if (record.get(frcd::kEXE) != 0) out += ", execute";
    out += ", refused\n";
  }
  out += fmt::format("reason {:#04x} {}: {}\n", code, fault.name, fault.text);
  out += fmt::format("  look at: {}\n  usual cause: {}\n", advice(fault.reason).where, advice(fault.reason).cause);
  out += fmt::format("  {}recorded when FPD is set; {}recoverable for ATS\n", fault.qualified ? "not " : "",
                     fault.recoverable ? "" : "not ");
  return out;
}

std::string decode_fault(const std::string& high, const std::string& low) {
  const auto word = [](const char* name, const std::string& text) {
    if (const auto value = parse_hex(text)) return *value;
    throw std::invalid_argument(fmt::format("{} '{}' is not a 64-bit number in hex", name, text));
  };
  return decode_fault(word("HIGH", high), word("LOW", low));
}

}  // namespace vtd::sim
