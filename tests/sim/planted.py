#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Plants one bug at a time in model, RTL or firmware and plays random stories until one fails.

Bugs of the firmware are its own named deviations. For each of the others the tree is copied, a text is replaced as in
tests/walker/mutate.py, and vtdsim is built again. Prints `bug -> caught by story N (reason)`, and the median.

Usage: planted.py VTDSIM [--only TEXT] [--stories N] [--jobs J] [--build DIRECTORY]
Exit status: 0 every bug is caught, 1 one survives, 2 the stories could not be judged.
"""
import argparse
import concurrent.futures
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/walker"))
from mutate import MUTANTS, CannotJudge, change, of, run  # noqa: E402

COPIED = ["CMakeLists.txt", "CMakePresets.json", "README.md", "LICENSE", "firmware", "rtl", "sim", "tests", "tlm"]
RUN_TIMEOUT = 120  # seconds

DEVIATIONS = ["skip_unmap_invalidation", "skip_replace_invalidation", "early_id_reuse", "skip_clean_invalidation",
              "translation_glitch", "replace_by_clearing", "skip_memory_check"]

# Of those that the walker tests know.
OF_WALKER = [mutant for mutant in MUTANTS if mutant.name in (
    "rtl: no sweep", "rtl: the key does not matter", "rtl: W of the path is not accumulated",
    "rtl: W is not checked in scalable mode", "rtl: index of level 2 off by one", "rtl: all domains share")]
BUGS = [
    *of("tlm/core/invalidation.cpp", "model",
        ("a page range knows no AM", "bit(kPageShift + invalidation.address_mask);", "bit(kPageShift);"),
        ("PASID cache invalidations of one PASID are ignored",
         "invalidation.scope == Invalidation::Scope::kDomain || invalidation.pasid == pasid;",
         "invalidation.scope == Invalidation::Scope::kDomain && invalidation.pasid == pasid;"),
        ("a context invalidation by device is of the others", "|| same_source(invalidation, source);",
         "|| !same_source(invalidation, source);")),
    *of("tlm/core/unit.cpp", "model",
        ("fill after an invalidation", "if (abandoned(flight)) state_.caches.iotlb.refuse_fill();",
         "if (false) state_.caches.iotlb.refuse_fill();"),
        ("rights of cached pages are not checked", "if (request.type != AddressType::kTranslationRequest) { const",
         "if (request.type == AddressType::kTranslated) { const")),
    *of("tlm/core/fault_log.cpp", "model",
        ("wrong source-id in fault records", "entry.set(frcd::kSID, request.source.value)",
         "entry.set(frcd::kSID, request.source.value ^ 8)")),
    *of("tlm/core/iotlb.h", "model",
        ("offset in a super-page", "(address - align_down(address, page_size()))",
         "(address - align_down(address, kPageSize))")),
    *OF_WALKER,
]


def first_caught(program, stories, jobs, *more):
    """The first story that fails and why; None: none does."""
    with tempfile.TemporaryDirectory(prefix="vtd-stories-") as top, \
            concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        work = pathlib.Path(top)

        def play(seed):
            text = run([program, "story", "--seed", seed])
            story = work / f"{seed}.yaml"
            story.write_text(text)
            try:
                done = subprocess.run(["nice", program, "run", story, "--quiet", "--out", work / str(seed), *more],
                                      stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
                                      timeout=RUN_TIMEOUT, check=False)
            except subprocess.TimeoutExpired:
                return "hangs"
            if done.returncode == 2:
                raise CannotJudge(done.stdout)
            if done.returncode == 0:
                return None
            told = re.search(r"^(?:FAILED|INTERNAL ERROR).*\n(.*)\n *expected: (.*)\n *happened: (.*)", done.stdout,
                             re.MULTILINE)
            return f"expected {told[2]}, happened {told[3]}"[:150] if told else f"status {done.returncode}"

        for begin in range(1, stories + 1, jobs):
            seeds = range(begin, min(begin + jobs, stories + 1))
            for seed, reason in zip(seeds, pool.map(play, seeds)):
                if reason:
                    return seed, reason
    return None


class Tree:
    """A copy of the sources with a build of its own; one bug at a time is in it."""

    def __init__(self, top, jobs):
        self.top, self.jobs = top, jobs
        for name in COPIED:
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, top / name, dirs_exist_ok=True)
            else:
                shutil.copy2(ROOT / name, top / name)
        run(["cmake", "--preset", "release", "-DVTDSIM_TESTS=OFF"], cwd=top)

    def build(self):
        run(["nice", "ninja", "-C", "build/release", f"-j{self.jobs}", "vtdsim"], cwd=self.top)
        return self.top / "build/release/sim/vtdsim"

    def with_bug(self, bug, stories):
        path = self.top / bug.file
        before = path.read_text()
        try:
            change(self.top, bug)
            return first_caught(self.build(), stories, self.jobs)
        finally:
            path.write_text(before)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program")
    parser.add_argument("--only", default="", metavar="TEXT", help="only bugs with TEXT in their names")
    parser.add_argument("--stories", type=int, default=100, help="that a bug may survive")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--build", type=pathlib.Path, help="keep the changed tree here, to build less the next time")
    options = parser.parse_args()
    needed, survivors = [], []

    def tell(name, caught):
        if caught:
            needed.append(caught[0])
        else:
            survivors.append(name)
        print(f"{name} -> {f'caught by story {caught[0]} ({caught[1]})' if caught else 'SURVIVES'}", flush=True)

    program = pathlib.Path(options.program).resolve()
    if failure := first_caught(program, options.stories, options.jobs):
        raise CannotJudge(f"story {failure[0]} fails without a bug: {failure[1]}")
    for name in DEVIATIONS:
        if options.only in f"firmware: {name}":
            tell(f"firmware: {name}",
                 first_caught(program, options.stories, options.jobs, "--inject", f"firmware.{name}=1"))
    bugs = [bug for bug in BUGS if options.only in bug.name]
    if bugs:
        with tempfile.TemporaryDirectory(prefix="vtd-planted-") as top:
            tree = Tree(options.build or pathlib.Path(top), options.jobs)
            for bug in bugs:
                try:
                    tell(bug.name, tree.with_bug(bug, options.stories))
                except CannotJudge as reason:
                    survivors.append(bug.name)
                    print(f"{bug.name} -> CANNOT JUDGE: {reason}", flush=True)
    if needed:
        print(f"{len(needed)} of {len(needed) + len(survivors)} bugs caught, after a median of "
              f"{statistics.median(needed):g} stories")
    return 1 if survivors else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except CannotJudge as reason:
        print(f"cannot judge: {reason}", file=sys.stderr)
        sys.exit(2)
