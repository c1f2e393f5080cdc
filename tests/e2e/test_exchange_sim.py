#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The exchange simulator as a process: streams, rules, REST, faults, TLS, replay, captures."""
import base64
import http.client
import json
import os
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import time
import unittest

from harness import free_port

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BTCAST = os.environ.get("BTCAST") or os.path.join(ROOT, "build", "btcast")
CAPTURE = os.path.join(ROOT, "..", "shared", "data", "capture",
                       "binance-spot-btcusdt-20240808.jsonl.gz")
SBE_ALL = "/stream?streams=btcusdt@trade/btcusdt@bestBidAsk/btcusdt@depth/btcusdt@depth20"
TRADES, QUOTE, SNAPSHOT, DIFF = 10000, 10001, 10002, 10003
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
WAIT_S = 20


class Exchange:
    """A running `btcast exchange-sim`; stopped on leaving the with block."""

    def __init__(self, *words, tls=None):
        self.port, self.words, self.tls = free_port(), words, tls
        self.folder = tempfile.mkdtemp(prefix="btcast-sim-", dir="/tmp")

    def __enter__(self):
        self.log = open(os.path.join(self.folder, "log"), "wb")
        self.process = subprocess.Popen(
            [BTCAST, "exchange-sim", "--data", self.folder, "--set", f"http.port={self.port}",
             *self.words], stderr=self.log)
        end = time.monotonic() + WAIT_S
        while True:
            try:
                if self.get("/live")[0] == 200:
                    return self
            except (OSError, http.client.HTTPException):
                pass
            if self.process.poll() is not None or time.monotonic() > end:
                self.stop()
                raise AssertionError("exchange-sim does not start")
            time.sleep(0.02)

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.status = self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            self.status = None
        self.log.close()
        shutil.rmtree(self.folder)

    def connect(self):
        sock = socket.create_connection(("127.0.0.1", self.port), timeout=WAIT_S)
        if self.tls:
            sock = self.tls.wrap_socket(sock, server_hostname="localhost")
        return sock

    def request(self, method, path, body=None, headers=None):
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=WAIT_S)
        link.sock = self.connect()
        try:
            link.request(method, path, body, headers or {})
            reply = link.getresponse()
            return reply.status, reply.headers, reply.read()
        finally:
            link.close()

    def get(self, path, headers=None):
        status, head, body = self.request("GET", path, None, headers)
        return status, json.loads(body), head

    def post(self, path, **order):
        status, _, body = self.request("POST", path, json.dumps(order))
        return status, json.loads(body)

    def fault(self, **order):
        status, reply = self.post("/control/faults", **order)
        assert status == 200, reply

    def hits(self, fault):
        return self.get("/control/state")[1]["faults"][fault]["hits"]


