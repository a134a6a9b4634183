// SPDX-License-Identifier: MIT
#include "tlm/soc/cpu/native_cpu.h"

#include <dlfcn.h>
#include <fmt/format.h>
#include <link.h>
#include <sys/mman.h>
#include <unistd.h>
#include <unwind.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <iterator>
#include <stdexcept>

#include "tlm/soc/cpu/elf_symbols.h"
#include "tlm/spec/firmware_abi.h"
#include "tlm/spec/platform.h"
#include "tlm/spec/types.h"

namespace vtd::soc {
namespace {

/// Instructions charged for one call into the host; the ISS executes about so many between two of them.
constexpr std::uint64_t kInstructionsPerAccess = 8;
constexpr std::uint64_t kWord = sizeof(std::uint64_t);
constexpr std::size_t kMaxFrames = 24;

/// Leaves the firmware because the CPU is reset.
struct Restarted {};
/// Leaves the firmware because it did what no CPU can do.
struct Crashed {
  std::string reason;
  std::vector<std::uint64_t> frames;
};

std::vector<char> read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) throw std::invalid_argument("cannot read firmware image " + path);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// A shared object loaded from a copy in memory. The loader knows files by inode: only a new file is loaded anew.
class FreshLibrary {
 public:
  explicit FreshLibrary(const std::string& path) {
    const std::vector<char> content = read_file(path);
    file_ = memfd_create("firmware", MFD_CLOEXEC);
    if (file_ < 0) throw std::runtime_error("memfd_create failed");
    std::size_t done = 0;
    while (done < content.size()) {
      const ssize_t n = ::write(file_, content.data() + done, content.size() - done);
      if (n <= 0) throw std::runtime_error("cannot copy " + path);
      done += static_cast<std::size_t>(n);
    }
    handle_ = dlopen(fmt::format("/proc/{}/fd/{}", getpid(), file_).c_str(), RTLD_NOW | RTLD_LOCAL);
    if (handle_ == nullptr) throw std::runtime_error(fmt::format("cannot load {}: {}", path, dlerror()));
  }
  ~FreshLibrary() {
    if (handle_ != nullptr) dlclose(handle_);
    if (file_ >= 0) close(file_);
  }
  FreshLibrary(const FreshLibrary&) = delete;
  FreshLibrary& operator=(const FreshLibrary&) = delete;

  [[nodiscard]] void* symbol(const char* name) const { return dlsym(handle_, name); }
  /// Difference between addresses here and in the file.
  [[nodiscard]] std::uint64_t bias() const {
    link_map* map = nullptr;
    return dlinfo(handle_, RTLD_DI_LINKMAP, &map) == 0 ? map->l_addr : 0;
  }

 private:
  int file_ = -1;
  void* handle_ = nullptr;
};

_Unwind_Reason_Code note_frame(_Unwind_Context* context, void* list) {
  auto& frames = *static_cast<std::vector<std::uint64_t>*>(list);
  frames.push_back(_Unwind_GetIP(context));
  return frames.size() < kMaxFrames ? _URC_NO_REASON : _URC_END_OF_STACK;
}

[[noreturn]] void throw_crash(std::string reason) {
  Crashed crashed{std::move(reason), {}};
  _Unwind_Backtrace(&note_frame, &crashed.frames);
  throw crashed;
}

/// Names of the frames that belong to the firmware.
CrashReport describe(const Crashed& crashed, const std::string& path, std::uint64_t bias) {
  const ElfSymbols symbols(path);
  CrashReport report;
  report.reason = crashed.reason;
  report.where = "the image";
  for (const std::uint64_t frame : crashed.frames) {
    std::string name = frame < bias ? std::string{} : symbols.describe(frame - bias);
    if (name.find('+') == std::string::npos) continue;
    if (report.where == "the image")
      report.where = std::move(name);
    else
      report.backtrace.push_back(std::move(name));
  }
  return report;
}

}  // namespace

/// What the image calls. `context` is the CPU.
struct NativeCpu::Services {
  static NativeCpu& cpu(void* context) { return *static_cast<NativeCpu*>(context); }

  static void spend(NativeCpu& self, std::uint64_t instructions) {
    self.spend(instructions);
    if (self.restart_pending()) throw Restarted{};
  }

  static std::uint8_t* memory(NativeCpu& self, const char* verb, std::uint64_t address, std::uint64_t bytes) {
    const std::uint64_t size = self.dram().size();
    if (address < kPageSize || address >= size || bytes > size - address)
      throw_crash(fmt::format("{} of {} bytes at {:#x}: nothing there", verb, bytes, address));
    return self.dram().data() + address;
  }

  static void answer(NativeCpu& self, const char* what, std::uint64_t address, unsigned bytes, Access result) {
    if (self.restart_pending()) throw Restarted{};
    if (result == Access::kBusError)
      throw_crash(fmt::format("{} of {} bytes at {:#x}: bus error", what, bytes, address));
  }

