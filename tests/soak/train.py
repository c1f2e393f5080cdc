#!/usr/bin/env python3
"""The trainer against the simulated exchange's oracle: for each seed, simulated hours are written,
made into rows and removed; a model is trained and tested on at least 48 of them. Prints a line a seed
and fails when a figure misses its goal. 420 hours take 55 GB under /var/tmp for a while.
usage: train.py [--hours H] [--seeds N] [--share S]

SPDX-License-Identifier: Apache-2.0"""
import argparse
import json
import os
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BTCAST = os.environ.get("BTCAST") or os.path.join(ROOT, "build", "btcast")


def run(*words):
    subprocess.run([BTCAST, *map(str, words)], check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)


def train(folder, seed, hours):
    market, oracle = os.path.join(folder, "m.btc"), os.path.join(folder, "m.csv")
    out = os.path.join(folder, f"model-{seed}")
    run("exchange-sim", "--hours", hours, "--seed", seed, "--out", market, "--oracle", oracle)
    run("train", "--capture", market, "--oracle", oracle, "--out", out, "--seed", seed)
    os.unlink(market)
    with open(os.path.join(out, "report.json"), encoding="utf-8") as file:
        return json.load(file)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--hours", type=float, default=420)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--share", type=float, default=0.95)
    words = parser.parse_args()
    missed = 0
    for seed in range(1, words.seeds + 1):
        with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
            test = train(folder, seed, words.hours)["test"]
        band = test["band"]
        figures = {
            "rows": test["rows"],
            "r2": test["model"]["r2"]["value"],
            "oracle_share": test["oracle_share"]["value"],
            "r2_over_ridge_low": test["r2_over_ridge"]["low"],
            "hit_over_imbalance_low": test["hit_over_imbalance"]["low"],
            "calibration_error": test["calibration_error"],
            "coverage": band["coverage"],
            "coverage_by_volatility": band["coverage_by_volatility"],
            "pinball": band["pinball_bp"] / band["pinball_rolling_bp"],
        }
        goals = {
            "oracle_share": figures["oracle_share"] >= words.share,
            "beats ridge": figures["r2_over_ridge_low"] > 0,
            "beats imbalance": figures["hit_over_imbalance_low"] > 0,
            "calibration_error": figures["calibration_error"] <= 0.02,
            "coverage": abs(figures["coverage"] - 0.8) <= 0.02,
            "coverage by volatility": all(abs(c - 0.8) <= 0.05
                                          for c in figures["coverage_by_volatility"]),
            "pinball": figures["pinball"] < 1,
        }
        wrong = [name for name, met in goals.items() if not met]
        missed += len(wrong)
        print(f"seed {seed}: {json.dumps(figures)}", "missed: " + ", ".join(wrong) if wrong else "",
              flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
