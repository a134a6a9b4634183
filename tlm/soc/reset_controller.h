// SPDX-License-Identifier: MIT
// Resets (registers: tlm/spec/platform.h). A warm reset is a kexec: CPU and unpreserved memory are lost, units and
// DMA go on. A cold reset loses everything.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "tlm/soc/dram.h"
#include "tlm/soc/register_device.h"
#include "tlm/spec/platform.h"
#include "tlm/spec/types.h"

namespace vtd::soc {

/// What pages that nobody preserved hold after a warm reset. kPlausible: words that read as present paging and
/// context entries and point at the canary page.
enum class PoisonMode : std::uint8_t { kZero, kOnes, kRandom, kPlausible };

/// A page that nobody owns: whoever reaches it followed a poisoned entry.
inline constexpr std::uint64_t kCanaryPage = 0x0008'0000;

class ResetController : public RegisterDevice {
 public:
  ResetController(sc_core::sc_module_name name, Dram& dram, PoisonMode poison, std::uint64_t seed);

  /// Told at the instant of a reset, before memory is poisoned (injection), and after it (the CPU restarts).
  using Listener = std::function<void(platform::reset::Kind)>;
  void before(Listener listener) { before_.push_back(std::move(listener)); }
  void after(Listener listener) { after_.push_back(std::move(listener)); }
  /// A reset now, as if firmware had asked for it.
  void trigger(platform::reset::Kind kind);

  [[nodiscard]] std::uint64_t entry() const { return entry_; }
  [[nodiscard]] std::uint64_t handover() const { return handover_; }
  [[nodiscard]] std::uint64_t tracker() const { return tracker_; }
  [[nodiscard]] std::uint64_t resets() const { return resets_; }
  /// True if the tracker bitmap has the page's bit.
  [[nodiscard]] bool preserved(std::uint64_t address) const;
  /// Addresses of the pages that the last warm reset poisoned, ascending.
  [[nodiscard]] const std::vector<std::uint64_t>& lost_pages() const { return lost_; }
  /// How many pages outside the scratch slot it kept, because they were preserved.
  [[nodiscard]] std::uint64_t preserved_pages() const {
    return (dram_.size() - scratch_size_) / kPageSize - lost_.size();
  }
  /// The same as ranges: calls f(address, bytes).
  template <typename Function>
  void for_each_lost_range(Function&& f) const {
    for (std::size_t first = 0, end = 0; first < lost_.size(); first = end) {
      for (end = first + 1; end < lost_.size() && lost_[end] == lost_[end - 1] + kPageSize;) ++end;
      f(lost_[first], (end - first) * kPageSize);
    }
  }

 protected:
  std::uint64_t read(std::uint64_t offset, unsigned bytes) override;
  void write(std::uint64_t offset, std::uint64_t value, unsigned bytes) override;

 private:
  void poison_unpreserved();
  /// The next word of what lost pages hold.
  [[nodiscard]] std::uint64_t poison_word();
  [[nodiscard]] std::uint64_t* retained(std::uint64_t offset);

  Dram& dram_;
  PoisonMode poison_;
  std::uint64_t random_;
  std::uint64_t handover_ = 0;
  std::uint64_t entry_ = 0;
  std::uint64_t tracker_ = 0;
  std::uint64_t scratch_base_ = 0;
  std::uint64_t scratch_size_ = 0;
  std::uint64_t resets_ = 0;
  std::vector<std::uint64_t> lost_;
  std::vector<Listener> before_;
  std::vector<Listener> after_;
};

}  // namespace vtd::soc
