// SPDX-License-Identifier: MIT
// The register map of one remapping unit (VT-d 11.4): the only offsets in the tree.
#pragma once

#include <cstdint>
#include <span>

#include "tlm/spec/capability.h"
#include "tlm/spec/field.h"

namespace vtd {

/// How software sees a field. S: sticky, kept by a warm unit reset, cleared by a cold one.
enum class RegAccess : std::uint8_t { kRO, kRW, kWO, kRW1C, kRW1CS, kROS };

struct RegField {
  Field field;
  RegAccess access;
  std::uint64_t reset = 0;
};

namespace reg {
inline constexpr Field kMAX{"MAX", 7, 4};
inline constexpr Field kMIN{"MIN", 3, 0};
}  // namespace reg

/// GCMD (WO) and GSTS (RO) share bit positions (VT-d 11.4.4.1, 11.4.4.2).
namespace gcmd {
inline constexpr Field kTE{"TE", 31, 31};
inline constexpr Field kSRTP{"SRTP", 30, 30};
inline constexpr Field kSFL{"SFL", 29, 29};
inline constexpr Field kEAFL{"EAFL", 28, 28};
inline constexpr Field kWBF{"WBF", 27, 27};
inline constexpr Field kQIE{"QIE", 26, 26};
inline constexpr Field kIRE{"IRE", 25, 25};
inline constexpr Field kSIRTP{"SIRTP", 24, 24};
inline constexpr Field kCFI{"CFI", 23, 23};
/// Commands that act once and are not echoed by the next write.
inline constexpr std::uint64_t kOneShot = kSRTP.mask() | kSFL.mask() | kWBF.mask() | kSIRTP.mask();
inline constexpr std::uint64_t kPersistent = kTE.mask() | kEAFL.mask() | kQIE.mask() | kIRE.mask() | kCFI.mask();
}  // namespace gcmd
namespace gsts {
inline constexpr Field kTES{"TES", 31, 31};
inline constexpr Field kRTPS{"RTPS", 30, 30};
inline constexpr Field kFLS{"FLS", 29, 29};
inline constexpr Field kAFLS{"AFLS", 28, 28};
inline constexpr Field kWBFS{"WBFS", 27, 27};
inline constexpr Field kQIES{"QIES", 26, 26};
inline constexpr Field kIRES{"IRES", 25, 25};
inline constexpr Field kIRTPS{"IRTPS", 24, 24};
inline constexpr Field kCFIS{"CFIS", 23, 23};
}  // namespace gsts
namespace rtaddr {
inline constexpr Field kRTA{"RTA", 63, 12};
inline constexpr Field kTTM{"TTM", 11, 10};
}  // namespace rtaddr
namespace ccmd {
inline constexpr Field kICC{"ICC", 63, 63};
inline constexpr Field kCIRG{"CIRG", 62, 61};
inline constexpr Field kCAIG{"CAIG", 60, 59};
inline constexpr Field kFM{"FM", 33, 32};
inline constexpr Field kSID{"SID", 31, 16};
inline constexpr Field kDID{"DID", 15, 0};
}  // namespace ccmd
namespace fsts {
inline constexpr Field kPFO{"PFO", 0, 0};
inline constexpr Field kPPF{"PPF", 1, 1};
inline constexpr Field kAFO{"AFO", 2, 2};
inline constexpr Field kAPF{"APF", 3, 3};
inline constexpr Field kIQE{"IQE", 4, 4};
inline constexpr Field kICE{"ICE", 5, 5};
inline constexpr Field kITE{"ITE", 6, 6};
inline constexpr Field kPRO{"PRO", 7, 7};
inline constexpr Field kFRI{"FRI", 15, 8};
}  // namespace fsts
/// FECTL, IECTL, PECTL (VT-d 11.4.7.2 and alike).
namespace ectl {
inline constexpr Field kIM{"IM", 31, 31};
inline constexpr Field kIP{"IP", 30, 30};
}  // namespace ectl
namespace eaddr {
inline constexpr Field kDATA{"DATA", 31, 0};
inline constexpr Field kADDR{"ADDR", 31, 2};
inline constexpr Field kUADDR{"UADDR", 31, 0};
}  // namespace eaddr
namespace aflog {
inline constexpr Field kFLA{"FLA", 63, 12};
inline constexpr Field kFLS{"FLS", 11, 9};
}  // namespace aflog
namespace pmen {
inline constexpr Field kEPM{"EPM", 31, 31};
inline constexpr Field kPRS{"PRS", 0, 0};
}  // namespace pmen
namespace iq {
inline constexpr Field kQH{"QH", 18, 4};
inline constexpr Field kQT{"QT", 18, 4};
inline constexpr Field kIQA{"IQA", 63, 12};
inline constexpr Field kDW{"DW", 11, 11};
inline constexpr Field kQS{"QS", 2, 0};
inline constexpr Field kIWC{"IWC", 0, 0};
inline constexpr Field kICESID{"ICESID", 63, 48};
inline constexpr Field kITESID{"ITESID", 47, 32};
inline constexpr Field kIQEI{"IQEI", 3, 0};
/// Bytes of the ring for an IQA value: 2^(QS+8) descriptors of 16 byte, 2^(QS+7) of 32: the same size.
constexpr std::uint64_t ring_bytes(std::uint64_t iqa) {
  return std::uint64_t{1} << (12 + kQS.get(iqa));
}
}  // namespace iq
namespace irta {
inline constexpr Field kIRTA{"IRTA", 63, 12};
inline constexpr Field kEIME{"EIME", 11, 11};
inline constexpr Field kS{"S", 3, 0};
/// Entries of the interrupt remapping table: 2^(S+1).
constexpr std::uint32_t entries(std::uint64_t irta_value) {
  return std::uint32_t{2} << kS.get(irta_value);
}
}  // namespace irta
namespace prq {
inline constexpr Field kPQH{"PQH", 18, 5};
inline constexpr Field kPQT{"PQT", 18, 5};
inline constexpr Field kPQA{"PQA", 63, 12};
inline constexpr Field kPQS{"PQS", 2, 0};
inline constexpr Field kPPR{"PPR", 0, 0};
inline constexpr Field kPRO{"PRO", 1, 1};
/// Bytes of the ring for a PQA value: 2^(PQS+7) descriptors of 32 byte.
constexpr std::uint64_t ring_bytes(std::uint64_t pqa) {
  return std::uint64_t{1} << (12 + kPQS.get(pqa));
}
}  // namespace prq
namespace perf {
inline constexpr Field kCOUNTERS{"COUNTERS", 15, 0};
inline constexpr Field kWIDTH{"WIDTH", 22, 16};
inline constexpr Field kGROUPS{"GROUPS", 28, 24};
inline constexpr Field kFILTERS{"FILTERS", 36, 32};
inline constexpr Field kINTERRUPT{"INTERRUPT", 50, 50};
inline constexpr Field kSTRIDE{"STRIDE", 54, 52};
inline constexpr Field kOFFSET{"OFFSET", 31, 0};
inline constexpr Field kPIS{"PIS", 0, 0};  ///< PERFINTRSTS
// ---- configuration register of a counter ----
inline constexpr Field kINT{"INT", 1, 1};               ///< interrupt when it overflows
inline constexpr Field kEGI{"EGI", 11, 8};              ///< event group
inline constexpr Field kES{"ES", 59, 32};               ///< events that count, one bit each
inline constexpr unsigned kConfigurationBytes = 0x100;  ///< from one counter's configuration to the next
inline constexpr unsigned kEventCapabilityBytes = 8;    ///< from one group's PERFEVNTCAP to the next
// ---- this unit: what its PERFCAP and offset registers say, and its events (groups and bits as Linux names them) ----
inline constexpr unsigned kCounterCount = 2;
inline constexpr unsigned kCounterWidth = 48;
inline constexpr unsigned kGroupCount = 5;
inline constexpr unsigned kConfigurationOffset = 0x700;
inline constexpr unsigned kOverflowOffset = 0x900;
inline constexpr unsigned kCounterOffset = 0xA00;
inline constexpr unsigned kCounterStride = 0x400;  ///< PERFCAP.STRIDE = 0
struct Event {
  unsigned group;
  std::uint64_t bit;
};
inline constexpr Event kRequests{0, 0x002};
inline constexpr Event kMemoryReads{1, 0x001};  ///< of root, context, PASID and paging entries
inline constexpr Event kPageRequestPosted{1, 0x040};
inline constexpr Event kContextLookup{2, 0x001};
inline constexpr Event kContextHit{2, 0x002};
inline constexpr Event kPasidLookup{2, 0x004};
inline constexpr Event kPasidHit{2, 0x008};
inline constexpr Event kIotlbLookup{3, 0x001};
inline constexpr Event kIotlbHit{3, 0x002};
inline constexpr Event kInterruptLookup{4, 0x001};
inline constexpr Event kEvents[] = {kRequests,    kMemoryReads, kPageRequestPosted, kContextLookup, kContextHit,
                                    kPasidLookup, kPasidHit,    kIotlbLookup,       kIotlbHit,      kInterruptLookup};
constexpr std::uint64_t events_of_group(unsigned group) {
  std::uint64_t events = 0;
  for (const Event& e : kEvents)
    if (e.group == group) events |= e.bit;
  return events;
}
constexpr std::uint64_t capability() {
  return kCOUNTERS.of(kCounterCount) | kWIDTH.of(kCounterWidth) | kGROUPS.of(kGroupCount) | kINTERRUPT.of(1);
}
}  // namespace perf
namespace ecmd {
inline constexpr Field kCMD{"CMD", 7, 0};
inline constexpr Field kOA{"OA", 63, 16};
inline constexpr Field kOB{"OB", 63, 0};
inline constexpr Field kIP{"IP", 0, 0};
inline constexpr Field kSTATUS{"STATUS", 7, 1};  ///< 0 success
inline constexpr std::uint64_t kInvalidCommand = 1;
inline constexpr std::uint64_t kInvalidOperand = 2;
inline constexpr Field kECNTS{"ECNTS", 48, 48};    ///< ECCAP3: enable counter
inline constexpr Field kDCNTS{"DCNTS", 49, 49};    ///< disable counter
inline constexpr Field kFCNTS{"FCNTS", 52, 52};    ///< freeze counters
inline constexpr Field kUFCNTS{"UFCNTS", 53, 53};  ///< unfreeze counters
inline constexpr std::uint64_t kEnableCounters = 0xF0;
inline constexpr std::uint64_t kDisableCounters = 0xF1;
inline constexpr std::uint64_t kFreezeCounters = 0xF4;
inline constexpr std::uint64_t kUnfreezeCounters = 0xF5;
}  // namespace ecmd
namespace iva {
inline constexpr Field kADDR{"ADDR", 63, 12};
inline constexpr Field kIH{"IH", 6, 6};
inline constexpr Field kAM{"AM", 5, 0};
}  // namespace iva
namespace iotlb_reg {
inline constexpr Field kIVT{"IVT", 63, 63};
inline constexpr Field kIIRG{"IIRG", 61, 60};
inline constexpr Field kIAIG{"IAIG", 58, 57};
inline constexpr Field kDR{"DR", 49, 49};
inline constexpr Field kDW{"DW", 48, 48};
inline constexpr Field kDID{"DID", 47, 32};
}  // namespace iotlb_reg
/// Fault recording register, 128 bit (VT-d 11.4.14.1). T1/T2: 1,0 read; 0,0 write; 0,1 page request; 1,1 atomic.
namespace frcd {
using Entry = Record128;
inline constexpr unsigned kBytes = 16;
inline constexpr Field kFI{"FI", 63, 12};
inline constexpr Field kSID{"SID", 79, 64};
inline constexpr Field kT2{"T2", 92, 92};
inline constexpr Field kPRIV{"PRIV", 93, 93};
inline constexpr Field kEXE{"EXE", 94, 94};
inline constexpr Field kPP{"PP", 95, 95};
inline constexpr Field kFR{"FR", 103, 96};
inline constexpr Field kPV{"PV", 123, 104};
inline constexpr Field kAT{"AT", 125, 124};
inline constexpr Field kT1{"T1", 126, 126};
inline constexpr Field kF{"F", 127, 127};
inline constexpr Field kAll[] = {kFI, kSID, kT2, kPRIV, kEXE, kPP, kFR, kPV, kAT, kT1, kF};
}  // namespace frcd

/// Registers at fixed offsets, and IVA/IOTLB, which a profile places (ECAP.IRO). Fault recording
/// registers (CAP.FRO) form an array and are not in this list.
enum class RegId : std::uint8_t {
  kVER,
  kCAP,
  kECAP,
  kGCMD,
  kGSTS,
  kRTADDR,
  kCCMD,
  kFSTS,
  kFECTL,
  kFEDATA,
  kFEADDR,
  kFEUADDR,
  kAFLOG,
  kPMEN,
  kPLMBASE,
  kPLMLIMIT,
  kPHMBASE,
  kPHMLIMIT,
  kIQH,
  kIQT,
  kIQA,
  kICS,
  kIECTL,
  kIEDATA,
  kIEADDR,
  kIEUADDR,
  kIQERCD,
  kIRTA,
  kPQH,
  kPQT,
  kPQA,
  kPRS,
  kPECTL,
  kPEDATA,
  kPEADDR,
  kPEUADDR,
  kPERFCAP,
  kPERFCFGOFF,
  kPERFOVFOFF,
  kPERFCNTROFF,
  kPERFINTRSTS,
  kPERFINTRCTL,
  kPERFINTRDATA,
  kPERFINTRADDR,
  kPERFINTRUADDR,
  kPERFEVNTCAP,
  kECMD,
  kECEO,
  kECRSP,
  kECCAP0,
  kECCAP1,
  kECCAP2,
  kECCAP3,
  kIVA,
  kIOTLB,
  kCount
};
inline constexpr std::size_t kRegCount = static_cast<std::size_t>(RegId::kCount);

struct Register {
  RegId id;
  const char* name;
  std::uint16_t offset;  ///< bytes; kPlaced for IVA and IOTLB
  std::uint8_t bits;     ///< 32 or 64
  std::span<const RegField> fields;
  const char* section;  ///< VT-d section
  static constexpr std::uint16_t kPlaced = 0xFFFF;
};

namespace reg_fields {
using enum RegAccess;
inline constexpr RegField kVer[] = {{reg::kMAX, kRO}, {reg::kMIN, kRO}};
inline constexpr RegField kCap[] = {{{"CAP", 63, 0}, kRO}};
inline constexpr RegField kEcap[] = {{{"ECAP", 63, 0}, kRO}};
inline constexpr RegField kGcmd[] = {{gcmd::kTE, kWO},   {gcmd::kSRTP, kWO},  {gcmd::kSFL, kWO},
                                     {gcmd::kEAFL, kWO}, {gcmd::kWBF, kWO},   {gcmd::kQIE, kWO},
                                     {gcmd::kIRE, kWO},  {gcmd::kSIRTP, kWO}, {gcmd::kCFI, kWO}};
inline constexpr RegField kGsts[] = {{gsts::kTES, kRO},  {gsts::kRTPS, kRO},  {gsts::kFLS, kRO},
                                     {gsts::kAFLS, kRO}, {gsts::kWBFS, kRO},  {gsts::kQIES, kRO},
                                     {gsts::kIRES, kRO}, {gsts::kIRTPS, kRO}, {gsts::kCFIS, kRO}};
inline constexpr RegField kRtaddr[] = {{rtaddr::kRTA, kRW}, {rtaddr::kTTM, kRW}};
inline constexpr RegField kCcmd[] = {{ccmd::kICC, kRW}, {ccmd::kCIRG, kRW}, {ccmd::kCAIG, kRO},
                                     {ccmd::kFM, kWO},  {ccmd::kSID, kWO},  {ccmd::kDID, kRW}};
inline constexpr RegField kFsts[] = {{fsts::kPFO, kRW1CS}, {fsts::kPPF, kROS},   {fsts::kAFO, kRO},
                                     {fsts::kAPF, kRO},    {fsts::kIQE, kRW1CS}, {fsts::kICE, kRW1CS},
                                     {fsts::kITE, kRW1CS}, {fsts::kPRO, kRO},    {fsts::kFRI, kROS}};
inline constexpr RegField kEctl[] = {{ectl::kIM, kRW, 1}, {ectl::kIP, kRO}};
inline constexpr RegField kEdata[] = {{eaddr::kDATA, kRW}};
inline constexpr RegField kEaddr[] = {{eaddr::kADDR, kRW}};
inline constexpr RegField kEuaddr[] = {{eaddr::kUADDR, kRW}};
inline constexpr RegField kAflog[] = {{aflog::kFLA, kRO}, {aflog::kFLS, kRO}};
inline constexpr RegField kPmen[] = {{pmen::kEPM, kRW}, {pmen::kPRS, kRO}};
inline constexpr RegField kPlm[] = {{{"ADDR", 31, 20}, kRW}};
inline constexpr RegField kPhm[] = {{{"ADDR", 63, 20}, kRW}};
inline constexpr RegField kIqh[] = {{iq::kQH, kRO}};
inline constexpr RegField kIqt[] = {{iq::kQT, kRW}};
inline constexpr RegField kIqa[] = {{iq::kIQA, kRW}, {iq::kDW, kRW}, {iq::kQS, kRW}};
inline constexpr RegField kIcs[] = {{iq::kIWC, kRW1CS}};
inline constexpr RegField kIqercd[] = {{iq::kICESID, kROS}, {iq::kITESID, kROS}, {iq::kIQEI, kROS}};
inline constexpr RegField kIrta[] = {{irta::kIRTA, kRW}, {irta::kEIME, kRW}, {irta::kS, kRW}};
inline constexpr RegField kPqh[] = {{prq::kPQH, kRW}};
inline constexpr RegField kPqt[] = {{prq::kPQT, kRO}};
inline constexpr RegField kPqa[] = {{prq::kPQA, kRW}, {prq::kPQS, kRW}};
inline constexpr RegField kPrs[] = {{prq::kPPR, kRW1CS}, {prq::kPRO, kRW1CS}};
inline constexpr RegField kPerfcap[] = {{perf::kCOUNTERS, kRO}, {perf::kWIDTH, kRO},     {perf::kGROUPS, kRO},
                                        {perf::kFILTERS, kRO},  {perf::kINTERRUPT, kRO}, {perf::kSTRIDE, kRO}};
inline constexpr RegField kOffset32[] = {{perf::kOFFSET, kRO}};
inline constexpr RegField kPerfSts[] = {{perf::kPIS, kRW1CS}};
inline constexpr RegField kRo64[] = {{{"VALUE", 63, 0}, kRO}};
inline constexpr RegField kEcmdF[] = {{ecmd::kCMD, kRW}, {ecmd::kOA, kRW}};
inline constexpr RegField kEceo[] = {{ecmd::kOB, kRW}};
inline constexpr RegField kEcrsp[] = {{ecmd::kIP, kRO}, {ecmd::kSTATUS, kRO}};
inline constexpr RegField kIva[] = {{iva::kADDR, kWO}, {iva::kIH, kWO}, {iva::kAM, kWO}};
inline constexpr RegField kIotlb[] = {{iotlb_reg::kIVT, kRW}, {iotlb_reg::kIIRG, kRW}, {iotlb_reg::kIAIG, kRO},
                                      {iotlb_reg::kDR, kRW},  {iotlb_reg::kDW, kRW},   {iotlb_reg::kDID, kRW}};
}  // namespace reg_fields

inline constexpr Register kRegisters[kRegCount] = {
    {RegId::kVER, "VER", 0x000, 32, reg_fields::kVer, "11.4.1"},
    {RegId::kCAP, "CAP", 0x008, 64, reg_fields::kCap, "11.4.2"},
    {RegId::kECAP, "ECAP", 0x010, 64, reg_fields::kEcap, "11.4.3"},
    {RegId::kGCMD, "GCMD", 0x018, 32, reg_fields::kGcmd, "11.4.4.1"},
    {RegId::kGSTS, "GSTS", 0x01C, 32, reg_fields::kGsts, "11.4.4.2"},
    {RegId::kRTADDR, "RTADDR", 0x020, 64, reg_fields::kRtaddr, "11.4.5"},
    {RegId::kCCMD, "CCMD", 0x028, 64, reg_fields::kCcmd, "11.4.6.1"},
    {RegId::kFSTS, "FSTS", 0x034, 32, reg_fields::kFsts, "11.4.7.1"},
    {RegId::kFECTL, "FECTL", 0x038, 32, reg_fields::kEctl, "11.4.7.2"},
    {RegId::kFEDATA, "FEDATA", 0x03C, 32, reg_fields::kEdata, "11.4.7.3"},
    {RegId::kFEADDR, "FEADDR", 0x040, 32, reg_fields::kEaddr, "11.4.7.4"},
    {RegId::kFEUADDR, "FEUADDR", 0x044, 32, reg_fields::kEuaddr, "11.4.7.5"},
    {RegId::kAFLOG, "AFLOG", 0x058, 64, reg_fields::kAflog, "11.4.7.6"},
    {RegId::kPMEN, "PMEN", 0x064, 32, reg_fields::kPmen, "11.4.8.1"},
    {RegId::kPLMBASE, "PLMBASE", 0x068, 32, reg_fields::kPlm, "11.4.8.2"},
    {RegId::kPLMLIMIT, "PLMLIMIT", 0x06C, 32, reg_fields::kPlm, "11.4.8.3"},
    {RegId::kPHMBASE, "PHMBASE", 0x070, 64, reg_fields::kPhm, "11.4.8.4"},
    {RegId::kPHMLIMIT, "PHMLIMIT", 0x078, 64, reg_fields::kPhm, "11.4.8.5"},
    {RegId::kIQH, "IQH", 0x080, 64, reg_fields::kIqh, "11.4.9.1"},
    {RegId::kIQT, "IQT", 0x088, 64, reg_fields::kIqt, "11.4.9.2"},
    {RegId::kIQA, "IQA", 0x090, 64, reg_fields::kIqa, "11.4.9.3"},
    {RegId::kICS, "ICS", 0x09C, 32, reg_fields::kIcs, "11.4.9.4"},
    {RegId::kIECTL, "IECTL", 0x0A0, 32, reg_fields::kEctl, "11.4.9.5"},
    {RegId::kIEDATA, "IEDATA", 0x0A4, 32, reg_fields::kEdata, "11.4.9.6"},
    {RegId::kIEADDR, "IEADDR", 0x0A8, 32, reg_fields::kEaddr, "11.4.9.7"},
    {RegId::kIEUADDR, "IEUADDR", 0x0AC, 32, reg_fields::kEuaddr, "11.4.9.8"},
    {RegId::kIQERCD, "IQERCD", 0x0B0, 64, reg_fields::kIqercd, "11.4.9.9"},
    {RegId::kIRTA, "IRTA", 0x0B8, 64, reg_fields::kIrta, "11.4.10"},
    {RegId::kPQH, "PQH", 0x0C0, 64, reg_fields::kPqh, "11.4.11.1"},
    {RegId::kPQT, "PQT", 0x0C8, 64, reg_fields::kPqt, "11.4.11.2"},
    {RegId::kPQA, "PQA", 0x0D0, 64, reg_fields::kPqa, "11.4.11.3"},
    {RegId::kPRS, "PRS", 0x0DC, 32, reg_fields::kPrs, "11.4.11.4"},
    {RegId::kPECTL, "PECTL", 0x0E0, 32, reg_fields::kEctl, "11.4.11.5"},
    {RegId::kPEDATA, "PEDATA", 0x0E4, 32, reg_fields::kEdata, "11.4.11.6"},
    {RegId::kPEADDR, "PEADDR", 0x0E8, 32, reg_fields::kEaddr, "11.4.11.7"},
    {RegId::kPEUADDR, "PEUADDR", 0x0EC, 32, reg_fields::kEuaddr, "11.4.11.8"},
    {RegId::kPERFCAP, "PERFCAP", 0x300, 64, reg_fields::kPerfcap, "11.4.13.1"},
    {RegId::kPERFCFGOFF, "PERFCFGOFF", 0x310, 32, reg_fields::kOffset32, "11.4.13.2"},
    {RegId::kPERFOVFOFF, "PERFOVFOFF", 0x318, 32, reg_fields::kOffset32, "11.4.13.4"},
    {RegId::kPERFCNTROFF, "PERFCNTROFF", 0x31C, 32, reg_fields::kOffset32, "11.4.13.5"},
    {RegId::kPERFINTRSTS, "PERFINTRSTS", 0x324, 32, reg_fields::kPerfSts, "11.4.13.6"},
    {RegId::kPERFINTRCTL, "PERFINTRCTL", 0x328, 32, reg_fields::kEctl, "11.4.13.7"},
    {RegId::kPERFINTRDATA, "PERFINTRDATA", 0x32C, 32, reg_fields::kEdata, "11.4.13.8"},
    {RegId::kPERFINTRADDR, "PERFINTRADDR", 0x330, 32, reg_fields::kEaddr, "11.4.13.9"},
    {RegId::kPERFINTRUADDR, "PERFINTRUADDR", 0x334, 32, reg_fields::kEuaddr, "11.4.13.10"},
    {RegId::kPERFEVNTCAP, "PERFEVNTCAP", 0x380, 64, reg_fields::kRo64, "11.4.13.11"},
    {RegId::kECMD, "ECMD", 0x400, 64, reg_fields::kEcmdF, "11.4.15.1"},
    {RegId::kECEO, "ECEO", 0x408, 64, reg_fields::kEceo, "11.4.15.2"},
    {RegId::kECRSP, "ECRSP", 0x410, 64, reg_fields::kEcrsp, "11.4.15.3"},
    {RegId::kECCAP0, "ECCAP0", 0x430, 64, reg_fields::kRo64, "11.4.15.5"},
    {RegId::kECCAP1, "ECCAP1", 0x438, 64, reg_fields::kRo64, "11.4.15.6"},
    {RegId::kECCAP2, "ECCAP2", 0x440, 64, reg_fields::kRo64, "11.4.15.7"},
    {RegId::kECCAP3, "ECCAP3", 0x448, 64, reg_fields::kRo64, "11.4.15.8"},
    {RegId::kIVA, "IVA", Register::kPlaced, 64, reg_fields::kIva, "11.4.6.3"},
    {RegId::kIOTLB, "IOTLB", Register::kPlaced, 64, reg_fields::kIotlb, "11.4.6.2"},
};

constexpr bool registers_in_order() {
  for (std::size_t i = 0; i < kRegCount; ++i)
    if (static_cast<std::size_t>(kRegisters[i].id) != i) return false;
  return true;
}
static_assert(registers_in_order(), "kRegisters must follow RegId");

constexpr const Register& info(RegId id) {
  return kRegisters[static_cast<std::size_t>(id)];
}

/// Byte offset of a register in a unit built to `profile`; resolves IVA and IOTLB.
constexpr std::uint64_t offset_of(RegId id, const Profile& profile) {
  if (id == RegId::kIVA) return profile.iotlb_offset;
  if (id == RegId::kIOTLB) return profile.iotlb_offset + 8U;
  return info(id).offset;
}
/// The same from an ECAP value, as software finds it.
constexpr std::uint64_t iva_offset(std::uint64_t ecap_register) {
  return ecap::kIRO.get(ecap_register) * 16;
}
constexpr std::uint64_t frcd_offset(std::uint64_t cap_register) {
  return cap::kFRO.get(cap_register) * 16;
}
constexpr unsigned frcd_count(std::uint64_t cap_register) {
  return static_cast<unsigned>(cap::kNFR.get(cap_register)) + 1;
}

/// Bytes of MMIO that one unit decodes.
inline constexpr std::uint64_t kUnitMmioSize = 0x1000;

}  // namespace vtd
