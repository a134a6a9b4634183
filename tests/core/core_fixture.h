// SPDX-License-Identifier: MIT
// A unit with a fake host, and the few things that every test of the core does: tables, registers, DMA.
#pragma once

#include <gtest/gtest.h>

#include <memory>

#include "tests/core/fake_host.h"
#include "tlm/core/unit.h"
#include "tlm/spec/paging.h"

namespace vtd::test {

inline constexpr PhysAddr kRootTable = 0x10000;
inline constexpr PhysAddr kContextTables = 0x20000;  ///< one 4 KiB table per bus
inline constexpr PhysAddr kPageTables = 0x1000000;   ///< allocated upwards
inline constexpr PhysAddr kQueueBase = 0x40000;
inline constexpr PhysAddr kStatus = 0x60000;
inline constexpr SourceId kNic = make_source_id(0, 3, 0);
inline constexpr SourceId kDisk = make_source_id(0, 4, 0);
inline constexpr DomainId kDomainA{5};
inline constexpr DomainId kDomainB{6};

/// Records observer events that tests look at.
class EventLog : public Observer {
 public:
  unsigned restarts = 0;
  unsigned ended = 0;
  std::vector<Invalidation> begun;
  std::vector<Invalidation> completed;
  std::vector<std::uint32_t> waits;
  std::vector<Fault> faults;
  std::vector<std::pair<RegId, std::uint64_t>> registers;
  void on_restart(const DmaRequest&) override { ++restarts; }
  void on_end(const DmaRequest&) override { ++ended; }
  void on_invalidation_begin(const Invalidation& i) override { begun.push_back(i); }
  void on_invalidation_end(const Invalidation& i) override { completed.push_back(i); }
  void on_wait_complete(std::uint32_t data) override { waits.push_back(data); }
  void on_fault(const Fault& fault) override { faults.push_back(fault); }
  void on_register(RegId id, std::uint64_t value) override { registers.emplace_back(id, value); }
};

class CoreFixture : public ::testing::Test {
 protected:
  CoreFixture() { build(Profile{}); }

  /// Makes a fresh unit; memory and logs start empty.
  void build(const Profile& p, const CacheConfig& caches = {}) {
    profile = p;
    unit.reset();
    log = std::make_unique<EventLog>();
    host = std::make_unique<FakeHost>(walker_config(p), tasks);
    unit = std::make_unique<UnitCore>(profile, caches, *host, *log, 1);
    next_table = kPageTables;
  }

  /// What tags legacy translations of a domain.
  static AddressSpace space_of(DomainId domain) {
    AddressSpace space;
    space.domain = domain;
    return space;
  }

  // ---- tables ----
  void set_record(PhysAddr address, const Record128& record) {
    host->words[address] = record.words[0];
    host->words[address + 8] = record.words[1];
  }
  static PhysAddr root_entry_address(SourceId source) {
    return kRootTable + std::uint64_t{source.bus()} * root::kBytes;
  }
  static PhysAddr context_entry_address(SourceId source) {
    return kContextTables + source.bus() * kPageSize + std::uint64_t{source.devfn()} * ctx::kBytes;
  }
  ctx::Entry context_entry(DomainId domain, PhysAddr table, unsigned levels = 4,
                           TranslationType type = TranslationType::kUntranslated) const {
    ctx::Entry entry;
    entry.set(ctx::kP, 1).set(ctx::kTT, static_cast<std::uint64_t>(type)).set_address(ctx::kSSPTPTR, table);
    return entry.set(ctx::kAW, aw_of_levels(levels)).set(ctx::kDID, domain.value);
  }
  void set_context(SourceId source, const ctx::Entry& entry) {
    root::Entry root_entry;
    root_entry.set(root::kP, 1).set_address(root::kCTP, kContextTables + source.bus() * kPageSize);
    set_record(root_entry_address(source), root_entry);
    set_record(context_entry_address(source), entry);
  }
  PhysAddr new_table() {
    const PhysAddr table = next_table;
    next_table += kPageSize;
    return table;
  }
  static std::uint64_t rights(bool read, bool write) { return ss::kR.of(read ? 1 : 0) | ss::kW.of(write ? 1 : 0); }
  /// Maps one page of `leaf_level` in a table of `levels`; returns the address of the leaf entry.
  PhysAddr map(PhysAddr table, Iova iova, PhysAddr page, std::uint64_t leaf_rights = rights(true, true),
               unsigned leaf_level = 1, unsigned levels = 4) {
    for (unsigned level = levels; level > leaf_level; --level) {
      std::uint64_t& entry = host->words[entry_address(table, iova, level)];
      if (entry == 0) entry = new_table() | rights(true, true);
      table = ss::kADDR.in_place(entry);
    }
    const PhysAddr leaf = entry_address(table, iova, leaf_level);
    host->words[leaf] = page | leaf_rights | ss::kPS.of(leaf_level > 1 ? 1 : 0);
    return leaf;
  }

