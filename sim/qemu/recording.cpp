// SPDX-License-Identifier: MIT
#include "sim/qemu/recording.h"

#include <fmt/format.h>
#include <zlib.h>

#include <array>
#include <cstring>
#include <nlohmann/json.hpp>

#include "tlm/unit/simulation.h"

namespace vtd::qemu {
namespace {

constexpr int kVersion = 2;
constexpr std::uint32_t kMaxData = 4096;

/// An event as it lies in the file; its data follow.
struct Head {
  std::uint64_t time_ps;
  std::uint64_t address;
  std::uint64_t value;
  std::uint32_t bytes;
  std::uint32_t data;
  std::uint16_t source;
  std::uint8_t kind;
  std::uint8_t function;
  std::uint8_t memory;
  std::uint8_t ok;
  std::array<std::uint8_t, 2> padding;
};
static_assert(sizeof(Head) == 40);

const char* name_of(Event::Kind kind) {
  static constexpr std::array kNames{"config read", "config write", "read",     "write",   "reset", "tick",
                                     "memory read", "memory write", "exchange", "message", "end"};
  return kNames[static_cast<std::size_t>(kind)];
}

const char* name_of(MemoryKind kind) {
  static constexpr std::array kNames{"table", "descriptor", "update", "page request", "DMA", "wait status", "message"};
  return kNames[static_cast<std::size_t>(kind)];
}

}  // namespace

std::string in_words(const Event& e) {
  std::string text = fmt::format("{:.3f} us: {}", static_cast<double>(e.time_ps) / 1e6, name_of(e.kind));
  if (e.input()) {
    text += e.function == 0 ? " of the unit" : fmt::format(" of endpoint {}", e.function - 1);
    if (e.kind == Event::Kind::kReset) return text;
    return text + fmt::format(", {} bytes at {:#x}: {:#x}", e.bytes, e.address, e.value);
  }
  if (e.kind == Event::Kind::kEnd) return text;
  text += fmt::format(" ({}), {} bytes at {:#x}, requester {:#06x}", name_of(e.memory), e.bytes, e.address, e.source);
  if (e.kind == Event::Kind::kWrite)
    text += fmt::format(", digest {:#x}", digest(e.data));
  else if (e.kind != Event::Kind::kRead)
    text += fmt::format(", value {:#x}", e.value);
  return e.ok ? text : text + ", refused";
}

std::uint64_t digest(std::span<const std::uint8_t> data) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const std::uint8_t byte : data) hash = (hash ^ byte) * 0x100000001b3;
  return hash;
}

// ---- writing -----------------------------------------------------------------------------------------------------

struct Recorder::Impl {
  std::string path;
  gzFile file = nullptr;

  void write(const void* data, std::size_t bytes) const {
    if (bytes > 0 && gzwrite(file, data, static_cast<unsigned>(bytes)) != static_cast<int>(bytes))
      throw RecordingError(path + ": cannot be written");
  }
};

Recorder::Recorder(std::string path, const MachineOptions& options) : impl_(std::make_unique<Impl>()) {
  impl_->path = std::move(path);
  impl_->file = gzopen(impl_->path.c_str(), "wb1");
  if (impl_->file == nullptr) throw RecordingError(impl_->path + ": cannot be written");
  const std::string head =
      nlohmann::json{{"vtdsim_recording", kVersion}, {"machine", nlohmann::json::parse(to_json(options))}}.dump() +
      '\n';
  impl_->write(head.data(), head.size());
}

Recorder::~Recorder() {
  if (impl_->file != nullptr) gzclose(impl_->file);
}

void Recorder::add(const Event& e) {
  const Head head{e.time_ps,
                  e.address,
                  e.value,
                  e.bytes,
                  static_cast<std::uint32_t>(e.data.size()),
                  e.source,
                  static_cast<std::uint8_t>(e.kind),
                  e.function,
                  static_cast<std::uint8_t>(e.memory),
                  static_cast<std::uint8_t>(e.ok ? 1 : 0),
                  {}};
  impl_->write(&head, sizeof head);
  impl_->write(e.data.data(), e.data.size());
}

void Recorder::close(std::uint64_t time_ps) {
  add({.kind = Event::Kind::kEnd, .time_ps = time_ps});
  const int status = gzclose(impl_->file);
  impl_->file = nullptr;
  if (status != Z_OK) throw RecordingError(impl_->path + ": cannot be written");
}

// ---- reading -----------------------------------------------------------------------------------------------------

struct Recording::Impl {
  std::string path;
  gzFile file = nullptr;
  MachineOptions options;
  std::uint64_t events = 0;

