#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs walker_cycles for every number of walks and makes a table (Markdown) and a plot (SVG) of what it measures.

usage: walker_cycles.py DIRECTORY_WITH_PROGRAMS OUTPUT_DIRECTORY

Counting: from the edge that accepts the first walk to the one that presents the last result, both included; L is the
number of cycles from an accepted read to its answer, 0 for the next edge. The bound is max(n, n*(L+2)/N) cycles per walk
for the n reads per walk that were measured: one read a cycle, and N walks that each wait L+2 cycles for a read.
"""
import json
import math
import pathlib
import subprocess
import sys

WALKS = [1, 4, 8, 16, 32, 64]
LATENCIES = [0, 20, 40, 100, 200]
STAGES = ["4 levels", "nested 4 on 4"]


def measure(programs):
    rows, singles = [], []
    for n in WALKS:
        done = subprocess.run([programs / f"walker_cycles_{n}"], stdout=subprocess.PIPE, text=True, check=True)
        for line in done.stdout.splitlines():
            row = json.loads(line)
            if "single" not in row:
                rows.append(row)
            elif n == 1:
                singles.append(row)
    return rows, singles


def table(rows, singles):
    out = ["# Cycles of the page walker", "",
           "Caches: 64, 16, 8 entries for levels 2, 3, 4 of each stage, 128 for guest pages that hold tables, 4 ways.",
           "65 536 pages of 4 KiB. `a (b)`: cycles per walk, and the share of the bound that is reached.", "",
           "One walk alone, caches cold; limit: n*(L+2)+3.", "",
           "| stages | L | reads | cycles | limit |", "|---|---|---|---|---|"]
    out += [f"| {s['single']} | {s['latency']} | {s['reads']} | {s['cycles']} | {s['limit']} |" for s in singles]
    for stages in STAGES:
        for caches in (True, False):
            for pages in ("sequential", "random"):
                here = [r for r in rows if (r["stages"], r["caches"], r["pages"]) == (stages, caches, pages)]
                reads = min(r["reads_per_walk"] for r in here), max(r["reads_per_walk"] for r in here)
                out += ["", f"{stages}, {pages} pages, caches {'on' if caches else 'off'} "
                            f"({reads[0]:.2f} to {reads[1]:.2f} reads per walk)", "",
                        "| N | " + " | ".join(f"L = {l}" for l in LATENCIES) + " | port busy at L = 20 |",
                        "|---|" + "---|" * (len(LATENCIES) + 1)]
                for n in WALKS:
                    line = {r["latency"]: r for r in here if r["n"] == n}
                    cells = [f"{line[l]['cycles_per_walk']:.2f} ({100 * line[l]['of_bound']:.1f} %)" for l in LATENCIES]
                    out.append(f"| {n} | " + " | ".join(cells) + f" | {100 * line[20]['port_busy']:.1f} % |")
    return "\n".join(out) + "\n"


def plot(rows):
    """Four panels, cycles per walk over N, both logarithmic; dashed: the bound."""
    width, height, margin = 430, 300, 50
    colours = {0: "#1b7837", 20: "#762a83", 40: "#2166ac", 100: "#b2182b", 200: "#4d4d4d"}
    svg = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{2 * width}" height="{2 * height + 30}" '
           'font-family="sans-serif" font-size="11">',
           f'<rect width="{2 * width}" height="{2 * height + 30}" fill="white"/>']
    for index, (stages, caches) in enumerate((s, c) for s in STAGES for c in (True, False)):
        x0, y0 = (index % 2) * width, (index // 2) * height
        here = [r for r in rows if (r["stages"], r["caches"], r["pages"]) == (stages, caches, "random")]
        low = math.floor(math.log10(min(r["bound"] for r in here)))
        high = math.ceil(math.log10(max(r["cycles_per_walk"] for r in here)))
        inner_w, inner_h = width - margin - 60, height - margin - 30

        def x(n):
            return x0 + margin + inner_w * math.log2(n) / math.log2(WALKS[-1])

        def y(cycles):
            return y0 + 30 + inner_h * (high - math.log10(cycles)) / (high - low)

        svg.append(f'<text x="{x0 + margin}" y="{y0 + 18}" font-size="13">{stages}, caches '
                   f'{"on" if caches else "off"}, random pages</text>')
        for n in WALKS:
            svg.append(f'<line x1="{x(n):.1f}" y1="{y0 + 30}" x2="{x(n):.1f}" y2="{y0 + 30 + inner_h}" stroke="#ddd"/>'
                       f'<text x="{x(n):.1f}" y="{y0 + 44 + inner_h}" text-anchor="middle">{n}</text>')
        for decade in range(low, high + 1):
            svg.append(f'<line x1="{x0 + margin}" y1="{y(10 ** decade):.1f}" x2="{x0 + margin + inner_w}" '
                       f'y2="{y(10 ** decade):.1f}" stroke="#ddd"/><text x="{x0 + margin - 5}" '
                       f'y="{y(10 ** decade) + 4:.1f}" text-anchor="end">{10 ** decade:g}</text>')
        svg.append(f'<text x="{x0 + margin + inner_w / 2}" y="{y0 + 60 + inner_h}" text-anchor="middle">walks side by '
                   f'side</text><text transform="translate({x0 + 14},{y0 + 30 + inner_h / 2}) rotate(-90)" '
                   'text-anchor="middle">cycles per walk</text>')
        for latency in LATENCIES:
            line = sorted((r["n"], r["cycles_per_walk"], r["bound"]) for r in here if r["latency"] == latency)
            for which, style in ((1, 'stroke-width="1.6"'), (2, 'stroke-width="1" stroke-dasharray="4 3"')):
                points = " ".join(f"{x(p[0]):.1f},{y(p[which]):.1f}" for p in line)
                svg.append(f'<polyline points="{points}" fill="none" stroke="{colours[latency]}" {style}/>')
            svg.append(f'<text x="{x(line[0][0]) + 6:.1f}" y="{y(line[0][1]) - 3:.1f}" fill="{colours[latency]}">'
                       f'L = {latency}</text>')
    svg.append(f'<text x="{margin}" y="{2 * height + 18}">solid: measured; dashed: the bound, max(n, n(L+2)/N) for the '
               'reads n that were measured</text></svg>')
    return "\n".join(svg) + "\n"


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    programs, out = map(pathlib.Path, sys.argv[1:])
    rows, singles = measure(programs)
    out.mkdir(parents=True, exist_ok=True)
    (out / "walker_cycles.json").write_text("\n".join(map(json.dumps, singles + rows)) + "\n")
    (out / "walker_cycles.md").write_text(table(rows, singles))
    (out / "walker_cycles.svg").write_text(plot(rows))
    print(table(rows, singles))
    print(f"{out}/walker_cycles.md, .svg and .json written")


if __name__ == "__main__":
    main()
