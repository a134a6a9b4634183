// SPDX-License-Identifier: MIT
#include "sim/qemu/server.h"

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "sim/qemu/dmar.h"
#include "sim/qemu/mpqemu.h"
#include "sim/report/unit_report.h"
#include "tlm/spec/profile_fields.h"
#include "tlm/unit/simulation.h"

namespace vtd::qemu {
namespace {

constexpr std::uint64_t kPsPerSecond = 1'000'000'000'000;
constexpr std::uint64_t kSlicePs = 50'000'000;        ///< simulated between two looks at the guest
constexpr std::uint64_t kPatiencePs = 1'000'000'000;  ///< how far the simulation may be behind the clock
constexpr int kGoodbyeMs = 5000;                      ///< QEMU's time to end after it has closed its connections
constexpr int kLookMs = 100;                          ///< between two looks at whether to stop

std::string new_directory() {
  std::string name = (std::filesystem::temp_directory_path() / "vtdsim_XXXXXX").string();
  if (mkdtemp(name.data()) == nullptr) throw std::runtime_error(name + ": cannot be made");
  return name;
}

/// What software can read of them, and every field by name.
nlohmann::json capabilities(const Profile& profile) {
  nlohmann::json j{{"CAP", fmt::format("{:x}", cap_value(profile))},
                   {"ECAP", fmt::format("{:x}", ecap_value(profile))}};
  for (const ProfileNumber& n : kProfileNumbers) j[n.name] = profile.*n.member;
  for (const ProfileFlag& f : kProfileFlags) j[f.name] = profile.*f.member;
  return j;
}

std::uint64_t microseconds(std::chrono::steady_clock::duration d) {
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(d).count());
}

}  // namespace

