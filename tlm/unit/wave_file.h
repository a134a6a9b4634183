// SPDX-License-Identifier: MIT
// One FST file per run on one time base: signals of the Verilated models and transaction-level signals of ours.
// Works without any RTL model. No SystemC: the host says what time it is.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace vtd {

/// Names one transaction-level signal of a WaveFile.
struct SignalId {
  std::uint32_t index = 0;
};

class WaveFile {
 public:
  /// `path` of the *.fst to write. Nothing is written before start().
  explicit WaveFile(std::string path);
  ~WaveFile();
  WaveFile(const WaveFile&) = delete;
  WaveFile& operator=(const WaveFile&) = delete;

  /// Declares a signal of 1..64 bits in `scope` ("unit0", or "unit0 iotlb" for a scope in a scope), below the
  /// scope "tlm". Only before start().
  SignalId add(std::string_view scope, std::string_view name, unsigned bits);
  /// Declares a lane of ASCII text of 1..64 characters; the viewer shows it with its ASCII format.
  SignalId add_text(std::string_view scope, std::string_view name, unsigned characters);
  /// `attach_model` is called by start() with the VerilatedFstC, so that a Verilated model can join the file; the
  /// model must live until close().
  void attach(std::function<void(void* verilated_fst)> attach_model);

  /// Opens the file. Throws std::runtime_error if it cannot be written.
  void start();
  [[nodiscard]] bool started() const;

  /// The signal takes the value at `time_ps`; before start() it is the value that it begins with. Times may lie in the
  /// future and come in any order as long as they are not before what advance() has written; such a change is shown
  /// right after it. Equal times keep call order: the last one counts.
  void set(SignalId signal, std::uint64_t value, std::uint64_t time_ps);
  void set_text(SignalId signal, std::string_view text, std::uint64_t time_ps);
  /// Everything that happened before `time_ps` is known now: writes it.
  void advance(std::uint64_t time_ps);
  /// A model's signals changed at `time_ps`: writes what is older, then samples the model.
  void dump_rtl(std::uint64_t time_ps);
  /// Writes what is left and closes the file.
  void close();
  [[nodiscard]] const std::string& path() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace vtd
