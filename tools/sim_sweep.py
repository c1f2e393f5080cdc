#!/usr/bin/env python3
"""Many seeds of the simulation in ranges, each with a log of its own: a violated rule or a killed
program stops none of the others, and what has been interrupted goes on with the ranges that are
missing. Prints progress, the failures, how often each fault has hit each step of a re-anchor, and
which of these pairs came too rarely. Exit status 1: a rule was violated, a range has not ended,
or a pair came less than --least times.

    tools/sim_sweep.py [--seeds 1..10000] [--jobs 2] [--logs FOLDER] [--least 50] [--program P]

A folder holds the logs of one commit only: those of another are run again.
SPDX-License-Identifier: Apache-2.0"""
import argparse
import concurrent.futures
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
RANGE = 100  # seeds: well under a minute
COUNTS = re.compile(r"^(\d+) seeds, (\d+) failed; (\d+) faults \(at least (\d+) in a seed\), (\d+) restarts$", re.M)
SIZES = re.compile(r"^(\d+) frames, (\d+) calls of the store, (\d+) flushes, (\d+) swaps, (\d+) predictions", re.M)


def commit():
    done = subprocess.run(["git", "-C", ROOT, "describe", "--always", "--dirty"], capture_output=True, text=True)
    return done.stdout.strip() or "unknown"


def whole(log, head):
    """The text of a log that has its end, else None."""
    if not log.exists():
        return None
    text = log.read_text()
    return text if text.startswith(head) and "least of all:" in text else None


def run(program, first, last, log, head):
    """The range's log; when it has been run already, what it was."""
    text = whole(log, head)
    if text is None:
        with log.open("w") as out:
            out.write(head)
            out.flush()
            subprocess.run([program, "--seeds", f"{first}..{last}", "--table"], stdout=out, stderr=subprocess.DEVNULL)
    return whole(log, head)


def table(text):
    """Rows of the table as {fault: [count, …]}, and its steps."""
    lines = text[text.index("fault \\ step"):].splitlines()
    steps = lines[0].split()[3:-1]
    rows = {}
    for line in lines[1:]:
        if line.startswith("least of all"):
            break
        name, *numbers = line.split()
        rows[name] = [int(number) for number in numbers]
    return steps, rows


class Sum:
    """What all ranges together say."""

    def __init__(self):
        self.seeds = self.failed = self.faults = self.restarts = 0
        self.least_in_a_seed = None
        self.sizes = [0] * 5
        self.steps, self.rows, self.failures = [], {}, []

    def add(self, text):
        seeds, failed, faults, least, restarts = map(int, COUNTS.search(text).groups())
        self.seeds += seeds
        self.failed += failed
        self.faults += faults
        self.restarts += restarts
        self.least_in_a_seed = least if self.least_in_a_seed is None else min(least, self.least_in_a_seed)
        self.sizes = [a + int(b) for a, b in zip(self.sizes, SIZES.search(text).groups())]
        self.failures += re.findall(r"^seed \d+ FAILED .*$", text, re.M)
        self.steps, rows = table(text)
        for name, numbers in rows.items():
            self.rows[name] = [a + b for a, b in zip(self.rows.get(name, [0] * len(numbers)), numbers)]

    def rare(self, least):
        return [f"{name} at {step}: {count}" for name, row in self.rows.items()
                for step, count in zip(self.steps, row) if count < least]

    def show(self):
        for failure in self.failures:
            print(failure)
        print(f"{self.seeds} seeds, {self.failed} failed; {self.faults} faults (at least {self.least_in_a_seed} in a "
              f"seed), {self.restarts} restarts")
        print("{} frames, {} calls of the store, {} flushes, {} swaps, {} predictions".format(*self.sizes))
        print(f"{'fault / step':22}" + "".join(f"{step:>8}" for step in self.steps) + f"{'elsewhere':>10}")
        for name, row in self.rows.items():
            print(f"{name:22}" + "".join(f"{count:8}" for count in row[:-1]) + f"{row[-1]:10}")
        print(f"least of all: {min((min(row[:-1]) for row in self.rows.values()), default=0)}", flush=True)


def ranges(text):
    first, last = map(int, text.split(".."))
    return [(a, min(a + RANGE - 1, last)) for a in range(first, last + 1, RANGE)]


def sweep(args, sum_up):
    """Runs all ranges; returns those that have not ended."""
    head = f"commit {commit()}\n"
    args.logs.mkdir(parents=True, exist_ok=True)
    lost, todo = [], ranges(args.seeds)
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        running = {pool.submit(run, args.program, a, b, args.logs / f"{a}-{b}.log", head): (a, b) for a, b in todo}
        for number, done in enumerate(concurrent.futures.as_completed(running), 1):
            text = done.result()
            if text is None:
                lost.append("{}..{}".format(*running[done]))
            else:
                sum_up.add(text)
            print(f"{number} of {len(todo)} ranges, {sum_up.seeds} seeds, {sum_up.failed} failed", file=sys.stderr,
                  flush=True)
    return lost


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", default="1..10000")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--least", type=int, default=50)
    parser.add_argument("--logs", type=pathlib.Path, default=ROOT / "build" / "sim-sweep")
    parser.add_argument("--program", type=pathlib.Path, default=ROOT / "build" / "btcast-sim")
    args = parser.parse_args()
    sum_up = Sum()
    lost = sweep(args, sum_up)
    sum_up.show()
    rare = sum_up.rare(args.least)
    for text in rare:
        print(f"less than {args.least} times: {text}")
    for text in lost:
        print(f"not ended: seeds {text} ({args.logs})")
    return 1 if sum_up.failed > 0 or lost or rare else 0


if __name__ == "__main__":
    sys.exit(main())
