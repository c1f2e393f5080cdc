# SPDX-License-Identifier: Apache-2.0
"""Bad input: every mistake ends with one clear line on stderr that says what and where, exit
status 2 for configuration and 1 for the rest. And what is no mistake: without require_redis every
service starts with Redis away, serves its probes, and degrades as the state table says."""
import json
import os
import socket
import time

import onnx
import harness as h

SERVICES = ("sbe-ingestor", "aggregator", "re-anchor-service", "inference")
BASELINE = os.path.join(h.ROOT, "models", "baseline.onnx")
NO_KEY = {"BINANCE_API_KEY": ""}


def write(name, text, mode="w"):
    path = os.path.join(h.temp_dir(), name)
    with open(path, mode) as f:
        f.write(text)
    return path


def refuses(status, service, *words, says=(), env=None):
    """Leaves with status, having said everything in `says` in the one line that names it."""
    offset = () if "--port-offset" in words else ("--port-offset", h.free_port_offset())
    got, out, err = h.run(service, "--data", h.temp_dir(), *offset, *words, env=env, timeout_s=20)
    lines = [line for line in err.splitlines() if line.startswith("btcast ")]
    assert got == status, (service, words, got, err)
    assert out == "" and len(lines) == 1, (service, words, out, err)
    assert lines[0].startswith(f"btcast {service}: "), lines
    for part in says:
        assert str(part) in lines[0], (part, lines[0])
    assert "Sanitizer" not in err and "level=error" not in err, err
    return lines[0]


def test_a_wrong_key_is_named_with_its_place_and_the_nearest_right_one():
    for service in (*SERVICES, "gap-detector"):
        path = write("wrong.yaml", f"service: {service}\nredis:\n  targte: 127.0.0.1:1\n")
        refuses(2, service, "--config", path,
                says=(f"{path}:3:3", "redis.targte", "did you mean redis.target?"))


def test_a_wrong_type_is_named_with_its_place_and_what_was_expected():
    for service, key, value, expected in (
            ("sbe-ingestor", "watchdog_ms", "80x", "an integer"),
            ("aggregator", "checkpoint_ms", "soon", "an integer"),
            ("re-anchor-service", "require_redis", "yes", "true or false"),
            ("gap-detector", "cooldown_s", "5m", "an integer 0..86400"),
            ("inference", "replica", "0", "an integer 1..8")):
        path = write("wrong.yaml", f"service: {service}\n{key}: {value}\n")
        refuses(2, service, "--config", path, says=(f"{path}:2:", key, expected, value))
        refuses(2, service, "--set", f"{key}={value}", says=("--set " + key, expected, value))


def test_a_missing_key_is_named():
    path = write("missing.yaml", "symbol: BTCUSDT\n")
    status, _, err = h.run("config", "check", path)
    assert status == 2 and err == (f"btcast config: {path}: service: expected the name of a "
                                   "service, found nothing (required)\n"), err
    refuses(2, "sbe-ingestor", "--set", "source=replay", says=("replay.file",))
    refuses(2, "exchange-sim", "--hours", "1", says=("--hours and --out belong together",))
    refuses(2, "aggregator", "--config", "/nonexistent.yaml", says=("/nonexistent.yaml",))
    other = write("other.yaml", "service: aggregator\n")
    refuses(2, "inference", "--config", other, says=(other, "aggregator"))
    refuses(2, "inference", "--config", write("broken.yaml", "service: [inference\n"))


def test_no_api_key():
    refuses(2, "sbe-ingestor", "--set", "source=binance", env=NO_KEY,
            says=("api_key", "BINANCE_API_KEY"))


