// SPDX-License-Identifier: MIT
// Both CPUs with tiny programs: true register widths, yielding polls, resets that unwind, crash reports.
#include <gmock/gmock.h>

#include <fstream>
#include <iterator>

#include "tests/soc/story.h"
#include "tlm/soc/bus.h"
#include "tlm/soc/cpu/cpu.h"
#include "tlm/soc/register_device.h"
#include "tlm/spec/platform.h"

namespace vtd::soc {
namespace {

using test::ms;
using test::ns;
using test::run_story;
using test::us;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

class Recorder : public RegisterDevice {
 public:
  using RegisterDevice::RegisterDevice;
  struct Seen {
    std::uint64_t offset;
    std::uint64_t value;
    unsigned bytes;
    bool operator==(const Seen&) const = default;
  };
  std::vector<Seen> writes;
  std::vector<Seen> reads;
  sc_core::sc_time last_write;

 protected:
  std::uint64_t read(std::uint64_t offset, unsigned bytes) override {
    reads.push_back({offset, 0, bytes});
    return bytes == 4 ? 0xAABBCCDD : 0xA1A2A3A4A5A6A7A8;
  }
  void write(std::uint64_t offset, std::uint64_t value, unsigned bytes) override {
    writes.push_back({offset, value, bytes});
    last_write = sc_core::sc_time_stamp();
  }
};

enum class Program : std::uint64_t { kWidths = 1, kPoll, kCrash, kBusError, kSayBoots };

class CpuTest : public testing::TestWithParam<CpuKind> {
 protected:
  CpuTest() {
    cpu_->bus.bind(bus_.new_input());
    bus_.map(0, platform::kDramSize, dram_.socket);
    bus_.map(platform::kMailboxBase, platform::kDeviceWindowSize, device_.socket);
    load();
  }
  CpuConfig config() const {
    const std::string stem = VTD_PROGRAMS;
    CpuConfig c;
    c.kind = GetParam();
    c.firmware[0] = {stem + ".img", stem + ".elf", stem + ".so"};
    return c;
  }
  void load() {
    std::ifstream in(std::string(VTD_PROGRAMS) + ".img", std::ios::binary);
    const std::vector<char> file{std::istreambuf_iterator<char>(in), {}};
    std::memcpy(&header_, file.data(), sizeof header_);
    std::copy(file.begin() + sizeof header_, file.end(), dram_.data() + header_.load_address);
  }
  void start(Program program) {
    dram_.poke(platform::kHeapBase, static_cast<std::uint64_t>(program));
    cpu_->restart(header_.entry);
  }

