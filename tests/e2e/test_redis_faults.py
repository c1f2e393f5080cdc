# SPDX-License-Identifier: Apache-2.0
"""What a Redis server may do to a running system: forget its scripts, be emptied, be full, be
moved under a paused writer (DESIGN.md section 10, "Redis"). The server is reached over TLS as an
ACL user."""
import os
import signal
import time

import failover
import harness
import redis_group
from harness import wait_until

# Every key that the running system keeps, by the words before and behind the symbol.
KEPT = [("ob", ""), ("tr", ":1s"), ("tr", ":5s"), ("feat", ""), ("fence", ""), ("lease", ""),
        ("checkpoint", ""), ("pred", ""), ("predictions", ""),
        ("market-sbe-trade", ""), ("market-sbe-depth", ""), ("market-sbe-bestbidask", ""),
        ("consumers:market-sbe-trade", ""), ("consumers:market-sbe-depth", "")]


def check_links(scene):
    """All connections of the system are the user's, over TLS."""
    clients = [dict(word.split("=", 1) for word in line.split() if "=" in word)
               for line in scene.client()("CLIENT", "LIST").splitlines()]
    named = [c for c in clients if c["name"]]
    assert len(named) >= 6 and all(c["user"] == "btcast" for c in named), clients


def all_kept(scene, client):
    return client("KEYS", scene.key("calibration", ":*")) != [] and all(
        client("EXISTS", scene.key(before, after)) == 1 for before, after in KEPT)


def empty(scene):
    """An emptied server is filled again from memory."""
    client = scene.client()
    client("SCRIPT", "FLUSH")
    scene.wait_slots(1)
    writer = client("HGET", scene.key("feat"), "writer")
    repeats = scene.metric("sbe-ingestor", "stream_put_records_total{outcome=\"duplicate\"}")
    anchors = scene.up.process.log().count("event=anchored")
    client("FLUSHALL")
    wait_until(lambda: all_kept(scene, client), "every key is back", 20)
    scene.wait_slots(2)
    assert client("HGET", scene.key("feat"), "writer") == writer
    assert int(client("GET", scene.key("fence"))) == int(writer)
    scene.check_nothing_lost()
    scene.check_books()
    assert scene.metric("sbe-ingestor", "stream_put_records_total{outcome=\"duplicate\"}") == \
        repeats, "sent twice"
    assert scene.up.process.log().count("event=anchored") == anchors
    assert scene.metric("aggregator", "redis_link_script_reloads_total") > 0
    print("SCRIPT FLUSH and FLUSHALL: everything is back; no anchor, nothing sent twice")


def fill_up(scene):
    """A full server costs no slot and no record."""
    client = scene.client()
    client("CONFIG", "SET", "maxmemory", "1")
    first = harness.get_json(scene.up.port("inference"), "/prediction")["slot"]

    def served():
        return harness.get_json(scene.up.port("inference"), "/prediction")["slot"]
    wait_until(lambda: served() >= first + 3, "predictions go on", 20)
    stuck = scene.slots.newest()
    health = {s: harness.get_json(scene.up.port(s), "/health")["status"]
              for s in ("sbe-ingestor", "aggregator", "inference")}
    assert stuck < first + 3, "the server was not full"
    client("CONFIG", "SET", "maxmemory", "0")
    wait_until(lambda: scene.slots.newest() >= first + 4, "the outbox is published", 20)
    scene.wait_slots(1)
    scene.check_nothing_lost()
    scene.check_books()
    log = scene.up.process.log()
    assert "event=stream_put_refused" in log and "OOM" in log, log
    assert scene.metric("sbe-ingestor", "stream_put_records_total{outcome=\"retry\"}") > 0
    assert "unhealthy" not in health.values() and "degraded" in health.values(), health
    healed = [harness.get_json(scene.up.port(s), "/health")["status"] for s in health]
    assert healed == ["healthy"] * 3, healed
    print(f"full for 3 slots: health meanwhile {health}")


def test_a_full_and_an_emptied_server_cost_no_slot():
    group = redis_group.Single()
    tap = os.path.join(harness.temp_dir(), "tap.btc")
    scene = failover.Scene(group, *group.words, "--record", tap, env=group.env)
    check_links(scene)
    fill_up(scene)
    empty(scene)
    slots = scene.finish()
    assert os.path.getsize(tap) > 100000, "the recorder saw nothing"
    print(f"{slots} slots, each once")


def test_a_writer_that_slept_through_a_failover_writes_nothing():
    group = redis_group.Sentinels()
    scene = failover.Scene(group)
    offset = harness.free_port_offset()
    standby = harness.start("aggregator", "--port-offset", offset, "--data", harness.temp_dir(), "--set", f"redis.target={group.target}", "--set",
                            "consumer=standby")
    port, other = scene.up.port("aggregator"), harness.PORTS["aggregator"] + offset
    wait_until(lambda: harness.http_ask(other, "/ready")[0] == 200, "the standby is ready")
    primary, replica = group.primary(), group.replica()
    sleeper, = scene.up.pids("aggregator")
    asleep = scene.client()("HGET", scene.key("feat"), "writer")
    # The replica never hears of the standby's turn: its fence is the sleeper's.
    replica.cut_off(primary)
    os.kill(sleeper, signal.SIGSTOP)
    begin = time.monotonic()
    wait_until(lambda: primary.ask("HGET", scene.key("feat"), "writer") != asleep,
               "the standby writes", 20)
    took_s = time.monotonic() - begin
    assert replica.ask("GET", scene.key("fence")) == asleep
    primary.kill()

    def writer():
        now = group.primary()
        return now.ask("HGET", scene.key("feat"), "writer") if now is not None else None
    wait_until(lambda: writer() not in (None, asleep), "the standby writes again", 30)
    refused = scene_refusals(port)
    os.kill(sleeper, signal.SIGCONT)
    seen = set()

    def gave_up():
        seen.add(writer())
        return scene_refusals(port) > refused
    wait_until(gave_up, "the sleeper was refused", 20, 0.001)
    end = time.monotonic() + 2
    while time.monotonic() < end:
        seen.add(writer())
    assert asleep not in seen, "the sleeper's values were visible"
    assert len(seen) == 1, seen
    assert standby.alive() and harness.metric(other, "aggregator_active") == 1
    scene.check_books()
    scene.wait_slots(1)
    slots = scene.finish()
    assert standby.stop() == 0
    print(f"asleep through a failover: the standby wrote after {took_s:.2f} s, "
          f"the sleeper was refused and nothing of it seen; {slots} slots, each once")


def scene_refusals(port):
    """What an aggregator has been refused: writes, and the lease."""
    return sum(harness.metric(port, name) or 0 for name in
               ("aggregator_writes_fenced_total", "aggregator_lease_losses_total"))


if __name__ == "__main__":
    harness.run_tests(globals())
