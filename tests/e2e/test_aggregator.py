# SPDX-License-Identifier: Apache-2.0
"""The aggregator and the re-anchor service as processes, on real market data: the capture is
replayed by the ingestor at its own pace, the exchange's REST side is a small server here that
keeps the same book."""
import gzip
import http.server
import json
import os
import signal
import threading
import time
from decimal import Decimal

import harness
from harness import wait_until

CAPTURE = os.path.join(harness.DATA, "capture", "binance-spot-btcusdt-20240808.jsonl.gz")
SYMBOL = "BTCUSDT"
KEYS = [f"ob:{SYMBOL}", f"tr:{SYMBOL}:1s", f"tr:{SYMBOL}:5s", f"feat:{SYMBOL}"]
FIELDS = {
    KEYS[0]: ["best_bid", "best_ask", "spread", "ts_us", "last_update_id"] +
             [f"{side}{i}_{part}" for side in ("bid", "ask") for i in range(1, 11)
              for part in "pq"],
    KEYS[1]: ["count", "vol", "signed_vol", "vwap_minus_mid", "interarr_mean", "interarr_var",
              "last_ts_us"],
    KEYS[2]: ["count", "vol", "signed_vol", "vwap_minus_mid", "last_ts_us"],
    KEYS[3]: ["ret_1s", "ret_5s", "vol_imbalance", "spread_bp", "ob_imbalance",
              "trade_intensity", "ts"],
}
INFO = {"rateLimits": [{"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE",
                        "intervalNum": 1, "limit": 6000}],
        "symbols": [{"symbol": SYMBOL, "status": "TRADING", "filters": []}]}


class Exchange:
    """The capture's book after each of its update ids, and the REST depth of now."""

    def __init__(self):
        self.books = {}      # update id -> (bids, asks), ten levels a side
        self.snapshots = []  # (seconds from the start, update id, bids, asks), whole
        self.calls = 0
        self.status = 200
        self.lock = threading.Lock()
        self.started = None
        self._read()
        exchange = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):  # pylint: disable=invalid-name
                exchange.answer(self)

            def log_message(self, *_words):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def _read(self):
        diffs, book, first_ns = [], None, None
        with gzip.open(CAPTURE, "rt") as lines:
            for line in lines:
                stamp, text = line.split(" ", 1)
                first_ns = first_ns or int(stamp)
                at_s = (int(stamp) - first_ns) / 1e9
                if at_s > 60:
                    break
                value = json.loads(text)
                if "lastUpdateId" in value:
                    book = ({}, {})
                    self._apply(book, value["bids"], value["asks"])
                    self._keep(at_s, value["lastUpdateId"], book)
                    for diff in diffs:
                        self._diff(book, value["lastUpdateId"], *diff)
                elif "depth" in value.get("stream", ""):
                    diffs.append((at_s, value["data"]))
                    if book is not None:
                        self._diff(book, self.snapshots[-1][1], at_s, value["data"])

    def _diff(self, book, known_id, at_s, data):
        if data["u"] <= known_id:
            return
        self._apply(book, data["b"], data["a"])
        self._keep(at_s, data["u"], book)

    @staticmethod
    def _apply(book, bids, asks):
        for side, levels in zip(book, (bids, asks)):
            for price, qty in levels:
                if Decimal(qty) == 0:
                    side.pop(price, None)
                else:
                    side[price] = qty

    def _keep(self, at_s, update_id, book):
        bids = sorted(book[0].items(), key=lambda level: -Decimal(level[0]))[:1000]
        asks = sorted(book[1].items(), key=lambda level: Decimal(level[0]))[:1000]
        self.books[update_id] = (bids[:10], asks[:10])
        self.snapshots.append((at_s, update_id, bids, asks))

    def _depth(self):
        elapsed = time.monotonic() - self.started
        past = [s for s in self.snapshots if s[0] <= elapsed] or self.snapshots[:1]
        _, update_id, bids, asks = past[-1]
        return {"lastUpdateId": update_id, "bids": bids, "asks": asks}

    def answer(self, handler):
        """Counts snapshots; of trades and klines it knows nothing."""
        path = handler.path.split("?")[0].rsplit("/", 1)[-1]
        with self.lock:
            self.calls += path == "depth"
            status = self.status
        value = {"depth": self._depth, "exchangeInfo": lambda: INFO}.get(path, list)()
        body = json.dumps(value).encode()
        handler.send_response(status)
        if status == 429:
            handler.send_header("Retry-After", "1")
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)


