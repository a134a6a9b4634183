// SPDX-License-Identifier: MIT
#include "firmware/liveupdate/live_update.h"

#include "firmware/hal/console.h"

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

std::uint64_t LiveUpdate::policy() {
  return hal::mmio_read64(platform::kMailboxBase + mailbox::kPolicy);
}

void LiveUpdate::boot() {
  enter(LifecycleState::kBoot);
  iommu_.enumerate();
  const PhysAddr handover = hal::mmio_read64(platform::kResetBase + platform::reset::kHandover);
  const bool have_image = handover != 0;
  if (have_image) {
    enter(LifecycleState::kAdopting);
    const bool checking = platform::policy::kVerify.get(policy()) != 0;
    const PhysAddr tracker = hal::mmio_read64(platform::kResetBase + platform::reset::kTracker);
    incoming_.open(handover, tracker, checking ? Verify::kChecking : Verify::kTrusting);
    incoming_.adopt();
  }
  iommu_.for_each_unit([&](Unit& unit) {
    if (incoming_.adopted(unit)) return;
    const Status s = unit.cold_start(iommu_.allocator());
    hal::print("boot: unit ", Hex{unit.driver().base()}, " root ", Hex{unit.root()}, ": ", s);
    if (!ok(s)) hal::die("unit ", Hex{unit.driver().base()}, ": cannot be started: ", s);
  });
  if (have_image) incoming_.reattach();
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
Status LiveUpdate::preserve_domain(std::uint64_t session, std::uint64_t token, std::uint64_t domain) {
  return change_sessions([&] { return outgoing_.preserve_domain(session, token, domain); });
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
  const bool skip = platform::policy::kSkipCleanInvalidation.get(policy()) != 0;
  const Status s = clean_for_reset(iommu_, skip ? CleanInvalidation::kSkip : CleanInvalidation::kYes);
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
