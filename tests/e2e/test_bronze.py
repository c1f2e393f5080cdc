# SPDX-License-Identifier: Apache-2.0
"""The lake: what the streams carried is in bronze once, whatever happened to the connector, the
lake or the disk; a replay of bronze is the replay of a recording (docs/lake.md)."""
import atexit
import glob
import hashlib
import json
import os
import random
import shutil
import signal
import struct
import subprocess
import time

import bronze_vectors
import harness
import system
from harness import wait_until

SYMBOL = system.SYMBOL
KILLS = 100 if system.LONG else 10
CAPTURE_HEADER = 64
RECORD_HEAD = 40
KIND_SLOT = 5


def capture_records(path):
    """(kind, epoch, seq, recv_us, flags, payload) of a capture, and its header's bytes."""
    with open(path, "rb") as f:
        data = f.read()
    records, at = [], CAPTURE_HEADER
    while at + RECORD_HEAD <= len(data) and data[at:at + 4] == b"BTRc":
        size, epoch, seq, recv_us, kind, flags = struct.unpack_from("<IQQqBB", data, at + 4)
        payload = data[at + RECORD_HEAD:at + RECORD_HEAD + size]
        records.append((kind, epoch, seq, recv_us, flags, payload))
        at += RECORD_HEAD + size + 4
    return records, data[:CAPTURE_HEADER]


def without_slots(path, out):
    """The capture without its notes of where predictions were made, which bronze does not have."""
    with open(path, "rb") as f:
        data = f.read()
    kept, at = [data[:CAPTURE_HEADER]], CAPTURE_HEADER
    while at + RECORD_HEAD <= len(data):
        size = struct.unpack_from("<I", data, at + 4)[0] + RECORD_HEAD + 4
        if data[at + 32] != KIND_SLOT:
            kept.append(data[at:at + size])
        at += size
    with open(out, "wb") as f:
        f.write(b"".join(kept))


def node_modules():
    """DuckDB's Node binding, None where it cannot be had."""
    done = subprocess.run([os.path.join(harness.ROOT, "tools", "npm_peers.sh"),
                           "@duckdb/node-api@1.4.4-r.1"], capture_output=True, text=True,
                          timeout=120, check=False)
    if done.returncode != 0 or shutil.which("node") is None:
        print(f"SKIPPED: no DuckDB for Node: {done.stderr[-200:]}")
        return None
    return done.stdout.strip()


