#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A training that is killed with SIGKILL at random moments, a hundred times: the same bytes as one
that was left alone. On a busy machine less is done between two kills: when twenty bring no result the
next ones come after twice the time.  usage: tests/soak/learn.py [KILLS]"""
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
    return [BTCAST, "train", "--rows", rows, "--out", folder, "--trials", "8", "--epochs", "200",
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
        kills = finished = barren = 0
        window_s = took_s / 4
        while kills < KILLS:
            with subprocess.Popen(words(cut, rows), stdout=subprocess.DEVNULL) as train:
                try:
                    train.wait(rng.uniform(0.0, window_s))
                except subprocess.TimeoutExpired:
                    train.kill()
                    kills += 1
                    barren += 1
                    window_s *= 1 + (barren % 20 == 0)
                    continue
            barren = 0
            assert train.returncode == 0, train.returncode
            assert files(cut) == expected, "other bytes than without a kill"
            finished += 1
            shutil.rmtree(cut)
        subprocess.run(words(cut, rows), check=True, stdout=subprocess.DEVNULL)
        assert files(cut) == expected, "other bytes than without a kill"
        assert finished > KILLS / 50, "no training came to its end between kills"
        print(f"learn: {kills} kills of a training of {took_s:.1f} s, {finished + 1} results, all with "
              "the bytes of one that was left alone")
    finally:
        shutil.rmtree(top, ignore_errors=True)


main()
