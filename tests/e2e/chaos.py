# SPDX-License-Identifier: Apache-2.0
"""Faults from a seeded schedule against a whole running system (`btcast up`, a real redis-server,
the simulated exchange): processes killed and stopped, also at each step of a re-anchor, sockets
cut, frames spoiled and withheld, REST errors. Every fault has to prove that it hit; after each the
book has to be the exchange's again; at the end no slot may be missing or double.

Never both replicas in one slot: one that was killed or stopped is waited for until it publishes or
serves again before the other one may be taken."""
import collections
import os
import random
import signal
import time

import harness as h
import redis_group
from scene import Exchange, Scene

RECOVERY_S = 45
STEP_S = 5
# Words of the command line by which a supervised process is known.
SERVICES = {
    "sbe-ingestor": ["sbe-ingestor"],
    "aggregator": ["aggregator"],
    "re-anchor-service": ["re-anchor-service"],
    "gap-detector": ["gap-detector"],
    "rest-ingestor": ["rest-ingestor"],
    "data-connector": ["data-connector"],
    "inference": ["inference", f"http.port={h.PORTS['inference']}"],
    "inference-2": ["inference", f"http.port={h.PORTS['inference-2']}"],
}
# What shows in Redis that a re-anchor has come so far.
STEPS = {
    "asked": lambda redis, s: redis("EXISTS", f"reanchor:ask:{s}"),
    "claimed": lambda redis, s: redis("EXISTS", f"reanchor:{s}"),
    "handed over": lambda redis, s: redis("EXISTS", f"reanchor:doc:{s}"),
    "staged": lambda redis, s: redis("EXISTS", f"ob:new:{s}"),
}
Fault = collections.namedtuple("Fault", "kind detail hits book")


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
        """Once another one is primary, the dead one comes back as its replica."""
        h.wait_until(lambda: self.group.primary() not in (None, self.dead), "another primary", 30)
        self.dead.start()
        h.wait_until(lambda: self.group.primary().online_replicas() == 1, "a replica again", 30)


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
        self.process = h.start("up", "--postgres", "none", "--data", self.data, "--port-offset", offset, "--set",
                               f"config.sbe_ingestor={ingestor}", *self.backend.up_words(), *words)
        exchange = Exchange(h.PORTS["exchange-sim"] + offset)
        h.wait_until(exchange.alive, "the exchange answers")
        super().__init__(offset, self.backend.connect, exchange, self.backend.hashtag)
        h.wait_until(lambda: self.compare(0) == "equal" and self.slots.newest(),
                     "a synced book and a prediction", 30)

    def pid(self, words):
        """The supervised process whose command line has these words."""
        with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children",
                  encoding="ascii") as f:
            pids = f.read().split()
        for pid in pids:
            try:
                with open(f"/proc/{pid}/cmdline", encoding="utf-8") as f:
                    line = f.read().split("\0")
            except (FileNotFoundError, ProcessLookupError):
                continue # it ended meanwhile
            if all(word in line or word in line[0] for word in words):
                return int(pid)
        return None

    def killed(self, name):
        """How often the supervisor has seen it killed."""
        return self.process.log().count(f"event=exited process={name} signal=9 ")

    def stop(self):
        self.slots.stop()
        status = self.process.stop(30)
        assert status == 0, self.process.log()


