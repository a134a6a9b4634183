// SPDX-License-Identifier: MIT
// What the firmware can be told to do otherwise than the latest form of the Linux series does it: what the older forms
// did, and bugs that somebody could write. Each has a name (`--inject firmware.NAME`), and a scenario that ends
// otherwise with it. Findings: liveupdate.md section 2.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "tlm/spec/platform.h"

namespace vtd::platform {

// X(enumerator, name, forms of the series that do so, findings that it takes back, what it does)
#define VTD_DEVIATIONS(X)                                                                                             \
  /* preserve */                                                                                                      \
  X(kSkipPasidCheck, "skip_pasid_check", V1, "F31 F50", "a device is preserved although it uses PASIDs")              \
  X(kFirstPasidPageOnly, "first_pasid_page_only", V1 | V2, "", "only the first page of PASID tables is preserved")    \
  X(kMarkTablesWithUnit, "mark_tables_with_unit", V1 | V2, "F21",                                                     \
    "context tables are preserved with the unit, not with the device")                                                \
  X(kKeepFailedUnit, "keep_failed_unit", V1, "", "a unit whose callback failed counts as preserved")                  \
  X(kKeepDeviceRecord, "keep_device_record", V1, "", "the record of an unpreserved device is not flagged deleted")    \
  X(kKeepEarlierDomains, "keep_earlier_domains", V1, "", "a domain that fails leaves those before it preserved")      \
  X(kChangeAfterPreserve, "change_after_preserve", V1, "F34 F47",                                                     \
    "attach and detach of preserved devices are not refused")                                                         \
  X(kSuspendWhilePreserved, "suspend_while_preserved", V1 | V2, "F24", "suspend is not refused while a unit is held") \
  X(kSkipImmutability, "skip_immutability", 0, "", "mappings of preserved domains can be changed")                    \
  X(kSkipMemoryCheck, "skip_memory_check", 0, "F36", "domains are preserved although they map memory that is not")    \
  X(kSkipDependencyCheck, "skip_dependency_check", 0, "F45",                                                          \
    "a device is preserved without its domain and without an owner")                                                  \
  X(kPreserveAutoDomain, "preserve_auto_domain", 0, "F46",                                                            \
    "a device is preserved although nobody built its domain explicitly")                                              \
  X(kMarkAfterPreserve, "mark_after_preserve", 0, "F28", "domains can be marked after their iommufd was preserved")   \
  X(kMarkUnderLock, "mark_under_lock", 0, "F22", "context tables are preserved under the unit's spinlock")            \
  X(kMutexUnderLock, "mutex_under_lock", 0, "F29", "page tables are locked under the spinlock of the object table")   \
  X(kShortTokens, "short_tokens", 0, "F27", "tokens of domains have 32 bits")                                         \
  /* freeze and shutdown */                                                                                           \
  X(kHotplugWhileFrozen, "hotplug_while_frozen", 0, "F51", "devices can be added while the state is frozen")          \
  X(kSkipCleaning, "skip_cleaning", 0, "F38", "entries of devices that are not preserved stay")                       \
  X(kCleanPciOnly, "clean_pci_only", V1 | V2, "F23", "shutdown cleaning that forgets devices that are not PCI")       \
  X(kCleanOwnIdOnly, "clean_own_id_only", 0, "F23", "shutdown cleaning that forgets aliases")                         \
  X(kCleanDeviceTlb, "clean_device_tlb", V1 | V2, "",                                                                 \
    "shutdown cleaning invalidates by device, device TLBs included, instead of globally")                             \
  X(kLeavePageRequests, "leave_page_requests", V1 | V2, "", "shutdown cleaning leaves PRE of preserved devices set")  \
  X(kWipePasidsLive, "wipe_pasids_live", V1, "F25 F26",                                                               \
    "shutdown wipes other PASIDs, in the first page of the directory, without invalidation")                          \
  X(kSkipCleanInvalidation, "skip_clean_invalidation", 0, "", "shutdown cleaning without its invalidations")          \
  X(kLeaveProtectedMemory, "leave_protected_memory", 0, "", "shutdown leaves protected memory regions on")            \
  X(kSkipQueueDrain, "skip_queue_drain", 0, "", "shutdown leaves a descriptor in the queue")                          \
  X(kSkipHandoverFlush, "skip_handover_flush", 0, "",                                                                 \
    "warm reset without writing the CPU's cache back, for units with ECAP.C=0")                                       \
  /* adopt and restore */                                                                                             \
  X(kAcceptAnyId, "accept_any_id", V1, "F1", "reserved domain ids of the image are not refused")                      \
  X(kFreshId, "fresh_id", V2, "F1", "a refused domain id is replaced by a fresh one")                                 \
  X(kKeepStrangers, "keep_strangers", V1 | V2, "", "entries of devices that are gone stay")                           \
  X(kReserveOnEveryUnit, "reserve_on_every_unit", V1, "F19", "domain ids are reserved on every unit")                 \
  X(kReserveLate, "reserve_late", 0, "", "domain ids are reserved after the first allocation")                        \
  X(kReclaimTwice, "reclaim_twice", V1, "F20", "pages of a unit are taken back each time it appears")                 \
  X(kCheckNoVersion, "check_no_version", V1 | V2, "", "the compatible string is all that is compared")                \
  X(kSkipEntryCheck, "skip_entry_check", 0, "F7 F40", "the live hardware entries are not compared with the image")    \
  X(kSkipBootInvalidation, "skip_boot_invalidation", 0, "", "boot sets the root pointer without the invalidations")   \
  X(kSkipQueueWait, "skip_queue_wait", 0, "", "boot takes the old queue away whether or not it is done")              \
  X(kTranslationGlitch, "translation_glitch", 0, "", "boot writes GCMD without TE once")                              \
  X(kOwnerIsToken, "owner_is_token", V1, "F4", "the token of the iommufd is the owner")                               \
  X(kOwnerOfFirstOnly, "owner_of_first_only", V2, "F4", "a device whose domain is restored already gets no owner")    \
  X(kNoGroupLock, "no_group_lock", 0, "F2", "a restored owner is set without the group lock")                         \
  X(kClaimBlocks, "claim_blocks", 0, "F3", "the owner is set by an ordinary claim, which blocks the device first")    \
  X(kOwnedEarly, "owned_early", 0, "", "devices have owners before they are restored")                                \
  X(kForceOwnerCount, "force_owner_count", 0, "F5", "an owner that is there before the restore is overwritten")       \
  X(kFallBackToDefault, "fall_back_to_default", V1, "", "a device that cannot be restored gets a default domain")     \
  X(kDefaultDomainFirst, "default_domain_first", 0, "F37",                                                            \
    "the default domain is attached at probe, before the restored one")                                               \
  X(kLeakFailedRestore, "leak_failed_restore", V1, "F6 F15", "a domain whose restore fails keeps its tables")         \
  X(kEmptyOtherDirectory, "empty_other_directory", V1 | V2, "",                                                       \
    "another number of PASIDs: an empty directory instead of the preserved one")                                      \
  X(kKeepIncoherentMark, "keep_incoherent_mark", 0, "F12", "restored tables count as snooped whatever the unit says") \
  X(kKeepOperations, "keep_operations", 0, "F16", "restored domains can be mapped, unmapped and attached")            \
  X(kCheckFeatures, "check_features", 0, "F35", "restored domains must have the features that the device asks for")   \
  X(kBindDefaultDriver, "bind_default_driver", 0, "F43", "any driver can claim a restored device")                    \
  /* finish, replace, unmap */                                                                                        \
  X(kCannotRetrieveIommufd, "cannot_retrieve_iommufd", V1 | V2, "", "phase 1: iommufds cannot be retrieved")          \
  X(kThawMemory, "thaw_memory", 0, "F44", "memory files are free again as soon as they are retrieved")                \
  X(kFinishDiscards, "finish_discards", 0, "F42", "finish does not ask whether everything was taken back")            \
  X(kFinishSwitches, "finish_switches", 0, "F41", "finish cuts devices off")                                          \
  X(kForgetTablePages, "forget_table_pages", 0, "F49", "restored tables are not given back to the page allocator")    \
  X(kSkipReplaceInvalidation, "skip_replace_invalidation", 0, "F39", "replace without its invalidations")             \
  X(kEarlyIdReuse, "early_id_reuse", 0, "F39", "replace frees the old domain id without invalidating it")             \
  X(kReplaceByClearing, "replace_by_clearing", 0, "F39", "replace clears the entry before it writes the new one")     \
  X(kReplaceInTwoStores, "replace_in_two_stores", 0, "F39", "replace writes a context entry in two stores")           \
  X(kSplitContextWrite, "split_context_write", 0, "", "a context entry is written word by word, P first")             \
  X(kSplitPasidWrite, "split_pasid_write", 0, "", "a PASID entry is written word by word, P first")                   \
  X(kSkipUnmapInvalidation, "skip_unmap_invalidation", 0, "", "unmap without its invalidations")                      \
  X(kSkipFlush, "skip_flush", 0, "", "tables written without cache maintenance, for units with ECAP.C=0")

enum class Deviation : std::uint8_t {
#define VTD_X(enumerator, ...) enumerator,
  VTD_DEVIATIONS(VTD_X)
#undef VTD_X
      kCount
};
inline constexpr std::size_t kDeviations = static_cast<std::size_t>(Deviation::kCount);
static_assert(kDeviations <= mailbox::kDeviationWords * 64);

struct DeviationInfo {
  std::string_view name;
  unsigned forms;  ///< of the series that do so: bit Series - 1
  std::string_view findings;
  std::string_view what;
};

namespace detail {
inline constexpr unsigned V1 = 1U << (static_cast<unsigned>(Series::kV1) - 1);
inline constexpr unsigned V2 = 1U << (static_cast<unsigned>(Series::kV2) - 1);
inline constexpr std::array<DeviationInfo, kDeviations> kDeviationInfo{{
#define VTD_X(enumerator, name, forms, findings, what) {name, forms, findings, what},
    VTD_DEVIATIONS(VTD_X)
#undef VTD_X
}};
}  // namespace detail

constexpr const DeviationInfo& info(Deviation d) {
  return detail::kDeviationInfo[static_cast<std::size_t>(d)];
}
constexpr std::optional<Deviation> find_deviation(std::string_view name) {
  for (std::size_t i = 0; i < kDeviations; ++i)
    if (detail::kDeviationInfo[i].name == name) return static_cast<Deviation>(i);
  return std::nullopt;
}

/// A set of them, as the mailbox shows it.
using DeviationSet = std::array<std::uint64_t, mailbox::kDeviationWords>;
constexpr DeviationSet with(DeviationSet set, Deviation d, bool on = true) {
  const auto n = static_cast<std::size_t>(d);
  const std::uint64_t mask = bit(n % 64);
  set[n / 64] = on ? set[n / 64] | mask : set[n / 64] & ~mask;
  return set;
}
/// Those of a form of the series.
constexpr DeviationSet deviations_of(Series form) {
  DeviationSet set{};
  for (std::size_t i = 0; form != Series::kLatest && i < kDeviations; ++i)
    if ((detail::kDeviationInfo[i].forms >> (static_cast<unsigned>(form) - 1) & 1) != 0)
      set = with(set, static_cast<Deviation>(i));
  return set;
}

}  // namespace vtd::platform
