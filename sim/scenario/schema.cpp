// SPDX-License-Identifier: MIT
#include "sim/scenario/schema.h"

#include "tlm/spec/platform.h"
#include "tlm/spec/profile_fields.h"

#include <algorithm>

namespace vtd::sim {
namespace {

constexpr std::uint64_t kPage = 4096;
constexpr std::string_view kStatuses =
    "OK|EINVAL|EBUSY|EOPNOTSUPP|ENOENT|EPERM|EEXIST|EADDRINUSE|ENODATA|ENOMEM|ETIMEDOUT|EFAULT|FATAL|ENODEV";
constexpr std::string_view kQueries =
    "lifecycle|device_did|device_owner|preserved_pages|did_use_count|unit_record|domain_tables|device_entry|allocator|"
    "session|flb|updates";

Param text(const char* name, const char* help) {
  return {name, Type::kText, true, help};
}
Param name(const char* what, const char* help) {
  return {what, Type::kName, true, help};
}
Param device() {
  return {"device", Type::kEndpoint, true, "endpoint"};
}
Param domain() {
  return {"domain", Type::kDomain, true, "domain"};
}
Param memory() {
  return {"memory", Type::kMemory, true, "memory file"};
}
Param session() {
  return {"session", Type::kNumber, true, "session number", {}, 1, 0xFFFF};
}
Param token() {
  return {"token", Type::kNumber, true, "token, unique in the session"};
}
Param pasid() {
  return {"pasid", Type::kNumber, false, "of the requests; those without by default", {}, 1, 0xFFFFF};
}
Param pages(const char* what, bool required, const char* help) {
  return {what, Type::kNumber, required, help, {}, 0, ~std::uint64_t{0}, kPage};
}
Param size() {
  return {"size", Type::kNumber, true, "bytes", {}, kPage, ~std::uint64_t{0}, kPage};
}
Param expect() {
  return {"expect", Type::kChoice, false, "status that the firmware must answer, OK by default", kStatuses};
}
Param time(const char* what, bool required, const char* help) {
  return {what, Type::kTime, required, help};
}

/// What the firmware is told by policy bits: of `platform`, and of the step `set`.
std::vector<Param> policy_params() {
  return {
      {"verify", Type::kChoice, false, "how an incoming image is taken, checking by default", "checking|trusting"},
      {"on_error", Type::kChoice, false,
       "what is wrong with one device stops the image, or costs the device; failstop by default", "failstop|contain"},
      {"series", Type::kChoice, false, "form of the Linux series, latest by default", "latest|v1|v2"},
      {"mode", Type::kChoice, false, "table mode, legacy by default", "legacy|scalable"},
      {"crash_kernel", Type::kFlag, false, "an image that starts after a crash copies the tables (kdump)"}};
}

std::vector<Spec> make_steps() {
  return {
      {"phase", "names what follows; shown in waves, report and console", {text("name", "name of the phase")}},
      {"wait", "lets time pass", {time("time", true, "how long")}},
      {"memory",
       "declares a memory file, the guest's memory",
       {name("name", "name"), size(), pages("at", false, "physical address; the next free one by default"), expect()}},
      {"domain",
       "creates a domain",
       {name("name", "name"),
        {"levels", Type::kNumber, false, "paging levels, 4 by default", {}, 3, 5},
        {"stage", Type::kChoice, false, "of its tables, second by default", "second|first|nested"},
        {"parent", Type::kDomain, false, "nested: whose second stage it is over"},
        expect()}},
      {"mark_domain",
       "marks a domain to be preserved with its iommufd",
       {domain(), {"token", Type::kNumber, true, "by which userspace will ask for it"}, expect()}},
      {"destroy_domain", "frees a domain that nothing is attached to", {domain(), expect()}},
      {"map",
       "maps memory into a domain",
       {domain(),
        pages("iova", true, "first input address"),
        memory(),
        pages("offset", false, "into the memory"),
        size(),
        {"rights", Type::kChoice, false, "rw by default", "r|w|rw"},
        {"leaf", Type::kChoice, false, "largest page, 4K by default", "4K|2M|1G"},
        expect()}},
      {"set", "changes what the running image, or the next one, is told", policy_params()},
      {"unplug", "takes a device off the bus", {device()}},
      {"plug", "puts it back, as after power-on", {device()}},
      {"renumber", "gives a device another requester id", {device(), {"source", Type::kSource, true, "bb:dd.f"}}},
      {"sleep", "puts a device to sleep (D3)", {device()}},
      {"wake", "wakes a device up", {device()}},
      {"probe_device", "the firmware looks for the device: hot add", {device(), expect()}},
      {"interrupt",
       "an interrupt message (MSI) of a device",
       {device(),
        {"address", Type::kNumber, false, "0xFEE00000 by default", {}, 0xFEE00000, 0xFEEFFFFF, 4},
        {"data", Type::kNumber, false, "0x40 by default", {}, 0, 0xFFFFFFFF},
        {"expect", Type::kText, false, "ok, the name of a fault reason, or refused: without a fault"}}},
      {"crash",
       "the other image starts without shutdown or handover",
       {expect(), {"background", Type::kFlag, false, "go on at once; wait_for: ready takes the answer"}}},
      {"protect_memory",
       "protected low memory region; without size: off",
       {pages("at", false, "first address"), pages("size", false, "bytes"), expect()}},
      {"unmap", "unmaps a range of a domain", {domain(), pages("iova", true, "first input address"), size(), expect()}},
      {"attach", "attaches a device to a domain", {device(), domain(), pasid(), expect()}},
      {"pass_through", "attaches a device to the identity domain", {device(), expect()}},
      {"detach", "detaches a device", {device(), pasid(), expect()}},
      {"claim",
       "claims DMA ownership of a device",
       {device(), {"owner", Type::kNumber, true, "owner, not 0", {}, 1}, expect()}},
      {"release",
       "gives DMA ownership back",
       {device(), {"owner", Type::kNumber, true, "owner, not 0", {}, 1}, expect()}},
      {"open_session", "opens a live-update session", {session(), expect()}},
      {"close_session", "closes a session: unpreserves everything in it", {session(), expect()}},
      {"preserve_memory", "preserves a memory file", {session(), token(), memory(), expect()}},
      {"preserve_iommufd", "preserves every marked domain and its page tables", {session(), token(), expect()}},
      {"preserve_device", "preserves a device's attachment", {session(), token(), device(), expect()}},
      {"unpreserve", "undoes the newest preserve of a session", {session(), token(), expect()}},
      {"freeze", "freezes all sessions", {expect()}},
      {"unfreeze", "undoes freeze", {expect()}},
      {"shutdown", "cleans what is not preserved", {expect()}},
      {"reboot",
       "warm reset into the other image",
       {expect(), {"background", Type::kFlag, false, "go on at once; wait_for: ready takes the answer"}}},
      {"live_update", "freeze, shutdown and reboot", {expect()}},
      {"wait_for",
       "waits for the firmware to reach a state",
       {{"state", Type::kChoice, true, "state", "blackout|adopting|ready"},
        time("timeout", false, "100 ms by default"),
        expect()}},
      {"retrieve", "retrieves a file of an incoming session", {session(), token(), expect()}},
      {"transfer_owner",
       "a retrieved device binds to the retrieved iommufd",
       {device(), {"owner", Type::kNumber, true, "owner, not 0", {}, 1}, expect()}},
      {"reclaim_domain",
       "a restored domain gets a handle again",
       {{"token", Type::kNumber, true, "that it was marked with"}, expect()}},
      {"take_over",
       "retrieves every file of a session, binds its devices, reclaims its domains",
       {session(), {"owner", Type::kNumber, true, "of the devices, not 0", {}, 1}}},
      {"replace", "another domain for a device, hitless", {device(), domain(), expect()}},
      {"suspend", "switches translation off and on again", {expect()}},
      {"reprobe_unit",
       "hot remove and add of a unit",
       {{"unit", Type::kNumber, false, "unit, 0 by default", {}, 0, 1}, expect()}},
      {"finish", "finishes a restored session", {session(), expect()}},
      {"drain_faults",
       "the firmware reads and clears fault records",
       {{"count", Type::kNumber, false, "records it must find"},
        {"overflow", Type::kFlag, false, "whether it must find PFO"},
        expect()}},
      {"query",
       "asks the firmware; results can be compared, remembered and compared with what was remembered",
       {{"what", Type::kChoice, true, "what", kQueries},
        {"device", Type::kEndpoint, false, "of this device"},
        {"domain", Type::kDomain, false, "of this domain"},
        {"id", Type::kNumber, false, "of this number"},
        {"result0", Type::kNumber, false, "expected first result"},
        {"result1", Type::kNumber, false, "expected second result"},
        {"result2", Type::kNumber, false, "expected third result"},
        {"remember", Type::kName, false, "keep the results under this name"},
        {"same_as", Type::kName, false, "results must equal those kept under this name"},
        expect()}},
      {"plant_global",
       "writes a global variable of the running image",
       {{"value", Type::kNumber, true, "value"}, expect()}},
      {"read_global", "reads it back", {{"value", Type::kNumber, true, "expected value"}, expect()}},
      {"start", "starts a device's stream", {device()}},
      {"stop", "stops a device's stream", {device()}},
      {"finish_stream",
       "lets a stream end after a number of transfers and waits for that",
       {device(),
        {"transfers", Type::kNumber, true, "since the beginning", {}, 1},
        time("timeout", false, "100 ms by default")}},
      {"dma",
       "one DMA by a device",
       {device(),
        {"iova", Type::kNumber, true, "input address"},
        {"op", Type::kChoice, true, "kind", "read|write"},
        {"size", Type::kNumber, false, "bytes, 64 by default", {}, 1, 65536},
        pasid(),
        {"expect", Type::kText, false, "ok, the name of a fault reason, or refused: without a fault"}}},
      {"repeat_dma",
       "many DMAs by a device at consecutive pages",
       {device(),
        {"iova", Type::kNumber, true, "first input address"},
        {"op", Type::kChoice, true, "kind", "read|write"},
        {"count", Type::kNumber, true, "how many", {}, 1, 65536},
        pasid(),
        {"expect", Type::kText, false, "ok, the name of a fault reason, or refused: without a fault"}}},
      {"inject",
       "plants trouble at a named place (see `vtdsim explain places`)",
       {text("place", "place"),
        {"value", Type::kNumber, false, "value"},
        {"as", Type::kText, false,
         "instead: the address of a record of the image, such as unit[1], or a word of `explain places`"}}},
      {"slow_memory", "every memory access takes longer", {time("by", true, "how much; 0 ns ends it")}},
      {"systematic",
       "from here on, after each store of a command to memory: where would a request of the device go, with cold "
       "caches? "
       "Only where it went before the command, or goes after it. Needs cpu: iss",
       {device(),
        pages("iova", true, "page that is asked for"),
        pasid(),
        {"dma", Type::kFlag, false, "the device reads there as well, through the caches as they are"}}},
      {"end_systematic", "no more of that", {}},
      {"reset_unit",
       "resets the remapping unit itself",
       {{"kind", Type::kChoice, true, "kind", "cold|warm"},
        {"unit", Type::kNumber, false, "unit, 0 by default", {}, 0, 1}}},
  };
}

std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t above = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0U : 1U)});
      diagonal = above;
    }
  }
  return row[b.size()];
}

}  // namespace

