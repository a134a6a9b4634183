// SPDX-License-Identifier: MIT
// Direct memory pointers through the unit: when they are granted, and that they are taken back in time.
#include "tests/unit/unit_bench.h"

namespace vtd::test {
namespace {

UnitConfig with_dmi() {
  UnitConfig config;
  config.dma_ports = {kNic, std::nullopt};
  config.dmi = true;
  return config;
}

class Dmi : public testing::Test {
 protected:
  void build(const UnitConfig& config) {
    bench = std::make_unique<UnitBench>("bench", config);
    bench->tables.attach(kNic, kDomain, bench->table);
    bench->tables.map(bench->table, 0x4000, kData);
    bench->tables.map(bench->table, 0x5000, kData + 0x1'0000, Tables::kReadOnly);
  }
  bool ask(std::size_t device, Iova address, tlm::tlm_command command, DmaExtension* extension = nullptr) {
    tlm::tlm_generic_payload trans;
    UnitBench::prepare(trans, command, address, {});
    if (extension != nullptr) trans.set_extension(extension);
    const bool granted = bench->devices[device]->get_direct_mem_ptr(trans, dmi);
    if (extension != nullptr) trans.clear_extension(extension);
    return granted;
  }
  std::unique_ptr<UnitBench> bench;
  tlm::tlm_dmi dmi;
};

TEST_F(Dmi, IsGrantedFromAnIotlbHitOnly) {
  build(with_dmi());
  UnitBench& b = *bench;
  b.go([&] {
    b.enable();
    EXPECT_FALSE(ask(0, 0x4000, tlm::TLM_READ_COMMAND));  // nothing cached
    ASSERT_EQ(b.dma_read(0, 0x4000), tlm::TLM_OK_RESPONSE);
    const auto counted = b.unit.statistics().cache(CacheId::kIotlb, CacheEvent::kHit);
    ASSERT_TRUE(ask(0, 0x4010, tlm::TLM_WRITE_COMMAND));
    EXPECT_EQ(b.unit.statistics().cache(CacheId::kIotlb, CacheEvent::kHit), counted);
    EXPECT_EQ(dmi.get_start_address(), 0x4000U);
    EXPECT_EQ(dmi.get_end_address(), 0x4FFFU);
    EXPECT_TRUE(dmi.is_read_write_allowed());
    dmi.get_dmi_ptr()[0x123] = 0x99;
    EXPECT_EQ(b.memory.byte(kData + 0x123), 0x99);
    EXPECT_EQ(dmi.get_read_latency(), sc_core::sc_time(4, sc_core::SC_NS));
  });
  EXPECT_EQ(b.unit.statistics().dmi_grants, 1U);
}

TEST_F(Dmi, GivesNoMoreRightsThanTheTables) {
  build(with_dmi());
  UnitBench& b = *bench;
  b.go([&] {
    b.enable();
    b.dma_read(0, 0x5000);
    EXPECT_FALSE(ask(0, 0x5000, tlm::TLM_WRITE_COMMAND));
    ASSERT_TRUE(ask(0, 0x5000, tlm::TLM_READ_COMMAND));
    EXPECT_FALSE(dmi.is_write_allowed());
  });
}

TEST_F(Dmi, NeedsAFixedRequesterWithoutPasid) {
  build(with_dmi());
  UnitBench& b = *bench;
  b.go([&] {
    b.enable();
    b.dma_read(0, 0x4000);
    DmaExtension extension;
    extension.source = kNic;
    EXPECT_FALSE(ask(1, 0x4000, tlm::TLM_READ_COMMAND, &extension));
    EXPECT_TRUE(ask(0, 0x4000, tlm::TLM_READ_COMMAND, &extension));
    extension.pasid = Pasid{1};
    EXPECT_FALSE(ask(0, 0x4000, tlm::TLM_READ_COMMAND, &extension));
  });
}

TEST_F(Dmi, IsOffByDefaultAndInCycleTrueRuns) {
  UnitConfig config = with_dmi();
  config.mode = TimingMode::kCycleTrue;
  build(config);
  EXPECT_FALSE(UnitConfig{}.dmi);
  bench->go([&] {
    bench->enable();
    bench->dma_read(0, 0x4000);
    EXPECT_FALSE(ask(0, 0x4000, tlm::TLM_READ_COMMAND));
  });
}

TEST_F(Dmi, IsRevokedBeforeAnInvalidationCompletes) {
  build(with_dmi());
  UnitBench& b = *bench;
  std::uint64_t status_when_revoked = ~0ULL;
  std::uint64_t head_when_revoked = ~0ULL;
  b.on_revoked = [&](int device) {
    EXPECT_EQ(device, 0);
    status_when_revoked = b.memory.word(kStatus);
    head_when_revoked = b.unit.core().register_value(RegId::kIQH);
  };
  b.go([&] {
    b.enable();
    b.dma_read(0, 0x4000);
    ASSERT_TRUE(ask(0, 0x4000, tlm::TLM_READ_COMMAND));
    b.submit_iotlb_domain(kDomain);
    b.submit_wait(1);
    b.wait_until([&] { return b.memory.word(kStatus) == 1; });
    EXPECT_EQ(b.revocations, 1U);
    EXPECT_EQ(status_when_revoked, 0U);
    EXPECT_EQ(head_when_revoked, 0U);
    EXPECT_FALSE(ask(0, 0x4000, tlm::TLM_READ_COMMAND));
    b.submit_iotlb_domain(kDomain);
    b.wait_until([&] { return b.queue_empty(); });
    EXPECT_EQ(b.revocations, 1U);  // nobody holds a grant
  });
}

TEST_F(Dmi, IsRevokedByEverythingThatChangesTranslation) {
  build(with_dmi());
  UnitBench& b = *bench;
  const auto granted_after = [&](const std::function<void()>& change) {
    b.dma_read(0, 0x4000);
    EXPECT_TRUE(ask(0, 0x4000, tlm::TLM_READ_COMMAND));
    const unsigned before = b.revocations;
    change();
    return b.revocations == before;
  };
  b.go([&] {
    b.enable();
    EXPECT_FALSE(granted_after([&] { b.command(gcmd::kTE, false); }));
    b.command(gcmd::kTE);
    EXPECT_FALSE(granted_after([&] {
      b.command(gcmd::kSRTP);
      sc_core::wait(sc_core::sc_time(1, sc_core::SC_US));
    }));
    EXPECT_FALSE(granted_after([&] { b.memory.revoke_direct(kData, kData + 0xFFF); }));
    EXPECT_FALSE(granted_after([&] { b.unit.reset(ResetKind::kWarm); }));
  });
}

}  // namespace
}  // namespace vtd::test
