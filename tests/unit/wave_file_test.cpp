// SPDX-License-Identifier: MIT
// The wave file, read back through GTKWave's converter.
#include "tlm/unit/wave_file.h"

#include <gmock/gmock.h>

#include <filesystem>

#include "tests/support/vcd.h"
#include "tlm/unit/rtl_walker.h"

namespace vtd::test {
namespace {

using testing::ElementsAre;
using testing::Pair;
using testing::SizeIs;

class WaveFileTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!Vcd::available()) GTEST_SKIP() << "fst2vcd is missing: apt-get install gtkwave";
  }
  void TearDown() override { std::filesystem::remove(path); }
  Vcd written() {
    waves.close();
    return Vcd::of_fst(path);
  }

  const std::string path =
      testing::TempDir() + "wave_file_test_" + testing::UnitTest::GetInstance()->current_test_info()->name() + ".fst";
  WaveFile waves{path};
};

TEST_F(WaveFileTest, ShowsEveryChangeAtItsPicosecond) {
  const SignalId bit = waves.add("unit0", "tes", 1);
  const SignalId bus = waves.add("unit0", "walks", 8);
  const SignalId quad = waves.add("unit0", "address", 64);
  waves.start();
  waves.set(bit, 1, 1'000);
  waves.set(bus, 0x5A, 1'001);
  waves.set(quad, 0xFEDC'BA98'7654'3210, 2'000'000'000'000);
  const Vcd vcd = written();
  EXPECT_EQ(vcd.timescale(), "1ps");
  EXPECT_EQ(vcd.width("tlm.unit0.tes"), 1U);
  EXPECT_EQ(vcd.width("tlm.unit0.walks"), 8U);
  EXPECT_EQ(vcd.width("tlm.unit0.address"), 64U);
  EXPECT_THAT(vcd.numbers("tlm.unit0.tes"), ElementsAre(Pair(1'000, 1)));
  EXPECT_THAT(vcd.numbers("tlm.unit0.walks"), ElementsAre(Pair(1'000, 0), Pair(1'001, 0x5A)));
  EXPECT_THAT(vcd.numbers("tlm.unit0.address"),
              ElementsAre(Pair(1'000, 0), Pair(2'000'000'000'000, 0xFEDC'BA98'7654'3210)));
}

TEST_F(WaveFileTest, SortsChangesThatArePushedAheadOfTime) {
  const SignalId a = waves.add("unit0", "a", 8);
  const SignalId b = waves.add("unit0", "b", 8);
  waves.start();
  waves.set(a, 3, 300);
  waves.set(b, 1, 100);
  waves.set(a, 2, 200);
  waves.set(b, 4, 400);
  waves.advance(250);
  waves.set(b, 2, 260);
  waves.set(a, 5, 500);
  const Vcd vcd = written();
  EXPECT_THAT(vcd.numbers("tlm.unit0.a"), ElementsAre(Pair(100, 0), Pair(200, 2), Pair(300, 3), Pair(500, 5)));
  EXPECT_THAT(vcd.numbers("tlm.unit0.b"), ElementsAre(Pair(100, 1), Pair(260, 2), Pair(400, 4)));
}

TEST_F(WaveFileTest, LetsTheLastOfTwoChangesAtOneTimeCount) {
  const SignalId a = waves.add("unit0", "a", 8);
  waves.start();
  waves.set(a, 7, 100);
  waves.set(a, 9, 100);
  EXPECT_THAT(written().numbers("tlm.unit0.a"), ElementsAre(Pair(100, 9)));
}

TEST_F(WaveFileTest, ShowsAChangeOfThePastRightAfterWhatIsWritten) {
  const SignalId a = waves.add("unit0", "a", 8);
  waves.start();
  waves.set(a, 1, 1'000);
  waves.advance(2'000);
  waves.set(a, 2, 500);
  EXPECT_THAT(written().numbers("tlm.unit0.a"), ElementsAre(Pair(1'000, 1), Pair(1'001, 2)));
}

TEST_F(WaveFileTest, BeginsWithTheValuesThatWereSetBeforeTheStart) {
  const SignalId number = waves.add("unit0", "number", 16);
  const SignalId phase = waves.add_text("platform", "phase", 8);
  waves.set(number, 0x1234, 0);
  waves.set_text(phase, "boot", 0);
  waves.start();
  waves.set(number, 1, 10);
  const Vcd vcd = written();
  EXPECT_THAT(vcd.texts("tlm.platform.phase"), ElementsAre(Pair(10, "boot")));
}

TEST_F(WaveFileTest, ShowsTextAsCharactersFromLeftToRight) {
  const SignalId phase = waves.add_text("platform", "phase", 12);
  waves.start();
  waves.set_text(phase, "preserve", 10);
  waves.set_text(phase, "blackout, longer than the lane", 20);
  waves.set_text(phase, "", 30);
  const Vcd vcd = written();
  EXPECT_EQ(vcd.width("tlm.platform.phase"), 12U * 8U);
  EXPECT_THAT(vcd.texts("tlm.platform.phase"),
              ElementsAre(Pair(10, "preserve"), Pair(20, "blackout, lo"), Pair(30, "")));
}

TEST_F(WaveFileTest, PutsScopesIntoScopesEachOnce) {
  const SignalId a = waves.add("unit0 iotlb", "hits", 16);
  const SignalId b = waves.add("unit0 context", "hits", 16);
  const SignalId c = waves.add("unit0 iotlb", "misses", 16);
  const SignalId d = waves.add("unit0", "tes", 1);
  waves.start();
  waves.set(a, 1, 1);
  waves.set(b, 2, 1);
  waves.set(c, 3, 1);
  waves.set(d, 1, 1);
  const Vcd vcd = written();
  EXPECT_THAT(vcd.scopes(), ElementsAre("tlm.", "tlm.unit0.", "tlm.unit0.context.", "tlm.unit0.iotlb."));
  EXPECT_THAT(vcd.numbers("tlm.unit0.iotlb.hits"), ElementsAre(Pair(1, 1)));
  EXPECT_THAT(vcd.numbers("tlm.unit0.context.hits"), ElementsAre(Pair(1, 2)));
  EXPECT_THAT(vcd.numbers("tlm.unit0.iotlb.misses"), ElementsAre(Pair(1, 3)));
  EXPECT_THAT(vcd.numbers("tlm.unit0.tes"), ElementsAre(Pair(1, 1)));
}

TEST_F(WaveFileTest, IsAFileEvenIfNothingHappened) {
  waves.add("unit0", "a", 8);
  waves.start();
  EXPECT_TRUE(waves.started());
  const Vcd vcd = written();
  EXPECT_FALSE(waves.started());
  EXPECT_TRUE(vcd.has("tlm.unit0.a"));
}

TEST_F(WaveFileTest, TakesSignalsOnlyBeforeTheStartAndOnlyOfPossibleWidth) {
  EXPECT_THROW(waves.add("unit0", "none", 0), std::invalid_argument);
  EXPECT_THROW(waves.add("unit0", "wide", 65), std::invalid_argument);
  EXPECT_THROW(waves.add_text("unit0", "empty", 0), std::invalid_argument);
  EXPECT_THROW(waves.add_text("unit0", "long", 65), std::invalid_argument);
  waves.start();
  EXPECT_THROW(waves.add("unit0", "late", 1), std::logic_error);
}

TEST_F(WaveFileTest, SaysIfItCannotBeWritten) {
  WaveFile nowhere(testing::TempDir() + "no/such/directory/x.fst");
  EXPECT_THROW(nowhere.start(), std::runtime_error);
}

/// Clocks a walk of one not-present entry; the walker's edge `n` is at (n + 1) ns.
class WaveFileWithRtlTest : public WaveFileTest {
 protected:
  static constexpr std::uint64_t kPeriodPs = 1'000;

  void walk() {
    const WalkRequest request{.id = 1, .root = 0x1000, .levels = 3, .iova = 0x5000, .access = Access::kRead};
    bool asked = false;
    std::optional<MemoryResponse> answer;
    for (answered = false; !answered; ++edges) {
      const WalkerOutputs out =
          walker.cycle({.request = asked ? nullptr : &request, .memory_response = answer ? &*answer : nullptr});
      answer.reset();
      asked |= out.request_accepted;
      if (out.memory_request) answer = MemoryResponse{.id = out.memory_request->id, .data = 0, .error = false};
      answered = out.response.has_value();
      ASSERT_LT(edges, 100U);
    }
  }

  RtlWalker walker{WalkerConfig{}, 1, "walker"};
  std::uint64_t edges = 0;
  bool answered = false;
};

TEST_F(WaveFileWithRtlTest, ShowsTheModelAndOurSignalsOnOneTimeBase) {
  const SignalId ours = waves.add("unit0", "walks", 8);
  walker.set_waves(
      waves, [this] { return (edges + 1) * kPeriodPs; }, kPeriodPs);
  waves.start();
  waves.set(ours, 1, kPeriodPs);  // the edge that accepts
  waves.set(ours, 0, 1'000'000);
  walk();
  const Vcd vcd = written();
  EXPECT_THAT(vcd.numbers("tlm.unit0.walks"), ElementsAre(Pair(500, 0), Pair(1'000, 1), Pair(1'000'000, 0)));
  // The request is shown half a period before its edge, and is over half a period before the next.
  EXPECT_THAT(vcd.numbers("walker.req_valid_i"), ElementsAre(Pair(500, 1), Pair(1'500, 0)));
  EXPECT_THAT(vcd.numbers("walker.req_iova_i"), ElementsAre(Pair(500, 0x5000)));
  // One rising edge a cycle, at the cycle's time.
  std::vector<std::uint64_t> rising;
  for (const auto& [time, value] : vcd.numbers("walker.clk_i"))
    if (value == 1) rising.push_back(time);
  EXPECT_THAT(rising, SizeIs(edges));
  for (std::size_t i = 0; i < rising.size(); ++i) EXPECT_EQ(rising[i], (i + 1) * kPeriodPs);
}

}  // namespace
}  // namespace vtd::test