class System:
    """Redis, ingestor, aggregator and re-anchor service."""

    def __init__(self, exchange):
        self.exchange = exchange
        self.redis = harness.RedisServer()
        self.offset = harness.free_port_offset()
        self.port = harness.PORTS["aggregator"] + self.offset
        self.anchor_port = harness.PORTS["re-anchor-service"] + self.offset
        self.folder = harness.temp_dir()
        exchange.started = time.monotonic()
        exchange.calls = 0
        exchange.status = 200
        self.anchor = self.start("re-anchor-service",
                                 f"rest_url=http://127.0.0.1:{exchange.port}")
        self.aggregator = self.start("aggregator")
        self.ingestor = self.start("sbe-ingestor", "source=replay", f"replay.file={CAPTURE}")
        self.client = self.redis.client()

    def start(self, service, *settings):
        words = [service, "--port-offset", self.offset, "--data", self.folder,
                 "--set", f"redis.target={self.redis.target}"]
        for setting in settings:
            words += ["--set", setting]
        return harness.start(*words)

    def read(self):
        """The four hashes of one moment."""
        self.client("MULTI")
        for key in KEYS:
            self.client("HGETALL", key)
        return [dict(zip(flat[::2], flat[1::2])) for flat in self.client("EXEC")]

    def live(self):
        book, _, _, feat = self.read()
        return feat.get("book_live") == "1" and "vec" in feat and "bid10_p" in book

    def stop(self):
        for process in (self.ingestor, self.aggregator, self.anchor):
            if process.alive():
                assert process.stop() == 0, process.log()
        self.client.close()
        self.redis.stop()


def check_book(exchange, book):
    """All 40 level fields are the exchange's at this update id."""
    expected = exchange.books.get(int(book["last_update_id"]))
    if expected is None:
        return 0
    for side, levels in zip(("bid", "ask"), expected):
        for i, (price, qty) in enumerate(levels, 1):
            assert Decimal(book[f"{side}{i}_p"]) == Decimal(price), (side, i, book)
            assert Decimal(book[f"{side}{i}_q"]) == Decimal(qty), (side, i, book)
    return 1


EXCHANGE = None


def started():
    global EXCHANGE  # pylint: disable=global-statement
    EXCHANGE = EXCHANGE or Exchange()
    system = System(EXCHANGE)
    wait_until(system.live, "a live book in Redis")
    return system


def test_real_data_becomes_the_hot_state():
    system = started()
    compared = reads = 0
    ids = set()
    end = time.monotonic() + 8
    last_seq = 0
    while time.monotonic() < end:
        hashes = system.read()
        places = {(h["epoch"], h["seq"]) for h in hashes}
        assert len(places) == 1, places
        seq = int(hashes[0]["seq"])
        assert seq >= last_seq
        last_seq = seq
        book = hashes[0]
        assert Decimal(book["best_bid"]) < Decimal(book["best_ask"])
        assert Decimal(book["spread"]) == Decimal(book["best_ask"]) - Decimal(book["best_bid"])
        compared += check_book(system.exchange, book)
        ids.add(book["last_update_id"])
        reads += 1
    print(f"        {reads} reads, {compared} books ({len(ids)} update ids) compared with the "
          f"exchange's, 0 differences")
    assert compared > 1000 and len(ids) > 60
    for key, values in zip(KEYS, system.read()):
        missing = [name for name in FIELDS[key] if name not in values]
        assert not missing, (key, missing)
    assert system.client("TTL", KEYS[0]) == -1
    for key, ttl in zip(KEYS[1:], (300, 300, 120)):
        assert ttl - 3 <= system.client("TTL", key) <= ttl
    assert system.exchange.calls == 1
    health = harness.get_json(system.port, "/health")
    assert health["status"] == "healthy", health
    assert set(health["components"]) >= {"kinesis_consumers", "redis_cluster", "feature_pipeline",
                                         "reanchor_system"}
    assert harness.http_ask(system.port, "/ready")[0] == 200
    assert harness.metric(system.port, "aggregator_feature_updates_total") > 50
    assert harness.metric(system.port, "aggregator_frame_to_flush_seconds_count") > 100
    assert harness.metric(system.anchor_port,
                          'aggregator_reanchor_operations_total{status="success"}') == 1
    system.stop()


