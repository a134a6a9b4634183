// SPDX-License-Identifier: MIT
// The outgoing side: sessions of files, and the records and preserved pages behind them. Records are written when an
// object is preserved, so that nothing slow is left for the blackout. Every failure undoes the steps before it.
#pragma once

#include "firmware/iommu/iommu.h"
#include "firmware/liveupdate/files.h"
#include "firmware/liveupdate/record_array.h"

namespace vtd::fw {

class Outgoing {
 public:
  static constexpr std::size_t kMaxSessions = 8;
  static constexpr std::size_t kMaxFiles = 128;  ///< of one session

  explicit Outgoing(Iommu& iommu) : iommu_(iommu), pages_(iommu.allocator(), tracker_) {}

  /// kExists; kNoMemory.
  [[nodiscard]] Status open_session(std::uint64_t name);
  /// Unpreserves everything in it, newest first. kNoEntry.
  [[nodiscard]] Status close_session(std::uint64_t name);

  /// kNoEntry: no such session or file; kExists: the token is taken; kBusy: preserved already.
  [[nodiscard]] Status preserve_memory(std::uint64_t session, std::uint64_t token, std::uint64_t memory);
  /// Every marked domain. As above; kNoEntry also when memory that one maps is not preserved in this session.
  [[nodiscard]] Status preserve_iommufd(std::uint64_t session, std::uint64_t token);
  /// kNotSupported: not a PCI device, a nested domain, or attached with other PASIDs; kInvalid: its domain is not
  /// preserved in this session, it has no owner, or a preserved or incoming record.
  [[nodiscard]] Status preserve_device(std::uint64_t session, std::uint64_t token, std::uint64_t sid);
  /// The newest file only, else kInvalid. kNoEntry: no such session or token.
  [[nodiscard]] Status unpreserve(std::uint64_t session, std::uint64_t token);

  /// Calls the freeze callback of every file, oldest first. A failure unfreezes those before it: kFault.
  [[nodiscard]] Status freeze();
  [[nodiscard]] bool empty() const { return root_ == 0; }
  [[nodiscard]] PhysAddr root() const { return root_; }
  [[nodiscard]] const Tracker& tracker() const { return tracker_; }
  [[nodiscard]] std::uint64_t flb_references() const { return iommufds_; }
  /// Writes the last word of the root, just before the reset.
  void seal(std::uint64_t update_counter);

 private:
  struct FileSlot {
    std::uint64_t token = 0;
    FileKind kind = FileKind::kUnknown;
    std::uint64_t label = 0;  ///< memory: its number; device: its requester id
    PhysAddr object = 0;      ///< MemoryFile, Iommufd or VfioDevice record
    PhysAddr record = 0;      ///< File record
  };
  struct SessionSlot {
    std::uint64_t name = 0;
    PhysAddr record = 0;      ///< Session record, 0 while it has no file
    PhysAddr first_page = 0;  ///< of its File array
    std::array<FileSlot, kMaxFiles> files{};
    std::size_t count = 0;
  };

  [[nodiscard]] SessionSlot* session(std::uint64_t name);
  /// Session and token checks, and the structures that the first file needs.
  [[nodiscard]] Status begin_file(std::uint64_t name, std::uint64_t token, SessionSlot*& out);
  [[nodiscard]] Status add_file(SessionSlot& session, FileSlot file);
  void drop_file(const FileSlot& file);
  void end_session_record(SessionSlot& session);
  void release_if_unused();
  [[nodiscard]] Status need_root();
  [[nodiscard]] Status check_domain(const SessionSlot& session, const Domain& domain);
  [[nodiscard]] Status check_device(const SessionSlot& session, const Device* device) const;
  [[nodiscard]] const FileSlot* iommufd_of(const SessionSlot& session) const;

  // ---- records (outgoing_records.cpp) ----
  [[nodiscard]] Status keep(PhysAddr page, std::uint64_t bytes = kPageSize);
  [[nodiscard]] Status get_flb();
  void put_flb();
  [[nodiscard]] PhysAddr write_memory(MemoryFile& file);
  void drop_memory(MemoryFile& file);
  [[nodiscard]] Status write_iommufd(PhysAddr& record);
  void drop_iommufd(PhysAddr record);
  [[nodiscard]] Status write_domain(Domain& domain);
  void drop_domain(Domain& domain);
  [[nodiscard]] Status write_vfio(Device& device, const FileSlot& iommufd, PhysAddr& record);
  void drop_vfio(Device& device, PhysAddr record);
  [[nodiscard]] Status write_device(Device& device);
  void drop_device(Device& device);
  [[nodiscard]] bool maps_only_preserved_memory(const SessionSlot& session, const Domain& domain);
  [[nodiscard]] Status mark_tables(const PageTable& table);
  void unmark_tables(const PageTable& table, std::uint64_t pages);
  [[nodiscard]] Status mark_pasids(const PasidTable& table);
  void unmark_pasids(const PasidTable& table, std::uint64_t pages);
  [[nodiscard]] Status get_unit(Unit& unit);
  void put_unit(Unit& unit);
  [[nodiscard]] Status mark_context_tables(Unit& unit, const Device& device);
  void unmark_context_tables(Unit& unit, const Device& device);

  Iommu& iommu_;
  Tracker tracker_;
  PreservedPages pages_;
  PhysAddr root_ = 0;
  PhysAddr flb_ = 0;        ///< Flb record of the IOMMU state, 0 when there is none
  PhysAddr iommu_top_ = 0;  ///< its data
  unsigned iommufds_ = 0;   ///< files that depend on it
  Pool<SessionSlot, kMaxSessions> sessions_;
};

}  // namespace vtd::fw