def foreign(modules, sql):
    done = subprocess.run(["node", os.path.join(harness.ROOT, "tests", "lib", "duckdb_read.js"),
                           modules, sql], capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def foreign_records(modules, lake):
    """Every frame and tick in bronze, as a foreign reader sees it."""
    rows = []
    for kind, where in (("trades", "trade_index = 0"), ("depth", "true"), ("bba", "true")):
        rows += foreign(modules, f"""SELECT record_kind, epoch, seq, recv_us, flags,
            CASE WHEN frame IS NOT NULL THEN md5(frame) END FROM
            read_parquet('{lake}/bronze/sbe/{SYMBOL}/*/*/*/*/{kind}_*.parquet') WHERE {where}""")
    return sorted((int(k), int(e), int(s), int(r), int(f), h) for k, e, s, r, f, h in rows)


def check_same_records(modules, lake, capture):
    return check_found(modules, lake, capture_records(capture)[0])


def capture_top(path):
    """The seq of the newest record in a capture that is being written."""
    records = capture_records(path)[0] if os.path.exists(path) else []
    return max(((r[1], r[2]) for r in records), default=(0, 0))[1]


def check_found(modules, lake, records):
    """Bronze has every number of each epoch once, and each record that was recorded as it was. On a
    starved machine the recorder gives late records up after 50 ms; the archive never does."""
    sent = {(kind, epoch, seq, recv_us, flags, hashlib.md5(payload).hexdigest() if kind == 1 else None)
            for kind, epoch, seq, recv_us, flags, payload in records if kind in (1, 2)}
    found = foreign_records(modules, lake)
    assert len(set(found)) == len(found), "a record is in bronze twice"
    for epoch in {r[1] for r in found}:
        numbers = sorted(r[2] for r in found if r[1] == epoch)
        assert numbers == list(range(1, len(numbers) + 1)), f"epoch {epoch} has holes"
    lost = sent - set(found)
    assert not lost, f"{len(lost)} of {len(sent)} records are not in bronze: {sorted(lost)[:3]}"
    assert len(sent) > len(found) / 2, f"{len(sent)} of {len(found)} records were recorded"
    return len(found)


def check_same_trades(modules, lake, capture):
    """Every trade's id and exact price and quantity, as `btcast decode` reads the frames."""
    status, out, err = harness.run("decode", capture, timeout_s=600)
    assert status == 0, err
    sent = []
    for line in out.splitlines():
        value = json.loads(line)
        for trade in value.get("trades", []):
            sent.append((trade["id"], trade["price"], trade["qty"], trade["isBuyerMaker"]))
    rows = foreign(modules, f"""SELECT trade_id,
        quantity_mantissa, quantity_exponent, price_mantissa, price_exponent, is_buyer_maker FROM
        read_parquet('{lake}/bronze/sbe/{SYMBOL}/*/*/*/*/trades_*.parquet')""")

    def exact(mantissa, exponent):
        digits = str(mantissa).rjust(1 - exponent, "0")
        return digits[:exponent] + "." + digits[exponent:] if exponent < 0 else digits

    found = [(int(r[0]), exact(int(r[3]), int(r[4])), exact(int(r[1]), int(r[2])), r[5])
             for r in rows]
    assert set(sent) <= set(found), f"{len(sent)} trades sent, {len(found)} in bronze"
    assert len(set(found)) == len(found)
    return len(sent)


class Connector:
    """A private Redis, an ingestor that feeds it, a recorder, and a data-connector that can be
    killed."""

    def __init__(self, *words, data=None):
        self.folder = harness.temp_dir()
        self.data = data or self.folder
        self.redis = harness.RedisServer()
        self.offset = harness.free_port_offset()
        self.lake = os.path.join(self.data, "lake")
        self.capture = self.recorder_file = os.path.join(self.folder, "streams.btc")
        self.words = words
        self.recorder = harness.start("record", "--from-streams", "--redis", self.redis.target,
                                      "--symbol", SYMBOL, "--out", self.capture)
        self.start()

    def start(self):
        self.process = harness.start("data-connector", "--data", self.data, "--port-offset",
                                     self.offset, "--set", f"redis.target={self.redis.target}",
                                     "--set", f"symbol={SYMBOL}", *self.words)

    def health(self):
        return harness.get_json(harness.PORTS["data-connector"] + self.offset, "/health")

    def component(self, name):
        value = self.health()
        return value["components"].get(name, {}) if value else {}

    def feed(self, hours, speed):
        """An ingestor that replays a made market; ends with it."""
        made = os.path.join(self.folder, f"made-{hours}.btc")
        status, _, err = harness.run("exchange-sim", "--hours", str(hours), "--out", made, timeout_s=600)
        assert status == 0, err
        return harness.start("sbe-ingestor", "--data", self.folder, "--port-offset", self.offset,
                             "--set", f"redis.target={self.redis.target}", "--set",
                             f"symbol={SYMBOL}", "--set", "source=replay", "--set",
                             f"replay.file={made}", "--set", f"replay.speed={speed}")

    def top(self):
        """The seq of the newest record in the streams."""
        client = self.redis.client()
        tops = [client("XREVRANGE", f"market-sbe-{name}:{SYMBOL}", "+", "-", "COUNT", "1")
                for name in ("trade", "depth", "bestbidask")]
        client.close()
        return max([tuple(map(int, t[0][0].split("-"))) for t in tops if t], default=(0, 0))[1]

    def stop_durable(self):
        """What a stop has no time for (four seconds) is the next start's to build from its journal."""
        for _ in range(5):
            status = self.process.stop(30)
            assert status == 0, self.process.log()
            if "event=archive_closed durable=1" in self.process.log():
                return
            self.start()
            wait_until(lambda: self.component("archive").get("seq", -1) == self.top(),
                       "everything is read again", 60, 0.1)
        raise AssertionError(f"never durable\n{self.process.log()}")

    def finish(self):
        """All that was sent is archived; everything is stopped in order."""
        wait_until(lambda: self.component("archive").get("seq", -1) == self.top(),
                   "everything is read", 60, 0.1)
        wait_until(lambda: capture_top(self.recorder_file) == self.top(), "… and recorded", 60, 0.1)
        self.stop_durable()
        assert self.recorder.stop() == 0, self.recorder.log()
        left = os.listdir(os.path.join(self.data, "data-connector", "spool"))
        assert not left, f"the spool still holds {left}\n{self.process.log()}"


def test_every_record_is_in_bronze_once_after_kills_and_with_the_lake_away():
    modules = node_modules()
    run = Connector()
    wait_until(lambda: run.component("redis_cluster").get("status") == "healthy",
               "the connector is up")
    hours, speed = (3, 30) if system.LONG else (0.2, 90)
    ingestor = run.feed(hours, speed)
    prng = random.Random(11)
    away = run.lake + ".away"
    for kill in range(KILLS):
        if system.LONG and kill % 2 == 0: # the others hit it wherever it is, also while it starts
            wait_until(lambda: run.component("archive").get("records"), "records are taken", 120)
        time.sleep(prng.uniform(0.1, 0.8))
        run.process.signal(signal.SIGKILL)
        run.process.wait()
        if kill == KILLS // 3:
            if os.path.exists(run.lake):
                os.rename(run.lake, away)
            with open(run.lake, "w"):
                pass  # nothing can be put below a file
        if kill == 2 * KILLS // 3:
            os.unlink(run.lake)
            if os.path.exists(away):
                os.rename(away, run.lake)
        run.start()
    assert ingestor.wait(120 + hours * 3600 / speed) == 0, ingestor.log()
    run.finish()
    objects = glob.glob(run.lake + "/bronze/**/*.parquet", recursive=True)
    print(f"{KILLS} kills, {len(objects)} objects, {sum(map(os.path.getsize, objects))} bytes")
    if modules is None:
        return
    count = check_same_records(modules, run.lake, run.capture)
    trades = check_same_trades(modules, run.lake, run.capture)
    print(f"{count} records, {trades} trades")
    assert count > 20000 and trades > 5000


def test_while_the_lake_is_away_the_spool_keeps_it_and_a_full_one_stops_the_reading():
    modules = node_modules()
    run = Connector("--set", "spool.max_mb=1")
    with open(run.lake, "w"):
        pass
    wait_until(lambda: run.component("redis_cluster").get("status") == "healthy",
               "the connector is up")
    # 65,536 numbers are a block: it fills without waiting for minutes.
    ingestor = run.feed(0.15, 0)
    assert ingestor.wait(120) == 0, ingestor.log()
    wait_until(lambda: run.component("lake").get("spool_bytes", 0) >= 1 << 20,
               "the spool is full", 60)
    ingestor = run.feed(0.15, 0) # another block, whose file has no room
    assert ingestor.wait(120) == 0, ingestor.log()
    wait_until(lambda: run.component("archive").get("paused"), "the full spool stops the reading",
               60)
    assert run.health()["status"] == "unhealthy"
    assert run.component("lake")["status"] == "degraded"
    os.unlink(run.lake)
    wait_until(lambda: run.component("lake").get("spool_files") == 0, "the spool is empty", 60)
    run.finish()
    if modules is not None:
        assert check_same_records(modules, run.lake, run.capture) > 65536


def test_what_redis_and_the_connector_lost_together_is_in_bronze():
    """Both die within a block: the journal has what the streams do not have any more."""
    modules = node_modules()
    run = Connector()
    wait_until(lambda: run.component("redis_cluster").get("status") == "healthy",
               "the connector is up")
    assert run.feed(0.01, 0).wait(120) == 0
    wait_until(lambda: run.component("archive").get("seq", -1) == run.top() > 0,
               "everything is read", 60, 0.05)
    first_top = run.top()
    wait_until(lambda: run.component("archive").get("open_blocks"), "something is at stake")
    wait_until(lambda: capture_top(run.capture) == run.top(), "the recorder has it", 30)
    assert run.recorder.stop() == 0, run.recorder.log()
    first, _ = capture_records(run.capture)
    run.redis.kill()
    run.process.signal(signal.SIGKILL)
    run.process.wait()
    run.redis.start()
    assert run.top() == 0
    run.recorder_file = run.capture + "2"
    run.recorder = harness.start("record", "--from-streams", "--redis", run.redis.target,
                                 "--symbol", SYMBOL, "--out", run.recorder_file)
    run.start()
    wait_until(lambda: run.component("redis_cluster").get("status") == "healthy",
               "the connector is up")
    assert run.feed(0.01, 0).wait(120) == 0
    run.finish()
    second, _ = capture_records(run.recorder_file)
    assert max(r[2] for r in first) == first_top and len(second) > 1000
    if modules is not None:
        check_found(modules, run.lake, first + second)


def test_a_stop_reads_first_what_is_in_the_streams():
    modules = node_modules()
    run = Connector()
    wait_until(lambda: run.component("redis_cluster").get("status") == "healthy",
               "the connector is up")
    run.process.signal(signal.SIGSTOP)
    assert run.feed(0.01, 0).wait(120) == 0
    wait_until(lambda: capture_top(run.capture) == run.top() > 0, "the recorder has it", 30)
    run.process.signal(signal.SIGTERM)
    run.process.signal(signal.SIGCONT)
    assert run.process.wait(30) == 0, run.process.log()
    assert run.recorder.stop() == 0, run.recorder.log()
    if modules is not None:
        assert check_same_records(modules, run.lake, run.capture) > 1000


class Disk:
    """A small file system of its own, and something that fills it. None where that is not allowed."""

    def __init__(self, megabytes):
        self.folder = harness.temp_dir()
        self.ballast = os.path.join(self.folder, "ballast")
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs",
                               self.folder], capture_output=True, text=True, check=False)
        self.mounted = done.returncode == 0
        if self.mounted:
            atexit.register(self.unmount)
        else:
            print(f"SKIPPED: no file system may be mounted here: {done.stderr.strip()}")

    def unmount(self):
        subprocess.run(["umount", "-l", self.folder], check=False)

    def fill(self, leave):
        """All but so many bytes are taken."""
        free = os.statvfs(self.folder)
        with open(self.ballast, "wb") as f:
            os.posix_fallocate(f.fileno(), 0, free.f_bavail * free.f_frsize - leave)

    def empty(self):
        os.unlink(self.ballast)