def test_values_that_cannot_work_are_configuration_mistakes():
    for service in SERVICES + ("exchange-sim",):
        refuses(2, service, "--set", "symbol=btc usdt", says=("symbol", "btc usdt"))
    for service in SERVICES:
        refuses(2, service, "--set", "redis.target=nonsense", says=("redis", "nonsense"))
    refuses(2, "re-anchor-service", "--set", "rest_url=api.binance.com",
            says=("rest_url", "api.binance.com"))
    refuses(2, "re-anchor-service", "--set", "tls.ca_file=/no/ca.pem", says=("/no/ca.pem",))
    refuses(2, "sbe-ingestor", "--set", "tls_ca_file=/no/ca.pem", says=("/no/ca.pem",))
    refuses(2, "sbe-ingestor", "--set", "source_url=http://x", says=("source_url",))
    refuses(2, "aggregator", "--set", "lease.renew_ms=1000", says=("lease.renew_ms",))
    refuses(2, "exchange-sim", "--require-redis", says=("require_redis",))
    refuses(2, "inference", "--require-reds", says=("did you mean --require-redis?",))


def test_require_redis_with_redis_away():
    path = os.path.join(h.temp_dir(), "no.sock")
    for service in SERVICES:
        refuses(1, service, "--require-redis", "--set", f"redis.target=unix:{path}",
                says=("redis.target", path, "cannot be reached"))
        status, text, _ = h.run("help", service)
        assert status == 0 and "--require-redis" in text
    refuses(1, "aggregator", "--set", "require_redis=true", "--set", f"redis.target=unix:{path}",
            says=("redis.target", path))


