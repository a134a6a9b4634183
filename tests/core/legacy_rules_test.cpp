// SPDX-License-Identifier: MIT
// Rules of legacy mode and the traps that models fall into, written from the document against the registers and
// tables alone: every offset, bit and entry below is a number of this file, not of tlm/spec.
#include "tests/core/raw_software.h"

namespace vtd::test {
namespace {

class LegacyRules : public RawSoftware {};

// ---- Caches ------------------------------------------------------------------------------------------------

TEST_F(LegacyRules, PermissionIsCheckedOnAHitAndTheFaultIsRecorded) {
  page(0x5000, 0x9000, kR);
  EXPECT_EQ(dma_to(0x5000), 0x9000U);
  EXPECT_EQ(fault(0x5000, Access::kWrite), 5U);
  EXPECT_EQ(record_reason(0), 5U);
}

TEST_F(LegacyRules, SuperPagesAndSmallPagesAreNotTakenForEachOther) {
  page(0x20'0000, 0x4000'0000, kR | kW, 2);
  EXPECT_EQ(dma_to(0x20'0000), 0x4000'0000U);
  EXPECT_EQ(dma_to(0x3F'F008), 0x401F'F008U) << "the last page of the same 2M entry";
  page(0x40'0000, 0x9000, kR | kW);
  EXPECT_EQ(dma_to(0x40'0000), 0x9000U);
  EXPECT_EQ(fault(0x40'1000), 6U) << "a 4K entry serves its page only";
}

TEST_F(LegacyRules, PageRangesCompareAllAddressBits) {
  for (const std::uint64_t iova : {0x0010'4000ULL, 0x1'0010'4000ULL, 0x40'0010'4000ULL}) page(iova, 0x9000, kR);
  for (const std::uint64_t iova : {0x0010'4000ULL, 0x1'0010'4000ULL, 0x40'0010'4000ULL}) dma_to(iova);
  page(0x0010'4000, 0xA000, kR);
  page(0x1'0010'4000, 0xB000, kR);
  page(0x40'0010'4000, 0xC000, kR);
  iotlb_register(3, kDid, 0x0010'4000 | 2);
  EXPECT_EQ(dma_to(0x0010'4000), 0xA000U);
  EXPECT_EQ(dma_to(0x1'0010'4000), 0x9000U) << "not meant";
  EXPECT_EQ(dma_to(0x40'0010'4000), 0x9000U) << "not meant";
}

TEST_F(LegacyRules, PageRangesAreNaturallyAligned) {
  for (std::uint64_t iova = 0x3000; iova <= 0x8000; iova += 0x1000) page(iova, 0x9'0000 + iova, kR), dma_to(iova);
  for (std::uint64_t iova = 0x3000; iova <= 0x8000; iova += 0x1000) page(iova, 0xA'0000 + iova, kR);
  iotlb_register(3, kDid, 0x6000 | 2);  // 4 pages around 0x6000: 0x4000..0x7FFF
  EXPECT_EQ(dma_to(0x3000), 0x9'3000U);
  for (std::uint64_t iova = 0x4000; iova <= 0x7000; iova += 0x1000) EXPECT_EQ(dma_to(iova), 0xA'0000 + iova);
  EXPECT_EQ(dma_to(0x8000), 0x9'8000U);
}

TEST_F(LegacyRules, DomainSelectiveIsNotGlobal) {
  context(kOther, kOtherTable, kOtherDid);
  page(0x5000, 0x9000, kR);
  page_in(kOtherTable, 0x5000, 0x8000, kR);
  dma_to(0x5000);
  dma_to(0x5000, kOther);
  page(0x5000, 0xA000, kR);
  page_in(kOtherTable, 0x5000, 0xB000, kR);
  iotlb_register(2, kDid);
  EXPECT_EQ(dma_to(0x5000), 0xA000U);
  EXPECT_EQ(dma_to(0x5000, kOther), 0x8000U) << "another domain keeps its entries";
  iotlb_register(1, 0);
  EXPECT_EQ(dma_to(0x5000, kOther), 0xB000U);
}

TEST_F(LegacyRules, InvalidationHintStillTakesTheLeaf) {
  page(0x5000, 0x9000, kR);
  dma_to(0x5000);
  page(0x5000, 0xA000, kR);
  iotlb_register(3, kDid, 0x5000 | 0x40);
  EXPECT_EQ(dma_to(0x5000), 0xA000U);
}

TEST_F(LegacyRules, PageInvalidationInsideASuperPageTakesAllOfIt) {
  page(0x20'0000, 0x4000'0000, kR, 2);
  dma_to(0x20'0000);
  page(0x20'0000, 0x5000'0000, kR, 2);
  iotlb_register(3, kDid, 0x2F'F000);
  EXPECT_EQ(dma_to(0x20'0000), 0x5000'0000U);
}

TEST_F(LegacyRules, AContextInvalidationLeavesTheIotlbAndTheReverse) {
  page(0x5000, 0x9000, kR);
  dma_to(0x5000);
  page(0x5000, 0xA000, kR);
  context_register(1, 0, 0);
  EXPECT_EQ(dma_to(0x5000), 0x9000U);
  context(kDevice, kOtherTable, kOtherDid);
  page_in(kOtherTable, 0x5000, 0xB000, kR);
  iotlb_register(1, 0);
  EXPECT_EQ(dma_to(0x5000), 0xA000U) << "the context is still the cached one";
  context_register(3, kDid, kDevice.value);
  EXPECT_EQ(dma_to(0x5000), 0xB000U);
}

TEST_F(LegacyRules, NoDomainIdIsSpecial) {
  for (const unsigned did : {0U, 1U}) {
    context(kDevice, kTable, did);
    context_register(1, 0, 0);
    page(0x5000, 0x9000, kR);
    iotlb_register(1, 0);
    EXPECT_EQ(dma_to(0x5000), 0x9000U);
    page(0x5000, 0xA000, kR);
    EXPECT_EQ(dma_to(0x5000), 0x9000U) << "cached under domain " << did;
    iotlb_register(2, did);
    EXPECT_EQ(dma_to(0x5000), 0xA000U);
  }
}

TEST_F(LegacyRules, AMaskBeyondTheSupportedOneDoesNothing) {
  page(0x5000, 0x9000, kR);
  dma_to(0x5000);
  page(0x5000, 0xA000, kR);
  iotlb_register(3, kDid, 0x5000 | 0x3F);
  EXPECT_EQ(read64(iotlb_offset() + 8) >> 57 & 3, 0U) << "IAIG: nothing was done";
  EXPECT_EQ(dma_to(0x5000), 0x9000U);
}

TEST_F(LegacyRules, AResetForgetsEveryCache) {
  page(0x5000, 0x9000, kR);
  dma_to(0x5000);
  for (const ResetKind kind : {ResetKind::kWarm, ResetKind::kCold}) {
    page(0x5000, kind == ResetKind::kWarm ? 0xA000 : 0xB000, kR);
    unit->reset(kind);
    EXPECT_EQ(read32(kGsts), 0U);
    start();
    EXPECT_EQ(dma_to(0x5000), kind == ResetKind::kWarm ? 0xA000U : 0xB000U);
  }
}

// ---- Tables ------------------------------------------------------------------------------------------------

TEST_F(LegacyRules, ReservedBitsOfHugeLeaves) {
  for (unsigned bit = 12; bit <= 20; ++bit) {
    const PhysAddr leaf = page(0x20'0000, 0x4000'0000, kR, 2);
    host->words[leaf] |= 1ULL << bit;
    EXPECT_EQ(fault(0x20'0000), 0xCU) << "2M, bit " << bit;
  }
  for (unsigned bit = 12; bit <= 29; ++bit) {
    const PhysAddr leaf = page(0x4000'0000, 0x4000'0000, kR, 3);
    host->words[leaf] |= 1ULL << bit;
    EXPECT_EQ(fault(0x4000'0000), 0xCU) << "1G, bit " << bit;
  }
}

TEST_F(LegacyRules, TheExecuteBitDoesNotMakeAnEntryPresent) {
  const PhysAddr leaf = page(0x5000, 0x9000, kR);
  host->words[leaf] = 4;
  EXPECT_EQ(fault(0x5000), 6U);
  EXPECT_EQ(fault(0x5000, Access::kWrite), 5U);
  host->words[leaf] = 1ULL << 51 | 4;
  EXPECT_EQ(fault(0x5000), 6U) << "nothing else of an absent entry is checked";
}

TEST_F(LegacyRules, IgnoredBitsOfALeafAreIgnored) {
  const PhysAddr leaf = page(0x5000, 0x9000, kR);
  host->words[leaf] |= 0xBFF0'0000'0000'077CULL & ~0x80ULL;
  EXPECT_EQ(dma_to(0x5000), 0x9000U);
}

TEST_F(LegacyRules, WidthOfTheEntryMustBeSupported) {
  Profile narrow;
  narrow.levels5 = false;
  narrow.guest_address_width = 48;
  fresh(narrow);
  for (const unsigned aw : {0U, 3U, 4U, 5U, 6U, 7U}) {
    context(kDevice, kTable, kDid, aw);
    context_register(1, 0, 0);
    EXPECT_EQ(fault(0x5000), 3U) << "AW " << aw;
  }
}

TEST_F(LegacyRules, TheNarrowerOfEntryAndUnitBoundsTheAddress) {
  context(kDevice, kTable, kDid, 1);
  EXPECT_EQ(fault(1ULL << 39), 4U);
  EXPECT_EQ(fault((1ULL << 39) - 0x1000), 6U) << "the last page is only absent";
}

TEST_F(LegacyRules, ContextChecksComeInOrder) {
  const PhysAddr at = 0x2'0000 + std::uint64_t{kDevice.devfn()} * 16;
  host->words[at] = kTable | 0xFF0 | 3 << 2;  // absent, reserved bits, reserved type
  EXPECT_EQ(fault(0x5000), 2U) << "absent raises only that";
  host->words[at] |= 1;
  EXPECT_EQ(fault(0x5000), 0xBU) << "reserved bits before programming";
  host->words[at] = kTable | 1 | 3 << 2;
  EXPECT_EQ(fault(0x5000), 3U);
  host->words[at] = kTable | 1 | 1 << 2;
  EXPECT_EQ(fault(0x5000), 3U) << "TT=01 without device-TLB support";
}

TEST_F(LegacyRules, RootChecksComeInOrder) {
  host->words[0x1'0000] = 0x2'0000 | 0xFFE;
  EXPECT_EQ(fault(0x5000), 1U) << "absent raises only that";
  host->words[0x1'0000] |= 1;
  EXPECT_EQ(fault(0x5000), 0xAU);
  host->words[0x1'0000] = 0x2'0001;
  host->words[0x1'0008] = 1;
  EXPECT_EQ(fault(0x5000), 0xAU) << "the upper half is reserved";
}

TEST_F(LegacyRules, FpdSilencesOnlyWhatIsFoundFromItsEntryOn) {
  const PhysAddr at = 0x2'0000 + std::uint64_t{kDevice.devfn()} * 16;
  host->words[at] |= 2;
  EXPECT_EQ(fault(0x5000), 6U);
  EXPECT_EQ(pending(), 0U) << "faults of the walk";
  host->words[at] = 2;
  context_register(1, 0, 0);
  EXPECT_EQ(fault(0x5000), 2U);
  EXPECT_EQ(pending(), 0U) << "also where the entry is absent";
  host->broken.insert(at);
  EXPECT_EQ(fault(0x5000), 9U);
  EXPECT_EQ(record_reason(0), 9U) << "an unreadable entry silences nothing";
  host->words[0x1'0000] = 0;
  EXPECT_EQ(fault(0x5000), 1U);
  EXPECT_EQ(record_reason(1), 1U) << "found before the entry";
}

TEST_F(LegacyRules, OnlyAddressesInTheInterruptRangeFault) {
  page(0x20'0000, 0xFEE0'0000, kR | kW, 2);  // FEE00000..FEFFFFFF
  EXPECT_EQ(fault(0x20'0000, Access::kWrite), 0xEU);
  EXPECT_EQ(fault(0x2F'FFFC), 0xEU);
  EXPECT_EQ(dma_to(0x30'0000), 0xFEF0'0000U) << "the other half of the same page";
}

// ---- Commands ------------------------------------------------------------------------------------------------

TEST_F(LegacyRules, OneShotCommandsAreNotReplayed) {
  page(0x5000, 0x9000, kR);
  write64(kRtaddr, 0x7'0000);
  write32(kGcmd, 1U << 31);
  write32(kGcmd, 0);
  write32(kGcmd, 1U << 31);
  EXPECT_EQ(dma_to(0x5000), 0x9000U) << "the root pointer moves by SRTP only";
  write32(kGcmd, 1U << 31 | 1U << 30);
  context_register(1, 0, 0);
  EXPECT_EQ(fault(0x5000), 1U);
  EXPECT_EQ(read32(kGsts), 1U << 31 | 1U << 30);
}

TEST_F(LegacyRules, HalvesOf64BitRegistersInEitherOrder) {
  write32(kRtaddr + 4, 0x12);
  write32(kRtaddr, 0x3456'7000);
  EXPECT_EQ(read64(kRtaddr), 0x12'3456'7000U);
  write32(kRtaddr, 0x89AB'C000);
  write32(kRtaddr + 4, 0x1);
  EXPECT_EQ(read64(kRtaddr), 0x1'89AB'C000U);
  page(0x5000, 0x9000, kR);
  dma_to(0x5000);
  page(0x5000, 0xA000, kR);
  write32(iotlb_offset() + 8, 0);
  EXPECT_EQ(dma_to(0x5000), 0x9000U);
  write32(iotlb_offset() + 12, 1U << 31 | 1U << 28);
  EXPECT_EQ(read32(iotlb_offset() + 12) >> 31, 0U);
  EXPECT_EQ(dma_to(0x5000), 0xA000U);
}

TEST_F(LegacyRules, FunctionMasksWidenDeviceSelectiveInvalidations) {
  const SourceId sibling = make_source_id(0, 3, 4);
  context(sibling, kTable, kDid);
  page(0x5000, 0x9000, kR);
  dma_to(0x5000, sibling);
  context(sibling, kOtherTable, kOtherDid);
  page_in(kOtherTable, 0x5000, 0xB000, kR);
  context_register(3, kDid, kDevice.value);
  EXPECT_EQ(dma_to(0x5000, sibling), 0x9000U) << "another function";
  context_register(3, kDid, kDevice.value, 1);
  EXPECT_EQ(dma_to(0x5000, sibling), 0xB000U) << "bit 2 of the function is masked";
  context(kDevice, kTable, kDid);
  dma_to(0x5000);
  context(kDevice, kOtherTable, kOtherDid);
  context_register(3, kDid, sibling.value, 1);
  EXPECT_EQ(dma_to(0x5000), 0xB000U) << "masked in the command as well";
}

TEST_F(LegacyRules, AnInvalidationDuringAWalkLeavesNoStaleFill) {
  page(0x5000, 0x9000, kR);
  host->walks_blocked = true;
  PhysAddr reached = 0;
  const auto device = tasks.spawn([&] { reached = dma_to(0x5000); });
  ASSERT_EQ(host->walks.size(), 1U) << "the walk has read the old entry";
  page(0x5000, 0xA000, kR);
  const auto software = tasks.spawn([&] { iotlb_register(3, kDid, 0x5000); });
  host->walks_blocked = false;
  tasks.settle();
  ASSERT_TRUE(device->done());
  ASSERT_TRUE(software->done());
  EXPECT_EQ(reached, 0xA000U);
  EXPECT_EQ(dma_to(0x5000), 0xA000U) << "nothing stale was kept";
}

}  // namespace
}  // namespace vtd::test
