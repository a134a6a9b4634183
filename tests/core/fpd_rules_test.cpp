// SPDX-License-Identifier: MIT
// Which faults of scalable mode FPD silences, and what a fault record says. Written from the document with raw
// numbers only.
#include "tests/core/raw_software.h"

namespace vtd::test {
namespace {

class FpdRules : public RawScalable {};

// ---- FPD -------------------------------------------------------------------------------------------------------

TEST_F(FpdRules, FpdOfEveryEntryOnThePathCounts) {
  enum Where { kContext, kDir, kEntry };
  struct {
    unsigned code;
    Where deepest;   // the entry that raises it; FPD counts there and above
    bool qualified;  // access errors are recorded whatever FPD says
  } const cases[] = {
      {0x41, kContext, true}, {0x42, kContext, true}, {0x44, kContext, true},  {0x45, kContext, true},
      {0x46, kContext, true}, {0x43, kContext, true}, {0x50, kContext, false}, {0x51, kDir, true},
      {0x52, kDir, true},     {0x58, kDir, false},    {0x59, kEntry, true},    {0x5A, kEntry, true},
      {0x5B, kEntry, true},   {0x5D, kEntry, true},   {0x79, kEntry, true},    {0x7A, kEntry, true},
      {0x7B, kEntry, true},   {0x78, kEntry, true},   {0x84, kEntry, true},    {0x86, kEntry, true},
  };
  const PhysAddr at[] = {context_at(kDevice), kDirectory, pasid_at(0)};
  for (const auto& c : cases) {
    for (int fpd = -1; fpd <= c.deepest; ++fpd) {
      mapped();
      Path path = second(0x5000, 0x9000 | kR | kW);
      DmaRequest r = dma_read(kDevice, 0x5000);
      switch (c.code) {
        case 0x41:
          host->words[at[0]] &= ~1ULL;
          break;
        case 0x42:
          host->words[at[0] + 16] = 1;
          break;
        case 0x44:
          r.type = AddressType::kTranslationRequest;
          break;
        case 0x45:
          host->words[at[0]] &= ~kPaside, r = with_pasid(r, 0);
          break;
        case 0x46:
          r = with_pasid(r, 0x2000);
          break;
        case 0x43:
          host->words[at[0] + 8] = 0x2000;
          break;
        case 0x50:
          host->broken.insert(at[1]);
          break;
        case 0x51:
          host->words[at[1]] &= ~1ULL;
          break;
        case 0x52:
          host->words[at[1]] |= 4;
          break;
        case 0x58:
          host->broken.insert(at[2]);
          break;
        case 0x59:
          host->words[at[2]] &= ~1ULL;
          break;
        case 0x5A:
          host->words[at[2] + 24] = 1;
          break;
        case 0x5B:
          host->words[at[2]] |= 7 << 6;
          break;
        case 0x5D:
          pasid_entry(0, kFirstStage, kDid, kFirst), r = with_pasid(r, 0, true);
          break;
        case 0x79:
          host->words[path[1]] = 0;
          break;
        case 0x7A:
          host->words[path[1]] |= 1ULL << 51;
          break;
        case 0x7B:
          host->broken.insert(path[4]);
          break;
        case 0x78:
          host->broken.insert(path[1]);
          break;
        case 0x84:
          r.address = 1ULL << 48;
          break;
        case 0x86:
          host->words[path[1]] &= ~kR;
          break;
        default:
          FAIL();
      }
      if (fpd >= 0) host->words[at[fpd]] |= kFpd;
      EXPECT_EQ(reason(r), c.code);
      const bool silent = fpd >= 0 && c.qualified;
      EXPECT_EQ(pending(), silent ? 0U : 1U) << std::hex << c.code << " with FPD in entry " << fpd;
    }
  }
}

TEST_F(FpdRules, RootAndContextAccessErrorsAreRecordedWhateverFpdSays) {
  for (const unsigned code : {0x38U, 0x39U, 0x3AU, 0x40U}) {
    mapped();
    for (const PhysAddr at : {context_at(kDevice), kDirectory, pasid_at(0)}) host->words[at] |= kFpd;
    if (code == 0x38) host->broken.insert(kRoot);
    if (code == 0x39) host->words[kRoot] = 2;
    if (code == 0x3A) host->words[kRoot] |= 2;
    if (code == 0x40) host->broken.insert(context_at(kDevice));
    EXPECT_EQ(fault(0x5000), code);
    EXPECT_EQ(record_reason(0), code);
  }
}

TEST_F(FpdRules, FpdCountsAlsoWhereTheEntriesWereCached) {
  for (const PhysAddr at : {context_at(kDevice), kDirectory, pasid_at(0)}) {
    mapped();
    host->words[at] |= kFpd;
    EXPECT_EQ(dma_to(0x5000), 0x9000U);
    EXPECT_EQ(fault(0x7000), 0x79U);
    EXPECT_EQ(pending(), 0U);
  }
}

// ---- Records -----------------------------------------------------------------------------------------------------

TEST_F(FpdRules, ARecordWithoutPasidHasNoneEvenWhenRidPasidWasUsed) {
  mapped();
  scalable_context(kDevice, kDirectory, 5 | 1 << 20);  // RID_PRIV
  EXPECT_EQ(fault(0x12'3456'7898, Access::kWrite), 0x59U);
  EXPECT_EQ(record_low(0), 0x12'3456'7000U);
  EXPECT_EQ(record_high(0), 1ULL << 63 | 0x59ULL << 32 | kDevice.value);
}

TEST_F(FpdRules, ARecordWithPasidHasPpPasidPrivAndExe) {
  const std::uint64_t record = 1ULL << 63 | 0x1'2345ULL << 40 | 0x51ULL << 32 | 1ULL << 31 | kDevice.value;
  struct {
    Access access;
    bool privileged, execute;
    std::uint64_t more;
  } const cases[] = {{Access::kRead, false, false, 1ULL << 62},
                     {Access::kRead, true, false, 1ULL << 62 | 1ULL << 29},
                     {Access::kRead, false, true, 1ULL << 62 | 1ULL << 30},
                     {Access::kRead, true, true, 1ULL << 62 | 3ULL << 29},
                     {Access::kWrite, true, false, 1ULL << 29},
                     {Access::kAtomic, false, false, 1ULL << 62 | 1ULL << 28}};
  for (const auto& c : cases) {
    mapped();
    scalable_context(kDevice, kDirectory | kPaside | 7 << 9);
    EXPECT_EQ(reason(with_pasid(request(0x5000, c.access), 0x1'2345, c.privileged, c.execute)), 0x51U);
    EXPECT_EQ(record_high(0), record | c.more);
  }
}

TEST_F(FpdRules, BitsOfTheAddressAboveTheLargestWidthAreNotRecorded) {
  for (const unsigned width : {57U, 48U, 39U}) {
    Profile p = full_profile();
    p.guest_address_width = width;
    p.levels5 = width == 57;
    p.first_stage_5 = width == 57;
    p.levels4 = width >= 48;
    mapped(p);
    host->words[kRoot] = 0;
    EXPECT_EQ(fault(0xFFFF'FFFF'8765'4321), 0x39U);
    EXPECT_EQ(record_low(0), 0xFFFF'FFFF'8765'4000 & ((1ULL << width) - 1)) << width;
  }
}

}  // namespace
}  // namespace vtd::test
