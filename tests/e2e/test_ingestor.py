# SPDX-License-Identifier: Apache-2.0
"""The sbe-ingestor and `btcast record` against the simulated exchange and a real Redis: what
goes in comes out of the streams once, in order, through every fault of the connection."""
import gzip
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import harness as h  # noqa: E402

STREAMS = ("trade", "depth", "bestbidask")
CAPTURE = os.path.join(h.DATA, "capture", "binance-spot-btcusdt-20240808.jsonl.gz")
FRAME, TICK = 1, 2


def envelope_records(data):
    """(epoch, [(seq, recv_us, kind, flags, payload)]) of one stream entry."""
    magic, _, version, symbol_size = struct.unpack_from("<IIHB", data)
    assert magic == 0x4E455442 and version == 1, "not an envelope"
    count, epoch, first_seq, first_recv = struct.unpack_from("<IQQq", data, 12)
    at, records = 40 + symbol_size, []
    for _ in range(count):
        seq, recv, size, kind, flags = struct.unpack_from("<IIIBB", data, at)
        at += 14
        records.append((first_seq + seq, first_recv + recv, kind, flags, data[at:at + size]))
        at += size
    assert at == len(data), "bytes behind the last record"
    return epoch, records


def as_bytes(value):
    return value if isinstance(value, bytes) else value.encode()


def read_streams(redis):
    """All records of the three streams as {(epoch, seq): (stream, recv_us, kind, payload)};
    fails on a record that is there twice and on one out of order."""
    everything = {}
    for stream in STREAMS:
        last = (0, 0)
        for entry_id, fields in redis("XRANGE", f"market-sbe-{stream}:BTCUSDT", "-", "+"):
            epoch, records = envelope_records(as_bytes(fields[1]))
            assert entry_id == f"{epoch}-{records[-1][0]}", entry_id
            for seq, recv, kind, _, payload in records:
                assert (epoch, seq) > last, f"{stream}: {seq} after {last}"
                last = (epoch, seq)
                assert (epoch, seq) not in everything
                everything[(epoch, seq)] = (stream, recv, kind, payload)
    return everything


def ids_of(payload):
    """(kind, first id, last id) of a frame."""
    template = struct.unpack_from("<H", payload, 2)[0]
    if template == 10000:
        count = struct.unpack_from("<I", payload, 28)[0]
        ids = [struct.unpack_from("<q", payload, 32 + 25 * i)[0] for i in range(count)]
        return "trade", ids[0], ids[-1]
    if template == 10003:
        return ("diff",) + struct.unpack_from("<qq", payload, 16)
    return "state", 0, 0


class Scene:
    """A Redis, an exchange and an ingestor."""

    def __init__(self, redis_words=(), sim=(), ingestor=(), env=None, url=None, start=True):
        self.offset = h.free_port_offset()
        self.redis_server = h.RedisServer(*redis_words)
        self.sim_port = h.PORTS["exchange-sim"] + self.offset
        self.port = h.PORTS["sbe-ingestor"] + self.offset
        self.data = h.temp_dir()
        self.env = env
        self.words = ["--port-offset", self.offset, "--data", os.path.join(self.data, "ingestor"),
                      "--set", f"redis.target={self.redis_server.target}", *ingestor]
        if url:
            self.words += ["--set", f"source_url={url % self.sim_port}"]
        self.sim = h.start("exchange-sim", "--port-offset", self.offset, "--data",
                           os.path.join(self.data, "sim"), *sim)
        h.wait_until(lambda: self.sim_state(), "the exchange answers")
        self.ingestor = None
        if start:
            self.start()

    def start(self):
        self.ingestor = h.start("sbe-ingestor", *self.words, env=self.env)
        h.wait_until(lambda: h.http_ask(self.port, "/live")[0] == 200, "the ingestor lives")

    def sim_state(self):
        try:
            return h.get_json(self.sim_port, "/control/state")
        except (ValueError, OSError):
            return None

    def fault(self, **order):
        status, text = h.post_json(self.sim_port, "/control/faults", order)
        assert status == 200, text

    def hits(self, name):
        return self.sim_state()["faults"][name]["hits"]

    def metric(self, name):
        return h.metric(self.port, name) or 0

    def messages(self):
        return self.metric("ingestor_sbe_messages_total")

    def more(self, count=200, timeout_s=20):
        """Waits for so many more accepted messages."""
        goal = self.messages() + count
        h.wait_until(lambda: self.messages() >= goal, f"{count} more messages", timeout_s)

    def redis(self):
        return h.Redis(self.redis_server.path)

    def stop(self):
        status = self.ingestor.stop()
        assert status == 0, self.ingestor.log()
        return read_streams(self.redis())

    def close(self):
        for process in (self.ingestor, self.sim):
            if process:
                process.kill()
        self.redis_server.stop()


