// SPDX-License-Identifier: MIT
// Fault reasons (VT-d 7.1.3, 7.2.3): the code recorded in FRCD.FR, its name and its rules.
#pragma once

#include <cstdint>

namespace vtd {

/// Who raises a fault: decides where in a walk it can appear and how FPD acts.
enum class FaultClass : std::uint8_t { kNone, kLegacy, kScalable, kFirstStage, kSecondStage, kInterrupt };

// X(name, code, class, qualified by FPD, recoverable for ATS, text)
// clang-format off
#define VTD_FAULT_REASONS(X) \
  X(kNone,                       0x00, kNone,        false, false, "no fault") \
  X(kRootNotPresent,             0x01, kLegacy,      false, false, "root entry not present") \
  X(kContextNotPresent,          0x02, kLegacy,      true,  false, "context entry not present") \
  X(kContextInvalid,             0x03, kLegacy,      true,  false, "context entry programming invalid") \
  X(kAddressBeyondWidth,         0x04, kLegacy,      true,  false, "address beyond the supported width") \
  X(kWritePermission,            0x05, kLegacy,      true,  true,  "no write permission") \
  X(kReadPermission,             0x06, kLegacy,      true,  true,  "no read permission") \
  X(kPagingEntryAccess,          0x07, kLegacy,      true,  false, "error reading a paging entry") \
  X(kRootTableAccess,            0x08, kLegacy,      false, false, "error reading the root table") \
  X(kContextTableAccess,         0x09, kLegacy,      false, false, "error reading the context table") \
  X(kRootReserved,               0x0A, kLegacy,      false, false, "reserved bits set in the root entry") \
  X(kContextReserved,            0x0B, kLegacy,      true,  false, "reserved bits set in the context entry") \
  X(kPagingEntryReserved,        0x0C, kLegacy,      true,  false, "reserved bits set in a paging entry") \
  X(kRequestTypeBlocked,         0x0D, kLegacy,      true,  false, "request type blocked by the translation type") \
  X(kInterruptRange,             0x0E, kLegacy,      true,  false, "result address in the interrupt range") \
  X(kIrReservedInRequest,        0x20, kInterrupt,   false, false, "reserved bits set in the interrupt request") \
  X(kIrIndexBeyondTable,         0x21, kInterrupt,   false, false, "interrupt index beyond the table") \
  X(kIrNotPresent,               0x22, kInterrupt,   true,  false, "interrupt entry not present") \
  X(kIrTableAccess,              0x23, kInterrupt,   false, false, "error reading the interrupt table") \
  X(kIrReserved,                 0x24, kInterrupt,   true,  false, "reserved bits set in the interrupt entry") \
  X(kIrCompatibilityBlocked,     0x25, kInterrupt,   false, false, "compatibility-format interrupt blocked") \
  X(kIrSourceValidation,         0x26, kInterrupt,   true,  false, "interrupt source validation failed") \
  X(kIrPostedAccess,             0x27, kInterrupt,   true,  false, "error accessing the posted descriptor") \
  X(kIrPostedReserved,           0x28, kInterrupt,   true,  false, "reserved bits set in the posted descriptor") \
  X(kRootTableAddressInvalid,    0x30, kScalable,    false, false, "root table address or mode invalid") \
  X(kPasidUnderLegacy,           0x31, kScalable,    false, false, "request with PASID under legacy mode") \
  X(kPageGroupUnderLegacy,       0x32, kScalable,    false, false, "page group request under legacy mode") \
  X(kSmRootAccess,               0x38, kScalable,    false, false, "error reading the scalable root entry") \
  X(kSmRootNotPresent,           0x39, kScalable,    false, false, "scalable root entry not present") \
  X(kSmRootReserved,             0x3A, kScalable,    false, false, "reserved bits set in the scalable root entry") \
  X(kSmContextAccess,            0x40, kScalable,    false, false, "error reading the scalable context entry") \
  X(kSmContextNotPresent,        0x41, kScalable,    true,  false, "scalable context entry not present") \
  X(kSmContextReserved,          0x42, kScalable,    true,  false, "reserved bits set in the scalable context entry") \
  X(kSmContextInvalid,           0x43, kScalable,    true,  false, "scalable context entry programming invalid") \
  X(kSmDeviceTlbDisabled,        0x44, kScalable,    true,  false, "translation request with DTE=0") \
  X(kSmPasidDisabled,            0x45, kScalable,    true,  false, "request with PASID with PASIDE=0") \
  X(kSmPasidBeyondDirectory,     0x46, kScalable,    true,  false, "PASID beyond the directory") \
  X(kSmPageRequestDisabled,      0x47, kScalable,    true,  false, "page request with PRE=0") \
  X(kSmRidPasid,                 0x48, kScalable,    true,  false, "RID_PASID error") \
  X(kSmPasidDirAccess,           0x50, kScalable,    false, false, "error reading the PASID directory") \
  X(kSmPasidDirNotPresent,       0x51, kScalable,    true,  false, "PASID directory entry not present") \
  X(kSmPasidDirReserved,         0x52, kScalable,    true,  false, "reserved bits set in the PASID directory entry") \
  X(kSmPasidAccess,              0x58, kScalable,    false, false, "error reading the PASID table") \
  X(kSmPasidNotPresent,          0x59, kScalable,    true,  false, "PASID entry not present") \
  X(kSmPasidReserved,            0x5A, kScalable,    true,  false, "reserved bits set in the PASID entry") \
  X(kSmPasidInvalid,             0x5B, kScalable,    true,  false, "PASID entry programming invalid") \
  X(kSmExecuteDisabled,          0x5C, kScalable,    true,  false, "execute request with ERE=0") \
  X(kSmSupervisorDisabled,       0x5D, kScalable,    true,  false, "supervisor request with SRE=0") \
  X(kFsEntryAccess,              0x70, kFirstStage,  true,  false, "error reading a first-stage entry") \
  X(kFsNotPresent,               0x71, kFirstStage,  true,  true,  "first-stage entry not present") \
  X(kFsReserved,                 0x72, kFirstStage,  true,  false, "reserved bits set in a first-stage entry") \
  X(kFsRootAccess,               0x73, kFirstStage,  true,  false, "error reading the first-stage top table") \
  X(kNestedFsBeyondWidth,        0x74, kFirstStage,  true,  false, "first-stage entry address beyond second-stage width") \
  X(kNestedFsRootRead,           0x75, kFirstStage,  true,  true,  "no second-stage read permission for the first-stage top table") \
  X(kNestedFsTableRead,          0x76, kFirstStage,  true,  true,  "no second-stage read permission for a first-stage table") \
  X(kNestedAdWrite,              0x77, kFirstStage,  true,  true,  "no second-stage write permission for an A/D update") \
  X(kSsEntryAccess,              0x78, kSecondStage, true,  false, "error reading a second-stage entry") \
  X(kSsNotPresent,               0x79, kSecondStage, true,  true,  "second-stage entry not present") \
  X(kSsReserved,                 0x7A, kSecondStage, true,  false, "reserved bits set in a second-stage entry") \
  X(kSsRootAccess,               0x7B, kSecondStage, true,  false, "error reading the second-stage top table") \
  X(kSsAdNoSnoop,                0x7C, kSecondStage, true,  false, "second-stage A/D update needed with PWSNP=0") \
  X(kNotCanonical,               0x80, kFirstStage,  true,  false, "address not canonical") \
  X(kUserPrivilege,              0x81, kFirstStage,  true,  true,  "user request to a supervisor page") \
  X(kExecutePermission,          0x82, kFirstStage,  true,  true,  "no execute permission") \
  X(kFsBeyondWidth,              0x83, kFirstStage,  true,  false, "address beyond the hardware maximum") \
  X(kSsBeyondWidth,              0x84, kSecondStage, true,  false, "second-stage input beyond its width") \
  X(kSmWritePermission,          0x85, kSecondStage, true,  true,  "no write permission (scalable)") \
  X(kSmReadPermission,           0x86, kSecondStage, true,  true,  "no read permission (scalable)") \
  X(kSmInterruptRange,           0x87, kScalable,    true,  false, "result address in the interrupt range (scalable)") \
  X(kFsAdNoSnoop,                0x90, kFirstStage,  true,  false, "first-stage A/D update needed, non-snooped") \
  X(kFsAdAccess,                 0x91, kFirstStage,  true,  false, "error updating A/D of a first-stage entry")
// clang-format on

/// FRCD.FR. kNone (0) is never recorded.
enum class FaultReason : std::uint8_t {
#define VTD_X(name, code, cls, qualified, recoverable, text) name = code,
  VTD_FAULT_REASONS(VTD_X)
#undef VTD_X
};

struct FaultInfo {
  FaultReason reason;
  const char* name;  ///< identifier without the leading k
  FaultClass cls;
  bool qualified;    ///< not recorded when the accumulated FPD is 1
  bool recoverable;  ///< an ATS translation request answers R=W=0 instead of an error
  const char* text;
};

inline constexpr FaultInfo kFaults[] = {
#define VTD_X(name, code, cls, qualified, recoverable, text) \
  {FaultReason::name, &#name[1], FaultClass::cls, qualified, recoverable, text},
    VTD_FAULT_REASONS(VTD_X)
#undef VTD_X
};

/// The row of a reason; the kNone row for a code that has no name.
constexpr const FaultInfo& info(FaultReason reason) {
  for (const FaultInfo& f : kFaults)
    if (f.reason == reason) return f;
  return kFaults[0];
}

}  // namespace vtd
