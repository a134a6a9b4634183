// SPDX-License-Identifier: MIT
#include "tlm/core/unit.h"

#include <stdexcept>

#include "tlm/core/entry_rules.h"
#include "tlm/core/paging_walk.h"
#include "tlm/core/profile_check.h"

namespace vtd {
namespace {

Translation untranslated(const DmaRequest& request) {
  return {.address = request.address, .readable = true, .writable = true, .remapped = false};
}

Translation identity(const DmaRequest& request) {
  return {.address = request.address, .readable = true, .writable = true};
}

WalkRequest walk_request(const ContextEntry& context, const AddressSpace& space, const DmaRequest& request) {
  WalkRequest walk;
  walk.kind = space.kind;
  walk.domain = space.domain;
  walk.root = space.second_root;
  walk.levels = space.second_levels;
  walk.iova = align_down(request.address, kPageSize);
  walk.access = request.access;
  if (!space.scalable()) return walk;
  walk.pasid = space.pasid;
  walk.first_root = space.first_root;
  walk.first_levels = space.first_levels;
  walk.privileged = is_privileged(context, request);
  walk.execute = request.execute;
  walk.report_rights = request.type == AddressType::kTranslationRequest;
  walk.write_protect = space.write_protect;
  walk.accessed_dirty = space.accessed_dirty;
  walk.extended_accessed = space.extended_accessed;
  walk.walk_snoop = space.walk_snoop;
  return walk;
}

Asked asked_by(const ContextEntry& context, const AddressSpace& space, const DmaRequest& request) {
  return {request.access, is_privileged(context, request), request.execute, space.write_protect};
}

/// Checks on the way out: rights (a translation request is told them), then the interrupt range of the exact address
/// (not of the page).
FaultReason leaf_fault(const IotlbEntry& leaf, const Asked& asked, bool scalable, const DmaRequest& request,
                       bool zero_length_read) {
  if (request.type != AddressType::kTranslationRequest) {
    const FaultReason reason = scalable ? scalable_rights_fault(asked, leaf.rights(), zero_length_read)
                                        : rights_fault(request.access, leaf.readable, leaf.writable, zero_length_read);
    if (reason != FaultReason::kNone) return reason;
  }
  if (!in_interrupt_range(leaf.translate(request.address))) return FaultReason::kNone;
  return scalable ? FaultReason::kSmInterruptRange : FaultReason::kInterruptRange;
}

Translation through(const IotlbEntry& leaf, const Asked& asked, bool page_snoop, const DmaRequest& request, bool hit) {
  const bool reachable = asked.privileged || leaf.user;
  Translation result;
  result.address = leaf.translate(request.address);
  result.page_size = leaf.page_size();
  result.readable = reachable && leaf.readable;
  result.writable = reachable && may_write(asked, leaf.rights());
  // A device that is told W writes without asking again: only where D need not be set any more.
  if (request.type == AddressType::kTranslationRequest && leaf.clean) result.writable = false;
  result.executable = asked.execute && leaf.executable && result.readable;
  result.privileged = asked.privileged;
  result.snoop = leaf.snoop || page_snoop;
  result.iotlb_hit = hit;
  return result;
}

/// What can be said of a request from the latched root pointer alone (VT-d 7.1.3).
FaultReason mode_fault(const Profile& profile, const RootPointer& root, const DmaRequest& request) {
  if (root.mode == TableMode::kScalable && profile.scalable_mode) return FaultReason::kNone;
  if (root.mode != TableMode::kLegacy) return FaultReason::kRootTableAddressInvalid;
  if (request.page_request) return FaultReason::kPageGroupUnderLegacy;
  return request.pasid ? FaultReason::kPasidUnderLegacy : FaultReason::kNone;
}

/// Entries that are not present may be cached only with CM=1 (VT-d 6.1); they are tagged with DID 0.
bool cacheable(const ContextEntry& entry, const Profile& profile) {
  const bool absent = entry.fault == FaultReason::kContextNotPresent || entry.fault == FaultReason::kRootNotPresent;
  return entry.fault == FaultReason::kNone || (absent && profile.caching_mode);
}

/// Faults of second-stage walks that CM=1 allows to cache.
bool cacheable(FaultReason reason) {
  return reason == FaultReason::kReadPermission || reason == FaultReason::kWritePermission ||
         reason == FaultReason::kSsNotPresent;
}

bool meets_interrupt_range(std::uint64_t first, std::uint64_t size) {
  return first < kInterruptBase + kInterruptSize && first + (size - 1) >= kInterruptBase;
}

/// Walks as often as the request needs: a legacy walk judges the rights of one access, the answer to a translation
/// request tells both.
template <typename Run>
auto for_all_rights(const DmaRequest& request, WalkRequest walk, Run run) {
  if (walk.kind != WalkKind::kLegacy || request.type != AddressType::kTranslationRequest) return run(walk);
  walk.access = Access::kRead;
  const auto leaf = run(walk);
  if (leaf.fault != FaultReason::kReadPermission) return leaf;
  walk.access = Access::kWrite;
  return run(walk);
}

Fault refuse(const DmaRequest& request, FaultReason reason) {
  return {.reason = reason, .source = request.source, .address = request.address, .access = request.access};
}

/// The end of a request that may not go on: a fault, or the answer "not mapped" to a translation request.
Result<Translation> stop(const DmaRequest& request, FaultReason reason) {
  if (request.type != AddressType::kTranslationRequest || !info(reason).recoverable) return refuse(request, reason);
  return Translation{.address = request.address};
}

const Profile& checked(const Profile& profile) {
  check_profile(profile);
  return profile;
}

}  // namespace

UnitCore::UnitCore(const Profile& profile, const CacheConfig& caches, Host& host, Observer& observer,
                   std::uint64_t seed)
    : state_(checked(profile), caches, host, profile.performance_counters ? observers_ : observer, seed),
      faults_(state_),
      invalidator_(state_),
      queue_(state_, faults_, invalidator_),
      register_invalidation_(state_, invalidator_, queue_),
      control_(state_, invalidator_, queue_),
      interrupts_(state_),
      page_requests_(state_),
      protected_memory_(state_),
      walks_(state_) {
  if (profile.performance_counters) {
    observers_.add(observer);
    observers_.add(performance_);
    performance_.join(state_);
  }
  state_.registers.on_write([this](const RegisterWrite& write) { on_write(write); });
  state_.registers.on_record_write([this](unsigned) { faults_.record_written(); });
}

// ---- the path of a request ---------------------------------------------------------------------------------

Ticket UnitCore::accept(const DmaRequest& request) {
  ++state_.statistics.accepted;
  Flight flight;
  flight.request = request;
  flight.generation = state_.generation;
  flight.remapped = is_interrupt_request(request) ? state_.interrupt_remapping : state_.remapping;
  flight.epoch = state_.log.now();
  return {state_.in_flight, state_.in_flight.add(flight)};
}

class UnitCore::CachedLookup {
 public:
  CachedLookup(UnitCore& unit, Flight& flight) : unit_(unit), flight_(flight) {}
  [[nodiscard]] bool remapped() const { return flight_.remapped; }
  Result<Translation> interrupt() { return unit_.interrupts_.remap(flight_); }
  ContextEntry context(const RootPointer& root) { return unit_.context_of(flight_, root); }
  AddressSpace space(const ContextEntry& context) { return unit_.space_of(flight_, context); }
  Leaf leaf(const ContextEntry& context, const AddressSpace& space) { return unit_.leaf_of(flight_, context, space); }

