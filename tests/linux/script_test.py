#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The parts of sim/linux that need no QEMU: the archive it builds, and how it judges a console."""
import contextlib
import importlib.machinery
import importlib.util
import io
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest
import unittest.mock

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent.parent / "sim/guest"))
import initramfs  # noqa: E402
import judge  # noqa: E402
import kernel  # noqa: E402


def script(name):
    """A script of sim/ as a module."""
    path = pathlib.Path(__file__).resolve().parent.parent.parent / "sim" / name
    loader = importlib.machinery.SourceFileLoader(name, str(path))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(name, loader))
    loader.exec_module(module)
    return module


linux = script("linux")


def fields(data, at):
    return [int(data[at + 6 + 8 * i:at + 14 + 8 * i], 16) for i in range(13)]


class Archive(unittest.TestCase):
    def test_entries_come_back_with_their_parents(self):
        archive = initramfs.Archive()
        archive.add("a/b/file", b"12345")
        archive.directory("proc")
        data, at, found = archive.pack(), 0, {}
        while True:
            self.assertEqual(data[at:at + 6], b"070701")
            _, mode, *_ = fields(data, at)
            size, length = fields(data, at)[6], fields(data, at)[11]
            name = data[at + 110:at + 109 + length].decode()
            start = (at + 110 + length + 3) // 4 * 4
            if name == "TRAILER!!!":
                break
            found[name] = (mode, data[start:start + size])
            at = (start + size + 3) // 4 * 4
        self.assertEqual(found, {"a": (0o040755, b""), "a/b": (0o040755, b""), "a/b/file": (0o100755, b"12345"),
                                 "proc": (0o040755, b"")})

    def test_it_is_padded_so_that_another_may_follow(self):
        for size in range(9):
            archive = initramfs.Archive()
            archive.add("f", bytes(size))
            self.assertEqual(len(archive.pack()) % 4, 0)

    def test_the_same_files_are_the_same_bytes(self):
        one, two = initramfs.Archive(), initramfs.Archive()
        for name in ("x", "y", "z/q"):
            one.add(name, name.encode())
        for name in ("z/q", "y", "x"):
            two.add(name, name.encode())
        self.assertEqual(one.pack(), two.pack())

    def test_a_missing_program_says_what_to_do(self):
        with self.assertRaisesRegex(initramfs.Missing, "sim/linux --install"):
            initramfs.program("/no/such/program")


def cache(hits=9):
    return {"hits": hits, "misses": 1 if hits else 0, "fills": 1 if hits else 0}


def report(test="boot", modes=()):
    """Of a run of which the judge has nothing to complain."""
    faults = 70 if test == "vfio" else 0
    end = {"bytes_written": 80 << 20, "bytes_read": 80 << 20, "refused": faults}
    return {"capabilities": {"queued_invalidation": "no-qi" not in modes, "CAP": "d2008c", "ECAP": "f0101a"},
            "unit": {"register_refused": 0, "waits": 0 if "no-qi" in modes else 8, "invalidations": 8, "faults": faults,
                     "caches": {"context": cache(), "iotlb": cache(),
                                "pasid": cache(9 if "scalable" in modes and test != "boot" else 0),
                                "interrupt": cache(9 if test.startswith("ir") else 0)}},
            "endpoints": [{"name": "dma0", **end}, {"name": "nvme1", **end, "refused": 0}]}


def fault(access, address, reason):
    return f"[1.0] DMAR: [DMA {access} NO_PASID] Request device [00:11.0] fault addr {address:#x} [fault reason {reason:#04x}] x"


def console(test="boot", modes=()):
    """A good one: every pattern made plain."""
    lines = []
    for patterns in judge.REQUIRED[test]:
        if patterns:
            lines += ["[0.0] Linux version 6", *(pattern.replace("\\", "") for pattern in patterns)]
        if len(lines) <= len(patterns) + 1:  # the first kernel
            lines += ["CAP d2008c, ECAP f0101a"] if test == "boot" else []
            lines += [] if test.startswith("ir") else [judge.QUEUE["no-qi" not in modes]]
            lines += [judge.SAYS[mode] for mode in modes if mode in judge.SAYS]
    if test == "vfio":
        lines += [fault(access, address, other if "scalable" in modes else legacy)
                  for access, address, legacy, other in judge.REFUSED.values()]
    return "\n".join(lines)