def state_of(pid):
    """The letter of /proc/PID/stat; "" when it is gone."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as f:
            return f.read().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""


class Chaos:
    """The schedule: each call of fault() draws one fault and lives through it."""

    def __init__(self, system, seed):
        self.system, self.random = system, random.Random(seed)
        self.faults, self.wrong, self.steps = [], [], collections.Counter()
        self.services = [name for name, words in SERVICES.items() if system.pid(words)]
        self.kinds = [(self.frames, 5), (self.connection, 4), (self.rest, 3), (self.kill, 5),
                      (self.pause, 4), (self.kill_at_step, 5), (self.pause_at_step, 2),
                      (self.redis, 2)]

    # --- what can happen -----------------------------------------------------------------

    def _exchange(self, kind, name, **members):
        """One order to the exchange; its counter proves the hit."""
        before = self.system.exchange.hits(name)
        self.system.exchange.fault(name, **members)
        self._wait_hit(kind, f"{name} {members}",
                       lambda: self.system.exchange.hits(name) - before)

    def _wait_hit(self, kind, detail, hits):
        try:
            h.wait_until(hits, f"{kind} {detail} hits", 20)
        except AssertionError:
            pass # judged below: no hit
        self._judge(kind, detail, hits())

    def _lose_depth(self):
        self.system.exchange.fault("drop", stream="depth", count=1)

    def frames(self):
        name = self.random.choice(["drop", "drop", "duplicate", "reorder", "truncate",
                                   "unknown_template", "absurd_count", "null_sentinel"])
        stream = self.random.choice(["depth", "trade", "bestBidAsk", "depth20"])
        self._exchange("frames", name, stream=stream, count=self.random.choice([1, 1, 2, 20]))

    def connection(self):
        name, members = self.random.choice([
            ("cut", {}), ("stall", {"ms": 3000}), ("half_open", {"ms": 3000}),
            ("server_shutdown", {"ms": 1500})])
        if self.random.random() < 0.3: # nobody answers for a while afterwards
            self.system.exchange.fault("refuse", ms=self.random.randrange(200, 2000))
            name, members = "cut", {}
        self._exchange("connection", name, **members)

    def rest(self):
        """REST fails while a re-anchor needs it."""
        name, members = self.random.choice([
            ("http_status", {"status": 429, "retry_after": 1}),
            ("http_status", {"status": 418, "retry_after": 1}),
            ("http_status", {"status": 503}), ("http_slow", {"ms": 1500}), ("http_partial", {}),
            ("stale_snapshot", {"ids": 20000})])
        before = self.system.exchange.hits(name)
        self.system.exchange.fault(name, count=1, **members)
        self._lose_depth()
        self._wait_hit("rest", f"{name} {members}",
                       lambda: self.system.exchange.hits(name) - before)

    def _victim(self):
        return self.random.choice(self.services)

    def _kill(self, name, kind, detail):
        before = self.system.killed(name)
        pid = self.system.pid(SERVICES[name])
        if pid is not None:
            os.kill(pid, signal.SIGKILL)
        self._wait_hit(kind, detail, lambda: self.system.killed(name) - before)
        self._wait_back(name, pid)

    def _wait_back(self, name, pid):
        """Restarted; an inference replica also predicts again, so that the other may go."""
        def back():
            return self.system.pid(SERVICES[name]) not in (None, pid)
        try:
            h.wait_until(back, f"{name} is back", RECOVERY_S)
            if name.startswith("inference"):
                port = h.PORTS[name] + self.system.offset
                h.wait_until(lambda: h.http_ask(port, "/ready")[0] == 200,
                             f"{name} predicts again", RECOVERY_S)
        except AssertionError as error:
            self.wrong.append(str(error))

    def kill(self):
        time.sleep(self.random.random() * 2) # anywhere in a slot
        name = self._victim()
        self._kill(name, "kill -9", name)

    def _pause(self, name, kind, detail):
        pid, seconds = self.system.pid(SERVICES[name]), self.random.uniform(0.2, 6)
        if pid is None:
            self._judge(kind, detail, 0)
            return
        os.kill(pid, signal.SIGSTOP)
        time.sleep(seconds)
        stopped = state_of(pid) == "T"
        os.kill(pid, signal.SIGCONT)
        if name.startswith("inference"):
            self.system.slots.wait(self.system.slots.newest() + 2, RECOVERY_S)
        self._judge(kind, f"{detail} {seconds:.1f} s", stopped)

    def pause(self):
        name = self._victim()
        self._pause(name, "stop/cont", name)

    def _reach(self, step):
        """A re-anchor is on its way to this step, and there now; how to call it."""
        redis = self.system.connect()
        slow_ms = self.random.choice([0, 0, 100, 300])
        if slow_ms:
            self.system.exchange.fault("http_slow", ms=slow_ms, count=1)
        self._lose_depth()
        end, seen = time.monotonic() + STEP_S, False
        while not seen and time.monotonic() < end:
            seen = STEPS[step](redis, self.system.symbol)
        redis.close()
        self.steps[step] += bool(seen)
        return step if seen else f"{step} (not seen)"

    def _step_victim(self):
        return (self.random.choice(list(STEPS)),
                self.random.choice(["aggregator", "re-anchor-service"]))

    def kill_at_step(self):
        step, name = self._step_victim()
        self._kill(name, "kill at a step", f"{name}, {self._reach(step)}")

    def pause_at_step(self):
        step, name = self._step_victim()
        self._pause(name, "stop at a step", f"{name}, {self._reach(step)}")

    def redis(self):
        name, pid = self.random.choice(self.system.backend.victims(self.system))
        before = state_of(pid)
        os.kill(pid, signal.SIGKILL)
        h.wait_until(lambda: state_of(pid) in ("", "Z"), "the server is dead")
        time.sleep(self.random.random())
        self.system.backend.mend()
        self._judge("redis", f"kill -9 {name}", before not in ("", "Z"), RECOVERY_S)

    # --- judging -------------------------------------------------------------------------

    def _judge(self, kind, detail, hits, book_s=RECOVERY_S):
        try:
            book = self.system.check_book(book_s)
        except (OSError, h.RedisError, ConnectionError) as error:
            book = f"unreadable: {error}"
        fault = Fault(kind, detail, int(hits), book)
        self.faults.append(fault)
        print(f"{len(self.faults):4} {kind:15} {detail:58.58} hits {fault.hits:3}  book {book}",
              flush=True)
        if not fault.hits:
            self.wrong.append(f"fault {len(self.faults)} {kind} {detail}: did not hit")
        if book != "equal":
            self.wrong.append(f"fault {len(self.faults)} {kind} {detail}: book {book}")

    def fault(self):
        """One fault, lived through."""
        kinds, weights = zip(*self.kinds)
        self.random.choices(kinds, weights)[0]()
        time.sleep(self.random.random() * 1.5)

    def finish(self):
        """Until predictions are live again; what was wrong, as a list of sentences."""
        slots = self.system.slots
        try:
            h.wait_until(lambda: slots.seen[slots.newest()]["mode"] == "live",
                         "a live prediction at the end", RECOVERY_S)
        except AssertionError as error:
            self.wrong.append(str(error))
        missing = slots.missing(min(slots.seen), max(slots.seen))
        if missing:
            self.wrong.append(f"slots missing: {missing}")
        if slots.conflicts:
            self.wrong.append(f"slots published twice: {slots.conflicts[:3]}")
        kinds = collections.Counter(fault.kind for fault in self.faults)
        print(f"{len(self.faults)} faults {dict(kinds)}, steps {dict(self.steps)}; "
              f"{len(slots.seen)} slots, {len(missing)} missing, {len(slots.conflicts)} double")
        return self.wrong


def run(seed, seconds, backend_of=PrivateRedis):
    """Chaos for so long; what was wrong."""
    system = System(backend_of)
    print(f"chaos on {system.backend.name}, seed {seed}, {seconds} s", flush=True)
    chaos = Chaos(system, seed)
    end = time.monotonic() + seconds
    try:
        while time.monotonic() < end:
            chaos.fault()
        return chaos.finish()
    finally:
        system.stop()
