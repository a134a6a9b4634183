# SPDX-License-Identifier: MIT
"""Plays a suite of scenarios, some at a time, and says of each whether it went as expected.

{suites}

  sim/regress --suite catalogue --walkers rtl,model --cpus iss,native --seeds 1-3    every combination
  sim/regress --suite random --seeds 200                                             seeds 1 to 200
  sim/regress --suite random --failed         again what failed last time, with the options of then; results are merged
  sim/regress --suite random --resume         goes on with a suite that was killed or stopped; what has a result stays
  sim/regress --suite nightly --engine slurm --jobs 64    a job array; --out is a directory that all nodes see.
                                              Partition, time and so on: SBATCH_PARTITION=..., as sbatch takes them

Results go to out/regress/SUITE: summary.html, junit.xml, results.json, coverage.md if the program counts it, a file a
run in results/, and in output/ the output and report of every run that failed. Exit status: 0 all as expected, 1 some
not, or some not played, 2 wrong input.
"""
import argparse
import os
import pathlib
import re
import subprocess
import sys
import time

from . import engine_local, engine_slurm
from .player import ROOT, Player
from .progress import Progress, duration
from .results import Results, counts, history, write_coverage, write_history, write_results
from .suites import CPUS, SUITES, WALKERS
from .summary import rerun, trend, write_summary

ENGINES = {"local": engine_local.play, "slurm": engine_slurm.play}
BUILT = str(ROOT / "build/release/sim/vtdsim")
# Of the plan; the others may be chosen anew when it is resumed.
ASKED = ["suite", "only", "walkers", "cpus", "seeds", "arguments", "simulator"]


class Parser(argparse.ArgumentParser):
    def error(self, message):
        """In one line."""
        self.exit(2, f"{self.prog}: {message}; see --help\n")


def some_of(known):
    def parse(text):
        for name in text.split(","):
            if name not in known:
                raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(known)}")
        return text.split(",")
    return parse


def seeds(text):
    """20: 1 to 20; 5-9; 7,12-14."""
    if not re.fullmatch(r"[1-9]\d*(-[1-9]\d*)?(,[1-9]\d*(-[1-9]\d*)?)*", text):
        raise argparse.ArgumentTypeError(f"{text!r} is neither a count nor a list as 1-20 or 3,7,10-12")
    if text.isdigit():
        return list(range(1, int(text) + 1))
    parts = [part.split("-") for part in text.split(",")]
    some = list(dict.fromkeys(seed for part in parts for seed in range(int(part[0]), int(part[-1]) + 1)))
    if not some:
        raise argparse.ArgumentTypeError(f"{text!r} has no seed in it")
    return some


def parser_of():
    abouts = "\n".join(f"  {name:<12} " + suite.about.replace("\n", "\n" + " " * 15) for name, suite in SUITES.items())
    parser = Parser(prog="sim/regress", description=__doc__.format(suites=abouts),
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--suite", choices=SUITES, default="catalogue", help="catalogue by default")
    parser.add_argument("--walkers", type=some_of(WALKERS), default=[], metavar="A,B", help=", ".join(WALKERS))
    parser.add_argument("--cpus", type=some_of(CPUS), default=[], metavar="A,B", help=", ".join(CPUS))
    parser.add_argument("--seeds", type=seeds, default=[], metavar="N|A-B", help="a count, or a list: 3,7,10-12")
    parser.add_argument("--only", default="", metavar="PATTERN", help="only runs whose line matches this")
    parser.add_argument("--engine", choices=ENGINES, default="local", help="this machine, or a job array of Slurm")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="so many at a time")
    parser.add_argument("--stop-first", action="store_true", help="end at the first run that fails; go on by default")
    again = parser.add_mutually_exclusive_group()
    again.add_argument("--failed", action="store_true", help="play again what failed last time, or was not played")
    again.add_argument("--resume", action="store_true", help="play what has no result yet")
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "out/regress", metavar="DIR", help="for results")
    parser.add_argument("--simulator", metavar="FILE", help="an existing vtdsim; built by default")
    parser.add_argument("--worker", type=pathlib.Path, metavar="DIR", help=argparse.SUPPRESS)  # a task of engine_slurm
    parser.add_argument("arguments", nargs="*", help="options for every run, behind --: -- --verify trusting")
    return parser


def enumerate_runs(plan, player):
    """(runs, lines that say what is left out)"""
    runs, left_out = [], {}
    for run in SUITES[plan["suite"]].runs(plan, player):
        if isinstance(run, str):
            left_out[run] = True
        elif re.search(plan["only"], run.name):
            runs.append(run)
    return runs, list(left_out)


def work(directory):
    """A task of a job array."""
    results = Results(directory)
    plan = results.plan
    player = Player(plan["simulator"], plan["arguments"], directory)
    engine_slurm.work(results, enumerate_runs(plan, player)[0], player)
    return 0


