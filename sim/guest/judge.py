# SPDX-License-Identifier: MIT
"""What has to be, and what must not be, in the console of a run and in its report."""
import re

# Never, in any run.
FORBIDDEN = [r"BUG: ", r"Oops", r"hardware is malfunctioning", r"Call Trace:", r"soft lockup", r"rcu_.*stall",
             r"VTDSIM .*: FAIL", r"nvme.*timeout", r"I/O error"]
FAULT = r"DMAR: \[(DMA|INTR)"
PANIC = r"sysrq: Trigger a crash"

# Which lines each test must have; `faults`: the kernel prints DMA faults, and with which reasons.
REQUIRED = {
    "boot": [r"VTDSIM boot\.remapping: PASS", r"VTDSIM boot\.unit: PASS", r"VTDSIM boot\.group: PASS", r"VTDSIM boot: END"],
    "vfio": [r"VTDSIM vfio: PASS", r"VTDSIM vfio\.exit: PASS", FAULT + r" Write.*fault reason 0x05",
             FAULT + r" (Read|Write).*fault reason 0x0[56]", r"VTDSIM vfio: END"],
    "nvme": [r"VTDSIM nvme\.found: PASS", r"VTDSIM nvme\.data: PASS", r"VTDSIM nvme: END"],
    "kexec": [r"VTDSIM live: PASS", r"VTDSIM kexec\.loaded: PASS", r"VTDSIM vfio: PASS", r"VTDSIM second: END"],
    "crash": [r"VTDSIM live: PASS", r"VTDSIM crash\.loaded: PASS", PANIC, r"VTDSIM crash\.copied: PASS",
              r"VTDSIM crash\.live: PASS", r"VTDSIM vfio: PASS", r"VTDSIM crashed_live: END"],
    "crash_nvme": [r"VTDSIM crash\.loaded: PASS", PANIC, r"VTDSIM crash\.copied: PASS", r"VTDSIM crash\.data: PASS",
                   r"VTDSIM crashed_nvme: END"],
    "ir": [r"VTDSIM ir\.enabled: PASS", r"VTDSIM nvme\.data: PASS", r"VTDSIM ir\.message: PASS", r"VTDSIM ir: END"],
    "ir_crash": [r"VTDSIM ir\.enabled: PASS", PANIC, r"VTDSIM ir\.copied: PASS", r"VTDSIM crash\.data: PASS",
                 r"VTDSIM crashed_ir: END"],
}
# In scalable mode reasons have other numbers (SM codes).
SCALABLE = {r"fault reason 0x05": r"fault reason 0x7\d|fault reason 0x8\d", r"fault reason 0x0[56]": r"fault reason 0x[78]\d"}
FAULTS_EXPECTED = {"vfio", "kexec", "crash", "crash_nvme", "ir_crash"}


def complaints(test, console, status, scalable=False):
    """Every condition that does not hold, the first one first: (what, the line of the console or '')."""
    wrong = []
    lines = console.splitlines()
    first = next((i for i, line in enumerate(lines) if re.search(PANIC, line)), len(lines))
    for number, line in enumerate(lines):
        # The panic that a crash test asks for has a trace of its own.
        in_panic = first <= number < first + 80
        for pattern in FORBIDDEN:
            if re.search(pattern, line) and not (in_panic and pattern in (r"Oops", r"Call Trace:", r"BUG: ")):
                wrong.append((f"forbidden: {pattern}", f"{number + 1}: {line}"))
        if test not in FAULTS_EXPECTED and re.search(FAULT, line):
            wrong.append(("a DMA fault that no test asks for", f"{number + 1}: {line}"))
    for pattern in REQUIRED[test]:
        if scalable:
            for legacy, other in SCALABLE.items():
                pattern = pattern.replace(legacy, f"({other})")
        if not re.search(pattern, console):
            wrong.append((f"missing: {pattern}", ""))
    if status != 0:
        wrong.append((f"vtdsim serve ended with status {status}", ""))
    return wrong
