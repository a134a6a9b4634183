#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Breaks the walkers one check at a time and demands that the walker tests notice.

Each mutant is a copy of tlm/, rtl/, tests/walker/ and tests/support/ with one text replaced, either in the RTL or
in the rules in C++. Only what the change reaches is built again, with verilator and g++ and no cmake; everything
else is linked from one build of the unchanged tree. Prints `mutant -> caught by <first failing test>`.

Exit status: 0 every mutant is caught, 1 a mutant survives, 2 the tests could not be judged (the unchanged tree
fails, a text to replace is not there exactly once, a mutant does not build).
"""
import argparse
import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
from typing import NamedTuple

ROOT = pathlib.Path(__file__).resolve().parents[2]
COPIED = ["tlm", "rtl", "tests/walker", "tests/support"]
WALKS = 16
TEST_TIMEOUT = 120  # seconds; a mutant that hangs is caught

RTL_SOURCES = ["lint.vlt", "gen/vtd_pkg.sv", "vtd_entry_address.sv", "vtd_entry_check.sv", "vtd_round_robin.sv",
               "vtd_walker.sv"]
MODEL_SOURCES = ["tlm/core/entry_rules.cpp", "tlm/core/paging_walk.cpp", "tlm/core/reference_walker.cpp", "tlm/unit/lockstep_walker.cpp",
                 "tlm/unit/rtl_walker.cpp", "tlm/unit/wave_file.cpp", "tests/walker/walker_bench.cpp"]
VERILATED_SOURCES = ["verilated.cpp", "verilated_fst_c.cpp", "verilated_threads.cpp"]
# Executables: what cmake calls them, and their own sources.
TESTS = {"conformance": ["conformance_test.cpp", "rules_test.cpp", "traffic_test.cpp"], "lockstep": ["lockstep_test.cpp"]}
LIBRARIES = ["-lgtest_main", "-lgmock", "-lgtest", "-lfmt", "-lz", "-pthread"]


class Mutant(NamedTuple):
    name: str
    file: str
    old: str
    new: str


CHECK = "rtl/vtd_entry_check.sv"
WALKER = "rtl/vtd_walker.sv"
TURN = "rtl/vtd_round_robin.sv"
RULES = "tlm/core/entry_rules.cpp"
WALK = "tlm/core/paging_walk.cpp"

MUTANTS = [
    # ---- RTL: one entry
    Mutant("rtl: an entry with only W is not present", CHECK,
           "entry_i[vtd_pkg::SS_R] || entry_i[vtd_pkg::SS_W];", "entry_i[vtd_pkg::SS_R];"),
    Mutant("rtl: PS counts at level 1", CHECK,
           "(level_i != 3'd1) && entry_i[vtd_pkg::SS_PS]", "entry_i[vtd_pkg::SS_PS]"),
    Mutant("rtl: 1G pages without the capability", CHECK,
           "(level_i == 3'd3 && superpage_1g_i)", "(level_i == 3'd3)"),
    Mutant("rtl: HAW off by one", CHECK,
           "(entry_i[vtd_pkg::SS_ADDR_HI:0] >> haw_i) != '0", "(entry_i[vtd_pkg::SS_ADDR_HI:0] >> haw_i) > 52'd1"),
    Mutant("rtl: bit 20 of a 2M leaf is not reserved", CHECK, "entry_i[20:12] != '0", "entry_i[19:12] != '0"),
    Mutant("rtl: SNP without SC", CHECK,
           "(entry_i[vtd_pkg::SS_SNP] && !snoop_control_i) ||", "1'b0 ||"),
    Mutant("rtl: TM in a non-leaf", CHECK,
           "attributes = entry_i[vtd_pkg::SS_SNP] || entry_i[vtd_pkg::SS_TM];",
           "attributes = entry_i[vtd_pkg::SS_SNP];"),
    Mutant("rtl: W is not accumulated", CHECK,
           "path_w_i && entry_i[vtd_pkg::SS_W]", "entry_i[vtd_pkg::SS_W]"),
    Mutant("rtl: R is not accumulated", CHECK,
           "path_r_i && entry_i[vtd_pkg::SS_R]", "entry_i[vtd_pkg::SS_R]"),
    Mutant("rtl: an atomic needs no R", CHECK, "allowed = path_r_o && path_w_o;", "allowed = path_w_o;"),
    Mutant("rtl: zero-length reads by W without ZLR", CHECK,
           "is_zero_length && zero_length_read_i", "is_zero_length"),
    Mutant("rtl: reserved bits of entries that are not present", CHECK, "if (!present) begin",
           "if (!present && !reserved) begin"),
    Mutant("rtl: reserved bits are not checked", CHECK, "end else if (reserved) begin", "end else if (1'b0) begin"),
    Mutant("rtl: a failed read passes", CHECK, "if (error_i) begin", "if (1'b0) begin"),
    # ---- RTL: the slots
    Mutant("rtl: width of four levels is 49", WALKER, "req_iova_i[63:48] != '0", "req_iova_i[63:49] != '0"),
    Mutant("rtl: a root beyond HAW is read", WALKER, "(req_root_i >> haw_i) != '0", "1'b0"),
    Mutant("rtl: quiescent while a result is shown", WALKER,
           "quiescent_o = (reading | finished) == '0", "quiescent_o = reading == '0"),
    Mutant("rtl: accepts when full", WALKER, "req_ready_o = (reading | waiting | finished) != '1",
           "req_ready_o = 1'b1"),
    Mutant("rtl: a read counts as taken although memory is not ready", WALKER,
           "mem_taken = mem_req_valid_o && mem_req_ready_i", "mem_taken = mem_req_valid_o"),
    Mutant("rtl: a result counts as taken although nobody is ready", WALKER,
           "rsp_taken = rsp_valid_o && rsp_ready_i", "rsp_taken = rsp_valid_o"),
    # ---- RTL: turns
    Mutant("rtl: a shown choice is not held", TURN, "held_q    <= !take_i;", "held_q    <= 1'b0;"),
    Mutant("rtl: the turn never moves", TURN, "if (take_i) turn_q <=", "if (1'b0) turn_q <="),
    # ---- C++: the rules
    Mutant("c++: an entry with only W is not present", RULES, "if (!r && !w) return", "if (!r) return"),
    Mutant("c++: PS counts at level 1", RULES, "const bool page_size = level > 1 && leaf;", "const bool page_size = leaf;"),
    Mutant("c++: 2M pages without the capability", RULES, "(level == 2 && config.superpage_2m)", "(level == 2)"),
    Mutant("c++: HAW off by one", RULES, "bit_range(ss::kADDR.hi, config.host_address_width)",
           "bit_range(ss::kADDR.hi, config.host_address_width + 1)"),
    Mutant("c++: bit 20 (29) of a super-page is not reserved", RULES, "bit_range(level_shift(level) - 1, kPageShift)",
           "bit_range(level_shift(level) - 2, kPageShift)"),
    Mutant("c++: SNP in a non-leaf", RULES, "return mask | ss::kSNP.mask() | ss::kTM.mask();",
           "return mask | ss::kTM.mask();"),
    Mutant("c++: TM without DT", RULES, "if (!config.device_tlb) mask |= ss::kTM.mask();", ""),
    Mutant("c++: W is not accumulated", RULES, "path_writable && w,", "w,"),
    Mutant("c++: R is not accumulated", RULES, "rights_fault(access, path_readable && r,", "rights_fault(access, r,"),
    Mutant("c++: a zero-length read never goes by W", RULES, "zero_length_read && writable) return", "false) return"),
    Mutant("c++: an atomic needs no W", RULES, "if (writes(access) && !writable)",
           "if (access == Access::kWrite && !writable)"),
    Mutant("c++: a failed read passes", WALK, "if (error) return end_with(FaultReason::kPagingEntryAccess);",
           "static_cast<void>(error);"),
    Mutant("c++: width off by one", WALK, "legacy() ? width_of_levels(request_.levels) : second_width()",
           "legacy() ? width_of_levels(request_.levels) + 1 : second_width()"),
]


class CannotJudge(Exception):
    """The run says nothing about the tests."""


def run(command, **more):
    """Runs a build step."""
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          check=False, **more)
    if done.returncode != 0:
        raise CannotJudge(f"{' '.join(map(str, command))}\n{done.stdout}")
    return done.stdout


def copy_tree(source, to):
    for name in COPIED:
        shutil.copytree(source / name, to / name)


def replace_once(tree, mutant):
    path = tree / mutant.file
    text = path.read_text()
    if text.count(mutant.old) != 1:
        raise CannotJudge(f"{mutant.name}: {mutant.old!r} is {text.count(mutant.old)} times in {mutant.file}, "
                          "must be there once")
    path.write_text(text.replace(mutant.old, mutant.new))


class Builder:
    """Builds the two test programs; keeps the objects of the unchanged tree for the mutants."""

    def __init__(self, top):
        self.top = top
        self.include = pathlib.Path(run(["verilator", "--getenv", "VERILATOR_ROOT"]).strip()) / "include"
        self.compiler = (["ccache"] if shutil.which("ccache") else []) + [os.environ.get("CXX", "g++")]
        self.shared = {}

    def compile(self, tree, source, to):
        """One object of `source`, with the headers of `tree`."""
        run([*self.compiler, "-std=c++20", "-O1", "-w", "-c", source, "-o", to, "-DVL_TIME_CONTEXT", "-DVM_TRACE=1",
             "-DVM_TRACE_FST=1", "-DVM_COVERAGE=0", "-DVM_SC=0", f"-DVTD_RTL_WALKS={WALKS}", f"-I{tree}",
             f"-I{tree / 'verilated'}", "-isystem", self.include, "-isystem", self.include / "vltstd"], cwd=tree)
        return to

    def verilate(self, tree):
        """The generated sources; as in rtl/CMakeLists.txt, but warnings are what mutants are made of."""
        run(["verilator", "--cc", "--prefix", "Vvtd_walker", "--top-module", "vtd_walker", "--Mdir",
             tree / "verilated", "--trace-fst", "-O3", "--assert", "--x-assign", "unique", "--x-initial", "unique",
             f"-GN={WALKS}", "-Wno-fatal", *(tree / "rtl" / name for name in RTL_SOURCES)], cwd=tree)
        return sorted((tree / "verilated").glob("*.cpp"))

    def model(self, tree):
        """The verilated model as an archive; what is in it has no other name outside."""
        objects = [self.compile(tree, source, source.with_suffix(".o")) for source in self.verilate(tree)]
        run(["ar", "rcs", tree / "rtl.a", *objects])
        return tree / "rtl.a"

    def build_shared(self, pool):
        tree = self.top / "unchanged"
        copy_tree(ROOT, tree)  # once: all mutants are of the same tree, whatever is edited meanwhile
        self.shared["rtl"] = self.model(tree)
        sources = {name: tree / name for name in MODEL_SOURCES}
        sources |= {name: self.include / name for name in VERILATED_SOURCES}
        sources |= {name: tree / "tests/walker" / name for names in TESTS.values() for name in names}
        objects = {name: pool.submit(self.compile, tree, path, tree / (path.name + ".o"))
                   for name, path in sources.items()}
        self.shared |= {name: future.result() for name, future in objects.items()}
        return tree

    def link(self, tree, test, changed):
        objects = self.shared | changed
        program = tree / f"{test}_program"
        run([*self.compiler[-1:], "-o", program, *(objects[name] for name in TESTS[test]),
             *(objects[name] for name in MODEL_SOURCES), objects["rtl"], *(objects[name] for name in VERILATED_SOURCES),
             *LIBRARIES])
        return program

    def rebuild(self, tree, file):
        """The objects that a change of `file` reaches."""
        if not file.endswith(".sv"):
            return {file: self.compile(tree, tree / file, tree / "changed.o")}
        changed = {"rtl": self.model(tree)}
        interface = "verilated/Vvtd_walker.h"
        if (tree / interface).read_text() != (self.top / "unchanged" / interface).read_text():
            changed["tlm/unit/rtl_walker.cpp"] = self.compile(tree, tree / "tlm/unit/rtl_walker.cpp",
                                                              tree / "changed.o")
        return changed


def first_failure(program):
    """The first test of `program` that fails; None if all pass. A crash or a hang is the failure of its test."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("VTDSIM_", "GTEST_"))}
    try:
        done = subprocess.run([program, "--gtest_fail_fast", "--gtest_color=no"], stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, text=True, errors="replace", timeout=TEST_TIMEOUT,
                              env=environment, check=False)
        output, code = done.stdout, done.returncode
    except subprocess.TimeoutExpired as expired:
        output, code = (expired.stdout or b"").decode(errors="replace"), "hangs"
    if code == 0:
        # A program that ran nothing proves nothing.
        if not re.search(r"^\[  PASSED  \] [1-9]\d* tests?\.", output, re.MULTILINE):
            raise CannotJudge(f"{program} ran no tests")
        return None
    failed = re.search(r"^\[  FAILED  \] (\S+?)(,| |$)", output, re.MULTILINE)
    if failed:
        return failed.group(1)
    started = re.findall(r"^\[ RUN      \] (\S+)", output, re.MULTILINE)
    return f"{started[-1] if started else program.name} ({code if code == 'hangs' else f'exit {code}'})"


