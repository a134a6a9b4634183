#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""sim/regress with a program that only pretends: suites, trend, merging, and what is left when somebody is killed.

  regress_test.py               all of it
  regress_test.py slurm VTDSIM [-- OPTIONS]  a part of the catalogue on a one-node cluster gives the result file of a
                                local run, also when workers and the regress are killed; status 77 without Slurm
"""
import collections
import contextlib
import json
import os
import pathlib
import pty
import re
import signal
import subprocess
import sys
import tempfile
import time
import unittest
import xml.etree.ElementTree as xml

ROOT = pathlib.Path(__file__).resolve().parents[2]
CLUSTER = ROOT / "tests/sim/slurm_cluster.sh"
# Logs each play to plays. Plays that match the pattern in the file fails do not end well; those that match the one in
# the file dies are killed, once; of those in the file orphaned, the parent is.
PRETENDER = r"""#!/bin/sh
cd "$(dirname "$0")"
command=$1
case "$*" in
  --help) echo '  run    play'; [ ! -f no_story ] && echo '  story  make one up' ;;
  "story --coverage-model") printf 'mode legacy\nmode scalable\nfault 5\n' ;;
  story*) echo "seed: $3" ;;
  "explain places") echo 'firmware.skip_one=1'; echo 'firmware.keep_two=1' ;;
  run*)
    out=${*##*--out }
    out=${out%% *}
    arguments=${*%% --out*}
    told() { pattern=$(cat "$1" 2> /dev/null) && [ -n "$pattern" ] && echo "$arguments" | grep -qEe "$pattern"; }
    if told dies; then rm dies; kill -9 $$; fi
    if told orphaned; then rm orphaned; kill -9 $PPID; sleep 9; fi
    sleep "$(cat nap 2> /dev/null || echo 0)"
    mkdir -p "$out"
    echo '{"coverage": {"mode legacy": 2, "fault 5": 0}}' > "$out/report.json"
    echo "$arguments" >> plays
    if told fails; then
      printf 'playing\nexpected: 3 <walks>\nhappened: 4\n'; exit 1
    fi ;;
esac
"""


class Regress:
    """A directory with a program and what sim/regress makes of it."""
    def __init__(self, directory, simulator=None):
        self.directory = pathlib.Path(directory)
        self.simulator = simulator or self.directory / "vtdsim"
        if not simulator:
            self.simulator.write_text(PRETENDER)
            self.simulator.chmod(0o755)

    def tell(self, name, text):
        (self.directory / name).write_text(text)

    def start(self, *arguments, output=subprocess.PIPE):
        return subprocess.Popen([ROOT / "sim/regress", "--simulator", self.simulator, "--out", self.directory / "out",
                                 *arguments], text=True, stdout=output, stderr=subprocess.STDOUT)

    def run(self, *arguments):
        """(exit status, output)"""
        process = self.start(*arguments)
        output = process.communicate(timeout=200)[0]
        return process.returncode, output

    def read(self, suite, name="results.json"):
        return (self.directory / "out" / suite / name).read_text()

    def results(self, suite):
        return sorted((self.directory / "out" / suite / "results").glob("*.json"))

    def plays(self):
        """How often each was played."""
        path = self.directory / "plays"
        return collections.Counter(path.read_text().splitlines() if path.exists() else [])

    def kill_at(self, suite, number, *arguments):
        """Kills the whole regress when so many have been played; the results that there are."""
        process = self.start("--suite", suite, *arguments)
        deadline = time.monotonic() + 60
        while sum(self.plays().values()) < number and time.monotonic() < deadline:
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()
        return self.results(suite)


class WithPretender(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.regress = Regress(temporary.name)

    def run_and_expect(self, status, *arguments):
        got, output = self.regress.run(*arguments)
        self.assertEqual(got, status, output)
        return output

    def test_every_combination_is_played_once(self):
        output = self.run_and_expect(0, "--suite", "smoke", "--walkers", "rtl,model", "--cpus", "native,iss", "--seeds",
                                     "3,7-8")
        self.assertIn("12 of 12 as expected, 144 runs", output)
        plays = self.regress.plays()
        self.assertEqual((len(plays), max(plays.values())), (144, 1))
        for option in ("--walker model", "--cpu native", "--seed 8"):
            self.assertTrue(any(option in play for play in plays), option)

    def test_wrong_input_is_one_line_and_status_2(self):
        for arguments in (["--suite", "no"], ["--walkers", "fast"], ["--seeds", "0"], ["--seeds", "5-3"],
                          ["--only", "("], ["--only", "xyzzy"], ["--resume"], ["--jobs", "0"],
                          ["--suite", "image", "--cpus", "iss"]):
            output = self.run_and_expect(2, *arguments)
            self.assertRegex(output, r"\Asim/regress: [^\n]+\n\Z")

    def test_a_failure_has_its_reason_and_the_command_that_shows_it(self):
        self.regress.tell("fails", "S31")
        output = self.run_and_expect(1, "--suite", "smoke")
        self.assertIn("S31_did_one: expected: 3 <walks>; happened: 4\n"
                      "    rerun: sim/run sim/scenarios/S31_did_one.yaml --waves", output)
        self.assertIn("11 of 12 as expected", output)
        case = xml.fromstring(self.regress.read("smoke", "junit.xml")).find("testcase[@name='S31_did_one']/failure")
        self.assertEqual(case.get("message"), "expected: 3 <walks>; happened: 4")
        page = self.regress.read("smoke", "summary.html")
        self.assertIn("3 &lt;walks&gt;", page)
        self.assertIn("sim/run sim/scenarios/S31_did_one.yaml --waves", page)
        self.assertNotRegex(page, r"(src|href)=.?(https?:)?//")
        kept = re.search(r'href="(output/[^"]+)/"', page).group(1)
        self.assertIn("happened: 4", self.regress.read("smoke", f"{kept}/output.txt"))

    def test_a_terminal_has_one_line_that_says_how_long_it_will_take(self):
        self.regress.tell("fails", "S31")
        terminal, output = pty.openpty()
        process = self.regress.start("--suite", "smoke", "--jobs", "1", output=output)
        os.close(output)
        text = ""
        with contextlib.suppress(OSError):  # a terminal ends with an error
            while part := os.read(terminal, 4096):
                text += part.decode()
        os.close(terminal)
        self.assertEqual(process.wait(), 1)
        self.assertRegex(text, r"\r\x1b\[K11 of 12, 1 failed, \d+ s, about \d+ s left  S")
        self.assertEqual(text.count("FAILED"), 1)
        self.assertNotIn("\nok ", text)

    def test_the_first_failure_stops_if_asked(self):
        self.regress.tell("fails", "S")
        self.regress.tell("nap", "0.5")  # longer than it takes to hear of the first one
        output = self.run_and_expect(1, "--suite", "smoke", "--stop-first", "--jobs", "1")
        self.assertIn("runs have no result: sim/regress --suite smoke --resume", output)
        self.assertLess(sum(self.regress.plays().values()), 4)

    def test_failed_ones_are_played_again_and_merged(self):
        self.regress.tell("fails", "S31|S4")
        self.run_and_expect(1, "--suite", "smoke")
        self.regress.tell("fails", "S4")
        output = self.run_and_expect(1, "--suite", "smoke", "--failed")
        self.assertIn("0 newly fail, 1 are fixed", output)
        self.assertIn("11 of 12 as expected, 12 runs", output)
        self.assertEqual(sorted(play.split("_")[0][-3:] for play, n in self.regress.plays().items() if n == 2),
                         ["S31", "S41"])
        self.regress.tell("fails", "S11")
        output = self.run_and_expect(1, "--suite", "smoke")
        self.assertIn("1 newly fail, 1 are fixed", output)
        history = [json.loads(line) for line in self.regress.read("smoke", "history.jsonl").splitlines()]
        self.assertEqual([entry["good"] for entry in history], [10, 11, 11])
        self.assertIn("<svg", self.regress.read("smoke", "summary.html"))

    def test_random_stories_are_kept_and_played(self):
        self.regress.tell("fails", "stories/3")
        output = self.run_and_expect(1, "--suite", "random", "--seeds", "4", "--walkers", "rtl,model")
        self.assertIn("3 of 4 as expected, 8 runs", output)
        rerun = re.search(r"story --seed 3 --walker model: .*\n    rerun: sim/run (\S+) --walker model --waves", output)
        self.assertEqual(pathlib.Path(ROOT / rerun.group(1)).read_text(), "seed: 3\n")

    def test_coverage_is_added_up_and_holes_listed(self):
        output = self.run_and_expect(0, "--suite", "random", "--seeds", "4")
        self.assertIn("coverage: 1 of 3 points covered", output)
        coverage = json.loads(self.regress.read("random", "coverage.json"))
        self.assertEqual(coverage, {"points": {"mode legacy": 8, "mode scalable": 0, "fault 5": 0},
                                    "holes": ["mode scalable", "fault 5"], "unknown": []})

    def test_without_a_story_command_random_says_so(self):
        self.regress.tell("no_story", "")
        self.assertIn("this vtdsim has no `story` command", self.run_and_expect(2, "--suite", "random"))

    def test_a_planted_bug_that_no_story_tells_fails(self):
        self.regress.tell("fails", "skip_one")
        output = self.run_and_expect(1, "--suite", "deviations")
        self.assertRegex(output, r"FAILED .* keep_two: \d+ stories end as they should with it")
        self.assertIn("1 of 2 as expected", output)

    def test_killed_regress_loses_nothing_and_plays_nothing_twice(self):
        arguments = ["--seeds", "25", "--jobs", "3"]
        self.regress.tell("fails", "S64.* --seed [1-5]$")
        self.run_and_expect(1, "--suite", "smoke", *arguments)
        undisturbed = self.regress.read("smoke")
        (self.regress.directory / "plays").unlink()
        self.regress.tell("nap", "0.01")
        there = {path: path.read_text() for path in self.regress.kill_at("smoke", 40, *arguments)}
        self.assertLess(len(there), 290)
        again = self.regress.kill_at("smoke", len(there) + 40, "--resume", "--jobs", "3")
        self.assertGreater(len(again), len(there))
        self.regress.tell("nap", "0")
        output = self.run_and_expect(1, "--suite", "smoke", "--resume")
        self.assertIn("0 newly fail, 0 are fixed", output)
        self.assertEqual(self.regress.read("smoke"), undisturbed)
        self.assertEqual({path: path.read_text() for path in there}, there)
        plays = self.regress.plays()
        self.assertEqual(len(plays), 300)
        self.assertLessEqual(sum(plays.values()), 300 + 6)  # those that were under way, of three workers, twice
        self.assertEqual(len(self.regress.read("smoke", "history.jsonl").splitlines()), 2)

    def test_a_killed_worker_is_no_result(self):
        self.regress.tell("dies", "S31")
        output = self.run_and_expect(1, "--suite", "smoke")
        self.assertIn("1 runs have no result: sim/regress --suite smoke --resume", output)
        self.assertEqual(len(self.regress.results("smoke")), 11)
        self.assertIn("12 of 12 as expected", self.run_and_expect(0, "--suite", "smoke", "--resume"))
        self.assertEqual(set(self.regress.plays().values()), {1})

    def test_only_one_at_a_time_in_a_directory(self):
        self.regress.tell("nap", "4")
        first = self.regress.start("--suite", "smoke", "--only", "S0", "--jobs", "3")
        while not (self.regress.directory / "out/smoke/plan.json").exists():
            time.sleep(0.01)
        self.assertIn("another regress plays", self.run_and_expect(2, "--suite", "smoke"))
        self.assertEqual((first.wait(), first.stdout.close()), (0, None))


@contextlib.contextmanager
def cluster(directory):
    start = subprocess.run([CLUSTER, "start", directory], text=True, capture_output=True)
    if start.returncode == 77:
        print(start.stdout.strip())
        sys.exit(77)
    if start.returncode:
        sys.exit(start.stdout + start.stderr)
    os.environ["SLURM_CONF"] = f"{directory}/slurm.conf"
    try:
        yield
    finally:
        subprocess.run([CLUSTER, "stop", directory], check=True)


def slurm(simulator, *options):
    """The same result file from both engines; a killed worker and a killed regress lose nothing."""
    with tempfile.TemporaryDirectory() as directory, cluster(f"{directory}/cluster"):
        def expect(condition, text):
            if not condition:
                sys.exit(text)

        def run(regress, status, *arguments):
            got, output = regress.run(*arguments)
            print(output)
            expect(got == status, f"exit status {got}, expected {status}")
            return output

        part = ["--suite", "catalogue", "--only", "^S0[1-6]_", "--walkers", "model,rtl"]
        real = Regress(directory, simulator)
        run(real, 0, *part, *options)
        local = real.read("catalogue")
        run(real, 0, *part, "--engine", "slurm", *options)
        expect(real.read("catalogue") == local, "the result file of Slurm is not that of the local run")
        expect(len(json.loads(local)) >= 12, "too little was played")

        (pretended := pathlib.Path(directory) / "pretended").mkdir()
        regress = Regress(pretended)
        seeds = ["--seeds", "10"]
        regress.tell("fails", "S64.* --seed 5$")
        run(regress, 1, "--suite", "smoke", *seeds)
        local = regress.read("smoke")
        (pretended / "plays").unlink()
        regress.tell("nap", "0.02")
        there = {path: path.read_text() for path in regress.kill_at("smoke", 20, *seeds, "--engine", "slurm")}
        expect(len(there) < 119, "it was killed too late")
        run(regress, 1, "--suite", "smoke", "--resume", "--engine", "slurm")
        expect(regress.read("smoke") == local, "the result file after a kill is not that of the undisturbed run")
        expect({path: path.read_text() for path in there} == there, "a result was replaced")

        regress.tell("dies", "--seed 7$")
        regress.tell("orphaned", "--seed [89]$")
        run(regress, 1, "--suite", "smoke", *seeds, "--engine", "slurm")
        expect(len(regress.results("smoke")) < 119, "killed tasks and programs have results")
        run(regress, 1, "--suite", "smoke", "--resume", "--engine", "slurm")
        expect(regress.read("smoke") == local, "the result file after killed tasks is not that of the undisturbed run")
        jobs = subprocess.run(["squeue", "--noheader"], text=True, capture_output=True).stdout
        expect(not re.sub(r".* CG .*\n?", "", jobs), f"jobs are left: {jobs}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["slurm"]:
        slurm(*sys.argv[2:])
    else:
        unittest.main()
