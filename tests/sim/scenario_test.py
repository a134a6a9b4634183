#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A scenario behaves the same on every walker and CPU, and the same seed gives the same run.

Usage: scenario_test.py equal VTDSIM SCENARIO [--cpus iss,native] [--walkers model,rtl,lockstep]
       scenario_test.py reproduce VTDSIM SCENARIO ...
       scenario_test.py inject VTDSIM ...
       scenario_test.py exits VTDSIM ...
       scenario_test.py phases VTDSIM ...
"""
import argparse
import itertools
import json
import pathlib
import re
import subprocess
import sys
import tempfile

# --inject on the live update, and what must be said of it.
INJECTIONS = [
    ("preserved.table[1]", r"domain\[0\]\.table_page = 0x[0-9a-f]+: not preserved"),
    ("preserved.table[2]", r"domain\[0\]\.table_page = 0x[0-9a-f]+: not preserved"),
    ("preserved.table[4]", r"domain\[0\]\.top_table = 0x[0-9a-f]+: not preserved"),
    ("preserved.context", r"unit\[0\]\.context_table = 0x[0-9a-f]+: not preserved"),
    ("preserved.root", r"unit\[0\]\.root_table = 0x[0-9a-f]+: not preserved"),
    ("preserved.memory", r"memory\[0\]\.base = 0x[0-9a-f]+: not all of its pages are preserved"),
    ("image.device[0].attachment_id=0", r"device\[0\]\.attachment_id = 0: reserved, expected 2 <= did < 65536"),
    ("image.device[0].attachment_id=1", r"device\[0\]\.attachment_id = 1: reserved, expected 2 <= did < 65536"),
    ("image.device[0].attachment_id=65536", r"device\[0\]\.attachment_id = 65536: out of range, expected 2 <= did < 65536"),
    ("image.device[0].attachment_id=9", r"device\[0\]\.attachment_id = 9: "),
    ("image.unit[0].root_table=0x2001000", r"unit\[0\]\.root_table = 0x2001000: "),
    ("image.iommu.version=2", r"iommu\.version = 2: unknown, expected 1"),
    ("firmware.skip_clean_invalidation=1", r"revoke-without-invalidation"),
]
# --inject on other stories.
ELSEWHERE = [
    # The unit finds no tables in memory; the next image finds no handover there.
    ("non_coherent_unit", "firmware.skip_flush=1", r"(?s)injected: firmware\.skip_flush = 0x1.*no lost-access"),
    ("non_coherent_unit", "firmware.skip_handover_flush=1", r"happened: FATAL: FATAL (luo|iommu) image: "),
    # D2's context entry is gone, the cached one still leads its write to somebody's memory.
    ("S14", "firmware.skip_clean_invalidation=1", r"repeat_dma\n +expected: ContextNotPresent\n +happened: ok"),
    ("S24", "preserved.table[1]", r"domain\[0\]\.table_page = 0x[0-9a-f]+: not preserved"),
]
# The same image under `verify: trusting`: what must stay fatal.
TRUSTING = [
    ("image.device[0].attachment_id=0", r"attachment_id = 0"),
    ("image.device[0].attachment_id=65536", r"attachment_id = 65536"),
    ("preserved.table[1]", r"table_page = 0x[0-9a-f]+: cannot be reclaimed"),
    ("image.iommu.version=2", r"iommu\.version = 2"),
]


class Runner:
    def __init__(self, program, work):
        self.program = program
        self.work = pathlib.Path(work)
        self.count = 0

    def __call__(self, *arguments):
        self.count += 1
        out = self.work / str(self.count)
        command = [self.program, "run", *arguments, "--out", str(out), "--quiet"]
        result = subprocess.run(command, capture_output=True, text=True, timeout=300)
        result.command = " ".join(command)
        return result


def first_difference(a, b):
    for number, (x, y) in enumerate(itertools.zip_longest(a.splitlines(), b.splitlines()), 1):
        if x != y:
            return f"line {number}:\n  {x}\n  {y}"
    return "none"


def equal(run, scenario, walkers, cpus):
    reference = None
    for walker, cpu in itertools.product(walkers, cpus):
        trace = run.work / f"normalised_{walker}_{cpu}"
        result = run(scenario, "--walker", walker, "--cpu", cpu, "--trace-normalised", str(trace))
        if result.returncode != 0:
            return f"{result.command}\nexit status {result.returncode}\n{result.stdout}{result.stderr}"
        text = trace.read_text()
        if len(text.splitlines()) < 100:
            return f"{result.command}\nthe trace is too short to mean anything"
        if reference is None:
            reference = (walker, cpu, text)
        elif text != reference[2]:
            return (f"{scenario}: {walker}/{cpu} differs from {reference[0]}/{reference[1]} at "
                    f"{first_difference(reference[2], text)}")
    return None


def reproduce(run, scenario, walkers, cpus):
    for walker, cpu in itertools.product(walkers, cpus):
        traces = []
        for attempt in range(2):
            trace = run.work / f"full_{walker}_{cpu}_{attempt}"
            result = run(scenario, "--walker", walker, "--cpu", cpu, "--seed", "7", "--trace-full", str(trace))
            if result.returncode != 0:
                return f"{result.command}\nexit status {result.returncode}\n{result.stdout}{result.stderr}"
            traces.append(trace.read_text())
        if traces[0] != traces[1]:
            return f"{scenario} {walker}/{cpu}: seed 7 twice differs at {first_difference(*traces)}"
        other = run.work / "full_other"
        run(scenario, "--walker", walker, "--cpu", cpu, "--seed", "8", "--trace-full", str(other))
        if other.read_text() == traces[0]:
            return f"{scenario} {walker}/{cpu}: seeds 7 and 8 give the same run; the trace shows nothing"
    # Clocking the walker edge by edge gives the same run as clocking it in bursts.
    clocked = "rtl" if "rtl" in walkers else walkers[0]
    burst, edges = run.work / "burst", run.work / "edges"
    run(scenario, "--walker", clocked, "--cpu", cpus[0], "--trace-full", str(burst))
    run(scenario, "--walker", clocked, "--cpu", cpus[0], "--every-cycle", "--trace-full", str(edges))
    if sorted(burst.read_text().splitlines()) != sorted(edges.read_text().splitlines()):
        return f"{scenario}: burst and every-cycle differ at {first_difference(burst.read_text(), edges.read_text())}"
    return None


def inject(run, cpus):
    cases = [("live_update", place, said, []) for place, said in INJECTIONS]
    cases += [("live_update", place, said, ["--verify", "trusting"]) for place, said in TRUSTING]
    cases += [(story, place, said, []) for story, place, said in ELSEWHERE]
    for cpu in cpus:
        for story, place, said, more in cases:
            result = run(story, "--inject", place, "--cpu", cpu, *more)
            if result.returncode != 1:
                return f"{result.command}\nexit status {result.returncode}, expected 1\n{result.stdout}"
            if not re.search(said, result.stdout):
                return f"{result.command}\nnothing was said of {said!r}:\n{result.stdout}"
    return None


def phases(run, cpus):
    """Phases of each live update: in order, side by side from the reset on, with no more than the run had."""
    names = ["preserve", "freeze", "clean", "place", "boot", "adopt", "restore"]
    for cpu, (scenario, updates) in itertools.product(cpus, [("S01", 1), ("S12b", 10)]):
        result = run(scenario, "--cpu", cpu)
        report = json.loads((run.work / str(run.count) / "report.json").read_text())
        if len(report["updates"]) != updates:
            return f"{result.command}\n{len(report['updates'])} live updates, expected {updates}"
        walks = dma = 0
        for update in report["updates"]:
            parts = update["phases"]
            if [part["name"] for part in parts] != names:
                return f"{result.command}\nphases {[part['name'] for part in parts]}, expected {names}"
            if any(a["end_ns"] > b["begin_ns"] for a, b in itertools.pairwise(parts)) or \
                    any(part["begin_ns"] > part["end_ns"] for part in parts):
                return f"{result.command}\nphases overlap"
            inside = [update["reset_ns"]] + [part[key] for part in parts[4:] for key in ("begin_ns", "end_ns")]
            if inside[0] != inside[1] or any(inside[n] != inside[n + 1] for n in (2, 4)):
                return f"{result.command}\ngaps after the reset: {inside}"
            if not inside[0] < inside[0] + update["first_invalidation_ns"] < inside[-1]:
                return f"{result.command}\nthe first invalidation lies outside the boot"
            if any(part["latency_sum_ns"] > part["dma"] * part["latency_max_ns"] for part in parts):
                return f"{result.command}\nan average above the maximum"
            if update["preserved_pages"] < 1024 or update["phases"][2]["invalidations"] == 0:
                return f"{result.command}\nnothing was preserved, or shutdown invalidated nothing"
            walks += sum(part["walks"] for part in parts)
            dma += sum(part["dma"] for part in parts)
        if not 0 < walks <= sum(unit["walks"] for unit in report["units"]):
            return f"{result.command}\n{walks} walks in the phases, more than there were, or none"
        if not 0 < dma <= sum(s["total"]["reads"] + s["total"]["writes"] for s in report["streams"]):
            return f"{result.command}\n{dma} DMA in the phases, more than there were, or none"
    return None


def exits(run, cpu):
    cases = [
        (["no_such_story"], 2, "there is no scenario"),
        (["live_update", "--walker", "imaginary"], 2, "walker"),
        (["live_update", "--no-such-option"], 2, "no-such-option"),
        (["live_update", "--seed", "0"], 2, "seed"),
        (["live_update", "--inject", "nowhere=1"], 2, "unknown place 'nowhere'"),
        (["live_update", "--inject", "image.device[0].attachment_id=many"], 2, "must be a number"),
        (["live_update", "--inject", "image.device[0].colour=1"], 2, "has no field 'colour'"),
        (["live_update", "--inject", "image.device[7].attachment_id=1"], 2, "the handover image has no image.device[7]"),
        (["live_update", "--inject", "entry.D9[0x0].level1=0"], 2, "there is no endpoint D9"),
        ([str(run.work)], 2, "there is no scenario"),
        (["live_update", "--firmware", "/nowhere"], 2, "--firmware /nowhere: there is no fw_a.img"),
    ]
    for arguments, status, said in cases:
        result = run(*arguments, "--cpu", cpu)
        if result.returncode != status or said not in result.stdout + result.stderr:
            return f"{result.command}\nexit status {result.returncode}, expected {status} and {said!r}:\n{result.stdout}{result.stderr}"
    # A story that runs out of simulated time.
    story = run.work / "slow.yaml"
    story.write_text("name: slow\nplatform: {limit: 1 ms}\nsteps:\n  - wait: 100 ms\n")
    result = run(str(story), "--cpu", cpu)
    if result.returncode != 3 or "simulated-time limit" not in result.stderr:
        return f"{result.command}\nexit status {result.returncode}, expected 3\n{result.stderr}"
    # What a failing run prints repeats it.
    result = run("live_update", "--inject", "image.device[0].attachment_id=1", "--seed", "5", "--cpu", cpu)
    if f"rerun: sim/run live_update --walker rtl --cpu {cpu} --seed 5 --inject" not in result.stdout:
        return f"no rerun command:\n{result.stdout}"
    return None


def check(run, options):
    walkers, cpus = options.walkers.split(","), options.cpus.split(",")
    if options.what == "inject":
        return inject(run, cpus)
    if options.what == "exits":
        return exits(run, cpus[0])
    if options.what == "phases":
        return phases(run, cpus)
    if not options.scenarios:
        return "no scenario given"
    compare = equal if options.what == "equal" else reproduce
    for scenario in options.scenarios:
        failure = compare(run, scenario, walkers, cpus)
        if failure:
            return failure
    return None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["equal", "reproduce", "inject", "exits", "phases"])
    parser.add_argument("program")
    parser.add_argument("scenarios", nargs="*")
    parser.add_argument("--cpus", default="iss,native")
    parser.add_argument("--walkers", default="model,rtl,lockstep")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="vtdsim_test_") as work:
        run = Runner(options.program, work)
        failure = check(run, options)
    print(failure or f"{options.what}: {run.count} runs as expected")
    sys.exit(1 if failure else 0)


if __name__ == "__main__":
    main()
