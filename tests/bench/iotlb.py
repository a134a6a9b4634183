#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Hit rate of the IOTLB over its size, for an NVMe run of Linux: one recording with lazy invalidation, one with strict,
replayed with every size. The replays also check that the guest sees the same whatever the size.

  iotlb.py SIMULATOR DIRECTORY LAZY.rec STRICT.rec     writes iotlb.json, iotlb.md and iotlb.svg there
"""
import concurrent.futures
import json
import math
import os
import pathlib
import subprocess
import sys

SIZES = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 4096]
PACE = ("\nRecordings are made at pace settled: the controller has one command under way, and the requests of two commands "
        "never compete for the IOTLB. An IOTLB has four ways, one of 1 or 2 entries as many as entries.\n")
COLOURS = {"lazy": "#2166ac", "strict": "#b2182b"}


def measure(simulator, out, mode, recording, size):
    directory = out / "iotlb" / f"{mode}_{size}"
    done = subprocess.run([simulator, "replay", recording, "--walker", "model", "--iotlb", str(size), "--out", directory],
                          text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode != 0:
        raise RuntimeError(f"{recording} with {size} entries: exit status {done.returncode}\n{done.stdout}")
    unit = json.loads((directory / "report.json").read_text())["unit"]
    iotlb = unit["caches"]["iotlb"]
    return {"mode": mode, "entries": size, "lookups": iotlb["hits"] + iotlb["misses"],
            "hit_rate": iotlb["hits"] / (iotlb["hits"] + iotlb["misses"]), "walks": unit["walks"],
            "walk_reads": unit["walk_reads"], "evictions": iotlb["evictions"], "invalidated": iotlb["invalidated"],
            "invalidations": unit["invalidations"]}


def table(rows):
    text = ("| mode | entries | lookups | hits | walks | entries read | evicted | invalidated | invalidations |\n"
            "|---|" + "---:|" * 8 + "\n")
    for r in rows:
        text += (f"| {r['mode']} | {r['entries']} | {r['lookups']} | {100 * r['hit_rate']:.2f} % | {r['walks']} | "
                 f"{r['walk_reads']} | {r['evictions']} | {r['invalidated']} | {r['invalidations']} |\n")
    return text


def plot(rows):
    width, height, left, top = 640, 340, 60, 30
    inner_w, inner_h = width - left - 80, height - top - 60
    last = math.log2(SIZES[-1])
    low = math.floor(10 * min(r["hit_rate"] for r in rows)) / 10

    def x(entries):
        return left + inner_w * math.log2(entries) / last

    def y(rate):
        return top + inner_h * (1 - rate) / (1 - low or 1)

    svg = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" '
           f'font-size="11"><rect width="{width}" height="{height}" fill="white"/>'
           f'<text x="{left}" y="18" font-size="13">IOTLB hit rate of an NVMe run of Linux</text>']
    for entries in SIZES:
        svg.append(f'<line x1="{x(entries):.1f}" y1="{top}" x2="{x(entries):.1f}" y2="{top + inner_h}" stroke="#ddd"/>'
                   f'<text x="{x(entries):.1f}" y="{top + inner_h + 15}" text-anchor="middle">{entries}</text>')
    for step in range(11):
        rate = low + (1 - low) * step / 10
        svg.append(f'<line x1="{left}" y1="{y(rate):.1f}" x2="{left + inner_w}" y2="{y(rate):.1f}" stroke="#ddd"/>'
                   f'<text x="{left - 5}" y="{y(rate) + 4:.1f}" text-anchor="end">{100 * rate:.0f} %</text>')
    for mode, colour in COLOURS.items():
        line = [r for r in rows if r["mode"] == mode]
        points = " ".join(f"{x(r['entries']):.1f},{y(r['hit_rate']):.1f}" for r in line)
        svg.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.6"/>'
                   f'<text x="{x(SIZES[-1]) + 6:.1f}" y="{y(line[-1]["hit_rate"]) + (4 if mode == "lazy" else 16):.1f}" '
                   f'fill="{colour}">{mode}</text>')
    svg.append(f'<text x="{left + inner_w / 2}" y="{height - 12}" text-anchor="middle">entries, 4 ways (1 and 2 entries: as many ways)</text></svg>')
    return "\n".join(svg) + "\n"


def main():
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    simulator, out = sys.argv[1], pathlib.Path(sys.argv[2])
    recordings = {"lazy": sys.argv[3], "strict": sys.argv[4]}
    out.mkdir(parents=True, exist_ok=True)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        futures = [pool.submit(measure, simulator, out, mode, recordings[mode], size) for mode in COLOURS for size in SIZES]
        rows = [f.result() for f in futures]
    (out / "iotlb.json").write_text(json.dumps(rows, indent=1) + "\n")
    text = table(rows) + PACE
    (out / "iotlb.md").write_text(text)
    (out / "iotlb.svg").write_text(plot(rows))
    print(text)
    print(f"{out}/iotlb.md, .svg and .json written")


if __name__ == "__main__":
    main()
