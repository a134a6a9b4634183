// SPDX-License-Identifier: MIT
// Invalidation descriptors (VT-d 6.5.2) and granularities.
#pragma once

#include <cstdint>

#include "tlm/spec/field.h"

namespace vtd {

/// Descriptor type: bits [3:0], extended by [11:9] as type[6:4] (VT-d 6.5.2).
enum class DescriptorType : std::uint8_t {
  kContextCache = 1,
  kIotlb = 2,
  kDeviceTlb = 3,
  kInterruptEntryCache = 4,
  kWait = 5,
  kPasidIotlb = 6,
  kPasidCache = 7,
  kPasidDeviceTlb = 8,
  kPageGroupResponse = 9,
};

/// CCMD.CIRG and the context-cache descriptor's G (VT-d 11.4.6.1, 6.5.2.1).
enum class ContextGranularity : std::uint8_t { kReserved = 0, kGlobal = 1, kDomain = 2, kDevice = 3 };
/// IOTLB.IIRG and the IOTLB descriptor's G (VT-d 11.4.6.2, 6.5.2.2).
enum class IotlbGranularity : std::uint8_t { kReserved = 0, kGlobal = 1, kDomain = 2, kPage = 3 };
/// PASID-based IOTLB descriptor's G (VT-d 6.5.2.3).
enum class PasidIotlbGranularity : std::uint8_t { kPasid = 2, kPage = 3 };
/// PASID-cache descriptor's G (VT-d 6.5.2.4).
enum class PasidCacheGranularity : std::uint8_t { kDomain = 0, kPasid = 1, kGlobal = 3 };

/// Bytes of one descriptor with IQA.DW = 0 and 1.
inline constexpr unsigned kDescriptorBytes128 = 16;
inline constexpr unsigned kDescriptorBytes256 = 32;

namespace descriptor {
using Entry = Record256;  ///< a 128-bit descriptor uses the two low words
inline constexpr Field kTYPE{"TYPE", 3, 0};
inline constexpr Field kTYPE_HIGH{"TYPE_HIGH", 11, 9};
inline constexpr Field kG{"G", 5, 4};
inline constexpr Field kDID{"DID", 31, 16};

namespace context {
inline constexpr Field kSID{"SID", 47, 32};
inline constexpr Field kFM{"FM", 49, 48};
inline constexpr std::array<std::uint64_t, 2> kUsed{kTYPE.mask() | kG.mask() | kDID.mask() | kSID.mask() | kFM.mask(),
                                                    0};
}  // namespace context

namespace iotlb {
inline constexpr Field kDW{"DW", 6, 6};
inline constexpr Field kDR{"DR", 7, 7};
inline constexpr Field kAM{"AM", 69, 64};
inline constexpr Field kIH{"IH", 70, 70};
inline constexpr Field kADDR{"ADDR", 127, 76};
inline constexpr std::array<std::uint64_t, 2> kUsed{kTYPE.mask() | kG.mask() | kDW.mask() | kDR.mask() | kDID.mask(),
                                                    kAM.mask() | kIH.mask() | kADDR.mask()};
}  // namespace iotlb

namespace device_tlb {
inline constexpr Field kPFSID_LOW{"PFSID_LOW", 15, 12};
inline constexpr Field kMIP{"MIP", 20, 16};
inline constexpr Field kSID{"SID", 47, 32};
inline constexpr Field kPFSID_HIGH{"PFSID_HIGH", 63, 52};
inline constexpr Field kS{"S", 64, 64};
inline constexpr Field kADDR{"ADDR", 127, 76};
inline constexpr std::array<std::uint64_t, 2> kUsed{
    kTYPE.mask() | kPFSID_LOW.mask() | kMIP.mask() | kSID.mask() | kPFSID_HIGH.mask(), kS.mask() | kADDR.mask()};
}  // namespace device_tlb

namespace iec {
inline constexpr Field kG1{"G", 4, 4};  ///< 1 = index-selective, 0 = global
inline constexpr Field kIM{"IM", 31, 27};
inline constexpr Field kIIDX{"IIDX", 47, 32};
inline constexpr std::array<std::uint64_t, 2> kUsed{kTYPE.mask() | kG1.mask() | kIM.mask() | kIIDX.mask(), 0};
}  // namespace iec

namespace wait {
inline constexpr Field kIF{"IF", 4, 4};
inline constexpr Field kSW{"SW", 5, 5};
inline constexpr Field kFN{"FN", 6, 6};
inline constexpr Field kPD{"PD", 7, 7};
inline constexpr Field kSTATUS_DATA{"STATUS_DATA", 63, 32};
inline constexpr Field kSTATUS_ADDR{"STATUS_ADDR", 127, 66};
inline constexpr std::array<std::uint64_t, 2> kUsed{
    kTYPE.mask() | kIF.mask() | kSW.mask() | kFN.mask() | kPD.mask() | kSTATUS_DATA.mask(), kSTATUS_ADDR.mask()};
}  // namespace wait

namespace pasid_iotlb {
inline constexpr Field kPASID{"PASID", 51, 32};
inline constexpr Field kAM{"AM", 69, 64};
inline constexpr Field kIH{"IH", 70, 70};
inline constexpr Field kADDR{"ADDR", 127, 76};
inline constexpr std::array<std::uint64_t, 2> kUsed{kTYPE.mask() | kG.mask() | kDID.mask() | kPASID.mask(),
                                                    kAM.mask() | kIH.mask() | kADDR.mask()};
}  // namespace pasid_iotlb

namespace pasid_cache {
inline constexpr Field kPASID{"PASID", 51, 32};
inline constexpr std::array<std::uint64_t, 2> kUsed{kTYPE.mask() | kG.mask() | kDID.mask() | kPASID.mask(), 0};
}  // namespace pasid_cache

namespace pasid_device_tlb {
inline constexpr Field kMIP{"MIP", 8, 4};
inline constexpr Field kPFSID_LOW{"PFSID_LOW", 15, 12};
inline constexpr Field kSID{"SID", 31, 16};
inline constexpr Field kPASID{"PASID", 51, 32};
inline constexpr Field kPFSID_HIGH{"PFSID_HIGH", 63, 52};
inline constexpr Field kGLOBAL{"GLOBAL", 64, 64};
inline constexpr Field kS{"S", 75, 75};
inline constexpr Field kADDR{"ADDR", 127, 76};
inline constexpr std::array<std::uint64_t, 2> kUsed{
    kTYPE.mask() | kMIP.mask() | kPFSID_LOW.mask() | kSID.mask() | kPASID.mask() | kPFSID_HIGH.mask(),
    kGLOBAL.mask() | kS.mask() | kADDR.mask()};
}  // namespace pasid_device_tlb

namespace page_group_response {
inline constexpr Field kPP{"PP", 4, 4};
inline constexpr Field kRC{"RC", 15, 12};
inline constexpr Field kSID{"SID", 31, 16};
inline constexpr Field kPASID{"PASID", 51, 32};
inline constexpr Field kLPIG{"LPIG", 66, 66};
inline constexpr Field kPRGI{"PRGI", 75, 67};
inline constexpr std::array<std::uint64_t, 2> kUsed{
    kTYPE.mask() | kPP.mask() | kRC.mask() | kSID.mask() | kPASID.mask(), kLPIG.mask() | kPRGI.mask()};
}  // namespace page_group_response
}  // namespace descriptor

/// IQERCD.IQEI: why the queue stopped (VT-d 11.4.9.9; values cross-read, see COMPLIANCE.md).
enum class QueueError : std::uint8_t {
  kNone = 0,
  kInvalidTail = 1,
  kFetch = 2,
  kInvalidType = 3,
  kReservedField = 4,
  kInvalidWidth = 5,
  kMisalignedTail = 6,
  kInvalidTableMode = 7,
};

/// The source-ids that a function mask widens a device-selective invalidation to: FM 0 masks none, 1 bit 2,
/// 2 bits 2:1, 3 bits 2:0 of the function number (VT-d 6.5.2.1).
constexpr std::uint16_t function_mask(unsigned fm) {
  constexpr std::array<std::uint16_t, 4> kMask{0b000, 0b100, 0b110, 0b111};
  return kMask[fm & 3];
}

}  // namespace vtd
