// SPDX-License-Identifier: MIT
#include "tests/fuzz/fuzz_unit.h"

#include <cstdio>
#include <cstdlib>

namespace vtd::fuzz {
namespace {

// Structures of build_tables().
constexpr PhysAddr kContexts = 0x3000;
constexpr PhysAddr kScalableContexts = 0x4000;
constexpr PhysAddr kDirectory = 0x5000;
constexpr PhysAddr kPasids = 0x6000;
constexpr PhysAddr kSecond = 0x8000;  ///< levels 4..1, one page each
constexpr PhysAddr kFirst = 0xC000;   ///< levels 4..1, one page each
constexpr PhysAddr kInterrupts = 0x10000;
constexpr unsigned kPages = 16;
constexpr PhysAddr kShift = 0x40000;

bool inside(PhysAddr address, std::uint64_t bytes) {
  return address < World::kMemory && bytes <= World::kMemory - address;
}

}  // namespace

void require(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "invariant broken: %s\n", what);
  std::abort();
}

Observer& World::nobody() {
  static Observer nobody;
  return nobody;
}

World::World(const Profile& profile) : unit(profile, CacheConfig{}, *this, nobody(), 1) {}

void World::pump() {
  for (unsigned rounds = 0; command_woken_ || queue_woken_; ++rounds) {
    require(rounds < 100'000, "the engines never rest");
    if (std::exchange(command_woken_, false)) unit.run(Engine::kCommand);
    if (std::exchange(queue_woken_, false)) unit.run(Engine::kQueue);
  }
}

void World::command(const Field& bit) {
  write(RegId::kGCMD, (reg(RegId::kGSTS) & gcmd::kPersistent) | bit.mask());
  pump();
}

void World::enable(PhysAddr root, TableMode mode) {
  write(RegId::kRTADDR, root | rtaddr::kTTM.of(static_cast<std::uint64_t>(mode)));
  command(gcmd::kSRTP);
  command(gcmd::kTE);
}

void World::invalidate_everything() {
  // SRTP of a unit with ESRTPS would do; by registers it works with every profile.
  write(RegId::kCCMD, ccmd::kICC.of(1) | ccmd::kCIRG.of(1));
  pump();
  write(RegId::kIOTLB, iotlb_reg::kIVT.of(1) | iotlb_reg::kIIRG.of(1));
  pump();
  if (unit.profile().hitless_root) command(gcmd::kSRTP);
  entries_read.clear();
  requesters_.clear();
  structures_touched_ = false;
}

void World::check(const DmaRequest& request) {
  requesters_.insert({request.source, request.pasid});
  const char* wrong = complaint(request);
  if (wrong != nullptr && requesters_.size() > 1) {
    invalidate_everything();
    wrong = complaint(request);
  }
  require(wrong == nullptr, wrong);
}

const char* World::complaint(const DmaRequest& request) {
  const ReadFunction read_tables = [this](PhysAddr address, std::span<std::uint64_t> out) {
    for (std::size_t i = 0; i < out.size(); ++i) {
      if (!inside(address + i * 8, 8)) return false;
      out[i] = words.contains(address + i * 8) ? words[address + i * 8] : 0;
    }
    return true;
  };
  const auto expected = unit.debug_translate(request, read_tables);
  Ticket ticket = unit.accept(request);
  const auto got = unit.translate(ticket);
  if (is_interrupt_request(request) || structures_touched_) return nullptr;
  // An A or D bit that cannot be written is the one thing that debug translation does not see.
  if (!got && got.fault().reason == FaultReason::kFsAdAccess) return nullptr;
  if (got.ok() != expected.ok()) return "caches and tables disagree whether a request may pass";
  if (!got) return got.fault().reason == expected.fault().reason ? nullptr : "caches and tables give different faults";
  if (request.type == AddressType::kTranslationRequest && !got->readable && !got->writable) return nullptr;
  if (got->address != expected->address) return "the address is not what the tables say";
  if (got->readable && !expected->readable) return "read permission that the tables do not give";
  if (got->writable && !expected->writable) return "write permission that the tables do not give";
  if (!got->remapped || got->address == request.address) return nullptr;
  const std::uint64_t page = align_down(got->address, kPageSize);
  for (const std::uint64_t entry : entries_read) {
    const std::uint64_t base = ss::kADDR.in_place(entry) & ~(got->page_size - 1);
    if ((entry & 1) != 0 || (entry & 2) != 0)
      if (page >= base && page - base < level_size(3)) return nullptr;
  }
  return "no entry that was read leads to the address";
}

bool World::read(PhysAddr address, std::span<std::uint64_t> out) {
  for (std::size_t i = 0; i < out.size(); ++i) {
    if (!inside(address + i * 8, 8)) return false;
    const auto found = words.find(address + i * 8);
    out[i] = found == words.end() ? 0 : found->second;
  }
  return true;
}

bool World::write32(PhysAddr address, std::uint32_t) {
  return inside(address, sizeof(std::uint32_t));
}

bool World::write(PhysAddr address, std::span<const std::uint64_t> data) {
  return inside(address, data.size_bytes());
}

std::optional<std::uint64_t> World::compare_exchange(PhysAddr address, std::uint64_t expected, std::uint64_t desired) {
  if (!inside(address, 8)) return std::nullopt;
  const std::uint64_t seen = words.contains(address) ? words[address] : 0;
  if (seen == expected) words[address] = desired;
  structures_touched_ = structures_touched_ || address < kSecond;
  return seen;
}

WalkResponse World::walk(WalkRequest request) {
  PagingWalk walk(walker_config(unit.profile()), request);
  for (unsigned steps = 0; !walk.ended(); ++steps) {
    require(steps < 1000, "a walk never ends");
    if (const auto update = walk.next_update()) {
      const auto seen = compare_exchange(update->address, update->expected, update->desired);
      walk.updated(seen == update->expected, !seen.has_value());
      continue;
    }
    std::uint64_t entry = 0;
    const bool ok = read(*walk.next_read(), std::span(&entry, 1));
    if (ok) entries_read.push_back(entry);
    walk.consume(entry, !ok);
  }
  return walk.result();
}

void World::invalidate_device(const DeviceTlbInvalidation& invalidation) {
  const auto answer = static_cast<DeviceAnswer>(invalidation.source.value % 3);
  unit.device_answered(invalidation.tag, answer);
}

DmaRequest take_request(Input& input) {
  DmaRequest request;
  request.source = SourceId{static_cast<std::uint16_t>(input.below(8))};
  request.access = static_cast<Access>(input.below(4));
  request.type = static_cast<AddressType>(input.below(8) < 6 ? 0 : input.below(3));
  switch (input.below(4)) {
    case 0:
      request.address = input.take<std::uint64_t>();
      break;
    case 1:
      request.address = kInterruptBase + input.take<std::uint16_t>() * 4U;
      break;
    default:
      request.address = input.below(kPages) * kPageSize + input.take<std::uint16_t>() % kPageSize;
  }
  request.length = 4;
  request.address &= ~Iova{3};
  if (input.flag()) {
    request.pasid = Pasid{input.below(8)};
    request.privileged = input.flag();
    request.execute = input.flag() && request.access == Access::kRead;
  }
  if (request.access == Access::kWrite) request.data = input.take<std::uint16_t>();
  return request;
}

/// Sources 0..7 of bus 0. Legacy: 0..3 second stage with DID 1..4, 4 pass-through. Scalable: all with PASIDs 0 second
/// stage, 1 first stage, 2 nested, 3 pass-through.
void build_tables(World& world, TableMode mode) {
  auto& words = world.words;
  words[kLegacyRoot] = kContexts | 1;
  words[kScalableRoot] = kScalableContexts | 1;
  for (unsigned source = 0; source < 8; ++source) {
    const bool pass = source == 4;
    words[kContexts + source * 16] = kSecond | 1 | (pass ? 8 : 4);
    words[kContexts + source * 16 + 8] = (pass ? 3 : 2) | (std::uint64_t{source + 1} << 8);
    words[kScalableContexts + source * 32] = kDirectory | 0x1D;  // P, DTE, PASIDE, PRE
  }
  words[kDirectory] = kPasids | 1;
  constexpr std::uint64_t kTypes[] = {2, 1, 3, 4};
  for (unsigned pasid = 0; pasid < 4; ++pasid) {
    const PhysAddr entry = kPasids + pasid * pasid::kBytes;
    words[entry] = kSecond | 1 | (2 << 2) | (kTypes[pasid] << 6) | (kTypes[pasid] & 2 ? bit(9) : 0);
    words[entry + 8] = (pasid + 1) | bit(23);
    words[entry + 16] = kFirst | 1;
  }
  for (unsigned level = 0; level < 3; ++level) {
    words[kSecond + level * kPageSize] = (kSecond + (level + 1) * kPageSize) | 3;
    words[kFirst + level * kPageSize] = (kFirst + (level + 1) * kPageSize) | 7;
  }
  for (unsigned page = 0; page < kPages; ++page) {
    // Legacy pages are shifted. In scalable mode the second stage maps the tables and pages of the first stage to
    // themselves, and the first stage shifts.
    const PhysAddr here = page * kPageSize;
    words[kSecond + 3 * kPageSize + page * 8] = (here + (mode == TableMode::kLegacy ? kShift : 0)) | 3;
    words[kSecond + 3 * kPageSize + (kShift / kPageSize + page) * 8] = (here + kShift) | 3;
    words[kFirst + 3 * kPageSize + page * 8] = (here + kShift) | 7;
  }
  for (unsigned i = 0; i < 8; ++i) words[kInterrupts + i * 16] = 1 | ((i + 0x20) << 16);
  world.write(RegId::kIRTA, kInterrupts | 2);
  world.command(gcmd::kSIRTP);
  world.command(gcmd::kIRE);
}

}  // namespace vtd::fuzz
