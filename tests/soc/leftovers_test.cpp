// SPDX-License-Identifier: MIT
// What a warm reset leaves behind: registers of the unit that point into memory that is gone, work that is under way.
// With every kind of poison.
#include <gmock/gmock.h>

#include <algorithm>

#include "tests/soc/machine.h"
#include "tlm/spec/paging.h"
#include "tlm/spec/profiles.h"
#include "tlm/spec/registers.h"
#include "tlm/spec/structures.h"

namespace vtd::soc {
namespace {

using namespace test;
using testing::IsEmpty;

constexpr PhysAddr kInterruptTable = platform::kHeapBase + 0x20'0000;  ///< a page that the firmware does not use
constexpr std::uint32_t kVector = 0x55;
constexpr std::uint32_t kDead = 7;  ///< a handle that is not used before the reset

constexpr std::uint64_t register_at(RegId id) {
  return platform::kUnitBase + vtd::info(id).offset;
}

class LeftoversTest : public testing::TestWithParam<PoisonMode> {
 protected:
  static PlatformConfig config() {
    PlatformConfig c = machine_config();
    c.poison = GetParam();
    c.units[0].profile = full_profile();
    c.units[0].caches.iotlb = {1, 2, Replacement::kLru};  // almost every request walks
    c.dram_latency = ns(300);
    c.boot_delay = us(50);
    c.endpoints[0].interval = ns(10);
    return c;
  }

  [[nodiscard]] std::uint64_t reg(RegId id) { return m.unit(0).core().register_value(id); }
  void command(const Field& bit) {
    m.master.write(register_at(RegId::kGCMD), bit.with(reg(RegId::kGSTS) & ~gcmd_one_shots(), 1), 4);
  }
  static std::uint64_t gcmd_one_shots() {
    return gcmd::kSRTP.mask() | gcmd::kSIRTP.mask() | gcmd::kSFL.mask() | gcmd::kWBF.mask();
  }
  [[nodiscard]] bool lost(PhysAddr page) {
    const auto& pages = m.resets().lost_pages();
    return std::binary_search(pages.begin(), pages.end(), page);
  }
  /// A remappable interrupt request of D1.
  DmaOutcome interrupt(std::uint32_t handle) {
    namespace ir = interrupt_request;
    std::uint32_t data = 0;
    const Iova address = kInterruptBase | ir::kFORMAT.of(1) | ir::kHANDLE.of(handle);
    return m.endpoint(0).access(address, reinterpret_cast<std::uint8_t*>(&data), sizeof data, Access::kWrite);
  }
  /// Up to the reset, with D1 at work and preserved; `blackout` runs right after the reset, before the next image.
  void play(const std::function<void()>& prepare, const std::function<void()>& blackout) {
    m.resets().after([&](platform::reset::Kind) { reset_.notify(sc_core::SC_ZERO_TIME); });
    run_story([&] {
      m.wait_ready();
      m.map_and_attach(1, kD1, kMemory1);
      m.endpoint(0).start();
      m.preserve_d1();
      prepare();
      sc_core::sc_spawn([&] {
        sc_core::wait(reset_);
        blackout();
        blackout_done_ = true;
      });
      EXPECT_EQ(m.update().status, Status::kOk) << m.console() << m.cpu().crash();
      EXPECT_TRUE(blackout_done_);
      m.take_over_d1();
      m.must(Command::kFinish, {1});
      sc_core::wait(us(50));
      m.endpoint(0).stop();
    });
    m.endpoint(0).check_memory([&](Iova iova) { return m.read8_of_d1(iova); });
    EXPECT_EQ(m.endpoint(0).total().mismatches, 0U);
    EXPECT_EQ(m.endpoint(0).total().bus_errors, 0U);
    EXPECT_GT(m.endpoint(0).total().transfers(), 500U);
    EXPECT_THAT(m.monitor().violations(), IsEmpty());
  }

