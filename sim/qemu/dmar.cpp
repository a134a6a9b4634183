// SPDX-License-Identifier: MIT
#include "sim/qemu/dmar.h"

#include <array>
#include <cstring>
#include <numeric>

#include "tlm/spec/field.h"

namespace vtd::qemu {
namespace {

constexpr Field kDevice{"device", 7, 3};  // of a devfn
constexpr Field kFunction{"function", 2, 0};

#pragma pack(push, 1)
/// VT-d 8.1, an ACPI header first.
struct Header {
  std::array<char, 4> signature{'D', 'M', 'A', 'R'};
  std::uint32_t length = 0;
  std::uint8_t revision = 1;
  std::uint8_t checksum = 0;
  std::array<char, 6> oem{'V', 'T', 'D', 'S', 'I', 'M'};
  std::array<char, 8> oem_table{'V', 'T', 'D', 'S', 'I', 'M', ' ', ' '};
  std::uint32_t oem_revision = 1;
  std::array<char, 4> creator{'V', 'T', 'D', 'S'};
  std::uint32_t creator_revision = 1;
  std::uint8_t host_address_width = 0;  ///< minus 1
  std::uint8_t flags = 0;               ///< bit 0: interrupt remapping
  std::array<std::uint8_t, 10> reserved{};
};
/// VT-d 8.3: the DMA remapping hardware unit definition.
struct Unit {
  std::uint16_t type = 0;
  std::uint16_t length = 0;
  std::uint8_t flags = 0;  ///< INCLUDE_PCI_ALL clear: the scope says which devices
  std::uint8_t size = 0;   ///< of the register set: 4 KiB
  std::uint16_t segment = 0;
  std::uint64_t base = 0;
};
/// VT-d 8.3.1: one device.
struct Scope {
  std::uint8_t type = 0;
  std::uint8_t length = 8;
  std::uint16_t reserved = 0;
  std::uint8_t enumeration_id = 0;
  std::uint8_t bus = 0;
  std::uint8_t device = 0;
  std::uint8_t function = 0;
};
#pragma pack(pop)
static_assert(sizeof(Header) == 48 && sizeof(Unit) == 16 && sizeof(Scope) == 8);

constexpr std::uint8_t kEndpoint = 1;
constexpr std::uint8_t kIoApic = 3;

Scope scope_of(std::uint8_t type, SourceId source, std::uint8_t id) {
  Scope scope;
  scope.type = type;
  scope.enumeration_id = id;
  scope.bus = source.bus();
  scope.device = static_cast<std::uint8_t>(kDevice.get(source.devfn()));
  scope.function = static_cast<std::uint8_t>(kFunction.get(source.devfn()));
  return scope;
}

template <typename T>
void append(std::vector<std::uint8_t>& bytes, const T& value) {
  const auto* from = reinterpret_cast<const std::uint8_t*>(&value);
  bytes.insert(bytes.end(), from, from + sizeof value);
}

}  // namespace

std::vector<std::uint8_t> make_dmar(const DmarTable& table) {
  std::vector<Scope> scopes;
  for (const SourceId source : table.devices) scopes.push_back(scope_of(kEndpoint, source, 0));
  if (table.interrupt_remapping) scopes.push_back(scope_of(kIoApic, kIoApicSource, kIoApicId));

  Unit unit;
  unit.length = static_cast<std::uint16_t>(sizeof unit + scopes.size() * sizeof(Scope));
  unit.base = table.unit_base;
  Header header;
  header.length = static_cast<std::uint32_t>(sizeof header + unit.length);
  header.host_address_width = static_cast<std::uint8_t>(table.host_address_width - 1);
  header.flags = table.interrupt_remapping ? 1 : 0;

  std::vector<std::uint8_t> bytes;
  append(bytes, header);
  append(bytes, unit);
  for (const Scope& scope : scopes) append(bytes, scope);
  const unsigned sum = std::accumulate(bytes.begin(), bytes.end(), 0U);
  bytes[offsetof(Header, checksum)] = static_cast<std::uint8_t>(0x100 - sum % 0x100);
  return bytes;
}

}  // namespace vtd::qemu
