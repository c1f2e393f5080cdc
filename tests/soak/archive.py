"""The archive under load: an ingestor at a rate, a data-connector, now and then with the lake away,
and what came of it: spool over time, records in bronze against records stamped, time and space.

usage: tests/soak/archive.py [--rate 5000] [--seconds 600] [--away 0] [--frames 0] [--json]

--frames N archives N frames as fast as it goes instead.

SPDX-License-Identifier: Apache-2.0"""
import argparse
import glob
import json
import os
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "e2e"))
import harness  # noqa: E402
import test_bronze  # noqa: E402

MARKET_FRAMES_A_SECOND = 121  # of the simulated market, docs/exchange-sim.md
PIECE_S = 1200 # of market in one file, fed again and again, each time as an epoch of its own
STREAMS = ("trade", "depth", "bestbidask")


class Feed:
    """Ingestors one after the other until the time is over."""

    def __init__(self, run, speed):
        self.run, self.speed = run, speed
        self.made = os.path.join(run.folder, "piece.btc")
        status, _, err = harness.run("exchange-sim", "--hours", str(PIECE_S / 3600), "--out",
                                     self.made, timeout_s=300)
        assert status == 0, err
        self.tops, self.process = {}, None

    def start(self):
        self.process = harness.start(
            "sbe-ingestor", "--data", self.run.folder, "--port-offset", self.run.offset, "--set",
            f"redis.target={self.run.redis.target}", "--set", f"symbol={test_bronze.SYMBOL}",
            "--set", "source=replay", "--set", f"replay.file={self.made}", "--set",
            f"replay.speed={self.speed}")

    def note(self):
        """How far the newest epoch has come, by the streams themselves."""
        client = self.run.redis.client()
        for name in STREAMS:
            for entry, _ in client("XREVRANGE", f"market-sbe-{name}:{test_bronze.SYMBOL}", "+", "-",
                                   "COUNT", "1"):
                epoch, seq = map(int, entry.split("-"))
                self.tops[epoch] = max(seq, self.tops.get(epoch, 0))
        client.close()

    def keep_up(self):
        self.note()
        if self.process is None or not self.process.alive():
            self.start()

    def end(self):
        if self.process.alive():
            self.process.stop()
        self.note()

    def stamped(self):
        return sum(self.tops.values())


def cpu_s(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def lake_bytes(run):
    objects = glob.glob(run.lake + "/bronze/**/*.parquet", recursive=True)
    return len(objects), sum(map(os.path.getsize, objects))


def in_bronze(modules, run):
    """Rows that are a record each, and how many of them are distinct."""
    total = distinct = 0
    for kind, where in (("trades", "trade_index = 0"), ("depth", "true"), ("bba", "true")):
        rows = test_bronze.foreign(modules, f"""SELECT count(*), count(DISTINCT (epoch, seq)) FROM
            read_parquet('{run.lake}/bronze/sbe/{test_bronze.SYMBOL}/*/*/*/*/{kind}_*.parquet')
            WHERE {where}""")
        total += int(rows[0][0])
        distinct += int(rows[0][1])
    return total, distinct


def watch(run, feed, options):
    """Samples of (second, bytes of files in the spool) while the feed runs."""
    begin, samples = time.monotonic(), []
    away = (options.seconds * 0.1, options.seconds * 0.1 + options.away) if options.away else None
    gone = False
    while True:
        now = time.monotonic() - begin
        if now >= options.seconds:
            break
        feed.keep_up()
        if away and not gone and away[0] <= now < away[1]:
            if os.path.exists(run.lake):
                os.rename(run.lake, run.lake + ".away")
            with open(run.lake, "w", encoding="ascii"):
                gone = True
        if gone and now >= away[1]:
            os.unlink(run.lake)
            if os.path.exists(run.lake + ".away"):
                os.rename(run.lake + ".away", run.lake)
            gone, away = False, None
        lake, archive = run.component("lake"), run.component("archive")
        samples.append((now, lake.get("spool_bytes", 0), archive.get("lag_ms", -1),
                        lake.get("journal_bytes", 0)))
        time.sleep(1)
    feed.end()
    if gone:
        os.unlink(run.lake)
        if os.path.exists(run.lake + ".away"):
            os.rename(run.lake + ".away", run.lake)
    return samples


def archived(run, feed):
    return run.component("archive").get("records", 0) >= feed.stamped()


def stop(run):
    """Stops until all is durable: what a stop has no time for, the next start has in its journal."""
    cpu = 0.0
    for count in range(1, 21):
        cpu += cpu_s(run.process.pid)
        status = run.process.stop(60)
        if "event=archive_closed durable=1" in run.process.log() or status != 0:
            break
        run.start()
        harness.wait_until(lambda: run.component("redis_cluster").get("status") == "healthy",
                           "the connector is up", 60)
        time.sleep(3)
    return status, count, cpu


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rate", type=float, default=5000)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--away", type=float, default=0)
    parser.add_argument("--frames", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    modules = test_bronze.node_modules()
    run = test_bronze.Connector()
    run.recorder.stop()
    harness.wait_until(lambda: run.component("redis_cluster").get("status") == "healthy",
                       "the connector is up")
    feed = Feed(run, 0 if options.frames else options.rate / MARKET_FRAMES_A_SECOND)
    begin = time.monotonic()
    if options.frames:
        samples = []
        while feed.stamped() < options.frames:
            feed.keep_up()
            time.sleep(0.2)
        feed.end()
    else:
        samples = watch(run, feed, options)
    harness.wait_until(lambda: archived(run, feed), "everything is read",
                       600 + options.seconds, 0.5)
    missing = run.component("archive").get("records_missing", 0)
    status, stops, cpu = stop(run)
    elapsed = time.monotonic() - begin
    objects, size = lake_bytes(run)
    total, distinct = in_bronze(modules, run) if modules else (feed.stamped(), feed.stamped())
    half = [s for s in samples if s[0] >= options.seconds / 2]
    third = max(1, len(half) // 3)
    result = {
        "records": feed.stamped(), "in_bronze": total, "distinct": distinct, "missing": missing,
        "seconds": round(elapsed, 1), "records_per_second": round(feed.stamped() / elapsed),
        "connector_cpu_s": round(cpu, 1), "objects": objects, "bytes": size,
        "bytes_per_record": round(size / max(1, total), 1),
        "spool_max_mb": round(max((s[1] for s in samples), default=0) / 1e6, 1),
        "journal_max_mb": round(max((s[3] for s in samples), default=0) / 1e6, 1),
        "second_half_begin_mb": round(max((s[1] for s in half[:third]), default=0) / 1e6, 1),
        "second_half_end_mb": round(max((s[1] for s in half[-third:]), default=0) / 1e6, 1),
        "lag_max_ms": max((s[2] for s in samples), default=0), "exit_status": status,
        "stops": stops,
    }
    print(json.dumps(result) if options.json else "\n".join(f"{k}: {v}" for k, v in result.items()))
    return 0 if status == 0 and total == distinct == feed.stamped() else 1


if __name__ == "__main__":
    raise SystemExit(main())
