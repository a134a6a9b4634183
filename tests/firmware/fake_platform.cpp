// SPDX-License-Identifier: MIT
#include "tests/firmware/fake_platform.h"

#include <gtest/gtest.h>

#include <cstring>

#include "firmware/hal/hal.h"
#include "firmware/hal/policy.h"
#include "tlm/spec/descriptor.h"

namespace vtd::fw::test {
namespace {

std::string hex(std::uint64_t v) {
  char text[20];
  std::snprintf(text, sizeof text, "0x%llx", static_cast<unsigned long long>(v));
  return text;
}

FakePlatform& self(void* context) {
  return *static_cast<FakePlatform*>(context);
}

constexpr bool in_window(PhysAddr at, PhysAddr base, std::uint64_t size = platform::kDeviceWindowSize) {
  return at >= base && at < base + size;
}

}  // namespace

FakePlatform::FakePlatform() {
  reset_registers[platform::reset::kMemorySize / 8] = platform::kDramSize;
  host_.context = this;
  host_.mmio_read = [](void* c, std::uint64_t at, unsigned bytes) { return self(c).mmio_read(at, bytes); };
  host_.mmio_write = [](void* c, std::uint64_t at, std::uint64_t v, unsigned bytes) {
    self(c).mmio_write(at, v, bytes);
  };
  host_.mem_read = [](void* c, std::uint64_t at, unsigned bytes) {
    std::uint64_t value = 0;
    for (unsigned i = 0; i < bytes; ++i) value |= std::uint64_t{self(c).byte(at + i)} << (8 * i);
    return value;
  };
  host_.mem_write = [](void* c, std::uint64_t at, std::uint64_t v, unsigned bytes) {
    self(c).cpu_writes(at, bytes);
    for (unsigned i = 0; i < bytes; ++i) self(c).byte(at + i) = static_cast<std::uint8_t>(v >> (8 * i));
    if (bytes == 8) self(c).wrote_entry(at);
  };
  host_.mem_set = [](void* c, std::uint64_t at, std::uint8_t v, std::uint64_t n) {
    self(c).cpu_writes(at, n);
    for (std::uint64_t i = 0; i < n; ++i) self(c).byte(at + i) = v;
  };
  host_.mem_copy = [](void* c, std::uint64_t to, std::uint64_t from, std::uint64_t n) {
    self(c).cpu_writes(to, n);
    for (std::uint64_t i = 0; i < n; ++i) self(c).byte(to + i) = self(c).byte(from + i);
  };
  host_.mem_write128 = [](void* c, std::uint64_t at, std::uint64_t low, std::uint64_t high) {
    self(c).cpu_writes(at, 16);
    for (unsigned i = 0; i < 8; ++i) {
      self(c).byte(at + i) = static_cast<std::uint8_t>(low >> (8 * i));
      self(c).byte(at + 8 + i) = static_cast<std::uint8_t>(high >> (8 * i));
    }
    self(c).writes128.push_back({at, low, high});
    self(c).wrote_entry(at);
  };
  hal::bind(&host_);
  for (unsigned i = 0; i < 2; ++i) {  // images are only copied here, never run
    const PhysAddr base = i == 0 ? platform::kSlotABase : platform::kSlotBBase;
    const platform::ImageHeader header{platform::ImageHeader::kMagic, base, 64, 4096, base + 16, {}};
    image_store[i].assign(sizeof header + 64, static_cast<char>('a' + i));
    std::memcpy(image_store[i].data(), &header, sizeof header);
  }
}

void FakePlatform::add_endpoint(SourceId sid, unsigned unit) {
  namespace e = platform::endpoint;
  endpoints_.push_back({e::kSid.of(sid.value) | e::kPresent.of(1) | e::kUnit.of(unit)});
}

FakePlatform::Endpoint& FakePlatform::endpoint(SourceId sid) {
  for (Endpoint& e : endpoints_)
    if (platform::endpoint::kSid.get(e.id) == sid.value) return e;
  throw std::out_of_range("no such endpoint");
}

bool FakePlatform::bus_master(SourceId sid) const {
  for (const Endpoint& e : endpoints_)
    if (platform::endpoint::kSid.get(e.id) == sid.value) return platform::endpoint::kBusMaster.get(e.control) != 0;
  ADD_FAILURE() << "no endpoint " << sid.value;
  return false;
}

std::uint8_t& FakePlatform::byte(PhysAddr at) {
  if (at >= reset_registers[platform::reset::kMemorySize / 8])
    throw std::out_of_range("memory access outside DRAM at " + hex(at));
  return pages_[at / kPageSize][at % kPageSize];
}
std::uint64_t FakePlatform::read64(PhysAddr at) {
  std::uint64_t v = 0;
  for (unsigned i = 0; i < 8; ++i) v |= std::uint64_t{byte(at + i)} << (8 * i);
  return v;
}
void FakePlatform::write64(PhysAddr at, std::uint64_t value) {
  for (unsigned i = 0; i < 8; ++i) byte(at + i) = static_cast<std::uint8_t>(value >> (8 * i));
  if (const auto line = behind_.find(align_down(at, kLine)); line != behind_.end())
    line->second[(at - line->first) / 8] = value;  // snooped: both views
}

void FakePlatform::write32(PhysAddr at, std::uint32_t value) {
  const PhysAddr word = align_down(at, 8);
  const Field half = at == word ? Field{"low", 31, 0} : Field{"high", 63, 32};
  write64(word, half.with(read64(word), value));
}

// ---- the CPU's cache -----------------------------------------------------------------------------------------

void FakePlatform::cpu_writes(PhysAddr at, std::uint64_t bytes) {
  bool snooped = true;
  for (const FakeUnit& unit : units) snooped = snooped && unit.profile.coherent;
  if (snooped) return;
  for (PhysAddr line = align_down(at, kLine); line < at + bytes; line += kLine) {
    if (behind_.contains(line)) continue;
    Line old{};
    for (std::size_t i = 0; i < old.size(); ++i) old[i] = read64(line + i * 8);
    behind_[line] = old;
  }
}

std::uint64_t FakePlatform::walk64(PhysAddr at) {
  const auto line = behind_.find(align_down(at, kLine));
  return line != behind_.end() ? line->second[(at - line->first) / 8] : read64(at);
}

bool FakePlatform::dirty(PhysAddr at, std::uint64_t bytes) const {
  const auto line = behind_.lower_bound(align_down(at, kLine));
  return line != behind_.end() && line->first < at + bytes;
}

void FakePlatform::write_back(PhysAddr at, std::uint64_t bytes) {
  ++write_backs;
  if (bytes == 0) return behind_.clear();
  behind_.erase(behind_.lower_bound(align_down(at, kLine)), behind_.lower_bound(at + bytes));
}

void FakePlatform::lose_cache() {
  const auto lost = std::exchange(behind_, {});
  for (const auto& [at, line] : lost)
    for (std::size_t i = 0; i < line.size(); ++i) write64(at + i * 8, line[i]);
}

void FakePlatform::order(FakeUnit& unit, std::uint64_t offset) {
  if (!before_order) return;
  for (const RegId id : {RegId::kGCMD, RegId::kIQT, RegId::kCCMD, RegId::kIOTLB})
    if (offset == offset_of(id, unit.profile)) before_order(unit, id);
}

void FakePlatform::lose_unpreserved_memory() {
  lose_cache();
  const PhysAddr tracker = reset_registers[platform::reset::kTracker / 8];
  const PhysAddr scratch = reset_registers[platform::reset::kScratchBase / 8];
  const std::uint64_t scratch_size = reset_registers[platform::reset::kScratchSize / 8];
  std::vector<PhysAddr> lost;
  for (const auto& [number, page] : pages_) {
    const PhysAddr at = number * kPageSize;
    if (in_window(at, scratch, scratch_size)) continue;
    const PhysAddr word = tracker == 0 ? 0 : abi::tracker_word([&](PhysAddr a) { return read64(a); }, tracker, at);
    if (word != 0 && (read64(word) & bit(platform::tracker::bit_of(at))) != 0) continue;
    lost.push_back(at);
  }
  for (const PhysAddr at : lost)
    for (std::uint64_t i = 0; i < kPageSize; i += 8) write64(at + i, poison);
}

std::vector<std::string> FakePlatform::take_unit_log() {
  return std::exchange(log_, {});
}

// ---- registers -----------------------------------------------------------------------------------------------

std::uint64_t FakePlatform::mmio_read(PhysAddr at, unsigned bytes) {
  clock += 10;
  for (unsigned i = 0; i < platform::kMaxUnits; ++i) {
    const PhysAddr base = platform::kUnitBase + i * platform::kUnitStride;
    if (in_window(at, base)) return unit_read(units[i], at - base, bytes);
  }
  if (in_window(at, platform::kTimerBase)) return clock;
  if (in_window(at, platform::kResetBase)) return reset_registers.at((at - platform::kResetBase) / 8);
  if (in_window(at, platform::kMailboxBase)) return mailbox_read(at - platform::kMailboxBase);
  if (in_window(at, platform::kEndpointBase, platform::kMaxEndpoints * platform::kEndpointStride)) {
    const std::uint64_t n = (at - platform::kEndpointBase) / platform::kEndpointStride;
    if (n >= endpoints_.size()) return 0;
    if (bytes != 8) return endpoints_[n].control;
    return at % platform::kEndpointStride == platform::endpoint::kAlias ? endpoints_[n].alias : endpoints_[n].id;
  }
  if (in_window(at, platform::kImageStoreBase, 2 * platform::kImageStoreStride)) {
    const auto& image = image_store[(at - platform::kImageStoreBase) / platform::kImageStoreStride];
    const std::uint64_t offset = (at - platform::kImageStoreBase) % platform::kImageStoreStride;
    std::uint64_t value = 0;
    if (offset + 8 <= image.size()) std::memcpy(&value, image.data() + offset, 8);
    return value;
  }
  ADD_FAILURE() << "register read at " << hex(at);
  return 0;
}

void FakePlatform::mmio_write(PhysAddr at, std::uint64_t value, unsigned bytes) {
  clock += 10;
  for (unsigned i = 0; i < platform::kMaxUnits; ++i) {
    const PhysAddr base = platform::kUnitBase + i * platform::kUnitStride;
    if (in_window(at, base)) return unit_write(units[i], at - base, value, bytes);
  }
  if (at == platform::kUartBase) {
    if (value != '\n') {
      line_ += static_cast<char>(value);
    } else {
      console_.push_back(std::exchange(line_, {}));
    }
  } else if (at == platform::kTimerBase + platform::timer::kSleep) {
    if (value == hal::kSecond) throw Stopped{};
    clock += value;
    for (FakeUnit& unit : units) {
      if (!unit.stuck || clock < unit.stuck_until) continue;
      unit.stuck = false;
      run_queue(unit);
    }
  } else if (at == platform::kResetBase + platform::reset::kCommand) {
    ++reset_registers[platform::reset::kBootCount / 8];
    throw ResetRequested{};
  } else if (in_window(at, platform::kResetBase)) {
    reset_registers.at((at - platform::kResetBase) / 8) = value;
  } else if (in_window(at, platform::kMailboxBase)) {
    mailbox_write(at - platform::kMailboxBase, value);
  } else if (at == platform::kCacheBase + platform::cache::kAddress) {
    cache_address_ = value;
  } else if (at == platform::kCacheBase + platform::cache::kWriteBack) {
    write_back(cache_address_, value);
  } else if (in_window(at, platform::kEndpointBase, platform::kMaxEndpoints * platform::kEndpointStride)) {
    endpoints_.at((at - platform::kEndpointBase) / platform::kEndpointStride).control =
        static_cast<std::uint32_t>(value);
  } else {
    ADD_FAILURE() << "register write at " << hex(at);
  }
}

std::uint64_t FakePlatform::mailbox_read(std::uint64_t offset) {
  namespace mb = platform::mailbox;
  if (offset == mb::kPolicy) return policy;
  if (offset >= mb::kDeviations && offset < mb::kDeviations + 8 * mb::kDeviationWords)
    return deviations[(offset - mb::kDeviations) / 8];
  if (offset == mb::kWait) {
    if (posted_ == script.size()) throw Stopped{};
    return ++posted_;
  }
  if (offset == mb::kCommand) return static_cast<std::uint64_t>(script.at(posted_ - 1).command);
  if (offset >= mb::kArg && offset < mb::kArg + mb::kArgs * 8) {
    const auto& args = script.at(posted_ - 1).args;
    const std::size_t n = (offset - mb::kArg) / 8;
    return n < args.size() ? args[n] : 0;
  }
  return mailbox.at(offset / 8);
}

void FakePlatform::mailbox_write(std::uint64_t offset, std::uint64_t value) {
  namespace mb = platform::mailbox;
  mailbox.at(offset / 8) = value;
  if (offset == mb::kStatus) script.at(posted_ - 1).status = static_cast<Status>(value);
  if (offset >= mb::kResult && offset < mb::kResult + mb::kResults * 8)
    script.at(posted_ - 1).results[(offset - mb::kResult) / 8] = value;
}

void FakePlatform::log_unit(std::uint64_t offset, const FakeUnit& unit, const std::uint64_t* written) {
  std::string name = hex(offset);
  for (const Register& r : kRegisters)
    if (r.offset == offset) name = r.name;
  if (offset == offset_of(RegId::kIVA, unit.profile)) name = "IVA";
  if (offset == offset_of(RegId::kIOTLB, unit.profile)) name = "IOTLB";
  const std::string line = written == nullptr ? name : name + " <- " + hex(*written);
  if (written == nullptr && !log_.empty() && log_.back() == line) return;
  log_.push_back(line);
}

std::uint64_t FakePlatform::unit_read(FakeUnit& unit, std::uint64_t offset, unsigned bytes) {
  log_unit(offset, unit, nullptr);
  if (unit.real_read) return unit.real_read(offset, bytes);
  if (offset == info(RegId::kVER).offset) return reg::kMAX.of(1);
  if (offset == info(RegId::kCAP).offset) return cap_value(unit.profile);
  if (offset == info(RegId::kECAP).offset) return ecap_value(unit.profile);
  return unit.registers[offset];
}

void FakePlatform::unit_write(FakeUnit& unit, std::uint64_t offset, std::uint64_t value, unsigned bytes) {
  log_unit(offset, unit, &value);
  ++unit_writes_;
  order(unit, offset);
  if (unit.real_write) return unit.real_write(offset, value, bytes);
  auto& status = unit.registers[info(RegId::kGSTS).offset];
  if (offset == info(RegId::kGCMD).offset) {
    if (gsts::kTES.get(status) == 1 && gcmd::kTE.get(value) == 0) ++unit.te_drops;
    status = (status & gsts::kRTPS.mask()) | (value & gcmd::kPersistent) | (value & gcmd::kSRTP.mask());
  } else if (offset == info(RegId::kIQT).offset) {
    unit.registers[offset] = value;
    if (gsts::kQIES.get(status) != 0) run_queue(unit);
  } else if (offset == info(RegId::kIQA).offset) {
    unit.registers[offset] = value;
    unit.registers[info(RegId::kIQH).offset] = 0;
  } else if (offset == info(RegId::kCCMD).offset) {
    unit.registers[offset] = value & ~ccmd::kICC.mask();
  } else if (offset == offset_of(RegId::kIOTLB, unit.profile)) {
    unit.registers[offset] = value & ~iotlb_reg::kIVT.mask();
  } else if (offset == info(RegId::kFSTS).offset) {
    unit.registers[offset] &= ~value;
  } else if (offset >= unit.profile.fault_record_offset) {
    unit.registers[offset] &= ~(value & frcd::kF.mask());
  } else {
    unit.registers[offset] = value;
  }
}

void FakePlatform::run_queue(FakeUnit& unit) {
  if (unit.stuck) return;
  auto& head = unit.registers[info(RegId::kIQH).offset];
  const std::uint64_t tail = unit.registers[info(RegId::kIQT).offset];
  const std::uint64_t queue = unit.registers[info(RegId::kIQA).offset];
  const PhysAddr ring = iq::kIQA.in_place(queue);
  const unsigned bytes = iq::kDW.get(queue) != 0 ? kDescriptorBytes256 : kDescriptorBytes128;
  while (head != tail) {
    Record128 d;
    d.words = {read64(ring + head), read64(ring + head + 8)};
    unit.descriptors.push_back(d);
    if (d.get(descriptor::kTYPE) == static_cast<std::uint64_t>(DescriptorType::kWait)) {
      const PhysAddr at = d.address(descriptor::wait::kSTATUS_ADDR);
      const std::uint64_t data = d.get(descriptor::wait::kSTATUS_DATA);
      write32(at, static_cast<std::uint32_t>(data));
    }
    head = (head + bytes) % kPageSize;
  }
}

// ---- the machine ---------------------------------------------------------------------------------------------

Machine::Machine() {
  platform.add_endpoint(kD1);
  platform.add_endpoint(kD2);
  platform.add_endpoint(kD3);
  platform.policy = platform::policy::kVerify.of(1);
}

void Machine::make_scalable() {
  namespace e = platform::endpoint;
  for (FakeUnit& unit : platform.units) {
    Profile& p = unit.profile;
    p.scalable_mode = p.second_stage = p.first_stage = p.nesting = p.first_stage_5 = true;
    p.pasid = p.device_tlb = p.page_requests = true;
  }
  platform.policy |= platform::policy::kScalable.mask();
  platform.endpoint(kD1).id |= e::kAts.of(1) | e::kPri.of(1) | e::kPasidBits.of(20);
  platform.endpoint(kD2).id |= e::kPasidBits.of(8);
}

void Machine::boot(ImageLetter image) {
  iommu_ = std::make_unique<Iommu>();
  live_update_ = std::make_unique<LiveUpdate>(*iommu_, image);
  server_ = std::make_unique<Server>(*iommu_, *live_update_);
  live_update_->boot();
}

Server::Reply Machine::run(platform::Command command, std::initializer_list<std::uint64_t> args) {
  Server::Args a{};
  std::copy(args.begin(), args.end(), a.begin());
  return server_->execute(command, a);
}

void Machine::plan(platform::FailPlace place, std::uint64_t turn) {
  namespace mb = platform::mailbox;
  for (const std::uint64_t value :
       {std::uint64_t{0}, mb::kFailPlace.of(static_cast<std::uint64_t>(place)) | mb::kFailTurn.of(turn)}) {
    platform.mailbox.at(mb::kFail / 8) = value;
    plan_failure();
  }
}

std::uint64_t Machine::ask(platform::Query what, std::uint64_t id, std::size_t result) {
  const Server::Reply reply = run(platform::Command::kQuery, {static_cast<std::uint64_t>(what), id});
  EXPECT_EQ(reply.status, Status::kOk);
  return reply.results.at(result);
}

void Machine::set_up_device() {
  using enum platform::Command;
  ASSERT_EQ(status(kAddMemory, {1, platform::kGuestBase, 0x10000}), Status::kOk);
  ASSERT_EQ(status(kCreateDomain, {1, 4}), Status::kOk);
  ASSERT_EQ(status(kMap, {1, 0x10000, 1, 0, 0x10000, 3, 1}), Status::kOk);
  ASSERT_EQ(status(kAttach, {kD1.value, 1}), Status::kOk);
  ASSERT_EQ(status(kClaimOwner, {kD1.value, 0x77}), Status::kOk);
}

void Machine::preserve_all() {
  using enum platform::Command;
  ASSERT_EQ(status(kSessionOpen, {1}), Status::kOk);
  ASSERT_EQ(status(kPreserveMemory, {1, 1, 1}), Status::kOk);
  ASSERT_EQ(preserve_domain(1, 2, 1), Status::kOk);
  ASSERT_EQ(status(kPreserveDevice, {1, 3, kD1.value}), Status::kOk);
}

Status Machine::preserve_domain(std::uint64_t session, std::uint64_t token, std::uint64_t domain) {
  using enum platform::Command;
  const Status marked = status(kMarkDomain, {domain, token});
  if (marked != Status::kOk) return marked;
  return status(kPreserveIommufd, {session, token});
}

void Machine::take_over() {
  using enum platform::Command;
  for (const std::uint64_t token : {1U, 2U, 3U}) ASSERT_EQ(status(kRetrieve, {1, token}), Status::kOk);
  ASSERT_EQ(status(kTransferOwner, {kD1.value, 0x77}), Status::kOk);
  ASSERT_EQ(status(kReclaimDomain, {2}), Status::kOk);
}

void Machine::clean() {
  using enum platform::Command;
  ASSERT_EQ(status(kFreeze), Status::kOk);
  ASSERT_EQ(status(kShutdown), Status::kOk);
}

void Machine::go_down() {
  using enum platform::Command;
  clean();
  ASSERT_THROW(static_cast<void>(status(kReboot)), ResetRequested);
  platform.lose_unpreserved_memory();
  static_cast<void>(platform.take_unit_log());
}

bool Machine::start_next() {
  try {
    boot(ImageLetter::kB);
    return true;
  } catch (const Stopped&) {
    return false;
  }
}

PhysAddr Machine::field(std::string_view record, std::uint64_t index, std::string_view name) {
  const abi::FieldInfo* info = abi::find_field(record, name);
  const auto at = abi::find_record([&](PhysAddr a) { return platform.read64(a); },
                                   platform.reset_registers[platform::reset::kHandover / 8], record, index);
  if (info == nullptr || !at) throw std::out_of_range("no such field");
  return *at + info->offset;
}

void Machine::set_field(std::string_view record, std::uint64_t index, std::string_view name, std::uint64_t value) {
  const PhysAddr at = field(record, index, name);
  if (abi::find_field(record, name)->bytes == 8) return platform.write64(at, value);
  const PhysAddr word = align_down(at, 8);
  const auto low = static_cast<std::uint16_t>((at - word) * 8);
  const Field half{"half", static_cast<std::uint16_t>(low + 31), low};
  platform.write64(word, half.with(platform.read64(word), value));
}

std::uint64_t Machine::get_field(std::string_view record, std::uint64_t index, std::string_view name) {
  const PhysAddr at = field(record, index, name);
  const std::uint64_t word = platform.read64(align_down(at, 8));
  if (abi::find_field(record, name)->bytes == 8) return word;
  return is_aligned(at, 8) ? word & bit_range(31, 0) : word >> 32;
}

void Machine::drop_from_tracker(PhysAddr page) {
  const PhysAddr tracker = platform.reset_registers[platform::reset::kTracker / 8];
  const PhysAddr at = tracker_word(tracker, page);
  ASSERT_NE(platform.read64(at) & bit(platform::tracker::bit_of(page)), 0U) << "page was not preserved";
  platform.write64(at, platform.read64(at) & ~bit(platform::tracker::bit_of(page)));
  for (std::uint64_t i = 0; i < kPageSize; i += 8) platform.write64(page + i, platform.poison);
}

}  // namespace vtd::fw::test
