# SPDX-License-Identifier: Apache-2.0
"""The fault table (DESIGN.md section 10, "Frames" and "Connection", and kill -9 of each hot
service): the whole system runs, faults are injected one after the other, and each has to be
counted by the exchange (injected) and by us (detected), to cost no slot, and to leave the book
as the exchange's. One table at the end; a wrong cell fails the test.

Missed slots: every slot between the first and the last one seen in predictions:BTCUSDT has to be
there, read as they appear. A killed Redis forgets the stream (the private one keeps nothing on
disk); then the slots from the kill on are appended from the replicas' outboxes, so that the stream
before the kill and the stream after it together have no hole.

BTCAST_LONG=1 goes through the table three times."""
import http.client
import json
import os
import signal
import ssl
import subprocess
import threading
import time
from decimal import Decimal

import harness as h

SYMBOL = "BTCUSDT"
SLOT_S = 2
MALFORMED = "ingestor_sbe_malformed_total"
GAPS = "ingestor_sbe_sequence_gaps_total"
RECONNECTIONS = "ingestor_sbe_reconnections_total"
ROUNDS = 3 if os.environ.get("BTCAST_LONG") else 1


class Slots:
    """Every record of predictions:BTCUSDT as it appears, over restarts of Redis."""

    def __init__(self, path):
        self.path, self.seen, self.conflicts = path, {}, []
        self.stopping, self.forgotten = False, 0
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        redis, last = None, "-"
        while not self.stopping:
            try:
                if redis is None:
                    redis, last = h.Redis(self.path, timeout_s=1), "-"
                for entry, fields in redis("XRANGE", f"predictions:{SYMBOL}", last, "+"):
                    self._take(int(entry.split("-")[0]), dict(zip(fields[::2], fields[1::2])))
                    last = "(" + entry
            except (OSError, h.RedisError, ConnectionError):
                redis, self.forgotten = None, self.forgotten + 1
            time.sleep(0.05)

    def _take(self, slot, record):
        known = self.seen.setdefault(slot, record)
        if known != record:
            self.conflicts.append((slot, known, record))

    def newest(self):
        return max(self.seen, default=0)

    def missing(self, first, last):
        return [slot for slot in range(first, last + 1) if slot not in self.seen]

    def wait(self, slot, timeout_s=15):
        h.wait_until(lambda: self.newest() >= slot, f"slot {slot} is published", timeout_s)

    def stop(self):
        self.stopping = True
        self.thread.join()


class Exchange:
    """The control side of exchange-sim, over one connection that is kept."""

    def __init__(self, port, tls=None):
        self.port, self.tls, self.link = port, tls, None

    def ask(self, method, path, order=None):
        for last in (False, True):
            try:
                if self.link is None:
                    self.link = (http.client.HTTPSConnection("localhost", self.port, timeout=5,
                                                             context=self.tls) if self.tls else
                                 http.client.HTTPConnection("localhost", self.port, timeout=5))
                self.link.request(method, path, None if order is None else json.dumps(order))
                reply = self.link.getresponse()
                return reply.status, json.loads(reply.read())
            except (OSError, http.client.HTTPException):
                self.link = None
                if last:
                    raise

    def alive(self):
        try:
            return self.ask("GET", "/live")[0] == 200
        except (OSError, http.client.HTTPException):
            return False

    def state(self):
        return self.ask("GET", "/control/state")[1]

    def hits(self, name):
        state = self.state()
        if name == "expired":
            return state["counters"]["expired"]
        return state["faults"][name]["hits"]

    def fault(self, name, **members):
        status, reply = self.ask("POST", "/control/faults", dict(members, fault=name))
        assert status == 200, reply

    def book(self, update_id):
        status, reply = self.ask("GET", f"/control/book?id={update_id}")
        return reply if status == 200 else None