def test_a_killed_aggregator_is_back_without_rest():
    system = started()
    time.sleep(1.5)
    system.aggregator.kill()
    before = int(system.read()[0]["seq"])
    begin = time.monotonic()
    system.aggregator = system.start("aggregator")
    wait_until(lambda: int(system.read()[0]["seq"]) > before + 5, "the state moves on")
    print(f"        back after {time.monotonic() - begin:.2f} s")
    assert system.read()[3]["book_live"] == "1"
    assert system.exchange.calls == 1
    assert "event=restored" in system.aggregator.log()
    system.stop()


def test_a_standby_takes_over_and_the_stopped_writer_is_refused():
    system = started()
    standby = harness.start("aggregator", "--port-offset", system.offset + 1, "--data",
                            system.folder, "--set", f"redis.target={system.redis.target}",
                            "--set", "consumer=standby")
    wait_until(lambda: harness.http_ask(system.port + 1, "/ready")[0] == 200, "the standby is ready")
    time.sleep(1)
    writer = system.read()[3]["writer"]
    system.aggregator.signal(signal.SIGSTOP)
    begin = time.monotonic()
    wait_until(lambda: system.read()[3]["writer"] > writer, "the standby writes", 5)
    took_s = time.monotonic() - begin
    print(f"        took over after {took_s:.2f} s")
    writer = system.read()[3]["writer"]
    system.aggregator.signal(signal.SIGCONT)
    wait_until(lambda: harness.metric(system.port, "aggregator_writes_fenced_total"),
               "the former writer is refused")
    time.sleep(0.5)
    hashes = system.read()
    assert hashes[3]["writer"] == writer
    assert hashes[3]["book_live"] == "1"
    assert system.exchange.calls == 1
    assert standby.stop() == 0
    system.stop()


def test_an_operator_forces_an_anchor():
    system = started()
    status, out, err = harness.run("reanchor", SYMBOL, "--port-offset", system.offset)
    assert status == 0 and "accepted" in out, (status, out, err)
    wait_until(lambda: system.client("XLEN", f"market-control:{SYMBOL}") == 2,
               "a second anchor in the control stream")
    wait_until(lambda: system.client("XLEN", "reanchor-events") == 2, "its audit record")
    hashes = system.read()
    assert hashes[3]["book_live"] == "1"
    assert system.client("TTL", KEYS[0]) == -1
    status, _, err = harness.run("reanchor", "ETHUSDT", "--port-offset", system.offset)
    assert status == 1 and "404" in err, (status, err)
    assert harness.run("reanchor")[0] == 2
    system.stop()


def test_a_limited_exchange_is_left_in_peace():
    global EXCHANGE  # pylint: disable=global-statement
    EXCHANGE = EXCHANGE or Exchange()
    system = System(EXCHANGE)
    EXCHANGE.status = 429
    wait_until(lambda: EXCHANGE.calls >= 1, "a first call")
    time.sleep(1.5)
    assert EXCHANGE.calls == 1
    health = harness.get_json(system.anchor_port, "/health")
    assert health["status"] == "degraded", health
    EXCHANGE.status = 200
    wait_until(system.live, "a live book in Redis")
    assert EXCHANGE.calls <= 3
    system.stop()


def test_mistakes_are_one_clear_line():
    offset = harness.free_port_offset()
    for service in ("aggregator", "re-anchor-service"):
        status, _, err = harness.run(service, "--port-offset", offset, "--set",
                                     "redis.target=unix:/nonexistent/redis.sock", "--set",
                                     "require_redis=true")
        assert status == 1, (status, err)
        assert "cannot be reached" in err, err
        status, _, err = harness.run(service, "--set", "symbl=BTCUSDT")
        assert status == 2 and "symbl" in err, (status, err)
    status, _, err = harness.run("aggregator", "--port-offset", offset, "--set",
                                 "lease.renew_ms=1000")
    assert status == 2 and "lease.renew_ms" in err, (status, err)


if __name__ == "__main__":
    if not os.path.exists(CAPTURE):
        harness.skip(f"{CAPTURE} is not there")
    harness.run_tests(globals())