const std::vector<Spec>& step_specs() {
  static const std::vector<Spec> kSteps = make_steps();
  return kSteps;
}

const Spec* find_step(std::string_view name) {
  for (const Spec& s : step_specs())
    if (name == s.name) return &s;
  return nullptr;
}

const Spec& platform_spec() {
  static const Spec kSpec = [] {
    Spec spec{"platform",
              "what the story runs on",
              {{"profile", Type::kChoice, false, "capabilities, linux by default", "linux|minimal|qemu72|full"},
               {"walker", Type::kChoice, false, "page walker, rtl by default", "model|rtl|lockstep"},
               {"cpu", Type::kChoice, false, "firmware CPU, iss by default", "iss|native"},
               {"timing", Type::kChoice, false, "loose by default", "loose|cycle"},
               {"iotlb_sets", Type::kNumber, false, "sets of the IOTLB, a power of two", {}, 1, 4096},
               {"iotlb_ways", Type::kNumber, false, "ways of the IOTLB", {}, 1, 64},
               {"poison", Type::kChoice, false, "what lost pages hold after a warm reset, plausible by default",
                "zero|ones|random|plausible"},
               {"units", Type::kNumber, false, "remapping units, 1 by default", {}, 1, 2},
               {"memory",
                Type::kNumber,
                false,
                "DRAM, 128M by default",
                {},
                platform::kDramSize,
                platform::kDramMax,
                platform::kDramSize},
               {"cpu_quantum", Type::kTime, false, "the CPU yields at least so often, 1 us by default"},
               {"memory_latency", Type::kTime, false, "of every memory access, 20 ns by default"},
               {"boot_delay", Type::kTime, false, "the CPU stays in reset so long after a warm reset"},
               {"evictions", Type::kChoice, false,
                "of a CPU cache that the unit does not snoop (ECAP.C=0), random by default", "random|none"},
               {"cpi", Type::kNumber, false, "cycles per instruction, 1 by default", {}, 1, 1000},
               {"limit", Type::kTime, false, "simulated time after which the story has failed, 1 s by default"}}};
    for (const Param& p : policy_params()) spec.params.push_back(p);
    return spec;
  }();
  return kSpec;
}