class Scene:
    """What rows need of a running system: ports, the hot state, the exchange, the slots."""

    def __init__(self, offset, redis_path, exchange):
        self.offset, self.redis_path, self.exchange = offset, redis_path, exchange
        self.slots = Slots(redis_path)
        self.rows = []

    def metric(self, service, name):
        return h.metric(h.PORTS[service] + self.offset, name) or 0

    def hot_state(self):
        """Book and features of one moment, None while Redis or they are away."""
        try:
            redis = h.Redis(self.redis_path, timeout_s=1)
            redis("MULTI")
            redis("HGETALL", f"ob:{SYMBOL}")
            redis("HGETALL", f"feat:{SYMBOL}")
            flat = redis("EXEC")
            redis.close()
        except (OSError, h.RedisError, ConnectionError):
            return None
        book, features = (dict(zip(f[::2], f[1::2])) for f in flat)
        return (book, features) if "last_update_id" in book else None

    def compare(self, after_id):
        """None until the book is live and newer than after_id, else whether all 40 level fields
        are the exchange's."""
        state = self.hot_state()
        if not state or state[1].get("book_live") != "1":
            return None
        book = state[0]
        update_id = int(book["last_update_id"])
        true = self.exchange.book(update_id) if update_id > after_id else None
        if true is None:
            return None
        fields = 0
        for side, levels in (("bid", true["bids"]), ("ask", true["asks"])):
            for i, (price, qty) in enumerate(levels, 1):
                for part, value in (("p", price), ("q", qty)):
                    fields += 1
                    name = f"{side}{i}_{part}"
                    if Decimal(book[name]) != Decimal(str(value)):
                        return f"{name} at {update_id}: {book[name]}, exchange {value}"
        return "equal" if fields == 40 else f"{fields} fields"

    def check_book(self, timeout_s):
        """Three comparisons at three ids that came after now."""
        after_id = self.exchange.state()["book_id"]
        for _ in range(3):
            try:
                verdict = h.wait_until(lambda: self.compare(after_id), "the book is back",
                                       timeout_s)
            except AssertionError:
                return "not back"
            if verdict != "equal":
                return verdict
            after_id = int(self.hot_state()[0]["last_update_id"])
        return "equal"

    def row(self, name, inject, injected, detector, detected, wanted=1, exact=False, book_s=12,
            slots=1):
        """inject() acts; injected() has to move by `wanted` at least and detected() by one
        (exact: by the same). The row ends when the book is right and `slots` more slots are
        there."""
        first = self.slots.newest() + 1
        was_injected, was_detected = injected(), detected()
        inject()
        row = {"name": name, "detector": detector, "first": first, "exact": exact,
               "wanted": wanted}
        self.rows.append(row)

        def moved():
            row["injected"] = injected() - was_injected
            row["detected"] = detected() - was_detected
            return row["injected"] >= wanted and row["detected"] > 0 and (
                not exact or row["injected"] == row["detected"])

        try:
            h.wait_until(moved, name, 12)
        except AssertionError:
            pass # the table shows it
        row["book"] = self.check_book(book_s)
        try:
            self.slots.wait(max(first, self.slots.newest()) + slots - 1)
        except AssertionError:
            pass
        row["last"] = max(self.slots.newest(), first)

    def fault_row(self, name, orders, detector, service="sbe-ingestor", fault=None, **how):
        """Faults of the exchange: orders are (fault, members); the first one's hits count."""
        fault = fault or orders[0][0] # "expired": the exchange does it by itself

        def inject():
            for order, members in orders:
                self.exchange.fault(order, **members)

        self.row(name, inject, lambda: self.exchange.hits(fault), detector,
                 lambda: self.metric(service, detector), **how)