def test_a_full_disk_stops_the_reading_and_costs_nothing():
    disk = Disk(32)
    if not disk.mounted:
        return
    modules = node_modules()
    run = Connector(data=disk.folder)
    port = harness.PORTS["data-connector"] + run.offset
    wait_until(lambda: run.component("redis_cluster").get("status") == "healthy",
               "the connector is up")
    disk.fill(600000)
    # Several times what the disk has room for.
    ingestor = run.feed(0.1, 40)
    assert ingestor.wait(120) == 0, ingestor.log()
    wait_until(lambda: harness.metric(port, "data_connector_journal_failures_total"),
               "the full disk is counted", 60)
    assert "No space left" in run.process.log(), run.process.log()
    assert run.component("archive")["seq"] < run.top()
    disk.empty()
    run.finish()
    objects = glob.glob(run.lake + "/bronze/**/*.parquet", recursive=True)
    print(f"{len(objects)} objects, {sum(map(os.path.getsize, objects))} bytes")
    if modules is not None:
        assert check_same_records(modules, run.lake, run.capture) > 20000
    # Silver on a disk without room for it: named, and made as soon as there is some.
    disk.fill(20000)
    status, _, err = harness.run("etl", "--data", disk.folder, "--store", "none")
    assert status == 1 and ("No space left" in err or "full" in err), (status, err)
    disk.empty()
    status, out, err = harness.run("etl", "--data", disk.folder, "--store", "none", "--json")
    assert status == 0 and json.loads(out)["silver_rows"] > 0, (status, out, err)


