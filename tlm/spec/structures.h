// SPDX-License-Identifier: MIT
// Root, context, PASID and interrupt structures in memory (VT-d 9.1 to 9.6, 9.10, 9.11).
#pragma once

#include <cstdint>

#include "tlm/spec/field.h"
#include "tlm/spec/types.h"

namespace vtd {

/// Root entry, 128 bit, indexed by bus (VT-d 9.1); scalable halves (9.2).
namespace root {
using Entry = Record128;
inline constexpr unsigned kBytes = 16;
inline constexpr Field kP{"P", 0, 0};
inline constexpr Field kCTP{"CTP", 63, 12};
inline constexpr Field kLP{"LP", 0, 0};
inline constexpr Field kLCTP{"LCTP", 63, 12};
inline constexpr Field kUP{"UP", 64, 64};
inline constexpr Field kUCTP{"UCTP", 127, 76};
inline constexpr Field kAll[] = {kP, kCTP, kLP, kLCTP, kUP, kUCTP};
}  // namespace root

/// Legacy context entry, 128 bit, indexed by devfn (VT-d 9.3).
namespace ctx {
using Entry = Record128;
inline constexpr unsigned kBytes = 16;
inline constexpr Field kP{"P", 0, 0};
inline constexpr Field kFPD{"FPD", 1, 1};
inline constexpr Field kTT{"TT", 3, 2};
inline constexpr Field kSSPTPTR{"SSPTPTR", 63, 12};
inline constexpr Field kAW{"AW", 66, 64};
inline constexpr Field kIGN{"IGN", 70, 67};
inline constexpr Field kDID{"DID", 87, 72};
inline constexpr Field kAll[] = {kP, kFPD, kTT, kSSPTPTR, kAW, kIGN, kDID};
/// Bits that must be zero in a present entry: [11:4], 71, [127:88].
inline constexpr std::array<std::uint64_t, 2> kReserved{bit_range(11, 4), bit(7) | bit_range(63, 24)};
}  // namespace ctx

/// ctx::kTT (VT-d 9.3).
enum class TranslationType : std::uint8_t { kUntranslated = 0, kDeviceTlb = 1, kPassThrough = 2, kReserved = 3 };

/// Scalable-mode context entry, 256 bit, indexed by devfn[6:0] (VT-d 9.4).
namespace sctx {
using Entry = Record256;
inline constexpr unsigned kBytes = 32;
inline constexpr Field kP{"P", 0, 0};
inline constexpr Field kFPD{"FPD", 1, 1};
inline constexpr Field kDTE{"DTE", 2, 2};
inline constexpr Field kPASIDE{"PASIDE", 3, 3};
inline constexpr Field kPRE{"PRE", 4, 4};
inline constexpr Field kPDTS{"PDTS", 11, 9};
inline constexpr Field kPASIDDIRPTR{"PASIDDIRPTR", 63, 12};
inline constexpr Field kRID_PASID{"RID_PASID", 83, 64};
inline constexpr Field kRID_PRIV{"RID_PRIV", 84, 84};
inline constexpr Field kAll[] = {kP, kFPD, kDTE, kPASIDE, kPRE, kPDTS, kPASIDDIRPTR, kRID_PASID, kRID_PRIV};
inline constexpr std::array<std::uint64_t, 4> kReserved{bit_range(8, 5), bit_range(63, 21), ~std::uint64_t{0},
                                                        ~std::uint64_t{0}};
}  // namespace sctx
/// PASIDs that a directory of 2^(PDTS+7) entries covers: 64 each.
constexpr std::uint32_t pasids_of_pdts(unsigned pdts) {
  return std::uint32_t{1} << (pdts + 13);
}

/// PASID directory entry, 64 bit, indexed by PASID[19:6] (VT-d 9.5).
namespace pasid_dir {
using Entry = Record<1>;
inline constexpr unsigned kBytes = 8;
inline constexpr Field kP{"P", 0, 0};
inline constexpr Field kFPD{"FPD", 1, 1};
inline constexpr Field kSMPTBLPTR{"SMPTBLPTR", 63, 12};
inline constexpr Field kAll[] = {kP, kFPD, kSMPTBLPTR};
inline constexpr std::array<std::uint64_t, 1> kReserved{bit_range(11, 2)};
inline constexpr Field kIndex{"PASID_DIR_INDEX", 19, 6};  ///< of a PASID
}  // namespace pasid_dir

/// PASID table entry, 512 bit, indexed by PASID[5:0] (VT-d 9.6).
namespace pasid {
using Entry = Record512;
inline constexpr unsigned kBytes = 64;
inline constexpr Field kP{"P", 0, 0};
inline constexpr Field kFPD{"FPD", 1, 1};
inline constexpr Field kAW{"AW", 4, 2};
inline constexpr Field kPGTT{"PGTT", 8, 6};
inline constexpr Field kSSADE{"SSADE", 9, 9};
inline constexpr Field kSSPTPTR{"SSPTPTR", 63, 12};
inline constexpr Field kDID{"DID", 79, 64};
inline constexpr Field kPWSNP{"PWSNP", 87, 87};
inline constexpr Field kPGSNP{"PGSNP", 88, 88};
inline constexpr Field kCD{"CD", 89, 89};
inline constexpr Field kEMTE{"EMTE", 90, 90};
inline constexpr Field kPAT{"PAT", 127, 96};
inline constexpr Field kSRE{"SRE", 128, 128};
inline constexpr Field kERE{"ERE", 129, 129};  ///< only with ECAP.ERS (revisions before 4); else reserved
inline constexpr Field kFSPM{"FSPM", 131, 130};
inline constexpr Field kWPE{"WPE", 132, 132};
inline constexpr Field kEAFE{"EAFE", 135, 135};
inline constexpr Field kFSPTPTR{"FSPTPTR", 191, 140};
inline constexpr Field kAll[] = {kP,  kFPD,  kAW,  kPGTT, kSSADE, kSSPTPTR, kDID, kPWSNP, kPGSNP,
                                 kCD, kEMTE, kPAT, kSRE,  kERE,   kFSPM,    kWPE, kEAFE,  kFSPTPTR};
inline constexpr Field kIndex{"PASID_TABLE_INDEX", 5, 0};  ///< of a PASID
/// Bits that must be zero in any present entry: 5, [11:10]; [86:80], [95:91]; [139:136]; words 3 to 7. Bits
/// [134:133] are ignored.
inline constexpr std::array<std::uint64_t, 8> kReserved{
    bit(5) | bit_range(11, 10), bit_range(22, 16) | bit_range(31, 27),
    bit_range(11, 8),           ~std::uint64_t{0},
    ~std::uint64_t{0},          ~std::uint64_t{0},
    ~std::uint64_t{0},          ~std::uint64_t{0}};
}  // namespace pasid

/// pasid::kPGTT (VT-d 9.6).
enum class PasidTranslation : std::uint8_t { kFirstStage = 1, kSecondStage = 2, kNested = 3, kPassThrough = 4 };

/// Interrupt remapping table entry, 128 bit (VT-d 9.10), and its posted form (9.11).
namespace irte {
using Entry = Record128;
inline constexpr unsigned kBytes = 16;
inline constexpr Field kP{"P", 0, 0};
inline constexpr Field kFPD{"FPD", 1, 1};
inline constexpr Field kDM{"DM", 2, 2};
inline constexpr Field kRH{"RH", 3, 3};
inline constexpr Field kTM{"TM", 4, 4};
inline constexpr Field kDLM{"DLM", 7, 5};
inline constexpr Field kAVAIL{"AVAIL", 11, 8};
inline constexpr Field kURG{"URG", 14, 14};
inline constexpr Field kIM{"IM", 15, 15};
inline constexpr Field kV{"V", 23, 16};
inline constexpr Field kDST{"DST", 63, 32};
inline constexpr Field kPDAL{"PDAL", 63, 38};
inline constexpr Field kSID{"SID", 79, 64};
inline constexpr Field kSQ{"SQ", 81, 80};
inline constexpr Field kSVT{"SVT", 83, 82};
inline constexpr Field kXAPIC_DST{"XAPIC_DST", 47, 40};  ///< DST without extended interrupt mode
/// Bits that must be zero in a present entry: remapped (bits [14:12], [31:24], [127:84]), posted (bits [7:2],
/// [13:12], [37:24], [95:84]).
inline constexpr std::array<std::uint64_t, 2> kReserved{bit_range(14, 12) | bit_range(31, 24), bit_range(63, 20)};
inline constexpr std::array<std::uint64_t, 2> kReservedPosted{bit_range(7, 2) | bit_range(13, 12) | bit_range(37, 24),
                                                              bit_range(31, 20)};
inline constexpr Field kPDAH{"PDAH", 127, 96};
inline constexpr Field kAll[] = {kP,  kFPD, kDM,  kRH,   kTM,  kDLM, kAVAIL, kURG,
                                 kIM, kV,   kDST, kPDAL, kSID, kSQ,  kSVT,   kPDAH};
}  // namespace irte
/// irte::kSVT.
enum class SourceValidation : std::uint8_t { kNone = 0, kSource = 1, kBusRange = 2, kReserved = 3 };

/// Interrupt request: address FEEx_xxxx and data of a 32-bit write (VT-d 5.1.2), remappable form; and the message
/// that leaves the unit (Intel SDM 10.11).
namespace interrupt_request {
inline constexpr Field kHANDLE_HIGH{"HANDLE_HIGH", 2, 2};  ///< handle[15]
inline constexpr Field kSHV{"SHV", 3, 3};
inline constexpr Field kFORMAT{"FORMAT", 4, 4};  ///< 1 remappable, 0 compatibility
inline constexpr Field kHANDLE{"HANDLE", 19, 5};
inline constexpr Field kSUBHANDLE{"SUBHANDLE", 15, 0};  ///< of the data
inline constexpr Field kADDRESS_MBZ{"ADDRESS_MBZ", 1, 0};
inline constexpr Field kDATA_MBZ{"DATA_MBZ", 31, 16};  ///< of the data; all of it without SHV
// ---- message out ----
inline constexpr Field kDM{"DM", 2, 2};
inline constexpr Field kRH{"RH", 3, 3};
inline constexpr Field kDST{"DST", 19, 12};
inline constexpr Field kDST_UPPER{"DST_UPPER", 63, 40};  ///< destination[31:8], extended mode
inline constexpr Field kVECTOR{"VECTOR", 7, 0};
inline constexpr Field kDLM{"DLM", 10, 8};
inline constexpr Field kLEVEL{"LEVEL", 14, 14};
inline constexpr Field kTRIGGER{"TRIGGER", 15, 15};
}  // namespace interrupt_request

/// Posted interrupt descriptor, 512 bit, 64-byte aligned (VT-d 9.11).
namespace posted {
using Entry = Record512;
inline constexpr unsigned kBytes = 64;
inline constexpr Field kON{"ON", 256, 256};
inline constexpr Field kSN{"SN", 257, 257};
inline constexpr Field kNV{"NV", 279, 272};
inline constexpr Field kNDST{"NDST", 319, 288};
inline constexpr Field kAll[] = {kON, kSN, kNV, kNDST};
inline constexpr unsigned kControlWord = 4;  ///< the 64-bit word of ON, SN, NV, NDST; words 0..3 are the PIR
inline constexpr std::uint64_t kReservedInControl = ~(kON.mask() | kSN.mask() | kNV.mask() | kNDST.mask());
}  // namespace posted

/// Page request descriptor, 256 bit (VT-d 7.5.1.1).
namespace page_request {
using Entry = Record256;
inline constexpr unsigned kBytes = 32;
inline constexpr Field kTYPE{"TYPE", 7, 0};
inline constexpr Field kPASID_PRESENT{"PASID_PRESENT", 8, 8};
inline constexpr Field kPRIV_DATA{"PRIV_DATA", 9, 9};
inline constexpr Field kRID{"RID", 31, 16};
inline constexpr Field kPASID{"PASID", 51, 32};
inline constexpr Field kEXE{"EXE", 52, 52};
inline constexpr Field kPRIV{"PRIV", 53, 53};
inline constexpr Field kR{"R", 64, 64};
inline constexpr Field kW{"W", 65, 65};
inline constexpr Field kLPIG{"LPIG", 66, 66};
inline constexpr Field kPRGI{"PRGI", 75, 67};
inline constexpr Field kADDR{"ADDR", 127, 76};
inline constexpr Field kAll[] = {kTYPE, kPASID_PRESENT, kPRIV_DATA, kRID, kPASID, kEXE, kPRIV, kR,
                                 kW,    kLPIG,          kPRGI,      kADDR};
}  // namespace page_request

}  // namespace vtd
