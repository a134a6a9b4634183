// SPDX-License-Identifier: MIT
// Runs inside the guest: drives the DMA engine through VFIO, and checks every byte that it moved, and every byte that
// it must not have moved.
//
//   vfio_test GROUP PCI-ADDRESS [--quick]   the tests, a line each: "VTDSIM vfio.NAME: PASS", "... FAIL what happened"
//   vfio_test GROUP PCI-ADDRESS --leave-live MICROSECONDS   starts live DMA and stays, with the device open
//   vfio_test --read-live PCI-ADDRESS       what the live DMA has counted, through sysfs, without touching the device
#include <fcntl.h>
#include <linux/vfio.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "tlm/spec/dma_engine.h"
#include "tlm/spec/pci.h"

namespace {

namespace e = vtd::dma_engine;

constexpr std::uint64_t kPage = 4096;
constexpr std::uint64_t kIova = 0x7F00'0000'0000;  // far above the guest's memory
constexpr std::uint64_t kRingIova = 0x6000'0000'0000;
constexpr unsigned kRingEntries = 64;
constexpr int kPatienceMs = 60'000;
constexpr unsigned kFaultPrintSeconds = 6;  // Linux prints three faults, then none for five seconds

[[noreturn]] void die(const char* what) {
  std::printf("VTDSIM vfio: FAIL %s: %s\n", what, std::strerror(errno));
  std::exit(2);
}

int check(int result, const char* what) {
  if (result < 0) die(what);
  return result;
}

/// Memory of this process that starts at a page.
class Buffer {
 public:
  explicit Buffer(std::uint64_t bytes) : bytes_(bytes) {
    void* at = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (at == MAP_FAILED) die("mmap of a buffer");
    data_ = static_cast<std::uint8_t*>(at);
  }
  ~Buffer() { munmap(data_, bytes_); }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  [[nodiscard]] std::uint8_t* data() const { return data_; }
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }
  void fill(std::uint64_t word) const {
    for (std::uint64_t i = 0; i < bytes_; i += sizeof word) std::memcpy(data_ + i, &word, sizeof word);
  }
  [[nodiscard]] std::uint64_t word(std::uint64_t index) const {
    std::uint64_t value = 0;
    std::memcpy(&value, data_ + index * sizeof value, sizeof value);
    return value;
  }
  /// The first word of [0, bytes) that is not `word`; -1 if all are.
  [[nodiscard]] long unlike(std::uint64_t word_wanted) const {
    for (std::uint64_t i = 0; i < bytes_ / sizeof(std::uint64_t); ++i)
      if (word(i) != word_wanted) return static_cast<long>(i);
    return -1;
  }

 private:
  std::uint8_t* data_ = nullptr;
  std::uint64_t bytes_;
};

struct Result {
  e::Error error = e::Error::kNone;
  std::uint64_t detail = 0;
};

class Device {
 public:
  Device(const char* group, const char* address);
  void map(std::uint64_t iova, const void* memory, std::uint64_t bytes, unsigned rights);
  void unmap(std::uint64_t iova, std::uint64_t bytes);
  [[nodiscard]] std::uint64_t reg(std::uint64_t offset) const {
    return *reinterpret_cast<volatile std::uint64_t*>(bar_ + offset);
  }
  void reg(std::uint64_t offset, std::uint64_t value) const {
    *reinterpret_cast<volatile std::uint64_t*>(bar_ + offset) = value;
  }
  /// Performs one descriptor and waits for its interrupt. Dies if that does not come.
  Result run(e::Operation operation, std::uint64_t source, std::uint64_t destination, std::uint64_t bytes,
             std::uint64_t pattern = 0);

 private:
  int container_;
  int group_;
  int device_;
  int event_;
  std::uint8_t* bar_ = nullptr;
  Buffer ring_{kRingEntries * sizeof(e::Descriptor)};
  unsigned tail_ = 0;
};

