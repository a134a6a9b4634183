// SPDX-License-Identifier: MIT
// What the guest's kernel said and what it did to the unit, side by side by wall-clock time: a text file.
#pragma once

#include <cstdint>
#include <fstream>
#include <optional>
#include <string>

#include "sim/qemu/recording.h"
#include "tlm/core/observer.h"
#include "tlm/spec/capability.h"

namespace vtd::qemu {

/// Lines begin with seconds since the start; the unit's are indented. Runs of equal reads are one line with a count.
class Timeline final : public Observer {
 public:
  /// Throws std::runtime_error if the file cannot be written.
  Timeline(const std::string& path, const Profile& profile);
  /// Seconds since the start, from now on.
  void at(double seconds) { seconds_ = seconds; }
  void console(const std::string& line);
  /// An access of function 0's BAR, or a reset.
  void access(const Event& access);
  void close();
  [[nodiscard]] std::uint64_t reads() const { return reads_; }
  [[nodiscard]] std::uint64_t writes() const { return writes_; }

  void on_fault(const Fault& fault) override;
  void on_invalidation_end(const Invalidation& invalidation) override;
  void on_wait_complete(std::uint32_t status_data) override;

 private:
  void line(const std::string& text);
  void flush_poll();

  std::ofstream file_;
  std::string path_;
  Profile profile_;
  double seconds_ = 0;
  std::uint64_t reads_ = 0;
  std::uint64_t writes_ = 0;
  std::string poll_;  ///< a read that may come again
  std::uint64_t polls_ = 0;
};

}  // namespace vtd::qemu
