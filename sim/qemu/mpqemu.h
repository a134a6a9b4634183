// SPDX-License-Identifier: MIT
// The protocol of QEMU's multi-process devices, as QEMU 7.2's x-pci-proxy-dev speaks it over a UNIX stream socket.
#pragma once

#include <string>

#include "sim/qemu/transport.h"

namespace vtd::qemu {

class MpqemuTransport final : public Transport {
 public:
  /// `socket`: this side of a connected pair; the other one is inherited by QEMU. `name` is for messages.
  MpqemuTransport(Descriptor socket, std::string name) : socket_(std::move(socket)), name_(std::move(name)) {}

  [[nodiscard]] int descriptor() const override { return socket_.get(); }
  [[nodiscard]] std::optional<Request> receive() override;
  void answer(std::uint64_t value) override;

 private:
  [[noreturn]] void complain(const std::string& what) const;

  Descriptor socket_;
  std::string name_;
};

/// Both ends of a connection: ours, and the one that QEMU inherits.
struct SocketPair {
  Descriptor ours;
  Descriptor theirs;
};
[[nodiscard]] SocketPair make_socket_pair();

}  // namespace vtd::qemu
