# SPDX-License-Identifier: MIT
"""What has to be, and what must not be, in the console of a run and in its report."""
import re

# Never, in any run.
FORBIDDEN = [r"BUG: ", r"Oops", r"hardware is malfunctioning", r"Call Trace:", r"soft lockup", r"rcu_.*stall",
             r"VTDSIM .*: FAIL", r"nvme.*timeout", r"I/O error"]
FAULT = r"DMAR: \[(DMA|INTR)"
PANIC = r"sysrq: Trigger a crash"
NEXT_KERNEL = r"\] Linux version "

# Which lines each test must have; `faults`: the kernel prints DMA faults, and with which reasons.
REQUIRED = {
    "boot": [r"VTDSIM boot\.remapping: PASS", r"VTDSIM boot\.unit: PASS", r"VTDSIM boot\.group: PASS", r"VTDSIM boot: END"],
    "vfio": [r"VTDSIM vfio: PASS", r"VTDSIM vfio\.exit: PASS", FAULT + r" Write.*fault reason 0x05",
             FAULT + r" (Read|Write).*fault reason 0x0[56]", r"VTDSIM vfio: END"],
    "nvme": [r"VTDSIM nvme\.found: PASS", r"VTDSIM nvme\.data: PASS", r"VTDSIM nvme: END"],
    "kexec": [r"VTDSIM live: PASS", r"VTDSIM kexec\.loaded: PASS", r"VTDSIM vfio: PASS", r"VTDSIM second: END"],
    "crash": [r"VTDSIM live: PASS", r"VTDSIM crash\.loaded: PASS", PANIC, r"VTDSIM crash\.copied: PASS",
              r"VTDSIM crash\.live: PASS", r"VTDSIM vfio: PASS", r"VTDSIM crashed_live: END"],
    "crash_nvme": [r"VTDSIM crash\.loaded: PASS", r"VTDSIM crash\.load: PASS", PANIC, r"VTDSIM crash\.copied: PASS", r"VTDSIM crash\.data: PASS",
                   r"VTDSIM crashed_nvme: END"],
    "ir": [r"VTDSIM ir\.enabled: PASS", r"VTDSIM nvme\.data: PASS", r"VTDSIM ir\.message: PASS", r"VTDSIM ir: END"],
    "ir_crash": [r"VTDSIM ir\.enabled: PASS", r"VTDSIM crash\.load: PASS", PANIC, r"VTDSIM ir\.copied: PASS", r"VTDSIM crash\.data: PASS",
                 r"VTDSIM crashed_ir: END"],
}
# In scalable mode reasons have other numbers (SM codes).
SCALABLE = {r"fault reason 0x05": r"fault reason 0x7\d|fault reason 0x8\d", r"fault reason 0x0[56]": r"fault reason 0x[78]\d"}
# Reasons that may come; a test that is not here expects no fault. What is in flight when a crash kernel takes a device
# over meets an empty context entry (02) or an empty table.
REASONS = {"vfio": r"0x0[56]", "kexec": r"0x0[56]", "crash": r"0x0[256]", "crash_nvme": r"0x0[256]", "ir_crash": r"0x0[256]"}
SCALABLE_REASONS = r"0x[78]\d"

# An option must have come to pass: what the kernel says of it, and what the report does.
SAYS = {"strict": r"invalidation policy: strict mode", "scalable": r"Enable scalable mode if hardware supports",
        "no-qi": r"dmar0: Using Register based invalidation", "caching-mode": r"batching disallowed due to virtualization"}
UNLESS = {"no-qi": r"dmar0: Using Queued invalidation"}
MIB = 1 << 20


def counters(test, report, modes, mib):
    """(what has to be, whether it is) for the counters of a report."""
    unit = report.get("unit")
    if not unit:
        return [("report.json of this run", False)]
    ends = {end["name"].rstrip("0123456789"): end for end in report.get("endpoints", [])}

    def moved(name, into, out_of):
        end = ends.get(name, {"bytes_written": 0, "bytes_read": 0})
        return (f"report: {name} writes {into} MiB to memory or more and reads {out_of}",
                end["bytes_written"] >= into * MIB and end["bytes_read"] >= out_of * MIB)

    found = [("report: no access to a register is refused", unit["register_refused"] == 0),
             ("report: PASID tables are read in scalable mode only",
              (unit["caches"]["pasid"]["fills"] > 0) == ("scalable" in modes and test != "boot")),
             ("report: wait descriptors unless there is no queue", (unit["waits"] > 0) == ("no-qi" not in modes)),
             ("report: invalidations", unit["invalidations"] > 0)]
    lookups = {name: cache["hits"] + cache["misses"] for name, cache in unit["caches"].items()}
    found.append(("report: messages are remapped in the tests of that only", (lookups["interrupt"] > 0) == test.startswith("ir")))
    if test != "boot":
        found.append(("report: requests find their translation in the IOTLB", unit["caches"]["iotlb"]["hits"] > 0))
    if test not in REASONS:
        found.append(("report: no fault", unit["faults"] == 0))
    if test == "vfio":
        found += [moved("dma", 5, 5), ("report: a fault for each request that is refused",
                                       unit["faults"] == sum(end["refused"] for end in ends.values()) >= 3)]
    if test in ("nvme", "ir", "ir_crash"):
        found.append(moved("nvme", mib, mib))
    if test == "crash_nvme":
        found.append(moved("nvme", 8, 16))
    return found


def complaints(test, console, status, report, modes=(), mib=64):
    """Every condition that does not hold, the first one first: (what, the line of the console or '')."""
    wrong = []
    lines = console.splitlines()
    reasons = SCALABLE_REASONS if "scalable" in modes else REASONS.get(test)
    in_panic = False  # the panic that a crash test asks for has a trace of its own
    for number, line in enumerate(lines, 1):
        in_panic = (in_panic or bool(re.search(PANIC, line))) and not re.search(NEXT_KERNEL, line)
        for pattern in FORBIDDEN:
            if re.search(pattern, line) and not (in_panic and pattern in (r"Oops", r"Call Trace:", r"BUG: ")):
                wrong.append((f"forbidden: {pattern}", f"{number}: {line}"))
        if re.search(FAULT, line):
            if test not in REASONS:
                wrong.append(("a DMA fault that no test asks for", f"{number}: {line}"))
            elif not re.search(f"fault reason {reasons}\\]", line):
                wrong.append(("a DMA fault for another reason than the test gives", f"{number}: {line}"))
    required = list(REQUIRED[test])
    for mode in modes:
        required.append(SAYS[mode])
    required += [text for mode, text in UNLESS.items() if mode not in modes and not test.startswith("ir")]
    for pattern in required:
        if "scalable" in modes:
            for legacy, other in SCALABLE.items():
                pattern = pattern.replace(legacy, f"({other})")
        if not re.search(pattern, console):
            wrong.append((f"missing: {pattern}", ""))
    if status != 0:
        wrong.append((f"vtdsim serve ended with status {status}", ""))
    wrong += [(what, "") for what, good in counters(test, report, modes, mib) if not good]
    return wrong
