// SPDX-License-Identifier: MIT
// A handover image with one thing wrong: refused with record, field, value and expectation, unit untouched.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/firmware/fake_platform.h"

namespace vtd::fw::test {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;
using enum platform::Command;
using platform::LifecycleState;

class ImageCheckTest : public ::testing::Test {
 protected:
  Machine m_;

  void SetUp() override {
    m_.boot(ImageLetter::kA);
    m_.set_up_device();
    ASSERT_EQ(m_.status(kAddMemory, {2, platform::kGuestBase + 0x100000, 0x4000}), Status::kOk);
    ASSERT_EQ(m_.status(kCreateDomain, {2, 4}), Status::kOk);
    ASSERT_EQ(m_.status(kMap, {2, 0x10000, 2, 0, 0x4000, 3, 1}), Status::kOk);
    ASSERT_EQ(m_.status(kAttach, {Machine::kD2.value, 2}), Status::kOk);
    ASSERT_EQ(m_.status(kClaimOwner, {Machine::kD2.value, 0x78}), Status::kOk);
    ASSERT_EQ(m_.status(kSessionOpen, {1}), Status::kOk);
    ASSERT_EQ(m_.status(kPreserveMemory, {1, 1, 1}), Status::kOk);
    ASSERT_EQ(m_.status(kPreserveMemory, {1, 11, 2}), Status::kOk);
    ASSERT_EQ(m_.status(kMarkDomain, {1, 20}), Status::kOk);
    ASSERT_EQ(m_.preserve_domain(1, 12, 2), Status::kOk);
    ASSERT_EQ(m_.status(kPreserveDevice, {1, 3, Machine::kD1.value}), Status::kOk);
    ASSERT_EQ(m_.status(kPreserveDevice, {1, 13, Machine::kD2.value}), Status::kOk);
    m_.go_down();
  }

  void trusting() { m_.platform.policy = 0; }

