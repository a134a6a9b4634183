// SPDX-License-Identifier: MIT
// Several observers behind one.
#pragma once

#include <vector>

#include "tlm/core/observer.h"

namespace vtd {

class ObserverList final : public Observer {
 public:
  void add(Observer& observer) { observers_.push_back(&observer); }

  void on_accept(const DmaRequest& r) override { tell(&Observer::on_accept, r); }
  void on_translated(const DmaRequest& r, const Translation& t) override { tell(&Observer::on_translated, r, t); }
  void on_fault(const Fault& f) override { tell(&Observer::on_fault, f); }
  void on_restart(const DmaRequest& r) override { tell(&Observer::on_restart, r); }
  void on_end(const DmaRequest& r) override { tell(&Observer::on_end, r); }
  void on_cache(CacheId id, CacheEvent e, std::uint64_t n) override { tell(&Observer::on_cache, id, e, n); }
  void on_table_read() override { tell(&Observer::on_table_read); }
  void on_walk_begin(SourceId s, const WalkRequest& r) override { tell(&Observer::on_walk_begin, s, r); }
  void on_walk_end(SourceId s, const WalkRequest& q, const WalkResponse& r) override {
    tell(&Observer::on_walk_end, s, q, r);
  }
  void on_invalidation_begin(const Invalidation& i) override { tell(&Observer::on_invalidation_begin, i); }
  void on_invalidation_end(const Invalidation& i) override { tell(&Observer::on_invalidation_end, i); }
  void on_wait_complete(std::uint32_t data) override { tell(&Observer::on_wait_complete, data); }
  void on_device_invalidation(const DeviceTlbInvalidation& i) override { tell(&Observer::on_device_invalidation, i); }
  void on_page_request(const PageRequest& r) override { tell(&Observer::on_page_request, r); }
  void on_page_response(const PageResponse& r) override { tell(&Observer::on_page_response, r); }
  void on_register(RegId id, std::uint64_t value) override { tell(&Observer::on_register, id, value); }
  void on_fault_record(unsigned i, const frcd::Entry& e) override { tell(&Observer::on_fault_record, i, e); }

 private:
  template <typename... Parameters, typename... Arguments>
  void tell(void (Observer::*event)(Parameters...), const Arguments&... arguments) {
    for (Observer* observer : observers_) (observer->*event)(arguments...);
  }
  std::vector<Observer*> observers_;
};

}  // namespace vtd
