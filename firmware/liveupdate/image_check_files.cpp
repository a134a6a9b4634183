// SPDX-License-Identifier: MIT
// Sessions, files and what they name.
#include "firmware/liveupdate/image_check.h"

namespace vtd::fw {

void ImageCheck::check_flbs() {
  std::uint64_t iommufds = 0;
  for_each_record<abi::Iommufd>(root_.iommufds, [&](std::uint64_t, PhysAddr, const abi::Iommufd&) { ++iommufds; });
  std::uint64_t states = 0;
  for_each_record<abi::Flb>(root_.flbs, [&](std::uint64_t i, PhysAddr, const abi::Flb& flb) {
    check_header(kLuoImage, "flb", i, flb.header);
    if (flb.compatible != abi::kIommuCompatible[0])
      refuse(luo_field("flb", "compatible", i), Hex{flb.data}, "unknown, expected ", abi::kIommuCompatible[0].data());
    if (states++ != 0) refuse(luo_field("flb", "data", i), Hex{flb.data}, "one more, expected one IOMMU state");
    if (flb.count != iommufds)
      refuse(luo_field("flb", "count", i), flb.count, "wrong, expected the number of iommufds, ", iommufds);
  });
  if (iommufds != 0 && top_at_ == 0)
    refuse(luo_field("root", "flbs"), Hex{root_.flbs}, "no IOMMU state, expected that of ", iommufds, " iommufds");
}

void ImageCheck::check_memory_files() {
  const PhysAddr end = hal::memory_size();
  for_each_record<abi::MemoryFile>(root_.memory_files, [&](std::uint64_t i, PhysAddr, const abi::MemoryFile& m) {
    check_header(kLuoImage, "memory", i, m.header);
    if (!is_aligned(m.base, kPageSize) || m.base < platform::kGuestBase || m.base >= end)
      refuse(luo_field("memory", "base", i), Hex{m.base}, "expected a page of guest memory");
    if (m.size == 0 || !is_aligned(m.size, kPageSize) || m.size > end - m.base)
      refuse(luo_field("memory", "size", i), Hex{m.size}, "expected whole pages inside guest memory");
    if (!tracker_.preserved(m.base, m.size))
      refuse(luo_field("memory", "base", i), Hex{m.base}, "not all of its pages are preserved, expected ",
             m.size / kPageSize);
    // Preserved pages of guest memory are those of the files: a file that lost some of them shows on either side of it.
    for (const PhysAddr neighbour : {m.base - kPageSize, m.base + m.size}) {
      if (neighbour < platform::kGuestBase || neighbour >= end || !tracker_.preserved(neighbour)) continue;
      bool known = false;
      for_each_record<abi::MemoryFile>(root_.memory_files, [&](std::uint64_t, PhysAddr, const abi::MemoryFile& other) {
        known = known || (neighbour >= other.base && neighbour < other.base + other.size);
      });
      if (!known)
        refuse(luo_field("memory", neighbour < m.base ? "base" : "size", i), Hex{neighbour < m.base ? m.base : m.size},
               "the page beside it is preserved, expected it in the file");
    }
    for_each_record<abi::MemoryFile>(root_.memory_files, [&](std::uint64_t other, PhysAddr, const abi::MemoryFile& o) {
      if (other >= i) return;
      if (o.label == m.label)
        refuse(luo_field("memory", "label", i), m.label, "same as memory[", other, "], expected its own");
      if (m.base < o.base + o.size && o.base < m.base + m.size)
        refuse(luo_field("memory", "base", i), Hex{m.base}, "overlaps memory[", other, "], expected its own pages");
    });
  });
}

void ImageCheck::check_sessions() {
  for_each_record<abi::Session>(root_.sessions, [&](std::uint64_t i, PhysAddr, const abi::Session& s) {
    check_header(kLuoImage, "session", i, s.header);
    for_each_record<abi::Session>(root_.sessions, [&](std::uint64_t other, PhysAddr, const abi::Session& o) {
      if (other < i && o.name == s.name)
        refuse(luo_field("session", "name", i), s.name, "same as session[", other, "], expected its own");
    });
    check_array<abi::File>(luo_field("session", "files", i), s.files);
    for_each_record<abi::File>(s.files, [&](std::uint64_t n, PhysAddr, const abi::File& file) {
      check_header(kLuoImage, "file", n, file.header);
      check_file(n, s, file);
    });
  });
}

void ImageCheck::check_file(std::uint64_t index, const abi::Session& session, const abi::File& file) {
  bool found = false;
  switch (kind_of(file.compatible)) {
    case FileKind::kMemory:
      found = has_record<abi::MemoryFile>(root_.memory_files, file.data);
      break;
    case FileKind::kIommufd:
      found = has_record<abi::Iommufd>(root_.iommufds, file.data);
      break;
    case FileKind::kDevice:
      found = has_record<abi::VfioDevice>(root_.vfio_devices, file.data);
      break;
    case FileKind::kUnknown:
      refuse(luo_field("file", "compatible", index), Hex{file.token},
             "no handler of that name, expected memfd-v1, iommufd-v1 or vfio-pci-v1");
  }
  if (!found)
    refuse(luo_field("file", "data", index), Hex{file.data}, "no such record, expected one of the file's kind");
  for_each_record<abi::File>(session.files, [&](std::uint64_t other, PhysAddr, const abi::File& o) {
    if (other >= index) return;
    if (o.token == file.token)
      refuse(luo_field("file", "token", index), file.token, "same as file[", other, "], expected its own");
    if (o.data == file.data)
      refuse(luo_field("file", "data", index), Hex{file.data}, "same as file[", other, "], expected its own record");
  });
}

void ImageCheck::check_iommufds() {
  for_each_record<abi::Iommufd>(root_.iommufds, [&](std::uint64_t i, PhysAddr, const abi::Iommufd& fd) {
    check_header(kLuoImage, "iommufd", i, fd.header);
    check_array<abi::Hwpt>(luo_field("iommufd", "hwpts", i), fd.hwpts);
    std::uint64_t count = 0;
    for_each_record<abi::Hwpt>(fd.hwpts, [&](std::uint64_t n, PhysAddr, const abi::Hwpt& hwpt) {
      ++count;
      check_hwpt(n, fd, hwpt);
    });
    if (fd.count != count) refuse(luo_field("iommufd", "count", i), fd.count, "wrong, expected ", count);
  });
}

void ImageCheck::check_hwpt(std::uint64_t index, const abi::Iommufd& fd, const abi::Hwpt& hwpt) {
  check_header(kLuoImage, "hwpt", index, hwpt.header);
  if (!has_record<abi::Domain>(top_.domains, hwpt.domain))
    refuse(luo_field("hwpt", "domain", index), Hex{hwpt.domain}, "no such record, expected a domain");
  expect_zero(luo_field("hwpt", "reclaimed", index), hwpt.reclaimed);
  for_each_record<abi::Hwpt>(fd.hwpts, [&](std::uint64_t other, PhysAddr, const abi::Hwpt& o) {
    if (other >= index) return;
    if (o.token == hwpt.token)
      refuse(luo_field("hwpt", "token", index), hwpt.token, "same as hwpt[", other, "], expected its own");
    if (o.label == hwpt.label)
      refuse(luo_field("hwpt", "label", index), hwpt.label, "same as hwpt[", other, "], expected its own");
    if (o.domain == hwpt.domain)
      refuse(luo_field("hwpt", "domain", index), Hex{hwpt.domain}, "same as hwpt[", other, "], expected its own");
  });
}

void ImageCheck::check_vfio_links() {
  for_each_record<abi::VfioDevice>(root_.vfio_devices, [&](std::uint64_t i, PhysAddr, const abi::VfioDevice& v) {
    check_header(kLuoImage, "vfio", i, v.header);
    if (top_at_ == 0 || !has_record<abi::Device>(top_.devices, v.device))
      refuse(luo_field("vfio", "device", i), Hex{v.device}, "no such record, expected a device");
    for_each_record<abi::VfioDevice>(root_.vfio_devices, [&](std::uint64_t other, PhysAddr, const abi::VfioDevice& o) {
      if (other < i && o.device == v.device)
        refuse(luo_field("vfio", "device", i), Hex{v.device}, "same as vfio[", other, "], expected its own record");
    });
  });
}

void ImageCheck::check_vfio_devices() {
  for_each_record<abi::VfioDevice>(root_.vfio_devices, [&](std::uint64_t i, PhysAddr, const abi::VfioDevice& v) {
    const auto device = hal::load<abi::Device>(v.device);
    if (v.bdf != device.devid)
      refuse(luo_field("vfio", "bdf", i), Hex{v.bdf}, "not that of its device record, expected ", Hex{device.devid});
    if (v.pci_segment != device.pci_segment)
      refuse(luo_field("vfio", "pci_segment", i), v.pci_segment, "not that of its device record, expected ",
             device.pci_segment);
    if (v.reset_works > 1) refuse(luo_field("vfio", "reset_works", i), v.reset_works, "unknown, expected 0 or 1");
    bool found = false;
    for_each_record<abi::Session>(root_.sessions, [&](std::uint64_t, PhysAddr, const abi::Session& s) {
      for_each_record<abi::File>(s.files, [&](std::uint64_t, PhysAddr, const abi::File& f) {
        found = found || (kind_of(f.compatible) == FileKind::kIommufd && f.token == v.iommufd);
      });
    });
    if (!found) refuse(luo_field("vfio", "iommufd", i), v.iommufd, "no such file, expected the token of an iommufd");
  });
}

}  // namespace vtd::fw
