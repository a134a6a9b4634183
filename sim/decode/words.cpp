// SPDX-License-Identifier: MIT
#include "sim/decode/words.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "tlm/spec/capability.h"
#include "tlm/spec/descriptor.h"
#include "tlm/spec/fault_reason.h"
#include "tlm/spec/registers.h"
#include "tlm/spec/structures.h"

namespace vtd::sim {
namespace {

using Value = std::uint64_t;

std::string joined(const std::vector<std::string>& parts) {
  return parts.empty() ? "none" : fmt::format("{}", fmt::join(parts, ", "));
}

/// The name of an encoding; those behind the last name are reserved.
template <std::size_t N>
std::string one_of(Value value, const std::array<const char*, N>& names) {
  return value < N ? names[value] : "reserved";
}

std::string address_width(Value aw) {
  const unsigned levels = levels_of_aw(static_cast<unsigned>(aw));
  return levels >= 3 && levels <= 5 ? fmt::format("{}-bit, {} levels", width_of_levels(levels), levels) : "reserved";
}
std::string domains(Value nd) {
  return nd > 6 ? "reserved" : fmt::format("{} domains, {}-bit DID", domains_of_cap(cap::kND.of(nd)), 4 + 2 * nd);
}
std::string widths(Value sagaw) {
  std::vector<std::string> parts;
  for (unsigned aw = 0; aw < cap::kSAGAW.width(); ++aw)
    if ((sagaw & bit(aw)) != 0) parts.push_back(address_width(aw));
  return fmt::format("{}", fmt::join(parts, "; "));
}
std::string page_sizes(Value sslps) {
  std::vector<std::string> parts{"4K"};
  if ((sslps & bit(0)) != 0) parts.emplace_back("2M");
  if ((sslps & bit(1)) != 0) parts.emplace_back("1G");
  if ((sslps & ~bit_range(1, 0)) != 0) parts.emplace_back("reserved bits set");
  return joined(parts);
}
std::string function_bits(Value fm) {
  return one_of(fm, std::array{"all function bits compared", "function bit 2 ignored", "function bits 2:1 ignored",
                               "function bits 2:0 ignored"});
}
std::string source(Value value) {
  return source_text(SourceId{static_cast<std::uint16_t>(value)});
}
std::string granularity(Value g) {
  return one_of(g, std::array{"reserved", "global", "domain-selective", "page-selective"});
}
std::string context_granularity(Value g) {
  return one_of(g, std::array{"reserved", "global", "domain-selective", "device-selective"});
}
std::string reason(Value code) {
  const FaultInfo& f = info(static_cast<FaultReason>(code));
  return code != 0 && f.reason == FaultReason::kNone ? "unknown" : fmt::format("{}: {}", f.name, f.text);
}

struct Words {
  std::string_view key;  ///< "REGISTER", "REGISTER.FIELD", or "*.FIELD" for any owner not named
  const char* about;     ///< a flag is answered with yes or no
  std::string (*value)(Value) = nullptr;
};

// clang-format off
constexpr Words kWords[] = {
    {"*.SID", "", source},
    {"*.FPD", "fault processing disabled"},
    {"*.IH", "only leaf entries changed"},

    {"VER", "version"},
    {"VER.MAX", "major version"},
    {"VER.MIN", "minor version"},

    {"CAP", "capabilities"},
    {"CAP.ND", "", domains},
    {"CAP.AFL", "advanced fault log"},
    {"CAP.RWBF", "write-buffer flush required"},
    {"CAP.PLMR", "protected low memory region"},
    {"CAP.PHMR", "protected high memory region"},
    {"CAP.CM", "caching mode: not-present entries may be cached"},
    {"CAP.SAGAW", "second-stage tables", widths},
    {"CAP.MGAW", "guest address width", [](Value v) { return fmt::format("{} bits", v + 1); }},
    {"CAP.ZLR", "zero-length reads of write-only pages"},
    {"CAP.FRO", "fault records", [](Value v) { return fmt::format("at {:#x}", frcd_offset(cap::kFRO.of(v))); }},
    {"CAP.SSLPS", "second-stage pages", page_sizes},
    {"CAP.PSI", "page-selective invalidation"},
    {"CAP.NFR", "fault records", [](Value v) { return fmt::format("{}", v + 1); }},
    {"CAP.MAMV", "largest page-selective invalidation", [](Value v) { return fmt::format("2^{} pages", v); }},
    {"CAP.DWD", "drains writes"},
    {"CAP.DRD", "drains reads"},
    {"CAP.FS1GP", "first-stage 1G pages"},
    {"CAP.PI", "posted interrupts"},
    {"CAP.FS5LP", "first-stage 5-level paging"},
    {"CAP.ECMDS", "enhanced commands"},
    {"CAP.ESIRTPS", "SIRTP invalidates the interrupt entry cache"},
    {"CAP.ESRTPS", "SRTP invalidates the context cache, the PASID cache and the IOTLB"},

    {"ECAP", "extended capabilities"},
    {"ECAP.C", "table walks are coherent with CPU caches"},
    {"ECAP.QI", "queued invalidation"},
    {"ECAP.DT", "device-TLBs"},
    {"ECAP.IR", "interrupt remapping"},
    {"ECAP.EIM", "extended interrupt mode (x2APIC)"},
    {"ECAP.PT", "pass-through"},
    {"ECAP.SC", "snoop control"},
    {"ECAP.IRO", "", [](Value v) {
       const std::uint64_t at = iva_offset(ecap::kIRO.of(v));
       return fmt::format("IVA at {:#x}, IOTLB at {:#x}", at, at + sizeof(std::uint64_t)); }},
    {"ECAP.MHMV", "largest interrupt-entry invalidation", [](Value v) { return fmt::format("2^{} entries", v); }},
    {"ECAP.MTS", "memory types"},
    {"ECAP.NEST", "nested translation"},
    {"ECAP.PRS", "page requests"},
    {"ECAP.ERS", "execute requests"},
    {"ECAP.SRS", "supervisor requests"},
    {"ECAP.NWFS", "no-write flag"},
    {"ECAP.EAFS", "extended accessed flag"},
    {"ECAP.PSS", "", [](Value v) { return fmt::format("{}-bit PASIDs, if PASID is set", v + 1); }},
    {"ECAP.PASID", "requests with PASID"},
    {"ECAP.DIT", "device-TLB invalidation throttle"},
    {"ECAP.PDS", "page-request drain"},
    {"ECAP.SMTS", "scalable mode"},
    {"ECAP.VCS", "virtual commands"},
    {"ECAP.SSADS", "second-stage accessed and dirty flags"},
    {"ECAP.SSTS", "second-stage translation in scalable mode"},
    {"ECAP.FSTS", "first-stage translation"},
    {"ECAP.SMPWCS", "page-walk snoop control"},
    {"ECAP.RPS", "RID_PASID other than 0"},
    {"ECAP.PMS", "performance counters"},
    {"ECAP.ADMS", "abort-DMA mode"},
    {"ECAP.RPRIVS", "RID_PRIV"},

    {"GCMD", "global command"},
    {"GCMD.TE", "enable translation"},
    {"GCMD.SRTP", "set root table pointer"},
    {"GCMD.SFL", "set fault log"},
    {"GCMD.EAFL", "enable advanced fault log"},
    {"GCMD.WBF", "flush write buffer"},
    {"GCMD.QIE", "enable queued invalidation"},
    {"GCMD.IRE", "enable interrupt remapping"},
    {"GCMD.SIRTP", "set interrupt remapping table pointer"},
    {"GCMD.CFI", "let compatibility-format interrupts pass"},
    {"GSTS", "global status"},
    {"GSTS.TES", "translation enabled"},
    {"GSTS.RTPS", "root table pointer set"},
    {"GSTS.FLS", "fault log set"},
    {"GSTS.AFLS", "advanced fault log enabled"},
    {"GSTS.WBFS", "write-buffer flush in progress"},
    {"GSTS.QIES", "queued invalidation enabled"},
    {"GSTS.IRES", "interrupt remapping enabled"},
    {"GSTS.IRTPS", "interrupt remapping table pointer set"},
    {"GSTS.CFIS", "compatibility-format interrupts pass"},

    {"RTADDR", "root table address"},
    {"RTADDR.RTA", "root table"},
    {"RTADDR.TTM", "table mode",
     [](Value v) { return one_of(v, std::array{"legacy", "scalable", "reserved", "abort DMA"}); }},
    {"CCMD", "context command"},
    {"CCMD.ICC", "invalidation in progress"},
    {"CCMD.CIRG", "requested", context_granularity},
    {"CCMD.CAIG", "performed", context_granularity},
    {"CCMD.FM", "", function_bits},
    {"CCMD.DID", "domain"},

    {"FSTS", "fault status"},
    {"FSTS.PFO", "fault record overflow: later faults were lost"},
    {"FSTS.PPF", "fault records pending"},
    {"FSTS.AFO", "advanced fault log overflow"},
    {"FSTS.APF", "advanced fault log pending"},
    {"FSTS.IQE", "invalidation queue error: the queue has stopped, IQERCD tells why"},
    {"FSTS.ICE", "invalidation completion error of a device-TLB"},
    {"FSTS.ITE", "invalidation time-out of a device-TLB: the queue has stopped"},
    {"FSTS.PRO", "page request overflow"},
    {"FSTS.FRI", "first pending fault record, if PPF is set", [](Value v) { return fmt::format("FRCD{}", v); }},
    {"FECTL", "fault event control"},
    {"FECTL.IM", "interrupt masked"},
    {"FECTL.IP", "interrupt pending"},
    {"FEDATA", "fault event data"},
    {"FEADDR", "fault event address"},
    {"FEUADDR", "fault event upper address"},
    {"AFLOG", "advanced fault log"},
    {"AFLOG.FLA", "fault log address"},
    {"AFLOG.FLS", "fault log size"},
    {"PMEN", "protected memory enable"},
    {"PMEN.EPM", "protection enabled"},
    {"PMEN.PRS", "protected regions in force"},
    {"PLMBASE", "protected low memory base"},
    {"PLMLIMIT", "protected low memory limit"},
    {"PHMBASE", "protected high memory base"},
    {"PHMLIMIT", "protected high memory limit"},

    {"IQH", "invalidation queue head"},
    {"IQH.QH", "next descriptor, bytes into the ring"},
    {"IQT", "invalidation queue tail"},
    {"IQT.QT", "end of the descriptors, bytes into the ring"},
    {"IQA", "invalidation queue address"},
    {"IQA.IQA", "ring"},
    {"IQA.DW", "descriptors", [](Value v) { return one_of(v, std::array{"128 bit", "256 bit"}); }},
    {"IQA.QS", "ring of", [](Value v) { return size_text(iq::ring_bytes(v)); }},
    {"ICS", "invalidation completion status"},
    {"ICS.IWC", "a wait descriptor with IF has completed"},
    {"IECTL", "invalidation event control"},
    {"IECTL.IM", "interrupt masked"},
    {"IECTL.IP", "interrupt pending"},
    {"IEDATA", "invalidation event data"},
    {"IEADDR", "invalidation event address"},
    {"IEUADDR", "invalidation event upper address"},
    {"IQERCD", "invalidation queue error record"},
    {"IQERCD.ICESID", "device of the completion error", source},
    {"IQERCD.ITESID", "device of the time-out", source},
    {"IQERCD.IQEI", "", [](Value v) {
       return one_of(v, std::array{"no information", "invalid tail", "descriptor fetch error", "invalid descriptor type",
                                   "reserved field not zero", "invalid descriptor width", "misaligned tail",
                                   "invalid table mode"}); }},
    {"IRTA", "interrupt remapping table address"},
    {"IRTA.IRTA", "table"},
    {"IRTA.EIME", "extended interrupt mode (32-bit destinations)"},
    {"IRTA.S", "", [](Value v) { return fmt::format("{} entries", irta::entries(v)); }},

    {"PQH", "page request queue head"},
    {"PQT", "page request queue tail"},
    {"PQA", "page request queue address"},
    {"PQA.PQA", "ring"},
    {"PQA.PQS", "ring of", [](Value v) { return size_text(prq::ring_bytes(v)); }},
    {"PRS", "page request status"},
    {"PRS.PPR", "page requests pending"},
    {"PRS.PRO", "page request queue overflow"},
    {"PECTL", "page request event control"},
    {"PECTL.IM", "interrupt masked"},
    {"PECTL.IP", "interrupt pending"},
    {"PEDATA", "page request event data"},
    {"PEADDR", "page request event address"},
    {"PEUADDR", "page request event upper address"},
    {"PERFCAP", "performance monitoring capabilities"},
    {"ECMD", "enhanced command"},
    {"ECRSP", "enhanced command response"},
    {"ECRSP.IP", "command in progress"},

    {"IVA", "invalidate address"},
    {"IVA.AM", "", [](Value v) { return fmt::format("2^{} pages", v); }},
    {"IOTLB", "IOTLB invalidate"},
    {"IOTLB.IVT", "invalidation in progress"},
    {"IOTLB.IIRG", "requested", granularity},
    {"IOTLB.IAIG", "performed", granularity},
    {"IOTLB.DR", "drain reads"},
    {"IOTLB.DW", "drain writes"},
    {"IOTLB.DID", "domain"},

    {"FRCD", "fault record"},
    {"FRCD.FI", "address; of an interrupt request, its index in [63:48]"},
    {"FRCD.PV", "PASID, if PP is set"},
    {"FRCD.PRIV", "privileged request"},
    {"FRCD.EXE", "execute request"},
    {"FRCD.PP", "request with PASID"},
    {"FRCD.FR", "", reason},
    {"FRCD.AT", "", [](Value v) {
       return one_of(v, std::array{"untranslated request", "translation request", "translated request"}); }},
    {"FRCD.F", "fault recorded"},

    {"context.TT", "", [](Value v) {
       return one_of(v, std::array{"untranslated requests", "untranslated, translation and translated requests",
                                   "pass-through"}); }},
    {"context.AW", "", address_width},
    {"scalable-context.DTE", "device-TLB"},
    {"scalable-context.PASIDE", "requests with PASID"},
    {"scalable-context.PRE", "page requests"},
    {"scalable-context.PDTS", "", [](Value v) {
       return fmt::format("{} PASIDs", pasids_of_pdts(static_cast<unsigned>(v))); }},
    {"pasid.AW", "", address_width},
    {"pasid.PGTT", "", [](Value v) {
       return one_of(v, std::array{"reserved", "first-stage", "second-stage", "nested", "pass-through"}); }},
    {"pasid.FSPM", "", [](Value v) { return one_of(v, std::array{"4 levels", "5 levels"}); }},

    {"irte.DM", "", [](Value v) { return one_of(v, std::array{"physical", "logical"}); }},
    {"irte.RH", "redirection hint"},
    {"irte.TM", "", [](Value v) { return one_of(v, std::array{"edge", "level"}); }},
    {"irte.DLM", "", [](Value v) {
       return one_of(v, std::array{"fixed", "lowest priority", "SMI", "reserved", "NMI", "INIT", "reserved",
                                   "ExtINT"}); }},
    {"irte.URG", "urgent"},
    {"irte.IM", "", [](Value v) { return one_of(v, std::array{"remapped", "posted"}); }},
    {"irte.SQ", "", function_bits},
    {"irte.SVT", "", [](Value v) {
       return one_of(v, std::array{"any source", "source must be SID", "bus must be in SID[15:8]..SID[7:0]"}); }},
    {"posted.ON", "notification outstanding"},
    {"posted.SN", "notification suppressed"},

    {"CC.G", "", context_granularity},
    {"CC.FM", "", function_bits},
    {"IOTLB-descriptor.G", "", granularity},
    {"IOTLB-descriptor.DW", "drain writes"},
    {"IOTLB-descriptor.DR", "drain reads"},
    {"IEC.G", "", [](Value v) { return one_of(v, std::array{"global", "index-selective"}); }},
    {"wait.IF", "interrupt"},
    {"wait.SW", "status write"},
    {"wait.FN", "fence"},
    {"wait.PD", "page-request drain"},
    {"PASID-IOTLB.G", "", [](Value v) {
       return one_of(v, std::array{"reserved", "reserved", "PASID-selective", "page-selective"}); }},
    {"PASID-cache.G", "", [](Value v) {
       return one_of(v, std::array{"domain-selective", "PASID-selective", "reserved", "global"}); }},
    {"PASID-device-TLB.GLOBAL", "all PASIDs"},
    {"response.PP", "with PASID"},
    {"response.RC", "", [](Value v) {
       constexpr Value kFailure = 0xF;
       return v == kFailure ? "response failure" : one_of(v, std::array{"success", "invalid request"}); }},
};
// clang-format on

const Words* find(std::string_view owner, std::string_view field) {
  const auto matches = [&](std::string_view key, std::string_view name) {
    if (field.empty()) return key == name;
    return key.size() == name.size() + 1 + field.size() && key.starts_with(name) && key[name.size()] == '.' &&
           key.ends_with(field);
  };
  for (const std::string_view name : {owner, std::string_view("*")})
    for (const Words& w : kWords)
      if (matches(w.key, name)) return &w;
  return nullptr;
}

/// Fields that hold the upper bits of an aligned address or ring offset are shown as what they mean.
Value shown(const Field& field, Value word) {
  const unsigned hi = field.hi % 64U, lo = field.lo % 64U;
  const bool address =
      (lo == 2 || lo == 4 || lo == 5 || lo == 12 || lo == 20) && (hi == 18 || hi == 31 || hi == 51 || hi == 63);
  return address ? field.in_place(word) : field.get(word);
}

std::string bits_text(const Field& field) {
  return field.width() == 1 ? fmt::format("{}", field.lo) : fmt::format("{}:{}", field.hi, field.lo);
}

}  // namespace

std::string title(std::string_view owner) {
  const Words* words = find(owner, {});
  return words == nullptr ? std::string{} : words->about;
}

std::string meaning(std::string_view owner, const Field& field, std::uint64_t value) {
  const Words* words = find(owner, field.name);
  if (words == nullptr) return {};
  const std::string about = words->about;
  const bool flag = words->value == nullptr && field.width() == 1;
  const std::string text = words->value != nullptr ? words->value(value) : flag ? (value != 0 ? "yes" : "no") : "";
  return about + (about.empty() || text.empty() ? "" : ": ") + text;
}

std::string field_lines(std::string_view owner, std::span<const Field> fields, std::span<const std::uint64_t> words) {
  std::string out;
  for (const Field& f : fields) {
    const std::uint64_t word = words[f.word()];
    const std::string line = fmt::format("  {:<12} [{:>7}] = {:<#18x} {}", f.name, bits_text(f), shown(f, word),
                                         meaning(owner, f, f.get(word)));
    out += line.substr(0, line.find_last_not_of(' ') + 1) + '\n';
  }
  return out;
}

std::string field_list(std::string_view owner, std::span<const Field> fields, std::span<const std::uint64_t> words,
                       Zeros zeros) {
  std::vector<std::string> parts;
  for (const Field& f : fields) {
    const std::uint64_t value = f.get(words[f.word()]);
    const Words* known = find(owner, f.name);
    const bool flag = known == nullptr || known->value == nullptr;
    if (value == 0 && flag && zeros == Zeros::kOmit) continue;
    // A flag that is clear needs no words.
    const std::string text = flag ? (value != 0 && known != nullptr ? known->about : "") : meaning(owner, f, value);
    parts.push_back(
        fmt::format("{}={:#x}{}", f.name, shown(f, words[f.word()]), text.empty() ? "" : fmt::format(" ({})", text)));
  }
  return fmt::format("{}", fmt::join(parts, " "));
}

std::string bits_set(std::span<const std::uint64_t> words, std::span<const std::uint64_t> mask) {
  std::vector<std::string> parts;
  const auto set = [&](unsigned n) { return (words[n / 64] & mask[n / 64] & bit(n % 64)) != 0; };
  const auto count = static_cast<unsigned>(std::min(words.size(), mask.size()) * 64);
  for (unsigned lo = 0; lo < count; ++lo) {
    if (!set(lo)) continue;
    unsigned hi = lo;
    while (hi + 1 < count && set(hi + 1)) ++hi;
    parts.push_back(hi == lo ? fmt::format("{}", lo) : fmt::format("{}:{}", hi, lo));
    lo = hi;
  }
  return fmt::format("{}", fmt::join(parts, ", "));
}

std::string source_text(SourceId source) {
  return fmt::format("{:02x}:{:02x}.{}", source.bus(), source.devfn() / 8, source.devfn() % 8);
}

std::string fault_text(const Fault& f) {
  return fmt::format("{:#04x} {}: {} {} {:#x}", static_cast<unsigned>(f.reason), info(f.reason).name,
                     source_text(f.source), writes(f.access) ? "writes" : "reads", f.address);
}

std::string size_text(std::uint64_t bytes) {
  constexpr std::array kUnits{"", "K", "M", "G", "T", "P", "E"};
  std::size_t unit = 0;
  for (; bytes != 0 && bytes % 1024 == 0; bytes /= 1024) ++unit;
  return fmt::format("{}{}", bytes, kUnits[unit]);
}

void Lines::add(unsigned depth, std::string_view text) {
  if (count_ == limit_) throw Full{};
  ++count_;
  text_ += fmt::format("{:{}}{}\n", "", 2 * depth, text);
}

std::string Lines::cut() const {
  return fmt::format("... cut after {} lines; --limit N prints more\n", limit_);
}

}  // namespace vtd::sim
