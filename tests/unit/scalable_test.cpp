// SPDX-License-Identifier: MIT
// Scalable mode through the sockets: PASIDs, A and D in memory by either way, equal stamps, ATS and interrupts.
#include <map>

#include "tests/unit/child.h"
#include "tests/unit/unit_bench.h"
#include "tlm/spec/profiles.h"

namespace vtd::test {
namespace {

using sc_core::SC_NS;
using sc_core::sc_time;

constexpr PhysAddr kContexts = 0x2'0000;
constexpr PhysAddr kDirectory = 0x2'1000;
constexpr PhysAddr kPasids = 0x2'2000;
constexpr PhysAddr kFirst = 0x3'0000;  ///< four tables, one page each
constexpr PhysAddr kLeaves = 0x3'3000;
constexpr PhysAddr kInterrupts = 0x4'0000;
constexpr Pasid kPasid{5};

UnitConfig configured(Stepping stepping, WalkerKind walker) {
  UnitConfig config;
  config.walker = walker;
  config.profile = full_profile();
  config.dma_ports = {kNic, kDisk};
  config.stepping = stepping;
  return config;
}

/// kPasid of every device has a first-stage table that maps 16 pages.
/// Walker, and whether it reaches memory directly.
class Scalable : public testing::TestWithParam<std::tuple<WalkerKind, bool>> {
 protected:
  static WalkerKind walker() { return std::get<0>(GetParam()); }
  static bool direct() { return std::get<1>(GetParam()); }
  void build(const UnitConfig& config) {
    bench = std::make_unique<UnitBench>("bench", config);
    TestMemory& m = bench->memory;
    m.set_word(kRootTable, kContexts | 1);
    for (const SourceId source : {kNic, kDisk})
      m.set_word(kContexts + source.devfn() * sctx::kBytes,
                 kDirectory | sctx::kP.of(1) | sctx::kPASIDE.of(1) | sctx::kDTE.of(1));
    m.set_word(kDirectory, kPasids | 1);
    const PhysAddr entry = kPasids + kPasid.value * pasid::kBytes;
    m.set_word(entry, pasid::kP.of(1) | pasid::kPGTT.of(1));
    m.set_word(entry + 8, pasid::kDID.of(7) | pasid::kPWSNP.of(1));
    m.set_word(entry + 16, kFirst);
    for (PhysAddr table = kFirst; table < kLeaves; table += kPageSize) m.set_word(table, (table + kPageSize) | 7);
    for (unsigned page = 0; page < 16; ++page) m.set_word(leaf(page), (kData + page * kPageSize) | 7);
    m.latency = sc_time(20, SC_NS);
    m.grants_direct = direct();
  }
  static PhysAddr leaf(unsigned page) { return kLeaves + page * kEntryBytes; }
  void enable() {
    bench->write(RegId::kRTADDR, kRootTable | rtaddr::kTTM.of(1));
    bench->command(gcmd::kSRTP);
    bench->command(gcmd::kTE);
  }
  UnitBench::Dma access(std::size_t device, tlm::tlm_command command, Iova iova, std::uint64_t& data,
                        DmaExtension& extension) {
    extension.source = device == 0 ? kNic : kDisk;
    return bench->dma(device, command, iova, UnitBench::bytes_of_word(data), &extension);
  }
  std::unique_ptr<UnitBench> bench;
};

constexpr auto name_of = [](const auto& p) {
  static constexpr const char* kWalkers[] = {"model", "rtl", "lockstep"};
  return std::string(kWalkers[static_cast<std::size_t>(std::get<0>(p.param))]) +
         (std::get<1>(p.param) ? "_direct" : "_transactions");
};
const auto kEverything =
    testing::Combine(testing::Values(WalkerKind::kModel, WalkerKind::kRtl, WalkerKind::kLockstep), testing::Bool());
INSTANTIATE_TEST_SUITE_P(Walkers, Scalable, kEverything, name_of);

TEST_P(Scalable, AccessedAndDirtyAreSetInMemoryBeforeTheDataMoves) {
  build(configured(Stepping::kBurst, walker()));
  bench->go([&] {
    enable();
    DmaExtension extension;
    extension.pasid = kPasid;
    std::uint64_t data = 0x1234;
    ASSERT_EQ(access(0, tlm::TLM_READ_COMMAND, 0x3008, data, extension).status, tlm::TLM_OK_RESPONSE);
    EXPECT_EQ(bench->memory.word(leaf(3)), (kData + 3 * kPageSize) | 7 | fs::kA.mask());
    EXPECT_EQ(bench->memory.word(kFirst), (kFirst + kPageSize) | 7 | fs::kA.mask());
    data = 0x1234;
    ASSERT_EQ(access(0, tlm::TLM_WRITE_COMMAND, 0x3008, data, extension).status, tlm::TLM_OK_RESPONSE);
    EXPECT_EQ(bench->memory.word(leaf(3)), (kData + 3 * kPageSize) | 7 | fs::kA.mask() | fs::kD.mask());
    EXPECT_EQ(bench->memory.word(kData + 3 * kPageSize + 8), 0x1234U);
  });
  EXPECT_EQ(bench->memory.count(MemoryKind::kUpdate), direct() ? 0U : 5U);
}
TEST_P(Scalable, UpdateThatMemoryCannotDoIsAFault) {
  build(configured(Stepping::kBurst, walker()));
  bench->memory.grants_direct = false;
  bench->memory.broken.insert(leaf(2));
  bench->go([&] {
    enable();
    DmaExtension extension;
    extension.pasid = kPasid;
    std::uint64_t data = 0;
    EXPECT_EQ(access(0, tlm::TLM_READ_COMMAND, 0x2000, data, extension).status, tlm::TLM_ADDRESS_ERROR_RESPONSE);
    EXPECT_EQ(extension.fault, FaultReason::kFsEntryAccess);
  });
}

/// When each of a crowd of accesses ended, as text.
struct Stamps : Scalable {
  std::string of(Stepping stepping) {
    build(configured(stepping, walker()));
    std::map<unsigned, std::string> ended;
    bench->go([&] {
      enable();
      for (unsigned n = 0; n < 24; ++n)
        bench->spawn([&, n] {
          sc_core::wait(sc_time(n / 3 * 7, SC_NS));
          DmaExtension extension;
          extension.pasid = kPasid;
          std::uint64_t data = n;
          const auto command = n % 3 == 0 ? tlm::TLM_WRITE_COMMAND : tlm::TLM_READ_COMMAND;
          const auto result = access(n % 2, command, n % 16 * kPageSize + n * 8, data, extension);
          EXPECT_EQ(result.status, tlm::TLM_OK_RESPONSE);
          sc_core::wait(result.delay);
          ended[n] = sc_core::sc_time_stamp().to_string();
        });
      bench->wait_until([&] { return ended.size() == 24; });
    });
    std::string text;
    for (const auto& [n, at] : ended) text += std::to_string(n) + " " + at + "\n";
    return text;
  }
};

INSTANTIATE_TEST_SUITE_P(Walkers, Stamps, kEverything, name_of);

TEST_P(Stamps, AreTheSameInBurstsAndEdgeByEdge) {
  const auto burst = in_child([&] { return of(Stepping::kBurst); });
  EXPECT_EQ(burst, in_child([&] { return of(Stepping::kEveryCycle); }));
  EXPECT_GT(burst.size(), 24U * 4);
}

TEST_P(Scalable, TranslationRequestIsAnsweredAndMovesNothing) {
  build(configured(Stepping::kBurst, walker()));
  bench->go([&] {
    enable();
    DmaExtension extension;
    extension.pasid = kPasid;
    extension.type = AddressType::kTranslationRequest;
    std::uint64_t data = 0x77;
    ASSERT_EQ(access(1, tlm::TLM_READ_COMMAND, 0x5000, data, extension).status, tlm::TLM_OK_RESPONSE);
    EXPECT_EQ(data, 0x77U);
    ASSERT_TRUE(extension.translation);
    EXPECT_EQ(extension.translation->address, kData + 5 * kPageSize);
    EXPECT_TRUE(extension.translation->readable);
    EXPECT_FALSE(extension.translation->writable) << "D is not set";
    extension.pasid.reset();
    extension.type = AddressType::kTranslated;
    ASSERT_EQ(access(1, tlm::TLM_WRITE_COMMAND, kData + 5 * kPageSize, data, extension).status, tlm::TLM_OK_RESPONSE);
    EXPECT_EQ(bench->memory.word(kData + 5 * kPageSize), 0x77U);
  });
}

TEST_P(Scalable, RemappedInterruptLeavesInPlaceOfTheWrite) {
  build(configured(Stepping::kBurst, walker()));
  bench->memory.set_word(kInterrupts + 3 * irte::kBytes, irte::kP.of(1) | irte::kV.of(0x41) | irte::kDST.of(0x200));
  bench->go([&] {
    bench->write(RegId::kIRTA, kInterrupts | irta::kS.of(7));
    bench->command(gcmd::kSIRTP);
    bench->command(gcmd::kIRE);
    std::uint64_t data = 0;
    const auto four = UnitBench::bytes_of_word(data).first(4);
    ASSERT_EQ(bench->dma(0, tlm::TLM_WRITE_COMMAND, 0xFEE0'0010 | 3 << 5, four).status, tlm::TLM_OK_RESPONSE);
    ASSERT_EQ(bench->memory.messages.size(), 1U);
    EXPECT_EQ(bench->memory.messages[0], 0xFEE0'2000U);
    EXPECT_EQ(bench->dma(0, tlm::TLM_WRITE_COMMAND, 0xFEE0'0010 | 4 << 5, four).status,
              tlm::TLM_ADDRESS_ERROR_RESPONSE);
    EXPECT_EQ(bench->memory.messages.size(), 1U);
  });
}

}  // namespace
}  // namespace vtd::test