def judge(builder, number, mutant):
    """The tests that catch `mutant`, first failing test of each program."""
    tree = builder.top / f"mutant{number}"
    copy_tree(builder.top / "unchanged", tree)
    replace_once(tree, mutant)
    changed = builder.rebuild(tree, mutant.file)
    caught = []
    for test in TESTS:
        failure = first_failure(builder.link(tree, test, changed))
        if failure:
            caught.append(failure)
    shutil.rmtree(tree)
    return caught


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--only", default="", metavar="TEXT", help="only mutants with TEXT in their names")
    options = parser.parse_args()
    mutants = [mutant for mutant in MUTANTS if options.only in mutant.name]
    if not mutants:
        parser.error(f"no mutant is named like {options.only!r}")
    began = time.monotonic()
    survivors, broken = [], []
    with tempfile.TemporaryDirectory(prefix="vtd-mutants-") as top, \
            concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        builder = Builder(pathlib.Path(top))
        unchanged = builder.build_shared(pool)
        for test in TESTS:
            failure = first_failure(builder.link(unchanged, test, {}))
            if failure:
                raise CannotJudge(f"the unchanged tree fails {failure}")
        print(f"unchanged: all tests pass ({time.monotonic() - began:.0f} s)", flush=True)
        futures = [pool.submit(judge, builder, number, mutant) for number, mutant in enumerate(mutants)]
        for mutant, future in zip(mutants, futures):
            try:
                caught = future.result()
            except CannotJudge as reason:
                broken.append(mutant.name)
                print(f"{mutant.name} -> CANNOT JUDGE: {reason}", flush=True)
                continue
            if not caught:
                survivors.append(mutant.name)
            print(f"{mutant.name} -> {'caught by ' + ', '.join(caught) if caught else 'SURVIVES'}", flush=True)
    print(f"{len(mutants) - len(survivors) - len(broken)} of {len(mutants)} mutants caught "
          f"({time.monotonic() - began:.0f} s)")
    if survivors:
        return 1
    return 2 if broken else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except CannotJudge as reason:
        print(f"cannot judge: {reason}", file=sys.stderr)
        sys.exit(2)
