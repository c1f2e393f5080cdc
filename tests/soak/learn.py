#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A training that is killed with SIGKILL at random moments, a hundred times: the same bytes as one
that was left alone.  usage: tests/soak/learn.py [KILLS]"""
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BTCAST = os.environ.get("BTCAST") or os.path.join(ROOT, "build", "btcast")
KILLS = int(sys.argv[1]) if len(sys.argv) > 1 else 100
FILES = ("model.onnx", "report.json", "report.html")


def words(folder, rows):
    return [BTCAST, "train", "--rows", rows, "--out", folder, "--trials", "6", "--epochs", "60",
            "--folds", "1", "--threads", "2", "--gold", os.path.join(folder, "lake"), "--quiet"]


def files(folder):
    return [open(os.path.join(folder, name), "rb").read() for name in FILES]


def main():
    rng = random.Random(7)
    top = tempfile.mkdtemp(prefix="btcast-learn-")
    rows, whole, cut = (os.path.join(top, name) for name in ("rows", "whole", "cut"))
    try:
        subprocess.run([BTCAST, "train", "--simulate", "6", "--out", whole, "--save-rows", rows,
                        "--trials", "1", "--epochs", "1", "--folds", "0", "--quiet"], check=True,
                       stdout=subprocess.DEVNULL)
        began = time.monotonic()
        subprocess.run(words(whole, rows), check=True, stdout=subprocess.DEVNULL)
        took_s = time.monotonic() - began
        expected = files(whole)
        kills = finished = 0
        while kills < KILLS:
            with subprocess.Popen(words(cut, rows), stdout=subprocess.DEVNULL) as train:
                try:
                    train.wait(rng.uniform(0.0, took_s / 4))
                except subprocess.TimeoutExpired:
                    train.kill()
                    kills += 1
                    continue
            assert train.returncode == 0, train.returncode
            assert files(cut) == expected, "other bytes than without a kill"
            finished += 1
            shutil.rmtree(cut)
        subprocess.run(words(cut, rows), check=True, stdout=subprocess.DEVNULL)
        assert files(cut) == expected, "other bytes than without a kill"
        print(f"learn: {kills} kills of a training of {took_s:.1f} s, {finished + 1} results, all with "
              "the bytes of one that was left alone")
    finally:
        shutil.rmtree(top, ignore_errors=True)


main()