 private:
  UnitCore& unit_;
  Flight& flight_;
};

Result<Translation> UnitCore::translate(Ticket& ticket) {
  Flight& flight = *ticket.position_;
  begin_pass(flight);
  for (;;) {
    const Result<Translation> outcome = path(flight.request, CachedLookup(*this, flight));
    if (flight.generation != state_.generation) return abort(flight);
    if (!abandoned(flight)) return finish(flight, outcome);
    restart(flight);
  }
}

template <typename Lookup>
Result<Translation> UnitCore::path(const DmaRequest& request, Lookup lookup) const {
  const RootPointer root = state_.root;  // the whole pass sees one root, old or new
  if (is_interrupt_request(request)) return lookup.interrupt();
  if (!lookup.remapped()) {
    if (request.type == AddressType::kTranslationRequest) return refuse(request, FaultReason::kNone);
    if (protected_memory_.blocks(request.address, request.length)) return refuse(request, FaultReason::kNone);
    return untranslated(request);
  }
  if (root.mode == TableMode::kAbortDma && state_.profile.abort_dma) return refuse(request, FaultReason::kNone);
  if (const auto reason = mode_fault(state_.profile, root, request); reason != FaultReason::kNone)
    return stop(request, reason);

  const ContextEntry context = lookup.context(root);
  if (context.fault != FaultReason::kNone) return stop(request, context.fault);
  if (const auto reason = context_fault(context, request); reason != FaultReason::kNone) return stop(request, reason);
  if (request.page_request) return untranslated(request);
  if (request.type == AddressType::kTranslated) {  // the device has asked before
    const auto reason = host_address_fault(state_.profile, context.scalable, request);
    return reason == FaultReason::kNone ? Result<Translation>(identity(request)) : refuse(request, reason);
  }

  const AddressSpace space = lookup.space(context);
  if (space.fault != FaultReason::kNone) return stop(request, space.fault);
  const auto unfit = request_fault(state_.profile, context, space, request);
  if (unfit != FaultReason::kNone) return stop(request, unfit);
  if (space.pass_through) return identity(request);

  const Leaf leaf = lookup.leaf(context, space);
  if (leaf.fault != FaultReason::kNone) return stop(request, leaf.fault);
  const Asked asked = asked_by(context, space, request);
  const auto denied = leaf_fault(leaf.entry, asked, space.scalable(), request, state_.profile.zero_length_read);
  if (denied != FaultReason::kNone) return stop(request, denied);
  Translation translation = through(leaf.entry, asked, space.page_snoop, request, leaf.hit);
  translation.domain = space.domain;
  return translation;
}

// ---- lookups of a request: caches first -----------------------------------------------------------------------

ReadFunction UnitCore::table_reader() {
  return [this](PhysAddr address, std::span<std::uint64_t> out) {
    state_.observer.on_table_read();
    return state_.host.read(address, out);
  };
}

ContextEntry UnitCore::context_of(Flight& flight, const RootPointer& root) {
  const SourceId source = flight.request.source;
  state_.host.spend(Step::kContextCacheLookup);
  const auto cached = state_.caches.context.lookup(ContextTag{source});
  const ContextEntry entry = cached ? *cached : fetch_and_cache_context(flight, root);
  flight.fault_disabled = entry.fault_disabled;
  return entry;
}

ContextEntry UnitCore::fetch_and_cache_context(const Flight& flight, const RootPointer& root) {
  const SourceId source = flight.request.source;
  const ContextEntry entry = fetch_context(state_.profile, root, source, table_reader());
  if (!cacheable(entry, state_.profile)) return entry;
  const bool stale = flight.generation != state_.generation ||
                     state_.log.any_since(
                         flight.epoch, [&](const Invalidation& i) { return covers_context(i, source, entry.domain); });
  if (stale)
    state_.caches.context.refuse_fill();
  else
    state_.caches.context.fill(ContextTag{source}, entry);
  return entry;
}

AddressSpace UnitCore::space_of(Flight& flight, const ContextEntry& context) {
  AddressSpace space;
  if (!context.scalable) {
    space = legacy_space(context);
  } else {
    const Pasid pasid = effective_pasid(context, flight.request);
    flight.tag.pasid = pasid;
    state_.host.spend(Step::kPasidCacheLookup);
    const auto cached = state_.caches.pasid.lookup(PasidTag{flight.request.source, pasid});
    space = cached ? *cached : fetch_and_cache_space(flight, context, pasid);
    flight.fault_disabled = flight.fault_disabled || space.fault_disabled;
  }
  if (space.fault != FaultReason::kNone) return space;
  flight.tag.domain = space.domain;
  flight.tag.kind = space.kind;
  return space;
}

AddressSpace UnitCore::fetch_and_cache_space(const Flight& flight, const ContextEntry& context, Pasid pasid) {
  const AddressSpace space = fetch_space(state_.profile, context, pasid, table_reader());
  if (space.fault != FaultReason::kNone) return space;
  const bool stale =
      flight.generation != state_.generation || state_.log.any_since(flight.epoch, [&](const Invalidation& i) {
        return covers_context(i, flight.request.source, DomainId{}) || covers_pasid_cache(i, space.domain, pasid);
      });
  if (stale)
    state_.caches.pasid.refuse_fill();
  else
    state_.caches.pasid.fill(PasidTag{flight.request.source, pasid}, space);
  return space;
}

UnitCore::Leaf UnitCore::leaf_of(Flight& flight, const ContextEntry& context, const AddressSpace& space) {
  const DmaRequest& request = flight.request;
  state_.host.spend(Step::kIotlbLookup);
  if (abandoned(flight)) return {};
  const WalkRequest walk = walk_request(context, space, request);
  if (const auto cached = state_.caches.iotlb.lookup(request.source, space, request.address)) {
    const Asked asked = asked_by(context, space, request);
    const bool must_set_dirty = cached->clean && writes(request.access) && may_write(asked, cached->rights());
    // A cached fault is that of one access; the answer to a translation request tells the rights of all.
    const bool same_fault = cached->access == request.access && request.type != AddressType::kTranslationRequest;
    const bool usable = cached->fault == FaultReason::kNone ? !must_set_dirty : same_fault;
    if (usable) return {.entry = *cached, .hit = true, .fault = cached->fault};
  }
  return for_all_rights(request, walk, [&](const WalkRequest& w) { return walk_for(flight, space, w); });
}

UnitCore::Leaf UnitCore::walk_for(Flight& flight, const AddressSpace& space, const WalkRequest& walk) {
  const DmaRequest& request = flight.request;
  const auto [response, shared] = walks_.walk(flight, walk);
  const bool faulted = response.fault != FaultReason::kNone;
  const bool cache_fault = faulted && state_.profile.caching_mode && cacheable(response.fault);
  if (faulted && !cache_fault) return {.fault = response.fault};
  IotlbEntry entry;
  if (faulted) {
    entry.fault = response.fault;
    entry.access = walk.access;
  } else {
    entry = iotlb_entry(response);
  }
  // From here on the request stands for the whole page that it would cache.
  flight.tag.address = align_down(request.address, entry.page_size());
  flight.tag.size = entry.page_size();
  if (abandoned(flight))
    state_.caches.iotlb.refuse_fill();
  else if (!shared)  // else the request that walked has filled it
    state_.caches.iotlb.fill(request.source, space, request.address, entry);
  return {.entry = entry, .fault = entry.fault};
}

void UnitCore::begin_pass(Flight& flight) {
  const DmaRequest& request = flight.request;
  flight.phase = FlightPhase::kTranslating;
  flight.epoch = state_.log.now();  // nothing has been read in this pass
  flight.tag = {.source = request.source, .address = align_down(request.address, kPageSize)};
  if (state_.root.mode == TableMode::kLegacy) flight.tag.kind = WalkKind::kLegacy;
  if (is_interrupt_request(request)) flight.tag.interrupt = interrupt_index(request).value_or(0);
  flight.fault_disabled = false;
}

bool UnitCore::abandoned(const Flight& flight) const {
  if (flight.generation != state_.generation) return true;
  return flight.remapped && !flight.committed && state_.log.covered_since(flight.epoch, flight.tag);
}

void UnitCore::restart(Flight& flight) {
  ++flight.restarts;
  ++state_.statistics.restarts;
  state_.observer.on_restart(flight.request);
  begin_pass(flight);  // before anybody who waits for the old pass looks
  state_.host.notify_progress();
}

Result<Translation> UnitCore::finish(Flight& flight, const Result<Translation>& outcome) {
  if (outcome) {
    flight.phase = FlightPhase::kTranslated;
    CoreStatistics& statistics = state_.statistics;
    ++(outcome->interrupt ? statistics.interrupts : outcome->remapped ? statistics.translated : statistics.passed);
    state_.observer.on_translated(flight.request, *outcome);
    state_.host.notify_progress();
    return outcome;
  }
  Fault fault = outcome.fault();
  const std::optional<std::uint32_t> interrupt = flight.tag.interrupt;
  fault.recorded = fault.reason != FaultReason::kNone &&
                   faults_.record(flight.request, fault.reason, flight.fault_disabled, interrupt);
  ++state_.statistics.faults;
  state_.statistics.faults_recorded += fault.recorded ? 1 : 0;
  flight.phase = FlightPhase::kRefused;
  state_.observer.on_fault(fault);
  state_.host.notify_progress();
  return fault;
}

Result<Translation> UnitCore::abort(Flight& flight) {
  flight.phase = FlightPhase::kRefused;
  state_.host.notify_progress();
  return refuse(flight.request, FaultReason::kNone);
}

// ---- page requests ---------------------------------------------------------------------------------------------

void UnitCore::page_request(const PageRequest& request) {
  DmaRequest dma{.source = request.source, .address = request.address, .pasid = request.pasid};
  dma.access = request.write ? Access::kWrite : Access::kRead;
  dma.privileged = request.privileged;
  dma.execute = request.execute;
  dma.page_request = true;
  Ticket ticket = accept(dma);
  const auto allowed = state_.remapping ? translate(ticket) : Result<Translation>(refuse(dma, FaultReason::kNone));
  if (!allowed) return page_requests_.answer(request, PageResponseCode::kInvalidRequest);
  page_requests_.post(request);
}

// ---- looks that change nothing -----------------------------------------------------------------------------

class UnitCore::DebugLookup {
 public:
  DebugLookup(const UnitState& state, const DmaRequest& request, const ReadFunction& read)
      : state_(state), request_(request), read_(read) {}
  [[nodiscard]] bool remapped() const { return state_.remapping; }
  [[nodiscard]] Result<Translation> interrupt() const { return untranslated(request_); }
  [[nodiscard]] ContextEntry context(const RootPointer& root) const {
    return fetch_context(state_.profile, root, request_.source, read_);
  }
  [[nodiscard]] AddressSpace space(const ContextEntry& context) const {
    if (!context.scalable) return legacy_space(context);
    return fetch_space(state_.profile, context, effective_pasid(context, request_), read_);
  }
  [[nodiscard]] Leaf leaf(const ContextEntry& context, const AddressSpace& space) const {
    const EntryReader entry = [this](PhysAddr address) -> std::optional<std::uint64_t> {
      std::uint64_t data = 0;
      return read_(address, std::span(&data, 1)) ? std::optional(data) : std::nullopt;
    };
    return for_all_rights(request_, walk_request(context, space, request_), [&](const WalkRequest& walk) -> Leaf {
      const auto response = reference_walk(walker_config(state_.profile), walk, entry);
      return {.entry = iotlb_entry(response), .fault = response.fault};
    });
  }

