// SPDX-License-Identifier: MIT
// The life of one image: NORMAL -> PRESERVED -> FROZEN -> CLEANED -> (reset) -> ADOPTING -> REATTACHED -> FINISHED.
// This class keeps the order; the work is done by Outgoing, clean_for_reset, handoff, Incoming and copy_tables.
#pragma once

#include "firmware/liveupdate/cleaning.h"
#include "firmware/liveupdate/handoff.h"
#include "firmware/liveupdate/incoming.h"
#include "firmware/liveupdate/outgoing.h"

namespace vtd::fw {

class LiveUpdate {
 public:
  LiveUpdate(Iommu& iommu, ImageLetter image) : iommu_(iommu), image_(image), outgoing_(iommu), incoming_(iommu) {}

  /// Finds the hardware; takes over a handover image if there is one, copies the tables of an image that crashed if
  /// policy says so, else starts every unit from scratch. Reports BOOT_STATUS and the lifecycle state; stops for ever
  /// when the image is refused.
  void boot();

  [[nodiscard]] platform::LifecycleState state() const { return state_; }
  /// True while mappings, attachments and sessions may change.
  [[nodiscard]] bool open_for_changes() const;

  [[nodiscard]] Status open_session(std::uint64_t name);
  [[nodiscard]] Status close_session(std::uint64_t name);
  [[nodiscard]] Status preserve_memory(std::uint64_t session, std::uint64_t token, std::uint64_t memory);
  [[nodiscard]] Status preserve_iommufd(std::uint64_t session, std::uint64_t token);
  [[nodiscard]] Status preserve_device(std::uint64_t session, std::uint64_t token, std::uint64_t sid);
  [[nodiscard]] Status unpreserve(std::uint64_t session, std::uint64_t token);

  /// kInvalid when frozen or cleaned already; kBusy while an incoming session is not finished; kFault: a file refused,
  /// and everything is as before.
  [[nodiscard]] Status freeze();
  /// kInvalid unless frozen: after cleaning there is no way back.
  [[nodiscard]] Status unfreeze();
  /// kInvalid unless frozen.
  [[nodiscard]] Status shutdown();
  /// kInvalid unless cleaned; kNoData: no image to start. Does not return when it succeeds.
  [[nodiscard]] Status reboot();
  /// Nothing is shut down or handed over. kNoData: no image to start. Does not return when it succeeds.
  [[nodiscard]] Status crash();
  /// Translation off and on again. kBusy while something is preserved.
  [[nodiscard]] Status suspend();
  /// Hot remove and add of a unit that a live update brought over. kNoEntry; kExists: adopted before, nothing to do.
  [[nodiscard]] Status reprobe(std::uint64_t unit);
  /// kNoEntry; kBusy; kInvalid unless reattached.
  [[nodiscard]] Status finish(std::uint64_t session);

  [[nodiscard]] Incoming& incoming() { return incoming_; }
  [[nodiscard]] const Outgoing& outgoing() const { return outgoing_; }
  [[nodiscard]] std::uint64_t update_counter() const { return incoming_.update_counter(); }
  [[nodiscard]] ImageLetter image() const { return image_; }
  [[nodiscard]] std::uint64_t preserved_pages() const { return tracker().count(); }
  [[nodiscard]] std::uint64_t reclaimed_pages() const { return incoming_.tracker().reclaimed(); }
  /// Top page of the tracker in use, 0 when none.
  [[nodiscard]] PhysAddr tracker_page() const { return tracker().page(); }
  /// References of the unit's handover record, outgoing or incoming.
  [[nodiscard]] std::uint32_t unit_references(unsigned unit);

 private:
  [[nodiscard]] const Tracker& tracker() const { return outgoing_.empty() ? incoming_.tracker() : outgoing_.tracker(); }
  void start_units(bool after_crash);
  void enter(platform::LifecycleState state);
  void follow_outgoing();
  void report_boot(Status status);
  template <typename Action>
  [[nodiscard]] Status change_sessions(Action&& action);

  Iommu& iommu_;
  ImageLetter image_;
  Outgoing outgoing_;
  Incoming incoming_;
  platform::LifecycleState state_ = platform::LifecycleState::kBoot;
  platform::LifecycleState idle_ = platform::LifecycleState::kNormal;  ///< state with nothing preserved
};

}  // namespace vtd::fw
