#!/usr/bin/python3
"""The trainer against the simulated exchange's oracle. Simulated markets of 50 hours, a seed each,
are made side by side and dealt out: each run tests on another fifth of them (at least 48 hours that
nothing of it has seen) and trains, with another seed, on the others. Prints a line a run and fails
when a figure misses its goal. 1,250 hours take a quarter of an hour of two cores and 400 MB under
/var/tmp; with --keep the markets stay for the next time.
usage: train.py [--hours H] [--runs N] [--share S] [--keep DIR] [--with FLAG=VALUE …]

SPDX-License-Identifier: Apache-2.0"""
import argparse
import concurrent.futures
import json
import os
import subprocess
import sys
import tempfile

import numpy as np

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BTCAST = os.environ.get("BTCAST") or os.path.join(ROOT, "build", "btcast")
MARKET_H = 50
FIRST_SEED = 5000
START_S = 1767225600
# Slots between two markets: more than a purge and an embargo.
PAUSE_SLOTS = 100
COLUMNS = (("slot", "<i8", 1), ("mid", "<f8", 1), ("label", "<f8", 1), ("values", "<f4", 32))
CRC_LANES = 4096


def btcast(*words):
    done = subprocess.run([BTCAST, *map(str, words)], stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"btcast {' '.join(map(str, words))}: {done.stderr[-500:]}")


# --- row files (docs/training.md) ------------------------------------------------------------


def crc_step(state, octets):
    return CRC_TABLE[(state ^ octets) & 0xff] ^ (state >> np.uint32(8))


def crc_table():
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, (table >> 1) ^ np.uint32(0x82f63b78), table >> 1)
    return table.astype(np.uint32)


CRC_TABLE = crc_table()


def crc32c(data):
    """CRC-32C of bytes, in lanes side by side that are put together afterwards: a byte of zero in
    front changes nothing in a register of zero, and registers add up."""
    octets = np.frombuffer(data, np.uint8).copy()
    octets[:4] ^= 0xff
    octets = np.concatenate([np.zeros(-len(octets) % CRC_LANES, np.uint8), octets])
    lanes = octets.reshape(CRC_LANES, -1)
    state = np.zeros(CRC_LANES, np.uint32)
    bits = np.uint32(1) << np.arange(32, dtype=np.uint32)  # what a lane of zeros makes of each bit
    for column in np.ascontiguousarray(lanes.T).astype(np.uint32):
        state = crc_step(state, column)
        bits = crc_step(bits, np.uint32(0))
    whole = 0
    for lane in state:
        moved = 0
        for bit in range(32):
            if whole >> bit & 1:
                moved ^= int(bits[bit])
        whole = moved ^ int(lane)
    return whole ^ 0xffffffff


def read_rows(path):
    with open(path, "rb") as file:
        header, data = file.read(32), file.read()
    count, at, rows = int.from_bytes(header[16:24], "little"), 0, {}
    for name, kind, width in COLUMNS:
        size = count * width * int(kind[2])
        rows[name] = np.frombuffer(data[at:at + size], kind).reshape(count, -1)
        at += size
    return header[:16], rows


def write_rows(path, head, parts):
    count = sum(len(part["slot"]) for part in parts)
    body = b"".join(part[name].tobytes() for name, _, _ in COLUMNS for part in parts)
    with open(path, "wb") as file:
        file.write(head + count.to_bytes(8, "little") + crc32c(body).to_bytes(8, "little") + body)


# --- markets ---------------------------------------------------------------------------------


def make_market(folder, number):
    base = os.path.join(folder, f"c{number:02d}")
    if not os.path.exists(base + ".done"):
        with tempfile.TemporaryDirectory(dir=folder) as out:
            btcast("train", "--simulate", MARKET_H, "--sim-seed", FIRST_SEED + number, "--from",
                   START_S + number * (MARKET_H + 1) * 3600, "--oracle", base + ".csv",
                   "--save-rows", base + ".rows", "--out", out, "--trials", 1, "--epochs", 1,
                   "--folds", 0, "--threads", 1, "--quiet")
        open(base + ".done", "w", encoding="utf-8").close()
    return base


