// SPDX-License-Identifier: MIT
// Reads a wave file back through GTKWave's converter fst2vcd.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

namespace vtd::test {

/// From this time on a signal has this value: one character '0', '1', 'x' a bit, highest bit first.
struct VcdChange {
  std::uint64_t time = 0;
  std::string bits;
  friend bool operator==(const VcdChange&, const VcdChange&) = default;
};

/// A value change dump: the changes of every signal, in order of time.
class Vcd {
 public:
  /// False if the converter is not installed (Debian package gtkwave): a test that needs it is skipped.
  static bool available() { return std::system("command -v fst2vcd > /dev/null") == 0; }
  static Vcd of_fst(const std::string& path) { return Vcd(output_of("fst2vcd '" + path + "' 2> /dev/null")); }

  explicit Vcd(const std::string& text) {
    std::istringstream lines(text);
    std::vector<std::string> scopes;
    std::map<std::string, std::vector<std::string>> names_of_code;
    std::uint64_t now = 0;
    for (std::string line; std::getline(lines, line);) {
      std::istringstream words(line);
      std::string first, second;
      words >> first >> second;
      if (first == "$timescale") {
        timescale_ = second == "$end" || second.empty() ? next_line(lines) : second;
      } else if (first == "$scope") {
        words >> second;
        scopes.push_back(second);
        scopes_.push_back(path_of(scopes, ""));
      } else if (first == "$upscope") {
        scopes.pop_back();
      } else if (first == "$var") {
        unsigned width = 0;
        std::string code, name;
        words >> width >> code >> name;
        const std::string path = path_of(scopes, name);
        width_[path] = width;
        changes_[path];
        names_of_code[code].push_back(path);
      } else if (first.starts_with('#')) {
        now = std::stoull(first.substr(1));
      } else if (!first.empty() && first[0] != '$') {
        const bool vector = first[0] == 'b';
        for (const std::string& name : names_of_code[vector ? second : first.substr(1)])
          add(name, now, vector ? first.substr(1) : first.substr(0, 1));
      }
    }
  }

  /// "1ps", "100ps" …
  [[nodiscard]] const std::string& timescale() const { return timescale_; }
  /// Every opening of a scope, in order: "tlm.", "tlm.unit0." …
  [[nodiscard]] const std::vector<std::string>& scopes() const { return scopes_; }
  [[nodiscard]] bool has(const std::string& name) const { return changes_.contains(name); }
  /// Bits of the signal; `name` is scopes and name, separated by dots.
  [[nodiscard]] unsigned width(const std::string& name) const { return width_.at(name); }
  [[nodiscard]] const std::vector<VcdChange>& changes(const std::string& name) const { return changes_.at(name); }
  /// The same as pairs (time, value); bits that are not known count as 0.
  [[nodiscard]] std::vector<std::pair<std::uint64_t, std::uint64_t>> numbers(const std::string& name) const {
    std::vector<std::pair<std::uint64_t, std::uint64_t>> result;
    for (const VcdChange& change : changes(name)) result.emplace_back(change.time, number(change.bits));
    return result;
  }
  /// The same as text of eight bits a character, without trailing blanks.
  [[nodiscard]] std::vector<std::pair<std::uint64_t, std::string>> texts(const std::string& name) const {
    std::vector<std::pair<std::uint64_t, std::string>> result;
    for (const VcdChange& change : changes(name)) {
      std::string text;
      for (std::size_t at = 0; at + 8 <= change.bits.size(); at += 8)
        text += static_cast<char>(number(change.bits.substr(at, 8)));
      text.erase(text.find_last_not_of(' ') + 1);
      result.emplace_back(change.time, text);
    }
    return result;
  }

 private:
  static std::string output_of(const std::string& command) {
    std::string text;
    FILE* pipe = popen(command.c_str(), "r");
    if (pipe == nullptr) return text;
    char part[4096];
    for (std::size_t n = 0; (n = std::fread(part, 1, sizeof part, pipe)) > 0;) text.append(part, n);
    pclose(pipe);
    return text;
  }
  static std::string next_line(std::istringstream& lines) {
    std::string line, word;
    std::getline(lines, line);
    std::istringstream(line) >> word;
    return word;
  }
  static std::string path_of(const std::vector<std::string>& scopes, const std::string& name) {
    std::string path;
    for (const std::string& scope : scopes) path += scope + '.';
    return path + name;
  }
  static std::uint64_t number(const std::string& bits) {
    std::uint64_t value = 0;
    for (const char bit : bits) value = value * 2 + (bit == '1' ? 1 : 0);
    return value;
  }
  /// A dump may leave out leading zeros.
  void add(const std::string& name, std::uint64_t time, std::string bits) {
    const std::size_t width = width_[name];
    const char fill = !bits.empty() && bits[0] != '1' ? bits[0] : '0';
    if (bits.size() < width) bits.insert(0, width - bits.size(), fill);
    changes_[name].push_back({time, std::move(bits)});
  }

  std::string timescale_;
  std::vector<std::string> scopes_;
  std::map<std::string, unsigned> width_;
  std::map<std::string, std::vector<VcdChange>> changes_;
};

}  // namespace vtd::test
