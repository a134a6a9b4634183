# SPDX-License-Identifier: MIT
"""Plays runs as a job array of Slurm: each task plays its share and writes a result a run, into a directory that all
nodes see. Partition, account, time limit: SBATCH_PARTITION and so on, as sbatch takes them from the environment.
"""
import json
import os
import shlex
import shutil
import subprocess
import sys
import time

from .player import ROOT
from .results import write

PROGRAMS = ("sbatch", "squeue", "scancel")
SHARE, MOST_TASKS = 8, 1000  # runs a task, so that its start counts for little; Slurm's own limit of an array
PATIENCE = 60  # seconds that squeue may give no answer


def absent():
    return [program for program in PROGRAMS if not shutil.which(program)]


def running(job):
    """Whether tasks of the job of this name run or wait; None if Slurm does not say."""
    done = subprocess.run(["squeue", "--noheader", "--name", job], text=True, capture_output=True)
    return bool(done.stdout.strip()) if done.returncode == 0 else None


def end(job):
    """Cancels, and waits until no task of it can write any more."""
    subprocess.run(["scancel", "--name", job], capture_output=True)
    deadline = time.monotonic() + PATIENCE
    while running(job) is not False:
        if time.monotonic() > deadline:
            sys.exit(f"job {job} does not end")
        time.sleep(0.5)


def end_leftover(directory):
    """The array of a regress that was killed."""
    path = directory / "job"
    if path.exists():
        if not absent():
            end(path.read_text())
        path.unlink()


def submit(results, runs, jobs):
    tasks = min(-(-len(runs) // SHARE), MOST_TASKS)
    write(results.directory / "todo.json", json.dumps([run.name for run in runs]))
    job = f"vtdsim-{results.plan['suite']}-{results.plan['id']}"
    write(results.directory / "job", job)  # before there is one, so that it is found whoever is killed
    logs = results.directory / "slurm"
    logs.mkdir(exist_ok=True)
    worker = f"exec sim/regress --worker {shlex.quote(str(results.directory))}"
    done = subprocess.run(["sbatch", f"--array=0-{tasks - 1}%{jobs}", f"--job-name={job}", f"--output={logs}/%a.txt",
                           f"--chdir={ROOT}", "--wrap", worker], text=True, capture_output=True)
    if done.returncode != 0:
        sys.exit(f"sbatch: {done.stderr.strip()}")
    return job


def play(results, runs, _, jobs):
    """Results as they come; what still runs when the caller has had enough is cancelled."""
    job = submit(results, runs, jobs)
    pending = {run.name for run in runs}
    asked = answered = time.monotonic()
    ended = False
    try:
        while pending and not ended:
            if time.monotonic() - asked > 2:
                asked, state = time.monotonic(), running(job)
                ended = state is False  # asked before looking: what it wrote last is seen below
                answered = answered if state is None else asked
                if asked - answered > PATIENCE:
                    sys.exit(f"Slurm does not say what became of job {job}")
            for name in sorted(pending):
                if result := results.read(name):
                    pending.remove(name)
                    yield result
            time.sleep(0.2)
    finally:
        if not ended:
            end_leftover(results.directory)
    (results.directory / "job").unlink(missing_ok=True)


def work(results, runs, player):
    """A task: every so-manieth of the runs to do."""
    todo = json.loads((results.directory / "todo.json").read_text())
    task, tasks = int(os.environ["SLURM_ARRAY_TASK_ID"]), int(os.environ["SLURM_ARRAY_TASK_COUNT"])
    runs = {run.name: run for run in runs}
    for name in todo[task::tasks]:
        if not results.read(name):
            results.record(runs[name], player)
