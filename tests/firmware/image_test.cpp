// SPDX-License-Identifier: MIT
// The images as they are built.
#include <dlfcn.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <iterator>

#include "tests/firmware/fake_platform.h"

namespace vtd::fw::test {
namespace {

using ::testing::Contains;
using enum platform::Command;

std::vector<char> read_file(const std::string& name) {
  std::ifstream in(std::string(VTD_FIRMWARE_DIR) + "/" + name, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

/// A native image, loaded fresh.
class Native {
 public:
  explicit Native(const std::string& name)
      : handle_(dlopen((std::string(VTD_FIRMWARE_DIR) + "/" + name).c_str(), RTLD_NOW | RTLD_LOCAL)) {
    if (handle_ == nullptr) throw std::runtime_error(dlerror());
    entry_ = reinterpret_cast<VtdFirmwareEntry>(dlsym(handle_, kVtdFirmwareEntryName));
  }
  ~Native() { dlclose(handle_); }
  Native(const Native&) = delete;
  Native& operator=(const Native&) = delete;
  void run(FakePlatform& platform) { entry_(&platform.host()); }

 private:
  void* handle_;
  VtdFirmwareEntry entry_ = nullptr;
};

TEST(NativeImage, AnExceptionOfThePlatformLeavesIt) {
  FakePlatform platform;
  Native a("fw_a.so");
  EXPECT_THROW(a.run(platform), Stopped);
  EXPECT_THAT(platform.console(), Contains("vtdsim firmware, image A"));
  EXPECT_THAT(platform.console(), Contains("state: normal"));
}

TEST(NativeImage, NothingButTheHandoverReachesTheNextImage) {
  FakePlatform platform;
  platform.policy = platform::policy::kVerify.of(1);
  platform.add_endpoint(Machine::kD1);
  const std::uint64_t sid = Machine::kD1.value;
  platform.script = {{kPlantGlobal, {0x1234}},
                     {kReadGlobal, {}},
                     {kAddMemory, {1, platform::kGuestBase, 0x4000}},
                     {kCreateDomain, {1, 3}},
                     {kMap, {1, 0x10000, 1, 0, 0x4000, 3, 1}},
                     {kAttach, {sid, 1}},
                     {kClaimOwner, {sid, 7}},
                     {kSessionOpen, {1}},
                     {kPreserveMemory, {1, 1, 1}},
                     {kMarkDomain, {1, 2}},
                     {kPreserveIommufd, {1, 2}},
                     {kPreserveDevice, {1, 3, sid}},
                     {kFreeze, {}},
                     {kShutdown, {}},
                     {kReboot, {}},
                     {kReadGlobal, {}},
                     {kRetrieve, {1, 2}},
                     {kRetrieve, {1, 3}},
                     {kTransferOwner, {sid, 7}},
                     {kReclaimDomain, {2}},
                     {kFinish, {1}}};
  {
    Native a("fw_a.so");
    EXPECT_THROW(a.run(platform), ResetRequested);
    platform.lose_unpreserved_memory();
  }
  {
    Native b("fw_b.so");
    EXPECT_THROW(b.run(platform), Stopped);
  }
  EXPECT_EQ(platform.script[1].results[0], 0x1234U);
  EXPECT_EQ(platform.script[15].results[0], 0U);
  for (const auto& posted : platform.script) {
    if (posted.command == kReboot) continue;  // never answers
    EXPECT_EQ(posted.status, Status::kOk) << static_cast<int>(posted.command);
  }
  EXPECT_THAT(platform.console(), Contains("state: finished"));
  {
    Native a("fw_a.so");  // loaded again: its globals are new
    platform.script.push_back({kReadGlobal, {}});
    EXPECT_THROW(a.run(platform), Stopped);
  }
  EXPECT_EQ(platform.script.back().results[0], 0U);
}

class FlatImage : public ::testing::TestWithParam<std::pair<const char*, PhysAddr>> {};

TEST_P(FlatImage, FitsItsSlotAndStartsInside) {
  const std::vector<char> file = read_file(GetParam().first);
  platform::ImageHeader header{};
  ASSERT_GE(file.size(), sizeof header);
  std::memcpy(&header, file.data(), sizeof header);
  EXPECT_EQ(header.magic, platform::ImageHeader::kMagic);
  EXPECT_EQ(header.load_address, GetParam().second);
  EXPECT_EQ(file.size(), sizeof header + header.size);
  EXPECT_EQ(header.size % 8, 0U);
  EXPECT_GT(header.memory_size, header.size);  // zero-initialised part and stack
  EXPECT_GE(header.entry, header.load_address);
  EXPECT_LT(header.entry, header.load_address + header.size);
  EXPECT_LE(file.size(), platform::kImageStoreStride);
}

INSTANTIATE_TEST_SUITE_P(Both, FlatImage,
                         ::testing::Values(std::pair{"fw_a.img", platform::kSlotABase},
                                           std::pair{"fw_b.img", platform::kSlotBBase}));

TEST(FlatImages, HaveDifferentLayouts) {
  const std::vector<char> a = read_file("fw_a.img");
  const std::vector<char> b = read_file("fw_b.img");
  platform::ImageHeader ha{};
  platform::ImageHeader hb{};
  std::memcpy(&ha, a.data(), sizeof ha);
  std::memcpy(&hb, b.data(), sizeof hb);
  EXPECT_NE(ha.entry - ha.load_address, hb.entry - hb.load_address);
}

}  // namespace
}  // namespace vtd::fw::test
