# SPDX-License-Identifier: Apache-2.0
"""The aggregator killed with -9: it comes back from its checkpoint and goes on as if it had
never stopped; a standby takes over in its place."""
import json
import os
import random
import signal
import time

import harness
import system
from harness import wait_until

KILLS = 20 if system.LONG else 4
SEED = int(os.environ.get("BTCAST_SEED", "1"))


def writer(client):
    return client("HGET", system.KEYS[3], "writer")


def kill_and_wait(pid, client):
    """Seconds from the kill until somebody else writes the hot state."""
    before = writer(client)
    begin = time.monotonic()
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: writer(client) != before, "another writer", 20, 0.002)
    return time.monotonic() - begin


def test_a_killed_aggregator_goes_on_as_if_it_had_never_stopped():
    prng = random.Random(SEED)
    folder = harness.temp_dir()
    file = os.path.join(folder, "live.btc")
    up = system.Up("--record", file)
    vectors = system.Vectors(up)
    up.wait_live()
    client = up.redis()
    away_s = []
    for _ in range(KILLS):
        time.sleep(prng.uniform(1.5, 4.0))
        pid, = up.pids("aggregator")
        away_s.append(kill_and_wait(pid, client))
    time.sleep(4)
    seen = vectors.stop()
    published = system.predictions(client)
    status = harness.get_json(up.port("aggregator"), "/health")
    up.stop()
    log = up.process.log()
    comparison = system.Replayed(file)
    compared = comparison.check(published, seen)
    print(f"seed {SEED}: away {[round(s, 3) for s in away_s]} s after kill -9; {compared}")
    assert log.count("event=restored") == KILLS, log
    assert log.count("event=anchored") == 1, "an anchor was needed to come back"
    assert comparison.summary["gaps"] == 0 and comparison.summary["holes"] == 0
    assert compared.predictions >= len(published) * 3 // 4
    assert status["components"]["feature_pipeline"]["book_live"] is True, json.dumps(status)


class ByHand:
    """The hot path without a supervisor: nobody restarts what is killed."""

    def __init__(self):
        self.redis = harness.RedisServer()
        self.offset = harness.free_port_offset()
        self.folder = harness.temp_dir()
        sim = harness.PORTS["exchange-sim"] + self.offset
        self.exchange = harness.start("exchange-sim", "--port-offset", self.offset, "--data",
                                      self.folder)
        wait_until(lambda: harness.get_json(sim, "/health"), "the exchange answers")
        self.start("re-anchor-service", f"rest_url=http://127.0.0.1:{sim}")
        names = "/".join(f"btcusdt@{s}" for s in ("trade", "bestBidAsk", "depth", "depth20"))
        self.start("sbe-ingestor", "source=sim",
                   f"source_url=ws://127.0.0.1:{sim}/stream?streams={names}")
        self.client = self.redis.client()

    def start(self, service, *settings, shift=0):
        words = [service, "--port-offset", self.offset + shift, "--data", self.folder, "--set",
                 f"redis.target={self.redis.target}"]
        for setting in settings:
            words += ["--set", setting]
        return harness.start(*words)

    def live(self):
        return self.client("HGET", system.KEYS[3], "book_live") == "1"


def test_a_standby_takes_over_when_the_writer_is_killed():
    hand = ByHand()
    first = hand.start("aggregator")
    wait_until(hand.live, "a live book")
    port = harness.PORTS["aggregator"] + hand.offset
    second = hand.start("aggregator", "consumer=standby", shift=1)
    wait_until(lambda: harness.http_ask(port + 1, "/ready")[0] == 200, "the standby is ready")
    time.sleep(1.5)
    assert writer(hand.client) is not None and "event=active" not in second.log()
    took_s = [kill_and_wait(first.pid, hand.client)]
    # The roles change: the restarted one is the standby now.
    third = hand.start("aggregator")
    wait_until(lambda: harness.http_ask(port, "/ready")[0] == 200, "the restarted one is ready")
    time.sleep(1.0)
    assert "event=active" not in third.log()
    took_s.append(kill_and_wait(second.pid, hand.client))
    place = hand.client("HGET", system.KEYS[0], "seq")
    wait_until(lambda: hand.client("HGET", system.KEYS[0], "seq") != place, "it goes on")
    assert hand.live() and "event=anchored" not in second.log() + third.log()
    print(f"taken over {[round(s, 3) for s in took_s]} s after kill -9")
    assert third.stop() == 0


if __name__ == "__main__":
    harness.run_tests(globals())
