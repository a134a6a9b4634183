// SPDX-License-Identifier: MIT
#include "sim/report/chronicle.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "sim/decode/register_access.h"
#include "sim/decode/words.h"
#include "sim/times.h"
#include "tlm/spec/platform.h"
#include "tlm/unit/wave_signals.h"

namespace vtd::sim {
namespace {

void add(Slice& to, const Slice& more) {
  to.transfers += more.transfers;
  to.refused += more.refused;
  to.bytes += more.bytes;
  to.latency_sum_ns += more.latency_sum_ns;
  to.latency_max_ns = std::max(to.latency_max_ns, more.latency_max_ns);
}

/// Every two slices become one.
void merge(std::vector<Slice>& slices) {
  for (std::size_t i = 0; i < slices.size(); ++i) {
    const Slice slice = std::exchange(slices[i], {});
    add(slices[i / 2], slice);
  }
  slices.resize((slices.size() + 1) / 2);
}

}  // namespace

class Chronicle::UnitWatch final : public Observer {
 public:
  UnitWatch(Chronicle& chronicle, unsigned unit) : chronicle_(chronicle), unit_(unit) {}
  void on_walk_begin(SourceId, const WalkRequest& request) override { walk_begin_ns_[request.id] = now_ns(); }
  void on_walk_end(SourceId, const WalkRequest& request, const WalkResponse&) override {
    const auto bits = static_cast<std::size_t>(std::bit_width(now_ns() - walk_begin_ns_[request.id]));
    ++chronicle_.walk_latency_[std::min(bits, chronicle_.walk_latency_.size() - 1)];
  }
  void on_invalidation_begin(const Invalidation&) override { invalidation_begin_ns_ = now_ns(); }
  void on_invalidation_end(const Invalidation& invalidation) override {
    chronicle_.invalidations_.add({invalidation_begin_ns_, now_ns(), unit_, in_words(invalidation)});
  }
  void on_fault(const Fault& f) override { chronicle_.faults_.add({now_ns(), now_ns(), unit_, fault_text(f)}); }

 private:
  Chronicle& chronicle_;
  unsigned unit_;
  std::uint64_t invalidation_begin_ns_ = 0;         ///< a unit performs one at a time
  std::array<std::uint64_t, 256> walk_begin_ns_{};  ///< by WalkId
};

Chronicle::Chronicle(soc::Platform& platform) : platform_(platform), traffic_(platform.endpoints()) {
  for (std::size_t u = 0; u < platform.units(); ++u) {
    watches_.push_back(std::make_unique<UnitWatch>(*this, static_cast<unsigned>(u)));
    platform.unit(u).add_observer(*watches_.back());
  }
  for (std::size_t i = 0; i < platform.endpoints(); ++i)
    platform.endpoint(i).on_transfer([this, i](const soc::Endpoint&, Iova, Access, std::uint32_t bytes,
                                               const soc::DmaOutcome& outcome) { transfer(i, bytes, outcome); });
  platform.cpu().on_mmio([this](const soc::MmioAccess& a) { mmio(a); });
}

Chronicle::~Chronicle() = default;

void Chronicle::Kept::add(Span span) {
  if (spans.size() < kKept)
    spans.push_back(std::move(span));
  else
    ++left_out;
}

void Chronicle::transfer(std::size_t device, std::uint32_t bytes, const soc::DmaOutcome& outcome) {
  for (; now_ns() / slice_ns_ >= kSlices; slice_ns_ *= 2)
    for (std::vector<Slice>& slices : traffic_) merge(slices);
  std::vector<Slice>& slices = traffic_[device];
  const std::size_t index = now_ns() / slice_ns_;
  if (slices.size() <= index) slices.resize(index + 1);
  const std::uint64_t latency_ns = outcome.latency.value() / 1000;
  add(slices[index], {1, outcome.ok ? 0U : 1U, outcome.ok ? bytes : 0U, latency_ns, latency_ns});
}

void Chronicle::mmio(const soc::MmioAccess& a) {
  const std::uint64_t offset = a.address - platform::kUnitBase;
  const std::uint64_t unit = offset / platform::kUnitStride;
  if (a.address < platform::kUnitBase || unit >= platform_.units()) return;
  std::string text =
      in_words({a.write, offset % platform::kUnitStride, a.value, a.bytes}, platform_.unit(unit).config().profile);
  if (!a.write && !registers_.empty() && registers_.back().unit == unit && registers_.back().text == text) {
    ++registers_.back().times;
    return;
  }
  if (registers_.size() < kKept)
    registers_.push_back({a.time.value() / 1000, static_cast<unsigned>(unit), std::move(text)});
  else
    ++registers_left_out_;
}

}  // namespace vtd::sim
