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
import os
import re
import signal
import ssl
import subprocess
import time

import harness as h
from scene import Exchange, Scene

SLOT_S = 2
MALFORMED = "ingestor_sbe_malformed_total"
GAPS = "ingestor_sbe_sequence_gaps_total"
RECONNECTIONS = "ingestor_sbe_reconnections_total"
ROUNDS = 3 if os.environ.get("BTCAST_LONG") else 1


class Table(Scene):
    """A scene with a table of faults."""

    def __init__(self, offset, redis_path, exchange):
        super().__init__(offset, lambda: h.Redis(redis_path, timeout_s=1), exchange)
        self.rows = []

    def row(self, name, inject, injected, detector, detected, wanted=1, exact=False, book_s=12,
            slots=1):
        """inject() acts; injected() has to move by `wanted` at least and detected() by one
        (exact: by the same). The row ends when the book is right and `slots` slots from the fault on are
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
            self.slots.wait(first + slots - 1)
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

class Up(Table):
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
        self.process = h.start("up", "--postgres", "none", "--data", self.data, "--port-offset",
                               offset,
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
        return next(iter(h.children(self.process.pid, *words)), None)

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
            for pid in pids:
                os.kill(pid, signal.SIGKILL)
                killed[0] += 1
            h.wait_until(lambda: all(self.pid(*words) not in (None, *pids)
                                     for words in victims.values()), f"{name}: restarted", 10)

        if not at_slot:
            self.slots.wait(self.slots.newest() + 1)
        self.row(name, inject, lambda: killed[0], "up: exited signal=9, restarting",
                 lambda: self.deaths(*victims), wanted=len(victims), exact=True, **how)

    def stop(self):
        self.slots.stop()
        status = self.process.stop()
        assert status == 0, self.process.log()


# --- the services by themselves, over TLS -----------------------------------------------------

class Tls(Table):
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
    """The anchor that waited for the slow reply took as long as that was slow. Polls take
    orders as well, so there are enough for all that asks at that moment."""
    name = "aggregator_reanchor_duration_seconds_sum"
    before = up.metric("re-anchor-service", name)

    def inject():
        up.exchange.fault("http_slow", ms=2000, count=8)
        up.exchange.fault(lost[0], **lost[1])

    up.row("REST slow reply (2 s)", inject, lambda: up.exchange.hits("http_slow"),
           name + " >= 2", lambda: int(up.metric("re-anchor-service", name) - before >= 2))
    up.exchange.fault("clear")


def failed_calls(up):
    """REST calls that failed, whoever made them: the next one fails, and that need not be the
    re-anchor service's."""
    failed = 0
    for service in ("re-anchor-service", "rest-ingestor", "gap-detector"):
        _, page = h.http_ask(h.PORTS[service] + up.offset, "/metrics")
        for labels, count in re.findall(r"^\w*rest\w*calls_total{(.*)} (\d+)$", page, re.M):
            failed += int(count) if re.search('status="(error|refused|failed)"', labels) else 0
    return failed


def rest_rows(up):
    """A lost diff makes the re-anchor service ask; REST fails as ordered."""
    lost = ("drop", {"count": 1, "stream": "depth"})

    def failing_row(name, fault, **members):
        def inject():
            up.exchange.fault(fault, count=1, **members)
            up.exchange.fault(lost[0], **lost[1])

        up.row(name, inject, lambda: up.exchange.hits(fault), "REST calls failed",
               lambda: failed_calls(up))

    for status in (429, 418, 503):
        failing_row(f"REST {status}", "http_status", status=status, retry_after=1)
    failing_row("REST partial reply", "http_partial")
    slow_row(up, lost)
    old_row(up)


def old_row(up):
    """Refused by whoever knows first what the buffer begins with: the ask says it, but
    gap-detector's may be the first."""
    def inject():
        up.exchange.fault("stale_snapshot", ids=20000, count=1)
        up.exchange.fault("drop", count=1, stream="depth")

    def detected():
        return (up.metric("re-anchor-service", 'reanchor_snapshots_refused_total{reason="old"}') +
                up.metric("aggregator", 'aggregator_reanchor_operations_total{status="old"}'))

    up.row("snapshot older than the buffer", inject,
           lambda: up.exchange.hits("stale_snapshot"), "snapshots refused as old", detected,
           exact=True)


def kill_rows(up):
    first = ("inference", f"http.port={h.PORTS['inference']}")
    second = ("inference", f"http.port={h.PORTS['inference-2']}")
    up.kill_row("kill -9 sbe-ingestor", {"sbe-ingestor": ["sbe-ingestor"]})
    up.kill_row("kill -9 aggregator", {"aggregator": ["aggregator"]})
    up.kill_row("kill -9 inference 1", {"inference": first})
    up.kill_row("kill -9 inference 1 at the slot", {"inference": first}, at_slot=True)
    up.kill_row("kill -9 inference 2", {"inference-2": second})
    up.kill_row("kill -9 both inference", {"inference": first, "inference-2": second})
    up.kill_row("kill -9 re-anchor-service", {"re-anchor-service": ["re-anchor-service"]})
    up.kill_row("kill -9 redis-server", {"redis": ["redis-server"]})


def redis_outage_row(up):
    """Redis is away over at least two slots: the replicas serve on and append them afterwards."""
    with open(up.delay, "w", encoding="ascii") as f:
        f.write("4.5")
    up.kill_row("kill -9 redis-server, away 4.5 s", {"redis": ["redis-server"]}, slots=3)
    os.unlink(up.delay)
    made = [up.slots.seen.get(up.rows[-1]["first"] + i, {}).get("source") for i in range(2)]
    assert made == ["fallback"] * 2, f"the slots while Redis was away: {made}"


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
