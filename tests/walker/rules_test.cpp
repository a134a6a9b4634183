// SPDX-License-Identifier: MIT
// What one walk does with its tables: addresses, page sizes, presence, reserved bits, rights, errors. Expectations
// are numbers from the document (VT-d 3.7, 7.1.3, 9.8), not calls of the code under test.
#include "tests/walker/walker_fixture.h"

namespace vtd::test {
namespace {

constexpr std::uint8_t kBeyondWidth = 0x4;
constexpr std::uint8_t kNoWrite = 0x5;
constexpr std::uint8_t kNoRead = 0x6;
constexpr std::uint8_t kReadError = 0x7;
constexpr std::uint8_t kReserved = 0xC;
constexpr std::uint8_t kFine = 0;

constexpr unsigned kPageBits[] = {0, 12, 21, 30, 39, 48};  ///< of an entry of a level
constexpr Access kAllAccesses[] = {Access::kRead, Access::kWrite, Access::kZeroLengthRead, Access::kAtomic};

class WalkerRules : public WalkerConformance {};

// ---- addresses ---------------------------------------------------------------------------------------------------

TEST_P(WalkerRules, EveryLevelAndPageSizeIsTranslated) {
  for (unsigned levels = 3; levels <= 5; ++levels) {
    for (unsigned size = 1; size <= 3; ++size) {
      SCOPED_TRACE(testing::Message() << levels << " levels, leaf at level " << size);
      root_ = tables_.new_table();
      const std::uint64_t page = 0x5'4000'0000;  // aligned for 1 GiB
      tables_.map(root_, levels, kIova, size, page | kReadWrite | (size > 1 ? kPageSizeBit : 0));
      const WalkResponse response = walk(kIova, Access::kRead, levels);
      EXPECT_TRUE(translates_to(response, page, size));
      EXPECT_EQ(response.reads, levels - size + 1);
      EXPECT_TRUE(response.readable);
      EXPECT_TRUE(response.writable);
    }
  }
}

TEST_P(WalkerRules, EveryAddressBitSelectsItsEntry) {
  for (unsigned levels = 3; levels <= 5; ++levels) {
    root_ = tables_.new_table();
    const unsigned width = 12 + 9 * levels;
    tables_.map(root_, levels, 0, 1, 0x7'0000'0000 | kReadable);
    for (unsigned bit = 12; bit < width; ++bit)
      tables_.map(root_, levels, 1ULL << bit, 1, (0x8'0000'0000 + bit * 0x1000) | kReadable);
    for (unsigned bit = 12; bit < width; ++bit)
      EXPECT_TRUE(translates_to(walk(1ULL << bit, Access::kRead, levels), 0x8'0000'0000 + bit * 0x1000, 1))
          << "bit " << bit << " of " << levels << " levels";
    EXPECT_TRUE(translates_to(walk(0xFFF, Access::kRead, levels), 0x7'0000'0000, 1));
  }
}

TEST_P(WalkerRules, AddressBeyondTheWidthFaultsBeforeAnyRead) {
  for (unsigned levels = 3; levels <= 5; ++levels) {
    root_ = tables_.new_table();
    const unsigned width = 12 + 9 * levels;
    const std::uint64_t highest = (1ULL << width) - 0x1000;
    tables_.map(root_, levels, highest, 1, 0x9'0000'0000 | kReadable);
    tables_.map(root_, levels, 0, 1, 0xA'0000'0000 | kReadable);
    EXPECT_TRUE(translates_to(walk(highest, Access::kRead, levels), 0x9'0000'0000, 1));
    for (unsigned bit = width; bit < 64; ++bit) {
      const WalkResponse response = walk(1ULL << bit, Access::kRead, levels);
      EXPECT_TRUE(faults_with(response, kBeyondWidth, 0)) << "bit " << bit << " of " << levels << " levels";
      EXPECT_EQ(response.reads, 0);
    }
  }
}

TEST_P(WalkerRules, TableBeyondTheHostWidthIsAnAccessError) {
  for (const unsigned haw : {39U, 46U, 52U}) {
    config_.host_address_width = haw;
    for (unsigned bit = haw; bit < 64; ++bit) {
      root_ = 1ULL << bit;
      const WalkResponse response = walk(kIova, Access::kWrite);
      EXPECT_TRUE(faults_with(response, kReadError, 0)) << "root bit " << bit << " of HAW " << haw;
      EXPECT_EQ(response.reads, 0);
    }
    root_ = (1ULL << haw) - 0x1000;
    tables_.map(root_, 4, kIova, 1, kPages | kReadable);
    EXPECT_TRUE(translates_to(walk(kIova), kPages, 1)) << "highest root of HAW " << haw;
  }
}

// ---- presence ----------------------------------------------------------------------------------------------------

TEST_P(WalkerRules, EntryWithoutReadAndWriteIsNotPresentWhateverElseItSays) {
  for (unsigned levels = 3; levels <= 5; ++levels) {
    for (unsigned level = 1; level <= levels; ++level) {
      for (const std::uint64_t rest : {std::uint64_t{0}, kExecutable, ~kReadWrite}) {
        SCOPED_TRACE(testing::Message() << levels << " levels, level " << level << " rest " << std::hex << rest);
        root_ = tables_.new_table();
        tables_.map(root_, levels, kIova, level, rest);
        EXPECT_TRUE(faults_with(walk(kIova, Access::kRead, levels), kNoRead, level));
        EXPECT_TRUE(faults_with(walk(kIova, Access::kZeroLengthRead, levels), kNoRead, level));
        EXPECT_TRUE(faults_with(walk(kIova, Access::kWrite, levels), kNoWrite, level));
        EXPECT_TRUE(faults_with(walk(kIova, Access::kAtomic, levels), kNoWrite, level));
        EXPECT_EQ(walk(kIova, Access::kRead, levels).reads, levels - level + 1);
      }
    }
  }
}

// ---- reserved bits -----------------------------------------------------------------------------------------------

/// VT-d 9.8, one line a bit range: is `bit` of a present entry reserved?
bool reserved(unsigned bit, unsigned level, bool leaf, const WalkerConfig& config) {
  if (bit <= 6) return false;  // R W X EMT IPAT
  if (bit == 7) return level >= 4 || (level == 3 && !config.superpage_1g) || (level == 2 && !config.superpage_2m);
  if (bit <= 10) return false;                                                 // A D, ignored
  if (bit == 11) return !leaf || !config.snoop_control;                        // SNP
  if (bit < config.host_address_width) return leaf && bit < kPageBits[level];  // address
  if (bit <= 51) return true;                                                  // beyond the host address width
  if (bit == 62) return !leaf || !config.device_tlb;                           // TM
  return false;                                                                // 61:52 and 63, ignored
}

class WalkerReservedBits : public WalkerRules {
 protected:
  void check_every_bit(unsigned levels, unsigned level, bool leaf) {
    root_ = tables_.new_table();
    const std::uint64_t size_bit = leaf && level > 1 ? kPageSizeBit : 0;
    std::uint64_t at = 0;
    if (leaf) {
      at = tables_.map(root_, levels, kIova, level, kReadWrite | size_bit);
    } else {
      tables_.map(root_, levels, kIova, 1, kPages | kReadWrite);
      at = tables_.entry(root_, levels, kIova, level);
    }
    const std::uint64_t original = memory_.word(at);
    for (unsigned bit = 2; bit < 64; ++bit) {
      if (bit == 7 && level == 1) continue;                            // ignored there; see below
      if (bit == 7 && leaf) continue;                                  // set already
      if (bit == 7 && !reserved(bit, level, leaf, config_)) continue;  // would be a leaf
      const bool pointer = !leaf && bit >= 12 && bit < config_.host_address_width;
      if (pointer) continue;  // leads to another table
      memory_.set_word(at, original | (1ULL << bit));
      SCOPED_TRACE(testing::Message() << levels << " levels, level " << level << (leaf ? " leaf" : "") << " bit "
                                      << bit);
      const WalkResponse response = walk(kIova, Access::kRead, levels);
      if (reserved(bit, level, leaf, config_))
        EXPECT_TRUE(faults_with(response, kReserved, level));
      else
        EXPECT_EQ(static_cast<std::uint8_t>(response.fault), kFine);
    }
  }
};

TEST_P(WalkerReservedBits, EveryBitOfEveryKindOfEntry) {
  for (const unsigned haw : {39U, 46U, 52U}) {
    for (const unsigned features : {0U, 1U, 2U, 3U}) {
      config_ = {.host_address_width = haw, .snoop_control = (features & 1) != 0, .device_tlb = (features & 2) != 0};
      SCOPED_TRACE(testing::Message() << "HAW " << haw << " SC " << config_.snoop_control << " DT "
                                      << config_.device_tlb);
      for (unsigned level = 1; level <= 3; ++level) check_every_bit(5, level, true);
      for (unsigned level = 2; level <= 5; ++level) check_every_bit(5, level, false);
      check_every_bit(3, 3, false);
    }
  }
}

TEST_P(WalkerReservedBits, SuperPagesThatTheProfileLacks) {
  for (const unsigned features : {0U, 1U, 2U, 3U}) {
    config_ = {.superpage_2m = (features & 1) != 0, .superpage_1g = (features & 2) != 0};
    root_ = tables_.new_table();
    tables_.map(root_, 4, kIova, 2, 0x4000'0000 | kReadWrite | kPageSizeBit);
    EXPECT_TRUE(config_.superpage_2m ? translates_to(walk(kIova), 0x4000'0000, 2)
                                     : faults_with(walk(kIova), kReserved, 2));
    root_ = tables_.new_table();
    tables_.map(root_, 4, kIova, 3, 0x4000'0000 | kReadWrite | kPageSizeBit);
    EXPECT_TRUE(config_.superpage_1g ? translates_to(walk(kIova), 0x4000'0000, 3)
                                     : faults_with(walk(kIova), kReserved, 3));
  }
}

TEST_P(WalkerReservedBits, PageSizeAtLevel4And5) {
  root_ = tables_.new_table();
  tables_.map(root_, 5, kIova, 5, kReadWrite | kPageSizeBit);
  EXPECT_TRUE(faults_with(walk(kIova, Access::kRead, 5), kReserved, 5));
  root_ = tables_.new_table();
  tables_.map(root_, 4, kIova, 4, kReadWrite | kPageSizeBit);
  EXPECT_TRUE(faults_with(walk(kIova), kReserved, 4));
}

TEST_P(WalkerReservedBits, PageSizeBitOfALevel1EntryIsIgnored) {
  tables_.map(root_, 4, kIova, 1, kPages | kReadWrite | kPageSizeBit);
  EXPECT_TRUE(translates_to(walk(kIova), kPages, 1));
}

// ---- rights ------------------------------------------------------------------------------------------------------

/// What a request may do with the rights of the whole path (VT-d 3.7.1, 3.7 on zero-length reads).
std::uint8_t outcome(Access access, bool r, bool w, bool zlr) {
  switch (access) {
    case Access::kWrite:
      return w ? kFine : kNoWrite;
    case Access::kAtomic:
      if (!w) return kNoWrite;
      return r ? kFine : kNoRead;
    case Access::kZeroLengthRead:
      return r || (w && zlr) ? kFine : kNoRead;
    default:
      return r ? kFine : kNoRead;
  }
}

TEST_P(WalkerRules, RightsAreTheProductOfThePathAndFailAtTheEntryThatDenies) {
  for (const bool zlr : {true, false}) {
    config_.zero_length_read = zlr;
    for (unsigned level = 1; level <= 4; ++level) {
      for (const std::uint64_t rights : {kReadable, kWritable, kReadWrite}) {
        root_ = tables_.new_table();
        tables_.map(root_, 4, kIova, 1, kPages | kReadWrite);
        tables_.change(tables_.entry(root_, 4, kIova, level), kReadWrite, rights);
        for (const Access access : kAllAccesses) {
          SCOPED_TRACE(testing::Message() << "level " << level << " rights " << rights << " access "
                                          << static_cast<int>(access) << " ZLR " << zlr);
          const WalkResponse response = walk(kIova, access);
          const std::uint8_t expected = outcome(access, (rights & kReadable) != 0, (rights & kWritable) != 0, zlr);
          if (expected != kFine) {
            EXPECT_TRUE(faults_with(response, expected, level));
            EXPECT_FALSE(response.readable);
            EXPECT_FALSE(response.writable);
            continue;
          }
          EXPECT_TRUE(translates_to(response, kPages, 1));
          EXPECT_EQ(response.readable, (rights & kReadable) != 0);
          EXPECT_EQ(response.writable, (rights & kWritable) != 0);
        }
      }
    }
  }
}

TEST_P(WalkerRules, ReadAboveAndWriteBelowLeaveNothing) {
  tables_.map(root_, 4, kIova, 1, kPages | kWritable);
  tables_.change(tables_.entry(root_, 4, kIova, 3), kReadWrite, kReadable);
  EXPECT_TRUE(faults_with(walk(kIova, Access::kRead), kNoRead, 1));
  EXPECT_TRUE(faults_with(walk(kIova, Access::kWrite), kNoWrite, 3));
  EXPECT_TRUE(faults_with(walk(kIova, Access::kZeroLengthRead), kNoRead, 1));
}

TEST_P(WalkerRules, WriteAboveAndReadBelowLeaveNothing) {
  // A zero-length read passes the entry above by its W; R of the leaf alone is not R of the path.
  tables_.map(root_, 4, kIova, 1, kPages | kReadable);
  tables_.change(tables_.entry(root_, 4, kIova, 3), kReadWrite, kWritable);
  EXPECT_TRUE(faults_with(walk(kIova, Access::kZeroLengthRead), kNoRead, 1));
  EXPECT_TRUE(faults_with(walk(kIova, Access::kRead), kNoRead, 3));
  EXPECT_TRUE(faults_with(walk(kIova, Access::kWrite), kNoWrite, 1));
}

TEST_P(WalkerRules, ReservedBitsGoBeforeTheRightsOfTheSameEntry) {
  tables_.map(root_, 4, kIova, 2, 0x4000'1000 | kReadable | kPageSizeBit);
  EXPECT_TRUE(faults_with(walk(kIova, Access::kWrite), kReserved, 2));
}

TEST_P(WalkerRules, AnEntryThatDeniesEndsTheWalkBeforeReservedBitsBelowIt) {
  tables_.map(root_, 4, kIova, 2, 0x4000'1000 | kReadWrite | kPageSizeBit);
  tables_.change(tables_.entry(root_, 4, kIova, 3), kWritable, 0);
  const WalkResponse response = walk(kIova, Access::kWrite);
  EXPECT_TRUE(faults_with(response, kNoWrite, 3));
  EXPECT_EQ(response.reads, 2);
}

// ---- attributes and errors -----------------------------------------------------------------------------------------

TEST_P(WalkerRules, AttributesOfTheLeafAreCarried) {
  config_.device_tlb = true;
  for (const bool snoop : {false, true}) {
    for (const bool transient : {false, true}) {
      root_ = tables_.new_table();
      tables_.map(root_, 4, kIova, 1, kPages | kReadWrite | (snoop ? kSnoopBit : 0) | (transient ? kTransientBit : 0));
      const WalkResponse response = walk(kIova);
      EXPECT_EQ(response.snoop, snoop);
      EXPECT_EQ(response.transient, transient);
    }
  }
}

TEST_P(WalkerRules, ErrorOfAReadEndsTheWalkAtThatLevelWhateverTheData) {
  for (unsigned levels = 3; levels <= 5; ++levels) {
    for (unsigned level = 1; level <= levels; ++level) {
      root_ = tables_.new_table();
      tables_.map(root_, levels, kIova, 1, kPages | kReadWrite);
      memory_.break_word(tables_.entry(root_, levels, kIova, level));
      for (const Access access : kAllAccesses) {
        const WalkResponse response = walk(kIova, access, levels);
        EXPECT_TRUE(faults_with(response, kReadError, level)) << levels << " levels";
        EXPECT_EQ(response.reads, levels - level + 1);
      }
    }
  }
}

TEST_P(WalkerRules, AFaultSaysNothingAboutTheLeaf) {
  tables_.map(root_, 4, kIova, 1, kPages | kReadable | kSnoopBit);
  const WalkResponse response = walk(kIova, Access::kWrite);
  EXPECT_EQ(response, (WalkResponse{.fault = FaultReason::kWritePermission, .level = 1, .reads = 4}));
}

VTD_FOR_EVERY_WALKER(WalkerRules);
VTD_FOR_EVERY_WALKER(WalkerReservedBits);

}  // namespace
}  // namespace vtd::test
