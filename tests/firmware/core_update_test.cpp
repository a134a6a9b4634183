// SPDX-License-Identifier: MIT
// The firmware drives the real unit core, without SystemC: DMA before, during and after a live update.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/firmware/fake_platform.h"
#include "tlm/core/reference_walker.h"
#include "tlm/core/unit.h"

namespace vtd::fw::test {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using enum platform::Command;
using platform::Query;

/// A unit core over the fake platform's memory. Nothing suspends; engines run within the register write.
class CoreUnit final : public Host, public Observer {
 public:
  CoreUnit(FakePlatform& platform, FakeUnit& unit, const CacheConfig& caches)
      : platform_(platform), walker_(walker_config(unit.profile)), core_(unit.profile, caches, *this, *this, 1) {
    unit.real_read = [this](std::uint64_t offset, unsigned bytes) { return core_.read(offset, bytes); };
    unit.real_write = [this](std::uint64_t offset, std::uint64_t value, unsigned bytes) {
      core_.write(offset, value, bytes);
      while (std::exchange(command_, false)) core_.run(Engine::kCommand);
      while (std::exchange(queue_, false)) core_.run(Engine::kQueue);
    };
  }

  unsigned walks = 0;
  unsigned te_drops = 0;

  Result<Translation> dma(SourceId sid, Iova iova, Access access = Access::kWrite) {
    Ticket ticket = core_.accept({sid, iova, 8, access, AddressType::kUntranslated, std::nullopt});
    return core_.translate(ticket);
  }
  /// Where the request goes; 0 when it was refused.
  PhysAddr target(SourceId sid, Iova iova) {
    const auto r = dma(sid, iova);
    return r ? r->address : 0;
  }

  bool read(PhysAddr address, std::span<std::uint64_t> out) override {
    if (address >= platform::kDramSize) return false;
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = platform_.walk64(address + i * 8);
    return true;
  }
  bool read_descriptor(PhysAddr address, std::span<std::uint64_t> out) override {
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = platform_.read64(address + i * 8);
    return true;
  }
  bool write32(PhysAddr address, std::uint32_t data) override {
    platform_.write32(address, data);
    return true;
  }
  bool write(PhysAddr, std::span<const std::uint64_t>) override { return false; }
  std::optional<std::uint64_t> compare_exchange(PhysAddr, std::uint64_t, std::uint64_t) override {
    return std::nullopt;
  }
  void invalidate_device(const vtd::DeviceTlbInvalidation&) override {}
  void respond(const vtd::PageResponse&) override {}
  void message(PhysAddr, std::uint32_t) override {}
  WalkResponse walk(WalkRequest request) override {
    ++walks;
    return reference_walk(walker_, request, [this](PhysAddr address) {
      return address < platform::kDramSize ? std::optional(platform_.walk64(address)) : std::nullopt;
    });
  }
  void spend(Step) override {}
  void wait_progress() override { throw std::logic_error("nothing here ever waits"); }
  void notify_progress() override {}
  void wake(Engine engine) override { (engine == Engine::kCommand ? command_ : queue_) = true; }
  void revoke_dmi() override {}
  void on_register(RegId id, std::uint64_t value) override {
    if (id != RegId::kGSTS) return;
    const bool on = gsts::kTES.get(value) != 0;
    if (translating_ && !on) ++te_drops;
    translating_ = on;
  }

 private:
  FakePlatform& platform_;
  WalkerConfig walker_;
  UnitCore core_;
  bool command_ = false;
  bool queue_ = false;
  bool translating_ = false;
};

/// levels, caching mode, queue, ECAP.C
struct Variant {
  unsigned levels;
  bool caching_mode;
  bool queue;
  bool coherent = true;
};

class CoreUpdateTest : public ::testing::TestWithParam<Variant> {
 protected:
  static constexpr Iova kIova = 0x20'0000;
  static constexpr PhysAddr kMemory = platform::kGuestBase;
  static constexpr std::uint64_t kSize = 0x40'0000;
  static constexpr PhysAddr kOther = kMemory + kSize;

  Machine m_;
  std::unique_ptr<CoreUnit> unit_;

