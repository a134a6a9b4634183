// SPDX-License-Identifier: MIT
// From source-id and PASID to a PASID entry in scalable mode: which structure is read, what is checked in which order,
// what is recorded. Written from the document with raw numbers only.
#include "tests/core/raw_software.h"

namespace vtd::test {
namespace {

constexpr std::uint64_t kAboveHaw = ~0ULL << 46;  // the full profile has 46 address bits

void without_first_stage(Profile& p) {
  p.first_stage = p.nesting = p.first_stage_1g = p.first_stage_5 = p.extended_accessed = false;
  p.supervisor_requests = p.rid_privileged = p.execute_requests = false;
}

class ScalableRules : public RawScalable {
 protected:
  unsigned read_fault() { return fault(0x5000); }
  /// Each bit of `mask` alone, set in the word at `at` of an otherwise good configuration, raises `code`.
  template <typename Prepare>
  void each_bit(PhysAddr at, std::uint64_t mask, unsigned code, Prepare prepare) {
    for (unsigned bit = 0; bit < 64; ++bit) {
      if ((mask >> bit & 1) == 0) continue;
      prepare();
      host->words[at] |= 1ULL << bit;
      EXPECT_EQ(read_fault(), code) << std::hex << at << " bit " << std::dec << bit;
      EXPECT_EQ(record_reason(0), code);
    }
  }
  void each_bit(PhysAddr at, std::uint64_t mask, unsigned code) {
    each_bit(at, mask, code, [this] { mapped(); });
  }
};

// ---- Which entry ---------------------------------------------------------------------------------------------

TEST_F(ScalableRules, Devfn7SelectsTheHalfOfTheRootEntry) {
  for (const unsigned devfn : {0U, 0x18U, 0x7FU, 0x80U, 0x98U, 0xFFU}) {
    mapped();
    const SourceId source{static_cast<std::uint16_t>(devfn)};
    host->words[kRoot + (devfn < 128 ? 8 : 0)] = ~0ULL;  // of the half that is not used nothing is checked
    scalable_context(source, kDirectory);
    EXPECT_EQ(dma_to(0x5000, source), 0x9000U) << devfn;
    mapped();
    host->words[kRoot + (devfn < 128 ? 8 : 0)] = 0;  // nor must it be present
    scalable_context(source, kDirectory);
    EXPECT_EQ(dma_to(0x5000, source), 0x9000U) << devfn;
  }
}

TEST_F(ScalableRules, BusSelectsTheRootEntry) {
  mapped();
  const SourceId source = make_source_id(0x81, 3, 0);
  host->words[kRoot + 0x810] = 0x2'2001;
  put(0x2'2000 + 0x18 * 32, {kDirectory | 1, 0, 0, 0});
  EXPECT_EQ(dma_to(0x5000, source), 0x9000U);
  EXPECT_EQ(fault(0x5000, Access::kRead, make_source_id(0x80, 3, 0)), 0x39U);
}

TEST_F(ScalableRules, RidPasidSelectsTheEntryOfRequestsWithoutPasid) {
  for (const unsigned pasid : {1U, 0x3FU, 0x40U, 0x1FFFU, 0x2000U, 0x1'2345U, 0xF'FFFFU}) {
    mapped();
    host->words[kDirectory] = 0;
    host->words[pasid_at(0)] = 0;
    scalable_context(kDevice, kDirectory | 7 << 9, pasid);
    host->words[kDirectory + (pasid >> 6) * 8] = kPasidTable | 1;
    pasid_entry(pasid, kSecondStage | kAw4 | kTable, kDid);
    EXPECT_EQ(dma_to(0x5000), 0x9000U) << pasid;
  }
}

TEST_F(ScalableRules, ThePasidOfTheRequestSelectsItsEntry) {
  for (const unsigned pasid : {1U, 0x3FU, 0x40U, 0x1FFFU, 0x2000U, 0x1'2345U, 0xF'FFFFU}) {
    mapped();
    scalable_context(kDevice, kDirectory | kPaside | 7 << 9);
    host->words[kDirectory + (pasid >> 6) * 8] = 0x7'1001;
    put(0x7'1000 + (pasid & 63) * 64, {kSecondStage | kAw4 | kOtherTable | 1, kOtherDid, 0, 0, 0, 0, 0, 0});
    map_in(kOtherTable, 4, 0x5000, 0xA000 | kR, 1, kR);
    EXPECT_EQ(address_of(with_pasid(dma_read(kDevice, 0x5000), pasid)), 0xA000U) << pasid;
    if (pasid >= 64) {
      EXPECT_EQ(dma_to(0x5000), 0x9000U) << "RID_PASID is 0";
    }
  }
}

TEST_F(ScalableRules, ARequestWithPasid0IsARequestWithPasid) {
  mapped();
  pasid_entry(1, kSecondStage | kAw4 | kOtherTable, kOtherDid);
  scalable_context(kDevice, kDirectory | kPaside, 1);
  EXPECT_EQ(address_of(with_pasid(dma_read(kDevice, 0x5000), 0)), 0x9000U);
  EXPECT_EQ(fault(0x5000), 0x79U) << "without PASID entry 1 is used, whose table is empty";
}

// ---- Root ------------------------------------------------------------------------------------------------------

TEST_F(ScalableRules, Reason30_TableModeInvalid) {
  struct {
    unsigned ttm;
    void (*change)(Profile&);
  } const cases[] = {{2, [](Profile&) {}},
                     {3, [](Profile& p) { p.abort_dma = false; }},
                     {1, [](Profile& p) {
                        p = Profile{};  // a unit of legacy mode only
                      }}};
  for (const auto& c : cases) {
    Profile p = full_profile();
    c.change(p);
    mapped(p);
    write64(kRtaddr, kRoot | std::uint64_t{c.ttm} << 10);
    write32(kGcmd, 1U << 31 | 1U << 30);
    EXPECT_EQ(read_fault(), 0x30U) << "TTM " << c.ttm;
    EXPECT_EQ(record_reason(0), 0x30U);
  }
}

TEST_F(ScalableRules, Reason31_RequestWithPasidUnderLegacyMode) {
  RawSoftware::fresh(full_profile());
  page(0x5000, 0x9000, kR);
  EXPECT_EQ(dma_to(0x5000), 0x9000U);
  EXPECT_EQ(reason(with_pasid(dma_read(kDevice, 0x5000), 7)), 0x31U);
  EXPECT_EQ(record_high(0), 1ULL << 63 | 1ULL << 62 | 7ULL << 40 | 0x31ULL << 32 | 1ULL << 31 | kDevice.value);
  host->broken.insert(kRoot);
  EXPECT_EQ(reason(with_pasid(dma_read(make_source_id(1, 0, 0), 0x5000), 7)), 0x31U) << "before any table is read";
}

TEST_F(ScalableRules, Reason38_RootEntryAccessError) {
  mapped();
  host->broken.insert(kRoot);
  EXPECT_EQ(read_fault(), 0x38U);
  EXPECT_EQ(record_reason(0), 0x38U);
  mapped();
  host->broken.insert(kRoot + 8);
  EXPECT_EQ(fault(0x5000, Access::kRead, kUpperDevice), 0x38U);
}

TEST_F(ScalableRules, Reason39_RootEntryNotPresentRaisesOnlyThat) {
  for (const SourceId source : {kDevice, kUpperDevice}) {
    mapped();
    host->words[kRoot + (source == kDevice ? 0 : 8)] = ~1ULL;
    EXPECT_EQ(fault(0x5000, Access::kRead, source), 0x39U);
    EXPECT_EQ(record_reason(0), 0x39U);
  }
}

TEST_F(ScalableRules, Reason3A_RootEntryReservedBits) {
  each_bit(kRoot, 0xFFE | kAboveHaw, 0x3A);
  for (const unsigned bit : {1U, 11U, 46U, 63U}) {
    mapped();
    host->words[kRoot + 8] |= 1ULL << bit;
    EXPECT_EQ(fault(0x5000, Access::kRead, kUpperDevice), 0x3AU) << bit;
  }
}

// ---- Context ---------------------------------------------------------------------------------------------------

TEST_F(ScalableRules, Reason40_ContextEntryAccessError) {
  for (const unsigned word : {0U, 1U, 2U, 3U}) {
    mapped();
    host->broken.insert(context_at(kDevice) + word * 8);
    EXPECT_EQ(read_fault(), 0x40U) << "256 bits are read, word " << word;
  }
}

TEST_F(ScalableRules, Reason41_ContextEntryNotPresentRaisesOnlyThat) {
  mapped();
  put(context_at(kDevice), {~3ULL, ~0ULL, ~0ULL, ~0ULL});
  EXPECT_EQ(read_fault(), 0x41U);
  EXPECT_EQ(record_reason(0), 0x41U);
}

TEST_F(ScalableRules, Reason42_ContextEntryReservedBits) {
  const PhysAddr at = context_at(kDevice);
  each_bit(at, 0x1E0 | kAboveHaw, 0x42);
  each_bit(at + 8, ~0ULL << 21, 0x42);
  each_bit(at + 16, ~0ULL, 0x42);
  each_bit(at + 24, ~0ULL, 0x42);
}

TEST_F(ScalableRules, Reason42_5A_FieldsOfAbsentCapabilitiesAreReserved) {
  const PhysAddr context = context_at(kDevice), entry = pasid_at(0);
  struct {
    const char* field;
    void (*lacking)(Profile&);
    PhysAddr at;
    std::uint64_t bits;
    unsigned code;
  } const cases[] = {
      {"DTE", [](Profile& p) { p.device_tlb = p.page_requests = p.page_request_drain = false; }, context, kDte, 0x42},
      {"PRE", [](Profile& p) { p.page_requests = p.page_request_drain = false; }, context, kPre, 0x42},
      {"PASIDE", [](Profile& p) { p.pasid = p.supervisor_requests = p.execute_requests = p.rid_privileged = false; },
       context, kPaside, 0x42},
      {"RID_PASID", [](Profile& p) { p.rid_pasid = false; }, context + 8, 1, 0x42},
      {"RID_PRIV", [](Profile& p) { p.rid_privileged = false; }, context + 8, 1 << 20, 0x42},
      {"SSADE", [](Profile& p) { p.second_stage_ad = false; }, entry, kSsade, 0x5A},
      {"PWSNP", [](Profile& p) { p.walk_snoop = false; }, entry + 8, kPwsnp, 0x5A},
      {"PGSNP", [](Profile& p) { p.snoop_control = false; }, entry + 8, 1 << 24, 0x5A},
      {"SRE", [](Profile& p) { p.supervisor_requests = p.rid_privileged = false; }, entry + 16, 1, 0x5A},
      {"EAFE", [](Profile& p) { p.extended_accessed = false; }, entry + 16, 1 << 7, 0x5A},
      {"WPE", without_first_stage, entry + 16, 1 << 4, 0x5A},
      {"FSPTPTR", without_first_stage, entry + 16, kFirst, 0x5A},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.field);
    mapped();
    host->words[c.at] |= c.bits;
    if (c.at == context + 8 && c.bits == 1) pasid_entry(1, kSecondStage | kAw4 | kTable, kDid);
    if (c.bits == kSsade) host->words[entry + 8] |= kPwsnp;
    EXPECT_EQ(dma_to(0x5000), 0x9000U) << "with the capability";
    Profile p = full_profile();
    c.lacking(p);
    mapped(p);
    host->words[c.at] |= c.bits;
    EXPECT_EQ(read_fault(), c.code);
    mapped(p);
    host->words[c.at] |= c.bits;
    if (c.code == 0x5A) host->words[entry] &= ~(7ULL << 6);
    if (c.code == 0x42) host->words[context + 8] |= 0x4000;  // RID_PASID beyond PDTS
    EXPECT_EQ(read_fault(), c.code) << "before what is checked of the programming";
    mapped(p);
    EXPECT_EQ(dma_to(0x5000), 0x9000U) << "with the field at 0";
  }
}

TEST_F(ScalableRules, Reason44_TranslationAndTranslatedRequestsNeedDte) {
  for (const AddressType type : {AddressType::kTranslationRequest, AddressType::kTranslated}) {
    mapped();
    DmaRequest r = dma_read(kDevice, 0x5000);
    r.type = type;
    EXPECT_EQ(reason(r), 0x44U);
    EXPECT_EQ(record_reason(0), 0x44U);
    EXPECT_EQ(record_high(0) >> 60 & 3, static_cast<unsigned>(type)) << "AT";
    mapped();
    scalable_context(kDevice, kDirectory | kDte);
    EXPECT_TRUE(dma(r).ok());
  }
}

TEST_F(ScalableRules, Reason45_RequestWithPasidNeedsPaside) {
  mapped();
  scalable_context(kDevice, kDirectory);
  EXPECT_EQ(reason(with_pasid(dma_read(kDevice, 0x5000), 1)), 0x45U);
  EXPECT_EQ(reason(with_pasid(dma_read(kDevice, 0x5000), 0xF'FFFF)), 0x45U) << "before its size is looked at";
  EXPECT_EQ(record_reason(0), 0x45U);
  EXPECT_EQ(dma_to(0x5000), 0x9000U) << "requests without do not need it";
}

TEST_F(ScalableRules, Reason46_PasidBeyondTheDirectory) {
  for (unsigned pdts = 0; pdts < 8; ++pdts) {
    const unsigned limit = 1U << (pdts + 13);
    mapped();
    scalable_context(kDevice, kDirectory | kPaside | std::uint64_t{pdts} << 9);
    host->words[kDirectory + (limit / 64 - 1) * 8] = 0x7'1001;
    put(0x7'1000 + 63 * 64, {kSecondStage | kAw4 | kTable | 1, kDid, 0, 0, 0, 0, 0, 0});
    EXPECT_EQ(address_of(with_pasid(dma_read(kDevice, 0x5000), limit - 1)), 0x9000U) << "PDTS " << pdts;
    if (pdts == 7) break;
    EXPECT_EQ(reason(with_pasid(dma_read(kDevice, 0x5000), limit)), 0x46U) << "PDTS " << pdts;
    EXPECT_EQ(record_reason(0), 0x46U);
  }
}

TEST_F(ScalableRules, Reason43_RidPasidBeyondTheDirectory) {
  for (unsigned pdts = 0; pdts < 7; ++pdts) {
    const unsigned limit = 1U << (pdts + 13);
    mapped();
    scalable_context(kDevice, kDirectory | std::uint64_t{pdts} << 9, limit);
    host->words[kDirectory + limit / 64 * 8] = kPasidTable | 1;
    EXPECT_EQ(read_fault(), 0x43U) << "PDTS " << pdts;
    EXPECT_EQ(record_high(0), 1ULL << 63 | 1ULL << 62 | 0x43ULL << 32 | kDevice.value);
  }
}

TEST_F(ScalableRules, Reason48_RidPasidWiderThanPss) {
  Profile p = full_profile();
  p.pasid_bits = 12;
  mapped(p);
  scalable_context(kDevice, kDirectory | 7ULL << 9, 0x1000);
  host->words[kDirectory + 0x1000 / 64 * 8] = kPasidTable | 1;
  EXPECT_EQ(read_fault(), 0x48U);
  EXPECT_EQ(record_high(0), 1ULL << 63 | 1ULL << 62 | 0x48ULL << 32 | kDevice.value);
}

// ---- PASID directory -------------------------------------------------------------------------------------------

TEST_F(ScalableRules, Reason50_DirectoryAccessError) {
  mapped();
  host->broken.insert(kDirectory);
  EXPECT_EQ(read_fault(), 0x50U);
  EXPECT_EQ(record_reason(0), 0x50U);
}

TEST_F(ScalableRules, Reason51_DirectoryEntryNotPresentRaisesOnlyThat) {
  mapped();
  host->words[kDirectory] = ~3ULL;
  EXPECT_EQ(read_fault(), 0x51U);
  EXPECT_EQ(record_reason(0), 0x51U);
}

TEST_F(ScalableRules, Reason52_DirectoryEntryReservedBits) {
  each_bit(kDirectory, 0xFFC | kAboveHaw, 0x52);
}

// ---- PASID entry -----------------------------------------------------------------------------------------------

TEST_F(ScalableRules, Reason58_PasidEntryAccessError) {
  for (unsigned word = 0; word < 8; ++word) {
    mapped();
    host->broken.insert(pasid_at(0) + word * 8);
    EXPECT_EQ(read_fault(), 0x58U) << word;
    EXPECT_EQ(record_reason(0), 0x58U);
  }
}

TEST_F(ScalableRules, Reason59_PasidEntryNotPresentRaisesOnlyThat) {
  mapped();
  put(pasid_at(0), {~3ULL, ~0ULL, ~0ULL, ~0ULL, ~0ULL, ~0ULL, ~0ULL, ~0ULL});
  EXPECT_EQ(read_fault(), 0x59U);
  EXPECT_EQ(record_reason(0), 0x59U);
}

TEST_F(ScalableRules, Reason5A_PasidEntryReservedBits) {
  const PhysAddr at = pasid_at(0);
  each_bit(at, 1 << 5 | 3 << 10 | kAboveHaw, 0x5A);
  each_bit(at + 8, 0xFFFF'FFFF'FE7F'0000, 0x5A);
  each_bit(at + 16, 0xF << 8, 0x5A);
  each_bit(at + 16, 1 << 1, 0x5A, [this] {
    Profile p = full_profile();
    p.execute_requests = false;  // ERE of older revisions
    mapped(p);
  });
  each_bit(at + 16, kAboveHaw, 0x5A, [this] {
    mapped();
    pasid_entry(0, kFirstStage, kDid, kFirst);
  });
  for (unsigned word = 3; word < 8; ++word) each_bit(at + word * 8, ~0ULL, 0x5A);
}

TEST_F(ScalableRules, IgnoredBitsOfAPasidEntryAreIgnored) {
  mapped();
  host->words[pasid_at(0) + 16] |= 3 << 5;
  EXPECT_EQ(dma_to(0x5000), 0x9000U);
}

TEST_F(ScalableRules, Reason5B_PasidEntryProgrammingInvalid) {
  struct {
    const char* what;
    void (*change)(Profile&);
    std::uint64_t word0, word2;
  } const cases[] = {
      {"PGTT 0", [](Profile&) {}, kAw4 | 0 << 6, 0},
      {"PGTT 5", [](Profile&) {}, kAw4 | 5 << 6, 0},
      {"PGTT 6", [](Profile&) {}, kAw4 | 6 << 6, 0},
      {"PGTT 7", [](Profile&) {}, kAw4 | 7 << 6, 0},
      {"no FSTS", without_first_stage, kFirstStage, 0},
      {"no SSTS", [](Profile& p) { p.second_stage = p.nesting = p.second_stage_ad = false; },
       kSecondStage | kAw4 | kTable, 0},
      {"no NEST", [](Profile& p) { p.nesting = false; }, kNested | kAw4 | kTable, kFirst},
      {"no PT", [](Profile& p) { p.pass_through = false; }, kPassThrough | kAw4, 0},
      {"AW 0", [](Profile&) {}, kSecondStage | 0 << 2 | kTable, 0},
      {"AW 4", [](Profile&) {}, kSecondStage | 4 << 2 | kTable, 0},
      {"AW 7", [](Profile&) {}, kSecondStage | 7 << 2 | kTable, 0},
      {"AW 1 not in SAGAW", [](Profile& p) { p.levels3 = false; }, kSecondStage | 1 << 2 | kTable, 0},
      {"AW 3 not in SAGAW", [](Profile& p) { p.levels5 = false; }, kSecondStage | 3 << 2 | kTable, 0},
      {"nested AW 0", [](Profile&) {}, kNested | 0 << 2 | kTable, kFirst},
      {"FSPM 2", [](Profile&) {}, kFirstStage, kFirst | 2 << 2},
      {"FSPM 3", [](Profile&) {}, kFirstStage, kFirst | 3 << 2},
      {"nested FSPM 3", [](Profile&) {}, kNested | kAw4 | kTable, kFirst | 3 << 2},
      {"FSPM 1 without FS5LP", [](Profile& p) { p.first_stage_5 = false; }, kFirstStage, kFirst | 1 << 2},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.what);
    Profile p = full_profile();
    c.change(p);
    if (!p.levels5) p.guest_address_width = 48;
    mapped(p);
    pasid_entry(0, c.word0, kDid, c.word2);
    EXPECT_EQ(read_fault(), 0x5BU);
    EXPECT_EQ(record_reason(0), 0x5BU);
    mapped(p);
    pasid_entry(0, c.word0 | 1 << 5, kDid, c.word2);
    EXPECT_EQ(read_fault(), 0x5AU) << "reserved bits come before";
  }
}

TEST_F(ScalableRules, EveryWidthOfSagawIsGood) {
  for (const unsigned aw : {1U, 2U, 3U}) {
    mapped();
    pasid_entry(0, kSecondStage | aw << 2 | kOtherTable, kDid);
    map_in(kOtherTable, aw + 2, 0x5000, 0xA000 | kR, 1, kR);
    EXPECT_EQ(dma_to(0x5000), 0xA000U) << aw;
  }
}

TEST_F(ScalableRules, FirstStageEntriesDoNotLookAtAw) {
  mapped();
  pasid_entry(0, kFirstStage, kDid | kPwsnp, kFirst);
  first(0x5000, 0xA000 | kP | kUs);
  EXPECT_EQ(dma_to(0x5000), 0xA000U);
}

TEST_F(ScalableRules, PassThroughIgnoresAwAndSsade) {
  for (unsigned aw = 0; aw < 8; ++aw) {
    mapped();
    pasid_entry(0, kPassThrough | aw << 2 | kSsade | 0x12'3000, kDid);
    EXPECT_EQ(dma_to(0x3'4567'8008), 0x3'4567'8008U) << "AW " << aw;
    EXPECT_TRUE(host->walks.empty());
  }
  each_bit(pasid_at(0), kAboveHaw, 0x5A, [this] {
    mapped();
    pasid_entry(0, kPassThrough | kAw4, kDid);
  });
}

TEST_F(ScalableRules, Reason5C_ExecuteRequestsNeedErsAndEre) {
  for (const bool announced : {false, true}) {
    Profile p = full_profile();
    p.execute_requests = announced;
    mapped(p);
    pasid_entry(0, kFirstStage, kDid | kPwsnp, kFirst);
    first(0x5000, 0xA000 | kP | kUs);
    EXPECT_EQ(reason(with_pasid(dma_read(kDevice, 0x5000), 0, false, true)), 0x5CU);
    EXPECT_EQ(record_reason(0), 0x5CU);
    EXPECT_EQ(address_of(with_pasid(dma_read(kDevice, 0x5000), 0)), 0xA000U);
  }
  mapped();
  pasid_entry(0, kFirstStage, kDid | kPwsnp, kFirst | 2);
  first(0x5000, 0xA000 | kP | kUs);
  EXPECT_EQ(address_of(with_pasid(dma_read(kDevice, 0x5000), 0, false, true)), 0xA000U);
}

TEST_F(ScalableRules, Reason5D_SupervisorRequestsNeedSre) {
  for (const std::uint64_t type : {kFirstStage, kNested | kAw4 | kTable}) {
    mapped();
    pasid_entry(0, type, kDid | kPwsnp, kFirst);
    EXPECT_EQ(reason(with_pasid(dma_read(kDevice, 0x5000), 0, true)), 0x5DU);
    EXPECT_EQ(record_reason(0), 0x5DU);
    EXPECT_TRUE(host->walks.empty()) << "before the walk";
  }
  mapped();
  pasid_entry(0, kFirstStage, kDid | kPwsnp, kFirst | 1);
  first(0x5000, 0xA000 | kP | kUs);
  EXPECT_EQ(address_of(with_pasid(dma_read(kDevice, 0x5000), 0, true)), 0xA000U);
}

}  // namespace
}  // namespace vtd::test
