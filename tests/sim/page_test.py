#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The HTML page and the Perfetto trace of a run: complete, self-contained, and drawn by a browser without an error.

Usage: page_test.py VTDSIM [--cpu CPU]
"""
import html.parser
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

CHROMIUM = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync", "--window-size=1300,2400"]
failures = []


def check(what, good):
    print("ok     " if good else "FAILED ", what, flush=True)
    if not good:
        failures.append(what)


class References(html.parser.HTMLParser):
    """What a page would fetch."""
    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attributes):
        self.found += [value for name, value in attributes if name in ("src", "href")]


def trace_is_valid(events):
    """Chrome's trace event format, as far as we use it."""
    needs = {"X": {"dur": (int, float)}, "i": {"s": str}, "C": {"args": dict}, "M": {"args": dict}}
    for e in events:
        common = {"ph": str, "name": str, "pid": int, "tid": int, "ts": (int, float)}
        for name, kind in {**common, **needs[e["ph"]]}.items():
            if not isinstance(e.get(name), kind):
                return False
        if e["ph"] == "X" and e["dur"] < 0 or e["ph"] == "i" and e["s"] not in ("g", "p", "t"):
            return False
        if e["ph"] == "C" and not all(isinstance(value, (int, float)) for value in e["args"].values()):
            return False
    return True


def written(run, report):
    """What the files say, against report.json of the same run."""
    trace = json.loads((run / "trace.json").read_text())
    events = trace["traceEvents"]
    check("the trace is in Chrome's format", trace_is_valid(events))
    by_kind = {kind: [e for e in events if e["ph"] == kind] for kind in "XiCM"}
    names = {e["name"] for e in by_kind["X"]}
    check("the trace has every phase", {p["name"] for p in report["phases"]} <= names)
    check("the trace has every phase of the live update", {p["name"] for p in report["updates"][0]["phases"]} <= names)
    check("the trace has the traffic of every device", {s["device"] for s in report["streams"]} ==
          {e["name"] for e in by_kind["C"]})

    page = (run / "report.html").read_text()
    references = References()
    references.feed(page)
    check("the page fetches nothing", not references.found and "@import" not in page and "url(" not in page)
    data = json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL).group(1))
    check("the page holds the report", data["report"] == report)
    for stream, traffic in zip(report["streams"], data["traffic"]):
        moved = stream["total"]["bytes_written"] + stream["total"]["bytes_read"]
        check(f"the slices of {stream['device']} add up", sum(s[2] for s in traffic["slices"]) == moved and
              sum(s[3] for s in traffic["slices"]) == stream["total"]["latency_sum_ns"])
    check("walks are all in the histogram", sum(data["walk_latency"]) == sum(u["walks"] for u in report["units"]))
    check("every invalidation is there", len(data["invalidations"]) == sum(u["invalidations"] for u in report["units"]))
    check("registers are in words", any("TE=0x1 (enable translation)" in line[2] for line in data["registers"]))
    check("the tables lead to pages", "level 1" in data["tables"][0]["text"] or "4K" in data["tables"][0]["text"])
    return data


def drawn(run, data, report):
    """What a browser makes of the page."""
    with tempfile.TemporaryDirectory() as profile:
        command = ["chromium", *CHROMIUM, f"--user-data-dir={profile}"]
        where = (run / "report.html").as_uri()
        done = subprocess.run([*command, "--enable-logging=stderr", "--dump-dom", where], capture_output=True, text=True,
                              timeout=120)
        dom = re.sub(r"<script.*?</script>", "", done.stdout, flags=re.DOTALL)
        check("no script failed", "Uncaught" not in done.stderr and "SyntaxError" not in done.stderr)
        check("the title is the scenario", f"<title>{report['scenario']} - vtdsim</title>" in dom)
        chart = re.search(r'<svg[^>]*id="chart".*?</svg>', dom, re.DOTALL)
        check("the timeline is drawn", chart is not None)
        chart = chart.group(0) if chart else ""
        check("each device has an area and a line", chart.count("<path") == 2 * len(data["traffic"]))
        check("phases are named", all(f"<title>{p['name']}:" in chart for p in report["phases"]))
        check("each counter of a phase is in the table", all(f"<td>{p['name']}</td>" in dom for p in report["phases"]))
        found = re.search(r'id="found"[^>]*>(\d+) of (\d+) lines', dom)
        check("the register trace is there", bool(found) and int(found.group(2)) == len(data["registers"]) > 0)

        picture = run / "page.png"
        subprocess.run([*command, f"--screenshot={picture}", where], capture_output=True, timeout=120)
        colors = subprocess.run(["identify", "-format", "%w %h %k", picture], capture_output=True, text=True).stdout.split()
        check("the picture is not empty", len(colors) == 3 and int(colors[0]) == 1300 and int(colors[2]) > 50)


def main():
    vtdsim, *options = sys.argv[1:]
    with tempfile.TemporaryDirectory() as directory:
        run = pathlib.Path(directory)
        subprocess.run([vtdsim, "run", "live_update", "--quiet", "--out", run, *options], check=True)
        report = json.loads((run / "report.json").read_text())
        data = written(run, report)
        if shutil.which("chromium"):
            drawn(run, data, report)
        else:
            print("skipped: no browser; apt-get install chromium")
            return 1 if failures else 77
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
