// SPDX-License-Identifier: MIT
#include "firmware/liveupdate/live_update.h"

#include "firmware/hal/console.h"
#include "firmware/hal/policy.h"
#include "firmware/liveupdate/copy_tables.h"

namespace vtd::fw {
namespace {
using platform::LifecycleState;
namespace mailbox = platform::mailbox;
constexpr std::string_view kStateNames[] = VTD_LIFECYCLE_NAMES;
}  // namespace

void LiveUpdate::enter(LifecycleState state) {
  if (state == state_ && state != LifecycleState::kBoot) return;
  state_ = state;
  hal::print("state: ", kStateNames[static_cast<unsigned>(state)]);
  hal::mmio_write64(platform::kMailboxBase + mailbox::kState, static_cast<std::uint64_t>(state));
}

void LiveUpdate::report_boot(Status status) {
  hal::mmio_write64(platform::kMailboxBase + mailbox::kBootStatus, static_cast<std::uint64_t>(status));
}

/// Units that no image brought over.
void LiveUpdate::start_units(bool after_crash) {
  const TableMode mode = has_policy(platform::policy::kScalable) ? TableMode::kScalable : TableMode::kLegacy;
  iommu_.for_each_unit([&](Unit& unit) {
    if (incoming_.adopted(unit)) return;
    const Hex base{unit.driver().base()};
    if (after_crash && unit.driver().translating()) {
      const Status s = copy_tables(iommu_, unit, mode);
      hal::print("kdump: unit ", base, ": ", s);
      if (ok(s)) return;  // else the old DMA can only be stopped
    }
    const Status s = unit.cold_start(mode, iommu_.allocator());
    hal::print("boot: unit ", base, " root ", Hex{unit.root()}, ": ", s);
    if (!ok(s)) hal::die("unit ", base, ": cannot be started: ", s);
  });
}

void LiveUpdate::boot() {
  enter(LifecycleState::kBoot);
  plan_failure();
  iommu_.enumerate();
  const PhysAddr handover = hal::mmio_read64(platform::kResetBase + platform::reset::kHandover);
  const bool have_image = handover != 0;
  const bool after_crash = !have_image && has_policy(platform::policy::kCrashKernel);
  if (after_crash) iommu_.allocator().only_crash_region();
  if (have_image && deviates(Deviation::kKeepIncoherentMark)) hal::assume(hal::Coherency::kSnooped);
  if (have_image) {
    enter(LifecycleState::kAdopting);
    // The older forms of the series had no checks to choose.
    const bool checking = has_policy(platform::policy::kVerify) && series() == platform::Series::kLatest;
    const PhysAddr tracker = hal::mmio_read64(platform::kResetBase + platform::reset::kTracker);
    incoming_.open(handover, tracker, checking ? Verify::kChecking : Verify::kTrusting);
    incoming_.adopt();
  }
  start_units(after_crash);
  if (have_image) {
    enter(LifecycleState::kRestoring);
    incoming_.reattach();
  }
  report_boot(Status::kOk);
  idle_ = have_image && !incoming_.unfinished() ? LifecycleState::kFinished : LifecycleState::kNormal;
  enter(incoming_.unfinished() ? LifecycleState::kReattached : idle_);
}

bool LiveUpdate::open_for_changes() const {
  return state_ == LifecycleState::kNormal || state_ == LifecycleState::kPreserved ||
         state_ == LifecycleState::kReattached || state_ == LifecycleState::kFinished;
}

void LiveUpdate::follow_outgoing() {
  if (!outgoing_.empty())
    enter(LifecycleState::kPreserved);
  else
    enter(incoming_.unfinished() ? LifecycleState::kReattached : idle_);
}

template <typename Action>
Status LiveUpdate::change_sessions(Action&& action) {
  if (!open_for_changes()) return Status::kBusy;
  const Status s = action();
  follow_outgoing();
  return s;
}

Status LiveUpdate::open_session(std::uint64_t name) {
  return change_sessions([&] { return outgoing_.open_session(name); });
}
Status LiveUpdate::close_session(std::uint64_t name) {
  return change_sessions([&] { return outgoing_.close_session(name); });
}
Status LiveUpdate::preserve_memory(std::uint64_t session, std::uint64_t token, std::uint64_t memory) {
  return change_sessions([&] { return outgoing_.preserve_memory(session, token, memory); });
}
Status LiveUpdate::preserve_iommufd(std::uint64_t session, std::uint64_t token) {
  return change_sessions([&] { return outgoing_.preserve_iommufd(session, token); });
}
Status LiveUpdate::preserve_device(std::uint64_t session, std::uint64_t token, std::uint64_t sid) {
  return change_sessions([&] { return outgoing_.preserve_device(session, token, sid); });
}
Status LiveUpdate::unpreserve(std::uint64_t session, std::uint64_t token) {
  return change_sessions([&] { return outgoing_.unpreserve(session, token); });
}

Status LiveUpdate::freeze() {
  if (!open_for_changes()) return Status::kInvalid;
  if (incoming_.unfinished()) return Status::kBusy;
  if (const Status s = outgoing_.freeze(); !ok(s)) return s;
  outgoing_.seal(incoming_.update_counter() + 1);
  enter(LifecycleState::kFrozen);
  return Status::kOk;
}

Status LiveUpdate::unfreeze() {
  if (state_ != LifecycleState::kFrozen) return Status::kInvalid;
  follow_outgoing();
  return Status::kOk;
}

Status LiveUpdate::shutdown() {
  if (state_ != LifecycleState::kFrozen) return Status::kInvalid;
  const Status s = clean_for_reset(iommu_);
  enter(LifecycleState::kCleaned);  // also after an error: entries are gone, only the reset is left
  return s;
}

Status LiveUpdate::reboot() {
  if (state_ != LifecycleState::kCleaned) return Status::kInvalid;
  if (const Status s = place_image(other(image_)); !ok(s)) return s;
  enter(LifecycleState::kBlackout);
  warm_reset(outgoing_.root(), outgoing_.tracker().page());
  return Status::kFault;  // the reset controller did not take the command
}

Status LiveUpdate::crash() {
  if (const Status s = place_image(other(image_)); !ok(s)) return s;
  enter(LifecycleState::kBlackout);
  crash_reset();
  return Status::kFault;  // the reset controller did not take the command
}

Status LiveUpdate::suspend() {
  if (!outgoing_.empty() && !deviates(Deviation::kSuspendWhilePreserved)) return Status::kBusy;
  Status result = Status::kOk;
  iommu_.for_each_unit([&](Unit& unit) {
    if (ok(result)) result = unit.suspend();
  });
  return result;
}

Status LiveUpdate::reprobe(std::uint64_t unit) {
  if (unit >= platform::kMaxUnits || !iommu_.unit(static_cast<unsigned>(unit)).present()) return Status::kNoEntry;
  return incoming_.adopt_again(iommu_.unit(static_cast<unsigned>(unit)));
}

Status LiveUpdate::finish(std::uint64_t session) {
  if (!open_for_changes()) return Status::kInvalid;
  const Status s = incoming_.finish(session);
  if (!ok(s)) return s;
  if (!incoming_.unfinished()) idle_ = LifecycleState::kFinished;
  follow_outgoing();
  return s;
}

std::uint32_t LiveUpdate::unit_references(unsigned index) {
  if (index >= platform::kMaxUnits || !iommu_.unit(index).present()) return 0;
  const Unit& unit = iommu_.unit(index);
  if (unit.record != 0) return hal::load<abi::Unit>(unit.record).header.refcount;
  return incoming_.unit_references(unit);
}

}  // namespace vtd::fw