def plan_of(options, results, parser):
    """What to play: as asked, or as asked when it was started."""
    plan = {key: getattr(options, key) for key in ASKED}
    if options.resume or options.failed:
        earlier = results.plan
        if not earlier:
            parser.error(f"nothing to go on with in {results.directory}")
        plan = {**earlier, "simulator": options.simulator or earlier["simulator"]}
    if options.simulator is None and plan["simulator"] in (None, BUILT):
        subprocess.run([ROOT / "sim/run", "--build"], check=True)
        plan["simulator"] = BUILT
    plan["simulator"] = str(pathlib.Path(plan["simulator"]).resolve())
    if not os.access(plan["simulator"], os.X_OK):
        parser.error(f"there is no program {plan['simulator']}")
    if not options.resume:  # a plan of its own in the history
        plan["id"], plan["time"] = f"{time.time_ns()}", time.strftime("%Y-%m-%d %H:%M:%S")
    return plan


def check(options, parser):
    if not SUITES[options.suite].varies and (options.walkers or options.cpus or options.seeds):
        parser.error(f"{options.suite} has no walkers, CPUs or seeds to go over; options of every run go behind --")
    if options.jobs < 1:
        parser.error("--jobs takes 1 or more")
    try:
        re.compile(options.only)
    except re.error as error:
        parser.error(f"--only {options.only!r}: {error}")
    if options.engine == "slurm" and engine_slurm.absent():
        parser.error(f"no {', '.join(engine_slurm.absent())} here: apt-get install slurm-wlm munge")


def play(options, results, runs, player):
    """Plays what has no result yet; what is stopped by hand can be resumed."""
    todo = [run for run in runs if not results.read(run.name)]
    before = {result["run"]: result["seconds"] for result in results.of([run.name for run in runs], "previous")}
    if not todo:
        return
    progress = Progress([run.name for run in todo], len(runs) - len(todo), before, options.jobs)
    played = ENGINES[options.engine](results, todo, player, options.jobs)
    try:
        for result in played:
            progress.show(result)
            if options.stop_first and not result["good"]:
                break
    except KeyboardInterrupt:
        pass
    finally:
        played.close()
        progress.close()


def report(plan, results, runs, player, seconds):
    """Writes what came of the suite, says it, and gives the exit status."""
    directory, names = results.directory, [run.name for run in runs]
    found, previous = results.of(names), results.of(names, "previous")
    missing = [name for name in names if not results.read(name)]
    stories, good = counts(found)
    failed = [result for result in found if not result["good"]]
    write_results(directory, plan["suite"], found, missing)
    if not missing:
        write_history(directory, {"id": plan["id"], "time": plan["time"], "runs": len(found),
                                  "good": len(found) - len(failed),
                                  "seconds": round(sum(result["seconds"] for result in found), 1)})
    points = player.ask("story", "--coverage-model").split("\n") if player.knows("story") else []
    points = list(filter(None, points))
    coverage = write_coverage(directory, found, points) if points else ""
    if finish := SUITES[plan["suite"]].finish:
        finish(directory, found)
    write_summary(directory, plan, found, missing, previous, history(directory), coverage)

    for result in failed:
        print(f"  {result['run']}: {result['note']}\n    rerun: {rerun(result)}")
    if coverage:
        print(f"coverage: {coverage[:-1]}; {os.path.relpath(directory / 'coverage.md')}")
    if change := trend(previous, found):
        print(f"against the suite before: {change}")
    if missing:
        print(f"{len(missing)} runs have no result: sim/regress --suite {plan['suite']} --resume")
    print(f"{good} of {stories} as expected, {len(found)} runs in {duration(seconds)}; "
          f"{os.path.relpath(directory / 'summary.html')}")
    return 1 if failed or missing else 0


def main():
    parser = parser_of()
    options = parser.parse_args()
    if options.worker:
        return work(options.worker)
    check(options, parser)
    results = Results(options.out.resolve() / options.suite)
    if not results.lock():
        parser.error(f"another regress plays in {results.directory}")
    engine_slurm.end_leftover(results.directory)
    plan = plan_of(options, results, parser)
    player = Player(plan["simulator"], plan["arguments"], results.directory)
    runs, plan["left_out"] = enumerate_runs(plan, player)
    if not runs:
        parser.error(f"no run matches {plan['only']!r}" if plan["only"] else "; ".join(plan["left_out"]) or "no run")
    print(*plan["left_out"], sep="\n", end="\n" * bool(plan["left_out"]))
    if options.failed:
        results.forget_failed()
    elif not options.resume:
        results.start()
    results.save_plan(plan)
    begin = time.monotonic()
    play(options, results, runs, player)
    return report(plan, results, runs, player, time.monotonic() - begin)
