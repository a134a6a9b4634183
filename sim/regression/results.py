# SPDX-License-Identifier: MIT
"""Results of a suite: one small file a run, written in one step, so that whoever is killed leaves a whole result or
none; all else is made from these files.

  plan.json        what was asked for: options and runs
  results/*.json   a result a run; previous/*.json: those of the suite before
  results.json     run, good, note; no times: two engines give the same file
  junit.xml, summary.html, coverage.md, coverage.json, history.jsonl (a line a finished suite)
"""
import collections
import fcntl
import json
import os
import shutil
import time
import xml.etree.ElementTree as xml
import zlib

from .player import Interrupted, Outcome, slug

NOTHING = Outcome(True)


def write(path, text):
    """The file has the old text or the new, whoever is killed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text)
    temporary.rename(path)


def file_of(name):
    return f"{slug(name)[:80]}.{zlib.crc32(name.encode()):08x}.json"


class Results:
    def __init__(self, directory):
        self.directory = directory

    def lock(self):
        """False if another regress plays here. The lock goes with the process."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self.locked = open(self.directory / "lock", "w")
        try:
            fcntl.flock(self.locked, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        shutil.rmtree(self.directory / "playing", ignore_errors=True)
        return True

    @property
    def plan(self):
        try:
            return json.loads((self.directory / "plan.json").read_text())
        except FileNotFoundError:
            return None

    def save_plan(self, plan):
        write(self.directory / "plan.json", json.dumps(plan, indent=1) + "\n")

    def start(self):
        """An empty directory, except for what the trend needs."""
        self.keep_previous()
        (self.directory / "plan.json").unlink(missing_ok=True)  # first: from here on there is nothing to resume
        for path in self.directory.iterdir():
            if path.name not in ("previous", "history.jsonl", "lock", "playing"):
                shutil.rmtree(path) if path.is_dir() else path.unlink()

    def keep_previous(self):
        """Results of a suite that came to its end, and so is in the history, are what the next is compared with."""
        if self.plan and self.plan["id"] in (entry["id"] for entry in history(self.directory)):
            shutil.rmtree(self.directory / "previous", ignore_errors=True)
            shutil.copytree(self.directory / "results", self.directory / "previous")

    def forget_failed(self):
        self.keep_previous()
        for path in (self.directory / "results").glob("*.json"):
            if not json.loads(path.read_text())["good"]:
                path.unlink()

    def record(self, run, player):
        """Plays and writes the result; None if somebody ended it."""
        begin = time.monotonic()
        try:
            outcome = run.play()
        except Interrupted:
            return None
        except RuntimeError as error:
            outcome = Outcome(False, str(error))
        result = {"run": run.name, "story": run.story, "group": run.group, "nothing": outcome is None,
                  **(outcome or NOTHING)._asdict(), "seconds": round(time.monotonic() - begin, 3),
                  "program": player.version}
        write(self.directory / "results" / file_of(run.name), json.dumps(result) + "\n")
        return result

    def read(self, name, where="results"):
        try:
            return json.loads((self.directory / where / file_of(name)).read_text())
        except FileNotFoundError:
            return None

    def of(self, names, where="results"):
        """Results of these runs, in their order, of those that have one; without those that had nothing to play."""
        found = (self.read(name, where) for name in names)
        return [result for result in found if result and not result["nothing"]]


def counts(results):
    """(stories, those of them with every run good)"""
    stories = {result["story"] for result in results}
    return len(stories), len(stories - {result["story"] for result in results if not result["good"]})


def write_results(directory, suite, results, missing):
    write_junit(directory / "junit.xml", suite, results, missing)
    write(directory / "results.json", json.dumps(
        [{"run": r["run"], "good": r["good"], "note": r["note"]} for r in results], indent=1) + "\n")


def write_junit(path, suite, results, missing):
    failed = sum(not result["good"] for result in results)
    top = xml.Element("testsuite", name=suite, tests=str(len(results) + len(missing)), failures=str(failed), errors="0",
                      skipped=str(len(missing)), time=f"{sum(result['seconds'] for result in results):.3f}")
    for result in results:
        case = xml.SubElement(top, "testcase", classname=suite, name=result["run"], time=f"{result['seconds']:.3f}")
        if not result["good"]:
            xml.SubElement(case, "failure", message=result["note"]).text = printable(result["output"])
    for name in missing:
        xml.SubElement(xml.SubElement(top, "testcase", classname=suite, name=name), "skipped", message="not played")
    write(path, xml.tostring(top, encoding="unicode", xml_declaration=True))


def printable(text):
    """What XML can hold."""
    return "".join(c for c in text if c.isprintable() or c in "\n\t")


def history(directory):
    """A dictionary for each suite that came to its end, oldest first."""
    path = directory / "history.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def write_history(directory, entry):
    """Adds what came of a suite; what came of the same one before it was resumed counts no more."""
    entries = [earlier for earlier in history(directory) if earlier["id"] != entry["id"]] + [entry]
    write(directory / "history.jsonl", "".join(json.dumps(one) + "\n" for one in entries))


def write_coverage(directory, results, points):
    """How often the runs came by each point; the points that the program names are what there is to come by."""
    hits = collections.Counter()
    for result in results:
        hits.update(result["coverage"])
    holes = [point for point in points if not hits[point]]
    strangers = sorted(set(hits) - set(points))
    write(directory / "coverage.json", json.dumps(
        {"points": {point: hits[point] for point in points}, "holes": holes, "unknown": strangers}, indent=1) + "\n")
    lines = [f"{len(points) - len(holes)} of {len(points)} points covered by {len(results)} runs.", "",
             "## Holes", "", *([f"- {hole}" for hole in holes] or ["None."])]
    if strangers:
        lines += ["", "## Counted, but not in the model", "", *(f"- {point}: {hits[point]}" for point in strangers)]
    lines += ["", "## Points", "", "| point | times |", "|---|---|"]
    lines += [f"| {point} | {hits[point]} |" for point in points]
    write(directory / "coverage.md", "\n".join(lines) + "\n")
    return lines[0]
