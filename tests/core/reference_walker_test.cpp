// SPDX-License-Identifier: MIT
// The C++ walker edge by edge, with first-stage walks that update A and D. (Its legacy walks are held against the RTL
// in tests/walker.)
#include "tlm/core/reference_walker.h"

#include <gtest/gtest.h>

#include <map>
#include <stdexcept>

#include "tlm/spec/paging.h"

namespace vtd {
namespace {

constexpr PhysAddr kRoot = 0x1000;
constexpr PhysAddr kPage = 0x80'0000;

struct ReferenceWalkerTest : ::testing::Test {
  ReferenceWalkerTest() {
    for (PhysAddr table = kRoot; table < 4 * kPageSize; table += kPageSize) memory[table] = (table + kPageSize) | 7;
    memory[4 * kPageSize] = kPage | 7;
  }
  WalkRequest request(WalkId id, Access access) {
    WalkRequest r;
    r.id = id;
    r.kind = WalkKind::kFirstStage;
    r.first_root = kRoot;
    r.access = access;
    return r;
  }
  /// Runs until the walk is answered; reads and updates are answered `latency` edges later.
  WalkResponse run(const WalkRequest& r, unsigned latency) {
    const WalkRequest* offered = &r;
    std::multimap<unsigned, MemoryResponse> reads;
    std::multimap<unsigned, UpdateResponse> exchanges;
    for (unsigned edge = 0; edge < 1000; ++edge) {
      WalkerInputs in;
      in.request = offered;
      const auto read = reads.find(edge);
      if (read != reads.end()) in.memory_response = &read->second;
      const auto exchange = exchanges.find(edge);
      if (exchange != exchanges.end()) in.update_response = &exchange->second;
      const WalkerOutputs out = walker.cycle(in);
      if (out.request_accepted) offered = nullptr;
      if (out.memory_request)
        reads.emplace(edge + 1 + latency,
                      MemoryResponse{out.memory_request->id, memory[out.memory_request->address], false});
      if (out.update_request) exchanges.emplace(edge + 1 + latency, perform(*out.update_request));
      if (out.response) return *out.response;
    }
    ADD_FAILURE() << "the walk never ended";
    return {};
  }
  UpdateResponse perform(const UpdateRequest& update) {
    updates.push_back(update);
    if (spoil != 0) {  // somebody else changes the entry first
      memory[update.address] ^= spoil;
      spoil = 0;
    }
    const bool same = memory[update.address] == update.expected;
    if (same) memory[update.address] = update.desired;
    return {update.id, same, broken};
  }
  std::map<PhysAddr, std::uint64_t> memory;
  std::vector<UpdateRequest> updates;
  std::uint64_t spoil = 0;
  bool broken = false;
  ReferenceWalker walker{WalkerConfig{}, 4};
};

TEST_F(ReferenceWalkerTest, ReadsFourLevelsAndSetsAccessedThenDirty) {
  for (const unsigned latency : {0U, 5U}) {
    const WalkResponse read = run(request(2, Access::kRead), latency);
    EXPECT_EQ(read.fault, FaultReason::kNone);
    EXPECT_EQ(read.id, 2U);
    EXPECT_EQ(read.page, kPage);
    EXPECT_EQ(read.reads, 4U);
    EXPECT_EQ(read.clean, latency == 0);
    EXPECT_TRUE(walker.idle());
    const WalkResponse write = run(request(1, Access::kWrite), latency);
    EXPECT_FALSE(write.clean);
  }
  ASSERT_EQ(updates.size(), 5U) << "A in four entries, then D";
  EXPECT_EQ(updates[3].desired, kPage | 7 | fs::kA.mask());
  EXPECT_EQ(updates[4].desired, kPage | 7 | fs::kA.mask() | fs::kD.mask());
}

TEST_F(ReferenceWalkerTest, EntryThatChangedMeanwhileIsReadAgain) {
  spoil = fs::kPWT.mask();
  const WalkResponse response = run(request(0, Access::kRead), 1);
  EXPECT_EQ(response.fault, FaultReason::kNone);
  EXPECT_EQ(response.reads, 5U);
  EXPECT_EQ(memory[kRoot], (kRoot + kPageSize) | 7 | fs::kPWT.mask() | fs::kA.mask());
}

TEST_F(ReferenceWalkerTest, FailedUpdateEndsTheWalk) {
  broken = true;
  EXPECT_EQ(run(request(0, Access::kRead), 1).fault, FaultReason::kFsAdAccess);
}

TEST_F(ReferenceWalkerTest, UpdatesWaitForTheirPortAndStayTheSame) {
  WalkRequest r = request(3, Access::kRead);
  WalkerInputs in;
  in.request = &r;
  walker.cycle(in);
  in.request = nullptr;
  const auto read = walker.cycle(in).memory_request;
  ASSERT_TRUE(read);
  EXPECT_TRUE(walker.quiescent());
  const MemoryResponse entry{3, memory[read->address], false};
  in.memory_response = &entry;
  walker.cycle(in);
  in.memory_response = nullptr;
  in.update_ready = false;
  EXPECT_FALSE(walker.quiescent());
  const auto first = walker.cycle(in).update_request;
  const auto second = walker.cycle(in).update_request;
  ASSERT_TRUE(first && second);
  EXPECT_EQ(*first, *second);
  in.update_ready = true;
  EXPECT_EQ(*walker.cycle(in).update_request, *first);
  EXPECT_TRUE(walker.quiescent());
  walker.reset();
  EXPECT_TRUE(walker.idle());
}

TEST_F(ReferenceWalkerTest, BrokenContractsAreThrown) {
  EXPECT_THROW(ReferenceWalker(WalkerConfig{}, 0), std::invalid_argument);
  EXPECT_THROW(ReferenceWalker(WalkerConfig{}, 65), std::invalid_argument);
  const MemoryResponse stray{1, 0, false};
  WalkerInputs in;
  in.memory_response = &stray;
  EXPECT_THROW(walker.cycle(in), std::logic_error);
  const WalkRequest r = request(1, Access::kRead);
  WalkerInputs twice;
  twice.request = &r;
  walker.cycle(twice);
  EXPECT_THROW(walker.cycle(twice), std::logic_error);
}

}  // namespace
}  // namespace vtd