  void SetUp() override {
    FakeUnit& fake = m_.platform.units[0];
    fake.profile.caching_mode = GetParam().caching_mode;
    fake.profile.queued_invalidation = GetParam().queue;
    fake.profile.coherent = GetParam().coherent;
    CacheConfig caches;
    caches.iotlb = {2, 2, Replacement::kLru};  // smaller than the working set
    unit_ = std::make_unique<CoreUnit>(m_.platform, fake, caches);
    m_.boot(ImageLetter::kA);
    ASSERT_EQ(m_.status(kAddMemory, {1, kMemory, kSize}), Status::kOk);
    ASSERT_EQ(m_.status(kAddMemory, {2, kOther, 0x1000}), Status::kOk);
    ASSERT_EQ(m_.status(kCreateDomain, {1, GetParam().levels}), Status::kOk);
    ASSERT_EQ(m_.status(kCreateDomain, {2, GetParam().levels}), Status::kOk);
    ASSERT_EQ(m_.status(kMap, {1, kIova, 1, 0, 0x20'0000, 3, 2}), Status::kOk);                      // one 2 MiB leaf
    ASSERT_EQ(m_.status(kMap, {1, kIova + 0x20'0000, 1, 0x20'0000, 0x20'0000, 3, 1}), Status::kOk);  // 4 KiB leaves
    ASSERT_EQ(m_.status(kMap, {2, 0x1000, 2, 0, 0x1000, 3, 1}), Status::kOk);
    ASSERT_EQ(m_.status(kAttach, {Machine::kD1.value, 1}), Status::kOk);
    ASSERT_EQ(m_.status(kAttach, {Machine::kD2.value, 2}), Status::kOk);
    ASSERT_EQ(m_.status(kClaimOwner, {Machine::kD1.value, 7}), Status::kOk);
  }

  void check_stream() {
    for (Iova offset = 0; offset < kSize; offset += 0x3'5000) {
      const auto r = unit_->dma(Machine::kD1, kIova + offset);
      ASSERT_TRUE(r) << std::hex << offset << " reason " << static_cast<unsigned>(r.fault().reason);
      ASSERT_EQ(r->address, kMemory + offset);
    }
  }
  std::uint64_t faults() { return m_.run(kDrainFaults).results[0]; }
};

TEST_P(CoreUpdateTest, StreamRunsThroughTheUpdate) {
  check_stream();
  m_.preserve_all();
  m_.go_down();
  const unsigned before = unit_->walks;
  check_stream();  // no firmware: the unit walks preserved tables in poisoned memory
  EXPECT_GT(unit_->walks, before);
  ASSERT_TRUE(m_.start_next()) << m_.platform.last_line();
  check_stream();
  EXPECT_EQ(faults(), 0U);
  m_.take_over();
  EXPECT_EQ(m_.status(kFinish, {1}), Status::kOk);
  check_stream();
  EXPECT_EQ(unit_->te_drops, 0U);
  EXPECT_EQ(m_.ask(Query::kDeviceDid, Machine::kD1.value), 2U);
}

TEST_P(CoreUpdateTest, UnpreservedNeighbourIsCutOff) {
  EXPECT_EQ(unit_->target(Machine::kD2, 0x1000), kOther);
  m_.preserve_all();
  m_.go_down();
  const auto r = unit_->dma(Machine::kD2, 0x1000);
  ASSERT_FALSE(r);
  EXPECT_EQ(r.fault().reason, FaultReason::kContextNotPresent);
  check_stream();
  ASSERT_TRUE(m_.start_next()) << m_.platform.last_line();
  EXPECT_EQ(faults(), 1U);
  EXPECT_EQ(faults(), 0U);
}

TEST_P(CoreUpdateTest, CleaningWithoutInvalidationLeavesTheCachesOpen) {
  m_.platform.deviate(platform::Deviation::kSkipCleanInvalidation);
  m_.boot(ImageLetter::kB);  // reads the policy; starts the unit again
  ASSERT_EQ(m_.status(kAddMemory, {1, kMemory, kSize}), Status::kOk);
  ASSERT_EQ(m_.status(kAddMemory, {2, kOther, 0x1000}), Status::kOk);
  ASSERT_EQ(m_.status(kCreateDomain, {1, GetParam().levels}), Status::kOk);
  ASSERT_EQ(m_.status(kCreateDomain, {2, GetParam().levels}), Status::kOk);
  ASSERT_EQ(m_.status(kMap, {2, 0x1000, 2, 0, 0x1000, 3, 1}), Status::kOk);
  ASSERT_EQ(m_.status(kAttach, {Machine::kD1.value, 1}), Status::kOk);
  ASSERT_EQ(m_.status(kAttach, {Machine::kD2.value, 2}), Status::kOk);
  ASSERT_EQ(m_.status(kClaimOwner, {Machine::kD1.value, 7}), Status::kOk);
  EXPECT_EQ(unit_->target(Machine::kD2, 0x1000), kOther);
  m_.preserve_all();
  m_.clean();
  EXPECT_EQ(unit_->target(Machine::kD2, 0x1000), kOther);  // the hazard: its entry is gone, its translation is not
}

TEST_P(CoreUpdateTest, UnmapAndDetachTakeEffectAtOnce) {
  check_stream();
  ASSERT_EQ(m_.status(kUnmap, {1, kIova + 0x20'0000, 0x1000}), Status::kOk);
  EXPECT_EQ(unit_->dma(Machine::kD1, kIova + 0x20'0000).fault().reason, FaultReason::kWritePermission);
  EXPECT_EQ(unit_->target(Machine::kD1, kIova + 0x20'1000), kMemory + 0x20'1000);
  ASSERT_EQ(m_.status(kDetach, {Machine::kD1.value}), Status::kOk);
  EXPECT_EQ(unit_->dma(Machine::kD1, kIova).fault().reason, FaultReason::kContextNotPresent);
  EXPECT_EQ(faults(), 2U);
}

TEST_P(CoreUpdateTest, MapAfterAMissIsSeen) {
  EXPECT_EQ(unit_->target(Machine::kD1, 0x1000), 0U);  // with CM = 1 the miss may be cached
  ASSERT_EQ(m_.status(kMap, {1, 0x1000, 1, 0x3000, 0x1000, 3, 1}), Status::kOk);
  EXPECT_EQ(unit_->target(Machine::kD1, 0x1000), kMemory + 0x3000);
  EXPECT_EQ(unit_->target(Machine::kD3, 0x1000), 0U);
  ASSERT_EQ(m_.status(kAttach, {Machine::kD3.value, 1}), Status::kOk);
  EXPECT_EQ(unit_->target(Machine::kD3, 0x1000), kMemory + 0x3000);
}

TEST_P(CoreUpdateTest, PassThroughDeviceReachesMemoryUnchanged) {
  ASSERT_EQ(m_.status(kPassThrough, {Machine::kD3.value}), Status::kOk);
  EXPECT_EQ(unit_->target(Machine::kD3, kOther + 0x10), kOther + 0x10);
}

TEST_P(CoreUpdateTest, StrayAccessInTheBlackoutIsReportedOnceByTheNextImage) {
  m_.preserve_all();
  m_.go_down();
  EXPECT_EQ(unit_->dma(Machine::kD1, 0x9000, Access::kRead).fault().reason, FaultReason::kReadPermission);
  check_stream();
  ASSERT_TRUE(m_.start_next()) << m_.platform.last_line();
  EXPECT_EQ(faults(), 1U);
  EXPECT_THAT(m_.platform.console(), Contains(HasSubstr("vtd: fault 01:01.0 read 0x9000 reason 0x6")));
}

TEST_P(CoreUpdateTest, RefusedImageLeavesTheStreamAlone) {
  m_.preserve_all();
  m_.go_down();
  m_.set_field("device", 0, "attachment_id", 1);
  EXPECT_FALSE(m_.start_next());
  check_stream();
}

INSTANTIATE_TEST_SUITE_P(Variants, CoreUpdateTest,
                         ::testing::Values(Variant{3, false, true}, Variant{4, false, true}, Variant{5, false, true},
                                           Variant{4, true, true}, Variant{4, false, false},
                                           Variant{4, false, true, false}, Variant{3, true, false, false}),
                         [](const auto& info) {
                           return std::to_string(info.param.levels) + "levels" +
                                  (info.param.caching_mode ? "_cm" : "") + (info.param.queue ? "" : "_registers") +
                                  (info.param.coherent ? "" : "_non_coherent");
                         });

}  // namespace
}  // namespace vtd::fw::test
