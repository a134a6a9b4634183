// SPDX-License-Identifier: MIT
#include "tlm/soc/dram.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <iterator>
#include <stdexcept>
#include <vector>

#include "tlm/spec/types.h"

namespace vtd::soc {
namespace {

/// Pages of `file`, or zeroed ones (-1), that belong to nobody else; `where` nullptr: anywhere.
std::uint8_t* map_private(std::uint8_t* where, std::uint64_t bytes, int file) {
  const int flags = MAP_PRIVATE | MAP_NORESERVE | (file < 0 ? MAP_ANONYMOUS : 0) | (where != nullptr ? MAP_FIXED : 0);
  void* memory = mmap(where, bytes, PROT_READ | PROT_WRITE, flags, file, 0);
  if (memory == MAP_FAILED) throw std::runtime_error("the host has no room for the platform's memory");
  return static_cast<std::uint8_t*>(memory);
}

}  // namespace

SharedBlock::SharedBlock(const std::function<std::uint64_t()>& next) : file_(memfd_create("block", MFD_CLOEXEC)) {
  std::vector<std::uint64_t> words(kBytes / sizeof(std::uint64_t));
  std::generate(words.begin(), words.end(), next);
  const auto* from = reinterpret_cast<const std::uint8_t*>(words.data());
  for (std::uint64_t done = 0; done < kBytes;) {
    const ssize_t written = file_ < 0 ? -1 : ::write(file_, from + done, kBytes - done);
    if (written <= 0) {
      if (file_ >= 0) close(file_);
      throw std::runtime_error("the host has no room for a block of shared memory");
    }
    done += static_cast<std::uint64_t>(written);
  }
  data_ = map_private(nullptr, kBytes, file_);
}

SharedBlock::~SharedBlock() {
  munmap(data_, kBytes);
  close(file_);
}

void SharedBlock::map_at(std::uint8_t* where) const {
  map_private(where, kBytes, file_);
}

HostMemory::HostMemory(std::uint64_t bytes) : data_(map_private(nullptr, bytes, -1)), size_(bytes) {}

HostMemory::~HostMemory() {
  if (data_ != nullptr) munmap(data_, size_);
}

void HostMemory::clear() {
  if (data_ != nullptr) map_private(data_, size_, -1);
}

void HostMemory::fill(std::uint64_t address, std::uint64_t bytes, const SharedBlock& block) {
  for (const std::uint64_t end = address + bytes; address < end;) {
    const std::uint64_t offset = address % SharedBlock::kBytes;
    const std::uint64_t part = std::min(end - address, SharedBlock::kBytes - offset);
    if (part == SharedBlock::kBytes)
      block.map_at(data_ + address);
    else
      std::memcpy(data_ + address, block.data() + offset, part);
    address += part;
  }
}

void HostMemory::copy_from(const HostMemory& other) {
  for (std::uint64_t at = 0; at < size_; at += kPageSize) {
    const std::uint64_t bytes = std::min(kPageSize, size_ - at);
    if (std::memcmp(data_ + at, other.data_ + at, bytes) != 0) std::memcpy(data_ + at, other.data_ + at, bytes);
  }
}

Dram::Dram(sc_core::sc_module_name name, std::uint64_t bytes, const sc_core::sc_time& latency)
    : sc_module(name), data_(bytes), latency_(latency) {
  socket.register_b_transport(this, &Dram::transport);
  socket.register_transport_dbg(this, &Dram::debug);
  socket.register_get_direct_mem_ptr(this, &Dram::direct);
}

std::uint64_t Dram::peek(std::uint64_t address) const {
  if (!inside(address, sizeof(std::uint64_t))) throw std::out_of_range("address outside DRAM");
  std::uint64_t value = 0;
  std::memcpy(&value, data_.data() + address, sizeof value);
  return value;
}

void Dram::poke(std::uint64_t address, std::uint64_t value) {
  load(address, {reinterpret_cast<const std::uint8_t*>(&value), sizeof value});
}

void Dram::load(std::uint64_t address, std::span<const std::uint8_t> bytes) {
  if (!inside(address, bytes.size())) throw std::out_of_range("address outside DRAM");
  std::memcpy(data_.data() + address, bytes.data(), bytes.size());
  if (!coherent()) std::memcpy(written_back_.data() + address, bytes.data(), bytes.size());
}

void Dram::clear() {
  data_.clear();
  written_back_.clear();
  dirty_.clear();
}

void Dram::lose(std::uint64_t address, std::uint64_t bytes, const SharedBlock& poison) {
  if (!inside(address, bytes)) throw std::out_of_range("address outside DRAM");
  data_.fill(address, bytes, poison);
  if (!coherent()) written_back_.fill(address, bytes, poison);
}

void Dram::make_non_coherent(std::uint64_t seed, Evictions evictions) {
  written_back_ = HostMemory(data_.size());
  written_back_.copy_from(data_);
  evictions_ = evictions;
  random_.seed(seed);
}

void Dram::cpu_wrote(std::uint64_t address, std::uint64_t bytes) {
  if (coherent() || bytes == 0) return;
  const std::uint64_t first = address / kLine;
  const std::uint64_t last = (address + bytes - 1) / kLine;
  // Room first: lines that are being written now may not have their contents yet, and must stay dirty.
  for (std::uint64_t line = first; line <= last; ++line)
    if (!dirty_.contains(line)) make_room();
  for (std::uint64_t line = first; line <= last; ++line) dirty_.insert(line);
}

void Dram::make_room() {
  constexpr std::uint64_t kLinesPerEviction = 64;
  if (evictions_ == Evictions::kNone || random_() % kLinesPerEviction != 0 || dirty_.empty()) return;
  const auto victim = std::next(dirty_.begin(), static_cast<std::ptrdiff_t>(random_() % dirty_.size()));
  ++counters_.evicted;
  write_back_line(*victim);
  dirty_.erase(victim);
}

void Dram::write_back(std::uint64_t address, std::uint64_t bytes) {
  if (coherent() || address >= data_.size()) return;
  if (bytes != 0) bytes = std::min(bytes, data_.size() - address);
  const auto first = bytes == 0 ? dirty_.begin() : dirty_.lower_bound(address / kLine);
  const auto last = bytes == 0 ? dirty_.end() : dirty_.upper_bound((address + bytes - 1) / kLine);
  for (auto line = first; line != last; ++line) {
    ++counters_.written_back;
    write_back_line(*line);
  }
  dirty_.erase(first, last);
}

void Dram::write_back_line(std::uint64_t line) {
  std::memcpy(written_back_.data() + line * kLine, data_.data() + line * kLine, kLine);
}

void Dram::lose_cache() {
  for (const std::uint64_t line : dirty_)
    std::memcpy(data_.data() + line * kLine, written_back_.data() + line * kLine, kLine);
  counters_.lost += dirty_.size();
  dirty_.clear();
}

void Dram::stall() {
  stalled_ = true;
  revoke();
}

void Dram::release() {
  stalled_ = false;
  released_.notify(sc_core::SC_ZERO_TIME);
}

void Dram::slow(const sc_core::sc_time& extra) {
  extra_ = extra;
  revoke();
}

void Dram::fail_range(std::uint64_t first, std::uint64_t last) {
  fail_first_ = first;
  fail_last_ = last;
  revoke();
}

bool Dram::inside(std::uint64_t address, std::uint64_t bytes) const {
  return address <= data_.size() && bytes <= data_.size() - address;
}

bool Dram::failing(std::uint64_t address, std::uint64_t bytes) const {
  return fail_first_ <= fail_last_ && address <= fail_last_ && address + (bytes - 1) >= fail_first_;
}

bool Dram::troubled() const {
  return !coherent() || stalled_ || extra_ != sc_core::SC_ZERO_TIME || fail_first_ <= fail_last_;
}

void Dram::revoke() {
  socket->invalidate_direct_mem_ptr(0, data_.size() - 1);
}

void Dram::transport(tlm::tlm_generic_payload& trans, sc_core::sc_time& delay) {
  if (stalled_) {
    wait(delay);
    delay = sc_core::SC_ZERO_TIME;
    while (stalled_) wait(released_);
  }
  delay += latency_ + extra_;
  const std::uint64_t address = trans.get_address();
  const unsigned bytes = trans.get_data_length();
  if (!inside(address, bytes) || failing(address, bytes))
    return trans.set_response_status(tlm::TLM_ADDRESS_ERROR_RESPONSE);
  if (trans.get_byte_enable_ptr() != nullptr) return trans.set_response_status(tlm::TLM_BYTE_ENABLE_ERROR_RESPONSE);
  move(trans);
  trans.set_dmi_allowed(!troubled());
  trans.set_response_status(tlm::TLM_OK_RESPONSE);
}

void Dram::move(tlm::tlm_generic_payload& trans) {
  auto* tag = trans.get_extension<MemoryTag>();
  if (tag != nullptr && tag->kind == MemoryKind::kUpdate && trans.get_data_length() == sizeof(std::uint64_t))
    return compare_exchange(trans, *tag);
  const std::uint64_t address = trans.get_address();
  const unsigned bytes = trans.get_data_length();
  const bool walk = tag != nullptr && tag->kind == MemoryKind::kTable && !coherent();
  if (trans.is_read()) {
    std::memcpy(trans.get_data_ptr(), (walk ? written_back_ : data_).data() + address, bytes);
    return;
  }
  std::memcpy(data_.data() + address, trans.get_data_ptr(), bytes);
  if (!coherent()) std::memcpy(written_back_.data() + address, trans.get_data_ptr(), bytes);
}

void Dram::compare_exchange(tlm::tlm_generic_payload& trans, MemoryTag& tag) {
  const std::uint64_t address = trans.get_address();
  std::uint64_t seen = 0;
  std::memcpy(&seen, (coherent() ? data_ : written_back_).data() + address, sizeof seen);
  tag.observed = seen;
  if (seen != tag.expected) return;
  if (!coherent()) std::memcpy(written_back_.data() + address, trans.get_data_ptr(), sizeof seen);
  // A line that the CPU has changed keeps its own contents.
  if (!dirty_.contains(address / kLine)) std::memcpy(data_.data() + address, trans.get_data_ptr(), sizeof seen);
}

unsigned Dram::debug(tlm::tlm_generic_payload& trans) {
  const std::uint64_t address = trans.get_address();
  const unsigned bytes = trans.get_data_length();
  if (!inside(address, bytes)) return 0;
  move(trans);
  return bytes;
}

bool Dram::direct(tlm::tlm_generic_payload&, tlm::tlm_dmi& dmi) {
  dmi.set_start_address(0);
  dmi.set_end_address(data_.size() - 1);
  if (troubled()) {
    dmi.allow_none();
    return false;
  }
  dmi.set_dmi_ptr(data_.data());
  dmi.set_read_latency(latency_);
  dmi.set_write_latency(latency_);
  dmi.allow_read_write();
  return true;
}

}  // namespace vtd::soc
