// SPDX-License-Identifier: MIT
// The Verilated RTL walker behind the walker contract. No SystemC; the model's headers stay inside the .cpp.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "tlm/core/walker.h"
#include "tlm/unit/wave_file.h"

namespace vtd {

class RtlWalker final : public Walker {
 public:
  /// `seed` (> 0) decides the values that registers without reset come up with. `name` is the model's scope in waves.
  explicit RtlWalker(const WalkerConfig& config, std::uint32_t seed = 1, const std::string& name = "rtl");
  ~RtlWalker() override;

  /// Joins `waves`, before it is started. `edge_ps` gives the time of the clock edge that cycle() performs;
  /// `period_ps` is the clock period.
  void set_waves(WaveFile& waves, std::function<std::uint64_t()> edge_ps, std::uint64_t period_ps);

  [[nodiscard]] unsigned capacity() const override;
  void reset() override;
  /// Throws std::logic_error if an assertion in the RTL fails: the surroundings broke the contract, or the RTL did.
  WalkerOutputs cycle(const WalkerInputs& in) override;
  [[nodiscard]] bool quiescent() const override;
  [[nodiscard]] bool idle() const override;
  [[nodiscard]] bool invalidating() const override;
  [[nodiscard]] std::uint32_t count(WalkerEvent event) override;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace vtd