class IngestorTest(unittest.TestCase):
    def scene(self, **options):
        scene = Scene(**options)
        self.addCleanup(scene.close)
        return scene

    def check_order(self, records, epochs=1):
        """seq from 1 without a hole in each epoch, receive times that never fall."""
        keys = sorted(records)
        self.assertEqual(len({epoch for epoch, _ in keys}), epochs)
        last = (0, 0, 0)
        for epoch, seq in keys:
            recv = records[(epoch, seq)][1]
            if epoch == last[0]:
                self.assertEqual(seq, last[1] + 1)
                self.assertGreaterEqual(recv, last[2])
            else:
                self.assertEqual(seq, 1)
            last = (epoch, seq, recv)

    def holes(self, records):
        """How many times the exchange's own ids jump, per kind; fails when one falls."""
        last, holes = {}, {"trade": 0, "diff": 0}
        for key in sorted(records):
            if records[key][2] != FRAME:
                continue
            kind, first, end = ids_of(records[key][3])
            if kind == "state":
                continue
            if kind in last:
                self.assertGreater(end, last[kind], f"{kind} ids fall at {key}")
                holes[kind] += first > last[kind] + 1
            last[kind] = end
        self.assertEqual(set(last), {"trade", "diff"})
        return holes

    def test_what_the_exchange_sends_is_in_the_streams_once_and_in_order(self):
        scene = self.scene(sim=("--set", "market.rate=20"))
        scene.more(5000, 30)
        health = h.get_json(scene.port, "/health")
        self.assertEqual(health["status"], "healthy")
        self.assertEqual(health["components"]["connection"]["lines"][0]["state"], "live")
        for kind in ("trade", "depth", "bestBidAsk", "depth20"):
            self.assertGreater(
                scene.metric(f'ingestor_sbe_messages_total{{message_type="{kind}"}}'), 0, kind)
        records = scene.stop()
        self.check_order(records)
        self.assertEqual(self.holes(records), {"trade": 0, "diff": 0})
        streams = {record[0] for record in records.values()}
        self.assertEqual(streams, set(STREAMS))

    def test_ticks_come_at_their_phases(self):
        scene = self.scene()
        time.sleep(5)
        records = scene.stop()
        ticks = [record[1] for record in records.values() if record[2] == TICK]
        self.assertTrue(all(record[0] == "depth" for record in records.values()
                            if record[2] == TICK))
        slots = [t for t in ticks if t % 2000000 >= 1995000]
        self.assertGreaterEqual(len(slots), 2)
        # 10 a second and one before each slot; each at or after its time, one each.
        self.assertGreaterEqual(len(ticks), 45)
        phases = {(t - 50000) // 100000 for t in ticks if t not in slots}
        self.assertEqual(len(phases), len(ticks) - len(slots))

    def test_a_killed_redis_that_forgot_everything_gets_it_again(self):
        scene = self.scene(sim=("--set", "market.rate=5"))
        scene.more(1000)
        scene.redis_server.kill()
        scene.more(500)
        self.assertEqual(h.get_json(scene.port, "/health")["status"], "degraded")
        scene.redis_server.start()
        h.wait_until(lambda: scene.metric("ingestor_stream_status") == 1, "streaming again")
        scene.more(500)
        records = scene.stop()
        self.check_order(records)
        self.assertEqual(self.holes(records), {"trade": 0, "diff": 0})

    def test_without_redis_at_start_nothing_is_lost(self):
        scene = self.scene(sim=("--set", "market.rate=5"), start=False)
        scene.redis_server.kill()
        scene.start()
        scene.more(1000)
        scene.redis_server.start()
        h.wait_until(lambda: scene.metric("ingestor_stream_status") == 1, "streaming")
        records = scene.stop()
        self.check_order(records)
        self.assertGreater(len(records), 1000)

    def test_a_stop_without_redis_saves_to_disk_and_the_next_start_delivers(self):
        scene = self.scene(sim=("--set", "market.rate=5"))
        scene.more(500)
        scene.redis_server.kill()
        scene.more(500)
        self.assertEqual(scene.ingestor.stop(), 0)
        spool = os.path.join(scene.data, "ingestor", "spool")
        self.assertTrue(os.listdir(spool))
        scene.redis_server.start()
        scene.start()
        scene.more(200)
        h.wait_until(lambda: scene.metric("ingestor_pending_entries") < 5, "all sent")
        records = scene.stop()
        self.assertEqual(len({epoch for epoch, _ in records}), 2)
        self.assertEqual(os.listdir(spool), [])

    def test_a_restart_after_kill_begins_a_higher_epoch(self):
        scene = self.scene(sim=("--set", "market.rate=5"))
        scene.more(300)
        scene.ingestor.kill()
        scene.start()
        scene.more(300)
        self.check_order(scene.stop(), epochs=2)

    def test_an_older_ingestor_is_fenced_and_says_so(self):
        scene = self.scene()
        scene.more(100)
        redis = scene.redis()
        top = redis("XREVRANGE", "market-sbe-depth:BTCUSDT", "+", "-", "COUNT", 1)[0][0]
        epoch = int(top.split("-")[0])
        redis("XADD", "market-sbe-depth:BTCUSDT", f"{epoch + 5}-1", "e", "newer")
        self.assertEqual(scene.ingestor.wait(20), 1)
        self.assertIn("event=fenced", scene.ingestor.log())

    def test_connection_faults_table(self):
        """fault, injected, detected: no row may have 0, and the order holds through all."""
        scene = self.scene(sim=("--set", "market.rate=5"),
                           ingestor=("--set", "watchdog_ms=700"))
        scene.more(300)
        malformed = "ingestor_sbe_malformed_total"
        rows = [
            ("truncate", {"count": 3}, malformed + '{cause="truncated"}'),
            ("unknown_template", {"count": 3}, malformed + '{cause="template"}'),
            ("wrong_schema", {"count": 3}, malformed + '{cause="schema"}'),
            ("absurd_count", {"count": 3}, malformed),
            ("null_sentinel", {"count": 3}, malformed + '{cause="null_value"}'),
            ("foreign_symbol", {"count": 3}, malformed + '{cause="symbol"}'),
            ("duplicate", {"count": 3, "stream": "depth"}, "ingestor_duplicates_total"),
            ("drop", {"count": 3, "stream": "depth"}, "ingestor_sbe_sequence_gaps_total"),
            ("cut", {}, 'ingestor_sbe_reconnections_total{cause="closed"}'),
            ("server_shutdown", {}, 'ingestor_sbe_reconnections_total{cause="shutdown"}'),
            ("stall", {"ms": 2000}, 'ingestor_sbe_reconnections_total{cause="silent"}'),
            ("half_open", {}, 'ingestor_sbe_reconnections_total{cause="silent"}'),
        ]
        table = []
        for name, order, counter in rows:
            before = scene.metric(counter)
            if name in ("absurd_count", "null_sentinel"):
                order = dict(order, stream="depth")
            scene.fault(fault=name, **order)
            h.wait_until(lambda: scene.metric(counter) > before, f"{name} is counted in {counter}")
            table.append((name, scene.hits(name), scene.metric(counter) - before))
            scene.more(100)
        before = scene.metric('ingestor_sbe_reconnections_total{cause="failed"}')
        scene.fault(fault="refuse", ms=1000)
        scene.fault(fault="cut")
        h.wait_until(lambda: scene.metric('ingestor_sbe_reconnections_total{cause="failed"}')
                     > before, "a refused connection is counted")
        table.append(("refuse", scene.hits("refuse"), 1))
        scene.more(100)
        print("\nfault                injected  detected")
        for name, injected, detected in table:
            print(f"{name:20} {injected:8} {detected:9.0f}")
            self.assertGreater(injected, 0, name)
            self.assertGreater(detected, 0, name)
        self.check_order(scene.stop())
        self.assertTrue(os.path.exists(os.path.join(scene.data, "ingestor", "quarantine.cap")))

    def test_server_shutdown_and_rotation_leave_no_hole(self):
        scene = self.scene(sim=("--set", "market.rate=5"), ingestor=("--set", "rotation_s=5"))
        scene.more(300)
        scene.fault(fault="server_shutdown")
        time.sleep(8)
        rotated = scene.metric('ingestor_sbe_reconnections_total{cause="rotation"}')
        self.assertGreaterEqual(rotated, 1)
        records = scene.stop()
        self.check_order(records)
        self.assertEqual(self.holes(records), {"trade": 0, "diff": 0})

    def test_two_connections_cover_for_each_other(self):
        scene = self.scene(sim=("--set", "market.rate=5"),
                           ingestor=("--set", "second_connection=true"))
        h.wait_until(lambda: scene.metric("ingestor_connections_live") == 2, "two live")
        scene.more(2000, 30)
        self.assertGreater(scene.metric("ingestor_duplicates_total"), 500)
        records = scene.stop()
        self.check_order(records)
        self.assertEqual(self.holes(records), {"trade": 0, "diff": 0})

    def test_json_streams_become_the_same_frames(self):
        scene = self.scene(sim=("--set", "market.rate=5"), url="ws://127.0.0.1:%d/json/stream?"
                           "streams=btcusdt@trade/btcusdt@bookTicker/btcusdt@depth@100ms",
                           ingestor=("--set", "source=binance-public"))
        scene.more(500, 30)
        records = scene.stop()
        self.check_order(records)
        self.assertEqual(self.holes(records), {"trade": 0, "diff": 0})

    def test_the_real_capture_comes_through_whole(self):
        if not os.path.exists(CAPTURE):
            self.skipTest(f"NO REAL DATA at {CAPTURE}")
        wanted = {"trade": 0, "bookTicker": 0, "depth@100ms": 0}
        with gzip.open(CAPTURE, "rt") as lines:
            for line in lines:
                message = json.loads(line.split(" ", 1)[1])
                if "stream" in message:
                    wanted[message["stream"].split("@", 1)[1]] += 1
        server = h.RedisServer()
        self.addCleanup(server.stop)
        status, _, err = h.run("sbe-ingestor", "--set", "source=replay", "--set",
                               f"replay.file={CAPTURE}", "--set", "replay.speed=0", "--set",
                               f"redis.target={server.target}", "--set", "http.port=0", "--data",
                               h.temp_dir())
        self.assertEqual(status, 0, err)
        records = read_streams(h.Redis(server.path))
        self.check_order(records)
        self.assertEqual(self.holes(records), {"trade": 0, "diff": 0})
        templates = [struct.unpack_from("<H", r[3], 2)[0] for r in records.values()
                     if r[2] == FRAME]
        self.assertEqual(templates.count(10000), wanted["trade"])
        self.assertEqual(templates.count(10001), wanted["bookTicker"])
        self.assertEqual(templates.count(10003), wanted["depth@100ms"])

    def test_tls_with_its_own_certificate_and_without_trust(self):
        folder = h.temp_dir()
        cert, key = os.path.join(folder, "cert.pem"), os.path.join(folder, "key.pem")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key, "-out", cert,
                        "-days", "2", "-subj", "/CN=localhost", "-addext",
                        "subjectAltName=DNS:localhost"], check=True, capture_output=True)
        offset = h.free_port_offset()
        port = h.PORTS["exchange-sim"] + offset
        sim = h.start("exchange-sim", "--port-offset", offset, "--data", h.temp_dir(), "--set",
                      f"server.tls_cert={cert}", "--set", f"server.tls_key={key}")
        self.addCleanup(sim.kill)
        out = os.path.join(folder, "tls.cap")
        url = f"wss://localhost:{port}"
        h.wait_until(lambda: "listening" in sim.log(), "the exchange listens")
        status, _, err = h.run("record", "--exchange", "sim", "--url", url, "--tls-ca-file", cert,
                               "--out", out, "--for-s", "3")
        self.assertEqual(status, 0, err)
        self.assertIn("event=connected", err)
        status, text, _ = h.run("decode", out)
        self.assertGreater(text.count("DepthDiffStreamEvent"), 20)
        status, _, err = h.run("record", "--exchange", "sim", "--url", url, "--out", out,
                               "--for-s", "2")
        self.assertEqual(status, 0, err)
        self.assertNotIn("event=connected", err)
        self.assertIn("event=disconnected", err)

    def test_the_key_is_sent_and_a_missing_one_is_refused(self):
        scene = self.scene(sim=("--set", "server.require_key=true"), start=False)
        base = f"ws://127.0.0.1:{scene.sim_port}"
        scene.words += ["--set", "source=binance", "--set", f"source_url={base}"]
        scene.env = {"BINANCE_API_KEY": "open-sesame"}
        scene.start()
        scene.more(50)
        scene.ingestor.stop()
        env = dict(os.environ)
        env.pop("BINANCE_API_KEY", None)
        done = subprocess.run([h.BTCAST, "sbe-ingestor", *map(str, scene.words)], env=env,
                              capture_output=True, text=True, timeout=20, check=False)
        self.assertEqual(done.returncode, 2)
        lines = [line for line in done.stderr.splitlines() if line.startswith("btcast ")]
        self.assertEqual(len(lines), 1, done.stderr)
        self.assertIn("BINANCE_API_KEY", lines[0])

    def test_bad_settings_end_with_one_clear_line(self):
        folder = h.temp_dir()
        taken = h.free_port()
        with socket.socket() as busy:
            busy.bind(("127.0.0.1", taken))
            busy.listen(1)
            cases = [
                (("--set", "source=replay"), 2, "replay.file"),
                (("--set", "source=replay", "--set", "replay.file=/no/such"), 1, "/no/such"),
                (("--set", "source_url=http://x"), 2, "source_url"),
                (("--set", "symbol=btc usdt"), 2, "symbol"),
                (("--set", "spool_mib=3"), 2, "spool_mib"),
                (("--set", "watchdog_ms=80x"), 2, "watchdog_ms"),
                (("--set", "tls_ca_file=/no/ca.pem"), 2, "/no/ca.pem"),
                (("--set", "redis.target=nonsense"), 2, "redis"),
                (("--set", f"http.port={taken}"), 1, str(taken)),
                (("--set", "require_redis=true", "--set", f"redis.target=unix:{folder}/no.sock"),
                 1, "no.sock"),
            ]
            for words, wanted, what in cases:
                status, _, err = h.run("sbe-ingestor", "--data", folder, "--set", "http.port=0",
                                       *words, timeout_s=20)
                self.assertEqual(status, wanted, f"{words}: {err}")
                lines = [line for line in err.splitlines() if line.startswith("btcast ")]
                self.assertEqual(len(lines), 1, err)
                self.assertIn(what, lines[0])

    def test_shipped_configurations_are_right(self):
        folder = os.path.join(h.ROOT, "services", "sbe-ingestor", "config")
        for name in ("local", "dev", "prod"):
            status, out, err = h.run("config", "check", os.path.join(folder, name + ".yaml"))
            self.assertEqual(status, 0, out + err)

    def test_record_taps_the_streams_exactly(self):
        scene = self.scene(sim=("--set", "market.rate=5"), start=False)
        out = os.path.join(scene.data, "tap.cap")
        tap = h.start("record", "--from-streams", "--redis", scene.redis_server.target, "--out",
                      out)
        scene.start()
        scene.more(500)
        records = scene.stop()
        h.wait_until(lambda: os.path.getsize(out) > 0, "the tap writes")
        time.sleep(0.5)
        self.assertEqual(tap.stop(), 0)
        status, text, err = h.run("decode", out)
        self.assertEqual(status, 0, err)
        lines = [json.loads(line) for line in text.splitlines()]
        self.assertEqual([(line["epoch"], line["seq"]) for line in lines], sorted(records))
        for line in lines:
            self.assertEqual(line["recvTime"], records[(line["epoch"], line["seq"])][1])

    def test_record_refuses_bad_flags(self):
        for words, what in (((), "--out"), (("--out", "x"), "--exchange"),
                            (("--out", "x", "--exchange", "ftx"), "ftx"),
                            (("--out", "x", "--echange", "sim"), "--exchange"),
                            (("--out", "x", "--exchange", "sim", "--for-s", "1x"), "--for-s")):
            status, _, err = h.run("record", *words)
            self.assertEqual(status, 2, err)
            self.assertIn(what, err)


if __name__ == "__main__":
    signal.alarm(540)
    unittest.main(verbosity=2, warnings="ignore")
