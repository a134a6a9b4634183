// SPDX-License-Identifier: MIT
// A device with a TLB of its own (ATS) and with page requests (PRI): it asks its unit for translations, keeps them,
// and sends DMA with addresses that are already translated.
#pragma once

#include <cstdint>
#include <deque>
#include <list>
#include <optional>
#include <string>
#include <systemc>
#include <tlm>

#include <tlm_utils/simple_initiator_socket.h>

#include "tlm/soc/endpoint.h"
#include "tlm/unit/remapping_unit.h"

namespace vtd::soc {

struct AtsEndpointConfig {
  std::string name = "ATS1";
  SourceId source{};
  std::optional<Pasid> pasid{};     ///< of every translation and page request
  unsigned tlb_entries = 64;        ///< >= 1; the oldest makes room
  bool page_requests = false;       ///< asks for pages that are not mapped, and waits for the answer
  unsigned page_request_tries = 4;  ///< requests for one page before the DMA is given up
  /// How it answers invalidation requests: not at all, or with an error, to test the unit.
  enum class Manners : std::uint8_t { kGood, kSilent, kErrors } manners = Manners::kGood;
};

struct AtsStatistics {
  std::uint64_t tlb_hits = 0;
  std::uint64_t translation_requests = 0;
  std::uint64_t translated_requests = 0;
  std::uint64_t page_requests = 0;
  std::uint64_t page_responses = 0;
  std::uint64_t invalidations = 0;
  std::uint64_t dropped = 0;  ///< translations that invalidations took away
};

class AtsEndpoint : public sc_core::sc_module, public AtsDevice {
 public:
  tlm_utils::simple_initiator_socket<AtsEndpoint> dma{"dma"};

  /// Binding `dma` to a dma socket of `unit` is the caller's.
  AtsEndpoint(sc_core::sc_module_name name, const AtsEndpointConfig& config, RemappingUnit& unit);

  /// One DMA, cut at 4 KiB, from an SC_THREAD. `fault` is set when the unit refused a request; a page that stays
  /// unmapped ends the DMA without one.
  DmaOutcome access(Iova iova, std::uint8_t* data, std::uint32_t bytes, Access kind);

  void set_manners(AtsEndpointConfig::Manners manners) { config_.manners = manners; }
  /// What the device may do now. Switched off, the TLB is empty; asleep, it answers no invalidation.
  struct Power {
    bool ats = true;
    bool page_requests = false;
    bool asleep = false;
  };
  void set_power(const Power& power);
  /// The bus was numbered anew.
  void renumber(SourceId source);
  [[nodiscard]] std::size_t cached() const { return tlb_.size(); }
  [[nodiscard]] const AtsStatistics& statistics() const { return statistics_; }

  // ---- AtsDevice ----
  void invalidate(const DeviceTlbInvalidation& invalidation) override;
  void respond(const PageResponse& response) override;

 private:
  struct Cached {
    Iova first = 0;
    Iova last = 0;
    PhysAddr address = 0;  ///< of `first`
    bool readable = false;
    bool writable = false;
  };
  /// A request on its way that used, or will give, a translation of [first, last].
  struct Use {
    Iova first = 0;
    Iova last = 0;
    bool spoilt = false;  ///< an invalidation covered it
  };
  using Uses = std::list<Use>;

  DmaOutcome piece(Iova iova, std::uint8_t* data, std::uint32_t bytes, Access kind);
  [[nodiscard]] const Cached* find(Iova iova, Access kind) const;
  /// Asks the unit; true if there is a translation that allows `kind`, or `outcome` says why not.
  bool translate(Iova iova, Access kind, DmaOutcome& outcome);
  /// Asks for the page and waits; true if software answered "success".
  bool request_page(Iova iova, Access kind);
  DmaOutcome send(Iova address, std::uint8_t* data, std::uint32_t bytes, Access kind, AddressType type,
                  std::optional<Translation>* answer);
  void answer(DeviceTag tag);
  void end(Uses::iterator use);

  AtsEndpointConfig config_;
  bool asleep_ = false;
  RemappingUnit& unit_;
  std::deque<Cached> tlb_;  ///< oldest first
  Uses uses_;
  struct Waiting {
    DeviceTag tag = 0;
    std::vector<Uses::iterator> uses;  ///< that must end before the answer
  };
  std::list<Waiting> waiting_;
  std::uint16_t next_group_ = 0;
  std::map<std::uint16_t, std::optional<std::uint8_t>> groups_;  ///< page requests under way and their responses
  sc_core::sc_event responded_;
  AtsStatistics statistics_;
};

}  // namespace vtd::soc
