// SPDX-License-Identifier: MIT
// The platform's own signals in the wave file.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tlm/spec/platform.h"
#include "tlm/unit/wave_file.h"

namespace vtd::soc {

/// Signals, in the scope "platform":
///   phase                        what the story does, as text
///   firmware                     platform::LifecycleState (filter lifecycle.txt)
///   command                      platform::Command in progress, 0 none (filter command.txt)
///   resets                       how many so far
///   interrupts                   messages so far
///   <name>_in_flight, <name>_transfers   of each endpoint: requests now, transfers ended (16 bits, wraps)
class PlatformWaves {
 public:
  PlatformWaves(WaveFile& waves, const std::vector<std::string>& endpoints);

  void phase(std::string_view text);
  void firmware(platform::LifecycleState state);
  void command(std::optional<platform::Command> command);
  void reset();
  void interrupt(std::uint64_t count);
  void endpoint(const std::string& name, std::uint64_t in_flight, std::uint64_t transfers);

 private:
  struct EndpointSignals {
    SignalId in_flight{};
    SignalId transfers{};
  };
  void show(SignalId signal, std::uint64_t value);

  WaveFile& waves_;
  SignalId phase_;
  SignalId firmware_;
  SignalId command_;
  SignalId resets_;
  SignalId interrupts_;
  std::map<std::string, EndpointSignals> endpoints_;
  std::uint64_t reset_count_ = 0;
};

}  // namespace vtd::soc
