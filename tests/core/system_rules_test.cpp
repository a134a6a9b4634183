// SPDX-License-Identifier: MIT
// Protected memory, resets, caching mode, abort mode, root pointer commands, pass-through, profiles. Written from the
// document with raw numbers only.
#include "tests/core/raw_software.h"
#include "tlm/core/profile_check.h"

namespace vtd::test {
namespace {

constexpr std::uint64_t kPmen = 0x64, kPlmbase = 0x68, kPlmlimit = 0x6C, kPhmbase = 0x70, kPhmlimit = 0x78,
                        kIrta = 0xB8, kPqh = 0xC0, kPqt = 0xC8, kPqa = 0xD0, kPrs = 0xDC, kPectl = 0xE0, kPedata = 0xE4,
                        kPeaddr = 0xE8, kPeuaddr = 0xEC;

// ---- Protected memory ------------------------------------------------------------------------------------------

class ProtectedRules : public RawScalable {
 protected:
  /// A unit whose translation is off, with both regions set up and enabled.
  void protect(const Profile& p = full_profile()) {
    fresh(p);
    write32(kGcmd, 0);
    write32(kPlmbase, 0x1000'0000);
    write32(kPlmlimit, 0x2000'0000);
    write64(kPhmbase, 0x5'0000'0000);
    write64(kPhmlimit, 0x6'0000'0000);
    write32(kPmen, 1U << 31);
  }
  bool blocked(std::uint64_t address, unsigned length = 4) {
    for (const bool write : {false, true}) {
      DmaRequest r = write ? dma_write(kDevice, address) : dma_read(kDevice, address);
      r.length = length;
      const auto result = dma(r);
      EXPECT_EQ(result.ok(), dma(dma_read(kDevice, address)).ok()) << "reads and writes alike";
      if (write) return !result.ok();
    }
    return false;
  }
};

TEST_F(ProtectedRules, BothRegionsBlockUntranslatedAccesses) {
  protect();
  write32(kPlmbase, 0xFFFF'FFFF);
  const std::uint32_t unit_bit = read32(kPlmbase) & (~read32(kPlmbase) + 1);
  ASSERT_NE(unit_bit, 0U) << "alignment is found by writing ones";
  protect();
  EXPECT_EQ(read32(kPmen), 1U << 31 | 1) << "PRS";
  const std::uint64_t low_end = 0x2000'0000ULL + unit_bit, high_end = 0x6'0000'0000ULL + unit_bit;
  EXPECT_FALSE(blocked(0x0FFF'FFFC));
  EXPECT_TRUE(blocked(0x1000'0000));
  EXPECT_TRUE(blocked(0x1800'0000));
  EXPECT_TRUE(blocked(0x2000'0000)) << "the limit is inclusive";
  EXPECT_TRUE(blocked(low_end - 4));
  EXPECT_FALSE(blocked(low_end));
  EXPECT_FALSE(blocked(0x4'FFFF'FFFC));
  EXPECT_TRUE(blocked(0x5'0000'0000));
  EXPECT_TRUE(blocked(high_end - 4));
  EXPECT_FALSE(blocked(high_end));
  EXPECT_EQ(pending(), 0U) << "nothing is recorded";
}

TEST_F(ProtectedRules, NothingIsBlockedWhenDisabled) {
  protect();
  write32(kPmen, 0);
  EXPECT_EQ(read32(kPmen), 0U);
  EXPECT_FALSE(blocked(0x1000'0000));
  EXPECT_FALSE(blocked(0x5'0000'0000));
}

TEST_F(ProtectedRules, TranslatedRequestsReachTheRegions) {
  protect();
  write32(kGcmd, 1U << 31);
  second(0x7000, 0x1000'0000 | kR | kW);
  second(0x8000, 0x5'0000'0000 | kR | kW);
  EXPECT_EQ(dma_to(0x7000), 0x1000'0000U);
  EXPECT_EQ(dma_to(0x8000), 0x5'0000'0000U);
  EXPECT_EQ(fault(0x1000'0000), 0x79U) << "an input address is not looked at";
}

TEST_F(ProtectedRules, RegionsThatTheUnitLacks) {
  Profile p = full_profile();
  p.protected_low = false;
  protect(p);
  EXPECT_EQ(read32(kPlmbase) | read32(kPlmlimit), 0U);
  EXPECT_FALSE(blocked(0x1000'0000));
  EXPECT_TRUE(blocked(0x5'0000'0000));
  p.protected_low = true;
  p.protected_high = false;
  protect(p);
  EXPECT_EQ(read64(kPhmbase) | read64(kPhmlimit), 0U);
  EXPECT_TRUE(blocked(0x1000'0000));
  EXPECT_FALSE(blocked(0x5'0000'0000));
  p.protected_low = false;
  protect(p);
  EXPECT_EQ(read32(kPmen), 0U);
}

// ---- Resets ----------------------------------------------------------------------------------------------------

class ResetRules : public RawScalable {};

TEST_F(ResetRules, StickyStatusSurvivesAWarmResetOnly) {
  for (const ResetKind kind : {ResetKind::kWarm, ResetKind::kCold}) {
    fresh(full_profile());
    scalable_context(kDevice, kDirectory | kDte | kPre);
    queue_on();
    write64(kPqa, 0xC'0000);
    PageRequest r;
    r.source = kDevice;
    unit->page_request(r);                      // PPR
    put(kQueue, {3 | 0x18ULL << 32, 0, 0, 0});  // a device-TLB that fails
    put(kQueue + 0x20, {0x15, 0, 0, 0});        // a wait with IF
    put(kQueue + 0x40, {0xF, 0, 0, 0});         // a bad descriptor
    write64(kIqt, 0x20);
    unit->device_answered(host->device_invalidations.at(0).tag, DeviceAnswer::kError);
    write64(kIqt, 0x60);
    EXPECT_EQ(fault(0x7000), 0x79U);
    const std::uint32_t fsts = read32(kFsts);
    const std::uint64_t iqercd = read64(kIqercd);
    EXPECT_EQ(fsts & 0x7F, 0x32U) << "PPF, IQE, ICE";
    EXPECT_EQ(iqercd, 0x18ULL << 48 | 3);
    EXPECT_EQ(read32(kIcs), 1U);
    EXPECT_EQ(read32(kPrs), 1U);
    unit->reset(kind);
    const bool warm = kind == ResetKind::kWarm;
    EXPECT_EQ(read32(kFsts), warm ? fsts : 0U);
    EXPECT_EQ(read64(kIqercd), warm ? iqercd : 0U);
    EXPECT_EQ(read32(kIcs), warm ? 1U : 0U);
    EXPECT_EQ(read32(kPrs), warm ? 1U : 0U);
    EXPECT_EQ(record_high(0) >> 63, warm ? 1U : 0U);
  }
}

TEST_F(ResetRules, EverythingElseReturnsToItsResetValue) {
  for (const ResetKind kind : {ResetKind::kWarm, ResetKind::kCold}) {
    fresh(full_profile());
    for (const std::uint64_t r : {kIqa, kIrta, kPqa, kPhmbase, kPhmlimit}) write64(r, 0x12'3400'0000);
    for (const std::uint64_t r : {kPlmbase, kPlmlimit}) write32(r, 0x1230'0000);
    for (const std::uint64_t r : {kFectl, kIectl, kPectl}) write32(r, 0);
    for (const std::uint64_t r : {kPedata, kPeaddr, kPeuaddr, kFedata, kFeaddr, kFeuaddr, kIedata, kIeaddr})
      write32(r, 0x40);
    write32(kPmen, 1U << 31);
    write64(kPqh, 0x40);
    unit->reset(kind);
    for (const std::uint64_t r : {kIqa, kIqt, kIqh, kIrta, kPqa, kPqh, kPqt, kPhmbase, kPhmlimit, kRtaddr})
      EXPECT_EQ(read64(r), 0U) << std::hex << r;
    for (const std::uint64_t r :
         {kPlmbase, kPlmlimit, kPmen, kGsts, kPedata, kPeaddr, kPeuaddr, kFedata, kFeaddr, kFeuaddr, kIedata, kIeaddr})
      EXPECT_EQ(read32(r), 0U) << std::hex << r;
    for (const std::uint64_t r : {kFectl, kIectl, kPectl}) EXPECT_EQ(read32(r), 1U << 31) << "IM";
    EXPECT_EQ(dma_to(0x5000), 0x5000U) << "TE=0, no protected memory";
  }
}

TEST_F(ResetRules, AResetForgetsEveryCacheOfScalableMode) {
  for (const ResetKind kind : {ResetKind::kWarm, ResetKind::kCold}) {
    for (unsigned layer = 0; layer < 3; ++layer) {
      mapped();
      EXPECT_EQ(dma_to(0x5000), 0x9000U);
      if (layer == 0) host->words[context_at(kDevice)] = 0;
      if (layer == 1) host->words[pasid_at(0)] = 0;
      if (layer == 2) second(0x5000, 0);
      EXPECT_EQ(dma_to(0x5000), 0x9000U);
      unit->reset(kind);
      start();
      EXPECT_EQ(fault(0x5000), layer == 0 ? 0x41U : layer == 1 ? 0x59U : 0x79U);
    }
  }
}

// ---- Root pointer ----------------------------------------------------------------------------------------------

TEST_F(ResetRules, SrtpDropsTheCachesOnlyWithEsrtps) {
  for (const bool hitless : {false, true}) {
    for (unsigned layer = 0; layer < 3; ++layer) {
      Profile p = full_profile();
      p.hitless_root = hitless;
      mapped(p);
      EXPECT_EQ(read64(0x08) >> 63, hitless ? 1U : 0U);
      EXPECT_EQ(dma_to(0x5000), 0x9000U);
      if (layer == 0) host->words[context_at(kDevice)] = 0;
      if (layer == 1) host->words[pasid_at(0)] = 0;
      if (layer == 2) second(0x5000, 0);
      write32(kGcmd, 1U << 31 | 1U << 30);
      if (hitless) {
        EXPECT_EQ(fault(0x5000), layer == 0 ? 0x41U : layer == 1 ? 0x59U : 0x79U);
      } else {
        EXPECT_EQ(dma_to(0x5000), 0x9000U) << layer;
      }
    }
  }
}

TEST_F(ResetRules, AbortModeRefusesDmaAndRecordsNothing) {
  mapped();
  EXPECT_EQ(dma_to(0x5000), 0x9000U);
  write64(kRtaddr, kRoot | 3 << 10);
  EXPECT_EQ(dma_to(0x5000), 0x9000U) << "RTADDR alone changes nothing";
  write32(kGcmd, 1U << 31 | 1U << 30);
  for (DmaRequest r :
       {dma_read(kDevice, 0x5000), dma_write(kDevice, 0x5000), with_pasid(dma_read(kDevice, 0x5000), 0)}) {
    EXPECT_EQ(reason(r), 0U);
    r.type = AddressType::kTranslated;
    EXPECT_EQ(reason(r), 0U);
  }
  EXPECT_EQ(pending(), 0U);
  write64(kRtaddr, kRoot | 1 << 10);
  write32(kGcmd, 1U << 31 | 1U << 30);
  EXPECT_EQ(dma_to(0x5000), 0x9000U);
}

// ---- Caching mode ----------------------------------------------------------------------------------------------

class CachingModeRules : public RawScalable {
 protected:
  static Profile caching(bool on) {
    Profile p = full_profile();
    p.caching_mode = on;
    return p;
  }
};

TEST_F(CachingModeRules, AbsentEntriesAreCachedOnlyWithCm) {
  struct {
    const char* what;
    unsigned code;
    std::uint64_t low, high;  // the invalidation that is needed
  } const cases[] = {{"context", 0x41, 0x11, 0},
                     {"PASID entry", 0x59, 0x37, 0},
                     {"page", 0x79, 0x32 | std::uint64_t{kDid} << 16, 0x5000},
                     {"page, domain-selective", 0x79, 0x22 | std::uint64_t{kDid} << 16, 0}};
  for (const auto& c : cases) {
    for (const bool on : {false, true}) {
      SCOPED_TRACE(c.what);
      mapped(caching(on));
      EXPECT_EQ(read64(0x08) >> 7 & 1, on ? 1U : 0U);
      queue_on();
      const PhysAddr at = c.code == 0x41   ? context_at(kDevice)
                          : c.code == 0x59 ? pasid_at(0)
                                           : second(0x5000, 0x9000 | kR | kW)[1];
      const std::uint64_t good = std::exchange(host->words[at], 0);
      EXPECT_EQ(fault(0x5000), c.code);
      host->words[at] = good;
      if (on) {
        if (c.code == 0x79) {  // contexts and PASID entries may be cached, and are not
          EXPECT_EQ(fault(0x5000), c.code) << "cached";
          EXPECT_EQ(record_reason(1), c.code) << "and recorded again";
        }
        EXPECT_EQ(submit(c.low, c.high), 0U);
      }
      EXPECT_EQ(dma_to(0x5000), 0x9000U);
    }
  }
}

TEST_F(CachingModeRules, AbsentFirstStageEntriesAreNeverCached) {
  mapped(caching(true));
  pasid_entry(0, kFirstStage, kDid | kPwsnp, kFirst);
  EXPECT_EQ(fault(0x5000), 0x71U);
  first(0x5000, 0xA000 | kP | kUs);
  EXPECT_EQ(dma_to(0x5000), 0xA000U);
}

TEST_F(CachingModeRules, LegacyContextsAbsentAreTaggedWithDomain0) {
  for (const bool on : {false, true}) {
    RawSoftware::fresh(caching(on));
    page(0x5000, 0x9000, kR);
    const PhysAddr at = 0x2'0000 + kDevice.devfn() * 16U;
    const std::uint64_t good = std::exchange(host->words[at], 0);
    EXPECT_EQ(fault(0x5000), 2U);
    host->words[at] = good;
    if (on) {
      context_register(3, kDid, kDevice.value);
      EXPECT_EQ(fault(0x5000), 2U) << "cached under domain 0";
      context_register(3, 0, kDevice.value);
    }
    EXPECT_EQ(dma_to(0x5000), 0x9000U);
  }
}

TEST_F(CachingModeRules, LegacyPagesAbsent) {
  for (const bool on : {false, true}) {
    RawSoftware::fresh(caching(on));
    EXPECT_EQ(fault(0x5000), 6U);
    page(0x5000, 0x9000, kR);
    if (on) {
      EXPECT_EQ(fault(0x5000), 6U) << "cached";
      iotlb_register(3, kDid, 0x5000);
    }
    EXPECT_EQ(dma_to(0x5000), 0x9000U);
  }
}

// ---- Legacy odds and ends --------------------------------------------------------------------------------------

class LegacyMoreRules : public RawSoftware {
 protected:
  void pass_through(const Profile& p, unsigned aw) {
    fresh(p);
    put_context(1 | 2 << 2, kDid << 8 | aw);
  }
  void put_context(std::uint64_t low, std::uint64_t high) {
    const PhysAddr at = 0x2'0000 + kDevice.devfn() * 16U;
    host->words[at] = low;
    host->words[at + 8] = high;
  }
};

TEST_F(LegacyMoreRules, PassThroughNeedsTheLargestWidth) {
  for (const unsigned aw : {1U, 2U, 3U}) {
    pass_through(full_profile(), aw);
    if (aw == 3) {
      EXPECT_EQ(dma_to(0x12'3456'7008), 0x12'3456'7008U);
    } else {
      EXPECT_EQ(fault(0x5000), 3U) << aw;
    }
  }
  Profile p = full_profile();
  p.pass_through = false;
  pass_through(p, 3);
  EXPECT_EQ(fault(0x5000), 3U) << "needs ECAP.PT";
}

TEST_F(LegacyMoreRules, PassThroughStaysBelowTheHostAddressWidth) {
  pass_through(full_profile(), 3);
  EXPECT_EQ(dma_to((1ULL << 46) - 0x1000), (1ULL << 46) - 0x1000);
  EXPECT_FALSE(dma(dma_read(kDevice, 1ULL << 46)).ok());
}

TEST_F(LegacyMoreRules, ReasonE_PassThroughToTheInterruptRange) {
  pass_through(full_profile(), 3);
  EXPECT_EQ(fault(0xFEE0'0000), 0xEU);
  EXPECT_EQ(dma_to(0xFEDF'FFFC), 0xFEDF'FFFCU);
  EXPECT_EQ(dma_to(0xFEF0'0000), 0xFEF0'0000U);
}

TEST_F(LegacyMoreRules, AtomicsNeedBothRightsAndZeroLengthReadsOne) {
  const auto ask = [](Access access) {
    DmaRequest r = dma_read(kDevice, 0x5000);
    r.access = access;
    if (access == Access::kZeroLengthRead) r.length = 0;
    return r;
  };
  const auto code = [&](Access access) { return static_cast<unsigned>(fault_of(ask(access))); };
  fresh(full_profile());
  page(0x5000, 0x9000, kR);
  EXPECT_EQ(code(Access::kAtomic), 5U);
  EXPECT_EQ(read64(record_offset(0) + 8), 0xC000'0005'1000'0018ULL) << "T1 and T2";
  EXPECT_EQ(address_of(ask(Access::kZeroLengthRead)), 0x9000U);
  fresh(full_profile());
  page(0x5000, 0x9000, kW);
  EXPECT_EQ(code(Access::kAtomic), 6U);
  EXPECT_EQ(address_of(ask(Access::kZeroLengthRead)), 0x9000U) << "ZLR";
  Profile p = full_profile();
  p.zero_length_read = false;
  fresh(p);
  page(0x5000, 0x9000, kW);
  EXPECT_EQ(code(Access::kZeroLengthRead), 6U);
}

// ---- Profiles --------------------------------------------------------------------------------------------------

TEST_F(LegacyMoreRules, CapabilityRegistersOfTheProfiles) {
  fresh(qemu72_profile());
  EXPECT_EQ(read64(0x08), 0x00D2'008C'2226'0206U);
  EXPECT_EQ(read64(0x10), 0x00F0'0F4AU);
  fresh(minimal_profile());
  EXPECT_EQ(read64(0x08) >> 8 & 0x1F, 2U) << "SAGAW: 39 bits";
  EXPECT_EQ(read64(0x08) >> 16 & 0x3F, 38U) << "MGAW";
  EXPECT_EQ(read64(0x08) >> 40 & 0xFF, 0U) << "one record";
  EXPECT_EQ(read64(0x10) & 0xFFFF'FFFF'FFFC'00FE, 0U) << "nothing optional";
  fresh(full_profile());
  const std::uint64_t cap = read64(0x08), ecap = read64(0x10);
  for (const unsigned bit : {5U, 6U, 9U, 10U, 11U, 22U, 34U, 35U, 39U, 54U, 55U, 56U, 59U, 60U, 61U, 62U})
    EXPECT_EQ(cap >> bit & 1, 1U) << "CAP bit " << bit;
  for (const unsigned bit : {3U, 4U, 7U}) EXPECT_EQ(cap >> bit & 1, 0U) << "CAP bit " << bit;
  for (const unsigned bit :
       {0U, 1U, 2U, 3U, 4U, 6U, 7U, 26U, 29U, 30U, 31U, 34U, 40U, 42U, 43U, 45U, 46U, 47U, 48U, 49U, 51U, 52U, 53U})
    EXPECT_EQ(ecap >> bit & 1, 1U) << "ECAP bit " << bit;
  for (const unsigned bit : {5U, 25U, 33U, 41U, 44U}) EXPECT_EQ(ecap >> bit & 1, 0U) << "ECAP bit " << bit;
  EXPECT_EQ(ecap >> 35 & 0x1F, 19U) << "PSS";
  EXPECT_EQ(ecap >> 20 & 0xF, 15U) << "MHMV";
}

TEST(ProfileRules, InconsistentProfilesAreRefusedByName) {
  struct {
    const char* names;  // what the message must name
    void (*change)(Profile&);
  } const cases[] = {
      {"SMTS", [](Profile& p) { p.scalable_mode = false; }},
      {"NEST", [](Profile& p) { p.first_stage = false; }},
      {"NEST", [](Profile& p) { p.second_stage = false; }},
      {"FS5LP", [](Profile& p) { p.first_stage = p.nesting = p.first_stage_1g = p.extended_accessed = false; }},
      {"FS1GP", [](Profile& p) { p.first_stage = p.nesting = p.first_stage_5 = p.extended_accessed = false; }},
      {"EAFS", [](Profile& p) { p.first_stage = p.nesting = p.first_stage_5 = p.first_stage_1g = false; }},
      {"SSADS", [](Profile& p) { p.second_stage = p.nesting = false; }},
      {"PRS", [](Profile& p) { p.device_tlb = false; }},
      {"PDS", [](Profile& p) { p.page_requests = false; }},
      {"EIM",
       [](Profile& p) { p.interrupt_remapping = false, p.posted_interrupts = p.hitless_interrupt_root = false; }},
      {"PI",
       [](Profile& p) { p.interrupt_remapping = false, p.extended_interrupts = p.hitless_interrupt_root = false; }},
      {"QI", [](Profile& p) { p.queued_invalidation = false; }},
      {"ERS", [](Profile& p) { p.pasid = p.supervisor_requests = p.rid_privileged = false; }},
      {"RPRIVS", [](Profile& p) { p.supervisor_requests = false; }},
      {"SAGAW", [](Profile& p) { p.levels3 = p.levels4 = p.levels5 = false; }},
      {"MGAW", [](Profile& p) { p.guest_address_width = 38; }},
      {"MGAW", [](Profile& p) { p.guest_address_width = 58; }},
      {"HAW", [](Profile& p) { p.host_address_width = 31; }},
      {"HAW", [](Profile& p) { p.host_address_width = 53; }},
      {"domain id", [](Profile& p) { p.domain_bits = 5; }},
      {"domain id", [](Profile& p) { p.domain_bits = 18; }},
      {"fault record", [](Profile& p) { p.fault_records = 0; }},
      {"fault record", [](Profile& p) { p.fault_records = 257; }},
      {"fault record", [](Profile& p) { p.fault_record_offset = 0x608; }},
      {"FRO", [](Profile& p) { p.fault_record_offset = 0x20; }},
      {"IOTLB", [](Profile& p) { p.iotlb_offset = 0x508; }},
      {"IRO", [](Profile& p) { p.iotlb_offset = 0x600; }},
      {"MAMV", [](Profile& p) { p.max_address_mask = 64; }},
      {"MHMV", [](Profile& p) { p.max_handle_mask = 16; }},
      {"PASID", [](Profile& p) { p.pasid_bits = 21; }},
      {"PASID", [](Profile& p) { p.pasid_bits = 0; }},
  };
  EXPECT_NO_THROW(check_profile(full_profile()));
  for (const auto& c : cases) {
    Profile p = full_profile();
    c.change(p);
    try {
      check_profile(p);
      ADD_FAILURE() << "accepted: " << c.names;
    } catch (const std::invalid_argument& refused) {
      EXPECT_NE(std::string(refused.what()).find(c.names), std::string::npos)
          << "message: " << refused.what() << ", expected to name " << c.names;
    }
  }
}

}  // namespace
}  // namespace vtd::test
