// SPDX-License-Identifier: MIT
// What happens inside a unit, as named events: for waves, statistics, traces, tests. Observers never change
// anything; every default does nothing.
#pragma once

#include <cstdint>

#include "tlm/core/request.h"
#include "tlm/core/walker.h"
#include "tlm/spec/descriptor.h"
#include "tlm/spec/registers.h"

namespace vtd {

enum class CacheId : std::uint8_t { kContext, kPasid, kIotlb, kInterrupt, kCount };
enum class CacheEvent : std::uint8_t { kHit, kMiss, kFill, kFillRefused, kEvict, kInvalidate, kCount };

/// One invalidation, whatever asked for it (queue, CCMD, IOTLB register, SRTP with ESRTPS, SIRTP with ESIRTPS).
struct Invalidation {
  enum class Kind : std::uint8_t {
    kContext,
    kPasidCache,
    kIotlb,       ///< every stage
    kPasidIotlb,  ///< first-stage and nested entries of one PASID
    kInterrupt,   ///< interrupt entry cache
  };
  enum class Scope : std::uint8_t { kGlobal, kDomain, kDevice, kPasid, kPage, kIndex };
  Kind kind = Kind::kIotlb;
  Scope scope = Scope::kGlobal;
  DomainId domain{};
  bool any_domain = false;        ///< kContext in scalable mode: entries have no domain-id
  SourceId source{};              ///< kDevice
  std::uint16_t source_mask = 0;  ///< kDevice: bits of the source-id that are ignored
  Pasid pasid{};                  ///< kPasid; kPage of kPasidIotlb
  Iova address = 0;               ///< kPage: first byte
  std::uint8_t address_mask = 0;  ///< kPage: AM, 2^AM pages
  std::uint16_t index = 0;        ///< kIndex: interrupt index
  std::uint8_t index_mask = 0;    ///< kIndex: IM, 2^IM entries, naturally aligned
  bool leaf_only = false;         ///< IH=1: paging-structure caches may stay
  bool drain_reads = false;
  bool drain_writes = false;
};

class Observer {
 public:
  virtual ~Observer() = default;
  virtual void on_accept(const DmaRequest&) {}
  virtual void on_translated(const DmaRequest&, const Translation&) {}
  virtual void on_fault(const Fault&) {}
  virtual void on_restart(const DmaRequest&) {}
  /// The request left the unit: delivered to memory, or refused.
  virtual void on_end(const DmaRequest&) {}
  virtual void on_cache(CacheId, CacheEvent, std::uint64_t count) { static_cast<void>(count); }
  /// A root, context, PASID or interrupt entry, or a part of it, was read from memory.
  virtual void on_table_read() {}
  virtual void on_walk_begin(SourceId, const WalkRequest&) {}
  virtual void on_walk_end(SourceId, const WalkRequest&, const WalkResponse&) {}
  virtual void on_invalidation_begin(const Invalidation&) {}
  virtual void on_invalidation_end(const Invalidation&) {}
  virtual void on_wait_complete(std::uint32_t status_data) { static_cast<void>(status_data); }
  virtual void on_device_invalidation(const DeviceTlbInvalidation&) {}
  virtual void on_page_request(const PageRequest&) {}
  virtual void on_page_response(const PageResponse&) {}
  /// A register's stored value changed, by software or by the unit itself (GSTS, FSTS, IQH ...).
  virtual void on_register(RegId, std::uint64_t value) { static_cast<void>(value); }
  virtual void on_fault_record(unsigned index, const frcd::Entry&) { static_cast<void>(index); }
};

}  // namespace vtd
