#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Live updates against pages, domains and devices: cycles of each phase, exact.

  blackout.py SIMULATOR DIRECTORY     writes blackout.json, blackout.md and blackout.svg there

Every point is one run with the RTL walker and the firmware on the instruction-set simulator, in simulated cycles of 1 ns.
"""
import concurrent.futures
import json
import math
import os
import pathlib
import subprocess
import sys

PAGE = 4096
MIB = 1 << 20
IOVA = 0x1_0000_0000
PHASES = ["preserve", "freeze", "clean", "place", "boot", "adopt", "restore"]
COLOURS = ["#1b7837", "#4d4d4d", "#762a83", "#999999", "#e08214", "#b2182b", "#2166ac"]
SWEEPS = {
    "pages, leaves of 4 KiB": [(pages, 1, 1, "4K") for pages in (1, 16, 256, 4096, 65536, 262144)],
    "pages, leaves of 2 MiB": [(pages, 1, 1, "2M") for pages in (512, 4096, 65536, 262144)],
    "domains, each with a device": [(256, n, n, "4K") for n in (1, 2, 4, 8, 16, 32)],
    "devices of one domain": [(256, 1, n, "4K") for n in (1, 2, 4, 8, 16, 32, 64)],
}


def story(pages, domains, devices, leaf):
    """The scenario: `domains` domains that map `pages` pages of guest memory between them, `devices` devices."""
    each = pages // domains * PAGE
    guest = max(pages * PAGE, PAGE)
    memory = max(128, -(-(guest // MIB + 64 + 1) // 128) * 128)
    sids = [f"{n // 31 + 1:02x}:{n % 31 + 1:02x}.0" for n in range(devices)]
    lines = [f"name: blackout_{pages}_{domains}_{devices}_{leaf}", "about: one point of sim/bench blackout", "covers: [P05]",
             f"platform: {{walker: rtl, cpu: iss, memory: {memory}M, boot_delay: 100 us, cpu_quantum: 20 us, "
             "limit: 900000 ms}", "endpoints:"]
    for n, sid in enumerate(sids):
        stream = f", pattern: random, outstanding: 2, interval: 2 us, windows: [{{iova: {IOVA:#x}, size: {min(each, MIB)}}}]"
        lines.append(f'  - {{name: D{n}, source: "{sid}"{stream if n == 0 else ""}}}')
    lines += ["steps:", f"  - memory: {{name: guest, size: {guest}}}"]
    for d in range(domains):
        lines += [f"  - domain: {{name: A{d}}}",
                  f"  - map: {{domain: A{d}, iova: {IOVA:#x}, memory: guest, offset: {d * each}, size: {each}, leaf: {leaf}}}"]
    for n in range(devices):
        lines += [f"  - attach: {{device: D{n}, domain: A{n % domains}}}", f"  - claim: {{device: D{n}, owner: 1}}"]
    lines += ["  - start: D0", "  - open_session: 1", "  - preserve_memory: {session: 1, token: 1, memory: guest}"]
    lines += [f"  - mark_domain: {{domain: A{d}, token: {d + 1}}}" for d in range(domains)]
    lines += ["  - preserve_iommufd: {session: 1, token: 2}"]
    lines += [f"  - preserve_device: {{session: 1, token: {100 + n}, device: D{n}}}" for n in range(devices)]
    lines += ["  - live_update", "  - take_over: {session: 1, owner: 1}", "  - finish: 1", "  - stop: D0",
              "expect: {resets: 1}"]
    return "\n".join(lines) + "\n"


def measure(simulator, out, point):
    path = out / ("blackout_" + "_".join(map(str, point)) + ".yaml")
    path.write_text(story(*point))
    results = path.with_suffix("")
    done = subprocess.run([simulator, "run", path, "--out", results, "--quiet"], text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT)
    if done.returncode != 0:
        raise RuntimeError(f"{path}: exit status {done.returncode}\n{done.stdout}")
    update = json.loads((results / "report.json").read_text())["updates"][0]
    row = {"pages": point[0], "domains": point[1], "devices": point[2], "leaf": point[3],
           "preserved": update["preserved_pages"], "first_invalidation": update["first_invalidation_ns"]}
    for phase in update["phases"]:
        row[phase["name"]] = phase["end_ns"] - phase["begin_ns"]
        row[phase["name"] + "_invalidations"] = phase["invalidations"]
        row[phase["name"] + "_latency"] = round(phase["latency_sum_ns"] / phase["dma"]) if phase["dma"] else None
        row[phase["name"] + "_latency_max"] = phase["latency_max_ns"]
    return row


def table(sweeps):
    text = "Cycles (1 ns) of the phases of a live update; RTL walker, firmware on the instruction-set simulator.\n"
    for name, rows in sweeps.items():
        text += f"\n## {name}\n\n| pages | domains | devices | preserved | " + " | ".join(PHASES)
        text += " | reset to first invalidation | invalidations | DMA latency, avg/max |\n" + "|---:" * (len(PHASES) + 7) + "|\n"
        for row in rows:
            invalidations = sum(row[p + "_invalidations"] for p in PHASES)
            averages = [row[p + "_latency"] for p in PHASES if row[p + "_latency"] is not None]
            latency = f"{max(averages)}/{max(row[p + '_latency_max'] for p in PHASES)}" if averages else "-"
            text += f"| {row['pages']} | {row['domains']} | {row['devices']} | {row['preserved']} | "
            text += " | ".join(str(row[p]) for p in PHASES)
            text += f" | {row['first_invalidation']} | {invalidations} | {latency} |\n"
    return text


def plot(sweeps):
    """A panel for each sweep, cycles over what grows, both logarithmic."""
    width, height, margin = 430, 320, 55
    total = (2 * width, 2 * height + 30)
    svg = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{total[0]}" height="{total[1]}" font-family="sans-serif" '
           f'font-size="11"><rect width="{total[0]}" height="{total[1]}" fill="white"/>']
    for index, (name, rows) in enumerate(sweeps.items()):
        what = next(key for key in ("pages", "domains", "devices") if key in name)
        x0, y0 = index % 2 * width, index // 2 * height
        inner_w, inner_h = width - margin - 70, height - margin - 30
        first, last = math.log2(rows[0][what]), math.log2(rows[-1][what])
        low, high = 3, math.ceil(math.log10(max(row[p] for row in rows for p in PHASES)))

        def x(n):
            return x0 + margin + inner_w * (math.log2(n) - first) / (last - first)

        def y(cycles):
            return y0 + 30 + inner_h * (high - math.log10(max(cycles, 10 ** low))) / (high - low)

        svg.append(f'<text x="{x0 + margin}" y="{y0 + 18}" font-size="13">{name}</text>')
        for row in rows:
            n = row[what]
            svg.append(f'<line x1="{x(n):.1f}" y1="{y0 + 30}" x2="{x(n):.1f}" y2="{y0 + 30 + inner_h}" stroke="#ddd"/>'
                       f'<text x="{x(n):.1f}" y="{y0 + 44 + inner_h}" text-anchor="middle">{n}</text>')
        for decade in range(low, high + 1):
            at = y(10 ** decade)
            svg.append(f'<line x1="{x0 + margin}" y1="{at:.1f}" x2="{x0 + margin + inner_w}" y2="{at:.1f}" stroke="#ddd"/>'
                       f'<text x="{x0 + margin - 5}" y="{at + 4:.1f}" text-anchor="end">1e{decade}</text>')
        labels = []
        for phase, colour in zip(PHASES, COLOURS):
            points = " ".join(f"{x(row[what]):.1f},{y(row[phase]):.1f}" for row in rows)
            svg.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.6"/>')
            labels.append((y(rows[-1][phase]), phase, colour))
        at = -math.inf
        for wanted, phase, colour in sorted(labels):
            at = max(at + 11, wanted)  # labels do not overlap
            svg.append(f'<text x="{x0 + margin + inner_w + 6}" y="{at + 4:.1f}" fill="{colour}">{phase}</text>')
    svg.append(f'<text x="{margin}" y="{total[1] - 12}">cycles of each phase, over what grows; both axes logarithmic</text></svg>')
    return "\n".join(svg) + "\n"


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    simulator, out = sys.argv[1], pathlib.Path(sys.argv[2])
    out.mkdir(parents=True, exist_ok=True)
    stories = out / "blackout"
    stories.mkdir(exist_ok=True)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        points = {point for rows in SWEEPS.values() for point in rows}
        # The long ones first.
        futures = {p: pool.submit(measure, simulator, stories, p) for p in sorted(points, reverse=True)}
        sweeps = {name: [futures[p].result() for p in rows] for name, rows in SWEEPS.items()}
    (out / "blackout.json").write_text(json.dumps(sweeps, indent=1) + "\n")
    (out / "blackout.md").write_text(table(sweeps))
    (out / "blackout.svg").write_text(plot(sweeps))
    print(table(sweeps))
    print(f"{out}/blackout.md, .svg and .json written")


if __name__ == "__main__":
    main()
