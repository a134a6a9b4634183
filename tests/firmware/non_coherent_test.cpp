// SPDX-License-Identifier: MIT
// Units that do not snoop (ECAP.C=0): what the firmware writes to tables is in memory before the unit is told, and a
// table is in memory before an entry leads to it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/firmware/fake_platform.h"
#include "tlm/spec/paging.h"
#include "tlm/spec/structures.h"

namespace vtd::fw::test {
namespace {

using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using enum platform::Command;

/// Follows the tables as the CPU has written them, and notes every page of them that memory does not hold in time.
class TableWatch {
 public:
  explicit TableWatch(FakePlatform& platform) : platform_(platform) {
    platform_.on_entry = [this](PhysAddr at) {
      if (tables_.contains(align_down(at, kPageSize))) follow("linked");
    };
    platform_.before_order = [this](FakeUnit&, RegId id) {
      ++orders;
      check(info(id).name);
    };
  }
  ~TableWatch() {
    platform_.on_entry = nullptr;
    platform_.before_order = nullptr;
  }
  TableWatch(const TableWatch&) = delete;
  TableWatch& operator=(const TableWatch&) = delete;

  std::vector<std::string> late;
  unsigned orders = 0;
  [[nodiscard]] std::size_t tables() const { return tables_.size(); }

  /// By now everything must be in memory.
  void check(const std::string& when) {
    follow(when);
    for (const auto& [page, kind] : tables_) require(page, kind, when);
  }

 private:
  /// Paging tables by level; these two are above them.
  static constexpr unsigned kContextTable = kMaxLevels + 1;
  static constexpr unsigned kRootTable = kMaxLevels + 2;
  using Tables = std::map<PhysAddr, unsigned>;

  void follow(const std::string& when) {
    Tables now;
    for (const FakeUnit& unit : platform_.units) {
      const auto root = unit.registers.find(info(RegId::kRTADDR).offset);
      if (root != unit.registers.end() && rtaddr::kRTA.in_place(root->second) != 0)
        visit(rtaddr::kRTA.in_place(root->second), kRootTable, now);
    }
    for (const auto& [page, kind] : now)
      if (!tables_.contains(page)) require(page, kind, when);
    tables_ = now;
  }

  void visit(PhysAddr table, unsigned kind, Tables& out) {
    if (!out.emplace(table, kind).second) return;
    const unsigned step = kind > kMaxLevels ? root::kBytes : kEntryBytes;
    for (PhysAddr at = table; at < table + kPageSize; at += step) {
      const std::uint64_t low = platform_.read64(at);
      if (kind == kRootTable) {
        if (root::kP.get(low) != 0) visit(root::kCTP.in_place(low), kContextTable, out);
      } else if (kind == kContextTable) {
        const ctx::Entry entry{{low, platform_.read64(at + 8)}};
        const bool through = entry.get(ctx::kTT) == static_cast<std::uint64_t>(TranslationType::kPassThrough);
        if (entry.get(ctx::kP) != 0 && !through)
          visit(entry.address(ctx::kSSPTPTR), levels_of_aw(static_cast<unsigned>(entry.get(ctx::kAW))), out);
      } else if (kind > 1 && (ss::kR.get(low) | ss::kW.get(low)) != 0 && ss::kPS.get(low) == 0) {
        visit(ss::kADDR.in_place(low), kind - 1, out);
      }
    }
  }

  void require(PhysAddr page, unsigned kind, const std::string& when) {
    if (!platform_.dirty(page, kPageSize)) return;
    const std::string what = kind == kRootTable      ? "root table"
                             : kind == kContextTable ? "context table"
                                                     : "table of level " + std::to_string(kind);
    late.push_back(when + ": " + what + " not written back");
  }

