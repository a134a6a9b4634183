// SPDX-License-Identifier: MIT
#include "tlm/unit/wave_file.h"

#include <verilated.h>
#include <verilated_fst_c.h>

#include <algorithm>
#include <array>
#include <map>
#include <stdexcept>
#include <vector>

namespace vtd {
namespace {

constexpr unsigned kWordBits = 32;
constexpr unsigned kMaxCharacters = 64;
constexpr unsigned kMaxWords = kMaxCharacters * 8 / kWordBits;
using Words = std::array<std::uint32_t, kMaxWords>;

struct Signal {
  std::string scope;  ///< separated by spaces
  std::string name;
  unsigned bits = 1;
  std::uint32_t code = 0;  ///< word index relative to the file's base code
  [[nodiscard]] unsigned words() const { return (bits + kWordBits - 1) / kWordBits; }
};

struct Change {
  std::uint32_t signal = 0;
  Words words{};
};

/// First character in the highest byte in use, so that a viewer reads left to right.
Words text_words(std::string_view text, unsigned characters) {
  Words words{};
  for (unsigned i = 0; i < characters; ++i) {
    const char c = i < text.size() ? text[i] : ' ';
    const unsigned byte = characters - 1 - i;
    words[byte / 4] |= std::uint32_t{static_cast<unsigned char>(c)} << (8 * (byte % 4));
  }
  return words;
}

}  // namespace

struct WaveFile::Impl {
  std::string path;
  VerilatedFstC file;
  std::vector<Signal> signals;
  std::vector<Words> values;
  std::uint32_t next_code = 0;
  std::uint32_t base_code = 0;
  std::multimap<std::uint64_t, Change> pending;
  std::vector<std::function<void(void*)>> models;
  std::uint64_t written_ps = 0;
  bool started = false;
  bool dumped = false;

  SignalId add(std::string_view scope, std::string_view name, unsigned bits) {
    if (started) throw std::logic_error("wave signals must be declared before the file is started");
    const Signal signal{std::string(scope), std::string(name), bits, next_code};
    next_code += signal.words();
    signals.push_back(signal);
    values.emplace_back();
    return {static_cast<std::uint32_t>(signals.size() - 1)};
  }

  void push(SignalId id, const Words& words, std::uint64_t time_ps) {
    if (!started)
      values.at(id.index) = words;
    else
      pending.emplace(std::max(time_ps, written_ps), Change{id.index, words});
  }

  /// Applies the oldest pending changes, all those of one time; returns that time.
  std::uint64_t apply_oldest() {
    const std::uint64_t at = pending.begin()->first;
    for (auto it = pending.begin(); it != pending.end() && it->first == at; it = pending.erase(it))
      values[it->second.signal] = it->second.words;
    return at;
  }

  /// Applies and writes all changes before `time_ps`.
  void write_before(std::uint64_t time_ps) {
    while (!pending.empty() && pending.begin()->first < time_ps) dump(apply_oldest());
  }

  /// The file takes one sample a time: a second one for the same picosecond is shown a picosecond later.
  void dump(std::uint64_t time_ps) {
    written_ps = dumped ? std::max(written_ps + 1, time_ps) : time_ps;
    dumped = true;
    file.dump(written_ps);
  }

  // ---- callbacks of the tracing library ----
  static void declare(void* self, VerilatedFst* fst, std::uint32_t code) {
    auto& me = *static_cast<Impl*>(self);
    me.base_code = code;
    fst->scopeEscape(' ');
    fst->pushNamePrefix("tlm ");
    // Scope by scope: a scope that is entered twice would be shown twice.
    std::vector<Signal> signals = me.signals;
    std::ranges::stable_sort(signals, {}, &Signal::scope);
    for (const Signal& s : signals) {
      const std::uint32_t at = code + s.code;
      const int msb = static_cast<int>(s.bits) - 1;
      const std::string path = s.scope + " " + s.name;
      if (s.bits == 1)
        fst->declBit(at, path.c_str(), -1, FST_VD_IMPLICIT, FST_VT_VCD_WIRE, false, -1);
      else if (s.words() == 1)
        fst->declBus(at, path.c_str(), -1, FST_VD_IMPLICIT, FST_VT_VCD_WIRE, false, -1, msb, 0);
      else if (s.words() == 2)
        fst->declQuad(at, path.c_str(), -1, FST_VD_IMPLICIT, FST_VT_VCD_WIRE, false, -1, msb, 0);
      else
        fst->declArray(at, path.c_str(), -1, FST_VD_IMPLICIT, FST_VT_VCD_WIRE, false, -1, msb, 0);
    }
    fst->popNamePrefix();
  }