class Socket:
    """A small WebSocket client that answers no ping unless asked to."""

    def __init__(self, exchange, path, headers=(), pongs=False):
        self.sock, self.pongs, self.buffer = exchange.connect(), pongs, b""
        key = base64.b64encode(os.urandom(16)).decode()
        lines = [f"GET {path} HTTP/1.1", "Host: x", "Upgrade: websocket", "Connection: Upgrade",
                 f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13", *headers, "", ""]
        self.sock.sendall("\r\n".join(lines).encode())
        try:
            while b"\r\n\r\n" not in self.buffer:
                self._more()
        except (OSError, EOFError):
            self.sock.close()
            raise
        head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        self.head = head.decode()
        self.status = int(self.head.split()[1])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def _more(self):
        data = self.sock.recv(1 << 20)
        if not data:
            raise EOFError
        self.buffer += data

    def _need(self, size):
        while len(self.buffer) < size:
            self._more()

    def frame(self):
        self._need(2)
        opcode, size, head = self.buffer[0] & 15, self.buffer[1], 2
        if size == 126:
            self._need(4)
            size, head = struct.unpack_from(">H", self.buffer, 2)[0], 4
        elif size == 127:
            self._need(10)
            size, head = struct.unpack_from(">Q", self.buffer, 2)[0], 10
        self._need(head + size)
        payload, self.buffer = self.buffer[head:head + size], self.buffer[head + size:]
        if opcode == PING and self.pongs:
            self.send(PONG, payload)
        return opcode, payload

    def send(self, opcode, payload):
        mask = os.urandom(4)
        size = (bytes([0x80 | len(payload)]) if len(payload) < 126
                else b"\xfe" + struct.pack(">H", len(payload)))
        body = bytes(b ^ mask[i % 4] for i, b in enumerate(payload))
        self.sock.sendall(bytes([0x80 | opcode]) + size + mask + body)

    def ask(self, **request):
        self.send(TEXT, json.dumps(request).encode())
        while True:
            opcode, payload = self.frame()
            if opcode == TEXT:
                return json.loads(payload)

    def until(self, wanted):
        """Payload of the next frame with this opcode."""
        while True:
            opcode, payload = self.frame()
            if opcode == wanted:
                return payload

    def close_code(self):
        return struct.unpack(">H", self.until(CLOSE)[:2])[0]

    def sbe(self, template=None):
        while True:
            payload = self.until(BINARY)
            if template is None or struct.unpack_from("<H", payload, 2)[0] == template:
                return payload


def diff_of(frame):
    first, last, _, _ = struct.unpack_from("<qqbb", frame, 16)
    sides, at = [], 34
    for _ in range(2):
        stride, count = struct.unpack_from("<HH", frame, at)
        at += 4
        sides.append([struct.unpack_from("<qq", frame, at + k * stride) for k in range(count)])
        at += stride * count
    return first, last, sides


def mantissa(text):
    return int(text.replace(".", ""))


def levels_of(side):
    return [(mantissa(price), mantissa(qty)) for price, qty in side]


class Streams(unittest.TestCase):
    def test_a_book_kept_from_rest_and_diffs_is_the_exchanges_own_at_every_id(self):
        with Exchange() as exchange, Socket(exchange, "/ws/btcusdt@depth", pongs=True) as client:
            self.assertEqual(client.status, 101)
            first = diff_of(client.sbe(DIFF))
            depth = exchange.get("/api/v3/depth?symbol=BTCUSDT&limit=1000")[1]
            book = [dict(levels_of(depth["bids"])), dict(levels_of(depth["asks"]))]
            book_id = depth["lastUpdateId"]
            self.assertGreaterEqual(book_id, first[0])
            compared = 0
            while compared < 150:
                begin, end, sides = diff_of(client.sbe(DIFF))
                if end <= book_id:
                    continue
                self.assertLessEqual(begin, book_id + 1)
                for own, side in zip(book, sides):
                    for price, qty in side:
                        own.pop(price, None)
                        if qty:
                            own[price] = qty
                book_id = end
                truth = exchange.get(f"/control/book?id={book_id}")[1]
                bids = sorted(book[0].items(), reverse=True)[:10]
                asks = sorted(book[1].items())[:10]
                self.assertEqual(bids, levels_of(truth["bids"]))
                self.assertEqual(asks, levels_of(truth["asks"]))
                compared += 1

    def test_a_hundredfold_rate_loses_no_update_id_and_no_trade_id(self):
        with Exchange("--rate", "300") as exchange, Socket(exchange, SBE_ALL, pongs=True) as client:
            last_update = last_trade = None
            seen = {TRADES: 0, QUOTE: 0, SNAPSHOT: 0, DIFF: 0}
            for _ in range(60000):
                frame = client.sbe()
                template = struct.unpack_from("<H", frame, 2)[0]
                seen[template] += 1
                if template == DIFF:
                    begin, end, _ = diff_of(frame)
                    self.assertIn(begin, (begin if last_update is None else last_update + 1,))
                    last_update = end
                elif template == TRADES:
                    stride, count = struct.unpack_from("<HI", frame, 26)
                    for k in range(count):
                        trade = struct.unpack_from("<q", frame, 32 + k * stride)[0]
                        self.assertIn(trade, (trade if last_trade is None else last_trade + 1,))
                        last_trade = trade
            self.assertTrue(all(seen.values()), seen)

    def test_json_streams_are_wrapped_when_combined_and_bare_when_not(self):
        names = {"btcusdt@trade": "trade", "btcusdt@bookTicker": None,
                 "btcusdt@depth@100ms": "depthUpdate", "btcusdt@depth20@100ms": None}
        with Exchange() as exchange:
            with Socket(exchange, "/json/stream?streams=" + "/".join(names)) as client:
                missing = dict(names)
                while missing:
                    message = json.loads(client.until(TEXT))
                    self.assertEqual(message["data"].get("e"), names[message["stream"]])
                    missing.pop(message["stream"], None)
            with Socket(exchange, "/json/ws/btcusdt@depth@100ms") as client:
                one, two = (json.loads(client.until(TEXT)) for _ in range(2))
                self.assertEqual(two["U"], one["u"] + 1)

    def test_control_frames_subscribe_list_and_unsubscribe(self):
        with Exchange() as exchange, Socket(exchange, "/ws/btcusdt@trade") as client:
            self.assertEqual(client.ask(method="SUBSCRIBE", params=["btcusdt@depth"], id=1),
                             {"result": None, "id": 1})
            self.assertEqual(client.ask(method="LIST_SUBSCRIPTIONS", id="x")["result"],
                             ["btcusdt@trade", "btcusdt@depth"])
            client.sbe(DIFF)
            client.ask(method="UNSUBSCRIBE", params=["btcusdt@trade"], id=2)
            self.assertEqual(client.ask(method="LIST_SUBSCRIPTIONS", id=3)["result"],
                             ["btcusdt@depth"])


class Rules(unittest.TestCase):
    def test_sbe_streams_need_the_key_and_json_streams_do_not(self):
        os.environ["BTCAST_SIM_API_KEY"] = "right"
        try:
            with Exchange("--set", "server.require_key=true") as exchange:
                with Socket(exchange, SBE_ALL) as client:
                    self.assertEqual(client.status, 400)
                    client._need(20)
                    self.assertIn(b"No X-MBX-APIKEY header", client.buffer)
                with Socket(exchange, SBE_ALL, ["X-MBX-APIKEY: wrong"]) as client:
                    self.assertEqual(client.status, 401)
                with Socket(exchange, SBE_ALL, ["X-MBX-APIKEY: right"]) as client:
                    self.assertEqual(client.status, 101)
                with Socket(exchange, "/json/ws/btcusdt@trade") as client:
                    self.assertEqual(client.status, 101)
        finally:
            del os.environ["BTCAST_SIM_API_KEY"]

    def test_an_unknown_path_is_no_stream(self):
        with Exchange() as exchange, Socket(exchange, "/wx/btcusdt@trade") as client:
            self.assertEqual(client.status, 404)

    def test_pings_want_pongs(self):
        words = ("--set", "server.ping_interval_ms=300", "--set", "server.pong_timeout_ms=3000") # of a slow client too
        with Exchange(*words) as exchange:
            with Socket(exchange, "/ws/btcusdt@trade", pongs=True) as polite:
                for _ in range(6):
                    self.assertEqual(len(polite.until(PING)), 13)
            with Socket(exchange, "/ws/btcusdt@trade") as silent:
                self.assertEqual(silent.close_code(), 1008)
            self.assertEqual(exchange.get("/control/state")[1]["counters"]["pong_timeouts"], 1)

    def test_more_than_five_messages_a_second_close_the_connection(self):
        with Exchange() as exchange, Socket(exchange, "/ws/btcusdt@trade") as client:
            for i in range(6):
                client.send(TEXT, json.dumps({"method": "LIST_SUBSCRIPTIONS", "id": i}).encode())
            self.assertEqual(client.close_code(), 1008)

    def test_a_connection_has_a_longest_life(self):
        with Exchange("--set", "server.life_s=1") as exchange:
            with Socket(exchange, "/ws/btcusdt@trade") as client:
                self.assertEqual(client.close_code(), 1001)

    def test_a_client_that_does_not_read_is_disconnected(self):
        with Exchange("--rate", "2000", "--set", "server.queue_bytes=200000") as exchange:
            with Socket(exchange, SBE_ALL):
                end = time.monotonic() + WAIT_S
                while exchange.get("/control/state")[1]["counters"]["overruns"] == 0:
                    self.assertLess(time.monotonic(), end)
                    time.sleep(0.1)


class Rest(unittest.TestCase):
    def test_weights_are_told_and_the_limit_is_429_with_retry_after_then_418(self):
        with Exchange("--set", "server.weight_limit=60") as exchange:
            while time.time() % 60 > 50:
                time.sleep(0.5)
            status, _, head = exchange.get("/api/v3/depth?symbol=BTCUSDT&limit=1000")
            self.assertEqual((status, head["X-MBX-USED-WEIGHT-1M"]), (200, "50"))
            status, body, head = exchange.get("/api/v3/depth?symbol=BTCUSDT&limit=1000")
            self.assertEqual((status, body["code"]), (429, -1003))
            self.assertTrue(1 <= int(head["Retry-After"]) <= 60)
            for _ in range(12):
                status, body, head = exchange.get("/api/v3/depth?symbol=BTCUSDT&limit=1000")
            self.assertEqual(status, 418)
            self.assertIn("banned until", body["msg"])

    def test_every_call_answers(self):
        with Exchange() as exchange:
            now_ms = time.time() * 1000
            self.assertEqual(exchange.get("/api/v3/ping")[1], {})
            self.assertLess(abs(exchange.get("/api/v3/time")[1]["serverTime"] - now_ms), 60000)
            micro = exchange.get("/api/v3/time", {"X-MBX-TIME-UNIT": "MICROSECOND"})[1]
            self.assertGreater(micro["serverTime"], now_ms * 900)
            info = exchange.get("/api/v3/exchangeInfo?symbol=BTCUSDT")[1]
            self.assertEqual(info["rateLimits"][0]["limit"], 6000)
            klines = exchange.get("/api/v3/klines?symbol=BTCUSDT&interval=1m&limit=5")[1]
            self.assertEqual([row[0] - klines[0][0] for row in klines],
                             [0, 60000, 120000, 180000, 240000])
            trades = exchange.get("/api/v3/trades?symbol=BTCUSDT&limit=3")[1]
            self.assertEqual([row["id"] - trades[0]["id"] for row in trades], [0, 1, 2])
            status, body, _ = exchange.get("/api/v3/depth?symbol=NOPE")
            self.assertEqual((status, body["code"]), (400, -1121))


class Faults(unittest.TestCase):
    def test_frame_faults_reach_the_wire_and_are_counted(self):
        with Exchange() as exchange, Socket(exchange, "/ws/btcusdt@depth", pongs=True) as client:
            for fault in ("truncate", "longer_block", "unknown_template", "wrong_schema",
                          "absurd_count", "null_sentinel", "foreign_symbol", "duplicate",
                          "reorder", "drop"):
                exchange.fault(fault=fault, stream="depth", count=2)
                while exchange.hits(fault) < 2:
                    time.sleep(0.01)
            exchange.fault(fault="drop", stream="depth", count=1)
            last, gap = None, False
            while not gap:
                frame = client.sbe()
                if len(frame) < 60 or frame[2:4] != b"\x13\x27":
                    continue
                begin, end = struct.unpack_from("<qq", frame, 8 + 8)
                gap = last is not None and begin > last + 1
                last = end

    def test_a_cut_is_a_reset_and_the_next_connection_works(self):
        with Exchange() as exchange, Socket(exchange, SBE_ALL) as client:
            client.sbe()
            exchange.fault(fault="cut")
            with self.assertRaises((ConnectionResetError, EOFError)):
                while True:
                    client.frame()
            with Socket(exchange, SBE_ALL) as again:
                again.sbe(DIFF)
            self.assertEqual(exchange.hits("cut"), 1)

    def test_a_stalled_socket_stays_open_and_silent_while_a_new_one_flows(self):
        with Exchange("--set", "server.ping_interval_ms=200") as exchange:
            with Socket(exchange, SBE_ALL) as stalled:
                stalled.sbe()
                exchange.fault(fault="stall", ms=60000)
                with Socket(exchange, SBE_ALL) as fresh:
                    fresh.sbe(DIFF)
                for _ in range(2):
                    stalled.until(PING)
                while stalled.frame()[0] != PING:
                    pass
                self.assertEqual([stalled.frame()[0] for _ in range(2)], [PING, PING])
                self.assertEqual(exchange.hits("stall"), 1)

    def test_a_half_open_connection_says_nothing_until_it_is_gone(self):
        with Exchange("--set", "server.ping_interval_ms=100") as exchange:
            with Socket(exchange, SBE_ALL) as client:
                client.sbe()
                exchange.fault(fault="half_open", ms=1500)
                with self.assertRaises((ConnectionResetError, EOFError, TimeoutError)):
                    while True:
                        client.frame()
                self.assertEqual(exchange.hits("half_open"), 1)

    def test_server_shutdown_is_announced_in_text_and_then_closes(self):
        with Exchange() as exchange, Socket(exchange, SBE_ALL) as client:
            exchange.fault(fault="server_shutdown", ms=200)
            self.assertEqual(json.loads(client.until(TEXT))["e"], "serverShutdown")
            self.assertEqual(client.close_code(), 1001)

    def test_refused_connections_end_without_an_answer(self):
        with Exchange() as exchange:
            exchange.fault(fault="refuse", count=2)
            for path in ("/api/v3/ping", "/api/v3/time"):
                with self.assertRaises((OSError, http.client.HTTPException)):
                    exchange.get(path)
            self.assertEqual(exchange.hits("refuse"), 2)
            self.assertEqual(exchange.get("/api/v3/ping")[0], 200)
            exchange.fault(fault="refuse", count=1)
            with self.assertRaises((OSError, EOFError)):
                Socket(exchange, SBE_ALL)

    def test_refused_streams_leave_rest_alone(self):
        with Exchange() as exchange:
            exchange.fault(fault="refuse_streams", ms=60000)
            with self.assertRaises((OSError, EOFError)):
                Socket(exchange, SBE_ALL)
            self.assertEqual(exchange.get("/api/v3/ping")[0], 200)
            self.assertEqual(exchange.hits("refuse_streams"), 1)

    def test_rest_fails_slows_breaks_off_and_serves_old_books_as_ordered(self):
        with Exchange() as exchange:
            exchange.fault(fault="http_status", status=418, retry_after=7, count=1)
            status, _, head = exchange.get("/api/v3/ping")
            self.assertEqual((status, head["Retry-After"]), (418, "7"))
            exchange.fault(fault="http_status", status=503, count=1)
            self.assertEqual(exchange.get("/api/v3/ping")[0], 503)
            exchange.fault(fault="http_slow", ms=300, count=1)
            began = time.monotonic()
            self.assertEqual(exchange.get("/api/v3/ping")[0], 200)
            self.assertGreaterEqual(time.monotonic() - began, 0.29)
            exchange.fault(fault="http_partial", count=1)
            with self.assertRaises((http.client.IncompleteRead, ConnectionResetError)):
                exchange.get("/api/v3/depth?symbol=BTCUSDT&limit=1000")
            exchange.fault(fault="stale_snapshot", ids=1000, count=1)
            newest = exchange.get("/control/state")[1]["book_id"]
            old = exchange.get("/api/v3/depth?symbol=BTCUSDT")[1]["lastUpdateId"]
            self.assertLessEqual(old, newest - 500)
            self.assertGreater(exchange.get("/api/v3/depth?symbol=BTCUSDT")[1]["lastUpdateId"],
                               old + 500)
            for fault in ("http_slow", "http_partial", "stale_snapshot"):
                self.assertEqual(exchange.hits(fault), 1)

    def test_a_pause_stops_the_market_and_a_wrong_order_is_refused(self):
        with Exchange() as exchange:
            exchange.post("/control/pause", paused=True)
            one = exchange.get("/control/state")[1]["book_id"]
            time.sleep(0.3)
            self.assertEqual(exchange.get("/control/state")[1]["book_id"], one)
            exchange.post("/control/pause", paused=False)
            time.sleep(0.3)
            self.assertGreater(exchange.get("/control/state")[1]["book_id"], one)
            self.assertEqual(exchange.post("/control/faults", fault="sneeze")[0], 400)
            self.assertEqual(exchange.post("/control/rate", rate=-1)[0], 400)
            self.assertEqual(exchange.get(f"/control/book?id={one - 10**9}")[0], 404)


class Control(unittest.TestCase):
    def test_off_loopback_it_wants_the_bearer_token(self):
        os.environ["BTCAST_TOKEN"] = "secret"
        try:
            with Exchange("--set", "http.address=0.0.0.0") as exchange:
                order = json.dumps({"rate": 2})
                for headers, status in (({}, 401), ({"Authorization": "Bearer wrong"}, 401),
                                        ({"Authorization": "Bearer secret"}, 200)):
                    self.assertEqual(
                        exchange.request("POST", "/control/rate", order, headers)[0], status)
        finally:
            del os.environ["BTCAST_TOKEN"]

    def test_on_loopback_pages_of_other_sites_may_not_post(self):
        with Exchange() as exchange:
            headers = {"Origin": "http://evil.example"}
            self.assertEqual(
                exchange.request("POST", "/control/rate", '{"rate":2}', headers)[0], 403)
            self.assertEqual(exchange.get("/control/state")[1]["rate"], 1)


class Tls(unittest.TestCase):
    def test_tls_serves_and_fails_on_demand(self):
        folder = tempfile.mkdtemp(prefix="btcast-tls-", dir="/tmp")
        self.addCleanup(shutil.rmtree, folder)
        cert, key = os.path.join(folder, "cert.pem"), os.path.join(folder, "key.pem")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj",
                        "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
                        "-keyout", key, "-out", cert], check=True, stderr=subprocess.DEVNULL)
        trust = ssl.create_default_context(cafile=cert)
        words = ("--set", f"server.tls_cert={cert}", "--set", f"server.tls_key={key}")
        with Exchange(*words, tls=trust) as exchange:
            with Socket(exchange, SBE_ALL) as client:
                client.sbe(DIFF)
                client.sbe(SNAPSHOT)
            exchange.fault(fault="tls_fail", count=1)
            with self.assertRaises((ssl.SSLError, OSError)):
                exchange.connect()
            self.assertEqual(exchange.hits("tls_fail"), 1)


