// SPDX-License-Identifier: MIT
#include "tlm/soc/isolation_monitor.h"

#include <algorithm>
#include <array>

#include "tlm/soc/reset_controller.h"
#include "tlm/spec/field.h"
#include "tlm/spec/platform.h"

namespace vtd::soc {
namespace {

constexpr std::array<HazardInfo, static_cast<std::size_t>(Hazard::kCount)> kHazards{{
    {Hazard::kMisdirected, "misdirected", "a granted address reached another page than the intended one",
     "a paging entry of a preserved table points at another page"},
    {Hazard::kAccessAfterRevoke, "access-after-revoke",
     "a right was used after the invalidation that ends it completed",
     "shutdown cleaning or unmap without its invalidations"},
    {Hazard::kRevokeWithoutInvalidation, "revoke-without-invalidation",
     "a right was ended, yet no invalidation was completed since that began: caches may still hold it",
     "shutdown cleaning, detach or unmap without its invalidations, devices being quiet"},
    {Hazard::kWriteToReadOnly, "write-to-read-only", "a write reached a page that was granted for reading only",
     "W set in the paging entry of a read-only mapping"},
    {Hazard::kReadOfWriteOnly, "read-of-write-only", "a read reached a page that was granted for writing only",
     "R set in the paging entry of a write-only mapping"},
    {Hazard::kRecycledPage, "recycled-page", "DMA reached memory that a reset had given to others",
     "guest memory left out of the preserved set"},
    {Hazard::kFirmwareMemory, "firmware-memory", "DMA reached memory of the firmware",
     "a paging entry that points into the heap"},
    {Hazard::kCanary, "canary", "DMA reached the canary page: a poisoned entry was followed",
     "a table page left out of the preserved set, plausible poison"},
    {Hazard::kUnowned, "unowned", "DMA reached memory that was never granted to the device",
     "a mapping that the story does not know"},
    {Hazard::kLostAccess, "lost-access", "a granted access was refused",
     "a paging entry cleared under a granted mapping"},
    {Hazard::kTranslationDropped, "translation-dropped", "translation was switched off during a live update",
     "GCMD written without TE"},
    {Hazard::kRootChanged, "root-changed", "the root pointer changed during a live update",
     "RTADDR written with another root"},
    {Hazard::kProtectedMemoryOn, "protected-memory-on",
     "protected memory regions were on when a live update came to its reset: hardware may block DMA into them",
     "a shutdown that leaves PMEN set"},
}};

bool contains(std::uint64_t base, std::uint64_t size, std::uint64_t at, std::uint64_t length) {
  return at >= base && at - base < size && length <= size - (at - base);
}

bool in(PhysAddr address, std::uint64_t base, std::uint64_t size) {
  return address >= base && address - base < size;
}

}  // namespace

const HazardInfo& info(Hazard hazard) {
  return kHazards.at(static_cast<std::size_t>(hazard));
}

void IsolationMonitor::grant(Requester source, Iova iova, PhysAddr address, std::uint64_t size, Rights rights) {
  begin_grant(source, iova, address, size, rights);
  end_grant(source);
}

void IsolationMonitor::end_grant(Requester source) {
  change(source, 0, kEverything, State::kGranting, State::kGranted);
}

void IsolationMonitor::cancel_grant(Requester source) {
  std::erase_if(grants_, [&](const Grant& g) { return g.source == source && g.state == State::kGranting; });
}

void IsolationMonitor::cancel_revoke(Requester source, Iova iova, std::uint64_t size) {
  change(source, iova, size, State::kRevoking, State::kGranted);
}

void IsolationMonitor::begin_grant(Requester source, Iova iova, PhysAddr address, std::uint64_t size, Rights rights) {
  grants_.push_back({source, iova, address, size, rights, State::kGranting});
  recycled_.remove(address, size);
}

void IsolationMonitor::begin_revoke(Requester source, Iova iova, std::uint64_t size) {
  change(source, iova, size, State::kGranted, State::kRevoking);
}

void IsolationMonitor::end_revoke(Requester source, Iova iova, std::uint64_t size) {
  change(source, iova, size, State::kRevoking, State::kRevoked);
}

void IsolationMonitor::not_invalidated(Requester source) {
  report(Hazard::kRevokeWithoutInvalidation, source, 0, 0, 0);
}

/// Cuts grants at the range's ends and moves what lies inside to the new state.
void IsolationMonitor::change(Requester source, Iova iova, std::uint64_t size, State from, State to) {
  const Iova last = size == kEverything ? kEverything : iova + (size - 1);
  std::vector<Grant> parts;
  for (Grant& g : grants_) {
    const Iova g_last = g.iova + (g.size - 1);
    if (g.source != source || g.state != from || g_last < iova || g.iova > last) continue;
    const auto part = [&](Iova first, Iova end) {
      return Grant{g.source, first, g.address + (first - g.iova), end - first + 1, g.rights, g.state};
    };
    if (g.iova < iova) parts.push_back(part(g.iova, iova - 1));
    if (g_last > last) parts.push_back(part(last + 1, g_last));
    Grant middle = part(std::max(g.iova, iova), std::min(g_last, last));
    middle.state = to;
    g = middle;
  }
  grants_.insert(grants_.end(), parts.begin(), parts.end());
}

void IsolationMonitor::recycle(PhysAddr address, std::uint64_t size) {
  recycled_.add(address, size);
}

void IsolationMonitor::hold_translation(std::size_t unit, bool hold) {
  units_[unit].hold = hold;
}

void IsolationMonitor::delivered(Requester source, Iova iova, PhysAddr address, std::uint64_t length, Access access,
                                 bool translated) {
  ++checked_;
  if (recycled_.contains(address)) return report(Hazard::kRecycledPage, source, iova, address, length);
  const Grant* right = nullptr;
  const Grant* ended = nullptr;
  for (const Grant& g : grants_) {
    const bool reaches = translated ? contains(g.address, g.size, address, length)
                                    : contains(g.iova, g.size, iova, length) && address == g.address + (iova - g.iova);
    if (g.source == source && reaches) (g.state == State::kRevoked ? ended : right) = &g;
  }
  if (right == nullptr && translated && ended != nullptr)
    return report(Hazard::kAccessAfterRevoke, source, iova, address, length);
  if (right == nullptr) return report(blame(source, iova, address, length), source, iova, address, length);
  if (writes(access) && !right->rights.write) return report(Hazard::kWriteToReadOnly, source, iova, address, length);
  if (!writes(access) && !right->rights.read) return report(Hazard::kReadOfWriteOnly, source, iova, address, length);
}

Hazard IsolationMonitor::blame(Requester source, Iova iova, PhysAddr address, std::uint64_t length) const {
  if (in(address, kCanaryPage, kPageSize)) return Hazard::kCanary;
  bool live = false;
  for (const Grant& g : grants_) {
    if (g.source != source || !contains(g.iova, g.size, iova, length)) continue;
    if (g.state == State::kRevoked && address == g.address + (iova - g.iova)) return Hazard::kAccessAfterRevoke;
    live = live || g.state != State::kRevoked;
  }
  if (in(address, 0, platform::kGuestBase)) return Hazard::kFirmwareMemory;
  return live ? Hazard::kMisdirected : Hazard::kUnowned;
}

void IsolationMonitor::refused(Requester source, Iova iova, std::uint64_t length, Access access) {
  for (const Grant& g : grants_) {
    const bool allowed = writes(access) ? g.rights.write : g.rights.read;
    if (g.source == source && g.state == State::kGranted && allowed && contains(g.iova, g.size, iova, length))
      return report(Hazard::kLostAccess, source, iova, 0, length);
  }
}

void IsolationMonitor::translation(std::size_t unit, bool enabled) {
  UnitState& state = units_[unit];
  if (state.translating && !enabled) {
    ++drops_;
    if (state.hold) report(Hazard::kTranslationDropped, {}, 0, 0, 0);
  }
  state.translating = enabled;
}

void IsolationMonitor::root_pointer(std::size_t unit, std::uint64_t value) {
  UnitState& state = units_[unit];
  if (state.translating && state.root != 0 && value != state.root) {
    ++root_changes_;
    if (state.hold) report(Hazard::kRootChanged, {}, 0, value, 0);
  }
  state.root = value;
}

void IsolationMonitor::protected_memory(std::size_t unit, bool enabled) {
  units_[unit].protecting = enabled;
}

void IsolationMonitor::warm_reset() {
  for (const auto& [unit, state] : units_)
    if (state.hold && state.protecting) report(Hazard::kProtectedMemoryOn, {}, 0, 0, 0);
}

void IsolationMonitor::power_off() {
  grants_.clear();
  recycled_.clear();
  units_.clear();
}

void IsolationMonitor::report(Hazard hazard, Requester source, Iova iova, PhysAddr address, std::uint64_t length) {
  violations_.push_back({hazard, sc_core::sc_time_stamp(), source.source, iova, address, length});
}

}  // namespace vtd::soc