class Judge(unittest.TestCase):
    def wrong(self, test, text, status=0, modes=(), told=None):
        return [what for what, _ in judge.complaints(test, text, status, told or report(test, modes), modes)]

    def test_a_good_run_of_every_test_and_mode_has_no_complaint(self):
        for test in judge.REQUIRED:
            self.assertEqual(self.wrong(test, console(test)), [], test)
        for modes in (["strict"], ["scalable"], ["no-qi"], ["caching-mode"], ["strict", "scalable"]):
            for test in ("boot", "vfio"):
                self.assertEqual(self.wrong(test, console(test, modes), modes=modes), [], modes)

    def test_every_required_line_counts(self):
        for test, modes in (("boot", []), ("vfio", []), ("vfio", ["scalable"]), ("vfio", ["strict"]), ("vfio", ["no-qi"]),
                            ("kexec", []), ("crash", []), ("ir_crash", [])):
            good = console(test, modes).splitlines()
            for place, line in enumerate(good):
                if "Linux version" not in line:
                    text = "\n".join(good[:place] + good[place + 1:])
                    self.assertGreaterEqual(len(self.wrong(test, text, modes=modes)), 1, line)

    def test_the_second_kernel_must_find_the_unit_itself(self):
        text = console("kexec")
        second = text.rindex("Linux version")
        for line in ("boot.remapping", "boot.unit", "boot.group", "vfio: PASS"):
            place = text.index(f"VTDSIM {line}", second)
            self.assertEqual(len(self.wrong("kexec", text[:place] + text[place + 8:])), 1, line)

    def test_each_fault_is_asked_for_by_address_and_reason(self):
        for modes in ([], ["scalable"]):
            good = console("vfio", modes)
            for what, (access, address, *reasons) in judge.REFUSED.items():
                line = fault(access, address, reasons["scalable" in modes])
                for changed in ("", line.replace(f"{address:#x}", "0x1000"), line.replace(f"DMA {access}", "DMA Other"),
                                fault(access, address, 0x86 if modes else 0x06 if reasons[0] == 0x05 else 0x05)):
                    self.assertEqual(self.wrong("vfio", good.replace(line, changed), modes=modes),
                                     [f"missing fault: {what}"])

    def test_reasons_are_those_of_the_mode(self):
        for modes, other in (([], 0x85), (["scalable"], 0x05)):
            self.assertEqual(self.wrong("vfio", console("vfio", modes) + "\n" + fault("Write", 0x1000, other), modes=modes),
                             ["a DMA fault for another reason than the test gives"])
        self.assertEqual(self.wrong("crash", console("crash") + "\n" + fault("Write", 0x1000, 0x02)), [])

    def test_forbidden_lines_are_found_with_their_place(self):
        for line in ("BUG: unable to handle", "VTDSIM x: FAIL y", "DMAR hardware is malfunctioning", "Call Trace:"):
            text = console() + "\n" + line
            found = judge.complaints("boot", text, 0, report())
            self.assertEqual(len(found), 1, line)
            self.assertTrue(found[0][1].startswith(f"{len(text.splitlines())}: "), found)

    def test_a_fault_is_wrong_where_no_test_asks_for_one(self):
        self.assertEqual(self.wrong("boot", console() + "\n" + fault("Write", 0x1000, 0x05)),
                         ["a DMA fault that no test asks for"])

    def test_the_trace_of_the_panic_that_was_asked_for_is_not_held_against_it(self):
        text = "sysrq: Trigger a crash\nCall Trace:\n"
        self.assertNotIn("forbidden: Call Trace:", self.wrong("crash", text))
        self.assertIn("forbidden: Call Trace:", self.wrong("crash", "Call Trace:\n" + text))

    def test_the_status_of_the_server_counts(self):
        self.assertEqual(self.wrong("boot", console(), 1), ["vtdsim serve ended with status 1"])

    def test_the_queue_is_judged_by_what_the_unit_can_do(self):
        told = report("boot", ["no-qi"])  # as with --profile minimal
        self.assertEqual(self.wrong("boot", console("boot", ["no-qi"]), told=told), [])
        self.assertEqual(self.wrong("boot", console(), told=told), [f"missing: {judge.QUEUE[False]}"])
        self.assertEqual(self.wrong("boot", console().replace("CAP d2008c", "CAP d2008d")), [r"missing: \bCAP d2008c\b"])