class Files(unittest.TestCase):
    def test_hours_are_written_as_a_capture_and_replayed_with_a_close_at_the_end(self):
        folder = tempfile.mkdtemp(prefix="btcast-sim-", dir="/tmp")
        self.addCleanup(shutil.rmtree, folder)
        out, oracle = os.path.join(folder, "m.btc"), os.path.join(folder, "m.csv")
        done = subprocess.run([BTCAST, "exchange-sim", "--data", folder, "--hours", "0.01",
                               "--out", out, "--oracle", oracle], stderr=subprocess.PIPE)
        self.assertEqual(done.returncode, 0, done.stderr)
        with open(oracle, encoding="ascii") as rows:
            self.assertEqual(len(rows.readlines()), 1 + 18)
        decoded = subprocess.run([BTCAST, "decode", out], stdout=subprocess.PIPE)
        self.assertEqual(decoded.returncode, 0)
        frames = [json.loads(line) for line in decoded.stdout.splitlines()]
        diffs = sum(1 for frame in frames if frame.get("templateId") == DIFF)
        words = ("--replay", out, "--speed", "20", "--set", "replay.close_at_end=true")
        with Exchange(*words) as exchange, Socket(exchange, SBE_ALL, pongs=True) as client:
            count = 0
            while True:
                opcode, payload = client.frame()
                if opcode == CLOSE:
                    break
                count += opcode == BINARY and struct.unpack_from("<H", payload, 2)[0] == DIFF
            self.assertEqual(count, diffs)

    @unittest.skipUnless(os.path.exists(CAPTURE), f"SKIPPED: {CAPTURE} is not there")
    def test_the_real_capture_is_served_whole_with_its_book(self):
        with Exchange("--replay", CAPTURE, "--speed", "100") as exchange:
            self.assertEqual(exchange.get("/api/v3/depth?symbol=BTCUSDT")[0], 503)
            with Socket(exchange, SBE_ALL, pongs=True) as client:
                counts, culled = {TRADES: 0, QUOTE: 0, SNAPSHOT: 0, DIFF: 0}, 0
                while counts[TRADES] < 9757 or counts[DIFF] < 3451 or counts[QUOTE] + culled < 28040:
                    template = struct.unpack_from("<H", client.sbe(), 2)[0]
                    counts[template] += 1
                    if counts[TRADES] > 9700 and template != QUOTE:
                        # Quotes are culled for a reader that is behind, as the exchange does.
                        clients = exchange.get("/control/state")[1]["clients"]
                        culled = clients[0]["quotes_culled"]
                self.assertEqual((counts[TRADES], counts[DIFF]), (9757, 3451))
                self.assertEqual(counts[QUOTE] + culled, 28040)
            depth = exchange.get("/api/v3/depth?symbol=BTCUSDT&limit=5")[1]
            self.assertLess(mantissa(depth["bids"][0][0]), mantissa(depth["asks"][0][0]))