const Spec& capabilities_spec() {
  static const Spec kSpec = [] {
    Spec spec{"capabilities", "what the unit can do beside, or less than, its profile", {}};
    for (const ProfileNumber& n : kProfileNumbers)
      spec.params.push_back({n.name, Type::kNumber, false, n.help, {}, n.min, n.max, n.multiple_of});
    for (const ProfileFlag& f : kProfileFlags) spec.params.push_back({f.name, Type::kFlag, false, f.help});
    return spec;
  }();
  return kSpec;
}

const Spec& endpoint_spec() {
  static const Spec kSpec{
      "endpoint",
      "a DMA device",
      {{"name", Type::kName, true, "name"},
       {"source", Type::kSource, true, "requester id, bb:dd.f"},
       {"alias", Type::kSource, false, "requester id of a bridge that speaks for it"},
       {"unit", Type::kNumber, false, "its remapping unit, 0 by default", {}, 0, 1},
       {"count",
        Type::kNumber,
        false,
        "so many devices, of the next requester ids: NAME, NAME_2, NAME_3 ...",
        {},
        1,
        platform::kMaxEndpoints},
       {"non_pci", Type::kFlag, false, "not a PCI device: its bus mastering cannot be switched off"},
       {"pasid_bits", Type::kNumber, false, "width of its PASIDs, none by default", {}, 1, 20},
       {"pasid", Type::kNumber, false, "of the stream's requests", {}, 1, 0xFFFFF},
       {"ats", Type::kFlag, false, "has a device TLB"},
       {"page_requests", Type::kFlag, false, "with ats: asks for pages that are not mapped"},
       {"tlb_entries", Type::kNumber, false, "of the device TLB, 64 by default", {}, 1, 4096},
       {"unplugged", Type::kFlag, false, "not on the bus until it is plugged in"},
       {"pattern", Type::kChoice, false, "sequential by default", "sequential|random"},
       {"block", Type::kNumber, false, "bytes of a transfer, 256 by default", {}, 64, 65536, 8},
       {"outstanding", Type::kNumber, false, "requests in flight, 4 by default", {}, 1, 64},
       {"interval", Type::kTime, false, "between two requests of a worker, 100 ns by default"},
       {"ignore_bus_master", Type::kFlag, false, "a broken device that goes on without bus-mastering"}}};
  return kSpec;
}

