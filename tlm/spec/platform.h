// SPDX-License-Identifier: MIT
// The simulated platform around the unit: memory map, platform registers, mailbox protocol. Shared by
// tlm/soc, firmware and sim. Facts of this project, not of VT-d.
#pragma once

#include <cstdint>

#include "tlm/spec/field.h"
#include "tlm/spec/types.h"

namespace vtd::platform {

// ---- DRAM ------------------------------------------------------------------------------------------
inline constexpr std::uint64_t kDramBase = 0;
inline constexpr std::uint64_t kDramSize = 0x0800'0000;  ///< without another choice: 128 MiB
inline constexpr std::uint64_t kDramMax = 0xC000'0000;   ///< 3 GiB; reset::kMemorySize has the size
/// Two scratch slots (KHO): each image is linked into its own and is placed there by the other one.
inline constexpr std::uint64_t kSlotABase = 0x0010'0000;
inline constexpr std::uint64_t kSlotASize = 0x00F0'0000;
inline constexpr std::uint64_t kSlotBBase = 0x0100'0000;
inline constexpr std::uint64_t kSlotBSize = 0x0100'0000;
/// General memory: tables, records, queues.
inline constexpr std::uint64_t kHeapBase = 0x0200'0000;
inline constexpr std::uint64_t kHeapSize = 0x0200'0000;
/// The end of it is kept for an image that starts after a crash, when nothing else may be overwritten.
inline constexpr std::uint64_t kCrashBase = 0x03C0'0000;
inline constexpr std::uint64_t kCrashSize = 0x0040'0000;
/// Memory files (the "memfd" of a guest), from here to the end of DRAM. Scenarios place them; firmware never allocates
/// here.
inline constexpr std::uint64_t kGuestBase = 0x0400'0000;

// ---- MMIO ------------------------------------------------------------------------------------------
inline constexpr std::uint64_t kMailboxBase = 0xF000'0000;
inline constexpr std::uint64_t kResetBase = 0xF000'1000;
inline constexpr std::uint64_t kUartBase = 0xF000'2000;
inline constexpr std::uint64_t kTimerBase = 0xF000'3000;
inline constexpr std::uint64_t kCacheBase = 0xF000'4000;
inline constexpr std::uint64_t kEndpointBase = 0xF001'0000;  ///< endpoint n at kEndpointBase + n * kEndpointStride
inline constexpr std::uint64_t kEndpointStride = 0x1000;
inline constexpr unsigned kMaxEndpoints = 96;
inline constexpr std::uint64_t kImageStoreBase = 0xF100'0000;    ///< read-only copies of images A and B
inline constexpr std::uint64_t kImageStoreStride = 0x0010'0000;  ///< image A at +0, image B at +1 stride
inline constexpr std::uint64_t kUnitBase = 0xFED9'0000;          ///< unit n at kUnitBase + n * kUnitStride
inline constexpr std::uint64_t kUnitStride = 0x1000;
inline constexpr unsigned kMaxUnits = 2;
inline constexpr std::uint64_t kDeviceWindowSize = 0x1000;  ///< bytes each block above decodes

// ---- cache maintenance: writes lines of the CPU's cache back ------------------------------------------
// Needed where a unit does not snoop (ECAP.C=0). All registers 64-bit.
namespace cache {
inline constexpr std::uint64_t kAddress = 0x00;    // RW: first byte
inline constexpr std::uint64_t kWriteBack = 0x08;  // WO: bytes from kAddress on; 0: everything. Done when written
}  // namespace cache

// ---- mailbox: commands from the scenario to the firmware ---------------------------------------------
// All registers 64-bit. WAIT read: suspends the CPU until a command is posted, returns its sequence number.
// Firmware then reads CMD and ARG, acts, writes RESULT 0..3 and STATUS, last DONE = sequence number.
// A command during which the firmware is reset (kReboot) completes when the next image writes
// STATE = kReady or kFatal; its status is the value of BOOT_STATUS then.
namespace mailbox {
inline constexpr std::uint64_t kWait = 0x00;     // RO
inline constexpr std::uint64_t kCommand = 0x08;  // RO
inline constexpr std::uint64_t kArg = 0x10;      // RO, 8 registers
inline constexpr unsigned kArgs = 8;
inline constexpr std::uint64_t kStatus = 0x50;  // RW: Status of the command
inline constexpr std::uint64_t kResult = 0x58;  // RW, 4 registers
inline constexpr unsigned kResults = 4;
inline constexpr std::uint64_t kDone = 0x80;        // WO
inline constexpr std::uint64_t kState = 0x88;       // RW: LifecycleState, for waves and for the runner
inline constexpr std::uint64_t kBootStatus = 0x90;  // RW: Status of adopt and reattach at boot
inline constexpr std::uint64_t kPolicy = 0x98;      // RO: Policy bits, set by the scenario
inline constexpr std::uint64_t kFail = 0xA0;        // RO: which call of the firmware fails
inline constexpr std::uint64_t kDeviations = 0xA8;  // RO, 2 registers: DeviationSet
inline constexpr unsigned kDeviationWords = 2;
inline constexpr std::uint64_t kSize = 0xB8;
// of kFail
inline constexpr Field kFailPlace{"PLACE", 7, 0};  ///< FailPlace
inline constexpr Field kFailTurn{"TURN", 63, 8};   ///< at its n-th turn from now, 1 is the next
}  // namespace mailbox

/// Policy bits: the kernel command line, so to say. Firmware reads them where it needs them, so a story may change them
/// for the next image.
namespace policy {
inline constexpr Field kVerify{"verify", 0, 0};             ///< 1 checking, 0 trusting
inline constexpr Field kContain{"contain", 1, 1};           ///< on_error: 1 contain, 0 failstop
inline constexpr Field kSeries{"series", 3, 2};             ///< Series
inline constexpr Field kScalable{"scalable", 4, 4};         ///< table mode of a unit that starts from scratch
inline constexpr Field kCrashKernel{"crash_kernel", 5, 5};  ///< after a crash: copy the tables (kdump)
}  // namespace policy

/// Which form of the Linux series the firmware plays; the older ones with their hazards (liveupdate.md 1.2).
enum class Series : std::uint8_t { kLatest = 0, kV1 = 1, kV2 = 2 };
#define VTD_SERIES_NAMES \
  { "latest", "v1", "v2" }

/// Calls of the firmware that can be made to fail, at their n-th turn since the story asked for it.
enum class FailPlace : std::uint8_t {
  kNone = 0,
  kPreservePage,   ///< KHO refuses a page
  kAppendRecord,   ///< no memory for a record
  kAllocatePage,   ///< no page for a table
  kRestoreDomain,  ///< the restore callback of a domain
  kRestoreDevice,  ///< the reattach of a device
  kFreezeFile,     ///< the freeze callback of a file
  kVfioRecord,     ///< the record of a device file, after its attachment was preserved
  kPreserveUnit    ///< the unit's preserve callback
};
#define VTD_FAIL_PLACE_NAMES                                                                                      \
  {                                                                                                               \
    "none", "preserve_page", "append_record", "allocate_page", "restore_domain", "restore_device", "freeze_file", \
        "vfio_record", "preserve_unit"                                                                            \
  }

/// Where the firmware is in its life (liveupdate.md 3.3.3).
enum class LifecycleState : std::uint8_t {
  kBoot = 0,
  kNormal,
  kPreserved,
  kFrozen,
  kCleaned,
  kBlackout,
  kAdopting,
  kReattached,
  kFinished,
  kFatal,
  kRestoring
};
#define VTD_LIFECYCLE_NAMES                                                                                        \
  {                                                                                                                \
    "boot", "normal", "preserved", "frozen", "cleaned", "blackout", "adopting", "reattached", "finished", "fatal", \
        "restoring"                                                                                                \
  }

/// Result of firmware calls and mailbox commands; named after the errno the Linux series returns.
enum class Status : std::uint8_t {
  kOk = 0,
  kInvalid,
  kBusy,
  kNotSupported,
  kNoEntry,
  kPerm,
  kExists,
  kAddrInUse,
  kNoData,
  kNoMemory,
  kTimeout,
  kFault,
  kFatal,
  kNoDevice
};
#define VTD_STATUS_NAMES                                                                                   \
  {                                                                                                        \
    "OK", "EINVAL", "EBUSY", "EOPNOTSUPP", "ENOENT", "EPERM", "EEXIST", "EADDRINUSE", "ENODATA", "ENOMEM", \
        "ETIMEDOUT", "EFAULT", "FATAL", "ENODEV"                                                           \
  }

/// Mailbox commands. Ids (memory, domain, session) are small integers chosen by the scenario; tokens are
/// arbitrary 64-bit values; sid is a requester id; perm is bit 0 read, bit 1 write.
// X(name, code, argument names)
#define VTD_MAILBOX_COMMANDS(X)                                                                                        \
  X(kPing, 1, "")                                                                                                      \
  X(kAddMemory, 2, "memory base size")                        /* declare a memory file; size and base 4 KiB aligned */ \
  X(kCreateDomain, 3, "domain levels stage")                  /* Stage; belongs to the iommufd */                      \
  X(kMap, 4, "domain iova memory offset size perm max_level") /* max_level 1 4K, 2 2M, 3 1G leaves allowed */          \
  X(kUnmap, 5, "domain iova size")                            /* result0: bytes unmapped */                            \
  X(kAttach, 6, "sid domain pasid")                           /* pasid 0: requests without PASID; result0: DID */      \
  X(kDetach, 7, "sid pasid")                                                                                           \
  X(kClaimOwner, 8, "sid owner") /* owner: any non-zero 64-bit value; EPERM or EBUSY when owned */                     \
  X(kReleaseOwner, 9, "sid owner")                                                                                     \
  X(kSessionOpen, 10, "session")                                                                                       \
  X(kSessionClose, 11, "session") /* unpreserves everything in it, in reverse order */                                 \
  X(kPreserveMemory, 12, "session token memory")                                                                       \
  X(kPreserveIommufd, 13, "session token") /* every marked domain */                                                   \
  X(kPreserveDevice, 14, "session token sid")                                                                          \
  X(kUnpreserve, 15, "session token") /* the newest file only, else EINVAL */                                          \
  X(kFreeze, 16, "")                                                                                                   \
  X(kUnfreeze, 17, "")                                                                                                 \
  X(kShutdown, 18, "") /* clean what is not preserved; leaves TE=1 */                                                  \
  X(kReboot, 19, "")   /* place the other image, request the warm reset */                                             \
  X(kFinish, 20, "session")                                                                                            \
  X(kQuery, 21, "what id")           /* results as Query says */                                                       \
  X(kDrainFaults, 22, "")            /* report and clear fault records; result0: count, result1: 1 if PFO was set */   \
  X(kPlantGlobal, 23, "value")       /* writes a global variable of the running image */                               \
  X(kReadGlobal, 24, "")             /* result0: that variable; 0 in a fresh image */                                  \
  X(kPassThrough, 25, "sid")         /* attach to the identity domain (TT=10) */                                       \
  X(kMarkDomain, 26, "domain token") /* IOMMU_HWPT mark: kAddrInUse when the token is taken */                         \
  X(kRetrieve, 27, "session token")  /* a file of an incoming session; result0: FileKind, result1: label */            \
  X(kTransferOwner, 28, "sid owner") /* the retrieved device binds to the retrieved iommufd */                         \
  X(kReclaimDomain, 29, "token")     /* the restored domain marked so gets a handle; result0: domain */                \
  X(kReplace, 30, "sid domain")      /* hitless; result0: DID */                                                       \
  X(kDestroyDomain, 31, "domain")    /* nothing may be attached */                                                     \
  X(kSuspend, 32, "")                /* switches translation off and on again */                                       \
  X(kReprobeUnit, 33, "unit")        /* hot remove and add of a unit */                                                \
  X(kProbeDevice, 34, "sid")         /* hot add: the device as its registers show it */                                \
  X(kCrash, 35, "")                  /* places the other image and resets, without shutdown or handover */             \
  X(kProtectMemory, 36, "base size") /* protected low memory region on; size 0: off */

enum class Command : std::uint8_t {
#define VTD_X(name, code, args) name = code,
  VTD_MAILBOX_COMMANDS(VTD_X)
#undef VTD_X
};

/// Stage of a domain's page tables. kNested: a first stage over the second stage of a parent domain.
enum class Stage : std::uint8_t { kSecond = 0, kFirst = 1, kNested = 2 };

/// First argument of Command::kQuery.
enum class Query : std::uint8_t {
  kLifecycle = 0,       ///< result0: LifecycleState, result1: update counter, result2: 'A' or 'B'
  kDeviceDid = 1,       ///< id: sid; result0: DID, result1: 1 if the attachment was restored
  kDeviceOwner = 2,     ///< id: sid; result0: owner (0 none), result1: owner count
  kPreservedPages = 3,  ///< result0: pages set in the tracker, result1: pages reclaimed since boot
  kDidUseCount = 4,     ///< id: DID; result0: attached devices, result1: 1 if reserved in the allocator
  kUnitRecord = 5,      ///< result0: refcount of the unit record, 0 when not preserved
  kDomainTables = 6,  ///< id: domain; result0: table pages of the domain, result1: digest of their contents without A/D
  kDeviceEntry = 7,   ///< id: sid; result0: digest of its context entry, directory and PASID entries, without PRE
  kAllocator = 8,     ///< result0: free pages, result1: domain ids taken on all units, result2: domains, result3: files
  kSession = 9,       ///< id: session; result0: files, result1: files that were retrieved; incoming ones only
  kFlb = 10,          ///< result0: outgoing references of the IOMMU state, result1: incoming ones
  kUpdates = 11       ///< result0: live updates so far, result1: pages preserved at the last one
};

// ---- reset controller ---------------------------------------------------------------------------------
// Registers marked R keep their value over a warm reset.
namespace reset {
inline constexpr std::uint64_t kHandover = 0x00;  // RW R: physical address of the handover root, 0 none
inline constexpr std::uint64_t kEntry = 0x08;     // RW R: entry point of the next image
inline constexpr std::uint64_t kTracker =
    0x10;  // RW R: physical address of the top page of the preserved-page tracker, 0 none
inline constexpr std::uint64_t kScratchBase = 0x18;  // RW R: the slot of the next image
inline constexpr std::uint64_t kScratchSize = 0x20;  // RW R
inline constexpr std::uint64_t kCommand = 0x28;      // WO: Kind; takes effect within the write, which never returns
inline constexpr std::uint64_t kBootCount = 0x30;    // RO R: resets so far, 0 at the first boot
inline constexpr std::uint64_t kMemorySize = 0x38;   // RO: bytes of DRAM, a multiple of 128 MiB, at most kDramMax
/// kCrash: like a kexec after a panic. Nothing was shut down or handed over, and nobody takes the memory of the old
/// image away: no page is lost.
enum class Kind : std::uint8_t { kWarm = 1, kCold = 2, kCrash = 3 };
}  // namespace reset

// ---- preserved-page tracker ---------------------------------------------------------------------------
// A tree of two levels in DRAM, written by firmware and read by the reset controller at a warm reset: the top page has
// the addresses of leaves (0: nothing preserved there), a leaf one bit a page, set = preserved. 64-bit words.
namespace tracker {
inline constexpr std::uint64_t kLeafSpan = 0x0800'0000;  ///< bytes of DRAM that one leaf stands for
/// Where the address of the leaf for `address` is.
constexpr std::uint64_t leaf_entry(std::uint64_t top, std::uint64_t address) {
  return top + address / kLeafSpan * 8;
}
/// The word of a leaf that has the page's bit, and the bit.
constexpr std::uint64_t word(std::uint64_t leaf, std::uint64_t address) {
  return leaf + address % kLeafSpan / kPageSize / 64 * 8;
}
constexpr unsigned bit_of(std::uint64_t address) {
  return static_cast<unsigned>(address / kPageSize % 64);
}
}  // namespace tracker

// ---- UART, timer --------------------------------------------------------------------------------------
namespace uart {
inline constexpr std::uint64_t kData = 0x00;  // WO 32-bit: one character
}  // namespace uart
namespace timer {
inline constexpr std::uint64_t kNow = 0x00;    // RO 64-bit: nanoseconds of simulated time
inline constexpr std::uint64_t kSleep = 0x08;  // WO 64-bit: suspends the CPU for so many nanoseconds
}  // namespace timer

// ---- endpoint registers (the part of PCI configuration space the firmware needs) ------------------------
namespace endpoint {
inline constexpr std::uint64_t kId = 0x00;       // RO 64-bit
inline constexpr std::uint64_t kControl = 0x08;  // RW 32-bit
inline constexpr std::uint64_t kAlias = 0x10;    // RO 64-bit: SID and PRESENT of a bridge that speaks for the device
// of kId
inline constexpr Field kSid{"SID", 15, 0};                ///< requester id
inline constexpr Field kPresent{"PRESENT", 16, 16};       ///< 0: nothing here, or unplugged
inline constexpr Field kNonPci{"NON_PCI", 17, 17};        ///< not a PCI device: no bus mastering to switch off
inline constexpr Field kAts{"ATS", 18, 18};               ///< has a device TLB
inline constexpr Field kPri{"PRI", 19, 19};               ///< can send page requests
inline constexpr Field kUnit{"UNIT", 23, 20};             ///< index of its remapping unit
inline constexpr Field kPasidBits{"PASID_BITS", 28, 24};  ///< width of its PASIDs, 0 none, at most 20
// of kControl
inline constexpr Field kBusMaster{"BME", 0, 0};    ///< 1 after power-on
inline constexpr Field kAtsEnable{"ATS_E", 1, 1};  ///< 0 after power-on: no translation requests
inline constexpr Field kPriEnable{"PRI_E", 2, 2};  ///< 0 after power-on: no page requests
inline constexpr Field kD3{"D3", 3, 3};            ///< asleep: no DMA, answers no device-TLB invalidation
}  // namespace endpoint

// ---- image store ------------------------------------------------------------------------------------
/// Header in front of each stored image; the flat binary follows at +64.
struct ImageHeader {
  std::uint64_t magic;         ///< kMagic
  std::uint64_t load_address;  ///< start of its scratch slot
  std::uint64_t size;          ///< bytes of the flat binary, zero-initialised part excluded
  std::uint64_t memory_size;   ///< bytes it occupies once loaded, bss and stack included
  std::uint64_t entry;         ///< entry point
  std::uint64_t reserved[3];
  static constexpr std::uint64_t kMagic = 0x45474d4946445456;  // "VTDFIMGE"
};
static_assert(sizeof(ImageHeader) == 64);

}  // namespace vtd::platform
