// SPDX-License-Identifier: MIT
// Requests in flight against invalidations of scalable mode: nothing stale is kept. And what looks at the unit from
// outside, debug translations and DMI, against what a request would get. Written from the document with raw numbers.
#include "tests/core/raw_software.h"

namespace vtd::test {
namespace {

constexpr std::uint64_t kIova = 0x4567'8000;
constexpr PhysAddr kOld = 0x8000'0000, kNew = 0xC000'0000;
constexpr PhysAddr kEntries = 0x80'0000;  // of the interrupt remapping table

class InFlightRules : public RawScalable {
 protected:
  /// PASID 0 second-stage at kTable, 1 first-stage, 2 nested on kTable, 3 a second-stage that goes to kNew.
  void world() {
    fresh(full_profile());
    pasid_entry(1, kFirstStage, kDid | kPwsnp, kFirst);
    pasid_entry(2, kNested | kAw4 | kTable, kDid | kPwsnp, 0x8'0000);
    second(0x8'0000, 0x8'0000 | kR | kW);
    second(0x8'1000, 0x8'1000 | kR | kW);
    host->words[0x8'0000] = 0x8'1000 | kP | kRw | kUs;
    host->words[0x8'1008] = 0x4000'0000 | kP | kRw | kUs | 0x80;
    leaves[0] = leaves[2] = second(kIova, kOld | kR | kW)[1];
    leaves[1] = first(kIova, kOld | kP | kRw | kUs)[1];
    map_in(kOtherTable, 4, kIova, kNew | kR | kW, 1, kR | kW);
    queue_on();
    host->words[kEntries + 0x50] = 1 | 0x31 << 16;
    write64(0xB8, kEntries | 7);
    write32(kGcmd, 1U << 31 | 1U << 26 | 1U << 24);
    write32(kGcmd, 1U << 31 | 1U << 26 | 1U << 25);
  }
  DmaRequest of(unsigned pasid, Access access = Access::kRead) { return with_pasid(request(kIova, access), pasid); }
  /// Queues a descriptor and a wait; the task ends when both are done.
  auto invalidate(std::uint64_t low, std::uint64_t high) {
    const std::uint64_t head = read64(kIqh);
    put(kQueue + head, {low, high, 0, 0, 0x25, 0x6'0000, 0, 0});
    unit->write(kIqt, head + 0x40, 8);
    return tasks.spawn([this] { pump(); });
  }
  PhysAddr leaves[3] = {};
};

TEST_F(InFlightRules, NothingReadBeforeAnInvalidationIsCachedAfterIt) {
  struct {
    const char* what;
    PhysAddr read;  // where the request is held; 0: in its walk
    unsigned pasid;
    std::uint64_t low, high;
  } const cases[] = {
      {"context entry, type 1 global", context_at(kDevice), 0, 0x11, 0},
      {"context entry, type 1 device", context_at(kDevice), 0, 0x31 | std::uint64_t{kDevice.value} << 32, 0},
      {"PASID directory, type 7 global", kDirectory, 0, 0x37, 0},
      {"PASID directory, type 7 domain", kDirectory, 0, 0x07 | kDid << 16, 0},
      {"PASID entry, type 7 global", pasid_at(0), 0, 0x37, 0},
      {"PASID entry, type 7 domain", pasid_at(0), 0, 0x07 | kDid << 16, 0},
      {"PASID entry, type 7 PASID", pasid_at(1), 1, 0x17 | kDid << 16 | 1ULL << 32, 0},
      {"second-stage page, type 2 global", 0, 0, 0x12, 0},
      {"second-stage page, type 2 domain", 0, 0, 0x22 | kDid << 16, 0},
      {"second-stage page, type 2 page", 0, 0, 0x32 | kDid << 16, kIova},
      {"first-stage page, type 2 page", 0, 1, 0x32 | kDid << 16, 0x1000},
      {"first-stage page, type 6 PASID", 0, 1, 0x26 | kDid << 16 | 1ULL << 32, 0},
      {"first-stage page, type 6 page", 0, 1, 0x36 | kDid << 16 | 1ULL << 32, kIova},
      {"nested page, type 2 domain", 0, 2, 0x22 | kDid << 16, 0},
      {"nested page, type 2 page", 0, 2, 0x32 | kDid << 16, 0x1000},
      {"nested page, type 6 page", 0, 2, 0x36 | kDid << 16 | 2ULL << 32, kIova},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.what);
    world();
    bool blocked = c.read != 0;
    host->on_read = [&](PhysAddr at) {
      while (blocked && at == c.read) tasks.yield();
    };
    host->walks_blocked = c.read == 0;
    std::optional<Result<Translation>> reached;
    const auto device = tasks.spawn([&] { reached = dma(of(c.pasid)); });
    ASSERT_FALSE(device->done()) << "held with the old entry in its hands";
    if (c.read == 0) host->words[leaves[c.pasid]] ^= kOld ^ kNew;
    if (c.read != 0) host->words[c.read] &= ~1ULL;
    const auto software = invalidate(c.low, c.high);
    tasks.settle();
    blocked = host->walks_blocked = false;
    tasks.settle();
    ASSERT_TRUE(device->done());
    ASSERT_TRUE(software->done());
    const auto later = dma(of(c.pasid));
    if (c.read == 0) {
      ASSERT_TRUE(later.ok());
      EXPECT_EQ(later->address, kNew);
    } else {
      EXPECT_FALSE(later.ok()) << "the entry is gone";
    }
    host->on_read = nullptr;
  }
}

TEST_F(InFlightRules, AWaitDoesNotPassARequestThatMayStillDeliverToTheOldPage) {
  for (const unsigned pasid : {0U, 1U, 2U}) {
    world();
    host->walks_blocked = true;
    std::optional<Result<Translation>> reached;
    const auto device = tasks.spawn([&] { reached = dma(of(pasid)); });
    host->words[leaves[pasid]] ^= kOld ^ kNew;
    const auto software = pasid == 0 ? invalidate(0x32 | kDid << 16, kIova)
                                     : invalidate(0x36 | kDid << 16 | std::uint64_t{pasid} << 32, kIova);
    tasks.settle();
    const bool waited = !host->status_writes.empty();
    host->walks_blocked = false;
    tasks.settle();
    ASSERT_TRUE(reached.has_value() && reached->ok());
    if (waited) {
      EXPECT_EQ((*reached)->address, kNew) << "software may already use the old page for something else";
    }
    EXPECT_EQ(host->status_writes.size(), 1U);
    EXPECT_TRUE(device->done() && software->done());
  }
}

TEST_F(InFlightRules, AnInterruptEntryReadBeforeAnInvalidationIsNotCachedAfterIt) {
  for (const std::uint64_t low : {0x4ULL, 0x14ULL | 5ULL << 32, 0x14ULL | 1 << 27 | 4ULL << 32}) {
    world();
    bool blocked = true;
    host->on_read = [&](PhysAddr at) {
      while (blocked && at == kEntries + 0x50) tasks.yield();
    };
    DmaRequest irq = dma_write(kDevice, 0xFEE0'00B0);
    irq.data = 0;
    const auto device = tasks.spawn([&] { static_cast<void>(dma(irq)); });
    ASSERT_FALSE(device->done());
    host->words[kEntries + 0x50] = 1 | 0x32 << 16;
    const auto software = invalidate(low, 0);
    tasks.settle();
    blocked = false;
    tasks.settle();
    ASSERT_TRUE(device->done() && software->done());
    const auto later = dma(irq);
    ASSERT_TRUE(later.ok() && later->message);
    EXPECT_EQ(later->message->data & 0xFF, 0x32U);
    host->on_read = nullptr;
  }
}

TEST_F(InFlightRules, AnAnswerToARequestFromBeforeAResetMeansNothing) {
  world();
  const std::uint64_t type3 = 3 | std::uint64_t{kDevice.value} << 32;
  put(kQueue, {type3, 0, 0, 0});
  write64(kIqt, 0x20);
  const DeviceTag old = host->device_invalidations.at(0).tag;
  unit->reset(ResetKind::kCold);
  start();
  queue_on();
  put(kQueue, {type3, 0, 0, 0, 0x25, 0x6'0000, 0, 0});
  unit->write(kIqt, 0x40, 8);
  tasks.spawn([this] { pump(); });
  ASSERT_EQ(host->device_invalidations.size(), 2U);
  unit->device_answered(old, DeviceAnswer::kTimeout);
  tasks.settle();
  EXPECT_EQ(read32(kFsts) >> 4 & 7, 0U) << "no ITE for an invalidation that the reset forgot";
  EXPECT_TRUE(host->status_writes.empty()) << "and the new one is not answered by it";
  unit->device_answered(host->device_invalidations[1].tag, DeviceAnswer::kDone);
  tasks.settle();
  EXPECT_EQ(host->status_writes.size(), 1U);
}

// ---- Looking from outside ------------------------------------------------------------------------------------

TEST_F(InFlightRules, DebugTranslationAgreesAndChangesNothing) {
  for (unsigned pasid = 0; pasid < 4; ++pasid) {
    for (const Access access : {Access::kRead, Access::kWrite}) {
      for (const bool broken : {false, true}) {
        world();
        if (broken && pasid < 3) host->words[leaves[pasid]] = 0;
        const auto before = host->words;
        const auto seen = unit->debug_translate(of(pasid, access), [this](PhysAddr at, std::span<std::uint64_t> out) {
          for (std::uint64_t& word : out) word = host->word(at), at += 8;
          return true;
        });
        EXPECT_EQ(host->words, before);
        EXPECT_EQ(pending(), 0U);
        const auto real = dma(of(pasid, access));
        ASSERT_EQ(seen.ok(), real.ok()) << pasid;
        if (real.ok()) {
          EXPECT_EQ(seen->address, real->address);
        } else {
          EXPECT_EQ(seen.fault().reason, real.fault().reason);
        }
      }
    }
  }
}

TEST_F(InFlightRules, NoWriteDmiWhileDIsClear) {
  for (const bool first_stage : {false, true}) {
    world();
    if (first_stage) {
      pasid_entry(0, kFirstStage, kDid | kPwsnp, kFirst);
    } else {
      pasid_entry(0, kSecondStage | kSsade | kAw4 | kTable, kDid | kPwsnp);
    }
    EXPECT_EQ(dma_to(kIova), kOld);
    const auto reads = unit->probe(dma_read(kDevice, kIova));
    if (reads) {
      EXPECT_FALSE(reads->writable) << "writes past the unit would leave D clear";
    }
    const auto writes = unit->probe(dma_write(kDevice, kIova));
    EXPECT_FALSE(writes && writes->writable);
    EXPECT_EQ(address_of(dma_write(kDevice, kIova)), kOld);
    const auto dirty = unit->probe(dma_write(kDevice, kIova));
    ASSERT_TRUE(dirty.has_value());
    EXPECT_TRUE(dirty->writable);
  }
}

TEST_F(InFlightRules, NoDmiBeyondTheRightsOfTheRequest) {
  world();
  pasid_entry(0, kFirstStage, kDid | kPwsnp, kFirst | 1);
  host->words[leaves[1]] &= ~kUs;
  EXPECT_EQ(address_of(with_pasid(request(kIova, Access::kWrite), 0, true)), kOld) << "a supervisor fills the entry";
  EXPECT_FALSE(unit->probe(dma_read(kDevice, kIova)).has_value()) << "a user page it is not";
  EXPECT_FALSE(unit->probe(with_pasid(dma_read(kDevice, kIova), 0, true)).has_value()) << "no DMI with PASID";
  world();
  host->words[leaves[0]] = kOld | kR;
  EXPECT_EQ(dma_to(kIova), kOld);
  EXPECT_FALSE(unit->probe(dma_write(kDevice, kIova)).has_value());
  const auto reads = unit->probe(dma_read(kDevice, kIova));
  ASSERT_TRUE(reads.has_value());
  EXPECT_FALSE(reads->writable);
}

// ---- Tags ------------------------------------------------------------------------------------------------------

TEST_F(InFlightRules, OnePasidOfTwoDevicesIsTwoEntries) {
  world();
  scalable_context(kOther, 0x3'4000 | kPaside);
  host->words[0x3'4000] = 0x7'4001;
  put(0x7'4000 + 64, {kFirstStage | 1, kOtherDid | kPwsnp, kOtherFirst, 0, 0, 0, 0, 0});
  map_in(kOtherFirst, 4, kIova, kNew | kP | kRw | kUs, 1, kP | kRw | kUs);
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(address_of(with_pasid(dma_read(kDevice, kIova), 1)), kOld);
    EXPECT_EQ(address_of(with_pasid(dma_read(kOther, kIova), 1)), kNew);
  }
  host->words[0x7'4000 + 64] = 0;
  EXPECT_EQ(submit(0x17 | kDid << 16 | 1ULL << 32), 0U);
  EXPECT_EQ(address_of(with_pasid(dma_read(kOther, kIova), 1)), kNew) << "of the other domain";
  EXPECT_EQ(submit(0x17 | kOtherDid << 16 | 1ULL << 32), 0U);
  EXPECT_EQ(reason(with_pasid(dma_read(kOther, kIova), 1)), 0x59U);
  EXPECT_EQ(address_of(with_pasid(dma_read(kDevice, kIova), 1)), kOld);
}

}  // namespace
}  // namespace vtd::test
