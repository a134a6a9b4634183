// SPDX-License-Identifier: MIT
// The protocol of QEMU's multi-process devices, spoken by a stand-in of QEMU that knows only bytes.
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <vector>

#include "sim/qemu/guest_ram.h"
#include "sim/qemu/mpqemu.h"

namespace vtd::qemu {
namespace {

using Bytes = std::vector<std::uint8_t>;

template <typename T>
void put(Bytes& bytes, T value) {
  const auto* from = reinterpret_cast<const std::uint8_t*>(&value);
  bytes.insert(bytes.end(), from, from + sizeof value);
}

Bytes message(std::int32_t command, const Bytes& payload) {
  Bytes bytes;
  put(bytes, command);
  put(bytes, std::int32_t{0});
  put(bytes, std::uint64_t{payload.size()});
  bytes.insert(bytes.end(), payload.begin(), payload.end());
  return bytes;
}

Bytes config(std::int32_t command, std::uint32_t address, std::uint32_t value, std::int32_t bytes) {
  Bytes payload;
  put(payload, address);
  put(payload, value);
  put(payload, bytes);
  return message(command, payload);
}

Bytes bar(std::int32_t command, std::uint64_t address, std::uint64_t value, std::uint32_t bytes) {
  Bytes payload;
  put(payload, address);
  put(payload, value);
  put(payload, bytes);
  put(payload, std::uint32_t{1});
  return message(command, payload);
}

class Mpqemu : public ::testing::Test {
 protected:
  void SetUp() override {
    SocketPair pair = make_socket_pair();
    peer_ = std::move(pair.theirs);
    transport_ = std::make_unique<MpqemuTransport>(std::move(pair.ours), "unit");
  }
  void say(const Bytes& bytes) { ASSERT_EQ(send(peer_.get(), bytes.data(), bytes.size(), 0), std::ssize(bytes)); }
  void say_with_files(const Bytes& bytes, const std::vector<int>& files) {
    iovec piece{const_cast<std::uint8_t*>(bytes.data()), bytes.size()};
    std::vector<char> control(CMSG_SPACE(sizeof(int) * files.size()));
    msghdr m{};
    m.msg_iov = &piece;
    m.msg_iovlen = 1;
    m.msg_control = control.data();
    m.msg_controllen = control.size();
    cmsghdr* c = CMSG_FIRSTHDR(&m);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int) * files.size());
    std::memcpy(CMSG_DATA(c), files.data(), sizeof(int) * files.size());
    ASSERT_EQ(sendmsg(peer_.get(), &m, 0), std::ssize(bytes));
  }
  Bytes heard(std::size_t bytes) {
    Bytes got(bytes);
    EXPECT_EQ(recv(peer_.get(), got.data(), bytes, MSG_WAITALL), std::ssize(got));
    return got;
  }
  void expect_complaint(const std::string& part) {
    try {
      static_cast<void>(transport_->receive());
      ADD_FAILURE() << "no complaint";
    } catch (const ProtocolError& e) {
      EXPECT_NE(std::string(e.what()).find(part), std::string::npos) << e.what();
      EXPECT_NE(std::string(e.what()).find("unit"), std::string::npos) << "names the device";
    }
  }

  Descriptor peer_;
  std::unique_ptr<MpqemuTransport> transport_;
};