def print_table(title, scene):
    """Prints and judges; the list of what is wrong."""
    wrong = []
    print(f"\n{title}\n{'fault':34} {'injected':>8} {'detected':>8}  {'missed':>6}  "
          "book      detected by")
    for row in scene.rows:
        missing = scene.slots.missing(row["first"], row["last"])
        if missing or row["last"] not in scene.slots.seen:
            wrong.append(f"{row['name']}: missing slots {missing or [row['last']]}")
        if (row["injected"] < row["wanted"] or row["detected"] <= 0 or
                row["exact"] and row["injected"] != row["detected"]):
            wrong.append(f"{row['name']}: injected {row['injected']} of {row['wanted']}, "
                         f"detected {row['detected']} by {row['detector']}")
        if row["book"] != "equal":
            wrong.append(f"{row['name']}: book {row['book']}")
        print(f"{row['name']:34} {row['injected']:8.0f} {row['detected']:8.0f}  "
              f"{len(missing):6}  {row['book'][:9]:9} {row['detector']}")
    seen = scene.slots.seen
    holes = scene.slots.missing(min(seen), max(seen))
    print(f"{len(seen)} slots from {min(seen)} to {max(seen)}, {len(holes)} missing, "
          f"{len(scene.slots.conflicts)} doubly published")
    if holes:
        wrong.append(f"slots missing between first and last: {holes}")
    if scene.slots.conflicts:
        wrong.append(f"slots published twice: {scene.slots.conflicts}")
    return wrong


# --- one machine: `btcast up` -----------------------------------------------------------------

class Up(Scene):
    """`btcast up` with the simulated exchange, short watchdogs, and a Redis that can be made to
    take its time to come back."""

    def __init__(self):
        folder = h.temp_dir()
        self.delay = os.path.join(folder, "redis-delay")
        server = self._write(folder, "redis.sh", f"""#!/bin/sh
[ -s {self.delay} ] && sleep "$(cat {self.delay})"
exec redis-server "$@"
""")
        os.chmod(server, 0o755)
        ingestor = self._write(folder, "ingestor.yaml",
                               "service: sbe-ingestor\nwatchdog_ms: 500\n")
        offset = h.free_port_offset()
        self.data = os.path.join(folder, "data")
        self.process = h.start("up", "--data", self.data, "--port-offset", offset,
                               "--set", f"config.sbe_ingestor={ingestor}",
                               "--set", f"redis.server={server}")
        exchange = Exchange(h.PORTS["exchange-sim"] + offset)
        h.wait_until(exchange.alive, "the exchange answers")
        super().__init__(offset, os.path.join(self.data, "run", "redis.sock"), exchange)
        h.wait_until(lambda: self.compare(0) == "equal" and self.slots.newest(),
                     "a synced book and a prediction", 20)

    @staticmethod
    def _write(folder, name, text):
        path = os.path.join(folder, name)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        return path

    def pid(self, *words):
        """The supervised process whose command line has these words."""
        with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children",
                  encoding="ascii") as f:
            pids = f.read().split()
        for pid in pids:
            try:
                with open(f"/proc/{pid}/cmdline", encoding="utf-8") as f:
                    line = f.read().split("\0")
            except (FileNotFoundError, ProcessLookupError):
                continue # it ended meanwhile
            if all(word in line or word in line[0] for word in words):
                return int(pid)
        return None

    def deaths(self, *names):
        """How often the supervisor has seen them killed."""
        log = self.process.log()
        return sum(log.count(f"event=exited process={name} signal=9 ") for name in names)

    def kill_row(self, name, victims, at_slot=False, **how):
        """victims: supervisor's name -> words of the command line. Killed all at once: when a
        slot has just been published, or in the very moment of a slot."""
        killed = [0]

        def inject():
            pids = [self.pid(*words) for words in victims.values()]
            if at_slot:
                time.sleep(SLOT_S - time.time() % SLOT_S)
            else:
                self.slots.wait(self.slots.newest() + 1)
            for pid in pids:
                os.kill(pid, signal.SIGKILL)
                killed[0] += 1
            h.wait_until(lambda: all(self.pid(*words) not in (None, *pids)
                                     for words in victims.values()), f"{name}: restarted", 10)

        self.row(name, inject, lambda: killed[0], "up: exited signal=9, restarting",
                 lambda: self.deaths(*victims), wanted=len(victims), exact=True, **how)

    def stop(self):
        self.slots.stop()
        status = self.process.stop()
        assert status == 0, self.process.log()


# --- the services by themselves, over TLS -----------------------------------------------------

