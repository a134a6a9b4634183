// SPDX-License-Identifier: MIT
#include "tlm/core/register_file.h"

#include <gtest/gtest.h>

#include <stdexcept>
#include <vector>

namespace vtd {
namespace {

class RegisterFileTest : public ::testing::Test {
 protected:
  static std::uint64_t offset(RegId id) { return offset_of(id, Profile{}); }
  Observer nobody;
  RegisterFile registers{Profile{}, nobody};
};

TEST_F(RegisterFileTest, ReadOnlyRegistersShowTheProfileAndIgnoreWrites) {
  EXPECT_EQ(registers.read(0x08, 8), cap_value(Profile{}));
  registers.write(0x08, ~0ULL, 8);
  EXPECT_EQ(registers.read(0x08, 8), cap_value(Profile{}));
  EXPECT_EQ(registers.read(0x00, 4), 0x10U);
  EXPECT_EQ(registers.read(0x14, 4), ecap_value(Profile{}) >> 32);
}

TEST_F(RegisterFileTest, ReadWriteKeepsDefinedBitsOnly) {
  registers.write(offset(RegId::kRTADDR), ~0ULL, 8);
  EXPECT_EQ(registers.read(offset(RegId::kRTADDR), 8), 0xFFFF'FFFF'FFFF'FC00ULL);
}

TEST_F(RegisterFileTest, HalvesOfA64BitRegisterMergeInEitherOrder) {
  registers.write(0x24, 0x0000'0012, 4);
  registers.write(0x20, 0x3456'7000, 4);
  EXPECT_EQ(registers.read(0x20, 8), 0x0000'0012'3456'7000ULL);
  registers.write(0x20, 0x8765'4000, 4);
  registers.write(0x24, 0x0000'0021, 4);
  EXPECT_EQ(registers.read(0x20, 8), 0x0000'0021'8765'4000ULL);
  EXPECT_EQ(registers.read(0x24, 4), 0x21U);
}

TEST_F(RegisterFileTest, WriteOnlyReadsZeroButIsStored) {
  registers.write(offset(RegId::kIVA), 0x1234'5000 | 0x47, 8);
  EXPECT_EQ(registers.read(offset(RegId::kIVA), 8), 0U);
  EXPECT_EQ(registers.value(RegId::kIVA), 0x1234'5047U);
  registers.write(0x18, 0x8000'0000, 4);
  EXPECT_EQ(registers.read(0x18, 4), 0U);
}

TEST_F(RegisterFileTest, Write1ClearsOnlyTheBitsWritten) {
  registers.set(RegId::kFSTS, fsts::kPFO.mask() | fsts::kPPF.mask() | fsts::kIQE.mask() | fsts::kFRI.of(3));
  registers.write(0x34, 0, 4);
  EXPECT_EQ(registers.read(0x34, 4), 0x313U);
  registers.write(0x34, 0xFFFF'FF10, 4);
  EXPECT_EQ(registers.read(0x34, 4), 0x303U) << "IQE cleared; PPF and FRI are read-only, PFO was not written";
  registers.write(0x34, 0x1, 4);
  EXPECT_EQ(registers.read(0x34, 4), 0x302U);
}

TEST_F(RegisterFileTest, StatusFieldsIgnoreSoftware) {
  registers.set_field(RegId::kGSTS, gsts::kTES, 1);
  registers.write(0x1C, 0, 4);
  EXPECT_EQ(registers.read(0x1C, 4), 0x8000'0000U);
  registers.write(0xB0, ~0ULL, 8);
  EXPECT_EQ(registers.read(0xB0, 8), 0U);
}

TEST_F(RegisterFileTest, WarmResetKeepsStickyFieldsColdResetDoesNot) {
  registers.set(RegId::kFSTS, fsts::kPFO.mask() | fsts::kPPF.mask() | fsts::kFRI.of(2));
  registers.set(RegId::kICS, iq::kIWC.mask());
  registers.set(RegId::kIQERCD, iq::kIQEI.of(4));
  registers.write(0x20, 0x5000, 8);
  registers.write(0x38, 0, 4);
  registers.set_record(1, frcd::Entry{}.set(frcd::kF, 1));
  registers.reset(ResetKind::kWarm);
  EXPECT_EQ(registers.read(0x34, 4), 0x203U);
  EXPECT_EQ(registers.read(0x9C, 4), 1U);
  EXPECT_EQ(registers.read(0xB0, 8), 4U);
  EXPECT_EQ(registers.read(0x20, 8), 0U);
  EXPECT_EQ(registers.read(0x38, 4), 0x8000'0000U) << "IM comes up set";
  EXPECT_EQ(registers.record(1).get(frcd::kF), 1U);
  EXPECT_EQ(registers.read(0x08, 8), cap_value(Profile{}));
  registers.reset(ResetKind::kCold);
  EXPECT_EQ(registers.read(0x34, 4), 0U);
  EXPECT_EQ(registers.read(0x9C, 4), 0U);
  EXPECT_EQ(registers.read(0xB0, 8), 0U);
  EXPECT_EQ(registers.record(1).get(frcd::kF), 0U);
}

TEST_F(RegisterFileTest, UnlistedAndAbsentOffsetsReadZeroAndIgnoreWrites) {
  for (const std::uint64_t where : {0x04ULL, 0x30ULL, 0x64ULL, 0xB8ULL, 0xD0ULL, 0x300ULL, 0x400ULL, 0xFF8ULL}) {
    registers.write(where, 0xFFFF'FFFF, 4);
    EXPECT_EQ(registers.read(where, 4), 0U) << "offset " << where;
  }
  Profile no_queue;
  no_queue.queued_invalidation = false;
  RegisterFile without(no_queue, nobody);
  without.write(0x90, 0x5000, 8);
  EXPECT_EQ(without.read(0x90, 8), 0U);
}

TEST_F(RegisterFileTest, HookSeesTheHalfThatWasWritten) {
  std::vector<RegisterWrite> writes;
  registers.on_write([&](const RegisterWrite& w) { writes.push_back(w); });
  registers.write(0x28, 0x0003'0005, 4);
  registers.write(0x2C, 0x8000'0000, 4);
  ASSERT_EQ(writes.size(), 2U);
  EXPECT_EQ(writes[0].id, RegId::kCCMD);
  EXPECT_FALSE(writes[0].sets(ccmd::kICC));
  EXPECT_EQ(writes[0].written, 0xFFFF'FFFFU);
  EXPECT_TRUE(writes[1].sets(ccmd::kICC));
  EXPECT_EQ(writes[1].written, 0xFFFF'FFFF'0000'0000ULL);
  EXPECT_EQ(registers.value(RegId::kCCMD), 0x8000'0000'0003'0005ULL);
}

TEST_F(RegisterFileTest, A64BitAccessToTwo32BitRegistersActsOnBoth) {
  registers.write(0x38, 0x0000'0041'0000'0000ULL, 8);
  EXPECT_EQ(registers.read(0x38, 8), 0x0000'0041'0000'0000ULL);
  EXPECT_EQ(registers.value(RegId::kFEDATA), 0x41U);
  EXPECT_EQ(registers.value(RegId::kFECTL), 0U);
}

TEST_F(RegisterFileTest, FaultRecordsAreClearedByTheirTopBitOnly) {
  registers.set_record(2, frcd::Entry{}.set(frcd::kF, 1).set(frcd::kFR, 5).set(frcd::kFI, 0x123));
  std::vector<unsigned> cleared;
  registers.on_record_write([&](unsigned index) { cleared.push_back(index); });
  const std::uint64_t base = Profile{}.fault_record_offset + 2 * frcd::kBytes;
  registers.write(base, ~0ULL, 8);
  registers.write(base + 8, 0xFFFF'FFFF, 4);
  registers.write(base + 12, 0x7FFF'FFFF, 4);
  EXPECT_TRUE(cleared.empty());
  EXPECT_EQ(registers.read(base, 8), 0x123000U);
  registers.write(base + 12, 0x8000'0000, 4);
  EXPECT_EQ(cleared, std::vector<unsigned>{2});
  EXPECT_EQ(registers.record(2).get(frcd::kF), 0U);
  EXPECT_EQ(registers.record(2).get(frcd::kFR), 5U) << "the rest of the record stays";
}

TEST_F(RegisterFileTest, ObserverSeesEachChangeOnce) {
  struct Watcher : Observer {
    std::vector<std::uint64_t> values;
    void on_register(RegId id, std::uint64_t value) override {
      if (id == RegId::kRTADDR) values.push_back(value);
    }
  } watcher;
  RegisterFile watched(Profile{}, watcher);
  watched.write(0x20, 0x5000, 8);
  watched.write(0x20, 0x5000, 8);
  EXPECT_EQ(watcher.values, std::vector<std::uint64_t>{0x5000});
}

TEST_F(RegisterFileTest, OverlappingPlacementIsRefused) {
  Profile overlapping;
  overlapping.iotlb_offset = 0x600;
  EXPECT_THROW(RegisterFile(overlapping, nobody), std::invalid_argument);
  Profile outside;
  outside.fault_record_offset = 0xFF0;
  EXPECT_THROW(RegisterFile(outside, nobody), std::invalid_argument);
}

}  // namespace
}  // namespace vtd
