"""The archive under load: an ingestor at a rate, a data-connector, now and then with the lake away,
and what came of it: spool over time, records in bronze against records stamped, time and space.

usage: tests/soak/archive.py [--rate 5000] [--seconds 600] [--away 0] [--frames 0] [--nice N] [--json]

--frames N archives N frames as fast as it goes instead.

SPDX-License-Identifier: Apache-2.0"""
import argparse
import glob
import json
import os
import pathlib
import re
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "e2e"))
import harness  # noqa: E402
import test_bronze  # noqa: E402

PIECE_S = 30 # one file takes so long to send; it is fed again and again, each time as an epoch of its own
PIECE_HOURS = (0.3, 12) # … and has so much of the market
SAMPLE_S = 10
PARTS = ("ingestor", "redis", "reader", "maker", "etl")
MARKET_FRAMES = 160 # a second, about
STREAMS = ("trade", "depth", "bestbidask")


class Feed:
    """Ingestors one after the other until the time is over."""

    def __init__(self, run, rate, nice):
        """rate: frames a second, 0: as fast as it goes."""
        self.run, self.nice, self.tops, self.process = run, nice, {}, None
        self.made = os.path.join(run.folder, "piece.btc")
        hours = max(PIECE_HOURS[0], min(PIECE_HOURS[1], rate * PIECE_S / MARKET_FRAMES / 3600))
        status, out, err = harness.run("exchange-sim", "--hours", hours, "--out", self.made,
                                       timeout_s=600)
        assert status == 0, err
        made = int(re.search(r"event=capture_written .*frames=(\d+)", out + err)[1])
        self.speed = rate * hours * 3600 / made
        self.cpus = {}

    def start(self):
        self.process = harness.start(
            "sbe-ingestor", "--data", self.run.folder, "--port-offset", self.run.offset, "--set",
            f"redis.target={self.run.redis.target}", "--set", f"symbol={test_bronze.SYMBOL}",
            "--set", "source=replay", "--set", f"replay.file={self.made}", "--set",
            f"replay.speed={self.speed}")
        set_nice(self.process.pid, self.nice)

    def note(self):
        """How far the newest epoch has come, by the streams themselves, and what it cost."""
        try:
            if self.process is not None:
                self.cpus[self.process.pid] = cpu_s(self.process.pid)
        except OSError:
            pass # it has ended
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
        """To the end of the piece: one that is stopped may still owe some of the last numbers."""
        harness.wait_until(lambda: self.note() or not self.process.alive(), "the piece is sent", 600, 0.5)
        self.note()

    def stamped(self):
        return sum(self.tops.values())