Device::Device(const char* group, const char* address) {
  container_ = check(open("/dev/vfio/vfio", O_RDWR), "open /dev/vfio/vfio");
  group_ = check(open((std::string("/dev/vfio/") + group).c_str(), O_RDWR), "open of the group");
  check(ioctl(group_, VFIO_GROUP_SET_CONTAINER, &container_), "VFIO_GROUP_SET_CONTAINER");
  check(ioctl(container_, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU), "VFIO_SET_IOMMU");
  device_ = check(ioctl(group_, VFIO_GROUP_GET_DEVICE_FD, address), "VFIO_GROUP_GET_DEVICE_FD");

  vfio_region_info config{};
  config.argsz = sizeof config;
  config.index = VFIO_PCI_CONFIG_REGION_INDEX;
  check(ioctl(device_, VFIO_DEVICE_GET_REGION_INFO, &config), "VFIO_DEVICE_GET_REGION_INFO of config");
  std::uint16_t command = 0;
  const auto at = static_cast<off_t>(config.offset + vtd::pci::kCommand);
  if (pread(device_, &command, sizeof command, at) != sizeof command) die("read of COMMAND");
  command =
      static_cast<std::uint16_t>(vtd::pci::command::kBusMaster.with(vtd::pci::command::kMemory.with(command, 1), 1));
  if (pwrite(device_, &command, sizeof command, at) != sizeof command) die("write of COMMAND");

  vfio_region_info bar{};
  bar.argsz = sizeof bar;
  bar.index = VFIO_PCI_BAR0_REGION_INDEX;
  check(ioctl(device_, VFIO_DEVICE_GET_REGION_INFO, &bar), "VFIO_DEVICE_GET_REGION_INFO of BAR 0");
  void* mapped = mmap(nullptr, bar.size, PROT_READ | PROT_WRITE, MAP_SHARED, device_, static_cast<off_t>(bar.offset));
  if (mapped == MAP_FAILED) die("mmap of BAR 0");
  bar_ = static_cast<std::uint8_t*>(mapped);
  if (reg(e::kId) != e::kMagic) {
    std::printf("VTDSIM vfio: FAIL this is not the DMA engine: id %#llx\n",
                static_cast<unsigned long long>(reg(e::kId)));
    std::exit(2);
  }

  event_ = check(eventfd(0, EFD_CLOEXEC), "eventfd");
  std::array<std::uint8_t, sizeof(vfio_irq_set) + sizeof(int)> storage{};
  auto* irq = reinterpret_cast<vfio_irq_set*>(storage.data());
  irq->argsz = storage.size();
  irq->flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER;
  irq->index = VFIO_PCI_MSI_IRQ_INDEX;
  irq->count = 1;
  std::memcpy(irq->data, &event_, sizeof event_);
  check(ioctl(device_, VFIO_DEVICE_SET_IRQS, irq), "VFIO_DEVICE_SET_IRQS");

  map(kRingIova, ring_.data(), ring_.bytes(), VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE);
  reg(e::kControl, e::kReset.of(1));
  reg(e::kRingBase, kRingIova);
  reg(e::kRingSize, kRingEntries);
  reg(e::kControl, e::kRun.of(1) | e::kInterruptEnable.of(1));
}

void Device::map(std::uint64_t iova, const void* memory, std::uint64_t bytes, unsigned rights) {
  vfio_iommu_type1_dma_map m{};
  m.argsz = sizeof m;
  m.flags = rights;
  m.vaddr = reinterpret_cast<std::uintptr_t>(memory);
  m.iova = iova;
  m.size = bytes;
  check(ioctl(container_, VFIO_IOMMU_MAP_DMA, &m), "VFIO_IOMMU_MAP_DMA");
}

void Device::unmap(std::uint64_t iova, std::uint64_t bytes) {
  vfio_iommu_type1_dma_unmap u{};
  u.argsz = sizeof u;
  u.iova = iova;
  u.size = bytes;
  check(ioctl(container_, VFIO_IOMMU_UNMAP_DMA, &u), "VFIO_IOMMU_UNMAP_DMA");
}

