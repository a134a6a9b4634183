#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""`vtdsim serve` and `vtdsim replay` with a stand-in for QEMU.

  serve_test.py VTDSIM work       a whole run on every walker and pace; bugs are noticed
  serve_test.py VTDSIM replay     recordings are the same again; damaged ones are refused
  serve_test.py VTDSIM teardown [CYCLES]   either side leaves, or is killed, anywhere: the other one ends too
  serve_test.py VTDSIM qemu [CYCLES]       the same with QEMU and its firmware; exit status 77 where there is none
"""
import gzip
import json
import os
import pathlib
import random
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).parent
STAND_IN = [sys.executable, str(HERE / "stand_in.py")]
failures = []


def check(what, good, more=""):
    print(("ok      " if good else "FAILED  ") + what)
    if not good:
        failures.append(what)
        print(more)


def serve(options, stand_in=("work",), timeout=120):
    return subprocess.run([vtdsim, "serve", "--endpoint", "dma", "--memory", "64", *options, "--", *STAND_IN, *stand_in],
                          capture_output=True, text=True, timeout=timeout)


def output(run):
    return run.stdout + run.stderr


def work(directory):
    for options in (["--walker", "rtl"], ["--walker", "model"], ["--walker", "lockstep"],
                    ["--walker", "lockstep", "--pace", "settled"], ["--walker", "rtl", "--waves"],
                    ["--profile", "full"], ["--iotlb", "1"]):
        run = serve([*options, "--out", directory])
        check("works: " + " ".join(options), run.returncode == 0, output(run))
    check("a wave file", (pathlib.Path(directory) / "linux.fst").stat().st_size > 1000)
    timeline = (pathlib.Path(directory) / "timeline.log").read_text()
    check("the timeline names registers and what was done",
          all(part in timeline for part in ("W GCMD", "W IQT", "done: iotlb", "fault 0x05", "R FSTS")), timeline)
    run = serve(["--unit-base", "0xfebc0000", "--out", directory])
    check("registers in the wrong place are named, with the cure",
          run.returncode == 1 and "--unit-base 0xfebe0000" in output(run), output(run))
    for bug, told in (("wrong_page:41", "time-out|copy|check|generate"), ("dropped_invalidation:2", "unmapped page"),
                      ("ignored_permission", "read-only page"), ("lost_wait_status:3", "time-out: wait status")):
        run = serve(["--inject", bug, "--out", directory])
        check(f"noticed: {bug}", run.returncode == 1 and any(part in output(run) for part in told.split("|")), output(run))
    run = serve(["--inject", "no_such_bug", "--out", directory])
    check("an unknown bug is wrong input", run.returncode == 2 and "lost_wait_status" in output(run), output(run))
    run = serve(["--set", "no_such_field=1", "--out", directory])
    check("an unknown field is wrong input", run.returncode == 2 and "no_such_field" in output(run), output(run))
    run = subprocess.run([vtdsim, "serve", "--out", directory, "--", "no-such-program"], capture_output=True, text=True)
    check("a missing program is named", run.returncode == 1 and "no-such-program" in output(run), output(run))


def replay(directory):
    def again(file, *options):
        return subprocess.run([vtdsim, "replay", file, "--out", directory, *options], capture_output=True, text=True)

    settled, wall = f"{directory}/settled.rec", f"{directory}/wall.rec"
    run = serve(["--record", settled, "--out", directory])
    check("record, settled", run.returncode == 0, output(run))
    run = serve(["--record", wall, "--pace", "wall", "--walker", "model", "--out", directory])
    check("record, wall", run.returncode == 0, output(run))
    for file, options, words in ((settled, [], "one by one"), (settled, ["--walker", "model"], "guest can see"),
                                 (settled, ["--walker", "lockstep"], "guest can see"),
                                 (settled, ["--iotlb", "2"], "guest can see"), (wall, [], "one by one"),
                                 (settled, ["--waves"], "one by one")):
        run = again(file, *options)
        check(f"the same again: {pathlib.Path(file).name} {' '.join(options)}",
              run.returncode == 0 and words in run.stdout and "PASSED" in run.stdout, output(run))
    run = again(wall, "--walker", "rtl")
    check("wall recordings need their own walker", run.returncode == 2 and "settled" in output(run), output(run))

    data = gzip.open(settled).read()
    for name, damaged, word in (("cut", data[:len(data) // 2], "ends inside event"), ("no recording", b"hello\n", "is no recording"),
                                ("other version", data.replace(b'"vtdsim_recording":2', b'"vtdsim_recording":9', 1), "version 9")):
        file = f"{directory}/damaged.rec"
        with gzip.open(file, "wb") as out:
            out.write(damaged)
        run = again(file)
        check(f"{name}: refused", run.returncode == 2 and word in output(run), output(run))
    # One bit of one value that the guest read, or of data that a device wrote: found, and named.
    for name, at, word in (
            ("a value that the guest reads", next(e.at + 16 for e in events(data) if e.kind == 2 and e.address == 0x08),
             "at 0x8"),
            ("data of 512 bytes", next(e.at + 40 + 300 for e in events(data) if e.kind == 7 and e.bytes == 512),
             "memory write (DMA), 512 bytes")):
        changed = bytearray(data)
        changed[at] ^= 1
        with gzip.open(f"{directory}/changed.rec", "wb") as out:
            out.write(bytes(changed))
        run = again(f"{directory}/changed.rec")
        check(f"one bit of {name} is found", run.returncode == 1 and "FAILED" in run.stdout and word in run.stdout, output(run))
    check("all data are there", all(e.data == e.bytes for e in events(data) if e.kind in (6, 7) and e.ok))

    moved = f"{directory}/moved.rec"
    run = serve(["--record", moved, "--unit-base", "0xfebc0000", "--out", directory], ("work", "0xfebc0000"))
    check("record, registers elsewhere", run.returncode == 0, output(run))
    machine = json.loads(gzip.open(moved).readline())["machine"]
    check("where they are is in the recording", machine["unit_base"] == 0xFEBC0000, machine)
    run = again(moved)
    check("the same again: registers elsewhere", run.returncode == 0 and "PASSED" in run.stdout, output(run))

    broken = f"{directory}/broken.rec"
    run = serve(["--record", broken, "--out", directory], ("garbage", "150"))
    check("a message that is none is named", run.returncode == 1 and "99" in run.stderr, output(run))
    run = again(broken)
    check("the same again: a run that broke", run.returncode == 0 and "PASSED" in run.stdout, output(run))


class Recorded:
    """An event of a recording, as it lies in the file."""

    def __init__(self, data, at):
        self.at = at
        _, self.address, _, self.bytes, self.data, _, self.kind, _, _, self.ok = struct.unpack_from("<QQQIIHBBBB", data, at)


def events(data):
    at = data.index(b"\n") + 1
    while at < len(data):
        event = Recorded(data, at)
        yield event
        at += 40 + event.data


def children(pid):
    try:
        return [int(word) for word in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def alive(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[0] != "Z"
    except OSError:
        return False


PATIENCE = 60  # seconds, on a machine that does other things too
# Who ends, by what, and the status of the server then.
ENDS = {"the guest leaves": (None, None, 0), "the guest is killed": ("guest", signal.SIGKILL, 1),
        "the server is terminated": ("server", signal.SIGTERM, 3),
        "the server is killed": ("server", signal.SIGKILL, -signal.SIGKILL)}


def one_end(what, command, seen):
    """Starts a server and ends one side once `seen` says so of a line that the guest has printed; what is wrong then."""
    who, how, status = ENDS[what]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    watchdog = threading.Timer(PATIENCE, process.kill)
    watchdog.start()
    lines, guests = [], []
    for line in process.stdout:
        lines.append(line)
        if not guests and seen(line):
            guests = children(process.pid)
            if how:
                os.kill(process.pid if who == "server" else guests[0], how)
    process.wait()
    slow = not watchdog.is_alive()
    watchdog.cancel()
    deadline = time.time() + PATIENCE
    while any(alive(g) for g in guests) and time.time() < deadline:
        time.sleep(0.01)
    left = [g for g in guests if alive(g)]
    for g in left:
        os.kill(g, signal.SIGKILL)
    text = "".join(lines)
    wrong = {"the server does not end": slow, "the guest never came so far": not guests and how,
             "the guest is left behind": left, "the guest broke": "Traceback" in text,
             f"the server ended with status {process.returncode}, expected {status}": process.returncode != status}
    return "\n".join([*(name for name, so in wrong.items() if so), text]) if any(wrong.values()) else ""


def teardown(directory, cycles):
    rng = random.Random(1)
    for cycle in range(cycles):
        what = list(ENDS)[cycle % len(ENDS)]
        messages = rng.randrange(0, 400)
        mode = "leave" if what == "the guest leaves" else rng.choice(["mute", "busy"])
        wrong = one_end(what, [vtdsim, "serve", "--walker", "model", "--endpoint", "dma", "--memory", "64", "--out",
                               directory, "--", *STAND_IN, mode, str(messages)], lambda line: line.endswith("messages\n"))
        if wrong:
            check(f"cycle {cycle}: {what} after {messages} messages, {mode}", False, wrong)
    check(f"{cycles} times either side left or was killed", not failures)


def qemu(directory, cycles):
    program = "qemu-system-x86_64"
    if not shutil.which(program):
        print(f"skipped: {program} is not installed; run sim/linux --install")
        sys.exit(77)
    rng = random.Random(1)
    for cycle in range(cycles):
        what = list(ENDS)[1 + cycle % 3]
        left = lines = rng.randrange(1, 60)

        def seen(_):
            nonlocal left
            left -= 1
            return left <= 0

        wrong = one_end(what, [vtdsim, "serve", "--walker", "model", "--endpoint", "dma", "--out", directory, "--", program,
                               "-nodefaults", "-no-user-config", "-display", "none", "-machine", "q35", "-accel", "tcg",
                               "-cpu", "qemu64", "-chardev", "stdio,id=log", "-device",
                               "isa-debugcon,iobase=0x402,chardev=log"], seen)
        if wrong:
            check(f"cycle {cycle}: {what} after {lines} lines of the firmware", False, wrong)
    check(f"{cycles} times QEMU or its server was killed", not failures)


vtdsim = sys.argv[1]
with tempfile.TemporaryDirectory() as scratch:
    cycles = int(sys.argv[3]) if len(sys.argv) > 3 else 20
    {"work": work, "replay": replay, "teardown": lambda d: teardown(d, cycles),
     "qemu": lambda d: qemu(d, cycles)}[sys.argv[2]](scratch)
sys.exit(1 if failures else 0)
