# SPDX-License-Identifier: Apache-2.0
"""Redis goes and stays away: predictions go on from the REST view with source `fallback`, from the
first slot on that Redis does not answer to the last one before it is back; the first slot a second
after its return has source `redis` again; in the stream no slot is missing and none is double.

BTCAST_LONG=1 keeps it away for five minutes."""
import os
import signal
import time

import harness as h
from scene import Exchange, Scene
from system import LONG

AWAY_S = 300 if LONG else 14
SLOT_S = 2


class Away(Scene):
    """`btcast up` with a redis-server that stays away as long as a file is there."""

    def __init__(self):
        folder = h.temp_dir()
        self.gate = os.path.join(folder, "away")
        server = os.path.join(folder, "redis.sh")
        with open(server, "w", encoding="utf-8") as f:
            f.write(f'#!/bin/sh\nwhile [ -e {self.gate} ]; do sleep 0.05; done\n'
                    'exec redis-server "$@"\n')
        os.chmod(server, 0o755)
        offset = h.free_port_offset()
        data = os.path.join(folder, "data")
        self.process = h.start("up", "--postgres", "none", "--data", data, "--port-offset", offset, "--set",
                               f"redis.server={server}")
        exchange = Exchange(h.PORTS["exchange-sim"] + offset)
        h.wait_until(exchange.alive, "the exchange answers")
        path = os.path.join(data, "run", "redis.sock")
        super().__init__(offset, lambda: h.Redis(path, timeout_s=1), exchange)
        h.wait_until(lambda: self.compare(0) == "equal" and self.slots.newest(),
                     "a synced book and a prediction", 20)

    def latest(self):
        return h.get_json(h.PORTS["inference"] + self.offset, "/prediction")


def middle_of_a_slot():
    now = time.time()
    time.sleep(SLOT_S - now % SLOT_S + 1.0)


def test_redis_away_means_fallback_and_nothing_else():
    away = Away()
    h.wait_until(lambda: h.metric(h.PORTS["rest-ingestor"] + away.offset,
                                  "ingestor_rest_views_total"), "a REST view", 20)
    middle_of_a_slot()
    with open(away.gate, "w", encoding="ascii"):
        pass
    server, = h.children(away.process.pid, "redis-server")
    os.kill(server, signal.SIGKILL)
    gone = time.time()
    served = {} # slot -> source, as the first replica serves them
    while time.time() < gone + AWAY_S:
        latest = away.latest()
        served.setdefault(latest["slot"], latest)
        time.sleep(0.1)
    os.unlink(away.gate)

    def answers():
        try:
            client = away.connect()
            client("PING")
            client.close()
            return True
        except (OSError, h.RedisError):
            return False

    h.wait_until(answers, "Redis is back", 20)
    back = time.time()
    away.slots.wait(int(back // SLOT_S) + 4, 30)
    away.slots.stop()
    seen = away.slots.seen
    first, last = int(gone // SLOT_S) + 1, int(back // SLOT_S)
    fallback = [slot for slot in range(first, last + 1) if seen[slot]["source"] == "fallback"]
    modes = {seen[slot]["mode"] for slot in fallback}
    missing = away.slots.missing(min(seen), max(seen))
    print(f"Redis away {back - gone:.1f} s: {len(fallback)} predictions with source fallback, modes "
          f"{modes}; {len(seen)} slots, {len(missing)} missing, {len(away.slots.conflicts)} double")
    assert not missing and not away.slots.conflicts
    assert abs(len(fallback) - AWAY_S // SLOT_S) <= 1
    assert modes == {"fallback"}, modes # never blind: the view was there all the time
    after = [slot for slot in seen if slot * SLOT_S >= back + 1]
    assert after and all(seen[slot]["source"] == "redis" for slot in after)
    for slot in served:
        if first <= slot < last:
            assert served[slot]["source"] == "fallback"
            assert str(served[slot]["confidence"]) != "0", served[slot]
    assert away.process.stop() == 0, away.process.log()


h.run_tests(globals())