class Tls(Scene):
    """Source `binance`: TLS for streams and REST, a key, a connection that lives 8 s."""

    def __init__(self):
        self.folder = h.temp_dir()
        cert, key = (os.path.join(self.folder, name) for name in ("cert.pem", "key.pem"))
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key, "-out", cert,
                        "-days", "2", "-subj", "/CN=localhost", "-addext",
                        "subjectAltName=DNS:localhost"], check=True, capture_output=True)
        self.redis = h.RedisServer()
        self.processes = []
        offset = h.free_port_offset()
        port = h.PORTS["exchange-sim"] + offset
        self._start(offset, "exchange-sim", f"server.tls_cert={cert}", f"server.tls_key={key}",
                    "server.require_key=true", "server.life_s=8", redis=False)
        exchange = Exchange(port, ssl.create_default_context(cafile=cert))
        h.wait_until(exchange.alive, "the exchange answers over TLS")
        self._start(offset, "re-anchor-service", f"rest_url=https://localhost:{port}",
                    f"tls.ca_file={cert}")
        self._start(offset, "aggregator")
        self._start(offset, "sbe-ingestor", "source=binance", f"tls_ca_file={cert}",
                    f"source_url=wss://localhost:{port}", "watchdog_ms=500")
        for replica, name in ((1, "inference"), (2, "inference-2")):
            self._start(offset, "inference", f"replica={replica}", f"http.port={h.PORTS[name]}")
        super().__init__(offset, self.redis.path, exchange)
        h.wait_until(lambda: self.compare(0) == "equal" and self.slots.newest(),
                     "a synced book and a prediction", 20)

    def _start(self, offset, service, *settings, redis=True):
        words = [service, "--port-offset", offset, "--data",
                 os.path.join(self.folder, f"{service}-{len(self.processes)}")]
        for setting in settings + ((f"redis.target={self.redis.target}",) if redis else ()):
            words += ["--set", setting]
        self.processes.append(h.start(*words, env={"BINANCE_API_KEY": "a-key"}))

    def stop(self):
        self.slots.stop()
        for process in reversed(self.processes):
            assert process.stop() == 0, process.log()
        self.redis.stop()


def tls_rows(tls):
    tls.fault_row("24 h cut (close 1001)", [], RECONNECTIONS + '{cause="closed"}',
                  fault="expired")
    tls.fault_row("TLS failure", [("tls_fail", {"ms": 1500}), ("cut", {})],
                  RECONNECTIONS + '{cause="failed"}')


# --- rows -------------------------------------------------------------------------------------

def frame_rows(up):
    """Each on the next 40 messages of whatever stream, so that all four have some."""
    for name, detector in [
            ("truncate", MALFORMED), ("longer_block", "ingestor_sbe_extended_total"),
            ("unknown_template", MALFORMED + '{cause="template"}'),
            ("wrong_schema", MALFORMED + '{cause="schema"}'), ("absurd_count", MALFORMED),
            ("null_sentinel", MALFORMED + '{cause="null_value"}'),
            ("foreign_symbol", MALFORMED + '{cause="symbol"}'),
            ("duplicate", "ingestor_duplicates_total")]:
        up.fault_row(name, [(name, {"count": 40})], detector, wanted=40, exact=True)
    for stream in ("depth", "trade"):
        detector = GAPS + f'{{message_type="{stream}"}}'
        up.fault_row(f"reorder ({stream})", [("reorder", {"count": 1, "stream": stream})], detector)
        up.fault_row(f"drop ({stream})", [("drop", {"count": 1, "stream": stream})], detector,
                     exact=True)


