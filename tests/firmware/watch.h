// SPDX-License-Identifier: MIT
// What a unit could have seen: an entry after each store of the CPU, and invalidations in words.
#pragma once

#include <cstdio>
#include <functional>
#include <string>
#include <vector>

#include "tests/firmware/fake_platform.h"

namespace vtd::fw::test {

/// Notes the words of [at, at + bytes) after each 64- or 128-bit store into them.
class EntryWatch {
 public:
  EntryWatch(FakePlatform& platform, PhysAddr at, std::uint64_t bytes) : platform_(platform) {
    platform_.on_entry = [this, at, bytes](PhysAddr store) {
      if (store < at || store >= at + bytes) return;
      std::vector<std::uint64_t> words;
      for (std::uint64_t i = 0; i < bytes; i += 8) words.push_back(platform_.read64(at + i));
      states.push_back(words);
      if (on_state) on_state(words);
    };
  }
  ~EntryWatch() { platform_.on_entry = nullptr; }
  EntryWatch(const EntryWatch&) = delete;
  EntryWatch& operator=(const EntryWatch&) = delete;

  std::vector<std::vector<std::uint64_t>> states;
  std::function<void(const std::vector<std::uint64_t>&)> on_state;

 private:
  FakePlatform& platform_;
};

/// One line a descriptor, waits left out; bits as VT-d 6.5.2 numbers them.
inline std::vector<std::string> invalidations(const std::vector<Record128>& descriptors) {
  std::vector<std::string> out;
  for (const Record128& d : descriptors) {
    const std::uint64_t low = d.words[0];
    const std::uint64_t high = d.words[1];
    const auto number = [](std::uint64_t v) { return std::to_string(v); };
    const auto hex = [](const char* form, std::uint64_t v) {
      char text[24];
      std::snprintf(text, sizeof text, form, static_cast<unsigned long long>(v));
      return std::string(text);
    };
    const std::uint64_t g = low >> 4 & 3;
    const std::string did = " did " + number(low >> 16 & 0xFFFF);
    const std::string pasid = " pasid " + number(low >> 32 & 0xF'FFFF);
    const std::string block = " " + hex("0x%llx", high & ~std::uint64_t{0xFFF}) + "/" + number(high & 0x3F);
    const auto all = [](bool size, std::uint64_t address) {
      // S = 1 and every address bit below 63 set: the whole address space.
      return size && (address | std::uint64_t{1} << 63 | 0xFFF) == ~std::uint64_t{0} ? " all" : " part";
    };
    switch (low & 0xF) {
      case 1:
        out.push_back(std::string("context ") +
                      (g == 1   ? "global"
                       : g == 2 ? "domain"
                                : "device") +
                      did + " sid " + hex("%04llx", low >> 32 & 0xFFFF));
        break;
      case 2:
        out.push_back(std::string("iotlb ") +
                      (g == 1   ? "global"
                       : g == 2 ? "domain"
                                : "page") +
                      did + (g == 3 ? block : ""));
        break;
      case 3:
        out.push_back("device-tlb " + hex("%04llx", low >> 32 & 0xFFFF) + all((high & 1) != 0, high));
        break;
      case 5:
        break;
      case 6:
        out.push_back(std::string("pasid-iotlb ") + (g == 2 ? "pasid" : "page") + did + pasid + (g == 3 ? block : ""));
        break;
      case 7:
        out.push_back(std::string("pasid-cache ") + (g == 0 ? "domain" : g == 1 ? "pasid" : "global") + did + pasid);
        break;
      case 8:
        out.push_back("pasid-device-tlb " + hex("%04llx", low >> 16 & 0xFFFF) + pasid +
                      all((high >> 11 & 1) != 0, high));
        break;
      default:
        out.push_back("type " + number(low & 0xF));
    }
  }
  return out;
}

}  // namespace vtd::fw::test
