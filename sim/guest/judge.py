# SPDX-License-Identifier: MIT
"""What has to be, and what must not be, in the console of a run and in its report."""
import re

# Never, in any run.
FORBIDDEN = [r"BUG: ", r"Oops", r"hardware is malfunctioning", r"Call Trace:", r"soft lockup", r"rcu_.*stall",
             r"VTDSIM .*: FAIL", r"nvme.*timeout", r"I/O error"]
FAULT = r"DMAR: \[(DMA|INTR)"
PANIC = r"sysrq: Trigger a crash"
NEXT_KERNEL = r"\] Linux version "

BOOT = [r"VTDSIM boot\.remapping: PASS", r"VTDSIM boot\.unit: PASS", r"VTDSIM boot\.group: PASS"]
# Which lines each test must have: those of its first kernel, and of the one that follows by kexec.
REQUIRED = {
    "boot": ([*BOOT, r"VTDSIM boot: END"], []),
    "vfio": ([*BOOT, r"VTDSIM vfio: PASS", r"VTDSIM vfio\.exit: PASS", r"VTDSIM vfio: END"], []),
    "nvme": ([*BOOT, r"VTDSIM nvme\.found: PASS", r"VTDSIM nvme\.data: PASS", r"VTDSIM nvme: END"], []),
    "kexec": ([*BOOT, r"VTDSIM live: PASS", r"VTDSIM kexec\.loaded: PASS"],
              [*BOOT, r"VTDSIM vfio: PASS", r"VTDSIM second: END"]),
    "crash": ([*BOOT, r"VTDSIM live: PASS", r"VTDSIM crash\.loaded: PASS", PANIC],
              [*BOOT, r"VTDSIM crash\.copied: PASS", r"VTDSIM crash\.live: PASS", r"VTDSIM vfio: PASS",
               r"VTDSIM crashed_live: END"]),
    "crash_nvme": ([*BOOT, r"VTDSIM crash\.loaded: PASS", r"VTDSIM crash\.load: PASS", PANIC],
                   [r"VTDSIM crash\.copied: PASS", r"VTDSIM crash\.data: PASS", r"VTDSIM crashed_nvme: END"]),
    "ir": ([r"VTDSIM ir\.enabled: PASS", r"VTDSIM nvme\.data: PASS", r"VTDSIM ir\.message: PASS", r"VTDSIM ir: END"], []),
    "ir_crash": ([r"VTDSIM ir\.enabled: PASS", r"VTDSIM crash\.load: PASS", PANIC],
                 [r"VTDSIM ir\.copied: PASS", r"VTDSIM crash\.data: PASS", r"VTDSIM crashed_ir: END"]),
}
# What vfio_test must be refused, and by which of its tests: the request, its address, the reason in legacy and in
# scalable mode (VT-d 7.1.3).
REFUSED = {"read_only: write": ("Write", 0x7F00_0010_0000, 0x05, 0x85),
           "never_mapped: write": ("Write", 0x7F00_4000_0000, 0x05, 0x79),
           "never_mapped: read": ("Read", 0x7F00_4000_0000, 0x06, 0x79),
           "unmapped: write": ("Write", 0x7F00_0000_0000, 0x05, 0x79)}
# Reasons that may come; a test that is not here expects no fault. What is in flight when a crash kernel takes a device
# over meets an empty context entry (02) or an empty table.
REASONS = {"vfio": (0x05, 0x06), "kexec": (0x05, 0x06), "crash": (0x02, 0x05, 0x06), "crash_nvme": (0x02, 0x05, 0x06),
           "ir_crash": (0x02, 0x05, 0x06)}
SCALABLE_REASONS = (0x79, 0x85, 0x86)

# An option must have come to pass: what the kernel says of it, and what the report does.
SAYS = {"strict": r"invalidation policy: strict mode", "scalable": r"Enable scalable mode if hardware supports",
        "caching-mode": r"batching disallowed due to virtualization"}
# Of a unit with a queue, and of one without.
QUEUE = {True: r"dmar0: Using Queued invalidation", False: r"dmar0: Using Register based invalidation"}
MIB = 1 << 20

# Bugs in the unit, with what Linux must notice each by.
DATA, UNEXPECTED, NO_FAULT, CRASH, TIME_OUT = "data check", "unexpected fault", "missing fault", "kernel crash", "time-out"
BUGS = {"wrong_page": DATA, "dropped_invalidation": DATA, "ignored_permission": NO_FAULT, "lost_wait_status": TIME_OUT}


def has_queue(report):
    return bool(report.get("capabilities", {}).get("queued_invalidation", True))


