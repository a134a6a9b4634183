// SPDX-License-Identifier: MIT
#include "sim/qemu/mpqemu.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace vtd::qemu {
namespace {

// The layout on the wire: x86-64, little-endian, natural alignment.
enum class Command : std::int32_t {
  kSyncMemory = 0,
  kReturn = 1,
  kConfigWrite = 2,
  kConfigRead = 3,
  kBarWrite = 4,
  kBarRead = 5,
  kSetIrqFd = 6,
  kDeviceReset = 7,
};
constexpr unsigned kMaxSections = 8;

struct Header {
  std::int32_t command;
  std::uint32_t padding;
  std::uint64_t size;
};
struct MemoryPayload {
  std::array<std::uint64_t, kMaxSections> addresses;
  std::array<std::uint64_t, kMaxSections> sizes;
  std::array<std::uint64_t, kMaxSections> offsets;
};
struct ConfigPayload {
  std::uint32_t address;
  std::uint32_t value;
  std::int32_t bytes;
};
struct BarPayload {
  std::uint64_t address;
  std::uint64_t value;
  std::uint32_t bytes;
  std::uint8_t memory;
  std::array<std::uint8_t, 3> padding;
};
struct Reply {
  Header header;
  std::uint64_t value;
};
static_assert(sizeof(Header) == 16 && sizeof(MemoryPayload) == 192 && sizeof(ConfigPayload) == 12 &&
              sizeof(BarPayload) == 24);

constexpr int kPatienceMs = 10'000;  ///< for the rest of a message that has begun

/// Bytes that came with file descriptors. `got` < size: the other side has gone.
std::size_t receive_bytes(int socket, void* to, std::size_t size, std::vector<Descriptor>& files) {
  auto* at = static_cast<std::uint8_t*>(to);
  std::size_t got = 0;
  while (got < size) {
    iovec piece{at + got, size - got};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * kMaxSections)> control{};
    msghdr message{};
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    pollfd p{socket, POLLIN, 0};
    if (poll(&p, 1, kPatienceMs) == 0) return got;
    const ssize_t n = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return got;
    got += static_cast<std::size_t>(n);
    for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
      if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
      const std::size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
      for (std::size_t i = 0; i < count; ++i) {
        int fd = -1;
        std::memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
        files.emplace_back(fd);
      }
    }
  }
  return got;
}

std::vector<RamSection> sections(const MemoryPayload& payload, std::vector<Descriptor> files) {
  std::vector<RamSection> result;
  for (std::size_t i = 0; i < files.size(); ++i)
    result.push_back({payload.addresses[i], payload.sizes[i], payload.offsets[i], std::move(files[i])});
  return result;
}

}  // namespace

void MpqemuTransport::complain(const std::string& what) const {
  throw ProtocolError(fmt::format("QEMU's x-pci-proxy-dev of {}: {}", name_, what));
}

std::optional<Request> MpqemuTransport::receive() {
  Header header{};
  std::vector<Descriptor> files;
  const std::size_t got = receive_bytes(socket_.get(), &header, sizeof header, files);
  if (got == 0) return Request{};
  if (got < sizeof header) complain(fmt::format("the connection ended inside a header, after {} bytes", got));

  const auto payload = [&](auto& into, const char* name) {
    if (header.size != sizeof into)
      complain(fmt::format("{} with {} bytes, expected {}", name, header.size, sizeof into));
    if (receive_bytes(socket_.get(), &into, sizeof into, files) < sizeof into)
      complain(fmt::format("the connection ended inside {}", name));
  };
  const auto config = [&](Request::Kind kind, const char* name) {
    ConfigPayload p{};
    payload(p, name);
    if (p.bytes < 1 || p.bytes > 4) complain(fmt::format("{} of {} bytes", name, p.bytes));
    return Request{.kind = kind, .address = p.address, .value = p.value, .bytes = static_cast<unsigned>(p.bytes)};
  };
  const auto bar = [&](Request::Kind kind, const char* name) {
    BarPayload p{};
    payload(p, name);
    if (p.bytes < 1 || p.bytes > 8) complain(fmt::format("{} of {} bytes", name, p.bytes));
    return Request{.kind = kind, .address = p.address, .value = p.value, .bytes = p.bytes};
  };
  switch (static_cast<Command>(header.command)) {
    case Command::kConfigRead:
      return config(Request::Kind::kConfigRead, "PCI_CFGREAD");
    case Command::kConfigWrite:
      return config(Request::Kind::kConfigWrite, "PCI_CFGWRITE");
    case Command::kBarRead:
      return bar(Request::Kind::kBarRead, "BAR_READ");
    case Command::kBarWrite:
      return bar(Request::Kind::kBarWrite, "BAR_WRITE");
    case Command::kDeviceReset:
      if (header.size != 0) complain(fmt::format("DEVICE_RESET with {} bytes, expected none", header.size));
      return Request{.kind = Request::Kind::kReset};
    case Command::kSyncMemory: {
      MemoryPayload p{};
      payload(p, "SYNC_SYSMEM");
      if (files.size() > kMaxSections) complain(fmt::format("SYNC_SYSMEM with {} files", files.size()));
      return Request{.kind = Request::Kind::kMemory, .ram = sections(p, std::move(files))};
    }
    case Command::kSetIrqFd:  // INTx; our functions have MSI
      if (header.size != 0) complain(fmt::format("SET_IRQFD with {} bytes, expected none", header.size));
      return std::nullopt;
    case Command::kReturn:
      break;
  }
  complain(fmt::format("unknown command {}", header.command));
}

void MpqemuTransport::answer(std::uint64_t value) {
  const Reply reply{{static_cast<std::int32_t>(Command::kReturn), 0, sizeof value}, value};
  // A peer that has gone is noticed by the next receive().
  static_cast<void>(send(socket_.get(), &reply, sizeof reply, MSG_NOSIGNAL));
}

SocketPair make_socket_pair() {
  std::array<int, 2> ends{};
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0)
    throw std::runtime_error(std::string("socketpair: ") + std::strerror(errno));
  return {Descriptor(ends[0]), Descriptor(ends[1])};
}

}  // namespace vtd::qemu
