// SPDX-License-Identifier: MIT
// One walker of each kind with tables around it: what the conformance tests stand on.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "tests/support/fake_memory.h"
#include "tests/support/table_builder.h"
#include "tests/walker/walker_bench.h"

namespace vtd::test {

class WalkerConformance : public testing::TestWithParam<WalkerUnderTest> {
 protected:
  /// Walks `iova` alone, with a fresh walker of `config_`.
  WalkResponse walk(std::uint64_t iova, Access access = Access::kRead, unsigned levels = 4) {
    const auto walker = make_walker(GetParam(), config_);
    return WalkerBench(*walker, memory_).run(request(iova, access, levels));
  }
  [[nodiscard]] WalkRequest request(std::uint64_t iova, Access access = Access::kRead, unsigned levels = 4) const {
    return {.id = 0, .root = root_, .levels = static_cast<std::uint8_t>(levels), .iova = iova, .access = access};
  }
  /// `count` walks of different 4 KiB pages, mapped; page k at kPages + k * 4 KiB.
  std::vector<WalkRequest> mapped_walks(unsigned count, unsigned levels = 4) {
    std::vector<WalkRequest> requests;
    for (std::uint64_t k = 0; k < count; ++k) {
      tables_.map(root_, levels, kIova + k * 0x1000, 1, (kPages + k * 0x1000) | kReadWrite);
      requests.push_back(request(kIova + k * 0x1000, Access::kRead, levels));
    }
    return requests;
  }
  static std::uint64_t page_of(const Walked& walked) { return kPages + (walked.request.iova - kIova); }

  static constexpr std::uint64_t kIova = 0x12'3456'7000;  ///< all indices are different; fits 3 levels
  static constexpr std::uint64_t kPages = 0x2'0000'0000;

  /// Without caches and sharing every walker reads the same at the same edges.
  WalkerConfig config_{.structure_caches = false, .sharing = false};
  FakeMemory memory_;
  TableBuilder tables_{memory_};
  std::uint64_t root_ = tables_.new_table();
};

inline testing::AssertionResult faults_with(const WalkResponse& response, std::uint8_t reason, unsigned level) {
  if (static_cast<std::uint8_t>(response.fault) == reason && response.level == level)
    return testing::AssertionSuccess();
  return testing::AssertionFailure() << "reason " << unsigned{static_cast<std::uint8_t>(response.fault)} << " at level "
                                     << unsigned{response.level} << ", expected reason " << unsigned{reason}
                                     << " at level " << level;
}

inline testing::AssertionResult translates_to(const WalkResponse& response, std::uint64_t page, unsigned level) {
  if (response.fault == FaultReason::kNone && response.page == page && response.level == level)
    return testing::AssertionSuccess();
  return testing::AssertionFailure() << "reason " << unsigned{static_cast<std::uint8_t>(response.fault)} << " level "
                                     << unsigned{response.level} << " page 0x" << std::hex << response.page
                                     << ", expected page 0x" << page << " at level " << std::dec << level;
}

#define VTD_FOR_EVERY_WALKER(suite)                                                                             \
  INSTANTIATE_TEST_SUITE_P(                                                                                     \
      , suite, testing::Values(WalkerUnderTest::kReference, WalkerUnderTest::kRtl, WalkerUnderTest::kLockstep), \
      [](const auto& info) { return name_of(info.param); })

}  // namespace vtd::test