def fault_line(access, address, reason):
    return rf"DMAR: \[DMA {access}\b.*fault addr {address:#x} \[fault reason {reason:#04x}\]"


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
             ("report: wait descriptors unless there is no queue", (unit["waits"] > 0) == has_queue(report)),
             ("report: invalidations", unit["invalidations"] > 0)]
    lookups = {name: cache["hits"] + cache["misses"] for name, cache in unit["caches"].items()}
    found.append(("report: messages are remapped in the tests of that only", (lookups["interrupt"] > 0) == test.startswith("ir")))
    if test != "boot":
        found.append(("report: requests find their translation in the IOTLB", unit["caches"]["iotlb"]["hits"] > 0))
    if test not in REASONS:
        found.append(("report: no fault", unit["faults"] == 0))
    if test == "vfio":
        found += [moved("dma", 5, 5), ("report: a fault for each request that is refused",
                                       unit["faults"] == sum(end["refused"] for end in ends.values()) >= len(REFUSED))]
    if test in ("nvme", "ir", "ir_crash"):
        found.append(moved("nvme", mib, mib))
    if test == "crash_nvme":
        found.append(moved("nvme", 8, 16))
    return found


def complaints(test, console, status, report, modes=(), mib=64):
    """Every condition that does not hold, the first one first: (what, the line of the console or '')."""
    wrong = []
    scalable = "scalable" in modes
    reasons = SCALABLE_REASONS if scalable else REASONS.get(test, ())
    in_panic = False  # the panic that a crash test asks for has a trace of its own
    for number, line in enumerate(console.splitlines(), 1):
        in_panic = (in_panic or bool(re.search(PANIC, line))) and not re.search(NEXT_KERNEL, line)
        for pattern in FORBIDDEN:
            if re.search(pattern, line) and not (in_panic and pattern in (r"Oops", r"Call Trace:", r"BUG: ")):
                wrong.append((f"forbidden: {pattern}", f"{number}: {line}"))
        if re.search(FAULT, line):
            reason = re.search(r"fault reason (0x[0-9a-f]+)\]", line)
            if test not in REASONS:
                wrong.append(("a DMA fault that no test asks for", f"{number}: {line}"))
            elif not reason or int(reason[1], 16) not in reasons:
                wrong.append(("a DMA fault for another reason than the test gives", f"{number}: {line}"))
    kernels = re.split(NEXT_KERNEL, console)[1:]
    required = [list(patterns) for patterns in REQUIRED[test]]
    required[0] += [SAYS[mode] for mode in modes if mode in SAYS]
    if not test.startswith("ir"):
        required[0].append(QUEUE["no-qi" not in modes and has_queue(report)])
    if test == "boot":
        required[0] += [rf"\b{name} {report.get('capabilities', {}).get(name)}\b" for name in ("CAP", "ECAP")]
    for patterns, text in zip(required, [*kernels, "", ""]):
        wrong += [(f"missing: {pattern}", "") for pattern in patterns if not re.search(pattern, text)]
    if test == "vfio":
        for what, (access, address, legacy, other) in REFUSED.items():
            if not re.search(fault_line(access, address, other if scalable else legacy), console):
                wrong.append((f"missing fault: {what}", ""))
    if status != 0:
        wrong.append((f"vtdsim serve ended with status {status}", ""))
    wrong += [(what, "") for what, good in counters(test, report, modes, mib) if not good]
    return wrong


def waits_for_the_queue(timeline):
    """Whether the last thing that the guest did was to look, over and over, whether its wait descriptor has completed:
    a read of FSTS at each turn."""
    count = re.search(r"\n[^\n]*    R FSTS [^\n]*\n +\.\.\. (\d+) times in all\n*$", timeline)
    return bool(count) and int(count[1]) > 1000


def evidence(wrong, console, timed_out, timeline):
    """What of the complaints is the notice of a bug: (class, what). A run that is only slow is none, and a fault is
    missing only once its test has ended."""
    found = []
    for what, line in wrong:
        text = line.split(": ", 1)[-1]
        if re.search(r"VTDSIM .*: FAIL", line):
            found.append((DATA, text))
        elif what.startswith("a DMA fault"):
            found.append((UNEXPECTED, text))
        elif what.startswith(NO_FAULT):
            text = what.removeprefix(NO_FAULT + ": ")
            if f"VTDSIM vfio.{text.partition(':')[0]}: " in console:
                found.append((NO_FAULT, text))
        elif what.startswith("forbidden: "):
            found.append((CRASH, text))
    if timed_out and waits_for_the_queue(timeline):
        found.append((TIME_OUT, "the guest waits for a wait descriptor and reads FSTS for ever"))
    return found