TEST_F(Mpqemu, ConfigurationAccessesKeepAddressValueAndSize) {
  say(config(3, 0x10, 0, 4));
  auto request = transport_->receive();
  ASSERT_TRUE(request);
  EXPECT_EQ(request->kind, Request::Kind::kConfigRead);
  EXPECT_EQ(request->address, 0x10U);
  EXPECT_EQ(request->bytes, 4U);
  transport_->answer(0x1234'5678);
  Bytes expected = message(1, {0x78, 0x56, 0x34, 0x12, 0, 0, 0, 0});
  EXPECT_EQ(heard(expected.size()), expected);

  say(config(2, 0x04, 6, 2));
  request = transport_->receive();
  ASSERT_TRUE(request);
  EXPECT_EQ(request->kind, Request::Kind::kConfigWrite);
  EXPECT_EQ(request->value, 6U);
  EXPECT_EQ(request->bytes, 2U);
}

TEST_F(Mpqemu, BarAccessesOfEightBytesAreOneRequest) {
  say(bar(4, 0xFEBE'0020, 0x1122'3344'5566'7788, 8));
  auto request = transport_->receive();
  ASSERT_TRUE(request);
  EXPECT_EQ(request->kind, Request::Kind::kBarWrite);
  EXPECT_EQ(request->address, 0xFEBE'0020U);
  EXPECT_EQ(request->value, 0x1122'3344'5566'7788U);
  say(bar(5, 0xFEBE'0008, 0, 8));
  request = transport_->receive();
  ASSERT_TRUE(request);
  EXPECT_EQ(request->kind, Request::Kind::kBarRead);
  EXPECT_EQ(request->bytes, 8U);
}

TEST_F(Mpqemu, GuestRamIsSharedInPlaceAndKeptOverASecondMap) {
  Descriptor file(memfd_create("ram", MFD_CLOEXEC));
  ASSERT_EQ(ftruncate(file.get(), 0x20'0000), 0);
  Bytes payload;
  for (const std::uint64_t v : {0x0, 0x10'0000}) put(payload, v);
  for (int i = 2; i < 8; ++i) put(payload, std::uint64_t{0});
  for (const std::uint64_t v : {0xC'0000, 0x10'0000}) put(payload, v);
  for (int i = 2; i < 8; ++i) put(payload, std::uint64_t{0});
  for (const std::uint64_t v : {0x0, 0x10'0000}) put(payload, v);
  for (int i = 2; i < 8; ++i) put(payload, std::uint64_t{0});
  say_with_files(message(0, payload), {file.get(), file.get()});
  auto request = transport_->receive();
  ASSERT_TRUE(request);
  ASSERT_EQ(request->kind, Request::Kind::kMemory);
  ASSERT_EQ(request->ram.size(), 2U);

  SharedRam ram([](PhysAddr, std::uint32_t) {});
  EXPECT_TRUE(ram.set(request->ram));
  EXPECT_FALSE(ram.set(request->ram)) << "the same again changes nothing";
  const MemoryTag tag;
  const std::uint64_t word = 0xCAFE'F00D'0BAD'BEEF;
  ASSERT_EQ(pwrite(file.get(), &word, sizeof word, 0x18'0008), std::ssize(std::span(&word, 1)) * 8);
  std::array<std::uint8_t, 8> read{};
  ASSERT_TRUE(ram.read(tag, 0x18'0008, read));
  EXPECT_EQ(std::memcmp(read.data(), &word, sizeof word), 0);
  EXPECT_FALSE(ram.read(tag, 0xC'0000, read)) << "a hole";
  EXPECT_FALSE(ram.read(tag, 0xB'FFFC, read)) << "half in a hole";
  EXPECT_FALSE(ram.read(tag, 0x20'0000, read)) << "beyond";
  EXPECT_EQ(ram.exchange(tag, 0x18'0008, word, 1), word);
  EXPECT_EQ(ram.exchange(tag, 0x18'0008, word, 2), 1U);
  EXPECT_EQ(ram.exchange(tag, 0x18'0004, word, 2), std::nullopt) << "not aligned";
  const std::array<std::uint8_t, 4> four{1, 2, 3, 4};
  ASSERT_TRUE(ram.write(tag, 0x1004, four));
  std::array<std::uint8_t, 4> seen{};
  ASSERT_EQ(pread(file.get(), seen.data(), 4, 0x1004), 4);
  EXPECT_EQ(seen, four);
}

TEST_F(Mpqemu, ASectionOutsideItsFileIsRefused) {
  Descriptor file(memfd_create("ram", MFD_CLOEXEC));
  ASSERT_EQ(ftruncate(file.get(), 0x1000), 0);
  std::vector<RamSection> sections;
  sections.push_back({0, 0x2000, 0, std::move(file)});
  SharedRam ram([](PhysAddr, std::uint32_t) {});
  EXPECT_THROW(ram.set(sections), std::runtime_error);
}

TEST_F(Mpqemu, InterruptDescriptorsAndResetsAreUnderstood) {
  Descriptor file(memfd_create("irq", MFD_CLOEXEC));
  say_with_files(message(6, {}), {file.get(), file.get()});
  EXPECT_FALSE(transport_->receive()) << "of no concern";
  say(message(7, {}));
  auto request = transport_->receive();
  ASSERT_TRUE(request);
  EXPECT_EQ(request->kind, Request::Kind::kReset);
}

TEST_F(Mpqemu, WhatTheProtocolDoesNotKnowIsNamed) {
  say(message(9, {}));
  expect_complaint("unknown command 9");
}
TEST_F(Mpqemu, AWrongSizeIsNamed) {
  say(message(3, {1, 2, 3}));
  expect_complaint("PCI_CFGREAD with 3 bytes, expected 12");
}
TEST_F(Mpqemu, AnAccessOfNoWidthIsNamed) {
  say(bar(5, 0, 0, 16));
  expect_complaint("BAR_READ of 16 bytes");
}

TEST_F(Mpqemu, APeerThatLeavesIsNoticedWhereverItLeaves) {
  const Bytes whole = bar(5, 0xFEBE'0000, 0, 8);
  for (std::size_t cut = 0; cut <= whole.size(); ++cut) {
    SetUp();
    say(Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(cut)));
    peer_.close();
    if (cut == 0) {
      auto request = transport_->receive();
      ASSERT_TRUE(request);
      EXPECT_EQ(request->kind, Request::Kind::kClosed);
    } else if (cut < whole.size()) {
      EXPECT_THROW(static_cast<void>(transport_->receive()), ProtocolError) << cut << " bytes";
    } else {
      EXPECT_TRUE(transport_->receive());
      transport_->answer(1);  // nobody hears it, and that is no signal
      EXPECT_EQ(transport_->receive()->kind, Request::Kind::kClosed);
    }
  }
}

}  // namespace
}  // namespace vtd::qemu
