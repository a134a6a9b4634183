// SPDX-License-Identifier: MIT
// Each fault reason of legacy mode: raised, recorded, silenced by FPD where it is qualified, answered or refused for
// translation requests. Written from the document with raw numbers only.
#include "tests/core/raw_software.h"

namespace vtd::test {
namespace {

constexpr PhysAddr kRootEntry = 0x1'0000, kContextEntry = 0x2'0000 + 0x18 * 16;

class LegacyReasons : public RawSoftware {
 protected:
  /// A fresh unit with one page at 0x5000; kDevice may use ATS (TT=01), FPD as asked for.
  void mapped(bool fpd = false) {
    fresh(full_profile());
    leaf = page(0x5000, 0x9000, kR | kW);
    host->words[kContextEntry] |= 1 << 2 | (fpd ? 2 : 0);
  }
  /// What `break_it` breaks raises `code`; `qualified`: FPD silences it.
  template <typename Break>
  void expect(unsigned code, bool qualified, Break break_it, Access access = Access::kRead,
              std::uint64_t address = 0x5000) {
    for (const bool fpd : {false, true}) {
      mapped(fpd);
      break_it();
      EXPECT_EQ(fault(address, access), code);
      EXPECT_EQ(pending(), fpd && qualified ? 0U : 1U) << "FPD " << fpd;
      if (!fpd) {
        EXPECT_EQ(record_reason(0), code);
        EXPECT_EQ(read64(record_offset(0)), address & ~0xFFFULL);
        EXPECT_EQ(read64(record_offset(0) + 8) >> 62 & 1, access == Access::kRead ? 1U : 0U) << "T1";
      }
    }
  }
  PhysAddr leaf = 0;
};

TEST_F(LegacyReasons, Reason1_RootNotPresent) {
  expect(1, false, [&] { host->words[kRootEntry] = 0; });
}
TEST_F(LegacyReasons, Reason2_ContextNotPresent) {
  expect(2, true, [&] { host->words[kContextEntry] &= ~1ULL; });
}
TEST_F(LegacyReasons, Reason3_ContextInvalid) {
  expect(3, true, [&] { host->words[kContextEntry] |= 3 << 2; });
  expect(3, true, [&] { host->words[kContextEntry + 8] = kDid << 8 | 4; });
}
TEST_F(LegacyReasons, Reason4_AddressBeyondWidth) {
  expect(
      4, true, [] {}, Access::kRead, 1ULL << 48);
}
TEST_F(LegacyReasons, Reason5_NoWritePermission) {
  expect(
      5, true, [&] { host->words[leaf] &= ~kW; }, Access::kWrite);
  expect(
      5, true, [&] { host->words[leaf] = 0; }, Access::kWrite);
}
TEST_F(LegacyReasons, Reason6_NoReadPermission) {
  expect(6, true, [&] { host->words[leaf] &= ~kR; });
  expect(6, true, [&] { host->words[leaf] = 0; });
}
TEST_F(LegacyReasons, Reason7_PagingEntryAccess) {
  expect(7, true, [&] { host->broken.insert(leaf); });
  expect(7, true, [&] { host->broken.insert(kTable); });
}
TEST_F(LegacyReasons, Reason8_RootTableAccess) {
  expect(8, false, [&] { host->broken.insert(kRootEntry); });
  expect(8, false, [&] { host->broken.insert(kRootEntry + 8); });
}
TEST_F(LegacyReasons, Reason9_ContextTableAccess) {
  expect(9, false, [&] { host->broken.insert(kContextEntry); });
  expect(9, false, [&] { host->broken.insert(kContextEntry + 8); });
}
TEST_F(LegacyReasons, ReasonA_RootReserved) {
  for (unsigned bit = 1; bit < 128; ++bit)
    if (bit < 12 || bit >= 46)  // the host address width of the profile
      expect(0xA, false, [&] { host->words[kRootEntry + bit / 64 * 8] |= 1ULL << bit % 64; });
}
TEST_F(LegacyReasons, ReasonB_ContextReserved) {
  for (unsigned bit = 4; bit < 128; ++bit)
    if (bit < 12 || (bit >= 46 && bit < 64) || bit == 71 || bit >= 88)
      expect(0xB, true, [&] { host->words[kContextEntry + bit / 64 * 8] |= 1ULL << bit % 64; });
}
TEST_F(LegacyReasons, ReasonC_PagingEntryReserved) {
  for (unsigned bit = 46; bit < 52; ++bit) expect(0xC, true, [&] { host->words[leaf] |= 1ULL << bit; });
}
TEST_F(LegacyReasons, ReasonD_RequestTypeBlocked) {
  for (const bool fpd : {false, true}) {
    for (const AddressType type : {AddressType::kTranslationRequest, AddressType::kTranslated}) {
      mapped(fpd);
      host->words[kContextEntry] &= ~(3ULL << 2);  // TT=00
      DmaRequest r = dma_read(kDevice, 0x5000);
      r.type = type;
      EXPECT_EQ(static_cast<unsigned>(fault_of(r)), 0xDU);
      EXPECT_EQ(pending(), fpd ? 0U : 1U);
    }
  }
}
TEST_F(LegacyReasons, ReasonE_InterruptRange) {
  expect(0xE, true, [&] { host->words[leaf] = 0xFEE0'1003; });
  expect(
      0xE, true, [&] { host->words[leaf] = 0xFEE0'1003; }, Access::kWrite);
}

TEST_F(LegacyReasons, TranslationRequestsAreAnsweredOnlyFor5And6) {
  for (const unsigned code : {1U, 2U, 3U, 4U, 6U, 7U, 0xBU, 0xCU, 0xEU}) {
    mapped();
    DmaRequest r = dma_read(kDevice, code == 4 ? 1ULL << 48 : 0x5000);
    r.type = AddressType::kTranslationRequest;
    if (code == 1) host->words[kRootEntry] = 0;
    if (code == 2) host->words[kContextEntry] = 0;
    if (code == 3) host->words[kContextEntry] |= 3 << 2;
    if (code == 6) host->words[leaf] = 0;
    if (code == 7) host->broken.insert(leaf);
    if (code == 0xB) host->words[kContextEntry] |= 1 << 4;
    if (code == 0xC) host->words[leaf] |= 1ULL << 50;
    if (code == 0xE) host->words[leaf] = 0xFEE0'1003;
    const auto result = dma(r);
    EXPECT_EQ(result.ok(), code == 6) << code;
    if (result.ok()) {
      EXPECT_FALSE(result->readable || result->writable);
      EXPECT_EQ(pending(), 0U);
    } else {
      EXPECT_EQ(static_cast<unsigned>(result.fault().reason), code);
      EXPECT_EQ(record_reason(0), code);
    }
  }
}

}  // namespace
}  // namespace vtd::test