def cpu_s(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def threads_cpu_s(pid):
    """By the threads' names; that of the first is `reader`."""
    sums = {}
    for task in glob.glob(f"/proc/{pid}/task/*/stat"):
        with open(task, encoding="ascii") as f:
            head, tail = f.read().rsplit(")", 1)
        fields, name = tail.split(), head.split("(", 1)[1]
        name = "reader" if task == f"/proc/{pid}/task/{pid}/stat" else name
        sums[name] = sums.get(name, 0) + (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return sums


def set_nice(pid, nice):
    """Of every thread, and of the session, which is what counts where the scheduler groups by them.
    With others on its cores a measurement has to say what it took."""
    if nice is None:
        return
    for task in os.listdir(f"/proc/{pid}/task"):
        os.setpriority(os.PRIO_PROCESS, int(task), nice)
    if os.path.exists(f"/proc/{pid}/autogroup"):
        with open(f"/proc/{pid}/autogroup", "w", encoding="ascii") as f:
            f.write(str(nice))


def lake_bytes(run):
    objects = glob.glob(run.lake + "/bronze/**/*.parquet", recursive=True)
    return len(objects), sum(map(os.path.getsize, objects))


def bronze_epochs(modules, lake):
    """{epoch: (records, distinct numbers, highest number)} of a lake, an epoch at a time: a set of all
    would not fit."""
    folder = f"{lake}/bronze/sbe/{test_bronze.SYMBOL}/*/*/*/*"
    names = map(os.path.basename, glob.glob(f"{folder}/[tdb]*.parquet"))
    found = {}
    for epoch in sorted({name.split("_")[3].split("-")[0] for name in names}):
        parts = []
        for kind, where in (("trades", "trade_index = 0"), ("depth", "true"), ("bba", "true")):
            files = f"{folder}/{kind}_*_{epoch}-*.parquet"
            if glob.glob(files):
                parts.append(f"SELECT seq FROM read_parquet('{files}') WHERE {where}")
        rows = test_bronze.foreign(modules, "SELECT count(*), count(DISTINCT seq), max(seq) FROM "
                                            f"({' UNION ALL '.join(parts)})")
        found[int(epoch)] = tuple(map(int, rows[0]))
    return found


def in_bronze(modules, run, tops):
    """Records of all epochs, and how many of them are distinct numbers from 1 to the epoch's top."""
    found = bronze_epochs(modules, run.lake)
    assert all(top <= tops[epoch] for epoch, (_, _, top) in found.items()), (found, tops)
    return (sum(count for count, _, _ in found.values()),
            sum(distinct for _, distinct, _ in found.values()))


class Lake:
    """The lake's folder, which can be away."""

    def __init__(self, run, begin_s, seconds):
        self.folder, self.gone = run.lake, False
        self.begin_s, self.end_s = begin_s, begin_s + seconds

    def look(self, now_s):
        if not self.gone and self.begin_s <= now_s < self.end_s:
            if os.path.exists(self.folder):
                os.rename(self.folder, self.folder + ".away")
            with open(self.folder, "w", encoding="ascii"):
                self.gone = True
        elif self.gone and now_s >= self.end_s:
            os.unlink(self.folder)
            if os.path.exists(self.folder + ".away"):
                os.rename(self.folder + ".away", self.folder)
            self.gone = False


def sample(run, feed, second):
    lake, archive = run.component("lake"), run.component("archive")
    threads = threads_cpu_s(run.process.pid)
    return {"second": round(second), "records": feed.stamped(),
            "spool_bytes": lake.get("spool_bytes", 0), "journal_bytes": lake.get("journal_bytes", 0),
            "lag_ms": archive.get("lag_ms", -1), "ingestor_cpu_s": sum(feed.cpus.values()),
            "load": os.getloadavg()[0], "redis_cpu_s": cpu_s(run.redis.process.pid),
            "reader_cpu_s": threads.get("reader", 0), "maker_cpu_s": threads.get("archive", 0),
            "etl_cpu_s": threads.get("etl", 0)}


def tell(before, now):
    """A line of what came in between."""
    seconds = max(1, now["second"] - before["second"])
    count = now["records"] - before["records"]
    cpu = " ".join(f"{name} {(now[name + '_cpu_s'] - before[name + '_cpu_s']) / max(1, count) * 1e6:.2f}"
                   for name in PARTS)
    print(f"{now['second']:4d} s: {count / seconds:.0f} records/s, spool "
          f"{(now['spool_bytes'] - now['journal_bytes']) / 1e6:.0f} MB and journal "
          f"{now['journal_bytes'] / 1e6:.0f} MB, {now['lag_ms']} ms behind, us a record: {cpu}, load "
          f"{now['load']:.1f}", file=sys.stderr, flush=True)


def watch(run, feed, options):
    """Samples while the feed runs, one a second; a line is told each SAMPLE_S."""
    begin, samples = time.monotonic(), []
    lake = Lake(run, options.seconds * 0.1, options.away)
    while (now := time.monotonic() - begin) < options.seconds:
        feed.keep_up()
        lake.look(now)
        samples.append(sample(run, feed, now))
        if len(samples) > SAMPLE_S and len(samples) % SAMPLE_S == 1:
            tell(samples[-1 - SAMPLE_S], samples[-1])
        time.sleep(1)
    feed.end()
    lake.look(lake.end_s)
    return samples


def archived(run, feed):
    """All is read, and but for the blocks that are still open it is in the lake."""
    archive, epoch = run.component("archive"), max(feed.tops)
    return ((archive.get("epoch"), archive.get("seq")) == (epoch, feed.tops[epoch])
            and archive.get("open_blocks", 0) <= len(STREAMS)
            and run.component("lake").get("spool_files") == 0)


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
    parser.add_argument("--nice", type=int, help="of all; the connector's own is 10")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    modules = test_bronze.node_modules()
    run = test_bronze.Connector()
    run.recorder.stop()
    harness.wait_until(lambda: run.component("redis_cluster").get("status") == "healthy",
                       "the connector is up")
    set_nice(run.process.pid, options.nice)
    set_nice(run.redis.process.pid, options.nice)
    feed = Feed(run, 0 if options.frames else options.rate, options.nice)
    begin = time.monotonic()
    if options.frames:
        samples = []
        while feed.stamped() < options.frames:
            feed.keep_up()
            time.sleep(0.2)
        feed.end()
    else:
        samples = watch(run, feed, options)
    sent_s = time.monotonic() - begin
    harness.wait_until(lambda: archived(run, feed), "everything is archived",
                       600 + options.seconds, 0.5)
    read_s = time.monotonic() - begin
    missing = run.component("archive").get("records_missing", 0)
    status, stops, cpu = stop(run)
    objects, size = lake_bytes(run)
    records = feed.stamped()
    total, distinct = in_bronze(modules, run, feed.tops) if modules else (records, records)
    half = [s for s in samples if s["second"] >= options.seconds / 2]
    third = max(1, len(half) // 3)

    def most(of, name):
        return max((s[name] for s in of), default=0)
    result = {
        "records": records, "in_bronze": total, "distinct": distinct, "missing": missing,
        "seconds": round(sent_s, 1), "records_per_second": round(records / sent_s),
        "archived_after_s": round(read_s - sent_s, 1),
        "connector_cpu_s": round(cpu, 1), "objects": objects, "bytes": size,
        "bytes_per_record": round(size / max(1, total), 1),
        "spool_max_mb": round(most(samples, "spool_bytes") / 1e6, 1),
        "journal_max_mb": round(most(samples, "journal_bytes") / 1e6, 1),
        "second_half_begin_mb": round(most(half[:third], "spool_bytes") / 1e6, 1),
        "second_half_end_mb": round(most(half[-third:], "spool_bytes") / 1e6, 1),
        "lag_max_ms": most(samples, "lag_ms"), "load_max": round(most(samples, "load"), 1),
        "exit_status": status, "stops": stops,
    }
    print(json.dumps(result) if options.json else "\n".join(f"{k}: {v}" for k, v in result.items()))
    return 0 if status == 0 and total == distinct == records else 1


if __name__ == "__main__":
    raise SystemExit(main())