/// A directory for sockets and tables, gone as soon as QEMU has read it.
class Server::Scratch {
 public:
  Scratch() : path_(new_directory()) {}
  ~Scratch() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

Server::Server(const ServeOptions& options)
    : options_(options),
      shared_([this](PhysAddr address, std::uint32_t data) { send_message(address, data); }),
      buggy_(
          [this]() -> GuestRam& {
            if (options_.record.empty()) return shared_;
            recorder_.emplace(options_.record, options_.machine);
            return tapped_.emplace(shared_, [this](const Event& e) { recorder_->add(e); });
          }(),
          options_.machine.bugs),
      machine_("machine", options_.machine, buggy_),
      timeline_(options_.out + "/timeline.log", machine_.unit().config().profile) {
  machine_.unit().add_observer(timeline_);
  if (!options_.waves) return;
  waves_.emplace(options_.out + "/linux.fst");
  machine_.unit().set_waves(*waves_);
  waves_->start();
}

Server::~Server() = default;

double Server::seconds() const {
  return std::chrono::duration<double>(Clock::now() - start_).count();
}

std::uint64_t Server::clock_ps() const {
  const auto ps = static_cast<std::uint64_t>(seconds() * options_.ratio * static_cast<double>(kPsPerSecond));
  return ps > behind_ps_ ? ps - behind_ps_ : 0;
}

// ---- QEMU --------------------------------------------------------------------------------------------------------

std::vector<std::string> Server::command(std::vector<Descriptor>& inherited) {
  std::vector<std::string> words = options_.qemu;
  const auto add = [&](std::initializer_list<std::string> more) { words.insert(words.end(), more); };
  const std::string size = fmt::format("{}M", options_.machine.memory_mib);
  add({"-m", size, "-object", fmt::format("memory-backend-memfd,id=vtdsim_ram,size={},share=on", size), "-machine",
       "memory-backend=vtdsim_ram"});
  for (const std::string& word : qtest_->arguments()) words.push_back(word);
  for (std::size_t i = 0; i < machine_.functions(); ++i) {
    SocketPair pair = make_socket_pair();
    const std::string name = machine_.function(i).basename();
    connections_.push_back({std::make_unique<MpqemuTransport>(std::move(pair.ours), name)});
    add({"-device", fmt::format("x-pci-proxy-dev,id=vtdsim_{},fd={},addr={:#x}", name, pair.theirs.get(),
                                Machine::kUnitDevice + i)});
    inherited.push_back(std::move(pair.theirs));
  }
  return words;
}

int Server::run(const volatile bool& stop) {
  try {
    const int status = serve_guest(stop);
    close_books();
    return status;
  } catch (...) {
    close_books();  // what led there is what one wants to see
    throw;
  }
}

void Server::close_books() {
  ended_ = seconds();
  if (!line_.empty()) timeline_.console(line_);
  timeline_.close();
  if (waves_) waves_->close();
  if (recorder_) recorder_->close(now_ps());
}

int Server::serve_guest(const volatile bool& stop) {
  scratch_ = std::make_unique<Scratch>();
  DmarTable table{.unit_base = options_.machine.unit_base,
                  .host_address_width = machine_.unit().config().profile.host_address_width,
                  .interrupt_remapping = options_.machine.interrupt_remapping};
  for (const auto& source : machine_.unit().config().dma_ports) table.devices.push_back(*source);
  const std::vector<std::uint8_t> dmar = make_dmar(table);
  const std::string dmar_file = scratch_->path() + "/dmar";
  std::ofstream(dmar_file, std::ios::binary).write(reinterpret_cast<const char*>(dmar.data()), std::ssize(dmar));

  qtest_.emplace(scratch_->path());
  std::vector<Descriptor> inherited;
  std::vector<std::string> words = command(inherited);
  words.insert(words.end(), {"-acpitable", "file=" + dmar_file});
  QemuProcess::Options process;
  for (const Descriptor& d : inherited) process.keep.push_back(d.get());
  vtd::run(sc_core::SC_ZERO_TIME);
  start_ = Clock::now();
  ticked_.assign(machine_.endpoints(), start_);
  QemuProcess qemu(words, process);
  inherited.clear();
  qtest_->accept(qemu);

  const bool closed = serve_until_closed(qemu, stop);
  // What is under way ends before the books are closed; the guest's memory is still there.
  machine_.settle();
  const int status = closed ? qemu.wait_for_end(kGoodbyeMs) : -1;
  if (!closed) qemu.kill();
  console(qemu);
  return status;
}

bool Server::serve_until_closed(QemuProcess& qemu, const volatile bool& stop) {
  std::vector<pollfd> polled;
  for (const Connection& c : connections_) polled.push_back({c.transport->descriptor(), POLLIN, 0});
  polled.push_back({qtest_->descriptor(), POLLIN, 0});
  polled.push_back({qemu.output().get(), POLLIN, 0});
  pollfd& qtest = polled[connections_.size()];
  pollfd& output = polled[connections_.size() + 1];
  while (!stop) {
    follow_clock();
    tick_endpoints();
    if (poll(polled.data(), polled.size(), idle_ms()) < 0 && errno != EINTR)
      throw std::runtime_error(std::string("poll: ") + std::strerror(errno));
    if (output.revents != 0) {
      console(qemu);
      if ((output.revents & POLLIN) == 0) output.fd = -1;
    }
    for (std::size_t i = 0; i < connections_.size(); ++i)
      if (polled[i].revents != 0) serve(i);
    if (qtest.revents != 0) if_there([&] { qtest_->drain(); });
    if (gone_ || std::any_of(connections_.begin(), connections_.end(), [](const Connection& c) { return !c.open; }))
      return true;
  }
  return false;
}

void Server::console(QemuProcess& qemu) {
  std::array<char, 4096> bytes{};
  if (!qemu.output().valid()) return;
  for (;;) {
    const ssize_t n = read(qemu.output().get(), bytes.data(), bytes.size());
    if (n <= 0) return;
    const std::string_view text(bytes.data(), static_cast<std::size_t>(n));
    std::fwrite(text.data(), 1, text.size(), stdout);
    std::fflush(stdout);
    timeline_.at(seconds());
    for (const char c : text) {
      if (c == '\n') {
        timeline_.console(line_);
        line_.clear();
      } else if (c != '\r') {
        line_ += c;
      }
    }
  }
}

void Server::send_message(PhysAddr address, std::uint32_t data) {
  ++messages_;
  if_there([&] { qtest_->post(fmt::format("writel {:#x} {:#x}", address, data)); });
}

void Server::if_there(const std::function<void()>& talk) {
  if (gone_) return;
  try {
    talk();
  } catch (const QemuDied&) {
    gone_ = true;
  }
}

// ---- the guest's accesses ----------------------------------------------------------------------------------------

void Server::serve(std::size_t index) {
  Connection& c = connections_[index];
  auto request = c.transport->receive();
  if (!request) return;
  scratch_.reset();
  if (request->kind == Request::Kind::kClosed) {
    c.open = false;
    return;
  }
  follow_clock();
  if (request->kind == Request::Kind::kMemory) {
    if (shared_.set(request->ram)) machine_.ram_changed();
    return;
  }
  const std::uint64_t value = perform(index, *request);
  c.transport->answer(value);
  if (options_.machine.pace == Pace::kSettled) machine_.settle();
}

std::uint64_t Server::perform(std::size_t index, const Request& request) {
  soc::PciFunction& function = machine_.function(index);
  const std::uint64_t offset = request.address & (function.identity().bar_size - 1);
  const auto config = static_cast<unsigned>(request.address);
  Event e{.time_ps = now_ps(),
          .function = static_cast<std::uint8_t>(index),
          .bytes = request.bytes,
          .address = offset,
          .value = request.value};
  Connection& c = connections_[index];
  switch (request.kind) {
    case Request::Kind::kConfigRead:
      e.kind = Event::Kind::kConfigRead;
      e.address = config;
      e.value = function.config_read(config, request.bytes);
      ++c.config_accesses;
      break;
    case Request::Kind::kConfigWrite:
      e.kind = Event::Kind::kConfigWrite;
      e.address = config;
      function.config_write(config, static_cast<std::uint32_t>(request.value), request.bytes);
      ++c.config_accesses;
      break;
    case Request::Kind::kBarRead:
      e.kind = Event::Kind::kBarRead;
      e.value = function.bar_read(offset, request.bytes);
      ++c.bar_accesses;
      break;
    case Request::Kind::kBarWrite:
      e.kind = Event::Kind::kBarWrite;
      function.bar_write(offset, request.value, request.bytes);
      ++c.bar_accesses;
      break;
    case Request::Kind::kReset:
      e.kind = Event::Kind::kReset;
      function.reset();
      break;
    case Request::Kind::kMemory:
    case Request::Kind::kClosed:
      break;
  }
  tell(e);
  if (index == 0) machine_.advance(machine_.unit_function().take_delay());
  return e.value;
}

void Server::tell(const Event& e) {
  if (recorder_) recorder_->add(e);
  timeline_.at(seconds());
  const bool registers =
      e.kind == Event::Kind::kBarRead || e.kind == Event::Kind::kBarWrite || e.kind == Event::Kind::kReset;
  if (e.function == 0 && registers) timeline_.access(e);
}

// ---- time --------------------------------------------------------------------------------------------------------

void Server::follow_clock() {
  const std::uint64_t clock = clock_ps();
  timeline_.at(seconds());
  if (clock <= now_ps()) return;
  const std::uint64_t gap = clock - now_ps();
  const bool busy = sc_core::sc_pending_activity();
  machine_.advance(from_ps(busy ? std::min(gap, kSlicePs) : gap));
  if (waves_) waves_->advance(now_ps());
  if (clock > now_ps() + kPatiencePs) behind_ps_ += clock - now_ps() - kPatiencePs;
}

int Server::idle_ms() const {
  if (sc_core::sc_pending_activity()) return 0;
  int idle = kLookMs;
  for (std::size_t i = 0; i < machine_.endpoints(); ++i) {
    const std::uint64_t next = machine_.endpoint(i).next_tick();
    if (next == 0) continue;
    const std::uint64_t passed = microseconds(Clock::now() - ticked_[i]);
    idle = std::min(idle, next <= passed ? 0 : static_cast<int>((next - passed + 999) / 1000));
  }
  return idle;
}

void Server::tick_endpoints() {
  const auto now = Clock::now();
  for (std::size_t i = 0; i < machine_.endpoints(); ++i) {
    soc::PciEndpoint& endpoint = machine_.endpoint(i);
    const std::uint64_t passed = microseconds(now - ticked_[i]);
    const std::uint64_t next = endpoint.next_tick();
    if (next == 0) {
      ticked_[i] = now;
      continue;
    }
    if (passed < next) continue;
    ticked_[i] = now;
    tell({.kind = Event::Kind::kTick,
          .time_ps = now_ps(),
          .function = static_cast<std::uint8_t>(i + 1),
          .value = passed});
    endpoint.tick(passed);
    if (options_.machine.pace == Pace::kSettled) machine_.settle();
  }
}

// ---- what happened -----------------------------------------------------------------------------------------------

std::string Server::report() const {
  nlohmann::json j;
  j["machine"] = nlohmann::json::parse(to_json(options_.machine));
  j["seconds"] = ended_;
  j["simulated_ns"] = now_ps() / 1000;
  j["capabilities"] = capabilities(machine_.unit().config().profile);
  j["unit"] = sim::unit_json(machine_.unit());
  j["unit"]["register_reads"] = timeline_.reads();
  j["unit"]["register_writes"] = timeline_.writes();
  j["unit"]["register_refused"] = machine_.unit_function().refused();
  j["messages"] = messages_;
  for (std::size_t i = 0; i < machine_.endpoints(); ++i) {
    const soc::PciEndpoint& e = machine_.endpoint(i);
    const soc::PciEndpoint::Counters& c = e.counters();
    j["endpoints"].push_back({{"name", e.basename()},
                              {"reads", c.reads},
                              {"writes", c.writes},
                              {"bytes_read", c.bytes_read},
                              {"bytes_written", c.bytes_written},
                              {"refused", c.refused},
                              {"interrupts", c.interrupts}});
  }
  j["injected"] = buggy_.done();
  j["wave"] = waves_ ? waves_->path() : "";
  j["recording"] = options_.record;
  return j.dump(2) + '\n';
}

std::string Server::summary() const {
  const UnitStatistics& u = machine_.unit().statistics();
  const std::uint64_t hits = u.cache(CacheId::kIotlb, CacheEvent::kHit);
  const std::uint64_t looked = hits + u.cache(CacheId::kIotlb, CacheEvent::kMiss);
  std::string out = fmt::format(
      "unit: {} register reads, {} writes; {} walks, IOTLB {} lookups, {:.1f} % hits; {} invalidations, {} faults\n",
      timeline_.reads(), timeline_.writes(), u.walks, looked,
      looked == 0 ? 0.0 : 100.0 * static_cast<double>(hits) / static_cast<double>(looked), u.invalidations, u.faults);
  for (std::size_t i = 0; i < machine_.endpoints(); ++i) {
    const soc::PciEndpoint& e = machine_.endpoint(i);
    const soc::PciEndpoint::Counters& c = e.counters();
    out += fmt::format("{}: {} reads, {} writes, {} KiB in, {} KiB out, {} refused, {} interrupts\n", e.basename(),
                       c.reads, c.writes, c.bytes_read / 1024, c.bytes_written / 1024, c.refused, c.interrupts);
  }
  for (const std::string& text : buggy_.done()) out += "injected " + text + '\n';
  return out;
}

}  // namespace vtd::qemu