def test_a_connector_that_comes_late_finds_the_first_record():
    """The streams are trimmed behind their readers; one that has not come yet is waited for."""
    if not system.LONG:
        print("        only with BTCAST_LONG=1: it takes half a minute")
        return
    up = system.Up()
    pid, = wait_until(lambda: up.pids("data-connector"), "the connector is started", 30, 0.001)
    os.kill(pid, signal.SIGSTOP)
    up.wait_live()
    client, first = up.redis(), f"market-sbe-bestbidask:{SYMBOL}"
    # Longer than a young registry protects, and more than a node of the stream.
    time.sleep(20)
    assert client("XLEN", first) > 1000
    os.kill(pid, signal.SIGCONT)
    port = up.port("data-connector")
    wait_until(lambda: ((harness.get_json(port, "/health") or {"components": {}})["components"].get("archive")
                        or {}).get("records", 0) > 1000, "it reads", 30, 0.2)
    up.stop()
    out = os.path.join(harness.temp_dir(), "late.csv")
    summary, _ = replay(os.path.join(up.folder, "data", "lake"), out)
    numbers = foreign(node_modules(), f"""SELECT min(seq), max(seq), count(DISTINCT seq) FROM
        read_parquet('{up.folder}/data/lake/bronze/sbe/{SYMBOL}/*/*/*/*/*.parquet',
        union_by_name = true) WHERE type IS DISTINCT FROM 'anchor' AND type IS DISTINCT FROM 'hole'""")
    low, high, count = map(int, numbers[0])
    assert low == 1 and count == high and summary["anchors"] >= 1, (numbers, summary)