class Mistakes(unittest.TestCase):
    def run_words(self, *words):
        folder = tempfile.mkdtemp(prefix="btcast-sim-", dir="/tmp")
        self.addCleanup(shutil.rmtree, folder)
        done = subprocess.run([BTCAST, "exchange-sim", "--data", folder, *words],
                              stderr=subprocess.PIPE, timeout=WAIT_S)
        return done.returncode, done.stderr.decode()

    def test_each_has_one_clear_line_and_its_status(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            status, said = self.run_words("--set", f"http.port={port}")
            self.assertEqual(status, 1)
            self.assertIn(f"port {port} is in use", said)
        for words, status, part in ((("--hours", "1"), 2, "--out"),
                                    (("--replay", "/nowhere"), 1, "/nowhere"),
                                    (("--rate", "fast"), 2, "market.rate"),
                                    (("--set", "market.sped=1"), 2, "market.sped"),
                                    (("--hours", "1", "--out", "/nowhere/x"), 1, "/nowhere/x")):
            with self.subTest(words=words):
                code, said = self.run_words(*words)
                self.assertEqual(code, status, said)
                self.assertIn(part, said)

    def test_a_stop_by_signal_is_clean(self):
        with Exchange() as exchange, Socket(exchange, SBE_ALL) as client:
            client.sbe()
        self.assertEqual(exchange.status, 0)


if __name__ == "__main__":
    sys.exit(0 if unittest.main(exit=False, verbosity=2).result.wasSuccessful() else 1)