const Spec& window_spec() {
  static const Spec kSpec{"window",
                          "addresses of a stream",
                          {{"iova", Type::kNumber, true, "first"}, {"size", Type::kNumber, true, "bytes", {}, 64}}};
  return kSpec;
}

const Spec& expect_spec() {
  static const Spec kSpec{
      "expect",
      "what must hold at the end; without it: no fault, no violation, no wrong data, translation never off",
      {{"mismatches", Type::kNumber, false, "blocks with wrong data, 0 by default"},
       {"bus_errors", Type::kNumber, false, "DMA answered by a bus error, 0 by default"},
       {"interrupts", Type::kNumber, false, "interrupt messages, any number by default"},
       {"misuse", Type::kNumber, false, "uses of registers that the architecture forbids, 0 by default"},
       {"translation_drops", Type::kNumber, false, "times that TES went 1 -> 0, 0 by default"},
       {"busy_queues", Type::kNumber, false,
        "invalidation queues with head unequal tail at a warm reset, 0 by default"},
       {"walks_before", Type::kNumber, false, "walks before the warm reset, at least"},
       {"walks_during", Type::kNumber, false, "walks in the blackout, at least"},
       {"walks_after", Type::kNumber, false, "walks after it, at least"},
       {"resets", Type::kNumber, false, "warm resets"}}};
  return kSpec;
}

const Spec& fault_spec() {
  static const Spec kSpec{"fault",
                          "faults that must happen",
                          {{"device", Type::kEndpoint, true, "device"},
                           {"reason", Type::kText, true, "name of the fault reason"},
                           {"count", Type::kNumber, false, "exactly so many"},
                           {"at_least", Type::kNumber, false, "at least so many, 1 by default"}}};
  return kSpec;
}

std::string nearest(std::string_view word, const std::vector<std::string>& candidates) {
  std::string best;
  std::size_t least = std::max<std::size_t>(2, word.size() / 3) + 1;
  for (const std::string& c : candidates) {
    const std::size_t d = distance(word, c);
    if (d < least) {
      least = d;
      best = c;
    }
  }
  return best;
}

}  // namespace vtd::sim