def connection_rows(up):
    up.fault_row("refused", [("refuse", {"ms": 1500}), ("cut", {})],
                 RECONNECTIONS + '{cause="failed"}')
    up.fault_row("silent stall", [("stall", {"ms": 4000})], RECONNECTIONS + '{cause="silent"}')
    up.fault_row("half-open", [("half_open", {"ms": 4000})], RECONNECTIONS + '{cause="silent"}')
    up.fault_row("cut (reset)", [("cut", {})], RECONNECTIONS + '{cause="closed"}')
    gaps = up.metric("sbe-ingestor", GAPS)
    up.fault_row("serverShutdown", [("server_shutdown", {"ms": 2500})],
                 RECONNECTIONS + '{cause="shutdown"}')
    assert up.metric("sbe-ingestor", GAPS) == gaps, "make-before-break has lost something"


def slow_row(up, lost):
    """The anchor that waited for the slow reply took as long as that was slow."""
    name = "aggregator_reanchor_duration_seconds_sum"
    before = up.metric("re-anchor-service", name)

    def inject():
        up.exchange.fault("http_slow", ms=2000, count=1)
        up.exchange.fault(lost[0], **lost[1])

    up.row("REST slow reply (2 s)", inject, lambda: up.exchange.hits("http_slow"),
           name + " >= 2", lambda: int(up.metric("re-anchor-service", name) - before >= 2),
           exact=True)


def rest_rows(up):
    """A lost diff makes the re-anchor service ask; REST fails as ordered."""
    lost = ("drop", {"count": 1, "stream": "depth"})
    error = 'reanchor_rest_calls_total{status="error"}'
    for status in (429, 418, 500, 503):
        up.fault_row(f"REST {status}",
                     [("http_status", {"status": status, "retry_after": 1, "count": 1}), lost],
                     error, "re-anchor-service", exact=True)
    up.fault_row("REST partial reply", [("http_partial", {"count": 1}), lost], error,
                 "re-anchor-service", exact=True)
    slow_row(up, lost)
    up.fault_row("snapshot older than the buffer",
                 [("stale_snapshot", {"ids": 20000, "count": 1}), lost],
                 'aggregator_reanchor_operations_total{status="old"}', "aggregator", exact=True)


def kill_rows(up):
    first = ("inference", f"http.port={h.PORTS['inference']}")
    second = ("inference", f"http.port={h.PORTS['inference-2']}")
    up.kill_row("kill -9 sbe-ingestor", {"sbe-ingestor": ["sbe-ingestor"]})
    up.kill_row("kill -9 aggregator", {"aggregator": ["aggregator"]})
    up.kill_row("kill -9 inference 1", {"inference": first})
    up.kill_row("kill -9 inference 1 at the slot", {"inference": first}, at_slot=True)
    up.kill_row("kill -9 inference 2", {"inference-2": second})
    up.kill_row("kill -9 both inference", {"inference": first, "inference-2": second}, slots=2)
    up.kill_row("kill -9 re-anchor-service", {"re-anchor-service": ["re-anchor-service"]})
    up.kill_row("kill -9 redis-server", {"redis": ["redis-server"]}, slots=2)


def redis_outage_row(up):
    """Redis is away over at least two slots: the replicas serve on and append them afterwards."""
    with open(up.delay, "w", encoding="ascii") as f:
        f.write("4.5")
    up.kill_row("kill -9 redis-server, away 4.5 s", {"redis": ["redis-server"]}, slots=2)
    os.unlink(up.delay)
    served = [r for r in up.slots.seen.values() if r["source"] == "fallback"]
    assert len(served) >= 2, "no slot was made without Redis"


def run_rows(title, scene, *parts):
    """All rows, and afterwards a prediction from live state."""
    try:
        for _ in range(ROUNDS):
            for part in parts:
                part(scene)
        h.wait_until(lambda: scene.slots.seen[scene.slots.newest()]["mode"] == "live",
                     "a live prediction at the end", 10)
    finally:
        wrong = print_table(title, scene)
        scene.stop()
    assert not wrong, "\n".join(wrong)


def test_frames_connections_rest_and_killed_services():
    run_rows("faults of `btcast up`", Up(), frame_rows, connection_rows, rest_rows, kill_rows,
             redis_outage_row)


def test_tls_and_the_longest_life_of_a_connection():
    run_rows("faults over TLS", Tls(), tls_rows)


h.run_tests(globals())
