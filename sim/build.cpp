// SPDX-License-Identifier: MIT
#include "sim/build.h"

#include "sim/times.h"
#include "tlm/spec/platform.h"

namespace vtd::sim {
namespace {

std::string pick(const std::string& override_value, const Params& p, const char* key, const char* otherwise) {
  return override_value.empty() ? p.text(key, otherwise) : override_value;
}

UnitConfig unit_config(const Scenario& s, const Overrides& o, const Choice& choice) {
  const Params& p = s.platform;
  UnitConfig unit;
  unit.profile = profile_of(s);
  unit.caches.iotlb.sets = static_cast<unsigned>(p.number("iotlb_sets", unit.caches.iotlb.sets));
  unit.caches.iotlb.ways = static_cast<unsigned>(p.number("iotlb_ways", unit.caches.iotlb.ways));
  unit.mode = pick(o.timing, p, "timing", "loose") == "cycle" ? TimingMode::kCycleTrue : TimingMode::kLooselyTimed;
  unit.stepping = o.every_cycle ? Stepping::kEveryCycle : Stepping::kBurst;
  unit.walker = choice.walker == "model" ? WalkerKind::kModel
                : choice.walker == "rtl" ? WalkerKind::kRtl
                                         : WalkerKind::kLockstep;
  unit.seed = choice.seed;
  return unit;
}

soc::EndpointConfig endpoint_config(const EndpointDeclaration& d, std::uint64_t seed) {
  const Params& p = d.params;
  soc::EndpointConfig e;
  e.name = p.text("name");
  e.source = SourceId{static_cast<std::uint16_t>(p.number("source"))};
  for (const StreamWindow& w : d.windows) e.windows.push_back({w.iova, w.size});
  e.pattern = p.text("pattern", "sequential") == "random" ? soc::Pattern::kRandom : soc::Pattern::kSequential;
  e.block = static_cast<std::uint32_t>(p.number("block", e.block));
  e.outstanding = static_cast<unsigned>(p.number("outstanding", e.outstanding));
  if (p.has("interval")) e.interval = from_ns(p.number("interval"));
  e.ignore_bus_master = p.number("ignore_bus_master") != 0;
  if (p.has("alias")) e.alias = SourceId{static_cast<std::uint16_t>(p.number("alias"))};
  e.unit = static_cast<unsigned>(p.number("unit"));
  e.non_pci = p.number("non_pci") != 0;
  e.pasid_bits = static_cast<unsigned>(p.number("pasid_bits"));
  if (p.has("pasid")) e.pasid = Pasid{static_cast<std::uint32_t>(p.number("pasid"))};
  e.ats = p.number("ats") != 0;
  e.unplugged = p.number("unplugged") != 0;
  e.page_requests = p.number("page_requests") != 0;
  e.tlb_entries = static_cast<unsigned>(p.number("tlb_entries", e.tlb_entries));
  e.seed = seed * 31 + e.source.value;
  return e;
}

}  // namespace

std::uint64_t set_policy(std::uint64_t bits, const Params& p) {
  namespace policy = platform::policy;
  constexpr const char* kSeries[] = VTD_SERIES_NAMES;
  if (p.has("verify")) bits = policy::kVerify.with(bits, p.text("verify") == "checking" ? 1 : 0);
  if (p.has("on_error")) bits = policy::kContain.with(bits, p.text("on_error") == "contain" ? 1 : 0);
  if (p.has("mode")) bits = policy::kScalable.with(bits, p.text("mode") == "scalable" ? 1 : 0);
  if (p.has("crash_kernel")) bits = policy::kCrashKernel.with(bits, p.number("crash_kernel"));
  for (std::uint64_t i = 0; p.has("series") && i < std::size(kSeries); ++i)
    if (p.text("series") == kSeries[i]) bits = policy::kSeries.with(bits, i);
  return bits;
}

Choice choose(const Scenario& s, const Overrides& o) {
  return {pick(o.walker, s.platform, "walker", "rtl"), pick(o.cpu, s.platform, "cpu", "iss"),
          o.seed != 0 ? o.seed : s.seed};
}

soc::PlatformConfig platform_config(const Scenario& s, const Overrides& o, const std::string& firmware_dir,
                                    const platform::DeviationSet& deviations) {
  const Params& p = s.platform;
  const Choice choice = choose(s, o);
  soc::PlatformConfig c;
  for (std::uint64_t unit = 0; unit < p.number("units", 1); ++unit) c.units.push_back(unit_config(s, o, choice));
  c.memory = p.number("memory", c.memory);
  if (p.has("cpu_quantum")) c.cpu_quantum = from_ns(p.number("cpu_quantum"));
  for (const EndpointDeclaration& e : s.endpoints) c.endpoints.push_back(endpoint_config(e, choice.seed));
  c.cpu = choice.cpu == "native" ? soc::CpuKind::kNative : soc::CpuKind::kIss;
  c.firmware_dir = firmware_dir;
  const std::string poison = pick(o.poison, p, "poison", "plausible");
  c.poison = poison == "zero"     ? soc::PoisonMode::kZero
             : poison == "ones"   ? soc::PoisonMode::kOnes
             : poison == "random" ? soc::PoisonMode::kRandom
                                  : soc::PoisonMode::kPlausible;
  c.seed = choice.seed;
  c.policy = set_policy(platform::policy::kVerify.mask(), p);
  c.deviations = deviations;
  if (!o.verify.empty()) c.policy = platform::policy::kVerify.with(c.policy, o.verify == "checking" ? 1 : 0);
  if (p.has("memory_latency")) c.dram_latency = from_ns(p.number("memory_latency"));
  if (p.has("boot_delay")) c.boot_delay = from_ns(p.number("boot_delay"));
  if (p.text("evictions", "random") == "none") c.evictions = soc::Dram::Evictions::kNone;
  c.cpi = static_cast<double>(p.number("cpi", 1));
  return c;
}

}  // namespace vtd::sim