  void read(void* to, std::size_t bytes) const {
    if (gzread(file, to, static_cast<unsigned>(bytes)) == static_cast<int>(bytes)) return;
    throw RecordingError(
        fmt::format("{}: ends inside event {}: the run was cut off, or the file is damaged", path, events));
  }
};

Recording::Recording(std::string path) : impl_(std::make_unique<Impl>()) {
  impl_->path = std::move(path);
  impl_->file = gzopen(impl_->path.c_str(), "rb");
  if (impl_->file == nullptr) throw RecordingError(impl_->path + ": cannot be read");
  std::array<char, 4096> line{};
  const bool any = gzgets(impl_->file, line.data(), line.size()) != nullptr;
  const auto head = nlohmann::json::parse(any ? line.data() : "", nullptr, false);
  if (head.is_discarded() || !head.is_object() || !head.contains("vtdsim_recording"))
    throw RecordingError(impl_->path + ": is no recording of vtdsim");
  if (head["vtdsim_recording"] != kVersion)
    throw RecordingError(
        fmt::format("{}: is of version {}, expected {}", impl_->path, head["vtdsim_recording"].dump(), kVersion));
  try {
    impl_->options = options_from_json(head.at("machine").dump());
  } catch (const nlohmann::json::exception& e) {
    throw RecordingError(fmt::format("{}: the machine in its first line: {}", impl_->path, e.what()));
  }
}

Recording::~Recording() {
  if (impl_->file != nullptr) gzclose(impl_->file);
}

const MachineOptions& Recording::options() const {
  return impl_->options;
}

Event Recording::next() {
  Head head{};
  impl_->read(&head, sizeof head);
  if (head.kind > static_cast<std::uint8_t>(Event::Kind::kEnd) ||
      head.memory > static_cast<std::uint8_t>(MemoryKind::kMessage) || head.data > kMaxData ||
      head.function > impl_->options.endpoints.size())
    throw RecordingError(fmt::format("{}: event {} is damaged", impl_->path, impl_->events));
  Event e;
  e.kind = static_cast<Event::Kind>(head.kind);
  e.time_ps = head.time_ps;
  e.function = head.function;
  e.memory = static_cast<MemoryKind>(head.memory);
  e.source = head.source;
  e.ok = head.ok != 0;
  e.bytes = head.bytes;
  e.address = head.address;
  e.value = head.value;
  e.data.resize(head.data);
  impl_->read(e.data.data(), e.data.size());
  ++impl_->events;
  return e;
}

// ---- the tap -----------------------------------------------------------------------------------------------------

namespace {

Event of_access(Event::Kind kind, const MemoryTag& tag, PhysAddr address, std::size_t bytes) {
  return {.kind = kind,
          .time_ps = now_ps(),
          .memory = tag.kind,
          .source = tag.source.value,
          .bytes = static_cast<std::uint32_t>(bytes),
          .address = address};
}

}  // namespace

bool TappedRam::read(const MemoryTag& tag, PhysAddr address, std::span<std::uint8_t> data) {
  Event e = of_access(Event::Kind::kRead, tag, address, data.size());
  e.ok = inner_.read(tag, address, data);
  if (e.ok) e.data.assign(data.begin(), data.end());
  const bool ok = e.ok;
  listener_(std::move(e));
  return ok;
}

bool TappedRam::write(const MemoryTag& tag, PhysAddr address, std::span<const std::uint8_t> data) {
  Event e = of_access(Event::Kind::kWrite, tag, address, data.size());
  e.ok = inner_.write(tag, address, data);
  e.data.assign(data.begin(), data.end());
  const bool ok = e.ok;
  listener_(std::move(e));
  return ok;
}

std::optional<std::uint64_t> TappedRam::exchange(const MemoryTag& tag, PhysAddr address, std::uint64_t expected,
                                                 std::uint64_t desired) {
  Event e = of_access(Event::Kind::kExchange, tag, address, sizeof desired);
  const auto observed = inner_.exchange(tag, address, expected, desired);
  e.ok = observed.has_value();
  e.value = desired;
  if (observed) {
    e.data.resize(sizeof *observed);
    std::memcpy(e.data.data(), &*observed, sizeof *observed);
  }
  listener_(std::move(e));
  return observed;
}

void TappedRam::message(const MemoryTag& tag, PhysAddr address, std::uint32_t data) {
  Event e = of_access(Event::Kind::kMessage, tag, address, sizeof data);
  e.value = data;
  inner_.message(tag, address, data);
  listener_(std::move(e));
}

}  // namespace vtd::qemu