def replay(source, out):
    status, text, err = harness.run("replay", source, "--features", out, "--json")
    assert status == 0, err
    return json.loads(text), err


def test_a_replay_of_bronze_is_the_replay_of_the_recording():
    folder = harness.temp_dir()
    capture = os.path.join(folder, "live.btc")
    up = system.Up("--record", capture)
    vectors = system.Vectors(up)
    up.wait_live()
    bronze_vectors.force(up)
    wait_until(lambda: len(vectors.seen) >= (600 if system.LONG else 100), "enough ticks", 120)
    seen = vectors.stop()
    lake = os.path.join(up.folder, "data", "lake")
    # Before the recorder: what it has, the lake has too.
    up.stop()
    plain = os.path.join(folder, "plain.btc")
    without_slots(capture, plain)
    recorded, _ = replay(plain, os.path.join(folder, "recorded.csv"))
    archived, _ = replay(lake, os.path.join(folder, "archived.csv"))
    assert recorded["anchors"] >= 2 and archived["anchors"] == recorded["anchors"], archived
    assert archived["damaged"] == 0 and archived["trade_ids_missing"] == 0, archived
    # The two were stopped at slightly different records: rows are compared as far as both go.
    a = system.read_bytes(os.path.join(folder, "recorded.csv")).splitlines()
    b = system.read_bytes(os.path.join(folder, "archived.csv")).splitlines()
    common = min(len(a), len(b))
    assert common >= 4 and abs(len(a) - len(b)) <= 1, f"{len(a)} and {len(b)} rows"
    assert a[:common] == b[:common]
    compared, _ = bronze_vectors.compare(os.path.join(up.folder, "data"), seen)
    print(f"{common - 1} rows equal, {compared} live vectors; {archived}")
    check_truncated(lake, folder, archived)


def check_truncated(lake, folder, whole):
    """One object is cut: it is named, put aside with its bytes, and the rest is read."""
    victim = max(glob.glob(f"{lake}/bronze/sbe/{SYMBOL}/**/bba_*.parquet", recursive=True),
                 key=os.path.getsize)
    size = os.path.getsize(victim)
    os.truncate(victim, size // 2)
    summary, err = replay(lake, os.path.join(folder, "cut.csv"))
    key = os.path.relpath(victim, lake)
    assert summary["damaged"] == 1, summary
    assert f"object_quarantined key={key}" in err, err
    assert os.path.getsize(os.path.join(lake, "quarantine", key)) == size // 2
    assert not os.path.exists(victim)
    assert 0 < summary["records"] < whole["records"]
    summary, _ = replay(lake, os.path.join(folder, "again.csv"))
    assert summary["damaged"] == 0


if __name__ == "__main__":
    harness.run_tests(globals())
