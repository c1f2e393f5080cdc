# SPDX-License-Identifier: Apache-2.0
"""Two inference replicas: either may be killed at any moment, and every slot is published once
(DESIGN.md section 4, "Exactly one prediction per (symbol, slot)")."""
import os
import random
import signal
import time

import harness
import system

KILLS = 60 if system.LONG else 10
SEED = int(os.environ.get("BTCAST_SEED", "1"))


def both_ready(up):
    """Of two replicas one may be gone at a time: the last one killed is back."""
    for name in ("inference", "inference-2"):
        harness.wait_until(lambda port=up.port(name): harness.http_ask(port, "/ready")[0] == 200,
                           f"{name} is ready", 20)


def test_no_slot_is_missed_or_doubled_when_replicas_are_killed():
    prng = random.Random(SEED)
    up = system.Up()
    up.wait_live()
    killed = [0, 0]
    for _ in range(KILLS):
        # Around a slot boundary as often as elsewhere.
        at = time.time() + prng.uniform(1.0, 4.0)
        if prng.random() < 0.5:
            at = at // 2 * 2 + 2 + prng.uniform(-0.004, 0.006)
        both_ready(up)
        time.sleep(max(0.0, at - time.time()))
        replica = prng.randrange(2)
        for pid in up.pids("inference", f"replica={replica + 1}"):
            os.kill(pid, signal.SIGKILL)
            killed[replica] += 1
    time.sleep(3)
    published = system.predictions(up.redis())
    served = [harness.get_json(up.port(name), "/prediction")
              for name in ("inference", "inference-2")]
    up.stop()
    slots = system.check_every_slot(published)
    modes = [fields["mode"] for _, fields in published]
    print(f"seed {SEED}: killed {killed} times, {slots} slots, {modes.count('live')} live")
    assert sum(killed) >= KILLS // 2 and min(killed) > 0
    assert up.process.log().count("event=restarting process=inference") >= sum(killed)
    by_slot = dict(published)
    for value in served:
        assert value is not None
        record = by_slot.get(value["slot"])
        assert record is None or float(record["predicted_price_10s"]) == \
            value["predicted_price_10s"], "a replica serves what was not published"


if __name__ == "__main__":
    harness.run_tests(globals())