  /// Image B stops with this line, in state kFatal, and has written no unit register.
  void expect_refused(const std::string& line) {
    const unsigned writes = m_.platform.unit_writes();
    const std::uint64_t status = m_.platform.units[0].registers[info(RegId::kGSTS).offset];
    ASSERT_FALSE(m_.start_next());
    EXPECT_THAT(m_.platform.last_line(), StartsWith("FATAL " + line));
    EXPECT_THAT(m_.platform.last_line(), HasSubstr("expected"));
    EXPECT_EQ(m_.platform.unit_writes(), writes);
    EXPECT_EQ(m_.platform.units[0].registers[info(RegId::kGSTS).offset], status);
    EXPECT_EQ(m_.platform.mailbox[platform::mailbox::kState / 8], static_cast<std::uint64_t>(LifecycleState::kFatal));
    EXPECT_EQ(m_.platform.mailbox[platform::mailbox::kBootStatus / 8], static_cast<std::uint64_t>(Status::kFatal));
  }
};

TEST_F(ImageCheckTest, GoodImageIsAccepted) {
  EXPECT_TRUE(m_.start_next()) << m_.platform.last_line();
  EXPECT_EQ(m_.ask(platform::Query::kDeviceDid, Machine::kD2.value), 3U);
}

TEST_F(ImageCheckTest, GoodImageIsAcceptedOnTrust) {
  trusting();
  EXPECT_TRUE(m_.start_next()) << m_.platform.last_line();
}

TEST_F(ImageCheckTest, AccessedAndDirtyBitsAreLegal) {
  const PhysAddr top = m_.get_field("domain", 0, "top_table");
  m_.platform.write64(top, m_.platform.read64(top) | ss::kA.mask() | ss::kD.mask());
  EXPECT_TRUE(m_.start_next()) << m_.platform.last_line();
}

/// One field set to a wrong value, and the line that names it.
struct BadField {
  const char* name;
  const char* record;
  std::uint64_t index;
  const char* field;
  std::uint64_t value;
  const char* line;
};
void PrintTo(const BadField& f, std::ostream* os) {
  *os << f.name;
}

class BadFieldTest : public ImageCheckTest, public ::testing::WithParamInterface<BadField> {};

TEST_P(BadFieldTest, IsNamed) {
  const BadField& f = GetParam();
  m_.set_field(f.record, f.index, f.field, f.value);
  expect_refused(f.line);
}

constexpr std::uint64_t kLost = platform::kHeapBase + platform::kHeapSize - kPageSize;  // a page nobody preserved

INSTANTIATE_TEST_SUITE_P(
    Fields, BadFieldTest,
    ::testing::Values(
        BadField{"root_magic", "root", 0, "magic", 5, "luo image: root.magic = 0x5: unknown"},
        BadField{"root_version", "root", 0, "version", 2, "luo image: root.version = 2: unknown, expected 1"},
        BadField{"flb_data", "flb", 0, "data", kLost, "luo image: flb[0].data = 0x3fff000: not preserved"},
        BadField{"flb_count", "flb", 0, "count", 2, "luo image: flb[0].count = 2: wrong"},
        BadField{"iommufd_count", "iommufd", 0, "count", 3, "luo image: iommufd[0].count = 3: wrong, expected 2"},
        BadField{"hwpt_token", "hwpt", 1, "token", 20, "luo image: hwpt[1].token = 20: same as hwpt[0]"},
        BadField{"hwpt_domain", "hwpt", 0, "domain", 0, "luo image: hwpt[0].domain = 0x0: no such record"},
        BadField{"hwpt_reclaimed", "hwpt", 0, "reclaimed", 1, "luo image: hwpt[0].reclaimed = 0x1"},
        BadField{"hwpt_label", "hwpt", 1, "label", 1, "luo image: hwpt[1].label = 1: same as hwpt[0]"},
        BadField{"vfio_bdf", "vfio", 0, "bdf", 0x110, "luo image: vfio[0].bdf = 0x110: not that of its device"},
        BadField{"vfio_iommufd", "vfio", 0, "iommufd", 1, "luo image: vfio[0].iommufd = 1: no such file"},
        BadField{"vfio_device", "vfio", 0, "device", 0, "luo image: vfio[0].device = 0x0: no such record"},
        BadField{"vfio_reset", "vfio", 0, "reset_works", 2, "luo image: vfio[0].reset_works = 2"},
        BadField{"memory_label", "memory", 1, "label", 1, "luo image: memory[1].label = 1: same as memory[0]"},
        BadField{"file_token", "file", 1, "token", 1, "luo image: file[1].token = 1: same as file[0]"},
        BadField{"root_sessions", "root", 0, "sessions", 0, "luo image: root.sessions = 0x0: missing"},
        BadField{"iommu_version", "iommu", 0, "version", 2, "iommu image: iommu.version = 2: unknown, expected 1"},
        BadField{"devices_lost", "iommu", 0, "devices", kLost, "iommu image: iommu.devices = 0x3fff000: not preserved"},
        BadField{"devices_unaligned", "iommu", 0, "devices", 0x2000008,
                 "iommu image: iommu.devices = 0x2000008: not page"},
        BadField{"devices_outside", "iommu", 0, "devices", 0x1'0000'0000,
                 "iommu image: iommu.devices = 0x100000000: outside"},
        BadField{"unit_flags", "unit", 0, "flags", 2, "iommu image: unit[0].flags = 2: unknown or stale"},
        BadField{"unit_refcount", "unit", 0, "refcount", 0, "iommu image: unit[0].refcount = 0"},
        BadField{"unit_type", "unit", 0, "type", 2, "iommu image: unit[0].type = 2: unknown"},
        BadField{"unit_token", "unit", 0, "token", 0xFED91000, "iommu image: unit[0].token = 0xfed91000: no such unit"},
        BadField{"unit_base", "unit", 0, "register_base", 0x1000, "iommu image: unit[0].register_base = 0x1000"},
        BadField{"unit_restored", "unit", 0, "restored", 1, "iommu image: unit[0].restored = 0x1"},
        BadField{"unit_root", "unit", 0, "root_table", kLost,
                 "iommu image: unit[0].root_table = 0x3fff000: not what RTADDR"},
        BadField{"domain_flags", "domain", 1, "flags", 4, "iommu image: domain[1].flags = 4"},
        BadField{"domain_top", "domain", 1, "top_table", kLost,
                 "iommu image: domain[1].top_table = 0x3fff000: not what"},
        BadField{"domain_level", "domain", 0, "top_level", 3, "iommu image: domain[0].top_level = 3: not what"},
        BadField{"domain_width", "domain", 0, "address_width", 39, "iommu image: domain[0].address_width = 39"},
        BadField{"domain_sign", "domain", 0, "sign_extend", 1, "iommu image: domain[0].sign_extend = 1"},
        BadField{"domain_pointer", "domain", 0, "restored_domain", 8, "iommu image: domain[0].restored_domain = 0x8"},
        BadField{"did_zero", "device", 0, "attachment_id", 0,
                 "iommu image: device[0].attachment_id = 0: reserved, expected 2 <= did < 65536"},
        BadField{"did_one", "device", 0, "attachment_id", 1,
                 "iommu image: device[0].attachment_id = 1: reserved, expected 2 <= did < 65536"},
        BadField{"did_limit", "device", 1, "attachment_id", 65536,
                 "iommu image: device[1].attachment_id = 65536: out of range, expected 2 <= did < 65536"},
        BadField{"did_ones", "device", 0, "attachment_id", 0xFFFF'FFFF,
                 "iommu image: device[0].attachment_id = 4294967295: out of range"},
        BadField{"did_hardware", "device", 0, "attachment_id", 9,
                 "iommu image: device[0].attachment_id = 9: not what the context entry has, expected 2"},
        BadField{"did_duplicate", "device", 1, "attachment_id", 2,
                 "iommu image: device[1].attachment_id = 2: also the id of another domain, device[0]"},
        BadField{"device_id", "device", 0, "devid", 0x0308, "iommu image: device[0].devid = 0x308: not on the bus"},
        BadField{"device_twice", "device", 1, "devid", 0x0108,
                 "iommu image: device[1].devid = 0x108: same as device[0]"},
        BadField{"device_segment", "device", 0, "pci_segment", 1, "iommu image: device[0].pci_segment = 1"},
        BadField{"device_domain", "device", 0, "domain", 0, "iommu image: device[0].domain = 0x0: no such record"},
        BadField{"device_unit", "device", 0, "unit", 0, "iommu image: device[0].unit = 0x0: no such record"},
        BadField{"device_pasid", "device", 0, "pasid_dir", 0x2000000, "iommu image: device[0].pasid_dir"},
        BadField{"device_incoming", "device", 0, "flags", 2, "iommu image: device[0].flags = 2"},
        BadField{"session_files", "session", 0, "files", kLost, "luo image: session[0].files = 0x3fff000"},
        BadField{"file_kind", "file", 0, "compatible", 9, "luo image: file[0].compatible = 0x1: no handler"},
        BadField{"file_data", "file", 1, "data", 0x2000000, "luo image: file[1].data = 0x2000000: no such record"},
        BadField{"memory_base", "memory", 0, "base", 0x2000000, "luo image: memory[0].base = 0x2000000"},
        BadField{"memory_size", "memory", 0, "size", 0x5000'0000, "luo image: memory[0].size = 0x50000000"},
        BadField{"memory_shifted", "memory", 0, "base", platform::kGuestBase + kPageSize, "luo image: memory[0].base"}),
    [](const auto& info) { return std::string(info.param.name); });

TEST_F(ImageCheckTest, LinkToADeletedRecordIsRefused) {
  m_.set_field("domain", 0, "flags", 1);
  expect_refused("luo image: hwpt[0].domain");
}

TEST_F(ImageCheckTest, LostRecordPage) {
  const PhysAddr page = align_down(m_.field("device", 0, "devid"), kPageSize);
  m_.drop_from_tracker(page);
  expect_refused("iommu image: iommu.devices");
}

TEST_F(ImageCheckTest, LostTablePage) {
  const PhysAddr top = m_.get_field("domain", 0, "top_table");
  const PhysAddr next = ss::kADDR.in_place(m_.platform.read64(top));
  m_.drop_from_tracker(next);
  char line[80];
  std::snprintf(line, sizeof line, "iommu image: domain[0].table_page = 0x%llx: not preserved",
                static_cast<unsigned long long>(next));
  expect_refused(line);
}

TEST_F(ImageCheckTest, LostContextTable) {
  const PhysAddr root = m_.get_field("unit", 0, "root_table");
  m_.drop_from_tracker(ContextMap(root, TableMode::kLegacy).table(2));
  expect_refused("iommu image: unit[0].context_table = ");
}

TEST_F(ImageCheckTest, LostRootTable) {
  m_.drop_from_tracker(m_.get_field("unit", 0, "root_table"));
  expect_refused("iommu image: unit[0].root_table = ");
}

TEST_F(ImageCheckTest, LostGuestPage) {
  m_.drop_from_tracker(platform::kGuestBase + 3 * kPageSize);
  expect_refused("luo image: memory[0].base");
}

TEST_F(ImageCheckTest, LeafIntoForeignMemory) {
  const PageTable table(m_.get_field("domain", 0, "top_table"), 4, Stage::kSecond);
  PhysAddr at = table.top();
  for (unsigned level = 4; level > 1; --level)
    at = ss::kADDR.in_place(m_.platform.read64(entry_address(at, 0x10000, level)));
  m_.platform.write64(entry_address(at, 0x12000, 1), (platform::kGuestBase + 0x800000) | 3);
  expect_refused("iommu image: domain[0].leaf = 0x4800000: mapped at 0x12000");
}

TEST_F(ImageCheckTest, CountBeyondThePage) {
  const PhysAddr page = align_down(m_.field("device", 0, "devid"), kPageSize);
  m_.platform.write64(page + offsetof(abi::ArrayPage, count), abi::kCapacity<abi::Device> + 1);
  expect_refused("iommu image: iommu.devices = ");
}

TEST_F(ImageCheckTest, CycleInTheChain) {
  const PhysAddr page = align_down(m_.field("device", 0, "devid"), kPageSize);
  m_.platform.write64(page + offsetof(abi::ArrayPage, next), page);
  expect_refused("iommu image: iommu.devices = ");
}

TEST_F(ImageCheckTest, UnmarkedContextTable) {
  const PhysAddr at = m_.field("unit", 0, "refcount") + offsetof(abi::Unit, context_tables);
  m_.platform.write64(at, 0);
  expect_refused("iommu image: unit[0].context_tables = 2: not marked");
}

TEST_F(ImageCheckTest, EntryWithoutARecord) {
  const ContextMap map(m_.get_field("unit", 0, "root_table"), TableMode::kLegacy);
  m_.platform.write64(map.entry_at(make_source_id(1, 9, 0)), 1);
  expect_refused("iommu image: unit[0].context_table = 01:09.0: present entry without a device record");
}

TEST_F(ImageCheckTest, EntryGone) {
  const ContextMap map(m_.get_field("unit", 0, "root_table"), TableMode::kLegacy);
  m_.platform.write64(map.entry_at(Machine::kD1), 0);
  expect_refused("iommu image: device[0].devid = 0x108: the context entry of 01:01.0 is not present");
}

TEST_F(ImageCheckTest, OtherTableMode) {
  m_.platform.units[0].registers[info(RegId::kRTADDR).offset] |= rtaddr::kTTM.of(1);
  expect_refused("iommu image: unit[0].root_table");
}

TEST_F(ImageCheckTest, TranslationOff) {
  m_.platform.units[0].registers[info(RegId::kGSTS).offset] &= ~gsts::kTES.mask();
  expect_refused("iommu image: unit[0].root_table");
}

TEST_F(ImageCheckTest, TrackerWithoutItself) {
  const PhysAddr tracker = m_.platform.reset_registers[platform::reset::kTracker / 8];
  const PhysAddr word = m_.tracker_word(tracker, tracker);
  m_.platform.write64(word, m_.platform.read64(word) & ~bit(platform::tracker::bit_of(tracker)));
  expect_refused("luo image: reset.tracker = ");
}

TEST_F(ImageCheckTest, CompatibleString) {
  m_.platform.write64(m_.field("iommu", 0, "version") - sizeof(abi::CompatibleString), 0x3176'2D75'6D6D'6F69);
  expect_refused("iommu image: iommu.compatible = iommu-v1veupdate: unknown, expected iommu-liveupdate");
}

// ---- trusting: what is fatal under every policy ---------------------------------------------------------------

TEST_F(ImageCheckTest, TrustingStillRefusesVersion) {
  trusting();
  m_.set_field("iommu", 0, "version", 2);
  expect_refused("iommu image: iommu.version = 2");
}

TEST_F(ImageCheckTest, TrustingStillRefusesReservedIds) {
  trusting();
  m_.set_field("device", 1, "attachment_id", 1);
  expect_refused("iommu image: device[1].attachment_id = 1: reserved, expected 2 <= did < 65536");
}

TEST_F(ImageCheckTest, TrustingStillRefusesIdsOutOfRange) {
  trusting();
  m_.set_field("device", 1, "attachment_id", 0x1'0000'0002);
  expect_refused("iommu image: device[1].attachment_id = 4294967298: out of range");
}

TEST_F(ImageCheckTest, TrustingStillRefusesAStrangersId) {
  trusting();
  m_.set_field("device", 1, "attachment_id", 2);
  expect_refused("iommu image: device[1].attachment_id = 2: cannot be reserved: EEXIST");
}

TEST_F(ImageCheckTest, TrustingStillNeedsEveryTablePage) {
  trusting();
  const PhysAddr top = m_.get_field("domain", 0, "top_table");
  m_.drop_from_tracker(ss::kADDR.in_place(m_.platform.read64(top)));
  EXPECT_FALSE(m_.start_next());
  EXPECT_THAT(m_.platform.last_line(), StartsWith("FATAL iommu image: domain[0].table_page = "));
  EXPECT_THAT(m_.platform.last_line(), HasSubstr("cannot be reclaimed"));
}

TEST_F(ImageCheckTest, TrustingEndsAtACycle) {
  trusting();
  const PhysAddr page = align_down(m_.field("device", 0, "devid"), kPageSize);
  m_.platform.write64(page + offsetof(abi::ArrayPage, next), page);
  expect_refused("iommu image: iommu.devices = ");
}

TEST_F(ImageCheckTest, TrustingFollowsNoAddressOutsideMemory) {
  trusting();
  m_.set_field("iommu", 0, "devices", 0x7'0000'0000);
  expect_refused("iommu image: iommu.devices = 0x700000000: cannot be reclaimed");
}

TEST_F(ImageCheckTest, TrustingFollowsNoTableOutsideMemory) {
  trusting();
  m_.set_field("domain", 1, "top_table", 0x7'0000'0000);
  EXPECT_FALSE(m_.start_next());
  EXPECT_THAT(m_.platform.last_line(), StartsWith("FATAL iommu image: domain[1].table_page = 0x700000000"));
}

TEST_F(ImageCheckTest, TrustingTakesAWrongIdOnTrust) {
  trusting();
  m_.set_field("device", 0, "attachment_id", 9);  // what checking refuses: software and hardware now disagree
  EXPECT_TRUE(m_.start_next()) << m_.platform.last_line();
  EXPECT_EQ(m_.ask(platform::Query::kDeviceDid, Machine::kD1.value), 9U);
}

}  // namespace
}  // namespace vtd::fw::test
