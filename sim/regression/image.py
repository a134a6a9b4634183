# SPDX-License-Identifier: MIT
"""Wrong values in the handover image, and what came of them."""
import collections
import functools
import re
import zlib

from .player import KEPT, Outcome

# What can come of a changed image. Under checking only the first four may: anything else is a change that does harm, or
# could do harm, and that nobody reports.
OUTCOMES = {
    "kept": "everything as expected: the value was that already, or means nothing",
    "refused": "the image is refused, the field named, no unit written to",
    "elsewhere": "the image is refused, another field named, no unit written to",
    "error": "userspace is told: a later command fails",
    "touched": "refused when a unit had been written to",
    "died": "the incoming firmware stops with an error, or crashes",
    "leak": "the isolation monitor reports",
    "lost": "DMA that should go through does not",
    "differs": "it goes on with something that is not what was preserved",
    "stuck": "no end in time",
}
GOOD = ("kept", "refused", "elsewhere", "error")
VALUES = ["0", "1", "ones", "neighbour", "random:1", "outside", "unpreserved", "in_use", "flip:{a}", "flip:{b}"]


def outcome_of(status, report, place):
    """(outcome, detail) of a run with the field `place` changed; None if the image has no such record."""
    if status == KEPT:
        return "kept", ""
    if report is None or status == 4:
        raise RuntimeError(f"the simulator itself failed with status {status}")
    if status == 3:
        return "stuck", ""
    if report["violations"]:
        return "leak", ", ".join(sorted({violation["hazard"] for violation in report["violations"]}))
    first = report["failures"][0]
    if first["happened"].startswith("FATAL"):
        text = first["happened"].replace("FATAL: ", "").replace("FATAL ", "")
        if " image: " not in text:
            return "died", text
        if report["live_update"]["unit_writes"] > 0:
            return "touched", text
        return ("refused" if re.search(rf"\b{re.escape(place)}\b", text) else "elsewhere"), text
    step = first["where"].rsplit(" ", 1)[-1]
    if step in ("dma", "repeat_dma") or any(stream["total"]["faults"] for stream in report["streams"]):
        return "lost", first["happened"]
    if re.fullmatch(r"E[A-Z]+", first["happened"]) and first["expected"] == "OK":
        return "error", f"{step}: {first['happened']}"
    return "differs", f"{step}: {first['happened']}"


def image(player):
    """(name, play) for every field of the image, in stories that use everything the image says."""
    fields = re.findall(r"^ *(\w+)\.(\w+): byte", player.ask("explain", "image"), re.MULTILINE)

    def play(name, base, policy, place):
        bits = zlib.crc32(name.encode())
        outcomes = {}
        for word in VALUES:
            value = word.format(a=bits % 64, b=bits // 64 % 64)
            arguments = [f"sim/scenarios/{base}.yaml", "--inject", f"image.{place}={value}", "--verify", policy]
            played = player.simulate(arguments, keep=False)
            if "the handover image has no" in played.output:
                return None
            result = outcome_of(played.status, played.report, place)
            outcomes[value.split(":")[0] if value.startswith("random") else value] = (*result, " ".join(arguments))
        bad = {value: o for value, o in outcomes.items() if policy == "checking" and o[0] not in GOOD}
        return Outcome(not bad, " ".join(f"{value}:{o[0]}" for value, o in outcomes.items()),
                       next(iter(bad.values()))[2] if bad else "", str(bad) if bad else "",
                       data={value: o[:2] for value, o in outcomes.items()})

    for base in ("image_legacy", "image_scalable"):
        for policy in ("checking", "trusting"):
            for number in (0, 1):
                for record, field in fields:
                    place = f"{record}[{number}].{field}"
                    name = f"{base} {policy} {place}"
                    yield name, functools.partial(play, name, base, policy, place)


def write_table(directory, results):
    lines = ["What came of changing one field of the handover image, by policy.", ""]
    lines += [f"- **{name}**: {text}" for name, text in OUTCOMES.items()]
    cells = {tuple(result["run"].split()): result["data"] for result in results if result["data"]}
    for base, policy in sorted({key[:2] for key in cells}):
        rows = {field: outcomes for (b, p, field), outcomes in cells.items() if (b, p) == (base, policy)}
        counts = collections.Counter(o[0] for outcomes in rows.values() for o in outcomes.values())
        words = [re.sub(":.*", "", word) for word in VALUES[:-2]] + ["a bit", "another"]
        lines += ["", f"## {base}, {policy}: {sum(counts.values())} changes", "",
                  ", ".join(f"{counts[name]} {name}" for name in OUTCOMES if counts[name]), "",
                  "| field | " + " | ".join(words) + " |", "|---" * (len(words) + 1) + "|"]
        for field, outcomes in rows.items():
            texts = [f"{o[0]}{' (' + o[1] + ')' if o[0] == 'leak' else ''}" for o in outcomes.values()]
            lines.append(f"| {field} | " + " | ".join(texts) + " |")
    (directory / "table.md").write_text("\n".join(lines) + "\n")