  FakePlatform& platform_;
  Tables tables_;
};

struct Variant {
  const char* name;
  bool Profile::*flag;
  bool value;
};

class NonCoherentTest : public ::testing::TestWithParam<Variant> {
 protected:
  Machine m_;
  void SetUp() override {
    Profile& profile = m_.platform.units[0].profile;
    profile.coherent = false;
    profile.*GetParam().flag = GetParam().value;
  }
  void must(TableWatch& watch, platform::Command command, std::initializer_list<std::uint64_t> args = {}) {
    ASSERT_EQ(m_.status(command, args), Status::kOk) << "command " << static_cast<int>(command);
    watch.check("command " + std::to_string(static_cast<int>(command)) + " done");
  }
  /// Three devices on two buses, mappings added and taken away while they are in use.
  void set_up(TableWatch& watch) {
    m_.boot(ImageLetter::kA);
    watch.check("boot");
    m_.set_up_device();
    watch.check("set up");
    must(watch, kAddMemory, {2, platform::kGuestBase + 0x40'0000, 0x40'0000});
    must(watch, kCreateDomain, {2, 4});
    must(watch, kAttach, {Machine::kD2.value, 2});
    must(watch, kAttach, {Machine::kD3.value, 2});
    must(watch, kMap, {2, 0x20'0000, 2, 0, 0x20'2000, 3, 2});
    must(watch, kMap, {2, 0x80'0000'0000, 2, 0, 0x1000, 1, 1});  // new tables at every level
    must(watch, kUnmap, {2, 0x20'0000, 0x20'0000});
    must(watch, kMap, {1, 0x10'0000, 1, 0, 0x3000, 3, 1});
    must(watch, kDetach, {Machine::kD2.value});
    must(watch, kPassThrough, {Machine::kD2.value});
  }
};
INSTANTIATE_TEST_SUITE_P(Variants, NonCoherentTest,
                         ::testing::Values(Variant{"queue", &Profile::queued_invalidation, true},
                                           Variant{"registers", &Profile::queued_invalidation, false},
                                           Variant{"caching_mode", &Profile::caching_mode, true},
                                           Variant{"write_buffer", &Profile::write_buffer_flush, true}),
                         [](const auto& info) { return std::string(info.param.name); });

TEST_P(NonCoherentTest, TablesAreInMemoryBeforeTheUnitIsTold) {
  TableWatch watch(m_.platform);
  set_up(watch);
  EXPECT_THAT(watch.late, IsEmpty());
  EXPECT_GT(watch.orders, 5U);
  EXPECT_GE(watch.tables(), 13U) << "root, two context tables, four and seven page tables";
}

TEST_P(NonCoherentTest, LiveUpdateKeepsTablesAndRecordsInMemory) {
  TableWatch watch(m_.platform);
  set_up(watch);
  m_.preserve_all();
  watch.check("preserve");
  m_.go_down();
  EXPECT_FALSE(m_.platform.dirty(0, platform::kDramSize)) << "the reset would lose it";
  watch.check("reset");
  ASSERT_TRUE(m_.start_next()) << m_.platform.last_line();
  m_.take_over();
  must(watch, kFinish, {1});
  must(watch, kCreateDomain, {7, 4});
  must(watch, kMap, {7, 0x1000, 1, 0, 0x1000, 3, 1});
  must(watch, kAttach, {Machine::kD3.value, 7});
  must(watch, kDetach, {Machine::kD1.value});
  EXPECT_THAT(watch.late, IsEmpty());
}

TEST_P(NonCoherentTest, ForgottenFlushIsSeenByTheWatch) {
  m_.platform.deviate(platform::Deviation::kSkipFlush);
  TableWatch watch(m_.platform);
  set_up(watch);
  EXPECT_THAT(watch.late, Not(IsEmpty()));
  EXPECT_EQ(watch.late.front(), "GCMD: root table not written back") << "SRTP is the first order";
  EXPECT_THAT(watch.late, ::testing::Contains(HasSubstr("linked: context table")));
  EXPECT_THAT(watch.late, ::testing::Contains(HasSubstr("linked: table of level 4")));
  EXPECT_EQ(m_.platform.write_backs, 0U);
}

TEST_P(NonCoherentTest, HandoverThatIsNotWrittenBackIsLostAndRefused) {
  m_.platform.deviate(platform::Deviation::kSkipHandoverFlush);
  TableWatch watch(m_.platform);
  set_up(watch);
  m_.preserve_all();
  m_.go_down();
  EXPECT_FALSE(m_.start_next());
  EXPECT_THAT(m_.platform.last_line(), HasSubstr("FATAL"));
  EXPECT_THAT(watch.late, IsEmpty()) << "tables were written back one by one";
}

TEST(SnoopingUnits, NothingIsEverWrittenBack) {
  Machine m;
  m.boot(ImageLetter::kA);
  m.set_up_device();
  m.preserve_all();
  m.go_down();
  ASSERT_TRUE(m.start_next());
  EXPECT_EQ(m.platform.write_backs, 0U);
}

TEST(MixedUnits, OneThatDoesNotSnoopIsEnough) {
  Machine m;
  m.platform.add_endpoint(SourceId{0x0608}, 1);
  m.platform.units[1].profile.coherent = false;
  m.boot(ImageLetter::kA);
  EXPECT_GT(m.platform.write_backs, 0U);
  m.platform.units[1].profile.coherent = true;
  m.platform.write_backs = 0;
  m.boot(ImageLetter::kB);
  EXPECT_EQ(m.platform.write_backs, 0U) << "every image asks anew";
}

}  // namespace
}  // namespace vtd::fw::test
