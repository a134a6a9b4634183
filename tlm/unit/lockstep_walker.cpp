// SPDX-License-Identifier: MIT
#include "tlm/unit/lockstep_walker.h"

#include <fmt/format.h>

namespace vtd {
namespace {

std::string text(const WalkRequest& r) {
  return fmt::format("walk {} (root {:#x}, {} levels, iova {:#x}, access {})", r.id, r.root, r.levels, r.iova,
                     static_cast<unsigned>(r.access));
}

std::string text(const WalkResponse& r) {
  return fmt::format("{} level {} page {:#x} r{} w{} snoop {} transient {} reads {}", info(r.fault).name, r.level,
                     r.page, r.readable, r.writable, r.snoop, r.transient, r.reads);
}

}  // namespace

LockstepWalker::LockstepWalker(std::unique_ptr<Walker> device, const WalkerConfig& config)
    : device_(std::move(device)), config_(config), shadows_(device_->capacity()) {}

void LockstepWalker::reset() {
  device_->reset();
  for (auto& shadow : shadows_) shadow.reset();
}

WalkerOutputs LockstepWalker::cycle(const WalkerInputs& in) {
  const WalkerOutputs out = device_->cycle(in);
  if (out.memory_request && in.memory_ready) check_read(*out.memory_request);
  if (in.memory_response != nullptr)
    shadow(in.memory_response->id, "memory response").consume(in.memory_response->data, in.memory_response->error);
  if (out.response && in.response_ready) check_response(*out.response);
  if (out.request_accepted) shadows_.at(in.request->id).emplace(config_, *in.request);
  return out;
}

PagingWalk& LockstepWalker::shadow(WalkId id, const char* what) {
  if (id >= shadows_.size() || !shadows_[id])
    throw LockstepMismatch(fmt::format("lockstep: {} for walk {}, which is not in flight", what, id));
  return *shadows_[id];
}

void LockstepWalker::check_read(const MemoryRequest& request) {
  const PagingWalk& walk = shadow(request.id, "read");
  const auto required = walk.next_read();
  if (!required)
    throw LockstepMismatch(
        fmt::format("lockstep: {} reads {:#x}, but by the rules it has ended", text(walk.request()), request.address));
  if (*required != request.address)
    throw LockstepMismatch(fmt::format("lockstep: {} reads {:#x}, the rules require {:#x}", text(walk.request()),
                                       request.address, *required));
}

void LockstepWalker::check_response(const WalkResponse& response) {
  const PagingWalk& walk = shadow(response.id, "response");
  if (const auto next = walk.next_read())
    throw LockstepMismatch(fmt::format("lockstep: {} ended with {}, but the rules require a read of {:#x}",
                                       text(walk.request()), text(response), *next));
  if (!(walk.result() == response))
    throw LockstepMismatch(fmt::format("lockstep: {} ended with {}, the rules say {}", text(walk.request()),
                                       text(response), text(walk.result())));
  shadows_[response.id].reset();
  ++compared_;
}

}  // namespace vtd
