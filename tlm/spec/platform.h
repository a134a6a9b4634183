// SPDX-License-Identifier: MIT
// The simulated platform around the unit: memory map, platform registers, mailbox protocol. Shared by
// tlm/soc, firmware and sim. Facts of this project, not of VT-d.
#pragma once

#include <cstdint>

#include "tlm/spec/field.h"

namespace vtd::platform {

// ---- DRAM ------------------------------------------------------------------------------------------
inline constexpr std::uint64_t kDramBase = 0;
inline constexpr std::uint64_t kDramSize = 0x0800'0000;  ///< 128 MiB: one tracker page of one bit a page
/// Two scratch slots (KHO): each image is linked into its own and is placed there by the other one.
inline constexpr std::uint64_t kSlotABase = 0x0010'0000;
inline constexpr std::uint64_t kSlotASize = 0x00F0'0000;
inline constexpr std::uint64_t kSlotBBase = 0x0100'0000;
inline constexpr std::uint64_t kSlotBSize = 0x0100'0000;
/// General memory: tables, records, queues.
inline constexpr std::uint64_t kHeapBase = 0x0200'0000;
inline constexpr std::uint64_t kHeapSize = 0x0200'0000;
/// Memory files (the "memfd" of a guest). Scenarios place them; firmware never allocates here.
inline constexpr std::uint64_t kGuestBase = 0x0400'0000;
inline constexpr std::uint64_t kGuestSize = 0x0400'0000;

// ---- MMIO ------------------------------------------------------------------------------------------
inline constexpr std::uint64_t kMailboxBase = 0xF000'0000;
inline constexpr std::uint64_t kResetBase = 0xF000'1000;
inline constexpr std::uint64_t kUartBase = 0xF000'2000;
inline constexpr std::uint64_t kTimerBase = 0xF000'3000;
inline constexpr std::uint64_t kCacheBase = 0xF000'4000;
inline constexpr std::uint64_t kEndpointBase = 0xF001'0000;  ///< endpoint n at kEndpointBase + n * kEndpointStride
inline constexpr std::uint64_t kEndpointStride = 0x1000;
inline constexpr unsigned kMaxEndpoints = 16;
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
inline constexpr std::uint64_t kSize = 0xA0;
}  // namespace mailbox

/// Policy bits the firmware reads where it needs them. The injection bits plant one bug each in it.
namespace policy {
inline constexpr Field kVerify{"verify", 0, 0};    ///< 1 checking, 0 trusting
inline constexpr Field kContain{"contain", 1, 1};  ///< on_error: 1 contain, 0 failstop
inline constexpr Field kSkipCleanInvalidation{"skip_clean_invalidation", 8, 8};
inline constexpr Field kSkipUnmapInvalidation{"skip_unmap_invalidation", 9, 9};
inline constexpr Field kSkipFlush{"skip_flush", 10, 10};
inline constexpr Field kSkipHandoverFlush{"skip_handover_flush", 11, 11};
}  // namespace policy

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
  kFatal
};
#define VTD_LIFECYCLE_NAMES \
  { "boot", "normal", "preserved", "frozen", "cleaned", "blackout", "adopting", "reattached", "finished", "fatal" }

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
  kFatal
};
#define VTD_STATUS_NAMES                                                                                   \
  {                                                                                                        \
    "OK", "EINVAL", "EBUSY", "EOPNOTSUPP", "ENOENT", "EPERM", "EEXIST", "EADDRINUSE", "ENODATA", "ENOMEM", \
        "ETIMEDOUT", "EFAULT", "FATAL"                                                                     \
  }

