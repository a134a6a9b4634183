// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include "sim/decode/decode.h"
#include "sim/decode/words.h"
#include "tlm/spec/registers.h"
#include "tlm/spec/structures.h"

namespace vtd::sim {
namespace {

constexpr Field kXapic[] = {irte::kFPD, irte::kIM, irte::kV,   irte::kDLM, irte::kTM, irte::kXAPIC_DST,
                            irte::kDM,  irte::kRH, irte::kSVT, irte::kSID, irte::kSQ};
constexpr Field kExtended[] = {irte::kFPD, irte::kIM, irte::kV,   irte::kDLM, irte::kTM, irte::kDST,
                               irte::kDM,  irte::kRH, irte::kSVT, irte::kSID, irte::kSQ};
constexpr Field kPosted[] = {irte::kFPD, irte::kIM, irte::kV, irte::kURG, irte::kSVT, irte::kSID, irte::kSQ};

/// Pending vectors and the fields of the descriptor that a posted entry names.
void posted_descriptor(Lines& out, const MemoryImage& image, PhysAddr address) {
  posted::Entry raw;
  if (!image.read(address, raw.words)) {
    out.add(1, fmt::format("posted descriptor {:#x}: {}", address, image.outside()));
    return;
  }
  std::array<std::uint64_t, 8> vectors{};
  std::fill_n(vectors.begin(), posted::kControlWord, ~std::uint64_t{0});
  std::array<std::uint64_t, 8> reserved{};
  std::fill(reserved.begin() + posted::kControlWord, reserved.end(), ~std::uint64_t{0});
  reserved[posted::kControlWord] = posted::kReservedInControl;
  const std::string pending = bits_set(raw.words, vectors);
  out.add(1,
          fmt::format("posted descriptor {:#x}: {}; vectors pending: {}", address,
                      field_list("posted", posted::kAll, raw.words, Zeros::kShow), pending.empty() ? "none" : pending));
  if (const std::string bits = bits_set(raw.words, reserved); !bits.empty())
    out.add(2, fmt::format("unusable: reserved bits set: {}", bits));
}

void entry(Lines& out, const MemoryImage& image, std::uint32_t index, const irte::Entry& raw, bool extended) {
  const bool is_posted = raw.get(irte::kIM) != 0;
  const std::span<const Field> fields = is_posted  ? std::span<const Field>(kPosted)
                                        : extended ? std::span<const Field>(kExtended)
                                                   : std::span<const Field>(kXapic);
  out.add(0, fmt::format("[{:#x}] {}: {}", index, is_posted ? "posted" : "remapped",
                         field_list("irte", fields, raw.words, Zeros::kShow)));
  if (raw.get(irte::kP) == 0) out.add(1, "unusable: not present");
  if (raw.get(irte::kP) == 0) return;
  if (const std::string bits = bits_set(raw.words, is_posted ? irte::kReservedPosted : irte::kReserved); !bits.empty())
    out.add(1, fmt::format("unusable: reserved bits set: {}", bits));
  if (static_cast<SourceValidation>(raw.get(irte::kSVT)) == SourceValidation::kReserved)
    out.add(1, "unusable: SVT is reserved");
  if (!is_posted) return;
  constexpr Field kUpper{"PDA", 63, 32};
  constexpr Field kLower{"PDA", 31, 6};
  posted_descriptor(out, image, kUpper.of(raw.get(irte::kPDAH)) | kLower.of(raw.get(irte::kPDAL)));
}

void table(Lines& out, const MemoryImage& image, std::uint64_t irta) {
  const PhysAddr base = irta::kIRTA.in_place(irta);
  const bool extended = irta::kEIME.get(irta) != 0;
  const std::uint32_t count = irta::entries(irta);
  out.add(0, fmt::format("interrupt remapping table at {:#x}: {} entries, {}", base, count,
                         extended ? "32-bit destinations (EIME=1)" : "8-bit destinations (EIME=0)"));
  constexpr std::uint64_t kReserved = ~(irta::kIRTA.mask() | irta::kEIME.mask() | irta::kS.mask());
  if (const std::string bits = bits_set(std::span(&irta, 1), std::span(&kReserved, 1)); !bits.empty())
    out.add(0, fmt::format("reserved bits of IRTA set: {}", bits));
  std::uint32_t zero = 0;  // entries in a row
  const auto flush = [&](std::uint32_t end) {
    if (zero != 0) out.add(0, fmt::format("[{:#x}..{:#x}] not present, zero", end - zero, end - 1));
    zero = 0;
  };
  for (std::uint32_t i = 0; i < count; ++i) {
    irte::Entry raw;
    if (!image.read(base + std::uint64_t{i} * irte::kBytes, raw.words)) {
      flush(i);
      return out.add(0, fmt::format("[{:#x}..{:#x}] {}", i, count - 1, image.outside()));
    }
    if (raw == irte::Entry{}) {
      ++zero;
      continue;
    }
    flush(i);
    entry(out, image, i, raw, extended);
  }
  flush(count);
}

}  // namespace

std::string decode_interrupts(const MemoryImage& image, std::uint64_t irta, std::uint64_t limit) {
  image.need("--irta", irta::kIRTA.in_place(irta));
  Lines lines(limit);
  return lines.collect([&] { table(lines, image, irta); });
}

}  // namespace vtd::sim