class Counters(unittest.TestCase):
    def wrong(self, test, change, modes=()):
        told = report(test, modes)
        change(told)
        return [what for what, good in judge.counters(test, told, modes, 64) if not good]

    def test_a_report_must_be_there(self):
        self.assertEqual(self.wrong("boot", lambda r: r.clear()), ["report.json of this run"])

    def test_each_counter_is_missed_alone(self):
        def of_unit(name, value):
            return lambda r: r["unit"].update({name: value})

        def of_cache(name, hits):
            return lambda r: r["unit"]["caches"].update({name: cache(hits)})

        def of_end(number, name):
            return lambda r: r["endpoints"][number].update({name: 4 << 20})

        for test, modes, change, told in (
                ("boot", [], of_unit("register_refused", 1), "access to a register"),
                ("boot", ["no-qi"], of_unit("waits", 1), "wait descriptors"),
                ("boot", [], of_unit("waits", 0), "wait descriptors"),
                ("boot", [], of_unit("invalidations", 0), "invalidations"),
                ("boot", [], of_unit("faults", 1), "no fault"),
                ("boot", ["scalable"], of_cache("pasid", 1), "PASID tables"),
                ("vfio", [], of_cache("pasid", 1), "PASID tables"),
                ("vfio", ["scalable"], of_cache("pasid", 0), "PASID tables"),
                ("vfio", [], of_cache("interrupt", 1), "messages are remapped"),
                ("ir", [], of_cache("interrupt", 0), "messages are remapped"),
                ("vfio", [], of_cache("iotlb", 0), "in the IOTLB"),
                ("vfio", [], of_unit("faults", 69), "a fault for each request"),
                ("vfio", [], of_end(0, "bytes_written"), "dma writes"), ("vfio", [], of_end(0, "bytes_read"), "dma writes"),
                ("nvme", [], of_end(1, "bytes_written"), "nvme writes"), ("ir", [], of_end(1, "bytes_read"), "nvme writes"),
                ("crash_nvme", [], of_end(1, "bytes_read"), "nvme writes")):
            found = self.wrong(test, change, modes)
            self.assertEqual(len(found), 1, (test, modes, told, found))
            self.assertIn(told, found[0])

    def test_fewer_faults_than_refused_requests_that_the_test_makes(self):
        def none(r):
            r["unit"]["faults"] = r["endpoints"][0]["refused"] = len(judge.REFUSED) - 1
        self.assertEqual(len(self.wrong("vfio", none)), 1)


class Evidence(unittest.TestCase):
    WAITS = "[ 1.0]     W IQT  20\n[ 1.1]     R FSTS      00000000  \n" + " " * 59 + "... 963948 times in all\n"

    def kinds(self, text, status=0, timed_out=False, timeline=""):
        found = judge.complaints("vfio", text, status, report("vfio"))
        return {kind for kind, _ in judge.evidence(found, text, timed_out, timeline)}

    def test_a_good_run_is_none(self):
        self.assertEqual(self.kinds(console("vfio")), set())

    def test_what_linux_says_is_told_apart(self):
        good = console("vfio")
        self.assertEqual(self.kinds(good + "\nVTDSIM vfio.remap: FAIL round 1"), {judge.DATA})
        self.assertEqual(self.kinds(good + "\n" + fault("Write", 0x1000, 0x02)), {judge.UNEXPECTED})
        fewer = good.replace("0x7f0000100000", "0x1000")
        self.assertEqual(self.kinds(fewer), set(), "its test has not ended")
        self.assertEqual(self.kinds(fewer + "\nVTDSIM vfio.read_only: PASS"), {judge.NO_FAULT})
        self.assertEqual(self.kinds(good + "\nBUG: unable to handle"), {judge.CRASH})

    def test_a_slow_run_is_none(self):
        slow = "\n".join(console("vfio").splitlines()[:3])
        self.assertEqual(self.kinds(slow, 3, True, "[ 1.0]     R GSTS\n"), set())
        self.assertEqual(self.kinds(slow, 3, True, self.WAITS + "[ 1.2]     W FSTS 2\n"), set())
        self.assertEqual(self.kinds(slow, 3, True, self.WAITS.replace("963948", "12")), set())

    def test_only_a_guest_that_waits_for_its_descriptor_is_a_time_out(self):
        self.assertEqual(self.kinds("", 3, True, self.WAITS), {judge.TIME_OUT})
        self.assertEqual(self.kinds("", 0, False, self.WAITS), set())


