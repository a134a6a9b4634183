// SPDX-License-Identifier: MIT
// The platform's signals in the wave file, read back through GTKWave's converter.
#include <gmock/gmock.h>

#include <cstdio>
#include <filesystem>
#include <sstream>

#include "tests/soc/machine.h"
#include "tlm/unit/wave_file.h"

namespace vtd::soc {
namespace {

using namespace test;
using testing::HasSubstr;

std::string output_of(const std::string& command) {
  std::string text;
  FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return text;
  char part[4096];
  for (std::size_t n = 0; (n = std::fread(part, 1, sizeof part, pipe)) > 0;) text.append(part, n);
  pclose(pipe);
  return text;
}

/// Values that a VCD shows for the signal of this name, in order of time: "b101" or "1".
std::vector<std::string> values_of(const std::string& vcd, const std::string& name) {
  std::istringstream lines(vcd);
  std::string code;
  std::vector<std::string> values;
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string keyword, kind, width, id, signal;
    if (words >> keyword >> kind >> width >> id >> signal; keyword == "$var" && signal == name) code = id;
    if (code.empty() || keyword == "$var") continue;
    if (keyword.starts_with('b') && kind == code) values.push_back(keyword);
    if (keyword.size() > 1 && (keyword[0] == '0' || keyword[0] == '1') && keyword.substr(1) == code)
      values.push_back(keyword.substr(0, 1));
  }
  return values;
}

TEST(PlatformWavesTest, ShowPhasesFirmwareAndTraffic) {
  if (std::system("command -v fst2vcd > /dev/null") != 0) GTEST_SKIP() << "fst2vcd (package gtkwave) is not installed";
  const std::string path = testing::TempDir() + "platform_waves_test.fst";
  WaveFile waves(path);
  Machine m(machine_config());
  m.set_waves(waves);
  waves.start();
  run_story([&] {
    m.wait_ready();
    m.map_and_attach(1, kD1, kMemory1);
    m.set_phase("streaming");
    m.endpoint(0).start();
    sc_core::wait(us(20));
    m.preserve_d1();
    m.update();
    m.endpoint(0).stop();
  });
  waves.close();
  const std::string vcd = output_of("fst2vcd " + path + " 2> /dev/null");
  std::filesystem::remove(path);

  const std::vector<std::string> firmware = values_of(vcd, "firmware");
  EXPECT_THAT(firmware, testing::IsSupersetOf({"b00000001", "b00000010", "b00000011", "b00000100", "b00000101"}))
      << "normal, preserved, frozen, cleaned, blackout";
  EXPECT_GT(values_of(vcd, "D1_transfers").size(), 20U);
  EXPECT_THAT(values_of(vcd, "D1_in_flight"), testing::Contains("b00000100"));
  EXPECT_THAT(values_of(vcd, "reset"), testing::Contains("1"));
  EXPECT_THAT(values_of(vcd, "command"), testing::Contains("b00010011")) << "reboot";
  // The phase is text, eight bits a character.
  std::string text;
  for (const char c : std::string("streaming"))
    for (int i = 7; i >= 0; --i) text += (c >> i & 1) != 0 ? '1' : '0';
  EXPECT_THAT(vcd, HasSubstr(text));
}

}  // namespace
}  // namespace vtd::soc