  Dram dram_{"dram", platform::kDramSize, ns(20)};
  Bus bus_{"bus"};
  Recorder device_{"device"};
  std::unique_ptr<Cpu> cpu_ = make_cpu("cpu", config(), dram_);
  platform::ImageHeader header_{};
};

TEST_P(CpuTest, RegisterAccessesKeepTheirWidth) {
  run_story([this] {
    start(Program::kWidths);
    sc_core::wait(us(10));
  });
  EXPECT_THAT(device_.writes,
              ElementsAre(Recorder::Seen{0x10, 0x11223344, 4}, Recorder::Seen{0x18, 0x1122334455667788, 8},
                          Recorder::Seen{0x30, 0xAABBCCDD, 4}, Recorder::Seen{0x38, 0xA1A2A3A4A5A6A7A8, 8}));
  EXPECT_THAT(device_.reads, ElementsAre(Recorder::Seen{0x20, 0, 4}, Recorder::Seen{0x28, 0, 8}));
}

TEST_P(CpuTest, ListenersSeeEveryRegisterAccessInOrder) {
  std::vector<MmioAccess> seen;
  cpu_->on_mmio([&](const MmioAccess& a) { seen.push_back(a); });
  run_story([this] {
    start(Program::kWidths);
    sc_core::wait(us(10));
  });
  ASSERT_EQ(seen.size(), 6U);
  EXPECT_TRUE(seen[1].write);
  EXPECT_EQ(seen[1].value, 0x1122334455667788U);
  EXPECT_FALSE(seen[3].write);
  EXPECT_EQ(seen[3].value, 0xA1A2A3A4A5A6A7A8U);
  EXPECT_EQ(seen[3].address, platform::kMailboxBase + 0x28);
  EXPECT_LT(seen[0].time, seen[5].time);
}

TEST_P(CpuTest, PollingMemoryLetsThePlatformGoOn) {
  run_story([this] {
    start(Program::kPoll);
    sc_core::wait(us(50));
    EXPECT_TRUE(device_.writes.empty());
    dram_.poke(platform::kHeapBase + 8, 77);
    sc_core::wait(us(5));
  });
  EXPECT_THAT(device_.writes, ElementsAre(Recorder::Seen{0x10, 77, 8}));
  EXPECT_GE(device_.last_write, us(50));
  EXPECT_LE(device_.last_write, us(52));
  // One instruction a nanosecond.
  EXPECT_NEAR(static_cast<double>(cpu_->instructions()), 55'000, 1'100);
}

TEST_P(CpuTest, RestartEndsWhateverRuns) {
  run_story([this] {
    start(Program::kPoll);
    sc_core::wait(us(10.3));
    start(Program::kWidths);
    sc_core::wait(us(10));
    EXPECT_EQ(device_.writes.size(), 4U);
    EXPECT_GE(device_.last_write, us(10.3));
    dram_.poke(platform::kHeapBase, 2);
    cpu_->restart(header_.entry, us(100));
    dram_.poke(platform::kHeapBase + 8, 1);
    sc_core::wait(us(99));
    EXPECT_EQ(device_.writes.size(), 4U) << "held in reset";
    sc_core::wait(us(5));
    EXPECT_EQ(device_.writes.size(), 5U);
  });
}

TEST_P(CpuTest, VariablesDoNotSurviveAFreshLoad) {
  run_story([this] {
    for (int i = 0; i < 3; ++i) {
      load();
      start(Program::kSayBoots);
      sc_core::wait(us(10));
    }
  });
  const Recorder::Seen once{0x10, 1, 8};
  EXPECT_THAT(device_.writes, ElementsAre(once, once, once));
}

TEST_P(CpuTest, CrashSaysWhereAndWhy) {
  std::vector<std::string> told;
  cpu_->on_crash([&](const CrashReport& r) { told.push_back(r.reason); });
  run_story([this] {
    start(Program::kCrash);
    sc_core::wait(us(10));
  });
  ASSERT_TRUE(cpu_->crash_report());
  const CrashReport& report = *cpu_->crash_report();
  EXPECT_EQ(report.reason, "read of 8 bytes at 0x90000000: nothing there");
  EXPECT_THAT(told, ElementsAre(report.reason));
  EXPECT_THAT(report.text(), HasSubstr("outer"));
  if (GetParam() == CpuKind::kIss) {
    EXPECT_THAT(report.where, StartsWith("inner+0x"));
    EXPECT_THAT(report.backtrace, Contains(StartsWith("outer+0x")));
    EXPECT_THAT(report.registers, Contains(std::pair<std::string, std::uint64_t>("rcx", 0x90000000)));
    EXPECT_THAT(report.registers, Contains(std::pair<std::string, std::uint64_t>("r15", 0x5a)));
  }
}

TEST_P(CpuTest, BusErrorIsACrash) {
  run_story([this] {
    start(Program::kBusError);
    sc_core::wait(us(10));
  });
  EXPECT_THAT(cpu_->crash(), HasSubstr("write of 4 bytes at 0xf0005000: bus error"));
  EXPECT_EQ(bus_.unmapped(), 1U);
}

TEST_P(CpuTest, WrongEntryIsACrashNotAHang) {
  run_story([this] {
    cpu_->restart(0x0300'0000);
    dram_.data()[0x0300'0000] = 0x0F;  // ud2
    dram_.data()[0x0300'0001] = 0x0B;
    sc_core::wait(us(10));
    EXPECT_FALSE(cpu_->crash().empty());
    start(Program::kWidths);
    sc_core::wait(us(10));
    EXPECT_TRUE(cpu_->crash().empty()) << "a reset revives the CPU";
    EXPECT_EQ(device_.writes.size(), 4U);
  });
}

TEST_P(CpuTest, NullPageIsNotMapped) {
  run_story([this] {
    cpu_->restart(0x10);
    sc_core::wait(us(10));
  });
  EXPECT_FALSE(cpu_->crash().empty());
}

#ifdef VTDSIM_ISS
constexpr CpuKind kCpus[] = {CpuKind::kIss, CpuKind::kNative};
#else
constexpr CpuKind kCpus[] = {CpuKind::kNative};
#endif
INSTANTIATE_TEST_SUITE_P(Cpus, CpuTest, testing::ValuesIn(kCpus),
                         [](const auto& param) { return param.param == CpuKind::kIss ? "iss" : "native"; });

}  // namespace
}  // namespace vtd::soc
