// SPDX-License-Identifier: MIT
// NVM Express 1.4, as far as the platform's controller has it: registers (section 3.1), commands and completions (4.2,
// 4.6), admin and NVM command sets (5, 6).
#pragma once

#include <cstdint>

#include "tlm/spec/field.h"

namespace vtd::nvme {

inline constexpr std::uint32_t kClassCode = 0x01'08'02;  ///< mass storage, non-volatile memory, NVM Express
inline constexpr std::uint16_t kVendorId = 0x1234;
inline constexpr std::uint16_t kDeviceId = 0x7D5F;
inline constexpr std::uint32_t kBarSize = 0x4000;

// ---- registers, byte offsets in BAR 0 ----
namespace cap {
inline constexpr std::uint64_t kOffset = 0x00;
inline constexpr Field kMQES{"MQES", 15, 0};  ///< entries of the largest queue, minus 1
inline constexpr Field kCQR{"CQR", 16, 16};   ///< queues are physically contiguous
inline constexpr Field kTO{"TO", 31, 24};     ///< 500 ms units
inline constexpr Field kCSS{"CSS", 44, 37};   ///< bit 0: NVM command set
}  // namespace cap
inline constexpr std::uint64_t kVs = 0x08;
inline constexpr std::uint32_t kVersion14 = 0x0001'0400;
inline constexpr std::uint64_t kIntms = 0x0C;
inline constexpr std::uint64_t kIntmc = 0x10;
namespace cc {
inline constexpr std::uint64_t kOffset = 0x14;
inline constexpr Field kEN{"EN", 0, 0};
inline constexpr Field kCSS{"CSS", 6, 4};
inline constexpr Field kMPS{"MPS", 10, 7};  ///< pages of 2^(12 + MPS) bytes
inline constexpr Field kAMS{"AMS", 13, 11};
inline constexpr Field kSHN{"SHN", 15, 14};
inline constexpr Field kIOSQES{"IOSQES", 19, 16};
inline constexpr Field kIOCQES{"IOCQES", 23, 20};
}  // namespace cc
namespace csts {
inline constexpr std::uint64_t kOffset = 0x1C;
inline constexpr Field kRDY{"RDY", 0, 0};
inline constexpr Field kCFS{"CFS", 1, 1};
inline constexpr Field kSHST{"SHST", 3, 2};
inline constexpr std::uint64_t kShutdownComplete = 2;
}  // namespace csts
namespace aqa {
inline constexpr std::uint64_t kOffset = 0x24;
inline constexpr Field kASQS{"ASQS", 11, 0};   ///< entries minus 1
inline constexpr Field kACQS{"ACQS", 27, 16};  ///< entries minus 1
}  // namespace aqa
inline constexpr std::uint64_t kAsq = 0x28;
inline constexpr std::uint64_t kAcq = 0x30;
inline constexpr std::uint64_t kDoorbells = 0x1000;  ///< 4 bytes each: SQ 0 tail, CQ 0 head, SQ 1 tail ...
inline constexpr std::uint64_t kDoorbellBytes = 4;
inline constexpr unsigned kSubmissionShift = 6;  ///< log2 of an entry's bytes
inline constexpr unsigned kCompletionShift = 4;

// ---- submission queue entry (4.2) ----
using Command = Record512;
namespace sqe {
inline constexpr Field kOPC{"OPC", 7, 0};
inline constexpr Field kFUSE{"FUSE", 9, 8};
inline constexpr Field kPSDT{"PSDT", 15, 14};  ///< 0: PRP
inline constexpr Field kCID{"CID", 31, 16};
inline constexpr Field kNSID{"NSID", 63, 32};
inline constexpr Field kPRP1{"PRP1", 255, 192};
inline constexpr Field kPRP2{"PRP2", 319, 256};
inline constexpr Field kCDW10{"CDW10", 351, 320};
inline constexpr Field kCDW11{"CDW11", 383, 352};
inline constexpr Field kCDW12{"CDW12", 415, 384};
// ---- create and delete queues (5.3, 5.4) ----
inline constexpr Field kQID{"QID", 335, 320};
inline constexpr Field kQSIZE{"QSIZE", 351, 336};  ///< entries minus 1
inline constexpr Field kPC{"PC", 352, 352};
inline constexpr Field kIEN{"IEN", 353, 353};
inline constexpr Field kIV{"IV", 383, 368};
inline constexpr Field kCQID{"CQID", 383, 368};
// ---- identify (5.15), log pages (5.14), features (5.9, 5.21) ----
inline constexpr Field kCNS{"CNS", 327, 320};
inline constexpr Field kLID{"LID", 327, 320};
inline constexpr Field kNUMDL{"NUMDL", 351, 336};
inline constexpr Field kNUMDU{"NUMDU", 367, 352};
inline constexpr Field kLPO{"LPO", 447, 384};
inline constexpr Field kFID{"FID", 327, 320};
inline constexpr Field kSEL{"SEL", 330, 328};
inline constexpr Field kSV{"SV", 351, 351};
// ---- read, write (6.9, 6.15), dataset management (6.7) ----
inline constexpr Field kSLBA{"SLBA", 383, 320};
inline constexpr Field kNLB{"NLB", 399, 384};  ///< blocks minus 1
inline constexpr Field kNR{"NR", 327, 320};    ///< ranges minus 1
inline constexpr Field kAD{"AD", 354, 354};
}  // namespace sqe

// ---- completion queue entry (4.6) ----
using Completion = Record128;
namespace cqe {
inline constexpr Field kDW0{"DW0", 31, 0};
inline constexpr Field kSQHD{"SQHD", 79, 64};
inline constexpr Field kSQID{"SQID", 95, 80};
inline constexpr Field kCID{"CID", 111, 96};
inline constexpr Field kP{"P", 112, 112};
inline constexpr Field kSC{"SC", 120, 113};
inline constexpr Field kSCT{"SCT", 123, 121};
inline constexpr Field kDNR{"DNR", 127, 127};
}  // namespace cqe

// ---- opcodes ----
enum class Admin : std::uint8_t {
  kDeleteSq = 0x00,
  kCreateSq = 0x01,
  kGetLogPage = 0x02,
  kDeleteCq = 0x04,
  kCreateCq = 0x05,
  kIdentify = 0x06,
  kAbort = 0x08,
  kSetFeatures = 0x09,
  kGetFeatures = 0x0A,
  kAsyncEvent = 0x0C,
};
enum class Io : std::uint8_t {
  kFlush = 0x00,
  kWrite = 0x01,
  kRead = 0x02,
  kWriteZeroes = 0x08,
  kDatasetManagement = 0x09,
};

/// How a command ended (4.6.1).
struct Status {
  std::uint8_t type = 0;  ///< SCT: 0 generic, 1 command specific, 2 media
  std::uint8_t code = 0;  ///< SC
  bool again = false;     ///< it may help to try again: DNR=0
  [[nodiscard]] constexpr bool ok() const { return type == 0 && code == 0; }
  friend constexpr bool operator==(const Status&, const Status&) = default;
};
namespace status {
inline constexpr Status kSuccess{0, 0x00, true};
inline constexpr Status kInvalidOpcode{0, 0x01};
inline constexpr Status kInvalidField{0, 0x02};
inline constexpr Status kDataTransferError{0, 0x04, true};
inline constexpr Status kInvalidNamespace{0, 0x0B};
inline constexpr Status kPrpOffset{0, 0x13};
inline constexpr Status kLbaOutOfRange{0, 0x80};
inline constexpr Status kInvalidCq{1, 0x00};
inline constexpr Status kInvalidQueueId{1, 0x01};
inline constexpr Status kInvalidQueueSize{1, 0x02};
inline constexpr Status kAsyncLimit{1, 0x05};
inline constexpr Status kInvalidVector{1, 0x08};
inline constexpr Status kInvalidLogPage{1, 0x09};
inline constexpr Status kInvalidQueueDeletion{1, 0x0C};
inline constexpr Status kNotSaveable{1, 0x0D};
}  // namespace status

// ---- features (5.21.1) ----
namespace feature {
inline constexpr std::uint8_t kArbitration = 0x01;
inline constexpr std::uint8_t kPower = 0x02;
inline constexpr std::uint8_t kTemperature = 0x04;
inline constexpr std::uint8_t kErrorRecovery = 0x05;
inline constexpr std::uint8_t kWriteCache = 0x06;
inline constexpr std::uint8_t kQueues = 0x07;
inline constexpr std::uint8_t kCoalescing = 0x08;
inline constexpr std::uint8_t kVector = 0x09;
inline constexpr std::uint8_t kAtomicity = 0x0A;
inline constexpr std::uint8_t kAsyncEvents = 0x0B;
inline constexpr Field kSubmissionQueues{"NSQ", 15, 0};   ///< of kQueues, minus 1
inline constexpr Field kCompletionQueues{"NCQ", 31, 16};  ///< minus 1
}  // namespace feature

// ---- identify data: byte offsets ----
namespace controller {
inline constexpr unsigned kVid = 0;
inline constexpr unsigned kSsvid = 2;
inline constexpr unsigned kSerial = 4;  ///< 20 ASCII
inline constexpr unsigned kSerialBytes = 20;
inline constexpr unsigned kModel = 24;  ///< 40 ASCII
inline constexpr unsigned kModelBytes = 40;
inline constexpr unsigned kFirmware = 64;  ///< 8 ASCII
inline constexpr unsigned kFirmwareBytes = 8;
inline constexpr unsigned kMdts = 77;
inline constexpr unsigned kVersion = 80;
inline constexpr unsigned kType = 111;  ///< 1: I/O controller
inline constexpr unsigned kAsyncLimit = 259;
inline constexpr unsigned kFirmwareUpdates = 260;
inline constexpr unsigned kWarningTemperature = 266;
inline constexpr unsigned kCriticalTemperature = 268;
inline constexpr unsigned kSqes = 512;
inline constexpr unsigned kCqes = 513;
inline constexpr unsigned kNamespaces = 516;
inline constexpr unsigned kOncs = 520;
inline constexpr std::uint16_t kOncsDatasetManagement = 0x04;
inline constexpr std::uint16_t kOncsWriteZeroes = 0x08;
inline constexpr unsigned kWriteCache = 525;
inline constexpr unsigned kSubNqn = 768;
inline constexpr unsigned kPower0 = 2048;  ///< MP, centiwatts
}  // namespace controller
namespace name_space {
inline constexpr unsigned kSize = 0;
inline constexpr unsigned kCapacity = 8;
inline constexpr unsigned kUtilization = 16;
inline constexpr unsigned kDlfeat = 33;  ///< 1: deallocated blocks read as zero
inline constexpr unsigned kEui64 = 120;
inline constexpr unsigned kLbaFormat0 = 128;
inline constexpr Field kLbaDataSize{"LBADS", 23, 16};
inline constexpr std::uint8_t kIdEui64 = 1;  ///< NIDT of a namespace identification descriptor
}  // namespace name_space

/// One range of a dataset management command.
using Range = Record128;
namespace range {
inline constexpr Field kBlocks{"LENGTH", 63, 32};
inline constexpr Field kSLBA{"SLBA", 127, 64};
}  // namespace range

}  // namespace vtd::nvme