  Machine m{config()};
  sc_core::sc_event reset_;
  bool blackout_done_ = false;
};
INSTANTIATE_TEST_SUITE_P(Poisons, LeftoversTest,
                         testing::Values(PoisonMode::kZero, PoisonMode::kOnes, PoisonMode::kRandom,
                                         PoisonMode::kPlausible),
                         [](const auto& p) { return "poison" + std::to_string(static_cast<int>(p.param)); });

TEST_P(LeftoversTest, IdleQueueInLostMemoryIsNotRead) {
  play([] {},
       [&] {
         EXPECT_TRUE(lost(iq::kIQA.in_place(reg(RegId::kIQA)))) << "the queue itself is not preserved";
         EXPECT_EQ(iq::kQH.get(reg(RegId::kIQH)), iq::kQT.get(reg(RegId::kIQT)));
         EXPECT_EQ(reg(RegId::kFSTS), 0U);
       });
  EXPECT_EQ(reg(RegId::kFSTS), 0U) << "no descriptor of poison was executed";
  EXPECT_EQ(m.endpoint(0).total().faulted(), 0U);
}

TEST_P(LeftoversTest, QueueThatIsNotEmptyStopsAtPoisonAndNobodyNotices) {
  play([] {},
       [&] {
         // One descriptor more than was written: the unit fetches what the reset left there.
         const std::uint64_t tail = reg(RegId::kIQT);
         const bool wide = iq::kDW.get(reg(RegId::kIQA)) != 0;
         m.master.write(register_at(RegId::kIQT), tail + (wide ? 32 : 16), 8);
         sc_core::wait(us(5));
         const std::uint64_t errors = fsts::kIQE.mask() | fsts::kICE.mask() | fsts::kITE.mask();
         const bool done = iq::kQH.get(reg(RegId::kIQH)) == iq::kQT.get(reg(RegId::kIQT));
         EXPECT_TRUE(done || (reg(RegId::kFSTS) & errors) != 0) << "stopped, or it was a descriptor by chance";
         // What the firmware's own handler would do before it takes the queue away.
         m.master.write(register_at(RegId::kFSTS), errors, 4);
         if (!done) m.master.write(register_at(RegId::kIQT), reg(RegId::kIQH), 8);
       });
  EXPECT_EQ(m.endpoint(0).total().faulted(), 0U);
}

TEST_P(LeftoversTest, InterruptTableInLostMemoryDeliversNothingItDidNotKnow) {
  irte::Entry entry;
  entry.set(irte::kP, 1).set(irte::kV, kVector).set(irte::kDST, 3).set(irte::kSID, kD1.value);
  entry.set(irte::kSVT, static_cast<std::uint64_t>(SourceValidation::kSource));
  std::size_t before = 0;
  play(
      [&] {
        m.dram().poke(kInterruptTable, entry.words[0]);
        m.dram().poke(kInterruptTable + 8, entry.words[1]);
        m.master.write(register_at(RegId::kIRTA), kInterruptTable | irta::kS.of(7), 8);
        command(gcmd::kSIRTP);
        sc_core::wait(us(1));
        command(gcmd::kIRE);
        sc_core::wait(us(1));
        ASSERT_NE(gsts::kIRES.get(reg(RegId::kGSTS)), 0U);
        EXPECT_TRUE(interrupt(0).ok);
        EXPECT_EQ(interrupt(kDead).fault, FaultReason::kIrNotPresent);
        before = m.interrupts().messages().size();
      },
      [&] {
        EXPECT_TRUE(lost(kInterruptTable));
        const DmaOutcome dead = interrupt(kDead);
        switch (GetParam()) {
          case PoisonMode::kZero:
            EXPECT_EQ(dead.fault, FaultReason::kIrNotPresent);
            break;
          case PoisonMode::kOnes:
            EXPECT_EQ(dead.fault, FaultReason::kIrReserved);
            break;
          default:  // poison may be an entry: then it is one of those that the next image must not meet
            EXPECT_TRUE(dead.ok || dead.fault != FaultReason::kNone);
        }
        if (GetParam() == PoisonMode::kZero || GetParam() == PoisonMode::kOnes) {
          EXPECT_EQ(m.interrupts().messages().size(), before);
        }
      });
  EXPECT_NE(gsts::kIRES.get(reg(RegId::kGSTS)), 0U) << "the next image keeps what it found on";
}

/// Where the event registers point is the old image's business until the next one writes them: the event is one write
/// of four bytes, to whatever is there now.
TEST_P(LeftoversTest, FaultEventOfTheOldImageIsOneWriteToWhereItsRegistersPoint) {
  constexpr std::uint32_t kData = 0x31;
  const auto fault = [&] {
    std::uint64_t data = 0;
    const auto bad = m.endpoint(0).access(0x7'0000'0000, reinterpret_cast<std::uint8_t*>(&data), 8, Access::kRead);
    EXPECT_NE(bad.fault, FaultReason::kNone);
    sc_core::wait(us(5));
    EXPECT_NE(fsts::kPPF.get(reg(RegId::kFSTS)), 0U);
  };
  play(
      [&] {
        m.master.write(register_at(RegId::kFEDATA), kData, 4);
        m.master.write(register_at(RegId::kFEADDR), static_cast<std::uint32_t>(kInterruptTable), 4);
        m.master.write(register_at(RegId::kFECTL), 0, 4);
      },
      [&] {
        EXPECT_TRUE(lost(kInterruptTable));
        const std::uint64_t first = m.dram().peek(kInterruptTable);
        const std::uint64_t second = m.dram().peek(kInterruptTable + 8);
        const std::size_t messages = m.interrupts().messages().size();
        fault();
        EXPECT_EQ(m.dram().peek(kInterruptTable), (first & ~bit_range(31, 0)) | kData);
        EXPECT_EQ(m.dram().peek(kInterruptTable + 8), second);
        EXPECT_EQ(m.interrupts().messages().size(), messages);
      });
  EXPECT_GE(m.endpoint(0).total().faulted(), 1U);
}

TEST_P(LeftoversTest, WalksAndRequestsUnderWayAtTheResetEndAsIfItHadNotBeen) {
  std::uint64_t requests = 0, walks = 0;
  m.resets().before([&](platform::reset::Kind) {
    requests = m.endpoint(0).in_flight();
    walks = m.unit(0).statistics().walks_in_flight;
  });
  play([] {}, [] {});
  EXPECT_GT(requests, 0U) << "DMA in flight at the reset";
  EXPECT_GT(walks, 0U) << "walks in flight at the reset";
  EXPECT_EQ(m.endpoint(0).total().faulted(), 0U);
}

}  // namespace
}  // namespace vtd::soc
