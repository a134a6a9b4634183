# SPDX-License-Identifier: MIT
"""What there is to play. A suite follows from the plan alone, so that a worker elsewhere finds the same runs.

A run is played when its turn comes, by run.play(); that gives an Outcome, or None if there is nothing to play.
"""
import functools
import itertools
import re
from typing import Callable, NamedTuple

from .image import image, write_table
from .player import OTHERWISE, ROOT, Outcome, shown

SCENARIOS = ROOT / "sim/scenarios"
WALKERS, CPUS = ["rtl", "model", "lockstep"], ["iss", "native"]
POISONS = ["zero", "ones", "random", "plausible"]
# Whatever the memory holds that a reset takes away, these end as they declare, unless they name it themselves.
ALL_POISONS = {23, 25, 26, 27, 54, 55, 56, 57, 58, 91, 92, 99, 102}
# One of each kind: legacy, scalable, shared, cache flush, blackout, errors of the image, failing restore, crash.
SMOKE = ["S01", "S02", "S04", "S11", "S14", "S18", "S31", "S41", "S64", "S86", "S97", "S100"]
SEEDS = {"random": range(1, 101), "nightly": range(1, 1001)}  # of random stories, if none are asked for


class Run(NamedTuple):
    name: str  # one in a suite has it
    story: str  # runs of one story count once
    group: str  # row in the summary
    play: Callable


class Suite(NamedTuple):
    about: str
    runs: Callable  # (plan, player) -> runs, and lines that say what is left out
    varies: bool = True  # over walkers, CPUs and seeds
    finish: Callable | None = None  # (directory, results)


def options(**axes):
    """Every combination as options of the program; an axis without values is left to the scenario."""
    return [sum(parts, []) for parts in itertools.product(
        *([["--" + name, str(value)] for value in values] or [[]] for name, values in axes.items()))]


def numbered():
    """(number, path) of every scenario that has a number, in order."""
    matches = ((re.match(r"S(\d+)[a-z]?_", path.name), path) for path in SCENARIOS.glob("S*.yaml"))
    return sorted((int(match.group(1)), path) for match, path in matches if match)


def declared(plan, player, walkers, cpus, seeds, chosen=lambda path: True):
    """Scenarios of the catalogue, which end as they declare."""
    for number, path in filter(lambda found: chosen(found[1]), numbered()):
        text = path.read_text()
        every = number in ALL_POISONS and "poison:" not in text
        for variant in options(walker=walkers, cpu=cpus):
            if "systematic:" in text and "native" in [*variant, *plan["arguments"]]:
                yield f"left out: {path.stem} with the native CPU; its `systematic` step needs the other one"
                continue
            for extra in options(poison=POISONS if every else [], seed=seeds):
                extra = [*variant, *extra]
                yield Run(" ".join([path.stem, *extra]), f"S{number}", " ".join(["catalogue", *variant]),
                          functools.partial(player.play, [shown(path), *extra]))


def smoke(plan, player):
    return declared(plan, player, plan["walkers"], plan["cpus"], plan["seeds"],
                    lambda path: path.stem.split("_")[0] in SMOKE)


def catalogue(plan, player):
    return declared(plan, player, plan["walkers"], plan["cpus"], plan["seeds"])


def random(plan, player):
    """Stories that the program makes up, one a seed."""
    if not player.knows("story"):
        yield "left out: random stories; this vtdsim has no `story` command"
        return

    def play(seed, variant):
        path = player.directory / f"stories/{seed}.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(player.ask("story", "--seed", str(seed)))
        return player.play([shown(path), *variant])

    for seed in plan["seeds"] or SEEDS[plan["suite"]]:
        for variant in options(walker=plan["walkers"], cpu=plan["cpus"]):
            yield Run(" ".join(["story", "--seed", str(seed), *variant]), f"story {seed}",
                      " ".join(["random", *variant]), functools.partial(play, seed, variant))


def nightly(plan, player):
    yield from declared(plan, player, plan["walkers"] or WALKERS, plan["cpus"] or CPUS, [])
    yield from random(plan, player)


def deviations(plan, player):
    """Every bug that can be planted: some story must end otherwise with it."""
    names = re.findall(r"firmware\.(\w+)=1", player.ask("explain", "places"))
    matrix = player.ask("list", "--coverage")
    texts = {path: path.read_text() for path in sorted(SCENARIOS.glob("*.yaml"))}
    numbers = {path: path.stem.split("_")[0] for path in texts}

    def likely(name):
        """Those that cover its findings, those with the number of one that plants it, then those with a like name."""
        plants = {path for path, text in texts.items() if re.search(rf"firmware\.{name}\b", text)}
        covering = {scenario for line in matrix.splitlines() if re.search(rf"\b{name}\b", line)
                    for scenario in re.findall(r"\bS\d+[a-z]?\b", line)}
        beside = {re.match(r"S?\d*", numbers[path]).group() for path in plants}
        others = [path for path in texts if path not in plants]
        def rank(path):
            number = re.match(r"S?\d*", numbers[path]).group()
            alike = sum(word[:5] in path.stem for word in name.split("_") if len(word) > 3)
            return numbers[path] not in covering, number not in beside, -alike

        return sorted(others, key=rank)

    def play(name):
        stories = likely(name)
        for path in stories:
            arguments = [shown(path), "--inject", f"firmware.{name}=1"]
            played = player.simulate(arguments)
            if not played.kept:
                return Outcome(played.status in OTHERWISE, f"{path.stem}: {played.reason}",
                               " ".join([*arguments, *player.arguments]), played.output)
        return Outcome(False, f"{len(stories)} stories end as they should with it", f"S01 --inject firmware.{name}=1")

    for name in names:
        yield Run(name, name, "deviations", functools.partial(play, name))


def images(plan, player):
    for name, play in image(player):
        yield Run(name, name, " ".join(["image", *name.split()[:2]]), play)


SUITES = {
    "smoke": Suite("a dozen stories, one of each kind, in less than a minute", smoke),
    "catalogue": Suite("every story as it is declared: RTL walker, firmware on the instruction-set simulator",
                       catalogue),
    "random": Suite("stories that `vtdsim story --seed N` makes up, for seeds 1 to 100", random),
    "nightly": Suite("the catalogue over all walkers and CPUs, and 1000 random stories (--seeds are theirs)", nightly),
    "deviations": Suite("each bug that can be planted in the firmware (`vtdsim explain places`): which story ends\n"
                        "otherwise with it; those that cover the finding that it takes back go first",
                        deviations, varies=False),
    "image": Suite("each field of the handover image set to each of several wrong values, under both policies;\n"
                   "table.md says what came of it", images, varies=False, finish=write_table),
}
