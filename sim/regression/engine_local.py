# SPDX-License-Identifier: MIT
"""Plays runs on this machine, some at a time."""
import concurrent.futures


def play(results, runs, player, jobs):
    """Results as they come; the runs that have not begun when the caller has had enough are left."""
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        try:
            for future in concurrent.futures.as_completed([pool.submit(results.record, run, player) for run in runs]):
                if future.result():
                    yield future.result()
        finally:
            pool.shutdown(cancel_futures=True)
