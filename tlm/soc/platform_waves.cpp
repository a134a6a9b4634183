// SPDX-License-Identifier: MIT
#include "tlm/soc/platform_waves.h"

#include "tlm/unit/simulation.h"

namespace vtd::soc {
namespace {

constexpr const char* kScope = "platform";
constexpr unsigned kPhaseCharacters = 32;
constexpr unsigned kCounterBits = 16;
constexpr Field kCounter{"counter", kCounterBits - 1, 0};

}  // namespace

PlatformWaves::PlatformWaves(WaveFile& waves, const std::vector<std::string>& endpoints)
    : waves_(waves),
      phase_(waves.add_text(kScope, "phase", kPhaseCharacters)),
      firmware_(waves.add(kScope, "firmware", 8)),
      command_(waves.add(kScope, "command", 8)),
      resets_(waves.add(kScope, "resets", 8)),
      interrupts_(waves.add(kScope, "interrupts", kCounterBits)) {
  for (const std::string& name : endpoints)
    endpoints_[name] = {waves.add(kScope, name + "_in_flight", 8),
                        waves.add(kScope, name + "_transfers", kCounterBits)};
}

void PlatformWaves::show(SignalId signal, std::uint64_t value) {
  waves_.advance(now_ps());
  waves_.set(signal, value, now_ps());
}

void PlatformWaves::phase(std::string_view text) {
  waves_.advance(now_ps());
  waves_.set_text(phase_, text, now_ps());
}

void PlatformWaves::firmware(platform::LifecycleState state) {
  show(firmware_, static_cast<std::uint64_t>(state));
}

void PlatformWaves::command(std::optional<platform::Command> command) {
  show(command_, command ? static_cast<std::uint64_t>(*command) : 0);
}

void PlatformWaves::reset() {
  show(resets_, ++reset_count_);
}

void PlatformWaves::interrupt(std::uint64_t count) {
  show(interrupts_, kCounter.of(count));
}

void PlatformWaves::endpoint(const std::string& name, std::uint64_t in_flight, std::uint64_t transfers) {
  const EndpointSignals& signals = endpoints_.at(name);
  show(signals.in_flight, in_flight);
  show(signals.transfers, kCounter.of(transfers));
}

}  // namespace vtd::soc