APT = """#!/bin/sh
# Stands in for apt: a list that is older than the archive until it is updated, or an archive that stays away.
echo "$*" >> "$PLACE/log"
case "$*" in
  depends*) echo "  Depends: linux-image-$(cat "$PLACE/version")" ;;
  update*) [ -e "$PLACE/offline" ] || echo 2 > "$PLACE/version" ;;
  download*) if [ "$(cat "$PLACE/version")" = 2 ]; then touch linux-image.deb; else
      echo "E: Failed to fetch x  404  Not Found" >&2; exit 100; fi ;;
esac
"""


class Fetch(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.place = pathlib.Path(scratch.name)
        (self.place / "version").write_text("1")
        for name, text in (("apt-get", APT), ("apt-cache", APT), ("dpkg-deb", "#!/bin/sh\n"),
                           ("sudo", '#!/bin/sh\nshift\nexec "$@"\n')):
            (self.place / name).write_text(text)
            (self.place / name).chmod(0o755)
        path = f"{self.place}:{os.environ['PATH']}"
        change = unittest.mock.patch.dict(os.environ, PLACE=str(self.place), PATH=path)
        change.start()
        self.addCleanup(change.stop)

    def count(self, word):
        return sum(line.startswith(word) for line in (self.place / "log").read_text().splitlines())

    def test_a_stale_list_is_updated_once(self):
        kernel.unpack("6.12", self.place / "kernel")
        self.assertEqual((self.count("update"), self.count("download")), (1, 2))
        self.assertEqual((self.place / "kernel/ready").read_text(), "linux-image-2\n")

    def test_what_cannot_be_fetched_names_the_command(self):
        (self.place / "offline").touch()
        with self.assertRaisesRegex(kernel.Missing, "apt-get download linux-image-1.*404.*run apt-get update"):
            kernel.unpack("6.12", self.place / "kernel")
        self.assertEqual((self.count("update"), self.count("download")), (1, 2))


class Runs(unittest.TestCase):
    """What sim/linux makes of what a run has left."""

    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.place = scratch.name

    def run_of(self, *words, text=None, told=None, **state):
        run = linux.Run(linux.arguments([*words, "--out", self.place]), words[0], "6.12")
        run.out.mkdir(exist_ok=True)
        (run.out / "report.json").write_text(json.dumps(told or report(words[0])))
        run.console, run.status = text or console(words[0]), 0
        for name, value in state.items():
            setattr(run, name, value)
        return run

    def judged(self, run):
        with contextlib.redirect_stdout(io.StringIO()) as out:
            return run.judge(), out.getvalue()

    def test_every_bug_has_its_run_and_its_notice(self):
        self.assertEqual({bug.partition(":")[0] for _, bug in linux.BUGS}, set(judge.BUGS))

    def test_a_wave_file_that_was_asked_for_must_be_there(self):
        run = self.run_of("boot", "--waves")
        self.assertEqual(self.judged(run)[0], 1)
        (run.out / "linux.fst").touch()
        self.assertEqual(self.judged(run)[0], 1)
        (run.out / "linux.fst").write_text("x")
        self.assertEqual(self.judged(run)[0], 0)

    def test_a_bug_is_noticed_by_its_own_class_only(self):
        acted = {**report("vfio"), "injected": ["ignored_permission: 1 times"]}
        inject = ("vfio", "--inject", "ignored_permission")
        lost = console("vfio").replace("0x7f0000100000", "0x1000") + "\nVTDSIM vfio.read_only: PASS"
        self.assertEqual(self.judged(self.run_of(*inject, text=lost, told=acted))[0], 0)
        self.assertIn("told by: missing fault: read_only: write", self.judged(self.run_of(*inject, text=lost, told=acted))[1])
        idle = {**acted, "injected": ["ignored_permission: 0 times"]}
        self.assertIn("NO EFFECT", self.judged(self.run_of(*inject, text=lost, told=idle))[1])
        for other in (console("vfio"), console("vfio") + "\nVTDSIM vfio.remap: FAIL"):
            state, said = self.judged(self.run_of(*inject, text=other, told=acted))
            self.assertEqual(state, 1)
            self.assertIn("NOT NOTICED", said)

    def test_a_slow_guest_has_noticed_nothing(self):
        acted = {**report("vfio"), "injected": ["lost_wait_status: 1 times"]}
        run = self.run_of("vfio", "--inject", "lost_wait_status:8", text="[0.0] Linux version 6\n", told=acted, status=3,
                          expired=True)
        self.assertEqual(self.judged(run)[0], 1)
        (run.out / "timeline.log").write_text(Evidence.WAITS)
        self.assertEqual(self.judged(run)[0], 0)


class Script(unittest.TestCase):
    def run_script(self, *words):
        script = pathlib.Path(__file__).resolve().parent.parent.parent / "sim/linux"
        return subprocess.run([script, *words], capture_output=True, text=True)

    def test_wrong_input_is_named(self):
        self.assertIn("invalid choice: 'no_such_test'", self.run_script("no_such_test").stderr)
        self.assertEqual(self.run_script("no_such_test").returncode, 2)
        self.assertEqual(self.run_script().returncode, 2)

    def test_a_simulator_without_guest_programs_is_a_skip_that_says_why(self):
        with tempfile.TemporaryDirectory() as empty:
            run = self.run_script("boot", "--simulator", empty + "/vtdsim", "--out", empty)
            self.assertEqual(run.returncode, 77, run.stdout + run.stderr)
            self.assertTrue(run.stdout.startswith("skipped: "), run.stdout)


class Nightly(unittest.TestCase):
    """Functions of sim/test, by themselves."""

    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.place = pathlib.Path(scratch.name)

    def shell(self, function, text):
        """Runs `text` after the definition of a function of sim/test."""
        source = (pathlib.Path(linux.__file__).parent / "test").read_text()
        define = re.search(rf"^{function}\(\) {{.*?^}}", source, re.M | re.S)[0]
        script = f"set -euo pipefail; cd {self.place}; say() {{ echo \"$*\"; }}\n{define}\n{text}"
        return subprocess.run(["bash", "-c", script], capture_output=True, text=True)

    def test_a_skipped_test_says_why(self):
        ctest = ("ctest() { mkdir -p build/Testing/Temporary; echo '1/1 Test #1: linux.boot ...***Skipped 0.1 sec'\n"
                 "printf 'Output:\\nskipped: not installed: x; run sim/linux --install\\n' "
                 "> build/Testing/Temporary/LastTest.log; }\n")
        done = self.shell("suite", ctest + "allowed_skips=('linux.boot  y'); suite build")
        self.assertIn("skipped: not installed: x; run sim/linux --install", done.stdout)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.shell("suite", ctest + "allowed_skips=(); suite build").returncode, 1)

    def stages(self, commit, command, clean=1):
        """Whether the stage is run, with sources of that name."""
        done = self.shell("stage", f"git() {{ echo {commit}; }}; stage= clean={clean} result=0\nstage x tlm {command}")
        self.assertEqual(done.returncode, 0, done.stderr)
        return "stage x" in done.stdout

    def test_a_stage_that_passed_is_run_again_only_for_other_sources(self):
        self.assertTrue(self.stages("one", "echo all"))
        self.assertFalse(self.stages("one", "echo all"))
        self.assertTrue(self.stages("one", "echo all", clean=0))
        self.assertTrue(self.stages("one", "echo all"), "changes that are not committed have no past")
        self.assertTrue(self.stages("two", "echo all"))

    def test_a_stage_that_failed_is_run_again_whatever_it_said_last(self):
        for _ in range(2):
            self.assertTrue(self.stages("one", "bash -c 'echo x passed 3; exit 1'"))


if __name__ == "__main__":
    unittest.main()
