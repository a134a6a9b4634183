# SPDX-License-Identifier: MIT
"""What is seen while a suite is played: on a terminal one line redrawn and a line a failure; else a line a run."""
import shutil
import sys
import time


def duration(seconds):
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


class Progress:
    def __init__(self, names, done, guesses, jobs, terminal=None):
        """`names` are to be played, `done` have been; `guesses`: seconds that runs took before."""
        self.pending, self.finished, self.guesses, self.jobs = dict.fromkeys(names), done, guesses, jobs
        self.all = done + len(names)
        self.failed, self.seconds, self.begin = 0, [], time.monotonic()
        self.terminal = sys.stdout.isatty() if terminal is None else terminal

    def left(self):
        """Seconds until all are played: what each took before, or else the mean of now."""
        mean = sum(self.seconds) / len(self.seconds)
        return sum(self.guesses.get(name, mean) for name in self.pending) / self.jobs

    def show(self, result):
        self.pending.pop(result["run"], None)
        self.finished += 1
        self.failed += not result["good"]
        self.seconds.append(result["seconds"])
        line = (f"{'ok    ' if result['good'] else 'FAILED'} {result['seconds']:6.1f} s  {result['run']}"
                f"{': ' if result['note'] else ''}{result['note']}")
        if not self.terminal:
            if not result["nothing"]:
                print(line, flush=True)
            return
        if not result["good"]:
            print(f"\r\033[K{line}")
        text = (f"{self.finished} of {self.all}, {self.failed} failed, {duration(time.monotonic() - self.begin)}, "
                f"about {duration(self.left())} left  {result['run']}")
        print(f"\r\033[K{text[:shutil.get_terminal_size().columns - 1]}", end="", flush=True)

    def close(self):
        if self.terminal and self.seconds:
            print("\r\033[K", end="")
