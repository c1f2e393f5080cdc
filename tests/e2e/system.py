# SPDX-License-Identifier: Apache-2.0
"""A whole system under `btcast up`, and watchers that take down what it shows."""
import collections
import csv
import json
import os
import struct
import threading
import time

import harness
from harness import wait_until

SYMBOL = "BTCUSDT"
KEYS = [f"ob:{SYMBOL}", f"tr:{SYMBOL}:1s", f"tr:{SYMBOL}:5s", f"feat:{SYMBOL}"]
CAPTURE = os.path.join(harness.DATA, "capture", "binance-spot-btcusdt-20240808.jsonl.gz")
SLOT_MS = 2000
# What a clock measured is not the market's; everything else of a prediction has to be equal.
MEASURED = {"symbol", "latency_ms", "latency_us", "features_age_ms"}
LONG = os.environ.get("BTCAST_LONG", "") not in ("", "0")


def need_capture():
    if not os.path.exists(CAPTURE):
        harness.skip(f"the real capture is not at {CAPTURE}")


def as_bytes(value):
    return value if isinstance(value, bytes) else value.encode()


class Up:
    """`btcast up WORDS…` with a folder and ports of its own. Without a database unless one is
    wanted: it takes a second of two cores to make one."""

    def __init__(self, *words, env=None, postgres="none"):
        self.folder = harness.temp_dir()
        self.offset = harness.free_port_offset()
        self.socket = os.path.join(self.folder, "data", "run", "redis.sock")
        self.process = harness.start("up", "--data", os.path.join(self.folder, "data"),
                                     "--port-offset", self.offset, "--postgres",
                                     postgres, *words, env=env)

    def port(self, service):
        return harness.PORTS[service] + self.offset

    def redis(self):
        """A client of its private Redis, once that answers."""
        def connect():
            try:
                return harness.Redis(os.path.realpath(self.socket))
            except OSError:
                return None
        return wait_until(connect, "the private Redis answers")

    def wait_live(self, timeout_s=30):
        """Until a prediction in mode live is out."""
        def live():
            value = harness.get_json(self.port("inference"), "/prediction")
            return value is not None and value.get("mode") == "live"
        try:
            wait_until(live, "a prediction in mode live", timeout_s, 0.1)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.process.log()}") from error

    def pids(self, *words):
        """Processes of this system whose command line has all the words."""
        return list(harness.children(self.process.pid, *words))

    def stop(self):
        """A clean stop; its log when it was not one."""
        status = self.process.stop(30)
        assert status == 0, f"exit status {status}\n{self.process.log()}"


class Watch(threading.Thread):
    """Calls look() again and again in a thread until stopped; its failure is the test's."""

    def __init__(self, look, every_s):
        super().__init__(daemon=True)
        self.look, self.every_s = look, every_s
        self.ended = threading.Event()
        self.error = None
        self.start()

    def run(self):
        try:
            while not self.ended.is_set():
                self.look()
                if self.every_s:
                    time.sleep(self.every_s)
        except Exception as error:  # pylint: disable=broad-except
            self.error = error

    def stop(self):
        self.ended.set()
        self.join()
        if self.error is not None:
            raise self.error


class Vectors:
    """Every feature vector seen in Redis, by its place (epoch, seq)."""

    def __init__(self, up):
        self.client = up.redis()
        self.seen = {}
        self.watch = Watch(self._look, 0.01)

    def _look(self):
        epoch, seq, as_of, vec = self.client("HMGET", KEYS[3], "vec_epoch", "vec_seq",
                                             "as_of_us", "vec")
        if vec is not None:
            place = (int(epoch), int(seq))
            value = (int(as_of), as_bytes(vec))
            assert self.seen.setdefault(place, value) == value, f"two vectors at {place}"

    def stop(self):
        self.watch.stop()
        return self.seen


def predictions(client):
    """The predictions stream: [(slot, fields)] in stream order."""
    out = []
    for entry_id, flat in client("XRANGE", f"predictions:{SYMBOL}", "-", "+"):
        out.append((int(entry_id.split("-")[0]), dict(zip(flat[::2], flat[1::2]))))
    return out


def check_every_slot(published):
    """No hole and no double from the first to the last; (slots, worst age)."""
    slots = [slot for slot, _ in published]
    assert slots, "no prediction at all"
    expected = list(range(slots[0], slots[0] + len(slots)))
    assert slots == expected, f"slots {slots}"
    for slot, fields in published:
        assert int(fields["slot"]) == slot and int(fields["timestamp"]) == slot * SLOT_MS
    return len(slots)


def read_csv(path):
    with open(path, newline="") as f:
        return list(csv.DictReader(f))


def read_bytes(path):
    with open(path, "rb") as f:
        return f.read()


def replay(source, *words):
    """The summary of a replay."""
    status, out, err = harness.run("replay", source, *words, "--json", timeout_s=600)
    assert status == 0, err
    return json.loads(out)


Compared = collections.namedtuple("Compared", "vectors predictions published")


class Replayed:
    """A recording of a running system, replayed, to compare with what was live."""

    def __init__(self, file):
        folder = harness.temp_dir()
        features = os.path.join(folder, "features.csv")
        made = os.path.join(folder, "predictions.csv")
        status, out, err = harness.run("replay", file, "--features", features, "--predictions",
                                       made, "--json")
        assert status == 0, err
        self.summary = json.loads(out)
        self.features = {int(row["slot"]): row for row in read_csv(features)}
        self.predictions = {int(row["slot"]): row for row in read_csv(made)}

    def check(self, published, vectors):
        """Every prediction that was made from features, and every vector that was seen live
        at its place: equal, byte for byte, and none that was not published."""
        assert self.summary["slots_unplaced"] == 0 and self.summary["damaged"] == 0, self.summary
        made = [(slot, fields) for slot, fields in published if int(fields["seq"]) != 0]
        compared = 0
        for slot, fields in made:
            self._check_prediction(slot, fields)
            seen = vectors.get((int(fields["ingest_epoch"]), int(fields["seq"])))
            if seen is not None:
                self._check_vector(slot, *seen)
                compared += 1
        slots = {slot for slot, _ in made}
        extra = [s for s in self.predictions if s <= published[-1][0] and s not in slots]
        assert not extra, f"replayed and never published: {extra}"
        return Compared(compared, len(made), len(published))

    def _check_prediction(self, slot, fields):
        row = self.predictions.get(slot)
        assert row is not None, f"slot {slot} was published and is not replayed: {fields}"
        for name, value in row.items():
            assert fields[name] == value, f"slot {slot} {name}: {fields[name]} live, {value} now"
        assert set(fields) - set(row) == MEASURED, set(fields) - set(row)

    def _check_vector(self, slot, as_of_us, vec):
        row = self.features[slot]
        names = list(row)[5:]
        assert len(vec) == 8 + 4 * len(names)
        # %.9g of a float32 gives it back exactly.
        again = vec[:8] + struct.pack(f"<{len(names)}f", *[float(row[n]) for n in names])
        assert again == vec, f"slot {slot}: another vector"
        assert int(row["as_of_us"]) == as_of_us
