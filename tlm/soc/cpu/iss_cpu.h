// SPDX-License-Identifier: MIT
// The firmware's ELF image on an instruction-set simulator (Unicorn, x86-64, flat long mode, paging off).
#pragma once

#include "tlm/soc/cpu/cpu.h"
#include "tlm/soc/cpu/elf_symbols.h"

namespace vtd::soc {

class IssCpu final : public Cpu {
 public:
  IssCpu(sc_core::sc_module_name name, const CpuConfig& config, Dram& dram);

 protected:
  void execute(std::uint64_t entry) override;

 private:
  class Engine;
  [[nodiscard]] std::string describe(std::uint64_t address) const;

  std::array<ElfSymbols, 2> symbols_;
};

}  // namespace vtd::soc