  static std::uint64_t mmio_read(void* context, std::uint64_t address, unsigned bytes) {
    NativeCpu& self = cpu(context);
    spend(self, kInstructionsPerAccess);
    std::uint64_t value = 0;
    answer(self, "read", address, bytes, self.read_register(address, bytes, value));
    return value;
  }
  static void mmio_write(void* context, std::uint64_t address, std::uint64_t value, unsigned bytes) {
    NativeCpu& self = cpu(context);
    spend(self, kInstructionsPerAccess);
    answer(self, "write", address, bytes, self.write_register(address, bytes, value));
  }
  static std::uint64_t mem_read(void* context, std::uint64_t address, unsigned bytes) {
    spend(cpu(context), kInstructionsPerAccess);
    std::uint64_t value = 0;
    std::memcpy(&value, memory(cpu(context), "read", address, bytes), std::min<std::size_t>(bytes, sizeof value));
    return value;
  }
  static void mem_write(void* context, std::uint64_t address, std::uint64_t value, unsigned bytes) {
    spend(cpu(context), kInstructionsPerAccess);
    std::memcpy(memory(cpu(context), "write", address, bytes), &value, std::min<std::size_t>(bytes, sizeof value));
    cpu(context).dram().cpu_wrote(address, bytes);
  }
  static void mem_set(void* context, std::uint64_t address, std::uint8_t value, std::uint64_t bytes) {
    spend(cpu(context), kInstructionsPerAccess + bytes / kWord);
    std::fill_n(memory(cpu(context), "write", address, bytes), bytes, value);
    cpu(context).dram().cpu_wrote(address, bytes);
  }
  static void mem_copy(void* context, std::uint64_t to, std::uint64_t from, std::uint64_t bytes) {
    spend(cpu(context), kInstructionsPerAccess + bytes / kWord);
    const std::uint8_t* source = memory(cpu(context), "read", from, bytes);
    std::memmove(memory(cpu(context), "write", to, bytes), source, bytes);
    cpu(context).dram().cpu_wrote(to, bytes);
  }
  static void mem_write128(void* context, std::uint64_t address, std::uint64_t low, std::uint64_t high) {
    spend(cpu(context), kInstructionsPerAccess);
    std::uint8_t* at = memory(cpu(context), "write", address, 2 * kWord);
    std::memcpy(at, &low, kWord);
    std::memcpy(at + kWord, &high, kWord);
    cpu(context).dram().cpu_wrote(address, 2 * kWord);
  }
};

NativeCpu::NativeCpu(sc_core::sc_module_name name, const CpuConfig& config, Dram& dram) : Cpu(name, config, dram) {
  for (const FirmwareFiles& files : config.firmware) {
    if (files.image.empty()) continue;
    const std::vector<char> file = read_file(files.image);
    platform::ImageHeader header{};
    if (file.size() < sizeof header) throw std::invalid_argument(files.image + " is not a firmware image");
    std::memcpy(&header, file.data(), sizeof header);
    if (!std::ifstream(files.native)) throw std::invalid_argument("cannot read firmware image " + files.native);
    images_.push_back({header.load_address, header.entry, {file.begin() + sizeof header, file.end()}, files.native});
  }
}

const NativeCpu::Image* NativeCpu::image_at(std::uint64_t entry) const {
  const auto image = std::find_if(images_.begin(), images_.end(), [&](const Image& i) { return i.entry == entry; });
  return image == images_.end() ? nullptr : &*image;
}

void NativeCpu::execute(std::uint64_t entry) {
  const Image* image = image_at(entry);
  CrashReport report;
  report.where = fmt::format("{:#x}", entry);
  if (image == nullptr) {
    report.reason = fmt::format("no image has its entry at {:#x}", entry);
    return this->report(report);
  }
  // The native code itself needs no image in memory, the machine it stands for does.
  if (!std::equal(image->flat.begin(), image->flat.end(), dram().data() + image->load_address)) {
    report.reason = fmt::format("memory at {:#x} does not hold the image", image->load_address);
    return this->report(report);
  }
  run_image(*image);
}

void NativeCpu::run_image(const Image& image) {
  const FreshLibrary library(image.native);
  const auto enter = reinterpret_cast<VtdFirmwareEntry>(library.symbol(kVtdFirmwareEntryName));
  const VtdFirmwareHost host{this,
                             &Services::mmio_read,
                             &Services::mmio_write,
                             &Services::mem_read,
                             &Services::mem_write,
                             &Services::mem_set,
                             &Services::mem_copy,
                             &Services::mem_write128};
  CrashReport report;
  try {
    if (enter == nullptr) throw Crashed{fmt::format("{} exports no {}", image.native, kVtdFirmwareEntryName), {}};
    enter(&host);
    throw Crashed{"the image returned", {}};
  } catch (const Restarted&) {
    return;
  } catch (const Crashed& crashed) {
    report = describe(crashed, image.native, library.bias());
  }
  this->report(report);
}

}  // namespace vtd::soc
