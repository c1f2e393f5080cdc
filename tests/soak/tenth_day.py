"""A tenth of a day of the simulated market: time and space to archive it, to rebuild the vectors from bronze, to
make silver, to load the store, and to load a training from each.

usage: tests/soak/tenth_day.py [--hours 1.2]

1.2 hours of it are as many frames as a tenth of a day of BTCUSDT today, 0.7 million; 2.4 are a busy one's, 1.4
million.

SPDX-License-Identifier: Apache-2.0"""
import argparse
import json
import os
import pathlib
import resource
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "e2e"))
import harness as h  # noqa: E402
import system  # noqa: E402
import test_foreign  # noqa: E402

ROWS = "SELECT count(*) FROM feature_store"


class Steps:
    """What was run, how long it took on the wall and of the processor."""

    def __init__(self):
        self.lines = []

    def run(self, name, *words, env=None):
        began, used = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
        status, out, err = h.run(*words, env=env, timeout_s=3600)
        assert status == 0, (words, err)
        now = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime
        self.lines.append([name, f"{time.monotonic() - began:.1f}", f"{cpu:.1f}", ""])
        return out, err

    def note(self, text):
        self.lines[-1][3] = text

    def show(self):
        print("| step | s | processor s | |\n|---|---|---|---|")
        for line in self.lines:
            print("| " + " | ".join(line) + " |")


def size_of(*folders):
    """Files and MB below."""
    paths = [os.path.join(at, name) for folder in folders for at, _, names in os.walk(folder)
             for name in names]
    return len(paths), sum(map(os.path.getsize, paths)) / 1e6


def psql(url, sql):
    return subprocess.run(["psql", "-XAtq", url, "-c", sql], capture_output=True, text=True,
                          check=True).stdout.strip()


def measure(options):
    steps, folder = Steps(), h.temp_dir()
    capture, lake = os.path.join(folder, "day.btc"), os.path.join(folder, "lake")
    steps.run("make the market", "exchange-sim", "--hours", options.hours, "--out", capture)
    steps.note(f"{os.path.getsize(capture) / 1e6:.0f} MB of frames as they came")
    report = json.loads(steps.run("archive it as bronze", "import", "--data", folder, "--json", capture)[0])
    files, megabytes = size_of(lake)
    steps.note(f"{report['records']} records, {files} objects, {megabytes:.0f} MB: "
               f"{megabytes * 1e6 / report['records']:.0f} bytes a record")
    out = os.path.join(folder, "rows.csv")
    made = json.loads(steps.run("replay bronze to vectors", "replay", lake, "--features", out, "--json")[0])
    steps.note(f"{made['frames']} frames, {made['rows']} vectors")
    done = json.loads(steps.run("silver out of bronze", "etl", "--data", folder, "--store", "none",
                                "--json")[0])
    silver, silver_mb = size_of(os.path.join(lake, "silver"))
    steps.note(f"{done['rows']} rows, {done['silver_bars']} bars, {silver} objects, {silver_mb:.1f} MB")
    server, url = test_foreign.database()
    env = {"DATABASE_URL": url}
    assert h.run("db", "migrate", "--wait", env=env, timeout_s=90)[0] == 0
    os.rename(os.path.join(folder, "etl"), os.path.join(folder, "etl-silver"))
    done = json.loads(steps.run("silver and the store", "etl", "--data", folder, "--json", env=env)[0])
    bytes_stored = psql(url, "SELECT sum(pg_total_relation_size(c.oid)) FROM pg_class c WHERE relname "
                             "~ '^(feature_store|slot_mid|market_data_minute)'")
    steps.note(f"{done['rows_loaded']} rows loaded, {psql(url, ROWS)} of them vectors, "
               f"{int(bytes_stored) / 1e6:.1f} MB with indexes")
    for name, words in (("bronze", ("--lake", lake)), ("silver", ("--silver", lake))):
        err = steps.run(f"a training of one epoch from {name}", "train", *words, "--epochs", "1",
                        "--trials", "1", "--folds", "0", "--threads", "1", "--out",
                        os.path.join(folder, name))[1]
        steps.note(next(line for line in err.splitlines() if " rows in " in line)[len("train: "):])
    server.stop()
    steps.show()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--hours", default="1.2")
    options = parser.parse_args()
    print(f"{options.hours} hours of the simulated market, load {os.getloadavg()[0]:.0f}")
    measure(options)


if __name__ == "__main__":
    main()
