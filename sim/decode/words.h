// SPDX-License-Identifier: MIT
// Fields of registers and structures in words: the vocabulary that every `vtdsim decode` shares.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tlm/core/request.h"
#include "tlm/spec/field.h"
#include "tlm/spec/types.h"

namespace vtd::sim {

/// What a register or structure is; empty if nothing is known beyond its name.
[[nodiscard]] std::string title(std::string_view owner);
/// What the value of a field means. `owner` is the register or structure: "CAP", "context". Empty as above.
[[nodiscard]] std::string meaning(std::string_view owner, const Field& field, std::uint64_t value);

/// A line for each field: name, bits, value, meaning. `words` is the whole record.
[[nodiscard]] std::string field_lines(std::string_view owner, std::span<const Field> fields,
                                      std::span<const std::uint64_t> words);
enum class Zeros { kShow, kOmit };
/// All fields on one line, "P=1 TT=0 (untranslated requests)". kOmit leaves out zeros that have no meaning of their
/// own.
[[nodiscard]] std::string field_list(std::string_view owner, std::span<const Field> fields,
                                     std::span<const std::uint64_t> words, Zeros zeros);
/// The bits of `words` that are set under `mask`, "4, 11:8"; empty if none is.
[[nodiscard]] std::string bits_set(std::span<const std::uint64_t> words, std::span<const std::uint64_t> mask);

/// "00:03.0"
[[nodiscard]] std::string source_text(SourceId source);
/// "0x05 WritePermission: 00:03.0 writes 0x1000"
[[nodiscard]] std::string fault_text(const Fault& fault);
/// "4K", "2M", "1G" ...
[[nodiscard]] std::string size_text(std::uint64_t bytes);

/// The lines of an answer, at most `limit` of them: a corrupt table may be cyclic, or as large as it likes.
class Lines {
 public:
  struct Full {};  ///< thrown by the line that is one too many
  explicit Lines(std::uint64_t limit) : limit_(limit) {}
  void add(unsigned depth, std::string_view text);
  /// Runs `write`, which adds lines; what was written, and whether it was cut.
  template <typename Write>
  [[nodiscard]] std::string collect(Write write) {
    try {
      write();
    } catch (const Full&) {
      text_ += cut();
    }
    return std::move(text_);
  }

 private:
  [[nodiscard]] std::string cut() const;
  std::uint64_t limit_;
  std::uint64_t count_ = 0;
  std::string text_;
};

}  // namespace vtd::sim
