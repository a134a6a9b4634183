// SPDX-License-Identifier: MIT
// The outgoing side: sessions of files, and the records and preserved pages behind them. Records are written when an
// object is preserved, so that nothing slow is left for the blackout. Every failure undoes the steps before it.
#pragma once

#include "firmware/iommu/iommu.h"
#include "firmware/liveupdate/record_array.h"

namespace vtd::fw {

class Outgoing {
 public:
  static constexpr std::size_t kMaxSessions = 8;
  static constexpr std::size_t kMaxFiles = 32;  ///< of one session

  explicit Outgoing(Iommu& iommu) : iommu_(iommu), pages_(iommu.allocator(), tracker_) {}

  /// kExists; kNoMemory.
  [[nodiscard]] Status open_session(std::uint64_t name);
  /// Unpreserves everything in it, newest first. kNoEntry.
  [[nodiscard]] Status close_session(std::uint64_t name);

  /// kNoEntry: no such session or file; kExists: the token is taken; kBusy: preserved already.
  [[nodiscard]] Status preserve_memory(std::uint64_t session, std::uint64_t token, std::uint64_t memory);
  /// As above; kNoEntry also when memory it maps is not preserved in this session; kInvalid: a restored domain.
  [[nodiscard]] Status preserve_domain(std::uint64_t session, std::uint64_t token, std::uint64_t domain);
  /// kInvalid: its domain is not preserved in this session, no owner, or it has a preserved or incoming record.
  [[nodiscard]] Status preserve_device(std::uint64_t session, std::uint64_t token, std::uint64_t sid);
  /// The newest file only, else kInvalid. kNoEntry: no such session or token.
  [[nodiscard]] Status unpreserve(std::uint64_t session, std::uint64_t token);

  [[nodiscard]] bool empty() const { return root_ == 0; }
  [[nodiscard]] PhysAddr root() const { return root_; }
  [[nodiscard]] const Tracker& tracker() const { return tracker_; }
  /// Writes the last word of the root, just before the reset.
  void seal(std::uint64_t update_counter);

 private:
  struct FileSlot {
    std::uint64_t token = 0;
    abi::FileKind kind = abi::FileKind::kInvalid;
    std::uint64_t label = 0;
    PhysAddr object = 0;  ///< MemoryFile, Domain or Device record
    PhysAddr record = 0;  ///< File record
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
  [[nodiscard]] Status add_file(SessionSlot& session, const FileSlot& file);
  void drop_file(const FileSlot& file);
  void end_session_record(SessionSlot& session);
  void release_if_unused();

  [[nodiscard]] Status need_root();
  [[nodiscard]] Status need_iommu();
  void release_iommu_if_unused();

  [[nodiscard]] PhysAddr write_memory(MemoryFile& file);
  [[nodiscard]] PhysAddr write_domain(Domain& domain);
  [[nodiscard]] PhysAddr write_device(Device& device);
  void drop_memory(MemoryFile& file);
  void drop_domain(Domain& domain);
  void drop_device(Device& device);
  [[nodiscard]] bool maps_only_preserved_memory(const SessionSlot& session, const Domain& domain);
  [[nodiscard]] bool mark_tables(const PageTable& table);
  void unmark_tables(const PageTable& table, std::uint64_t pages);
  [[nodiscard]] Status get_unit(Unit& unit);
  void put_unit(Unit& unit);
  [[nodiscard]] Status mark_context_table(Unit& unit, std::uint8_t bus);
  void unmark_context_table(Unit& unit, std::uint8_t bus);

  Iommu& iommu_;
  Tracker tracker_;
  PreservedPages pages_;
  PhysAddr root_ = 0;
  PhysAddr iommu_top_ = 0;
  unsigned iommu_files_ = 0;  ///< domains and devices preserved
  Pool<SessionSlot, kMaxSessions> sessions_;
};

}  // namespace vtd::fw
