#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Coverage of the RTL from Verilator's merged data: shares by kind, then what was never reached.

usage: rtl_coverage.py MERGED.dat

Exit status 1 if a line or a branch was not reached; toggles are listed by signal, with the number of bits.
"""
import collections
import re
import sys


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    total, reached, missed = collections.Counter(), collections.Counter(), collections.defaultdict(list)
    with open(sys.argv[1], errors="replace") as data:
        for row in data:
            match = re.match(r"C '(.*)' (\d+)$", row.rstrip("\n"))
            if not match:
                continue
            field = dict(item.split("\x02", 1) for item in match[1].split("\x01") if "\x02" in item)
            kind = field["page"].split("/")[0].removeprefix("v_")
            total[kind] += 1
            if int(match[2]) > 0:
                reached[kind] += 1
            else:
                missed[kind].append((field["f"].split("/")[-1], field["l"], re.sub(r"\[.*", "", field.get("o", ""))))
    for kind in sorted(total):
        print(f"rtl {kind}: {100 * reached[kind] / total[kind]:.1f}% ({reached[kind]} out of {total[kind]})")
    for kind in ("line", "branch"):
        for file, line, what in missed[kind]:
            print(f"not reached: {file}:{line} {kind} {what}")
    bits = collections.Counter((file, what) for file, _, what in missed["toggle"])
    for (file, what), count in bits.most_common():
        print(f"not toggled: {file} {what}, {count} bits")
    sys.exit(1 if missed["line"] or missed["branch"] else 0)


if __name__ == "__main__":
    main()
