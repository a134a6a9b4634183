# SPDX-License-Identifier: MIT
"""summary.html: one page with everything in it. And the comparison with the suite before."""
import collections
import html
import os
from typing import NamedTuple

from .player import slug
from .results import counts, write

STYLE = """
body { font: 14px/1.45 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; color: #1c2128 }
h1 { font-size: 1.5rem; margin: 0 } h2 { font-size: 1.1rem; margin: 2rem 0 .4rem }
table { border-collapse: collapse; width: 100% }
td, th { padding: .25rem .6rem; border-bottom: 1px solid #d8dee4; vertical-align: top }
th { text-align: left; color: #57606a; font-weight: 600 }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums }
code { font: 12px ui-monospace, monospace; background: #f3f5f7; padding: .1rem .3rem; overflow-wrap: anywhere }
.good { color: #1a7f37 } .bad { color: #cf222e } .quiet { color: #57606a } svg text { font-size: 10px; fill: #57606a }
"""
NUMBERS = ("runs", "good", "failed", "seconds", "before", "now")  # heads of their columns
EARLIER = 60  # suites in the picture


class Trend(NamedTuple):
    fails: list  # results that were good before
    fixed: list
    slower: list  # (run, seconds before, seconds now), the greatest change first
    faster: list

    def __str__(self):
        return (f"{len(self.fails)} newly fail, {len(self.fixed)} are fixed, {len(self.slower)} slower, "
                f"{len(self.faster)} faster")


def trend(previous, results):
    """None without a suite before. Slower and faster: by half and by half a second at least."""
    before = {result["run"]: result for result in previous}
    both = [(before[result["run"]], result) for result in results if result["run"] in before]
    if not both:
        return None
    changed = sorted(((new["run"], old["seconds"], new["seconds"]) for old, new in both),
                     key=lambda change: -abs(change[2] - change[1]))

    def much(less, more):
        return more > 1.5 * less and more - less > 0.5

    return Trend([new for old, new in both if old["good"] and not new["good"]],
                 [new for old, new in both if new["good"] and not old["good"]],
                 [change for change in changed if much(change[1], change[2])],
                 [change for change in changed if much(change[2], change[1])])


class Html(str):
    """Text that is HTML already."""


def row(*cells, tag="td"):
    """Numbers to the right."""
    def cell(value):
        number = isinstance(value, (int, float)) or value in NUMBERS
        text = f"{value:.1f}" if isinstance(value, float) else str(value)
        return f"<{tag}{' class=n' if number else ''}>{text if isinstance(value, Html) else html.escape(text)}</{tag}>"
    return f"<tr>{''.join(map(cell, cells))}</tr>"


def table(head, rows):
    return "\n".join(["<table>", row(*head, tag="th"), *rows, "</table>"])


def code(text):
    return Html(f"<code>{html.escape(text)}</code>")


def rerun(result):
    """The command that plays it again, with waves."""
    return f"sim/run {result['rerun']} --waves" if result["rerun"] else ""


def picture(history):
    """Runs of the suites so far, good ones below failed ones, and how long they took."""
    history = history[-EARLIER:]
    width, height = 720, 120
    step = width / EARLIER
    most, longest = max(e["runs"] for e in history) or 1, max(e["seconds"] for e in history) or 1
    bars, line = [], []
    for index, entry in enumerate(history):
        x, good = index * step, height * entry["good"] / most
        total = height * entry["runs"] / most
        tip = f"{entry['time']}: {entry['good']} of {entry['runs']} good, {entry['seconds']:.0f} s"
        parts = ((good, good, "#4ac26b"), (total, total - good, "#cf222e"))
        rectangles = (f'<rect x="{x:.1f}" y="{height - top:.1f}" width="{step - 2:.1f}" height="{size:.1f}" '
                      f'fill="{colour}"/>' for top, size, colour in parts)
        bars.append(f"<g><title>{html.escape(tip)}</title>{''.join(rectangles)}</g>")
        line.append(f"{x + step / 2 - 1:.1f},{height - height * entry['seconds'] / longest:.1f}")
    return (f'<svg viewBox="0 -14 {width + 60} {height + 30}" role="img" width="100%">{"".join(bars)}'
            f'<polyline points="{" ".join(line)}" fill="none" stroke="#0969da" stroke-width="1.5"/>'
            f'<text x="0" y="-4">{most} runs (bars: good green, failed red); {longest:.0f} s (line)</text>'
            f'<text x="0" y="{height + 13}">{history[0]["time"]} to {history[-1]["time"]}</text></svg>')