def deal(folder, markets, tested):
    """One row file and one oracle: the markets that train, then those that test, one behind the
    other in time. The share of the rows that test, in thousandths."""
    order = [m for m in markets if m not in tested] + list(tested)
    parts, oracle, rows_of, last = [], ["slot,oracle_bp\n"], {}, START_S // 2
    for base in order:
        head, rows = read_rows(base + ".rows")
        move = last + PAUSE_SLOTS - int(rows["slot"][0, 0])
        rows["slot"] = rows["slot"] + move
        last = int(rows["slot"][-1, 0])
        parts.append(rows)
        rows_of[base] = len(rows["slot"])
        with open(base + ".csv", encoding="utf-8") as file:
            lines = [line.split(",") for line in file.readlines()[1:]]
        oracle += [f"{int(slot) + move},{value}" for slot, value in lines
                   if int(slot) + move <= last]
    write_rows(os.path.join(folder, "rows"), head, parts)
    with open(os.path.join(folder, "oracle.csv"), "w", encoding="utf-8") as file:
        file.writelines(oracle)
    return int(1000 * sum(rows_of[base] for base in tested) / sum(rows_of.values()))


# --- runs ------------------------------------------------------------------------------------


def train(folder, seed, share, extra):
    """3 % of the rows validate, 3 % calibrate, `share` thousandths test, the others train."""
    out = os.path.join(folder, "model")
    btcast("train", "--rows", os.path.join(folder, "rows"), "--oracle",
           os.path.join(folder, "oracle.csv"), "--out", out, "--seed", seed, "--shares",
           f"{940 - share},30,30,{share}", "--trials", 1, "--folds", 0, "--quiet", *extra)
    with open(os.path.join(out, "report.json"), encoding="utf-8") as file:
        return json.load(file)


def judge(test, share):
    band = test["band"]
    figures = {
        "rows": test["rows"],
        "r2": test["model"]["r2"]["value"],
        "r2_oracle": test["oracle"]["r2"]["value"],
        "oracle_share": test["oracle_share"],
        "r2_over_ridge": test["r2_over_ridge"],
        "hit_over_imbalance": test["hit_over_imbalance"],
        "calibration_error": test["calibration_error"],
        "coverage": band["coverage"],
        "coverage_by_volatility": band["coverage_by_volatility"],
        "pinball_bp": band["pinball_bp"],
        "pinball_rolling_bp": band["pinball_rolling_bp"],
    }
    goals = {
        "48 hours of test": figures["rows"] >= 48 * 1800 * 0.99,
        "oracle_share": figures["oracle_share"]["value"] >= share,
        "beats ridge": figures["r2_over_ridge"]["low"] > 0,
        "beats imbalance": figures["hit_over_imbalance"]["low"] > 0,
        "calibration_error": figures["calibration_error"] <= 0.02,
        "coverage": abs(figures["coverage"] - 0.8) <= 0.02,
        "coverage by volatility": all(abs(c - 0.8) <= 0.05
                                      for c in figures["coverage_by_volatility"]),
        "pinball": figures["pinball_bp"] < figures["pinball_rolling_bp"],
    }
    return figures, [name for name, met in goals.items() if not met]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--hours", type=int, default=1250)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--share", type=float, default=0.95)
    parser.add_argument("--keep")
    parser.add_argument("--with", dest="extra", nargs="*", default=[])
    words = parser.parse_args()
    missed = 0
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        kept = words.keep or folder
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            markets = list(pool.map(lambda number: make_market(kept, number),
                                    range(max(words.hours // MARKET_H, words.runs))))
        for run in range(words.runs):
            with tempfile.TemporaryDirectory(dir=folder) as place:
                share = deal(place, markets, markets[run::words.runs])
                report = train(place, run + 1, share, words.extra)
            figures, wrong = judge(report["test"], words.share)
            missed += len(wrong)
            print(f"run {run + 1}: {json.dumps(figures)}",
                  "missed: " + ", ".join(wrong) if wrong else "", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