  template <bool kFull>
  static void sample(void* self, VerilatedFst::Buffer* buffer) {
    auto& me = *static_cast<Impl*>(self);
    for (std::size_t i = 0; i < me.signals.size(); ++i) {
      const Signal& s = me.signals[i];
      const Words& words = me.values[i];
      std::uint32_t* old = buffer->oldp(me.base_code + s.code);
      const int bits = static_cast<int>(s.bits);
      if (s.bits == 1) {
        const auto value = static_cast<CData>(words[0] & 1U);
        kFull ? buffer->fullBit(old, value) : buffer->chgBit(old, value);
      } else if (s.words() == 1) {
        kFull ? buffer->fullIData(old, words[0], bits) : buffer->chgIData(old, words[0], bits);
      } else if (s.words() == 2) {
        const std::uint64_t value = (std::uint64_t{words[1]} << kWordBits) | words[0];
        kFull ? buffer->fullQData(old, value, bits) : buffer->chgQData(old, value, bits);
      } else {
        kFull ? buffer->fullWData(old, words.data(), bits) : buffer->chgWData(old, words.data(), bits);
      }
    }
  }
  static void cleanup(void*, VerilatedFst*) {}
};

WaveFile::WaveFile(std::string path) : impl_(std::make_unique<Impl>()) {
  impl_->path = std::move(path);
}
WaveFile::~WaveFile() {
  close();
}

SignalId WaveFile::add(std::string_view scope, std::string_view name, unsigned bits) {
  if (bits < 1 || bits > 64) throw std::invalid_argument("a wave signal has 1 to 64 bits");
  return impl_->add(scope, name, bits);
}

SignalId WaveFile::add_text(std::string_view scope, std::string_view name, unsigned characters) {
  if (characters < 1 || characters > kMaxCharacters) throw std::invalid_argument("a wave text has 1 to 64 characters");
  const SignalId id = impl_->add(scope, name, characters * 8);
  impl_->values[id.index] = text_words("", characters);
  return id;
}

void WaveFile::attach(std::function<void(void*)> attach_model) {
  impl_->models.push_back(std::move(attach_model));
}

void WaveFile::start() {
  Verilated::traceEverOn(true);
  VerilatedFst* fst = impl_->file.spTrace();
  fst->addInitCb(&Impl::declare, impl_.get());
  fst->addFullCb(&Impl::sample<true>, impl_.get());
  fst->addChgCb(&Impl::sample<false>, impl_.get());
  fst->addCleanupCb(&Impl::cleanup, impl_.get());
  for (const auto& attach_model : impl_->models) attach_model(&impl_->file);
  fst->set_time_unit("1ps");
  fst->set_time_resolution("1ps");
  impl_->file.open(impl_->path.c_str());
  if (!impl_->file.isOpen()) throw std::runtime_error("cannot write the wave file " + impl_->path);
  impl_->started = true;
}

bool WaveFile::started() const {
  return impl_->started;
}

void WaveFile::set(SignalId signal, std::uint64_t value, std::uint64_t time_ps) {
  Words words{};
  words[0] = static_cast<std::uint32_t>(value);
  words[1] = static_cast<std::uint32_t>(value >> kWordBits);
  impl_->push(signal, words, time_ps);
}

void WaveFile::set_text(SignalId signal, std::string_view text, std::uint64_t time_ps) {
  impl_->push(signal, text_words(text, impl_->signals[signal.index].bits / 8), time_ps);
}

void WaveFile::advance(std::uint64_t time_ps) {
  if (impl_->started) impl_->write_before(time_ps);
}

void WaveFile::dump_rtl(std::uint64_t time_ps) {
  if (!impl_->started) return;
  impl_->write_before(time_ps);
  while (!impl_->pending.empty() && impl_->pending.begin()->first <= time_ps) impl_->apply_oldest();
  impl_->dump(time_ps);
}

void WaveFile::close() {
  if (!impl_->started) return;
  while (!impl_->pending.empty()) impl_->dump(impl_->apply_oldest());
  if (!impl_->dumped) impl_->dump(0);
  impl_->file.close();
  impl_->started = false;
}

const std::string& WaveFile::path() const {
  return impl_->path;
}

}  // namespace vtd
