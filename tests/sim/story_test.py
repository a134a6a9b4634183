#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Random stories are legal, pass and are stable; what they cover has a name.

Usage: story_test.py VTDSIM [--seeds N] [--cpu CPU]
"""
import argparse
import concurrent.futures
import json
import pathlib
import subprocess
import sys
import tempfile


def output(*command):
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


def judge(program, seed, cpu, work, model):
    """What is wrong with the story of a seed; None: nothing."""
    text = output(program, "story", "--seed", str(seed))
    if text != output(program, "story", "--seed", str(seed)):
        return "the same seed tells another story"
    story = work / f"story_{seed}.yaml"
    story.write_text(text)
    for command in (["lint", story], ["run", story, "--quiet", "--coverage", "--cpu", cpu, "--out", work / str(seed)]):
        done = subprocess.run([program, *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              errors="replace", check=False)
        if done.returncode != 0:
            return f"{command[0]}: status {done.returncode}\n{done.stdout}"
    unknown = set(json.loads((work / str(seed) / "report.json").read_text())["coverage"]) - model
    return f"points that the model lacks: {sorted(unknown)}" if unknown else None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--cpu", default="iss")
    options = parser.parse_args()
    names = output(options.program, "story", "--coverage-model").splitlines()
    failures = 0 if len(set(names)) == len(names) else 1
    with tempfile.TemporaryDirectory() as top, concurrent.futures.ThreadPoolExecutor(2) as pool:
        work = pathlib.Path(top)
        seeds = range(1, options.seeds + 1)
        results = pool.map(lambda seed: judge(options.program, seed, options.cpu, work, set(names)), seeds)
        for seed, wrong in zip(seeds, results):
            if wrong:
                failures += 1
                print(f"story {seed}: {wrong}")
    print(f"{options.seeds} stories, {failures} failures, {len(names)} points of coverage")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
