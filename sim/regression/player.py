# SPDX-License-Identifier: MIT
"""Plays one scenario with the program."""
import functools
import hashlib
import json
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
from typing import NamedTuple

ROOT = pathlib.Path(__file__).resolve().parents[2]
KEPT = 0  # vtdsim: everything as expected
OTHERWISE = (1, 3)  # vtdsim: an expectation was not met; the story does not come to its end
ENDED = [-signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT]
# The program does not outlive the one who waits for it, even if that is killed.
TOGETHER = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []


class Interrupted(Exception):
    """Somebody ended the program: that says nothing of the run."""


class Played(NamedTuple):
    status: int
    output: str
    report: dict | None

    @property
    def kept(self):
        return self.status == KEPT

    @property
    def reason(self):
        lines = [line.strip() for line in self.output.splitlines() if line.strip()]
        facts = [line for line in lines if re.match(r"(expected|happened|at \d|.*\.yaml:\d)", line)]
        return "; ".join(facts[:3]) or (lines[-1] if lines else "no output")


class Outcome(NamedTuple):
    good: bool
    note: str = ""
    rerun: str = ""  # arguments of sim/run
    output: str = ""
    coverage: dict = {}
    data: dict = {}  # what the suite needs for a table of its own


def slug(text):
    return re.sub(r"[^A-Za-z0-9_=]+", "_", text.replace("sim/scenarios/", "").replace(str(ROOT), ""))


def shown(path):
    """As it is given to sim/run, which works in the root."""
    path = pathlib.Path(path).resolve()
    return str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path)


class Player:
    def __init__(self, simulator, arguments, directory):
        self.simulator, self.arguments, self.directory = simulator, arguments, directory
        self.playing = directory / "playing"
        self.playing.mkdir(parents=True, exist_ok=True)
        self.version = hashlib.sha1(pathlib.Path(simulator).read_bytes()).hexdigest()[:12]

    def ask(self, *arguments):
        """What the program prints."""
        done = subprocess.run([*TOGETHER, self.simulator, *arguments], cwd=ROOT, text=True, errors="replace",
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if done.returncode in ENDED:
            raise Interrupted
        return done.stdout

    def knows(self, command):
        return re.search(rf"^ +{command}\b", self.ask("--help"), re.MULTILINE) is not None

    @functools.cached_property
    def counting(self):
        """The option that makes a run count functional coverage, if the program has any."""
        return ["--coverage"] if self.knows("story") else []

    def simulate(self, arguments, keep=True):
        """Plays a scenario. With `keep`, the output and report of one that does not end as expected stay."""
        arguments = [*arguments, *self.arguments]
        out = pathlib.Path(tempfile.mkdtemp(dir=self.playing))
        try:
            done = subprocess.run([*TOGETHER, self.simulator, "run", *arguments, "--out", str(out), *self.counting],
                                  cwd=ROOT, text=True, errors="replace", stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            if done.returncode in ENDED:
                raise Interrupted
            report = out / "report.json"
            report = json.loads(report.read_text()) if report.exists() else None
            if keep and done.returncode != KEPT:
                (out / "output.txt").write_text(done.stdout)
                shutil.copytree(out, self.directory / "output" / slug(" ".join(arguments)), dirs_exist_ok=True)
        finally:
            shutil.rmtree(out, ignore_errors=True)
        return Played(done.returncode, done.stdout, report)

    def play(self, arguments):
        """A scenario that should end as it declares."""
        played = self.simulate(arguments)
        return Outcome(played.kept, "" if played.kept else played.reason, " ".join([*arguments, *self.arguments]),
                       "" if played.kept else played.output, (played.report or {}).get("coverage", {}))
