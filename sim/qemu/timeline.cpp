// SPDX-License-Identifier: MIT
#include "sim/qemu/timeline.h"

#include <fmt/format.h>

#include <stdexcept>

#include "sim/decode/register_access.h"
#include "sim/decode/words.h"
#include "tlm/unit/wave_signals.h"

namespace vtd::qemu {

Timeline::Timeline(const std::string& path, const Profile& profile) : file_(path), path_(path), profile_(profile) {
  if (!file_) throw std::runtime_error(path + ": cannot be written");
}

void Timeline::line(const std::string& text) {
  flush_poll();
  file_ << fmt::format("[{:12.6f}] {}\n", seconds_, text);
}

void Timeline::flush_poll() {
  if (polls_ > 1) file_ << fmt::format("               {:<44}... {} times in all\n", "", polls_);
  polls_ = 0;
  poll_.clear();
}

void Timeline::console(const std::string& text) {
  line(text);
}

void Timeline::access(const Event& e) {
  if (e.kind == Event::Kind::kReset) return line("    reset of the function");
  const bool write = e.kind == Event::Kind::kBarWrite;
  const std::string text = sim::in_words({write, e.address, e.value, e.bytes}, profile_);
  ++(write ? writes_ : reads_);
  if (e.kind == Event::Kind::kBarRead && text == poll_) {
    ++polls_;
    return;
  }
  line("    " + text);
  if (e.kind != Event::Kind::kBarRead) return;
  poll_ = text;
  polls_ = 1;
}

void Timeline::close() {
  flush_poll();
  file_.close();
  if (!file_) throw std::runtime_error(path_ + ": cannot be written");
}

void Timeline::on_fault(const Fault& fault) {
  line("        fault " + sim::fault_text(fault));
}

void Timeline::on_invalidation_end(const Invalidation& invalidation) {
  line("        done: " + in_words(invalidation));
}

void Timeline::on_wait_complete(std::uint32_t status_data) {
  line(fmt::format("        done: wait, status {}", status_data));
}

}  // namespace vtd::qemu
