// SPDX-License-Identifier: MIT
#include "tlm/core/unit.h"

#include <stdexcept>

#include "tlm/core/second_stage_walk.h"

namespace vtd {
namespace {

/// A write to FEEx_xxxx without PASID is an interrupt message (VT-d 3.14). Without interrupt remapping it passes.
bool is_interrupt_message(const DmaRequest& request) {
  return request.access == Access::kWrite && request.type == AddressType::kUntranslated && !request.pasid &&
         in_interrupt_range(request.address);
}

Translation untranslated(const DmaRequest& request) {
  return {.address = request.address, .readable = true, .writable = true, .remapped = false};
}

Translation identity(const DmaRequest& request) {
  return {.address = request.address, .readable = true, .writable = true};
}

WalkRequest walk_request(const ContextEntry& context, const DmaRequest& request) {
  return {.root = context.table,
          .levels = context.levels,
          .iova = align_down(request.address, kPageSize),
          .access = request.access};
}

/// Checks on the way out: rights, then the interrupt range of the exact address (not of the page).
FaultReason leaf_fault(const IotlbEntry& leaf, const DmaRequest& request, bool zero_length_read) {
  const FaultReason reason = rights_fault(request.access, leaf.readable, leaf.writable, zero_length_read);
  if (reason != FaultReason::kNone) return reason;
  return in_interrupt_range(leaf.translate(request.address)) ? FaultReason::kInterruptRange : FaultReason::kNone;
}

Translation through(const IotlbEntry& leaf, const DmaRequest& request, bool hit) {
  return {.address = leaf.translate(request.address),
          .page_size = leaf.page_size(),
          .readable = leaf.readable,
          .writable = leaf.writable,
          .snoop = leaf.snoop,
          .iotlb_hit = hit};
}

/// What can be said of a request from the latched root pointer alone (VT-d 7.1.3).
FaultReason mode_fault(const RootPointer& root, const DmaRequest& request) {
  if (root.mode != TableMode::kLegacy) return FaultReason::kRootTableAddressInvalid;
  return request.pasid ? FaultReason::kPasidUnderLegacy : FaultReason::kNone;
}

/// Entries that are not present may be cached only with CM=1 (VT-d 6.1); they are tagged with DID 0.
bool cacheable(const ContextEntry& entry, const Profile& profile) {
  const bool absent = entry.fault == FaultReason::kContextNotPresent || entry.fault == FaultReason::kRootNotPresent;
  return entry.fault == FaultReason::kNone || (absent && profile.caching_mode);
}

bool meets_interrupt_range(std::uint64_t first, std::uint64_t size) {
  return first < kInterruptBase + kInterruptSize && first + (size - 1) >= kInterruptBase;
}

Fault refuse(const DmaRequest& request, FaultReason reason) {
  return {.reason = reason, .source = request.source, .address = request.address, .access = request.access};
}

/// The reference walk over `read`.
WalkResponse debug_walk(const Profile& profile, const WalkRequest& request, const ReadFunction& read) {
  SecondStageWalk walk(walker_config(profile), request);
  while (const auto address = walk.next_read()) {
    std::uint64_t data = 0;
    const bool ok = read(*address, std::span(&data, 1));
    walk.consume(data, !ok);
  }
  return walk.result();
}

const Profile& checked(const Profile& profile) {
  check_profile(profile);
  return profile;
}

}  // namespace

void check_profile(const Profile& profile) {
  const auto require = [](bool condition, const char* what) {
    if (!condition) throw std::invalid_argument(what);
  };
  require(profile.host_address_width >= 32 && profile.host_address_width <= 52, "HAW must be 32..52 bits");
  require(profile.levels3 || profile.levels4 || profile.levels5, "SAGAW: at least one table depth is needed");
  require(profile.guest_address_width >= 39 && profile.guest_address_width <= 57, "MGAW must be 39..57 bits");
  require(profile.domain_bits >= 4 && profile.domain_bits <= 16 && profile.domain_bits % 2 == 0,
          "domain ids must have 4, 6, .. 16 bits");
  require(profile.fault_records >= 1 && profile.fault_records <= 256, "there must be 1..256 fault records");
  require(is_aligned(profile.fault_record_offset, 16) && is_aligned(profile.iotlb_offset, 16),
          "fault record and IOTLB offsets must be multiples of 16");
  require(cap::kMAMV.fits(profile.max_address_mask), "MAMV must be 0..63");
  require(!profile.device_tlb, "device-TLBs (ATS) are not modelled");
}

UnitCore::UnitCore(const Profile& profile, const CacheConfig& caches, Host& host, Observer& observer,
                   std::uint64_t seed)
    : state_(checked(profile), caches, host, observer, seed),
      faults_(state_),
      invalidator_(state_),
      queue_(state_, faults_, invalidator_),
      register_invalidation_(state_, invalidator_, queue_),
      control_(state_, invalidator_, queue_),
      walks_(state_) {
  state_.registers.on_write([this](const RegisterWrite& write) { on_write(write); });
  state_.registers.on_record_write([this](unsigned) { faults_.record_written(); });
}

// ---- the path of a request ---------------------------------------------------------------------------------

Ticket UnitCore::accept(const DmaRequest& request) {
  ++state_.statistics.accepted;
  Flight flight;
  flight.request = request;
  flight.generation = state_.generation;
  flight.remapped = state_.remapping;
  flight.epoch = state_.log.now();
  return {state_.in_flight, state_.in_flight.add(flight)};
}

Result<Translation> UnitCore::translate(Ticket& ticket) {
  Flight& flight = *ticket.position_;
  begin_pass(flight);
  for (;;) {
    const Result<Translation> outcome = path(flight);
    if (flight.generation != state_.generation) return abort(flight);
    if (!abandoned(flight)) return finish(flight, outcome);
    restart(flight);
  }
}

Result<Translation> UnitCore::path(Flight& flight) {
  const DmaRequest& request = flight.request;
  const RootPointer root = state_.root;  // the whole pass sees one root, old or new
  if (!flight.remapped || is_interrupt_message(request)) return untranslated(request);
  if (const auto reason = mode_fault(root, request); reason != FaultReason::kNone) return refuse(request, reason);

  const ContextEntry context = context_of(flight, root);
  if (context.fault != FaultReason::kNone) return refuse(request, context.fault);
  if (const auto reason = request_fault(state_.profile, context, request); reason != FaultReason::kNone)
    return refuse(request, reason);
  if (context.type == TranslationType::kPassThrough) return identity(request);

  const Leaf leaf = leaf_of(flight, context);
  if (leaf.fault != FaultReason::kNone) return refuse(request, leaf.fault);
  const auto reason = leaf_fault(leaf.entry, request, state_.profile.zero_length_read);
  if (reason != FaultReason::kNone) return refuse(request, reason);
  return through(leaf.entry, request, leaf.hit);
}

ContextEntry UnitCore::context_of(Flight& flight, const RootPointer& root) {
  const SourceId source = flight.request.source;
  state_.host.spend(Step::kContextCacheLookup);
  const auto cached = state_.caches.context.lookup(ContextTag{source});
  const ContextEntry entry = cached ? *cached : fetch_and_cache_context(flight, root);
  if (entry.fault == FaultReason::kNone) flight.tag.domain = entry.domain;
  flight.fault_disabled = entry.fault_disabled;
  return entry;
}

ContextEntry UnitCore::fetch_and_cache_context(const Flight& flight, const RootPointer& root) {
  const SourceId source = flight.request.source;
  const ReadFunction read = [this](PhysAddr address, std::span<std::uint64_t> out) {
    return state_.host.read(address, out);
  };
  const ContextEntry entry = fetch_context(state_.profile, root, source, read);
  if (!cacheable(entry, state_.profile)) return entry;
  const bool stale =
      flight.generation != state_.generation || state_.log.context_covered_since(flight.epoch, source, entry.domain);
  if (stale)
    state_.caches.context.refuse_fill();
  else
    state_.caches.context.fill(ContextTag{source}, entry);
  return entry;
}

UnitCore::Leaf UnitCore::leaf_of(Flight& flight, const ContextEntry& context) {
  const DmaRequest& request = flight.request;
  state_.host.spend(Step::kIotlbLookup);
  if (abandoned(flight)) return {};
  if (const auto cached = state_.caches.iotlb.lookup(request.source, context.domain, request.address))
    return {.entry = *cached, .hit = true};

  const auto [response, shared] = walks_.walk(flight, walk_request(context, request));
  if (response.fault != FaultReason::kNone) return {.fault = response.fault};
  const IotlbEntry entry = iotlb_entry(response);
  // From here on the request stands for the whole page that it would cache.
  flight.tag.address = align_down(request.address, entry.page_size());
  flight.tag.size = entry.page_size();
  if (abandoned(flight))
    state_.caches.iotlb.refuse_fill();
  else if (!shared)  // else the request that walked has filled it
    state_.caches.iotlb.fill(request.source, context.domain, request.address, entry);
  return {.entry = entry};
}

void UnitCore::begin_pass(Flight& flight) {
  const DmaRequest& request = flight.request;
  flight.phase = FlightPhase::kTranslating;
  flight.epoch = state_.log.now();  // nothing has been read in this pass
  flight.tag = {.source = request.source, .address = align_down(request.address, kPageSize)};
  flight.fault_disabled = false;
}

bool UnitCore::abandoned(const Flight& flight) const {
  if (flight.generation != state_.generation) return true;
  return flight.remapped && state_.log.covered_since(flight.epoch, flight.tag);
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
    ++(outcome->remapped ? state_.statistics.translated : state_.statistics.passed);
    state_.observer.on_translated(flight.request, *outcome);
    state_.host.notify_progress();
    return outcome;
  }
  Fault fault = outcome.fault();
  fault.recorded = faults_.record(flight.request, fault.reason, flight.fault_disabled);
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

// ---- looks that change nothing -----------------------------------------------------------------------------

std::optional<Translation> UnitCore::probe(const DmaRequest& request) const {
  if (!state_.remapping || mode_fault(state_.root, request) != FaultReason::kNone) return std::nullopt;
  const auto context = state_.caches.context.peek(ContextTag{request.source});
  if (!context || context->fault != FaultReason::kNone || context->type == TranslationType::kPassThrough)
    return std::nullopt;
  if (request_fault(state_.profile, *context, request) != FaultReason::kNone) return std::nullopt;
  const auto leaf = state_.caches.iotlb.peek(request.source, context->domain, request.address);
  if (!leaf || leaf_fault(*leaf, request, state_.profile.zero_length_read) != FaultReason::kNone) return std::nullopt;
  const Iova first = align_down(request.address, leaf->page_size());
  const bool interrupts =
      meets_interrupt_range(first, leaf->page_size()) || meets_interrupt_range(leaf->page, leaf->page_size());
  return interrupts ? std::nullopt : std::optional(through(*leaf, request, true));
}

Result<Translation> UnitCore::debug_translate(const DmaRequest& request, const ReadFunction& read) const {
  if (!state_.remapping || is_interrupt_message(request)) return untranslated(request);
  if (const auto reason = mode_fault(state_.root, request); reason != FaultReason::kNone)
    return refuse(request, reason);
  const ContextEntry context = fetch_context(state_.profile, state_.root, request.source, read);
  if (context.fault != FaultReason::kNone) return refuse(request, context.fault);
  if (const auto reason = request_fault(state_.profile, context, request); reason != FaultReason::kNone)
    return refuse(request, reason);
  if (context.type == TranslationType::kPassThrough) return identity(request);

  const WalkResponse response = debug_walk(state_.profile, walk_request(context, request), read);
  if (response.fault != FaultReason::kNone) return refuse(request, response.fault);
  const IotlbEntry leaf = iotlb_entry(response);
  const auto reason = leaf_fault(leaf, request, state_.profile.zero_length_read);
  if (reason != FaultReason::kNone) return refuse(request, reason);
  return through(leaf, request, false);
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
  walks_.reset();
  control_.reset();
  queue_.reset();
  register_invalidation_.reset();
  faults_.reset(kind);
  state_.host.revoke_dmi();
  state_.host.notify_progress();
}

}  // namespace vtd
