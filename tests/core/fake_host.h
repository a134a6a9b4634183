// SPDX-License-Identifier: MIT
// A Host for tests of the core: sparse memory, a walker that runs at once, hooks and gates at every place where
// a unit may be suspended.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "tests/core/tasks.h"
#include "tlm/core/host.h"
#include "tlm/core/paging_walk.h"

namespace vtd::test {

class FakeHost : public Host {
 public:
  FakeHost(WalkerConfig config, Tasks& tasks) : config_(config), tasks_(tasks) {}

  // ---- memory ----
  std::map<PhysAddr, std::uint64_t> words;
  std::set<PhysAddr> broken;  ///< 8-byte words that answer with a bus error
  [[nodiscard]] std::uint64_t word(PhysAddr address) const {
    const auto it = words.find(address);
    return it == words.end() ? 0 : it->second;
  }

  // ---- what happened ----
  std::vector<std::pair<PhysAddr, std::size_t>> reads;  ///< address, words
  std::vector<std::pair<PhysAddr, std::uint32_t>> status_writes;
  std::vector<std::pair<PhysAddr, std::uint32_t>> messages;
  std::vector<WalkRequest> walks;
  std::vector<UpdateRequest> updates;  ///< of A and D, those that failed included
  std::vector<DeviceTlbInvalidation> device_invalidations;
  std::vector<PageResponse> page_responses;
  unsigned revocations = 0;
  bool command_woken = false;
  bool queue_woken = false;

  // ---- suspension points: the hook runs after data was sampled, before the unit sees it ----
  std::function<void(PhysAddr)> on_read;
  std::function<void(const WalkRequest&)> on_walk;
  std::function<void(Step)> on_spend;
  std::function<void()> on_write32;
  std::function<void(PhysAddr)> on_write;
  std::function<void(const UpdateRequest&)> on_update;  ///< before the exchange
  std::function<void()> on_revoke;
  bool walks_blocked = false;  ///< walks of tasks wait until this is false

  bool read(PhysAddr address, std::span<std::uint64_t> out) override {
    reads.emplace_back(address, out.size());
    bool ok = true;
    for (std::size_t i = 0; i < out.size(); ++i) {
      out[i] = word(address + i * sizeof(std::uint64_t));
      ok = ok && !broken.contains(address + i * sizeof(std::uint64_t));
    }
    if (on_read) on_read(address);
    return ok;
  }
  bool write32(PhysAddr address, std::uint32_t data) override {
    if (on_write32) on_write32();
    if (broken.contains(align_down(address, sizeof(std::uint64_t)))) return false;
    status_writes.emplace_back(address, data);
    return true;
  }
  bool write(PhysAddr address, std::span<const std::uint64_t> data) override {
    if (on_write) on_write(address);
    for (std::size_t i = 0; i < data.size(); ++i)
      if (broken.contains(address + i * sizeof(std::uint64_t))) return false;
    for (std::size_t i = 0; i < data.size(); ++i) words[address + i * sizeof(std::uint64_t)] = data[i];
    return true;
  }
  std::optional<std::uint64_t> compare_exchange(PhysAddr address, std::uint64_t expected,
                                                std::uint64_t desired) override {
    if (broken.contains(address)) return std::nullopt;
    const std::uint64_t seen = word(address);
    if (seen == expected) words[address] = desired;
    return seen;
  }
  void invalidate_device(const DeviceTlbInvalidation& invalidation) override {
    device_invalidations.push_back(invalidation);
  }
  void respond(const PageResponse& response) override { page_responses.push_back(response); }
  void message(PhysAddr address, std::uint32_t data) override { messages.emplace_back(address, data); }
  WalkResponse walk(WalkRequest request) override {
    walks.push_back(request);
    PagingWalk walk(config_, request);
    while (!walk.ended()) {
      if (const auto update = walk.next_update()) {
        const bool swapped = exchange(*update);
        walk.updated(swapped, broken.contains(update->address));
        continue;
      }
      walk.consume(word(*walk.next_read()), broken.contains(*walk.next_read()));
    }
    const WalkResponse response = walk.result();
    if (on_walk) on_walk(request);
    while (walks_blocked) tasks_.yield();
    return response;
  }
  void spend(Step step) override {
    if (on_spend) on_spend(step);
  }
  void wait_progress() override { tasks_.yield(); }
  void notify_progress() override {}
  void wake(Engine engine) override { (engine == Engine::kCommand ? command_woken : queue_woken) = true; }
  void revoke_dmi() override {
    ++revocations;
    if (on_revoke) on_revoke();
  }

 private:
  bool exchange(const UpdateRequest& update) {
    updates.push_back(update);
    if (on_update) on_update(update);
    if (word(update.address) != update.expected) return false;
    words[update.address] = update.desired;
    return true;
  }

  WalkerConfig config_;
  Tasks& tasks_;
};

}  // namespace vtd::test