Result Device::run(e::Operation operation, std::uint64_t source, std::uint64_t destination, std::uint64_t bytes,
                   std::uint64_t pattern) {
  e::Descriptor d;
  d.set(e::kOperation, static_cast<std::uint64_t>(operation))
      .set(e::kInterrupt, 1)
      .set(e::kSource, source)
      .set(e::kDestination, destination)
      .set(e::kLength, bytes)
      .set(e::kPattern, pattern);
  auto* slot = reinterpret_cast<volatile std::uint64_t*>(ring_.data()) + tail_ * d.words.size();
  for (std::size_t i = 0; i < d.words.size(); ++i) slot[i] = d.words[i];
  tail_ = (tail_ + 1) % kRingEntries;
  reg(e::kTail, tail_);
  pollfd p{event_, POLLIN, 0};
  std::uint64_t count = 0;
  if (poll(&p, 1, kPatienceMs) != 1 || read(event_, &count, sizeof count) != sizeof count) {
    std::printf("VTDSIM vfio: FAIL no interrupt of the engine within %d ms; status %#llx, head %llu, tail %u\n",
                kPatienceMs, static_cast<unsigned long long>(reg(e::kStatus)),
                static_cast<unsigned long long>(reg(e::kHead)), tail_);
    std::exit(2);
  }
  e::Descriptor back;
  for (std::size_t i = 0; i < back.words.size(); ++i) back.words[i] = slot[i];
  if (back.get(e::kDone) == 0) {
    std::printf("VTDSIM vfio: FAIL an interrupt came before its result was in memory\n");
    std::exit(2);
  }
  return {static_cast<e::Error>(back.get(e::kError)), back.get(e::kDetail)};
}

// ---- tests -------------------------------------------------------------------------------------------------------

constexpr unsigned kRead = VFIO_DMA_MAP_FLAG_READ;
constexpr unsigned kWrite = VFIO_DMA_MAP_FLAG_WRITE;
constexpr unsigned kBoth = kRead | kWrite;

int passed = 0;
int failed = 0;

/// One test: says at once what the first thing is that is wrong, and at its end if nothing is.
class Test {
 public:
  explicit Test(const char* name) : name_(name) {}
  ~Test() {
    ++(right_ ? passed : failed);
    if (right_) std::printf("VTDSIM vfio.%s: PASS\n", name_);
  }
  Test(const Test&) = delete;
  Test& operator=(const Test&) = delete;
  [[gnu::format(printf, 3, 4)]] void expect(bool good, const char* format, ...) {
    if (good || !right_) return;
    right_ = false;
    std::array<char, 200> text{};
    va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(text.data(), text.size(), format, arguments);
    va_end(arguments);
    std::printf("VTDSIM vfio.%s: FAIL %s\n", name_, text.data());
  }
  void expect(const Result& result, e::Error wanted, const char* what) {
    expect(result.error == wanted, "%s: error %d after %llu bytes, expected %d", what, static_cast<int>(result.error),
           static_cast<unsigned long long>(result.detail), static_cast<int>(wanted));
  }

 private:
  const char* name_;
  bool right_ = true;
};

void map_copy(Device& device, std::uint64_t bytes, const char* name) {
  Test test(name);
  const Buffer from(bytes);
  const Buffer to(bytes);
  device.map(kIova, from.data(), bytes, kBoth);
  device.map(kIova + bytes, to.data(), bytes, kBoth);
  test.expect(device.run(e::Operation::kGenerate, 0, kIova, bytes, 77), e::Error::kNone, "generate");
  for (std::uint64_t i = 0; i < bytes / 8; ++i)
    test.expect(from.word(i) == e::sequence(77, i), "generated word %llu is wrong", static_cast<unsigned long long>(i));
  test.expect(device.run(e::Operation::kCopy, kIova, kIova + bytes, bytes), e::Error::kNone, "copy");
  test.expect(std::memcmp(from.data(), to.data(), bytes) == 0, "the copy differs");
  test.expect(device.run(e::Operation::kCheck, kIova + bytes, 0, bytes, 77), e::Error::kNone, "check");
  device.unmap(kIova, 2 * bytes);
}

