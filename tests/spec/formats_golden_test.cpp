// SPDX-License-Identifier: MIT
// One hand-encoded example of every record in memory, of every descriptor, and the fault codes: raw numbers,
// transcribed by hand from the architecture.
#include <gtest/gtest.h>

#include <map>
#include <string>

#include "tlm/spec/descriptor.h"
#include "tlm/spec/fault_reason.h"
#include "tlm/spec/paging.h"
#include "tlm/spec/registers.h"
#include "tlm/spec/structures.h"

namespace vtd::test {
namespace {

TEST(Formats, RootEntry) {
  const root::Entry e{{0x0000'0012'3456'7001, 0xFFFF'0000'8765'4001}};
  EXPECT_EQ(e.get(root::kP), 1U);
  EXPECT_EQ(e.address(root::kCTP), 0x12'3456'7000U);
  EXPECT_EQ(e.get(root::kUP), 1U);
  EXPECT_EQ(e.address(root::kUCTP), 0xFFFF'0000'8765'4000U);
}

TEST(Formats, ContextEntry) {
  // P, FPD, TT=01, table 0xABCDE000; AW=2 (48 bit), IGN=0xF, DID=0x1234.
  const ctx::Entry e{{0x0000'0000'ABCD'E007, 0x0000'0000'0012'347A}};
  EXPECT_EQ(e.get(ctx::kP), 1U);
  EXPECT_EQ(e.get(ctx::kFPD), 1U);
  EXPECT_EQ(e.get(ctx::kTT), 1U);
  EXPECT_EQ(e.address(ctx::kSSPTPTR), 0xABCD'E000U);
  EXPECT_EQ(e.get(ctx::kAW), 2U);
  EXPECT_EQ(e.get(ctx::kIGN), 0xFU);
  EXPECT_EQ(e.get(ctx::kDID), 0x1234U);
  EXPECT_FALSE(e.any(ctx::kReserved));
  EXPECT_EQ(ctx::kReserved[0], 0xFF0U);
  EXPECT_EQ(ctx::kReserved[1], 0xFFFF'FFFF'FF00'0080U);
}

TEST(Formats, ContextEntryIsBuiltBitByBit) {
  ctx::Entry e;
  e.set(ctx::kP, 1).set(ctx::kTT, 2).set_address(ctx::kSSPTPTR, 0x7000).set(ctx::kAW, 3).set(ctx::kDID, 0xFFFF);
  EXPECT_EQ(e.words[0], 0x7009U);
  EXPECT_EQ(e.words[1], 0x00FF'FF03U);
}

TEST(Formats, ScalableContextEntry) {
  // P, DTE, PASIDE, PRE, PDTS=5, directory 0x55000; RID_PASID=0xFEDCB, RID_PRIV.
  const sctx::Entry e{{0x5'5A1D, 0x1F'EDCB, 0, 0}};
  EXPECT_EQ(e.get(sctx::kP), 1U);
  EXPECT_EQ(e.get(sctx::kFPD), 0U);
  EXPECT_EQ(e.get(sctx::kDTE), 1U);
  EXPECT_EQ(e.get(sctx::kPASIDE), 1U);
  EXPECT_EQ(e.get(sctx::kPRE), 1U);
  EXPECT_EQ(e.get(sctx::kPDTS), 5U);
  EXPECT_EQ(e.address(sctx::kPASIDDIRPTR), 0x5'5000U);
  EXPECT_EQ(e.get(sctx::kRID_PASID), 0xF'EDCBU);
  EXPECT_EQ(e.get(sctx::kRID_PRIV), 1U);
  EXPECT_EQ(sctx::kReserved[0], 0x1E0U);
  EXPECT_EQ(sctx::kReserved[1], 0xFFFF'FFFF'FFE0'0000U);
}

TEST(Formats, PasidDirectoryAndIndices) {
  const pasid_dir::Entry e{{0x9'9000 | 0x3}};
  EXPECT_EQ(e.get(pasid_dir::kP), 1U);
  EXPECT_EQ(e.get(pasid_dir::kFPD), 1U);
  EXPECT_EQ(e.address(pasid_dir::kSMPTBLPTR), 0x9'9000U);
  EXPECT_EQ(pasid_dir::kReserved[0], 0xFFCU);
  EXPECT_EQ(pasid_dir::kIndex.get(0xF'FFFF), 0x3FFFU);
  EXPECT_EQ(pasid::kIndex.get(0xF'FFFF), 0x3FU);
}

TEST(Formats, PasidEntry) {
  // Word 0: P, AW=2, PGTT=3 (nested), SSADE, second-stage table; word 1: DID 0xBEEF, PWSNP, PGSNP;
  // word 2: SRE, FSPM=1, WPE, EAFE, first-stage table.
  const pasid::Entry e{{0x7000 | 0x200 | 0xC0 | 0x8 | 0x1, 0x0000'0000'0180'BEEF, 0x6000 | 0x80 | 0x10 | 0x4 | 0x1}};
  EXPECT_EQ(e.get(pasid::kP), 1U);
  EXPECT_EQ(e.get(pasid::kAW), 2U);
  EXPECT_EQ(e.get(pasid::kPGTT), 3U);
  EXPECT_EQ(e.get(pasid::kSSADE), 1U);
  EXPECT_EQ(e.address(pasid::kSSPTPTR), 0x7000U);
  EXPECT_EQ(e.get(pasid::kDID), 0xBEEFU);
  EXPECT_EQ(e.get(pasid::kPWSNP), 1U);
  EXPECT_EQ(e.get(pasid::kPGSNP), 1U);
  EXPECT_EQ(e.get(pasid::kSRE), 1U);
  EXPECT_EQ(e.get(pasid::kFSPM), 1U);
  EXPECT_EQ(e.get(pasid::kWPE), 1U);
  EXPECT_EQ(e.get(pasid::kEAFE), 1U);
  EXPECT_EQ(e.address(pasid::kFSPTPTR), 0x6000U);
}

TEST(Formats, SecondStageEntry) {
  // R, W, PS, SNP, TM, address bits [51:12].
  constexpr std::uint64_t kEntry = 0x400F'FFFF'FFFF'F883;
  EXPECT_EQ(ss::kR.get(kEntry), 1U);
  EXPECT_EQ(ss::kW.get(kEntry), 1U);
  EXPECT_EQ(ss::kX.get(kEntry), 0U);
  EXPECT_EQ(ss::kPS.get(kEntry), 1U);
  EXPECT_EQ(ss::kSNP.get(kEntry), 1U);
  EXPECT_EQ(ss::kTM.get(kEntry), 1U);
  EXPECT_EQ(ss::kADDR.in_place(kEntry), 0x000F'FFFF'FFFF'F000U);
  EXPECT_EQ(ss::kA.mask(), 0x100U);
  EXPECT_EQ(ss::kD.mask(), 0x200U);
  EXPECT_EQ(ss::kEMT.mask(), 0x38U);
  EXPECT_EQ(ss::kIPAT.mask(), 0x40U);
}

TEST(Formats, FirstStageEntry) {
  EXPECT_EQ(fs::kP.mask() | fs::kRW.mask() | fs::kUS.mask(), 0x7U);
  EXPECT_EQ(fs::kPWT.mask() | fs::kPCD.mask(), 0x18U);
  EXPECT_EQ(fs::kA.mask(), 0x20U);
  EXPECT_EQ(fs::kD.mask(), 0x40U);
  EXPECT_EQ(fs::kPS.mask(), 0x80U);
  EXPECT_EQ(fs::kG.mask(), 0x100U);
  EXPECT_EQ(fs::kEA.mask(), 0x400U);
  EXPECT_EQ(fs::kPAT.mask(), 0x1000U);
  EXPECT_EQ(fs::kXD.mask(), 0x8000'0000'0000'0000U);
}

TEST(Formats, LevelsAndIndices) {
  EXPECT_EQ(width_of_levels(3), 39U);
  EXPECT_EQ(width_of_levels(4), 48U);
  EXPECT_EQ(width_of_levels(5), 57U);
  EXPECT_EQ(levels_of_aw(1), 3U);
  EXPECT_EQ(level_size(1), 0x1000U);
  EXPECT_EQ(level_size(2), 0x20'0000U);
  EXPECT_EQ(level_size(3), 0x4000'0000U);
  EXPECT_EQ(entry_address(0x9000, 0x0000'7F80'0000'0000, 4), 0x9000U + 0xFFU * 8);
  EXPECT_EQ(entry_address(0x9000, 0x001F'F000, 1), 0x9FF8U);
}

TEST(Formats, FaultRecord) {
  // FI 0x12345000; SID 0x00FB; T2; EXE; PP; FR 0x05; PV 0xABCDE; AT 2; T1; F.
  const frcd::Entry e{{0x1234'5000, 0xEABC'DE05'D000'00FB}};
  EXPECT_EQ(e.address(frcd::kFI), 0x1234'5000U);
  EXPECT_EQ(e.get(frcd::kSID), 0xFBU);
  EXPECT_EQ(e.get(frcd::kT2), 1U);
  EXPECT_EQ(e.get(frcd::kPRIV), 0U);
  EXPECT_EQ(e.get(frcd::kEXE), 1U);
  EXPECT_EQ(e.get(frcd::kPP), 1U);
  EXPECT_EQ(e.get(frcd::kFR), 5U);
  EXPECT_EQ(e.get(frcd::kPV), 0xA'BCDEU);
  EXPECT_EQ(e.get(frcd::kAT), 2U);
  EXPECT_EQ(e.get(frcd::kT1), 1U);
  EXPECT_EQ(e.get(frcd::kF), 1U);
}

TEST(Formats, InterruptEntry) {
  const irte::Entry e{{0x0000'0100'0041'0005, 0x0000'0000'0004'F8F0}};
  EXPECT_EQ(e.get(irte::kP), 1U);
  EXPECT_EQ(e.get(irte::kDM), 1U);
  EXPECT_EQ(e.get(irte::kIM), 0U);
  EXPECT_EQ(e.get(irte::kV), 0x41U);
  EXPECT_EQ(e.get(irte::kDST), 0x100U);
  EXPECT_EQ(e.get(irte::kSID), 0xF8F0U);
  EXPECT_EQ(e.get(irte::kSQ), 0U);
  EXPECT_EQ(e.get(irte::kSVT), 1U);
}

TEST(Descriptors, ContextCache) {
  // Device-selective, FM 3, SID 0x00A8, DID 7.
  const Record128 d{{0x0003'00A8'0007'0031, 0}};
  EXPECT_EQ(d.get(descriptor::kTYPE), 1U);
  EXPECT_EQ(d.get(descriptor::kG), 3U);
  EXPECT_EQ(d.get(descriptor::kDID), 7U);
  EXPECT_EQ(d.get(descriptor::context::kSID), 0xA8U);
  EXPECT_EQ(d.get(descriptor::context::kFM), 3U);
  EXPECT_EQ(descriptor::context::kUsed[0], 0x0003'FFFF'FFFF'003FU);
}

TEST(Descriptors, Iotlb) {
  // Page-selective, DW, DR, DID 9; AM 4, IH, address 0x123456000.
  const Record128 d{{0x0000'0000'0009'00F2, 0x1'2345'6044}};
  EXPECT_EQ(d.get(descriptor::kTYPE), 2U);
  EXPECT_EQ(d.get(descriptor::kG), 3U);
  EXPECT_EQ(d.get(descriptor::iotlb::kDW), 1U);
  EXPECT_EQ(d.get(descriptor::iotlb::kDR), 1U);
  EXPECT_EQ(d.get(descriptor::kDID), 9U);
  EXPECT_EQ(d.get(descriptor::iotlb::kAM), 4U);
  EXPECT_EQ(d.get(descriptor::iotlb::kIH), 1U);
  EXPECT_EQ(d.address(descriptor::iotlb::kADDR), 0x1'2345'6000U);
}

TEST(Descriptors, Wait) {
  // SW, FN, IF; data 0xDEADBEEF to 0x7000.
  const Record128 d{{0xDEAD'BEEF'0000'0075, 0x7000}};
  EXPECT_EQ(d.get(descriptor::kTYPE), 5U);
  EXPECT_EQ(d.get(descriptor::wait::kIF), 1U);
  EXPECT_EQ(d.get(descriptor::wait::kSW), 1U);
  EXPECT_EQ(d.get(descriptor::wait::kFN), 1U);
  EXPECT_EQ(d.get(descriptor::wait::kPD), 0U);
  EXPECT_EQ(d.get(descriptor::wait::kSTATUS_DATA), 0xDEAD'BEEFU);
  EXPECT_EQ(d.address(descriptor::wait::kSTATUS_ADDR), 0x7000U);
}

TEST(Descriptors, OtherTypes) {
  const Record128 device_tlb{{0x0120'0042'0003'4003, 0x5'5001}};
  EXPECT_EQ(device_tlb.get(descriptor::device_tlb::kPFSID_LOW), 4U);
  EXPECT_EQ(device_tlb.get(descriptor::device_tlb::kMIP), 3U);
  EXPECT_EQ(device_tlb.get(descriptor::device_tlb::kSID), 0x42U);
  EXPECT_EQ(device_tlb.get(descriptor::device_tlb::kPFSID_HIGH), 0x12U);
  EXPECT_EQ(device_tlb.get(descriptor::device_tlb::kS), 1U);
  const Record128 iec{{0x0000'1234'1000'0014, 0}};
  EXPECT_EQ(iec.get(descriptor::iec::kG1), 1U);
  EXPECT_EQ(iec.get(descriptor::iec::kIM), 2U);
  EXPECT_EQ(iec.get(descriptor::iec::kIIDX), 0x1234U);
  const Record128 pasid_iotlb{{0x000F'EDCB'0005'0036, 0x9'9042}};
  EXPECT_EQ(pasid_iotlb.get(descriptor::pasid_iotlb::kPASID), 0xF'EDCBU);
  EXPECT_EQ(pasid_iotlb.get(descriptor::pasid_iotlb::kAM), 2U);
  const Record128 pasid_cache{{0x0000'0001'0005'0017, 0}};
  EXPECT_EQ(pasid_cache.get(descriptor::kG), 1U);
  EXPECT_EQ(pasid_cache.get(descriptor::pasid_cache::kPASID), 1U);
  EXPECT_EQ(function_mask(0), 0U);
  EXPECT_EQ(function_mask(1), 4U);
  EXPECT_EQ(function_mask(2), 6U);
  EXPECT_EQ(function_mask(3), 7U);
}

TEST(FaultReasons, HaveTheirCodes) {
  const std::map<std::string, unsigned> codes{{"RootNotPresent", 0x1},
                                              {"ContextNotPresent", 0x2},
                                              {"ContextInvalid", 0x3},
                                              {"AddressBeyondWidth", 0x4},
                                              {"WritePermission", 0x5},
                                              {"ReadPermission", 0x6},
                                              {"PagingEntryAccess", 0x7},
                                              {"RootTableAccess", 0x8},
                                              {"ContextTableAccess", 0x9},
                                              {"RootReserved", 0xA},
                                              {"ContextReserved", 0xB},
                                              {"PagingEntryReserved", 0xC},
                                              {"RequestTypeBlocked", 0xD},
                                              {"InterruptRange", 0xE},
                                              {"IrReservedInRequest", 0x20},
                                              {"IrIndexBeyondTable", 0x21},
                                              {"IrNotPresent", 0x22},
                                              {"IrTableAccess", 0x23},
                                              {"IrReserved", 0x24},
                                              {"IrCompatibilityBlocked", 0x25},
                                              {"IrSourceValidation", 0x26},
                                              {"RootTableAddressInvalid", 0x30},
                                              {"PasidUnderLegacy", 0x31},
                                              {"PageGroupUnderLegacy", 0x32},
                                              {"SmRootAccess", 0x38},
                                              {"SmRootNotPresent", 0x39},
                                              {"SmRootReserved", 0x3A},
                                              {"SmContextAccess", 0x40},
                                              {"SmContextNotPresent", 0x41},
                                              {"SmContextReserved", 0x42},
                                              {"SmContextInvalid", 0x43},
                                              {"SmDeviceTlbDisabled", 0x44},
                                              {"SmPasidDisabled", 0x45},
                                              {"SmPasidBeyondDirectory", 0x46},
                                              {"SmPageRequestDisabled", 0x47},
                                              {"SmRidPasid", 0x48},
                                              {"SmPasidDirAccess", 0x50},
                                              {"SmPasidDirNotPresent", 0x51},
                                              {"SmPasidDirReserved", 0x52},
                                              {"SmPasidAccess", 0x58},
                                              {"SmPasidNotPresent", 0x59},
                                              {"SmPasidReserved", 0x5A},
                                              {"SmPasidInvalid", 0x5B},
                                              {"SmExecuteDisabled", 0x5C},
                                              {"SmSupervisorDisabled", 0x5D},
                                              {"FsEntryAccess", 0x70},
                                              {"FsNotPresent", 0x71},
                                              {"FsReserved", 0x72},
                                              {"FsRootAccess", 0x73},
                                              {"NestedFsBeyondWidth", 0x74},
                                              {"NestedFsRootRead", 0x75},
                                              {"NestedFsTableRead", 0x76},
                                              {"NestedAdWrite", 0x77},
                                              {"SsEntryAccess", 0x78},
                                              {"SsNotPresent", 0x79},
                                              {"SsReserved", 0x7A},
                                              {"SsRootAccess", 0x7B},
                                              {"SsAdNoSnoop", 0x7C},
                                              {"NotCanonical", 0x80},
                                              {"UserPrivilege", 0x81},
                                              {"ExecutePermission", 0x82},
                                              {"FsBeyondWidth", 0x83},
                                              {"SsBeyondWidth", 0x84},
                                              {"SmWritePermission", 0x85},
                                              {"SmReadPermission", 0x86},
                                              {"SmInterruptRange", 0x87},
                                              {"FsAdNoSnoop", 0x90}};
  for (const auto& [name, code] : codes) EXPECT_EQ(info(static_cast<FaultReason>(code)).name, name);
}

TEST(FaultReasons, RootFaultsAndTableAccessErrorsAreNeverQualifiedByFpd) {
  for (const unsigned code : {0x1U, 0x8U, 0x9U, 0xAU, 0x38U, 0x39U, 0x3AU, 0x40U, 0x50U, 0x58U})
    EXPECT_FALSE(info(static_cast<FaultReason>(code)).qualified) << code;
  for (const unsigned code : {0x2U, 0x3U, 0x4U, 0x5U, 0x6U, 0x7U, 0xCU, 0x41U, 0x5AU, 0x70U, 0x78U, 0x85U})
    EXPECT_TRUE(info(static_cast<FaultReason>(code)).qualified) << code;
}

}  // namespace
}  // namespace vtd::test
