#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The parts of sim/linux that need no QEMU: the archive it builds, and how it judges a console."""
import pathlib
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent.parent / "sim/guest"))
import initramfs  # noqa: E402
import judge  # noqa: E402

BOOT = "\n".join(["VTDSIM boot.remapping: PASS", "VTDSIM boot.unit: PASS version 1:0", "VTDSIM boot.group: PASS",
                  "VTDSIM boot: END"])


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


class Judge(unittest.TestCase):
    def wrong(self, test, console, status=0):
        return [what for what, _ in judge.complaints(test, console, status)]

    def test_a_good_console_has_no_complaint(self):
        self.assertEqual(self.wrong("boot", BOOT), [])

    def test_every_required_line_counts(self):
        for line in BOOT.splitlines():
            self.assertEqual(len(self.wrong("boot", BOOT.replace(line, ""))), 1, line)

    def test_forbidden_lines_are_found_with_their_place(self):
        for line in ("BUG: unable to handle", "VTDSIM x: FAIL y", "DMAR hardware is malfunctioning", "Call Trace:"):
            found = judge.complaints("boot", BOOT + "\n" + line, 0)
            self.assertEqual(len(found), 1, line)
            self.assertTrue(found[0][1].startswith("5: "), found)

    def test_a_fault_is_wrong_where_no_test_asks_for_one(self):
        fault = "[1.0] DMAR: [DMA Write NO_PASID] Request device [00:11.0] fault addr 0x1000 [fault reason 0x05] PTE"
        self.assertEqual(self.wrong("boot", BOOT + "\n" + fault), ["a DMA fault that no test asks for"])

    def test_the_trace_of_the_panic_that_was_asked_for_is_not_held_against_it(self):
        console = "sysrq: Trigger a crash\nCall Trace:\n"
        self.assertNotIn("forbidden: Call Trace:", self.wrong("crash", console))
        self.assertIn("forbidden: Call Trace:", self.wrong("crash", "Call Trace:\n" + console))

    def test_the_status_of_the_server_counts(self):
        self.assertEqual(self.wrong("boot", BOOT, 1), ["vtdsim serve ended with status 1"])


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


if __name__ == "__main__":
    unittest.main()