void read_only(Device& device) {
  Test test("read_only");
  const Buffer page(kPage);
  page.fill(5);
  device.map(kIova + 0x10'0000, page.data(), kPage, kRead);
  test.expect(device.run(e::Operation::kFill, 0, kIova + 0x10'0000, kPage, 6), e::Error::kDestinationRefused, "write");
  test.expect(page.unlike(5) < 0, "a read-only page was written, word %ld", page.unlike(5));
  device.unmap(kIova + 0x10'0000, kPage);
}

void never_mapped(Device& device) {
  Test test("never_mapped");
  test.expect(device.run(e::Operation::kFill, 0, kIova + 0x4000'0000, kPage, 6), e::Error::kDestinationRefused,
              "write");
  test.expect(device.run(e::Operation::kCheck, kIova + 0x4000'0000, 0, kPage), e::Error::kSourceRefused, "read");
}

/// A translation that is cached must be gone when its unmap has returned.
void unmapped(Device& device) {
  Test test("unmapped");
  const Buffer page(kPage);
  device.map(kIova, page.data(), kPage, kBoth);
  test.expect(device.run(e::Operation::kFill, 0, kIova, kPage, 1), e::Error::kNone, "write to a mapped page");
  test.expect(page.unlike(1) < 0, "the page was not written");
  device.unmap(kIova, kPage);
  test.expect(device.run(e::Operation::kFill, 0, kIova, kPage, 2), e::Error::kDestinationRefused,
              "write after unmap (a stale translation)");
  test.expect(page.unlike(1) < 0, "memory was written after its unmap, word %ld", page.unlike(1));
}

void remap(Device& device, unsigned rounds) {
  Test test("remap");
  constexpr unsigned kPages = 16;
  const Buffer pages(kPages * kPage);
  unsigned seed = 1;
  for (unsigned round = 0; round < rounds; ++round) {
    seed = seed * 1103515245U + 12345U;
    const std::uint64_t pick = seed / 65536U % kPages;
    pages.fill(0xAAAA);
    device.map(kIova, pages.data() + pick * kPage, kPage, kBoth);
    test.expect(device.run(e::Operation::kFill, 0, kIova, kPage, round), e::Error::kNone, "write");
    for (std::uint64_t p = 0; p < kPages; ++p)
      test.expect(pages.word(p * kPage / 8 + 7) == (p == pick ? round : 0xAAAA),
                  "round %u: page %llu holds %#llx, %llu was mapped", round, static_cast<unsigned long long>(p),
                  static_cast<unsigned long long>(pages.word(p * kPage / 8 + 7)),
                  static_cast<unsigned long long>(pick));
    device.unmap(kIova, kPage);
  }
}

void many(Device& device, unsigned maps) {
  Test test("many");
  const Buffer memory(maps * kPage);
  // Scattered, each in a place of its own.
  const auto place = [](std::uint64_t i) { return kIova + i * 0x40'3000; };
  for (std::uint64_t i = 0; i < maps; ++i) device.map(place(i), memory.data() + i * kPage, kPage, kBoth);
  for (std::uint64_t i = 0; i < maps; ++i)
    test.expect(device.run(e::Operation::kGenerate, 0, place(i), kPage, i), e::Error::kNone, "generate");
  for (std::uint64_t i = 0; i + 1 < maps; i += 2)
    test.expect(device.run(e::Operation::kCopy, place(i), place(i + 1), kPage), e::Error::kNone, "copy");
  for (std::uint64_t i = 0; i < maps; ++i)
    test.expect(memory.word(i * kPage / 8 + 100) == e::sequence(i & ~std::uint64_t{1}, 100), "page %llu is wrong",
                static_cast<unsigned long long>(i));
  for (std::uint64_t i = 0; i < maps; i += 3) device.unmap(place(i), kPage);
  for (std::uint64_t i = 0; i < maps; ++i)
    test.expect(device.run(e::Operation::kCheck, place(i), 0, kPage, i & ~std::uint64_t{1}),
                i % 3 == 0 ? e::Error::kSourceRefused : e::Error::kNone, "check after every third unmap");
  for (std::uint64_t i = 0; i < maps; ++i)
    if (i % 3 != 0) device.unmap(place(i), kPage);
}

void live(Device& device) {
  Test test("live");
  const Buffer page(kPage);
  const Buffer other(kPage);
  device.map(kIova, page.data(), kPage, kBoth);
  device.reg(e::kLiveAddress, kIova);
  device.reg(e::kLivePeriod, 5000);
  const auto transfers = [&] { return static_cast<unsigned long long>(device.reg(e::kLiveOk)); };
  for (int i = 0; i < 20 || (transfers() < 10 && i < kPatienceMs / 10); ++i) {
    device.map(kIova + 0x20'0000, other.data(), kPage, kBoth);
    usleep(10'000);
    device.unmap(kIova + 0x20'0000, kPage);
  }
  device.reg(e::kLivePeriod, 0);
  usleep(20'000);
  const auto ok = transfers();
  const auto bad = static_cast<unsigned long long>(device.reg(e::kLiveFailed));
  test.expect(ok >= 10 && bad == 0, "%llu live transfers went well, %llu did not", ok, bad);
  test.expect(page.word(0) + 1 == ok, "the page says %llu", static_cast<unsigned long long>(page.word(0)));
  device.unmap(kIova, kPage);
}

int tests(Device& device, bool quick) {
  map_copy(device, kPage, "map_copy_4k");
  map_copy(device, 16 * kPage, "map_copy_64k");
  if (!quick) map_copy(device, 512 * kPage, "map_copy_2m");
  read_only(device);
  never_mapped(device);
  if (!quick) sleep(kFaultPrintSeconds);  // each refused request is to be seen in the kernel's log
  unmapped(device);
  remap(device, quick ? 8 : 64);
  if (!quick) many(device, 200);
  live(device);
  std::printf("VTDSIM vfio: %s %d passed, %d failed\n", failed == 0 ? "PASS" : "FAIL", passed, failed);
  return failed == 0 ? 0 : 1;
}

[[noreturn]] void leave_live(const char* group, const char* address, unsigned period) {
  static Device device(group, address);
  static const Buffer page(kPage);
  device.map(kIova, page.data(), kPage, kBoth);
  device.reg(e::kLiveAddress, kIova);
  device.reg(e::kLivePeriod, period);
  const auto count = [&](std::uint64_t at) { return static_cast<unsigned long long>(device.reg(at)); };
  for (int i = 0; i < kPatienceMs / 10 && count(e::kLiveOk) + count(e::kLiveFailed) < 10; ++i) usleep(10'000);
  const auto ok = count(e::kLiveOk);
  const auto bad = count(e::kLiveFailed);
  std::printf("VTDSIM live: %s running, ok=%llu failed=%llu\n", ok > 0 && bad == 0 ? "PASS" : "FAIL", ok, bad);
  for (;;) pause();
}

int read_live(const char* address) {
  const std::string path = std::string("/sys/bus/pci/devices/") + address + "/resource0";
  const int file = check(open(path.c_str(), O_RDWR | O_SYNC), "open of resource0");
  void* mapped = mmap(nullptr, e::kBarSize, PROT_READ, MAP_SHARED, file, 0);
  if (mapped == MAP_FAILED) die("mmap of resource0");
  const auto read = [&](std::uint64_t offset) {
    return static_cast<unsigned long long>(
        *reinterpret_cast<volatile std::uint64_t*>(static_cast<char*>(mapped) + offset));
  };
  std::printf("VTDSIM live: ok=%llu failed=%llu\n", read(e::kLiveOk), read(e::kLiveFailed));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  std::setvbuf(stdout, nullptr, _IOLBF, BUFSIZ);  // a line, a write: /dev/kmsg makes a message of each
  if (words.size() == 2 && words[0] == "--read-live") return read_live(argv[2]);
  if (words.size() == 4 && words[2] == "--leave-live")
    leave_live(argv[1], argv[2], static_cast<unsigned>(std::strtoul(argv[4], nullptr, 10)));
  const bool quick = words.size() == 3 && words[2] == "--quick";
  if (words.size() != 2 && !quick) {
    std::fprintf(stderr,
                 "usage: vfio_test GROUP ADDRESS [--quick | --leave-live MICROSECONDS] | --read-live ADDRESS\n");
    return 2;
  }
  Device device(argv[1], argv[2]);
  return tests(device, quick);
}
