// SPDX-License-Identifier: MIT
// Runs a fuzz target without libFuzzer: on files, and on random inputs by seed.
//   TARGET [FILE_OR_DIRECTORY...] [--random COUNT] [--seed N]
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

void run_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  const std::vector<char> bytes((std::istreambuf_iterator<char>(file)), {});
  LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
}

}  // namespace

int main(int argc, char** argv) {
  unsigned long count = 0;
  unsigned long seed = 1;
  unsigned long files = 0;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "--random" && i + 1 < argc) {
      count = std::stoul(argv[++i]);
    } else if (word == "--seed" && i + 1 < argc) {
      seed = std::stoul(argv[++i]);
    } else if (std::filesystem::is_directory(word)) {
      for (const auto& entry : std::filesystem::directory_iterator(word)) run_file(entry.path()), ++files;
    } else if (std::filesystem::is_regular_file(word)) {
      run_file(word), ++files;
    } else {
      std::fprintf(stderr, "%s: no such file or directory\n", word.c_str());
      return 2;
    }
  }
  std::mt19937_64 random(seed);
  for (unsigned long i = 0; i < count; ++i) {
    std::vector<std::uint8_t> bytes(random() % 512);
    for (auto& byte : bytes) byte = static_cast<std::uint8_t>(random());
    LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
  }
  std::printf("%lu files and %lu random inputs passed\n", files, count);
}