  // ---- registers ----
  [[nodiscard]] std::uint64_t reg(RegId id) const { return unit->register_value(id); }
  [[nodiscard]] std::uint64_t read(RegId id) const { return unit->read(offset_of(id, profile), info(id).bits / 8U); }
  void write(RegId id, std::uint64_t value) { unit->write(offset_of(id, profile), value, info(id).bits / 8U); }
  void write_low(RegId id, std::uint64_t value) { unit->write(offset_of(id, profile), value, 4); }
  void write_high(RegId id, std::uint64_t value) { unit->write(offset_of(id, profile) + 4, value, 4); }
  /// Runs woken engines until nothing is woken.
  void pump() {
    while (host->command_woken || host->queue_woken) {
      if (std::exchange(host->command_woken, false)) unit->run(Engine::kCommand);
      if (std::exchange(host->queue_woken, false)) unit->run(Engine::kQueue);
    }
  }
  /// Writes GCMD as software does: status without one-shot bits, plus or minus one change.
  void command_on(const Field& bit) {
    write(RegId::kGCMD, (reg(RegId::kGSTS) & gcmd::kPersistent) | bit.mask());
    pump();
  }
  void command_off(const Field& bit) {
    write(RegId::kGCMD, reg(RegId::kGSTS) & gcmd::kPersistent & ~bit.mask());
    pump();
  }
  void set_root(PhysAddr table = kRootTable, TableMode mode = TableMode::kLegacy) {
    write(RegId::kRTADDR, table | rtaddr::kTTM.of(static_cast<std::uint64_t>(mode)));
    command_on(gcmd::kSRTP);
  }
  void enable() {
    set_root();
    command_on(gcmd::kTE);
  }
  void enable_queue(std::uint64_t iqa = kQueueBase) {
    write(RegId::kIQA, iqa);
    command_on(gcmd::kQIE);
  }
  [[nodiscard]] std::uint64_t status(const Field& f) const { return f.get(reg(RegId::kGSTS)); }
  [[nodiscard]] std::uint64_t fault_status(const Field& f) const { return f.get(reg(RegId::kFSTS)); }

  // ---- DMA ----
  static DmaRequest dma_read(SourceId source, Iova address) {
    return {.source = source, .address = address, .length = 4};
  }
  static DmaRequest dma_write(SourceId source, Iova address) {
    return {.source = source, .address = address, .length = 4, .access = Access::kWrite};
  }
  Result<Translation> dma(const DmaRequest& request) {
    Ticket ticket = unit->accept(request);
    return unit->translate(ticket);
  }
  /// Reason of a DMA that must fault.
  FaultReason fault_of(const DmaRequest& request) {
    const auto result = dma(request);
    EXPECT_FALSE(result.ok());
    return result.ok() ? FaultReason::kNone : result.fault().reason;
  }
  /// Address that a DMA that must succeed goes to.
  PhysAddr address_of(const DmaRequest& request) {
    const auto result = dma(request);
    EXPECT_TRUE(result.ok());
    return result.ok() ? result->address : ~PhysAddr{0};
  }

  // ---- invalidations ----
  void invalidate_context_register(std::uint64_t ccmd_value) { write(RegId::kCCMD, ccmd::kICC.of(1) | ccmd_value); }
  void invalidate_iotlb_register(std::uint64_t iotlb_value, std::uint64_t iva_value = 0) {
    write(RegId::kIVA, iva_value);
    write(RegId::kIOTLB, iotlb_reg::kIVT.of(1) | iotlb_value);
  }
  static std::uint64_t ccmd_global() { return ccmd::kCIRG.of(1); }
  static std::uint64_t iotlb_global() { return iotlb_reg::kIIRG.of(1); }
  static std::uint64_t iotlb_domain(DomainId domain) {
    return iotlb_reg::kIIRG.of(2) | iotlb_reg::kDID.of(domain.value);
  }
  static std::uint64_t iotlb_page(DomainId domain) { return iotlb_reg::kIIRG.of(3) | iotlb_reg::kDID.of(domain.value); }

  Tasks tasks;
  Profile profile;
  std::unique_ptr<FakeHost> host;
  std::unique_ptr<EventLog> log;
  std::unique_ptr<UnitCore> unit;
  PhysAddr next_table = kPageTables;
};

}  // namespace vtd::test
