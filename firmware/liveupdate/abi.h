// SPDX-License-Identifier: MIT
// The handover image: what one firmware image leaves in memory for the next one. THIS INTERFACE IS A CONTRACT:
// any change of a layout needs a new version word; only equal versions understand each other.
//
//   reset::kHandover ─► Root ─► Flb array ("iommu-liveupdate") ─► IommuTop ─► unit, domain, device arrays
//                          ├──► Session array ─► File array of each session ─► memory file, iommufd or device file
//                          └──► MemoryFile, Iommufd and VfioDevice arrays; each Iommufd ─► Hwpt array
//   reset::kTracker ──► tree of bitmaps (platform::tracker), one bit a DRAM page: set = preserved over the warm reset
//
// All addresses are physical, of preserved pages; 0 means none. Little-endian, naturally aligned, no pointers.
// An array is a chain of pages, each an ArrayPage header followed by records. Slots are only appended; a record that
// is gone is flagged deleted. Header-only, so that tools can list an image or plant an error in it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "tlm/spec/field.h"
#include "tlm/spec/platform.h"
#include "tlm/spec/types.h"

namespace vtd::fw::abi {

// ---- common ------------------------------------------------------------------------------------------------
/// First member of every record.
struct ObjectHeader {
  std::uint32_t refcount;  ///< >= 1 while alive; of a unit: preserved devices behind it
  std::uint32_t flags;     ///< kDeleted, kIncoming; other bits zero
};
inline constexpr std::uint32_t kDeleted = bit(0);   ///< every reader skips the record
inline constexpr std::uint32_t kIncoming = bit(1);  ///< set by the incoming image when it adopts the record

/// Header of one page of an array.
struct ArrayPage {
  std::uint64_t next;   ///< physical address of the next page, 0 = end
  std::uint64_t count;  ///< records in this page, deleted ones included
};

/// Longest chain a reader follows: anything longer is a cycle.
inline constexpr unsigned kMaxArrayPages = 64;

using CompatibleString = std::array<char, 32>;  ///< zero-padded

constexpr CompatibleString compatible(std::string_view text) {
  CompatibleString out{};
  for (std::size_t i = 0; i < text.size() && i + 1 < out.size(); ++i) out[i] = text[i];
  return out;
}

// ---- root (one page) ---------------------------------------------------------------------------------------
struct Root {
  std::uint64_t magic;
  CompatibleString compatible;
  std::uint32_t version;
  std::uint32_t reserved;
  std::uint64_t update_counter;                                ///< live updates so far, this one included
  std::uint64_t sessions;                                      ///< first page of the Session array
  std::uint64_t flbs;                                          ///< first page of the Flb array
  std::uint64_t memory_files;                                  ///< first page of the MemoryFile array
  std::uint64_t iommufds;                                      ///< first page of the Iommufd array
  std::uint64_t vfio_devices;                                  ///< first page of the VfioDevice array
  static constexpr std::uint64_t kMagic = 0x544f4f5256485456;  // "VTHVROOT"
  static constexpr std::uint32_t kVersion = 1;
};
inline constexpr CompatibleString kRootCompatible = compatible("luo-v1");

/// State that lives as long as some file depends on it (file-lifecycle-bound).
struct Flb {
  ObjectHeader header;
  CompatibleString compatible;
  std::uint64_t data;   ///< of the IOMMU: physical address of IommuTop
  std::uint64_t count;  ///< preserved files that depend on it
};

/// Top record of the IOMMU state (one page). The three arrays exist even if they are empty.
struct IommuTop {
  CompatibleString compatible;
  std::uint32_t version;  ///< v1 and v2 of the series have none: 0
  std::uint32_t reserved;
  std::uint64_t units;    ///< first page of the Unit array
  std::uint64_t domains;  ///< first page of the Domain array
  std::uint64_t devices;  ///< first page of the Device array
  static constexpr std::uint32_t kVersion = 1;
};
/// By platform::Series. Only the same string is understood.
inline constexpr std::array<CompatibleString, 3> kIommuCompatible{
    compatible("iommu-liveupdate"), compatible("iommu-v1"), compatible("iommu-liveupdate-v1")};

// ---- IOMMU records -----------------------------------------------------------------------------------------
struct Domain {
  ObjectHeader header;
  std::uint64_t top_table;      ///< physical address of the top paging table
  std::uint32_t top_level;      ///< level of that table: 3, 4 or 5
  std::uint32_t address_width;  ///< bits: 39, 48 or 57, as top_level says; v1 of the series has none: 0
  std::uint32_t sign_extend;    ///< 1 for first-stage tables, 0 for second-stage ones
  std::uint32_t reserved;
  std::uint64_t restored_domain;  ///< belongs to the incoming image; zero in the image, never followed
};

/// Which domain a device is attached to, behind which unit, under which id.
struct DeviceLink {
  std::uint64_t attachment_id;  ///< VT-d: the domain id, 2 <= did < domains of CAP
  std::uint64_t domain;         ///< physical address of the Domain record
  std::uint64_t unit;           ///< physical address of the Unit record
};

struct Device {
  ObjectHeader header;
  std::uint32_t devid;        ///< PCI requester id
  std::uint32_t pci_segment;  ///< 0
  DeviceLink link;
  std::uint64_t pasid_dir;  ///< physical address of the PASID directory; legacy mode: 0
  std::uint32_t max_pasid;  ///< PASIDs that it is for, a power of two; legacy mode: 0
  std::uint32_t restored;   ///< belongs to the incoming image; zero in the image
};

inline constexpr std::uint32_t kUnitTypeInvalid = 0;
inline constexpr std::uint32_t kUnitTypeIntel = 1;

/// One remapping unit.
struct Unit {
  ObjectHeader header;
  std::uint64_t token;  ///< VT-d: equal to register_base
  std::uint32_t type;   ///< kUnitTypeIntel
  std::uint32_t restored;
  std::uint64_t register_base;
  std::uint64_t root_table;
  /// Preserved context tables: bit 2 * bus + (devfn >> 7); legacy tables hold a whole bus and use the even bit. v1 and
  /// v2 of the series have no such map: all zero.
  std::array<std::uint64_t, 8> context_tables;
};

// ---- session records ---------------------------------------------------------------------------------------
struct Session {
  ObjectHeader header;
  std::uint64_t name;   ///< number the scenario gave it
  std::uint64_t files;  ///< first page of the File array
};

/// Which handler a file belongs to.
inline constexpr CompatibleString kMemoryCompatible = compatible("memfd-v1");
inline constexpr CompatibleString kIommufdCompatible = compatible("iommufd-v1");
inline constexpr CompatibleString kVfioCompatible = compatible("vfio-pci-v1");

/// One preserved file of a session; order in the array is order of preservation.
struct File {
  ObjectHeader header;  ///< kIncoming once it was retrieved
  CompatibleString compatible;
  std::uint64_t token;  ///< unique in its session
  std::uint64_t data;   ///< physical address of the MemoryFile, Iommufd or VfioDevice record
};

/// Guest memory; every page of it is preserved.
struct MemoryFile {
  ObjectHeader header;
  std::uint64_t base;   ///< bytes, 4 KiB aligned
  std::uint64_t size;   ///< bytes, multiple of 4 KiB
  std::uint64_t label;  ///< number of the file
};

/// An iommufd: the domains (HWPTs) of it that were marked.
struct Iommufd {
  ObjectHeader header;
  std::uint64_t count;  ///< of them
  std::uint64_t hwpts;  ///< first page of the Hwpt array
};
struct Hwpt {
  ObjectHeader header;
  std::uint64_t token;      ///< by which userspace asks for it, unique in its iommufd
  std::uint64_t domain;     ///< physical address of the Domain record
  std::uint64_t reclaimed;  ///< belongs to the incoming image; zero in the image
  std::uint64_t label;      ///< number of the domain
};

/// A device file: the attachment is in the Device record.
struct VfioDevice {
  ObjectHeader header;
  std::uint32_t bdf;
  std::uint32_t pci_segment;  ///< 0
  std::uint64_t reset_works;  ///< 1: the device can be reset by its function
  std::uint64_t iommufd;      ///< token of its iommufd's file; v1 of the series keeps 32 bits of it
  std::uint64_t device;       ///< physical address of the Device record
};

static_assert(sizeof(ObjectHeader) == 8 && sizeof(ArrayPage) == 16);
static_assert(sizeof(Root) == 96 && sizeof(Flb) == 56 && sizeof(IommuTop) == 64);
static_assert(sizeof(Domain) == 40 && sizeof(DeviceLink) == 24 && sizeof(Device) == 56 && sizeof(Unit) == 104);
static_assert(sizeof(Session) == 24 && sizeof(File) == 56 && sizeof(MemoryFile) == 32);
static_assert(sizeof(Iommufd) == 24 && sizeof(Hwpt) == 40 && sizeof(VfioDevice) == 40);

template <typename T>
inline constexpr std::uint64_t kCapacity = (kPageSize - sizeof(ArrayPage)) / sizeof(T);

/// Address of record `slot` of an array page.
template <typename T>
constexpr PhysAddr slot_address(PhysAddr page, std::uint64_t slot) {
  return page + sizeof(ArrayPage) + slot * sizeof(T);
}

// ---- the tracker -------------------------------------------------------------------------------------------
/// Address of the word of a leaf that has the page's bit; 0 when there is no such leaf, so the page is not preserved.
/// `read64(address)` reads DRAM.
template <typename Read64>
PhysAddr tracker_word(Read64&& read64, PhysAddr tracker, PhysAddr address) {
  const PhysAddr leaf = read64(platform::tracker::leaf_entry(tracker, address));
  return leaf == 0 ? 0 : platform::tracker::word(leaf, address);
}

// ---- fields by name ----------------------------------------------------------------------------------------
/// A field as messages and tools name it: "device[0].attachment_id", "iommu.version", "unit[0].root_table".
struct FieldInfo {
  std::string_view record;  ///< root, flb, iommu, unit, domain, device, session, file, memory, iommufd, hwpt, vfio; of
                            ///< the chains unit_page, domain_page, device_page, session_page, memory_page ...
  std::string_view name;
  std::uint32_t offset;  ///< bytes from the start of the record
  std::uint32_t bytes;   ///< 4 or 8
};

#define VTD_ABI_FIELD(record, type, member, name)              \
  FieldInfo {                                                  \
    record, name, offsetof(type, member), sizeof(type::member) \
  }
/// The first eight characters of a compatible string.
#define VTD_ABI_COMPATIBLE(record, type)                \
  FieldInfo {                                           \
    record, "compatible", offsetof(type, compatible), 8 \
  }
#define VTD_ABI_HEADER(record)                                                                                 \
  FieldInfo{record, "refcount", offsetof(ObjectHeader, refcount), sizeof(ObjectHeader::refcount)}, FieldInfo { \
    record, "flags", offsetof(ObjectHeader, flags), sizeof(ObjectHeader::flags)                                \
  }
#define VTD_ABI_PAGE(record)                                                                 \
  FieldInfo{record, "next", offsetof(ArrayPage, next), sizeof(ArrayPage::next)}, FieldInfo { \
    record, "count", offsetof(ArrayPage, count), sizeof(ArrayPage::count)                    \
  }
#define VTD_ABI_LINK(member)                                                                              \
  FieldInfo {                                                                                             \
    "device", #member, static_cast<std::uint32_t>(offsetof(Device, link) + offsetof(DeviceLink, member)), \
        sizeof(DeviceLink::member)                                                                        \
  }

inline constexpr FieldInfo kFields[] = {
    VTD_ABI_FIELD("root", Root, magic, "magic"),
    VTD_ABI_COMPATIBLE("root", Root),
    VTD_ABI_FIELD("root", Root, version, "version"),
    VTD_ABI_FIELD("root", Root, update_counter, "update_counter"),
    VTD_ABI_FIELD("root", Root, sessions, "sessions"),
    VTD_ABI_FIELD("root", Root, flbs, "flbs"),
    VTD_ABI_FIELD("root", Root, memory_files, "memory_files"),
    VTD_ABI_FIELD("root", Root, iommufds, "iommufds"),
    VTD_ABI_FIELD("root", Root, vfio_devices, "vfio_devices"),
    VTD_ABI_HEADER("flb"),
    VTD_ABI_COMPATIBLE("flb", Flb),
    VTD_ABI_FIELD("flb", Flb, data, "data"),
    VTD_ABI_FIELD("flb", Flb, count, "count"),
    VTD_ABI_COMPATIBLE("iommu", IommuTop),
    VTD_ABI_FIELD("iommu", IommuTop, version, "version"),
    VTD_ABI_FIELD("iommu", IommuTop, units, "units"),
    VTD_ABI_FIELD("iommu", IommuTop, domains, "domains"),
    VTD_ABI_FIELD("iommu", IommuTop, devices, "devices"),
    VTD_ABI_HEADER("unit"),
    VTD_ABI_FIELD("unit", Unit, token, "token"),
    VTD_ABI_FIELD("unit", Unit, type, "type"),
    VTD_ABI_FIELD("unit", Unit, restored, "restored"),
    VTD_ABI_FIELD("unit", Unit, register_base, "register_base"),
    VTD_ABI_FIELD("unit", Unit, root_table, "root_table"),
    {"unit", "context_tables", offsetof(Unit, context_tables), 8},  // of the first 32 buses
    VTD_ABI_HEADER("domain"),
    VTD_ABI_FIELD("domain", Domain, top_table, "top_table"),
    VTD_ABI_FIELD("domain", Domain, top_level, "top_level"),
    VTD_ABI_FIELD("domain", Domain, address_width, "address_width"),
    VTD_ABI_FIELD("domain", Domain, sign_extend, "sign_extend"),
    VTD_ABI_FIELD("domain", Domain, restored_domain, "restored_domain"),
    VTD_ABI_HEADER("device"),
    VTD_ABI_FIELD("device", Device, devid, "devid"),
    VTD_ABI_FIELD("device", Device, pci_segment, "pci_segment"),
    VTD_ABI_LINK(attachment_id),
    VTD_ABI_LINK(domain),
    VTD_ABI_LINK(unit),
    VTD_ABI_FIELD("device", Device, pasid_dir, "pasid_dir"),
    VTD_ABI_FIELD("device", Device, max_pasid, "max_pasid"),
    VTD_ABI_FIELD("device", Device, restored, "restored"),
    VTD_ABI_HEADER("session"),
    VTD_ABI_FIELD("session", Session, name, "name"),
    VTD_ABI_FIELD("session", Session, files, "files"),
    VTD_ABI_HEADER("file"),
    VTD_ABI_COMPATIBLE("file", File),
    VTD_ABI_FIELD("file", File, token, "token"),
    VTD_ABI_FIELD("file", File, data, "data"),
    VTD_ABI_HEADER("memory"),
    VTD_ABI_PAGE("unit_page"),
    VTD_ABI_PAGE("domain_page"),
    VTD_ABI_PAGE("device_page"),
    VTD_ABI_PAGE("session_page"),
    VTD_ABI_PAGE("memory_page"),
    VTD_ABI_PAGE("flb_page"),
    VTD_ABI_PAGE("iommufd_page"),
    VTD_ABI_PAGE("vfio_page"),
    VTD_ABI_PAGE("file_page"),
    VTD_ABI_PAGE("hwpt_page"),
    VTD_ABI_FIELD("memory", MemoryFile, base, "base"),
    VTD_ABI_FIELD("memory", MemoryFile, size, "size"),
    VTD_ABI_FIELD("memory", MemoryFile, label, "label"),
    VTD_ABI_HEADER("iommufd"),
    VTD_ABI_FIELD("iommufd", Iommufd, count, "count"),
    VTD_ABI_FIELD("iommufd", Iommufd, hwpts, "hwpts"),
    VTD_ABI_HEADER("hwpt"),
    VTD_ABI_FIELD("hwpt", Hwpt, token, "token"),
    VTD_ABI_FIELD("hwpt", Hwpt, domain, "domain"),
    VTD_ABI_FIELD("hwpt", Hwpt, reclaimed, "reclaimed"),
    VTD_ABI_FIELD("hwpt", Hwpt, label, "label"),
    VTD_ABI_HEADER("vfio"),
    VTD_ABI_FIELD("vfio", VfioDevice, bdf, "bdf"),
    VTD_ABI_FIELD("vfio", VfioDevice, pci_segment, "pci_segment"),
    VTD_ABI_FIELD("vfio", VfioDevice, reset_works, "reset_works"),
    VTD_ABI_FIELD("vfio", VfioDevice, iommufd, "iommufd"),
    VTD_ABI_FIELD("vfio", VfioDevice, device, "device"),
};
#undef VTD_ABI_FIELD
#undef VTD_ABI_HEADER
#undef VTD_ABI_COMPATIBLE
#undef VTD_ABI_PAGE
#undef VTD_ABI_LINK

constexpr const FieldInfo* find_field(std::string_view record, std::string_view name) {
  for (const FieldInfo& f : kFields)
    if (f.record == record && f.name == name) return &f;
  return nullptr;
}

/// Address of record `index` of the array `record` names, or of page `index` of its chain (unit_page ...), for tools:
/// "file" counts through the first session, "hwpt" through the first iommufd. `read64(address)` reads DRAM. Nothing
/// when the image has no such record; every walk is bounded.
template <typename Read64>
std::optional<PhysAddr> find_record(Read64&& read64, PhysAddr root, std::string_view record, std::uint64_t index) {
  using Place = std::optional<PhysAddr>;
  if (root == 0) return std::nullopt;
  const auto element = [&](PhysAddr page, std::uint64_t wanted, std::uint64_t bytes) -> Place {
    for (unsigned hops = 0; page != 0 && hops < kMaxArrayPages; ++hops) {
      const std::uint64_t count = read64(page + offsetof(ArrayPage, count));
      if (wanted < count) return page + sizeof(ArrayPage) + wanted * bytes;
      wanted -= count;
      page = read64(page + offsetof(ArrayPage, next));
    }
    return std::nullopt;
  };
  const auto in_root = [&](std::size_t field, std::uint64_t n, std::uint64_t bytes) {
    return element(read64(root + field), n, bytes);
  };
  const auto page_of = [&](PhysAddr page) -> Place {
    for (std::uint64_t n = 0; n < index && page != 0 && n < kMaxArrayPages; ++n)
      page = read64(page + offsetof(ArrayPage, next));
    return page == 0 ? std::nullopt : Place(page);
  };
  if (record == "root") return index == 0 ? Place(root) : std::nullopt;
  if (record == "session_page") return page_of(read64(root + offsetof(Root, sessions)));
  if (record == "memory_page") return page_of(read64(root + offsetof(Root, memory_files)));
  if (record == "flb_page") return page_of(read64(root + offsetof(Root, flbs)));
  if (record == "iommufd_page") return page_of(read64(root + offsetof(Root, iommufds)));
  if (record == "vfio_page") return page_of(read64(root + offsetof(Root, vfio_devices)));
  if (record == "flb") return in_root(offsetof(Root, flbs), index, sizeof(Flb));
  if (record == "session") return in_root(offsetof(Root, sessions), index, sizeof(Session));
  if (record == "memory") return in_root(offsetof(Root, memory_files), index, sizeof(MemoryFile));
  if (record == "iommufd") return in_root(offsetof(Root, iommufds), index, sizeof(Iommufd));
  if (record == "vfio") return in_root(offsetof(Root, vfio_devices), index, sizeof(VfioDevice));
  if (record == "file" || record == "file_page") {
    const Place session = in_root(offsetof(Root, sessions), 0, sizeof(Session));
    if (session && record == "file_page") return page_of(read64(*session + offsetof(Session, files)));
    return session ? element(read64(*session + offsetof(Session, files)), index, sizeof(File)) : std::nullopt;
  }
  if (record == "hwpt" || record == "hwpt_page") {
    const Place fd = in_root(offsetof(Root, iommufds), 0, sizeof(Iommufd));
    if (fd && record == "hwpt_page") return page_of(read64(*fd + offsetof(Iommufd, hwpts)));
    return fd ? element(read64(*fd + offsetof(Iommufd, hwpts)), index, sizeof(Hwpt)) : std::nullopt;
  }
  const Place flb = in_root(offsetof(Root, flbs), 0, sizeof(Flb));
  if (!flb) return std::nullopt;
  const PhysAddr top = read64(*flb + offsetof(Flb, data));
  if (record == "iommu") return index == 0 ? Place(top) : std::nullopt;
  if (record == "unit_page") return page_of(read64(top + offsetof(IommuTop, units)));
  if (record == "domain_page") return page_of(read64(top + offsetof(IommuTop, domains)));
  if (record == "device_page") return page_of(read64(top + offsetof(IommuTop, devices)));
  if (record == "unit") return element(read64(top + offsetof(IommuTop, units)), index, sizeof(Unit));
  if (record == "domain") return element(read64(top + offsetof(IommuTop, domains)), index, sizeof(Domain));
  if (record == "device") return element(read64(top + offsetof(IommuTop, devices)), index, sizeof(Device));
  return std::nullopt;
}

}  // namespace vtd::fw::abi