def test_a_model_that_cannot_be_used():
    with open(BASELINE, "rb") as f:
        good = f.read()
    cases = [("/nonexistent.onnx", "No such file"), (h.temp_dir(), "Is a directory"),
             (write("empty.onnx", b"", "wb"), ""), (write("text.onnx", "hello"), "not an ONNX file"),
             (write("cut.onnx", good[:len(good) // 2], "wb"), ""),
             (write("bits.onnx", bytes(b ^ 0x55 for b in good), "wb"), "not an ONNX file")]
    for path, reason in cases:
        refuses(1, "inference", "--set", f"model.path={path}", says=(path, reason))


def test_a_model_of_another_feature_schema():
    model = onnx.load(BASELINE)
    changed = [p for p in model.metadata_props if "schema" in p.key]
    assert len(changed) == 1, "the baseline says which features it was made for"
    changed[0].value = "0123456789abcdef"
    path = os.path.join(h.temp_dir(), "schema.onnx")
    onnx.save(model, path)
    refuses(1, "inference", "--set", f"model.path={path}",
            says=(path, "made for feature schema 0123456789abcdef"))


def test_a_taken_port():
    for service in SERVICES + ("exchange-sim",):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            refuses(1, service, "--port-offset", 0, "--set", f"http.port={port}", says=(port,))


class Scene:
    """The services of the hot path over a Redis that does not exist yet."""

    def __init__(self):
        self.redis = h.RedisServer()
        self.redis.stop()
        self.offset, self.processes = h.free_port_offset(), {}
        self.start("exchange-sim", redis=False)
        sim = h.PORTS["exchange-sim"] + self.offset
        self.start("re-anchor-service", f"rest_url=http://127.0.0.1:{sim}")
        for service in ("aggregator", "sbe-ingestor", "inference"):
            self.start(service)

    def start(self, service, *settings, redis=True):
        words = [service, "--port-offset", self.offset, "--data", h.temp_dir()]
        for setting in settings + ((f"redis.target={self.redis.target}",) if redis else ()):
            words += ["--set", setting]
        self.processes[service] = h.start(*words)

    def ask(self, service, path):
        status, text = h.http_ask(h.PORTS[service] + self.offset, path)
        return status, json.loads(text) if text else None

    def health(self, service):
        status, body = self.ask(service, "/health")
        return (status, body["status"]) if body else (status, None)

    def prediction(self):
        status, body = self.ask("inference", "/prediction")
        return body if status == 200 else None

    def stop(self):
        for service, process in reversed(self.processes.items()):
            assert process.alive(), (service, process.log())
            assert process.stop() == 0, process.log()


def predictions_leave(scene, slots):
    """So many slots on end, each 2 s apart; the predictions."""
    got = {}

    def enough():
        now = scene.prediction()
        got[now["slot"]] = now
        return len(got) >= slots

    h.wait_until(enough, f"{slots} predictions", 2 * slots + 10, every_s=0.1)
    first = min(got)
    assert sorted(got) == list(range(first, first + slots)), sorted(got)
    return [got[slot] for slot in sorted(got)]


def test_without_require_redis_services_start_degrade_and_recover():
    scene = Scene()
    # Redis was never there: everyone lives; the ingestor collects, nobody can predict.
    for service in SERVICES:
        h.wait_until(lambda name=service: scene.ask(name, "/live")[0] == 200, f"{service} lives")
    h.wait_until(lambda: scene.health("sbe-ingestor") == (200, "degraded"),
                 "the ingestor collects into its ring")
    h.wait_until(lambda: scene.health("aggregator") == (503, "unhealthy"), "the aggregator says so")
    h.wait_until(lambda: scene.health("re-anchor-service") == (503, "unhealthy"),
                 "the re-anchor service says so")
    assert scene.health("inference") == (503, "unhealthy")
    assert scene.ask("inference", "/prediction")[0] == 503
    assert scene.ask("inference", "/ready")[0] == 503
    # It comes: what was collected meanwhile arrives, the book is synced, predictions leave.
    scene.redis.start()
    live = lambda: (scene.prediction() or {}).get("mode") == "live"
    h.wait_until(live, "live predictions", 20, every_s=0.1)
    h.wait_until(lambda: all(scene.health(s) == (200, "healthy") for s in SERVICES),
                 "all are healthy", 10)
    assert scene.ask("inference", "/ready")[0] == 200
    # It goes: a prediction in every slot from the last price, confidence 0.
    scene.redis.kill()
    h.wait_until(lambda: scene.prediction()["source"] == "fallback", "a fallback prediction", 10)
    for prediction in predictions_leave(scene, 3):
        assert prediction["source"] == "fallback" and prediction["mode"] == "blind", prediction
        assert prediction["confidence"] == 0 and prediction["current_price"] > 0, prediction
        assert "redis" in prediction["reason"], prediction
    assert scene.ask("inference", "/ready")[0] == 200, "predictions leave"
    assert scene.health("inference") == (503, "unhealthy"), "blind"
    assert scene.health("sbe-ingestor") == (200, "degraded")
    for service in SERVICES:
        assert scene.ask(service, "/live")[0] == 200, service
    # It returns, empty.
    scene.redis.start()
    h.wait_until(live, "live predictions again", 20, every_s=0.1)
    h.wait_until(lambda: all(scene.health(s) == (200, "healthy") for s in SERVICES),
                 "all are healthy again", 10)
    moves = h.metric(h.PORTS["inference"] + scene.offset, "inference_mode_changes_total")
    assert moves >= 3, moves
    scene.stop()
    scene.redis.stop()


def test_up_keeps_a_service_with_a_broken_model_from_taking_the_rest_down():
    """A corrupt model is no configuration mistake: `up` keeps trying, the other parts run."""
    bad = write("inference.yaml", f"service: inference\nmodel:\n  path: {write('x.onnx', 'x')}\n")
    offset = h.free_port_offset()
    up = h.start("up", "--data", h.temp_dir(), "--port-offset", offset, "--set",
                 f"config.inference={bad}")
    h.wait_until(lambda: up.log().count("event=exited process=inference exit_status=1") >= 2,
                 "it is tried again", 20)
    aggregator = h.PORTS["aggregator"] + offset
    h.wait_until(lambda: (h.get_json(aggregator, "/health") or {}).get("status") == "healthy",
                 "the aggregator is healthy", 20)
    assert up.stop() == 0, up.log()


h.run_tests(globals())