 private:
  const UnitState& state_;
  const DmaRequest& request_;
  const ReadFunction& read_;
};

Result<Translation> UnitCore::debug_translate(const DmaRequest& request, const ReadFunction& read) const {
  return path(request, DebugLookup(state_, request, read));
}

std::optional<Translation> UnitCore::probe(const DmaRequest& request) const {
  if (!state_.remapping || request.pasid || mode_fault(state_.profile, state_.root, request) != FaultReason::kNone)
    return std::nullopt;
  const auto context = state_.caches.context.peek(ContextTag{request.source});
  if (!context || context->fault != FaultReason::kNone) return std::nullopt;
  const auto space = context->scalable ? state_.caches.pasid.peek(PasidTag{request.source, context->rid_pasid})
                                       : std::optional(legacy_space(*context));
  if (!space || space->pass_through) return std::nullopt;
  if (context_fault(*context, request) != FaultReason::kNone ||
      request_fault(state_.profile, *context, *space, request) != FaultReason::kNone)
    return std::nullopt;
  const auto leaf = state_.caches.iotlb.peek(request.source, *space, request.address);
  if (!leaf || leaf->fault != FaultReason::kNone) return std::nullopt;
  const Asked asked = asked_by(*context, *space, request);
  if (leaf_fault(*leaf, asked, space->scalable(), request, state_.profile.zero_length_read) != FaultReason::kNone)
    return std::nullopt;
  if (leaf->clean && writes(request.access)) return std::nullopt;  // D would not be set
  const Iova first = align_down(request.address, leaf->page_size());
  const bool interrupts =
      meets_interrupt_range(first, leaf->page_size()) || meets_interrupt_range(leaf->page, leaf->page_size());
  if (interrupts) return std::nullopt;
  Translation result = through(*leaf, asked, space->page_snoop, request, true);
  result.writable = result.writable && !leaf->clean;
  return result;
}

// ---- registers ---------------------------------------------------------------------------------------------

bool UnitCore::legal_access(std::uint64_t offset, unsigned bytes) {
  return (bytes == 4 || bytes == 8) && is_aligned(offset, bytes) && offset < kUnitMmioSize;
}

std::uint64_t UnitCore::read(std::uint64_t offset, unsigned bytes) const {
  return state_.registers.read(offset, bytes);
}

void UnitCore::write(std::uint64_t offset, std::uint64_t value, unsigned bytes) {
  state_.registers.write(offset, value, bytes);
}

void UnitCore::on_write(const RegisterWrite& write) {
  switch (write.id) {
    case RegId::kGCMD:
      return control_.command_written(write);
    case RegId::kCCMD:
      return register_invalidation_.context_written(write);
    case RegId::kIOTLB:
      return register_invalidation_.iotlb_written(write);
    case RegId::kFSTS:
      faults_.status_written();
      return queue_.status_written();
    case RegId::kFECTL:
      return faults_.control_written();
    case RegId::kIQT:
      return queue_.tail_written(write);
    case RegId::kIQA:
      return queue_.base_written(write);
    case RegId::kICS:
      return queue_.completion_status_written();
    case RegId::kIECTL:
      return queue_.control_written();
    case RegId::kPMEN:
      return protected_memory_.enable_written();
    case RegId::kECMD:
      return performance_.command_written(write);
    case RegId::kPERFINTRSTS:
      return performance_.status_written();
    case RegId::kPERFINTRCTL:
      return performance_.control_written();
    case RegId::kPRS:
      return page_requests_.status_written();
    case RegId::kPECTL:
      return page_requests_.control_written();
    default:
      return;
  }
}

void UnitCore::run(Engine engine) {
  if (engine == Engine::kCommand)
    control_.run();
  else
    queue_.run();
}

void UnitCore::reset(ResetKind kind) {
  ++state_.generation;
  state_.registers.reset(kind);
  state_.caches.clear();
  state_.root = {};
  state_.remapping = false;
  state_.interrupt_root = 0;
  state_.interrupt_remapping = false;
  state_.compatibility_format = false;
  walks_.reset();
  control_.reset();
  queue_.reset();
  register_invalidation_.reset();
  page_requests_.reset();
  protected_memory_.reset();
  performance_.reset();
  faults_.reset(kind);
  state_.host.revoke_dmi();
  state_.host.notify_progress();
}

}  // namespace vtd
