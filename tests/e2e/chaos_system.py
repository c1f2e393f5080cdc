# SPDX-License-Identifier: Apache-2.0
"""The system that chaos is done to: `btcast up` on a private Redis, behind Sentinel or on a Cluster,
with its processes by name."""
import json
import os

import harness as h
import redis_group
from scene import SYMBOL, Exchange, Scene

RECOVERY_S = 45
# Words of the command line by which a supervised process is known, and words it has not.
SERVICES = {
    "sbe-ingestor": ["sbe-ingestor"],
    "aggregator": ["aggregator", "-consumer=aggregator-2"],
    "aggregator-2": ["aggregator", "consumer=aggregator-2"],
    "re-anchor-service": ["re-anchor-service"],
    "gap-detector": ["gap-detector"],
    "rest-ingestor": ["rest-ingestor"],
    "data-connector": ["data-connector"],
    "inference": ["inference", f"http.port={h.PORTS['inference']}"],
    "inference-2": ["inference", f"http.port={h.PORTS['inference-2']}"],
}


class PrivateRedis:
    """The redis-server that `btcast up` starts and restarts itself."""

    name, hashtag = "single", False

    def __init__(self, folder):
        self.path = os.path.join(folder, "data", "run", "redis.sock")

    def up_words(self):
        return []

    def connect(self):
        return h.Redis(os.path.realpath(self.path), timeout_s=1)

    def victims(self, system):
        return [("redis", system.pid(["redis-server"]))]

    def mend(self):
        """The supervisor does it."""

    def settle(self):
        """There is nobody else who could have become the primary."""


class GroupRedis:
    """Servers that fail over: the primary is killed, comes back later and follows the new one."""

    def __init__(self, make):
        self.group = make()
        self.name, self.hashtag = make.__name__.lower(), self.group.style == "hashtag"
        self.dead = None

    def up_words(self):
        return ["--redis", self.group.target]

    def connect(self):
        primary = self.group.primary()
        if primary is None:
            raise ConnectionError("no primary now")
        return primary.client(1)

    def victims(self, _system):
        self.dead = h.wait_until(self.group.primary, "a primary")
        return [(f"primary at {self.dead.port}", self.dead.process.pid)]

    def mend(self):
        """Once another one is primary for all, the dead one comes back as its replica."""
        def replaced():
            primary = self.group.primary()
            return primary not in (None, self.dead) and self.group.known(primary)
        h.wait_until(replaced, "another primary", RECOVERY_S)
        self.dead.start()
        self.settle()

    def settle(self):
        """One primary that has its replica, which could take over."""
        def whole():
            primary = self.group.primary()
            return primary is not None and primary.online_replicas() == 1 and self.group.ready()
        h.wait_until(whole, "a primary and its replica", RECOVERY_S)


def sentinels(_folder):
    return GroupRedis(redis_group.Sentinels)


def cluster(_folder):
    return GroupRedis(redis_group.Cluster)


class System(Scene):
    """`btcast up` on a backend, and what chaos does to it."""

    def __init__(self, backend_of=PrivateRedis, words=()):
        self.folder = h.temp_dir()
        self.backend = backend_of(self.folder)
        ingestor = os.path.join(self.folder, "ingestor.yaml")
        with open(ingestor, "w", encoding="utf-8") as f:
            f.write("service: sbe-ingestor\nwatchdog_ms: 1000\n")
        offset = h.free_port_offset()
        self.data = os.path.join(self.folder, "data")
        self.process = h.start("up", "--postgres", "none", "--data", self.data, "--port-offset",
                               offset, "--aggregators", 2, "--set",
                               f"config.sbe_ingestor={ingestor}", *self.backend.up_words(), *words)
        exchange = Exchange(h.PORTS["exchange-sim"] + offset)
        h.wait_until(exchange.alive, "the exchange answers")
        super().__init__(offset, self.backend.connect, exchange, self.backend.hashtag)
        h.wait_until(lambda: self.compare(0) == "equal" and self.slots.newest(),
                     "a synced book and a prediction", 30)

    def pid(self, words):
        """The supervised process whose command line has these words, and none of those with a
        minus."""
        return next(iter(h.children(self.process.pid, *words)), None)

    def killed(self, name):
        """How often the supervisor has seen it killed."""
        return self.process.log().count(f"event=exited process={name} signal=9 ")

    def stop(self):
        self.slots.stop()
        status = self.process.stop(30)
        assert status == 0, self.process.log()

    def backfill(self):
        """Its state as the REST ingestor says it; None while it does not."""
        health = h.get_json(h.PORTS["rest-ingestor"] + self.offset, "/health") or {}
        return health.get("components", {}).get("backfill")

    def bronze(self):
        """What a replay of the lake says of it, after stop()."""
        status, text, err = h.run("replay", os.path.join(self.data, "lake"), "--symbol", SYMBOL,
                                  "--features", os.path.join(self.folder, "features.csv"),
                                  "--json", timeout_s=300)
        assert status == 0, err
        return json.loads(text)


def state_of(pid):
    """The letter of /proc/PID/stat; "" when it is gone."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as f:
            return f.read().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""
