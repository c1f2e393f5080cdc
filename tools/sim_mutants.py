#!/usr/bin/env python3
"""Breaks the code in one line at a time and shows that the simulation notices: each mutant is
applied to a scratch copy of the tree, btcast-sim is built from it and runs seeds until a rule
is violated. Prints which rule killed which mutant at which seed, and which rules have killed
none. Exit status 1 if a mutant survives.

    tools/sim_mutants.py [--seeds 500] [--jobs 2] [--only NAME] [--list]

SPDX-License-Identifier: Apache-2.0"""
import argparse
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent

TABLE = ROOT / "sim" / "mutants.txt"


def read_table():
    """Blocks of `name: file`, lines `-` that go and lines `+` that come, one blank line between."""
    mutants = []
    for block in TABLE.read_text().split("\n\n"):
        lines = [line for line in block.splitlines() if line and not line.startswith("#")]
        if not lines:
            continue
        name, path, *fault = lines[0].split(": ")
        old = "\n".join(line[1:] for line in lines[1:] if line[0] == "-")
        new = "\n".join(line[1:] for line in lines[1:] if line[0] == "+")
        mutants.append((name, path, old, new, ["--only", *fault] if fault else []))
    return mutants


def copy_tree(target):
    shutil.copytree(ROOT, target, ignore=shutil.ignore_patterns("build*", ".git", ".btcast"))
    subprocess.run(["git", "init", "-q", target], check=True)


def build(tree):
    for command in (["cmake", "--preset", "release"],
                    ["cmake", "--build", "--preset", "release", "--target", "btcast-sim"]):
        done = subprocess.run(command, cwd=tree, capture_output=True, text=True)
        if done.returncode != 0:
            return done.stdout[-2000:] + done.stderr[-2000:]
    return None


def run(tree, seeds, jobs, fault):
    """(rule, seed, text) of the first violation, None when there is none."""
    done = subprocess.run([tree / "build" / "btcast-sim", "--seeds", f"1..{seeds}", "--jobs", str(jobs),
                           "--stop", *fault], capture_output=True, text=True)
    match = re.search(r"^seed (\d+) FAILED (\S+) at (.*)$", done.stdout, re.M)
    if match:
        return match.group(2), int(match.group(1)), match.group(3)
    if done.returncode != 0:  # a broken invariant of the code itself
        return "check", 0, done.stderr.strip().splitlines()[0] if done.stderr else ""
    return None


def try_mutant(tree, mutant, seeds, jobs):
    name, path, old, new, fault = mutant
    file = tree / path
    text = file.read_text()
    if text.count(old) != 1:
        return f"its text stands {text.count(old)} times in {path}"
    file.write_text(text.replace(old, new))
    try:
        broken = build(tree)
        return broken or run(tree, seeds, jobs, fault)
    finally:
        file.write_text(text)


def rules():
    text = (ROOT / "sim" / "checks.h").read_text()
    return re.findall(r'X\(CHECK_\w+,\s*"([^"]+)"', text)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=500)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only", action="append", default=[])
    parser.add_argument("--list", action="store_true")
    args = parser.parse_args()
    mutants = [m for m in read_table() if not args.only or m[0] in args.only]
    if args.list:
        for name, path, _, _, _ in mutants:
            print(f"{name:34} {path}")
        return 0
    survivors, killers = [], {}
    with tempfile.TemporaryDirectory(prefix="sim-mutants-") as folder:
        tree = pathlib.Path(folder) / "tree"
        copy_tree(tree)
        for mutant in mutants:
            outcome = try_mutant(tree, mutant, args.seeds, args.jobs)
            if isinstance(outcome, tuple):
                rule, seed, text = outcome
                killers.setdefault(rule, []).append(mutant[0])
                print(f"{mutant[0]:34} killed by {rule} at seed {seed}: {text[:90]}", flush=True)
            else:
                survivors.append(mutant[0])
                print(f"{mutant[0]:34} {'SURVIVED' if outcome is None else outcome}", flush=True)
    idle = [rule for rule in rules() if rule not in killers]
    print(f"{len(mutants)} mutants, {len(survivors)} not killed"
          f"{': ' + ', '.join(survivors) if survivors else ''}")
    if idle and not args.only:
        print(f"rules that have killed none: {', '.join(idle)}")
    return 1 if survivors or (idle and not args.only) else 0


if __name__ == "__main__":
    sys.exit(main())
