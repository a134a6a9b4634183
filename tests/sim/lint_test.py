#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Every mistake in tests/sim/bad is reported at its place, and nothing else is; good scenarios are clean.

A bad file says what must be reported, once each, in comments `# expect: LINE:COL: TEXT`.
Usage: lint_test.py VTDSIM
"""
import pathlib
import re
import subprocess
import sys


def lint(program, path):
    return subprocess.run([program, "lint", str(path)], capture_output=True, text=True, timeout=60)


def says(line, text):
    """The list of names that ends a message grows with the vocabulary; all else must be equal."""
    return line.startswith(text) if text.endswith("expected one of") else line == text


def check_bad(program, path):
    expected = re.findall(r"^# expect: (.*?) ?$", path.read_text(), re.M)
    result = lint(program, path)
    prefix = f"{path}:"
    wrong = [f"without a position: {line}" for line in result.stderr.splitlines() if not line.startswith(prefix)]
    left = [line[len(prefix):] for line in result.stderr.splitlines() if line.startswith(prefix)]
    if result.returncode != 2:
        wrong.append(f"exit status {result.returncode}, expected 2")
    for text in expected:
        found = next((line for line in left if says(line, text)), None)
        if found is None:
            wrong.append(f"not reported: {text}")
        else:
            left.remove(found)
    wrong += [f"reported, but not expected: {line}" for line in left]
    if not expected:
        wrong.append("the file expects nothing")
    return wrong


def main():
    program = sys.argv[1]
    here = pathlib.Path(__file__).parent
    failures = 0
    bad = sorted((here / "bad").glob("*.yaml"))
    good = sorted((here.parent.parent / "sim" / "scenarios").glob("*.yaml"))
    if len(bad) < 10 or len(good) < 9:
        sys.exit(f"only {len(bad)} bad and {len(good)} good scenarios found")
    for path in bad:
        for text in check_bad(program, path):
            print(f"{path.name}: {text}")
            failures += 1
    for path in good:
        result = lint(program, path)
        if result.returncode != 0 or result.stderr:
            print(f"{path.name}: status {result.returncode}: {result.stderr}")
            failures += 1
    missing = lint(program, here / "no_such_file.yaml")
    if missing.returncode != 2 or "cannot read the file" not in missing.stderr:
        print(f"a missing file: status {missing.returncode}: {missing.stderr}")
        failures += 1
    print(f"{len(bad)} bad files, {len(good)} good ones, {failures} failures")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
