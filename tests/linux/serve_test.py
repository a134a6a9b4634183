#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""`vtdsim serve` and `vtdsim replay` with a stand-in for QEMU.

  serve_test.py VTDSIM work       a whole run on every walker and pace; bugs are noticed
  serve_test.py VTDSIM replay     recordings are the same again; damaged ones are refused
  serve_test.py VTDSIM teardown [CYCLES]   either side leaves, or is killed, anywhere: the other one ends too
"""
import gzip
import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
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
                                ("other version", data.replace(b'"vtdsim_recording":1', b'"vtdsim_recording":9', 1), "version 9")):
        file = f"{directory}/damaged.rec"
        with gzip.open(file, "wb") as out:
            out.write(damaged)
        run = again(file)
        check(f"{name}: refused", run.returncode == 2 and word in output(run), output(run))
    # One bit of one value that the guest read: found, and named.
    head = data.index(b"\n") + 1
    changed = bytearray(data)
    at = head
    while True:
        size = int.from_bytes(data[at + 28:at + 32], "little")
        if data[at + 34] == 2 and int.from_bytes(data[at + 8:at + 16], "little") == 0x08:  # a read of CAP
            changed[at + 16] ^= 1
            break
        at += 40 + size
    with gzip.open(f"{directory}/changed.rec", "wb") as out:
        out.write(bytes(changed))
    run = again(f"{directory}/changed.rec")
    check("a value that differs is found", run.returncode == 1 and "FAILED" in run.stdout and "at 0x8" in run.stdout, output(run))


def ended(process, seconds=10):
    try:
        process.wait(seconds)
        return True
    except subprocess.TimeoutExpired:
        return False


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


def teardown(directory, cycles):
    rng = random.Random(1)
    for cycle in range(cycles):
        how = ("leave", "mute", "kill")[cycle % 3]
        messages = rng.randrange(0, 120)
        mode = ["leave" if how == "leave" else "mute", str(messages)]
        process = subprocess.Popen([vtdsim, "serve", "--walker", "model", "--memory", "64", "--out", directory, "--",
                                    *STAND_IN, *mode], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        guests = []
        if how != "leave":
            time.sleep(0.15 + rng.random() * 0.1)
            guests = children(process.pid)
            process.send_signal(signal.SIGTERM if how == "mute" else signal.SIGKILL)
        good = ended(process)
        if not good:
            process.kill()
        deadline = time.time() + 5
        while any(alive(g) for g in guests) and time.time() < deadline:
            time.sleep(0.01)
        left = [g for g in guests if alive(g)]
        for g in left:
            os.kill(g, signal.SIGKILL)
        if not good or left:
            check(f"cycle {cycle}: {how} after {messages} messages", False,
                  "the server does not end" if not good else "the guest is left behind")
    check(f"{cycles} times either side left or was killed", not failures)


vtdsim = sys.argv[1]
with tempfile.TemporaryDirectory() as scratch:
    if sys.argv[2] == "teardown":
        teardown(scratch, int(sys.argv[3]) if len(sys.argv) > 3 else 30)
    else:
        {"work": work, "replay": replay}[sys.argv[2]](scratch)
sys.exit(1 if failures else 0)