/// Mailbox commands. Ids (memory, domain, session) are small integers chosen by the scenario; tokens are
/// arbitrary 64-bit values; sid is a requester id; perm is bit 0 read, bit 1 write.
// X(name, code, argument names)
#define VTD_MAILBOX_COMMANDS(X)                                                                                \
  X(kPing, 1, "")                                                                                              \
  X(kAddMemory, 2, "memory base size") /* declare a memory file; size and base 4 KiB aligned */                \
  X(kCreateDomain, 3, "domain levels")                                                                         \
  X(kMap, 4, "domain iova memory offset size perm max_level") /* max_level 1 4K, 2 2M, 3 1G leaves allowed */  \
  X(kUnmap, 5, "domain iova size")                            /* result0: bytes unmapped */                    \
  X(kAttach, 6, "sid domain")                                 /* result0: DID */                               \
  X(kDetach, 7, "sid")                                                                                         \
  X(kClaimOwner, 8, "sid owner") /* owner: any non-zero 64-bit value; EPERM or EBUSY when owned */             \
  X(kReleaseOwner, 9, "sid owner")                                                                             \
  X(kSessionOpen, 10, "session")                                                                               \
  X(kSessionClose, 11, "session") /* unpreserves everything in it, in reverse order */                         \
  X(kPreserveMemory, 12, "session token memory")                                                               \
  X(kPreserveDomain, 13, "session token domain")                                                               \
  X(kPreserveDevice, 14, "session token sid")                                                                  \
  X(kUnpreserve, 15, "session token") /* the newest file only, else EINVAL */                                  \
  X(kFreeze, 16, "")                                                                                           \
  X(kUnfreeze, 17, "")                                                                                         \
  X(kShutdown, 18, "") /* clean what is not preserved; leaves TE=1 */                                          \
  X(kReboot, 19, "")   /* place the other image, request the warm reset */                                     \
  X(kFinish, 20, "session")                                                                                    \
  X(kQuery, 21, "what id")     /* results as Query says */                                                     \
  X(kDrainFaults, 22, "")      /* report and clear fault records; result0: count, result1: 1 if PFO was set */ \
  X(kPlantGlobal, 23, "value") /* writes a global variable of the running image */                             \
  X(kReadGlobal, 24, "")       /* result0: that variable; 0 in a fresh image */                                \
  X(kPassThrough, 25, "sid")   /* attach to the identity domain (TT=10) */

enum class Command : std::uint8_t {
#define VTD_X(name, code, args) name = code,
  VTD_MAILBOX_COMMANDS(VTD_X)
#undef VTD_X
};

/// First argument of Command::kQuery.
enum class Query : std::uint8_t {
  kLifecycle = 0,       ///< result0: LifecycleState, result1: update counter, result2: 'A' or 'B'
  kDeviceDid = 1,       ///< id: sid; result0: DID, result1: 1 if the attachment was restored
  kDeviceOwner = 2,     ///< id: sid; result0: owner (0 none), result1: owner count
  kPreservedPages = 3,  ///< result0: pages set in the tracker, result1: pages reclaimed since boot
  kDidUseCount = 4,     ///< id: DID; result0: attached devices, result1: 1 if reserved in the allocator
  kUnitRecord = 5,      ///< result0: refcount of the unit record, 0 when not preserved
  kDomainTables = 6,  ///< id: domain; result0: table pages of the domain, result1: digest of their contents without A/D
};

// ---- reset controller ---------------------------------------------------------------------------------
// Registers marked R keep their value over a warm reset.
namespace reset {
inline constexpr std::uint64_t kHandover = 0x00;  // RW R: physical address of the handover root, 0 none
inline constexpr std::uint64_t kEntry = 0x08;     // RW R: entry point of the next image
inline constexpr std::uint64_t kTracker =
    0x10;  // RW R: physical address of the preserved-page bitmap (one page), 0 none
inline constexpr std::uint64_t kScratchBase = 0x18;  // RW R: the slot of the next image
inline constexpr std::uint64_t kScratchSize = 0x20;  // RW R
inline constexpr std::uint64_t kCommand = 0x28;      // WO: Kind; takes effect within the write, which never returns
inline constexpr std::uint64_t kBootCount = 0x30;    // RO R: resets so far, 0 at the first boot
enum class Kind : std::uint8_t { kWarm = 1, kCold = 2 };
}  // namespace reset

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
inline constexpr std::uint64_t kId = 0x00;       // RO 64-bit: requester id [15:0], present bit 16, unit index [23:20]
inline constexpr std::uint64_t kControl = 0x08;  // RW 32-bit: bit 0 bus-master enable, reset value 1
inline constexpr Field kSid{"SID", 15, 0};
inline constexpr Field kPresent{"PRESENT", 16, 16};
inline constexpr Field kUnit{"UNIT", 23, 20};
inline constexpr Field kBusMaster{"BME", 0, 0};
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
