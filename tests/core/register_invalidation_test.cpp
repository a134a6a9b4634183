// SPDX-License-Identifier: MIT
#include "tlm/core/register_invalidation.h"

#include "tests/core/core_fixture.h"

namespace vtd::test {
namespace {

class RegisterInvalidationTest : public CoreFixture {
 protected:
  RegisterInvalidationTest() { start({}); }
  void start(const Profile& p) {
    build(p);
    const PhysAddr table = new_table();
    for (Iova iova = 0; iova < 0x10000; iova += kPageSize) map(table, iova, 0x80'0000 + iova);
    set_context(kNic, context_entry(kDomainA, table));
    set_context(kDisk, context_entry(kDomainB, table));
    enable();
    for (const SourceId source : {kNic, kDisk})
      for (Iova iova = 0; iova < 0x10000; iova += kPageSize) address_of(dma_read(source, iova));
  }
  bool cached(SourceId source, DomainId domain, Iova iova) {
    return unit->caches().iotlb.peek(source, space_of(domain), iova).has_value();
  }
  bool context_cached(SourceId source) { return unit->caches().context.peek(ContextTag{source}).has_value(); }
  std::uint64_t iaig() { return iotlb_reg::kIAIG.get(read(RegId::kIOTLB)); }
  std::uint64_t caig() { return ccmd::kCAIG.get(read(RegId::kCCMD)); }
};

TEST_F(RegisterInvalidationTest, IotlbGranularities) {
  invalidate_iotlb_register(iotlb_page(kDomainA), 0x5000 | iva::kAM.of(1));
  EXPECT_EQ(iotlb_reg::kIVT.get(read(RegId::kIOTLB)), 1U) << "done only when hardware says so";
  pump();
  EXPECT_EQ(iotlb_reg::kIVT.get(read(RegId::kIOTLB)), 0U);
  EXPECT_EQ(iaig(), 3U);
  EXPECT_TRUE(cached(kNic, kDomainA, 0x3000));
  EXPECT_FALSE(cached(kNic, kDomainA, 0x4000));
  EXPECT_FALSE(cached(kNic, kDomainA, 0x5000));
  EXPECT_TRUE(cached(kNic, kDomainA, 0x6000));
  EXPECT_TRUE(cached(kDisk, kDomainB, 0x4000));
  invalidate_iotlb_register(iotlb_domain(kDomainA));
  pump();
  EXPECT_EQ(iaig(), 2U);
  EXPECT_FALSE(cached(kNic, kDomainA, 0x6000));
  EXPECT_TRUE(cached(kDisk, kDomainB, 0x6000)) << "domain-selective is not global";
  invalidate_iotlb_register(iotlb_global());
  pump();
  EXPECT_EQ(iaig(), 1U);
  EXPECT_EQ(unit->caches().iotlb.size(), 0U);
  EXPECT_TRUE(context_cached(kNic)) << "the context cache is another command";
}

TEST_F(RegisterInvalidationTest, ContextGranularities) {
  invalidate_context_register(ccmd::kCIRG.of(3) | ccmd::kDID.of(kDomainA.value) | ccmd::kSID.of(kNic.value));
  EXPECT_EQ(ccmd::kICC.get(read(RegId::kCCMD)), 1U);
  pump();
  EXPECT_EQ(ccmd::kICC.get(read(RegId::kCCMD)), 0U);
  EXPECT_EQ(caig(), 3U);
  EXPECT_FALSE(context_cached(kNic));
  EXPECT_TRUE(context_cached(kDisk));
  invalidate_context_register(ccmd::kCIRG.of(2) | ccmd::kDID.of(kDomainB.value));
  pump();
  EXPECT_EQ(caig(), 2U);
  EXPECT_FALSE(context_cached(kDisk));
  address_of(dma_read(kNic, 0x1000));
  invalidate_context_register(ccmd_global());
  pump();
  EXPECT_EQ(caig(), 1U);
  EXPECT_EQ(unit->caches().context.size(), 0U);
  EXPECT_TRUE(cached(kNic, kDomainA, 0x1000)) << "the IOTLB is another command";
}

TEST_F(RegisterInvalidationTest, WhatCannotBeDoneShowsGranularityZero) {
  const std::size_t before = unit->caches().iotlb.size();
  invalidate_iotlb_register(iotlb_page(kDomainA), iva::kAM.of(profile.max_address_mask + 1));
  pump();
  EXPECT_EQ(iaig(), 0U);
  EXPECT_EQ(iotlb_reg::kIVT.get(read(RegId::kIOTLB)), 0U);
  invalidate_iotlb_register(0);
  pump();
  EXPECT_EQ(iaig(), 0U);
  invalidate_context_register(0);
  pump();
  EXPECT_EQ(caig(), 0U);
  EXPECT_EQ(unit->caches().iotlb.size(), before);
  EXPECT_EQ(unit->caches().context.size(), 2U);
}

TEST_F(RegisterInvalidationTest, WithoutPsiAPageCommandTakesTheDomain) {
  Profile coarse;
  coarse.page_selective = false;
  start(coarse);
  invalidate_iotlb_register(iotlb_page(kDomainA), 0x5000);
  pump();
  EXPECT_EQ(iaig(), 2U);
  EXPECT_FALSE(cached(kNic, kDomainA, 0x1000));
  EXPECT_TRUE(cached(kDisk, kDomainB, 0x1000));
}

TEST_F(RegisterInvalidationTest, CommandActsWhenTheHalfWithItsBitIsWritten) {
  write_high(RegId::kIOTLB, 0);
  write_low(RegId::kIOTLB, 0xFFFF'FFFF);
  EXPECT_FALSE(host->command_woken);
  write_high(RegId::kIOTLB, (iotlb_reg::kIVT.mask() | iotlb_global()) >> 32);
  pump();
  EXPECT_EQ(iaig(), 1U);
  write_low(RegId::kCCMD, kNic.value << 16 | kDomainA.value);
  write_high(RegId::kCCMD, (ccmd::kICC.mask() | ccmd::kCIRG.of(3)) >> 32);
  pump();
  EXPECT_EQ(caig(), 3U);
  EXPECT_FALSE(context_cached(kNic));
}

TEST_F(RegisterInvalidationTest, IgnoredWhileTheQueueIsEnabled) {
  enable_queue();
  invalidate_iotlb_register(iotlb_global());
  invalidate_context_register(ccmd_global());
  pump();
  EXPECT_EQ(iotlb_reg::kIVT.get(read(RegId::kIOTLB)), 1U);
  EXPECT_EQ(ccmd::kICC.get(read(RegId::kCCMD)), 1U);
  EXPECT_EQ(unit->misuse(Misuse::kRegisterInvalidationWithQueue), 2U);
  EXPECT_TRUE(cached(kNic, kDomainA, 0x1000));
  command_off(gcmd::kQIE);
  invalidate_iotlb_register(iotlb_global());
  pump();
  EXPECT_EQ(iaig(), 1U) << "works again without the queue";
}

TEST_F(RegisterInvalidationTest, SecondCommandWhilePendingIsIgnored) {
  invalidate_iotlb_register(iotlb_domain(kDomainA));
  invalidate_iotlb_register(iotlb_global());
  EXPECT_EQ(unit->misuse(Misuse::kRegisterInvalidationWhilePending), 1U);
  pump();
  EXPECT_EQ(iaig(), 2U);
}

TEST_F(RegisterInvalidationTest, DmiIsRevokedBeforeCompletion) {
  bool pending = false;
  host->on_revoke = [&] { pending = iotlb_reg::kIVT.get(reg(RegId::kIOTLB)) != 0; };
  invalidate_iotlb_register(iotlb_global());
  pump();
  EXPECT_TRUE(pending);
}

}  // namespace
}  // namespace vtd::test