def write_summary(directory, plan, results, missing, previous, history, coverage):
    stories, good = counts(results)
    failed = [result for result in results if not result["good"]]
    state = f"{good} of {stories} as expected" + (f", {len(missing)} runs have no result" if missing else "")
    programs = collections.Counter(result["program"] for result in results)
    page = [f"<!doctype html><html lang=en><meta charset=utf-8><title>{plan['suite']}: {state}</title>",
            f"<style>{STYLE}</style>",
            f"<h1>{plan['suite']}: <span class={'bad' if failed or missing else 'good'}>{state}</span></h1>",
            f"<p class=quiet>{len(results)} runs, {sum(r['seconds'] for r in results):.0f} s of simulation, "
            f"started {plan['time']}, vtdsim {', '.join(f'{p} ({n} runs)' for p, n in programs.most_common())}; "
            f"{code(command(plan))}</p>"]
    page += [f"<p class=quiet>{html.escape(line)}</p>" for line in [*plan["left_out"], coverage] if line]

    if failed:
        page += ["<h2>Failures</h2>", table(["run", "why", "again, with waves", "output"], [
            row(r["run"], r["note"] or "?", code(rerun(r)), link(directory, r)) for r in failed])]
    if missing:
        page.append(f"<h2>Not played</h2><p>{html.escape(', '.join(missing))}</p>")

    groups = collections.defaultdict(list)
    for result in results:
        groups[result["group"]].append(result)
    page += ["<h2>Parts</h2>", table(["part", "runs", "good", "failed", "seconds"], [
        row(group, len(some), sum(r["good"] for r in some), sum(not r["good"] for r in some),
            float(sum(r["seconds"] for r in some))) for group, some in groups.items()])]

    change = trend(previous, results)
    page.append("<h2>Against the suite before</h2>")
    if change:
        page.append(f"<p>{change}.</p>")
        if change.fails:
            page.append(table(["newly fails", "why"], [row(r["run"], r["note"]) for r in change.fails]))
        if change.fixed:
            page.append(table(["fixed"], [row(r["run"]) for r in change.fixed]))
        for title, some in (("slower", change.slower), ("faster", change.faster)):
            if some:
                page.append(table([title, "before", "now"], [row(*c) for c in some[:20]]))
    else:
        page.append("<p class=quiet>There is none with these runs.</p>")
    if history:
        page += ["<h2>So far</h2>", picture(history)]
    slowest = sorted(results, key=lambda result: -result["seconds"])[:20]
    page += ["<h2>Slowest</h2>", table(["run", "seconds"], [row(r["run"], float(r["seconds"])) for r in slowest])]
    write(directory / "summary.html", "\n".join(page) + "\n</html>\n")


def command(plan):
    """As it was called."""
    seeds = plan["seeds"]
    if len(seeds) > 2 and seeds == list(range(seeds[0], seeds[-1] + 1)):
        seeds = [f"{seeds[0]}-{seeds[-1]}"]
    axes = {"walkers": plan["walkers"], "cpus": plan["cpus"], "seeds": seeds}
    options = [f"--{name} {','.join(map(str, values))}" for name, values in axes.items() if values]
    only = [f"--only '{plan['only']}'"] if plan["only"] else []
    more = ["--", *plan["arguments"]] if plan["arguments"] else []
    return " ".join(["sim/regress --suite", plan["suite"], *options, *only, *more])


def link(directory, result):
    path = os.path.join("output", slug(result["rerun"]))
    return Html(f'<a href="{html.escape(path)}/">files</a>') if (directory / path).exists() else ""
